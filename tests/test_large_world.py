"""The large world of make_sample.py: word problems, chats, and what has no answer."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from preloaded import run_preloaded
from test_sample import SAMPLE, asked, occurrences, plain, source

from dataset.chat import render_batch, split_thought
from dataset.heldout import read_chats, read_heldout


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("large")
    done = run_preloaded(SAMPLE / "make_sample.py", "--world", "large", "--output_dir", folder)
    assert done.returncode == 0, done.stderr
    return folder


def read_jsonl(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


@pytest.fixture(scope="module")
def dialogues(built) -> list[list[dict]]:
    return [record["conversations"] for record in read_jsonl(built / "sft.jsonl")]


@pytest.fixture(scope="module")
def questions(built) -> list[dict]:
    return read_heldout(built / "heldout.jsonl")


@pytest.fixture(scope="module")
def chats(built) -> list[list[dict]]:
    return read_chats(built / "heldout_chats.jsonl")


def test_nothing_that_is_held_out_occurs_in_training(built, dialogues, questions, chats):
    later = [r["conversations"] for r in read_jsonl(built / "reason.jsonl")]
    texts = {record["text"] for record in read_jsonl(built / "pretrain.jsonl")}
    texts |= {message["content"] for dialogue in dialogues + later for message in dialogue}
    corpus = "\n".join(sorted(map(plain, texts)))
    every = questions + read_heldout(built / "heldout_reason.jsonl") + sum(chats, [])
    needles = {asked(question): plain(asked(question)) for question in every}
    assert not [text for text, needle in needles.items() if needle in corpus and any(occurrences(needle, corpus))]


def test_held_out_chats_have_twelve_turns_of_all_kinds(built, questions, chats):
    assert len(chats) >= 150 and {len(chat) for chat in chats} == {12}
    said = [turn for record in read_jsonl(built / "heldout_chats.jsonl") for turn in record["chat"]]
    kinds = Counter(turn["category"] for turn in said)
    assert {question["category"] for question in questions} <= kinds.keys() and kinds["unknown"] >= 150
    assert {"again", "translate", "reverse", "recall", "more", "less", "sure"} <= kinds.keys()


def test_training_has_chats_of_every_length_that_fit_into_512_tokens(dialogues, tokenizer):
    lengths = Counter(sum(message["role"] == "user" for message in dialogue) for dialogue in dialogues)
    assert set(lengths) == set(range(1, 13)) and min(lengths.values()) >= 200
    longest = sorted(dialogues, key=lambda dialogue: -sum(len(message["content"]) for message in dialogue))[:200]
    assert max(len(ids) for ids, _ in render_batch(tokenizer, longest)) <= 512


def test_what_has_no_answer_is_declined_in_few_forms(questions, dialogues):
    unknown = [question for question in questions if question["category"] == "unknown"]
    assert len(unknown) >= 200 and len(source("unknown").free_questions()) >= len(unknown) / 3
    forms = {answer for question in unknown for answer in question["answers"]}
    assert 4 <= len(forms) <= 12
    declined = Counter(d[i + 1]["content"] in forms for d in dialogues for i in range(len(d)) if d[i]["role"] == "user")
    assert 0.05 < declined[True] / sum(declined.values()) < 0.2


def test_every_line_of_thought_is_right_and_leads_to_the_answer(built):
    """A line repeats an event of the story and works it out: "游来 2 只：5 + 2 = 7"."""
    thoughtful = multi_step = 0
    reason = [record["conversations"] for record in read_jsonl(built / "reason.jsonl")]
    for *_, question, reply in reason:
        thought, answer = split_thought(reply["content"])
        if not thought:
            continue  # a world question, rehearsed
        thoughtful += 1
        clauses, sums = zip(*(re.split("： ?|: ", line) for line in thought.split("\n")), strict=True)
        told, lines = question["content"].lower(), [each.split(" = ") for each in sums]
        places = [told.find(clause.lower()) for clause in clauses if clause not in ("合起来", "together")]
        assert -1 not in places and places == sorted(places), thought
        for line in lines:
            assert len({value(side) for side in line}) == 1, thought
        assert re.findall(r"\d+", answer)[-1] == lines[-1][-1]
        multi_step += len(lines) > 1
        given = set(re.findall(r"\d+", question["content"])) | {line[-1] for line in lines}
        assert all(set(re.findall(r"\d+", line[0])) <= given for line in lines), thought
    assert multi_step >= 3900 and 0.4 <= thoughtful / len(reason) <= 0.6


def value(side: str) -> int:
    """27, or 27 + 45, or 72 - 45."""
    assert re.fullmatch(r"\d+( [+-] \d+)?", side), side
    return sum(int(number) for number in re.findall(r"[+-]?\d+", side.replace(" ", "")))


def test_held_out_problems_join_known_verbs_to_new_stories_and_numbers(built, questions, dialogues):
    def numbers(text: str) -> list[int]:
        return [int(number) for number in re.findall(r"\d+", text)]

    stories = source("stories")
    reason = [record["conversations"] for record in read_jsonl(built / "reason.jsonl")]
    trained = [d[0]["content"] for d in reason if split_thought(d[-1]["content"])[0]]
    trained += [d[-2]["content"] for d in dialogues if re.match(r"\d+ [+-] \d+ = .*\d[，.] ?\D", d[-1]["content"])]
    problems = read_heldout(built / "heldout_reason.jsonl")
    assert Counter(q["category"] for q in problems) == {"reason_2": 150, "reason_3": 150, "reason_4": 100}
    told = [question for question in questions if question["category"] == "story"]
    assert len(told) >= 100
    seen = {tuple(numbers(text)) for text in trained}
    for question in problems + told:
        given = numbers(asked(question))
        assert stories.reserved_numbers(given) and tuple(given) not in seen
    for question in problems:
        results = {tuple(numbers(answer)) for answer in question["answers"]}
        assert len(results) == 1 and str(*results.pop()) in question["answers"]
    text = "\n".join(trained)
    for lang, least in (("zh", 160), ("en", 110)):
        scenes = stories.scenes(lang)
        verbs, held = ({e[2] for s in scenes if s["held"] == held for e in s["events"]} for held in (False, True))
        assert len(verbs) >= least and held <= verbs and all(verb[1:] in text for verb in verbs)
        openings = [opening.split("{n}") for s in scenes if s["held"] for opening in s["openings"]]
        assert len(openings) >= 6
        assert not [o for o in openings if re.search(r" ?\d+ ?[^，。.]{1,20}".join(map(re.escape, o)), text) and any(o)]
