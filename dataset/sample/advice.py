"""Advice for everyday troubles, in two manners: plain, and warm, which adds a wish that suits the trouble.

The table `advice` holds for every trouble the advice, the wish and, as in `talk`, the wordings of the training set and
those of the held-out set; "when" begins a sentence of the documents. Supervised training says most advice plainly and
asks in no wording for either manner: preference training (`preference.py`) then has something to prefer, and both
manners count as right answers.
"""

import tables
from turns import LANGUAGES, SPACE, draw_language, held_out, in_turn, opened, system, turn

# How much to make.
N_TRAIN = 2000  # dialogues, spread evenly over the situations
N_TEXTS = 100  # short texts for pretraining
ZH_SHARE = 0.5  # an English wish is more tokens long than a Chinese one, and takes more to learn
PLAIN_SHARE = 0.65  # of the dialogues, whatever the wording
OPENER_SHARE, CLOSER_SHARE = 0.25, 0.25  # of the user's turns
CARELESS_SHARE = 0.1  # of the user's turns: typed without the last mark
SYSTEM_SHARE = 0.1  # of the dialogues

SITUATIONS = tables.named("advice", "trouble")
PHRASES = tables.phrases("advice")


def plain(name: str, lang: str) -> str:
    return SITUATIONS[name][lang]["plain"]


def warm(name: str, lang: str) -> str:
    return plain(name, lang) + SPACE[lang] + SITUATIONS[name][lang]["wish"]


def replies() -> set[str]:
    return {manner(name, lang) for name in SITUATIONS for lang in LANGUAGES for manner in (plain, warm)}


def dress(rng, lang: str, wording: str) -> str:
    """A wording with, sometimes, an opener and a closer, typed with small liberties."""
    if rng.random() < CLOSER_SHARE and not wording.endswith(("？", "?")):
        wording += rng.choice(PHRASES["closers"][lang])
    elif rng.random() < CARELESS_SHARE:
        wording = wording.rstrip("。？.?")
    if rng.random() < OPENER_SHARE:
        wording = opened(rng.choice(PHRASES["openers"][lang]), wording, proper=("I ", "Chinese "))
    return wording


def asking(rng):
    """Endless (name, language, question): the situations in turn, each with its training wordings in turn."""
    wordings = {(n, lang): in_turn(rng, SITUATIONS[n][lang]["train"]) for n in SITUATIONS for lang in LANGUAGES}
    for name in in_turn(rng, list(SITUATIONS)):
        lang = draw_language(rng, ZH_SHARE)
        yield name, lang, dress(rng, lang, next(wordings[name, lang]))


def train_dialogues(rng) -> list[list[dict]]:
    dialogues, questions = [], asking(rng)
    for _ in range(N_TRAIN):
        name, lang, question = next(questions)
        manner = plain if rng.random() < PLAIN_SHARE else warm
        dialogues.append(system(rng, SYSTEM_SHARE, PHRASES["system"][lang]) + turn(question, manner(name, lang)))
    return dialogues


def heldout_questions(rng) -> list[dict]:
    """Either manner is right; "preferred" holds the one that preference training teaches."""
    return [
        held_out("advice", wording, [plain(name, lang), warm(name, lang)]) | {"preferred": [warm(name, lang)]}
        for name in SITUATIONS
        for lang in LANGUAGES
        for wording in SITUATIONS[name][lang]["held"]
    ]


def pretrain_texts(rng) -> list[str]:
    """Texts of one to three sentences, each the advice for one trouble, told of people in general."""
    texts, names = [], in_turn(rng, list(SITUATIONS))
    for _ in range(N_TEXTS):
        lang = draw_language(rng, ZH_SHARE)
        told = [SITUATIONS[next(names)][lang] for _ in range(rng.randint(1, 3))]
        texts.append(SPACE[lang].join(rng.choice(PHRASES["texts"][lang]).format(**slots) for slots in told))
    return texts
