"""What a run shows while it trains: a progress bar, a metrics file, and Weights & Biases on demand."""

import contextlib
import dataclasses
import json
import math
import os
import resource
import sys
import time
from collections import Counter
from pathlib import Path

import torch
from tqdm import tqdm

from model.files import why_not_written, write_atomically
from trainer.distributed import World
from trainer.options import TrainOptions

SECONDS_BEFORE_ESTIMATE = 5  # of training, before a line says how long all stages will take


def peak_memory_mib(device: torch.device) -> float:
    """Most memory so far: the GPU's, or this process's resident memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    scale = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


@dataclasses.dataclass
class Figures:
    """What this rank gathers between two logs; `counts` are those of all ranks, that of the tokens among them."""

    sums: Counter = dataclasses.field(default_factory=Counter)  # scalar tensors
    counts: Counter = dataclasses.field(default_factory=Counter)
    seconds: float = 0.0
    waited: float = 0.0  # seconds, for data

    def over_all_ranks(self, world: World) -> dict[str, float]:
        """Only here does the device's work come back to Python."""
        values = torch.stack([value.reshape(()) for value in self.sums.values()])
        values = world.sum(values.cpu().double())  # which not every device has
        sums = dict(zip(self.sums, values.tolist(), strict=True))
        figures = {name: value / max(self.counts[name], 1.0) for name, value in sums.items()}
        seconds = max(self.seconds, 1e-9)
        return figures | {"tokens_per_second": int(self.counts["tokens"]) / seconds, "data_wait": self.waited / seconds}


class Monitor:
    """Figures of a run, on rank 0: `{name}.jsonl` in `folder` gets a line per record; the bar shows the newest. A
    resumed run (`from_step` > 0) drops the records of steps, and of validations later than the one after step
    `validated`, that are done again, and a line that a killed run left half-written, then appends. `{name}.wandb` holds
    the run's id in Weights & Biases, so that it continues there too. `wandb`: arguments of wandb.init, or None."""

    def __init__(
        self, folder: Path, name: str, title: str, total_steps: int, from_step: int, validated: int,
        wandb: dict | None = None,
    ):  # fmt: skip
        self.path = folder / f"{name}.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.wandb_run = None
        if wandb:
            id_path = self.path.with_suffix(".wandb")
            run_id = id_path.read_text().strip() if from_step and id_path.exists() else None
            self.wandb_run = start_wandb({"name": name} | wandb | {"dir": folder.parent, "id": run_id})
            write_atomically(id_path, lambda temporary: temporary.write_text(self.wandb_run.id + "\n"))
        lines = self.path.read_bytes().splitlines(keepends=True) if from_step and self.path.exists() else []
        unchanged = [line for line in lines if is_unchanged(line, from_step, validated)]
        write_atomically(self.path, lambda temporary: temporary.write_bytes(b"".join(unchanged)))
        self.file = open(self.path, "a")  # noqa: SIM115 (open as long as the run)
        self.bar = tqdm(
            total=total_steps, initial=from_step, desc=title, unit="step", dynamic_ncols=True, mininterval=0.5,
            bar_format="{desc} {percentage:3.0f}%|{bar:20}| {n}/{total} [{elapsed}<{remaining}{postfix}]",
        )  # fmt: skip
        # What run.sh does after this stage, in multiples of its own steps.
        self.rest = float(os.environ.get("MINIMIND_REST", "nan"))
        self.first: tuple[float, int] | None = None  # when which step was the first to be shown

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
        try:
            self.file.write(json.dumps(record) + "\n")
            self.file.flush()
        except OSError as error:
            raise OSError(why_not_written(self.path, 0, error)) from error
        if "loss" in record:
            mfu = f"MFU {record['mfu']:.0%}, " if "mfu" in record else ""
            skipped = f", {record['skipped_steps']} steps skipped" if record.get("skipped_steps") else ""
            shown = f"reward {record['reward']:.2f}" if "reward" in record else f"loss {record['loss']:.3f}"
            waited = f"length {record['length']:.0f}, rollouts" if "length" in record else "data"  # of rollouts
            self.bar.set_postfix_str(
                f"{shown}, lr {record['lr']:.1e}, {record['tokens_per_second']:,.0f} tokens/s, "
                f"{mfu}{waited} {record['data_wait']:.0%}, {record['peak_memory_mib'] / 1024:.1f} GiB"
                f"{skipped}"
            )
        if self.wandb_run:
            self.wandb_run.log({k: v for k, v in record.items() if k != "step"}, step=record["step"])

    def say(self, line: str) -> None:
        self.bar.write(line, file=sys.stderr)

    def close(self, failed: bool = False) -> None:
        self.bar.close()
        with contextlib.suppress(OSError):  # a full disk has been reported
            self.file.close()
        if self.wandb_run:
            self.wandb_run.finish(exit_code=int(failed))

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(self, error, *_) -> None:
        if error:  # else a summary may follow
            self.close(failed=True)


def is_unchanged(line: bytes, step: int, validated: int) -> bool:
    """Whether a line of a metrics file is a whole record of what a run has done that continues after `step`."""
    try:
        record = json.loads(line) if line.endswith(b"\n") else {}
        return record["step"] <= (validated if any(key.startswith("val_") for key in record) else step)
    except (ValueError, KeyError, TypeError):
        return False


def wandb_options(options: TrainOptions) -> dict | None:
    if not options.use_wandb:
        return None
    name = {"name": options.wandb_run_name} if options.wandb_run_name else {}
    return name | {"project": options.wandb_project, "config": dataclasses.asdict(options), "resume": "allow"}


def start_wandb(arguments: dict):
    import wandb

    try:
        return wandb.init(**arguments)
    except Exception as error:  # of its own kinds: no login, no network, a name that it does not take
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise ValueError(f"--use_wandb: {reason}: log in with wandb login, or set WANDB_MODE=offline") from None
