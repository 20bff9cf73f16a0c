"""Operations counted on the network itself, beside the formula worked out by hand for small networks."""

import pytest
import torch

from dataset.batching import Collate, PairCollate
from model.model_lora import apply_lora
from trainer.flops import flops_per_token, training_flops
from trainer.loading import speed_up
from trainer.objectives import DistillationObjective, LanguageModelObjective, PreferenceObjective

V, C, F, LAYERS, KV = 97, 48, 128, 2, 2 * 12  # vocabulary, hidden, feed-forward, layers, width of keys and values
T = 16
ATTENTION = 2 * (2 * C * T * T // 2)  # q k^T and p v of one layer: each a multiplication and an addition, half of T x T
QKVO, FFN = [C * C, C * KV, C * KV, C * C], [C * F, C * F, F * C]


def sample(n_learned: int = T, tokens: int = T) -> tuple[torch.Tensor, ...]:
    ids = torch.randint(0, V, (tokens + 1,), generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(tokens)
    mask[tokens - n_learned :] = 1
    return ids[:-1], ids[1:], mask


def test_a_dense_network_takes_six_per_weight_and_token_and_its_attention(make_model):
    objective = LanguageModelObjective(make_model().train())
    weights = LAYERS * sum(QKVO + FFN) + V * C  # the embedding is looked up, as a head it is multiplied
    expected = 6 * weights * T + 3 * LAYERS * ATTENTION
    assert training_flops(objective, Collate(0)([sample()])) == expected
    assert training_flops(objective, Collate(0)([sample(), sample()])) == 2 * expected
    assert objective.training and all(p.requires_grad and p.grad is None for p in objective.parameters())


def test_the_head_reads_only_what_is_learned(make_model):
    objective = LanguageModelObjective(make_model())
    assert training_flops(objective, Collate(0)([sample()])) - training_flops(
        objective, Collate(0)([sample(n_learned=3)])
    ) == 6 * V * C * (T - 3)


def test_experts_count_where_a_token_goes(make_model):
    model = speed_up(make_model(use_moe=True, n_routed_experts=4, num_experts_per_tok=2, n_shared_experts=1))
    weights = LAYERS * (sum(QKVO) + 3 * sum(FFN) + 4 * C) + V * C  # two experts and the shared one, the gate
    expected = 6 * weights * T + 3 * LAYERS * ATTENTION
    assert training_flops(LanguageModelObjective(model), Collate(0)([sample()])) == expected


def test_frozen_weights_have_no_gradient(make_model):
    """Below the first adapters nothing is trained, so the first layer's q, k and v pass no gradient on."""
    model, rank = make_model(), 4
    apply_lora(model, rank)
    expected = 3 * LAYERS * ATTENTION + 2 * 2 * T * V * C
    for layer in range(LAYERS):
        for place, (n_in, n_out) in enumerate([(C, C), (C, KV), (C, KV), (C, C), (C, F), (C, F), (F, C)]):
            passes_on = layer > 0 or place >= 3
            expected += 2 * T * n_in * n_out * (2 if passes_on else 1)  # frozen
            expected += 2 * T * n_in * rank * (3 if passes_on else 2)  # A
            expected += 2 * T * rank * n_out * 3  # B
    assert training_flops(LanguageModelObjective(model), Collate(0)([sample()])) == expected


def test_a_teacher_only_reads(make_model):
    student, teacher = make_model(), make_model(num_hidden_layers=1)
    one_pass = 2 * (sum(QKVO + FFN) + V * C) * T + ATTENTION  # of the teacher
    own = 6 * (LAYERS * sum(QKVO + FFN) + V * C) * T + 3 * LAYERS * ATTENTION
    objective = DistillationObjective(student, teacher, alpha=0.0, temperature=1.0)
    found = training_flops(objective, Collate(0)([sample()]))
    head = 6 * V * C * T  # cross-entropy is reported beside the divergence
    assert found == own + head + one_pass


def test_pairs_are_two_rows(make_model):
    objective = PreferenceObjective(make_model(), beta=0.1)
    pair = PairCollate(0)([(sample(4), sample(4), torch.zeros(2))])
    assert training_flops(objective, pair) == 2 * training_flops(
        LanguageModelObjective(objective.model), Collate(0)([sample(4)])
    )


def test_per_token_of_text(make_model):
    class Rows(list):
        def make_collate(self):
            return Collate(0)

    objective = LanguageModelObjective(make_model())
    per_token = training_flops(objective, Collate(0)([sample(4)])) / T
    assert flops_per_token(objective, Rows([sample(4)] * 3)) == pytest.approx(per_token)
