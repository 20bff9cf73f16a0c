"""The facts of `facts.py` in the words of `wording.py`: documents, conversations and held-out questions.

    pretrain_texts(rng)      documents of one to four sentences
    train_dialogues(rng)     conversations of one to four questions
    heldout_questions(rng)   questions in wordings that occur in no training conversation

A question is made of an opener, a core and a closer; most have no opener and no closer. Every fact is asked about in
many cores, and every answer has one form, which is also the commonest statement of that fact in the documents.
"""

import re
from itertools import combinations, permutations

import facts
import wording
from wording import WORDINGS, Side

STATED_PER_FACT = 20            # sentences per fact and language in the documents
MAIN_SHARE = 0.4                # of these, how many take the form of the reply
PAIR_SHARE = 0.25               # how many of the others state two facts at once
SENTENCES_PER_DOCUMENT = (1, 2, 2, 3, 3, 4)

ASKED_PER_FACT = 20             # questions per fact, language and direction
FRAMED_SHARE = 0.45             # of these, how many set a noun phrase in a shared frame
OPENER_SHARE = 0.25
CLOSER_SHARE = 0.12
CARELESS_SHARE = 0.10           # questions typed without their last punctuation mark (and first capital)
MULTI_TURN_SHARE = 0.30         # questions that stand in conversations of several unrelated questions
FOLLOW_UPS_PER_FACT = 2         # elliptical second questions per fact, language and direction
SYSTEM_SHARE = 0.06             # conversations that open with a system turn

HELD_OUT_PER_FACT = 1           # held-out questions per fact, language and direction
HELD_OUT_DECORATED = 0.25       # of these, how many have an opener or a closer
HELD_OUT_FOLLOW_UPS = {"zh": 40, "en": 20}
HELD_OUT_PAIRS = 5              # rows i and j of a table are held out as a follow-up if i + j is a multiple of this


# ---------------------------------------------------------------------------------------------------- the tables

def capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def rows(relation: str, lang: str) -> list[dict[str, str]]:
    """The facts of a relation in one language, as slots for its wordings (the same order in both languages)."""
    zh = lang == "zh"
    if relation == "capital":
        table = [{"s": row[0], "o": row[1]} if zh else {"s": row[2], "o": row[3]} for row in facts.COUNTRIES]
    elif relation == "continent":
        table = [{"s": row[0], "o": row[4]} if zh else {"s": row[2], "o": facts.CONTINENTS[row[4]]}
                 for row in facts.COUNTRIES]
    elif relation == "author":
        table = [{"s": row[0], "o": row[1]} if zh else {"s": row[2], "o": row[3]}
                 for row in facts.WORKS if zh or row[2]]
    elif relation == "element":
        table = [{"s": name_zh if zh else name_en, "o": symbol} for name_zh, name_en, symbol in facts.ELEMENTS]
    elif relation == "antonym":
        pairs = facts.ANTONYMS_ZH if zh else facts.ANTONYMS_EN
        table = [{"s": s, "o": o} for one, other in pairs for s, o in ((one, other), (other, one))]
    elif relation == "translation":
        table = [{"s": s, "o": o, "a": with_article(o)} for s, o in facts.WORDS]
    elif relation == "animal":
        table = [{"s": name_zh, "o": group} if zh else
                 {"s": name_en, "o": with_article(facts.CLASSES[group]), "c": facts.CLASSES[group]}
                 for name_zh, name_en, group in facts.ANIMALS]
    elif relation == "city":
        table = [{"s": row[0], "o": row[1]} if zh else {"s": row[2], "o": row[3]} for row in facts.CITIES]
    elif relation == "festival":
        table = [{"s": s, "o": o} for s, o in facts.FESTIVALS]
    elif relation == "discovery":
        table = [{"s": row[1], "o": row[2], "x": row[0]} if zh else
                 {"s": row[4], "o": row[5], "x": row[3], "b": row[3].split()[0], "d": row[3].split()[1]}
                 for row in facts.DISCOVERIES]
    elif relation == "workplace":
        table = [{"s": row[0], "o": row[1]} if zh else
                 {"s": row[2], "o": row[3], "p": row[3].split(" ", 1)[1], "c": row[3].split()[-1]}
                 for row in facts.WORKPLACES]
    else:
        table = [{"s": s, "o": o} for s, o in
                 {"measure": facts.MEASURE_WORDS, "poem": facts.POEMS, "dynasty": facts.DYNASTIES}[relation]]
    for slots in table:
        slots.setdefault("a", with_article(slots["s"]))
        slots.update(S=capitalized(slots["s"]), O=capitalized(slots["o"]), A=capitalized(slots["a"]))
    return table


