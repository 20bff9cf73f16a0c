"""Skills of the miniature world: sums, comparison, sorting, the calendar, parity and counting, in Chinese and English.

Nothing here is looked up in a table of facts: every answer is computed. So two kinds of things are held out: question
forms (`held` in the table `skills`) and number combinations (`reserved_*`; the calendar has too few). No training file
has either.

The table `skills` holds per skill the forms of questions ("train", "held"), of answers (the first is the reply that is
taught, the others are accepted too) and of the documents. "|" parts the two directions of a form (larger|smaller,
rising|falling, after|before, odd|even). A question that begins with "!" is a request and takes its openers from
`openers_request`. Slots are what `solve` returns.
"""

import re
from itertools import combinations

import tables
from turns import COMMA, LIST_COMMA, SPACE, STOP, capitalized, draw_language, held_out, turn

# How much to make of each skill: texts, training dialogues, held-out questions.
AMOUNTS = {
    "addition": (1800, 3000, 48),
    "subtraction": (1800, 4600, 48),
    "comparison": (1200, 3000, 45),
    "sorting": (1200, 4800, 42),
    "calendar": (700, 2400, 48),
    "parity": (300, 900, 36),
    "counting": (900, 2000, 40),
}
ZH_SHARE = 0.65  # of the records of each skill
OPENER_SHARE, CLOSER_SHARE = 0.3, 0.12  # of the questions
CARELESS_SHARE = 0.1  # of the questions: typed without the last mark, or with a narrow one
SECOND_TURN_SHARE = 0.1  # of the dialogues: a second question of the same skill follows
COMPACT_SHARE = 0.5  # of the Chinese questions: no space between digits and characters
ONE_DIGIT_SHARE = 0.3  # of the triples to sort: one number is less than 10, which is rare among numbers up to 99
SPELT_SHARE = {"zh": 0.4, "en": 0.3}  # of the questions about the calendar: the number in words

FORMS = tables.named("skills", "skill")
PHRASES = tables.phrases("skills")
NAMES = {"weekday": PHRASES["weekdays"], "month": PHRASES["months"]}
PROPER = ("I ", "I'", *NAMES["weekday"]["en"], *NAMES["month"]["en"])
SIGNS = {"addition": 1, "subtraction": -1}

PAIRS = [(a, b) for a in range(100) for b in range(100)]
SUMS = [(a, b) for a, b in PAIRS if a + b <= 100]  # the sums of a primary school's first years
DIFFERENCES = [(a, b) for a, b in PAIRS if a >= b]


# ------------------------------------------------------------------------------ what is reserved for the held-out set


def reserved_pair(a: int, b: int) -> bool:
    """Unordered pairs that training never adds, subtracts or compares; sums of two single digits are always taught."""
    low, high = min(a, b), max(a, b)
    return 10 <= high <= 99 and (7 * low + 13 * high) % 29 == 4


def reserved_triple(a: int, b: int, c: int) -> bool:
    """Unordered triples that training never sorts."""
    low, middle, high = sorted((a, b, c))
    return (5 * low + 11 * middle + 3 * high) % 13 == 6


def reserved_number(n: int) -> bool:
    """Numbers whose parity and whose neighbours training never states."""
    return n >= 200 and n % 17 == 5


def _steps(a: int, b: int, sign: int) -> list[tuple[int, int]]:
    """The pairs that working out a ± b passes through, so that every step looks at single digits only.

    A sum adds tens and ones apart (27 + 45, then 60 + 12), a difference takes away the tens first (72 - 45, 32 - 5).
    """
    tens, ones = b - b % 10, b % 10
    if sign > 0:
        tens, ones = a - a % 10 + tens, a % 10 + ones
        return [(a, b), (tens, ones)] if tens and ones and (tens, ones) not in ((a, b), (b, a)) else [(a, b)]
    return [(a, b), (a - tens, ones)] if tens and ones else [(a, b)]


def _trainable(a: int, b: int, sign: int) -> bool:
    return not any(reserved_pair(x, y) for x, y in _steps(a, b, sign))


def _clean(numbers) -> bool:
    """No reserved pair or triple among the numbers."""
    pairs, triples = combinations(numbers, 2), combinations(numbers, 3)
    return not any(reserved_pair(*p) for p in pairs) and not any(reserved_triple(*t) for t in triples)


def _countable(n: int, after: bool) -> bool:
    """Training may state the neighbour of n: neither of the two is reserved."""
    return not reserved_number(n) and not reserved_number(n + 1 if after else n - 1)


