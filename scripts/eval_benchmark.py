"""Score a weight on the benchmarks that people quote, by EleutherAI's lm_eval (Gao et al., 2021): option accuracy by
log-likelihood, generated answers, bits per byte.

    pip install "lm_eval[hf]==0.4.13"                                             # once; it takes 0.4 GB
    python scripts/eval_benchmark.py --tasks minimind_world minimind_world_choice # the newest SFT weight
    python scripts/eval_benchmark.py --tasks minimind_world_choice --untrained 1  # for comparison
    python scripts/eval_benchmark.py --tasks "ceval-valid*" cmmlu openbookqa      # data sets from the hub
    python scripts/eval_benchmark.py --questions exam.csv --text notes.txt        # files of your own
    python scripts/eval_benchmark.py                                              # the comparison so far

Figures are appended to out/results.jsonl; from there comes the comparison across weights. Task names, prompts, few-shot
examples and metrics are lm_eval's own; acc is the share of questions whose likeliest option is the right one, acc_norm
the same with each option's log-likelihood divided by its length in characters. A copy of a published data set is found
in OWNER/NAME of the folder in which this is started.
"""

import difflib
import logging
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

from scripts.evaluating.results import append_results, comparison, read_results  # noqa: E402
from trainer.command_line import flag, parse_options, require, run  # noqa: E402
from trainer.options import WeightOptions  # noqa: E402

LM_EVAL = '"lm_eval[hf]==0.4.13"'
OWN_TASKS = ROOT / "dataset" / "lm_eval"


@dataclass
class EvalBenchmarkOptions(WeightOptions):
    tasks: list[str] | None = flag(None, "tasks of lm_eval, by name or pattern: ceval-valid, cmmlu, minimind_world …")
    questions: list[str] | None = flag(None, "multiple-choice files of your own: CSV in C-Eval's form, or JSONL")
    option_form: str = flag("letter", "of --questions, what is scored: each option's letter, or its own text",
                            choices=["letter", "text"])  # fmt: skip
    text: list[str] | None = flag(None, "files whose bits per byte are measured: of a .jsonl the texts, else all of it")
    num_fewshot: int | None = flag(None, "solved examples before each question; default: the task's own", least=0)
    limit: int = flag(0, "only the first so many questions of each task; 0: all", least=0)
    chat: bool = flag(False, "put questions into the chat format, as lm_eval does with --apply_chat_template")
    batch_size: int = flag(32, "inputs that share a pass", least=1)
    max_seq_len: int = flag(512, "most tokens of prompt and answer together, the same for all weights")
    untrained: bool = flag(False, "score the network of the weight before any training, for comparison")
    seed: int = flag(42, "seed of the untrained network")
    results: str | None = flag(None, "file that figures are appended to; default: results.jsonl in out_dir")

    def __post_init__(self):
        super().__post_init__()
        require(self.dtype in ("auto", "float32"), f"--dtype {self.dtype}: benchmarks are computed in float32")
        self.results = self.results or str(Path(self.out_dir) / "results.jsonl")

    def setting(self, shots: str) -> str:
        """What makes figures of one task incomparable, in words; `shots` says how many examples if not the usual."""
        first = f"first {self.limit}" if self.limit else ""
        context = f"context {self.max_seq_len}" if self.max_seq_len != 512 else ""
        return ", ".join(filter(None, (shots, "chat" if self.chat else "", first, context)))


# ---------------------------------------------------------------- tasks


def import_lm_eval() -> None:
    try:
        import lm_eval.evaluator  # noqa: F401
        import lm_eval.models.huggingface  # noqa: F401
    except ImportError as error:  # lm_eval itself, or a package that it needs
        raise ValueError(f"the benchmarks need lm_eval ({error}): pip install {LM_EVAL}") from None
    logging.getLogger("lm_eval").setLevel(logging.ERROR)


def load_tasks(options: EvalBenchmarkOptions) -> tuple[dict, dict[str, str]]:
    """(what `lm_eval.evaluator.evaluate` takes: tasks and groups by name; the setting of each task in words)."""
    from scripts.evaluating.question_files import question_task, text_task

    names = [name for word in options.tasks or () for name in word.split(",") if name]
    loaded = load_named(names) if names else {"tasks": {}, "groups": {}}
    own = [question_task(path, options.option_form) for path in options.questions or ()]
    for task in own + [text_task(path) for path in options.text or ()]:
        require(task.task_name not in loaded["tasks"], f"two of the files are called {task.task_name}: rename one")
        loaded["tasks"][task.task_name] = task
    if options.chat and any(name.startswith("minimind_world") for name in loaded["tasks"]):
        raise ValueError("--chat 1: our own tasks are in the chat format already: score them without it")
    settings = {}
    for name, task in loaded["tasks"].items():  # as lm_eval's own command line does it
        usual, wanted = task.get_config("num_fewshot"), options.num_fewshot
        if usual == 0 and wanted:
            print(f"{name}: takes no solved examples, so --num_fewshot {wanted} is not for it", flush=True)
        number = (usual or 0) if wanted is None or usual == 0 else wanted
        task.set_config("num_fewshot", number)
        task.set_fewshot_seed(seed=1234)
        settings[name] = options.setting(f"{number}-shot" if number != (usual or 0) else "")
    return loaded, settings


