"""Talk to a trained weight, or score it.

    python eval_model.py --model_mode 1                  # chat with the newest SFT weight
    python eval_model.py --model_mode 3                  # a reasoning weight: thought and answer apart
    python eval_model.py --lora_name identity            # the SFT weight with an adapter on top
    python eval_model.py --prompt "法国的首都是哪里？"       # one answer
    python eval_model.py --auto 1                        # a few sample messages
    python eval_model.py --score                         # the held-out questions of the miniature world
    python eval_model.py --score --samples 8             # and how often one of 8 sampled answers is right
"""

import contextlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent)

from trainer.command_line import ROOT, check_out_dir, flag, parse_options, require, run  # noqa: E402
from trainer.options import WeightOptions  # noqa: E402
from trainer.process import as_text  # noqa: E402

PRETRAIN_PROMPTS = ("法国的首都是", "《西游记》的作者是", "氢的元素符号是", "The capital of Japan is", "2 + 3 =")
CHAT_PROMPTS = ("你好！", "法国的首都是哪里？", "那日本呢？", "23 加 45 等于多少？", "Who are you?")
# How markup is shown: thought and answer apart. Only the answers of reasoning weights have a tag of their own.
SHOWN_MARKUP = {"<think>": "[thought]", "</think>": "", "<answer>": "[answer]", "</answer>": ""}
EMPTY_THOUGHT = re.compile(r"^<think>\s*(</think>\s*|$)")  # or the beginning of one


@dataclass
class EvalOptions(WeightOptions):
    prompt: str | None = flag(None, "answer this one prompt and exit")
    auto: bool = flag(False, "answer a few sample messages and exit")
    system: str | None = flag(None, "a system message before the conversation")
    temperature: float = flag(0.0, "0: always the likeliest token; higher: more variety", least=0)
    top_p: float = flag(0.9, "sample from the likeliest tokens that together have this probability", above=0, most=1)
    history_cnt: int = flag(-1, "earlier messages that a chat keeps in mind; -1: as many as fit", least=-1)
    stream: bool = flag(True, "show the answer as it is made")
    seed: int = flag(42, "seed of sampling", least=0)
    score: bool = flag(False, "score the held-out questions and print a table by category")
    score_data: str | None = flag(None, "the questions; default: those of dataset/sample, and its chats")
    chat_data: str | None = flag(None, "chats to score too, turn by turn")
    half: str = flag("all", "dev: the half to tune on; test: the half to report", choices=["dev", "test", "all"])
    samples: int = flag(0, "with --score: sample so many answers to each question too, for pass@1 and pass@N", least=0)
    score_json: str | None = flag(None, "write the table to this file too")

    def __post_init__(self):
        super().__post_init__()
        self.prompt, self.system = as_text(self.prompt), as_text(self.system)
        if self.score_data is None:
            sample = ROOT / "dataset" / "sample"
            self.score_data = str(sample / "heldout.jsonl")
            self.chat_data = self.chat_data or str(sample / "heldout_chats.jsonl")


def answer(engine, tokenizer, stage: str, messages: list[dict], options: EvalOptions, turn: int = 0) -> str:
    """Print the answer to the last message, piece by piece or at once; return it, if reasoned with its tags. The noise
    of sampling is that of --seed and the turn."""
    from dataset.chat import answer_room, make_prompt, opening
    from model.sampling import Sampling

    context, text = engine.max_length, opening(tokenizer, stage, options.thinking)
    prompt_ids = make_prompt(tokenizer, messages, stage, context - answer_room(context), context - 8, text)
    sampling = Sampling(
        temperature=options.temperature, top_p=options.top_p, seed=options.seed + turn,
        skip_special_tokens=stage == "pretrain",
    )  # fmt: skip
    if options.thinking and text:
        print(SHOWN_MARKUP["<think>"], flush=True)
    begin, shown = len(text), ""
    for piece in engine.stream(prompt_ids, sampling):
        text, before = text + piece.text, shown
        shown = show(text[begin:], stage)
        if options.stream:
            print(shown[len(before) :], end="", flush=True)
    print("" if options.stream else shown, flush=True)
    if piece.finish_reason == "length":
        print(f"note: the answer was cut where the context of {context} tokens ends (--max_seq_len)", file=sys.stderr)
    return text


def show(text: str, stage: str) -> str:
    """How a reply, or its beginning, appears on the screen; a tag is one token, so no beginning holds half of one."""
    if stage not in ("pretrain", "reason"):
        text = EMPTY_THOUGHT.sub("", text)
    for tag, heading in SHOWN_MARKUP.items() if stage != "pretrain" else ():
        text = text.replace(tag, heading if stage == "reason" else heading or "[answer]")
    return text


def typed_messages() -> Iterator[str]:
    while True:
        try:
            line = input("\n> " if sys.stdin.isatty() else "").strip()
        except (EOFError, KeyboardInterrupt):
            print()
            return
        if line in ("/exit", "/quit"):
            return
        if line:
            yield line


