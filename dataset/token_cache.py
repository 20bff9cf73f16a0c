"""The token cache: a file tokenised by every core, kept as flat arrays, mapped from then on.

    {cache_dir}/{name}/{column}            a number per row; or, of a column of sequences, all of them end to end
                       {column}.offsets    where each of those begins, and the end of the last
                       columns.json        file -> [type, how many numbers]; written last

A folder is filled under another name and renamed when it is whole.
"""

import errno
import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from tqdm import tqdm

from dataset.processes import run_in_order, usable_cpus

BYTES_PER_TASK = 1 << 20  # of the file, what a process tokenises at a time
MIN_BYTES_PER_PROCESS = 8 << 20  # a process more costs about as much as tokenising this
TOKENS_PER_BYTE = 0.4  # of a JSONL file, to guess the room needed; measured: 0.25 (conversations) to 0.43 (short lines)
SECONDS_BEFORE_BAR = 1.5
NO_SUCH_FILE = (FileNotFoundError, IsADirectoryError, NotADirectoryError)
LOCK, INCOMPLETE, OFFSETS, DESCRIPTION = "lock", ".incomplete", ".offsets", "columns.json"


class Columns(dict):
    """The arrays of a cache by name, mapped. A process to which this is sent maps them itself.

    Raises ValueError or OSError for files that do not fit their description.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        for name, (dtype, n) in json.loads((folder / DESCRIPTION).read_text("utf-8")).items():
            path, dtype = folder / name, np.dtype(dtype)
            if path.stat().st_size != n * dtype.itemsize:
                raise ValueError(f"{path}: another size than was written")
            # A plain array: np.memmap would be copied when it is pickled, and costs more at each access.
            self[name] = np.asarray(np.memmap(path, dtype, "r")) if n else np.empty(0, dtype)

    def __reduce__(self):
        return Columns, (self.folder,)


def open_or_build(folder: Path, job, num_proc: int | None = None) -> Columns:
    """The columns of `job`'s file (jsonl.py's TokeniseLines) from the cache in `folder`; where there is none, the file
    is tokenised first.

    One process at a time tokenises into folder.parent, with all the cores; another one waits for its result. One that
    dies leaves nothing that counts; what it left is removed by the next that tokenises. Raises what the job raises,
    OSError for a full disk and ValueError for a cache that is not what was written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    if not folder.exists():
        with only_process(folder.parent):
            if not folder.exists():
                build(folder, job, num_proc)
    try:
        columns = Columns(folder)
        check_whole(columns, job)
        return columns
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, *NO_SUCH_FILE):
        raise ValueError(f"{folder}: this token cache of {job.path} is damaged: delete it, it is made anew") from None


def check_whole(columns: Columns, job) -> None:
    """ValueError for a cache that is not what was written, as far as it would end the process or break training.

    The description is written last. Only when another file is younger, changed or copied, are the tokens read for it.
    """
    if {name: str(array.dtype) for name, array in columns.items()} != job.types:
        raise ValueError("other columns")
    written = (columns.folder / DESCRIPTION).stat().st_mtime_ns
    for name, what in job.kind.sequences.items():
        values, offsets = columns[name], columns[name + OFFSETS]
        ends_right = len(offsets) == len(columns["offset"]) + 1 and offsets[0] == 0 and offsets[-1] == len(values)
        if not ends_right or (np.diff(offsets) < 0).any():
            raise ValueError("sequences that are none")
        younger = (columns.folder / name).stat().st_mtime_ns > written
        if what == "token" and younger and values.max(initial=0) >= len(job.tokenizer):
            raise ValueError("numbers that are no tokens")


def build(folder: Path, job, num_proc: int | None) -> None:
    """Tokenise the file into a new cache, under a progress bar if it takes long."""
    size = job.path.stat().st_size
    per_text = sum(np.dtype(job.types[name]).itemsize for name in job.kind.sequences)
    n_texts = sum(what == "token" for what in job.kind.sequences.values())
    need, free = TOKENS_PER_BYTE * size * per_text / n_texts, shutil.disk_usage(folder.parent).free
    no_room = OSError(
        f"{folder.parent}: tokenising {job.path.name} needs about {tqdm.format_sizeof(need, 'B')} there, "
        f"{tqdm.format_sizeof(free, 'B')} are free: make room, or pass an --out_dir on another disk"
    )
    if need > free:
        raise no_room
    n_processes = min(num_proc or usable_cpus(), size // MIN_BYTES_PER_PROCESS)
    unfinished, counts = folder.with_name(folder.name + INCOMPLETE), dict.fromkeys(job.types, 0)
    try:
        unfinished.mkdir()
        with ExitStack() as stack:
            files = {name: stack.enter_context(open(unfinished / name, "wb")) for name in job.types}
            parts = stack.enter_context(closing(tokenise(job, size, n_processes if n_processes > 1 else 0)))
            for part in parts:
                for name, column in part.items():
                    if values := name.removesuffix(OFFSETS) if name.endswith(OFFSETS) else "":
                        # Of a part they begin at 0; its values are written, and where they begin is there already.
                        column = column[counts[name] > 0 :] + (counts[values] - len(part[values]))
                    files[name].write(column)
                    counts[name] += len(column)
        description = {name: [dtype, counts[name]] for name, dtype in job.types.items()}
        (unfinished / DESCRIPTION).write_text(json.dumps(description), "utf-8")
        unfinished.rename(folder)
    except OSError as error:
        raise (no_room if error.errno in (errno.ENOSPC, errno.EDQUOT) else error) from None


def tokenise(job, size: int, n_processes: int) -> Iterator[dict[str, np.ndarray]]:
    """The columns of one part of the file after the other."""
    tasks = [(start, min(start + BYTES_PER_TASK, size)) for start in range(0, size, BYTES_PER_TASK)]
    bar = tqdm(
        desc=f"tokenising {job.path.name}", total=size, unit="B", unit_scale=True, delay=SECONDS_BEFORE_BAR,
        bar_format="{desc}: {percentage:3.0f} %|{bar:20}| {n_fmt}B of {total_fmt}B, {rate_fmt}, {remaining} left",
    )  # fmt: skip
    with bar, closing(run_in_order(job, tasks, n_processes)) as parts:
        for (start, end), part in zip(tasks, parts, strict=True):
            yield part
            bar.update(end - start)
    job.check_unchanged()


@contextmanager
def only_process(cache_dir: Path) -> Iterator[None]:
    """The right to tokenise into a folder, and no litter of dead processes in it before and after.

    The right ends with the process, however that ends.
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
    for folder in cache_dir.glob(f"*-{'[0-9a-f]' * 16}{INCOMPLETE}"):  # names that only a cache has
        shutil.rmtree(folder, ignore_errors=True)
