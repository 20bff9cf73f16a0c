"""What `./run.sh all` shows at its end: for each stage what it should change, what it changed, and what that cost.

    python scripts/lifecycle_report.py                       # the newest SFT weight in out/, and what grew out of it

Asks the weights of all stages the test half of the held-out questions and writes out/report.md, one table with the
loss curves in report.png; report.json holds the same figures. Where both sides answered the same questions, a
difference is paired, and so is its 95 percent interval.
"""

import json
import sys
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

from scripts.reports.comparing import in_words, loss, paired_scores, passes_of, read_metadata, replies_of, share  # noqa: E402
from scripts.reports.shell import command, typed  # noqa: E402
from scripts.reports.tables import format_table, markdown_table  # noqa: E402
from trainer.command_line import flag, parse_options, run  # noqa: E402

HELD_OUT = {"general": "heldout", "identity": "heldout_lora_identity", "teahouse": "heldout_lora_teahouse",
            "reason": "heldout_reason"}  # fmt: skip
HEADER = (
    "stage", "what it should change", "before", "after", "difference (95 %)",
    "general score, before → after", "difference (95 %)", "tokens", "seconds",
)  # fmt: skip
STAGES = {  # stage -> its weight, what that grew out of, the sets of questions that it answers
    "pretrain": ("pretrain", None, ("general",)),
    "SFT": ("full_sft", "pretrain", ("general", "identity", "teahouse")),
    "LoRA identity": ("lora/identity", "SFT", ("general", "identity")),
    "LoRA teahouse": ("lora/teahouse", "SFT", ("general", "teahouse")),
    "DPO": ("rlhf", "SFT", ("general",)),
    "student with teacher": ("full_dist", "SFT", ("general",)),
    "student alone": ("student_alone", None, ("general",)),
    "reasoning": ("reason", "DPO", ("general", "reason")),
    "direct answers": ("direct", "DPO", ("reason",)),
    "GRPO": ("grpo", "SFT", ("general",)),
}
SAMPLES = 8  # answers to each word problem, before and after GRPO


@dataclass
class LifecycleOptions:
    out_dir: str = flag(str(ROOT / "out"), "folder of the weights and metrics; report.md, .json and .png go there")
    hidden_size: int | None = flag(None, "width of the network; default: that of the newest full_sft")
    student_size: int | None = flag(None, "width of the student; default: that of the newest full_dist")
    sample: str = flag(str(ROOT / "dataset" / "sample"), "folder of the held-out questions, heldout*.jsonl")
    tokenizer: str = flag(str(ROOT / "model"), "folder of the tokenizer")
    device: str = flag("auto", "cuda, mps, cpu or auto")
    write: bool = flag(False, "write the table into MEASURED.md")


