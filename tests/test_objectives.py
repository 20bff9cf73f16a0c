"""Objectives: what is counted, what is trained, and what is only reported."""

import math

import pytest
import torch

from dataset.batching import PairCollate
from trainer.losses import token_cross_entropy, token_kl
from trainer.objectives import DistillationObjective, PreferenceObjective, decode
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