def converse(answer: Callable[[list[dict], int], str], history_cnt: int, prompts: tuple[str, ...] = ()) -> None:
    """Answer one message after the other, `prompts` or typed ones, by `answer(messages, turn)`, the conversation so
    far in mind. ValueError from it (too long a message, say) is reported, and the conversation goes on without it."""
    if sys.stdin.isatty() and not prompts:
        print("Type a message. /clear forgets the conversation, /exit or Ctrl-D ends it.")
    history: list[dict] = []
    for turn, message in enumerate(prompts or typed_messages()):
        if prompts:
            print(f"> {message}")
        if message == "/clear":
            history = []
            continue
        kept = history if history_cnt < 0 else history[max(0, len(history) - history_cnt) :]
        history = [*kept, {"role": "user", "content": message}]
        try:
            history.append({"role": "assistant", "content": answer(history, turn)})
        except ValueError as error:
            print(f"error: {error}", file=sys.stderr)
            history.pop()


def talk(options: EvalOptions) -> None:
    from model.generation import Generator

    require(options.prompt is None or options.prompt.strip(), "--prompt is empty: write a question")
    model, tokenizer, title, stage, trained_length = options.load_model()
    engine = Generator(model, tokenizer, 1, options.context(model, trained_length), options.compute_dtype(model))
    system = [{"role": "system", "content": options.system}] if options.system else []

    def reply(messages: list[dict], turn: int = 0) -> str:
        return answer(engine, tokenizer, stage, system + messages, options, turn)

    if options.prompt is not None:
        reply([{"role": "user", "content": options.prompt}])
        return
    print(title)
    converse(reply, options.history_cnt, (PRETRAIN_PROMPTS if stage == "pretrain" else CHAT_PROMPTS) * options.auto)


def check_score_json(path: Path) -> None:
    """ValueError unless a table can be written there, in place of none or an older one."""
    check_out_dir(path.parent, "--score_json")
    replaceable = not path.exists()
    if path.is_file():
        with contextlib.suppress(OSError, ValueError, TypeError, RecursionError):
            replaceable = "categories" in json.loads(path.read_text(encoding="utf-8"))
    if not replaceable:
        raise ValueError(f"--score_json {path}: something else than a table of scores is there: name another file")


def score(options: EvalOptions) -> None:
    from dataset import heldout
    from dataset.chat import answer_in, render_batch, split_thought
    from model.files import write_json
    from trainer.answering import answer_all, answer_chats, sample_all, sampling_of, tokens_a_reply

    every, half = heldout.read_heldout(options.score_data), options.half
    questions = heldout.in_half(options.score_data, every, half)
    chats = heldout.read_chats(options.chat_data, half) if options.chat_data else []
    if options.score_json:
        check_score_json(Path(options.score_json).absolute())
    model, tokenizer, title, stage, trained_length = options.load_model()
    rendered = render_batch(tokenizer, [q["messages"] for q in every], add_generation_prompt=True)
    lengths = [len(ids) for ids, _ in rendered]
    room = model.config.max_position_embeddings - sampling_of(stage, options.thinking).max_tokens
    heldout.check_lengths(options.score_data, lengths, room)
    context, dtype = options.context(model, trained_length), options.compute_dtype(model)
    asked, n = [q["messages"] for q in questions], options.samples
    replies = answer_all(model, tokenizer, asked, stage, dtype, options.thinking)
    sampled = sample_all(model, tokenizer, asked, stage, n, options.seed, dtype, options.thinking) if n else []
    said = answer_chats(model, tokenizer, chats, context, stage, dtype, options.thinking)
    form = {}
    if stage == "reason":
        form = {"well_formed": 100 * sum(split_thought(reply) is not None for reply in replies) / len(replies)}
    form["tokens_per_reply"] = tokens_a_reply(tokenizer, replies, stage, options.thinking)
    replies, *said = [[answer_in(reply, stage) for reply in given] for given in (replies, *said)]
    table = heldout.score_table(questions, replies) | form | {"half": half, "chats": heldout.score_chats(chats, said)}
    if n:
        table["pass"] = heldout.pass_table(questions, [[answer_in(r, stage) for r in given] for given in sampled])
    print(title if half == "all" else f"{title}, on the half {half}")
    heldout.print_table(table)
    if n:
        heldout.print_passes(table["pass"])
    heldout.print_chats(table["chats"])
    print(f"{form['tokens_per_reply']:.1f} tokens a reply")
    if "well_formed" in form:
        print(f"thought and answer, each between its tags: {form['well_formed']:.1f}% of the replies")
    if options.score_json:
        write_json(Path(options.score_json).absolute(), {"weight": title} | table)
        print(f"written to {options.score_json}")


def main() -> None:
    options = parse_options(EvalOptions, "Talk to a trained MiniMind weight, or score it.")
    (score if options.score else talk)(options)


if __name__ == "__main__":
    run(main)
