"""Who MiniMind is, and small talk: one canonical reply per intent and language, many ways of asking.

The table `talk` holds for every intent the reply, other replies that are accepted, the wordings of the training set
and, apart from them, the wordings of the held-out set, which share their key words with the training wordings but are
other sentences.
"""

import re

import tables
from turns import LANGUAGES, SPACE, draw_language, held_out, in_turn, opened, system, turn

# How much to make.
N_TRAIN = 5200  # dialogues, spread evenly over the intents
N_TEXTS = 520  # short texts for pretraining
ZH_SHARE = 0.65
OPENER_SHARE, CLOSER_SHARE = 0.25, 0.1  # of the user's turns
CARELESS_SHARE, OTHER_MARK_SHARE = 0.12, 0.08  # of the user's turns: no last mark, another mark
SYSTEM_SHARE = 0.15  # of the dialogues
SEVERAL_TURNS_SHARE = 0.22  # of the dialogues: a greeting, some questions, a goodbye
POLITE = ("hello", "morning", "night", "bye", "thanks", "how_are_you")  # said at the ends of a conversation

INTENTS = tables.named("talk", "intent")
PHRASES = tables.phrases("talk")
GREETINGS = tuple(PHRASES["greetings"]["zh"] + PHRASES["greetings"]["en"])


def dress(rng, lang: str, category: str, wording: str) -> str:
    """A wording with, sometimes, an opener or a closer, typed with small liberties."""
    chance, text = rng.random(), wording
    asks, about = wording.endswith(("？", "?")), category == "identity"
    if chance < OPENER_SHARE:
        openers = PHRASES[f"openers_{category}"][lang] + (PHRASES["openers_question"][lang] if about and asks else [])
        opener = rng.choice(openers)
        if not (wording.startswith(GREETINGS) and opener.startswith(GREETINGS)):
            text = opened(opener, wording, proper=("I ", "ChatGPT", "MiniMind"))
    elif chance < OPENER_SHARE + CLOSER_SHARE:
        closer = rng.choice(PHRASES[f"closers_{category}"][lang])
        if about:
            text = wording + closer
        elif not asks and closer[1:-1].strip() not in wording:
            text = wording.rstrip("。！.!") + closer
    if rng.random() < CARELESS_SHARE:
        text = text.rstrip("。？！?.!")
    elif rng.random() < OTHER_MARK_SHARE:
        text = text.replace("？", "?") if "？" in text else text.replace("。", "！")
    return text


def language(question: str, reply: str) -> str:
    """ "zh" or "en". A Chinese sentence ends in a wide mark; a bare sum has the language of its question."""
    asked_in_chinese = reply[-1].isdigit() and re.search("[\u4e00-\u9fff]", question)
    return "zh" if reply[-1] in "。！？”" or asked_in_chinese else "en"


def train_dialogues(rng) -> list[list[dict]]:
    names = list(INTENTS)
    about = [name for name in names if INTENTS[name]["category"] == "identity"]
    chat = [name for name in names if name not in about and name not in POLITE]
    wordings = {(name, lang): in_turn(rng, INTENTS[name][lang]["train"]) for name in names for lang in LANGUAGES}

    def say(name: str, lang: str) -> list[dict]:
        intent = INTENTS[name]
        return turn(dress(rng, lang, intent["category"], next(wordings[name, lang])), intent[lang]["reply"])

    dialogues = []
    for i in range(N_TRAIN):
        lang = draw_language(rng, ZH_SHARE)
        said = [names[i % len(names)]]
        if rng.random() < SEVERAL_TURNS_SHARE:
            middle = rng.sample(about, rng.randint(1, 2)) + rng.sample(chat, rng.randint(0, 1))
            said = [rng.choice(["hello", "hello", "morning", "how_are_you"])] * (rng.random() < 0.7) + middle
            said += [rng.choice(["thanks", "bye", "bye", "night"])] * (rng.random() < 0.7)
        opening = system(rng, SYSTEM_SHARE, PHRASES["system"][lang])
        dialogues.append(sum((say(name, lang) for name in said), opening))
    return dialogues


def heldout_questions(rng) -> list[dict]:
    return [
        held_out(intent["category"], wording, [intent[lang]["reply"], *intent[lang]["accept"]])
        for intent in INTENTS.values()
        for lang in LANGUAGES
        for wording in intent[lang]["held"]
    ]


def pretrain_texts(rng) -> list[str]:
    """Sentences about MiniMind and about how people talk to each other (the table `prose`); a text joins a few."""
    texts, prose = [], tables.read("prose")
    for i in range(N_TEXTS):
        lang = draw_language(rng, ZH_SHARE)
        texts.append(SPACE[lang].join(rng.sample(prose[i % len(prose)][lang], rng.randint(1, 4))))
    return texts
