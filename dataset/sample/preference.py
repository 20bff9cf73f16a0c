"""Pairs of answers for preference training: to advice the warm manner is preferred to the plain one (`advice.py`).

About half of the pairs differ in this manner. The others hold on to what is known: a right answer is preferred to the
same answer with a wish that does not belong there, and to a wrong one. Without as many of these the wishes spread to
whatever is asked.
"""

import re

import advice
import relations
import talk
from turns import LANGUAGES, in_turn, user

# How much to make.
N_MANNER = 900
N_FACTS, N_SUMS, N_STRAY_WISHES = 40, 20, 240
SYSTEM_SHARE, EARLIER_TURN_SHARE = 0.1, 0.2  # of the pairs about manner
LONGEST_REPLY = 120  # characters

SUM_LINE = re.compile(r"\d+ [+-] \d+ = (?:.* = )?(\d+)")


def pair(prompt: list[dict], chosen: str, rejected: str) -> dict:
    replies = {"chosen": chosen, "rejected": rejected}
    return {name: [*prompt, {"role": "assistant", "content": reply}] for name, reply in replies.items()}


def wrong_facts() -> dict[str, list[str]]:
    """For each canonical statement of a fact, the same sentences with the answer to another question of its kind."""
    wrong = {}
    for relation, lang, number, side in relations.sides():
        table, answer = relations.rows(relation, lang), "s" if number else "o"
        for own in table:
            reply = side.reply.format(**own)
            for other in table:
                if {own["s"], own["o"]} & {other["s"], other["o"]}:
                    continue  # that could be true as well
                for key in (answer, answer.upper()):  # as it stands within a sentence, or at its head
                    said = swap(reply, own[key], other[key])
                    if said != reply:
                        wrong.setdefault(reply, []).append(said)
                        break
    return wrong


def swap(text: str, word: str, other: str) -> str:
    """`text` with another word, where `word` is no part of a longer Latin one."""
    return re.sub(rf"(?<![A-Za-z]){re.escape(word)}(?![A-Za-z])", lambda _: other, text)


def wrong_sum(rng, reply: str) -> str:
    """A sum with another result, near the right one."""
    start, end = SUM_LINE.fullmatch(reply).span(1)
    result = int(reply[start:end])
    return reply[:start] + str(rng.choice([n for d in (1, 2, 10) for n in (result - d, result + d) if n >= 0]))


def train_pairs(rng, general: list[list[dict]]) -> list[dict]:
    """`general`: the dialogues of supervised training, from which other questions and earlier turns are taken."""
    single = in_turn(rng, [d for d in general if len(d) == 2 and len(d[1]["content"]) < LONGEST_REPLY])
    wrong, manners = wrong_facts(), advice.replies()

    def draw(wanted) -> list[dict]:
        return next(dialogue for dialogue in single if wanted(dialogue[1]["content"]))

    def language(dialogue) -> str:
        return talk.language(dialogue[0]["content"], dialogue[1]["content"])

    pairs, seen, questions = [], set(), advice.asking(rng)
    while len(pairs) < N_MANNER:
        name, lang, question = next(questions)
        prompt, chance = [user(question)], rng.random()
        if chance < SYSTEM_SHARE:
            prompt = [{"role": "system", "content": rng.choice(advice.PHRASES["system"][lang])}, *prompt]
        elif chance < SYSTEM_SHARE + EARLIER_TURN_SHARE:
            earlier = draw(lambda reply: reply not in manners)
            while language(earlier) != lang:
                earlier = draw(lambda reply: reply not in manners)
            prompt = earlier + prompt
        if question not in seen:
            seen.add(question)
            pairs.append(pair(prompt, advice.warm(name, lang), advice.plain(name, lang)))

    for _ in range(N_FACTS):
        asked, reply = draw(lambda reply: reply in wrong)
        pairs.append(pair([asked], reply["content"], rng.choice(wrong[reply["content"]])))
    for _ in range(N_SUMS):
        asked, reply = draw(SUM_LINE.fullmatch)
        pairs.append(pair([asked], reply["content"], wrong_sum(rng, reply["content"])))
    # What is nearest to advice in tone, and replies that go on after their first sentence, need it most.
    small_talk = {intent[lang]["reply"] for intent in talk.INTENTS.values() for lang in LANGUAGES}
    kinds = (
        lambda reply: reply not in manners,
        lambda reply: reply in small_talk,
        lambda reply: reply not in manners and len(re.findall(r"。|\.( |$)", reply)) > 1,
    )
    for i in range(N_STRAY_WISHES):
        asked, reply = draw(kinds[i % len(kinds)])
        wishes = [trouble[language([asked, reply])]["wish"] for trouble in advice.SITUATIONS.values()]
        space = "" if reply["content"][-1] in "。！？" else " "
        pairs.append(pair([asked], reply["content"], reply["content"] + space + rng.choice(wishes)))
    return pairs


def heldout_pairs() -> list[dict]:
    return [
        pair([user(wording)], advice.warm(name, lang), advice.plain(name, lang))
        for name in advice.SITUATIONS
        for lang in LANGUAGES
        for wording in advice.SITUATIONS[name][lang]["held"]
    ]
