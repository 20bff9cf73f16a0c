"""Pretraining: the network learns language and facts by predicting the next token of plain text.

    python trainer/train_pretrain.py                                  # MiniMind2-Small, 26M
    python trainer/train_pretrain.py --hidden_size 768 --num_hidden_layers 16
    torchrun --nproc_per_node 2 trainer/train_pretrain.py --use_moe 1 --hidden_size 640

Reads {"text": …} lines, writes out/pretrain_{hidden_size}[_moe].pth.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from trainer.command_line import flag, parse_options, run  # noqa: E402
from trainer.options import TrainOptions  # noqa: E402


@dataclass
class PretrainOptions(TrainOptions):
    learning_rate: float = flag(2e-3, "peak learning rate; it rises over warmup_steps and falls by a cosine to a tenth")
    embedding_lr_scale: float = flag(5.0, "the rate of the embedding, also the head, in multiples of learning_rate")


def main() -> None:
    options = parse_options(PretrainOptions, "Pretrain MiniMind on plain text.")

    from dataset.lm_dataset import PretrainDataset
    from trainer.objectives import LanguageModelObjective
    from trainer.stage import load_data, make_model, stage, train

    with stage(options) as (world, tokenizer):
        objective = LanguageModelObjective(make_model(options, tokenizer, world))
        full_sets = ["pretrain_t2t_mini.jsonl", "pretrain_hq.jsonl"]
        data = load_data(PretrainDataset, options, tokenizer, world, full_sets, "pretrain.jsonl")
        train(options, "pretrain", world, objective, tokenizer, *data)


if __name__ == "__main__":
    run(main)
