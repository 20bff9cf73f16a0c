"""Figures of data for scripts/benchmark.py: what batches waste, how fast text becomes tokens and batches."""

import dataclasses
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from scripts.measuring.harness import BenchmarkOptions, Figure, Turn, compared, take_turns

RATE_BYTES = 16 << 20  # of a file, on which the rate of one process is measured
LOADER_SECONDS = 5  # for which batches are taken
MAXRSS_BITS = 20 if sys.platform == "darwin" else 10  # of getrusage's memory in a MiB

# ---------------------------------------------------------------- what a data set wastes


def text_figures(options: BenchmarkOptions) -> Iterator[Figure]:
    """Tokens, and the share of an epoch's positions that hold text, in the batches that the engine would form."""
    import numpy as np

    for path in options.text or []:
        with tempfile.TemporaryDirectory() as cache_dir:
            data = opener(path, options, cache_dir, None)()
            positions = text = 0
            for batch in batches(data, options):
                positions += batch["input_ids"].numel()
                text += n_tokens_of(batch)
        packed, n_samples, n_tokens = is_packed(data), len(data.kept), int(data.lengths.sum())
        name = Path(path).name
        details = {"file": path, "max_seq_len": options.max_seq_len, "batch_size": options.batch_size}
        kind = "documents" if packed else "conversations"
        yield Figure("text", f"{name}: {kind}", "", n_samples, details=details)
        yield Figure("text", f"{name}: tokens", "", n_tokens, details=details)
        if packed:
            n_control = 2 * n_samples  # every document opens and closes with one, which stand for no byte
            rate = data.n_bytes / (n_tokens - n_control)
            yield Figure("text", f"{name}: text per token", "bytes", rate, details=details)
        padded = float(np.minimum(data.lengths, options.max_seq_len).sum() / (n_samples * options.max_seq_len))
        share = text / positions
        note = f"reference: every sample padded to {options.max_seq_len} tokens; floor: no padding at all"
        yield Figure("text", f"{name}: positions that are text", "share", share, padded, share / padded, 1.0, share,
                     note, details)  # fmt: skip


def opener(path: str, options: BenchmarkOptions, cache_dir, num_proc: int | None) -> Callable:
    """A function that opens a JSONL file as the data set that its first line makes it."""
    from dataset.jsonl import read_records
    from dataset.lm_dataset import PretrainDataset, SFTDataset
    from trainer.loading import load_tokenizer, quiet_transformers

    def kind_of(record: dict) -> type:
        for key, kind in (("text", PretrainDataset), ("conversations", SFTDataset)):
            if key in record:
                return kind
        raise ValueError('neither "text" nor "conversations" is in it')

    kind = next(iter(read_records(path, kind_of)), None)
    if kind is None:
        raise ValueError(f"{path}: there are only blank lines in it: it needs one JSON object per line")
    quiet_transformers()
    tokenizer = load_tokenizer(options.tokenizer)
    return lambda: kind(path, tokenizer, options.max_seq_len, cache_dir=cache_dir, num_proc=num_proc)


def is_packed(data) -> bool:
    return hasattr(data, "set_order")


def batches(data, options: BenchmarkOptions) -> Iterator[dict]:
    """An epoch of `data` in the order and the batches of the engine."""
    import numpy as np

    from dataset.batching import StepSampler, make_loader

    if is_packed(data):
        data.set_order(np.random.default_rng(0))
    sampler = StepSampler(len(data), options.batch_size, lengths=None if is_packed(data) else data.lengths)
    return make_loader(data, sampler, data.make_collate())


def n_tokens_of(batch: dict) -> int:
    """Positions that are not padding; packed rows have next to none, and no mask for it."""
    return int(batch.get("attention_mask", batch["loss_mask"]).sum())


# ---------------------------------------------------------------- tokenising, opening, loading


def data_figures(options: BenchmarkOptions) -> Iterator[Figure]:
    """How fast a file is tokenised, beside the bare tokenizer; how fast it opens later; memory of the processes."""
    for path in options.data or []:
        name, details = Path(path).name, {"file": path}
        with tempfile.TemporaryDirectory() as folder:
            yield tokenising_figure(path, Path(folder) / "part.jsonl", options)
            reopen = opener(path, options, Path(folder) / "cache", num_proc=None)
            rate = Path(path).stat().st_size / 1e6 / seconds_of(reopen)
            yield Figure("data", f"{name}: tokenising, all processes", "MB/s", rate, details=details)
            usage = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
            yield Figure("data", f"{name}: most memory of a process", "MiB", max(usage) / (1 << MAXRSS_BITS),
                         note="resident: imports, and what is mapped of files, included", details=details)  # fmt: skip
            seconds = statistics.median(seconds_of(reopen) for _ in range(options.repeats))
            yield Figure("data", f"{name}: opening with a cache", "s", seconds, details=details)
            details |= {"max_seq_len": options.max_seq_len, "batch_size": options.batch_size}
            yield Figure("data", f"{name}: loading batches", "tokens/s", loader_rate(reopen(), options),
                         details=details)  # fmt: skip


def seconds_of(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def tokenising_figure(path: str, part: Path, options: BenchmarkOptions) -> Figure:
    """Measured on the first lines of a file, which are written to `part`."""
    from dataset.jsonl import check_file, read_lines

    whole = check_file(path)
    with open(part, "wb") as file:
        file.writelines(line for _, line in read_lines(whole, 0, min(RATE_BYTES, whole.stat().st_size)))
    options, megabytes = dataclasses.replace(options, data=[str(part)]), part.stat().st_size / 1e6
    sides, _ = take_turns("data", (build_tokenising, options), (build_bare_tokenizer, options))
    return compared(
        "data", f"{whole.name}: tokenising, one process", "MB/s", *sides, amount=megabytes, details={"file": path},
        note="ours: lines read, checked, tokenised and written; "
        f"reference: encode_batch of tokenizers on the same {megabytes:.0f} MB, read before",
    )  # fmt: skip


def build_tokenising(options: BenchmarkOptions) -> Turn:
    def turn() -> float:
        with tempfile.TemporaryDirectory() as cache_dir:
            return seconds_of(opener(options.data[0], options, cache_dir, num_proc=1))

    return turn


def build_bare_tokenizer(options: BenchmarkOptions) -> Turn:
    """The floor of tokenising: the texts of the file, nothing read, checked or written."""
    from dataset.jsonl import parse_line, read_lines
    from trainer.loading import load_tokenizer

    backend, path, texts = load_tokenizer(options.tokenizer).backend_tokenizer, Path(options.data[0]), []
    for _, line in read_lines(path, 0, path.stat().st_size):
        record = parse_line(line)
        texts += [record["text"]] if "text" in record else [m["content"] for m in record["conversations"]]

    def encode() -> None:
        for start in range(0, len(texts), 256):
            backend.encode_batch(texts[start : start + 256], add_special_tokens=False)

    return lambda: seconds_of(encode)


def loader_rate(data, options: BenchmarkOptions) -> float:
    """Tokens per second that the loader gives when nobody trains: without workers, in the training process itself."""
    tokens, started = 0, time.perf_counter()
    for batch in batches(data, options):
        tokens += n_tokens_of(batch)
        if time.perf_counter() - started > LOADER_SECONDS:
            break
    return tokens / (time.perf_counter() - started)
