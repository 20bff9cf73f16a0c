"""The models behind the web page and the conversation with them. Nothing here draws.

A model has `ask(messages, settings, seed)`, which returns at once an answer in the making. Another thread generates it
and puts its pieces (each with `text` and `finish_reason`), or an exception, into the queue `pieces`; `cancel` ends it;
`n_tokens` counts what it has so far.

scripts/web_demo.py runs anew at every click, but this module is imported once, so its objects outlive a click.
"""

import itertools
import os
import re
import sys
import threading
import time
import traceback
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace
from typing import NamedTuple

from scripts.serving.addresses import host_of, is_http_url, is_loopback
from scripts.serving.markup import MarkupParser
from trainer.options import WeightOptions
from trainer.threads import share_cores

MAX_ANSWERS = 8  # that one model generates at once; more wait
TIMEOUT_SECONDS = 60  # between two pieces of an endpoint's answer
MAX_REASON = 300  # characters shown of an endpoint's error message


class Problem(Exception):
    """Something that the user can correct: the name of its sentence in texts.py, and what fills it in."""

    def __init__(self, text: str, /, **details):
        super().__init__(text)
        self.text, self.details = text, details

    def sentence(self, texts: SimpleNamespace) -> str:
        return getattr(texts, self.text).format(**self.details)


@dataclass(frozen=True)
class Settings:
    temperature: float
    max_tokens: int
    history: int  # earlier turns that are sent with a question
    repetition_penalty: float
    seed: int


# ---------------------------------------------------------------- weights


def weights_in(out_dir: str | Path) -> dict[str, Path]:
    """The weights in a folder by name: SFT first, pretraining last, and within each the newest first."""

    def rank(path: Path) -> tuple:
        return not path.stem.startswith("full_sft"), path.stem.startswith("pretrain"), -path.stat().st_mtime_ns

    return {path.stem: path for path in sorted(filter(Path.is_file, Path(out_dir).glob("*.pth")), key=rank)}


def adapters_for(weight: Path) -> dict[str, Path]:
    """The LoRA adapters in the weight's folder, in lora/, that were trained for a network of its size."""
    size = re.search(r"_\d+(_moe)?$", weight.stem)
    paths = sorted((weight.parent / "lora").glob("*.pth")) if size else []
    return {path.stem.removesuffix(size[0]): path for path in paths if path.stem.endswith(size[0])}


# ---------------------------------------------------------------- models


class Pieces(SimpleQueue):
    """The pieces of an answer. `latest` is when one was put in; it may be taken out later."""

    latest = 0.0

    def put(self, piece) -> None:
        self.latest = time.monotonic()
        super().put(piece)


class LocalModel:
    """A weight in this process. Its engine generates all answers in one batch, and stops when the last reference to
    the model is gone: that of the page's cache, or of an answer in the making."""

    def __init__(self, options: WeightOptions):
        from model.generation import Generator
        from model.model_lora import is_foreign

        share_cores()  # Streamlit does not start the page through `run`, which does it for other commands
        model, self.tokenizer, _, self.stage, trained_length = options.load_model()
        self.is_foreign = bool(options.lora_name) and is_foreign(Path(options.lora_name), Path(options.weight))
        self.context = options.context(model, trained_length)
        self.engine = Generator(model, self.tokenizer, MAX_ANSWERS, self.context)
        self.size = f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f}M"
        self.device = model.device.type.upper()
        stopping = threading.Event()
        threading.Thread(target=self.engine.run, args=(stopping,), name="engine", daemon=True).start()
        weakref.finalize(self, stopping.set)

    def ask(self, messages: list[dict], settings: Settings, seed: int) -> "LocalAnswer":
        from dataset.chat import make_prompt
        from model.sampling import Sampling

        room, tokenizer = self.context - settings.max_tokens, self.tokenizer
        try:
            prompt = make_prompt(tokenizer, messages, self.stage, room)
        except ValueError:
            raise Problem("too_long", room=room) from None
        sampling = Sampling(
            max_tokens=settings.max_tokens, temperature=settings.temperature, top_p=0.9, seed=seed,
            stop_ids=(tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.pad_token_id),
            repetition_penalty=settings.repetition_penalty, skip_special_tokens=self.stage == "pretrain",
        )  # fmt: skip
        return LocalAnswer(self, self.engine.submit(prompt, sampling, Pieces()))


class LocalAnswer:
    def __init__(self, model: LocalModel, request):
        self.model, self.request, self.pieces, self.cancel = model, request, request.pieces, request.cancel

    @property
    def n_tokens(self) -> int:
        return len(self.request.token_ids)


@dataclass(frozen=True)
class Endpoint:
    """A model behind a server of OpenAI's protocol: this project's or any other."""

    address: str
    model: str
    key: str
    stage = ""

    def __post_init__(self):
        if not is_http_url(self.address):
            raise Problem("address_wrong", name=self.address)

    def ask(self, messages: list[dict], settings: Settings, seed: int) -> "EndpointAnswer":
        limits = {"temperature": settings.temperature, "max_tokens": settings.max_tokens, "seed": seed}
        return EndpointAnswer(self, {"model": self.model, "messages": messages} | limits)


class Piece(NamedTuple):
    """The fields of the engine's pieces that this module uses."""

    text: str
    finish_reason: str | None = None