def with_article(noun: str) -> str:
    return ("an " if noun[:1].lower() in "aeiou" else "a ") + noun


def sides():
    """Every (relation, language, number of the side, side)."""
    for relation, languages in WORDINGS.items():
        for lang, words in languages.items():
            for number, side in enumerate(words.sides):
                yield relation, lang, number, side


# ------------------------------------------------------------------------------------------------- the documents

def pair_slots(first: dict[str, str], second: dict[str, str]) -> dict[str, str]:
    slots = {f"{key}1": value for key, value in first.items()}
    slots.update({f"{key}2": value for key, value in second.items()})
    return slots | {"o": first["o"], "c": first.get("c", "")}


def statements(relation: str, lang: str, rng) -> list[tuple[str, str]]:
    """Sentences that state every fact of a relation STATED_PER_FACT times, each with its (first) subject."""
    words, table = WORDINGS[relation][lang], rows(relation, lang)
    sentences = []
    for number in range(STATED_PER_FACT):
        order, said = [], []
        for i in rng.sample(range(len(table)), len(table)):
            if (number + i) % STATED_PER_FACT < MAIN_SHARE * STATED_PER_FACT:
                side = words.sides[number % len(words.sides)]
                said.append((table[i]["s"], side.reply.format(**table[i])))
            else:
                order.append(table[i])
        while order:
            slots = order.pop()
            if order and rng.random() < PAIR_SHARE:
                like = [other for other in order if other["o"] == slots["o"]]
                other = rng.choice(like) if like and words.same and rng.random() < 0.6 else order[-1]
                order.remove(other)
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
    for lang, space in (("zh", ""), ("en", " ")):
        mixed, by_subject = [], {}
        for relation, languages in WORDINGS.items():
            if lang not in languages:
                continue
            together = []
            for subject, sentence in statements(relation, lang, rng):
                place = rng.randrange(3)
                if place == 0:
                    together.append(sentence)
                elif place == 1:
                    by_subject.setdefault(subject, []).append(sentence)
                else:
                    mixed.append(sentence)
            documents += in_documents(together, space, rng)
        for sentences in by_subject.values():
            rng.shuffle(sentences)
            documents += in_documents(sentences, space, rng)
        rng.shuffle(mixed)
        documents += in_documents(mixed, space, rng)
    return documents


def in_documents(sentences: list[str], space: str, rng) -> list[str]:
    documents, start = [], 0
    while start < len(sentences):
        length = rng.choice(SENTENCES_PER_DOCUMENT)
        chosen = list(dict.fromkeys(sentences[start:start + length]))
        documents.append(space.join(capitalized(sentence) if space else sentence for sentence in chosen))
        start += length
    return documents


# ------------------------------------------------------------------------------------------------- the questions

def decorate(question: str, lang: str, is_question: bool, rng, opener: float, closer: float) -> str:
    """Put an opener before a question, or a closer behind it, or (seldom) both."""
    openers, closers = wording.OPENERS[lang], wording.CLOSERS[lang]
    openers, closers = (openers[0] + openers[1], closers[0] + closers[1]) if is_question else (openers[0], closers[0])
    has_end = question[-1] in "。？.?"
    if rng.random() < closer and has_end:
        last = rng.choice(closers)
        if last.strip()[:3] not in question:
            question += last
    if rng.random() < opener:
        question = rng.choice(openers) + question
    return question


def train_questions(side: Side, lang: str, slots: dict[str, str], count: int, rng, seen: set[str]) -> list[str]:
    """`count` questions about one fact, none of them in `seen`, spread evenly over the cores."""
    cores = [(core, True) for core in side.ask] + [(core, False) for core in side.tell]
    frames = [(frame, True) for frame in wording.FRAMES_ASK[lang]]
    frames += [(frame, False) for frame in wording.FRAMES_TELL[lang]]
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
        if rng.random() < CARELESS_SHARE:
            question = core.rstrip("。？.?")
            if re.match("(What|Which|Who|Where|How|Can|Could|Do|Tell|Please|Name) ", question):
                question = question[0].lower() + question[1:]
        else:
            question = decorate(core, lang, is_question, rng, OPENER_SHARE, CLOSER_SHARE)
        if question not in seen:
            seen.add(question)
            questions.append(question)
    return questions


