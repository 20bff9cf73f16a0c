"""Chats of 2 to 12 turns: conversations are joined, and follow-ups lean on what was said before.

    pretrain_texts(rng)            facts in both languages, one beside the other
    regroup(rng, dialogues)        the conversations of training, a share of them joined into chats
    heldout_chats(rng, questions)  chats of 12 turns, in wordings that occur in no training conversation

What a reply is about is read from the reply itself: a fact of `relations` or a line of `skills`. The table
`chats_follow_ups` says what may come after which topic, with weights, and how it is worded; the answer is computed. Its
slots: {e} another subject, {x} a wrong answer, {a} {b} {n} {list} numbers; "|" separates forwards from backwards.
`distant` is how many of a kind stand behind small talk, which leaves their meaning clear.
"""

import re
from collections import Counter
from functools import cache
from itertools import islice, product
from typing import NamedTuple

import relations
import skills
import tables
import talk

JOINED_SHARE = 0.4  # of the conversations: they become parts of chats
LENGTHS = {2: 30, 3: 26, 4: 16, 5: 10, 6: 7, 7: 5, 8: 4, 9: 3, 10: 3, 11: 3, 12: 5}  # turns of a chat, with weights
LARGEST = 440  # tokens of a chat as `size` estimates them, at most 9 % too few: none has more than 480
SEARCHED = 50  # parts that are looked at to find one that fits into a chat
GREETED, PARTED = 0.1, 0.1  # of the chats: they begin with a greeting, end with a farewell
THANKED, AGAIN, SWITCHED = 0.04, 0.06, 0.02  # of the parts: thanks, "say that again", the other language come next
INTERRUPTED = 0.15  # of the parts of several turns: small talk stands before their last
FOLLOWED = 0.7  # of the replies with a topic: a follow-up comes next
OPENED, CARELESS, COMPACT = 0.12, 0.1, 0.5  # of the follow-ups: an opener, no last mark, no spaces around numbers

N_HELDOUT, HELDOUT_TURNS, ZH_SHARE = 160, 12, 0.65
HELDOUT_GREETED, HELDOUT_THANKED, HELDOUT_FOLLOWED = 0.5, 0.06, 0.6

GREETINGS, FAREWELLS = ("hello", "morning", "how_are_you"), ("bye", "night")
ASIDES = ("thanks", "praise", "happy", "tired", "like")  # small talk that asks for nothing
BILINGUAL = ("capital", "continent", "element", "animal", "city", "discovery", "workplace")  # with the same rows
OTHER = {"zh": "en", "en": "zh"}


class Topic(NamedTuple):
    name: str  # "fact" or a skill
    lang: str
    item: tuple | int = 0  # (relation, row, number of the side), or what the skill works on
    rising: bool = False  # the larger of two numbers, the order from the smallest, the number after


class Turn(NamedTuple):
    question: str
    reply: str
    answers: list[str] = ()
    category: str = ""
    topic: Topic | None = None

    @property
    def fact(self) -> tuple[str, int] | None:
        return self.topic.item[:2] if self.topic and self.topic.name == "fact" else None


