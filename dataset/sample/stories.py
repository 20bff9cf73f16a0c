"""Word problems of one to four steps: a scene, an opening, events that add or take away, a question.

    pretrain_texts(rng)      what each verb does to a number, told in sums and without
    train_dialogues(rng)     problems of one step, answered by the sum and a sentence
    heldout_questions(rng)   the same of combinations that training never shows: the category "story"

`tables/stories_scenes.jsonl` has a scene in each line. "|" separates wordings; [ ] marks the verb of an event, and an
event that is only a verb stands for the "form" of its scene. {n} is a number, {t} the things, {u} their measure word,
{who} and {two} are people. What is asked depends on the kind of scene: of a "place" or a "holder" how many there are,
of a "goal" what its own "ask" says; a "compare" or "total" passes on from person to person, a "differ" has one event.
`tables/stories_words.jsonl` has what all scenes share.

Every verb is taught. Held out are scenes as a whole, whose openings training never has; in the other scenes pairs of
neighbours, the opening and the verbs, that never follow each other in training (`reserved_pair`); and combinations of
numbers (`reserved_numbers`). A held-out problem has new numbers and either a new scene or at least one such pair.
"""

import re
import zlib
from functools import cache
from itertools import combinations, pairwise

import skills
import tables
from turns import turn

N_TEXTS, N_TRAIN, N_HELDOUT = 2650, 3000, 100
ZH_SHARE = 0.65
COMPACT_SHARE = 0.3  # of the Chinese problems: no space between digits and characters
MEANING_SHARE = 0.25  # of the documents: what two verbs do, without numbers
TWO_STEPS_SHARE = 0.15  # of the documents
RESERVED = 6  # one in so many pairs of neighbours is held out
FIRST, OTHERS, LARGEST = (3, 40), (2, 20), 60  # ranges of the first number and the others, largest result
MOST_STEPS = {"differ": 1, "compare": 3, "total": 3}  # of the other kinds four
WEIGHTS = {"holder": 2, "compare": 4, "total": 4, "differ": 8}  # how often an event is told; of the other kinds once
HELD_WEIGHT = 4  # the same of the scenes that are held out


def split(text: str) -> list[str]:
    return [part.strip() for part in text.split("|") if part.strip()]


@cache
def words(lang: str) -> dict[str, list[str]]:
    return {row["name"]: row[lang] for row in tables.read("stories_words")}


@cache
def scenes(lang: str) -> list[dict]:
    """The scenes of a language; `events` are (sign, wording, verb with its sign)."""
    made = []
    for row in tables.read("stories_scenes"):
        side = row[lang]
        usual = "[*] {n} {u}" if lang == "zh" else "{n} [*]"
        form = side.get("form", usual)
        events = []
        for sign, name in ((1, "gain"), (-1, "lose")):
            for event in split(side[name]):
                event = event if "[" in event else form.replace("*", event)
                events.append((sign, event, "+-"[sign < 0] + re.search(r"\[(.*?)\]", event)[1]))
        made.append({
            "scene": row["scene"], "kind": row["kind"], "held": row.get("held", False), "both": row.get("both", False),
            "most": min(MOST_STEPS.get(row["kind"], 4), len({verb for _, _, verb in events})),
            "largest": row.get("largest", LARGEST), "where": side.get("where", ""), "things": split(side["things"]),
            "openings": split(side["open"]), "events": events, "asks": split(side.get("ask", "")),
            "answer": side.get("answer"),
        })  # fmt: skip
    return made


def reserved_pair(scene: dict, before: str, after: str) -> bool:
    """Neighbours, an opening and a verb or two verbs, that never follow each other in this scene in training.

    A scene's first opening goes with every verb, so that each is taught.
    """
    return before != scene["openings"][0] and zlib.crc32(f"{scene['scene']} {before} {after}".encode()) % RESERVED == 0


def reserved_numbers(numbers) -> bool:
    """Combinations of numbers, in the order of the story, that no training problem uses."""
    return sum(weight * n for weight, n in zip((3, 5, 7, 11, 13), numbers, strict=False)) % 9 == 4


# ---------------------------------------------------------------------------------------------- one problem


def work_out(pairs: list[tuple[int, int]], first: int, both: bool, largest: int) -> list[str] | None:
    """The sums of the steps (sign, number); None if a result is out of range or a pair is met that skills hold out."""
    sums, results = [], [first]
    for sign, number in pairs + [(1, first)] * both:
        one, other = (first, results[-1]) if both and len(sums) == len(pairs) else (results[-1], number)
        results.append(one + sign * other)
        if not 2 <= results[-1] <= largest or not skills._trainable(one, other, sign):
            return None
        sums.append(skills._line(one, other, sign))
    numbers = results + [number for _, number in pairs]
    return None if any(skills.reserved_pair(*two) for two in combinations(numbers, 2)) else sums


def choose_numbers(rng, signs: list[int], both: bool, largest: int, held: bool) -> tuple[list[int], list[str]]:
    """The numbers of a story and its sums."""
    while True:
        numbers = [rng.randint(*FIRST)] + [rng.randint(*OTHERS) for _ in signs]
        if reserved_numbers(numbers) == held:
            sums = work_out(list(zip(signs, numbers[1:], strict=True)), numbers[0], both, largest)
            if sums:
                return numbers, sums


