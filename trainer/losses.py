"""Losses: pure functions on tensors. trainer/objectives.py joins a model with one.

Shapes: B rows, T tokens, C hidden_size, V vocabulary. All figures are in nats. Hidden states meet the head a chunk of
HEAD_CHUNK tokens at a time, in the backward pass too, so the (B, T, V) logits of a batch never exist.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

try:
    from model.fast.training import HeadLossFunction, compute_dtype, linear
except ModuleNotFoundError:  # model/fast may be deleted: then the plain forms below do the same
    HeadLossFunction, linear = None, F.linear

HEAD_CHUNK = 512  # tokens whose logits exist at a time
GPU_CHUNK = 4096  # of the plain loss, on a GPU: 100 MB of logits


def learned_tokens(loss_mask: Tensor) -> Tensor:
    """(B, T) -> (N,): where the flattened mask is not 0. Only these tokens ever meet the head."""
    return loss_mask.flatten().nonzero().squeeze(-1)


def logits_of(rows: Tensor, head: Tensor) -> Tensor:
    """rows (N, C) @ head^T (C, V), at least float32."""
    logits = linear(rows, head)
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def in_chunks(function, *tensors: Tensor) -> list:
    """function of HEAD_CHUNK rows at a time, computed again in the backward pass: else all logits would wait for it."""
    chunks = zip(*(tensor.split(HEAD_CHUNK) for tensor in tensors), strict=True)
    return [checkpoint(function, *chunk, use_reentrant=False, preserve_rng_state=False) for chunk in chunks]


def token_cross_entropy(hidden: Tensor, head: Tensor, targets: Tensor, loss_mask: Tensor) -> Tensor:
    """Sum over tokens of loss_mask * -log softmax(hidden @ head^T)[target], a scalar. hidden (B, T, C), head (V, C),
    targets and loss_mask (B, T). Under autocast the products are in its precision."""
    learned = learned_tokens(loss_mask)
    rows, wanted, weights = (x[learned] for x in (hidden.flatten(0, 1), targets.flatten(), loss_mask.flatten()))
    if HeadLossFunction is None:
        return (token_losses(rows, head, wanted) * weights).sum()
    chunk = HEAD_CHUNK if hidden.is_cpu else GPU_CHUNK
    return HeadLossFunction.apply(rows, head, wanted, weights, chunk, compute_dtype(hidden), torch.is_grad_enabled())


def token_losses(rows: Tensor, head: Tensor, wanted: Tensor) -> Tensor:
    """-log softmax(rows @ head^T)[wanted] of each token, at least float32: rows (N, C), head (V, C) -> (N,)."""

    def of_chunk(rows: Tensor, wanted: Tensor) -> Tensor:
        return F.cross_entropy(logits_of(rows, head), wanted, reduction="none")

    return torch.cat(in_chunks(of_chunk, rows, wanted))


def sequence_log_probs(hidden: Tensor, head: Tensor, targets: Tensor, loss_mask: Tensor) -> Tensor:
    """log p(answer | prompt) of each row (B,): the sum of its tokens' log-probabilities where loss_mask is not 0."""
    learned = learned_tokens(loss_mask)
    losses = token_losses(hidden.flatten(0, 1)[learned], head, targets.flatten()[learned])
    return losses.new_zeros(len(targets)).index_add(0, learned // targets.shape[1], -losses)


def dpo_loss(
    policy_chosen: Tensor, policy_rejected: Tensor, reference_chosen: Tensor,
    reference_rejected: Tensor, beta: float, label_smoothing: float = 0.0,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Direct preference optimisation, from log-probabilities (B,) to losses and both implicit rewards, each (B,).

        reward(y) = beta * (log pi(y) - log ref(y)),  loss = -log sigmoid(reward(chosen) - reward(rejected))

    (Rafailov et al. 2023, eq. 7.) With label_smoothing e, every label is taken to be wrong with probability e
    (conservative DPO, Mitchell 2023): (1 - e) * loss + e * the loss of the swapped pair."""
    chosen_rewards = beta * (policy_chosen - reference_chosen)
    rejected_rewards = beta * (policy_rejected - reference_rejected)
    margins = chosen_rewards - rejected_rewards
    losses = -(1 - label_smoothing) * F.logsigmoid(margins) - label_smoothing * F.logsigmoid(-margins)
    return losses, chosen_rewards, rejected_rewards


def token_kl(
    hidden: Tensor, head: Tensor, teacher_hidden: Tensor, teacher_head: Tensor,
    loss_mask: Tensor, temperature: float = 1.0, reverse: bool = False,
) -> Tensor:  # fmt: skip
    """Divergence of two networks' next-token distributions, summed over the tokens where loss_mask is not 0, a scalar.

    With p the teacher's softmax(logits / T) and q the student's: T^2 * KL(p || q), or T^2 * KL(q || p) in `reverse`.
    T^2 keeps the gradient's size independent of T (Hinton et al. 2015, section 2). Forward KL makes the student cover
    all that the teacher may say; reverse KL makes it avoid what the teacher would not (Gu et al. 2024, eq. 2). hidden
    (B, T, C), head (V, C); the teacher's C may be another, and no gradient reaches it."""
    learned = learned_tokens(loss_mask)
    rows, teacher_rows = (states.flatten(0, 1)[learned] for states in (hidden, teacher_hidden.detach()))

    def of_chunk(rows: Tensor, teacher_rows: Tensor) -> Tensor:
        pairs = (rows, head), (teacher_rows, teacher_head.detach())
        log_q, log_p = (F.log_softmax(logits_of(*pair) / temperature, dim=-1) for pair in pairs)
        if reverse:
            log_p, log_q = log_q, log_p
        return (log_p.exp() * (log_p - log_q)).sum()

    return temperature**2 * torch.stack(in_chunks(of_chunk, rows, teacher_rows)).sum()


# ---------------------------------------------------------------- reinforcement learning

# Of each policy loss: how far the ratio may leave 1 downwards and upwards; of cispo, its largest value.
CLIPS = {
    "grpo": (0.2, 0.2), "dapo": (0.2, 0.28), "dr_grpo": (0.2, 0.2), "cispo": (0.0, 5.0), "gspo": (3e-4, 4e-4),
    "reinforce": (0.0, 0.0),
}  # fmt: skip
PER_SEQUENCE = ("grpo", "gspo")  # these average within an answer first, then over answers


def token_log_probs(hidden: Tensor, head: Tensor, targets: Tensor, loss_mask: Tensor) -> tuple[Tensor, Tensor]:
    """(log pi of the learned tokens, entropy of the distributions they were drawn from, without a gradient), (N,) each.
    hidden (B, T, C), head (V, C), targets and loss_mask (B, T); temperature 1."""
    learned = learned_tokens(loss_mask)
    rows, wanted = hidden.flatten(0, 1)[learned], targets.flatten()[learned]

    def of_chunk(rows: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        log_probs = F.log_softmax(logits_of(rows, head), dim=-1)
        with torch.no_grad():
            entropy = -(log_probs.exp() * log_probs).sum(-1)
        return log_probs.gather(1, wanted[:, None])[:, 0], entropy

    log_probs, entropies = zip(*in_chunks(of_chunk, rows, wanted), strict=True)
    return torch.cat(log_probs), torch.cat(entropies)


def k3(log_probs: Tensor, other: Tensor) -> Tensor:
    """An estimate of KL(pi || other) at tokens that pi has drawn, never negative (Schulman 2020, "Approximating KL
    divergence", k3): exp(d) - d - 1 with d = log other - log pi."""
    difference = other - log_probs
    return difference.expm1() - difference


def group_advantages(rewards: Tensor, scaled: bool) -> Tensor:
    """How much better an answer is than the others to its question: rewards (P, G) less their group's mean, and
    `scaled` over its standard deviation + 1e-4 (Shao et al. 2024, "DeepSeekMath", section 4.1.2)."""
    centred = rewards - rewards.mean(1, keepdim=True)
    return centred / (rewards.std(1, keepdim=True) + 1e-4) if scaled else centred


def sequence_mean(values: Tensor, sequences: Tensor) -> Tensor:
    """Each token's value becomes the mean over its sequence; `sequences` (N,) says which that is."""
    n = int(sequences.max()) + 1 if len(sequences) else 0
    total = values.new_zeros(n).index_add(0, sequences, values)
    return (total / sequences.bincount(minlength=n).clamp(min=1))[sequences]


def policy_loss(
    kind: str, log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, sequences: Tensor, low: float, high: float
) -> tuple[Tensor, Tensor, Tensor]:
    """(loss, ratio pi / old pi, whether it was clipped) of each sampled token, (N,) like all arguments.

        grpo, dapo, dr_grpo   -min(ratio A, clip(ratio, 1 - low, 1 + high) A)     (Schulman et al. 2017, eq. 7)
        gspo                  the same with one ratio per answer: exp(mean log ratio)   (Zheng et al. 2025, eq. 5)
        cispo                 -min(ratio, high) A log pi, no gradient through the ratio (MiniMax 2025, eq. 4)
        reinforce             -A log pi                                             (Williams 1992)

    The first three differ in what the sum over tokens is divided by, which `PolicyObjective.counts` says."""
    log_ratio = log_probs - old_log_probs
    ratio = (sequence_mean(log_ratio, sequences) if kind == "gspo" else log_ratio).exp()
    if kind == "reinforce":
        return -advantages * log_probs, ratio, torch.zeros_like(ratio)
    if kind == "cispo":
        return -ratio.detach().clamp(max=high) * advantages * log_probs, ratio, (ratio > high).float()
    limited = ratio.clamp(1 - low, 1 + high) * advantages
    return -torch.minimum(ratio * advantages, limited), ratio, (limited < ratio * advantages).float()


def generalised_advantages(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float) -> Tensor:
    """GAE (Schulman et al. 2016, eq. 16) of sampled tokens: delta_t = r_t + gamma V_t+1 - V_t, A_t = delta_t + gamma
    lambda A_t+1. All (B, T); what is not sampled (mask 0) is passed over, and after the last token V is 0."""
    advantages, following, value_after = torch.zeros_like(values), *torch.zeros(2, len(values)).to(values)
    for t in reversed(range(values.shape[1])):
        delta = rewards[:, t] + gamma * value_after - values[:, t]
        advantages[:, t] = mask[:, t] * (delta + gamma * lam * following)
        following = torch.where(mask[:, t] > 0, advantages[:, t], following)
        value_after = torch.where(mask[:, t] > 0, values[:, t], value_after)
    return advantages


def value_loss(values: Tensor, old_values: Tensor, returns: Tensor, clip: float) -> Tensor:
    """The critic's error per token, (N,) like all arguments: half the larger square of V - R with V as it is, and V no
    further than `clip` from where it was."""
    near = old_values + (values - old_values).clamp(-clip, clip)
    return 0.5 * torch.maximum((values - returns) ** 2, (near - returns) ** 2)
