"""What the quick start shows at its end: how good the trained model is, and what to do with it.

    python scripts/quickstart_report.py                      # the newest pretrain and full_sft weights in out/

Scores the fine-tuned model on the test half of the held-out questions, chats and word problems, told to think first and
not to, prints the tables and a few dialogues, and writes out/score.json and out/loss_curve.png.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from scripts.reports.shell import command  # noqa: E402
from scripts.reports.tables import format_table, percent  # noqa: E402
from trainer.command_line import ROOT, flag, parse_options, run  # noqa: E402

CHATS = (  # what a user says: one chat in each line
    ("你好！", "法国的首都是哪里？", "那日本呢？", "用英语怎么说？"),
    ("把 31、7、58 从小到大排一排。",),
    ("树上有 12 只鸟，又飞来 5 只。现在有几只鸟？",),
    ("冰岛的首都是哪里？",),
    ("What is the chemical symbol of oxygen?", "And what about iron?"),
)


@dataclass
class QuickstartOptions:
    out_dir: str = flag(str(ROOT / "out"), "folder of the weights and metrics; score.json and loss_curve.png go there")
    score_data: str = flag(str(ROOT / "dataset" / "sample" / "heldout.jsonl"), "the held-out questions")
    chat_data: str = flag(str(ROOT / "dataset" / "sample" / "heldout_chats.jsonl"), "the held-out chats")
    problem_data: str = flag(str(ROOT / "dataset" / "sample" / "heldout_reason.jsonl"), "the held-out word problems")
    tokenizer: str = flag(str(ROOT / "model"), "folder of the tokenizer")
    device: str = flag("auto", "cuda, mps, cpu or auto")


def main() -> None:
    options = parse_options(QuickstartOptions, "Score what the quick start trained, and say what to do with it.")

    from eval_model import EvalOptions, score
    from model.weights import find_weight
    from scripts.reports.comparing import read_metadata
    from scripts.reports.plots import draw_losses
    from trainer.answering import answer_chats
    from trainer.command_line import check_out_dir

    out_dir = Path(options.out_dir).absolute()
    sft = find_weight("full_sft", out_dir)
    config = read_metadata(sft)["config"]  # the network that this SFT began with has its size
    pretrain = find_weight("pretrain", out_dir, config["hidden_size"], config["use_moe"])
    check_out_dir(out_dir)  # before the work

    places = {"tokenizer": options.tokenizer, "device": options.device}
    score_json = str(out_dir / "score.json")
    asked = {"score_data": options.score_data, "chat_data": options.chat_data, "half": "test"}
    weight = EvalOptions(weight=str(sft), score_json=score_json, **asked, **places)
    score(weight)
    model, tokenizer, _, stage, trained_length = weight.load_model()
    sets = {"general": options.score_data, "word problems": options.problem_data}
    print("\nTold to answer at once, or to think first:\n\n" + both_modes(model, tokenizer, stage, sets))
    chats = [[{"messages": [{"role": "user", "content": prompt}]} for prompt in chat] for chat in CHATS]
    replies = answer_chats(model, tokenizer, chats, weight.context(model, trained_length), stage)
    dialogues = []
    for chat in zip(CHATS, replies, strict=True):
        turns = [[" ".join(text.split()) for text in turn] for turn in zip(*chat, strict=True)]
        dialogues += [["└ " * (number > 0) + question, reply] for number, (question, reply) in enumerate(turns)]
    print("\nA few dialogues:\n\n" + format_table(["you", "MiniMind"], dialogues, 2))
    metrics = [out_dir / "metrics" / f"{weight.stem}.jsonl" for weight in (pretrain, sft)]
    picture = draw_losses(metrics, out_dir / "loss_curve.png", titles=("Pretraining", "SFT"))
    print(f"\nLoss curves: {picture}\nScores, with every wrong answer: {score_json}")
    print("\n" + what_next(out_dir))


def both_modes(model, tokenizer, stage: str, sets: dict[str, str]) -> str:
    """A table of how many questions of each set are answered rightly, and with how many tokens, in both modes."""
    from dataset.chat import answer_in
    from dataset.heldout import is_right, read_heldout
    from trainer.answering import answer_all, tokens_a_reply

    rows, asked = [], [read_heldout(path, "test") for path in sets.values()]
    for thinking in (False, True):
        rows.append([f"--thinking {int(thinking)}"])
        for questions in asked:
            replies = answer_all(model, tokenizer, [q["messages"] for q in questions], stage, thinking=thinking)
            pairs = zip(questions, replies, strict=True)
            right = sum(is_right(answer_in(reply, stage), question["answers"]) for question, reply in pairs)
            tokens = tokens_a_reply(tokenizer, replies, stage, thinking)
            rows[-1] += [percent(100 * right / len(questions)), f"{tokens:.1f}"]
    header = ["", *(cell for name in sets for cell in (name, "tokens a reply"))]
    return format_table(header, rows, 1)


def what_next(out_dir: Path) -> str:
    new = command("run.sh")
    commands = [
        (command("run.sh", "chat", out_dir), "talk to it"),
        (f'{command("eval_model.py", out_dir=out_dir)} --prompt "法国的首都是哪里？"', "one answer"),
        (command("run.sh", "eval", out_dir), "the held-out score by category"),
        (command("run.sh", "web", out_dir), "talk to it in a web page"),
        (f"{new} data pretrain_hq sft_mini_512", "fetch the full data; without it the stages take the sample"),
    ]
    return format_table(["what to type next", ""], commands, 2)


if __name__ == "__main__":
    run(main)
