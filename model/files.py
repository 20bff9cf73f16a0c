"""Files that are whole or not there: written under a temporary name, flushed to the disk, then renamed."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path


def file_hash(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, write: Callable[[Path], None], size: int = 0, previous: Path | None = None) -> None:
    """Let `write` make a temporary file in the folder of `path`, flush it, then rename it: `path` is old or new, never
    half. What it held so far is then at `previous`. `size` in bytes is only for the message.

    Raises OSError, in one sentence, when the disk is full or fails; `path` is then unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    try:
        write(temporary)
        flush(temporary)
        if previous is not None and path.exists():  # the new one is whole and on the disk by now
            os.replace(path, previous)
        os.replace(temporary, path)
        flush(path.parent)
    except Exception as error:
        temporary.unlink(missing_ok=True)  # before the free space is measured
        if cause := system_error(error):
            raise OSError(why_not_written(path, size, cause)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def temporary_name(path: Path) -> Path:
    """Always the same, so that what a killed process has left there is overwritten by the next."""
    return path.with_name(f".{path.name}.tmp")


def flush(path: Path) -> None:
    """Put a file, or where the system can the names in a folder, on the disk itself, safe from a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        if not path.is_dir():
            raise
    finally:
        os.close(descriptor)


def system_error(error: BaseException | None) -> OSError | None:
    """The operating system's error that `error` is or wraps, as torch does."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


def why_not_written(path: Path, size: int, error: OSError) -> str:
    intact = "what was saved before is intact"
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return f"{path}: it cannot be written ({error.strerror or error}); {intact}"
    free = shutil.disk_usage(path.parent).free
    if free > size + 2**20:
        return f"{path}: the disk takes no more files (no inodes, or a quota): remove some and run again; {intact}"
    needs = (f"it needs {size / 2**20:,.1f} MiB, " if size else "") + f"{free / 2**20:,.1f} MiB are free"
    return f"{path}: the disk is full: {needs} in {path.parent}: make room and run again; {intact}"


def write_json(path: Path, content: dict) -> None:
    text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
    # Half a character, as in the name of a file that is no UTF-8, becomes \ud…, which JSON reads as what it was.
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8", errors="backslashreplace"))
