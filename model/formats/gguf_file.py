"""GGUF, the file format of llama.cpp and ollama: sizes, tokenizer, chat template and tensors in one file.

A dense network is written as the architecture `llama`, a mixture of experts as `granitemoe`, for the reasons that
model/formats/hf_folder.py gives. Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import json
from pathlib import Path

import gguf
import numpy as np
import torch

from model.formats.hf_folder import (
    State,
    check_gate,
    layer_prefix,
    outside_experts,
    routed,
    shared,
    split_routed,
    split_shared,
)
from model.model_minimind import MiniMindConfig, MiniMindForCausalLM
from model.weights import WeightError, build, load_state

OUTTYPES = {
    "f32": (gguf.GGMLQuantizationType.F32, gguf.LlamaFileType.ALL_F32),
    "f16": (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16),
    "q8_0": (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
}
OUTSIDE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
IN_LAYER = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "mlp.gate": "ffn_gate_inp",
}  # fmt: skip
# How a tokenizer splits text before merging, as tokenizer.json says it -> llama.cpp's name for it.
QWEN2_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
MODELFILE = "FROM ./{file}\nPARAMETER temperature 0\n"
CHATML = '''TEMPLATE """{{- range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
"""
PARAMETER stop "<|im_end|>"
'''


def write_gguf(model: MiniMindForCausalLM, tokenizer, path: Path, outtype: str) -> int:
    """Write the network to `path` (outtype f32, f16 or q8_0: matrices in it, vectors and routers in float32), and
    ollama's `.Modelfile` beside it. Returns how many matrices are in f16 because Q8_0 cannot have their width.

    Raises WeightError for a tokenizer, or a mixture, that llama.cpp cannot have.
    """
    config = model.config
    if config.use_moe:
        check_gate(config)
    pre = pre_tokenizer_name(tokenizer)
    writer = gguf.GGUFWriter(path, "granitemoe" if config.use_moe else "llama")
    add_sizes(writer, config, path.stem, outtype)
    add_tokenizer(writer, tokenizer, config, pre)
    kinds = [add_tensor(writer, name, tensor.detach().numpy(), outtype)
             for name, tensor in to_gguf(model.state_dict(), config).items()]  # fmt: skip
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    modelfile = MODELFILE.format(file=path.name) + (CHATML if tokenizer.eos_token == "<|im_end|>" else "")
    path.with_suffix(".Modelfile").write_text(modelfile, encoding="utf-8")
    return kinds.count(gguf.GGMLQuantizationType.F16) if outtype == "q8_0" else 0


def add_sizes(writer: gguf.GGUFWriter, config: MiniMindConfig, name: str, outtype: str) -> None:
    head_dim = config.hidden_size // config.num_attention_heads
    writer.add_type("model")
    writer.add_name(name)
    writer.add_file_type(OUTTYPES[outtype][1])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_rope_dimension_count(head_dim)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    if config.use_moe:
        writer.add_expert_count(config.n_routed_experts)
        writer.add_expert_used_count(config.num_experts_per_tok)
        writer.add_expert_shared_feed_forward_length(config.n_shared_experts * config.intermediate_size)
        writer.add_attention_scale(head_dim**-0.5)
        for add in (writer.add_embedding_scale, writer.add_residual_scale, writer.add_logit_scale):
            add(1.0)


def pre_tokenizer_name(tokenizer) -> str:
    """llama.cpp's name for how this tokenizer splits text; WeightError when it has none."""
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    splitter = content["pre_tokenizer"] or {}
    parts = splitter.get("pretokenizers", [splitter])
    byte_level = parts[-1]
    usable = content["model"]["type"] == "BPE" and not content["normalizer"] and byte_level.get("type") == "ByteLevel"
    if usable and not byte_level["add_prefix_space"]:
        if len(parts) == 1 and byte_level["use_regex"]:
            return "gpt-2"
        if len(parts) == 2 and not byte_level["use_regex"] and parts[0].get("pattern") == {"Regex": QWEN2_PATTERN}:
            return "qwen2"
    raise WeightError(
        f"{tokenizer.name_or_path}: llama.cpp cannot split text as this tokenizer does: use a byte-level BPE that "
        "splits as Qwen2's or GPT-2's, as scripts/train_tokenizer.py makes it"
    )


def add_tokenizer(writer: gguf.GGUFWriter, tokenizer, config: MiniMindConfig, pre: str) -> None:
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    tokens = {number: token for token, number in tokenizer.get_vocab().items()}
    kinds = dict.fromkeys(tokens, gguf.TokenType.NORMAL)
    marks = (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token, tokenizer.unk_token)
    for added in content["added_tokens"]:
        # <|im_end|> and its like are never text; a tag as <think> or <tool_call> is something a client must see.
        control = added["special"] and (added["content"].startswith("<|") or added["content"] in marks)
        kinds[added["id"]] = gguf.TokenType.CONTROL if control else gguf.TokenType.USER_DEFINED
    for number in range(config.vocab_size):  # a network may have more rows than its tokenizer has tokens
        tokens.setdefault(number, f"[PAD{number}]")
        kinds.setdefault(number, gguf.TokenType.UNUSED)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list([tokens[number] for number in range(config.vocab_size)])
    writer.add_token_types([kinds[number] for number in range(config.vocab_size)])
    writer.add_token_merges([" ".join(merge) for merge in content["model"]["merges"]])
    writer.add_add_bos_token(False)  # the chat template begins with it
    writer.add_add_space_prefix(False)
    for add, number in (
        (writer.add_bos_token_id, tokenizer.bos_token_id),
        (writer.add_eos_token_id, tokenizer.eos_token_id),
        (writer.add_pad_token_id, tokenizer.pad_token_id),
        (writer.add_unk_token_id, tokenizer.unk_token_id),
    ):
        if number is not None:
            add(number)
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)


def add_tensor(writer: gguf.GGUFWriter, name: str, array: np.ndarray, outtype: str) -> gguf.GGMLQuantizationType:
    """Returns the type that the tensor got."""
    kind = OUTTYPES[outtype][0]
    if array.ndim == 1 or "ffn_gate_inp" in name:
        kind = gguf.GGMLQuantizationType.F32  # as llama.cpp has them
    elif kind == gguf.GGMLQuantizationType.Q8_0 and array.shape[-1] % 32:
        kind = gguf.GGMLQuantizationType.F16  # Q8_0 takes 32 numbers at a time
    array = np.ascontiguousarray(array, dtype=np.float32)
    if kind == gguf.GGMLQuantizationType.F16 and np.abs(array).max() > np.finfo(np.float16).max:
        raise WeightError(f"tensor {name} holds numbers beyond half precision's 65,504: use --outtype f32")
    writer.add_tensor(name, gguf.quants.quantize(array, kind), raw_dtype=kind)
    return kind


def read_gguf(path: Path) -> MiniMindForCausalLM:
    """The network of a file that `write_gguf` has written, from what stands in that file alone."""
    reader = gguf.GGUFReader(path)

    def field(name: str):
        found = reader.get_field(name)
        return None if found is None else found.contents()

    kind = field("general.architecture")
    names = {tensor.name for tensor in reader.tensors}
    width = field(f"{kind}.feed_forward_length")
    config = MiniMindConfig(
        vocab_size=len(field("tokenizer.ggml.tokens")),
        hidden_size=field(f"{kind}.embedding_length"),
        num_hidden_layers=field(f"{kind}.block_count"),
        num_attention_heads=field(f"{kind}.attention.head_count"),
        num_key_value_heads=field(f"{kind}.attention.head_count_kv"),
        intermediate_size=width,
        max_position_embeddings=field(f"{kind}.context_length"),
        rope_theta=field(f"{kind}.rope.freq_base"),
        rms_norm_eps=field(f"{kind}.attention.layer_norm_rms_epsilon"),
        tie_word_embeddings="output.weight" not in names,
        use_moe=kind == "granitemoe",
        n_routed_experts=field(f"{kind}.expert_count") or 0,
        num_experts_per_tok=field(f"{kind}.expert_used_count") or 0,
        n_shared_experts=(field(f"{kind}.expert_shared_feed_forward_length") or 0) // width,
    )
    tensors = {}
    for tensor in reader.tensors:  # copied: the file is mapped into memory, for reading only
        numbers = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        tensors[tensor.name] = torch.from_numpy(numbers)
    model = build(config, path)
    load_state(model, from_gguf(tensors, config), path)
    return model.eval()


# ---------------------------------------------------------------- names and layouts


def pair_halves(matrix: torch.Tensor, heads: int) -> torch.Tensor:
    """(heads * D, in), rows of a head reordered 0, D/2, 1, D/2 + 1, …: llama.cpp rotates neighbouring channels, where
    this network, as Hugging Face's Llama, rotates channel i with channel i + D/2."""
    return matrix.unflatten(0, (heads, 2, -1)).transpose(1, 2).reshape(matrix.shape)


def unpair_halves(matrix: torch.Tensor, heads: int) -> torch.Tensor:
    """The inverse of `pair_halves`."""
    return matrix.unflatten(0, (heads, -1, 2)).transpose(1, 2).reshape(matrix.shape)


def gguf_names(config: MiniMindConfig) -> dict[str, str]:
    """This network's name -> GGUF's, for every tensor but those of experts."""
    names = dict(OUTSIDE)
    for layer in range(config.num_hidden_layers):
        names |= {f"{layer_prefix(layer)}{ours}": f"blk.{layer}.{theirs}" for ours, theirs in IN_LAYER.items()}
    return {f"{ours}.weight": f"{theirs}.weight" for ours, theirs in names.items()}


def rotated(config: MiniMindConfig) -> dict[str, int]:
    """The tensors that RoPE turns, by GGUF's names, and how many heads each has."""
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    layers = range(config.num_hidden_layers)
    return {f"blk.{layer}.{name}.weight": count for layer in layers for name, count in heads.items()}


def to_gguf(state: State, config: MiniMindConfig) -> State:
    """The tensors under GGUF's names and in llama.cpp's layout."""
    names, turned = gguf_names(config), rotated(config)
    kept = outside_experts(state) if config.use_moe else dict(state)
    if config.tie_word_embeddings:
        kept.pop("lm_head.weight")
    theirs = {names[key]: value for key, value in kept.items()}
    for name, heads in turned.items():
        theirs[name] = pair_halves(theirs[name], heads)
    for layer in range(config.num_hidden_layers if config.use_moe else 0):
        gate = f"{layer_prefix(layer)}mlp.gate.weight"
        theirs[names[gate]] = state[gate]
        for name in ("gate", "up", "down"):
            theirs[f"blk.{layer}.ffn_{name}_exps.weight"] = routed(state, config, layer, f"{name}_proj")
            if config.n_shared_experts:
                theirs[f"blk.{layer}.ffn_{name}_shexp.weight"] = shared(state, config, layer, f"{name}_proj")
    return theirs


def from_gguf(theirs: State, config: MiniMindConfig) -> State:
    """The inverse of `to_gguf`."""
    names, turned = {theirs: ours for ours, theirs in gguf_names(config).items()}, rotated(config)
    state: State = {}
    for name, tensor in theirs.items():
        part = name.split(".")
        if name in names:
            state[names[name]] = unpair_halves(tensor, turned[name]) if name in turned else tensor
        elif part[2].endswith("_exps"):
            state |= split_routed(tensor, int(part[1]), part[2].removeprefix("ffn_").replace("_exps", "_proj"))
        else:
            projection = part[2].removeprefix("ffn_").replace("_shexp", "_proj")
            state |= split_shared(tensor, config, int(part[1]), projection)
    return state
