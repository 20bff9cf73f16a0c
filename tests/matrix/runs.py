"""What the scripts of this folder share: small data, a weight to start from, and runs that are stopped and compared."""

import json
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from preloaded import CONTEXT, LIBRARIES, Preloaded, run_preloaded  # noqa: E402
from test_stages import STAGES, lines  # noqa: E402

from trainer.checkpoint import previous, state_path  # noqa: E402

SIZE = ["--hidden_size", 32, "--num_hidden_layers", 2]
# The stages that test_stages.py begins with, in its form: (script, data, its own flags, the name of what it writes).
STAGES = {
    "pretrain": ("train_pretrain.py", "pretrain", SIZE, "pretrain_32"),
    "sft": ("train_full_sft.py", "sft", ["--from_weight", "start_32", "--save_weight", "sft"], "sft_32"),
} | STAGES
# Figures of time and place; everything else in a metrics file must be the same.
OF_THE_MOMENT = {"tokens_per_second", "mfu", "data_wait", "seconds", "peak_memory_mib"}


def preload() -> None:
    """Let the processes to come be forked from one that has imported this module too: most of their time is imports."""
    CONTEXT.set_forkserver_preload([*LIBRARIES, "transformers.hf_argparser", "trainer.stage", "runs"])


@dataclass
class Run:
    """A stage with its flags, in a folder of its own."""

    stage: str
    moe: int
    out_dir: Path
    flags: list = field(default_factory=list)

    @property
    def name(self) -> str:
        return STAGES[self.stage][-1] + "_moe" * self.moe

    @property
    def weight(self) -> Path:
        return self.out_dir / f"{self.name}.pth"

    @property
    def state(self) -> Path:
        return state_path(self.out_dir, self.name)

    def has_state(self) -> bool:
        return self.state.exists() or previous(self.state).exists()

    def command(self, resume: bool | None = None) -> list:
        """The script and its flags; `resume` None: when there is a training state."""
        script, kind, own, _ = STAGES[self.stage]
        places = ["--data_path", self.out_dir.parent / f"{kind}.jsonl", "--out_dir", self.out_dir]
        flags = [*places, *self._weights(own), "--use_moe", self.moe, "--max_seq_len", 64, "--seed", 7]
        resume = self.has_state() if resume is None else resume
        flags += ["--batch_size", 4, "--log_interval", 1, "--from_resume", int(resume)]
        return [ROOT / "trainer" / script, *flags, *self.flags]

    def start(self, resume: bool | None = None) -> Preloaded:
        """Begin the run, or go on with it."""
        return Preloaded(*self.command(resume))

    def _weights(self, own: list) -> list:
        start = self.out_dir.parent / f"start_32{'_moe' * self.moe}.pth"
        named = {"start_32": start}
        own = [named.get(flag, flag) for flag in own]
        if self.stage in ("lora", "dpo", "reason"):
            own += ["--from_weight", start]
        if self.stage == "distillation":
            own += ["--teacher_weight", start]
        return own

    def records(self) -> list[dict]:
        """The lines of the metrics file, without what differs from moment to moment."""
        text = (self.out_dir / "metrics" / f"{self.name}.jsonl").read_text("utf-8")
        return [
            {key: value for key, value in json.loads(line).items() if key not in OF_THE_MOMENT}
            for line in text.splitlines()
        ]

    def n_steps(self) -> int:
        """Steps whose figures the metrics file holds by now."""
        path = self.out_dir / "metrics" / f"{self.name}.jsonl"
        return path.read_text("utf-8").count('"loss"') if path.exists() else 0

    def left_over(self) -> list[str]:
        """Temporary files that a process left behind."""
        return sorted(path.name for path in self.out_dir.rglob(".*.tmp"))


def make_data(folder: Path) -> None:
    """Data for every stage, 60 lines each, and a new dense and a new mixed weight to start from."""
    for kind in ("sft", "dpo", "reason"):
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines(kind))
        (folder / f"{kind}.jsonl").write_text(text, "utf-8")
    texts = [{"text": f"第 {i} 天，小明数到 {i * 7}，" + "再数一遍。" * (i % 9 + 3)} for i in range(300)]
    (folder / "pretrain.jsonl").write_text("".join(json.dumps(text) + "\n" for text in texts), "utf-8")
    for moe in (0, 1):
        flags = ["--out_dir", folder, "--data_path", folder / "sft.jsonl", "--save_weight", "start", *SIZE]
        flags += ["--from_weight", "none", "--use_moe", moe, "--max_steps", 5, "--max_seq_len", 64]
        done = run_preloaded(ROOT / "trainer" / "train_full_sft.py", *flags)
        assert done.returncode == 0, done.stderr


def wait_for(process: Preloaded, what: Callable[[], bool], timeout: float = 1800) -> bool:
    """Whether it came true before the process ended."""
    ends = time.monotonic() + timeout
    while not what():
        if not process.process.is_alive():
            return False
        assert time.monotonic() < ends, "the run does not get on"
        time.sleep(0.002)
    return True


def stop(process: Preloaded, number: int = signal.SIGTERM):
    process.send_signal(number)
    return process.join(1800)


def equal(one, other) -> bool:
    """Nested dicts, lists and tensors, to the bit."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(equal(a, b) for a, b in zip(one, other, strict=True))
    return one == other


def compare(run: Run, whole: Run) -> dict[str, bool]:
    """What is the same in a run that was stopped and in one that was not."""
    states = [torch.load(r.state, weights_only=True) for r in (run, whole)]
    parts = ("model", "optimizer", "scaler", "rngs", "validation", "tokens", "step")
    return {
        "figures": run.records() == whole.records(),
        "state": all(equal(states[0][part], states[1][part]) for part in parts),
        "weights": run.weight.read_bytes() == whole.weight.read_bytes(),
    }


def print_table(rows: list[dict]) -> None:
    widths = {key: max(len(key), *(len(str(row[key])) for row in rows)) for key in rows[0]}
    for row in [{key: key for key in widths}, *rows]:
        print("  ".join(f"{row[key]!s:<{width}}" for key, width in widths.items()), flush=True)
