"""Text generation with a KV cache: one engine for chat, scoring, the page and the server.

    engine = Generator(model, tokenizer, max_batch=16, max_length=512)
    for piece in engine.stream(prompt_ids, Sampling(temperature=0.7, top_p=0.9)):
        print(piece.text, end="")

A decoder makes one token at a time, and a token looks at the keys and values of all tokens before it. These never
change again, so each is computed once and kept: the *KV cache*. A request's life has two parts. *Prefill* reads the
whole prompt in one pass, fills the cache and gives the first token. *Decode* then feeds back one token per step; its
cost is reading every weight once, whoever shares the step, and so many requests run in one batch. They join and leave
at any step (continuous batching: Yu et al. 2022, "Orca", section 3.2), for every row has a length of its own.

Read on from top to bottom: network -> text -> request -> engine; model/kv_cache.py is the cache, model/sampling.py
chooses the tokens. Shapes in comments: B running requests (rows), T tokens, S positions, C hidden_size, V vocabulary.
"""

import codecs
import contextlib
import copy
import random
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue

import torch

from model.kv_cache import CachedRows, KVCache
from model.model_minimind import MiniMindForCausalLM
from model.sampling import Logprob, Sampling, choose, logprobs_of

PREFILL_TOKENS = 8192  # most that are read in one pass, padding included; it bounds the memory of the pass
CACHE_TOKENS = 1 << 16  # that the cache of a list of prompts holds: half a GiB for 512 x 8 in float32

# ---------------------------------------------------------------- network


class PlainNetwork:
    """The model itself, behind the two calls of the engine. model/fast/decoding.py has a faster one."""

    def __init__(self, model: MiniMindForCausalLM, dtype: torch.dtype, positions: int):
        if dtype == torch.int8:
            raise ValueError("dtype int8 needs model/fast, which is not here: use float32 or bfloat16")
        self.model = model if model.dtype == dtype else copy.deepcopy(model).to(dtype)

    def prefill(self, ids: torch.Tensor, lengths: list[int], cache: KVCache, first_row: int) -> torch.Tensor:
        """Prompts ids (B, T), padded on the right, into the cache's new rows; logits after each one's last (B, V)."""
        places = torch.arange(ids.shape[1], device=ids.device)
        visible = places <= places[:, None]  # (T, T); padding needs no mask, a token looks only to its left
        hidden = self.hidden(ids, visible[None, None], places[None], CachedRows(cache, first_row))
        return self.model.lm_head(hidden[torch.arange(len(lengths)), torch.tensor(lengths) - 1]).float()

    def decode(self, ids: torch.Tensor, lengths: list[int], cache: KVCache) -> torch.Tensor:
        """One new token per row, ids (B,), after `lengths` earlier ones; logits (B, V)."""
        positions, span = torch.tensor(lengths, device=ids.device), max(lengths) + 1
        visible = torch.arange(span, device=ids.device) <= positions[:, None]  # (B, S)
        rows = CachedRows(cache, positions=positions, span=span)
        hidden = self.hidden(ids[:, None], visible[:, None, None], positions[:, None], rows)
        return self.model.lm_head(hidden[:, 0]).float()

    def hidden(self, ids, visible, positions, rows: CachedRows) -> torch.Tensor:
        """ids (B, T), visible (B or 1, 1, T, S), positions (B or 1, T) -> (B, T, C)."""
        return self.model.model(ids, visible, positions, rows).last_hidden_state


try:
    from model.fast.decoding import FastNetwork as Network
except ModuleNotFoundError:  # model/fast may be deleted
    Network = PlainNetwork


# ---------------------------------------------------------------- text