def _items(rng, skill: str, held: bool) -> list:
    """Every item of a skill that this split may use; what is basic stands there several times for training."""
    if skill in SIGNS:
        pairs, sign = SUMS if skill == "addition" else DIFFERENCES, SIGNS[skill]
        if held:
            return [pair for pair in pairs if reserved_pair(*pair)]
        return [pair for pair in pairs if _trainable(*pair, sign)] + [pair for pair in pairs if max(pair) < 10] * 2
    if skill == "comparison":
        items = [(a, b) for a, b in PAIRS if a != b and reserved_pair(a, b) == held]
        return items + [pair for pair in items if min(pair) < 10 and not held]
    if skill == "sorting":
        triples = []
        while len(triples) < 3000:
            triple = tuple(rng.sample(range(100), 3))
            if not held and rng.random() < ONE_DIGIT_SHARE:
                triple = tuple(rng.sample([*triple[:2], rng.randrange(10)], 3))
            if len(set(triple)) == 3 and (reserved_triple(*triple) if held else _clean(triple)):
                triples.append(triple)
        return triples
    if skill == "calendar":  # too few to hold any out: the calendar is held out by wording alone
        items = [("weekday", day, n, after) for day in range(7) for n in range(1, 8) for after in (True, False)]
        return items + [("month", month, n, True) for month in range(12) for n in range(1, 7)]
    if skill == "parity":
        return [n for n in range(1000) if reserved_number(n) == held] + [n for n in range(100) if not held]
    items = [(n, after) for n in range(999) for after in (True, False) if n or after]
    if held:
        return [(n, after) for n, after in items if reserved_number(n)]
    items = [item for item in items if _countable(*item)]
    return items + [(n, after) for n, after in items if n < 110]


def _pool(rng, skill: str, held: bool):
    """The items of a skill in random order, without end."""
    items = _items(rng, skill, held)
    while True:
        rng.shuffle(items)
        yield from items


# ---------------------------------------------------------------------------------------------- working an item out


def _line(a: int, b: int, sign: int) -> str:
    """The canonical statement, which is also the reply: "27 + 45 = 60 + 12 = 72", "72 - 45 = 32 - 5 = 27"."""
    mark = "+-"[sign < 0]
    return " = ".join(f"{x} {mark} {y}" for x, y in _steps(a, b, sign)) + f" = {a + sign * b}"


def _listed(lang: str, numbers) -> str:
    return LIST_COMMA[lang].join(map(str, numbers))


def _kind(skill: str, item) -> str:
    """The row of the table: the calendar has two, "weekday" and "month"."""
    return item[0] if skill == "calendar" else skill


def solve(skill: str, lang: str, item) -> dict:
    """What the forms of a skill name, for one item. `skill` is "weekday" or "month" rather than "calendar"."""
    if skill in SIGNS:
        a, b = item
        return {"a": a, "b": b, "c": a + SIGNS[skill] * b, "line": _line(a, b, SIGNS[skill])}
    if skill == "comparison":
        return {"a": item[0], "b": item[1], "low": min(item), "high": max(item)}
    if skill == "sorting":
        slots = {"list": _listed(lang, item), "low": min(item), "high": max(item)}
        for way, sign in (("up", "<"), ("down", ">")):
            ranked = list(map(str, sorted(item, reverse=way == "down")))
            slots |= {way: _listed(lang, ranked), f"{way}_spaced": " ".join(ranked)}
            slots[f"{way}_signs"] = f" {sign} ".join(ranked)
        return slots
    if skill == "parity":
        return {"n": item, "last": item % 10}
    if skill == "counting":
        return {"n": item[0], "near": item[0] + (1 if item[1] else -1)}
    # Counted down, so that every step needs only the one before it and the last is always 1: "2 星期日，1 星期一".
    _, start, n, after = item
    names = NAMES[skill][lang]
    passed = [(start + (i if after else -i)) % len(names) for i in range(n + 1)]
    end = names[passed[-1]]
    return {
        "start": names[start],
        "start_number": start + 1,
        "n": n,
        "s": "s" if n > 1 else "",
        "spelt": PHRASES["numbers"][lang][n],
        "count": COMMA[lang].join(f"{n + 1 - i} {names[passed[i]]}" for i in range(1, n + 1)),
        "end": end,
        "end_number": passed[-1] + 1,
        "day": end[-1],
        "also": "星期天" if end == "星期日" else end,
    }


