"""What the reports on trained weights share: held-out questions and their replies, what a weight's file says, and two
figures set side by side."""

import json
import shlex
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def ask(
    title: str, weight: Path, sets: dict[str, list[dict]], max_new_tokens: int = 48, with_tags: bool = False,
    untrained: bool = False, **places,
) -> dict[str, list[str]]:
    """The likeliest replies of a weight to sets of questions, all in one pass.

    `places`: more of WeightOptions, as tokenizer, device, lora_name.
    """
    from trainer.answering import answer_all
    from trainer.options import WeightOptions

    options = WeightOptions(weight=str(weight), **places)
    model, tokenizer, source, _ = options.load_model(42 if untrained else None)
    asked = [question for questions in sets.values() for question in questions]
    print(f"{title}: {len(asked):,} questions for {source}", flush=True)
    conversations = [question["messages"] for question in asked]
    replies = iter(answer_all(model, tokenizer, conversations, max_new_tokens, with_tags=with_tags))
    return {name: [next(replies) for _ in questions] for name, questions in sets.items()}


def describe(weight: Path) -> dict:
    """The `.json` beside a weight or an adapter; ValueError when there is none that tells of a run."""
    beside = weight.with_suffix(".json")
    try:
        info = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        info = None
    if not isinstance(info, dict) or not info.keys() >= {"step", "tokens", "seconds", "validation"}:
        what = "no such file, or it does not say how the weight was trained"
        raise ValueError(f"{beside}: {what}: train it again with ./run.sh")
    return info


def paired(before: list[float], after: list[float]) -> dict:
    """Two shares over the same questions, in percent, and the interval of their paired difference."""
    from dataset.heldout import paired_difference

    if not before:
        raise ValueError("no held-out question of one kind is there to compare on: use the files in dataset/sample")
    difference, interval = paired_difference(before, after)
    return {
        "unit": "%", "n": len(before),
        "before": 100 * sum(before) / len(before), "after": 100 * sum(after) / len(after),
        "difference": difference, "interval": list(interval),
    }  # fmt: skip


def share(before: float, after: float, n: int) -> dict:
    """Two shares of n, the first of them known without asking (a network ranks pairs against itself as ties): the
    interval is the second one's (Wilson)."""
    from dataset.heldout import wilson_interval

    interval = [100 * (end - before) for end in wilson_interval(after * n, n)]
    return {"unit": "%", "n": n, "before": 100 * before, "after": 100 * after,
            "difference": 100 * (after - before), "interval": interval}  # fmt: skip


def loss(before: float, after: float) -> dict:
    """Two losses over one text, which is no sample of questions: there is no interval."""
    return {"unit": "", "before": before, "after": after, "difference": after - before, "interval": None}


def typed(path: str | Path) -> str:
    """A path as it is typed in a shell: short where this program was started in the repository's root."""
    path = Path(path).absolute()
    short = str(path.relative_to(ROOT)) if Path.cwd() == ROOT and path.is_relative_to(ROOT) else "-"
    return shlex.quote(str(path) if short.startswith("-") else short)  # what begins with "-" would be a flag


def command(script: str, word: str = "", out_dir: Path = ROOT / "out") -> str:
    """A script of this project as it is typed, or run.sh with a word; with a flag for another `out_dir`."""
    start = "./" if Path.cwd() == ROOT else ""
    if script != "run.sh":
        start = f"{typed(sys.executable)} "
    place = "" if out_dir == ROOT / "out" else f" --out_dir {typed(out_dir)}"
    return f"{start}{typed(ROOT / script)}{f' {word}' if word else ''}{place}"