def choose_events(rng, scene: dict, event: tuple, count: int, held: bool) -> tuple[str, list] | None:
    """An opening and `count` events with `event` among them; None if none were found."""
    others = [other for other in scene["events"] if other[2] != event[2]]
    for _ in range(100):
        opening, events = rng.choice(scene["openings"]), rng.sample(others, min(count - 1, len(others)))
        events.insert(rng.randint(0, len(events)), event)
        if scene["kind"] == "total":  # what people have comes first, what they lose together then
            events.sort(key=lambda event: -event[0])
            if events[0][0] < 0:
                continue
        chain = [opening, *(verb for _, _, verb in events)]
        if (scene["held"] or any(reserved_pair(scene, *two) for two in pairwise(chain))) == held:
            return opening, events
    return None


def tell(rng, lang: str, scene: dict, begin: str, events: list, numbers: list[int], slots: dict) -> tuple[str, list]:
    """The story from its opening `begin` on, and the clause of each event by itself."""
    said, passes_on, listed = words(lang), scene["kind"] in ("compare", "total"), scene["kind"] in MOST_STEPS
    story, clauses, before = begin, [], "["
    named, alone = slots["who"] in begin, not any("{two}" in form for _, form, _ in events)
    for i, (sign, form, _) in enumerate(events):
        if lang == "zh":  # after another's deed it must be said whose this is
            forgotten = before[0] != "[" or rng.random() < 0.15
            before, form = form, "{who}" * (form[0] == "[" and forgotten and scene["kind"] == "holder") + form
        elif form.startswith("{who} ") and named and alone and rng.random() < 0.6:
            form = said["pronouns"][said["people"].index(slots["who"])] + form[5:]
        elif form.startswith("{n} [") and sign > 0 and rng.random() < 0.3:
            form = form.replace("{n}", "{n} more")
        named = named or "{who}" in form
        if passes_on:
            slots = slots | {"who": slots["people"][i], "two": slots["people"][i + 1]}
        joins = said["join list" if listed else "join" if i else "join first"]
        join = rng.choice([j for j in joins if j == "，" or j not in story] or joins)
        clauses.append(re.sub(r"[\[\]]", "", form).format(n=numbers[i + 1], **slots))
        story += ("，" if join == "，又" and (form[0] != "[" or i == 0 > sign) else join) + clauses[-1]
    return re.sub(r"(?<=\. )[a-z]", lambda m: m[0].upper(), story) + ("。" if lang == "zh" else "."), clauses


def ask(rng, lang: str, scene: dict, last: int, rising: bool, both: bool) -> tuple[str, str]:
    """A question and the form of its answer, after an event of the sign `last`; `rising`: nothing was lost."""
    said, kind = words(lang), scene["kind"]
    if scene["asks"] and not both:
        return rng.choice(scene["asks"]), scene["answer"]
    ending = "sum" if both or (kind == "total" and rising) else "left" if last < 0 and rng.random() < 0.6 else "now"
    return rng.choice(said["sum" if ending == "sum" else f"{ending} {kind}"]), said[f"answer {ending}"][0]


def problem(rng, lang: str, scene: dict, event: tuple, steps: int, held: bool) -> dict | None:
    """{"question", "clauses", "sums", "answer", "accepted", …}; None if the event suits no story of this kind."""
    said, both = words(lang), scene["both"] and steps == 2 and rng.random() < 0.5
    chosen = choose_events(rng, scene, event, steps - both, held)
    if not chosen:
        return None
    opening, events = chosen
    signs = [sign for sign, _, _ in events]
    numbers, sums = choose_numbers(rng, signs, both, scene["largest"], held)
    people, things = rng.sample(said["people"], 5), rng.choice(scene["things"])
    slots = {"people": people, "who": people[0], "two": people[1], "t": things, "u": things[0]}
    begin = opening.format(n=numbers[0], **slots)
    story, clauses = tell(rng, lang, scene, begin, events, numbers, slots)
    question, answer = ask(rng, lang, scene, signs[-1], min(signs) > 0, both)
    slots |= {"who": people[len(events)] if scene["kind"] == "compare" else people[0], "r": sums[-1].split()[-1]}
    question = story + " " * (lang == "en") + question.format(**slots | {"where": scene["where"]})
    accepted = said["accepted"] + said["accepted of who"] * (scene["kind"] in ("holder", "compare") and not both)
    if lang == "zh" and rng.random() < COMPACT_SHARE:
        question, *clauses = (re.sub(r"(?<=\d) | (?=\d)", "", text) for text in (question, *clauses))
    return {
        "scene": scene, "question": question, "opening": begin, "signs": signs,
        "numbers": numbers, "clauses": clauses + said["together"] * both, "sums": sums, "things": things,
        "answer": answer.format(**slots), "accepted": [form.format(**slots) for form in accepted],
    }  # fmt: skip


