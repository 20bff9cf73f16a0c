"""What a run shows while it trains: a progress bar, a metrics file, and Weights & Biases on demand."""

import contextlib
import json
import math
import os
import resource
import sys
import time
from pathlib import Path

import torch
from tqdm import tqdm

from model.files import why_not_written, write_atomically

SECONDS_BEFORE_ESTIMATE = 5  # of training, for a first guess at how long all will take


def peak_memory_mib(device: torch.device) -> float:
    """Most memory so far: the GPU's, or this process's resident memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    scale = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


class Monitor:
    """Figures of a run, on rank 0: `{name}.jsonl` in `folder` gets a line per record; the bar shows the newest.

    A resumed run (`from_step` > 0) drops the records of steps, and of validations later than the one after step
    `validated`, that are done again, and a line that a killed run left half-written, then appends. `{name}.wandb` holds
    the run's id in Weights & Biases, so that it goes on there too.
    """

    def __init__(
        self, folder: Path, name: str, title: str, total_steps: int, from_step: int, validated: int,
        wandb_options=None,
    ):  # fmt: skip
        self.path = folder / f"{name}.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.wandb_run = None
        if wandb_options:
            id_path = self.path.with_suffix(".wandb")
            run_id = id_path.read_text().strip() if from_step and id_path.exists() else None
            self.wandb_run = start_wandb(**wandb_options, run_id=run_id)
            write_atomically(id_path, lambda temporary: temporary.write_text(self.wandb_run.id + "\n"))
        lines = self.path.read_bytes().splitlines(keepends=True) if from_step and self.path.exists() else []
        kept = [line for line in lines if stays(line, from_step, validated)]
        write_atomically(self.path, lambda temporary: temporary.write_bytes(b"".join(kept)))
        self.file = open(self.path, "a")  # noqa: SIM115 (open as long as the run)
        self.bar = tqdm(
            total=total_steps, initial=from_step, desc=title, unit="step", dynamic_ncols=True, mininterval=0.5,
            bar_format="{desc} {percentage:3.0f}%|{bar:20}| {n}/{total} [{elapsed}<{remaining}{postfix}]",
        )  # fmt: skip
        # What comes after this stage, in multiples of its own steps; who runs several tells.
        self.rest = float(os.environ.get("MINIMIND_REST", "nan"))
        self.first: tuple[float, int] | None = None  # when which step was the first to be shown

    def _write(self, record: dict) -> None:
        try:
            self.file.write(json.dumps(record) + "\n")
            self.file.flush()
        except OSError as error:
            raise OSError(why_not_written(self.path, 0, error)) from error

    def step(self, step: int) -> None:
        self.bar.update(step - self.bar.n)
        now, total = time.monotonic(), self.bar.total
        self.first = self.first or (now, step)
        seconds, steps = now - self.first[0], step - self.first[1]
        if seconds > SECONDS_BEFORE_ESTIMATE and self.rest >= 0:  # not NaN
            minutes = seconds / steps * (total - step + self.rest * total) / 60
            self.say(f"at this machine's speed: about {minutes:.0f} min more until all stages are done")
            self.rest = math.nan

    def log(self, record: dict) -> None:
        """`record` has "step" and figures; those of a training step show in the bar."""
        self._write(record)
        if "loss" in record:
            mfu = f"MFU {record['mfu']:.0%}, " if "mfu" in record else ""
            skipped = f", {record['skipped_steps']} steps skipped" if record.get("skipped_steps") else ""
            self.bar.set_postfix_str(
                f"loss {record['loss']:.3f}, lr {record['lr']:.1e}, {record['tokens_per_second']:,.0f} tokens/s, "
                f"{mfu}data {record['data_wait']:.0%}, {record['peak_memory_mib'] / 1024:.1f} GiB"
                f"{skipped}"
            )
        if self.wandb_run:
            self.wandb_run.log({k: v for k, v in record.items() if k != "step"}, step=record["step"])

    def say(self, line: str) -> None:
        self.bar.write(line, file=sys.stderr)

    def close(self, failed: bool = False) -> None:
        self.bar.close()
        with contextlib.suppress(OSError):  # what a full disk did not take has been spoken of
            self.file.close()
        if self.wandb_run:
            self.wandb_run.finish(exit_code=int(failed))

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(self, error, *_) -> None:
        if error:  # else there may be something left to say
            self.close(failed=True)


def stays(line: bytes, step: int, validated: int) -> bool:
    """Whether a line of a metrics file is a whole record of what a run has done that goes on after `step`."""
    try:
        record = json.loads(line) if line.endswith(b"\n") else {}
        return record["step"] <= (validated if "val_loss" in record else step)
    except (ValueError, KeyError, TypeError):
        return False


def start_wandb(project: str, name: str, config: dict, folder: Path, run_id: str | None):
    """A run of Weights & Biases, or with `run_id` the one that has this id, continued."""
    import wandb

    try:
        return wandb.init(project=project, name=name, config=config, dir=folder, id=run_id, resume="allow")
    except Exception as error:  # of its own kinds: no login, no network, a name that it does not take
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise ValueError(f"--use_wandb: {reason}: log in with wandb login, or set WANDB_MODE=offline") from None
