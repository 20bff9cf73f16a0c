"""A small closed domain that no earlier stage has seen: what a made-up teahouse serves, for how much, when and where.

Ten things (the table `menu`) times price, day and room make thirty facts, each asked about in Chinese and in English
(the table `teahouse`: {x} is the thing, {o} the answer; the first reply is taught, the others are accepted too). Every
answer is a number, a weekday or a room, and every reply is made of tokens of the world's own replies (why,
`persona.py` tells).
"""

import re

import tables
from turns import LANGUAGES, draw_language, held_out, in_turn, opened, system, turn

# How much to make.
N_TRAIN = 1700  # dialogues about the teahouse, spread evenly over the facts
N_REHEARSED = 2200  # dialogues about everything else, so that it is not forgotten
ZH_SHARE = 0.66
OPENER_SHARE, CLOSER_SHARE = 0.3, 0.12  # of the user's turns
CARELESS_SHARE = 0.1  # of the user's turns: typed without the last mark
SECOND_TURN_SHARE = 0.15  # of the dialogues about the teahouse: a second question follows
SYSTEM_SHARE = 0.1

MENU = tables.read("menu")
KINDS = tables.named("teahouse", "kind")
PHRASES = tables.phrases("teahouse")


def facts(lang: str) -> list[tuple[str, str, str | int]]:
    """Every (kind, thing, answer) in one language."""
    served = [{"price": row["price"], **row[lang]} for row in MENU]
    return [(kind, row["thing"], row[kind]) for row in served for kind in KINDS]


def dress(rng, lang: str, wording: str) -> str:
    """A wording with, sometimes, an opener or a closer, typed with small liberties."""
    if rng.random() < CLOSER_SHARE:
        return wording + rng.choice(PHRASES["closers"][lang])
    if rng.random() < CARELESS_SHARE:
        return wording.rstrip("。？.?")
    if rng.random() < OPENER_SHARE:
        asks = wording.endswith(("？", "?"))  # only a question follows "请问" and the like
        openers = [o for o in PHRASES["openers"][lang] if asks or not re.search("问|question", o)]
        return opened(rng.choice(openers), wording)
    return wording


def train_dialogues(rng, general: list[list[dict]], times: int) -> list[list[dict]]:
    """`times` as many as usual. `general`: the dialogues of supervised training, of which some are rehearsed."""
    known = {lang: in_turn(rng, facts(lang)) for lang in LANGUAGES}
    asks = {(k, thing): in_turn(rng, KINDS[k][lang]["train"]) for lang in LANGUAGES for k, thing, _ in facts(lang)}

    def ask(lang: str) -> list[dict]:
        kind, thing, answer = next(known[lang])
        question = dress(rng, lang, next(asks[kind, thing]).format(x=thing))
        return turn(question, KINDS[kind][lang]["replies"][0].format(x=thing, o=answer))

    dialogues = []
    for _ in range(times * N_TRAIN):
        lang = draw_language(rng, ZH_SHARE)
        messages = system(rng, SYSTEM_SHARE, PHRASES["system"][lang]) + ask(lang)
        if rng.random() < SECOND_TURN_SHARE:
            messages += ask(lang)
        dialogues.append(messages)
    return dialogues + rng.sample(general, times * N_REHEARSED)


def heldout_questions(_) -> list[dict]:
    questions = []
    for lang in LANGUAGES:
        for kind, thing, answer in facts(lang):
            replies = [reply.format(x=thing, o=answer) for reply in KINDS[kind][lang]["replies"]]
            asked = [wording.format(x=thing) for wording in KINDS[kind][lang]["held"]]
            questions += [held_out(f"teahouse_{kind}", question, replies) for question in asked]
    return questions
