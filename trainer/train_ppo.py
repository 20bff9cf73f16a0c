"""PPO: as in GRPO the network tries and is rewarded, but a critic says what could be expected (Schulman et al. 2017).

    python trainer/train_ppo.py                                       # from out/reason_*.pth
    python trainer/train_ppo.py --critic own --passes 4 --max_kl 0.1

The questions, rewards and rollouts are those of train_grpo.py. The critic is a head on the policy's own network, or on
a copy of it, and learns with it, token by token; its advantages are GAE's (Schulman et al. 2016).
Writes out/ppo_{hidden_size}[_moe].pth, without the critic, which is in the training state.
"""

import copy
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from trainer.command_line import flag, parse_options, run  # noqa: E402
from trainer.options import RewardOptions  # noqa: E402


@dataclass
class PPOOptions(RewardOptions):
    critic: str = flag("shared", "a head on the policy's own network, or on a copy of it", choices=["shared", "own"])
    gamma: float = flag(1.0, "discount of later rewards, per token", above=0, most=1)
    gae_lambda: float = flag(0.95, "0: trust the critic, 1: trust what came out", least=0, most=1)
    clip: float = flag(0.2, "how far the ratio may leave 1", above=0, most=1)
    value_clip: float = flag(0.2, "how far a value may leave what it was", above=0)
    value_weight: float = flag(0.5, "of the critic's error in the loss", least=0)
    passes: int = flag(2, "updates on each rollout")
    max_kl: float = flag(0.25, "a rollout's passes end when the policy has moved so far, in nats per token")
    save_weight: str = flag("ppo", "name of the weight that is written")


def main() -> None:
    options = parse_options(PPOOptions, "Let MiniMind learn from its own answers, by PPO.")

    from model.files import file_hash
    from trainer.objectives import ActorCriticObjective
    from trainer.rewards import Rewards
    from trainer.rollout import CriticRollouts
    from trainer.stage import load_questions, make_model, stage, train

    with stage(options) as (world, tokenizer):
        rewards = Rewards(options.rewards, options.reward_model, world.device)
        model = make_model(options, tokenizer, world)
        questions = load_questions(options, tokenizer, world, ["rl.jsonl"], "rl.jsonl", rewards.need_answers)
        objective = ActorCriticObjective(
            model, "dapo", (options.clip, options.clip), options.max_new_tokens, options.kl_weight,
            copy.deepcopy(model) if options.kl_weight else None, shared=options.critic == "shared",
            value_weight=options.value_weight, value_clip=options.value_clip,
            origin={"starting weight": file_hash(options.from_weight)},
        )  # fmt: skip
        rollouts = CriticRollouts(options, objective, tokenizer, world, questions[0], rewards)
        train(options, "ppo", world, objective, tokenizer, *questions, rollouts=rollouts)


if __name__ == "__main__":
    run(main)
