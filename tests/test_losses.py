"""Losses: each against its formula written out token by token in float64, values and gradients; and in chunks."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from trainer import losses
from trainer.losses import (
    dpo_loss,
    generalised_advantages,
    group_advantages,
    k3,
    policy_loss,
    sequence_log_probs,
    sequence_mean,
    token_cross_entropy,
    token_kl,
    token_log_probs,
    value_loss,
)

B, T, C, V = 3, 5, 8, 11


@pytest.fixture(params=[2, 512], ids=["many-chunks", "one-chunk"])
def chunk(request, monkeypatch):
    monkeypatch.setattr(losses, "HEAD_CHUNK", request.param)


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed), requires_grad=True)


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    """hidden states, head, and answers of 3, 1 and 0 tokens."""
    mask = torch.tensor([[0, 1, 1, 1, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]], dtype=torch.float32)
    targets = torch.arange(B * T).view(B, T) % V
    return {"hidden": random(B, T, C, seed=0), "head": random(V, C, seed=1), "targets": targets, "loss_mask": mask}


def log_prob(batch, b: int, t: int) -> torch.Tensor:
    """log softmax(head @ hidden)[target], written out."""
    logits = batch["head"] @ batch["hidden"][b, t]
    return logits[batch["targets"][b, t]] - logits.exp().sum().log()


def assert_same(value, expected, *inputs) -> None:
    assert value.item() == pytest.approx(expected.item(), rel=1e-12)
    grads, wanted_grads = (torch.autograd.grad(x, inputs, retain_graph=True) for x in (value, expected))
    for got, wanted in zip(grads, wanted_grads, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_token_cross_entropy(batch, weighted, chunk):
    if weighted:
        batch["loss_mask"][0, 2] = 10.0  # a tag
    expected = sum(
        -float(batch["loss_mask"][b, t]) * log_prob(batch, b, t)
        for b in range(B) for t in range(T) if batch["loss_mask"][b, t]
    )  # fmt: skip
    assert_same(token_cross_entropy(**batch), expected, batch["hidden"], batch["head"])


def test_autocast_rounds_products_and_no_sum():
    """In bfloat16 512 terms of 6 add up to 3072 in steps of 16."""
    hidden, head = (torch.randn(512, 64).view(1, 512, 64), torch.randn(300, 64) / 8)
    targets, mask = torch.arange(512).view(1, -1) % 300, torch.ones(1, 512)
    found = []
    for enabled in (False, True):
        inputs = hidden.clone().requires_grad_(), head.clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            value = token_cross_entropy(*inputs, targets, mask)
        found.append((value, *torch.autograd.grad(value, inputs)))
    for exact, rounded in zip(*found, strict=True):
        assert rounded.dtype == torch.float32
        assert 0 < (rounded - exact).norm() / exact.norm() < (2e-4 if exact.dim() == 0 else 1e-2)


def test_sequence_log_probs(batch, chunk):
    found = sequence_log_probs(**batch)
    expected = [sum(log_prob(batch, 0, t) for t in (1, 2, 3)), log_prob(batch, 1, 4)]
    assert found.shape == (B,) and found[2] == 0
    for row in (0, 1):
        assert_same(found[row], expected[row], batch["hidden"], batch["head"])


def test_dpo_loss_is_equation_7():
    log_probs = [random(4, seed=seed) for seed in range(4)]
    beta = 0.3
    values, chosen, rejected = dpo_loss(*log_probs, beta)
    for i in range(4):
        pc, pr, rc, rr = (x[i].item() for x in log_probs)
        margin = beta * ((pc - rc) - (pr - rr))
        assert values[i].item() == pytest.approx(math.log(1 + math.exp(-margin)), rel=1e-12)
        assert (chosen[i].item(), rejected[i].item()) == pytest.approx((beta * (pc - rc), beta * (pr - rr)))
        # d loss / d log pi(chosen) = -beta sigmoid(-margin), and the opposite for the rejected answer
        grads = torch.autograd.grad(values[i], log_probs, retain_graph=True)
        pull = beta / (1 + math.exp(margin))
        signs = [-1, 1, 1, -1]
        assert [g[i].item() for g in grads] == pytest.approx([sign * pull for sign in signs], rel=1e-12)


def test_label_smoothing_mixes_in_the_swapped_pair():
    pc, pr, rc, rr = (random(4, seed=seed) for seed in range(4))
    smoothed, right = (dpo_loss(pc, pr, rc, rr, 0.3, smoothing)[0] for smoothing in (0.2, 0.0))
    swapped = dpo_loss(pr, pc, rr, rc, 0.3)[0]
    torch.testing.assert_close(smoothed, 0.8 * right + 0.2 * swapped)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_an_unmoved_policy_has_loss_ln_2(smoothing):
    chosen, rejected = random(4, seed=0), random(4, seed=1)
    values = dpo_loss(chosen, rejected, chosen, rejected, 0.1, smoothing)[0]
    assert values.tolist() == pytest.approx([math.log(2)] * 4, rel=1e-12)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_token_kl(batch, temperature, reverse, chunk):
    """Written out, and torch's own kl_div; a wider teacher, which gets no gradient."""
    teacher_hidden, teacher_head = random(B, T, C + 3, seed=2), random(V, C + 3, seed=3)
    hidden, head, mask = batch["hidden"], batch["head"], batch["loss_mask"]
    kl = token_kl(hidden, head, teacher_hidden, teacher_head, mask, temperature, reverse)
    expected, torch_own = 0.0, 0.0
    for b, t in mask.nonzero().tolist():
        q = ((head @ hidden[b, t]) / temperature).softmax(0)
        p = ((teacher_head @ teacher_hidden[b, t]) / temperature).softmax(0)
        if reverse:
            p, q = q, p
        expected = expected + temperature**2 * sum(p[v] * (p[v].log() - q[v].log()) for v in range(V))
        torch_own = torch_own + temperature**2 * F.kl_div(q.log(), p.log(), reduction="sum", log_target=True)
    assert_same(kl, expected, hidden, head)
    assert_same(kl, torch_own, hidden, head)
    assert kl > 0
    assert torch.autograd.grad(kl, (teacher_hidden, teacher_head), allow_unused=True) == (None, None)


