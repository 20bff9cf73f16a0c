"""What stands behind the web page: models that answer, and the conversation with them. Nothing here draws.

A model has `ask(messages, settings, seed)`, which returns an answer in the making at once: some other thread makes it
and puts its pieces (each with `text` and `finish_reason`), or an exception, into the queue `pieces`; `cancel` ends it,
and it alone; `n_tokens` counts what it has so far. `LocalModel` and `Endpoint` are such models.

scripts/web_demo.py runs anew at every click, but this module is imported once, so what it makes outlives a click.
"""

import itertools
import os
import re
import sys
import threading
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from scripts.serving.addresses import host_of, is_address, is_loopback
from scripts.serving.markup import MarkupParser
from scripts.web.texts import Texts
from trainer.options import WeightOptions
from trainer.threads import share_cores

MAX_ANSWERS = 8  # that one model makes at once; more wait
TIMEOUT_SECONDS = 60  # between two pieces of an endpoint's answer
SHOWN_REASON = 300  # characters of what an endpoint says of a refusal


class Problem(Exception):
    """Something that the user can put right: the name of its sentence in Texts, and what fills it in."""

    def __init__(self, text: str, /, **details):
        super().__init__(text)
        self.text, self.details = text, details

    def sentence(self, texts: Texts) -> str:
        return getattr(texts, self.text).format(**self.details)


def log_error() -> None:
    """The error that is being handled, to the terminal: the page shows one sentence."""
    traceback.print_exc(file=sys.stderr)


@dataclass(frozen=True)
class Settings:
    temperature: float
    max_tokens: int
    history: int  # earlier turns that go with a question
    repetition_penalty: float
    seed: int


# ---------------------------------------------------------------- weights


def weights_in(out_dir: str | Path) -> dict[str, Path]:
    """The weights in a folder by name: those that can chat first, of these fine-tuned ones, of these the newest."""

    def rank(path: Path) -> tuple:
        return not path.stem.startswith("full_sft"), path.stem.startswith("pretrain"), -path.stat().st_mtime_ns

    return {path.stem: path for path in sorted(filter(Path.is_file, Path(out_dir).glob("*.pth")), key=rank)}


def adapters_for(weight: Path) -> dict[str, Path]:
    """The LoRA adapters beside a weight, in lora/, that were trained for a network of its size."""
    size = re.search(r"_\d+(_moe)?$", weight.stem)
    paths = sorted((weight.parent / "lora").glob("*.pth")) if size else []
    return {path.stem.removesuffix(size[0]): path for path in paths if path.stem.endswith(size[0])}


# ---------------------------------------------------------------- models


class LocalModel:
    """A weight in this process, with an engine that answers all who ask in one batch."""

    def __init__(self, options: WeightOptions):
        from model.generation import Generator
        from model.model_lora import is_foreign

        share_cores()  # this module outlives a click, and the page's script is not run by `run`
        model, self.tokenizer, _, self.stage = options.load_model()
        self.is_foreign = bool(options.lora_name) and is_foreign(Path(options.lora_name), Path(options.weight))
        self.context = options.context(model)
        self.engine = Generator(model, self.tokenizer, MAX_ANSWERS, self.context)
        self.size = f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f}M"
        self.device = model.device.type.upper()
        self.stopping = threading.Event()
        threading.Thread(target=self.engine.run, args=(self.stopping,), name="engine", daemon=True).start()

    def ask(self, messages: list[dict], settings: Settings, seed: int) -> "LocalAnswer":
        from dataset.chat import make_prompt
        from model.sampling import Sampling

        room, tokenizer = self.context - settings.max_tokens, self.tokenizer
        try:
            prompt = make_prompt(tokenizer, messages, self.stage, room)
        except ValueError:
            raise Problem("too_long", room=room) from None
        stop_ids = (tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.pad_token_id)
        sampling = Sampling(
            max_tokens=settings.max_tokens, temperature=settings.temperature, top_p=0.9, seed=seed, stop_ids=stop_ids,
            repetition_penalty=settings.repetition_penalty, skip_special_tokens=self.stage == "pretrain",
        )  # fmt: skip
        try:
            return LocalAnswer(self.engine.submit(prompt, sampling, Pieces()))
        except RuntimeError:  # it was put away while this question was on its way: the next click loads it anew
            raise Problem("failed") from None

    def retire(self) -> None:
        """End the engine's thread once those who wait for an answer have it."""

        def wait() -> None:
            try:
                while self.engine.step():  # steps take turns with those of the engine's own thread
                    pass
            finally:
                self.stopping.set()

        threading.Thread(target=wait, daemon=True).start()


class Pieces(SimpleQueue):
    """An answer's pieces, and when the latest was made: it may be taken out later."""

    latest = 0.0

    def put(self, piece) -> None:
        self.latest = time.monotonic()
        super().put(piece)


class LocalAnswer:
    exact = True  # the count of tokens

    def __init__(self, request):
        self.pieces, self.cancel, self.request = request.pieces, request.cancel, request

    @property
    def n_tokens(self) -> int:
        return len(self.request.token_ids)


@dataclass(frozen=True)
class Endpoint:
    """A model behind a server of OpenAI's protocol: ours, or any other."""

    address: str
    model: str
    key: str
    stage = ""

    def __post_init__(self):
        if not is_address(self.address):
            raise Problem("address_wrong", name=self.address)

    def ask(self, messages: list[dict], settings: Settings, seed: int) -> "EndpointAnswer":
        asked = {"temperature": settings.temperature, "max_tokens": settings.max_tokens, "seed": seed}
        return EndpointAnswer(self, {"model": self.model, "messages": messages} | asked)


