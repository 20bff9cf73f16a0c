"""Benchmarks: files of questions, our own tasks, and the record of figures. What runs lm_eval itself stands in
tests/compat."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dataset.heldout import is_right
from dataset.jsonl import DataError
from scripts import eval_benchmark
from scripts.evaluating.question_files import read_multiple_choice
from scripts.evaluating.results import append_results, comparison, read_results

ROOT = Path(__file__).resolve().parents[1]
CEVAL = (
    "id,question,A,B,C,D,answer,explanation\n"
    '0,"甲、乙两数之和，是多少？",一,二,三,四,C,"一加二，是三"\n'
    "1,Which one is a fish?,cat,tuna,oak,iron,B,\n"
)


def test_one_set_of_questions_in_every_form(tmp_path):
    """C-Eval's CSV, CMMLU's with its capitals and nameless first column, and JSONL with letters or with a list."""
    (tmp_path / "ceval.csv").write_text(CEVAL, "utf-8-sig")
    rows = read_multiple_choice(tmp_path / "ceval.csv")
    assert [(row["choices"], row["gold"], row["ask"]) for row in rows] == [
        (["一", "二", "三", "四"], 2, "答案："), (["cat", "tuna", "oak", "iron"], 1, "Answer:")
    ]  # fmt: skip
    cmmlu = CEVAL.replace("id,question", ",Question").replace("answer,explanation", "Answer,explanation")
    (tmp_path / "cmmlu.csv").write_text(cmmlu, "utf-8")
    letters = [{"question": r["question"], **dict(zip("ABCD", r["choices"], strict=True)), "answer": "ABCD"[r["gold"]]}
               for r in rows]  # fmt: skip
    listed = [{"question": r["question"], "choices": r["choices"], "answer": "ABCD"[r["gold"]]} for r in rows]
    for name, records in (("letters.jsonl", letters), ("listed.jsonl", listed)):
        (tmp_path / name).write_text("\n".join(json.dumps(record) for record in records), "utf-8")
    for name in ("cmmlu.csv", "letters.jsonl", "listed.jsonl"):
        assert read_multiple_choice(tmp_path / name) == rows


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("B,\n", "E,\n", ":3: the answer is 'E', not one of A, B, C, D"),
        ("tuna", "", ":3: an option is missing"),
        ("Which one is a fish?", "", ":3: the question is missing"),
        ("B,\n", "B,,more\n", ":3: there are 1 cells more"),
        ("answer", "key", ":2: the answer is None"),
    ],
)
def test_a_bad_question_is_named_by_its_line(tmp_path, old, new, expected):
    path = tmp_path / "exam.csv"
    path.write_text(CEVAL.replace(old, new), "utf-8")
    with pytest.raises(DataError) as error:
        read_multiple_choice(path)
    assert f"{path}{expected}" in str(error.value)


def test_half_a_character_in_a_file_is_named_by_its_line(tmp_path):
    path = tmp_path / "exam.jsonl"
    row = {"question": "?", "choices": ["a", "b"], "answer": "A"}
    path.write_text("".join(json.dumps(row | {"question": text}) + "\n\n" for text in ("one", "two \ud83d")))
    with pytest.raises(DataError, match=f"{path}:3: "):
        read_multiple_choice(path)


@pytest.mark.parametrize(
    ("results", "said"),
    [("folder", "this is a folder"), ("file/x.jsonl", "a file stands")],
)
def test_places_that_cannot_be_written_are_said_before_the_work(tmp_path, monkeypatch, results, said):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    flags = ["--text", str(ROOT / "README.md"), "--weight", "nowhere.pth", "--results", str(tmp_path / results)]
    monkeypatch.setattr(sys, "argv", ["eval_benchmark.py", *flags])
    with pytest.raises(ValueError, match=said):
        eval_benchmark.main()


def test_our_choices_hold_one_right_reply(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "dataset" / "lm_eval")
    import world

    rows = list(world.held_out_choices()["test"])
    questions = {world.prompt(question["messages"]): question for question in world.read_heldout(world.HELD_OUT)}
    assert len(rows) > 0.99 * len(questions)
    for row in rows:
        right = [is_right(choice, questions[row["prompt"]]["answers"]) for choice in row["choices"]]
        assert 2 <= len(right) <= 4 and sum(right) == 1 and right[row["gold"]], row


def test_weights_are_compared_by_their_newest_figures(tmp_path):
    """Two weights, a task of a group left out, figures of other settings kept apart."""
    def record(name, value, **more):
        base = {"task": "exam.csv", "setting": "", "metric": "acc", "stderr": 0.01, "chance": 0.25, "n": 8}
        return base | {"name": name, "value": value, "group": None} | more

    path = tmp_path / "results.jsonl"
    append_results(path, [record("old", 0.1), record("new", 0.9), record("old", 0.3)])
    append_results(path, [
        record("new", 0.5, setting="5-shot"), record("new", 0.7, task="sub", group="all"),
        record("new", 1.5, task="notes.txt", metric="bits_per_byte", stderr=None, chance=None),
    ])  # fmt: skip
    lines = comparison(read_results(path)).splitlines()
    assert lines[0].split() == ["task", "metric", "n", "chance", "old", "new"]
    assert lines[2].split() == ["exam.csv", "acc", "8", "0.2500", "0.3000", "±", "0.0100", "0.9000", "±", "0.0100"]
    assert lines[3].split()[:3] == ["exam.csv,", "5-shot", "acc"] and lines[4].split()[-1] == "1.5000"
    assert len(lines) == 5
    whole = path.read_text("utf-8")
    for odd in ({"name": "half a record"}, record("new", 1, metric=5), record("new", 1, stderr="x"), record([], 1)):
        path.write_text(whole + json.dumps(odd) + "\n", "utf-8")
        with pytest.raises(DataError, match=f"{path}:7: this is no figure"):
            read_results(path)


def test_without_lm_eval_it_says_what_to_install(tmp_path):
    missing = tmp_path / "lm_eval"
    missing.mkdir()
    (missing / "__init__.py").write_text("raise ModuleNotFoundError('No module named lm_eval', name='lm_eval')")
    command = [sys.executable, ROOT / "scripts" / "eval_benchmark.py", "--tasks", "openbookqa"]
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(list(map(str, command)), env=env, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and not done.stdout
    assert done.stderr.startswith("error: the benchmarks need lm_eval (")
    assert done.stderr.endswith('): pip install "lm_eval[hf]==0.4.13"\n')
