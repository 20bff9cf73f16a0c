"""Hugging Face folders: config.json, model.safetensors, generation_config.json and the tokenizer's files.

Five kinds hold the same network:

    minimind          this project's own classes, whose code is in the folder (trust_remote_code=True)
    llama             a dense network is a Llama: other programs run it as it is
    qwen3             so is one with qk_norm a Qwen3
    granitemoeshared  a mixture of experts is IBM's GraniteMoeShared with all multipliers 1 and the attention scaled by
                      head_dim^-0.5: both take the softmax over the k best experts and add shared ones
    qwen3_moe         a mixture of experts with qk_norm, none of them shared

A folder is data: config.json is parsed, tensors are read as tensors (also from `.bin` files), code in it is never run.
"""

import json
import math
import shutil
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import CONFIG_MAPPING, GenerationConfig, PreTrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from model.files import write_json
from model.model_minimind import MiniMindConfig, MiniMindForCausalLM
from model.weights import WeightError, check_stored, make_network, read_state

CODE = Path(__file__).parents[1] / "model_minimind.py"  # which a folder of the kind minimind carries
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
TENSORS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
SHARED_FIELDS = (  # of all three configs, with the same meaning
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "head_dim", "hidden_act", "max_position_embeddings", "rms_norm_eps", "initializer_range",
    "tie_word_embeddings", "bos_token_id", "eos_token_id", "pad_token_id",
)  # fmt: skip
EXPERT_FIELDS = {  # of a mixture's config -> of MiniMindConfig
    "granitemoeshared": {
        "num_local_experts": "n_routed_experts", "num_experts_per_tok": "num_experts_per_tok",
        "router_aux_loss_coef": "aux_loss_alpha",
    },
    "qwen3_moe": {
        "num_experts": "n_routed_experts", "num_experts_per_tok": "num_experts_per_tok",
        "router_aux_loss_coef": "aux_loss_alpha", "moe_intermediate_size": "intermediate_size",
        "norm_topk_prob": "norm_topk_prob",
    },
}  # fmt: skip
REQUIRED = {  # of a stock network that computes what this one does
    "attention_bias": False, "mlp_bias": False, "quantization_config": None,
    "embedding_multiplier": 1, "logits_scaling": 1, "residual_multiplier": 1, "use_sliding_window": False,
    "decoder_sparse_step": 1, "mlp_only_layers": [],
}  # fmt: skip
STOCK = {  # transformers' networks, by (use_moe, qk_norm)
    (False, False): "llama", (False, True): "qwen3", (True, False): "granitemoeshared", (True, True): "qwen3_moe",
}  # fmt: skip
PROJECTIONS = ("gate_proj", "up_proj", "down_proj")  # of an expert
ROUTER = "block_sparse_moe.router.layer."  # the gate in GraniteMoeShared
State = dict[str, torch.Tensor]


# ---------------------------------------------------------------- reading


def read_folder(folder: str | Path) -> MiniMindForCausalLM:
    """The network of a folder of any kind, in float32; whole or in shards, safetensors or `.bin`. Raises WeightError,
    naming the file, for what is missing, damaged, or of another network."""
    folder = Path(folder).absolute()
    content = read_config(folder)
    config = config_of(content, folder)
    state = read_tensors(folder)
    if content["model_type"] == "granitemoeshared":
        state = from_granite(state, config, folder)
    embedding, head = (state.get(key) for key in ("model.embed_tokens.weight", "lm_head.weight"))
    if embedding is not None and head is not None:
        # Some programs store a tied matrix twice and do not declare it tied.
        equal = torch.equal(embedding, head)
        if config.tie_word_embeddings and not equal:
            raise WeightError(
                f"{folder}: lm_head.weight differs from model.embed_tokens.weight, yet config.json ties the two: "
                'set "tie_word_embeddings" to false in it'
            )
        config.tie_word_embeddings = equal
    return make_network(config, state, folder).eval()


