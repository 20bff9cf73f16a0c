"""JSONL files: what is and is not one, its lines, and what is wrong with them."""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

# What people take for JSONL, by how it begins; every line of it would be bad.
OTHER_FORMATS = {
    rb"\x1f\x8b|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd|PK\x03\x04": "a compressed file: unpack it first",
    rb"PAR1|ARROW1": "Parquet or Arrow: write its rows as JSON, one per line (pandas: to_json with lines=True)",
    rb"\xff\xfe|\xfe\xff|\{\0|\0{1,3}\{": "UTF-16 or UTF-32: save it as UTF-8",
    rb"version https://git-lfs": "only a Git LFS pointer: fetch the file itself with git lfs pull",
    rb"(\xef\xbb\xbf)?\s*\[\s*\{": "a JSON array: write its objects one per line (jq -c '.[]' OLD > NEW)",
    rb"(\xef\xbb\xbf)?\s*\{[ \t]*\r?\n": "a JSON object over several lines: write each in one line (jq -c . OLD > NEW)",
    rb"[^\n]+\r[^\n]+\Z": r"text with the line endings of old Macs: end its lines with a line feed (tr '\r' '\n')",
}


class DataError(ValueError):
    """A file or line that cannot be used: `file:line: what is wrong: what to do`."""


def check_file(path: str | Path, refused: dict[bytes, str] = OTHER_FORMATS) -> Path:
    """The absolute path of a readable, non-empty file that is in none of the `refused` formats; DataError otherwise."""
    path = Path(path).absolute()
    if not path.is_file():
        what = "a broken symbolic link" if path.is_symlink() else "there is no such file"
        if path.exists():
            what = "a folder" if path.is_dir() else "a pipe or a device, which cannot be read twice"
        raise DataError(f"{path}: {what}: give a file")
    if not os.access(path, os.R_OK):
        raise DataError(f"{path}: no permission to read it: change its mode or owner")
    with open(path, "rb") as file:
        head = file.read(1 << 16)
    if not head:
        raise DataError(f"{path}: the file is empty: give another")
    for beginning, what in refused.items():
        if re.match(beginning, head):
            raise DataError(f"{path}: this is {what}")
    return path


def read_lines(path: Path, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """(byte offset, line) of each non-blank line that begins in bytes [start, end)."""
    with open(path, "rb") as file:
        offset = start
        if start:  # the rest of a line that begins before
            file.seek(start - 1)
            offset += len(file.readline()) - 1
        while offset < end and (line := file.readline()):
            if line.strip():
                yield offset, line
            offset += len(line)


def parse_line(line: bytes) -> dict:
    """The JSON object in a line; ValueError says what is wrong with it."""
    try:
        record = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(f"this is not UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        what = "NUL bytes, as a crash leaves them" if b"\0" in line else f"{error.msg} at column {error.colno}"
        raise ValueError(f"this is not valid JSON ({what})") from None
    except RecursionError:
        raise ValueError("this JSON is nested too deeply") from None
    if not isinstance(record, dict):
        raise ValueError(f"a line must be a JSON object, not {type(record).__name__}")
    return record


def read_records(path: str | Path, convert: Callable[[dict], Any]) -> Iterator[Any]:
    """convert(record) of each line. DataError for the first that is no JSON object or that fails with ValueError."""
    path = check_file(path)
    for offset, line in read_lines(path, 0, path.stat().st_size):
        try:
            converted = convert(parse_line(line))
        except ValueError as error:
            raise bad_line(path, offset, str(error), "correct the line") from None
        yield converted


def check_text(text, name: str) -> None:
    """ValueError unless `text` is a string that holds more than blanks and can be written as UTF-8."""
    if not isinstance(text, str):
        raise ValueError(f"{name} must be a string, not {type(text).__name__}")
    if not text.strip():
        raise ValueError(f"{name} is empty")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} contains half a character (a lone surrogate)") from None


def bad_line(path: Path, offset: int, what: str, advice: str) -> DataError:
    """The error for the line that begins at byte `offset`; lines are counted only now."""
    return DataError(f"{path}:{line_numbers(path, [offset])[0]}: {what}: {advice}")


def line_numbers(path: Path, offsets: Iterable[int]) -> list[int]:
    """Numbers, from 1, of the lines that begin at these ascending byte offsets."""
    numbers, number, at = [], 1, 0
    with open(path, "rb") as file:
        for offset in offsets:
            while at < offset and (block := file.read(min(offset - at, 1 << 24))):
                number += block.count(b"\n")
                at += len(block)
            numbers.append(number)
    return numbers
