"""GRPO and its relatives: the network tries, and learns from what came out right (Shao et al. 2024, "DeepSeekMath").

    python trainer/train_grpo.py                                      # from out/reason_*.pth
    python trainer/train_grpo.py --loss dapo --passes 2 --equal_groups resample
    torchrun --nproc_per_node 2 trainer/train_grpo.py --rewards right=1 my_reward.py:score=0.2

Reads questions with their right answers: {"messages": […], "answers": […]} lines. To each question the policy gives
`--group_size` answers; each is rewarded (trainer/rewards.py), and what is better than its group becomes likelier, what
is worse less likely. No critic and, unless `--kl_weight` is given, no reference: one network is in memory.
Writes out/grpo_{hidden_size}[_moe].pth, or with --lora_name an adapter, and every few steps a group of answers into
out/rollouts/ (scripts/show_rollouts.py makes a page of them).
"""

import copy
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from trainer.command_line import flag, parse_options, require, run  # noqa: E402
from trainer.options import RewardOptions  # noqa: E402


@dataclass
class GRPOOptions(RewardOptions):
    loss: str = flag("grpo", "how the answers are weighed: trainer/losses.py, policy_loss",
                     choices=["grpo", "dapo", "dr_grpo", "cispo", "gspo", "reinforce"])  # fmt: skip
    clip_low: float | None = flag(None, "how far the ratio may fall below 1; default: the loss's own", least=0, most=1)
    clip_high: float | None = flag(None, "how far it may rise above 1 (cispo: its largest value); default: the loss's "
                                   "own", least=0)  # fmt: skip
    scale_rewards: str | None = flag(None, "divide advantages by the standard deviation of the group, of the batch, or "
                                     "not at all; default: group (dr_grpo, reinforce: none)",
                                     choices=["group", "batch", "none"])  # fmt: skip
    equal_groups: str = flag("skip", "answers that are all worth the same teach nothing: skip them, keep them in the "
                             "counts, or resample other questions", choices=["skip", "keep", "resample"])  # fmt: skip
    lora_name: str | None = flag(None, "train an adapter of this name instead of the whole network", is_name=True)
    lora_rank: int = flag(8, "rank of its matrices", least=1, most=65536)
    save_weight: str = flag("grpo", "name of the weight that is written")

    def __post_init__(self):
        super().__post_init__()
        if self.scale_rewards is None:
            self.scale_rewards = "none" if self.loss in ("dr_grpo", "reinforce") else "group"
        require(self.group_size > 1, "--group_size 1: a group of one has nothing to be better than: use 2 or more")
        if self.lora_name:
            require(not self.temperature_lr_scale, "--temperature_lr_scale: with --lora_name the norms do not learn")
            self.save_weight = f"lora/{self.lora_name}"


def main() -> None:
    options = parse_options(GRPOOptions, "Let MiniMind learn from its own answers, by GRPO and its relatives.")

    from model.files import file_hash
    from model.model_lora import apply_lora, save_lora
    from model.weights import save_weights
    from trainer.objectives import PolicyObjective
    from trainer.rewards import Rewards
    from trainer.rollout import Rollouts
    from trainer.stage import load_questions, make_model, stage, train

    with stage(options) as (world, tokenizer):
        rewards = Rewards(options.rewards, options.reward_model, world.device)
        model = make_model(options, tokenizer, world)
        reference = copy.deepcopy(model) if options.kl_weight else None
        if options.lora_name:
            apply_lora(model, options.lora_rank)
        questions = load_questions(options, tokenizer, world, ["rl.jsonl"], "rl.jsonl", rewards.need_answers)
        objective = PolicyObjective(
            model, options.loss, (options.clip_low, options.clip_high), options.max_new_tokens, options.kl_weight,
            reference, origin={"starting weight": file_hash(options.from_weight)},
        )  # fmt: skip
        rollouts = Rollouts(options, objective, tokenizer, world, questions[0], rewards)
        save = save_lora if options.lora_name else save_weights
        train(options, "grpo", world, objective, tokenizer, *questions, save_result=save, rollouts=rollouts)


if __name__ == "__main__":
    run(main)
