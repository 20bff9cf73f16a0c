"""Reasoning distillation: the network learns to think aloud before it answers, from a larger model's written thoughts.

    python trainer/train_distill_reason.py                            # from out/rlhf_*.pth, else out/full_sft_*.pth
    python eval_model.py --model_mode 3                               # talk to the result

Reads {"conversations": …} lines whose answers are <think>\\n…\\n</think>\\n<answer>\\n…\\n</answer>. The four tags are
single tokens that weigh 10 in the loss: everything hangs on them. Writes out/reason_{hidden_size}[_moe].pth.
"""

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from trainer.command_line import flag, parse_options, run  # noqa: E402
from trainer.options import TrainOptions  # noqa: E402


@dataclass
class ReasonOptions(TrainOptions):
    from_weight: str | None = flag(None, "weight to start from; default: rlhf if out_dir has one, else full_sft")
    save_weight: str = flag("reason", "name of the weight that is written")
    batch_size: int = flag(8, "conversations per device and micro-batch")
    max_seq_len: int = flag(1024, "tokens per conversation")
    learning_rate: float = flag(1e-4, "peak learning rate; it rises over warmup_steps and falls by a cosine to a tenth")


def main() -> None:
    options = parse_options(ReasonOptions, "Teach MiniMind to think before it answers.")

    from dataset.lm_dataset import ReasonDataset
    from model.weights import WeightError, find_weight
    from trainer.objectives import LanguageModelObjective
    from trainer.stage import load_data, make_model, stage, train

    if options.from_weight is None:
        options.from_weight = "full_sft"
        with contextlib.suppress(WeightError):
            options.from_weight = str(find_weight("rlhf", options.out_dir, options.hidden_size, options.use_moe))

    with stage(options) as (world, tokenizer):
        objective = LanguageModelObjective(make_model(options, tokenizer, world), weighted=True)
        data = load_data(ReasonDataset, options, tokenizer, world, ["r1_mix_1024.jsonl"], "reason.jsonl")
        train(options, "reason", world, objective, tokenizer, *data)


if __name__ == "__main__":
    run(main)