def main() -> None:
    options = parse_options(LifecycleOptions, "Measure what each stage of the life cycle changed.")

    from dataset.heldout import read_heldout
    from model.files import write_json
    from scripts.measuring.measured import write_section
    from scripts.reports.plots import draw_losses
    from trainer.command_line import check_out_dir

    out_dir = Path(options.out_dir).absolute()
    sample = Path(options.sample).absolute()
    questions = {name: read_heldout(sample / f"{file}.jsonl", "test") for name, file in HELD_OUT.items()}
    if not all(isinstance(question.get("name"), str) for question in questions["identity"]):
        raise ValueError(f'{sample / HELD_OUT["identity"]}.jsonl: a question has no "name", which a right answer holds')
    weights = find_weights(out_dir, options.hidden_size, options.student_size)
    runs = {stage: read_run(out_dir, weight) for stage, weight in weights.items()}
    check_chain(weights, runs)
    check_out_dir(out_dir)  # before the work

    places = {"tokenizer": options.tokenizer, "device": options.device}
    replies = all_replies(weights, questions, places)
    tried = [passes_of(stage, weights[stage], questions["reason"], SAMPLES, **places) for stage in ("SFT", "GRPO")]
    rows = all_rows(runs, questions, replies, tried)

    figures = {
        stage: {"weight": str(weights[stage].relative_to(out_dir)), **{k: r[k] for k in ("step", "tokens", "seconds")}}
        for stage, r in runs.items()
    }  # fmt: skip
    write_json(out_dir / "report.json", {"rows": rows, "runs": figures, "notes": notes(runs, questions)})
    metrics = [metrics_path(out_dir, weight) for weight in weights.values()]
    draw_losses(metrics, out_dir / "report.png", titles=list(weights))
    opening = "# A life cycle of MiniMind\n\nWhat each stage was to change, what it did change, and its cost elsewhere."
    table = markdown_table(HEADER, [cells_of(row) for row in rows], left=2)
    listed = "\n".join(f"- {note}" for note in notes(runs, questions))
    page = f"{opening}\n\n{table}\n\n{listed}\n\n![Loss curves of all stages](report.png)\n"
    (out_dir / "report.md").write_text(page, encoding="utf-8")

    # a terminal is narrower than a page: the columns that nothing else says
    short = [[*row[:2], f"{row[2]} → {row[3]}", row[4], row[6]] for row in map(cells_of, rows)]
    header = ["stage", "what it should change", "before → after", HEADER[4], "general score (95 %)"]
    print("\n" + format_table(header, short, left=2))
    print(f"\nReport with the loss curves: {out_dir / 'report.md'}\nIts figures: {out_dir / 'report.json'}")
    print("\n" + what_next(out_dir, weights))
    if options.write:
        write_section("What each stage does", f"{table}\n\n{listed}")


# ---------------------------------------------------------------- the runs


def find_weights(out_dir: Path, hidden_size: int | None, student_size: int | None) -> dict[str, Path]:
    """The weight of each stage and control, of one size; WeightError names the first that is missing."""
    from model.model_lora import find_lora
    from model.model_minimind import MiniMindConfig
    from model.weights import find_weight

    newest = find_weight("full_sft", out_dir, hidden_size), find_weight("full_dist", out_dir, student_size)
    large, small = (MiniMindConfig.from_dict(read_metadata(weight)["config"]) for weight in newest)
    found = {}
    for stage, (name, *_) in STAGES.items():
        config = small if stage.startswith("student") else large
        if name.startswith("lora/"):
            found[stage] = find_lora(name.removeprefix("lora/"), out_dir, config)
        else:
            found[stage] = find_weight(name, out_dir, config.hidden_size, config.use_moe)
    return found


def metrics_path(out_dir: Path, weight: Path) -> Path:
    return out_dir / "metrics" / weight.relative_to(out_dir).with_suffix(".jsonl")


def read_run(out_dir: Path, weight: Path) -> dict:
    """The metadata of a weight, and `first`, its validation before any step; ValueError if it is not finished."""
    run, metrics = read_metadata(weight), metrics_path(out_dir, weight)
    if run["step"] != run.get("recipe", {}).get("steps"):
        raise ValueError(f"{weight}: its run did not end: ./run.sh all trains it")
    try:
        with open(metrics, encoding="utf-8") as lines:
            first = json.loads(lines.readline())
        if first["step"] == 0:
            return run | {"first": first}
    except (OSError, ValueError, KeyError, TypeError):
        pass  # said below
    raise ValueError(f"{metrics}: the validation before training is not in it: ./run.sh all trains {weight.stem}")


def check_chain(weights: dict[str, Path], runs: dict[str, dict]) -> None:
    """ValueError unless every weight grew out of the one that it is compared with."""
    for stage, (_, before, _) in STAGES.items():
        if before and runs[before]["sha256"] not in (runs[stage]["recipe"]["start"], *runs[stage]["origin"].values()):
            raise ValueError(
                f"{weights[stage]}: it did not grow out of {weights[before]} as it is now: ./run.sh all trains it again"
            )


# ---------------------------------------------------------------- the figures


