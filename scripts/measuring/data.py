"""Figures of data for scripts/benchmark.py: what batches waste, how fast text becomes tokens and batches."""

import contextlib
import dataclasses
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from scripts.measuring.harness import BenchmarkOptions, Figure, paired, take_turns

# ---------------------------------------------------------------- what a data set wastes


def text_figures(options: BenchmarkOptions) -> Iterator[Figure]:
    """Tokens, and the share of an epoch's positions that hold text, in the batches that the engine would form."""
    for path in options.text or []:
        with tempfile.TemporaryDirectory() as cache_dir:
            yield from file_figures(path, open_data(path, options, cache_dir, None)(), options)


def file_figures(path: str, data, options: BenchmarkOptions) -> Iterator[Figure]:
    import numpy as np

    packed = hasattr(data, "set_order")
    n_samples, n_tokens = len(data.kept), int(data.lengths.sum())
    positions = text = 0
    for batch in batches(data, options):
        positions += batch["input_ids"].numel()
        text += n_tokens_of(batch)

    keys = ("max_seq_len", "batch_size")
    details = {"file": str(path)} | {key: getattr(options, key) for key in keys}
    name = Path(path).name
    kind = "documents" if packed else "conversations"
    yield Figure("text", f"{name}: {kind}", "", n_samples, details=details)
    yield Figure("text", f"{name}: tokens", "", n_tokens, details=details)
    if packed:
        n_control = 2 * n_samples  # every document opens and closes with one, which stand for no byte
        yield Figure("text", f"{name}: text per token", "bytes", data.n_bytes / (n_tokens - n_control), details=details)
    padded = np.minimum(data.lengths, options.max_seq_len).sum() / (n_samples * options.max_seq_len)
    yield Figure(
        "text", f"{name}: positions that are text", "share", text / positions, float(padded),
        text / positions / float(padded), 1.0, text / positions,
        f"reference: every sample padded to {options.max_seq_len} tokens; floor: no padding at all", details,
    )  # fmt: skip


def batches(data, options: BenchmarkOptions) -> Iterator[dict]:
    """An epoch of `data` in the order and the batches of the engine."""
    import numpy as np

    from dataset.batching import StepSampler, make_loader

    packed = hasattr(data, "set_order")
    if packed:
        data.set_order(np.random.default_rng(0))
    sampler = StepSampler(len(data), options.batch_size, lengths=None if packed else data.lengths)
    return make_loader(data, sampler, data.make_collate())


def n_tokens_of(batch: dict) -> int:
    """Positions that are not padding; packed rows have next to none, and no mask for it."""
    return int(batch.get("attention_mask", batch["loss_mask"]).sum())


def first_keys(path: str) -> str:
    """Which kind of data a JSONL file holds: "text" or "conversations"."""
    from dataset.jsonl import read_records

    def kind(record: dict) -> str:
        for key in ("text", "conversations"):
            if key in record:
                return key
        raise ValueError('neither "text" nor "conversations" is in it')

    for found in read_records(path, kind):
        return found
    raise ValueError(f"{path}: there are only blank lines in it: it needs one JSON object per line")


# ---------------------------------------------------------------- tokenising


RATE_BYTES = 16 << 20  # of a file, on which the rate of one process is measured


def data_figures(options: BenchmarkOptions) -> Iterator[Figure]:
    """How fast a file is tokenised, beside the bare tokenizer; how fast it opens later; memory of the processes."""
    for path in options.data or []:
        with tempfile.TemporaryDirectory() as folder:
            part = Path(folder) / "part.jsonl"
            write_part(Path(path), part)
            yield from rate_figures(path, dataclasses.replace(options, data=[str(part)]))
            yield from whole_figures(path, Path(folder) / "cache", options)


def write_part(path: Path, part: Path) -> None:
    """The first lines of a file."""
    from dataset.jsonl import check_file, read_lines

    path = check_file(path)
    with open(part, "wb") as file:
        file.writelines(line for _, line in read_lines(path, 0, min(RATE_BYTES, path.stat().st_size)))


def rate_figures(path: str, options: BenchmarkOptions) -> Iterator[Figure]:
    (ours, bare), _ = take_turns("data", (build_tokenising, options), (build_bare_tokenizer, options))
    megabytes = Path(options.data[0]).stat().st_size / 1e6
    ratio = paired(bare, ours)
    yield Figure(
        "data", f"{Path(path).name}: tokenising, one process", "MB/s", megabytes / statistics.median(ours),
        megabytes / statistics.median(bare), ratio, note="ours: lines read, checked, tokenised and written; "
        f"reference: encode_batch of tokenizers on the same {megabytes:.0f} MB, read before",
        details={"file": str(path)},
    )  # fmt: skip


