"""The right ones of a weight's own answers, as data to learn from: what reinforcement learning has to beat.

    python scripts/rejection_sampling.py --weight out/reason_192.pth --samples 16      # -> out/kept.jsonl

To each question of a file it samples some answers, at temperature 1 from the whole vocabulary, and keeps those that are
right, each once (Yuan et al. 2023, "RFT"; Zelikman et al. 2022, "STaR"). trainer/train_distill_reason.py or
train_full_sft.py learns from them.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

from trainer.command_line import flag, parse_options, require, run  # noqa: E402
from trainer.options import WeightOptions  # noqa: E402


@dataclass
class RejectionOptions(WeightOptions):
    data_path: str = flag(str(ROOT / "dataset" / "sample" / "rl.jsonl"), "questions with their right answers")
    output: str = flag(str(ROOT / "out" / "kept.jsonl"), "JSONL file to write")
    samples: int = flag(16, "answers to each question", least=1)
    seed: int = flag(42, "seed of the noise", least=0)


def main() -> None:
    options = parse_options(RejectionOptions, "Keep the right ones of a weight's own answers.")

    from dataset.chat import answer_in
    from dataset.heldout import is_right, read_heldout
    from model.files import write_atomically
    from trainer.answering import sample_all

    questions, output = read_heldout(options.data_path), Path(options.output).absolute()
    require(output != Path(options.data_path).absolute(), f"--output {output}: these are the questions: name another")
    model, tokenizer, title, stage, _ = options.load_model()
    asked = [question["messages"] for question in questions]
    print(f"{options.samples} answers to each of {len(asked):,} questions, by {title}", flush=True)
    sampled = sample_all(model, tokenizer, asked, stage, options.samples, options.seed, thinking=options.thinking)
    lines = []
    for question, replies in zip(questions, sampled, strict=True):
        right = [reply for reply in dict.fromkeys(replies) if is_right(answer_in(reply, stage), question["answers"])]
        turns = [[*question["messages"], {"role": "assistant", "content": reply}] for reply in right]
        lines += [json.dumps({"conversations": messages}, ensure_ascii=False) + "\n" for messages in turns]
    require(lines, f"{options.data_path}: no answer was right, so there is nothing to learn from")
    write_atomically(output, lambda temporary: temporary.write_text("".join(lines), encoding="utf-8"))
    print(f"{output}: {len(lines):,} right answers of {options.samples * len(questions):,}, each once")


if __name__ == "__main__":
    run(main)
