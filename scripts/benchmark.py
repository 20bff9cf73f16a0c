"""Measure MiniMind: one JSON line per figure, then a table of them all.

    python scripts/benchmark.py                                   # a training step of the 26M model (--step)
    python scripts/benchmark.py --hidden_size 768 --num_hidden_layers 16 --dtype bfloat16
    python scripts/benchmark.py --moe --hidden_size 640           # a mixture of experts beside a dense network
    python scripts/benchmark.py --decode                          # tokens per second of one stream, and of 16
    python scripts/benchmark.py --all --write                     # the table of MEASURED.md, tens of minutes on a CPU
    python scripts/benchmark.py --device cuda                     # the same on a GPU

Where there are two sides to compare, they take turns (A B A B …) in one run, each in a process of its own that lives
through the whole run, so that a slow minute of the machine meets both and each has its memory to itself. Figures
are medians, the ratio is the median over pairs. The *floor* is what the hardware allows, measured in the same run.
"""

import dataclasses
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

from scripts.measuring.harness import BenchmarkOptions, table_of  # noqa: E402
from scripts.measuring.measured import machine, write_section  # noqa: E402
from scripts.measuring.network import generation, mixture, training_step  # noqa: E402
from trainer.command_line import parse_options, require, run  # noqa: E402

SMALL, LARGE = ({"hidden_size": h, "num_hidden_layers": n} for h, n in ((512, 8), (768, 16)))
HALF, COMPILED, LONG = {"dtype": "bfloat16"}, {"compile": True}, {"streams": [1], "prompt_tokens": 8192}
TABLE = (  # of --all: what each job changes of the flags
    (training_step, SMALL),
    (training_step, SMALL | {"gradient_checkpointing": True}),
    (training_step, SMALL | COMPILED),
    (training_step, SMALL | HALF),
    (training_step, SMALL | HALF | COMPILED),
    (training_step, LARGE),
    (training_step, LARGE | COMPILED),
    (training_step, LARGE | HALF),
    (training_step, LARGE | HALF | COMPILED),
    (mixture, {"hidden_size": 640, "num_hidden_layers": 8}),
    (generation, SMALL),
    (generation, SMALL | HALF),
    (generation, SMALL | HALF | {"engine_dtype": "int8"}),
    (generation, SMALL | LONG),
)


def jobs(options: BenchmarkOptions) -> Iterator[tuple[Callable, BenchmarkOptions]]:
    asked = {mixture: options.moe, generation: options.decode, training_step: options.step}
    everything = options.all or (options.device.startswith("cuda") and not any(asked.values()))
    if not everything and not any(asked.values()):
        asked[training_step] = True
    yield from ((job, options) for job, wanted in asked.items() if wanted)
    if everything:
        rows = [row for row in TABLE if options.device == "cpu" or "engine_dtype" not in row[1]]  # int8 is of the CPU
        yield from ((job, dataclasses.replace(options, all=True, **changes)) for job, changes in rows)


def main() -> None:
    options = parse_options(BenchmarkOptions, "Measure MiniMind: one JSON line per figure, then a table.")

    from model.model_minimind import MiniMindConfig
    from trainer.distributed import choose_device

    MiniMindConfig(hidden_size=options.hidden_size)  # says so now if no network can have this size
    options = dataclasses.replace(options, device=str(choose_device(options.device)))
    one_table = options.all and not (options.step or options.moe or options.decode)
    require(one_table or not options.write, "--write goes with --all alone: MEASURED.md has the whole table")
    taken_on, figures, missed = machine(), [], []
    for job, own in jobs(options):
        try:
            for figure in job(own):
                print(figure.json_line(**own.given(), **taken_on), flush=True)
                figures.append(figure)
        except ValueError as error:  # out of memory, no compiler: the other rows of the table are still wanted
            if not own.all:
                raise
            missed.append(f"{job.__name__}, {own.hidden_size}×{own.num_hidden_layers}, {own.dtype}: {error}")
    if figures:
        print(f"\n{table_of(figures)}\n" + ", ".join(f"{key} {value}" for key, value in taken_on.items()))
    if missed:
        raise ValueError(f"{len(missed)} of the figures could not be taken: " + "; ".join(missed))
    if options.write:
        place = " on a GPU" if options.device.startswith("cuda") else ""
        write_section(f"Speed and memory{place}", table_of(figures, markdown=True))


if __name__ == "__main__":
    run(main)
