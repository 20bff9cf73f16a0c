"""Is one recipe better than another? Each is trained over several seeds and judged on the held-out questions.

    python scripts/compare_seeds.py --what distillation    # a student with a teacher, and the same one alone
    python scripts/compare_seeds.py --what on_policy       # a student taught further on its own answers, or on the data
    python scripts/compare_seeds.py --what rl              # rejection sampling with SFT, PPO and GRPO, from one weight

Of one seed all see the same data and begin with the same weights. Prints a table and writes it, with the figures of
every seed, to out/compare_WHAT/comparison.json beside the weights. What has been trained already is not trained again.
"""

import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

from scripts.reports.comparing import in_words, paired_scores, passes_of, replies_of  # noqa: E402
from scripts.reports.tables import format_table, percent  # noqa: E402
from trainer.command_line import flag, parse_options, run  # noqa: E402

# The flags of a recipe's scripts, in the order in which they run; the last one writes its weight.
FEW = "--data_path {data}/distill.jsonl --val_path {held}/heldout_distill.jsonl --batch_size 16"
STUDENT = (f"{FEW} --from_weight none --hidden_size 112 --num_hidden_layers 4 --num_attention_heads 4 "
           "--max_seq_len 256 --max_steps 1250 --learning_rate 5e-3")  # fmt: skip
FURTHER = (f"{FEW} --from_weight {{full_dist}} --teacher_weight {{full_sft}} --alpha 0 --max_seq_len 384 "
           "--max_new_tokens 128 --learning_rate 1e-3 --max_steps 300")  # fmt: skip
POLICY = ("--from_weight {full_sft} --thinking 1 --data_path {data}/rl.jsonl --max_steps 60 --learning_rate 1e-4 "
          "--temperature_lr_scale 500 --average 0.4 --eval_interval 1000")  # fmt: skip
RECIPES = {
    "distillation": {
        "alone": [f"trainer/train_full_sft.py {STUDENT}"],
        "taught": [f"trainer/train_distillation.py {STUDENT} --teacher_weight {{full_sft}} --alpha 0"],
    },
    "on_policy": {
        "off-policy": [f"trainer/train_distillation.py {FURTHER}"],
        "on-policy": [f"trainer/train_distillation.py {FURTHER} --on_policy 1"],
    },
    "rl": {
        "start": [],
        "rejection": [
            "scripts/rejection_sampling.py --weight {full_sft} --thinking 1 --data_path {data}/rl.jsonl --samples 3 "
            "--output {folder}/{seed}.jsonl",
            "trainer/train_full_sft.py --from_weight {full_sft} --data_path {folder}/{seed}.jsonl --max_seq_len 512 "
            "--batch_size 16 --learning_rate 5e-4 --average 0.25",
        ],
        "ppo": [f"trainer/train_ppo.py {POLICY} --passes 1 --gae_lambda 1"],
        "grpo": [f"trainer/train_grpo.py {POLICY}"],
    },
}  # fmt: skip


@dataclass
class ComparisonOptions:
    what: str = flag("rl", "which recipes to compare", choices=[*RECIPES])
    seeds: int = flag(3, "number of seeds: 0, 1, …", least=1)
    out_dir: str = flag(str(ROOT / "out"), "folder of the weights to start from; results go into compare_WHAT in it")
    data_dir: str = flag(str(ROOT / "dataset" / "sample"), "folder of the files to learn from")
    held_out: str = flag(str(ROOT / "dataset" / "sample"), "folder of the held-out questions")
    samples: int = flag(8, "sampled answers to each word problem, of RL", least=1)
    flags: str = flag("", "more flags for all that is trained, as one text: --flags='--max_steps 9'")
    tokenizer: str = flag(str(ROOT / "model"), "folder of the tokenizer")
    device: str = flag("auto", "cuda, mps, cpu or auto")