def bytes_of_tokens(tokenizer, skip_special_tokens: bool) -> list[bytes]:
    """What each id of a byte-level BPE stands for; a character of its vocabulary is one byte (GPT-2's alphabet)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    alphabet = {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}
    added = tokenizer.added_tokens_decoder
    table = []
    for i, token in enumerate(tokenizer.convert_ids_to_tokens(range(len(tokenizer)))):
        if i in added:
            table.append(b"" if added[i].special and skip_special_tokens else token.encode())
        elif set(token) <= alphabet.keys():
            table.append(bytes(alphabet[c] for c in token))
        else:
            raise ValueError(f"{tokenizer.name_or_path}: its token {token!r} shows that it is no byte-level BPE")
    return table


class TextStream:
    """Bytes -> text as it may be shown: never half a character, and never a part of what may become a stop string."""

    def __init__(self, stop: Sequence[str]):
        self.stop, self.held = stop, ""
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, token: bytes, last: bool = False) -> tuple[str, bool]:
        """(new text, whether a stop string has come); with `last`, all that was held back."""
        self.held += self.decoder.decode(token, last)
        found = [place for place in map(self.held.find, self.stop) if place >= 0]
        if found:
            return self.held[: min(found)], True
        held = 0 if last else max((self.begun(stop) for stop in self.stop), default=0)
        shown, self.held = self.held[: len(self.held) - held], self.held[len(self.held) - held :]
        return shown, False

    def begun(self, stop: str) -> int:
        """How many characters at the end of the text are the beginning of `stop`."""
        return next((n for n in range(len(stop) - 1, 0, -1) if self.held.endswith(stop[:n])), 0)


# ---------------------------------------------------------------- request


@dataclass
class Piece:
    """A part of an answer: what has become certain since the last piece. A token's text may come with a later one."""

    text: str
    token_ids: list[int]  # includes a stop token, which has no text
    logprobs: list[Logprob]  # one per token if asked for
    finish_reason: str | None = None  # with the last piece: "stop", "length" or "cancelled"


@dataclass(eq=False)
class Request:
    """An answer in the making. Iterate over it for its pieces, from any thread, while some thread runs the engine."""

    prompt_ids: list[int]
    sampling: Sampling
    stop_ids: Sequence[int]
    max_tokens: int
    token_bytes: list[bytes]
    pieces: SimpleQueue
    text: str = ""
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[Logprob] = field(default_factory=list)
    finish_reason: str | None = None
    cancelled: bool = False

    def __post_init__(self):
        self.noise, self.text_stream = random.Random(self.sampling.seed), TextStream(self.sampling.stop)
        self.n_sent = 0
        self.received = False  # the last piece

    @property
    def n_cached(self) -> int:
        """Tokens in the cache: all but the newest."""
        return len(self.prompt_ids) + len(self.token_ids) - 1

    def cancel(self) -> None:
        """Leave at the next step, with one last piece. After the end it does nothing."""
        self.cancelled = True

    def add(self, token: int) -> None:
        """Take the next token, and send what has become certain."""
        self.token_ids.append(token)
        ended, full = token in self.stop_ids, len(self.token_ids) == self.max_tokens
        text, stopped = self.text_stream.add(b"" if ended else self.token_bytes[token], ended or full)
        self.send(text, "stop" if ended or stopped else "length" if full else None)

    def send(self, text: str, finish_reason: str | None) -> None:
        self.text += text
        if text or finish_reason:
            new = slice(self.n_sent, len(self.token_ids))
            self.n_sent, self.finish_reason = new.stop, finish_reason  # before another thread can see the piece
            self.pieces.put(Piece(text, self.token_ids[new], self.logprobs[new], finish_reason))

    def receive(self, work: Callable[[], object] | None = None) -> Iterator[Piece]:
        """Waits for each piece, or does `work` until it is there. Raises what made the engine fail."""
        while not self.received:
            while work and self.pieces.empty():
                work()
            piece = self.pieces.get()
            if isinstance(piece, BaseException):
                self.pieces.put(piece)  # for whoever asks again
                raise piece
            self.received = piece.finish_reason is not None
            yield piece


# ---------------------------------------------------------------- engine


