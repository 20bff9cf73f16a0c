"""A JSONL file as token sequences: its lines, what is wrong with them, and the rows that they become.

The file is read once, line by line, by several processes, checked, tokenised and written to a cache that later starts
map into memory (token_cache.py); nothing of the file's size is ever held in RAM.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dataset.batching import Collate, shuffled
from dataset.chat import check_messages
from dataset.token_cache import OFFSETS, Columns, open_or_build

CACHE_FORMAT = 3  # raise it when the meaning of a cached column changes
LINES_PER_CALL = 256  # lines that one call of the tokenizer encodes
BYTES_PER_CALL = 1 << 20  # or fewer lines, once they are as long as this together
UNREAD = {"tool_calls", "function_call", "reasoning_content", "tools"}  # that would be dropped without a word
LARGE = 64 << 20  # bytes of a file that takes too long to be read whole at each start
# What people take for JSONL, by how it begins; every line of it would be bad.
OTHER_FORMATS = {
    rb"\x1f\x8b|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd|PK\x03\x04": "a compressed file: unpack it first",
    rb"PAR1|ARROW1": "Parquet or Arrow: write its rows as JSON, one per line (pandas: to_json with lines=True)",
    rb"\xff\xfe|\xfe\xff|\{\0|\0{1,3}\{": "UTF-16 or UTF-32: save it as UTF-8",
    rb"version https://git-lfs": "only a pointer of Git LFS to the file: fetch that with git lfs pull",
    rb"(\xef\xbb\xbf)?\s*\[\s*\{": "a JSON array: write its objects one per line (jq -c '.[]' OLD > NEW)",
    rb"(\xef\xbb\xbf)?\s*\{[ \t]*\r?\n": "a JSON object over several lines: write each in one line (jq -c . OLD > NEW)",
    rb"[^\n]+\r[^\n]+\Z": r"text with the line ends of old Macs: end its lines with a line feed (tr '\r' '\n')",
}


class DataError(ValueError):
    """A file or line that cannot be used: `file:line: what is wrong: what to do`."""


# ---------------------------------------------------------------- files and lines


def check_file(path: str | Path, others: dict[bytes, str] = OTHER_FORMATS) -> Path:
    """The absolute path of a readable, non-empty file that begins as none of the `others`; DataError otherwise."""
    path = Path(path).absolute()
    what = "a link that leads nowhere" if path.is_symlink() else "there is no such file"
    if path.exists():
        what = "a folder" if path.is_dir() else "a pipe or a device, which cannot be read twice"
    if not path.is_file():
        raise DataError(f"{path}: {what}: name a file")
    if not os.access(path, os.R_OK):
        raise DataError(f"{path}: no permission to read it: change its mode or owner")
    with open(path, "rb") as file:
        head = file.read(1 << 16)
    if not head:
        raise DataError(f"{path}: the file is empty: name another")
    for begins, what in others.items():
        if re.match(begins, head):
            raise DataError(f"{path}: this is {what}")
    return path


def fingerprint_file(path: Path) -> str:
    """A hash that changes with the content. For a LARGE file it covers size, time of change and 65 sampled blocks."""
    digest, size = hashlib.sha256(), path.stat().st_size
    with open(path, "rb") as file:
        if size <= LARGE:
            digest.update(file.read())
        else:
            digest.update(f"{size} {path.stat().st_mtime_ns}".encode())
            for block in range(65):
                file.seek(min(block * (size // 64), size - (1 << 16)))
                digest.update(file.read(1 << 16))
    return digest.hexdigest()[:16]


def hash_once(path: Path, known: Path) -> str:
    """A hash of the content alone, which a copy shares; of a LARGE file it is kept in the file `known`."""
    if path.stat().st_size <= LARGE:
        return fingerprint_file(path)
    if not known.exists():
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
        temporary = known.with_name(f"{known.name}.{os.getpid()}")
        temporary.write_text(digest, "utf-8")
        temporary.replace(known)
    return known.read_text("utf-8")


def bad_line(path: Path, offset: int, what: str, advice="correct the line, or pass --skip_bad_lines 1") -> DataError:
    """The error for the line that begins at byte `offset`; only now is it worth counting lines."""
    return DataError(f"{path}:{line_numbers(path, [offset])[0]}: {what}: {advice}")


def line_numbers(path: Path, offsets: Iterable[int]) -> list[int]:
    """Numbers, from 1, of the lines that begin at these byte offsets, which ascend."""
    numbers, number, at = [], 1, 0
    with open(path, "rb") as file:
        for offset in offsets:
            while at < offset and (block := file.read(min(offset - at, 1 << 24))):
                number += block.count(b"\n")
                at += len(block)
            numbers.append(number)
    return numbers


def read_lines(path: Path, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """(byte offset, line) of each line that begins in [start, end), blank ones left out."""
    with open(path, "rb") as file:
        if start:
            file.seek(start - 1)
            file.readline()  # the rest of a line that belongs to the range before this one
        while (offset := file.tell()) < end:
            if (line := file.readline()).strip():
                yield offset, line


def parse_line(line: bytes) -> dict:
    """The JSON object in a line; ValueError says what is wrong with it."""
    try:
        record = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(f"this is not UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        what = "NUL bytes, as a crash leaves them" if b"\0" in line else f"{error.msg} at column {error.colno}"
        raise ValueError(f"this is not valid JSON ({what})") from None
    except ValueError:
        raise ValueError("a number in this line has too many digits") from None
    except RecursionError:
        raise ValueError("this JSON is nested too deeply") from None
    if not isinstance(record, dict):
        raise ValueError(f"a line must be a JSON object, this is {type(record).__name__}")
    return record


def read_records(path: str | Path, take: Callable[[dict], Any]) -> Iterator[Any]:
    """take(record) of each line of a file. DataError names the line that is no JSON object, or of which `take` raises
    ValueError."""
    path = check_file(path)
    for offset, line in read_lines(path, 0, path.stat().st_size):
        try:
            taken = take(parse_line(line))
        except ValueError as error:
            raise bad_line(path, offset, str(error), "correct the line") from None
        yield taken


def check_text(text, name: str) -> None:
    if not isinstance(text, str):
        raise ValueError(f"{name} must be a string, it is {type(text).__name__}")
    if not text.strip():
        raise ValueError(f"{name} is empty")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} holds half a character (a lone surrogate)") from None


def check_conversation(messages, name: str = "conversations") -> None:
    """ValueError unless `messages` is a conversation with an answer in it, all of it text."""
    check_messages(messages)
    if not any(message["role"] == "assistant" for message in messages):
        raise ValueError(f'"{name}" holds no answer (no message with role "assistant")')
    for number, message in enumerate(messages, 1):
        check_text(message["content"], f'the content of message {number} of "{name}"')
        check_read(message, f'message {number} of "{name}"')


def check_read(part: dict, name: str) -> None:
    for key in UNREAD & part.keys():
        if part[key] and part[key] != "[]":
            what = f'{name} has "{key}" beside its content, which training does not read'
            raise ValueError(f"{what}: write it into the content, or take it out")


# ---------------------------------------------------------------- tokenising


class LineError(ValueError):
    """(byte offset of a line, what is wrong with it): so a process reports it that does not know the line's number."""


