"""LoRA: low-rank adapters (Hu et al. 2021), written out.

A frozen matrix W (out, in) gets a trainable update B A with A (rank, in) and B (out, rank), so that the layer computes
W x + (alpha / rank) B A x (eq. 3). B starts at zero: an untrained adapter changes nothing.

On disk an adapter is `out/lora/{name}_{hidden_size}[_moe].pth`, half precision, with keys like
`model.layers.0.self_attn.q_proj.lora.A.weight`, and a `.json` with rank, alpha and targets.
"""

import math
import sys
from collections.abc import Iterable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from model import weights
from model.files import file_hash
from model.model_minimind import MiniMindForCausalLM

# All projections of attention and feed-forward, experts included; not the embedding, the head or the MoE gate.
DEFAULT_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class LoRA(nn.Module):
    """x (…, in) -> (…, out): (alpha / rank) * B A dropout(x)."""

    def __init__(self, in_features: int, out_features: int, rank: int, alpha: float | None = None, dropout=0.0):
        super().__init__()
        self.rank, self.dropout = rank, dropout
        self.alpha = float(rank if alpha is None else alpha)
        self.A = nn.Linear(in_features, rank, bias=False)
        self.B = nn.Linear(rank, out_features, bias=False)
        nn.init.kaiming_uniform_(self.A.weight, a=math.sqrt(5))
        nn.init.zeros_(self.B.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.B(self.A(F.dropout(x, self.dropout, self.training))) * (self.alpha / self.rank)


def adapted(model: nn.Module) -> dict[str, nn.Linear]:
    """The layers with an adapter, by name."""
    return {name: module for name, module in model.named_modules() if hasattr(module, "lora")}


def apply_lora(
    model: nn.Module, rank: int = 8, alpha: float | None = None, dropout: float = 0.0, targets=DEFAULT_TARGETS
) -> None:
    """Freeze the model and give every linear layer whose last name is in `targets` an adapter; alpha None: = rank.
    Raises ValueError when the model has adapters already or a target names no layer."""
    if adapted(model):
        raise ValueError("this model has LoRA adapters already: merge them (merge_lora) or start from its base weight")
    linear = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    linear.pop("lm_head", None)  # the losses use its matrix, which is the embedding's, without calling it
    for target in targets:
        if target not in targets_of(linear):
            raise ValueError(f"LoRA target {target!r} names no linear layer: use some of {', '.join(DEFAULT_TARGETS)}")
    model.requires_grad_(False)
    for layer in (layer for name, layer in linear.items() if name.rpartition(".")[2] in targets):
        lora = LoRA(layer.in_features, layer.out_features, rank, alpha, dropout)
        layer.lora = lora.to(layer.weight.device, layer.weight.dtype)
        # A forward hook leaves the layer, and so the keys of its base weight, unchanged.
        layer.lora_hook = layer.register_forward_hook(lambda layer, args, out: out + layer.lora(args[0]))


def targets_of(names: Iterable[str]) -> list[str]:
    """The last names of layers, as in --lora_targets."""
    return sorted({name.rpartition(".")[2] for name in names})


def lora_state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {key: value for key, value in model.state_dict().items() if ".lora." in key}


def save_lora(model: MiniMindForCausalLM, path: str | Path, tokenizer=None, **info) -> None:
    """Write the adapter in half precision, and its settings and `info` to its `.json`. Raises WeightError for an
    adapter that half precision cannot hold; an earlier file at `path` is then unchanged."""
    path, layers = Path(path), adapted(model)
    if not layers:
        raise ValueError("this model has no LoRA adapter to save: call apply_lora first")
    state = weights.to_half(lora_state(model), path)
    lora = next(iter(layers.values())).lora
    settings = {"rank": lora.rank, "alpha": lora.alpha, "targets": targets_of(layers)}
    if tokenizer is not None:
        info["tokenizer_hash"] = weights.tokenizer_hash(tokenizer)
    weights.write_pair(path, state, {"format": 1, **info, "lora": settings})


def load_lora(model: MiniMindForCausalLM, path: str | Path, tokenizer=None, weight: Path | None = None) -> None:
    """Put the adapter at `path` on the model, strictly; `weight` is the file that the model was loaded from. Rank and
    targets follow from the tensors; without a `.json`, alpha = rank. Raises WeightError when a tensor fits no layer, or
    the adapter's vocabulary is not `tokenizer`'s; one of another weight is accepted with a note on standard error."""
    path = Path(path)
    state = {key.removeprefix("module."): value for key, value in weights.read_state(path).items()}  # DDP's prefix
    layers, covered = dict(model.named_modules()), set()
    for key in state:
        name, _, tensor = key.partition(".lora.")
        if tensor not in ("A.weight", "B.weight") or not isinstance(layers.get(name), nn.Linear):
            raise weights.WeightError(f"{path}: tensor {key} belongs to no layer of this network: name another adapter")
        covered.add(name)
    ranks = {state[key].shape[0] for key in state if key.endswith("A.weight") and state[key].ndim == 2}
    if len(ranks) != 1:
        raise weights.WeightError(f"{path}: its matrices have ranks {sorted(ranks)}, one was expected: train it again")
    alpha, metadata = None, weights.read_metadata(path)
    if metadata is not None:
        try:
            alpha = float(metadata["lora"]["alpha"])
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            message = "this does not describe an adapter: copy it again"
            raise weights.WeightError(f"{path.with_suffix('.json')}: {message}") from error
        weights.check_vocabulary(path, metadata, tokenizer, "put it on a weight with its vocabulary")
        if weight is not None and is_foreign(path, weight):
            print(f"note: {path} was trained on another weight than {weight} and may not suit it", file=sys.stderr)
    apply_lora(model, ranks.pop(), alpha, targets=targets_of(covered))
    weights.check_state(lora_state(model), state, path, "train the adapter again")
    model.load_state_dict(state, strict=False)  # checked above; the base weights are not in `state`


def is_foreign(adapter: Path, weight: Path) -> bool:
    """Whether an adapter was, by its `.json`, trained on another weight than this file."""
    origin = (weights.read_metadata(adapter) or {}).get("origin")
    return isinstance(origin, dict) and origin.get("base weight") not in (None, file_hash(weight))


def merged_weight(layer: nn.Linear) -> torch.Tensor:
    """W + (alpha / rank) B A; W itself for a layer without an adapter."""
    lora = getattr(layer, "lora", None)
    return layer.weight if lora is None else layer.weight + (lora.alpha / lora.rank) * lora.B.weight @ lora.A.weight


def merge_lora(model: nn.Module) -> None:
    """Add every adapter to its matrix and remove it: a plain model, fully trainable."""
    for layer in adapted(model).values():
        with torch.no_grad():
            layer.weight.copy_(merged_weight(layer))
        layer.lora_hook.remove()
        del layer.lora, layer.lora_hook
    model.requires_grad_(True)


def find_lora(name: str, out_dir: str | Path, config) -> Path:
    """The file of `--lora_name`: a path to a `.pth`, or a name in out_dir/lora for a network of this size."""
    if name.endswith(".pth") or "/" in name:
        return Path(name).absolute()
    path = Path(out_dir).absolute() / "lora" / f"{weights.weight_name(name, config.hidden_size, config.use_moe)}.pth"
    if not path.is_file():
        there = ", ".join(sorted(p.name for p in path.parent.glob("*.pth"))) or "none"
        advice = "train it with trainer/train_lora.py"
        raise weights.WeightError(f"{path}: there is no such adapter (there: {there}): {advice}")
    return path
