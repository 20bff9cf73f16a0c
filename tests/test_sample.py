"""The miniature world: rebuilt to the byte, large enough, and examined with questions that training never asks."""

import importlib.util
import json
import re
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

SAMPLE = Path(__file__).resolve().parents[1] / "dataset" / "sample"
BUILT = ("pretrain.jsonl", "sft.jsonl", "heldout.jsonl")


def read_jsonl(name: str) -> list[dict]:
    return [json.loads(line) for line in (SAMPLE / name).read_text("utf-8").split("\n") if line]


def source(name: str):
    """A module of the sample's sources, which lie beside the script and are no package."""
    spec = importlib.util.spec_from_file_location(f"sample_{name}", SAMPLE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def questions() -> list[dict]:
    return read_jsonl("heldout.jsonl")


@pytest.fixture(scope="module")
def dialogues() -> list[list[dict]]:
    return [record["conversations"] for record in read_jsonl("sft.jsonl")]


@pytest.fixture(scope="module")
def training_texts(dialogues) -> list[str]:
    """Every document and every message that a model is trained on."""
    texts = [record["text"] for record in read_jsonl("pretrain.jsonl")]
    return texts + [message["content"] for dialogue in dialogues for message in dialogue]


def plain(text: str) -> str:
    """Lower case without spaces and punctuation; numbers that stood apart stay apart, and signs of a sum stay."""
    text = unicodedata.normalize("NFKC", text).lower()
    text = re.sub(r"(?<=\d)[^\w+\-=<>]+(?=\d)", "·", text)
    return "".join(c for c in text if c in "·+-=<>" or unicodedata.category(c)[0] in "LNM")


def asked(question: dict) -> str:
    return question["messages"][-1]["content"]


# ---------------------------------------------------------------- what it is


def test_the_committed_files_can_be_rebuilt_to_the_byte(run_script, tmp_path):
    done = run_script(SAMPLE / "make_sample.py", "--output_dir", tmp_path / "built", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "built").iterdir()) == sorted(BUILT)
    for name in BUILT:
        assert (tmp_path / "built" / name).read_bytes() == (SAMPLE / name).read_bytes(), f"{name} differs: rebuild it"


def test_it_is_as_large_as_promised(questions):
    facts = source("facts")
    tables = {name: value for name, value in vars(facts).items() if isinstance(value, list) and name.isupper()}
    rows = {(name, *row) for name, table in tables.items() for row in table}
    assert len(rows) == sum(map(len, tables.values()))  # no fact is counted twice
    assert len(rows) >= 250
    assert len(source("skills").N_TRAIN) >= 3
    categories = Counter(question["category"] for question in questions)
    assert len(questions) >= 1000 and len(categories) >= 8 and categories["free"] >= 60


def test_held_out_questions_are_questions(questions):
    for question in questions:
        assert question.keys() == {"category", "messages", "answers"}
        roles = [message["role"] for message in question["messages"] if message["role"] != "system"]
        assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]
        assert question["answers"] and all(isinstance(answer, str) and plain(answer) for answer in question["answers"])
    conversations = [tuple(plain(message["content"]) for message in q["messages"]) for q in questions]
    assert len(set(conversations)) == len(conversations)


def test_the_world_is_chinese_first_and_english_too(dialogues, questions):
    for turns in (dialogues, [question["messages"] for question in questions]):
        chinese = sum(bool(re.search("[\u4e00-\u9fff]", dialogue[-1]["content"])) for dialogue in turns)
        assert 0.5 <= chinese / len(turns) <= 0.8


# ---------------------------------------------------------------- what is held out


def occurrences(needle: str, haystack: str):
    """Where `needle` stands in `haystack` without cutting a number or a Latin word in two."""
    for found in re.finditer(re.escape(needle), haystack):
        edges = haystack[found.start() - 1 : found.start() + 1], haystack[found.end() - 1 : found.end() + 1]
        if not any(re.fullmatch(r"\d\d|[a-z][a-z]", edge) for edge in edges):
            yield found


def test_no_held_out_question_occurs_in_training(questions, training_texts):
    corpus = "\n".join({plain(text) for text in training_texts})
    needles = {asked(question): plain(asked(question)) for question in questions}
    found = [text for text, needle in needles.items() if needle in corpus and any(occurrences(needle, corpus))]
    assert not found


def test_the_search_would_find_one(dialogues):
    corpus = "\n".join({plain(message["content"]) for dialogue in dialogues for message in dialogue})
    question = dialogues[0][0]["content"]
    assert list(occurrences(plain(f" {question.upper()} !"), corpus))


# "27 + 45", "27 加 45", "27加上45", "27 plus 45"; each sum of a chain by itself
SUM = re.compile(
    r"(?<!\d)(\d+)(?= ?(?:\+|-|加|减|加上|减去|减掉|plus|minus|add|and|和|与|take away|subtract) ?(\d+)(?!\d))"
)


def sums_in(text: str) -> set[tuple[int, int]]:
    return {tuple(sorted((int(a), int(b)))) for a, b in SUM.findall(text.replace("＋", "+").replace("−", "-"))}


def test_sums_are_read_as_written():
    assert sums_in("27 + 45 = 67 + 5") == {(27, 45), (5, 67)}
    assert sums_in("45加27等于几？What is 8 minus 3? 9 take away 4\n2") == {(27, 45), (3, 8), (4, 9)}


def test_held_out_sums_are_never_worked_out_in_training(questions, training_texts):
    """Neither as held-out questions have them nor as `reserved_pair` tells: not in any order, sign or language."""
    reserved = source("skills").reserved_pair
    trained = set().union(*map(sums_in, training_texts))
    asked_for = set()
    for question in questions:
        if question["category"] in ("addition", "subtraction"):
            numbers = [int(number) for number in re.findall(r"\d+", asked(question))]
            assert len(numbers) == 2 and reserved(*numbers), asked(question)
            asked_for.add(tuple(sorted(numbers)))
    assert len(asked_for) > 50 and len(trained) > 1000
    assert not asked_for & trained
    assert not [pair for pair in trained if reserved(*pair)]


def test_answers_to_sums_are_right(questions):
    for question in questions:
        if question["category"] in ("addition", "subtraction"):
            a, b = sorted(int(number) for number in re.findall(r"\d+", asked(question)))
            result = a + b if question["category"] == "addition" else b - a
            assert str(result) in question["answers"], asked(question)
            for answer in question["answers"]:
                assert re.findall(r"\d+", answer)[-1] == str(result), answer
