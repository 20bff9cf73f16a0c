"""Is a student with a teacher better than the same student alone? Both are trained over several seeds and compared.

    python scripts/compare_distillation.py                                     # taught by the newest full_sft in out/
    python scripts/compare_distillation.py --teacher_weight out/full_sft_512.pth --hidden_size 256 --seeds 5

Of one seed both students have the same initial weights, see the same data in the same order and take as many steps.
Prints a table by seed, with paired differences, and writes
out/compare_distillation/comparison.json beside the students. What has been trained already is not trained again.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

from scripts.reports.comparing import in_words, loss, paired_scores, read_metadata, replies_of  # noqa: E402
from scripts.reports.tables import format_table  # noqa: E402
from trainer.command_line import flag, parse_options, run  # noqa: E402

SAMPLE = ROOT / "dataset" / "sample"
TAUGHT = {"alpha": 0.0, "temperature": 1.0}  # a student learns from its teacher alone
NOT_OF_STUDENTS = ("seeds", "teacher_weight", "score_data")  # flags


@dataclass
class ComparisonOptions:
    seeds: int = flag(3, "number of seeds: 0, 1, …", least=1)
    teacher_weight: str = flag("full_sft", "weight to learn from: a name in out_dir, or a .pth path")
    data_path: str = flag(str(SAMPLE / "distill.jsonl"), "JSONL file that both students learn from")
    val_path: str = flag(str(SAMPLE / "heldout_distill.jsonl"), "JSONL file that both are validated on")
    score_data: str = flag(str(SAMPLE / "heldout.jsonl"), "the held-out questions")
    out_dir: str = flag(str(ROOT / "out"), "folder of the teacher; the students go into compare_distillation in it")
    hidden_size: int = flag(112, "width of the students")
    num_hidden_layers: int = flag(4, "depth of the students")
    num_attention_heads: int = flag(4, "query heads per layer of the students")
    max_seq_len: int = flag(256, "tokens per conversation")
    batch_size: int = flag(16, "conversations per step")
    max_steps: int = flag(1250, "optimizer steps of each student", least=1)
    learning_rate: float = flag(5e-3, "peak learning rate of both students")
    tokenizer: str = flag(str(ROOT / "model"), "folder of the tokenizer")
    device: str = flag("auto", "cuda, mps, cpu or auto")


def main() -> None:
    options = parse_options(ComparisonOptions, "Compare a student with a teacher to the same student alone.")

    from dataset.heldout import is_right, read_heldout
    from model.files import write_json
    from model.weights import find_weight

    questions = read_heldout(options.score_data, "test")
    teacher = find_weight(options.teacher_weight, options.out_dir)
    folder = Path(options.out_dir).absolute() / "compare_distillation"
    seeds, right = [], {"alone": [], "taught": []}
    for seed in range(options.seeds):
        losses = {}
        for student in right:
            print(f"\n[seed {seed + 1}/{options.seeds}] student {student}", flush=True)
            weight = train(student, seed, teacher, folder, options)
            validation = read_metadata(weight)["validation"]
            losses[student] = validation["val_cross_entropy" if student == "taught" else "val_loss"]
            places = {"tokenizer": options.tokenizer, "device": options.device}
            replies = replies_of(f"student {student}", weight, {"general": questions}, **places)["general"]
            right[student].append([int(is_right(r, q["answers"])) for q, r in zip(questions, replies, strict=True)])
        seeds.append({
            "seed": seed, "cross_entropy": loss(losses["alone"], losses["taught"]),
            "score": paired_scores(right["alone"][-1], right["taught"][-1]),
        })  # fmt: skip

    comparison = {"teacher": str(teacher), "seeds": seeds, "all": over_seeds(seeds, right)}
    write_json(folder / "comparison.json", comparison)
    header, rows = ["seed", "cross-entropy, alone → taught", "difference"], []
    header += ["score, alone → taught", "difference in points (95 %)"]
    for name, figures in [*((str(seed["seed"]), seed) for seed in seeds), ("all", comparison["all"])]:
        losses, scores = in_words(figures["cross_entropy"]), in_words(figures["score"])
        rows.append([name, " → ".join(losses[:2]), losses[2], " → ".join(scores[:2]), scores[2]])
    print(f"\n{format_table(header, rows)}\n\nPaired by question; of all seeds each question counts once, by its mean.")
    print(folder / "comparison.json")


def train(student: str, seed: int, teacher: Path, folder: Path, options: ComparisonOptions) -> Path:
    """The weight of one student; without a teacher it is plain supervised fine-tuning of a new network."""
    from model.weights import weight_name

    flags = {name: value for name, value in vars(options).items() if name not in NOT_OF_STUDENTS}
    flags |= {"from_weight": "none", "seed": seed, "out_dir": folder, "save_weight": f"{student}_seed{seed}"}
    flags |= {"skip_finished": 1} | ({"teacher_weight": teacher} | TAUGHT if student == "taught" else {})
    script = {"alone": "train_full_sft.py", "taught": "train_distillation.py"}[student]
    words = [str(word) for name, value in flags.items() for word in (f"--{name}", value)]
    ended = subprocess.run([sys.executable, ROOT / "trainer" / script, *words])
    if ended.returncode in (129, 130, 143):
        raise KeyboardInterrupt(ended.returncode - 128)
    if ended.returncode:
        raise ValueError(f"trainer/{script} ended with exit code {ended.returncode}, see above")
    return folder / f"{weight_name(flags['save_weight'], options.hidden_size, False)}.pth"


def over_seeds(seeds: list[dict], right: dict[str, list[list[int]]]) -> dict:
    """Both figures over all seeds. The questions are the sample: one that is asked of three seeds is still one."""
    alone, taught = ([sum(answers) / len(seeds) for answers in zip(*right[s], strict=True)] for s in right)
    losses = [sum(seed["cross_entropy"][side] for seed in seeds) / len(seeds) for side in ("before", "after")]
    return {"cross_entropy": loss(*losses), "score": paired_scores(alone, taught)}


if __name__ == "__main__":
    run(main)
