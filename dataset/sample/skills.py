"""Skills of the miniature world: sums, comparison, sorting, the calendar, parity and counting, in Chinese and English.

Nothing here is looked up in a table of facts: every answer is computed. So two kinds of things are held out: question
forms (`held` in skill_forms.py) and number combinations (`reserved_*`; the calendar has too few). No training file has
either.
"""

import re
from itertools import combinations

import tables

FORMS = tables.named('skills', 'skill')

# How much to make of each skill.
N_TEXTS = {
    "addition": 1800,
    "subtraction": 1800,
    "comparison": 1200,
    "sorting": 1200,
    "calendar": 700,
    "parity": 300,
    "counting": 900,
}
N_TRAIN = {
    "addition": 5000,
    "subtraction": 7000,
    "comparison": 3200,
    "sorting": 5400,
    "calendar": 4000,
    "parity": 1400,
    "counting": 3000,
}
N_HELDOUT = {
    "addition": 48,
    "subtraction": 48,
    "comparison": 45,
    "sorting": 42,
    "calendar": 48,
    "parity": 36,
    "counting": 40,
}
ZH_SHARE = 0.65  # of the records of each skill
OPENER_SHARE, CLOSER_SHARE = 0.3, 0.12  # of the questions
SECOND_TURN_SHARE = 0.1  # of the dialogues: a second question of the same skill follows
COMPACT_SHARE = 0.5  # of the Chinese questions: no space between digits and characters

# --------------------------------------------------------------------------------------------------------------------
# What is reserved for the held-out set


def reserved_pair(a, b):
    """Unordered pairs that training never adds, subtracts or compares; sums of two single digits are always taught."""
    low, high = min(a, b), max(a, b)
    return 10 <= high <= 99 and (7 * low + 13 * high) % 29 == 4


def reserved_triple(a, b, c):
    """Unordered triples that training never sorts."""
    low, middle, high = sorted((a, b, c))
    return (5 * low + 11 * middle + 3 * high) % 13 == 6


def reserved_number(n):
    """Numbers whose parity and whose neighbours training never states."""
    return n >= 200 and n % 17 == 5


def _steps(a, b, sign):
    """The pairs that working out a ± b passes through, so that every step looks at single digits only.

    A sum adds tens and ones apart (27 + 45, then 60 + 12), a difference takes away the tens first (72 - 45, 32 - 5).
    """
    tens, ones = b - b % 10, b % 10
    if sign > 0:
        tens, ones = a - a % 10 + tens, a % 10 + ones
        return [(a, b), (tens, ones)] if tens and ones and (tens, ones) not in ((a, b), (b, a)) else [(a, b)]
    return [(a, b), (a - tens, ones)] if tens and ones else [(a, b)]


def _trainable(a, b, sign):
    return not any(reserved_pair(x, y) for x, y in _steps(a, b, sign))


def _clean(numbers):
    """No reserved pair or triple among the numbers."""
    return not any(reserved_pair(*p) for p in combinations(numbers, 2)) and not any(
        reserved_triple(*t) for t in combinations(numbers, 3)
    )


PAIRS = [(a, b) for a in range(100) for b in range(100)]
SUMS = [(a, b) for a, b in PAIRS if a + b <= 100]  # the sums of a primary school's first years
DIFFERENCES = [(a, b) for a, b in PAIRS if a >= b]
DISTINCT = [(a, b) for a, b in PAIRS if a != b]

# --------------------------------------------------------------------------------------------------------------------
# Words

