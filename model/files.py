"""Files that are whole or not there: written under a temporary name, flushed to the disk, then renamed."""

import errno
import glob
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
    half. What it held so far is then at `previous`. `size` in bytes is only for the message. Raises OSError, in one
    sentence, when the disk is full or fails; `path` is then unchanged."""
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_stale(path)
    temporary = temporary_name(path)
    try:
        write(temporary)
        flush(temporary)
        if previous is not None and path.exists():  # the new one is whole and on the disk by now
            hard_link(path, previous)
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
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def remove_stale(path: Path) -> None:
    """Delete the temporary files and folders of `path` whose writers were killed, known by their process ids."""
    for stale in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        writer = stale.name[len(f".{path.name}.") : -len(".tmp")]
        if writer.isdecimal() and not is_running(int(writer)):
            shutil.rmtree(stale, ignore_errors=True) if stale.is_dir() else stale.unlink(missing_ok=True)


def is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)  # sends nothing
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        pass
    return True


def hard_link(path: Path, previous: Path) -> None:
    """Give the file at `path` the second name `previous`, so that at every moment `path` has a whole file. Where the
    disk has no hard links it is renamed, and until the new one takes its place only `previous` is there."""
    remove_stale(previous)
    link = temporary_name(previous)
    try:
        link.unlink(missing_ok=True)
        os.link(path, link)
        os.replace(link, previous)
    except OSError:
        os.replace(path, previous)
    finally:
        link.unlink(missing_ok=True)  # renaming one name of a file to another of its names leaves both


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
