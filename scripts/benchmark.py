"""Measure MiniMind beside transformers and the hardware's floor: one JSON line per figure, then a table of them all.

    python scripts/benchmark.py                                   # a training step of the 26M model
    python scripts/benchmark.py --decode                          # tokens per second of one stream, and of 16
    python scripts/benchmark.py --all                             # both in all sizes, tens of minutes on a CPU

The sides take turns (A B A B …), each in a process that lives through the run: a slow minute of the machine meets all
of them, and each has its memory to itself. Figures are medians, ratios the medians over rounds. The floor of a step is
its operations at the speed of a large matrix product, so that the share of it is the MFU.
"""

import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from scripts.measuring.measured import machine  # noqa: E402
from scripts.reports.tables import format_table  # noqa: E402
from trainer.command_line import flag, parse_options, run  # noqa: E402

LARGE, HALF, COMPILED = {"hidden_size": 768, "num_hidden_layers": 16}, {"dtype": "bfloat16"}, {"compile": True}
DECODING = ({"batch_size": 1}, {"batch_size": 16}, HALF | {"batch_size": 16}, {"batch_size": 1, "prompt_tokens": 8192})
STEPS = (  # of --all, like DECODING: what each changes of the flags
    {}, {"gradient_checkpointing": True}, HALF, LARGE, LARGE | HALF, {"hidden_size": 640, "use_moe": True},
    COMPILED, HALF | COMPILED, LARGE | HALF | COMPILED,
)  # fmt: skip
HEADER = ["figure", "ours", "reference", "ratio", "floor", "share of floor"]


@dataclass
class BenchmarkOptions:
    decode: bool = flag(False, "generation with a KV cache, instead of a training step")
    all: bool = flag(False, "both, in all sizes and types")
    hidden_size: int = flag(512, "width of the network", least=1)
    num_hidden_layers: int = flag(8, "depth of the network", least=1)
    use_moe: bool = flag(False, "mixture of experts; the reference is then transformers' GraniteMoeShared")
    batch_size: int = flag(8, "sequences per step", least=1)
    max_seq_len: int = flag(512, "tokens per sequence", least=2)
    streams: list[int] = flag([1, 16], "for --decode: how many are generated together", least=1)
    prompt_tokens: int = flag(32, "tokens of each prompt, for --decode", least=1)
    new_tokens: int = flag(256, "tokens made per stream after the prompt, for --decode", least=16)
    repeats: int = flag(10, "how often each side is measured", least=1)
    compile: bool = flag(False, "of a step: our decoder, and all of the other side's model")
    gradient_checkpointing: bool = flag(False, "on our side of a step; the reference stays as it is")
    dtype: str = flag("float32", "computing type, on both sides", choices=["float32", "bfloat16"])
    device: str = flag("cpu", "cpu, cuda, mps, or auto: the best that is there")


def main() -> None:
    options = parse_options(BenchmarkOptions, "Measure MiniMind: one JSON line per figure, then a table.")

    from scripts.measuring.speed import generation, training_step
    from trainer.distributed import choose_device

    options = dataclasses.replace(options, device=str(choose_device(options.device)))
    jobs = [(generation, {"batch_size": n}) for n in options.streams] if options.decode else [(training_step, {})]
    if options.all:
        jobs = [(generation, changes) for changes in DECODING] + [(training_step, changes) for changes in STEPS]
    rows = []
    for job, changes in jobs:
        for figure in job(dataclasses.replace(options, **changes)):
            print(json.dumps(figure, ensure_ascii=False), flush=True)
            rows.append([figure["figure"], *(shown(figure.get(column)) for column in HEADER[1:])])
    print(f"\n{format_table(HEADER, rows)}\n\n{machine()}")


def shown(number: float | None) -> str:
    return "" if number is None else f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


if __name__ == "__main__":
    run(main)
