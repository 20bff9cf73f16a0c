"""Weight files: `out/full_sft_512.pth`, a plain half-precision state dict, and its metadata, `out/full_sft_512.json`.

The metadata holds what the `.pth` cannot: the network's sizes, the hash of its vocabulary, the stage, the recipe, the
validation figures, and the hash of the `.pth`. With it no reader needs sizes, and a weight never meets a vocabulary
that fits its shape but not its meaning.

Everything here is written so that a kill or a power cut at any moment leaves either the old or the new, whole.
"""

import contextlib
import hashlib
import json
import re
from pathlib import Path

import torch
from torch.utils._pytree import tree_leaves

from model.files import file_hash, write_atomically, write_json
from model.memory import lack_of_memory
from model.model_minimind import MiniMindConfig, MiniMindForCausalLM


class WeightError(ValueError):
    """A weight file that cannot be used: what, where, what to do."""


def weight_name(stage: str, hidden_size: int, use_moe: bool) -> str:
    """`full_sft`, 512, True -> `full_sft_512_moe`."""
    return f"{stage}_{hidden_size}{'_moe' if use_moe else ''}"


def tokenizer_hash(tokenizer) -> str:
    """Identity of a vocabulary: which token has which id."""
    entries = sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    return hashlib.sha256(json.dumps(entries).encode()).hexdigest()[:16]


def write_tensors(content: dict, path: Path) -> None:
    """torch.save into an open file: given a name, it would write that into the file too."""
    with open(path, "wb") as file:
        torch.save(content, file)


def n_bytes(content) -> int:
    """What the tensors in nested dicts and lists take on the disk, each counted once."""
    tensors = [leaf for leaf in tree_leaves(content) if isinstance(leaf, torch.Tensor)]
    return sum({tensor.data_ptr(): tensor.nbytes for tensor in tensors}.values())


def write_pair(path: Path, state: dict[str, torch.Tensor], info: dict) -> None:
    """Write the tensors to `path` and `info`, with their hash, as its metadata. Two files cannot be renamed in one
    step. So the `.json` goes first and holds two descriptions, the new one and within it, as "replaced", the older;
    whichever `.pth` is there, `read_metadata` finds the one that belongs to it."""
    metadata, older, info = path.with_suffix(".json"), None, dict(info)
    with contextlib.suppress(WeightError):  # files that do not belong together
        older = read_metadata(path) if path.is_file() else None

    def write(temporary: Path) -> None:
        write_tensors(state, temporary)
        info["sha256"] = file_hash(temporary)
        if older is not None or not path.is_file():
            write_json(metadata, info | ({"replaced": older} if older else {}))

    write_atomically(path, write, n_bytes(state))
    write_json(metadata, info)


def to_half(state: dict[str, torch.Tensor], path: Path) -> dict[str, torch.Tensor]:
    """The tensors in half precision, to be written to `path`; tied ones stay tied, and are stored once. Raises
    WeightError for numbers that half precision cannot hold."""
    halves: dict[int, torch.Tensor] = {}
    for key, value in state.items():
        if value.data_ptr() not in halves:
            half = halves[value.data_ptr()] = value.detach().to("cpu", torch.float16)
            if not half.isfinite().all():
                what = f"tensor {key} has numbers that half precision cannot hold (above 65,504, or NaN)"
                raise WeightError(f"{path}: not written, because {what}: training has diverged")
    return {key: halves[value.data_ptr()] for key, value in state.items()}


def save_weights(model: MiniMindForCausalLM, path: str | Path, tokenizer, **info) -> None:
    """Write `path` in half precision and its metadata, with `info` (stage, step, …). Raises WeightError for weights
    that half precision cannot hold; what was at `path` stays then."""
    state = to_half(model.state_dict(), Path(path))
    config = {key: value for key, value in model.config.to_dict().items() if key != "dtype"}
    info = {"format": 1, **info, "tokenizer_hash": tokenizer_hash(tokenizer), "config": config}
    write_pair(Path(path), state, info)


