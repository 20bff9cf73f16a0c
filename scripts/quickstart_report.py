"""What the quick start shows at its end: how good the trained model is, and what to do with it.

    python scripts/quickstart_report.py                      # the newest pretrain and full_sft weights in out/

Scores the fine-tuned model on the held-out questions, prints the table by category and a few dialogues, and writes
out/score.json and out/loss_curve.png.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

from scripts.reports.shell import command  # noqa: E402
from scripts.reports.tables import format_table  # noqa: E402
from trainer.command_line import flag, parse_options, run  # noqa: E402


@dataclass
class QuickstartOptions:
    out_dir: str = flag(str(ROOT / "out"), "folder of the weights and metrics; score.json and loss_curve.png go there")
    score_data: str = flag(str(ROOT / "dataset" / "sample" / "heldout.jsonl"), "the held-out questions")
    tokenizer: str = flag(str(ROOT / "model"), "folder of the tokenizer")
    device: str = flag("auto", "cuda, mps, cpu or auto")


def main() -> None:
    options = parse_options(QuickstartOptions, "Score what the quick start trained, and say what to do with it.")

    from eval_model import CHAT_PROMPTS, EvalOptions, score
    from model.weights import find_weight
    from scripts.reports.comparing import read_metadata, replies_of
    from scripts.reports.plots import draw_losses
    from trainer.command_line import check_out_dir

    out_dir = Path(options.out_dir).absolute()
    sft = find_weight("full_sft", out_dir)
    config = read_metadata(sft)["config"]  # the network that this SFT began with has its size
    pretrain = find_weight("pretrain", out_dir, config["hidden_size"], config["use_moe"])
    check_out_dir(out_dir)  # before the work

    places = {"tokenizer": options.tokenizer, "device": options.device}
    score_json = str(out_dir / "score.json")
    score(EvalOptions(weight=str(sft), score_data=options.score_data, score_json=score_json, **places))
    prompts = [{"messages": [{"role": "user", "content": prompt}]} for prompt in CHAT_PROMPTS]
    replies = replies_of("SFT", sft, {"chat": prompts}, **places)["chat"]
    dialogues = [[" ".join(text.split()) for text in turn] for turn in zip(CHAT_PROMPTS, replies, strict=True)]
    print("\nA few dialogues:\n\n" + format_table(["you", "MiniMind"], dialogues, 2))
    metrics = [out_dir / "metrics" / f"{weight.stem}.jsonl" for weight in (pretrain, sft)]
    picture = draw_losses(metrics, out_dir / "loss_curve.png", titles=("Pretraining", "SFT"))
    print(f"\nLoss curves: {picture}\nScores, with every wrong answer: {score_json}")
    print("\n" + what_next(out_dir))


def what_next(out_dir: Path) -> str:
    """Commands to type now, aligned, in the words of this machine."""
    new = command("run.sh")
    commands = [
        (command("run.sh", "chat", out_dir), "talk to it"),
        (f'{command("eval_model.py", out_dir=out_dir)} --prompt "法国的首都是哪里？"', "one answer"),
        (command("run.sh", "eval", out_dir), "the held-out score by category"),
        (command("run.sh", "web", out_dir), "talk to it in a web page"),
        (f"{new} data pretrain_hq sft_mini_512", "fetch the full data; without it the stages take the sample"),
        (f"{new} pretrain && {new} sft", "MiniMind2-Small, 26M; the real sizes want a GPU"),
        (f"{new} pretrain --hidden_size 768 --num_hidden_layers 16", "MiniMind2, 104M; then sft"),
        (f"{new} pretrain --hidden_size 640 --use_moe 1", "MiniMind2-MoE, 145M; then sft"),
    ]
    return format_table(["what to type next", ""], commands, 2)


if __name__ == "__main__":
    run(main)
