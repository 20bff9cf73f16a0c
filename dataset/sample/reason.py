"""Word problems of two and three steps, answered by thinking aloud: one line of thought per step, then the answer.

A step is worked out in the words that `skills.py` teaches for sums, so what is new is to read a story and to carry a
result on. Two kinds of things are held out: stories (`HELD`) and combinations of numbers (`reserved_numbers`).
"""

import re
from itertools import combinations

import advice
import skills
import talk

# How much to make.
N_TRAIN = 4000  # problems, spread evenly over the stories of a language
N_REHEARSED = 3000  # world questions with a thought of one line
N_HELDOUT = 200
ZH_SHARE = 0.65
COMPACT_SHARE = 0.3  # of the Chinese problems: no space between digits and characters
FIRST, OTHERS, LARGEST = (3, 40), (2, 20), 60  # ranges of the first number and the others, largest result

NAMES = {
    "zh": ["小明", "小红", "小华", "小丽", "小李", "小王", "小张", "小林"],
    "en": ["Tom", "Anna", "Ben", "Lucy", "Sam", "Mary", "Jack", "Kate"],
}
# "*" in a story is one of these; where not all of them would make sense, it names its own.
THINGS = {
    "zh": ["个苹果", "本书", "支铅笔", "颗糖", "个气球", "朵花", "张邮票", "个鸡蛋", "个桃子", "把雨伞"],
    "en": ["apples", "books", "pencils", "sweets", "balloons", "flowers", "stamps", "eggs", "peaches", "hats"],
}
# What is asked at the end: (questions, answer).
ENDINGS = {
    "left": {
        "zh": (["还剩多少{t}？", "还剩几{t}？", "现在还剩多少{t}？", "最后还剩多少{t}？"], "还剩 {r} {t}。"),
        "en": (["How many {t} are left?", "How many {t} are left now?"], "There are {r} {t} left."),
    },
    "now": {
        "zh": (["现在有多少{t}？", "现在有几{t}？", "这时有多少{t}？"], "现在有 {r} {t}。"),
        "en": (["How many {t} are there now?", "Now how many {t} are there?"], "There are {r} {t} now."),
    },
    "total": {
        "zh": (["一共有多少{t}？", "一共有几{t}？", "总共有多少{t}？"], "一共有 {r} {t}。"),
        "en": (["How many {t} are there in all?", "How many {t} is that in all?"], "There are {r} {t} in all."),
    },
}
# All of these are the same answer, whichever the question uses.
SHORT = {
    "zh": [
        *(f"{verb} {{r}} {{t}}" for verb in ("还剩", "现在有", "一共有", "还有", "有")),
        "{r} {t}",
        "{r} {u}",
        "{r}",
    ],
    "en": [*(f"There are {{r}} {{t}}{end}" for end in (" left", " now", " in all", "")), "{r} {t}", "{r}"],
}

