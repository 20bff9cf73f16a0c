"""A JSONL file as token sequences: what the data sets of lm_dataset.py share."""

import copy
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import torch

from dataset.batching import Collate
from dataset.chat_template import template_name
from dataset.jsonl import DataError, bad_line, check_file, line_numbers, parse_line, read_lines
from dataset.token_cache import open_or_build

CACHE_FORMAT = 5  # raise it when the meaning of a cached array changes
MAX_HELD_OUT = 1000  # samples, for validation


class JsonlDataset(torch.utils.data.Dataset):
    """A JSONL file as token sequences in a memory-mapped cache.

    A subclass has `keys` that a record must have, check(record), which raises ValueError for one that cannot be used,
    and encode(records), which yields for each a dict of its `sequences`, lists of one length, and `numbers`.

    Raises DataError for the first line that cannot be used, or, with `skip_bad_lines`, leaves such lines out and counts
    them in `n_skipped`. `tokenizer` is a fast Hugging Face tokenizer, `cache_dir` a folder that may be shared,
    `num_proc` the number of processes that tokenise: by default one per core, fewer for a small file."""

    sequences = ("input_ids",)
    variant = ""  # what else decides how a record is read

    def __init__(self, path, tokenizer, max_length: int, skip_bad_lines=False, cache_dir=None, num_proc=None):
        self.path, self.tokenizer, self.max_length = check_file(path), tokenizer, max_length
        self.skip_bad_lines = bool(skip_bad_lines)
        types = {"input_ids": "uint16" if len(tokenizer) <= 1 << 16 else "uint32", "loss_mask": "uint8"}
        self.dtypes = {"rows": [(name, "int64") for name in ("offset", "end", *self.numbers)]}
        self.dtypes |= {name: types[name] for name in self.sequences}
        identity = [CACHE_FORMAT, type(self).__name__, self.skip_bad_lines, tokenizer.backend_tokenizer.to_str()]
        identity += [tokenizer.bos_token_id, tokenizer.eos_token_id, template_name(tokenizer)]
        identity += [self.variant] if self.variant else []
        cache_dir = Path(cache_dir or Path.home() / ".cache" / "minimind").absolute()
        self.cache = open_or_build(
            self.path, cache_dir, str(identity), self.dtypes, self.tokenise, len(tokenizer), num_proc
        )
        self.fingerprint = self.cache.content_hash
        n_tokens = np.diff(self.cache["rows"]["end"], prepend=0)
        # Of every line only small numbers are held in memory: int32 and uint32 do for two billion lines.
        self.kept = np.flatnonzero(n_tokens).astype(np.uint32)  # row numbers in the cache
        self.lengths = n_tokens[self.kept].astype(np.int32)
        self.n_skipped = len(n_tokens) - len(self.kept)
        self.notes = [f"{self.n_skipped} bad lines skipped"] if self.n_skipped else []
        self.require_samples("every line was skipped or blank")

    def tokenise(self, start: int, end: int) -> dict[str, np.ndarray]:
        """The cache's arrays for the lines that begin in bytes [start, end); a skipped line is a row without tokens."""
        offsets, records = [], []
        for offset, line in read_lines(self.path, start, end):
            try:
                record = parse_line(line)
                if missing := [key for key in self.keys if key not in record]:
                    raise ValueError(f'the key "{missing[0]}" is missing')
                self.check(record)
            except ValueError as error:
                if not self.skip_bad_lines:
                    others = start or records  # skipping lines helps only if some are good
                    advice = "correct the line" + (", or pass --skip_bad_lines 1" if others else "")
                    raise bad_line(self.path, offset, str(error), advice) from None
                record = None
            offsets.append(offset)
            records.append(record)
        encoded = self.encode([record for record in records if record is not None])
        lines = [dict.fromkeys(self.sequences, ()) if record is None else next(encoded) for record in records]
        rows = np.zeros(len(lines), self.dtypes["rows"])
        rows["offset"] = offsets
        rows["end"] = np.cumsum([len(line["input_ids"]) for line in lines])
        for name in self.numbers:
            rows[name] = [line.get(name, 0) for line in lines]
        arrays = {"rows": rows}
        for name in self.sequences:
            arrays[name] = np.fromiter(chain.from_iterable([line[name] for line in lines]), self.dtypes[name])
        return arrays

    def require_samples(self, why_none: str) -> None:
        if not len(self.kept):
            raise DataError(f"{self.path}: it has no usable line: {why_none}")

    def __len__(self) -> int:
        return len(self.kept)

    def make_collate(self) -> Collate:
        return Collate(self.tokenizer.pad_token_id)

    def summary(self) -> str:
        """One line for the screen: file, samples, tokens, and what the reading of the file noted."""
        samples = f"{self.path}, {len(self.kept):,} samples, {int(self.lengths.sum()):,} tokens"
        return "; ".join([f"data: {samples}", *self.notes])

    def number(self, name: str) -> np.ndarray:
        """One of `numbers`, for every sample."""
        return self.cache["rows"][name][self.kept]

    def sequence(self, name: str, index: int) -> np.ndarray:
        """One of `sequences` of sample `index`, a view of the cache."""
        row, ends = int(self.kept[index]), self.cache["rows"]["end"]
        return self.cache[name][ends[row - 1] if row else 0 : ends[row]]

    def rows_of(self, indices: Sequence[int]) -> np.ndarray:
        """Row numbers in the cache of what samples are made of."""
        return self.kept[np.asarray(indices, dtype=np.int64)]

    def lines(self, indices: Sequence[int]) -> list[int]:
        """Numbers, from 1, of the lines of the file that these samples come from, in the file's order."""
        return line_numbers(self.path, self.cache["rows"]["offset"][np.unique(self.rows_of(indices))].tolist())

    def subset(self, indices: np.ndarray) -> "JsonlDataset":
        """The same data set with only these samples; the cache is shared."""
        other = copy.copy(self)
        other.kept, other.lengths = self.kept[indices], self.lengths[indices]
        return other

    def split_validation(self, share: float = 0.01) -> tuple["JsonlDataset", "JsonlDataset"]:
        """(training, validation), a fixed random share of 1 to MAX_HELD_OUT samples; DataError for a single sample."""
        n_samples = len(self.kept)
        if n_samples < 2:
            what = "one sample cannot be split into training and validation"
            raise DataError(f"{self.path}: {what}: add samples, such as a book's chapters, or pass --val_path")
        order = np.random.default_rng(0).permutation(n_samples)  # the same samples in every run and every stage
        n_held_out = min(max(1, round(share * n_samples)), MAX_HELD_OUT)
        return self.subset(np.sort(order[n_held_out:])), self.subset(np.sort(order[:n_held_out]))
