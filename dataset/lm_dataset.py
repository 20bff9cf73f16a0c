"""Text files in, token sequences out: one class per kind of training data. A data set hands out, for index i,

    input_ids (T,) int64, targets (T,) int64, loss_mask (T,) float32

where targets[t] is the token that follows input_ids[t] and loss_mask[t] the weight of learning it: 0 for what is
given, 1 for text and answers, more for markup that a stage wants to stress.
"""

import re
import zlib
from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
import torch

from dataset import chat
from dataset.batching import Collate, PairCollate
from dataset.chat_template import template_name
from dataset.heldout import normalise
from dataset.jsonl import bad_line, check_text, parse_line
from dataset.jsonl_dataset import JsonlDataset

# What separates turns or documents inside a published "text". <|endoftext|> is among them because corpora join
# documents with it (GPT-2's habit), which is what the marks say here; <think> and the like are text.
_SEPARATORS = re.compile("|".join(map(re.escape, (chat.BOS, chat.EOS, chat.PAD))))
UNREAD = {"function_call": "write it as tool_calls", "tools": "put them into the system turn"}


def split_turns(text: str) -> list[str]:
    """The non-blank parts of a text between separators, stripped; a text without separators as it is."""
    parts = _SEPARATORS.split(text)
    return [part.strip() for part in parts if part.strip()] if len(parts) > 1 else parts


