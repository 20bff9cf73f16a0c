"""The answers of a reasoning file without the thoughts: data for a control that shows what thinking is worth.

    python scripts/direct_answers.py                         # dataset/sample/reason.jsonl -> out/direct.jsonl

Of an assistant's `<think>…</think><answer>…</answer>` only what stands in <answer> is kept; all else stays as it is, so
`trainer/train_full_sft.py` learns the same problems, line by line, by their answers alone.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from trainer.command_line import ROOT, flag, parse_options, require, run  # noqa: E402


@dataclass
class DirectOptions:
    data_path: str = flag(str(ROOT / "dataset" / "sample" / "reason.jsonl"), "JSONL file of reasoned answers")
    output: str = flag(str(ROOT / "out" / "direct.jsonl"), "JSONL file to write")


def main() -> None:
    options = parse_options(DirectOptions, "Keep the answers of a reasoning file, without the thoughts.")

    from dataset.jsonl import read_records
    from model.files import write_atomically

    lines = list(read_records(options.data_path, direct_line))
    output, path = Path(options.output).absolute(), Path(options.data_path).absolute()
    require(output != path, f"--output {output}: that is the reasoning file itself: name another file")
    write_atomically(output, lambda temporary: temporary.write_text("".join(lines), encoding="utf-8"))
    print(f"{output}: {len(lines):,} conversations, with the answers of {path.name} and without its thoughts")


def direct_line(record: dict) -> str:
    """A conversation, as a line, whose answers have no thought; ValueError where one had none."""
    from dataset.chat import check_messages, split_thought

    check_messages(record.get("conversations"))
    conversation = []
    for message in record["conversations"]:
        if message["role"] == "assistant":
            parts = split_thought(message["content"])
            if parts is None:
                raise ValueError("an answer must look like <think>…</think><answer>…</answer>")
            message = message | {"content": parts[1]}
        conversation.append(message)
    return json.dumps({"conversations": conversation}, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    run(main)