def find_weight(name: str, out_dir: str | Path, hidden_size: int | None = None, use_moe: bool | None = None) -> Path:
    """The file that `name` means: a path to a `.pth`, or a stage (`full_sft`), whose newest weight in `out_dir` is
    taken among those of the sizes given. WeightError lists what there is when none fits."""
    if name.endswith(".pth") or "/" in name:
        return Path(name).absolute()
    out_dir = Path(out_dir).absolute()
    weights = sorted(out_dir.glob("*.pth"))
    pattern = re.compile(rf"{re.escape(name)}_(\d+)(_moe)?\.pth")
    matches = {path: match for path in weights if (match := pattern.fullmatch(path.name))}
    fitting = [p for p, m in matches.items() if hidden_size in (None, int(m[1])) and use_moe in (None, bool(m[2]))]
    if not fitting:
        wanted = f"{name}_{hidden_size or '*'}{'_moe' if use_moe else ''}.pth"
        there = ", ".join(path.name for path in weights) or "no weight at all"
        raise WeightError(f"{out_dir}: there is no {wanted} in it ({there}): train that stage first, or give a file")
    return max(fitting, key=lambda path: path.stat().st_mtime_ns)


def read_metadata(path: Path) -> dict | None:
    """The metadata of the weight or adapter at `path`, or None; WeightError when it is damaged, or of another file."""
    metadata = path.with_suffix(".json")
    if not metadata.is_file():
        return None
    try:
        info = json.loads(metadata.read_text(encoding="utf-8"))
        expected, *replaced = (str(part["sha256"]) for part in (info, info.get("replaced", info)))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise no_description(metadata) from error
    sha256, older = file_hash(path), info.pop("replaced", None)
    if sha256 not in (expected, *replaced):
        advice = "copy both again, or continue the run that writes them (--from_resume 1)"
        raise WeightError(f"{path}: it is not the file that {metadata.name} describes: {advice}")
    return info if sha256 == expected else older


def no_description(metadata: Path) -> WeightError:
    advice = "delete it and pass the sizes as flags, or train again"
    return WeightError(f"{metadata}: this does not describe a weight: {advice}")


def read_info(path: Path) -> dict | None:
    """`read_metadata` for a whole network: with a config that can be built, and the hash of its vocabulary."""
    info = read_metadata(path)
    if info is None:
        return None
    try:
        MiniMindConfig.from_dict(info["config"])
        return info | {"tokenizer_hash": str(info["tokenizer_hash"])}
    except Exception as error:  # its numbers and types can be anything
        raise no_description(path.with_suffix(".json")) from error


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """The tensors in a `.pth`. Never executes anything that a file may contain."""
    if not path.is_file():
        raise WeightError(f"{path}: there is no such weight: train it first, or give another")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # foreign bytes make the reader fail in any way there is
        if lack_of_memory(error):
            raise
        raise WeightError(f"{path}: this is not a weight file, or it is truncated: train or copy it again") from error
    plain = isinstance(state, dict) and all(isinstance(key, str) for key in state)
    if not plain or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightError(f"{path}: this is not a plain state dict: give a weight file (not a training state)")
    check_stored(state, path)
    return state


def check_stored(state: dict[str, torch.Tensor], path: Path) -> None:
    """WeightError unless the tensors of a file are numbers that can be computed with as they are."""
    for key, value in state.items():
        small = not value.is_floating_point() or value.element_size() == 1
        if small or value.layout != torch.strided or value.is_meta:
            advice = "give a weight that is not quantised or packed"
            raise WeightError(f"{path}: tensor {key} is stored as {value.dtype}, {value.layout}: {advice}")


