"""The facts of the miniature world, worded in many ways: documents, conversations and held-out questions.

    pretrain_texts(rng)      documents of one to four sentences
    train_dialogues(rng)     conversations of one to four questions
    heldout_questions(rng)   questions in wordings that occur in no training conversation

The table `facts` holds the facts and nothing else: every row has a single right answer that does not change from year
to year. `statements` and `questions` word them, with slots: {s} the subject, {o} the object, {S} {O} the same with a
capital, {a} {A} the subject with "a" or "an", and what else a fact's row names; forms that state two facts have {s1}
{o1} {s2} {o2}. `spellings` lists other spellings that are true as well; they are accepted and never taught.

A question is made of an opener, a core and a closer; most have no opener and no closer. A core stands by itself or is
a noun phrase set in one of the frames that all relations share. Every fact is asked about in many cores, and every
answer has one form, which is also the commonest statement of that fact in the documents.
"""

import re
from dataclasses import dataclass, field
from itertools import combinations, permutations

import tables
from turns import LANGUAGES, SPACE, capitalized, held_out, system, turn

STATED_PER_FACT = 20  # sentences per fact and language in the documents
MAIN_SHARE = 0.4  # of these, how many take the form of the reply
PAIR_SHARE = 0.25  # how many of the others state two facts at once
LIKE_SHARE = 0.6  # of these, how many look for a second fact with the same object
SENTENCES_PER_DOCUMENT = (1, 2, 2, 3, 3, 4)

ASKED_PER_FACT = 12  # questions per fact, language and direction
FRAMED_SHARE = 0.45  # of these, how many set a noun phrase in a shared frame
OPENER_SHARE = 0.25
CLOSER_SHARE = 0.12
CARELESS_SHARE = 0.15  # questions typed in haste
UNQUOTED, LOWERED = 0.4, 0.7  # of these: without quotation marks; of the English ones: without any capital
STORY_SHARE = 0.06  # questions that tell first how they came up
MULTI_TURN_SHARE = 0.30  # questions that stand in conversations of several unrelated questions
FOLLOW_UPS_PER_FACT = 2  # elliptical second questions per fact, language and direction
THIRD_SHARE = 0.3  # of the follow-ups, how many are followed up once more
SYSTEM_SHARE = 0.06  # conversations that open with a system turn

HELD_OUT_DECORATED = 0.25  # of the held-out questions (one per fact and direction), how many have an opener or a closer
HELD_OUT_FOLLOW_UPS = {"zh": 40, "en": 20}
HELD_OUT_PAIRS = 5  # rows i and j of a table are held out as a follow-up if i + j is a multiple of this


# ---------------------------------------------------------------------------------------------------- the tables


@dataclass
class Side:
    """One direction of a relation: the one reply, and the ways to ask for it."""

    reply: str  # the canonical reply; it opens with the subject and is also the main statement
    bare: list[str]  # short answers that are accepted too
    ask: list[str]  # questions
    tell: list[str]  # imperatives, blanks to fill, remarks
    held: list[str]  # cores that are never trained
    phrases: list[str] = field(default_factory=list)  # noun phrases that name what is asked for
    which: list[str] = field(default_factory=list)  # question words that go with the phrases
    follow: str = ""  # what a follow-up names ("那{...}呢？"); empty where none is asked


@dataclass
class Wording:
    """One relation in one language."""

    sides: list[Side]
    statements: list[str]
    pairs: list[str]  # two facts at once
    same: list[str] = field(default_factory=list)  # two subjects with one object: {s1} {s2} {o}


def load_wordings() -> dict[str, dict[str, Wording]]:
    """By relation and language."""
    wordings = {
        row["relation"]: {lang: Wording([], **row[lang]) for lang in LANGUAGES if lang in row}
        for row in tables.read("statements")
    }
    for row in tables.read("questions"):  # "forward" stands before "backward"
        relation, lang, _ = (row.pop(key) for key in ("relation", "lang", "direction"))
        wordings[relation][lang].sides.append(Side(**row))
    return wordings


