"""The token cache: a file tokenised by every core, kept as a data set of Hugging Face `datasets`, mapped from then on.

    {cache_dir}/{name}/token_cache-train*.arrow    the columns, in record batches of about BYTES_PER_TASK of the file
                       dataset_info.json

`datasets` writes, renames the finished folder, and maps it. Here is what it lacks: processes that end with their
parent and report a bad line quickly, a bar in bytes, room on the disk asked for first, and no litter.
"""

import errno
import multiprocessing
import os
import shutil
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from multiprocessing.connection import wait
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
from filelock import FileLock, Timeout
from tqdm import tqdm

from dataset.jsonl import DataError, TokeniseLines

BYTES_PER_TASK = 1 << 20  # of the file, what a process tokenises at a time
TASKS_AHEAD = 4  # per process, handed out before the first of them is written
MIN_BYTES_PER_PROCESS = 8 << 20  # a process more costs about as much as tokenising this
TOKENS_PER_BYTE = 0.4  # of a JSONL file, to guess the room needed; measured: 0.25 (conversations) to 0.43 (short lines)
SECONDS_BEFORE_BAR = 1.5
LOCK, INCOMPLETE = "lock", ".incomplete"  # the second is what `datasets` names a folder that it is filling


class TokenCache(datasets.ArrowBasedBuilder):
    """A data set of `datasets` made of the tables that an iterator gives."""

    def __init__(self, tables: Iterable[pa.Table], **kwargs):
        super().__init__(**kwargs)
        self.tables = tables

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo()

    def _split_generators(self, dl_manager) -> list[datasets.SplitGenerator]:
        return [datasets.SplitGenerator("train")]

    def _generate_tables(self) -> Iterator[tuple[int, pa.Table]]:
        for number, table in enumerate(self.tables):
            yield number, table
            if len(table) == 1:  # `datasets` gathers single rows, however long; an empty table makes it write them
                yield number, table.slice(1)


def open_or_build(folder: Path, job: TokeniseLines, num_proc: int | None = None) -> datasets.Dataset:
    """The rows of `job`'s file from the cache in `folder`; where there is none, the file is tokenised first.

    One process at a time tokenises into folder.parent, with all the cores; another one waits for its result. One that
    dies leaves nothing that counts; what it left is removed by the next that tokenises. Raises what the job raises,
    OSError for a full disk and DataError for a cache that is not what was written.
    """
    kinds = {name: datasets.Value(dtype) for name, dtype in job.types.items()}
    features = datasets.Features(kinds | {name: datasets.List(kinds[name]) for name in job.kind.sequences})
    folder.parent.mkdir(parents=True, exist_ok=True)
    if not folder.exists():
        with only_process(folder.parent):
            build(folder, job, features, num_proc)
    try:
        builder = TokenCache((), cache_dir=str(folder.parent), config_id=folder.name, features=features)
        builder.download_and_prepare(str(folder))  # it is there
        if not builder.info.splits["train"].num_examples:
            return datasets.Dataset.from_dict({name: [] for name in features}, features)
        rows = builder.as_dataset("train")
        check_whole(folder, rows, features, job)
        return rows
    except (pa.ArrowException, LookupError, TypeError, AttributeError, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.ENOENT):
            raise  # of the system, not of what stands in the files
        raise DataError(f"{folder}: this token cache of {job.path} is damaged: delete it, it is made anew") from None


def check_whole(folder: Path, rows: datasets.Dataset, features: datasets.Features, job: TokeniseLines) -> None:
    """ValueError for a cache that is not what was written, as far as it would end the process or break training.

    The description is written last. Only when another file is younger, changed or copied, are the tokens read for it.
    """
    if rows.features != features:
        raise ValueError("other columns")
    rows.data.table.validate(full=True)  # an offset that points elsewhere
    written = (folder / "dataset_info.json").stat().st_mtime_ns
    if any(path.stat().st_mtime_ns > written for path in folder.glob("*.arrow")):
        for column in (name for name, what in job.kind.sequences.items() if what == "token"):
            chunks = rows.data.column(column).chunks
            if max(int(c.values.to_numpy().max(initial=0)) for c in chunks) >= len(job.tokenizer):
                raise ValueError("numbers that are no tokens")


