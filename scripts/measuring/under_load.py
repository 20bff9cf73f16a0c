"""Figures beside other work, for scripts/benchmark.py: the speed that is left while others use the cores.

Ours shares the cores (trainer/threads.py); the reference is the same work with threads as torch leaves them.
"""

import dataclasses
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from scripts.measuring.harness import ROOT, BenchmarkOptions, Figure, Turn, paired, take_turns
from scripts.measuring.network import build_engine, build_minimind, shape
from trainer.threads import share_cores

MOST_BUSY = 2  # processes beside
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
        (ours, reference), _ = take_turns("beside other work", (build_sharing, own), (build_spinning, own))
        names = ("prefill of 512, {}", "decode, one stream, {}") if own.decode else ("training step, {}, {}×{}",)
        for part, name in enumerate(names):
            name = name.format(shape(own), own.batch_size, own.max_seq_len)
            alone = statistics.median(turn[part] for turn in ours)
            for n_busy in range(MOST_BUSY + 1):
                at = n_busy * len(names) + part
                sharing, spinning = ([turn[at] for turn in side] for side in (ours, reference))
                seconds = statistics.median(sharing)
                yield Figure(
                    "beside", f"{name}, {('alone', 'beside one', 'beside two')[n_busy]}", "s", seconds,
                    statistics.median(spinning), paired(sharing, spinning),
                    note="reference: threads as torch leaves them; floor: ours alone", floor=alone,
                    share_of_floor=alone / seconds, details=own.shown("batch_size", "max_seq_len") | {"busy": n_busy},
                )  # fmt: skip


def pieces_of_work(options: BenchmarkOptions) -> list[BenchmarkOptions]:
    return [dataclasses.replace(options, **{"optimizer": "muon", "decode": False} | changes) for changes in WORK]


def build_sharing(options: BenchmarkOptions, imports_done: Callable[[], None]) -> Turn:
    share_cores()
    return build_spinning(options, imports_done)


def build_spinning(options: BenchmarkOptions, imports_done: Callable[[], None]) -> Turn:
    """Seconds alone, beside one, beside two; of generation each time (prefill, decode)."""
    turn = (build_engine if options.decode else build_minimind)(options, imports_done)
    turn()

    def all_levels() -> tuple[float, ...]:
        seconds: list[float] = []
        for n_busy in range(MOST_BUSY + 1):
            program = "from trainer.threads import all_cores; all_cores()\nwhile True: pass"
            command = [sys.executable, "-c", program]
            others = [subprocess.Popen(command, start_new_session=True, cwd=ROOT) for _ in range(n_busy)]
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
