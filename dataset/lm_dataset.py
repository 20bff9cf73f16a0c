"""Text files in, token sequences out: one class per kind of training data.

A JSONL file is read once, line by line, in parallel, checked, tokenised and written to an Arrow cache that later
starts map into memory; nothing of the file's size is ever held in RAM. A data set hands out, for index i,

    input_ids (T,) int64, targets (T,) int64, loss_mask (T,) float32

where targets[t] is the token that follows input_ids[t] and loss_mask[t] the weight of learning it: 0 for what is
given, 1 for text and answers, more for markup that a stage wants to stress.
"""

import hashlib
import json
import os
import re
import traceback
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from dataset.batching import Collate, PairCollate
from dataset.chat import check_messages, encode_texts, render_batch, split_thought

CACHE_FORMAT = 1  # raise it when the meaning of a cached column changes
LINES_PER_CALL = 256  # lines that one call of the tokenizer encodes
MIN_BYTES_PER_PROCESS = 8 << 20  # a process more costs about as much as tokenising this


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
    """A hash that changes with the content. Above 64 MiB it covers size, time of change and 65 sampled blocks."""
    digest, size = hashlib.sha256(), path.stat().st_size
    with open(path, "rb") as file:
        if size <= 64 << 20:
            digest.update(file.read())
        else:
            digest.update(f"{size} {path.stat().st_mtime_ns}".encode())
            for block in range(65):
                file.seek(min(block * (size // 64), size - (1 << 16)))
                digest.update(file.read(1 << 16))
    return digest.hexdigest()[:16]


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
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError(f"{name} holds half a character (a lone surrogate)")


def check_conversation(messages, name: str = "conversations") -> None:
    """ValueError unless `messages` is a conversation with an answer in it, all of it text."""
    check_messages(messages)
    if not any(message["role"] == "assistant" for message in messages):
        raise ValueError(f'"{name}" holds no answer (no message with role "assistant")')
    for number, message in enumerate(messages, 1):
        check_text(message["content"], f'the content of message {number} of "{name}"')


# ---------------------------------------------------------------- the token cache


def tokenise_ranges(path: str, ranges: list, kind: "type[JsonlDataset]", tokenizer, skip_bad_lines: bool, options: str):
    """Rows of the cache for the lines that begin in the byte ranges; a skipped line gives a row without tokens."""
    batch: list[tuple[int, dict]] = []

    def encoded():
        rows = kind.encode(tokenizer, [record for _, record in batch], **json.loads(options))
        for (offset, _), row in zip(batch, rows, strict=True):
            yield row | {"offset": offset}
        batch.clear()

    for start, end in ranges:
        for offset, line in read_lines(Path(path), start, end):
            try:
                record = parse_line(line)
                kind.check(record)
            except ValueError as error:
                if not skip_bad_lines:
                    raise bad_line(Path(path), offset, str(error)) from None
                yield {name: [] for name in kind.sequences} | {"n_bytes": 0, "offset": offset}
                continue
            batch.append((offset, record))
            if len(batch) == LINES_PER_CALL:
                yield from encoded()
    yield from encoded()


class JsonlDataset(torch.utils.data.Dataset):
    """A JSONL file as token sequences in a memory-mapped cache. Subclasses say how a record is checked and encoded.

    Raises DataError for the first line that cannot be used, or, with `skip_bad_lines`, leaves such lines out and
    counts them in `n_skipped`. `tokenizer` is a fast Hugging Face tokenizer, `cache_dir` a folder that may be shared.
    """

    sequences: dict[str, str] = {"input_ids": "token"}  # column -> what its numbers are: "token" or "weight"

    @staticmethod
    def check(record: dict) -> None:
        raise NotImplementedError

    @staticmethod
    def encode(tokenizer, records: list[dict], **options) -> list[dict]:
        raise NotImplementedError

    def __init__(self, path, tokenizer, max_length: int, skip_bad_lines=False, cache_dir=None, num_proc=1, **options):
        self.path, self.tokenizer, self.max_length = check_file(path), tokenizer, max_length
        self.fingerprint = fingerprint_file(self.path)
        self.rows = self._load_rows(skip_bad_lines, cache_dir, num_proc, json.dumps(options, sort_keys=True))
        self.arrays = self.rows.with_format("numpy")
        n_tokens = np.concatenate([np.diff(c.offsets.to_numpy()) for c in self._chunks("input_ids")])
        self.kept = np.flatnonzero(self._keep(n_tokens))  # row numbers in the cache
        self.n_skipped = int((n_tokens == 0).sum())
        self.lengths = n_tokens[self.kept].astype(np.int64)
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

    def _chunks(self, column: str) -> list:
        return self.rows.data.column(column).chunks

    def _load_rows(self, skip_bad_lines: bool, cache_dir, num_proc: int, options: str):
        import datasets  # takes most of a second, which who only talks to a model need not wait
        import pyarrow

        size = self.path.stat().st_size
        pieces = max(1, min(4 * num_proc, size // MIN_BYTES_PER_PROCESS)) if num_proc > 1 else 1
        cuts = [size * i // pieces for i in range(pieces + 1)]
        token_type = "uint16" if len(self.tokenizer) <= 1 << 16 else "uint32"
        types = {"token": token_type, "weight": "uint8"}
        features = {name: datasets.List(datasets.Value(types[what])) for name, what in self.sequences.items()}
        features |= {"n_bytes": datasets.Value("int64"), "offset": datasets.Value("int64")}
        identity = f"{CACHE_FORMAT} {type(self).__name__} {self.fingerprint} {options} {skip_bad_lines} {pieces} "
        identity += self.tokenizer.backend_tokenizer.to_str()
        try:
            rows = datasets.Dataset.from_generator(
                tokenise_ranges,
                features=datasets.Features(features),
                cache_dir=str(cache_dir) if cache_dir else None,
                num_proc=min(num_proc, pieces) if pieces > 1 else None,
                fingerprint=hashlib.sha256(identity.encode()).hexdigest()[:16],
                gen_kwargs={
                    "path": str(self.path),
                    "ranges": list(zip(cuts, cuts[1:], strict=False)),
                    "kind": type(self),
                    "tokenizer": self.tokenizer,
                    "skip_bad_lines": bool(skip_bad_lines),
                    "options": options,
                },
            )
            rows.data.table.validate(full=True)  # an offset that points elsewhere would end the process
            return rows
        except datasets.exceptions.DatasetGenerationError as error:
            # From another process an error arrives as its text alone.
            report = "".join(traceback.format_exception(error))
            if found := re.search(r"lm_dataset\.DataError: (.+)", report):
                raise DataError(found[1]) from None
            if isinstance(error.__cause__, OSError):  # a full disk, say
                raise error.__cause__ from None
            raise
        except (pyarrow.ArrowException, json.JSONDecodeError, OSError) as error:
            if getattr(error, "errno", None):  # of the system, not of what stands in the files
                raise
            raise DataError(
                f"{cache_dir or datasets.config.HF_DATASETS_CACHE}: the token cache of {self.path} in this folder is "
                "damaged: delete the folder, it is made anew"
            ) from None
        except ValueError as error:
            if "corresponds to no data" not in str(error):
                raise
            raise DataError(f"{self.path}: no line of it can be learned from: {self.nothing_left}") from None

    def __len__(self) -> int:
        return len(self.kept)

    @property
    def n_bytes(self) -> int:
        """Bytes of UTF-8 in what is learned of the samples."""
        return int(np.concatenate([c.to_numpy() for c in self._chunks("n_bytes")])[self.kept].sum())

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
        order = np.random.default_rng(0).permutation(n_samples)  # the same samples in every run and every stage
        n_held_out = int(min(max(1, round(share * n_samples)), most))
        return self.subset(np.sort(order[n_held_out:])), self.subset(np.sort(order[:n_held_out]))


# ---------------------------------------------------------------- the kinds of data


class PretrainDataset(JsonlDataset):
    """{"text": …} lines, packed: documents (<|im_start|> … <|im_end|>) end to end in rows of `max_length` tokens.

    Sample i is row i of the current order of documents; `set_order` shuffles the documents anew. Only the last row
    is shorter. With `mask_documents` a sample has a fourth tensor, position_ids (T,), which start at 0 in each
    document, and by which the network keeps documents of one row from seeing each other.
    """

    @staticmethod
    def check(record: dict) -> None:
        if "text" not in record:
            raise ValueError('the key "text" is missing')
        check_text(record["text"], '"text"')

    @staticmethod
    def encode(tokenizer, records: list[dict]) -> list[dict]:
        bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
        texts = [record["text"] for record in records]
        return [
            {"input_ids": [bos, *ids, eos], "n_bytes": len(text.encode())}
            for text, ids in zip(texts, encode_texts(tokenizer, texts), strict=True)
        ]

    def __init__(self, data_path, tokenizer, max_length: int = 512, mask_documents: bool = False, **kwargs):
        super().__init__(data_path, tokenizer, max_length, **kwargs)
        # The cache's token column is already one long stream per Arrow chunk; `where` finds a document in it.
        chunks = self._chunks("input_ids")
        self.streams = [c.values.to_numpy() for c in chunks]
        self.where = np.concatenate([c.offsets.to_numpy()[:-1] for c in chunks])
        self.chunk_of = np.repeat(np.arange(len(chunks), dtype=np.int32), [len(c) for c in chunks])
        self.mask_documents = mask_documents
        self.set_order(None)

    def subset(self, indices: np.ndarray) -> "PretrainDataset":
        other = super().subset(indices)
        other.set_order(None)
        return other

    def set_order(self, rng: np.random.Generator | None) -> None:
        """Lay the documents out in a random order, or in the file's (None)."""
        n_documents = len(self.kept)
        self.order = np.arange(n_documents) if rng is None else rng.permutation(n_documents)
        self.ends = self.lengths[self.order].cumsum()  # where each document ends in the packed stream

    def __len__(self) -> int:
        return -(-int(self.ends[-1] - 1) // self.max_length)  # the last token of all is a target only

    def document(self, index: int) -> np.ndarray:
        """Token ids of document `index`, a view of the cache."""
        row = self.kept[index]
        start = self.where[row]
        return self.streams[self.chunk_of[row]][start : start + self.lengths[index]]

    def rows_of(self, indices: Sequence[int]) -> np.ndarray:
        """Row numbers in the cache of all documents that the packed rows hold a part of."""
        starts = np.asarray(indices, dtype=np.int64) * self.max_length
        first = np.searchsorted(self.ends, starts, side="right")
        last = np.searchsorted(self.ends, np.minimum(starts + self.max_length, self.ends[-1] - 1), side="right")
        slots = [np.arange(a, b + 1) for a, b in zip(first, last, strict=True)]
        return self.kept[self.order[np.concatenate(slots)]] if slots else np.empty(0, dtype=np.int64)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, ...]:
        start = index * self.max_length
        stop = min(start + self.max_length + 1, int(self.ends[-1]))  # one more: the last target
        ids = torch.empty(stop - start, dtype=torch.long)
        positions = torch.empty(stop - start, dtype=torch.long)
        at, slot = start, int(np.searchsorted(self.ends, start, side="right"))
        while at < stop:
            document, end = self.document(self.order[slot]), int(self.ends[slot])
            first = at - (end - len(document))
            n = min(end, stop) - at
            ids[at - start : at - start + n] = torch.from_numpy(document[first : first + n].astype(np.int64))
            positions[at - start : at - start + n] = torch.arange(first, first + n)
            at, slot = at + n, slot + 1
        sample = ids[:-1], ids[1:], torch.ones(stop - start - 1)
        return (*sample, positions[:-1]) if self.mask_documents else sample


class AnswerDataset(JsonlDataset):
    """What conversations share: they are cut after `max_length` tokens, and those of which no answer is left by then
    are left out and counted in `n_too_long`."""

    sequences = {"input_ids": "token", "loss_mask": "weight"}

    def summary(self) -> str:
        left_out = f"; {self.n_too_long} with no answer within {self.max_length} tokens left out"
        return super().summary() + (left_out if self.n_too_long else "")

    @property
    def nothing_left(self) -> str:
        return f"no conversation has an answer within max_seq_len {self.max_length}: pass a larger --max_seq_len"

    def _keep(self, n_tokens: np.ndarray) -> np.ndarray:
        too_long = np.zeros(len(n_tokens), dtype=bool)
        for mask in (name for name, what in self.sequences.items() if what == "weight"):
            first_answer = [_first_nonzero(c.values.to_numpy(), c.offsets.to_numpy()) for c in self._chunks(mask)]
            too_long |= (n_tokens > 0) & (np.concatenate(first_answer) > self.max_length)
        self.n_too_long = int(too_long.sum())
        return (n_tokens > 0) & ~too_long

    def cut(self, row: dict[str, np.ndarray], ids: str, mask: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(input_ids, targets, loss_mask) of two columns of a row."""
        ids = torch.from_numpy(row[ids].astype(np.int64))[: self.max_length + 1]
        mask = torch.from_numpy(row[mask].astype(np.float32))[: self.max_length + 1]
        return ids[:-1], ids[1:], mask[1:]

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return self.cut(self.row(index), "input_ids", "loss_mask")


class SFTDataset(AnswerDataset):
    """{"conversations": [{"role", "content"}, …]} lines as ChatML; the assistant's answers are the targets.

    `markup_weight` is the weight of <think>, <answer>, … inside answers.
    """

    @staticmethod
    def check(record: dict) -> None:
        if "conversations" not in record:
            raise ValueError('the key "conversations" is missing')
        check_conversation(record["conversations"])

    @staticmethod
    def encode(tokenizer, records: list[dict], markup_weight: int) -> list[dict]:
        conversations = [record["conversations"] for record in records]
        rows = render_batch(tokenizer, conversations, markup_weight=markup_weight)
        return [
            {
                "input_ids": ids,
                "loss_mask": weights,
                "n_bytes": sum(len(m["content"].encode()) for m in messages if m["role"] == "assistant"),
            }
            for messages, (ids, weights) in zip(conversations, rows, strict=True)
        ]

    def __init__(self, jsonl_path, tokenizer, max_length: int = 512, markup_weight: int = 1, **kwargs):
        super().__init__(jsonl_path, tokenizer, max_length, markup_weight=markup_weight, **kwargs)
        self.lengths = np.minimum(self.lengths - 1, max_length)  # of input_ids


class ReasonDataset(SFTDataset):
    """Conversations whose every answer is <think>\\n…\\n</think>\\n<answer>\\n…\\n</answer>; the tags weigh 10."""

    @staticmethod
    def check(record: dict) -> None:
        SFTDataset.check(record)
        for number, message in enumerate(record["conversations"], 1):
            if message["role"] != "assistant":
                continue
            parts = split_thought(message["content"])
            if parts is None:
                raise ValueError(
                    f'the answer in message {number} of "conversations" is not of the form '
                    "<think>…</think><answer>…</answer>, each tag once"
                )
            if not parts[1]:
                raise ValueError(f'message {number} of "conversations" has nothing between <answer> and </answer>')

    def __init__(self, jsonl_path, tokenizer, max_length: int = 1024, markup_weight: int = 10, **kwargs):
        super().__init__(jsonl_path, tokenizer, max_length, markup_weight, **kwargs)


class DPODataset(AnswerDataset):
    """{"chosen": [{"role", "content"}, …], "rejected": […]} lines: one prompt, a better and a worse last answer.

    Sample i is ((input_ids, targets, loss_mask) of the chosen, the same of the rejected, reference (2,) float32). Only
    the last answer of each is learned. `reference` (samples, 2), set before training, holds both answers'
    log-probabilities under the starting weights; until then they are 0.
    """

    sequences = AnswerDataset.sequences | {"rejected_ids": "token", "rejected_mask": "weight"}

    @staticmethod
    def check(record: dict) -> None:
        prompts, answers = [], []
        for key in ("chosen", "rejected"):
            if key not in record:
                raise ValueError(f'the key "{key}" is missing')
            check_conversation(record[key], key)
            *prompt, answer = ((message["role"], message["content"].strip()) for message in record[key])
            if answer[0] != "assistant":
                raise ValueError(f'"{key}" must end with an answer (role "assistant"), not with role "{answer[0]}"')
            prompts.append(prompt)
            answers.append(answer)
        if not prompts[0]:
            raise ValueError('there is no prompt before the answers of "chosen" and "rejected"')
        if prompts[0] != prompts[1]:
            raise ValueError('"chosen" and "rejected" have different prompts, only their last messages may differ')
        if answers[0] == answers[1]:
            raise ValueError('"chosen" and "rejected" are equal, so neither is preferred')

    @staticmethod
    def encode(tokenizer, records: list[dict]) -> list[dict]:
        conversations = [record[key] for record in records for key in ("chosen", "rejected")]
        rows = []
        for ids, weights in render_batch(tokenizer, conversations):
            last_turn = len(ids) - 1 - ids[::-1].index(tokenizer.bos_token_id)
            rows.append((ids, [0] * last_turn + weights[last_turn:]))
        return [
            {"input_ids": chosen, "loss_mask": mask, "rejected_ids": rejected, "rejected_mask": rejected_mask}
            | {"n_bytes": 0}
            for (chosen, mask), (rejected, rejected_mask) in zip(rows[::2], rows[1::2], strict=True)
        ]

    def __init__(self, jsonl_path, tokenizer, max_length: int = 1024, **kwargs):
        super().__init__(jsonl_path, tokenizer, max_length, **kwargs)
        rejected = np.concatenate([np.diff(c.offsets.to_numpy()) for c in self._chunks("rejected_ids")])[self.kept]
        self.lengths = np.minimum(self.lengths - 1, max_length) + np.minimum(rejected - 1, max_length)  # of both
        self.reference = np.zeros((len(self), 2), dtype=np.float32)

    def make_collate(self) -> PairCollate:
        return PairCollate(self.tokenizer.pad_token_id)

    def subset(self, indices: np.ndarray) -> "DPODataset":
        other = super().subset(indices)
        other.reference = self.reference[indices]
        return other

    def __getitem__(self, index: int) -> tuple:
        row = self.row(index)
        chosen = self.cut(row, "input_ids", "loss_mask")
        return chosen, self.cut(row, "rejected_ids", "rejected_mask"), torch.from_numpy(self.reference[index])

    def prompt(self, index: int) -> list[int]:
        """Token ids up to where the answers of sample `index` begin."""
        row = self.row(index)
        return row["input_ids"][: np.flatnonzero(row["loss_mask"])[0]].tolist()


def _first_nonzero(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """For each list of an Arrow column, the place in it of its first number that is not 0."""
    nonzero = np.flatnonzero(values)
    found = np.searchsorted(nonzero, offsets[:-1])
    return np.append(nonzero, len(values))[found] - offsets[:-1]
