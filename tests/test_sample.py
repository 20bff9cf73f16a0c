"""The miniature world: rebuilt to the byte, large enough, and examined with questions that training never asks."""

import importlib
import json
import random
import re
import sys
import unicodedata
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from preloaded import run_preloaded

from dataset.chat import as_trained, render_batch, split_thought
from dataset.heldout import half_of, is_right, read_chats, read_heldout

SAMPLE = Path(__file__).resolve().parents[1] / "dataset" / "sample"
STAGES = ("dpo", "lora_identity", "lora_teahouse", "reason")  # after SFT; each has held-out records of its own
BUILT = ["pretrain.jsonl", "sft.jsonl", "heldout.jsonl", "rl.jsonl"]
BUILT += [f"{prefix}{stage}.jsonl" for stage in STAGES for prefix in ("", "heldout_")]
BUILT += ["distill.jsonl", "heldout_distill.jsonl", "heldout_chats.jsonl"]


def read_jsonl(name: str) -> list[dict]:
    return [json.loads(line) for line in (SAMPLE / name).read_text("utf-8").split("\n") if line]


def source(name: str):
    """A module of the sample's sources, which lie beside the script and are no package."""
    sys.path.insert(0, str(SAMPLE))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(SAMPLE))


@pytest.fixture(scope="module")
def questions() -> list[dict]:
    return read_jsonl("heldout.jsonl")


@pytest.fixture(scope="module")
def chats() -> list[list[dict]]:
    return read_chats(SAMPLE / "heldout_chats.jsonl")


@pytest.fixture(scope="module")
def dialogues() -> list[list[dict]]:
    return [record["conversations"] for record in read_jsonl("sft.jsonl")]


@pytest.fixture(scope="module")
def later() -> dict[str, list[list[dict]]]:
    """The conversations of every stage after SFT; of pairs the chosen ones."""
    return {name: [r.get("conversations") or r["chosen"] for r in read_jsonl(f"{name}.jsonl")] for name in STAGES}


@pytest.fixture(scope="module")
def later_questions() -> dict[str, list[dict]]:
    """The held-out questions of every stage after SFT; of pairs the prompts."""
    made = {name: read_jsonl(f"heldout_{name}.jsonl") for name in STAGES if name != "dpo"}
    return made | {"dpo": [{"messages": pair["chosen"][:-1]} for pair in read_jsonl("heldout_dpo.jsonl")]}


@pytest.fixture(scope="module")
def tried() -> list[dict]:
    """The questions of reinforcement learning."""
    return read_heldout(SAMPLE / "rl.jsonl")


@pytest.fixture(scope="module")
def training_texts(dialogues, later, tried) -> list[str]:
    """Every document and every message that a model is trained on."""
    texts = [record["text"] for record in read_jsonl("pretrain.jsonl")]
    texts += [text for question in tried for text in (asked(question), *question["answers"])]
    texts += [pair["rejected"][-1]["content"] for pair in read_jsonl("dpo.jsonl")]
    trained = [dialogues, *later.values()]
    messages = [message for each in trained for dialogue in each for message in dialogue]
    return texts + [message[key] for message in messages for key in ("content", "reasoning_content") if key in message]


def plain(text: str) -> str:
    """Lower case without spaces and punctuation; numbers that stood apart stay apart, and signs of a sum stay."""
    text = unicodedata.normalize("NFKC", text).lower()
    text = re.sub(r"(?<=\d)[^\w+\-=<>]+(?=\d)", "·", text)
    return "".join(c for c in text if c in "·+-=<>" or unicodedata.category(c)[0] in "LNM")


def asked(question: dict) -> str:
    return question["messages"][-1]["content"]


def numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


# ---------------------------------------------------------------- what it is


def test_the_committed_files_can_be_rebuilt_to_the_byte(tmp_path):
    done = run_preloaded(SAMPLE / "make_sample.py", "--output_dir", tmp_path / "built", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "built").iterdir()) == sorted(BUILT)
    for name in BUILT:
        assert (tmp_path / "built" / name).read_bytes() == (SAMPLE / name).read_bytes(), f"{name} differs: rebuild it"


def test_it_is_as_large_as_promised(questions):
    rows = [json.dumps(row, ensure_ascii=False) for row in source("tables").read("facts")]
    assert len(set(rows)) == len(rows)  # no fact is counted twice
    assert len(rows) >= 250
    categories = Counter(question["category"] for question in questions)
    assert len(questions) >= 1700 and categories["free"] >= 60 and categories["unknown"] >= 200
    assert sum(path.stat().st_size for path in SAMPLE.glob("*.jsonl")) <= 18_000_000