# steps | things, separated by commas | ending | story. The steps name the numbers of the story a, b, c, d and the
# results x, y; numbers stand in the story in that order. {who} and {two} are two people, {t} the things, {u} their
# measure word.
TRAIN = {
    "zh": """
        a+b x-c | * | left | {who}有 {a} {t}，又买了 {b} {u}，送给朋友 {c} {u}。
        a+b x-c | * | left | 盒子里有 {a} {t}，{who}放进去 {b} {u}，{two}拿走 {c} {u}。
        a+b x-c | 张纸,颗糖,个鸡蛋,支铅笔 | left | {who}带来 {a} {t}，{two}带来 {b} {u}，大家用掉 {c} {u}。
        a+b x-c | 个人 | now | 车上有 {a} 个人，上来 {b} 个人，又下去 {c} 个人。
        a+b x-c | 元 | left | {who}有 {a} 元，{two}又给 {b} 元，{who}花掉 {c} 元。
        a+b x-c | 只鸟 | left | 树上有 {a} 只鸟，飞来 {b} 只，飞走 {c} 只。
        a+b x-c | 条鱼 | left | {who}抓了 {a} 条鱼，{two}抓了 {b} 条，中午吃掉 {c} 条。
        a-b x+c | * | now | {who}有 {a} {t}，送出去 {b} {u}，又得到 {c} {u}。
        a-b x+c | * | now | 篮子里有 {a} {t}，拿走 {b} {u}，再放进 {c} {u}。
        a-b x+c | 元 | now | {who}有 {a} 元，买书花了 {b} 元，妈妈又给 {c} 元。
        a-b x+c | 个人 | now | 教室里有 {a} 个人，走了 {b} 个人，又来了 {c} 个人。
        a-b x+c | * | now | 商店有 {a} {t}，卖出 {b} {u}，又运来 {c} {u}。
        a-b x+c | 只羊 | now | 草地上有 {a} 只羊，跑了 {b} 只，又来了 {c} 只。
        a-b x-c | 张纸,颗糖,个鸡蛋,支铅笔 | left | {who}有 {a} {t}，上午用掉 {b} {u}，下午用掉 {c} {u}。
        a-b x-c | * | left | 桌上有 {a} {t}，{who}拿走 {b} {u}，{two}拿走 {c} {u}。
        a-b x-c | 元 | left | {who}带了 {a} 元，买菜花 {b} 元，买水果花 {c} 元。
        a-b x-c | 页 | left | 一本书有 {a} 页，昨天看了 {b} 页，今天看了 {c} 页。
        a-b x-c | * | left | 店里有 {a} {t}，第一天卖了 {b} {u}，第二天卖了 {c} {u}。
        a-b x-c | 个人 | left | 公园里有 {a} 个人，先走了 {b} 个人，后来又走了 {c} 个人。
        a+b x+c | * | total | {who}有 {a} {t}，{two}有 {b} {u}，老师有 {c} {u}。
        a+b x+c | * | total | 星期一收到 {a} {t}，星期二收到 {b} {u}，星期三收到 {c} {u}。
        a+b x+c | 个字 | total | {who}早上写了 {a} 个字，中午写了 {b} 个，晚上写了 {c} 个。
        a+b x+c | 棵树 | total | 一班种了 {a} 棵树，二班种了 {b} 棵，三班种了 {c} 棵。
        a+b a+x | * | total | {who}有 {a} {t}，{two}比{who}多 {b} {u}，两个人的放在一起。
        a-b a+x | * | total | {who}有 {a} {t}，{two}比{who}少 {b} {u}，两个人的放在一起。
        a+b x-c y+d | * | now | {who}有 {a} {t}，买来 {b} {u}，送人 {c} {u}，又捡到 {d} {u}。
        a+b x-c y+d | 个人 | now | 车上有 {a} 个人，第一站上来 {b} 个，第二站下去 {c} 个，第三站上来 {d} 个。
        a+b x-c y+d | * | now | 箱子里有 {a} {t}，放进 {b} {u}，取出 {c} {u}，再放进 {d} {u}。
        a+b x-c y-d | * | left | {who}有 {a} {t}，{two}又给 {b} {u}，{who}送给弟弟 {c} {u}，送给妹妹 {d} {u}。
        a+b x-c y-d | 元 | left | {who}有 {a} 元，爸爸又给 {b} 元，买笔花 {c} 元，买本子花 {d} 元。
        a+b x-c y-d | 个人 | left | 图书馆里有 {a} 个人，进来 {b} 个人，先走了 {c} 个人，又走了 {d} 个人。
        a-b x-c y+d | * | now | 店里有 {a} {t}，上午卖 {b} {u}，下午卖 {c} {u}，晚上运来 {d} {u}。
        a-b x-c y+d | * | now | {who}有 {a} {t}，给{two} {b} {u}，丢了 {c} {u}，又买 {d} {u}。
        a-b x+c y-d | 只鸟 | left | 树上有 {a} 只鸟，飞走 {b} 只，飞来 {c} 只，又飞走 {d} 只。
        a-b x+c y-d | 个鸡蛋,个苹果,个桃子 | left | 冰箱里有 {a} {t}，拿出 {b} {u}，放进 {c} {u}，又拿出 {d} {u}。
        a-b x+c y+d | 元 | now | {who}有 {a} 元，花掉 {b} 元，爷爷给 {c} 元，奶奶给 {d} 元。
        a-b x-c y-d | 张纸,颗糖 | left | {who}有 {a} {t}，第一天用 {b} {u}，第二天用 {c} {u}，第三天用 {d} {u}。
        a+b x+c y-d | 张纸,颗糖 | left | {who}有 {a} {t}，{two}有 {b} {u}，爸爸有 {c} {u}，大家一起用掉 {d} {u}。
        a+b x+c y+d | 个球 | total | 红球有 {a} 个，白球有 {b} 个，黑球有 {c} 个，黄球有 {d} 个。
    """,
    "en": """
        a+b x-c | * | left | {who} has {a} {t}, buys {b} more and gives away {c}.
        a+b x-c | * | left | There are {a} {t} in a box. {who} puts in {b} more, and {two} takes {c} away.
        a+b x-c | people | now | There are {a} people on a bus. Then {b} people get on and {c} get off.
        a+b x-c | yuan | left | {who} has {a} yuan, gets {b} yuan and spends {c} yuan.
        a-b x+c | * | now | {who} has {a} {t}, gives away {b} and gets {c} more.
        a-b x+c | * | now | A shop has {a} {t}. It sells {b} and buys {c} more.
        a-b x+c | birds | now | There are {a} birds in a tree. Then {b} fly away and {c} come back.
        a-b x-c | sweets,eggs,stamps,pencils | left | {who} has {a} {t}, uses {b} in the morning and {c} in the evening.
        a-b x-c | * | left | There are {a} {t} on the table. {who} takes {b}, and {two} takes {c}.
        a-b x-c | pages | left | A book has {a} pages. {who} reads {b} pages on Monday and {c} on Tuesday.
        a+b x+c | * | total | {who} has {a} {t}, {two} has {b}, and the teacher has {c}.
        a+b x+c | letters | total | {who} gets {a} letters on Monday, {b} on Tuesday and {c} on Friday.
        a+b a+x | * | total | {who} has {a} {t}. {two} has {b} more than {who}. They put them together.
        a+b x-c y+d | * | now | {who} has {a} {t}, buys {b}, gives away {c} and then finds {d}.
        a+b x-c y+d | people | now | There are {a} people on a bus. First {b} get on, then {c} get off, and {d} get on.
        a+b x-c y-d | * | left | {who} has {a} {t} and gets {b} more. {two} takes {c}, and the teacher takes {d}.
        a-b x-c y+d | * | now | A shop has {a} {t}. It sells {b}, then it sells {c}, and it buys {d} more.
        a-b x+c y-d | yuan | left | {who} has {a} yuan, spends {b}, gets {c} and spends {d}.
        a-b x+c y+d | * | now | {who} has {a} {t}, loses {b}, finds {c} and buys {d} more.
        a-b x-c y-d | eggs,stamps | left | {who} has {a} {t}, uses {b} on Monday, {c} on Tuesday and {d} on Sunday.
        a+b x+c y-d | eggs,stamps | left | {who} has {a} {t}, {two} has {b}, and Dad has {c}. Together they use {d}.
    """,
}
HELD = {
    "zh": """
        a+b x-c | * | left | {who}家里有 {a} {t}，今天又添了 {b} {u}，客人带走 {c} {u}。
        a+b x-c | 个人 | now | 餐厅里有 {a} 个人，进来 {b} 个，吃完走了 {c} 个。
        a-b x+c | * | now | 架子上有 {a} {t}，{who}取下 {b} {u}，{two}又摆上 {c} {u}。
        a-b x-c | * | left | 老师有 {a} {t}，发给{who} {b} {u}，发给{two} {c} {u}。
        a+b x+c | 条鱼 | total | 大碗里有 {a} 条鱼，小碗里有 {b} 条，水盆里有 {c} 条。
        a-b a+x | * | total | 左边有 {a} {t}，右边比左边少 {b} {u}，左右两边的合在一起。
        a+b x-c y+d | 只鸭子 | now | 河里有 {a} 只鸭子，游来 {b} 只，上岸 {c} 只，又游来 {d} 只。
        a+b x-c y-d | * | left | 袋子里有 {a} {t}，装进 {b} {u}，掉了 {c} {u}，又坏了 {d} {u}。
        a-b x-c y+d | 元 | now | {who}有 {a} 元，坐车花 {b} 元，吃饭花 {c} 元，卖旧书得到 {d} 元。
        a-b x+c y-d | * | left | 超市有 {a} {t}，早上卖掉 {b} {u}，中午补了 {c} {u}，晚上卖掉 {d} {u}。
        a+b x+c y-d | 个人 | left | 男生有 {a} 个，女生有 {b} 个，老师有 {c} 个，后来走了 {d} 个人。
    """,
    "en": """
        a+b x-c | * | left | {who} finds {a} {t} at home and {b} at school, and {two} takes {c} of them.
        a-b x+c | people | now | There are {a} people in a shop. Then {b} go home and {c} come in.
        a-b x-c | * | left | The teacher has {a} {t}. She gives {b} to {who} and {c} to {two}.
        a+b x-c y+d | * | now | In the basket are {a} {t}. {who} puts in {b}, takes out {c} and puts in {d}.
        a-b x-c y+d | yuan | now | {who} takes {a} yuan to town, spends {b}, spends {c} and is given {d}.
        a+b x-c y-d | birds | left | There are {a} birds on a roof. Then {b} come, {c} fly away and {d} more fly away.
    """,
}


