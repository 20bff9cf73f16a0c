"""Preference pairs and reasoning data: what is learned of a line, how pairs become a batch, and what is refused."""

import copy
import json

import pytest
import torch

from dataset.batching import PairCollate
from dataset.chat import render, split_thought
from dataset.jsonl import DataError
from dataset.lm_dataset import DPODataset, ReasonDataset
from trainer.objectives import decode

PROMPT = [{"role": "user", "content": "中国的首都是哪里？"}]
LONG = [{"role": "user", "content": "你好"}, {"role": "assistant", "content": "你好！"}, *PROMPT]


def answer(text: str) -> dict:
    return {"role": "assistant", "content": text}


def thought(thought: str = "想一想。", reply: str = "北京") -> str:
    return f"<think>\n{thought}\n</think>\n<answer>\n{reply}\n</answer>"


GOOD = {"chosen": [*LONG, answer("北京。")], "rejected": [*LONG, answer("我不知道，你问别人吧。")]}


@pytest.fixture
def write(tmp_path):
    def write(*records):
        path = tmp_path / "data.jsonl"
        path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "utf-8")
        return path

    return write


@pytest.fixture
def load(write, tokenizer, tmp_path):
    def load(kind, *records, max_length=64, tokenizer=tokenizer, **kwargs):
        return kind(write(*records), tokenizer, max_length, cache_dir=tmp_path / "cache", **kwargs)

    return load


def test_a_pair_learns_its_last_answers_alone(load, tokenizer):
    chosen, rejected, reference = load(DPODataset, GOOD)[0]
    for (ids, targets, mask), text in ((chosen, "北京。"), (rejected, "我不知道，你问别人吧。")):
        assert torch.equal(ids[1:], targets[:-1])
        assert tokenizer.decode(targets[mask > 0]) == text + "<|im_end|>"
    n_prompt = int((chosen[2] > 0).nonzero()[0]) + 1
    assert torch.equal(chosen[0][:n_prompt], rejected[0][:n_prompt]) and reference.tolist() == [0, 0]


def test_a_pair_in_a_vocabulary_with_one_mark_for_both_ends(load, tokenizer):
    """As GPT-2's: begin and end are one token, and still the whole last answer is learned."""
    theirs = copy.deepcopy(tokenizer)
    theirs.bos_token = theirs.eos_token
    chosen, _, _ = load(DPODataset, GOOD, tokenizer=theirs)[0]
    assert tokenizer.decode(chosen[1][chosen[2] > 0]) == "北京。<|im_end|>"


def test_the_prompt_of_a_pair_is_what_a_chat_would_ask(load, tokenizer):
    assert load(DPODataset, GOOD).prompt(0) == render(tokenizer, LONG, add_generation_prompt=True)[0]


def test_pairs_become_a_batch_with_the_chosen_rows_first(load, tokenizer, make_model):
    """And the log-probabilities of an answer do not depend on its company."""
    short = {"chosen": [*PROMPT, answer("北京")], "rejected": [*PROMPT, answer("上海")]}
    data = load(DPODataset, GOOD, short, GOOD)
    data.reference = torch.arange(6.0).view(3, 2).numpy()
    batch = data.make_collate()([data[1], data[2]])
    assert isinstance(data.make_collate(), PairCollate)
    assert batch["input_ids"].shape[0] == 4 and batch["reference"].tolist() == [[2, 3], [4, 5]]
    learned = [tokenizer.decode(t[m > 0]) for t, m in zip(batch["targets"], batch["loss_mask"], strict=True)]
    assert [text.removesuffix("<|im_end|>") for text in learned] == ["北京", "北京。", "上海", "我不知道，你问别人吧。"]
    model = make_model(vocab_size=6400)
    alone = data.make_collate()([data[1]])
    together, single = (decode(model, b).last_hidden_state for b in (batch, alone))
    length = int(alone["attention_mask"][0].sum())
    assert (together[0, :length] - single[0, :length]).abs().max() <= 1e-5


def test_a_validation_slice_keeps_each_reference_with_its_pair(load):
    records = [{"chosen": [*PROMPT, answer(f"好{i}")], "rejected": [*PROMPT, answer(f"坏{i}")]} for i in range(20)]
    data = load(DPODataset, *records)
    data.reference = torch.arange(40.0).view(20, 2).numpy()
    for part in data.split_validation(0.3):
        for i in range(len(part)):
            assert part[i][2][0] == 2 * part.kept[i]