def test_either_half_of_the_questions_has_all_kinds(questions, later_questions, chats):
    for kind in {question["category"] for question in questions}:
        halves = Counter(half_of(question) for question in questions if question["category"] == kind)
        assert min(halves["dev"], halves["test"]) >= 5, kind
    for made in (questions, later_questions["reason"], chats):
        assert 0.4 <= sum(half_of(one) == "test" for one in made) / len(made) <= 0.6


def test_a_damaged_row_of_a_table_is_named(tmp_path, monkeypatch):
    tables = source("tables")
    monkeypatch.setattr(tables, "TABLES", tmp_path)
    (tmp_path / "facts.jsonl").write_text('{"relation": "capital"}\n{"relation": "capital",}\n', "utf-8")
    with pytest.raises(ValueError, match=r"facts\.jsonl, line 2"):
        tables.read("facts")


def test_held_out_questions_are_questions(questions, later_questions, tried):
    for question in questions + tried + sum((made for name, made in later_questions.items() if name != "dpo"), []):
        assert question.keys() - {"preferred", "name"} == {"category", "messages", "answers"}
        roles = [message["role"] for message in question["messages"] if message["role"] != "system"]
        assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]
        assert question["answers"] and all(isinstance(answer, str) and plain(answer) for answer in question["answers"])
    for made in (questions, tried):
        conversations = [tuple(plain(message["content"]) for message in q["messages"]) for q in made]
        assert len(set(conversations)) == len(conversations)


def test_the_world_is_chinese_first_and_english_too(dialogues, later, questions, tried):
    for turns in (dialogues, *later.values(), *([q["messages"] for q in made] for made in (questions, tried))):
        said = [next(m["content"] for m in reversed(d) if m["role"] == "user") for d in turns]  # a sum has no language
        chinese = sum(bool(re.search("[\u4e00-\u9fff]", question)) for question in said)
        assert 0.5 <= chinese / len(turns) <= 0.8


# ---------------------------------------------------------------- what is held out


def occurrences(needle: str, haystack: str):
    """Where `needle` stands in `haystack` without cutting a number or a Latin word in two."""
    for found in re.finditer(re.escape(needle), haystack):
        edges = haystack[found.start() - 1 : found.start() + 1], haystack[found.end() - 1 : found.end() + 1]
        if not any(re.fullmatch(r"\d\d|[a-z][a-z]", edge) for edge in edges):
            yield found


def test_no_held_out_question_occurs_in_training(questions, later_questions, chats, training_texts):
    corpus = "\n".join({plain(text) for text in training_texts})
    every = questions + sum(later_questions.values(), []) + sum(chats, [])
    needles = {asked(question): plain(asked(question)) for question in every}
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


# ---------------------------------------------------------------- chats, and what has no answer


def test_held_out_chats_have_twelve_turns_of_all_kinds(questions, chats):
    assert len(chats) >= 150 and {len(chat) for chat in chats} == {12}
    said = [turn for record in read_jsonl("heldout_chats.jsonl") for turn in record["chat"]]
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


# ---------------------------------------------------------------- the stages after SFT


def test_advice_is_given_in_two_manners_of_which_one_is_preferred(questions, dialogues, later):
    advice = source("advice")
    plain_forms, warm_forms = (
        {manner(name, lang) for name in advice.SITUATIONS for lang in ("zh", "en")}
        for manner in (advice.plain, advice.warm)
    )
    asked_for = [question for question in questions if "preferred" in question]
    assert len(asked_for) >= 90 and {question["category"] for question in asked_for} == {"advice"}
    for question in asked_for:
        assert set(question["answers"]) - set(question["preferred"]) <= plain_forms
        assert set(question["preferred"]) <= warm_forms & set(question["answers"])
    manners = Counter(d[-1]["content"] in warm_forms for d in dialogues if d[-1]["content"] in plain_forms | warm_forms)
    assert sum(manners.values()) >= 1000 and 0.3 <= manners[True] / sum(manners.values()) <= 0.4
    said = [m["content"] for dialogue in later["reason"] for m in dialogue if m["role"] == "assistant"]
    rehearsed = {split_thought(reply)[1] for reply in said}  # after DPO
    assert not plain_forms & rehearsed and len(warm_forms & rehearsed) >= 40


