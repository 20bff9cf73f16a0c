"""DPO: the network learns from pairs which of two answers people prefer, without a reward model (Rafailov et al. 2023).

    python trainer/train_dpo.py                                       # from out/full_sft_*.pth
    torchrun --nproc_per_node 2 trainer/train_dpo.py --beta 0.2 --data_path dataset/dpo.jsonl

Reads {"chosen": [{"role", "content"}, …], "rejected": […]} lines; only the last answers are learned. The reference is
the weight that training starts from: its log-probabilities are computed once and cached, so one model is in memory.
Writes out/rlhf_{hidden_size}[_moe].pth.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from trainer.command_line import flag, parse_options, require, run  # noqa: E402
from trainer.options import TrainOptions  # noqa: E402


@dataclass
class DPOOptions(TrainOptions):
    beta: float = flag(0.1, "how strongly the policy is held to the reference: higher, closer", above=0)
    label_smoothing: float = flag(0.0, "share of pairs whose preference is taken to be wrong", least=0, below=0.5)
    length_normalised: bool = flag(False, "an answer's log-probability is the mean over its tokens, not the sum")
    from_weight: str = flag("full_sft", "weight to start from, and the reference: a name in out_dir, or a .pth path")
    save_weight: str = flag("rlhf", "name of the weight that is written")
    batch_size: int = flag(8, "pairs per device and micro-batch")
    max_seq_len: int = flag(1024, "tokens of prompt and answer")
    learning_rate: float = flag(2e-5, "peak learning rate; it rises over warmup_steps and falls by a cosine to a tenth")
    optimizer: str = flag("adamw", "muon (for the matrices; AdamW for the rest), or adamw", choices=["muon", "adamw"])
    weight_decay: float = flag(0.0, "weight decay of matrices: it would pull away from the reference")

    def __post_init__(self):
        require(self.from_weight != "none", "--from_weight none: preferences need a trained weight to start from")


def main() -> None:
    options = parse_options(DPOOptions, "Teach MiniMind a preference from pairs of answers.")

    from dataset.lm_dataset import DPODataset
    from model.files import file_hash
    from model.weights import weight_name
    from trainer.objectives import PreferenceObjective
    from trainer.reference import kl_to_reference, reference_log_probs
    from trainer.stage import run_stage

    class DPOObjective(PreferenceObjective):
        """The preference loss against the starting weights."""

        def prepare(self, trainer) -> None:
            for data in (trainer.train_data, trainer.val_data):
                data.reference = reference_log_probs(trainer, self, data, self.origin["reference weight"])

        def more_figures(self, trainer) -> dict[str, float]:
            kl = kl_to_reference(trainer, Path(options.from_weight), self.origin["reference weight"])
            return {"kl_to_reference": kl}

    def make_objective(model, tokenizer, options):
        name = weight_name(options.save_weight, model.config.hidden_size, model.config.use_moe)
        if Path(options.from_weight) == Path(options.out_dir).absolute() / f"{name}.pth":
            raise ValueError(f"{options.from_weight}: the reference would be overwritten: pass another --save_weight")
        origin = {"reference weight": file_hash(options.from_weight)}
        return DPOObjective(model, options.beta, options.label_smoothing, options.length_normalised, origin)

    run_stage(options, "dpo", "dpo.jsonl", "dpo.jsonl", DPODataset, make_objective)


if __name__ == "__main__":
    run(main)
