"""LoRA: a trained network learns something small (a new name, a narrow field) in an adapter beside its frozen weights.

    python trainer/train_lora.py                                      # dataset/lora_identity.jsonl
    python trainer/train_lora.py --lora_name medical --lora_rank 16   # dataset/lora_medical.jsonl
    python eval_model.py --lora_name identity                         # talk to the result

Reads {"conversations": …} lines like supervised fine-tuning. Writes the adapter alone, a few percent of the weights,
to out/lora/{lora_name}_{hidden_size}[_moe].pth; the weight that it was trained on stays as it is.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from trainer.command_line import flag, parse_options, require, run  # noqa: E402
from trainer.options import TrainOptions  # noqa: E402


@dataclass
class LoRAOptions(TrainOptions):
    lora_name: str = flag("identity", "name of the adapter; without --data_path also of the data, lora_NAME.jsonl",
                          is_name=True)  # fmt: skip
    lora_rank: int = flag(8, "rank of the adapter's matrices", least=1, most=65536)
    lora_alpha: float = flag(16.0, "the adapter's output is multiplied by alpha / rank", above=0)
    lora_dropout: float = flag(0.0, "dropout of what goes into the adapter", least=0, below=1)
    lora_targets: list[str] = flag([], "names of the layers that get one, as q_proj v_proj; default: all projections")
    from_weight: str = flag("full_sft", "weight to adapt: a name in out_dir, or a .pth path")
    save_weight: str = field(default="", init=False)  # follows from lora_name
    batch_size: int = flag(16, "conversations per device and micro-batch")
    epochs: int = flag(10, "passes over the data")
    learning_rate: float = flag(1e-3, "peak learning rate; it rises over warmup_steps and falls by a cosine to a tenth")
    optimizer: str = flag("adamw", "muon (for the matrices; AdamW for the rest), or adamw", choices=["muon", "adamw"])
    weight_decay: float = flag(0.0, "weight decay of the adapter's matrices")

    def __post_init__(self):
        super().__post_init__()
        require(self.from_weight != "none", "--from_weight none: an adapter needs a trained weight to adapt")
        self.save_weight = f"lora/{self.lora_name}"


def main() -> None:
    options = parse_options(LoRAOptions, "Train a LoRA adapter for MiniMind on conversations.")

    import torch

    from dataset.lm_dataset import SFTDataset
    from model.files import file_hash
    from model.model_lora import DEFAULT_TARGETS, apply_lora, save_lora
    from trainer.objectives import LanguageModelObjective
    from trainer.stage import load_data, make_model, stage, train

    with stage(options) as (world, tokenizer):
        model = make_model(options, tokenizer, world)
        torch.manual_seed(options.seed)  # of the A matrices
        targets = options.lora_targets or DEFAULT_TARGETS
        apply_lora(model, options.lora_rank, options.lora_alpha, options.lora_dropout, targets)
        objective = LanguageModelObjective(model, origin={"base weight": file_hash(options.from_weight)})
        name = f"lora_{options.lora_name}.jsonl"
        data = load_data(SFTDataset, options, tokenizer, world, [name], name)
        train(options, "lora", world, objective, tokenizer, *data, save_result=save_lora)


if __name__ == "__main__":
    run(main)
