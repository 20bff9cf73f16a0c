"""Talk to a trained weight, or score it.

    python eval_model.py --model_mode 1                  # chat with the newest SFT weight
    python eval_model.py --model_mode 3                  # a reasoning weight: thought and answer apart
    python eval_model.py --lora_name identity            # the SFT weight with an adapter on top
    python eval_model.py --prompt "法国的首都是哪里？"       # one answer
    python eval_model.py --auto 1                        # a few sample questions
    python eval_model.py --score                         # the held-out questions of the miniature world
"""

import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent
sys.path[0] = str(ROOT)

from trainer.options import ModelOptions, check_out_dir, flag, parse_options, require, run  # noqa: E402
from trainer.process import as_text  # noqa: E402

STAGES = {0: "pretrain", 1: "full_sft", 2: "rlhf", 3: "reason"}
# How a reasoning weight's markup is shown: thought and answer apart.
SHOWN_MARKUP = {"<think>": "[thought]", "</think>": "", "<answer>": "[answer]", "</answer>": ""}
ANSWER_TOKENS, REASON_TOKENS = 48, 256  # most of a reply that is scored; with its thought
PRETRAIN_PROMPTS = ("法国的首都是", "《西游记》的作者是", "氢的元素符号是", "The capital of Japan is", "2 + 3 =")
CHAT_PROMPTS = (
    "你好！",
    "你是谁？",
    "法国的首都是哪里？",
    "《红楼梦》是谁写的？",
    "23 加 45 等于多少？",
    "把 31、7、58 从小到大排一排。",
    "星期三的两天后是星期几？",
    "What is the chemical symbol of oxygen?",
)


@dataclass
class LoadOptions(ModelOptions):
    """Which weight, and where it runs."""

    model_mode: int = flag(
        1, "whose newest weight: 0 pretrain, 1 SFT, 2 DPO, 3 reasoning; with --weight, what a file is whose .json does "
        "not say it", choices=[0, 1, 2, 3],
    )  # fmt: skip
    weight: str | None = flag(None, "a weight file or Hugging Face folder, instead of the stage's newest in out_dir")
    load: int = flag(0, "1: --weight must be a Hugging Face folder; 0: it may be", choices=[0, 1])
    lora_name: str | None = flag(None, "LoRA adapter to put on top: a name in out_dir/lora, or a path")
    tokenizer: str | None = flag(None, "folder of the tokenizer; default: model/, or the Hugging Face folder")
    out_dir: str = flag(str(ROOT / "out"), "folder of the weights")
    max_seq_len: int = flag(512, "most tokens of prompt and answer together", least=16)
    device: str = flag("auto", "cuda, mps, cpu or auto")
    dtype: str = flag(
        "auto", "compute in it; auto: bfloat16 on a GPU that has it, else float32; int8: one or two streams on a CPU",
        choices=["auto", "float32", "bfloat16", "float16", "int8"],
    )  # fmt: skip

    def __post_init__(self):
        is_folder = self.weight is not None and Path(self.weight).is_dir()
        named = f"--weight {self.weight}: there is no such folder here: download it, or name another"
        require(is_folder or not self.load, f"--load 1 {named if self.weight else 'needs --weight FOLDER'}")
        self.load = int(is_folder)


@dataclass
class EvalOptions(LoadOptions):
    prompt: str | None = flag(None, "answer this one prompt and exit")
    auto: bool = flag(False, "answer a few sample prompts and exit")
    system: str | None = flag(None, "a system message before the conversation")
    temperature: float = flag(0.0, "0: always the likeliest token; higher: more variety", least=0)
    top_p: float = flag(0.9, "sample from the likeliest tokens that together have this probability", above=0, most=1)
    history_cnt: int = flag(-1, "earlier messages that a chat keeps in mind; -1: as many as fit", least=-1)
    stream: bool = flag(True, "show the answer as it is made")
    seed: int = flag(42, "seed of sampling", least=0)
    score: bool = flag(False, "score the held-out questions and print a table by category")
    score_data: str = flag(str(ROOT / "dataset" / "sample" / "heldout.jsonl"), "the questions")
    score_json: str | None = flag(None, "write the table to this file too")
    untrained: bool = flag(False, "score the network of the weight before any training, for comparison")

    def __post_init__(self):
        super().__post_init__()
        self.prompt, self.system = as_text(self.prompt), as_text(self.system)


# ---------------------------------------------------------------- loading


