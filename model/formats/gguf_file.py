"""GGUF, the file format of llama.cpp and ollama: sizes, tokenizer, chat template and tensors in one file.

A dense network is written as the architecture `llama`, a mixture of experts as `granitemoe`; with qk_norm as `qwen3` or
`qwen3moe`. hf_folder.py says why.
Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import json
from pathlib import Path

import gguf
import numpy as np
import torch
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

from model.formats.hf_folder import State, check_mixture, gather_experts, split_experts
from model.model_minimind import LENGTH, MiniMindConfig, MiniMindForCausalLM
from model.weights import WeightError, make_network

OUTTYPES = {
    "f32": (gguf.GGMLQuantizationType.F32, gguf.LlamaFileType.ALL_F32),
    "f16": (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16),
    "q8_0": (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
}
SIZES = {  # a field of MiniMindConfig -> its key behind the architecture's name
    "max_position_embeddings": "context_length", "hidden_size": "embedding_length",
    "num_hidden_layers": "block_count", "intermediate_size": "feed_forward_length",
    "num_attention_heads": "attention.head_count", "num_key_value_heads": "attention.head_count_kv",
    "rope_theta": "rope.freq_base", "rms_norm_eps": "attention.layer_norm_rms_epsilon",
}  # fmt: skip
ARCHITECTURES = {  # of gguf, by (use_moe, qk_norm)
    (False, False): gguf.MODEL_ARCH.LLAMA, (False, True): gguf.MODEL_ARCH.QWEN3,
    (True, False): gguf.MODEL_ARCH.GRANITE_MOE, (True, True): gguf.MODEL_ARCH.QWEN3MOE,
}  # fmt: skip
MOE_SIZES = {"n_routed_experts": "expert_count", "num_experts_per_tok": "expert_used_count"}
MODELFILE = "FROM ./{file}\nPARAMETER temperature 0\n"
CHATML = '''TEMPLATE """{{- range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
"""
PARAMETER stop "<|im_end|>"
'''


def write_gguf(model: MiniMindForCausalLM, tokenizer, path: Path, outtype: str) -> int:
    """Write the network to `path`, and ollama's `.Modelfile` next to it. Matrices are stored as `outtype` (f32, f16 or
    q8_0), vectors and routers in float32. Returns how many matrices are f16 because Q8_0 does not allow their width.
    Raises WeightError for a tokenizer, or a mixture, that llama.cpp does not support."""
    config = model.config
    if config.use_moe:
        check_mixture(config, renormalised=True)
    pre = pre_tokenizer_name(tokenizer)
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[ARCHITECTURES[config.use_moe, config.qk_norm]])
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
    writer.add_type("model")
    writer.add_name(name)
    writer.add_file_type(OUTTYPES[outtype][1])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    sizes = {key: getattr(config, field) for field, key in (SIZES | (MOE_SIZES if config.use_moe else {})).items()}
    sizes |= {"vocab_size": config.vocab_size, "rope.dimension_count": config.head_dim}
    sizes |= {"attention.key_length": config.head_dim, "attention.value_length": config.head_dim}
    if config.use_moe and config.qk_norm:
        sizes["expert_feed_forward_length"] = config.intermediate_size
    elif config.use_moe:
        sizes["expert_shared_feed_forward_length"] = config.n_shared_experts * config.intermediate_size
        sizes |= {"embedding_scale": 1.0, "residual_scale": 1.0, "logit_scale": 1.0}
        sizes["attention.scale"] = config.head_dim**-0.5
    if scaling := config.rope_scaling:
        if scaling["rope_type"] not in ("linear", "yarn") or scaling.keys() - {"rope_type", "factor", LENGTH}:
            raise WeightError(f"its rope_scaling is {scaling}: GGUF has linear and plain yarn only, use --to llama")
        sizes["rope.scaling.factor"] = float(scaling["factor"])
        sizes |= {"rope.scaling.original_context_length": scaling[LENGTH]} if LENGTH in scaling else {}
        writer.add_string(f"{writer.arch}.rope.scaling.type", scaling["rope_type"])
    for key, value in sizes.items():
        is_float = isinstance(value, float) or key == SIZES["rope_theta"]  # a whole number in some configs
        (writer.add_float32 if is_float else writer.add_uint32)(f"{writer.arch}.{key}", value)


def pre_tokenizer_name(tokenizer) -> str:
    """llama.cpp's name for the way this tokenizer splits text; WeightError when it has none."""
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    splitter = content["pre_tokenizer"] or {}
    parts = splitter.get("pretokenizers", [splitter])
    byte_level = parts[-1]
    usable = content["model"]["type"] == "BPE" and not content["normalizer"] and byte_level.get("type") == "ByteLevel"
    if usable and not byte_level["add_prefix_space"]:
        if len(parts) == 1 and byte_level["use_regex"]:
            return "gpt-2"
        if len(parts) == 2 and not byte_level["use_regex"] and parts[0].get("pattern") == {"Regex": PRETOKENIZE_REGEX}:
            return "qwen2"
    raise WeightError(
        f"{tokenizer.name_or_path}: llama.cpp cannot split text like this tokenizer: use a byte-level BPE that splits "
        "like Qwen2's or GPT-2's, for example one made by scripts/train_tokenizer.py"
    )


def add_tokenizer(writer: gguf.GGUFWriter, tokenizer, config: MiniMindConfig, pre: str) -> None:
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    tokens = {number: token for token, number in tokenizer.get_vocab().items()}
    kinds = dict.fromkeys(tokens, gguf.TokenType.NORMAL)
    marks = (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token, tokenizer.unk_token)
    for added in content["added_tokens"]:
        # <|im_end|> and the like are never text; a tag such as <think> or <tool_call> must reach the client.
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
    for name in ("bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id"):
        if (number := getattr(tokenizer, name)) is not None:
            getattr(writer, f"add_{name}")(number)
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)


