"""Which runs are the same: what a resumed run must share with the stopped one, and what a result was made from."""

import json
from pathlib import Path

import torch

from dataset.lm_dataset import JsonlDataset
from model.files import file_hash
from model.weights import tokenizer_hash
from trainer.command_line import compared_flags
from trainer.options import TrainOptions


def identity(
    options: TrainOptions, stage: str, objective, tokenizer, train_data: JsonlDataset, samples_per_step: int,
    steps: int, dtype: torch.dtype,
) -> dict:  # fmt: skip
    """Everything that shapes the weights, but their start: the flags that are not free, and what others amount to."""
    network = {name: getattr(objective.model.config, name) for name in options.sizes()}
    return compared_flags(options) | objective.origin | {
        "stage": stage, "steps": steps, "dtype": str(dtype).removeprefix("torch."),
        "samples_per_step": samples_per_step, "training_samples": len(train_data),
        "data_fingerprint": train_data.fingerprint, "network": network, "vocabulary": tokenizer_hash(tokenizer),
    }  # fmt: skip


def recipe(identity: dict, start: str, options: TrainOptions, val_data: JsonlDataset) -> dict:
    """What a weight was made from, in words, for its `.json`."""
    return identity | {
        "start": start, "batch_size": options.batch_size, "accumulation_steps": options.accumulation_steps,
        "validation_samples": len(val_data), "validation_fingerprint": val_data.fingerprint,
    }  # fmt: skip


def is_finished(weight: Path, metrics: Path, recipe: dict) -> bool:
    """Whether a run of this recipe has written both files, and trained to the last step."""
    metadata = weight.with_suffix(".json")
    if not all(path.is_file() for path in (weight, metadata, metrics)):
        return False
    try:
        info = json.loads(metadata.read_text(encoding="utf-8"))
        same = info["recipe"] == recipe and info["step"] == recipe["steps"]
        return same and info["sha256"] == file_hash(weight)
    except (ValueError, KeyError, TypeError, RecursionError):  # not written by this engine: not this run
        return False
