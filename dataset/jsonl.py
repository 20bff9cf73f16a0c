"""A JSONL file as token sequences: its lines, what is wrong with them, and the rows that they become.

The file is read once, line by line, by several processes, checked, tokenised and written to a cache that later starts
map into memory (token_cache.py); nothing of the file's size is ever held in RAM.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dataset.batching import Collate, shuffled
from dataset.chat import check_messages

CACHE_FORMAT = 2  # raise it when the meaning of a cached column changes
LINES_PER_CALL = 256  # lines that one call of the tokenizer encodes
BYTES_PER_CALL = 1 << 20  # or fewer lines, once they are as long as this together
LARGE = 64 << 20  # bytes of a file that takes too long to be read whole at each start
DEFAULT_CACHE = Path.home() / ".cache" / "minimind"


class DataError(ValueError):
    """A file or line that cannot be used: `file:line: what is wrong: what to do`."""


# ---------------------------------------------------------------- files and lines


def check_file(path: str | Path) -> Path:
    """The absolute path of a readable, non-empty file; DataError otherwise."""
    path = Path(path).absolute()
    if not path.is_file():
        raise DataError(f"{path}: {'a folder' if path.is_dir() else 'there is no such file'}: name a JSONL file")
    if not os.access(path, os.R_OK):
        raise DataError(f"{path}: no permission to read it: change its mode or owner")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty: it needs one JSON object per line")
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
        raise ValueError(f"this is not valid JSON ({error.msg} at column {error.colno})") from None
    except RecursionError:
        raise ValueError("this JSON is nested too deeply") from None
    if not isinstance(record, dict):
        raise ValueError(f"a line must be a JSON object, this is {type(record).__name__}")
    return record


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


# ---------------------------------------------------------------- tokenising


class LineError(ValueError):
    """(byte offset of a line, what is wrong with it): so a process reports it that does not know the line's number."""


@dataclass
class TokeniseLines:
    """The job of a tokenising process: columns of the cache for the lines that begin in a range of bytes.

    A column of numbers is an array (rows,), a column of sequences all of them end to end and where each begins, with
    the end of the last: (values, offsets (rows + 1,)). A skipped line gives a row without tokens.
    """

    path: Path
    kind: "type[JsonlDataset]"
    tokenizer: object
    skip_bad_lines: bool
    options: dict
    types: dict[str, str]

    def __call__(self, start: int, end: int) -> dict[str, np.ndarray | tuple[np.ndarray, np.ndarray]]:
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
            try:
                record = parse_line(line)
                self.kind.check(record)
            except ValueError as error:
                if not self.skip_bad_lines:
                    raise LineError(offset, str(error)) from None
                rows[-1] |= self.to_arrays(dict.fromkeys(self.kind.sequences, ()) | dict.fromkeys(self.kind.numbers, 0))
                continue
            waiting.append((len(rows) - 1, record))
            n_bytes += len(line)
            if len(waiting) == LINES_PER_CALL or n_bytes >= BYTES_PER_CALL:
                encode()
                n_bytes = 0
        encode()
        return {name: self.to_column(name, [row[name] for row in rows]) for name in self.types}

    def to_arrays(self, row: dict) -> dict:
        """Lists of Python numbers take twenty times what they say."""
        return row | {name: np.array(row[name], self.types[name]) for name in self.kind.sequences}

    def to_column(self, name: str, values: list) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        if name not in self.kind.sequences:
            return np.array(values, self.types[name])
        offsets = np.cumsum([0, *map(len, values)], dtype=np.int32)
        return np.concatenate([np.empty(0, self.types[name]), *values]), offsets


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
        cache_dir = Path(cache_dir or DEFAULT_CACHE).absolute()
        self.rows = self._open_rows(bool(skip_bad_lines), cache_dir, num_proc, options)
        self.arrays = self.rows.with_format("numpy")
        n_tokens = self._sequence_lengths("input_ids")
        # Of every line only small numbers are held: int32 and uint32 do for two billion lines.
        self.kept = np.flatnonzero(self._keep(n_tokens)).astype(np.uint32)  # row numbers in the cache
        self.n_skipped = int((n_tokens == 0).sum())
        self.lengths = n_tokens[self.kept]
        if not len(self.kept):
            raise self._nothing_left()

    def make_collate(self) -> Collate:
        """What turns a list of samples into a batch."""
        return Collate(self.tokenizer.pad_token_id)

    def summary(self) -> str:
        """One line for the screen: file, samples, tokens, and what was left out."""
        skipped = f"; {self.n_skipped} bad lines skipped" if self.n_skipped else ""
        return f"data: {self.path}, {len(self.kept):,} samples, {int(self.lengths.sum()):,} tokens{skipped}"

    nothing_left = "every line was skipped or blank"

    def _nothing_left(self) -> DataError:
        return DataError(f"{self.path}: no line of it can be learned from: {self.nothing_left}")

    def _keep(self, n_tokens: np.ndarray) -> np.ndarray:
        return n_tokens > 0

    def _chunks(self, column: str) -> list:
        return self.rows.data.column(column).chunks

    def _sequence_lengths(self, column: str) -> np.ndarray:
        """How long the sequence of each row of the cache is, int32."""
        return np.concatenate([np.diff(c.offsets.to_numpy()) for c in self._chunks(column)])

    def _numbers(self, column: str) -> np.ndarray:
        return np.concatenate([c.to_numpy() for c in self._chunks(column)])

    def _open_rows(self, skip_bad_lines: bool, cache_dir: Path, num_proc: int | None, options: dict):
        from dataset import token_cache  # `datasets` takes most of a second, which who only talks need not wait

        token_type = "uint16" if len(self.tokenizer) <= 1 << 16 else "uint32"
        types = {name: token_type if what == "token" else "uint8" for name, what in self.sequences.items()}
        types |= dict.fromkeys([*self.numbers, "offset"], "int64")
        what = [CACHE_FORMAT, type(self).__name__, fingerprint_file(self.path), options, skip_bad_lines]
        identity = json.dumps(what, sort_keys=True) + self.tokenizer.backend_tokenizer.to_str()
        stem = re.sub(r"[^A-Za-z0-9_]", "_", self.path.stem[:60])
        name = f"{stem}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
        job = TokeniseLines(self.path, type(self), self.tokenizer, skip_bad_lines, options, types)
        try:
            rows = token_cache.open_or_build(cache_dir / name, job, num_proc)
        except LineError as error:
            raise bad_line(self.path, *error.args) from None
        if not len(rows):
            raise self._nothing_left()
        self.fingerprint = hash_once(self.path, cache_dir / name / "content.sha256")
        return rows

    def __len__(self) -> int:
        return len(self.kept)

    @property
    def n_bytes(self) -> int:
        """Bytes of UTF-8 in what is learned of the samples."""
        return int(self._numbers("n_bytes")[self.kept].sum())

    def row(self, index: int) -> dict[str, np.ndarray]:
        """Columns of sample `index` as arrays."""
        return self.arrays[int(self.kept[index])]

    def rows_of(self, indices: Sequence[int]) -> np.ndarray:
        """Row numbers in the cache of what samples are made of."""
        return self.kept[np.asarray(indices, dtype=np.int64)]

    def lines(self, indices: Sequence[int]) -> list[int]:
        """Numbers, from 1, of the lines of the file that these samples come from, in the file's order."""
        rows = np.unique(self.rows_of(indices))
        return line_numbers(self.path, self.rows.data.column("offset").take(rows.tolist()).to_pylist())

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
