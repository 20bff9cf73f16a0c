"""Text files in, token sequences out: one class per kind of training data. How a file is read is in jsonl.py.

A data set hands out, for index i,

    input_ids (T,) int64, targets (T,) int64, loss_mask (T,) float32

where targets[t] is the token that follows input_ids[t] and loss_mask[t] the weight of learning it: 0 for what is
given, 1 for text and answers, more for markup that a stage wants to stress.
"""

import re
from collections.abc import Sequence

import numpy as np
import torch

from dataset.batching import Collate, PairCollate, shuffled
from dataset.chat import BOS, EOS, PAD, encode_texts, render_batch, split_thought
from dataset.jsonl import DataError, JsonlDataset, check_conversation, check_read, check_text

# What separates turns or documents inside a published "text". <|endoftext|> is among them because corpora join
# documents with it (GPT-2's habit), which is what the marks say here; <think> and the like are text.
_SEPARATORS = re.compile("|".join(map(re.escape, (BOS, EOS, PAD))))


def turns_of(text: str) -> list[str]:
    """The parts of a text between separators; without the blanks around those, and without blank parts."""
    parts = _SEPARATORS.split(text)
    return [part.strip() for part in parts if part.strip()] if len(parts) > 1 else parts


class PretrainDataset(JsonlDataset):
    """{"text": …} lines, packed: documents (<|im_start|> … <|im_end|>) end to end in rows of `max_length` tokens.

    A text that has such marks in it becomes a document of several turns, each between two marks: the tokens that a line
    per turn would give, but the turns stay together.

    Sample i is row i of the current order of documents; `set_order` shuffles the documents anew. Only the last row
    is shorter.
    """

    numbers = ("n_bytes", "n_marks")  # the second: separators that stand in the text

    @staticmethod
    def check(record: dict) -> None:
        if "text" not in record:
            raise ValueError('the key "text" is missing')
        check_text(record["text"], '"text"')
        if not turns_of(record["text"]):
            raise ValueError('"text" holds nothing but turn marks')

    @staticmethod
    def encode(tokenizer, records: list[dict]) -> list[dict]:
        bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
        documents = [turns_of(record["text"]) for record in records]
        encoded = iter(encode_texts(tokenizer, [turn for turns in documents for turn in turns]))
        return [
            {
                "input_ids": [token for _ in turns for token in (bos, *next(encoded), eos)],
                "n_bytes": sum(len(turn.encode()) for turn in turns),
                "n_marks": len(_SEPARATORS.findall(record["text"])),
            }
            for record, turns in zip(records, documents, strict=True)
        ]

    def __init__(self, data_path, tokenizer, max_length: int = 512, **kwargs):
        super().__init__(data_path, tokenizer, max_length, **kwargs)
        self.part: tuple[int, int] | None = None  # of a lone document that was cut in two: from token, to token
        self.set_order(None)

    def make_collate(self) -> Collate:
        return Collate(self.tokenizer.pad_token_id, packed=True)

    def summary(self) -> str:
        n_marks = int(self.columns["n_marks"][self.kept].sum())
        met = f"; {n_marks:,} turn marks in its texts ({BOS}, {EOS}, {PAD}) became control tokens"
        return super().summary() + (met if n_marks else "")

    def subset(self, indices: np.ndarray) -> "PretrainDataset":
        other = super().subset(indices)
        other.set_order(None)
        return other

    def set_order(self, rng: np.random.Generator | None) -> None:
        """Lay the documents out in a random order, or in the file's (None)."""
        n_documents = len(self.kept)
        self.order = np.arange(n_documents, dtype=np.uint32) if rng is None else shuffled(n_documents, rng)
        self.ends = self.lengths[self.order].cumsum(dtype=np.int64)  # where each document ends in the packed stream

    def __len__(self) -> int:
        return -(-int(self.ends[-1] - 1) // self.max_length)  # the last token of all is a target only

    def document(self, index: int) -> np.ndarray:
        """Token ids of document `index`, a view of the cache."""
        ids = self.sequence("input_ids", index)
        return ids[slice(*self.part)] if self.part else ids

    def rows_of(self, indices: Sequence[int]) -> np.ndarray:
        """Row numbers in the cache of all documents that the packed rows hold a part of."""
        starts = np.asarray(indices, dtype=np.int64) * self.max_length
        first = np.searchsorted(self.ends, starts, side="right")
        last = np.searchsorted(self.ends, np.minimum(starts + self.max_length, self.ends[-1] - 1), side="right")
        slots = [np.arange(a, b + 1) for a, b in zip(first, last, strict=True)]
        return self.kept[self.order[np.concatenate(slots)]] if slots else np.empty(0, dtype=np.int64)

    @property
    def n_bytes(self) -> int:
        return self.bytes_of(self.document(0)) if self.part else super().n_bytes

    def split_validation(self, share: float = 0.01, most: int = 1000) -> tuple["PretrainDataset", "PretrainDataset"]:
        """As for every data set; of a lone document (a book) the end is held out, a hundredth or at least a row.

        Raises DataError for one that is shorter than two rows.
        """
        if len(self.kept) > 1:
            return super().split_validation(share, most)
        n_tokens = int(self.lengths[0])
        n_held_out = max(min(round(share * n_tokens), most * self.max_length), self.max_length + 1)
        if n_tokens < 2 * n_held_out:
            raise DataError(
                f"{self.path}: one document of {n_tokens} tokens is too short to hold out a row of {self.max_length} "
                "for validation: add samples, pass a smaller --max_seq_len, or name a file with --val_path"
            )
        cut = n_tokens - n_held_out
        return self.cut_out(0, cut), self.cut_out(cut, n_tokens)

    def cut_out(self, start: int, stop: int) -> "PretrainDataset":
        """Tokens [start, stop) of the only document."""
        other = JsonlDataset.subset(self, np.array([0]))
        other.part, other.lengths = (start, stop), np.array([stop - start], np.int32)
        other.set_order(None)
        return other

    def __getitem__(self, index: int) -> tuple[torch.Tensor, ...]:
        start = index * self.max_length
        stop = min(start + self.max_length + 1, int(self.ends[-1]))  # one more: the last target
        ids = torch.empty(stop - start, dtype=torch.long)
        at, slot = start, int(np.searchsorted(self.ends, start, side="right"))
        while at < stop:
            document, end = self.document(self.order[slot]), int(self.ends[slot])
            first = at - (end - len(document))
            n = min(end, stop) - at
            ids[at - start : at - start + n] = torch.from_numpy(document[first : first + n].astype(np.int64))
            at, slot = at + n, slot + 1
        return ids[:-1], ids[1:], torch.ones(stop - start - 1)


class AnswerDataset(JsonlDataset):
    """What conversations share: they are cut after `max_length` tokens, and those of which no answer is left by then
    are left out and counted in `n_too_long`."""

    sequences = {"input_ids": "token", "loss_mask": "weight"}
    numbers = ("n_bytes", "answer_at")  # the second: the place of the first token of an answer

    def summary(self) -> str:
        left_out = f"; {self.n_too_long} with no answer within {self.max_length} tokens left out"
        return super().summary() + (left_out if self.n_too_long else "")

    @property
    def nothing_left(self) -> str:
        return f"no conversation has an answer within max_seq_len {self.max_length}: pass a larger --max_seq_len"

    def _keep(self, n_tokens: np.ndarray) -> np.ndarray:
        too_long = (n_tokens > 0) & (self.columns["answer_at"] > self.max_length)
        self.n_too_long = int(too_long.sum())
        return (n_tokens > 0) & ~too_long

    @property
    def n_bytes(self) -> int:
        whole = self._sequence_lengths("input_ids")[self.kept] <= self.max_length + 1
        in_parts = 0
        for index in np.flatnonzero(~whole):
            ids, learned = (self.sequence(name, index)[: self.max_length + 1] for name in ("input_ids", "loss_mask"))
            in_parts += self.bytes_of(ids[learned > 0])
        return int(self.columns["n_bytes"][self.kept[whole]].sum()) + in_parts

    def cut(self, index: int, ids: str, mask: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(input_ids, targets, loss_mask) of two columns of a sample."""
        ids = torch.from_numpy(self.sequence(ids, index)[: self.max_length + 1].astype(np.int64))
        mask = torch.from_numpy(self.sequence(mask, index)[: self.max_length + 1].astype(np.float32))
        return ids[:-1], ids[1:], mask[1:]

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return self.cut(index, "input_ids", "loss_mask")


class SFTDataset(AnswerDataset):
    """{"conversations": [{"role", "content"}, …]} lines as ChatML; the assistant's answers are the targets.

    `markup_weight` is the weight of <think>, <answer>, … inside answers.
    """

    @staticmethod
    def check(record: dict) -> None:
        if "conversations" not in record:
            raise ValueError('the key "conversations" is missing')
        check_conversation(record["conversations"])
        check_read(record, "the record")

    @staticmethod
    def encode(tokenizer, records: list[dict], markup_weight: int) -> list[dict]:
        conversations = [record["conversations"] for record in records]
        rows = render_batch(tokenizer, conversations, markup_weight=markup_weight)
        return [
            {
                "input_ids": ids,
                "loss_mask": weights,
                "n_bytes": sum(len(m["content"].encode()) for m in messages if m["role"] == "assistant"),
                "answer_at": first_nonzero(weights),
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
        check_read(record, "the record")
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
            end = len(weights) - first_nonzero(weights[::-1])
            begin = end - weights[end - 1 :: -1].index(0)
            rows.append((ids, [0] * begin + weights[begin:]))
        return [
            {"input_ids": chosen, "loss_mask": mask, "rejected_ids": rejected, "rejected_mask": rejected_mask}
            | {"n_bytes": 0, "answer_at": max(first_nonzero(mask), first_nonzero(rejected_mask))}
            for (chosen, mask), (rejected, rejected_mask) in zip(rows[::2], rows[1::2], strict=True)
        ]

    def __init__(self, jsonl_path, tokenizer, max_length: int = 1024, **kwargs):
        super().__init__(jsonl_path, tokenizer, max_length, **kwargs)
        rejected = self._sequence_lengths("rejected_ids")[self.kept]
        self.lengths = np.minimum(self.lengths - 1, max_length) + np.minimum(rejected - 1, max_length)  # of both
        self.reference = np.zeros((len(self), 2), dtype=np.float32)

    def make_collate(self) -> PairCollate:
        return PairCollate(self.tokenizer.pad_token_id)

    def subset(self, indices: np.ndarray) -> "DPODataset":
        other = super().subset(indices)
        other.reference = self.reference[indices]
        return other

    def __getitem__(self, index: int) -> tuple:
        rejected = self.cut(index, "rejected_ids", "rejected_mask")
        return self.cut(index, "input_ids", "loss_mask"), rejected, torch.from_numpy(self.reference[index])

    def prompt(self, index: int) -> list[int]:
        """Token ids up to where the answers of sample `index` begin."""
        answer_at = np.flatnonzero(self.sequence("loss_mask", index))[0]
        return self.sequence("input_ids", index)[:answer_at].tolist()


def first_nonzero(weights: list[int]) -> int:
    return next(place for place, weight in enumerate(weights) if weight)