def turn(question: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


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
            if free and rng.random() < 0.3:
                chain.append(rng.choice(free))
            for k in chain[1:]:
                question = rng.choice(wording.FOLLOW_UPS[lang]).format(e=side.follow.format(**table[k]))
                dialogue += turn(capitalized(question), side.reply.format(**table[k]))
            dialogues.append(dialogue)
    return dialogues


def train_dialogues(rng) -> list[list[dict]]:
    dialogues, seen = [], set()
    single = {"zh": [], "en": []}                       # (relation, row, question, answer)
    for relation, lang, _, side in sides():
        table = rows(relation, lang)
        asked = {i: train_questions(side, lang, table[i], ASKED_PER_FACT, rng, seen) for i in range(len(table))}
        if side.follow:
            dialogues += follow_ups(side, lang, table, asked, rng)
        single[lang] += [(relation, i, question, side.reply.format(**table[i])) for i in asked for question in asked[i]]

    for questions in single.values():
        rng.shuffle(questions)
        several = int(len(questions) * MULTI_TURN_SHARE)
        dialogues += [turn(question, answer) for _, _, question, answer in questions[several:]]
        start = 0
        while start < several:
            turns = questions[start:min(start + rng.choice((2, 2, 3, 4)), several)]
            start += len(turns)
            together = [(a[1], b[1]) for a, b in combinations(turns, 2) if a[0] == b[0]]
            if any(held_out_pair(i, j) for i, j in together):
                dialogues += [turn(question, answer) for _, _, question, answer in turns]
            else:
                dialogues.append([message for _, _, question, answer in turns for message in turn(question, answer)])

    for number, dialogue in enumerate(dialogues):
        if rng.random() < SYSTEM_SHARE:
            lang = "zh" if re.search("[一-鿿]", dialogue[-1]["content"]) else "en"
            dialogues[number] = [{"role": "system", "content": rng.choice(wording.SYSTEMS[lang])}, *dialogue]
    return dialogues


# ---------------------------------------------------------------------------------------- the held-out questions

def accepted(side: Side, slots: dict[str, str]) -> list[str]:
    """The canonical reply, the bare answers, then the same with every other true spelling."""
    forms = [side.reply, *side.bare]
    answers = [form.format(**slots) for form in forms]
    for key in ("s", "o"):
        for other in facts.ALSO.get(slots[key], []):
            if any(f"{{{key}}}" in bare for bare in side.bare):
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
            named = [slots[key] for key in ("s", "o") if slots[key] != answer and slots[key] in question]
            if answer in replies and named:
                answers += replies
    if not answers:
        raise ValueError(f"no fact answers {question!r} with {answer!r}")
    return answers


def heldout_questions(rng) -> list[dict]:
    questions = []
    for relation, lang, number, side in sides():
        category = relation + ("_backward" if number else "")
        for i, slots in enumerate(rows(relation, lang)):
            for k in range(HELD_OUT_PER_FACT):
                question = capitalized(side.held[(i + k) % len(side.held)].format(**slots))
                if rng.random() < HELD_OUT_DECORATED:
                    opened = rng.random() < 0.6
                    is_question = question[-1] in "？?"
                    question = decorate(question, lang, is_question, rng, opener=float(opened), closer=1.0 - opened)
                questions.append({"category": category, "messages": [{"role": "user", "content": question}],
                                  "answers": accepted(side, slots)})
    for lang, count in HELD_OUT_FOLLOW_UPS.items():
        askable = [(relation, side) for relation, language, _, side in sides() if language == lang and side.follow]
        for number in range(count):
            relation, side = askable[number % len(askable)]
            table = rows(relation, lang)
            i, j = rng.choice([(i, j) for i, j in permutations(range(len(table)), 2) if held_out_pair(i, j)])
            first = train_questions(side, lang, table[i], 1, rng, set())[0]
            forms = wording.FOLLOW_UPS_HELD[lang]
            second = forms[number % len(forms)].format(e=side.follow.format(**table[j]))
            messages = [*turn(first, side.reply.format(**table[i])), {"role": "user", "content": second}]
            questions.append({"category": "follow_up", "messages": messages, "answers": accepted(side, table[j])})
    return questions


def heldout_cores() -> list[str]:
    """Regular expressions: each held-out core without its end mark and the entities at its ends."""
    cores = [core for _, _, _, side in sides() for core in side.held]
    cores += [core for forms in wording.FOLLOW_UPS_HELD.values() for core in forms]
    patterns = []
    for core in cores:
        pieces = re.split(r"\{\w+\}", core)
        pieces = [piece for piece in (*pieces[:-1], pieces[-1].rstrip("。？.?")) if piece]
        patterns.append(".{1,40}?".join(map(re.escape, pieces)))
    return patterns