def build(folder: Path, job: TokeniseLines, features: datasets.Features, num_proc: int | None) -> None:
    """Tokenise the file into a new cache, under a progress bar if it takes long."""
    size = job.path.stat().st_size
    per_text = sum(np.dtype(job.types[name]).itemsize for name in job.kind.sequences)
    n_texts = sum(what == "token" for what in job.kind.sequences.values())
    need, free = TOKENS_PER_BYTE * size * per_text / n_texts, shutil.disk_usage(folder.parent).free
    no_room = OSError(
        f"{folder.parent}: tokenising {job.path.name} needs about {tqdm.format_sizeof(need, 'B')} there, "
        f"{tqdm.format_sizeof(free, 'B')} are free: make room, or pass an --out_dir on another disk"
    )
    n_processes = max(1, min(num_proc or usable_cpus(), size // MIN_BYTES_PER_PROCESS))
    with closing(tokenise(job, size, n_processes, features)) as tables, silent_datasets():
        builder = TokenCache(
            tables, cache_dir=str(folder.parent), config_id=folder.name, features=features,
            writer_batch_size=1 << 30,  # rows: a table is written as it is
        )  # fmt: skip
        try:
            if need > free and not folder.exists():
                raise no_room
            builder.download_and_prepare(str(folder))
        except datasets.exceptions.DatasetGenerationError as error:
            cause = error.__cause__ or error
            raise (no_room if is_full_disk(cause) else cause) from None
        except OSError as error:
            raise (no_room if is_full_disk(error) else error) from None


def is_full_disk(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def tokenise(job: TokeniseLines, size: int, n_processes: int, features: datasets.Features) -> Iterator[pa.Table]:
    """The file's rows, in its order."""
    tasks = [(start, min(start + BYTES_PER_TASK, size)) for start in range(0, size, BYTES_PER_TASK)]
    bar = tqdm(
        desc=f"tokenising {job.path.name}", total=size, unit="B", unit_scale=True, delay=SECONDS_BEFORE_BAR,
        bar_format="{desc}: {percentage:3.0f} %|{bar:20}| {n_fmt}B of {total_fmt}B, {rate_fmt}, {remaining} left",
    )  # fmt: skip
    with bar, closing(run_in_order(job, tasks, n_processes)) as results:
        for (start, end), columns in zip(tasks, results, strict=True):
            arrays = [to_arrow(columns[name]) for name in features]
            yield pa.Table.from_arrays(arrays, schema=features.arrow_schema)
            bar.update(end - start)


def to_arrow(column: np.ndarray | tuple[np.ndarray, np.ndarray]) -> pa.Array:
    if isinstance(column, np.ndarray):
        return pa.array(column)
    values, offsets = column
    return pa.ListArray.from_arrays(offsets, values)


@contextmanager
def silent_datasets() -> Iterator[None]:
    """Without the bars of `datasets`, which count rows of an unknown number."""
    shown = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()


# ---------------------------------------------------------------- one at a time


@contextmanager
def only_process(cache_dir: Path) -> Iterator[None]:
    """The right to tokenise into a folder, and no litter in it before and after.

    `datasets` has locks of its own, one for each cache; only where none of them can be in use may what is left of dead
    processes go. The right ends with the process, however that ends.
    """
    lock = FileLock(cache_dir / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"waiting for another process that tokenises into {cache_dir}", flush=True)
        lock.acquire()
    try:
        remove_litter(cache_dir)
        yield
    finally:
        remove_litter(cache_dir)
        lock.release()


def remove_litter(cache_dir: Path) -> None:
    for folder in cache_dir.glob(f"*{INCOMPLETE}"):
        shutil.rmtree(folder, ignore_errors=True)
    for path in cache_dir.glob("*.lock"):
        path.unlink(missing_ok=True)


# ---------------------------------------------------------------- several processes


def usable_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_in_order(job: Callable, tasks: Sequence[tuple], n_processes: int) -> Iterator:
    """job(*task) of each task, worked on by several processes and yielded in the order of the tasks.

    What a job raises is raised here when its turn has come, so the first error is the same for any number of
    processes. Leaving the iteration ends the processes; they also end when this one is killed.
    """
    if n_processes == 1:
        yield from (job(*task) for task in tasks)
        return
    pool, waiting = ProcessPoolExecutor(n_processes, initializer=_begin, initargs=(job,)), deque()
    try:
        for task in tasks:
            waiting.append(pool.submit(_work, task))
            if len(waiting) == TASKS_AHEAD * n_processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        what = "a process that tokenises was killed, perhaps because the memory was full"
        raise OSError(f"{what}: start again, or with fewer programs beside it") from None
    finally:
        pool.shutdown(cancel_futures=True)


_job: Callable  # of this process, which _begin is given once rather than _work each time


def _begin(job: Callable) -> None:
    global _job
    _job = job
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of the terminal; the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one process per core is enough


def _work(task: tuple):
    return _job(*task)


def _end_with_parent() -> None:
    wait([multiprocessing.parent_process().sentinel])
    os._exit(1)
