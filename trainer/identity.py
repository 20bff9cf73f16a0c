"""Which runs are the same: what a resumed run must share with the stopped one, and what a kept result was made from."""

import dataclasses
import hashlib
import json

from model.files import file_hash
from model.weights import tokenizer_hash

# A resumed run must agree with the stopped one in everything that shapes the weights; these do not.
FREE_OPTIONS = {
    "data_path", "val_path", "out_dir", "from_resume", "skip_finished", "device", "num_workers", "log_interval",
    "save_interval", "eval_interval", "use_wandb", "wandb_project", "wandb_run_name", "local_rank", "ddp", "tokenizer",
    "from_weight", "deepspeed",
    # compared as the network's config
    "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "use_moe", "dropout",
    "batch_size", "accumulation_steps",  # only their product with the number of ranks counts
    "teacher_weight",  # compared by its content, like the other weights of an objective's origin
}  # fmt: skip


def identity(trainer) -> dict:
    """What a resumed run must have in common with the stopped one."""
    fixed = {k: v for k, v in dataclasses.asdict(trainer.options).items() if k not in FREE_OPTIONS}
    fixed |= trainer.objective.origin
    network = trainer.model.config.to_diff_dict()
    return fixed | {
        "dtype": str(trainer.dtype).removeprefix("torch."),  # what "auto" came to here
        "network": {
            k: v for k, v in network.items() if isinstance(v, int | float | str) and k != "transformers_version"
        },
        "stage": trainer.stage,
        "samples per step": trainer.sampler.step_size,
        "training samples": trainer.sampler.n_samples,
        "content of the data file": trainer.train_data.fingerprint,
        "vocabulary": tokenizer_hash(trainer.tokenizer),
    }


def recipe(trainer) -> dict[str, str | int]:
    """What shapes the result, hashed: two runs with the same recipe are the same run, on one machine to the bit."""
    samples = [len(trainer.train_data), len(trainer.val_data)]
    shaped_by = identity(trainer) | {"start": trainer.start, "samples": samples}
    text = json.dumps(shaped_by | {"validation": trainer.val_data.fingerprint}, sort_keys=True)
    return {"hash": hashlib.sha256(text.encode()).hexdigest(), "steps": trainer.total_steps, "start": trainer.start}


def is_finished(trainer) -> bool:
    """Whether what this run would write is there already, from the same recipe and trained to the last step."""
    beside = trainer.weight_path.with_suffix(".json")
    metrics = trainer.out_dir / "metrics" / f"{trainer.name}.jsonl"
    if not all(path.is_file() for path in (trainer.weight_path, beside, metrics)):
        return False
    try:
        info = json.loads(beside.read_text(encoding="utf-8"))
        same = info["recipe"] == recipe(trainer) and info["step"] == trainer.total_steps
        return same and info["sha256"] == file_hash(trainer.weight_path)
    except (ValueError, KeyError, TypeError, RecursionError):  # not written by this engine: not this run
        return False