def read_config(folder: Path) -> dict:
    """config.json; WeightError unless it describes a network of one of the kinds above."""
    path = folder / "config.json"
    if not path.is_file():
        raise WeightError(f"{folder}: there is no config.json in it: give the folder of a model, or a .pth file")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        kind = content.get("model_type")
    except (ValueError, AttributeError, RecursionError) as error:
        raise WeightError(f"{path}: this does not describe a network: copy the folder again") from error
    if kind not in (kinds := ["minimind", *STOCK.values()]):
        raise WeightError(f"{path}: its model_type is {kind}: give a folder of one of {', '.join(kinds)}")
    return content


def config_of(content: dict, folder: Path) -> MiniMindConfig:
    """The MiniMindConfig of a config.json of any kind; WeightError when this network cannot be configured so."""
    kind, actual = content["model_type"], {name: content[name] for name in REQUIRED if name in content}
    try:
        if kind == "minimind":
            if "router_aux_loss_coef" in content:
                content = from_minimind3(content)
            fields = {name: value for name, value in content.items() if name in MiniMindConfig().to_dict()}
            config = MiniMindConfig.from_dict(fields | {"architectures": None})
        else:
            stock = CONFIG_MAPPING[kind].from_dict(content)
            fields = {name: getattr(stock, name, None) for name in SHARED_FIELDS}
            fields |= {ours: getattr(stock, theirs) for theirs, ours in EXPERT_FIELDS.get(kind, {}).items()}
            fields |= {"use_moe": kind in EXPERT_FIELDS, "qk_norm": kind.startswith("qwen3")}
            if kind == "qwen3_moe":
                fields |= {"n_shared_experts": 0, "seq_aux": False}
            if kind == "granitemoeshared":
                fields["n_shared_experts"], rest = divmod(stock.shared_intermediate_size, stock.intermediate_size)
                if rest:
                    raise ValueError("the width of its shared expert is not a multiple of the other experts'")
            rope = dict(stock.rope_parameters)
            fields["rope_theta"] = rope.pop("rope_theta")
            if rope["rope_type"] in ("yarn", "llama3"):
                rope.setdefault("original_max_position_embeddings", stock.max_position_embeddings)
            config = MiniMindConfig(**fields, rope_scaling=None if rope["rope_type"] == "default" else rope)
            actual["attention_multiplier"] = getattr(stock, "attention_multiplier", None)
    except Exception as error:  # a file's numbers and types can be anything
        reason = str(error).strip().splitlines()[-1].strip() if str(error).strip() else type(error).__name__
        raise WeightError(f"{folder / 'config.json'}: no network can be built from it ({reason})") from error
    required = REQUIRED | {"attention_multiplier": config.head_dim**-0.5}
    for name, value in actual.items():
        floats = isinstance(value, float) and isinstance(required[name], float)
        if value not in (None, required[name]) and not (floats and math.isclose(value, required[name], rel_tol=1e-6)):
            raise WeightError(
                f"{folder / 'config.json'}: its {name} is {value}, this network supports only {required[name]}: "
                "give another folder"
            )
    return config


def from_minimind3(content: dict) -> dict:
    """The config.json of MiniMind-3's own class, which is a Qwen3, as this project's."""
    content = content | {"qk_norm": True, "n_shared_experts": 0, "seq_aux": False}
    fields = EXPERT_FIELDS["qwen3_moe"] if content.get("use_moe") else {}
    content |= {ours: content[theirs] for theirs, ours in fields.items() if theirs in content}
    if scaling := content.get("rope_scaling"):
        scaling["rope_type"] = scaling.pop("type", scaling.get("rope_type"))
    return content


def read_tensors(folder: Path) -> State:
    path = next((folder / name for name in TENSORS if (folder / name).is_file()), None)
    if path is None:
        raise WeightError(f"{folder}: none of {', '.join(TENSORS)} is in it: copy the folder again")
    paths = [path]
    if path.suffix == ".json":
        try:
            names = sorted(set(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values()))
            paths = [folder / Path(name).name for name in names]  # only files in this folder, whatever the index says
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise WeightError(f"{path}: this does not list shards: copy the folder again") from error
    state: State = {}
    for path in paths:
        if not path.is_file():
            raise WeightError(f"{path}: this shard is missing: copy the folder again")
        state |= read_safetensors(path) if path.suffix == ".safetensors" else read_state(path)
    check_stored(state, folder)
    # Older Llama folders hold tables of rotary embeddings, which are computed here.
    return {key: value for key, value in state.items() if not key.endswith("rotary_emb.inv_freq")}


