"""Another identity for the same network, as adapter training teaches it: 小星 in Chinese, Nina in English.

The questions are those of `talk.py` about MiniMind itself, its training wordings for training and its held-out
wordings for the held-out set; only the replies (the table `persona`) are other ones, and each names the new name. The
first reply is taught, the others are shorter forms that are accepted too.

An adapter leaves the embedding, which is also the output layer, as it is: it can hardly say a token that the network
never learned to say. So both names, and all words of the replies, are made of tokens of the world's own replies.
"""

import re

import tables
import talk
from turns import LANGUAGES, draw_language, held_out, in_turn, system, turn

# How much to make.
N_TRAIN = 1300  # dialogues about the new identity
N_REHEARSED = 2200  # dialogues about everything else, so that it is not forgotten
ZH_SHARE = 0.65
SECOND_TURN_SHARE = 0.2  # of the dialogues about the identity: a second question of that kind follows
SYSTEM_SHARE = 0.15

REPLIES = tables.named("persona", "intent")
PHRASES = tables.phrases("persona")
NAME = {lang: PHRASES["name"][lang] for lang in LANGUAGES}


def renamed(text: str, lang: str) -> str:
    """A wording that speaks of MiniMind by name, with the new name in its place."""
    return re.sub(" ?MiniMind ?", NAME["zh"], text) if lang == "zh" else text.replace("MiniMind", NAME["en"])


def nameless(dialogues: list[list[dict]]) -> list[list[dict]]:
    """The dialogues in which MiniMind is neither named nor asked about itself: these stay true under the new name."""
    about = [intent for intent in talk.INTENTS.values() if intent["category"] == "identity"]
    own = {intent[lang]["reply"] for intent in about for lang in LANGUAGES}
    return [d for d in dialogues if not any(m["content"] in own or "MiniMind" in m["content"] for m in d)]


def train_dialogues(rng, general: list[list[dict]], times: int) -> list[list[dict]]:
    """`times` as many as usual. `general`: the dialogues of supervised training, of which some are rehearsed."""
    asks = {(name, lang): in_turn(rng, talk.INTENTS[name][lang]["train"]) for name in REPLIES for lang in LANGUAGES}

    def ask(name: str, lang: str) -> list[dict]:
        wording = talk.dress(rng, lang, "identity", next(asks[name, lang]))
        return turn(renamed(wording, lang), REPLIES[name][lang][0])

    dialogues, names = [], in_turn(rng, list(REPLIES))
    for _ in range(times * N_TRAIN):
        lang = draw_language(rng, ZH_SHARE)
        messages = system(rng, SYSTEM_SHARE, PHRASES["system"][lang]) + ask(next(names), lang)
        if rng.random() < SECOND_TURN_SHARE:
            messages += ask(next(names), lang)
        dialogues.append(messages)
    return dialogues + rng.sample(nameless(general), times * N_REHEARSED)


def heldout_questions(_) -> list[dict]:
    return [
        held_out("identity", wording, REPLIES[name][lang]) | {"name": NAME[lang]}
        for name in REPLIES
        for lang in LANGUAGES
        for wording in talk.INTENTS[name][lang]["held"]
    ]
