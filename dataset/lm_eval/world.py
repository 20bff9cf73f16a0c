"""The miniature world as tasks of EleutherAI's lm_eval: what the YAML files beside this one name as functions.

    lm_eval run --model hf --model_args pretrained=FOLDER,dtype=float32 --device cpu --batch_size 64 \\
        --include_path dataset/lm_eval --tasks minimind_world minimind_world_choice

Both ask the held-out questions of dataset/sample, already in the chat format, so that earlier turns come along and no
flag about chat templates is needed. `minimind_world` judges the whole reply, exactly as `eval_model.py --score` does.
`minimind_world_choice` asks which of up to four replies the network finds likeliest, which also tells apart weights
that do not answer by themselves yet.
"""

import random
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:  # lm_eval reads this file by its path, from anywhere
    sys.path.append(str(ROOT))

from dataset.chat import BOS, EOS  # noqa: E402
from dataset.heldout import is_right, normalise, read_heldout  # noqa: E402

HELD_OUT = ROOT / "dataset" / "sample" / "heldout.jsonl"
N_CHOICES = 4


def prompt(messages: list[dict]) -> str:
    """The conversation up to where the answer begins."""
    turns = [f"{BOS}{message['role']}\n{message['content']}{EOS}\n" for message in messages]
    return "".join(turns) + f"{BOS}assistant\n"


def held_out(**_) -> dict:
    """The questions with the prompt and every accepted answer."""
    from datasets import Dataset

    rows = [question | {"prompt": prompt(question["messages"])} for question in read_heldout(HELD_OUT)]
    return {"test": Dataset.from_list([{key: row[key] for key in ("category", "prompt", "answers")} for row in rows])}


def whole_reply(doc: dict, results: list[str]) -> dict:
    return {"exact_match": float(is_right(results[0], doc["answers"]))}


def held_out_choices(**_) -> dict:
    """The same questions, each with the right reply among wrong ones; a few without any wrong one are left out."""
    from datasets import Dataset

    questions = read_heldout(HELD_OUT)
    cores = [core(question["answers"]) for question in questions]
    pools: dict[tuple, set[str]] = {}
    for question, part in zip(questions, cores, strict=True):
        pools.setdefault(kind(question, part), set()).add(part or question["answers"][0])
    rows = []
    for number, (question, part) in enumerate(zip(questions, cores, strict=True)):
        right, noise = question["answers"][0], random.Random(number)
        others = sorted(pools[kind(question, part)] - {part, right})
        wrong = [other if part is None else replace_last(right, part, other) for other in others]
        accepted = {normalise(answer) for answer in question["answers"]}
        wrong = [reply for reply in wrong if normalise(reply) not in accepted]
        choices = [right, *noise.sample(wrong, min(N_CHOICES - 1, len(wrong)))]
        noise.shuffle(choices)
        if len(choices) > 1:
            rows.append({"prompt": prompt(question["messages"]), "choices": choices, "gold": choices.index(right)})
    return {"test": Dataset.from_list(rows)}


def core(answers: list[str]) -> str | None:
    """What the first answer says beside the words of the question: 巴黎 in 法国的首都是巴黎。 It is the longest other
    answer that stands in it; None when there is none."""
    return max((answer for answer in answers[1:] if answer in answers[0]), key=len, default=None)


def kind(question: dict, part: str | None) -> tuple:
    """What wrong replies to a question are drawn from: the same category and language, of reply and of core."""
    return question["category"], question["answers"][0].isascii(), part and part.isascii()


def replace_last(text: str, old: str, new: str) -> str:
    head, _, tail = text.rpartition(old)
    return head + new + tail