def main() -> None:
    options = parse_options(ComparisonOptions, "Compare recipes over several seeds.")

    from dataset.heldout import is_right, read_heldout
    from model.files import write_json

    general = read_heldout(Path(options.held_out) / "heldout.jsonl", "test")
    problems = read_heldout(Path(options.held_out) / "heldout_reason.jsonl", "test") if options.what == "rl" else []
    folder = Path(options.out_dir).absolute() / f"compare_{options.what}"
    places = {"tokenizer": options.tokenizer, "device": options.device}
    judged, right = {}, {}  # of each weight; of each recipe and figure, by seed: a number from 0 to 1 for each question
    for seed in range(options.seeds):
        for name, scripts in RECIPES[options.what].items():
            print(f"\n[seed {seed + 1}/{options.seeds}] {name}", flush=True)
            weight = train(name, scripts, seed, folder, options)
            if weight not in judged:
                said = replies_of(name, weight, {"general": general}, **places)["general"]
                hits = [int(is_right(reply, q["answers"])) for q, reply in zip(general, said, strict=True)]
                unknown = [hit for q, hit in zip(general, hits, strict=True) if q["category"] == "unknown"]
                judged[weight] = {"general": hits} | ({"unknown": unknown} if unknown else {})
                if problems:
                    judged[weight] |= passes_of(name, weight, problems, options.samples, **places)
            for figure, values in judged[weight].items():
                right.setdefault(name, {}).setdefault(figure, []).append(values)

    means = {name: {figure: [sum(v) / len(v) for v in zip(*seeds, strict=True)] for figure, seeds in figures.items()}
             for name, figures in right.items()}  # fmt: skip
    first = next(iter(means))
    rows = [(name, figure, paired_scores(means[first][figure], values), right[name][figure])
            for name, figures in means.items() for figure, values in figures.items()]  # fmt: skip
    write_json(folder / "comparison.json", [
        {"recipe": name, "figure": figure, **scores, "seeds": [100 * sum(values) / len(values) for values in seeds]}
        for name, figure, scores, seeds in rows
    ])  # fmt: skip
    header = ["recipe", "figure", "mean", f"against {first} (95 %)", "seeds"]
    cells = [
        [name, figure, percent(scores["after"]), in_words(scores)[2] if name != first else "",
         " ".join(f"{100 * sum(values) / len(values):.1f}" for values in seeds)]
        for name, figure, scores, seeds in rows
    ]  # fmt: skip
    print(f"\n{format_table(header, cells, 2)}\n\nPaired by question; of all seeds each counts once, by its mean.")
    print(folder / "comparison.json")


def train(name: str, scripts: list[str], seed: int, folder: Path, options: ComparisonOptions) -> Path:
    """The weight of one recipe; of one without scripts, that from which the others start."""
    from model.weights import find_weight

    starts = {start: find_weight(start, options.out_dir) for start in ("full_sft", "full_dist")
              if any(f"{{{start}}}" in line for lines in RECIPES[options.what].values() for line in lines)}  # fmt: skip
    if not scripts:
        return starts["full_sft"]
    places = {"data": options.data_dir, "held": options.held_out, "folder": folder, "seed": seed} | starts
    for line in scripts:
        script, *flags = (part.format(**places) for part in shlex.split(line))
        flags += ["--seed", str(seed), "--tokenizer", options.tokenizer, "--device", options.device]
        if script.startswith("trainer/"):
            flags += ["--out_dir", str(folder), "--save_weight", f"{name}_seed{seed}", "--skip_finished", "1"]
            flags += shlex.split(options.flags)
        elif Path(flags[flags.index("--output") + 1]).exists():
            continue
        ended = subprocess.run([sys.executable, ROOT / script, *flags])
        if ended.returncode in (129, 130, 143):
            raise KeyboardInterrupt(ended.returncode - 128)
        if ended.returncode:
            raise ValueError(f"{script} ended with exit code {ended.returncode}, see above")
    return find_weight(f"{name}_seed{seed}", folder)


if __name__ == "__main__":
    run(main)