class EndpointAnswer:
    """Reads a stream in its own thread, so that a slow server blocks neither the page nor its stop button."""

    def __init__(self, endpoint: Endpoint, request: dict):
        self.endpoint, self.request = endpoint, request
        self.pieces, self.cancelled, self.n_tokens = Pieces(), False, 0
        threading.Thread(target=self.run, daemon=True).start()

    def cancel(self) -> None:
        self.cancelled = True

    def run(self) -> None:
        import openai

        name = self.endpoint.address
        try:
            self.read()
        except openai.APIConnectionError:
            self.pieces.put(Problem("endpoint_silent", name=name))
        except openai.APIStatusError as error:
            reason = " ".join(error.message.split())[:MAX_REASON]
            self.pieces.put(Problem("endpoint_refused", name=name, status=error.status_code, reason=reason))
        except Exception:  # a malformed response can make the client fail in any way
            traceback.print_exc()
            self.pieces.put(Problem("endpoint_odd", name=name))

    def read(self) -> None:
        """A thought that the server sends in its own field gets its tags back: the page handles every model's text
        alike."""
        import openai

        local_key = os.environ.get("MINIMIND_API_KEY") if is_loopback(host_of(self.endpoint.address)) else None
        key = self.endpoint.key or local_key or "none"  # the local key must not go to other machines
        client = openai.OpenAI(base_url=self.endpoint.address, api_key=key, timeout=TIMEOUT_SECONDS, max_retries=0)
        request = self.request | {"stream": True, "stream_options": {"include_usage": True}}
        thinking, finish_reason = False, None
        with client, client.chat.completions.create(**request) as chunks:
            for chunk in chunks:
                if self.cancelled:
                    return
                for choice in chunk.choices[:1]:
                    thought = getattr(choice.delta, "reasoning_content", None) or ""
                    content = choice.delta.content or ""
                    text = "<think>" * bool(thought and not thinking) + thought
                    text += "</think>" * bool(content and (thinking or thought)) + content
                    thinking = bool(thought or thinking) and not content
                    finish_reason = choice.finish_reason or finish_reason
                    self.n_tokens += bool(text)  # an estimate until the server reports its usage
                    self.pieces.put(Piece(text.encode(errors="replace").decode()))  # without lone surrogates
                if chunk.usage:
                    self.n_tokens = chunk.usage.completion_tokens
        if finish_reason is None:
            raise ValueError("the stream ended before the answer did")
        self.pieces.put(Piece("", finish_reason))


# ---------------------------------------------------------------- conversation


@dataclass(eq=False)
class Exchange:
    """A question and its answer: waiting to be asked, in the making, or finished."""

    question: str
    thought: str = ""
    answer: str = ""
    finish_reason: str = ""  # "" until it ends; then "stop", "length", "cancelled", "failed", or another of an endpoint
    problem: Problem | None = None
    seconds: float = 0.0
    n_tokens: int = 0
    n_asked: int = 0
    making: LocalAnswer | EndpointAnswer | None = None
    parser: MarkupParser = field(default_factory=MarkupParser)
    number: int = field(default_factory=itertools.count().__next__)  # unique, for the keys of the page's widgets

    def ask(self, model: LocalModel | Endpoint, earlier: list["Exchange"], settings: Settings) -> None:
        """Start the answer. The model sees neither earlier thoughts nor failed turns."""
        messages, answered = [], [turn for turn in earlier if turn.answer and not turn.problem]
        for turn in answered[-settings.history :] if settings.history else []:
            messages += [{"role": "user", "content": turn.question}, {"role": "assistant", "content": turn.answer}]
        messages.append({"role": "user", "content": self.question})
        self.started = time.monotonic()
        try:
            self.making = model.ask(messages, settings, settings.seed + self.n_asked)
        except Problem as problem:
            self.fail(problem)
        self.n_asked += 1

    def receive(self) -> None:
        """Take the pieces that have arrived since the last call."""
        while not self.finish_reason and not self.making.pieces.empty():
            piece = self.making.pieces.get()
            self.n_tokens, self.seconds = self.making.n_tokens, self.making.pieces.latest - self.started
            if isinstance(piece, Problem):
                self.fail(piece)
            elif isinstance(piece, BaseException):
                traceback.print_exception(piece, file=sys.stderr)
                self.fail(Problem("failed"))
            else:
                self.add(piece.text)
                if piece.finish_reason:
                    self.end(piece.finish_reason)

    def add(self, text: str, last: bool = False) -> None:
        for delta in self.parser.add(text, last):
            self.thought += delta.get("reasoning_content", "")
            self.answer += delta.get("content", "")

    def end(self, finish_reason: str) -> None:
        """Keep what has arrived and take no more. Does nothing once the exchange has ended."""
        if self.finish_reason:
            return
        if self.making:
            self.making.cancel()
        self.add("", last=True)
        self.finish_reason, self.making = finish_reason, None

    def fail(self, problem: Problem) -> None:
        self.problem = problem
        self.end("failed")

    def again(self) -> None:
        """Wait to be asked again, with another seed."""
        self.end("cancelled")
        self.thought, self.answer, self.finish_reason, self.problem = "", "", "", None
        self.parser, self.n_tokens, self.seconds = MarkupParser(), 0, 0.0
