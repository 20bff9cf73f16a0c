"""What the model does not know or cannot do: better a short reply that says so than an invention.

    train_dialogues(rng)     questions about unknown things and tasks, with known things among them for contrast
    heldout_questions(rng)   other things in other wordings, and the questions of `free_unknown.jsonl`
    free_questions()         those alone, written by someone who had seen no other wording

Some questions ask for a relation of `relations.py`, but about things that its tables lack (unknown_things.jsonl). The
others ask for facts and tasks that nothing teaches (unknown_questions.jsonl, with slots from unknown_slots.jsonl),
about known and unknown things alike. The reply depends on kind and language only (unknown_replies.jsonl).
"""

import re
from functools import cache

import relations
import tables
from turns import LANGUAGES, capitalized, held_out, turn

ASKED_PER_THING = 1  # questions per unknown thing, language and direction
ASKED_PER_WORDING = {"zh": (1, 2), "en": (1, 2)}  # questions per wording of other facts and tasks: without, with slots
FOLLOW_UPS_PER_SIDE = 14  # conversations in which known and unknown things follow each other
STORY_SHARE, CARELESS_SHARE = 0.08, 0.12  # of other facts: told first how it came up; of all: no last mark
OPENER_SHARE, CLOSER_SHARE = 0.2, 0.08
HELD_OUT = {"zh": (65, 60), "en": (35, 30)}  # questions about unknown things, other facts and tasks


@cache
def replies(lang: str) -> dict[str, str]:
    """The one reply to each kind of question."""
    return {row["kind"]: row[lang] for row in tables.read("unknown_replies")}


@cache
def things(lang: str, held: bool) -> dict[str, list[dict[str, str]]]:
    """The unknown things of every relation, as slots for its wordings."""
    found = {}
    for row in tables.read("unknown_things"):
        if lang in row and row.get("held", False) == held:
            for relation in row["relations"]:
                slots = {"o": "", **row[lang]}
                slots["a"] = relations.with_article(slots["o" if relation == "translation" else "s"])
                slots.update({key.upper(): capitalized(slots[key]) for key in "soa"})
                found.setdefault(relation, []).append(slots)
    return found


def sides(lang: str, held: bool):
    """Every (relation, side, unknown things that can be asked about from this side)."""
    for relation, language, _, side in relations.sides():
        found = things(lang, held).get(relation, []) if language == lang else []
        if found := [slots for slots in found if slots["o"] or "{o}" not in "".join(side.ask)]:
            yield relation, side, found


@cache
def fillers(lang: str, held: bool) -> dict[str, list]:
    """What may stand in each slot: texts, numbers, or the known and unknown things of a relation."""
    values = {}
    for row in tables.read("unknown_slots"):
        values[row["slot"]] = list(range(*row["range"])) if "range" in row else row.get(lang, [])
        if "relation" in row and lang in row:
            rows = relations.rows(row["relation"], lang) + things(lang, held)[row["relation"]]
            values[row["slot"]] = [slots[row[lang]] for slots in rows]
    return values


def fill(wording: str, lang: str, held: bool, rng) -> str:
    """The wording with its slots filled; {city} and {city2} differ."""
    slots = {}
    for name in re.findall(r"{(\w+)}", wording):
        slots[name] = rng.choice([v for v in fillers(lang, held)[name.rstrip("2")] if v not in slots.values()])
    text = capitalized(wording.format(**slots))
    return re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text) if lang == "en" else text


def dress(question: str, lang: str, kind: str, rng) -> str:
    """Careless typing, a story, an opener or a closer; most questions have none of these."""
    if kind == "fact" and rng.random() < STORY_SHARE:
        return rng.choice(relations.PHRASES["stories"][lang]) + question
    if rng.random() < CARELESS_SHARE:
        return relations.hasty(question, "", rng)
    return relations.decorate(question, lang, question[-1] in "？?", rng, OPENER_SHARE, CLOSER_SHARE * (kind == "fact"))


def follow_ups(lang: str, rng):
    """An unknown thing after a known one, and sometimes another known one after it; or the unknown one first."""
    for relation, side, unknown in sides(lang, held=False):
        known = relations.rows(relation, lang)
        pairs = [(i, j) for i in range(len(known)) for j in range(i) if not relations.held_out_pair(i, j)]
        for slots in rng.sample(unknown, min(FOLLOW_UPS_PER_SIDE, len(unknown))) if side.follow else []:
            first, last = (known[i] for i in rng.choice(pairs))
            dialogue = []
            for asked in rng.choice(([first, slots], [first, slots], [first, slots, last], [slots, last])):
                then = rng.choice(fillers(lang, False)["then"]).format(e=side.follow.format(**asked))
                question = relations.train_questions(side, lang, asked, 1, rng, set())[0]
                reply = replies(lang)["fact"] if asked is slots else side.reply.format(**asked)
                dialogue += turn(capitalized(then) if dialogue else question, reply)
            yield dialogue


def train_dialogues(rng) -> list[list[dict]]:
    dialogues, seen = [], set()
    for lang in ("zh", "en"):
        dialogues += follow_ups(lang, rng)
        for _, side, found in sides(lang, held=False):
            for slots in found:
                for question in relations.train_questions(side, lang, slots, ASKED_PER_THING, rng, seen):
                    dialogues.append(turn(question, replies(lang)["fact"]))
        for row in tables.read("unknown_questions"):
            for wording in row.get(lang, []):
                for _ in range(ASKED_PER_WORDING[lang]["{" in wording]):
                    question = dress(fill(wording, lang, False, rng), lang, row["kind"], rng)
                    dialogues.append(turn(question, replies(lang)[row["kind"]]))
    return dialogues


def declines(dialogue: list[dict]) -> bool:
    """Whether the last answer says that something is not known or cannot be done."""
    return any(dialogue[-1]["content"] in replies(lang).values() for lang in LANGUAGES)


def heldout_questions(rng) -> list[dict]:
    questions = []
    for lang, (about_things, others) in HELD_OUT.items():
        found = [(side, rng.sample(rows, len(rows))) for _, side, rows in sides(lang, held=True)]
        for number in range(about_things):
            side, rows = found[number % len(found)]
            text = capitalized(rng.choice(side.held).format(**rows[number // len(found)]))
            text = relations.decorate(text, lang, text[-1] in "？?", rng, opener=OPENER_SHARE, closer=CLOSER_SHARE)
            questions.append(declined(text, lang))
        wordings = [wording for row in tables.read("unknown_questions") for wording in row.get(f"{lang}_held", [])]
        questions += [declined(fill(wording, lang, True, rng), lang) for wording in rng.sample(wordings, others)]
    return questions + free_questions()


def free_questions() -> list[dict]:
    return [declined(row["question"], row["lang"]) for row in tables.read("free_unknown")]


def declined(question: str, lang: str) -> dict:
    """A held-out question: every reply in its language that declines is accepted."""
    return held_out("unknown", question, list(replies(lang).values()))