WORDINGS = load_wordings()
FACTS = tables.read("facts")
BOTH_WAYS = {row["relation"] for row in tables.read("statements") if row.get("both_ways")}
SPELLINGS = {row["name"]: row["also"] for row in tables.read("spellings")}
PHRASES = tables.phrases("relations")


def with_article(noun: str) -> str:
    return ("an " if noun[:1].lower() in "aeiou" else "a ") + noun


def rows(relation: str, lang: str) -> list[dict[str, str]]:
    """The facts of a relation in one language, as slots for its wordings (the same order in both languages)."""
    table = []
    for row in FACTS:
        if row["relation"] == relation and lang in row:
            table.append(dict(row[lang]))
            if relation in BOTH_WAYS:
                table.append({"s": row[lang]["o"], "o": row[lang]["s"]})
    for slots in table:
        slots.setdefault("a", with_article(slots["s"]))
        slots.update({key.upper(): capitalized(slots[key]) for key in "soa"})
    return table


def sides():
    """Every (relation, language, number of the side, side)."""
    for relation, languages in WORDINGS.items():
        for lang, words in languages.items():
            for number, side in enumerate(words.sides):
                yield relation, lang, number, side


# ------------------------------------------------------------------------------------------------- the documents


def pair_slots(first: dict[str, str], second: dict[str, str]) -> dict[str, str]:
    slots = {f"{key}{number}": fact[key] for number, fact in ((1, first), (2, second)) for key in fact}
    return slots | {"o": first["o"], "c": first.get("c", "")}


def statements(relation: str, lang: str, rng) -> list[tuple[str, str]]:
    """Sentences that state every fact of a relation STATED_PER_FACT times, each with its (first) subject."""
    words, table = WORDINGS[relation][lang], rows(relation, lang)
    sentences = []
    for number in range(STATED_PER_FACT):
        others, said = [], []
        for i in rng.sample(range(len(table)), len(table)):
            if (number + i) % STATED_PER_FACT < MAIN_SHARE * STATED_PER_FACT:
                side = words.sides[number % len(words.sides)]
                said.append((table[i]["s"], side.reply.format(**table[i])))
            else:
                others.append(table[i])
        while others:
            slots = others.pop()
            if others and rng.random() < PAIR_SHARE:
                like = [other for other in others if other["o"] == slots["o"]]
                other = rng.choice(like) if like and words.same and rng.random() < LIKE_SHARE else others[-1]
                others.remove(other)
                forms = words.same if words.same and other["o"] == slots["o"] else words.pairs
                sentence = rng.choice(forms).format(**pair_slots(slots, other))
            else:
                sentence = rng.choice(words.statements).format(**slots)
            said.append((slots["s"], sentence))
        rng.shuffle(said)
        sentences += said
    return sentences


def pretrain_texts(rng) -> list[str]:
    """A third of the sentences stay with their relation, a third with their subject, a third with anything."""
    documents = []
    for lang in LANGUAGES:
        mixed, by_subject = [], {}
        for relation in WORDINGS:
            if lang not in WORDINGS[relation]:
                continue
            together = []
            for subject, sentence in statements(relation, lang, rng):
                place = rng.randrange(3)
                if place == 1:
                    by_subject.setdefault(subject, []).append(sentence)
                else:
                    (mixed if place else together).append(sentence)
            documents += in_documents(together, lang, rng)
        for sentences in by_subject.values():
            rng.shuffle(sentences)
            documents += in_documents(sentences, lang, rng)
        rng.shuffle(mixed)
        documents += in_documents(mixed, lang, rng)
    return documents


def in_documents(sentences: list[str], lang: str, rng) -> list[str]:
    documents, start = [], 0
    while start < len(sentences):
        end = start + rng.choice(SENTENCES_PER_DOCUMENT)
        chosen = dict.fromkeys(sentences[start:end])
        documents.append(SPACE[lang].join(map(capitalized, chosen) if lang == "en" else chosen))
        start = end
    return documents


# ------------------------------------------------------------------------------------------------- the questions