def _direction(skill: str, item) -> int:
    """Which half of a form an item takes; comparison and sorting leave it to the question."""
    if skill == "parity":
        return 1 - item % 2
    return int(not item[-1]) if skill in ("counting", "weekday", "month") else 0


def _half(form: str, direction: int) -> str:
    """ "larger" or "smaller" of "larger|smaller"; a form without "|" suits both directions."""
    halves = form.split("|")
    return halves[min(direction, len(halves) - 1)]


def _answers(skill: str, lang: str, direction: int, slots: dict) -> list[str]:
    answers = [_half(form, direction).format(**slots) for form in FORMS[skill][lang]["answers"]]
    return list(dict.fromkeys(answers))


def reply(skill: str, lang: str, item) -> str:
    """The reply to an item, which is also its main statement in the documents."""
    return _answers(skill, lang, _direction(skill, item), solve(skill, lang, item))[0]


# -------------------------------------------------------------------------------------------------- the questions


def make(rng, skill: str, lang: str, item, form: str) -> tuple[str, str, list[str]]:
    """(question, reply, accepted answers)."""
    skill = _kind(skill, item)
    slots, direction = solve(skill, lang, item), _direction(skill, item)
    if skill in ("comparison", "sorting"):
        direction = int(rng.random() >= 0.5)
    answers, form = _answers(skill, lang, direction, slots), _half(form, direction)
    if skill == "sorting":
        lists = FORMS["sorting"][lang]["lists"]
        given = rng.choice(lists) if lang == "zh" else lists[rng.random() >= 0.5]
        slots["list"] = given.format(*item)
    if skill in NAMES:
        return capitalized(_vary_date(rng, lang, skill, form, slots).format(**slots)), answers[0], answers
    return form.format(**slots), answers[0], answers


def _vary_date(rng, lang: str, skill: str, form: str, slots: dict) -> str:
    """Put other spellings of the number and of the name ({w} or {m}) into the slots; returns the form to fill."""
    slots["w"] = slots["m"] = slots["start"]
    if rng.random() < SPELT_SHARE[lang]:
        slots["n"] = slots["spelt"]
        if lang == "zh":  # words stand without spaces, and "two" is another one where it only numbers
            form = form.replace(" {n} ", "{n}").replace("{n} ", "{n}")
            slots["n"] = "二" if "第{n}天" in form and slots["n"] == "两" else slots["n"]
    if lang == "zh" and skill == "weekday":
        slots["w"] = slots["start"].replace("星期", rng.choice(["星期", "星期", "周"]))
        slots["w"] = "星期天" if slots["w"] == "星期日" and rng.random() < 0.4 else slots["w"]
    elif lang == "zh" and rng.random() < 0.3:
        slots["m"] = f"{slots['start_number']}月"
    return form


def _compact(text: str) -> str:
    """Chinese as it is often typed: no space between digits and characters, none around a sign."""
    return re.sub(r"(?<=[^\x00-\x7f]) | (?=[^\x00-\x7f])| ?([+=-]) ?", lambda m: m.group(1) or "", text)


def _dress(rng, lang: str, core: str) -> str:
    """A question with, sometimes, an opener and a closer, typed with small liberties."""
    kind = "openers_request" if core.startswith("!") else "openers"
    core = core.lstrip("!")
    opened = rng.random() < OPENER_SHARE
    closed = rng.random() < (CLOSER_SHARE / 3 if opened else CLOSER_SHARE)
    compact = lang == "zh" and rng.random() < COMPACT_SHARE
    if compact:
        core = _compact(core)
    if closed:
        core += "" if core[-1] in "。？?.！" else STOP[lang]
        core += rng.choice(PHRASES["closers"][lang])
    elif rng.random() < CARELESS_SHARE:
        core = core.rstrip("。？?.=")
    elif core[-1] == "？" and rng.random() < CARELESS_SHARE:
        core = core[:-1] + "?"
    if opened:
        opener = rng.choice(PHRASES[kind][lang])
        if lang == "zh" and not compact and opener[-1].isalpha() and core[0].isdigit():
            opener += " "
        if opener.endswith((", ", "lease ", "Now ")) and not core.startswith(PROPER):
            core = core[:1].lower() + core[1:]
        core = opener + core
    return core.strip()