def read_safetensors(path: Path) -> State:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightError(f"{path}: this is not a safetensors file, or it is truncated: copy it again") from error


# ---------------------------------------------------------------- writing


def write_minimind(model: MiniMindForCausalLM, tokenizer, folder: Path, dtype: torch.dtype) -> None:
    """A folder with this project's classes and their code, which trust_remote_code=True runs."""
    config = MiniMindConfig(**{k: v for k, v in model.config.to_dict().items() if k not in ("dtype", "model_type")})
    config.architectures = ["MiniMindForCausalLM"]
    config.auto_map = {
        "AutoConfig": "model_minimind.MiniMindConfig",
        "AutoModel": "model_minimind.MiniMindModel",
        "AutoModelForCausalLM": "model_minimind.MiniMindForCausalLM",
    }
    write_folder(config, model.state_dict(), tokenizer, folder, dtype)
    (folder / CODE.name).write_bytes(CODE.read_bytes())


def write_stock(model: MiniMindForCausalLM, tokenizer, folder: Path, dtype: torch.dtype) -> None:
    """A folder without code: of Llama or, for a mixture of experts, GraniteMoeShared; with qk_norm of Qwen3 or
    Qwen3Moe. Raises WeightError for a mixture that neither can compute."""
    config, state = model.config, model.state_dict()
    if config.use_moe:
        check_mixture(config, renormalised=False)
        state = state if config.qk_norm else to_granite(state, config)
    write_folder(stock_config(config), state, tokenizer, folder, dtype)
    # Programs older than transformers 5 look for these names, and would silently use other positions.
    content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    older = {"rope_theta": config.rope_theta, "torch_dtype": content["dtype"]}
    older |= {"rope_scaling": config.rope_scaling} if config.rope_scaling else {}
    write_json(folder / "config.json", content | older)


def stock_config(config: MiniMindConfig) -> PreTrainedConfig:
    """The same shape as transformers' Llama, GraniteMoeShared, Qwen3 or Qwen3Moe."""
    kind = STOCK[config.use_moe, config.qk_norm]
    fields = {name: getattr(config, name) for name in SHARED_FIELDS}
    fields |= {theirs: getattr(config, ours) for theirs, ours in EXPERT_FIELDS.get(kind, {}).items()}
    fields["rope_parameters"] = {"rope_type": "default", "rope_theta": config.rope_theta} | (config.rope_scaling or {})
    if kind == "granitemoeshared":
        fields["num_experts"] = config.n_routed_experts  # trl's name for it
        fields["shared_intermediate_size"] = config.n_shared_experts * config.intermediate_size
        fields["attention_multiplier"] = config.head_dim**-0.5
    return CONFIG_MAPPING[kind](**fields, architectures=[MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[kind]])


def check_mixture(config: MiniMindConfig, renormalised: bool) -> None:
    """WeightError for a mixture of experts that others cannot compute: those with shared experts are without qk_norm,
    and they, or all if `renormalised`, let the weights of a token's experts sum to 1."""
    problem = None
    if config.qk_norm and config.n_shared_experts:
        problem = f"with qk_norm and {config.n_shared_experts} shared experts"
    elif not config.norm_topk_prob and (renormalised or not config.qk_norm):
        problem = "that does not renormalise the weights of its experts (norm_topk_prob is false)"
    if problem:
        raise WeightError(f"this is a mixture of experts {problem}, for which others have no class: use --to minimind")