@dataclass
class TokeniseLines:
    """The job of a tokenising process: columns of the cache for the lines that begin in a range of bytes.

    A column of numbers is an array (rows,), a column of sequences all of them end to end, and in another array where
    each begins, with the end of the last. A skipped line gives a row without tokens.
    """

    path: Path
    content: str  # the file's fingerprint
    kind: "type[JsonlDataset]"
    tokenizer: object
    skip_bad_lines: bool
    options: dict
    types: dict[str, str]

    def check_unchanged(self) -> None:
        """DataError unless the file is still what it was when it was hashed: a cache bears that name."""
        if fingerprint_file(self.path) != self.content:
            raise DataError(f"{self.path}: it changed while it was read: start again once it is complete")

    def read(self, line: bytes) -> tuple[dict | None, str]:
        """The record in a line, or None and what is wrong with it."""
        try:
            record = parse_line(line)
            self.kind.check(record)
        except ValueError as error:
            return None, str(error)
        return record, ""

    def __call__(self, start: int, end: int) -> dict[str, np.ndarray]:
        rows: list[dict] = []
        waiting: list[tuple[int, dict]] = []  # (row number, record) of lines to be encoded together
        n_bytes = 0

        def encode() -> None:
            encoded = self.kind.encode(self.tokenizer, [record for _, record in waiting], **self.options)
            for (row, _), columns in zip(waiting, encoded, strict=True):
                rows[row] |= self.to_arrays(columns)
            waiting.clear()

        for offset, line in read_lines(self.path, start, end):
            rows.append({"offset": offset})
            record, wrong = self.read(line)
            if wrong:
                if not self.skip_bad_lines:
                    raise LineError(offset, wrong)
                rows[-1] |= self.to_arrays(dict.fromkeys(self.kind.sequences, ()) | dict.fromkeys(self.kind.numbers, 0))
                continue
            waiting.append((len(rows) - 1, record))
            n_bytes += len(line)
            if len(waiting) == LINES_PER_CALL or n_bytes >= BYTES_PER_CALL:
                encode()
                n_bytes = 0
        encode()
        return {name: self.to_column(name, rows) for name in self.types}

    def to_arrays(self, row: dict) -> dict:
        """Lists of Python numbers take twenty times what they say."""
        return row | {name: np.array(row[name], self.types[name]) for name in self.kind.sequences}

    def to_column(self, name: str, rows: list[dict]) -> np.ndarray:
        if name in self.kind.sequences:
            return np.concatenate([np.empty(0, self.types[name]), *(row[name] for row in rows)])
        if name.endswith(OFFSETS):
            return np.cumsum([0, *(len(row[name.removesuffix(OFFSETS)]) for row in rows)], dtype=self.types[name])
        return np.array([row[name] for row in rows], self.types[name])