def reserved_numbers(numbers) -> bool:
    """Combinations of numbers, in the order of the story, that no training problem uses."""
    return sum(weight * n for weight, n in zip((3, 5, 7, 11), numbers, strict=False)) % 9 == 4


def stories(block: str) -> list[list[str]]:
    return [[field.strip() for field in line.split("|")] for line in block.strip().splitlines()]


def work_out(steps: str, numbers: list[int]) -> tuple[list[str], list[int]] | None:
    """The lines of thought and all results; None if one is out of range or passes through a pair held out there."""
    values, lines, results = dict(zip("abcd", numbers, strict=False)), [], []
    for name, step in zip("xyz", steps.split(), strict=False):
        sign, one, other = (1 if step[1] == "+" else -1), values[step[0]], values[step[2]]
        result = one + sign * other
        if not 2 <= result <= LARGEST or not skills._trainable(one, other, sign):
            return None
        values[name] = result
        lines.append(skills._line(one, other, sign))
        results.append(result)
    if any(skills.reserved_pair(*two) for two in combinations(numbers + results, 2)):
        return None
    return lines, results


def make_problem(rng, lang: str, story: list[str], held: bool) -> dict:
    """{"question", "thought", "answer", "accept", "steps"}"""
    steps, things, ending, text = story
    things = rng.choice(THINGS[lang] if things == "*" else things.split(","))
    count = len(re.findall(r"\{[abcd]\}", text))
    worked = None
    while worked is None:
        numbers = [rng.randint(*FIRST)] + [rng.randint(*OTHERS) for _ in range(count - 1)]
        if reserved_numbers(numbers) == held:
            worked = work_out(steps, numbers)
    lines, results = worked
    who, two = rng.sample(NAMES[lang], 2)
    slots = dict(zip("abcd", numbers, strict=False)) | {"who": who, "two": two, "t": things, "u": things[0]}
    slots["r"] = results[-1]
    asks, answer = ENDINGS[ending][lang]
    question = (text + ("" if lang == "zh" else " ") + rng.choice(asks)).format(**slots)
    if lang == "zh" and rng.random() < COMPACT_SHARE:
        question = re.sub(r"(?<=\d) | (?=\d)", "", question)
    return {
        "question": question,
        "thought": "\n".join(lines),
        "answer": answer.format(**slots),
        "accept": [short.format(**slots) for short in SHORT[lang]],
        "steps": len(lines),
    }


