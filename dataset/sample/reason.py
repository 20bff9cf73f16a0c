"""Word problems of one to four steps, answered by thinking aloud: one line of thought per step, then the answer.

    sft_dialogues(rng, general)    supervised training: the thought is a message's `reasoning_content`
    train_dialogues(rng, …)        the reasoning stage: thought and answer stand between tags
    heldout_questions(rng)         problems of two to four steps

The problems are those of `stories.py`. A line of thought repeats an event of the story and works it out in the words
that `skills.py` teaches, "游来 2 只：5 + 2 = 7", so each line needs only what stands before it: which event is next,
what its verb does, the number, the sum. Everything else that the world asks has an empty thought, or none.
"""

import re
from collections import Counter
from itertools import product

import advice
import stories
import unknown
from turns import LANGUAGES, user

# How much to make.
N_SFT = {1: 200, 2: 1000, 3: 900, 4: 300}  # problems by number of steps
N_TRAIN = {1: 50, 2: 300, 3: 250, 4: 100}
N_HELDOUT = {2: 150, 3: 150, 4: 100}
EMPTY_SHARE = 0.2  # of SFT's other conversations: the last answer stands behind an empty thought
N_REHEARSED = 2300  # conversations of supervised training, cut after a turn
LAST_TURNS = (1, 2, 2, 3)  # after which, or after the last if there are fewer
KNOWN_SHARE = 0.4  # of the rehearsed: chosen so that every reply is among them
DECLINED_SHARE = 0.2  # of the rehearsed: the answer declines, which is forgotten first
AFTER_OTHERS = 0.25  # of the problems: other conversation stands before them
# A reply of `stories.reply`: sums, then a sentence.
STORY_REPLY = re.compile(r"\d+ [+-] \d+ = [\d =+-]*\d[，,.] ?\S")


def thoughtful(thought: str, answer: str) -> str:
    return "<think>\n" + f"{thought}\n" * bool(thought) + f"</think>\n<answer>\n{answer}\n</answer>"


def thought(lang: str, made: dict) -> str:
    """A line for each step."""
    colon = "：" if lang == "zh" else ": "
    return "\n".join(colon.join(step) for step in zip(made["clauses"], made["sums"], strict=True))


def rehearsed(rng, general: list[list[dict]], count: int) -> list[list[dict]]:
    """`count` conversations from `general`, with empty thoughts: each reply twice as far as KNOWN_SHARE goes, then some
    that decline, then any.

    Advice is given in the manner that preference training taught, stories are told with their thoughts.
    """
    named = product(advice.SITUATIONS, LANGUAGES)
    preferred, seen = {advice.plain(*one): advice.warm(*one) for one in named}, Counter()
    known, declined, others = [], [], []
    for dialogue in rng.sample(general, len(general)):
        places = [i for i, message in enumerate(dialogue) if message["role"] == "assistant"]
        end = places[min(rng.choice(LAST_TURNS), len(places)) - 1] + 1
        replies = [dialogue[i]["content"] for i in places if i < end]
        if any(STORY_REPLY.match(reply) for reply in replies):
            continue
        kind = re.sub(r"\d+", "0", replies[-1])
        seen[kind] += 1
        part = known if seen[kind] <= 2 else declined if unknown.declines(dialogue[:end]) else others
        part.append((seen[kind], dialogue[:end]))
    known.sort(key=lambda each: each[0])  # all replies once, then twice
    chosen = known[: int(KNOWN_SHARE * count)] + declined[: int(DECLINED_SHARE * count)]
    chosen += others[: count - len(chosen)]
    return [
        [m if m["role"] != "assistant" else m | {"content": thoughtful("", preferred.get(m["content"], m["content"]))}
         for m in dialogue]
        for _, dialogue in chosen
    ]


def problems(rng, wanted: dict[int, int], others: list[list[dict]], answer) -> list[list[dict]]:
    """`wanted` is how many of each number of steps, `answer(thought, answer)` the message that solves one."""
    make, dialogues = stories.problems(rng, held=False), []
    for steps, count in wanted.items():
        for _ in range(count):
            lang = stories.choose_language(rng)
            made = make(steps, lang)
            before = rng.choice(others)[-2:] if rng.random() < AFTER_OTHERS else []
            dialogues.append([*before, user(made["question"]), answer(thought(lang, made), made["answer"])])
    return dialogues


def sft_dialogues(rng, general: list[list[dict]]) -> list[list[dict]]:
    """`general`, some of it with an empty thought where the answer is to be, and problems with a thought: so a weight
    can be told to think, or not to."""

    def answer(thought: str, content: str) -> dict[str, str]:
        return {"role": "assistant", "content": content, "reasoning_content": thought}

    solved = problems(rng, N_SFT, general, answer)
    shown = [rng.random() < EMPTY_SHARE for _ in general]
    return solved + [
        [*dialogue[:-1], answer("", dialogue[-1]["content"])] if empty else dialogue
        for dialogue, empty in zip(general, shown, strict=True)
    ]


def train_dialogues(rng, general: list[list[dict]], times: int) -> list[list[dict]]:
    """`times` as many as usual. `general`: the dialogues of supervised training, of which some are rehearsed."""
    others, wanted = rehearsed(rng, general, times * N_REHEARSED), {n: times * N_TRAIN[n] for n in N_TRAIN}
    tagged = problems(rng, wanted, others, lambda *parts: {"role": "assistant", "content": thoughtful(*parts)})
    return tagged + others


def heldout_questions(rng) -> list[dict]:
    return stories.heldout(rng, N_HELDOUT, "reason_{}", worked_out=False)
