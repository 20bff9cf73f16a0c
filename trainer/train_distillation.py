"""White-box distillation: a small network learns from a larger one's whole distribution over the next token.

    python trainer/train_distillation.py --hidden_size 256            # a new student, taught by out/full_sft_*.pth
    python trainer/train_distillation.py --from_weight pretrain --teacher_weight out/full_sft_768.pth

Reads {"conversations": …} lines; teacher and student are compared on the answers' tokens alone. The teacher's sizes
come from its .json, its vocabulary must be the student's. Writes out/full_dist_{hidden_size}[_moe].pth.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from trainer.command_line import flag, parse_options, run  # noqa: E402
from trainer.options import TrainOptions  # noqa: E402


@dataclass
class DistillationOptions(TrainOptions):
    teacher_weight: str = flag("full_sft", "weight to learn from: a name in out_dir, or a .pth path", free=True)
    alpha: float = flag(0.5, "weight of the data's own labels; 1 - alpha is the teacher's", least=0, most=1)
    temperature: float = flag(1.0, "both distributions are softened by it; above 1 a small student also copies noise",
                              above=0)  # fmt: skip
    kl: str = flag("forward", "forward: cover what the teacher may say; reverse: avoid what it would not",
                   choices=["forward", "reverse"])  # fmt: skip
    save_weight: str = flag("full_dist", "name of the weight that is written")
    batch_size: int = flag(16, "conversations per device and micro-batch")


def main() -> None:
    options = parse_options(DistillationOptions, "Let a small MiniMind learn from a larger one.")

    from dataset.lm_dataset import SFTDataset
    from model.files import file_hash
    from model.weights import WeightError, find_weight, load_weights
    from trainer.loading import set_template
    from trainer.objectives import DistillationObjective
    from trainer.stage import check_length, load_data, make_model, stage, train

    with stage(options) as (world, tokenizer):
        student = make_model(options, tokenizer, world)
        path = find_weight(options.teacher_weight, options.out_dir)
        metadata = path.with_suffix(".json")
        if path.is_file() and not metadata.is_file():
            raise WeightError(f"{path}: {metadata.name}, which holds the teacher's sizes, is missing: copy it too")
        teacher, info = load_weights(path, tokenizer)
        teacher = teacher.to(world.device)
        set_template(tokenizer, options.chat_template or info.get("chat_template"), path)
        check_length(options, teacher, path)
        objective = DistillationObjective(
            student, teacher, options.alpha, options.temperature, options.kl == "reverse",
            origin={"teacher weight": file_hash(path)},
        )  # fmt: skip
        full_sets = ["sft_t2t_mini.jsonl", "sft_mini_512.jsonl"]
        data = load_data(SFTDataset, options, tokenizer, world, full_sets, "distill.jsonl")
        train(options, "distillation", world, objective, tokenizer, *data)


if __name__ == "__main__":
    run(main)