# ---------------------------------------------------------------- the data set


class JsonlDataset(torch.utils.data.Dataset):
    """A JSONL file as token sequences in a memory-mapped cache. Subclasses say how a record is checked and encoded.

    Raises DataError for the first line that cannot be used, or, with `skip_bad_lines`, leaves such lines out and
    counts them in `n_skipped`. `tokenizer` is a fast Hugging Face tokenizer, `cache_dir` a folder that may be shared,
    `num_proc` the number of processes that tokenise: by default one per core, fewer for a small file.
    """

    sequences: dict[str, str] = {"input_ids": "token"}  # column -> what its numbers are: "token" or "weight"
    numbers: tuple[str, ...] = ("n_bytes",)  # columns of one number per line

    @staticmethod
    def check(record: dict) -> None:
        raise NotImplementedError

    @staticmethod
    def encode(tokenizer, records: list[dict], **options) -> list[dict]:
        raise NotImplementedError

    def __init__(
        self, path, tokenizer, max_length: int, skip_bad_lines=False, cache_dir=None, num_proc=None, **options
    ):
        self.path, self.tokenizer, self.max_length = check_file(path), tokenizer, max_length
        cache_dir = Path(cache_dir or Path.home() / ".cache" / "minimind").absolute()
        self.columns = self._open_columns(bool(skip_bad_lines), cache_dir, num_proc, options)
        n_tokens = self._sequence_lengths("input_ids")
        # Of every line only small numbers are held: int32 and uint32 do for two billion lines.
        self.kept = np.flatnonzero(self._keep(n_tokens)).astype(np.uint32)  # row numbers in the cache
        self.n_skipped = int((n_tokens == 0).sum())
        self.lengths = n_tokens[self.kept]
        if not len(self.kept):
            raise DataError(f"{self.path}: no line of it can be learned from: {self.nothing_left}")

    def make_collate(self) -> Collate:
        """What turns a list of samples into a batch."""
        return Collate(self.tokenizer.pad_token_id)

    def summary(self) -> str:
        """One line for the screen: file, samples, tokens, and what was left out."""
        skipped = f"; {self.n_skipped} bad lines skipped" if self.n_skipped else ""
        return f"data: {self.path}, {len(self.kept):,} samples, {int(self.lengths.sum()):,} tokens{skipped}"

    nothing_left = "every line was skipped or blank"

    def _keep(self, n_tokens: np.ndarray) -> np.ndarray:
        return n_tokens > 0

    def _sequence_lengths(self, column: str) -> np.ndarray:
        """How long the sequence of each row of the cache is, int32."""
        return np.diff(self.columns[column + OFFSETS]).astype(np.int32)

    def _open_columns(self, skip_bad_lines: bool, cache_dir: Path, num_proc: int | None, options: dict) -> Columns:
        token_type = "uint16" if len(self.tokenizer) <= 1 << 16 else "uint32"
        types = {name: token_type if what == "token" else "uint8" for name, what in self.sequences.items()}
        types |= dict.fromkeys([*(name + OFFSETS for name in self.sequences), *self.numbers, "offset"], "int64")
        content = fingerprint_file(self.path)
        what = [CACHE_FORMAT, type(self).__name__, content, options, skip_bad_lines]
        what += [self.tokenizer.bos_token_id, self.tokenizer.eos_token_id]
        identity = json.dumps(what, sort_keys=True) + self.tokenizer.backend_tokenizer.to_str()
        stem = re.sub(r"[^A-Za-z0-9_]", "_", self.path.stem[:60])
        folder = cache_dir / f"{stem}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
        job = TokeniseLines(self.path, content, type(self), self.tokenizer, skip_bad_lines, options, types)
        try:
            columns = open_or_build(folder, job, num_proc)
        except LineError as error:
            first = islice(read_lines(self.path, 0, self.path.stat().st_size), 100)
            some = any(job.read(line)[0] for _, line in first)
            advice = [] if some else ["correct the file, as none of its first lines can be used"]
            raise bad_line(self.path, *error.args, *advice) from None
        self.fingerprint = hash_once(self.path, folder / "content.sha256")
        return columns

    def __len__(self) -> int:
        return len(self.kept)

    @property
    def n_bytes(self) -> int:
        """Bytes of UTF-8 in what is learned of the samples; the marks around documents and turns are none."""
        return int(self.columns["n_bytes"][self.kept].sum())

    def bytes_of(self, ids: np.ndarray) -> int:
        """Bytes of the text that a part of a sample spells."""
        marks = (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id)
        text = self.tokenizer.decode(ids[~np.isin(ids, marks)], clean_up_tokenization_spaces=False)
        return len(text.encode())

    def sequence(self, column: str, index: int) -> np.ndarray:
        """The sequence of sample `index` in a column, a view of the cache."""
        row = int(self.kept[index])
        start, end = self.columns[column + OFFSETS][row : row + 2].tolist()
        return self.columns[column][start:end]

    def rows_of(self, indices: Sequence[int]) -> np.ndarray:
        """Row numbers in the cache of what samples are made of."""
        return self.kept[np.asarray(indices, dtype=np.int64)]

    def lines(self, indices: Sequence[int]) -> list[int]:
        """Numbers, from 1, of the lines of the file that these samples come from, in the file's order."""
        return line_numbers(self.path, self.columns["offset"][np.unique(self.rows_of(indices))].tolist())

    def subset(self, indices: np.ndarray) -> "JsonlDataset":
        """The same data set with only these samples; the cache is shared."""
        other = object.__new__(type(self))
        other.__dict__ |= self.__dict__
        other.kept, other.lengths = self.kept[indices], self.lengths[indices]
        return other

    def split_validation(self, share: float = 0.01, most: int = 1000) -> tuple["JsonlDataset", "JsonlDataset"]:
        """(training, validation): a fixed random share of the samples, at least 1 and at most `most`, is held out.

        Raises DataError for a file with a single sample.
        """
        n_samples = len(self.kept)
        if n_samples < 2:
            raise DataError(f"{self.path}: one sample cannot be split into training and validation: add samples")
        order = shuffled(n_samples, np.random.default_rng(0))  # the same samples in every run and every stage
        n_held_out = int(min(max(1, round(share * n_samples)), most))
        held_out = np.zeros(n_samples, dtype=bool)
        held_out[order[:n_held_out]] = True
        return self.subset(np.flatnonzero(~held_out)), self.subset(np.flatnonzero(held_out))