def load_named(names: list[str]) -> dict:
    """Tasks by lm_eval's names and ours. Data sets come from the working folder where they are, else from the hub."""
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(OWN_TASKS), include_defaults=False)
    if not all(name in manager.all_tasks for name in names):  # the 14,000 of lm_eval itself take seconds to list
        manager = TaskManager(include_path=str(OWN_TASKS))
    wanted: list[str] = []
    for name in names:
        found = manager.match_tasks([name])
        if not found:
            near = difflib.get_close_matches(name, manager.all_tasks, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else "lm_eval ls tasks lists them"
            raise ValueError(f"--tasks {name}: lm_eval has no such task: {hint}")
        wanted += [task for task in found if task not in wanted]
    within = set()  # what a group in the same list brings along
    for name in wanted:
        members = (manager.task_index[name].cfg or {}).get("task")
        within |= {m if isinstance(m, str) else m.get("task") for m in members} if isinstance(members, list) else set()
    try:
        return manager.load([name for name in wanted if name not in within])
    except (OSError, ValueError, ImportError) as error:  # no data, or no package that one task alone needs
        reason, repo = str(error).splitlines()[0], re.search(r"\b([\w-]+/[\w.-]*\w)'", str(error))
        if repo is None or "/" in repo[1].split("/", 1)[1]:
            raise ValueError(reason) from None
        raise ValueError(
            f"the data set {repo[1]} cannot be had ({reason}): where there is a network, copy it with hf download "
            f"{repo[1]} --repo-type dataset --local-dir {repo[1]}, and start this where that folder is"
        ) from None


# ---------------------------------------------------------------- figures


def evaluate(options, loaded: dict, settings: dict[str, str], model, tokenizer, name: str) -> list[dict]:
    """One record per task, or group, and metric."""
    from lm_eval.evaluator import evaluate as run_lm_eval

    from scripts.evaluating.lm_eval_model import MiniMindLM

    lm = MiniMindLM(model, tokenizer, options.max_seq_len, options.batch_size)
    found = run_lm_eval(
        lm, loaded, limit=options.limit or None, apply_chat_template=options.chat, fewshot_as_multiturn=options.chat
    )
    if lm.n_shortened:
        print(
            f"{lm.n_shortened:,} prompts were longer than the context of {options.max_seq_len} tokens and lost their "
            "beginning: raise --max_seq_len, if the network was trained on more"
        )
    counts = {task: number_of["effective"] for task, number_of in found["n-samples"].items()}
    chances = {task: chance(loaded["tasks"][task], samples) for task, samples in found["samples"].items()}
    members = {group: leaves(group, found["group_subtasks"]) for group in found["group_subtasks"]}
    groups = {leaf: group for group, inside in members.items() for leaf in inside if leaf != group}
    records = []
    for task, figures in found["results"].items():
        inside = members.get(task) or [task]
        n = sum(counts.get(leaf, 0) for leaf in inside)
        known = all(chances.get(leaf) is not None for leaf in inside)
        by_chance = sum(chances[leaf] * counts[leaf] for leaf in inside) / n if known and n else None
        for key, value in figures.items():
            metric, _, kind = key.partition(",")
            if not kind or metric.endswith("_stderr") or not isinstance(value, int | float):
                continue
            stderr = figures.get(f"{metric}_stderr,{kind}")
            records.append({
                "time": time.strftime("%Y-%m-%d %H:%M:%S"), "name": name, "task": task, "setting": settings[inside[0]],
                "metric": metric if kind == "none" else f"{metric} ({kind})", "value": value,
                "stderr": stderr if isinstance(stderr, int | float) else None,
                "chance": by_chance if metric.startswith("acc") else None, "n": n, "group": groups.get(task),
            })  # fmt: skip
    return records


def chance(task, samples: list[dict]) -> float | None:
    """The accuracy of guessing: the mean of one over the number of options; None of what is not multiple choice."""
    if task.OUTPUT_TYPE != "multiple_choice":
        return None
    return sum(1 / len(task.doc_to_choice(sample["doc"])) for sample in samples) / len(samples)


def leaves(name: str, subtasks: dict[str, list[str]]) -> list[str]:
    """The tasks in a group, through the groups in it."""
    inside = subtasks.get(name)
    return [leaf for part in inside for leaf in leaves(part, subtasks)] if inside else [name]


# ---------------------------------------------------------------- the command


def main() -> None:
    options = parse_options(EvalBenchmarkOptions, "Score a weight on benchmarks, and compare weights.")
    results = Path(options.results).absolute()
    if options.tasks or options.questions or options.text:
        from trainer.command_line import check_out_dir
        from trainer.stage import check_length

        import_lm_eval()
        # what cannot be read or written is said before the work
        require(not results.is_dir(), f"--results {results}: this is a folder: name a file")
        check_out_dir(results.parent, "--results")
        read_results(results)
        loaded, settings = load_tasks(options)
        model, tokenizer, title, *_ = options.load_model(options.seed if options.untrained else None)
        check_length(options, model, "the network")
        print(title, flush=True)
        name = title.rpartition(" (")[0].removeprefix(f"{Path(options.out_dir).absolute()}/").replace(".pth", "")
        append_results(results, evaluate(options, loaded, settings, model, tokenizer, name))
    records = read_results(results)
    require(records, f"{results}: no figure is there yet: name --tasks, --questions or --text")
    print(f"all figures so far, from {results}:\n\n{comparison(records)}")


if __name__ == "__main__":
    run(main)
