"""Questions with right answers for reinforcement learning: the model tries, and a right reply is rewarded.

    train_questions(rng, general, times)   built like the held-out questions, but all of training's side

Most are word problems of two to four steps, newly drawn from `stories.py`: there trying has most to find. The others
are asked in supervised training too, so that nothing is forgotten. Right is the reply that training teaches; of a
problem also the bare number, of advice either manner, and of what is not known also the commonest reply that says so.
"""

import re
from collections import Counter
from itertools import product

import advice
import chats
import reason
import stories
import talk
import unknown
from turns import LANGUAGES, held_out

# How much to make.
N_PROBLEMS = {2: 28, 3: 48, 4: 48}  # by number of steps
N_WORLD, N_UNKNOWN = 58, 25
MORE = 8  # with --times, so many times as many again: a question that comes twice is remembered, not worked out
MANNERS = {  # both replies of advice, by either
    manner(*named): [advice.plain(*named), advice.warm(*named)]
    for named in product(advice.SITUATIONS, LANGUAGES)
    for manner in (advice.plain, advice.warm)
}


def problems(rng, times: int) -> list[dict]:
    make, questions = stories.problems(rng, held=False), []
    for steps, count in N_PROBLEMS.items():
        for _ in range(times * count):
            made = make(steps, stories.choose_language(rng))
            answers = [made["answer"], min(made["accepted"], key=len)]
            questions.append(held_out(f"reason_{steps}", made["question"], answers))
    return questions


def kinds(rng) -> dict[str, str]:
    """What a reply is about, by the reply; that of a skill has 0 for every number."""
    topics = chats.FollowUps(rng, held=False).topics
    known = {reply: topic.item[0] if topic.name == "fact" else topic.name for reply, topic in topics.items()}
    for intent, lang in product(talk.INTENTS.values(), LANGUAGES):
        known[intent[lang]["reply"]] = intent["category"]
    return known | dict.fromkeys(MANNERS, "advice")


def train_questions(rng, general: list[list[dict]], times: int) -> list[dict]:
    """`times` as many as usual, or more. `general`: the dialogues of supervised training; those of one turn are drawn
    from."""
    times *= MORE if times > 1 else 1
    known, seen, world, declined = kinds(rng), Counter(), [], []
    single = {dialogue[0]["content"]: dialogue[1]["content"] for dialogue in general if len(dialogue) == 2}
    for question, reply in rng.sample(list(single.items()), len(single)):
        if unknown.declines([{"content": reply}]):
            usual = unknown.replies("en" if reply.isascii() else "zh")["fact"]
            declined.append(held_out("unknown", question, list(dict.fromkeys([reply, usual]))))
        else:
            other = "story" if reason.STORY_REPLY.match(reply) else "calendar"
            kind = known.get(reply) or known.get(re.sub(r"\d+", "0", reply), other)
            seen[kind] += 1
            world.append((seen[kind], held_out("world", question, MANNERS.get(reply, [reply]))))
    world.sort(key=lambda each: each[0])  # of every kind one, then of every kind another
    chosen = [question for _, question in world[: times * N_WORLD]]
    return problems(rng, times) + chosen + declined[: times * N_UNKNOWN]
