"""The miniature world as a task of EleutherAI's lm_eval: what the YAML file beside this one names as functions.

    lm_eval run --model hf --model_args pretrained=FOLDER,dtype=float32 --device cpu --batch_size 64 \\
        --include_path dataset/lm_eval --tasks minimind_world

It asks the test half of the held-out questions, already in the chat format, so that earlier turns come along and no
flag about chat templates is needed, and judges the whole reply, exactly as `eval_model.py --score --half test` does.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:  # lm_eval reads this file by its path, from anywhere
    sys.path.append(str(ROOT))

from dataset.chat import BOS, EOS, answer_in  # noqa: E402
from dataset.heldout import is_right, read_heldout  # noqa: E402

HELD_OUT = ROOT / "dataset" / "sample" / "heldout.jsonl"


def prompt(messages: list[dict]) -> str:
    """The conversation up to where the answer begins."""
    turns = [f"{BOS}{message['role']}\n{message['content']}{EOS}\n" for message in messages]
    return "".join(turns) + f"{BOS}assistant\n"


def held_out(**_) -> dict:
    from datasets import Dataset

    rows = [question | {"prompt": prompt(question["messages"])} for question in read_heldout(HELD_OUT, "test")]
    return {"test": Dataset.from_list([{key: row[key] for key in ("category", "prompt", "answers")} for row in rows])}


def whole_reply(doc: dict, results: list[str]) -> dict:
    return {"exact_match": float(is_right(answer_in(results[0], "full_sft"), doc["answers"]))}