class PretrainDataset(JsonlDataset):
    """{"text": …} lines, packed: documents (<|im_start|> … <|im_end|>) end to end in rows of `max_length` tokens. A
    text with such marks in it becomes one document of several turns, each between two marks. Sample i is row i of the
    current order of documents; `set_order` shuffles the documents anew. Only the last row is shorter."""

    keys = ("text",)
    numbers = ("n_bytes", "n_marks")  # the second: separators in the text

    def check(self, record: dict) -> None:
        check_text(record["text"], '"text"')
        if not split_turns(record["text"]):
            raise ValueError('"text" contains nothing but turn marks')

    def encode(self, records: list[dict]) -> Iterator[dict]:
        bos, eos = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id
        documents = [split_turns(record["text"]) for record in records]
        encoded = iter(chat.encode_texts(self.tokenizer, list(chain.from_iterable(documents))))
        for record, turns in zip(records, documents, strict=True):
            ids = [token for _ in turns for token in (bos, *next(encoded), eos)]
            n_bytes, n_marks = sum(len(turn.encode()) for turn in turns), len(_SEPARATORS.findall(record["text"]))
            yield {"input_ids": ids, "n_bytes": n_bytes, "n_marks": n_marks}

    def __init__(self, data_path, tokenizer, max_length: int = 512, **kwargs):
        super().__init__(data_path, tokenizer, max_length, **kwargs)
        if n_marks := self.number("n_marks").sum():
            marks = f"({chat.BOS}, {chat.EOS}, {chat.PAD})"
            self.notes.append(f"{n_marks:,} turn marks in its texts {marks} became control tokens")
        self.set_order(None)

    def set_order(self, rng: np.random.Generator | None) -> None:
        """Lay the documents out in a random order, or in the file's (None)."""
        self.order = np.arange(len(self.kept), dtype=np.uint32)
        if rng:
            rng.shuffle(self.order)
        self.ends = self.lengths[self.order].cumsum(dtype=np.int64)  # where each document ends in the packed stream

    def __len__(self) -> int:
        return -(-int(self.ends[-1] - 1) // self.max_length)  # the last token of all is a target only

    def __getitem__(self, index: int) -> tuple[torch.Tensor, ...]:
        start, stop, places = self.span(index)
        parts = []
        for place in places:
            document = self.document(self.order[place])
            begin = int(self.ends[place]) - len(document)
            parts.append(document[max(0, start - begin) : stop - begin])
        ids = torch.from_numpy(np.concatenate(parts, dtype=np.int64))
        return ids[:-1], ids[1:], torch.ones(len(ids) - 1)

    def span(self, index: int) -> tuple[int, int, range]:
        """A row as tokens [start, stop) of the packed stream, and the places in `order` of the documents in it."""
        start = index * self.max_length
        stop = min(start + self.max_length + 1, int(self.ends[-1]))  # one more: the last target
        first, last = np.searchsorted(self.ends, (start, stop - 1), side="right")
        return start, stop, range(first, last + 1)

    def document(self, index: int) -> np.ndarray:
        """Token ids of document `index`, a view of the cache."""
        return self.sequence("input_ids", index)

    def rows_of(self, indices: Sequence[int]) -> np.ndarray:
        places = [place for index in indices for place in self.span(index)[2]]
        return super().rows_of(self.order[np.array(places, dtype=np.int64)])

    def make_collate(self) -> Collate:
        return Collate(self.tokenizer.pad_token_id, packed=True)

    @property
    def n_bytes(self) -> int:
        """Bytes of UTF-8 in the texts."""
        return int(self.number("n_bytes").sum())

    def subset(self, indices: np.ndarray) -> "PretrainDataset":
        other = super().subset(indices)
        other.set_order(None)
        return other


def check_conversation(record: dict, key: str) -> None:
    """ValueError unless record[key] is a conversation with an answer in it, all of it text."""
    chat.check_messages(record[key])
    if not any(message["role"] == "assistant" for message in record[key]):
        raise ValueError(f'"{key}" has no answer (no message with role "assistant")')
    for number, message in enumerate(record[key], 1):
        name, is_first = f'message {number} of "{key}"', number == 1
        text = chat.answer_text({**message, "reasoning_content": None}, "minimind")  # with its calls
        if text or not (message["role"] == "tool" or (is_first and chat.read_list(message, "tools"))):
            check_text(text, f"the content of {name}")
        if message.get("reasoning_content"):
            check_text(message["reasoning_content"], f"the reasoning_content of {name}")
        if message.get("tools"):
            check_text(chat.as_json(message["tools"]), f"what {name} offers")
        check_keys(message, name, {"function_call"})
    check_keys(record, "the record", {"function_call", "tools"})


def check_keys(part: dict, name: str, keys: set[str]) -> None:
    """ValueError for a key that would be ignored silently."""
    for key in keys & part.keys():
        if part[key] and part[key] != "[]":
            what = f'{name} has the key "{key}", which training does not read there'
            raise ValueError(f"{what}: {UNREAD[key]}, or remove it")


class AnswerDataset(JsonlDataset):
    """What conversations share: they are cut after `max_length` tokens, and those without any answer left by then are
    left out and counted in `n_too_long`. The number `answer_at` is the place of the first token of an answer."""

    sequences = ("input_ids", "loss_mask")

    def __init__(self, path, tokenizer, max_length: int, **kwargs):
        super().__init__(path, tokenizer, max_length, **kwargs)
        within = self.number("answer_at") <= max_length
        self.n_too_long = int((~within).sum())
        self.kept, self.lengths = self.kept[within], self.lengths[within]
        if self.n_too_long:
            self.notes.append(f"{self.n_too_long} without an answer within {max_length} tokens dropped")
        self.require_samples(
            f"no conversation has an answer within max_seq_len {max_length}: pass a larger --max_seq_len"
        )

    def cut(self, index: int, start: int = 0, stop: int | None = None) -> list[np.ndarray]:
        """[tokens, loss weights] from `start` to `stop` of a sample, at most max_length + 1."""
        return [self.sequence(name, index)[start:stop][: self.max_length + 1] for name in self.sequences]

    def __getitem__(self, index: int, start: int = 0, stop: int | None = None) -> tuple:
        ids, weights = self.cut(index, start, stop)
        ids = torch.from_numpy(ids.astype(np.int64))
        return ids[:-1], ids[1:], torch.from_numpy(weights[1:].astype(np.float32))


class SFTDataset(AnswerDataset):
    """{"conversations": [{"role", "content"}, …]} lines as ChatML; the assistant's answers are the targets."""

    keys = ("conversations",)
    numbers = ("answer_at", "n_bytes")
    markup_weight = 1  # of <think>, <answer>, … inside answers
    # Of the conversations in Qwen3's format, the share that shows empty thoughts: MiniMind-3's, so that its weights
    # can do without them.
    empty_thoughts = 0.2

    def check(self, record: dict) -> None:
        check_conversation(record, "conversations")

    def encode(self, records: list[dict]) -> Iterator[dict]:
        conversations = [record["conversations"] for record in records]
        kept = [True] * len(conversations)
        if self.empty_thoughts < 1 and template_name(self.tokenizer) == "qwen3":
            hashes = (zlib.crc32(chat.as_json(messages).encode()) for messages in conversations)
            kept = [number < self.empty_thoughts * 2**32 for number in hashes]
        rendered = chat.render_batch(self.tokenizer, conversations, False, self.markup_weight, empty_thoughts=kept)
        for messages, keeps, (ids, weights) in zip(conversations, kept, rendered, strict=True):
            n_bytes = len(chat.learned_text(self.tokenizer, messages, keeps).encode())
            answer_at = np.flatnonzero(weights)[0]
            yield {"input_ids": ids, "loss_mask": weights, "answer_at": answer_at, "n_bytes": n_bytes}

    def __init__(self, jsonl_path, tokenizer, max_length: int = 512, **kwargs):
        super().__init__(jsonl_path, tokenizer, max_length, **kwargs)
        self.lengths = np.minimum(self.lengths - 1, max_length)  # of input_ids

    @property
    def n_bytes(self) -> int:
        """Bytes of UTF-8 in the answers, as far as they are within `max_length`."""
        longest = self.lengths == self.max_length  # among them those that are cut
        n_bytes = int(self.number("n_bytes")[~longest].sum())
        marks = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id  # around turns, and no text
        for ids, weights in map(self.cut, np.flatnonzero(longest)):
            ids = ids[(weights > 0) & ~np.isin(ids, marks)]
            n_bytes += len(self.tokenizer.decode(ids, clean_up_tokenization_spaces=False).encode())
        return n_bytes


class ReasonDataset(SFTDataset):
    """Conversations whose every answer is <think>\\n…\\n</think>\\n<answer>\\n…\\n</answer>; the tags weigh 10."""

    markup_weight = 10
    empty_thoughts = 1.0

    def check(self, record: dict) -> None:
        super().check(record)
        for number, message in enumerate(record["conversations"], 1):
            if message["role"] == "assistant":
                name, parts = f'message {number} of "conversations"', chat.split_thought(message["content"])
                if parts is None:
                    form = "<think>…</think><answer>…</answer>, each tag once"
                    raise ValueError(f"the answer in {name} does not have the form {form}")
                if not parts[1]:
                    raise ValueError(f"{name} has nothing between <answer> and </answer>")


class DPODataset(AnswerDataset):
    """{"chosen": [{"role", "content"}, …], "rejected": […]} lines: one prompt, a better and a worse last answer. Sample
    i is ((input_ids, targets, loss_mask) of the chosen, the same of the rejected, reference (2,) float32). Only the
    last answer of each is learned. `reference` (samples, 2), set before training, holds both answers' log-probabilities
    under the starting weights; until then they are 0."""

    keys = ("chosen", "rejected")
    numbers = ("answer_at", "n_chosen")  # the second: tokens of the chosen conversation; the rejected one follows

    def check(self, record: dict) -> None:
        conversations = []
        for key in self.keys:
            check_conversation(record, key)
            conversations.append([(message["role"], message["content"].strip()) for message in record[key]])
            if (role := record[key][-1]["role"]) != "assistant":
                raise ValueError(f'"{key}" must end with an answer (role "assistant"), not with role "{role}"')
        (*prompt, chosen), (*other_prompt, rejected) = conversations
        if not prompt:
            raise ValueError('there is no prompt before the answers of "chosen" and "rejected"')
        if prompt != other_prompt:
            raise ValueError('"chosen" and "rejected" have different prompts: only their last messages may differ')
        if chosen == rejected:
            raise ValueError('"chosen" and "rejected" are equal, so neither is preferred')

    def encode(self, records: list[dict]) -> Iterator[dict]:
        rendered = chat.render_batch(self.tokenizer, [record[key] for record in records for key in self.keys])
        for (chosen, weights), (rejected, more_weights) in zip(rendered[::2], rendered[1::2], strict=True):
            masks = only_last_answer(weights), only_last_answer(more_weights)
            yield {
                "input_ids": chosen + rejected, "loss_mask": masks[0] + masks[1],
                "answer_at": max(np.flatnonzero(mask)[0] for mask in masks), "n_chosen": len(chosen),
            }  # fmt: skip

    def __init__(self, jsonl_path, tokenizer, max_length: int = 1024, **kwargs):
        super().__init__(jsonl_path, tokenizer, max_length, **kwargs)
        self.n_chosen = self.number("n_chosen").astype(np.int32)
        n_rejected = self.lengths - self.n_chosen
        self.lengths = np.minimum(self.n_chosen - 1, max_length) + np.minimum(n_rejected - 1, max_length)
        self.reference = np.zeros((len(self), 2), dtype=np.float32)

    def __getitem__(self, index: int) -> tuple:
        chosen = super().__getitem__(index, 0, self.n_chosen[index])
        rejected = super().__getitem__(index, self.n_chosen[index])
        return chosen, rejected, torch.from_numpy(self.reference[index])

    def prompt(self, index: int) -> list[int]:
        """Token ids up to where the answers of sample `index` begin."""
        answer_at = np.flatnonzero(self.sequence("loss_mask", index))[0]
        return self.sequence("input_ids", index)[:answer_at].tolist()

    def make_collate(self) -> PairCollate:
        return PairCollate(self.tokenizer.pad_token_id)

    def subset(self, indices: np.ndarray) -> "DPODataset":
        other = super().subset(indices)
        other.n_chosen, other.reference = self.n_chosen[indices], self.reference[indices]
        return other


def only_last_answer(weights: list[int]) -> list[int]:
    """The loss weights of a conversation, 0 before its last answer: their last unbroken run is left."""
    places = np.flatnonzero(weights)
    begin = int(places[np.diff(places, prepend=-2) > 1][-1])
    return [0] * begin + weights[begin:]


class QuestionDataset(JsonlDataset):
    """Questions, perhaps with what answers them: {"messages": […], "answers": […]} lines, as the held-out files have
    them, or published ones, {"conversations": […], "gt": […]}, whose last answer is left out.

    Each sample is {"questions": its place}; `prompt` and `question` give what is there. Prompts are written as `stage`
    wants them (dataset.chat.as_trained) and begin the answer with `opening`. Raises DataError for the first that leaves
    no `room` for the answer within `max_length` tokens, or has no right answer where they are needed."""

    keys = ()
    numbers = ()

    def __init__(self, path, tokenizer, max_length: int, stage="", opening="", room=0, needs_answers=False, **kwargs):
        self.stage, self.opening, self.needs_answers = stage, opening, needs_answers
        self.variant = f"{stage} {opening} {needs_answers}"
        super().__init__(path, tokenizer, max_length, **kwargs)
        fits = self.lengths <= max_length - room
        if not (fits.all() or self.skip_bad_lines):
            first = int(fits.argmin())
            what = f"the question is {self.lengths[first]} tokens long, only {max_length - room} fit beside the answer"
            advice = "shorten it, or pass --skip_bad_lines 1"
            raise bad_line(self.path, int(self.cache["rows"]["offset"][self.kept[first]]), what, advice)
        self.kept, self.lengths = self.kept[fits], self.lengths[fits]
        self.require_samples("no question leaves room for the answer")

    def check(self, record: dict) -> None:
        messages, answers = question_of(record)
        chat.check_messages(messages)
        if not messages or messages[-1]["role"] not in ("user", "tool"):
            raise ValueError("there is no question: the conversation must end with what a user says")
        for message in messages:
            check_text(message["content"], "a message")
        if not isinstance(answers, list) or not all(isinstance(answer, str) for answer in answers):
            raise ValueError('"answers" (or "gt") must be a list of texts')
        if self.needs_answers and not any(normalise(answer) for answer in answers):
            raise ValueError('there is no right answer, which these rewards need (key "answers" or "gt")')

    def encode(self, records: list[dict]) -> Iterator[dict]:
        asked = [chat.as_trained(question_of(record)[0], self.stage) for record in records]
        rendered = chat.render_batch(self.tokenizer, asked, add_generation_prompt=True, opening=self.opening)
        yield from ({"input_ids": ids} for ids, _ in rendered)

    def __getitem__(self, index: int) -> int:
        return index

    def make_collate(self):
        return collate_places

    def prompt(self, index: int) -> list[int]:
        return self.sequence("input_ids", index).tolist()

    def question(self, index: int) -> tuple[list[dict], list[str]]:
        """(messages, what is right), read from the file."""
        with open(self.path, "rb") as file:
            file.seek(int(self.cache["rows"]["offset"][self.kept[index]]))
            return question_of(parse_line(file.readline()))

    def split_validation(self, share: float = 0.05):
        return super().split_validation(share)


def question_of(record: dict) -> tuple[list[dict], list[str]]:
    """(messages up to the question, right answers) of a record."""
    messages = record.get("messages", record.get("conversations"))
    if isinstance(messages, list) and messages and isinstance(messages[-1], dict):
        messages = messages[: -1 if messages[-1].get("role") == "assistant" else None]
    answers = record.get("answers", record.get("gt", []))
    answers = answers if isinstance(answers, list) else [answers]
    return messages, [str(a) if isinstance(a, int | float) else a for a in answers]


def collate_places(places: list[int]) -> dict[str, torch.Tensor]:
    return {"questions": torch.tensor(places, dtype=torch.long)}