def all_replies(weights: dict[str, Path], questions: dict[str, list[dict]], places: dict) -> dict[str, dict]:
    """Replies by stage and set of questions; each weight is loaded once."""
    replies = {}
    for stage, (name, _, sets) in STAGES.items():
        adapter = {"lora_name": str(weights[stage])} if name.startswith("lora/") else {}
        weight = weights["SFT" if adapter else stage]
        replies[stage] = replies_of(stage, weight, {name: questions[name] for name in sets}, **adapter, **places)
    return replies


def all_rows(runs: dict, questions: dict, replies: dict, tried: list[dict]) -> list[dict]:
    """The lines of the table. The first line of a stage also says what the stage cost."""
    from dataset.chat import answer_in, split_thought
    from dataset.heldout import is_right

    def right(stage: str, name: str = "general") -> list[int]:
        """1 or 0 for each reply; what a reasoning weight says counts only between its tags."""
        given = replies[stage][name]
        if stage == "reasoning":
            given = [answer_in(reply, "reason") for reply in given]
        return [int(is_right(reply, q["answers"])) for q, reply in zip(questions[name], given, strict=True)]

    def scores(before: str, stage: str, only: str = "", left_out: str = "", name: str = "general") -> dict:
        """Scores on the questions of a set: those whose category begins with `only`, without those of one category."""
        categories = [question["category"] for question in questions[name]]
        counts = [category.startswith(only) and category != left_out for category in categories]
        return paired_scores(*(list(compress(right(side, name), counts)) for side in (before, stage)))

    def well_formed(stage: str) -> list[int]:
        return [int(split_thought(reply) is not None) for reply in replies[stage]["reason"]]

    def row(stage: str, what: str, figures: dict, cost: dict | None = None, run: str | None = None) -> dict:
        spent = {key: runs[run][key] for key in ("tokens", "seconds")} if run else {}
        return {"stage": stage, "what": what, **figures, "cost": cost, **spent}

    def named(stage: str) -> list[int]:
        """1 where a reply about itself holds the new name, whatever else it says."""
        said = zip(questions["identity"], replies[stage]["identity"], strict=True)
        return [int(question["name"] in reply) for question, reply in said]

    def gained(figure: str) -> dict:
        return paired_scores(*(passes[figure] for passes in tried))

    before, wishes = (ends_with_wish(questions["general"], replies[stage]["general"]) for stage in ("SFT", "DPO"))
    first = {stage: r["first"] for stage, r in runs.items()}
    last = {stage: r["validation"] for stage, r in runs.items()}
    bits, nats = "val_bits_per_byte", "val_loss"
    student = last["student alone"][nats], last["student with teacher"]["val_cross_entropy"]
    return [
        row("pretrain", "bits per byte of plain text, untrained → pretrained",
            loss(first["pretrain"][bits], last["pretrain"][bits]), run="pretrain"),
        row("SFT", "general questions answered correctly", scores("pretrain", "SFT"), run="SFT"),
        row("SFT", "questions that nothing here answers, declined", scores("pretrain", "SFT", "unknown")),
        row("LoRA identity", "questions about itself answered with the new name",
            paired_scores(named("SFT"), named("LoRA identity")),
            scores("SFT", "LoRA identity", left_out="identity"), "LoRA identity"),
        row("LoRA teahouse", "questions about an invented teahouse",
            scores("SFT", "LoRA teahouse", name="teahouse"), scores("SFT", "LoRA teahouse"), "LoRA teahouse"),
        row("DPO", "advice that ends with a kind wish, of all advice given",
            share(*(sum(w) / max(1, len(w)) for w in (before, wishes)), len(wishes)), scores("SFT", "DPO"), "DPO"),
        row("distillation", "general questions, student alone → with teacher",
            scores("student alone", "student with teacher"), run="student with teacher"),
        row("distillation", "validation cross-entropy in nats, alone → with teacher", loss(*student)),
        row("reasoning", "word problems, direct answers → after a thought",
            scores("direct answers", "reasoning", name="reason"), scores("DPO", "reasoning"), "reasoning"),
        *(row("reasoning", f"those of {n} steps", scores("direct answers", "reasoning", f"reason_{n}", name="reason"))
          for n in (2, 3, 4)),
        row("reasoning", "questions that nothing here answers, declined", scores("DPO", "reasoning", "unknown")),
        row("reasoning", "thought and answer between their tags",
            paired_scores(well_formed("direct answers"), well_formed("reasoning"))),
        row("GRPO", f"word problems, of {SAMPLES} sampled answers right", gained("pass@1"),
            scores("SFT", "GRPO"), "GRPO"),
        row("GRPO", "word problems, at least one of these right", gained(f"pass@{SAMPLES}")),
        row("GRPO", "questions that nothing here answers, declined", scores("SFT", "GRPO", "unknown")),
    ]  # fmt: skip


