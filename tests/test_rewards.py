"""Rewards: what each of them measures, what a run adds up, and the questions that they are computed for."""

import json
import math

import pytest
import torch

from dataset.chat import answer_in
from dataset.jsonl import DataError
from dataset.lm_dataset import QuestionDataset
from trainer.command_line import UsageError
from trainer.rewards import REWARDS, Reply, Rewards

THOUGHT = "<think>\n3 加 4。\n</think>\n"


def reply(text: str, *answers: str, stage="full_sft", asked="3 加 4 是几？", ids=(5, 6, 7), finished=True) -> Reply:
    messages = [{"role": "user", "content": asked}]
    return Reply(messages, list(answers), text, answer_in(text, stage), list(ids), finished, longest=12)


@pytest.mark.parametrize(
    ("name", "value", "judged"),
    [
        ("right", 1, reply("是 7 。", "7", "是7")),
        ("right", 0, reply("是 7 吗", "7", "是7")),
        ("right", 1, reply(THOUGHT + "<answer>\n7\n</answer>", "7", stage="reason")),
        ("right", 0, reply("<think>\n7", "7")),  # a thought without an end, so no answer
        ("number", 1, reply("3 + 4 is 7.0.", "There are 7 now.")),
        ("number", 1, reply("So it is 1,234.", "1234")),
        ("number", 0, reply("7 = 3 + 4", "7")),  # the last one counts
        ("number", 0, reply("seven", "7")),
        ("number", 0, reply("7", "seven")),
        ("form", 1, reply("7")),
        ("form", 0, reply("7", finished=False)),
        ("form", 0, reply("")),
        ("form", 1, reply(THOUGHT + "7")),
        ("form", 0, reply(THOUGHT)),
        ("form", 0, reply("</think>7<think>")),
        ("form", 0, reply(THOUGHT + THOUGHT + "7")),
        ("form", 1, reply(THOUGHT + "<answer>\n7\n</answer>", stage="reason")),
        ("form", 0, reply(THOUGHT + "<answer>\n7\n", stage="reason")),
        ("form", 0, reply("7", stage="reason")),
        ("length", 0.25, reply("7")),
        ("repetition", 0, reply("7", ids=(5, 6, 7, 8, 9))),
        ("repetition", 0.5, reply("7", ids=(5, 6, 5, 6, 5, 6))),  # 2 kinds of 4
        ("repetition", 0, reply("7", ids=(5, 6))),
        ("language", 1, reply("是七")),
        ("language", 0, reply("Seven")),
        ("language", 1, reply("Seven", asked="What is 3 + 4?")),
        ("language", 0, reply("七", asked="What is 3 + 4?")),
    ],
)
def test_each_reward(name, value, judged):
    assert REWARDS[name](judged) == value


def test_the_sum_has_weights_which_may_be_negative_and_every_part_is_told():
    rewards = Rewards(["right=1", "form=0.1", "length=-0.5"])
    one, other = rewards([reply("7", "7"), reply("8", "7")])
    assert one.pop("reward") == pytest.approx(1 + 0.1 - 0.125) and [*one.values()] == [1, 1, 0.25]
    assert other["reward"] == pytest.approx(0.1 - 0.125) and rewards([]) == []
    assert rewards.need_answers and not Rewards(["form=1"]).need_answers


@pytest.mark.parametrize("name", ["score", "reward"])
def test_a_function_of_the_users_own(tmp_path, name):
    """Whatever it is called, and whatever Python it is written in, the sum is the sum."""
    lines = ["from __future__ import annotations", "from dataclasses import dataclass", "@dataclass", "class Own:"]
    lines += ["    text: str", f"def {name}(reply):", "    return len(Own(reply.answer).text)"]
    (tmp_path / "my reward.py").write_text("\n".join(lines))
    rewards = Rewards(["right=1", f"{tmp_path / 'my reward.py'}:{name}=-0.5"])
    assert [each["reward"] for each in rewards([reply("7", "7"), reply("no", "7")])] == [0.5, -1]


