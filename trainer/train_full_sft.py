"""Supervised fine-tuning: a pretrained network learns to answer, all of its weights free.

    python trainer/train_full_sft.py                                  # from out/pretrain_*.pth
    torchrun --nproc_per_node 2 trainer/train_full_sft.py --data_path dataset/sft_512.jsonl

Reads {"conversations": [{"role", "content"}, …]} lines; only the assistant's words (and the end of its turn) are
learned. Writes out/full_sft_{hidden_size}[_moe].pth.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from trainer.command_line import flag, parse_options, run  # noqa: E402
from trainer.options import TrainOptions  # noqa: E402


@dataclass
class SFTOptions(TrainOptions):
    from_weight: str = flag("pretrain", "weight to start from: a name in out_dir, a .pth path, or none")
    save_weight: str = flag("full_sft", "name of the weight that is written")
    batch_size: int = flag(16, "conversations per device and micro-batch")


def main() -> None:
    options = parse_options(SFTOptions, "Fine-tune MiniMind on conversations.")

    from dataset.lm_dataset import SFTDataset
    from trainer.objectives import LanguageModelObjective
    from trainer.stage import load_data, make_model, stage, train

    with stage(options) as (world, tokenizer):
        objective = LanguageModelObjective(make_model(options, tokenizer, world))
        full_sets = ["sft_t2t_mini.jsonl", "sft_mini_512.jsonl"]
        data = load_data(SFTDataset, options, tokenizer, world, full_sets, "sft.jsonl")
        train(options, "full_sft", world, objective, tokenizer, *data)


if __name__ == "__main__":
    run(main)