class Piece(NamedTuple):
    """As the engine's pieces are read here."""

    text: str
    finish_reason: str | None = None


class EndpointAnswer:
    """Reads a stream in a thread of its own, so that a slow server holds up neither the page nor its stop button."""

    def __init__(self, endpoint: Endpoint, request: dict):
        self.endpoint, self.request = endpoint, request
        self.pieces, self.cancelled, self.n_tokens, self.exact = Pieces(), False, 0, False
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
            reason = " ".join(error.message.split())[:SHOWN_REASON]
            self.pieces.put(Problem("endpoint_refused", name=name, status=error.status_code, reason=reason))
        except Exception:  # foreign bytes make a client fail in any way there is
            log_error()
            self.pieces.put(Problem("endpoint_odd", name=name))

    def read(self) -> None:
        """A thought that the server sends apart gets its tags back: the page takes every model's text alike."""
        import openai

        own = os.environ.get("MINIMIND_API_KEY") if is_loopback(host_of(self.endpoint.address)) else None
        key = self.endpoint.key or own or "none"  # the server of this machine knows it, strangers need not
        client = openai.OpenAI(base_url=self.endpoint.address, api_key=key, timeout=TIMEOUT_SECONDS, max_retries=0)
        asked = self.request | {"stream": True, "stream_options": {"include_usage": True}}
        thinking, finish = False, None
        with client, client.chat.completions.create(**asked) as chunks:
            for chunk in chunks:
                if self.cancelled:
                    return
                for choice in chunk.choices[:1]:
                    thought = getattr(choice.delta, "reasoning_content", None) or ""
                    said = choice.delta.content or ""
                    text = "<think>" * bool(thought and not thinking) + thought
                    text += "</think>" * bool(said and (thinking or thought)) + said
                    thinking = bool(thought or thinking) and not said
                    finish = choice.finish_reason or finish
                    self.n_tokens += bool(text)
                    self.pieces.put(Piece(text.encode(errors="replace").decode()))  # half a surrogate pair is no text
                if chunk.usage:
                    self.n_tokens, self.exact = chunk.usage.completion_tokens, True
        if finish is None:
            raise ValueError("the stream ended before the answer did")
        self.pieces.put(Piece("", finish))


# ---------------------------------------------------------------- conversation


@dataclass(eq=False)
class Exchange:
    """A question and its answer: waiting to be asked, in the making, or finished."""

    question: str
    thought: str = ""
    answer: str = ""
    finish: str = ""  # "" until it ends; then "stop", "length", "cancelled", "failed", or an endpoint's own word
    problem: Problem | None = None
    seconds: float = 0.0
    n_tokens: int = 0
    exact: bool = True
    n_asked: int = 0
    making: LocalAnswer | EndpointAnswer | None = None
    parser: MarkupParser = field(default_factory=MarkupParser)
    number: int = field(default_factory=itertools.count().__next__)  # one of its own, for the page's widgets

    def ask(self, model: LocalModel | Endpoint, earlier: list["Exchange"], settings: Settings) -> None:
        """Begin the answer. Thoughts and failed turns are left out of what the model is told of earlier."""
        told = [turn for turn in earlier if turn.answer and not turn.problem]
        messages = []
        for turn in told[-settings.history :] if settings.history else []:
            messages += [{"role": "user", "content": turn.question}, {"role": "assistant", "content": turn.answer}]
        messages.append({"role": "user", "content": self.question})
        self.started = time.monotonic()
        try:
            self.making = model.ask(messages, settings, settings.seed + self.n_asked)
        except Problem as problem:
            self.fail(problem)
        self.n_asked += 1

    def receive(self) -> None:
        """Take what has come since the last time."""
        while not self.finish and not self.making.pieces.empty():
            piece = self.making.pieces.get()
            if isinstance(piece, Problem):
                self.fail(piece)
            elif isinstance(piece, BaseException):
                traceback.print_exception(piece, file=sys.stderr)
                self.fail(Problem("failed"))
            else:
                self.add(piece.text)
                if piece.finish_reason:
                    self.end(piece.finish_reason)
        self.count()

    def add(self, text: str, last: bool = False) -> None:
        for delta in self.parser.add(text, last):
            self.thought += delta.get("reasoning_content", "")
            self.answer += delta.get("content", "")

    def count(self) -> None:
        if self.making:
            self.n_tokens, self.exact = self.making.n_tokens, self.making.exact
            self.seconds = max(0.0, self.making.pieces.latest - self.started)

    def end(self, finish: str) -> None:
        """What has come so far is kept; nothing comes after it. After the end it does nothing."""
        if self.finish:
            return
        if self.making:
            self.making.cancel()
        self.add("", last=True)
        self.count()
        self.finish, self.making = finish, None

    def fail(self, problem: Problem) -> None:
        self.problem = problem
        self.end("failed")

    def again(self) -> None:
        """Back to waiting; asked anew, it is another draw."""
        self.end("cancelled")
        self.thought, self.answer, self.finish, self.problem = "", "", "", None
        self.parser, self.n_tokens, self.seconds = MarkupParser(), 0, 0.0
