"""Figures beside other work, for scripts/benchmark.py: the speed that is left while others use the cores.

Ours shares the cores (trainer/threads.py); the reference is the same work with threads as torch leaves them.
"""

import dataclasses
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from scripts.measuring.harness import ROOT, BenchmarkOptions, Figure, Turn, compared, take_turns
from scripts.measuring.network import build_engine, build_trainer, shape
from trainer.threads import share_cores

LEVELS = ("alone", "beside one", "beside two")  # busy processes
SETTLE_SECONDS, SECONDS = 2.0, 3.0  # until the threads have been moved; of measuring, once more than one step is done
WORK = (  # what each row changes of the flags
    {"hidden_size": 192, "num_hidden_layers": 4, "batch_size": 16, "max_seq_len": 64},  # the quick start's SFT
    {"hidden_size": 192, "num_hidden_layers": 4, "batch_size": 4, "max_seq_len": 256},  # and its pretraining
    {"batch_size": 4, "max_seq_len": 256},
    {"decode": True, "batch_size": 1, "prompt_tokens": 512, "new_tokens": 32},
)


def beside_other_work(options: BenchmarkOptions) -> Iterator[Figure]:
    """Each piece of work alone, then beside one and two processes that compute all the time."""
    for own in pieces_of_work(options):
        sides, _ = take_turns("beside other work", (build_sharing, own), (build_spinning, own))
        names = ("prefill of 512, {}", "decode, one stream, {}") if own.decode else ("training step, {}, {}×{}",)
        for part, name in enumerate(names):
            for n_busy, level in enumerate(LEVELS):
                sharing, spinning = ([turn[n_busy * len(names) + part] for turn in turns] for turns in sides)
                alone = [turn[part] for turn in sides[0]]
                yield compared(
                    "beside", f"{name.format(shape(own), own.batch_size, own.max_seq_len)}, {level}", "s",
                    sharing, spinning, alone, note="reference: threads as torch leaves them; floor: ours alone",
                    details=own.shown("batch_size", "max_seq_len") | {"busy": n_busy},
                )  # fmt: skip


def pieces_of_work(options: BenchmarkOptions) -> list[BenchmarkOptions]:
    return [dataclasses.replace(options, **{"optimizer": "muon", "decode": False} | changes) for changes in WORK]


def build_sharing(options: BenchmarkOptions) -> Turn:
    share_cores()
    return build_spinning(options)


def build_spinning(options: BenchmarkOptions) -> Turn:
    """Seconds alone, beside one, beside two; of generation each time (prefill, decode)."""
    turn = (build_engine if options.decode else build_trainer)(options)
    turn()

    def all_levels() -> tuple[float, ...]:
        seconds: list[float] = []
        program = "from trainer.threads import all_cores; all_cores()\nwhile True: pass"
        for n_busy in range(len(LEVELS)):
            others = [
                subprocess.Popen([sys.executable, "-c", program], start_new_session=True, cwd=ROOT)
                for _ in range(n_busy)
            ]  # fmt: skip
            try:
                work_for(SETTLE_SECONDS, turn)
                seconds += map(statistics.fmean, zip(*work_for(SECONDS, turn), strict=True))  # stalls count
            finally:
                for other in others:
                    other.kill()
                    other.wait()
        return tuple(seconds)

    return all_levels


def work_for(seconds: float, turn: Turn) -> list[tuple[float, ...]]:
    measured, end = [], time.monotonic() + seconds
    while not measured or time.monotonic() < end:
        figures = turn()
        measured.append(figures if isinstance(figures, tuple) else (figures,))
    return measured