def load_weights(
    path: str | Path, tokenizer=None, sizes: dict | None = None, dropout: float | None = None
) -> tuple[MiniMindForCausalLM, dict]:
    """A float32 model with the weights of `path`, and its metadata ({} without), which decides the sizes; `sizes`
    (hidden_size, num_hidden_layers, use_moe; None: not given) are needed only without it, and must agree with it.
    Raises WeightError when the files do not belong together, shapes differ, or `tokenizer` has another vocabulary."""
    path = Path(path).absolute()
    state, info = read_state(path), read_info(path)
    sizes = {name: value for name, value in (sizes or {}).items() if value is not None}
    if info is None:
        if "hidden_size" not in sizes or "num_hidden_layers" not in sizes:
            advice = "pass --hidden_size, --num_hidden_layers, --use_moe and --tokenizer"
            raise WeightError(f"{path}: {path.with_suffix('.json').name}, which holds its sizes, is missing: {advice}")
        info, config = {}, MiniMindConfig(**sizes, **({"vocab_size": len(tokenizer)} if tokenizer else {}))
    else:
        check_vocabulary(path, info, tokenizer)
        config = MiniMindConfig.from_dict(info["config"])
        for name, value in sizes.items():
            if (own := getattr(config, name)) != value:
                advice = f"leave --{name} or --preset out, or give another weight"
                raise WeightError(f"{path}: its {name} is {own:.9g}, you asked for {value:.9g}: {advice}")
    config.dropout = config.dropout if dropout is None else dropout
    return make_network(config, state, path), info


def check_vocabulary(path: Path, info: dict, tokenizer, advice: str = "pass its folder with --tokenizer") -> None:
    """WeightError when `path` was trained, by its metadata, with another vocabulary than `tokenizer`."""
    if tokenizer is not None and info.get("tokenizer_hash") not in (None, tokenizer_hash(tokenizer)):
        raise WeightError(f"{path}: it was trained with another vocabulary than {tokenizer.name_or_path}: {advice}")


def build(config: MiniMindConfig, path: Path) -> MiniMindForCausalLM:
    try:
        return MiniMindForCausalLM(config)
    except Exception as error:  # a file's numbers and types can be anything
        if lack_of_memory(error):
            raise
        raise WeightError(f"{path}: its .json, or the flags, describe a network that cannot be built") from error


def make_network(config: MiniMindConfig, state: dict[str, torch.Tensor], path: Path) -> MiniMindForCausalLM:
    """The network of a file's tensors, strictly: every tensor of it, no other, each of the right shape. WeightError
    for others, found before a wrong size takes memory or time."""
    for name in ("num_hidden_layers", "n_routed_experts", "n_shared_experts"):
        if getattr(config, name) > len(state):
            raise WeightError(f"{path}: {name} {getattr(config, name)} is impossible: it has {len(state)} tensors")
    if config.tie_word_embeddings and "lm_head.weight" not in state and "model.embed_tokens.weight" in state:
        state = state | {"lm_head.weight": state["model.embed_tokens.weight"]}  # other programs leave the copy out
    with torch.device("meta"):
        expected = build(config, path).state_dict()
    check_state(expected, state, path, "check --num_hidden_layers and --use_moe")
    model = build(config, path)
    model.load_state_dict(state)
    return model


def check_state(own: dict[str, torch.Tensor], state: dict[str, torch.Tensor], path: Path, advice: str) -> None:
    """WeightError unless the tensors of the file `path` are finite, and `own` in name and shape; `advice` ends it."""
    for key in sorted(own.keys() ^ state.keys()):
        problem = "is missing" if key in own else "is not one of this network"
        raise WeightError(f"{path}: tensor {key} {problem}: {advice}")
    for key, value in own.items():
        if value.shape != state[key].shape:
            shapes = f"has shape {tuple(state[key].shape)}, the network's is {tuple(value.shape)}"
            raise WeightError(f"{path}: tensor {key} {shapes}: check --hidden_size and --tokenizer")
        if not state[key].isfinite().all():
            what = "has numbers that are not finite (NaN or infinity), so this weight is broken"
            raise WeightError(f"{path}: tensor {key} {what}: use an older one, or train it again")
