"""DPO: the network learns from pairs which of two answers people prefer, without a reward model (Rafailov et al. 2023).

    python trainer/train_dpo.py                                       # from out/full_sft_*.pth
    torchrun --nproc_per_node 2 trainer/train_dpo.py --beta 0.2 --data_path dataset/dpo.jsonl

Reads {"chosen": [{"role", "content"}, …], "rejected": […]} lines; only the last answers are learned. The reference is
the weight that training starts from: its log-probabilities are computed once, so one model is in memory.
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
        super().__post_init__()
        require(self.from_weight != "none", "--from_weight none: preferences need a trained weight to start from")


def main() -> None:
    options = parse_options(DPOOptions, "Teach MiniMind a preference from pairs of answers.")

    from dataset.lm_dataset import DPODataset
    from trainer.objectives import PreferenceObjective
    from trainer.reference import Reference
    from trainer.stage import load_data, make_model, stage, train

    with stage(options) as (world, tokenizer):
        model = make_model(options, tokenizer, world)
        reference = Reference(options, tokenizer, world, model.config)
        objective = PreferenceObjective(
            model, options.beta, options.label_smoothing, options.length_normalised,
            origin={"reference weight": reference.hash},
        )  # fmt: skip
        data = load_data(DPODataset, options, tokenizer, world, ["dpo.jsonl"], "dpo.jsonl")
        for part in data:
            part.reference = reference.log_probs(model, part)

        def kl_to_reference(policy) -> dict[str, float]:
            return {"kl_to_reference": reference.kl(policy, data[1])}

        train(options, "dpo", world, objective, tokenizer, *data, extra_figures=kl_to_reference)


if __name__ == "__main__":
    run(main)