def decorate(question: str, lang: str, is_question: bool, rng, opener: float, closer: float) -> str:
    """Put an opener before a question, or a closer behind it, or (seldom) both."""
    openers, closers = (
        PHRASES[kind][lang] + (PHRASES[f"{kind}_question"][lang] if is_question else [])
        for kind in ("openers", "closers")
    )
    has_end = question[-1] in "。？.?"
    if rng.random() < closer and has_end:
        last = rng.choice(closers)
        if last.strip()[:3] not in question:
            question += last
    if rng.random() < opener:
        question = rng.choice(openers) + question
    return question


def hasty(question: str, symbol: str, rng) -> str:
    """The question without its last mark, perhaps without quotes, capitals and "the"; a symbol stays as it is."""
    question = question.rstrip("。？.?")
    if rng.random() < UNQUOTED:
        question = re.sub("[“”\"]", "", question)
    if re.match("(What|Which|Who|Where|How|Can|Could|Do|Tell|Please|Name|The) ", question):
        question = (question[0].lower() + question[1:]).removeprefix("the ")
    if question.isascii() and rng.random() < LOWERED and (len(symbol) > 2 or symbol not in question):
        question = question.lower()
    return question


def train_questions(side: Side, lang: str, slots: dict[str, str], count: int, rng, seen: set[str]) -> list[str]:
    """`count` questions about one fact, none of them in `seen`, spread evenly over the cores."""
    cores = [(core, True) for core in side.ask] + [(core, False) for core in side.tell]
    frames = [(frame, True) for frame in PHRASES["frames_ask"][lang]]
    frames += [(frame, False) for frame in PHRASES["frames_tell"][lang]]
    own, framed, questions = [], [], []
    while len(questions) < count:
        if side.phrases and rng.random() < FRAMED_SHARE:
            framed = framed or rng.sample(frames, len(frames))
            frame, is_question = framed.pop()
            phrase, which = rng.choice(side.phrases).format(**slots), rng.choice(side.which)
            core = frame.format(np=phrase, Np=capitalized(phrase), w=which, W=capitalized(which))
        else:
            own = own or rng.sample(cores, len(cores))
            core, is_question = own.pop()
            core = core.format(**slots)
        chance = rng.random()
        if chance < CARELESS_SHARE:
            question = hasty(core, slots["o"], rng)
        elif chance < CARELESS_SHARE + STORY_SHARE:
            question = rng.choice(PHRASES["stories"][lang]) + core
        else:
            question = decorate(core, lang, is_question, rng, OPENER_SHARE, CLOSER_SHARE)
        if question not in seen:
            seen.add(question)
            questions.append(question)
    return questions


def held_out_pair(i: int, j: int) -> bool:
    """Whether rows i and j never meet in training, so that following one up with the other is a new combination."""
    return (i + j) % HELD_OUT_PAIRS == 0


def follow_ups(side: Side, lang: str, table: list[dict], asked: dict[int, list[str]], rng) -> list[list[dict]]:
    """Conversations in which the second question (and perhaps a third) names only the new entity."""
    dialogues = []
    for j in range(len(table)):
        for _ in range(FOLLOW_UPS_PER_FACT):
            first = rng.choice([i for i in asked if i != j and asked[i] and not held_out_pair(i, j)])
            chain, dialogue = [first, j], turn(asked[first].pop(), side.reply.format(**table[first]))
            free = [k for k in range(len(table)) if k not in chain and not any(held_out_pair(k, i) for i in chain)]
            if free and rng.random() < THIRD_SHARE:
                chain.append(rng.choice(free))
            for k in chain[1:]:
                question = rng.choice(PHRASES["follow_ups"][lang]).format(e=side.follow.format(**table[k]))
                dialogue += turn(capitalized(question), side.reply.format(**table[k]))
            dialogues.append(dialogue)
    return dialogues