@pytest.mark.parametrize("value", [math.nan, math.inf, "much", None])
def test_what_is_no_finite_number_is_named(tmp_path, value):
    (tmp_path / "my.py").write_text(f"from math import inf, nan\ndef score(reply):\n    return {value!r}\n")
    with pytest.raises(ValueError, match="the reward score ") as error:
        Rewards([f"{tmp_path}/my.py:score=1"])([reply("7")])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "parts", [["right"], ["right=much"], ["=1"], ["right=1", "right=2"], ["model=1"], [f"{__file__}l:b=1"]]
)
def test_flags_that_make_no_sense(parts):
    with pytest.raises(UsageError, match="--rewards"):
        Rewards(parts)


def test_a_reward_model_in_a_folder(tokenizer, tmp_path):
    """A stock network of transformers with one label judges the answer, without its thought, in its conversation."""
    from transformers import LlamaConfig, LlamaForSequenceClassification

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = LlamaForSequenceClassification(LlamaConfig(vocab_size=len(tokenizer), num_labels=1, **sizes)).eval()
    torch.nn.init.normal_(model.score.weight)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    rewards = Rewards(["model=2"], str(tmp_path))
    judged = rewards([reply("是七"), reply(THOUGHT + "是七"), reply("不知道")])
    ids = "<|im_start|>user\n3 加 4 是几？<|im_end|>\n<|im_start|>assistant\n是七<|im_end|>\n"
    with torch.no_grad():
        expected = model(tokenizer(ids, add_special_tokens=False, return_tensors="pt").input_ids).logits.item()
    assert judged[0] == judged[1] != judged[2]
    assert [*judged[0].values()] == pytest.approx([2 * expected, expected], rel=1e-5)
    with pytest.raises(UsageError, match="config.json"):
        Rewards(["model=1"], str(tmp_path / "none"))


PROMPT = [{"role": "system", "content": "算。"}, {"role": "user", "content": "3 加 4 是几？"}]
KNOWN = {
    "held out": {"messages": PROMPT, "answers": ["7", "七"]},
    "published": {"conversations": [*PROMPT, {"role": "assistant", "content": ""}], "gt": ["7", "七"]},
    "with its answer": {"conversations": [*PROMPT, {"role": "assistant", "content": "7"}], "gt": ["7", "七"]},
}


@pytest.mark.parametrize("form", KNOWN)
def test_known_formats_are_one_question(tokenizer, tmp_path, form):
    (tmp_path / "rl.jsonl").write_text("\n" + json.dumps(KNOWN[form], ensure_ascii=False) + "\n", "utf-8")
    flags = {"stage": "full_sft", "needs_answers": True, "cache_dir": tmp_path / "cache"}
    data = QuestionDataset(tmp_path / "rl.jsonl", tokenizer, 64, room=16, **flags)
    assert data.question(0) == (PROMPT, ["7", "七"])
    text = "<|im_start|>system\n算。<|im_end|>\n<|im_start|>user\n3 加 4 是几？<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.decode(data.prompt(0)) == text


def test_a_number_is_an_answer_and_other_things_are_not(tokenizer, tmp_path):
    path = tmp_path / "rl.jsonl"
    for gt, known in ((7, ["7"]), ([7, 7.5], ["7", "7.5"]), ([["7"]], None), (None, None), ([" 。"], None), ([], None)):
        path.write_text(json.dumps({"conversations": PROMPT, "gt": gt}) + "\n")
        if known:
            data = QuestionDataset(path, tokenizer, 64, needs_answers=True, cache_dir=tmp_path / "cache")
            assert data.question(0)[1] == known
        else:
            with pytest.raises(DataError, match=r"rl\.jsonl:1: .*gt"):
                QuestionDataset(path, tokenizer, 64, needs_answers=True, cache_dir=tmp_path / "cache")
