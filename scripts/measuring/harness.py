"""How scripts/benchmark.py measures: its flags, figures, and sides that take turns, each in a process of its own."""

import contextlib
import dataclasses
import importlib
import json
import math
import multiprocessing
import os
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.reports.tables import format_table, markdown_table
from trainer.command_line import flag
from trainer.threads import all_cores

ROOT = Path(__file__).resolve().parents[2]
VOCAB_SIZE = 6400
LIBRARIES = (  # that a side may use; their memory is not counted
    "trainer.engine", "trainer.objectives", "trainer.loading", "model.generation",
    "transformers.models.llama.modeling_llama", "transformers.models.granitemoeshared.modeling_granitemoeshared",
)  # fmt: skip


@dataclass
class BenchmarkOptions:
    step: bool = flag(False, "a training step against transformers; measured on a CPU when no job is asked for")
    moe: bool = flag(False, "a mixture of experts against a dense network with as many active parameters")
    decode: bool = flag(False, "generation with a KV cache against transformers' generate")
    all: bool = flag(False, "step, moe and decode in all sizes and types; measured on a GPU when no job is asked for")
    write: bool = flag(False, "write the table into MEASURED.md; with --all")
    hidden_size: int = flag(512, "width of the network", least=1)
    num_hidden_layers: int = flag(8, "depth of the network", least=1)
    use_moe: bool = flag(False, "mixture of experts; the reference is then transformers' GraniteMoeShared")
    batch_size: int = flag(8, "sequences per step", least=1)
    max_seq_len: int = flag(512, "tokens per sequence", least=2)
    streams: list[int] = flag([1, 16], "for --decode: how many are generated together", least=1)
    prompt_tokens: int = flag(32, "tokens of each prompt, for --decode", least=1)
    new_tokens: int = flag(256, "tokens made per stream after the prompt, for --decode", least=16)
    repeats: int = flag(10, "how often each side is measured", least=1)
    compile: bool = flag(False, "compile the decoder on our side, and all of the model on the other")
    gradient_checkpointing: bool = flag(False, "on our side of --step; the reference stays as it is")
    dtype: str = flag("float32", "computing type, on both sides", choices=["float32", "bfloat16"])
    engine_dtype: str | None = flag(None, "computing type of our side of --decode, such as int8; default: --dtype",
                                    choices=["float32", "bfloat16", "int8"])  # fmt: skip
    device: str = flag("cpu", "cpu, cuda, mps, or auto: the best that is there")

    def given(self) -> dict:
        """What figures are taken with: all flags that are not off."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value not in (None, False)}


# ---------------------------------------------------------------- figures


@dataclass
class Figure:
    """One measured number, ours, with the reference and the floor; `note` says what the two are."""

    job: str
    figure: str
    unit: str
    ours: float
    reference: float
    ratio: float  # ours / reference
    floor: float | None  # memory has none
    share_of_floor: float | None  # of time, floor / ours: 1 would be all that the hardware allows
    note: str

    def json_line(self, **more) -> str:
        record = {key: value for key, value in dataclasses.asdict(self).items() if value is not None}
        return json.dumps(record | more, ensure_ascii=False)

    def row(self) -> list[str]:
        numbers = [self.ours, self.reference, self.ratio, self.floor, self.share_of_floor]
        return [self.figure, self.unit, *("" if n is None else f"{n:,.{decimals(n)}f}" for n in numbers)]


def compared(job: str, figure: str, sides: Sequence[Sequence[float]], note: str, tokens: int | None = None) -> Figure:
    """The figure of seconds that ours, the reference and the floor took in turns; or of so many tokens per second."""
    ours, reference, floor = sides
    values = [statistics.median(seconds) for seconds in sides]
    ratio, unit = median_ratio(ours, reference), "s"
    if tokens is not None:
        values = [tokens / seconds for seconds in values]
        ratio, unit = median_ratio(reference, ours), "tokens/s"
    return Figure(job, figure, unit, values[0], values[1], ratio, values[2], median_ratio(floor, ours), note)


def median_ratio(a: Sequence[float], b: Sequence[float]) -> float:
    """Of what was measured side by side."""
    return statistics.median(x / y for x, y in zip(a, b, strict=True))


def decimals(number: float) -> int:
    """As many as leave about four figures."""
    return max(0, 3 - math.floor(math.log10(abs(number)))) if number else 0


def table_of(figures: Sequence[Figure], markdown: bool = False) -> str:
    """Figures as a table, and the notes below it."""
    header = ["figure", "unit", "ours", "reference", "ratio", "floor", "share of floor"]
    rows = [figure.row() for figure in figures]
    notes = dict.fromkeys(f"{figure.job}: {figure.note}" for figure in figures)
    if markdown:
        return "\n".join([markdown_table(header, rows, left=2), "", *(f"- {note}" for note in notes)])
    return "\n".join([format_table(header, rows, left=2), "", *notes])


# ---------------------------------------------------------------- sides that take turns

Turn = Callable[[], float | tuple[float, ...]]  # seconds, of one thing or of several
Build = Callable[[BenchmarkOptions], Turn]


def take_turns(label: str, *sides: tuple[Build, BenchmarkOptions]) -> tuple[list[tuple], list[float]]:
    """What each side measured, A B A B …, after a turn to warm up; and the peak memory of each in MiB."""
    from tqdm import tqdm

    running = []
    try:
        for build, options in sides:  # each is built alone, so that none is measured while another is built
            running.append(Side(build, options))
            running[-1].request("turn")
        rounds = tqdm(range(options.repeats), desc=label, unit="round", leave=False)
        turns = list(zip(*([side.request("turn") for side in running] for _ in rounds), strict=True))
        return turns, [side.request("peak") for side in running]
    finally:
        for side in running:
            side.end()


class Side:
    """A process that holds one side of a comparison. `build(options)` runs in it and gives the thing to be timed."""

    def __init__(self, build: Build, options: BenchmarkOptions):
        context = multiprocessing.get_context("forkserver")
        self.name = build.__name__.removeprefix("build_")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve_turns, args=(theirs, build, options), daemon=True)
        self.process.start()
        theirs.close()

    def request(self, what: str):
        """The side's answer to "turn" (seconds) or "peak" (MiB). ValueError with its own words if it failed."""
        try:
            self.pipe.send(what)
            answer = self.pipe.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise ValueError(f"the process of {self.name} ended before its time: out of memory, or see above") from None
        if isinstance(answer, str):
            raise ValueError(answer)
        return answer

    def end(self) -> None:
        self.pipe.close()
        self.process.kill()  # it may be in the middle of its imports, and has nothing to save
        self.process.join()


