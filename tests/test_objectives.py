"""Objectives: what is counted, what is trained, and what is only reported."""

import math

import pytest
import torch
from torch.nn.utils.rnn import pad_sequence

from dataset.batching import Collate, PairCollate
from trainer.losses import CLIPS, token_cross_entropy, token_kl
from trainer.objectives import (
    ActorCriticObjective,
    DistillationObjective,
    PolicyObjective,
    PreferenceObjective,
    decode,
)
from trainer.optim import Temperature, make_optimizer
from trainer.reference import sample_answers


def sample(length: int, n_answer: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    ids = torch.randint(3, 97, (length + 1,), generator=torch.Generator().manual_seed(seed))
    return ids[:-1], ids[1:], torch.tensor([0.0] * (length - n_answer) + [1.0] * n_answer)


def alone(model, one) -> float:
    """log p(answer) of one sample, from the logits."""
    ids, targets, mask = one
    with torch.no_grad():
        log_probs = model(ids[None]).logits[0].log_softmax(-1)
    return float((log_probs.gather(1, targets[:, None])[:, 0] * mask).sum())


PAIRS = [(sample(9, 4), sample(6, 2, 1), torch.zeros(2)), (sample(5, 3, 2), sample(12, 6, 3), torch.zeros(2))]


@pytest.mark.parametrize("use_moe", [False, True])
@pytest.mark.parametrize("normalised", [False, True])
def test_preference_figures_are_those_of_each_pair_alone(make_model, use_moe, normalised):
    """Padding and company change nothing; the reference is in the batch."""
    model = make_model(use_moe=use_moe)
    reference = [[-20.0, -7.0], [-11.0, -30.0]]
    pairs = [(*pair[:2], torch.tensor(row)) for pair, row in zip(PAIRS, reference, strict=True)]
    objective = PreferenceObjective(model, beta=0.2, length_normalised=normalised)
    batch = PairCollate(0)(pairs)
    sums, counts = objective(batch), objective.counts(batch)
    margins, chosen_logp, rejected_logp = [], [], []
    for (chosen, rejected, _), (ref_chosen, ref_rejected) in zip(pairs, reference, strict=True):
        n_chosen, n_rejected = (float(one[2].sum()) if normalised else 1.0 for one in (chosen, rejected))
        chosen_logp.append(alone(model, chosen) / n_chosen)
        rejected_logp.append(alone(model, rejected) / n_rejected)
        margins.append(0.2 * (chosen_logp[-1] - ref_chosen / n_chosen - rejected_logp[-1] + ref_rejected / n_rejected))
    expected = {
        "loss": sum(math.log1p(math.exp(-m)) for m in margins),
        "reward_margin": sum(margins),
        "reward_accuracy": sum(m > 0 for m in margins),
        "chosen_logp": sum(chosen_logp),
        "rejected_logp": sum(rejected_logp),
    }
    assert {name: sums[name].item() for name in expected} == pytest.approx(expected, rel=1e-4)
    trained = {name for name, value in sums.items() if value.requires_grad}
    assert trained == ({"loss", "aux_loss"} if use_moe else {"loss"})
    assert counts == dict.fromkeys(expected, 2.0) | ({"aux_loss": 4.0} if use_moe else {})


def test_ties_count_half_and_the_first_loss_is_ln_2(make_model):
    objective = PreferenceObjective(make_model(), beta=0.1)
    batch = PairCollate(0)(PAIRS)
    with torch.no_grad():
        batch["reference"] = objective.log_probs(decode(objective.model, batch).last_hidden_state, batch).T
    sums = objective(batch)
    assert float(sums["reward_accuracy"]) == 1.0 and float(sums["reward_margin"]) == 0.0
    assert sums["loss"].item() == pytest.approx(2 * math.log(2))


def test_a_rank_without_pairs_counts_nothing_and_has_gradients(make_model):
    objective = PreferenceObjective(make_model(use_moe=True), beta=0.1)
    batch = PairCollate(0)([])
    sums = objective(batch)
    assert set(sums) == set(objective.counts(batch))
    assert all(value == 0 for value in [*sums.values(), *objective.counts(batch).values()])
    sum(value for value in sums.values() if value.requires_grad).backward()
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in objective.parameters())


