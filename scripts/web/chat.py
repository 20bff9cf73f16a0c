"""The models behind the web page and the conversation with them. Nothing here draws.

scripts/web_demo.py runs anew at every click, but this module is imported once, so its objects outlive a click.
"""

import itertools
import re
import sys
import threading
import time
import traceback
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

from scripts.serving.markup import MarkupParser
from trainer.options import WeightOptions
from trainer.threads import share_cores

MAX_ANSWERS = 8  # that one model generates at once; more wait


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
    seed: int
    thinking: bool | None = None  # None: as the weight was trained


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


class ChatModel:
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

    def ask(self, messages: list[dict], settings: Settings, seed: int):
        """(the engine's request; how the prompt begins the answer). Problem when the last message does not fit."""
        from dataset.chat import make_prompt, opening
        from model.sampling import Sampling

        room, tokenizer = self.context - settings.max_tokens, self.tokenizer
        try:
            begin = opening(tokenizer, self.stage, settings.thinking)
            prompt = make_prompt(tokenizer, messages, self.stage, room, opening=begin)
        except ValueError:
            raise Problem("too_long", room=room) from None
        sampling = Sampling(
            max_tokens=settings.max_tokens, temperature=settings.temperature, top_p=0.9, seed=seed,
            stop_ids=(tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.pad_token_id),
            skip_special_tokens=self.stage == "pretrain",
        )  # fmt: skip
        return self.engine.submit(prompt, sampling), begin


@dataclass(eq=False)
class Exchange:
    """A question and its answer: waiting to be asked, in the making, or finished."""

    question: str
    thought: str = ""
    answer: str = ""
    finish_reason: str = ""  # "" until it ends; then "stop", "length", "cancelled" or "failed"
    problem: Problem | None = None
    seconds: float = 0.0
    n_tokens: int = 0
    n_asked: int = 0
    model: ChatModel | None = None  # only while the answer is in the making: keeps the engine running
    request: object | None = None  # the engine's, likewise
    parser: MarkupParser = field(default_factory=MarkupParser)
    number: int = field(default_factory=itertools.count().__next__)  # unique, for the keys of the page's widgets

    def ask(self, model: ChatModel, earlier: list["Exchange"], settings: Settings) -> None:
        """Start the answer. The model sees neither earlier thoughts nor failed turns."""
        messages = []
        for turn in (turn for turn in earlier if turn.answer and not turn.problem):
            messages += [{"role": "user", "content": turn.question}, {"role": "assistant", "content": turn.answer}]
        messages.append({"role": "user", "content": self.question})
        self.started = time.monotonic()
        try:
            self.request, begin = model.ask(messages, settings, settings.seed + self.n_asked)
            self.model = model
            self.add(begin)
        except Problem as problem:
            self.fail(problem)
        self.n_asked += 1

    def receive(self) -> None:
        """Take the pieces that have arrived since the last call."""
        while not self.finish_reason and not self.request.pieces.empty():
            piece = self.request.pieces.get()
            self.n_tokens = len(self.request.token_ids)
            self.seconds = time.monotonic() - self.started
            if isinstance(piece, BaseException):
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
        if self.request:
            self.request.cancel()
        self.add("", last=True)
        self.finish_reason, self.model, self.request = finish_reason, None, None

    def fail(self, problem: Problem) -> None:
        self.problem = problem
        self.end("failed")

    def again(self) -> None:
        """Wait to be asked again, with another seed."""
        self.end("cancelled")
        self.thought, self.answer, self.finish_reason, self.problem = "", "", "", None
        self.parser, self.n_tokens, self.seconds = MarkupParser(), 0, 0.0