def serve_turns(pipe, build: Build, options: BenchmarkOptions) -> None:
    """What runs in a side's process: build, then answer until the other end hangs up."""
    os.environ |= {"TOKENIZERS_PARALLELISM": "false", "TQDM_DISABLE": "1"}
    from tqdm import tqdm

    all_cores()
    tqdm.set_lock(threading.RLock())  # not one between processes, which the end of this one would leave behind
    try:
        for name in LIBRARIES:
            importlib.import_module(name)
        with contextlib.suppress(OSError):  # from now on the peak counts, where that can be said
            Path("/proc/self/clear_refs").write_text("5")
        before, turn = memory_mib("VmRSS:", options.device), build(options)
        while True:
            pipe.send(turn() if pipe.recv() == "turn" else memory_mib("VmHWM:", options.device) - before)
    except ValueError as error:
        pipe.send(str(error))
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return


def memory_mib(field: str, device: str) -> float:
    """Of this process: memory now (VmRSS) or at most (VmHWM); on a GPU and without /proc the most so far."""
    import torch

    from trainer.monitor import peak_memory_mib

    status = Path("/proc/self/status")
    if device.startswith("cuda") or not status.exists():
        return peak_memory_mib(torch.device(device))
    line = next(line for line in status.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


def timed(work: Callable[[], object], device) -> Callable[[], float]:
    """`work` as a turn: its seconds, the device's work included."""
    import torch

    def wait() -> None:
        if device.type in ("cuda", "mps"):
            getattr(torch, device.type).synchronize()

    def turn() -> float:
        wait()
        started = time.perf_counter()
        work()
        wait()
        return time.perf_counter() - started

    return turn