@pytest.mark.parametrize("reverse", [False, True])
def test_distillation_mixes_labels_and_teacher(make_model, reverse):
    student, teacher = make_model(hidden_size=32), make_model(seed=1, use_moe=True)
    objective = DistillationObjective(student, teacher, alpha=0.3, temperature=2.0, reverse=reverse)
    batch = PairCollate(0)(PAIRS)
    sums = objective(batch)
    with torch.no_grad():
        own, taught = (decode(model, batch).last_hidden_state for model in (student, teacher))
        hard = token_cross_entropy(own, student.lm_head.weight, batch["targets"], batch["loss_mask"])
        heads = student.lm_head.weight, teacher.lm_head.weight
        soft = token_kl(own, heads[0], taught, heads[1], batch["loss_mask"], 2.0, reverse)
    expected = {"loss": 0.3 * hard + 0.7 * soft, "cross_entropy": hard, "kl": soft}
    assert {k: v.item() for k, v in sums.items()} == pytest.approx({k: v.item() for k, v in expected.items()}, rel=1e-5)
    sums["loss"].backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_nobody_trains_or_saves_the_teacher(make_model):
    student, teacher = make_model(hidden_size=32), make_model(seed=1)
    objective = DistillationObjective(student, teacher, alpha=0.5, temperature=1.0)
    assert list(objective.parameters()) == list(student.parameters())
    assert set(objective.state_dict()) == {f"model.{key}" for key in student.state_dict()}
    objective.train()
    assert not teacher.training  # its dropout stays off


def test_an_answer_is_sampled_within_the_positions_of_the_network(make_model, tokenizer):
    """DPO's estimate of the KL: the longest prompt that training can have leaves room for one token."""
    model = make_model(vocab_size=len(tokenizer), max_position_embeddings=16)
    for n_tokens in (16, 12):
        batch = sample_answers(model, tokenizer, [list(range(20, 20 + n_tokens)), [30, 31]], torch.device("cpu"))
        assert n_tokens <= batch["input_ids"].shape[1] <= 16 and batch["loss_mask"].sum() >= 2
        decode(model, batch, right_padded=False)


ANSWERS = [sample(9, 4), sample(6, 2, 1), sample(12, 6, 2), sample(5, 3, 3)]
KINDS = [*CLIPS, "shared critic", "own critic"]


def trajectories(answers) -> dict[str, torch.Tensor]:
    """A batch as of trainer/rollout.py; each answer's numbers are its own in whatever company."""
    batch = Collate(0)(answers) | {"told": torch.zeros(0), "n_told": torch.tensor(0.0)}
    for place, name in enumerate(("old_log_probs", "advantages", "old_values", "returns")):
        seeds = [torch.Generator().manual_seed(place + 10 * int(ids.sum())) for ids, *_ in answers]
        rows = [torch.randn(len(one[0]), generator=seed) for one, seed in zip(answers, seeds, strict=True)]
        batch[name] = pad_sequence(rows, batch_first=True) if rows else torch.zeros_like(batch["loss_mask"])
    batch["old_log_probs"] -= 5  # about as likely as the network finds them: some ratios are clipped
    return batch


def policy_objective(make_model, kind: str, **config) -> PolicyObjective:
    """With a reference, or a critic that knows something and has gone its own way."""
    model = make_model(**config)
    if kind in CLIPS:
        return PolicyObjective(model, kind, (None, None), 8, 0.1, make_model(seed=1, **config))
    critic = {"shared": kind == "shared critic", "value_weight": 0.5, "value_clip": 0.2}
    objective = ActorCriticObjective(model, "dapo", (None, None), 8, **critic)
    torch.manual_seed(2)
    for module in (objective.value_head, *([objective.critic] if objective.critic else [])):
        for parameter in module.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return objective


def summed(objective, *batches) -> tuple[dict, dict, list[torch.Tensor]]:
    """Sums and counts over batches, and the gradients of all that is trained."""
    sums, counts = {}, {}
    objective.zero_grad()
    for batch in batches:
        found = objective(batch)
        sum(value for value in found.values() if value.requires_grad).backward()
        for total, values in ((sums, {n: v.item() for n, v in found.items()}), (counts, objective.counts(batch))):
            total |= {name: total.get(name, 0.0) + value for name, value in values.items()}
    return sums, counts, [parameter.grad for parameter in objective.parameters()]


