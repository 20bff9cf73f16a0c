"""Held-out questions and chats: reading them, scoring replies, and the tables.

They are in two halves. Anything may be tuned on the half "dev"; the half "test" is only reported.
"""

import hashlib
import math
import re
import unicodedata
from collections import Counter
from pathlib import Path

from dataset.chat import check_messages
from dataset.jsonl import DataError, bad_line, check_file, check_text, read_lines, read_records

HALVES = ("dev", "test", "all")


def read_heldout(path: str | Path, half: str = "all") -> list[dict]:
    """{"category", "messages", "answers"} lines of one of the `HALVES`; DataError for a line that is something else."""
    return in_half(path, list(read_records(path, check_question)), half)


def read_chats(path: str | Path, half: str = "all") -> list[list[dict]]:
    """{"chat": [{"content", "answers"}, …]} lines, what a user says one after the other and what answers it; as lists
    of questions whose "messages" is the one of the user. DataError as of `read_heldout`."""
    return in_half(path, list(read_records(path, check_chat)), half)


def in_half(path: str | Path, records: list, half: str) -> list:
    kept = [record for record in records if half in ("all", half_of(record))]
    if not kept:
        what = f"no question of it is in the half {half}" if records else "it has only blank lines"
        raise DataError(f"{path}: {what}: write one question per line")
    return kept


def half_of(record: dict | list[dict]) -> str:
    """A hash of what the user says, so that a question never changes sides, whatever stands beside it in the file."""
    questions = record if isinstance(record, list) else [record]
    said = "\n".join(m["content"] for question in questions for m in question["messages"] if m["role"] == "user")
    return HALVES[hashlib.sha256(said.encode()).digest()[0] % 2]


def check_chat(record: dict) -> list[dict]:
    turns = record.get("chat")
    if not isinstance(turns, list) or not turns or not all(isinstance(turn, dict) for turn in turns):
        raise ValueError('the key "chat" must be a list of {"content", "answers"}')
    asked = [{"messages": [{"role": "user", "content": turn.get("content", "")}]} for turn in turns]
    answers = [{"category": "chat", "answers": turn.get("answers")} for turn in turns]
    return [check_question(one | other) for one, other in zip(asked, answers, strict=True)]


def check_question(question: dict) -> dict:
    for key in ("category", "messages", "answers"):
        if not question.get(key):
            raise ValueError(f'the key "{key}" is missing or empty')
    check_text(question["category"], '"category"')
    check_messages(question["messages"])
    for message in question["messages"]:
        check_text(message["content"], "a message")
    if not isinstance(question["answers"], list):
        raise ValueError('"answers" must be a list of texts')
    for answer in question["answers"]:
        check_text(answer, 'one of the "answers"')
        if not normalise(answer):
            raise ValueError(f'{answer!r} among the "answers" has no letter or number to compare')
    return question


def check_lengths(path: str | Path, lengths: list[int], room: int) -> None:
    """DataError for the first question of a file whose prompt, of `lengths` tokens, is longer than `room`."""
    path = check_file(path)
    for (offset, _), length in zip(read_lines(path, 0, path.stat().st_size), lengths, strict=True):
        if length > room:
            what = f"the question is {length} tokens long, only {room} fit with the answer"
            raise bad_line(path, offset, what, "shorten it, or use a weight with more positions")


def normalise(text: str) -> str:
    """Without spaces and punctuation, so that only words and numbers are compared. The signs of a sum (+ - = < >) stay,
    and a separator between two numbers stays as a comma."""
    text = unicodedata.normalize("NFKC", text)
    text = re.sub(r"(?<=\d)[\s,、，;；]+(?=\d)", "\x00", text)
    kept = (c for c in text if c == "\x00" or c in "+-=<>" or unicodedata.category(c)[0] in "LNM")
    return "".join(kept).replace("\x00", ",")


def is_right(reply: str, answers: list[str]) -> bool:
    """Whether the whole reply equals an accepted answer, spaces and punctuation aside."""
    return normalise(reply) in {normalise(answer) for answer in answers}


def score_table(questions: list[dict], replies: list[str]) -> dict:
    """Scores from 0 to 100: `score` over all, `categories` with n, score and `constant`, what the category's most
    frequent answer given to every question would score; `interval` is the 95 percent Wilson interval of `score`."""
    right = [int(is_right(reply, question["answers"])) for question, reply in zip(questions, replies, strict=True)]
    categories, n = {}, len(right)
    for name in dict.fromkeys(question["category"] for question in questions):
        members = [i for i, question in enumerate(questions) if question["category"] == name]
        answers = Counter(a for i in members for a in {normalise(answer) for answer in questions[i]["answers"]})
        hits = {"score": sum(right[i] for i in members), "constant": answers.most_common(1)[0][1]}
        categories[name] = {"n": len(members)} | {key: 100 * hit / len(members) for key, hit in hits.items()}
    wrong = [
        {"question": question["messages"][-1]["content"], "reply": reply, "answer": question["answers"][0]}
        for question, reply, is_hit in zip(questions, replies, right, strict=True) if not is_hit
    ]  # fmt: skip
    return share(sum(right), n) | {"n": n, "categories": categories, "right": right, "wrong": wrong}