def train_dialogues(rng) -> list[list[dict]]:
    dialogues, seen = [], set()
    single = {lang: [] for lang in LANGUAGES}  # ((relation, row), turn)
    for relation, lang, _, side in sides():
        table = rows(relation, lang)
        asked = {i: train_questions(side, lang, table[i], ASKED_PER_FACT, rng, seen) for i in range(len(table))}
        if side.follow:
            dialogues += follow_ups(side, lang, table, asked, rng)
        replies = [side.reply.format(**slots) for slots in table]
        single[lang] += [((relation, i), turn(question, replies[i])) for i in asked for question in asked[i]]

    for turns in single.values():
        rng.shuffle(turns)
        several = int(len(turns) * MULTI_TURN_SHARE)
        dialogues += [one for _, one in turns[several:]]
        start = 0
        while start < several:
            chosen = turns[start : min(start + rng.choice((2, 2, 3, 4)), several)]
            start += len(chosen)
            pairs = combinations([fact for fact, _ in chosen], 2)
            apart = any(a == b and held_out_pair(i, j) for (a, i), (b, j) in pairs)
            dialogues += [one for _, one in chosen] if apart else [sum((one for _, one in chosen), [])]

    for number, dialogue in enumerate(dialogues):
        lang = "zh" if re.search("[一-鿿]", dialogue[-1]["content"]) else "en"
        dialogues[number] = system(rng, SYSTEM_SHARE, PHRASES["system"][lang]) + dialogue
    return dialogues


# ---------------------------------------------------------------------------------------- the held-out questions


def accepted(side: Side, slots: dict[str, str]) -> list[str]:
    """The canonical reply, the bare answers, then the same with every other true spelling."""
    forms = [side.reply, *side.bare]
    answers = [form.format(**slots) for form in forms]
    for key in ("s", "o"):
        if any(f"{{{key}}}" in bare for bare in side.bare):
            for other in SPELLINGS.get(slots[key], []):
                answers += [form.format(**slots | {key: other, key.upper(): capitalized(other)}) for form in forms]
    return list(dict.fromkeys(answers))


def free_answers(question: str, answer: str) -> list[str]:
    """Every accepted reply to a freely worded question whose bare answer is `answer`.

    Raises ValueError unless the question names the subject of a fact of which `answer` is the other half.
    """
    answers = []
    for relation, lang, _, side in sides():
        for slots in rows(relation, lang):
            replies = accepted(side, slots)
            if answer in replies and any(slots[key] != answer and slots[key] in question for key in "so"):
                answers += replies
    if not answers:
        raise ValueError(f"no fact answers {question!r} with {answer!r}")
    return answers


def heldout_questions(rng) -> list[dict]:
    questions = []
    for relation, lang, number, side in sides():
        category = relation + ("_backward" if number else "")
        for i, slots in enumerate(rows(relation, lang)):
            question = capitalized(side.held[i % len(side.held)].format(**slots))
            if rng.random() < HELD_OUT_DECORATED:
                opened = rng.random() < 0.6
                question = decorate(question, lang, question[-1] in "？?", rng, float(opened), 1.0 - opened)
            questions.append(held_out(category, question, accepted(side, slots)))
    for lang, count in HELD_OUT_FOLLOW_UPS.items():
        askable = [(relation, side) for relation, language, _, side in sides() if language == lang and side.follow]
        forms = PHRASES["follow_ups_held"][lang]
        for number in range(count):
            relation, side = askable[number % len(askable)]
            table = rows(relation, lang)
            i, j = rng.choice([pair for pair in permutations(range(len(table)), 2) if held_out_pair(*pair)])
            first = train_questions(side, lang, table[i], 1, rng, set())[0]
            second = forms[number % len(forms)].format(e=side.follow.format(**table[j]))
            question = held_out("follow_up", second, accepted(side, table[j]))
            question["messages"] = turn(first, side.reply.format(**table[i])) + question["messages"]
            questions.append(question)
    return questions


def heldout_cores() -> list[str]:
    """Regular expressions: each held-out core without its end mark and the entities at its ends."""
    cores = [core for _, _, _, side in sides() for core in side.held]
    cores += [core for lang in LANGUAGES for core in PHRASES["follow_ups_held"][lang]]
    patterns = []
    for core in cores:
        *pieces, last = re.split(r"\{\w+\}", core)
        patterns.append(".{1,40}?".join(re.escape(piece) for piece in (*pieces, last.rstrip("。？.?")) if piece))
    return patterns