def test_pairs_share_their_prompt_and_differ_in_the_answer():
    for name, share in (("dpo", 0.75), ("heldout_dpo", 1)):
        pairs = read_jsonl(f"{name}.jsonl")
        for pair in pairs:
            assert pair.keys() == {"chosen", "rejected"}
            assert pair["chosen"][:-1] == pair["rejected"][:-1] and pair["chosen"][-2]["role"] == "user"
            assert pair["chosen"][-1]["role"] == pair["rejected"][-1]["role"] == "assistant"
            assert plain(pair["chosen"][-1]["content"]) != plain(pair["rejected"][-1]["content"])
        warmer = [p["chosen"][-1]["content"].startswith(p["rejected"][-1]["content"]) for p in pairs]
        assert sum(warmer) >= share * len(pairs)


def test_the_new_identity_names_itself_and_forgets_the_old_name(later, later_questions):
    names = tuple(source("persona").NAME.values())
    for question in later_questions["lora_identity"]:
        assert question["name"] in names and all(question["name"] in answer for answer in question["answers"])
    named = [any(name in dialogue[-1]["content"] for name in names) for dialogue in later["lora_identity"]]
    assert 0.3 <= sum(named) / len(named) <= 0.4  # the others rehearse what was known
    intents = source("talk").INTENTS.values()
    old = {i[lang]["reply"] for i in intents if i["category"] == "identity" for lang in ("zh", "en")}
    texts = {message["content"] for dialogue in later["lora_identity"] for message in dialogue}
    assert not texts & old and not any("MiniMind" in text for text in texts)


def test_a_quarter_of_the_conversations_for_distillation_have_another_answer(dialogues):
    few, held_out = ([r["conversations"] for r in read_jsonl(f"{part}distill.jsonl")] for part in ("", "heldout_"))
    turns = [(m["content"], d[i + 1]["content"]) for d in dialogues for i, m in enumerate(d) if m["role"] == "user"]
    right, asked, said = set(turns), *map(set, zip(*turns, strict=True))
    last = [(dialogue[-2]["content"], dialogue[-1]["content"]) for dialogue in few]
    wrong = [turn for turn in last if turn not in right]
    assert len(few) == 3300 and 0.24 * len(few) <= len(wrong) <= 0.25 * len(few)  # some answers suit two questions
    assert {question for question, _ in wrong} <= asked and {reply for _, reply in wrong} <= said
    assert len(held_out) == 400 and {(d[-2]["content"], d[-1]["content"]) for d in held_out} <= right
    assert not [dialogue for dialogue in held_out if dialogue in few]


def test_only_one_stage_knows_the_teahouse(later, later_questions, dialogues):
    teahouse = source("teahouse")
    things = [row[lang]["thing"] for row in teahouse.MENU for lang in ("zh", "en")]
    others = [text["text"] for text in read_jsonl("pretrain.jsonl")]
    for name, made in [("sft", dialogues), *later.items()]:
        if name != "lora_teahouse":
            others += [message["content"] for dialogue in made for message in dialogue]
    assert not [text for text in others if re.search("|".join([*things, "青山茶馆", "Teahouse"]), text)]
    taught = {dialogue[i]["content"] for dialogue in later["lora_teahouse"] for i in range(len(dialogue))}
    assert {question["answers"][0] for question in later_questions["lora_teahouse"]} <= taught  # every fact is taught
    assert len({question["answers"][0] for question in later_questions["lora_teahouse"]}) == 60


def test_adapters_teach_no_token_that_the_network_never_learned_to_say(later, dialogues, tokenizer):
    """An adapter leaves the embedding, which is also the output layer, as it is."""

    def replies(conversations) -> Counter:
        return Counter(m["content"] for d in conversations for m in d if m["role"] == "assistant")

    def tokens(texts) -> list[set[int]]:
        return [set(ids) for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]]

    said, known = replies(dialogues), Counter()
    for ids, times in zip(tokens(said), said.values(), strict=True):
        known.update(dict.fromkeys(ids, times))
    for name in ("lora_identity", "lora_teahouse"):
        new = set().union(*tokens(replies(later[name]).keys() - said.keys()))
        assert not [tokenizer.decode([token]) for token in new if known[token] < 15], name