def train_dialogues(rng) -> list[list[dict]]:
    def ask(lang: str) -> list[dict]:
        item = next(pool)
        question, answer, _ = make(rng, skill, lang, item, rng.choice(FORMS[_kind(skill, item)][lang]["train"]))
        return turn(_dress(rng, lang, question), answer)

    dialogues = []
    for skill, (_, amount, _) in AMOUNTS.items():
        pool = _pool(rng, skill, False)
        for _ in range(amount):
            lang = draw_language(rng, ZH_SHARE)
            dialogues.append(ask(lang))
            if rng.random() < SECOND_TURN_SHARE:
                dialogues[-1] += ask(lang)
    return dialogues


def heldout_questions(rng) -> list[dict]:
    questions = {}
    for skill, (_, _, amount) in AMOUNTS.items():
        pool, made, chinese = _pool(rng, skill, True), 0, round(amount * ZH_SHARE)
        while made < amount:
            lang, item = "zh" if made < chinese else "en", next(pool)
            forms = FORMS[_kind(skill, item)][lang]["held"]
            question, _, answers = make(rng, skill, lang, item, forms[made % len(forms)])
            question = question.lstrip("!")
            if lang == "zh" and rng.random() < COMPACT_SHARE:
                question = _compact(question)
            if question not in questions:
                made += 1
                questions[question] = held_out(skill, question, answers)
    return list(questions.values())


# -------------------------------------------------------------------------------------------------- the documents


def _write_sums(rng, lang: str, skill: str, pool) -> str:
    sign, forms = SIGNS[skill], FORMS[skill][lang]
    (a, b), kind = next(pool), rng.random()
    if kind < 0.5:  # a list, as in an exercise book
        items = [(a, b)] + [next(pool) for _ in range(rng.randint(4, 9))]
        return rng.choice(["\n", "\n", COMMA[lang]]).join(_line(x, y, sign) for x, y in items)
    if kind < 0.6:  # one number stays, the other counts up
        start = rng.randrange(10)
        items = [(a, y) for y in range(start, start + 8) if _trainable(a, y, sign) and 0 <= a + sign * y <= 100]
        return "\n".join(_line(x, y, sign) for x, y in items or [(a, b)])
    if kind < 0.7 and (aloud := _aloud(lang, skill, a, b)):
        return aloud
    if kind < 0.8 and (family := _family(a, b, sign)):
        return "\n".join(_line(*sums) for sums in family)
    said = rng.choice(forms["texts"]).format(**solve(skill, lang, (a, b)))
    more = next(pool)
    second = rng.choice(forms["texts"]).format(**solve(skill, lang, more))
    worked = _line(a, b, sign) + STOP[lang]
    shapes = ([said, second], [said, worked], [worked, said], [said, worked, second])
    return SPACE[lang].join(rng.choice(shapes))


def _aloud(lang: str, skill: str, a: int, b: int) -> str:
    """A sum worked out aloud, step by step; empty where there is one step only, or one states a reserved pair."""
    sign, (*_, (x, y)) = SIGNS[skill], _steps(a, b, SIGNS[skill])
    tens, ones = b - b % 10, b % 10
    parts = [(a - a % 10, tens), (a % 10, ones), (x, y)] if sign > 0 else [(a, tens), (x, ones), (a, b)]
    if (x, y) == (a, b) or 0 in parts[0] or not _trainable(*parts[0], sign):
        return ""
    steps = [f"{p} {'+-'[sign < 0]} {q} = {p + sign * q}" for p, q in parts]
    return FORMS[skill][lang]["aloud"].format(*steps, a=a, b=b)


def _family(a: int, b: int, sign: int) -> list[tuple[int, int, int]]:
    """The four sums that three numbers make; empty if one of them is reserved or leaves 0-99."""
    whole, part, rest = (a + b, a, b) if sign > 0 else (a, b, a - b)
    family = [(part, rest, 1), (rest, part, 1), (whole, part, -1), (whole, rest, -1)]
    return family if whole <= 99 and all(_trainable(*sums) for sums in family) else []


def _write_comparison(rng, lang: str, skill: str, pool) -> str:
    forms = FORMS[skill][lang]
    a, b = next(pool)
    kind = rng.random()
    if kind < 0.25:
        pairs = [(a, b)] + [next(pool) for _ in range(rng.randint(3, 6))]
        said = [rng.choice(forms["short"]).format(**solve(skill, lang, pair)) for pair in pairs]
        return COMMA[lang].join(said) + STOP[lang]
    if kind < 0.4:
        others = rng.sample([n for n in range(100) if n != a and not reserved_pair(a, n)], 6)
        above, below = [n for n in others if n > a], [n for n in others if n < a]
        sides = [(side, ns) for side, ns in enumerate((above, below)) if ns]
        said = [_half(forms["around"], side).format(a=a, list=_listed(lang, ns)) for side, ns in sides]
        return capitalized(forms["around_joint"].join(said)) + STOP[lang]
    said = rng.sample(forms["texts"], rng.randint(1, 3))
    return SPACE[lang].join(said).format(**solve(skill, lang, (a, b)))