class Loaded(NamedTuple):
    model: object  # in eval mode, on its device
    tokenizer: object
    title: str  # one line that says which it is
    stage: str  # what it was trained to do last, which decides how it is spoken to


def load(options: LoadOptions, untrained_seed: int | None = None) -> Loaded:
    """The weight that the options name; with a seed, its network untrained."""
    import torch

    from model.weights import find_weight
    from trainer.distributed import choose_device
    from trainer.stage import load_folder, load_pth, quiet_transformers

    quiet_transformers()
    device, info = choose_device(options.device), {}
    if options.load:
        source = Path(options.weight).absolute()
        model, tokenizer = load_folder(source, options.tokenizer)
    else:
        name = options.weight or STAGES[options.model_mode]
        source = find_weight(name, options.out_dir, options.hidden_size, options.use_moe)
        model, tokenizer, info = load_pth(source, options.tokenizer, options.sizes())
    title, stage = str(source), info.get("stage", "converted")
    if stage == "converted":
        stage = STAGES[options.model_mode]
    if untrained_seed is not None:
        torch.manual_seed(untrained_seed)
        model, title = type(model)(model.config), f"{title}, untrained"
    if options.lora_name:
        from model.model_lora import find_lora, load_lora

        adapter = find_lora(options.lora_name, options.out_dir, model.config)
        load_lora(model, adapter, tokenizer, None if options.load else source)
        title = f"{title} + {adapter.name}"
        stage = "lora" if stage == "pretrain" else stage  # adapters are trained on conversations
    n_params = sum(p.numel() for p in model.parameters())
    title = f"{title} ({n_params / 1e6:.2f}M parameters, on {device})"
    return Loaded(model.eval().to(device), tokenizer, title, stage)


def choose_context(options: LoadOptions, model) -> int:
    """--max_seq_len, as far as the weight has positions."""
    positions = model.config.max_position_embeddings
    if options.max_seq_len > positions:
        print(f"note: the context is {positions} tokens, as the weight has no more positions", file=sys.stderr)
    return min(options.max_seq_len, positions)


def choose_dtype(options: LoadOptions, model):
    import torch

    if options.dtype != "auto":
        return getattr(torch, options.dtype)
    half = model.device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.bfloat16 if half else torch.float32


# ---------------------------------------------------------------- talking


def make_engine(model, tokenizer, options: EvalOptions):
    """The engine for one conversation."""
    from model.generation import Generator

    return Generator(model, tokenizer, 1, choose_context(options, model), choose_dtype(options, model))


def newest(history: list[dict], count: int) -> list[dict]:
    """The last `count` messages; all if it is negative."""
    return history if count < 0 else history[-count:] if count else []


def answer(engine, tokenizer, stage: str, messages: list[dict], options: EvalOptions, turn: int = 0) -> str:
    """Print the answer to the last message, piece by piece or at once; return it, if reasoned with its tags.

    The noise of sampling is that of --seed and the turn.
    """
    from dataset.chat import answer_room, make_prompt
    from model.sampling import Sampling

    context = engine.max_length
    prompt_ids = make_prompt(tokenizer, messages, stage, context - answer_room(context), context - 8)
    sampling = Sampling(
        temperature=options.temperature, top_p=options.top_p, seed=options.seed + turn,
        skip_special_tokens=stage != "reason",
    )  # fmt: skip
    pieces = []
    for piece in engine.stream(prompt_ids, sampling):
        pieces.append(piece.text)
        if options.stream:
            print(show(piece.text, stage), end="", flush=True)
    text = "".join(pieces)
    print("" if options.stream else show(text, stage), flush=True)
    if piece.finish_reason == "length":
        print(f"note: the answer was cut where the context of {context} tokens ends (--max_seq_len)", file=sys.stderr)
    return text


def show(text: str, stage: str) -> str:
    """How a reply appears on the screen; a tag is one token, so no piece holds half of one."""
    if stage == "reason":
        for tag, heading in SHOWN_MARKUP.items():
            text = text.replace(tag, heading)
    return text


def typed_messages() -> Iterator[str]:
    """What the user types, or pipes in, line by line."""
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