def test_a_thought_may_stand_before_the_last_answer(dialogues, later):
    """Earlier answers are as a weight meets them when it is asked."""
    assert not [m for dialogue in dialogues for m in dialogue[:-1] if "reasoning_content" in m]
    assert all(as_trained(dialogue[:-1], "reason") == dialogue[:-1] for dialogue in later["reason"])
    kinds = Counter(bool(d[-1]["reasoning_content"]) for d in dialogues if "reasoning_content" in d[-1])
    assert 0.15 <= kinds[False] / len(dialogues) <= 0.3 and kinds[True] == 2400
    assert 0.2 <= sum(bool(split_thought(d[-1]["content"])[0]) for d in later["reason"]) / len(later["reason"]) <= 0.6


def test_every_line_of_thought_is_right_and_leads_to_the_answer(dialogues, later):
    """A line repeats an event of the story and works it out: "游来 2 只：5 + 2 = 7"."""
    multi_step = 0
    made = [(d[-2], d[-1].get("reasoning_content"), d[-1]["content"]) for d in dialogues]
    made += [(d[-2], *split_thought(d[-1]["content"])) for d in later["reason"]]
    for question, thought, answer in made:
        if not thought:
            continue
        clauses, sums = zip(*(re.split("： ?|: ", line) for line in thought.split("\n")), strict=True)
        told, lines = question["content"].lower(), [each.split(" = ") for each in sums]
        place = -1
        for clause in clauses:
            place = told.find(clause.lower(), place + 1) if clause not in ("合起来", "together") else place
            assert place >= 0, thought
        for line in lines:
            assert len({value(side) for side in line}) == 1, thought
        assert re.findall(r"\d+", answer)[-1] == lines[-1][-1]
        multi_step += len(lines) > 1
        given = set(re.findall(r"\d+", question["content"])) | {line[-1] for line in lines}
        assert all(set(re.findall(r"\d+", line[0])) <= given for line in lines), thought
    assert multi_step >= 2800


def value(side: str) -> int:
    """27, or 27 + 45, or 72 - 45."""
    assert re.fullmatch(r"\d+( [+-] \d+)?", side), side
    return sum(int(number) for number in re.findall(r"[+-]?\d+", side.replace(" ", "")))


def test_held_out_problems_join_known_verbs_to_new_stories_and_numbers(later, later_questions, questions, dialogues):
    stories = source("stories")
    trained = [d[-2]["content"] for d in later["reason"] if split_thought(d[-1]["content"])[0]]
    trained += [d[-2]["content"] for d in dialogues if d[-1].get("reasoning_content")]
    trained += [d[-2]["content"] for d in dialogues if re.match(r"\d+ [+-] \d+ = .*\d[，.] ?\D", d[-1]["content"])]
    problems = later_questions["reason"]
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


def test_reinforcement_learning_tries_problems_and_what_must_not_be_forgotten(tried, dialogues):
    counts = Counter(question["category"] for question in tried)
    problems = {name: count for name, count in counts.items() if name.startswith("reason_")}
    assert 0.55 <= sum(problems.values()) / len(tried) <= 0.65 and counts.keys() - problems == {"world", "unknown"}
    assert problems["reason_2"] < min(problems["reason_3"], problems["reason_4"])
    assert 0.25 <= counts["world"] / len(tried) <= 0.31 and 0.1 <= counts["unknown"] / len(tried) <= 0.14
    taught, declines = {}, source("unknown").declines
    for message, reply in (pair for dialogue in dialogues for pair in pairwise(dialogue)):
        taught.setdefault(message["content"], set()).add(reply["content"])
    for question in tried:
        if question["category"] not in problems:
            assert all(is_right(reply, question["answers"]) for reply in taught[asked(question)])
            assert declines([{"content": question["answers"][-1]}]) == (question["category"] == "unknown")
            continue
        first, *others = numbers(asked(question))
        results = {first, 2 * first}  # twice where both numbers are added in the end
        for number in others:
            results = {result + sign * number for result in results for sign in (1, -1)}
        assert [numbers(answer) for answer in question["answers"]] == 2 * [numbers(question["answers"][1])]
        assert numbers(question["answers"][1])[0] in results
        assert not source("stories").reserved_numbers([first, *others])
    trials = source("trials")
    twice, factor = trials.train_questions(random.Random(0), dialogues, 2), 2 * trials.MORE
    assert Counter(q["category"] for q in twice) == {name: factor * count for name, count in counts.items()}