def _write_sorting(rng, lang: str, skill: str, pool) -> str:
    forms = FORMS[skill][lang]
    numbers = []
    if rng.random() < 0.3:  # longer sorted lists
        while len(numbers) < 5:
            n = rng.randrange(100)
            if n not in numbers and _clean([*numbers, n]):
                numbers.append(n)
    slots = solve(skill, lang, numbers or next(pool))
    return SPACE[lang].join(rng.sample(forms["texts"], rng.choice([1, 1, 2]))).format(**slots)


def _write_calendar(rng, lang: str, skill: str, pool) -> str:
    forms = FORMS[skill][lang]
    item = next(pool)
    kind, chance = item[0], rng.random()
    if chance < 0.12:  # the names in order, from anywhere
        names = NAMES[kind][lang]
        first = rng.randrange(len(names))
        run = [names[(first + i) % len(names)] for i in range(rng.randint(4, len(names) + 1))]
        return rng.choice(forms["joints"]).join(run) + STOP[lang]
    if chance < 0.2:
        return rng.choice(forms["general"])
    direction, slots = _direction(kind, item), solve(kind, lang, item)
    answers = _answers(kind, lang, direction, slots)
    texts = FORMS[kind][lang]["texts"] + (FORMS[kind][lang].get("texts_of_one", []) if slots["n"] == 1 else [])
    return _half(rng.choice(texts), direction).format(**slots, line=answers[0], plain=answers[-1])


def _write_parity(rng, lang: str, skill: str, pool) -> str:
    forms = FORMS[skill][lang]
    chance = rng.random()
    if chance < 0.3:
        odd, numbers = rng.randrange(2), []
        while len(numbers) < 6:
            n = next(pool)
            if n % 2 == odd and n not in numbers:
                numbers.append(n)
        return _half(rng.choice(forms["lists"]), 1 - odd).format(list=_listed(lang, numbers))
    numbers = [next(pool) for _ in range(rng.randint(1, 4))]
    lines = [reply(skill, lang, n) for n in numbers]
    if chance < 0.5:
        form = _half(forms["last_digit"], _direction(skill, numbers[0]))
        return form.format(**solve(skill, lang, numbers[0]), line=lines[0])
    if chance < 0.58:
        return rng.choice(forms["general"])
    return SPACE[lang].join(lines)


def _run(rng, length: int) -> range:
    """A run of consecutive numbers that crosses no reserved one."""
    while True:
        start = rng.randrange(200) if rng.random() < 0.5 else rng.randrange(1000 - length)
        if not any(map(reserved_number, range(start, start + length))):
            return range(start, start + length)


def _write_counting(rng, lang: str, skill: str, pool) -> str:
    forms = FORMS[skill][lang]
    chance = rng.random()
    if chance < 0.4:
        run, kind = _run(rng, rng.randint(5, 12)), "runs"
        if rng.random() < 0.35:
            run, kind = run[::-1], "runs_back"
        return rng.choice(forms[kind]).format(first=run[0], last=run[-1], list=_listed(lang, run))
    if chance < 0.48:
        step = rng.choice([2, 5, 10])
        first = rng.randrange(10)
        return forms["by_steps"].format(step=step, list=_listed(lang, range(first, first + 8 * step, step)))
    item, other = next(pool), next(pool)
    line, more = reply(skill, lang, item), reply(skill, lang, other)
    form = _half(rng.choice(forms["texts"]), _direction(skill, item))
    return form.format(**solve(skill, lang, item), line=line, other=more)


WRITERS = {
    "addition": _write_sums,
    "subtraction": _write_sums,
    "comparison": _write_comparison,
    "sorting": _write_sorting,
    "calendar": _write_calendar,
    "parity": _write_parity,
    "counting": _write_counting,
}


def pretrain_texts(rng) -> list[str]:
    texts = []
    for skill, (amount, _, _) in AMOUNTS.items():
        pool, write = _pool(rng, skill, False), WRITERS[skill]
        texts += [write(rng, draw_language(rng, ZH_SHARE), skill, pool) for _ in range(amount)]
    return texts
