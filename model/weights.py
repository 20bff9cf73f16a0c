"""Weight files: `out/full_sft_512.pth`, a plain half-precision state dict, with `out/full_sft_512.json` beside it.

The `.json` says what the `.pth` cannot: the network's sizes, the vocabulary it speaks, the stage and data it comes
from, its validation figures, and the hash of the `.pth`. With it no reader has to be told sizes, and a weight never
meets a vocabulary that fits its shape but not its meaning.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import torch

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


def file_hash(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` make a temporary file beside `path`, flush it, then rename it: `path` is old or new, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: dict) -> None:
    text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def save_weights(model: MiniMindForCausalLM, path: str | Path, tokenizer, **info) -> None:
    """Write `path` in half precision and the `.json` beside it; `info` (stage, step, …) goes into the latter.

    Raises WeightError for weights that half precision cannot hold; what was at `path` stays then.
    """
    path = Path(path)
    halves: dict[int, torch.Tensor] = {}  # tied tensors stay tied, and are stored once
    state = {
        key: halves.setdefault(value.data_ptr(), value.detach().to("cpu", torch.float16))
        for key, value in model.state_dict().items()
    }
    for key, value in state.items():
        if not value.isfinite().all():
            raise WeightError(
                f"{path}: not written, because tensor {key} holds numbers that half precision cannot (above 65,504, or "
                "NaN): training has diverged: lower --learning_rate"
            )
    write_atomically(path, lambda temporary: torch.save(state, temporary))
    config = {key: value for key, value in model.config.to_dict().items() if key != "dtype"}
    details = {"format": 1, **info, "tokenizer_hash": tokenizer_hash(tokenizer), "sha256": file_hash(path)}
    write_json(path.with_suffix(".json"), details | {"config": config})


def find_weight(name: str, out_dir: str | Path, hidden_size: int | None = None, use_moe: bool | None = None) -> Path:
    """The file that `name` means: a path to a `.pth`, or a stage (`full_sft`), whose newest weight in `out_dir` is
    taken among those of the sizes given. WeightError lists what there is when none fits."""
    if name.endswith(".pth") or "/" in name:
        return Path(name).absolute()
    out_dir = Path(out_dir).absolute()
    pattern = re.compile(rf"{re.escape(name)}_(\d+)(_moe)?\.pth")
    found = []
    for path in sorted(out_dir.glob("*.pth")):
        if match := pattern.fullmatch(path.name):
            same_size = hidden_size in (None, int(match[1])) and use_moe in (None, bool(match[2]))
            found += [path] if same_size else []
    if not found:
        wanted = f"{name}_{hidden_size or '*'}{'_moe' if use_moe else ''}.pth"
        there = ", ".join(path.name for path in sorted(out_dir.glob("*.pth"))) or "no weight at all"
        raise WeightError(f"{out_dir}: there is no {wanted} in it ({there}): train that stage first, or name a file")
    return max(found, key=lambda path: path.stat().st_mtime_ns)


def read_info(path: Path) -> dict | None:
    """The `.json` beside a weight, or None when there is none."""
    beside = path.with_suffix(".json")
    if not beside.is_file():
        return None
    try:
        info = json.loads(beside.read_text(encoding="utf-8"))
        MiniMindConfig.from_dict(info["config"])
        return info | {"sha256": str(info["sha256"]), "tokenizer_hash": str(info["tokenizer_hash"])}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightError(
            f"{beside}: this does not describe a weight: delete it and give the sizes by flags, or train again"
        ) from error


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """The tensors in a `.pth`. Never executes anything that a file may contain."""
    if not path.is_file():
        raise WeightError(f"{path}: there is no such weight: train it first, or name another with --weight")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # foreign bytes make the reader fail in any way there is
        raise WeightError(f"{path}: this is no weight file, or a truncated one: train or copy it again") from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightError(f"{path}: this holds no plain state dict: name a weight file (not a training state)")
    return state


def load_weights(
    path: str | Path, tokenizer=None, sizes: dict | None = None
) -> tuple[MiniMindForCausalLM, dict]:
    """A float32 model with the weights of `path`, and what its `.json` says ({} without one).

    The `.json` decides the sizes; `sizes` (hidden_size, num_hidden_layers, use_moe; None: not said) are needed only
    where there is none, and must agree where there is one.
    Raises WeightError when the files do not belong together, shapes differ, or `tokenizer` has another vocabulary.
    """
    path = Path(path).absolute()
    state, info = read_state(path), read_info(path)
    sizes = {name: value for name, value in (sizes or {}).items() if value is not None}
    if info is None:
        if "hidden_size" not in sizes or "num_hidden_layers" not in sizes:
            raise WeightError(
                f"{path}: no {path.with_suffix('.json').name} beside it tells its sizes: "
                "pass --hidden_size, --num_hidden_layers, --use_moe and --tokenizer"
            )
        info, config = {}, MiniMindConfig(**sizes, **({"vocab_size": len(tokenizer)} if tokenizer else {}))
    else:
        if info["sha256"] != file_hash(path):
            raise WeightError(
                f"{path}: it is not the file that {path.with_suffix('.json').name} describes: copy both again"
            )
        if tokenizer is not None and info["tokenizer_hash"] != tokenizer_hash(tokenizer):
            raise WeightError(
                f"{path}: it was trained with another vocabulary than {tokenizer.name_or_path}: "
                "name its folder with --tokenizer"
            )
        config = MiniMindConfig.from_dict(info["config"])
        for name, value in sizes.items():
            if value != getattr(config, name):
                raise WeightError(
                    f"{path}: its {name} is {int(getattr(config, name))}, you asked for {int(value)}: "
                    f"leave --{name} out, or name another weight"
                )
    model = MiniMindForCausalLM(config)
    load_state(model, state, path)
    return model, info


def load_state(model: MiniMindForCausalLM, state: dict[str, torch.Tensor], path: Path) -> None:
    """Strictly: every tensor of the model, no other, each of the right shape."""
    if model.config.tie_word_embeddings and "lm_head.weight" not in state and "model.embed_tokens.weight" in state:
        state = state | {"lm_head.weight": state["model.embed_tokens.weight"]}
    check_state(model.state_dict(), state, path, "check --num_hidden_layers and --use_moe")
    model.load_state_dict(state)


def check_state(own: dict[str, torch.Tensor], state: dict[str, torch.Tensor], path: Path, advice: str) -> None:
    """WeightError unless the tensors of the file `path` are finite, and `own` in name and shape; `advice` ends it."""
    for key in sorted(own.keys() ^ state.keys()):
        whose = "is missing in it" if key in own else "in it is unknown to the network"
        raise WeightError(f"{path}: tensor {key} {whose}: {advice}")
    for key, value in own.items():
        if value.shape != state[key].shape:
            raise WeightError(
                f"{path}: tensor {key} has shape {tuple(state[key].shape)}, the network's is {tuple(value.shape)}: "
                "check --hidden_size and --tokenizer"
            )
        if not state[key].isfinite().all():
            raise WeightError(
                f"{path}: tensor {key} holds numbers that are not finite (NaN or infinity), so this weight is broken: "
                "take an older one, or train it again"
            )