def add_tensor(writer: gguf.GGUFWriter, name: str, array: np.ndarray, outtype: str) -> gguf.GGMLQuantizationType:
    """Returns the type that the tensor was stored as."""
    kind = OUTTYPES[outtype][0]
    if array.ndim == 1 or "ffn_gate_inp" in name:
        kind = gguf.GGMLQuantizationType.F32  # as llama.cpp expects
    elif kind == gguf.GGMLQuantizationType.Q8_0 and array.shape[-1] % 32:
        kind = gguf.GGMLQuantizationType.F16  # Q8_0 takes 32 numbers at a time
    array = np.ascontiguousarray(array, dtype=np.float32)
    if kind == gguf.GGMLQuantizationType.F16 and np.abs(array).max() > np.finfo(np.float16).max:
        raise WeightError(f"tensor {name} has numbers above half precision's 65,504: use --outtype f32")
    writer.add_tensor(name, gguf.quants.quantize(array, kind), raw_dtype=kind)
    return kind


def read_gguf(path: Path) -> MiniMindForCausalLM:
    """The network of a file written by `write_gguf`, from this file alone."""
    reader = gguf.GGUFReader(path)

    def read(key: str):
        field = reader.get_field(key)
        return field and field.contents()

    kind = read("general.architecture")
    use_moe, qk_norm = next(form for form, number in ARCHITECTURES.items() if gguf.MODEL_ARCH_NAMES[number] == kind)
    sizes = {field: read(f"{kind}.{key}") for field, key in (SIZES | (MOE_SIZES if use_moe else {})).items()}
    if use_moe:
        shared_width = 0 if qk_norm else read(f"{kind}.expert_shared_feed_forward_length")
        sizes["n_shared_experts"] = shared_width // sizes["intermediate_size"]
    state = {}
    for tensor in reader.tensors:
        numbers = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        state[tensor.name] = torch.from_numpy(numbers.astype(np.float32))  # a copy: the file is mapped read-only
    tied, vocab_size = "output.weight" not in state, len(read("tokenizer.ggml.tokens"))
    sizes |= {"head_dim": read(f"{kind}.attention.key_length"), "qk_norm": qk_norm, "use_moe": use_moe}
    if stretched := read(f"{kind}.rope.scaling.type"):
        scaling = {"rope_type": stretched, "factor": read(f"{kind}.rope.scaling.factor")}
        length = read(f"{kind}.rope.scaling.original_context_length")
        sizes["rope_scaling"] = scaling | ({LENGTH: length} if length else {})
    config = MiniMindConfig(vocab_size=vocab_size, tie_word_embeddings=tied, **sizes)
    return make_network(config, from_gguf(state, config), path).eval()


# ---------------------------------------------------------------- names and layouts


def interleave_halves(matrix: torch.Tensor, heads: int) -> torch.Tensor:
    """(heads * D, in), rows of a head reordered 0, D/2, 1, D/2 + 1, …: llama.cpp rotates neighbouring channels, where
    this network, like Hugging Face's Llama, rotates channel i with channel i + D/2."""
    return matrix.unflatten(0, (heads, 2, -1)).transpose(1, 2).reshape(matrix.shape)


def separate_halves(matrix: torch.Tensor, heads: int) -> torch.Tensor:
    """The inverse of `interleave_halves`."""
    return matrix.unflatten(0, (heads, -1, 2)).transpose(1, 2).reshape(matrix.shape)


def gguf_names(state: State, config: MiniMindConfig) -> dict[str, str]:
    """The names of gathered tensors -> GGUF's, which the library knows."""
    table = gguf.get_tensor_name_map(ARCHITECTURES[config.use_moe, config.qk_norm], config.num_hidden_layers)
    return {name: table.get_name(name, try_suffixes=(".weight",)) for name in state}


def rotated_heads(name: str, config: MiniMindConfig) -> int:
    """Heads of a matrix whose rows llama.cpp has in its own order; 0 for every other tensor, and in a Qwen3, whose
    channels it rotates as this network does."""
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads} if not config.qk_norm else {}
    return heads.get(name.split(".")[-2], 0)


def to_gguf(state: State, config: MiniMindConfig) -> State:
    """The tensors under GGUF's names and in llama.cpp's layout."""
    ours = gather_experts(state, config)
    if config.tie_word_embeddings:
        del ours["lm_head.weight"]
    heads = {name: rotated_heads(name, config) for name in ours}
    return {theirs: interleave_halves(ours[name], heads[name]) if heads[name] else ours[name]
            for name, theirs in gguf_names(ours, config).items()}  # fmt: skip


def from_gguf(theirs: State, config: MiniMindConfig) -> State:
    """The inverse of `to_gguf`."""
    with torch.device("meta"):
        names = gguf_names(gather_experts(MiniMindForCausalLM(config).state_dict(), config), config)
    ours = {name: theirs[their_name] for name, their_name in names.items() if their_name in theirs}
    for name in ours:
        if heads := rotated_heads(name, config):
            ours[name] = separate_halves(ours[name], heads)
    return split_experts(ours, config)