class Generator:
    """Runs requests in one batch. `submit` and `cancel` may be called from any thread, and steps take turns.

    Holds a copy of the model's weights laid out for inference, adapters merged: call `refresh` after training on.
    `max_length` is the context of prompt and answer together, by default all positions that the model has; `dtype` is
    what the network computes in, by default the model's; int8 is bfloat16 with weights of 8 bits, which pays for one or
    two streams on a CPU. Raises ValueError for sizes that cannot be, and for int8 elsewhere."""

    def __init__(
        self, model: MiniMindForCausalLM, tokenizer, max_batch: int = 16, max_length: int | None = None,
        dtype: torch.dtype | None = None,
    ):  # fmt: skip
        positions = model.config.max_position_embeddings
        self.max_batch, self.max_length = max_batch, positions if max_length is None else max_length
        if max_batch < 1:
            raise ValueError(f"max_batch {max_batch}: it must be at least 1")
        if not 2 <= self.max_length <= positions:
            raise ValueError(f"max_length {max_length}: it must lie between 2 and the model's {positions} positions")
        self.model, self.eos_token_id, self.dtype = model, tokenizer.eos_token_id, dtype or model.dtype
        if self.dtype == torch.int8 and model.device.type != "cpu":
            raise ValueError(f"dtype int8 is for a CPU, this model is on {model.device.type}: use bfloat16")
        unknown = [b""] * (model.config.vocab_size - len(tokenizer))
        self.token_bytes = {skip: bytes_of_tokens(tokenizer, skip) + unknown for skip in (True, False)}
        cached = torch.bfloat16 if self.dtype == torch.int8 else self.dtype
        self.cache = KVCache(model.config, max_batch, self.max_length, cached, model.device)
        self.submitted: SimpleQueue[Request] = SimpleQueue()
        self.waiting: deque[Request] = deque()
        self.running: list[Request] = []  # the request of each row
        self.turn, self.work = threading.Lock(), threading.Event()
        self.door, self.closed = threading.Lock(), False  # whether `run` has ended
        self.refresh()

    def refresh(self) -> None:
        """Read the model's weights anew. RuntimeError while requests run: their cache is of the old ones."""
        with self.turn, torch.inference_mode():
            if self.running:
                raise RuntimeError(f"{len(self.running)} requests are running: refresh when they have ended")
            self.network = Network(self.model, self.dtype, self.max_length)

    def submit(self, prompt_ids: Sequence[int], sampling: Sampling | None = None, pieces=None) -> Request:
        """Queue a prompt; ValueError if it is empty, not of the vocabulary, or too long with its max_tokens;
        RuntimeError once `run` has ended. `pieces` (default: a queue) has a `put` for pieces, or the engine's error."""
        prompt_ids, sampling = list(prompt_ids), sampling or Sampling()
        vocabulary, room = self.model.config.vocab_size, self.max_length - len(prompt_ids)
        if not prompt_ids:
            raise ValueError("the prompt is empty: give it at least one token")
        if not 0 <= min(prompt_ids) <= max(prompt_ids) < vocabulary:
            raise ValueError(f"a token id in the prompt lies outside of the vocabulary of {vocabulary}")
        if room < (sampling.max_tokens or 1):
            raise ValueError(
                f"{len(prompt_ids)} tokens of prompt and {sampling.max_tokens or 1} of answer do not fit "
                f"the context of {self.max_length}: shorten the prompt or lower max_tokens"
            )
        stop_ids = (self.eos_token_id,) if sampling.stop_ids is None else sampling.stop_ids
        token_bytes, pieces = self.token_bytes[sampling.skip_special_tokens], pieces or SimpleQueue()
        request = Request(prompt_ids, sampling, stop_ids, sampling.max_tokens or room, token_bytes, pieces)
        with self.door:
            if self.closed:
                raise RuntimeError("this engine has been stopped and takes no more requests")
            self.submitted.put(request)
        self.work.set()
        return request

    def step(self) -> int:
        """Advance every request by a token; those that join read their prompt first. How many are left after it."""
        with self.turn, torch.inference_mode():
            try:
                self.admit()
                while joining := self.next_to_join():
                    self.prefill(joining)
                if self.running:
                    self.decode()
            except BaseException as error:  # whoever waits for an answer hears of it
                for request in (*self.running, *self.waiting):
                    if not request.finish_reason:
                        request.pieces.put(error)
                self.running.clear()
                self.waiting.clear()
                raise
            return len(self.running) + len(self.waiting) + self.submitted.qsize()

    def admit(self) -> None:
        """Take in what was submitted, let go what was cancelled."""
        while not self.submitted.empty():
            self.waiting.append(self.submitted.get())
        for request in (*self.running, *self.waiting):
            if request.cancelled:
                request.send(request.text_stream.add(b"", last=True)[0], "cancelled")
        self.waiting = deque(request for request in self.waiting if not request.finish_reason)
        self.leave()

    def next_to_join(self) -> list[Request]:
        """The first that wait, as many as there are free rows, and as one pass can read."""
        joining, longest = [], 0
        while self.waiting and len(self.running) + len(joining) < self.max_batch:
            longest = max(longest, len(self.waiting[0].prompt_ids))
            if joining and longest * (len(joining) + 1) > PREFILL_TOKENS:
                break
            joining.append(self.waiting.popleft())
        return joining

    def prefill(self, joining: list[Request]) -> None:
        """Read the prompts of new requests, one that several share once."""
        first_row, asked = len(self.running), [tuple(request.prompt_ids) for request in joining]
        self.running += joining
        places = {prompt: place for place, prompt in enumerate(dict.fromkeys(asked))}
        ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(prompt) for prompt in places], batch_first=True)
        logits = self.network.prefill(ids.to(self.cache.data.device), [*map(len, places)], self.cache, first_row)
        if len(places) < len(joining):
            sources = torch.tensor([places[prompt] for prompt in asked], device=logits.device)
            self.cache.spread(first_row, sources, ids.shape[1])
            logits = logits[sources]
        self.hand_out(logits, joining)

    def decode(self) -> None:
        ids = torch.tensor([request.token_ids[-1] for request in self.running], device=self.cache.data.device)
        logits = self.network.decode(ids, [request.n_cached for request in self.running], self.cache)
        self.hand_out(logits, self.running)

    def hand_out(self, logits: torch.Tensor, requests: list[Request]) -> None:
        """Give each request its next token, chosen from logits (B, V); who has finished leaves."""
        if not logits.isfinite().all():
            raise ValueError(
                f"the network's logits are not finite (computed in {str(self.dtype).removeprefix('torch.')}): its "
                "weights are broken, or too large for that type: try float32, or another weight"
            )
        tokens = choose(logits, requests)
        wanted = [row for row, request in enumerate(requests) if request.sampling.logprobs is not None]
        if wanted:
            n_top = [requests[row].sampling.logprobs for row in wanted]
            found = logprobs_of(logits[wanted], [tokens[row] for row in wanted], n_top)
            for row, logprob in zip(wanted, found, strict=True):
                requests[row].logprobs.append(logprob)
        for request, token in zip(requests, tokens, strict=True):
            request.add(token)
        self.leave()

    def leave(self) -> None:
        """Free the rows of finished requests; the last row moves into the gap."""
        for row in reversed(range(len(self.running))):
            if self.running[row].finish_reason:
                last = self.running.pop()
                if row < len(self.running):
                    self.cache.move(len(self.running), row, last.n_cached)
                    self.running[row] = last

    # ------------------------------------------------------------ ways to use it

    def stream(self, prompt_ids: Sequence[int], sampling: Sampling | None = None) -> Iterator[Piece]:
        """The pieces of one answer. This thread runs the engine meanwhile; closing the iterator cancels."""
        request = self.submit(prompt_ids, sampling)
        try:
            yield from request.receive(self.step)
        finally:
            request.cancel()

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling | None = None,
        progress: Callable[[], object] | None = None,
    ) -> list[Request]:  # fmt: skip
        """Finished requests, in the order of the prompts; `progress` is called as often as there are prompts."""
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))  # neighbours of one length need no padding
        requests: dict[int, Request] = {}
        try:
            for i in order:
                requests[i] = self.submit(prompts[i], sampling)
            for request in requests.values():
                for _ in request.receive(self.step):
                    pass
                if progress:
                    progress()
        finally:  # Ctrl-C, say: nobody waits for the others any more
            for request in requests.values():
                request.cancel()
        return [requests[i] for i in range(len(prompts))]

    def run(self, stopping: threading.Event) -> None:
        """What a server's thread does: step while there is work, sleep while there is none, until told to stop."""
        while not stopping.is_set():
            self.work.wait(0.1)
            self.work.clear()
            with contextlib.suppress(Exception):  # those who waited have it, the next ones may fare better
                while not stopping.is_set() and self.step():
                    pass
        with self.door:
            self.closed = True
        while self.step():
            for request in (*self.running, *self.waiting):
                request.cancel()


def answer_prompts(
    model: MiniMindForCausalLM, tokenizer, prompts: Sequence[Sequence[int]], sampling: Sampling, max_batch: int,
    dtype: torch.dtype | None = None, progress: Callable[[], object] | None = None,
) -> list[Request]:  # fmt: skip
    """What `Generator.generate` does, for prompts of any lengths. All rows of a cache are as long as the longest, so
    prompts that are longer than their share of CACHE_TOKENS get a cache of their own, with fewer rows."""
    share, done = CACHE_TOKENS // max_batch - sampling.max_tokens, {}
    for is_long in (False, True):
        group = [i for i, prompt in enumerate(prompts) if (len(prompt) > share) == is_long]
        if group:
            length = max(len(prompts[i]) for i in group) + sampling.max_tokens
            rows = min(max_batch, len(group), max(1, CACHE_TOKENS // length))
            engine = Generator(model, tokenizer, rows, length, dtype)
            done |= zip(group, engine.generate([prompts[i] for i in group], sampling, progress), strict=True)
    return [done[i] for i in range(len(prompts))]