def test_pairs_with_an_answer_beyond_the_limit_are_left_out_and_counted(load):
    far = {"chosen": [*PROMPT, answer("北京")], "rejected": [{"role": "user", "content": "问" * 100}, answer("答")]}
    far["chosen"][0] = far["rejected"][0]
    data = load(DPODataset, GOOD, far)
    assert len(data) == 1 and data.n_too_long == 1 and "1 without an answer within 64" in data.summary()


BAD_PAIRS = {
    "no rejected": ({"chosen": GOOD["chosen"]}, 'the key "rejected" is missing'),
    "no chosen": ({"rejected": GOOD["chosen"]}, 'the key "chosen" is missing'),
    "an empty list": (GOOD | {"rejected": []}, '"rejected" has no answer'),
    "no list": (GOOD | {"rejected": "不"}, "must be a list of messages"),
    "no rejected answer": (GOOD | {"rejected": PROMPT}, '"rejected" has no answer'),
    "an empty answer": (GOOD | {"rejected": [*LONG, answer(" ")]}, 'message 4 of "rejected" is empty'),
    "a question last": (GOOD | {"rejected": LONG}, '"rejected" must end with an answer'),
    "another prompt": (GOOD | {"rejected": [*PROMPT, answer("不")]}, "different prompts"),
    "equal": (GOOD | {"rejected": [*LONG, answer("北京。 ")]}, "are equal"),
    "no prompt": ({"chosen": [answer("好")], "rejected": [answer("坏")]}, "there is no prompt"),
    "an SFT line": ({"conversations": GOOD["chosen"]}, 'the key "chosen" is missing'),
}


@pytest.mark.parametrize("name", BAD_PAIRS)
def test_a_bad_pair_is_refused_with_its_line(load, name):
    record, named = BAD_PAIRS[name]
    with pytest.raises(DataError, match=rf"data\.jsonl:2: .*{named}.*: correct the line"):
        load(DPODataset, GOOD, record)
    data = load(DPODataset, GOOD, record, skip_bad_lines=True)
    assert len(data) == 1 and data.n_skipped == 1


def test_tags_in_answers_are_single_tokens_that_weigh_10_and_elsewhere_plain_text(load, tokenizer):
    question = {"role": "user", "content": f"写出 {thought()}"}
    ids, targets, mask = load(ReasonDataset, {"conversations": [question, answer(thought())]}, max_length=128)[0]
    tags = [tokenizer.convert_tokens_to_ids(tag) for tag in ("<think>", "</think>", "<answer>", "</answer>")]
    assert targets[mask == 10].tolist() == tags
    assert not set(ids[: int((mask > 0).nonzero()[0]) + 1].tolist()) & set(tags)  # what the user typed stays text
    assert tokenizer.decode(targets[mask > 0]) == thought() + "<|im_end|>"
    assert set(mask.tolist()) == {0, 1, 10}


BAD_THOUGHTS = {
    "no tags": ("北京", "does not have the form"),
    "no thought": ("<answer>\n北京\n</answer>", "does not have the form"),
    "no answer": ("<think>\n想\n</think>\n北京", "does not have the form"),
    "not closed": ("<think>\n想\n</think>\n<answer>\n北京", "does not have the form"),
    "text before": ("好的。" + thought(), "does not have the form"),
    "twice": (thought() + thought(), "does not have the form"),
    "nested": (thought("<think>想"), "does not have the form"),
    "an empty answer": (thought(reply=" "), "nothing between <answer> and </answer>"),
}


@pytest.mark.parametrize("name", BAD_THOUGHTS)
def test_an_answer_without_its_tags_is_refused_with_its_line(load, name):
    text, named = BAD_THOUGHTS[name]
    good = {"conversations": [*PROMPT, answer(thought())]}
    with pytest.raises(DataError, match=rf"data\.jsonl:2: .*{named}.*: correct the line"):
        load(ReasonDataset, good, {"conversations": [*PROMPT, answer(text)]})


def test_thought_and_answer_come_apart():
    assert split_thought(thought("a\n\nb", "c")) == ("a\n\nb", "c")
    assert split_thought("<think></think><answer>1</answer>") == ("", "1")
    assert all(split_thought(text) is None for text, named in BAD_THOUGHTS.values() if "form" in named)
