"""Held-out questions in two halves, and chats scored turn by turn."""

import json
from itertools import combinations
from pathlib import Path

import pytest
from preloaded import run_preloaded
from serving import assistant, teach, user

from dataset.heldout import half_of, pass_at_k, pass_table, read_chats, read_heldout
from dataset.jsonl import DataError

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "dataset" / "sample"


def write_lines(path: Path, records: list[dict]) -> Path:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "utf-8")
    return path


@pytest.mark.parametrize("name", ["heldout", "heldout_reason", "heldout_lora_teahouse", "heldout_lora_identity"])
def test_each_question_is_in_one_half_by_what_is_asked_alone(name, tmp_path):
    path = SAMPLE / f"{name}.jsonl"
    every, dev, test = (read_heldout(path, half) for half in ("all", "dev", "test"))
    assert [question for question in every if half_of(question) == "dev"] == dev and len(dev) + len(test) == len(every)
    assert 0.35 < len(dev) / len(every) < 0.65
    changed = [question | {"answers": ["x"], "category": "y"} for question in reversed(every)]
    read = read_heldout(write_lines(tmp_path / "changed.jsonl", changed), "dev")
    assert [question["messages"] for question in read] == [question["messages"] for question in reversed(dev)]


def test_a_half_without_questions_is_refused(tmp_path):
    question = {"category": "x", "messages": [user("一")], "answers": ["1"]}
    other = {"dev": "test", "test": "dev"}[half_of(question)]
    with pytest.raises(DataError, match=f"one.jsonl: no question of it is in the half {other}"):
        read_heldout(write_lines(tmp_path / "one.jsonl", [question]), other)


def test_pass_at_k_is_the_share_of_all_subsets_that_hold_a_right_reply():
    for n in range(1, 8):
        for c in range(n + 1):
            for k in range(1, n + 1):
                subsets = list(combinations([i < c for i in range(n)], k))
                assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


def test_samples_are_scored_over_all_questions_and_by_category():
    questions = [{"category": name, "answers": ["4"]} for name in "aab"]
    table = pass_table(questions, [["4"] * 10, ["4"] + ["5"] * 9, ["5"] * 10])
    assert table["samples"] == 10 and list(table["categories"]) == ["a", "b"]
    scores = {name: row["score"] for name, row in table["categories"]["a"].items()}
    assert scores == pytest.approx({"pass@1": 55, "pass@8": 90, "pass@10": 100})
    assert table["all"]["pass@1"]["score"] == pytest.approx(110 / 3)
    low, high = table["all"]["pass@1"]["interval"]
    assert 0 < low < 110 / 3 < high < 100 and list(pass_table(questions, [["4"]] * 3)["all"]) == ["pass@1"]


@pytest.mark.parametrize("bad", [{"chat": []}, {"chat": "hello"}, {"chat": [{"content": "hello"}]}, {"messages": []}])
def test_a_line_that_is_no_chat_is_named(bad, tmp_path):
    with pytest.raises(DataError, match=r"chats.jsonl:1: "):
        read_chats(write_lines(tmp_path / "chats.jsonl", [bad]))


def test_chats_are_scored_turn_by_turn_with_the_weights_own_replies_in_mind(tokenizer, tmp_path):
    """The second answer depends on what the weight itself said first, not on what would have been right."""
    said = [user("选一个"), assistant("红色"), user("哪个？"), assistant("你选了红色。")]
    out_dir = teach(tokenizer, tmp_path, ((said, ()),))
    chat = [{"content": "选一个", "answers": ["蓝色"]}, {"content": "哪个？", "answers": ["你选了红色。"]}]
    short = [{"content": "选一个", "answers": ["红色"]}]
    chats = write_lines(tmp_path / "chats.jsonl", [{"chat": chat}, {"chat": short}])
    question = {"category": "hello", "messages": [user("你好")], "answers": ["你好！很高兴见到你。😀"]}
    questions = write_lines(tmp_path / "questions.jsonl", [question])
    flags = ["--out_dir", out_dir, "--score", "--score_data", questions, "--chat_data", chats]
    done = run_preloaded(ROOT / "eval_model.py", *flags, "--score_json", tmp_path / "score.json")
    assert done.returncode == 0, done.stderr
    table = json.loads((tmp_path / "score.json").read_text("utf-8"))
    assert table["score"] == 100 and table["half"] == "all"
    assert [(row["turn"], row["n"], row["score"]) for row in table["chats"]] == [(1, 2, 50), (2, 1, 100)]
    assert "turn 2            100.0%" in done.stdout
