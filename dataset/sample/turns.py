"""What all modules make their conversations of: turns, system turns, held-out questions, and wordings in turn."""

LANGUAGES = ("zh", "en")
SPACE = {"zh": "", "en": " "}  # between two sentences
COMMA, STOP = {"zh": "，", "en": ", "}, {"zh": "。", "en": "."}
LIST_COMMA = {"zh": "、", "en": ", "}


def user(content: str) -> dict[str, str]:
    return {"role": "user", "content": content}


def turn(question: str, answer: str) -> list[dict[str, str]]:
    return [user(question), {"role": "assistant", "content": answer}]


def system(rng, share: float, texts: list[str]) -> list[dict[str, str]]:
    """A system turn in a share of the conversations, nothing in the others."""
    return [{"role": "system", "content": rng.choice(texts)}] if rng.random() < share else []


def held_out(category: str, question: str, answers: list[str]) -> dict:
    """A held-out question; the first answer is the reply that is taught, the others are accepted too."""
    return {"category": category, "messages": [user(question)], "answers": answers}


def draw_language(rng, zh_share: float) -> str:
    return "zh" if rng.random() < zh_share else "en"


def in_turn(rng, items: list):
    """All items in random order, again and again."""
    while True:
        yield from rng.sample(items, len(items))


def capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def opened(opener: str, wording: str, proper: tuple[str, ...] = ("I ",)) -> str:
    """A wording behind an opener; after a comma it goes on in lower case, unless it begins with a proper word."""
    lower = opener.endswith(", ") and not wording.startswith(proper)
    return opener + (wording[:1].lower() + wording[1:] if lower else wording)