def share(right: float, n: int) -> dict:
    """A share in percent, and its 95 percent Wilson interval."""
    return {"score": 100 * right / n, "interval": [100 * end for end in wilson_interval(right, n)]}


def wilson_interval(right: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """95 percent interval of a share (Wilson 1927); of nothing it is everything."""
    if not n:
        return 0.0, 1.0
    share, spread = right / n, z * math.sqrt(right / n * (1 - right / n) / n + z * z / (4 * n * n))
    middle, scale = share + z * z / (2 * n), 1 + z * z / n
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def paired_difference(before: list[float], after: list[float]) -> tuple[float, tuple[float, float]]:
    """(difference of two scores on the same questions in points, its 95 percent interval): Newcombe 1998, "Improved
    confidence intervals for the difference between binomial proportions based on paired data", method 10 without its
    correction for continuity."""
    n = len(before)
    p, q = sum(before) / n, sum(after) / n
    (p_low, p_high), (q_low, q_high) = wilson_interval(p * n, n), wilson_interval(q * n, n)
    together = sum(a * b for a, b in zip(before, after, strict=True)) / n - p * q
    spread = math.sqrt(sum((a - p) ** 2 for a in before) * sum((b - q) ** 2 for b in after)) / n
    correlation = together / spread if spread else 0.0

    def reach(one: float, other: float) -> float:
        return math.sqrt(max(0.0, one * one - 2 * correlation * one * other + other * other))

    low, high = q - p - reach(q - q_low, p_high - p), q - p + reach(q_high - q, p - p_low)
    return 100 * (q - p), (100 * max(-1.0, low), 100 * min(1.0, high))  # rounding can lead beyond


def pass_at_k(n: int, c: int, k: int) -> float:
    """How probably one of k replies is right, where c of n sampled ones are: without bias, for each k up to n (Chen et
    al. 2021, "Evaluating large language models trained on code", equation 1)."""
    return 1 - math.comb(n - c, k) / math.comb(n, k)


def pass_table(questions: list[dict], samples: list[list[str]]) -> dict:
    """Of as many sampled replies to each question: pass@1, pass@8 and pass of all, in percent, over all questions and
    by category, each with the 95 percent Wilson interval of the mean over questions."""
    n, right = len(samples[0]), {}
    for question, replies in zip(questions, samples, strict=True):
        c = sum(is_right(reply, question["answers"]) for reply in replies)
        right.setdefault(question["category"], []).append(c)

    def row(counts: list[int]) -> dict:
        sums = {f"pass@{k}": sum(pass_at_k(n, c, k) for c in counts) for k in sorted({1, min(8, n), n})}
        return {name: share(total, len(counts)) for name, total in sums.items()}

    every = [c for counts in right.values() for c in counts]
    return {"samples": n, "categories": {name: row(counts) for name, counts in right.items()}, "all": row(every)}


def score_chats(chats: list[list[dict]], replies: list[list[str]]) -> list[dict]:
    """For the first turn, the second, …: n, score in percent and its 95 percent `interval`."""
    right: dict[int, list[int]] = {}
    for chat, said in zip(chats, replies, strict=True):
        for turn, (question, reply) in enumerate(zip(chat, said, strict=True), 1):
            right.setdefault(turn, []).append(int(is_right(reply, question["answers"])))
    return [{"turn": turn, "n": len(hits)} | share(sum(hits), len(hits)) for turn, hits in right.items()]


def print_table(table: dict) -> None:
    print(f"{'category':<20}{'questions':>10}{'score':>8}{'most frequent answer':>23}")
    for name, row in table["categories"].items():
        print(f"{name:<20}{row['n']:>10}{row['score']:>7.1f}%{row['constant']:>22.1f}%")
    low, high = table["interval"]
    print(f"{'all':<20}{table['n']:>10}{table['score']:>7.1f}%   (95 % interval {low:.1f} to {high:.1f})")


def print_passes(table: dict) -> None:
    print(f"\n{'samples: ' + str(table['samples']):<20}" + "".join(f"{name:<24}" for name in table["all"]).rstrip())
    for name, row in (table["categories"] | {"all": table["all"]}).items():
        cells = (f"{c['score']:>5.1f}% ({c['interval'][0]:.1f} to {c['interval'][1]:.1f})" for c in row.values())
        print(f"{name:<20}" + "".join(f"{cell:<24}" for cell in cells).rstrip())


def print_chats(rows: list[dict]) -> None:
    if rows:
        print(f"\n{rows[0]['n']} chats, right at their")
    for row in rows:
        low, high = row["interval"]
        print(f"{'turn ' + str(row['turn']):<16}{row['score']:>7.1f}%   ({low:.1f} to {high:.1f})")