def numbers_in(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


@cache
def size(turn_text: str) -> float:
    """About how many tokens a turn has, fitted to the tokenizer."""
    wide, digits, letters = (len(re.findall(kind, turn_text)) for kind in (r"[^\x00-\x7f]", r"[0-9]", r"[A-Za-z]"))
    return 8.4 + 0.84 * wide + digits + 0.25 * letters + 0.75 * (len(turn_text) - wide - digits - letters)


def fits(chat: list[Turn]) -> bool:
    return sum(size(turn.question + turn.reply) for turn in chat) <= LARGEST


def clashes(chat: list[Turn], fact: tuple[str, int] | None) -> bool:
    """Whether the chat has a fact whose row never meets this one's in training."""
    rows = [turn.fact[1] for turn in chat if turn.fact and fact and turn.fact[0] == fact[0]]
    return any(row != fact[1] and relations.held_out_pair(row, fact[1]) for row in rows)


class FollowUps:
    """Reads what a turn is about and makes the next one, in wordings and numbers of training or in held-out ones."""

    def __init__(self, rng, held: bool):
        self.rng, self.held, split = rng, held, "held" if held else "train"
        self.words = {row["kind"]: row for row in tables.read("chats_follow_ups")}
        self.forms = {(kind, lang): talk.in_turn(rng, self.words[kind][lang][split])
                      for kind, lang in product(self.words, OTHER)}
        self.pools = {skill: skills._pool(rng, skill, held) for skill in skills.AMOUNTS}
        self.sides = {(relation, lang, number): side for relation, lang, number, side in relations.sides()}
        self.rows = {(relation, lang): relations.rows(relation, lang) for relation, lang, _ in self.sides}
        self.topics = {}  # by reply; those of skills by their reply with 0 for every number
        for (relation, lang, number), side in self.sides.items():
            for row, slots in enumerate(self.rows[relation, lang]):
                self.topics[side.reply.format(**slots)] = Topic("fact", lang, (relation, row, number))
        for skill, lang in product([skill for skill in skills.AMOUNTS if skill != "calendar"], OTHER):
            for item in islice(skills._pool(rng, skill, False), 50):  # of each shape there are several
                reply = skills.make(rng, skill, lang, item, "")[1]
                self.topics[re.sub(r"\d+", "0", reply)] = Topic(skill, lang)

    def read(self, question: str, reply: str, answers: list[str] = (), category: str = "") -> Turn:
        topic = self.topics.get(reply) or self.topics.get(re.sub(r"\d+", "0", reply))
        if topic and topic.name in skills.AMOUNTS:
            name, numbers = topic.name, numbers_in(reply)
            rising = name in ("comparison", "sorting", "counting") and numbers[-1] == max(numbers)
            items = {"parity": numbers[0], "counting": (numbers[0], rising), "sorting": tuple(numbers)}
            lang = talk.language(question, reply) if name in skills.SIGNS else topic.lang
            topic = Topic(name, lang, items.get(name, tuple(numbers[:2])), rising)
        return Turn(question, reply, answers, category, topic)

    def kinds(self, turn: Turn) -> dict[str, float]:
        """Of follow-ups after a turn, with weights."""
        after = {kind: row.get("after", {}).get(turn.topic and turn.topic.name) for kind, row in self.words.items()}
        return {kind: weight for kind, weight in after.items() if weight}

    def follow(self, kind: str, last: Turn, chat: list[Turn] = ()) -> Turn | None:
        """A turn that leans on the last one; None where its topic has none of the kind."""
        lang = last.topic.lang if last.topic else talk.language(last.question, last.reply)
        question, reply, answers, topic = next(self.forms[kind, lang]), last.reply, last.answers, None
        if kind in ("sure", "claim"):
            question = question.format(x=self.wrong_answer(last)) if kind == "claim" else question
            reply = self.words["sure"][lang]["reply"].format(reply=last.reply)
            answers = [reply, *last.answers]
        elif kind not in ("again", "recall", "recall_number"):
            made = (self.next_fact if last.fact else self.next_skill)(kind, last, question, chat)
            if not made:
                return None
            question, reply, answers = made
            topic = self.read(question, reply).topic if kind != "translate" else None
        question = relations.capitalized(question)
        if lang == "zh" and re.search(r"\d", question) and self.rng.random() < COMPACT:
            question = skills._compact(question)
        if not self.held and self.rng.random() < CARELESS:
            question = question.rstrip("。？.?")
        if not self.held and self.rng.random() < OPENED:
            question = self.rng.choice(self.words["opener"][lang]["train"]) + question
        return Turn(question, reply, list(dict.fromkeys(answers)), kind, topic)

    def wrong_answer(self, last: Turn) -> str:
        if not last.fact:
            return str(abs(numbers_in(last.reply)[-1] + self.rng.choice((-10, -2, -1, 1, 2, 10))))
        lang, (relation, row, number) = last.topic.lang, last.topic.item
        bare = [self.sides[relation, lang, number].bare[0].format(**slots) for slots in self.rows[relation, lang]]
        met = [answer for i, answer in enumerate(bare) if not relations.held_out_pair(i, row)]
        return self.rng.choice([answer for answer in met if answer != bare[row]])

    def next_fact(self, kind: str, last: Turn, form: str, chat: list[Turn]) -> tuple | None:
        """(question, reply, answers)"""
        lang, (relation, row, number) = last.topic.lang, last.topic.item
        asked, pairs = self.sides[relation, lang, number], [(r["s"], r["o"]) for r in self.rows[relation, lang]]
        answer_lang = OTHER[lang] if kind == "translate" and relation in BILINGUAL else lang
        if kind == "fact":
            rest = [i for i in range(len(pairs)) if i != row and relations.held_out_pair(i, row) == self.held]
            rest = [i for i in rest if self.held or not clashes(chat, (relation, i))]
            row = self.rng.choice(rest) if rest and asked.follow else None
        elif kind == "reverse":  # the opposite's opposite, or the other side
            turned = pairs[row][::-1]
            row, number = (pairs.index(turned), number) if turned in pairs else (row, 1 - number)
        side = self.sides.get((relation, answer_lang, number))
        if side is None or row is None or (kind == "translate" and answer_lang == lang):
            return None
        slots = self.rows[relation, answer_lang][row]
        answers = relations.accepted(side, slots)
        return form.format(e=asked.follow.format(**slots)), answers[0], answers

    def next_skill(self, kind: str, last: Turn, form: str, _) -> tuple | None:
        """(question, reply, answers)"""
        (name, lang, item, rising), result = last.topic, (numbers_in(last.reply) or [0])[-1]
        if kind in ("addition", "subtraction", "pair", "list", "number"):
            name = kind if name in skills.SIGNS else name
            item = next(new for new in self.pools[name] if name != "counting" or new[1] == item[1])
        elif kind in ("more", "less"):
            name, sign = ("addition", 1) if kind == "more" else ("subtraction", -1)
            rest = [b for b in range(2, 51) if 0 <= result + sign * b <= 100 and result < 100]
            rest = [b for b in rest if skills._trainable(result, b, sign) != self.held]
            item = (result, self.rng.choice(rest)) if rest else None
        elif kind == "next_number":
            item = (result, item[1]) if 0 < result < 998 and skills._countable(result, item[1]) else None
        rising = rising != (kind == "reverse")
        answer_lang, made = OTHER[lang] if kind == "translate" else lang, None
        while item is not None and (not made or self.read(*made[:2]).topic.rising != rising):
            made = skills.make(self.rng, name, answer_lang, item, form)
        return made


def small_talk(rng, turns: list[Turn]) -> dict:
    """By intent and language, turns without end."""
    names = {intent[lang]["reply"]: (name, lang) for name, intent in talk.INTENTS.items() for lang in OTHER}
    said = [turn for turn in turns if turn.reply in names]
    return {key: talk.in_turn(rng, [turn for turn in said if names[turn.reply] == key]) for key in names.values()}


def pretrain_texts(rng) -> list[str]:
    """Every fact that both languages have, in its replies: first in Chinese or first in English."""
    sides = {(relation, lang, number): side for relation, lang, number, side in relations.sides()}
    texts = []
    for relation, lang, number in (key for key in sides if key[0] in BILINGUAL):
        for one, other in zip(relations.rows(relation, lang), relations.rows(relation, OTHER[lang]), strict=True):
            first, second = sides[relation, lang, number], sides[relation, OTHER[lang], number]
            texts.append(first.reply.format(**one) + " " + second.reply.format(**other))
    return rng.sample(texts, len(texts))


def regroup(rng, dialogues: list[list[dict]]) -> list[list[dict]]:
    """The same conversations; JOINED_SHARE of them stand in chats, with small talk and follow-ups between them."""
    maker, parts, single, result = FollowUps(rng, held=False), {lang: [] for lang in OTHER}, [], []
    for dialogue in dialogues:
        system = dialogue[: dialogue[0]["role"] == "system"]
        texts = [message["content"] for message in dialogue[len(system) :]]
        turns = [maker.read(*two) for two in zip(texts[::2], texts[1::2], strict=True)]
        single += turns if len(turns) == 1 else []
        if rng.random() < JOINED_SHARE:
            parts[talk.language(*texts[-2:])].append((system, turns))
        else:
            result.append(dialogue)
    talked = small_talk(rng, single)
    while any(parts.values()):
        result.append(join(rng, maker, parts, talked))
    rng.shuffle(result)
    return result


def join(rng, maker: FollowUps, parts: dict[str, list], talked: dict) -> list[dict]:
    """One chat, made of conversations that are taken out of `parts`."""
    lang = rng.choices(list(parts), [len(each) for each in parts.values()])[0]
    length, chat, system = rng.choices(list(LENGTHS), list(LENGTHS.values()))[0], [], []

    def aside(*names: str) -> Turn:
        return next(talked[rng.choice(names), lang])

    def say(turns: list[Turn]) -> Turn | None:
        """The last of the turns, which are said if they fit."""
        if chat and (len(chat + turns) > length or not fits(chat + turns)):
            return None
        chat.extend(turns)
        return turns[-1]

    def say_part() -> Turn | None:
        """The last turn of a conversation that fits, or nothing."""
        for place in range(len(parts[lang]))[: -SEARCHED - 1 : -1]:
            head, turns = parts[lang][place]
            if len(turns) > 1 and turns[-1].topic and rng.random() < INTERRUPTED:
                turns = [*turns[:-1], aside(*ASIDES), turns[-1]]
            if not any(clashes(chat, turn.fact) for turn in turns) and say(turns):
                system.extend(head if len(chat) == len(turns) else [])
                del parts[lang][place]
                return turns[-1]
        return None

    if rng.random() < GREETED:
        say([aside(*GREETINGS)])
    while len(chat) < length and (last := say_part()):
        if rng.random() < AGAIN:
            say([maker.follow("again", last)])
        while last and (kinds := maker.kinds(last)) and rng.random() < FOLLOWED:
            drawn = sorted(kinds, key=lambda kind: rng.random() ** (1 / kinds[kind]), reverse=True)  # by weight
            if last := next(filter(None, (maker.follow(kind, last, chat) for kind in drawn)), None):
                asides = [aside(*ASIDES)] * (rng.random() < maker.words[last.category].get("distant", 0))
                last = say([*asides, last])
        if rng.random() < THANKED:
            say([aside("thanks")])
        if rng.random() < SWITCHED and parts[OTHER[lang]]:
            lang, system = OTHER[lang], []
    if rng.random() < PARTED:
        say([aside(*FAREWELLS)])
    return system + [message for turn in chat for message in relations.turn(turn.question, turn.reply)]


def heldout_chats(rng, questions: list[dict]) -> list[dict]:
    """{"chat": [{"content", "answers", "category"}, ...]}: held-out questions of all categories, with follow-ups."""
    maker, asked, chats, feeds, seconds = FollowUps(rng, held=True), Counter(), [], {lang: [] for lang in OTHER}, {}
    for question in questions:
        *before, content = (message["content"] for message in question["messages"])
        turn = maker.read(content, question["answers"][0], question["answers"], question["category"])
        if before:
            seconds[before[-1]] = turn  # by the reply that it leans on
        else:
            feeds[talk.language(content, turn.reply)].append(turn)
    talked = small_talk(rng, feeds["zh"] + feeds["en"])
    feeds = {lang: talk.in_turn(rng, turns) for lang, turns in feeds.items()}
    while len(chats) < N_HELDOUT:
        lang = "zh" if len(chats) < ZH_SHARE * N_HELDOUT else "en"
        chat = [next(talked["hello", lang])] * (rng.random() < HELDOUT_GREETED)
        while len(chat) < HELDOUT_TURNS:
            chat.append(last := next(feeds[lang]))
            if last.reply in seconds:
                chat.append(last := seconds.pop(last.reply))
            while last and last.topic and rng.random() < HELDOUT_FOLLOWED:
                said = [turn.category for turn in chat]
                kinds = [kind for kind in (*maker.kinds(last), "again") if kind not in said]
                kind = min(kinds, key=lambda kind: (asked[kind], rng.random()), default="again")
                asides = [next(talked[rng.choice(ASIDES), lang])] * (rng.random() < maker.words[kind].get("distant", 0))
                last = maker.follow(kind, last)
                chat += [*asides, last] if last else []
                asked[kind] += 1
            if rng.random() < HELDOUT_THANKED:
                chat.append(next(talked["thanks", lang]))
        turns = [{"content": turn.question, "answers": turn.answers, "category": turn.category} for turn in chat]
        if fits(chat[:HELDOUT_TURNS]) and len({turn["content"] for turn in turns}) == len(turns):
            chats.append({"chat": turns[:HELDOUT_TURNS]})
    return chats