def ends_with_wish(questions: list[dict], replies: list[str]) -> list[int]:
    """1 or 0 for every reply that gives any piece of advice: whether one of the wishes follows it.

    The questions that ask for advice say their `preferred` answer, which is the plain one (their first) and a wish.
    """
    from dataset.heldout import normalise

    asking = [(q, normalise(reply)) for q, reply in zip(questions, replies, strict=True) if "preferred" in q]
    plain = {normalise(q["answers"][0]) for q, _ in asking}
    warm = {
        advice + normalise(q["preferred"][0])[len(normalise(q["answers"][0])) :] for q, _ in asking for advice in plain
    }
    return [int(reply in warm) for _, reply in asking if reply.startswith(tuple(plain))]


# ---------------------------------------------------------------- what is written


def cells_of(row: dict) -> list[str]:
    """One line of the table as text."""
    *sides, cost = in_words(row["cost"]) if row["cost"] else ("", "")
    spent = [f"{row[key]:{form}}" if key in row else "" for key, form in (("tokens", ","), ("seconds", ".1f"))]
    return [row["stage"], row["what"], *in_words(row), " → ".join(sides), cost, *spent]


def notes(runs: dict, questions: dict) -> list[str]:
    """What a reader needs to know to trust the table."""
    alone, direct = runs["student alone"], runs["direct answers"]
    return [
        "All questions are of the test half (dataset/sample/README.md says what was tuned on which). General score: "
        f"{len(questions['general']):,} questions, the whole reply must be correct; for the new identity without those "
        "about identity, which should change. Differences in points, paired by question.",
        "Without its adapter, the score is that of SFT: the weights are the same file, by its hash.",
        "Both students learn from the same few conversations, of which a quarter have another question's answer "
        "(dataset/sample/careless.py); they are validated on correct ones.",
        f"The student alone: the same initial weights, data, order and {alone['step']:,} steps, without a teacher "
        f"({alone['tokens']:,} tokens, {alone['seconds']:.1f} s). One seed; scripts/compare_seeds.py has more.",
        f"Direct answers: the same start, problems and {direct['step']:,} steps as reasoning, without the thought "
        f"({direct['tokens']:,} tokens, {direct['seconds']:.1f} s).",
    ]


def what_next(out_dir: Path, weights: dict[str, Path]) -> str:
    """Commands to type now, aligned, in the words of this machine."""
    chat, ask = command("run.sh", "chat", out_dir), command("eval_model.py", out_dir=out_dir)
    tried = out_dir / "rollouts" / weights["GRPO"].with_suffix(".jsonl").name
    commands = [
        (chat, "talk to the SFT weight"),
        (f"{chat} --lora_name identity", "with its new name"),
        (f'{ask} --lora_name teahouse --prompt "桃子茶多少钱？"', "what it alone knows"),
        (f"{chat} --model_mode 2", "the weight after DPO"),
        (f"{chat} --model_mode 3", "see it think"),
        (f"{chat} --model_mode 5 --thinking 1", "the weight after GRPO"),
        (command("scripts/show_rollouts.py", typed(tried)), "a page of what it tried"),
        (command("scripts/compare_seeds.py", "--what distillation", out_dir), "the students over three seeds"),
    ]
    return format_table(["what to type next", ""], commands, 2)


if __name__ == "__main__":
    run(main)