def test_kl_of_a_network_to_itself_is_zero(batch):
    kl = token_kl(batch["hidden"], batch["head"], batch["hidden"], batch["head"], batch["loss_mask"], 2.0)
    assert kl.item() == pytest.approx(0, abs=1e-12)


def test_nothing_to_learn_is_zero_with_a_gradient_for_every_parameter(batch):
    """A rank without samples still has to send gradients to the others."""
    batch["loss_mask"].zero_()
    hidden, head = batch["hidden"], batch["head"]
    for value in (
        token_cross_entropy(**batch), sequence_log_probs(**batch).sum(),
        token_kl(hidden, head, hidden, head, batch["loss_mask"]), token_log_probs(**batch)[0].sum(),
    ):  # fmt: skip
        assert value == 0 and not torch.autograd.grad(value, head)[0].any()


class LargestTensor(TorchDispatchMode):
    """Notes the size of the largest tensor that any operation makes."""

    numel = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, torch.Tensor):
                self.numel = max(self.numel, tensor.numel())
        return out


@pytest.mark.parametrize("loss", ["cross-entropy", "log-probs", "kl", "token-log-probs"])
def test_the_logits_of_a_batch_never_exist(monkeypatch, loss):
    """Neither forward nor backward makes a tensor of more than a chunk's logits."""
    monkeypatch.setattr(losses, "HEAD_CHUNK", 16)
    rows, vocabulary = 128, 64
    hidden, head = (torch.randn(*s, C, requires_grad=True) for s in ((2, rows // 2), (vocabulary,)))
    targets, mask = torch.zeros(2, rows // 2, dtype=torch.long), torch.ones(2, rows // 2)
    with LargestTensor() as largest:
        if loss == "cross-entropy":
            value = token_cross_entropy(hidden, head, targets, mask)
        elif loss == "log-probs":
            value = sequence_log_probs(hidden, head, targets, mask).sum()
        elif loss == "token-log-probs":
            value = token_log_probs(hidden, head, targets, mask)[0].sum()
        else:
            value = token_kl(hidden, head, hidden * 2, head, mask)
        value.backward()
    assert 0 < largest.numel <= 16 * vocabulary < rows * vocabulary


# ---------------------------------------------------------------- reinforcement learning


def test_token_log_probs(batch, chunk):
    """Each is that of the whole softmax, and so is the gradient of a weighted sum; the entropy has none."""
    found, entropies = token_log_probs(**batch)
    places = batch["loss_mask"].nonzero().tolist()
    assert found.shape == entropies.shape == (len(places),) and not entropies.requires_grad
    weights = random(len(places), seed=2).detach()
    expected = torch.stack([log_prob(batch, b, t) for b, t in places])
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-12)
    assert_same((weights * found).sum(), (weights * expected).sum(), batch["hidden"], batch["head"])
    for entropy, (b, t) in zip(entropies.tolist(), places, strict=True):
        p = (batch["head"] @ batch["hidden"][b, t]).softmax(0).tolist()
        assert entropy == pytest.approx(-sum(each * math.log(each) for each in p), rel=1e-12)


def test_the_mean_of_k3_is_the_kl():
    p, q = (random(V, seed=seed).detach().log_softmax(0) for seed in (0, 1))
    estimates, mean = k3(p, q).tolist(), 0.0
    for a, b, estimate in zip(p.tolist(), q.tolist(), estimates, strict=True):
        assert estimate == pytest.approx(math.exp(b - a) - (b - a) - 1, abs=1e-12)
        mean += math.exp(a) * estimate
    assert min(estimates) >= 0 and not k3(p, p).any()
    assert mean == pytest.approx(F.kl_div(q, p, reduction="sum", log_target=True).item(), rel=1e-12)


@pytest.mark.parametrize("scaled", [False, True])
def test_group_advantages(scaled):
    """The last group is worth the same throughout."""
    rewards = [[1.0, 0.0, 0.5, 2.5], [-3.0, -1.0, -1.0, 0.0], [0.7] * 4]
    expected = []
    for group in rewards:
        mean = sum(group) / 4
        deviation = math.sqrt(sum((reward - mean) ** 2 for reward in group) / 3)
        expected += [(reward - mean) / (deviation + 1e-4 if scaled else 1.0) for reward in group]
    found = group_advantages(torch.tensor(rewards, dtype=torch.float64), scaled)
    assert found.flatten().tolist() == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_sequence_mean():
    """Tokens of a sequence need not be neighbours, and a sequence may have none."""
    values, sequences = random(6, seed=0), torch.tensor([0, 0, 3, 1, 3, 3])
    x = values.tolist()
    first, last = (x[0] + x[1]) / 2, (x[2] + x[4] + x[5]) / 3
    found = sequence_mean(values, sequences)
    assert found.tolist() == pytest.approx([first, first, last, x[3], last, last], rel=1e-12)
    assert torch.autograd.grad(found[2], values)[0].tolist() == pytest.approx([0, 0, 1 / 3, 0, 1 / 3, 1 / 3])
    assert sequence_mean(values[:0], sequences[:0]).shape == (0,)


@pytest.mark.parametrize("kind", ["reinforce", "dapo"])
def test_policy_loss(kind):
    """Ratios beyond, within and under the bounds 0.8 and 1.28, each with advantages of both signs."""
    ratios, advantages = [1.5, 1.5, 1.1, 1.1, 0.9, 0.9, 0.5, 0.5], [2.0, -1.0, 1.0, -3.0, 0.5, -1.0, 1.0, -2.0]
    log_probs = random(8, seed=0)
    old = log_probs.detach() - torch.tensor(ratios, dtype=torch.float64).log()
    losses, found, clipped = policy_loss(
        kind, log_probs, old, torch.tensor(advantages, dtype=torch.float64), torch.zeros(8, dtype=torch.long), 0.2, 0.28
    )
    expected, pulls, limited = [], [], []
    for log_prob, ratio, advantage in zip(log_probs.tolist(), ratios, advantages, strict=True):
        near = min(max(ratio, 0.8), 1.28)
        if kind == "reinforce":
            expected.append(-advantage * log_prob)
            limited.append(False)
        else:
            expected.append(-min(ratio * advantage, near * advantage))
            limited.append(near * advantage < ratio * advantage)
        pulls.append(0.0 if limited[-1] else -advantage * (1 if kind == "reinforce" else ratio))
    assert sum(limited) == (2 if kind == "dapo" else 0)
    assert losses.tolist() == pytest.approx(expected, rel=1e-12)
    assert torch.autograd.grad(losses.sum(), log_probs)[0].tolist() == pytest.approx(pulls, rel=1e-12)
    assert found.tolist() == pytest.approx(ratios, rel=1e-12) and clipped.tolist() == limited


@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 1.0), (0.9, 0.8), (0.9, 0.0), (0.9, 1.0)])
def test_generalised_advantages_are_sums_over_the_sampled_tokens(gamma, lam):
    """A_k = sum over l >= k of (gamma lambda)^(l - k) delta_l, where what is not sampled takes no time."""
    mask = torch.tensor([[0, 1, 1, 0, 0, 1, 1, 0], [1] * 8, [0] * 7 + [1], [0] * 8])
    rewards, values = (random(4, 8, seed=seed).detach() for seed in (0, 1))
    expected = torch.zeros(4, 8, dtype=torch.float64)
    for row in range(4):
        sampled = mask[row].nonzero().flatten().tolist()
        v = [*values[row, sampled].tolist(), 0.0]
        deltas = [r + gamma * v[i + 1] - v[i] for i, r in enumerate(rewards[row, sampled].tolist())]
        for k, t in enumerate(sampled):
            expected[row, t] = sum((gamma * lam) ** i * delta for i, delta in enumerate(deltas[k:]))
    found = generalised_advantages(rewards, values, mask, gamma, lam)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_value_loss():
    """A value that has moved towards its return by more than `clip` has no gradient; one that has moved away has."""
    old, returns = [0.0, 0.0, 0.0, 1.0, 1.0], [2.0, -2.0, 0.1, 1.0, 0.0]
    values = torch.tensor([1.0, 1.0, 0.1, 1.1, 0.5], dtype=torch.float64, requires_grad=True)
    losses = value_loss(values, *(torch.tensor(x, dtype=torch.float64) for x in (old, returns)), 0.2)
    expected = []
    for value, before, wanted in zip(values.tolist(), old, returns, strict=True):
        near = min(max(value, before - 0.2), before + 0.2)
        expected.append(max((value - wanted) ** 2, (near - wanted) ** 2) / 2)
    assert losses.tolist() == pytest.approx(expected, rel=1e-12)
    assert torch.autograd.grad(losses.sum(), values)[0].tolist() == pytest.approx([0, 3, 0, 0.1, 0], abs=1e-12)
