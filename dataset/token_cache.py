"""The token cache: a JSONL file tokenised once, by every core, into flat arrays that are memory-mapped from then on.

    {cache_dir}/{file}-{key}/rows             a record per line: its offset in the file, where its tokens end, …
                             input_ids        the tokens of all lines, end to end
                             loss_mask        of conversations: the weight of each of those tokens
                             content.sha256   hash of the file

`key` covers everything that decides the tokens. A folder is filled under another name and renamed when it is complete.
"""

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from tqdm import tqdm

from dataset.jsonl import DataError
from dataset.processes import run_in_order, usable_cpus

BYTES_PER_TASK = 1 << 18  # of the file, tokenised by a process at a time
MIN_BYTES_PER_PROCESS = 8 << 20  # another process costs about as much as tokenising this
TOKENS_PER_BYTE = 0.4  # of a JSONL file, to estimate the space; measured: 0.25 (conversations) to 0.43 (short lines)
SECONDS_BEFORE_BAR = 1.5
LARGE = 64 << 20  # bytes of a file that takes too long to be read whole at each start
CONTENT, INCOMPLETE = "content.sha256", ".incomplete"


class TokenCache(dict):
    """The arrays of a cache by name, memory-mapped. Pickled by name: another process maps the files itself."""

    def __init__(self, folder: Path, dtypes: dict):
        self.folder, self.dtypes = folder, dtypes
        self.content_hash = (folder / CONTENT).read_text("utf-8")
        for name, dtype in dtypes.items():
            path = folder / name
            # A plain array: an np.memmap would be copied when it is pickled, and is slower at each access.
            self[name] = np.asarray(np.memmap(path, dtype, "r")) if path.stat().st_size else np.empty(0, dtype)

    def __reduce__(self):
        return TokenCache, (self.folder, self.dtypes)


def open_or_build(
    path: Path, cache_dir: Path, identity: str, dtypes: dict, tokenise: Callable, vocab_size: int, num_proc: int | None
) -> TokenCache:
    """The cache of a file; where there is none, the file is tokenised first, with all cores or `num_proc` processes.

    tokenise(start, end) returns an array for each name in `dtypes`: those of the lines that begin in bytes [start, end)
    of the file. `identity` is what its result depends on besides the file. One process at a time tokenises into
    `cache_dir`, another one waits. What it leaves if killed is ignored, and removed by the next that tokenises.

    Raises what `tokenise` raises, DataError for a file that changes meanwhile, OSError for a full disk, ValueError for
    a damaged cache."""
    fingerprint = fingerprint_file(path)
    key = hashlib.sha256(f"{fingerprint} {identity}".encode()).hexdigest()[:16]
    folder = cache_dir / f"{re.sub('[^A-Za-z0-9_]', '_', path.stem[:60])}-{key}"
    if not folder.exists():
        cache_dir.mkdir(parents=True, exist_ok=True)
        lock = FileLock(cache_dir / "lock")  # released when the process ends, however it does
        try:
            held = lock.acquire(timeout=0)
        except Timeout:
            print(f"waiting for another process that is tokenising into {cache_dir}", flush=True)
            held = lock.acquire()
        with held:
            if not folder.exists():
                build(folder, path, fingerprint, dtypes, tokenise, num_proc or usable_cpus())
    try:
        cache = TokenCache(folder, dtypes)
        check_intact(cache, vocab_size)
    except (ValueError, FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise ValueError(f"{folder}: this token cache of {path} is damaged: delete it and start again") from None
    return cache


def fingerprint_file(path: Path) -> str:
    """A hash that changes with the content. For a LARGE file it covers size, time of change and 65 sampled blocks."""
    size = path.stat().st_size
    if size <= LARGE:
        return hash_content(path)
    digest = hashlib.sha256(f"{size} {path.stat().st_mtime_ns}".encode())
    with open(path, "rb") as file:
        for block in range(65):
            file.seek(min(block * (size // 64), size - (1 << 16)))
            digest.update(file.read(1 << 16))
    return digest.hexdigest()[:16]


def hash_content(path: Path) -> str:
    """A hash of the content alone, the same for a copy of the file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def build(folder: Path, path: Path, fingerprint: str, dtypes: dict, tokenise: Callable, num_proc: int) -> None:
    """Tokenise the file into a new cache, with a progress bar if it takes long."""
    for killed in folder.parent.glob(f"*-{'[0-9a-f]' * 16}{INCOMPLETE}"):  # the whole name: the user's files stay
        shutil.rmtree(killed, ignore_errors=True)
    size = path.stat().st_size
    bytes_per_token = sum(np.dtype(dtype).itemsize for name, dtype in dtypes.items() if name != "rows")
    need, free = TOKENS_PER_BYTE * size * bytes_per_token, shutil.disk_usage(folder.parent).free
    no_space = OSError(
        f"{folder.parent}: tokenising {path.name} needs about {tqdm.format_sizeof(need, 'B')} there, "
        f"{tqdm.format_sizeof(free, 'B')} are free: delete files, or pass an --out_dir on another disk"
    )
    if need > free:
        raise no_space
    n_processes = min(num_proc, size // MIN_BYTES_PER_PROCESS)
    tasks = ((start, min(start + BYTES_PER_TASK, size)) for start in range(0, size, BYTES_PER_TASK))
    parts = run_in_order(tokenise, tasks, n_processes if n_processes > 1 else 0)
    bar = tqdm(
        desc=f"tokenising {path.name}", total=size, unit="B", unit_scale=True, delay=SECONDS_BEFORE_BAR,
        bar_format="{desc}: {percentage:3.0f} %|{bar:20}| {n_fmt}B of {total_fmt}B, {rate_fmt}, {remaining} left",
    )  # fmt: skip
    unfinished, n_tokens = folder.with_name(folder.name + INCOMPLETE), 0
    try:
        unfinished.mkdir()
        with bar, closing(parts), ExitStack() as stack:
            files = {name: stack.enter_context(open(unfinished / name, "wb")) for name in dtypes}
            for part in parts:
                part["rows"]["end"] += n_tokens
                n_tokens += len(part["input_ids"])
                for name, array in part.items():
                    files[name].write(array)
                bar.update(min(BYTES_PER_TASK, size - bar.n))
        (unfinished / CONTENT).write_text(hash_content(path), "utf-8")
        if fingerprint_file(path) != fingerprint:
            raise DataError(f"{path}: it changed while it was read: start again once it is complete")
        os.utime(unfinished / "rows")  # the youngest: see check_intact
        unfinished.rename(folder)
    except OSError as error:
        raise (no_space if error.errno in (errno.ENOSPC, errno.EDQUOT) else error) from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def check_intact(cache: TokenCache, vocab_size: int) -> None:
    """ValueError for a cache with other content than was written, as far as it would crash or corrupt training."""
    ends = cache["rows"]["end"]
    n_tokens = ends[-1] if len(ends) else 0
    if (np.diff(ends, prepend=0) < 0).any() or any(len(cache[name]) != n_tokens for name in cache if name != "rows"):
        raise ValueError("the arrays do not fit each other")
    # Reading all tokens takes long: only if they were written later than the rest, changed or copied.
    written, tokens_written = ((cache.folder / name).stat().st_mtime_ns for name in ("rows", "input_ids"))
    if tokens_written > written and cache["input_ids"].max(initial=0) >= vocab_size:
        raise ValueError("numbers that are no tokens")