WEEKDAYS = {
    "zh": ["星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日"],
    "en": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
}
MONTHS = {
    "zh": ["一月", "二月", "三月", "四月", "五月", "六月", "七月", "八月", "九月", "十月", "十一月", "十二月"],
    "en": [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
}
HAN = ["零", "一", "两", "三", "四", "五", "六", "七"]  # as said before a measure word
SPELT = ["zero", "one", "two", "three", "four", "five", "six", "seven"]
NAMES = {"zh": ["小明", "小红", "小华", "小丽", "妈妈", "爷爷"], "en": ["Tom", "Anna", "Ben", "Lucy", "Mum", "Grandpa"]}
THINGS = {
    "zh": ["个苹果", "本书", "支铅笔", "颗糖", "个气球", "朵花", "张邮票"],
    "en": ["apples", "books", "pencils", "sweets", "balloons", "flowers", "stamps"],
}
PROPER = ("I ", "I'", *WEEKDAYS["en"], *MONTHS["en"])

# Openers and closers, joined to a core by `_compose`. A core that begins with "!" is a request and takes its openers
# from REQUESTS.
OPENERS = {
    "zh": [
        "请问，",
        "请问",
        "你好，",
        "你好，请问",
        "我想问一下，",
        "问一下，",
        "考考你：",
        "有个问题：",
        "嗨，",
        "那么，",
        "对了，",
        "小问题：",
        "想请教一下，",
        "老师问我，",
    ],
    "en": [
        "Quick question: ",
        "Hi, ",
        "Hello! ",
        "Excuse me, ",
        "Hey, ",
        "One question: ",
        "Tell me, ",
        "Help me out: ",
        "So, ",
        "Well, ",
        "My teacher asks: ",
    ],
}
REQUESTS = {
    "zh": ["请", "请你", "麻烦你", "你好，请", "来，", "现在", "请帮我", "帮个忙，", "那就"],
    "en": ["Please ", "Hi, please ", "Now ", "Hello! ", "Could you please: ", "Next: ", "Help me out: "],
}
CLOSERS = {
    "zh": ["谢谢！", "谢谢。", "请直接回答。", "我想核对一下。", "告诉我吧。", "拜托了。", "我有点拿不准。"],
    "en": [
        " Thanks!",
        " Thank you.",
        " Please answer.",
        " Just the answer, please.",
        " I want to check it.",
        " I am not sure.",
    ],
}


# --------------------------------------------------------------------------------------------------------------------
# Building a question


def _lower(text):
    return text if text.startswith(PROPER) else text[:1].lower() + text[1:]


def _compact(text):
    """Chinese as it is often typed: no space between digits and characters, none around a sign."""
    return re.sub(r"(?<=[^\x00-\x7f]) | (?=[^\x00-\x7f])| ?([+=-]) ?", lambda m: m.group(1) or "", text)


def _compose(rng, lang, core):
    """A core with, sometimes, an opener and a closer, typed with small liberties."""
    request = core.startswith("!")
    core = core.lstrip("!")
    opened = rng.random() < OPENER_SHARE
    closed = rng.random() < (CLOSER_SHARE / 3 if opened else CLOSER_SHARE)
    compact = lang == "zh" and rng.random() < COMPACT_SHARE
    if compact:
        core = _compact(core)
    if closed:
        if core[-1] not in "。？?.！":
            core += "。" if lang == "zh" else "."
        core += rng.choice(CLOSERS[lang])
    elif rng.random() < 0.1:
        core = core.rstrip("。？?.=")
    elif core[-1] == "？" and rng.random() < 0.1:
        core = core[:-1] + "?"
    if opened:
        opener = rng.choice((REQUESTS if request else OPENERS)[lang])
        if lang == "zh" and not compact and opener[-1].isalpha() and core[0].isdigit():
            opener += " "
        core = opener + (_lower(core) if opener.endswith((", ", "lease ", "Now ")) else core)
    return core.strip()


def _line(a, b, sign):
    """The canonical statement, which is also the reply: "27 + 45 = 60 + 12 = 72", "72 - 45 = 32 - 5 = 27"."""
    result = a + sign * b
    mark = "+-"[sign < 0]
    (x, y) = _steps(a, b, sign)[-1]
    middle = f"{x} {mark} {y} = " if (x, y) != (a, b) else ""
    return f"{a} {mark} {b} = {middle}{result}"


def _arithmetic(sign):
    def make(rng, lang, item, form):
        a, b = item
        slots = {"a": a, "b": b}
        if "{thing}" in form:
            if min(a, b) < 2:  # no stories about nothing or about one of a thing
                return None
            k = rng.randrange(len(THINGS[lang]))
            thing = THINGS[lang][k]
            slots.update(who=rng.choice(NAMES[lang]), thing=thing, unit=thing[0])
        reply = _line(a, b, sign)
        result = a + sign * b
        mark = "+-"[sign < 0]
        answers = [reply, f"{a} {mark} {b} = {result}", str(result)]
        if sign > 0:
            answers.insert(2, f"{b} + {a} = {result}")
        words = {"zh": ("加", "减", "等于"), "en": ("plus", "minus", "is")}[lang]
        answers.append(f"{a} {words[sign < 0]} {b} {words[2]} {result}")
        return form.format(**slots), reply, answers

    return make


def _make_comparison(rng, lang, item, form):
    (a, b), larger = item, rng.random() < 0.5
    form = _side(form, 0 if larger else 1)
    best = max(a, b) if larger else min(a, b)
    if lang == "zh":
        word = "大" if larger else "小"
        reply = f"{a} 和 {b} 相比，{best} 更{word}。"
        answers = [reply, str(best), f"{best} 更{word}", f"{best} 比 {a + b - best} {word}"]
    else:
        word = "larger" if larger else "smaller"
        reply = f"Of {a} and {b}, {best} is {word}."
        answers = [reply, str(best), f"{best} is {word}", f"{best} is {word} than {a + b - best}"]
    return form.format(a=a, b=b), reply, answers


def _make_sorting(rng, lang, item, form):
    numbers = [str(n) for n in item]
    rising = rng.random() < 0.5
    form = _side(form, 0 if rising else 1)
    ranked = [str(n) for n in sorted(item, reverse=not rising)]
    if lang == "zh":
        given = rng.choice(["{}、{}、{}", "{}、{}、{}", "{}、{}、{}", "{}，{}，{}", "{} {} {}", "{}、{} 和 {}"]).format(
            *numbers
        )
        head, joint, stop = ("从小到大：" if rising else "从大到小："), "、", "。"
    else:
        given = "{}, {}, {}" if rng.random() < 0.5 else "{}, {} and {}"
        given = given.format(*numbers)
        head = "From smallest to largest: " if rising else "From largest to smallest: "
        joint, stop = ", ", "."
    reply = head + joint.join(ranked) + stop
    sign = " < " if rising else " > "
    answers = [reply, joint.join(ranked), " ".join(ranked), sign.join(ranked)]
    return form.format(list=given), reply, answers


def _day_names(lang, day):
    name = WEEKDAYS[lang][day]
    if lang == "en":
        return [name, f"It is {name}"]
    return [name, name.replace("星期", "周"), name.replace("星期", "礼拜"), f"是{name}"] + (
        ["星期天"] if day == 6 else []
    )


def weekday_line(lang, day, n, after):
    """Counted on the fingers, so that every step is the next day: "星期六往后数：1 星期日，2 星期一。是星期一。" """
    end = (day + n) % 7 if after else (day - n) % 7
    return _counted(lang, [WEEKDAYS[lang][(day + (i if after else -i)) % 7] for i in range(n + 1)], after), end


def month_line(lang, month, n):
    """ "Count forward from June: 1 July, 2 August. It is August." """
    return _counted(lang, [MONTHS[lang][(month + i) % 12] for i in range(n + 1)], True), (month + n) % 12


def _plain_day(lang, day, n, after):
    """The same without the counting: "星期六的 2 天后是星期一。" """
    names, end = WEEKDAYS[lang], (day + n) % 7 if after else (day - n) % 7
    if lang == "zh":
        return f"{names[day]}的 {n} 天{'后' if after else '前'}是{names[end]}。"
    return f"{n} day{'s' * (n > 1)} {'after' if after else 'before'} {names[day]} is {names[end]}."


def _plain_month(lang, month, n):
    names, end = MONTHS[lang], (month + n) % 12
    if lang == "zh":
        return f"{names[month]}的 {n} 个月后是{names[end]}。"
    return f"{n} month{'s' * (n > 1)} after {names[month]} is {names[end]}."


def _counted(lang, names, after):
    start, *passed = names
    if lang == "zh":
        steps = "，".join(f"{i} {name}" for i, name in enumerate(passed, 1))
        return f"{start}往{'后' if after else '前'}数：{steps}。是{passed[-1]}。"
    steps = ", ".join(f"{i} {name}" for i, name in enumerate(passed, 1))
    return f"Count {'forward' if after else 'back'} from {start}: {steps}. It is {passed[-1]}."


def _make_calendar(rng, lang, item, form):
    kind, start, n, after = item
    form = _side(form, 0 if after else 1)
    number = str(n)
    if lang == "zh":
        if rng.random() < 0.4:
            number, form = HAN[n], form.replace(" {n} ", "{n}").replace("{n} ", "{n}")
            number = "二" if "第{n}天" in form and n == 2 else number
    else:
        if n == 1:
            form = form.replace("{n} days", "{n} day").replace("{n} months", "{n} month")
        if rng.random() < 0.3:
            number = SPELT[n]
    if kind == "weekday":
        reply, end = weekday_line(lang, start, n, after)
        word = WEEKDAYS[lang][start]
        if lang == "zh":
            word = word.replace("星期", rng.choice(["星期", "星期", "周"]))
            word = "星期天" if word == "星期日" and rng.random() < 0.4 else word
        answers = [reply, *_day_names(lang, end), _plain_day(lang, start, n, after)]
        text = form.format(w=word, n=number)
    else:
        reply, end = month_line(lang, start, n)
        word = MONTHS[lang][start]
        if lang == "zh" and rng.random() < 0.3:
            word = f"{start + 1}月"
        short = [f"{end + 1} 月"] if lang == "zh" else [f"It is {MONTHS[lang][end]}"]
        answers = [reply, MONTHS[lang][end], *short, _plain_month(lang, start, n)]
        text = form.format(m=word, n=number)
    return text[:1].upper() + text[1:] if lang == "en" else text, reply, answers


def parity_line(lang, n):
    if lang == "zh":
        return f"{n} 是{'奇' if n % 2 else '偶'}数。"
    return f"{n} is {'odd' if n % 2 else 'even'}."


def _make_parity(rng, lang, n, form):
    reply = parity_line(lang, n)
    if lang == "zh":
        answers = [reply, "奇数" if n % 2 else "偶数", "单数" if n % 2 else "双数", "是奇数" if n % 2 else "是偶数"]
    else:
        answers = [reply, "odd" if n % 2 else "even", f"{n} is an {'odd' if n % 2 else 'even'} number"]
    return form.format(n=n), reply, answers


def counting_line(lang, n, after):
    other = n + 1 if after else n - 1
    if lang == "zh":
        return f"{n} 的{'后' if after else '前'}一个数是 {other}。"
    return f"The number {'after' if after else 'before'} {n} is {other}."


def _make_counting(rng, lang, item, form):
    n, after = item
    reply = counting_line(lang, n, after)
    other = n + 1 if after else n - 1
    return (
        _side(form, 0 if after else 1).format(n=n),
        reply,
        [reply, str(other), f"是 {other}" if lang == "zh" else f"It is {other}"],
    )


def _side(form, side):
    """The first or the second of "larger|smaller"; a request's mark is carried by either."""
    halves = form.split("|")
    return halves[side] if len(halves) > 1 else form


MAKERS = {
    "addition": _arithmetic(+1),
    "subtraction": _arithmetic(-1),
    "comparison": _make_comparison,
    "sorting": _make_sorting,
    "calendar": _make_calendar,
    "parity": _make_parity,
    "counting": _make_counting,
}


def _pool(rng, skill, held):
    """Every combination of numbers that this split may use, in random order, without end."""
    if skill in ("addition", "subtraction"):
        sign = 1 if skill == "addition" else -1
        pairs = SUMS if sign > 0 else DIFFERENCES
        items = [p for p in pairs if (reserved_pair(*p) if held else _trainable(*p, sign))]
        if not held:
            items += [p for p in pairs if max(p) < 10] * 2
    elif skill == "comparison":
        items = [p for p in DISTINCT if reserved_pair(*p) == held]
    elif skill == "sorting":
        items = []
        while len(items) < 3000:
            triple = tuple(rng.sample(range(100), 3))
            if reserved_triple(*triple) if held else _clean(triple):
                items.append(triple)
    elif skill == "calendar":
        # Too few to hold any out: the calendar is held out by wording alone.
        items = [("weekday", d, n, after) for d in range(7) for n in range(1, 8) for after in (True, False)]
        items += [("month", m, n, True) for m in range(12) for n in range(1, 7)]
    elif skill == "parity":
        items = [n for n in range(1000) if reserved_number(n) == held]
        if not held:
            items += range(100)
    else:
        items = [
            (n, after) for n in range(999) for after in (True, False) if (n or after) and _countable(n, after) != held
        ]
        if held:
            items = [i for i in items if reserved_number(i[0])]
        else:
            items += [i for i in items if i[0] < 110]
    while True:
        rng.shuffle(items)
        yield from items


def _countable(n, after):
    """Training may state the neighbour of n: neither of the two is reserved."""
    return not reserved_number(n) and not reserved_number(n + 1 if after else n - 1)


def _forms(skill, item, lang, split):
    return FORMS[item[0] if skill == "calendar" else skill][lang][split]


# --------------------------------------------------------------------------------------------------------------------
# The three functions that every content module has


def train_dialogues(rng):
    dialogues = []
    for skill, amount in N_TRAIN.items():
        pool, make = _pool(rng, skill, False), MAKERS[skill]

        def turn(lang, skill=skill, pool=pool, make=make):
            made = None
            while made is None:
                item = next(pool)
                made = make(rng, lang, item, rng.choice(_forms(skill, item, lang, "train")))
            question, reply, _ = made
            return [{"role": "user", "content": _compose(rng, lang, question)}, {"role": "assistant", "content": reply}]

        for _ in range(amount):
            lang = "zh" if rng.random() < ZH_SHARE else "en"
            messages = turn(lang)
            if rng.random() < SECOND_TURN_SHARE:
                messages += turn(lang)
            dialogues.append(messages)
    return dialogues


def heldout_questions(rng):
    questions, seen = [], set()
    for skill, amount in N_HELDOUT.items():
        pool, make = _pool(rng, skill, True), MAKERS[skill]
        chinese = round(amount * ZH_SHARE)
        made = 0
        while made < amount:
            lang = "zh" if made < chinese else "en"
            item = next(pool)
            forms = _forms(skill, item, lang, "held")
            question, _, answers = make(rng, lang, item, forms[made % len(forms)])
            question = question.lstrip("!")
            if lang == "zh" and rng.random() < COMPACT_SHARE:
                question = _compact(question)
            if question in seen:
                continue
            seen.add(question)
            made += 1
            message = {"role": "user", "content": question}
            questions.append({"category": skill, "messages": [message], "answers": list(dict.fromkeys(answers))})
    return questions


def pretrain_texts(rng):
    texts = []
    writers = {
        "addition": _write_sums,
        "subtraction": _write_sums,
        "comparison": _write_comparison,
        "sorting": _write_sorting,
        "calendar": _write_calendar,
        "parity": _write_parity,
        "counting": _write_counting,
    }
    for skill, amount in N_TEXTS.items():
        pool = _pool(rng, skill, False)
        for _ in range(amount):
            texts.append(writers[skill](rng, "zh" if rng.random() < ZH_SHARE else "en", pool, skill))
    return texts


# --------------------------------------------------------------------------------------------------------------------
# Texts for pretraining


def _write_sums(rng, lang, pool, skill):
    sign = 1 if skill == "addition" else -1
    a, b = next(pool)
    result, line, kind = a + sign * b, _line(a, b, sign), rng.random()
    if kind < 0.5:  # a list, as in an exercise book
        items = [(a, b)] + [next(pool) for _ in range(rng.randint(4, 9))]
        return rng.choice(["\n", "\n", "，" if lang == "zh" else ", "]).join(_line(x, y, sign) for x, y in items)
    if kind < 0.6:  # one number stays, the other counts up
        b = rng.randrange(10)
        items = [(a, y) for y in range(b, b + 8) if _trainable(a, y, sign) and 0 <= a + sign * y <= 100]
        return "\n".join(_line(x, y, sign) for x, y in items) or line
    if kind < 0.7 and len(_steps(a, b, sign)) > 1:  # worked out in steps
        told = _told_sum(lang, a, b) if sign > 0 else _told_difference(lang, a, b)
        if told:
            return told
    if kind < 0.8 and _family(a, b, sign):
        return "\n".join(_line(*t) for t in _family(a, b, sign))
    if lang == "zh" and sign > 0:
        says = [
            "{a} 加 {b} 等于 {c}。",
            "{a} 与 {b} 的和是 {c}。",
            "{a} 和 {b} 合起来是 {c}。",
            "{a} 和 {b} 相加，得数是 {c}。",
            "把 {a} 和 {b} 加起来，结果是 {c}。",
            "{a} 再加 {b}，一共是 {c}。",
            "在 {a} 上加上 {b}，应该得到 {c}。",
        ]
    elif lang == "zh":
        says = [
            "{a} 减 {b} 等于 {c}。",
            "{a} 与 {b} 的差是 {c}。",
            "{a} 去掉 {b}，剩下 {c}。",
            "从 {a} 中拿走 {b}，还剩 {c}。",
            "{a} 减去 {b}，得数是 {c}。",
            "{a} 比 {b} 多 {c}。",
            "从 {a} 里减掉 {b}，剩下的应该是 {c}。",
        ]
    elif sign > 0:
        says = [
            "{a} plus {b} is {c}.",
            "The sum of {a} and {b} is {c}.",
            "{a} and {b} together make {c}.",
            "When you add {a} and {b}, the total is {c}.",
            "{a} plus {b} equals {c}.",
            "Added together, {a} and {b} give the result {c}.",
        ]
    else:
        says = [
            "{a} minus {b} is {c}.",
            "The difference between {a} and {b} is {c}.",
            "{a} take away {b} leaves {c}.",
            "If {b} is subtracted from {a}, the result is {c}.",
            "When you take {b} away from {a}, {c} is left.",
            "{a} minus {b} equals {c}.",
        ]
    said = rng.choice(says).format(a=a, b=b, c=result)
    gap = "" if lang == "zh" else " "
    stop = "。" if lang == "zh" else "."
    more = next(pool)
    second = rng.choice(says).format(a=more[0], b=more[1], c=more[0] + sign * more[1])
    return rng.choice(
        [
            said + gap + second,
            said + gap + line + stop,
            line + stop + gap + said,
            f"{said}{gap}{line}{stop}{gap}{second}",
        ]
    )


def _told_sum(lang, a, b):
    """A sum of two numbers worked out aloud, tens and ones apart; empty where that states a reserved pair."""
    (tens, ones), mine, other = _steps(a, b, 1)[1], a - a % 10, b - b % 10
    if not (mine and other and _trainable(mine, other, 1)):
        return ""
    steps = f"{mine} + {other} = {tens}", f"{a % 10} + {b % 10} = {ones}", f"{tens} + {ones} = {a + b}"
    if lang == "zh":
        return "{} + {} 怎么算？整十的数相加，{}；个位的数相加，{}；合起来，{}。".format(a, b, *steps)
    return "How to work out {} + {}: the tens make {}, the ones make {}, together {}.".format(a, b, *steps)


def _told_difference(lang, a, b):
    """A difference worked out aloud: first the tens are taken away, then the ones."""
    x, ones = _steps(a, b, -1)[1]
    if not _trainable(a, b - ones, -1):
        return ""
    steps = f"{a} - {b - ones} = {x}", f"{x} - {ones} = {a - b}", f"{a} - {b} = {a - b}"
    if lang == "zh":
        return "{} - {} 怎么算？先算 {}，再算 {}，所以 {}。".format(a, b, *steps)
    return "How to work out {} - {}: first {}, then {}, so {}.".format(a, b, *steps)


def _family(a, b, sign):
    """The four sums that three numbers make; empty if one of them is reserved or leaves 0-99."""
    whole, part, rest = (a + b, a, b) if sign > 0 else (a, b, a - b)
    family = [(part, rest, 1), (rest, part, 1), (whole, part, -1), (whole, rest, -1)]
    if whole > 99 or not all(_trainable(*t) for t in family):
        return []
    return family


def _write_comparison(rng, lang, pool, skill):
    a, b = next(pool)
    low, high = min(a, b), max(a, b)
    kind = rng.random()
    if kind < 0.25:
        pairs = [sorted((a, b))] + [sorted(next(pool)) for _ in range(rng.randint(3, 6))]
        if lang == "zh":
            shown = [rng.choice([f"{y} 比 {x} 大", f"{x} 比 {y} 小", f"{x} < {y}", f"{y} > {x}"]) for x, y in pairs]
            return "，".join(shown) + "。"
        return (
            ", ".join(
                rng.choice([f"{y} is larger than {x}", f"{x} is smaller than {y}", f"{x} < {y}"]) for x, y in pairs
            )
            + "."
        )
    if kind < 0.4:
        others = rng.sample([n for n in range(100) if n != a and not reserved_pair(a, n)], 6)
        above, below = [str(n) for n in others if n > a], [str(n) for n in others if n < a]
        if lang == "zh":
            parts = [f"比 {a} 大的数有 {'、'.join(above)}"] * bool(above) + [
                f"比 {a} 小的数有 {'、'.join(below)}"
            ] * bool(below)
            return "，".join(parts) + "。"
        parts = [f"numbers larger than {a}: {', '.join(above)}"] * bool(above)
        parts += [f"numbers smaller than {a}: {', '.join(below)}"] * bool(below)
        return "; ".join(parts).capitalize() + "."
    if lang == "zh":
        says = [
            f"{a} 和 {b} 相比，{high} 更大。",
            f"{a} 和 {b} 相比，{low} 更小。",
            f"{a} 与 {b} 这两个数中，较大的那个是 {high}。",
            f"比一比 {a} 和 {b}：{high} 大，{low} 小。",
            f"{high} 比 {low} 大，也就是说，{low} 比 {high} 小。",
            f"在 {a} 和 {b} 里，大一些的数是 {high}，小一些的数是 {low}。",
        ]
    else:
        says = [
            f"Of {a} and {b}, {high} is larger.",
            f"Of {a} and {b}, {low} is smaller.",
            f"If you compare {a} with {b}, {high} is the larger number.",
            f"{high} is greater than {low}, and {low} is less than {high}.",
            f"Of the two numbers {a} and {b}, the smaller one is {low}.",
        ]
    gap = "" if lang == "zh" else " "
    return gap.join(rng.sample(says, rng.randint(1, 3)))


def _write_sorting(rng, lang, pool, skill):
    if rng.random() < 0.3:  # longer sorted lists
        numbers = []
        while len(numbers) < 5:
            n = rng.randrange(100)
            if n not in numbers and _clean([*numbers, n]):
                numbers.append(n)
    else:
        numbers = list(next(pool))
    rising, falling = sorted(numbers), sorted(numbers, reverse=True)
    joint = "、" if lang == "zh" else ", "
    given, up, down = (joint.join(map(str, ns)) for ns in (numbers, rising, falling))
    if lang == "zh":
        says = [
            f"把 {given} 从小到大排列，得到 {up}。",
            f"把 {given} 从大到小排列，得到 {down}。",
            f"{given} 按升序写是 {up}，按降序写是 {down}。",
            f"按照从小到大的顺序，{given} 排成 {up}。",
            f"{given} 从小到大：{up}。从大到小：{down}。",
            f"从小到大：{up}。",
            f"从大到小：{down}。",
            f"{given} 里最小的是 {rising[0]}，最大的是 {rising[-1]}，从小到大的顺序是 {up}。",
            f"{given} 这几个数由大到小依次是 {down}。",
        ]
        return "".join(rng.sample(says, rng.choice([1, 1, 2])))
    says = [
        f"Sorted from smallest to largest, {given} becomes {up}.",
        f"Sorted from largest to smallest, {given} becomes {down}.",
        f"From smallest to largest: {up}.",
        f"From largest to smallest: {down}.",
        f"The numbers {given} in ascending order: {up}. In descending order: {down}.",
        f"Put {given} in order: the smallest is {rising[0]}, the largest {rising[-1]}. From smallest to largest: {up}.",
    ]
    return " ".join(rng.sample(says, rng.choice([1, 1, 2])))


def _write_calendar(rng, lang, pool, skill):
    kind, start, n, after = next(pool)
    names = (WEEKDAYS if kind == "weekday" else MONTHS)[lang]
    size, chance = len(names), rng.random()
    if chance < 0.12:  # the names in order, from anywhere
        first = rng.randrange(size)
        run = [names[(first + i) % size] for i in range(rng.randint(4, size + 1))]
        joint = rng.choice(["、", "，", "，然后是"]) if lang == "zh" else rng.choice([", ", ", then "])
        return joint.join(run) + ("。" if lang == "zh" else ".")
    if chance < 0.2:
        general = {
            "zh": [
                "一个星期有七天：星期一、星期二、星期三、星期四、星期五、星期六、星期日。",
                "星期天就是星期日，星期一也叫周一。",
                "一年有十二个月，一月是第一个月，十二月是最后一个月。",
                "七天正好是一个星期，所以 7 天后还是同一个星期几。",
                "十二月过后，新的一年又从一月开始。",
                "数星期几的时候，过了星期日又是星期一。",
                "今天的后面是明天，今天的前面是昨天。",
            ],
            "en": [
                "A week has seven days: Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday.",
                "A year has twelve months, from January to December.",
                "After December the next year starts with January.",
                "Seven days make a week, so 7 days later it is the same day of the week.",
                "After Sunday comes Monday, and a new week begins.",
            ],
        }[lang]
        return rng.choice(general)
    if kind == "weekday":
        line, end = weekday_line(lang, start, n, after)
        if lang == "zh":
            way = "后" if after else "前"
            says = [
                line,
                f"今天是{names[start]}，{n} 天{way}是{names[end]}。",
                f"{_plain_day(lang, start, n, after)}{line}",
                f"{names[start]}{'之后' if after else '之前'}的第 {n} 天是{names[end]}。",
                f"假如今天是{names[start]}，{HAN[n]}天{'以后' if after else '以前'}会是{names[end]}。{line}",
            ]
            if n == 1:
                says.append(f"如果今天是{names[start]}，{'明天' if after else '昨天'}就是{names[end]}。")
        else:
            day = f"{n} day{'s' * (n > 1)}"
            says = [
                line,
                f"Today is {names[start]}. "
                + (f"In {day} it is {names[end]}." if after else f"{day} ago it was {names[end]}."),
                f"{_plain_day(lang, start, n, after)} {line}",
                f"{day} {'after' if after else 'before'} {names[start]} we have {names[end]}.",
            ]
            if n == 1:
                says.append(f"If today is {names[start]}, {'tomorrow is' if after else 'yesterday was'} {names[end]}.")
    else:
        line, end = month_line(lang, start, n)
        if lang == "zh":
            says = [
                line,
                f"现在是{names[start]}，再过 {n} 个月是{names[end]}。",
                f"{_plain_month(lang, start, n)}{line}",
                f"假如这个月是{names[start]}，{HAN[n]}个月以后会是{names[end]}。{line}",
                f"{start + 1} 月过 {n} 个月是 {end + 1} 月，也就是{names[end]}。",
            ]
        else:
            month = f"{n} month{'s' * (n > 1)}"
            says = [
                line,
                f"It is {names[start]} now. In {month} it is {names[end]}.",
                f"{_plain_month(lang, start, n)} {line}",
                f"{month} after {names[start]} we have {names[end]}.",
            ]
    return rng.choice(says)


def _write_parity(rng, lang, pool, skill):
    chance = rng.random()
    if chance < 0.3:
        wanted = rng.randrange(2)
        numbers = []
        while len(numbers) < 6:
            n = next(pool)
            if n % 2 == wanted and n not in numbers:
                numbers.append(n)
        if lang == "zh":
            name = "奇数" if wanted else "偶数"
            return rng.choice(["{l} 都是{k}。", "{k}有 {l}。", "{k}的例子：{l}。"]).format(
                l="、".join(map(str, numbers)), k=name
            )
        name = "odd" if wanted else "even"
        shown = ", ".join(map(str, numbers))
        return rng.choice([f"{shown} are all {name}.", f"{name.capitalize()} numbers: {shown}."])
    numbers = [next(pool) for _ in range(rng.randint(1, 4))]
    n = numbers[0]
    if chance < 0.5:
        if lang == "zh":
            return f"{n} 的最后一位是 {n % 10}，{n % 10} 是{'单' if n % 2 else '双'}数，所以 {parity_line(lang, n)}"
        return f"The last digit of {n} is {n % 10}, which is {'odd' if n % 2 else 'even'}, so {parity_line(lang, n)}"
    if chance < 0.58:
        general = {
            "zh": [
                "末位是 0、2、4、6、8 的数是偶数，末位是 1、3、5、7、9 的数是奇数。",
                "奇数也叫单数，偶数也叫双数。",
                "判断一个数字的奇偶，只看最后一位。",
                "一个数不是奇数，就是偶数。",
            ],
            "en": [
                "A number that ends in 0, 2, 4, 6 or 8 is even; one that ends in 1, 3, 5, 7 or 9 is odd.",
                "Only the last digit tells whether a number is odd or even.",
                "Every whole number is of one kind: odd or even.",
            ],
        }[lang]
        return rng.choice(general)
    return ("" if lang == "zh" else " ").join(parity_line(lang, n) for n in numbers)


def _run(rng, length):
    """A run of consecutive numbers that crosses no reserved one."""
    while True:
        start = rng.randrange(200) if rng.random() < 0.5 else rng.randrange(1000 - length)
        run = list(range(start, start + length))
        if not any(reserved_number(n) for n in run):
            return run


def _write_counting(rng, lang, pool, skill):
    chance = rng.random()
    joint, stop = ("、", "。") if lang == "zh" else (", ", ".")
    if chance < 0.4:
        run = _run(rng, rng.randint(5, 12))
        back = rng.random() < 0.35
        shown = joint.join(map(str, run[::-1] if back else run))
        if lang == "zh":
            heads = (
                ["倒着数：", f"从 {run[-1]} 倒着数到 {run[0]}：", ""]
                if back
                else ["数一数：", f"从 {run[0]} 数到 {run[-1]}：", "", "数数："]
            )
        else:
            heads = ["Counting back: ", ""] if back else ["Counting: ", f"From {run[0]} to {run[-1]}: ", ""]
        return rng.choice(heads) + shown + stop
    if chance < 0.48:
        step = rng.choice([2, 5, 10])
        first = rng.randrange(10)
        numbers = [first + step * i for i in range(8)]
        if lang == "zh":
            return f"每次加 {step}：{joint.join(map(str, numbers))}。"
        return f"Counting by {step}: {joint.join(map(str, numbers))}."
    (n, after), (m, other) = next(pool), next(pool)
    line = counting_line(lang, n, after)
    near = n + 1 if after else n - 1
    if lang == "zh":
        way, word = ("后", "大") if after else ("前", "小")
        says = [
            line,
            line + counting_line(lang, m, other),
            f"{n} {way}面的数是 {near}。",
            f"比 {n} {word} 1 的数是 {near}。",
            f"数数的时候，{n} 的{'下' if after else '上'}一个数是 {near}。",
            f"{n} {way}面{'紧跟着' if after else '紧挨着'}的数是 {near}。{line}",
        ]
    else:
        way = "after" if after else "before"
        says = [
            line,
            f"{line} {counting_line(lang, m, other)}",
            f"When counting, {near} comes right {way} {n}.",
            f"Counting up, you say {n} {way} {near}." if not after else f"Counting up, you say {near} after {n}.",
            f"{near} is one {'more' if after else 'less'} than {n}. {line}",
            f"{n} is followed by {near}." if after else f"{near} is followed by {n}.",
        ]
    return rng.choice(says)