def open_data(path: str, options: BenchmarkOptions, cache_dir, num_proc: int | None):
    from dataset.lm_dataset import PretrainDataset, SFTDataset
    from trainer.loading import load_tokenizer, quiet_transformers

    quiet_transformers()
    tokenizer = load_tokenizer(options.tokenizer)
    kind = PretrainDataset if first_keys(path) == "text" else SFTDataset
    settings = {"skip_bad_lines": options.skip_bad_lines, "cache_dir": cache_dir, "num_proc": num_proc}
    return lambda: kind(path, tokenizer, options.max_seq_len, **settings)


def build_tokenising(options: BenchmarkOptions, imports_done: Callable[[], None]) -> Callable[[], float]:
    from tqdm import tqdm

    from dataset import token_cache

    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    token_cache.SECONDS_BEFORE_BAR = float("inf")  # the rounds have theirs
    tqdm.set_lock(threading.RLock())  # not one between processes, which the end of this one would leave behind
    imports_done()

    def turn() -> float:
        with tempfile.TemporaryDirectory() as cache_dir:
            make = open_data(options.data[0], options, cache_dir, num_proc=1)
            started = time.perf_counter()
            make()
            return time.perf_counter() - started

    return turn


def build_bare_tokenizer(options: BenchmarkOptions, imports_done: Callable[[], None]) -> Callable[[], float]:
    """The floor of tokenising: the texts of the file, nothing read, checked or written."""
    from dataset.jsonl import parse_line, read_lines
    from trainer.loading import load_tokenizer

    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    backend, path, texts = load_tokenizer(options.tokenizer).backend_tokenizer, Path(options.data[0]), []
    for _, line in read_lines(path, 0, path.stat().st_size):
        record = parse_line(line)
        texts += [record["text"]] if "text" in record else [m["content"] for m in record["conversations"]]
    imports_done()

    def turn() -> float:
        started = time.perf_counter()
        for start in range(0, len(texts), 256):
            backend.encode_batch(texts[start : start + 256], add_special_tokens=False)
        return time.perf_counter() - started

    return turn


def whole_figures(path: str, cache_dir: Path, options: BenchmarkOptions) -> Iterator[Figure]:
    name, details = Path(path).name, {"file": str(path)}
    make = open_data(path, options, cache_dir, num_proc=None)
    with AnonymousMemory() as memory:
        started = time.perf_counter()
        make()
        seconds = time.perf_counter() - started
    rate = Path(path).stat().st_size / 1e6 / seconds
    yield Figure("data", f"{name}: tokenising, all processes", "MB/s", rate, details=details)
    if memory.peaks:
        yield Figure(
            "data", f"{name}: most memory of a process", "MiB", max(memory.peaks.values()),
            note=f"anonymous (RssAnon), {len(memory.peaks)} processes, imports included", details=details,
        )  # fmt: skip
    seconds = []
    for _ in range(options.repeats):
        started = time.perf_counter()
        make()
        seconds.append(time.perf_counter() - started)
    yield Figure("data", f"{name}: opening with a cache", "s", statistics.median(seconds), details=details)
    yield loader_figure(name, make(), options)


class AnonymousMemory:
    """While it is entered, `peaks` gathers per process id the highest RssAnon in MiB: of this process and its children.

    It stays empty where there is no /proc.
    """

    def __enter__(self) -> "AnonymousMemory":
        self.peaks: dict[str, float] = {}
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def __exit__(self, *exception) -> None:
        self.done.set()
        self.thread.join()

    def watch(self) -> None:
        while not self.done.wait(0.1):
            children = " ".join(path.read_text() for path in Path("/proc/self/task").glob("*/children"))
            for pid in ("self", *children.split()):
                with contextlib.suppress(OSError, StopIteration):  # it has ended
                    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
                    kib = int(next(line for line in lines if line.startswith("RssAnon:")).split()[1])
                    self.peaks[pid] = max(self.peaks.get(pid, 0.0), kib / 1024)


LOADER_SECONDS = 5  # for which batches are taken


def loader_figure(name: str, data, options: BenchmarkOptions) -> Figure:
    """Tokens per second that the loader gives when nobody trains: without workers, in the training process itself."""
    tokens, started = 0, time.perf_counter()
    for batch in batches(data, options):
        tokens += n_tokens_of(batch)
        if time.perf_counter() - started > LOADER_SECONDS:
            break
    rate = tokens / (time.perf_counter() - started)
    details = {key: getattr(options, key) for key in ("max_seq_len", "batch_size")}
    return Figure("data", f"{name}: loading batches", "tokens/s", rate, details=details)
