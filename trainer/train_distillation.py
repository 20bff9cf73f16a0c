"""White-box distillation: a small network learns from a larger one's whole distribution over the next token.

    python trainer/train_distillation.py --hidden_size 256            # a new student, taught by out/full_sft_*.pth
    python trainer/train_distillation.py --from_weight pretrain --teacher_weight out/full_sft_768.pth
    python trainer/train_distillation.py --from_weight full_dist --on_policy 1 --save_weight on_policy

Reads {"conversations": …} lines; teacher and student are compared on the answers' tokens alone. With --on_policy 1 the
student gives the answers itself, and the teacher judges each token of them (Agarwal et al. 2024, "On-policy
distillation"): it learns from the mistakes that it makes. The teacher's sizes come from its .json, its vocabulary must
be the student's. Writes out/full_dist_{hidden_size}[_moe].pth.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from trainer.command_line import flag, parse_options, require, run  # noqa: E402
from trainer.options import RolloutOptions  # noqa: E402


@dataclass
class DistillationOptions(RolloutOptions):
    teacher_weight: str = flag("full_sft", "weight to learn from: a name in out_dir, or a .pth path", free=True)
    on_policy: bool = flag(False, "learn from the student's own answers to the data's questions")
    alpha: float | None = flag(None, "weight of the data's own labels; 1 - alpha is the teacher's; default: 0.5 "
                               "(on-policy: 0, there are none)", least=0, most=1)  # fmt: skip
    temperature: float = flag(1.0, "both distributions are softened by it; above 1 a small student also copies noise",
                              above=0)  # fmt: skip
    kl: str | None = flag(None, "forward: cover what the teacher may say; reverse: avoid what it would not; default: "
                          "forward (on-policy: reverse)", choices=["forward", "reverse"])  # fmt: skip
    save_weight: str = flag("full_dist", "name of the weight that is written")
    batch_size: int = flag(16, "conversations per device and micro-batch")
    group_size: int = flag(1, "on-policy: answers to each question")
    optimizer: str = flag("muon", "muon (for the matrices; AdamW for the rest), or adamw", choices=["muon", "adamw"])
    weight_decay: float = flag(0.1, "weight decay of matrices; norms and embeddings have none")
    learning_rate: float = flag(5e-4, "peak learning rate; it rises over warmup_steps and falls by a cosine to a tenth")

    def __post_init__(self):
        super().__post_init__()
        if self.on_policy:
            self.check_rollouts()
        require(not (self.on_policy and self.alpha), "--on_policy 1: the student's answers have no labels: leave "
                "--alpha out")  # fmt: skip
        self.alpha = (0.0 if self.on_policy else 0.5) if self.alpha is None else self.alpha
        self.kl = self.kl or ("reverse" if self.on_policy else "forward")


def main() -> None:
    options = parse_options(DistillationOptions, "Let a small MiniMind learn from a larger one.")

    from dataset.lm_dataset import SFTDataset
    from model.files import file_hash
    from model.weights import WeightError, find_weight, load_weights
    from trainer.loading import set_template
    from trainer.objectives import DistillationObjective
    from trainer.rollout import Rollouts
    from trainer.stage import check_length, load_data, load_questions, make_model, stage, train

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
        data, rollouts = load_data(SFTDataset, options, tokenizer, world, full_sets, "distill.jsonl"), None
        if options.on_policy:
            questions, _ = load_questions(options, tokenizer, world, full_sets, "distill.jsonl")
            data, rollouts = (questions, data[1]), Rollouts(options, objective, tokenizer, world, questions)
        train(options, "distillation", world, objective, tokenizer, *data, rollouts=rollouts)


if __name__ == "__main__":
    run(main)
