"""What the reports on trained weights share: replies to held-out questions, what a weight's `.json` says, and two
figures side by side as {"unit", "before", "after", "difference", "interval"}, the interval of 95 percent."""

import json
from pathlib import Path

from dataset.heldout import is_right, paired_difference, pass_at_k, wilson_interval
from scripts.reports.tables import percent


def replies_of(title: str, weight: Path, sets: dict[str, list[dict]], **places) -> dict[str, list[str]]:
    """The likeliest replies of a weight to sets of questions, all in one pass, without their thoughts; those of the
    stage "reason" between their tags. `places`: more of WeightOptions, as tokenizer, device, lora_name."""
    from dataset.chat import answer_in
    from trainer.answering import answer_all
    from trainer.options import WeightOptions

    options = WeightOptions(weight=str(weight), **places)
    model, tokenizer, source, stage, _ = options.load_model()
    conversations = [question["messages"] for questions in sets.values() for question in questions]
    print(f"{title}: {len(conversations):,} questions for {source}", flush=True)
    said = answer_all(model, tokenizer, conversations, stage)
    replies = iter(said if stage == "reason" else [answer_in(reply, stage) for reply in said])
    return {name: [next(replies) for _ in questions] for name, questions in sets.items()}


def passes_of(title: str, weight: Path, questions: list[dict], n: int, **places) -> dict[str, list[float]]:
    """pass@1 and pass@n of each question, from `n` sampled replies of a weight that is told to think."""
    from dataset.chat import answer_in
    from trainer.answering import sample_all
    from trainer.options import WeightOptions

    model, tokenizer, source, stage, _ = WeightOptions(weight=str(weight), **places).load_model()
    print(f"{title}: {len(questions):,} questions, {n} times, for {source}", flush=True)
    asked = [question["messages"] for question in questions]
    sampled = sample_all(model, tokenizer, asked, stage, n, seed=0, thinking=True)
    counts = [sum(is_right(answer_in(reply, stage), question["answers"]) for reply in replies)
              for question, replies in zip(questions, sampled, strict=True)]  # fmt: skip
    return {f"pass@{k}": [pass_at_k(n, count, k) for count in counts] for k in sorted({1, n})}


def read_metadata(weight: Path) -> dict:
    """The `.json` of a weight or an adapter; ValueError when there is none that tells of a run."""
    path = weight.with_suffix(".json")
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict) or not metadata.keys() >= {"step", "tokens", "seconds", "validation"}:
        what = "no such file, or it does not say how the weight was trained"
        raise ValueError(f"{path}: {what}: train it again with ./run.sh")
    return metadata


def paired_scores(before: list[float], after: list[float]) -> dict:
    """Two shares over the same questions, in percent, and the interval of their paired difference."""
    if not before:
        raise ValueError("no held-out question of one kind is there to compare on: use the files in dataset/sample")
    _, interval = paired_difference(before, after)
    return two_shares(sum(before) / len(before), sum(after) / len(after), len(before), interval)


def share(before: float, after: float, n: int) -> dict:
    """Two shares of n, the first of them known without asking (a network ranks pairs against itself as ties): the
    interval is the second one's (Wilson)."""
    return two_shares(before, after, n, [100 * (end - before) for end in wilson_interval(after * n, n)])


def two_shares(before: float, after: float, n: int, interval) -> dict:
    return {"unit": "%", "n": n, "before": 100 * before, "after": 100 * after, "difference": 100 * (after - before),
            "interval": list(interval)}  # fmt: skip


def loss(before: float, after: float) -> dict:
    """Two losses over one text, which is no sample of questions: there is no interval."""
    return {"unit": "", "before": before, "after": after, "difference": after - before, "interval": None}


def in_words(figures: dict) -> tuple[str, str, str]:
    """(before, after, difference with its interval). Shares have one decimal; losses three, lest they look alike."""
    before, after, difference = (figures[name] for name in ("before", "after", "difference"))
    if figures["unit"] != "%":
        return f"{before:.3f}", f"{after:.3f}", f"{difference:+.3f}"
    low, high = figures["interval"]
    return percent(before), percent(after), f"{difference:+.1f} ({low:+.1f} to {high:+.1f})"