def problems(rng, held: bool):
    """A function of a number of steps and a language that makes problems, all scenes and events in turn."""
    suited, pools = {}, {}

    def make(steps: int, lang: str) -> dict:
        key, made = (steps, lang), None
        if key not in suited:
            suited[key] = [
                (scene, event)
                for scene in scenes(lang)
                for event in scene["events"] * (HELD_WEIGHT if scene["held"] else WEIGHTS.get(scene["kind"], 1))
                if (held or not scene["held"]) and steps <= scene["most"]
            ]
        while not made:
            pools[key] = pools.get(key) or rng.sample(suited[key], len(suited[key]))
            made = problem(rng, lang, *pools[key].pop(), steps, held)
        return made

    return make


def choose_language(rng) -> str:
    return "zh" if rng.random() < ZH_SHARE else "en"


# ---------------------------------------------------------------------------------------------- what the world has


def worked(rng, lang: str, made: dict) -> str:
    """A document: the opening, each event with its sum, the answer."""
    parts, told = [made["opening"] + ("。" if lang == "zh" else ".")], made["scene"]["kind"] in ("place", "holder")
    steps = zip(made["signs"], made["clauses"], made["sums"], made["numbers"][1:], strict=True)
    for sign, clause, done, number in steps:
        names = ("gain", "loss") if told and rng.random() < 0.5 else ("plus", "minus")
        form = rng.choice(words(lang)[names[sign < 0]])
        parts.append(form.format(clause=clause[0].upper() + clause[1:], sum=done, n=number, u=made["things"][0]))
    return ("" if lang == "zh" else " ").join([*parts, made["answer"]])


def meaning(rng, lang: str, scene: dict, gain: tuple, loss: tuple) -> str:
    """A document without numbers: what two events do."""
    said, things = words(lang), rng.choice(scene["things"])
    noun = things if lang == "en" else things[1:] or "数目"
    who, two = rng.sample(said["people"], 2)
    slots = {"n": said["some"][0], "who": who, "two": two, "t": things, "u": things[0]}
    gain, loss = (re.sub(r" ?几 ?", "几", re.sub(r"[\[\]]", "", form).format(**slots)) for _, form, _ in (gain, loss))
    return rng.choice(said["meaning"]).format(gain=gain, loss=loss, noun=noun)


def pretrain_texts(rng) -> list[str]:
    make, texts, pairs = problems(rng, held=False), [], {"zh": [], "en": []}
    while len(texts) < N_TEXTS:
        lang = choose_language(rng)
        if rng.random() < MEANING_SHARE:
            if not pairs[lang]:  # every event in turn, with one of the other sign
                told = [s for s in scenes(lang) if not s["held"] and s["kind"] in ("place", "holder")]
                pairs[lang] = [(scene, *two) for scene in told for two in opposites(rng, scene["events"])]
                rng.shuffle(pairs[lang])
            texts.append(meaning(rng, lang, *pairs[lang].pop()))
        else:
            made = make(1 + (rng.random() < TWO_STEPS_SHARE), lang)
            if len(made["sums"]) == len(made["signs"]):
                texts.append(worked(rng, lang, made))
    return texts


def opposites(rng, events: list) -> list[tuple]:
    """Pairs of a gain and a loss in which every event occurs."""
    gains, losses = ([event for event in rng.sample(events, len(events)) if event[0] == sign] for sign in (1, -1))
    return [(gains[i % len(gains)], losses[i % len(losses)]) for i in range(max(len(gains), len(losses)))]


def reply(lang: str, made: dict) -> str:
    """ "5 + 2 = 7，7 - 3 = 4，还剩 4 只鸭子。" """
    if lang == "zh":
        return "，".join([*made["sums"], made["answer"]])
    return ", ".join(made["sums"]) + ". " + made["answer"]


def train_dialogues(rng) -> list[list[dict]]:
    make, dialogues = problems(rng, held=False), []
    for _ in range(N_TRAIN):
        lang = choose_language(rng)
        made = make(1, lang)
        dialogues.append(turn(made["question"], reply(lang, made)))
    return dialogues


def heldout(rng, wanted: dict[int, int], category: str, worked_out: bool) -> list[dict]:
    """Questions of combinations that training never shows: `wanted` is how many of each number of steps.

    `worked_out`: the sums may stand before the answer, or the last of them for it.
    """
    make, questions = problems(rng, held=True), {}
    for steps, count in wanted.items():
        for number in range(count):
            lang, made = "zh" if number < count * ZH_SHARE else "en", None
            while made is None or made["question"] in questions:
                made = make(steps, lang)
            questions[made["question"]] = {
                "category": category.format(steps), "messages": [{"role": "user", "content": made["question"]}],
                "answers": [made["answer"], *(form for form in made["accepted"] if form != made["answer"][:-1])],
            }  # fmt: skip
            if worked_out:
                questions[made["question"]]["answers"] += [reply(lang, made), made["sums"][-1]]
    return list(questions.values())


def heldout_questions(rng) -> list[dict]:
    return heldout(rng, {1: N_HELDOUT}, "story", worked_out=True)