def talk(options: EvalOptions) -> None:
    """Answer `--prompt`, the sample prompts, or what is typed or piped in."""
    require(options.prompt is None or options.prompt.strip(), "--prompt is empty: write a question")
    model, tokenizer, title, stage = load(options)
    if options.prompt is None:
        print(title)
    engine = make_engine(model, tokenizer, options)
    if options.prompt is None and not options.auto:
        if sys.stdin.isatty():
            print("Type a message. /clear forgets the conversation, /exit or Ctrl-D ends it.")
        converse(engine, tokenizer, stage, typed_messages(), options)
        return
    samples = PRETRAIN_PROMPTS if stage == "pretrain" else CHAT_PROMPTS
    for prompt in [options.prompt] if options.prompt else samples:
        if options.prompt is None:
            print(f"\n> {prompt}")
        answer(engine, tokenizer, stage, [*system_turn(options), {"role": "user", "content": prompt}], options)


def system_turn(options: EvalOptions) -> list[dict]:
    return [{"role": "system", "content": options.system}] if options.system else []


def converse(engine, tokenizer, stage: str, messages: Iterator[str], options: EvalOptions) -> None:
    """Answer one message after the other, each with the conversation so far in mind."""
    history: list[dict] = []
    for turn, message in enumerate(messages):
        if message == "/clear":
            history = []
            continue
        history = newest(history, options.history_cnt)
        history.append({"role": "user", "content": message})
        try:
            reply = answer(engine, tokenizer, stage, system_turn(options) + history, options, turn)
        except ValueError as error:  # too long a message: say so, keep talking
            print(f"error: {error}", file=sys.stderr)
            history.pop()
            continue
        history.append({"role": "assistant", "content": reply})


# ---------------------------------------------------------------- scoring


def answer_all(
    model, tokenizer, conversations: list[list[dict]], max_new_tokens: int = ANSWER_TOKENS, batch_size: int = 128,
    with_tags=False, dtype=None,
) -> list[str]:  # fmt: skip
    """The likeliest reply to each conversation, `with_tags` of a reasoning weight."""
    from tqdm import tqdm

    from dataset.chat import render_batch
    from model.generation import answer_prompts
    from model.sampling import Sampling

    prompts = [ids for ids, _ in render_batch(tokenizer, conversations, add_generation_prompt=True)]
    sampling = Sampling(max_tokens=max_new_tokens, skip_special_tokens=not with_tags)
    with tqdm(desc="answering", unit="question", total=len(prompts), leave=False) as bar:
        done = answer_prompts(model, tokenizer, prompts, sampling, batch_size, dtype, bar.update)
    return [request.text for request in done]


def check_score_json(path: Path) -> None:
    """ValueError unless a table can be written there, in place of none or an older one."""
    check_out_dir(path.parent, "--score_json")
    is_free = not path.exists()
    if path.is_file():
        with contextlib.suppress(OSError, ValueError, TypeError, RecursionError):
            is_free = "categories" in json.loads(path.read_text(encoding="utf-8"))
    if not is_free:
        raise ValueError(f"--score_json {path}: something else than a table of scores is there: name another file")


def score(options: EvalOptions) -> None:
    from dataset.chat import render_batch, split_thought
    from dataset.heldout import check_lengths, print_table, read_questions, score_table
    from model.weights import write_json

    questions = read_questions(options.score_data)
    if options.score_json:
        check_score_json(Path(options.score_json).absolute())
    model, tokenizer, title, stage = load(options, options.seed if options.untrained else None)
    conversations = [question["messages"] for question in questions]
    reasons, form = stage == "reason", {}
    most = REASON_TOKENS if reasons else ANSWER_TOKENS
    lengths = [len(ids) for ids, _ in render_batch(tokenizer, conversations, add_generation_prompt=True)]
    check_lengths(options.score_data, lengths, model.config.max_position_embeddings - most)
    replies = answer_all(model, tokenizer, conversations, most, with_tags=reasons, dtype=choose_dtype(options, model))
    if reasons:
        parts = [split_thought(reply) for reply in replies]
        form = {"well_formed": 100 * sum(part is not None for part in parts) / len(parts)}
        replies = ["" if part is None else part[1] for part in parts]  # an answer without its tags is none
    table = score_table(questions, replies) | form
    print(title)
    print_table(table)
    if form:
        print(f"thought and answer, each between its tags: {form['well_formed']:.1f}% of the replies")
    if options.score_json:
        write_json(Path(options.score_json).absolute(), {"weight": title} | table)
        print(f"written to {options.score_json}")


def main() -> None:
    options = parse_options(EvalOptions, "Talk to a trained MiniMind weight, or score it.")
    (score if options.score else talk)(options)


if __name__ == "__main__":
    run(main)