@pytest.mark.parametrize("kind", ["shared critic", "own critic"])
def test_actor_critic_is_ppo_written_out(make_model, kind):
    objective, batch = policy_objective(make_model, kind), trajectories(ANSWERS)
    policy, value, n_tokens = 0.0, 0.0, 0
    weight, bias = objective.value_head.weight.detach()[0], objective.value_head.bias.detach()[0]
    for row, (ids, targets, mask) in enumerate(ANSWERS):
        with torch.no_grad():
            log_probs = objective.model(ids[None]).logits[0].log_softmax(-1)
            hidden = decode(objective.critic or objective.model, {"input_ids": ids[None]}).last_hidden_state[0]
        for t in mask.nonzero().flatten().tolist():
            old, advantage, before, wanted = (
                float(batch[name][row, t]) for name in ("old_log_probs", "advantages", "old_values", "returns")
            )
            ratio, worth = math.exp(float(log_probs[t, targets[t]]) - old), float(hidden[t] @ weight + bias)
            policy -= min(ratio * advantage, min(max(ratio, 0.8), 1.28) * advantage)
            near = min(max(worth, before - 0.2), before + 0.2)
            value += max((worth - wanted) ** 2, (near - wanted) ** 2) / 2
            n_tokens += 1
    sums, counts, _ = summed(objective, batch)
    assert sums["loss"] == pytest.approx(policy + 0.5 * value, rel=1e-5)
    assert sums["value_loss"] == pytest.approx(value, rel=1e-5)
    assert counts == dict.fromkeys(objective.figures, float(n_tokens))
    assert 0 < sums["clipped"] < n_tokens


def test_an_own_critic_leaves_the_policy_alone(make_model):
    """Its error moves the critic; the policy's gradient is that of the policy's loss. A shared trunk has both."""
    batch = trajectories(ANSWERS)
    alone = PolicyObjective(make_model(), "dapo", (None, None), 8)
    *_, wanted = summed(alone, batch)
    for kind in ("own critic", "shared critic"):
        objective = policy_objective(make_model, kind)
        summed(objective, batch)
        same = [torch.equal(p.grad, want) for p, want in zip(objective.model.parameters(), wanted, strict=True)]
        assert all(same) if kind == "own critic" else not any(same)
        assert objective.value_head.weight.grad.any()
        learned = make_optimizer(objective, "adamw", 0.0, "cpu", temperature_lr_scale=9.0).parts
        assert [part.gain for part in learned if isinstance(part, Temperature)] == [objective.model.model.norm.weight]


def test_the_kl_to_the_reference_is_part_of_the_loss(make_model):
    """As it is estimated at the sampled tokens: exp(d) - d - 1 with d = log reference - log policy."""
    batch, expected = trajectories(ANSWERS), 0.0
    without, _, _ = summed(PolicyObjective(make_model(), "dapo", (None, None), 8), batch)
    sums, _, _ = summed(policy_objective(make_model, "dapo"), batch)
    for ids, targets, mask in ANSWERS:
        with torch.no_grad():
            policy, reference = (make_model(seed)(ids[None]).logits[0].log_softmax(-1) for seed in (0, 1))
        for t in mask.nonzero().flatten().tolist():
            d = float(reference[t, targets[t]] - policy[t, targets[t]])
            expected += math.exp(d) - d - 1
    assert sums["reference_kl"] == pytest.approx(expected, rel=1e-5)
    assert sums["loss"] - without["loss"] == pytest.approx(0.1 * expected, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_two_micro_batches_are_one(make_model, kind):
    objective = policy_objective(make_model, kind)
    sums, counts, grads = summed(objective, trajectories(ANSWERS))
    parts, part_counts, part_grads = summed(objective, trajectories(ANSWERS[:1]), trajectories(ANSWERS[1:]))
    assert set(sums) == set(counts) == set(objective.figures) and part_counts == counts
    assert parts == pytest.approx(sums, rel=1e-5, abs=1e-5)
    largest = max(float(grad.abs().max()) for grad in grads)
    for grad, other in zip(grads, part_grads, strict=True):
        torch.testing.assert_close(other, grad, rtol=0, atol=1e-5 * largest)


@pytest.mark.parametrize("use_moe", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_no_answers_have_no_loss_and_a_gradient_of_zero(make_model, kind, use_moe):
    """A rank without any has to send gradients to the others all the same."""
    objective = policy_objective(make_model, kind, use_moe=use_moe)
    sums, counts, grads = summed(objective, trajectories([]))
    assert not any([*sums.values(), *counts.values()])
    assert all(grad is not None and not grad.any() for grad in grads)