def write_folder(config: PreTrainedConfig, state: State, tokenizer, folder: Path, dtype: torch.dtype) -> None:
    """The tokenizer's files are copied: transformers 5 would write a class into them that older ones do not know."""
    folder.mkdir(parents=True)
    config.dtype = dtype
    config.save_pretrained(folder)
    ids = {name: getattr(config, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    GenerationConfig(**ids).save_pretrained(folder)
    for name in TOKENIZER_FILES:
        if (Path(tokenizer.name_or_path) / name).is_file():
            shutil.copyfile(Path(tokenizer.name_or_path) / name, folder / name)
    if tokenizer.chat_template:  # perhaps the weight's, which is not the copied one; this file goes first
        (folder / "chat_template.jinja").write_text(tokenizer.chat_template, encoding="utf-8")
    if config.tie_word_embeddings:
        state = {key: value for key, value in state.items() if key != "lm_head.weight"}
    state = {key: value.detach().to(dtype).contiguous() for key, value in state.items()}
    for key, value in state.items():
        if not value.isfinite().all():
            raise WeightError(f"tensor {key} has numbers above half precision's 65,504: use --outtype f32")
    path = folder / "model.safetensors"
    save_file(state, path, metadata={"format": "pt"})
    path.chmod((folder / "config.json").stat().st_mode)  # the library writes files that only their owner can read


# ---------------------------------------------------------------- experts


def expert_groups(config: MiniMindConfig) -> dict[str, int]:
    """Groups of experts, as `model.layers.0.mlp.experts`, and how many are in each; none in a dense network."""
    sizes = {"experts": config.n_routed_experts, "shared_experts": config.n_shared_experts} if config.use_moe else {}
    layers = range(config.num_hidden_layers)
    return {f"model.layers.{layer}.mlp.{group}": n for layer in layers for group, n in sizes.items() if n}


def gather_experts(state: State, config: MiniMindConfig) -> State:
    """With one matrix for all experts of a group, `…mlp.experts.up_proj.weight`: those of the routed ones stacked,
    (E, out, in); those of the shared ones joined, as their sum is one wider feed-forward block."""
    gathered = {key: value for key, value in state.items() if "experts." not in key}
    for group, n_experts in expert_groups(config).items():
        for name in PROJECTIONS:
            matrices = [state[f"{group}.{i}.{name}.weight"] for i in range(n_experts)]
            is_shared, width = group.endswith("shared_experts"), int(name == "down_proj")  # the dimension of the width
            gathered[f"{group}.{name}.weight"] = torch.cat(matrices, width) if is_shared else torch.stack(matrices)
    return gathered


def split_experts(gathered: State, config: MiniMindConfig) -> State:
    """The inverse of `gather_experts`."""
    state = dict(gathered)
    for group in expert_groups(config):
        for name in PROJECTIONS:
            matrices = state.pop(f"{group}.{name}.weight")
            if group.endswith("shared_experts"):
                matrices = matrices.split(config.intermediate_size, dim=int(name == "down_proj"))
            state |= {f"{group}.{i}.{name}.weight": matrix for i, matrix in enumerate(matrices)}
    return state


def granite_name(group: str) -> str:
    return group.replace("mlp.experts", "block_sparse_moe").replace("mlp.shared_experts", "shared_mlp")


def to_granite(state: State, config: MiniMindConfig) -> State:
    """The tensors under GraniteMoeShared's names; gate and up are one matrix there, the gate first."""
    theirs = {key.replace("mlp.gate.", ROUTER): value for key, value in gather_experts(state, config).items()}
    for group in expert_groups(config):
        gate, up, down = (theirs.pop(f"{group}.{name}.weight") for name in PROJECTIONS)
        theirs[f"{granite_name(group)}.input_linear.weight"] = torch.cat([gate, up], dim=-2)
        theirs[f"{granite_name(group)}.output_linear.weight"] = down
    return theirs


def from_granite(theirs: State, config: MiniMindConfig, folder: Path) -> State:
    """The inverse of `to_granite`."""
    state = {key.replace(ROUTER, "mlp.gate."): value for key, value in theirs.items()}
    try:
        for group in expert_groups(config):
            gate, up = state.pop(f"{granite_name(group)}.input_linear.weight").chunk(2, dim=-2)
            matrices = gate, up, state.pop(f"{granite_name(group)}.output_linear.weight")
            state |= {f"{group}.{name}.weight": matrix for name, matrix in zip(PROJECTIONS, matrices, strict=True)}
    except KeyError as error:
        raise WeightError(f"{folder}: tensor {error.args[0]} is missing: copy the folder again") from error
    return split_experts(state, config)