def thoughtful(thought: str, answer: str) -> str:
    return f"<think>\n{thought}\n</think>\n<answer>\n{answer}\n</answer>"


def train_dialogues(rng, general: list[list[dict]]) -> list[list[dict]]:
    """`general`: the dialogues of supervised training, of which some are rehearsed."""
    told = {lang: talk.in_turn(rng, stories(TRAIN[lang])) for lang in TRAIN}
    dialogues = []
    for _ in range(N_TRAIN):
        lang = "zh" if rng.random() < ZH_SHARE else "en"
        made = make_problem(rng, lang, next(told[lang]), held=False)
        reply = thoughtful(made["thought"], made["answer"])
        dialogues.append([{"role": "user", "content": made["question"]}, {"role": "assistant", "content": reply}])
    # Advice is left to the manner that preference training taught.
    given = advice.replies()
    known = [d for d in general if len(d) == 2 and d[1]["content"] not in given]
    for user, assistant in rng.sample(known, N_REHEARSED):
        answer = assistant["content"]
        if re.match(r"\d+ [+-] \d+ = ", answer):
            thought = answer
        else:
            thought = {"zh": "可以直接回答。", "en": "I can answer this directly."}[
                talk.language(user["content"], answer)
            ]
        dialogues.append([user, {"role": "assistant", "content": thoughtful(thought, answer)}])
    return dialogues


def heldout_questions(rng) -> list[dict]:
    told = {lang: talk.in_turn(rng, stories(HELD[lang])) for lang in HELD}
    questions = {}
    while len(questions) < N_HELDOUT:
        lang = "zh" if len(questions) < N_HELDOUT * ZH_SHARE else "en"
        made = make_problem(rng, lang, next(told[lang]), held=True)
        questions.setdefault(
            made["question"],
            {
                "category": f"reason_{made['steps']}",
                "messages": [{"role": "user", "content": made["question"]}],
                "answers": [made["answer"], *(short for short in made["accept"] if short != made["answer"][:-1])],
            },
        )
    return list(questions.values())
