"""Objectives: a model and its loss in one module, which is what DDP wraps, so that every parameter is read inside its
forward.

`forward(batch)` gives named sums and `counts(batch)` what each is divided by. The engine divides by the count over the
whole optimizer step, trains on the sum of all that have a gradient, and reports the others too.
"""

import copy
from collections.abc import Sequence

import torch
from torch import nn

from trainer import losses
from trainer.loading import speed_up

# Log-probabilities in nats that differ by less are one number, computed in batches of another shape.
TIE = 1e-4


class Objective(nn.Module):
    """What the stages share. A subclass defines what it counts (`n_items`) and its sums (`sums`)."""

    figures: tuple[str, ...] = ("loss",)  # names of the sums, all divided by `n_items`
    unit = "nats per token"  # of the loss
    text_loss: str | None = "loss"  # the one that is plain cross-entropy of the text: bits per byte come from it

    def __init__(self, model, origin: dict[str, str] | None = None, frozen=None):
        """`origin` (what -> hash of a file) names other weights that shape the result; a resumed run must agree.
        `frozen` is another network, which is only read."""
        super().__init__()
        self.model, self.origin = model, origin or {}
        # In a tuple, where neither DDP nor the optimizer nor a state dict sees it.
        self.frozen = (speed_up(frozen.eval().requires_grad_(False)),) if frozen else ()

    def to(self, *args, **kwargs):
        for model in self.frozen:
            model.to(*args, **kwargs)
        return super().to(*args, **kwargs)

    def n_items(self, batch: dict[str, torch.Tensor]) -> float:
        """Target tokens, unweighted."""
        return float((batch["loss_mask"] > 0).sum())

    def sums(self, hidden: torch.Tensor, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """hidden (B, T, C) -> one scalar per name in `figures`, detached where it is only to be reported."""
        raise NotImplementedError

    def counts(self, batch: dict[str, torch.Tensor]) -> dict[str, float]:
        counts = dict.fromkeys(self.figures, self.n_items(batch))
        if self.model.config.use_moe:
            counts["aux_loss"] = float(n_sequences(batch))
        return counts

    def forward(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        out = decode(self.model, batch)
        sums = self.sums(out.last_hidden_state, batch)
        if self.model.config.use_moe:
            sums["aux_loss"] = out.aux_loss * n_sequences(batch)
        return sums


def decode(model, batch: dict[str, torch.Tensor], right_padded: bool = True):
    """The decoder's output for a batch: last_hidden_state (B, T, C), and aux_loss for a mixture of experts. The batches
    of dataset/batching.py are padded on the right."""
    names = ("input_ids", "attention_mask")
    return model.model(**{name: batch[name] for name in names if name in batch}, right_padded=right_padded)


def n_sequences(batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Rows of a batch that hold any text."""
    if "attention_mask" in batch:
        return batch["attention_mask"].any(dim=1).sum()
    return torch.tensor(len(batch["input_ids"]))


class LanguageModelObjective(Objective):
    """Next-token prediction. `weighted`: the mask holds weights other than 0 and 1."""

    def __init__(self, model, weighted: bool = False, origin: dict[str, str] | None = None):
        super().__init__(model, origin)
        if weighted:
            self.text_loss = None  # a stressed token counts several times

    def sums(self, hidden, batch):
        head = self.model.lm_head.weight
        return {"loss": losses.token_cross_entropy(hidden, head, batch["targets"], batch["loss_mask"])}


class PreferenceObjective(Objective):
    """DPO on batches of dataset/batching.py's PairCollate: the chosen rows first, then as many rejected ones.
    `reference` (B, 2) in the batch holds the starting weights' log-probabilities, so no second model is in memory.
    Everything is per pair; with `length_normalised` an answer's log-probability is its mean over tokens."""

    figures = ("loss", "reward_margin", "reward_accuracy", "chosen_logp", "rejected_logp")
    unit = "nats per pair"
    text_loss = None

    def __init__(self, model, beta: float, label_smoothing=0.0, length_normalised=False, origin=None):
        super().__init__(model, origin)
        self.beta, self.label_smoothing, self.length_normalised = beta, label_smoothing, length_normalised

    def n_items(self, batch):
        return float(self.lengths(batch)[0].count_nonzero())

    @staticmethod
    def lengths(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """(2, B): answer tokens of the chosen and of the rejected rows; 0 in a row that is all padding."""
        return (batch["loss_mask"] > 0).sum(dim=1).view(2, -1)

    def log_probs(self, hidden: torch.Tensor, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """(2, B): log-probability of the chosen and of the rejected answers."""
        head, targets, mask = self.model.lm_head.weight, batch["targets"], batch["loss_mask"]
        return losses.sequence_log_probs(hidden, head, targets, mask).view(2, -1)

    def sums(self, hidden, batch):
        policy, reference = self.log_probs(hidden, batch), batch["reference"].T
        lengths = self.lengths(batch)
        if self.length_normalised:
            policy, reference = policy / lengths.clamp(min=1), reference / lengths.clamp(min=1)
        loss, chosen, rejected = losses.dpo_loss(*policy, *reference, self.beta, self.label_smoothing)
        margins, is_pair = (chosen - rejected).detach(), lengths[0] > 0
        tied = margins.abs() < TIE * self.beta
        accuracy = torch.where(tied, 0.5, (margins > 0).float())
        each = (loss, margins, accuracy, *policy.detach())
        return {name: (values * is_pair).sum() for name, values in zip(self.figures, each, strict=True)}


class DistillationObjective(Objective):
    """The student learns from the labels and from the teacher's whole distribution:
        loss = alpha * cross-entropy + (1 - alpha) * T^2 KL        (Hinton et al. 2015, section 2)
    """

    figures = ("loss", "cross_entropy", "kl")
    text_loss = "cross_entropy"

    def __init__(self, model, teacher, alpha: float, temperature: float, reverse: bool = False, origin=None):
        super().__init__(model, origin, teacher)
        self.alpha, self.temperature, self.reverse = alpha, temperature, reverse

    def sums(self, hidden, batch):
        (teacher,), mask = self.frozen, batch["loss_mask"]
        with torch.no_grad():
            teacher_hidden = decode(teacher, batch).last_hidden_state
        head, teacher_head = self.model.lm_head.weight, teacher.lm_head.weight
        hard = losses.token_cross_entropy(hidden, head, batch["targets"], mask)
        soft = losses.token_kl(hidden, head, teacher_hidden, teacher_head, mask, self.temperature, self.reverse)
        loss = self.alpha * hard + (1 - self.alpha) * soft
        return {"loss": loss, "cross_entropy": hard.detach(), "kl": soft.detach()}


class PolicyObjective(Objective):
    """Reinforcement learning on the trajectories of trainer/rollout.py. A batch also holds, (B, T) and aligned with
    `targets`, old_log_probs (of the policy that sampled) and advantages, and what the rollout tells: `told`, sums over
    n_told answers by `told_names`.

    `loss` is a kind of `policy_loss`, `clip` its (low, high), where None is the usual, `longest` the tokens that an
    answer may have. With a `reference`, kl_weight * KL(pi || reference) is added to the loss of each token."""

    text_loss = None
    unit = ""

    def __init__(self, model, loss: str, clip: Sequence, longest: int, kl_weight=0.0, reference=None, origin=None):
        super().__init__(model, origin, reference)
        self.clip = [usual if own is None else own for own, usual in zip(clip, losses.CLIPS[loss], strict=True)]
        self.loss, self.longest, self.kl_weight = loss, longest, kl_weight
        self.told_names: Sequence[str] = ()
        self.figures = ("loss", "entropy", "ratio", "clipped", "policy_kl")
        self.figures += ("reference_kl",) if reference else ()

    def counts(self, batch):
        """The losses differ in what they are divided by: answers (grpo, gspo), answers times the longest (dr_grpo: Liu
        et al. 2025, "Understanding R1-Zero-like training"), or tokens (dapo: Yu et al. 2025, eq. 8; and the others)."""
        n = float(n_sequences(batch))
        by_answers = {"dr_grpo": n * self.longest} | dict.fromkeys(losses.PER_SEQUENCE, n)
        told = dict.fromkeys(self.told_names, float(batch["n_told"]))
        return super().counts(batch) | {"loss": by_answers.get(self.loss, self.n_items(batch))} | told

    def sums(self, hidden, batch):
        head, targets, mask = self.model.lm_head.weight, batch["targets"], batch["loss_mask"]
        learned = losses.learned_tokens(mask)
        sequences = learned // mask.shape[1]
        log_probs, entropy = losses.token_log_probs(hidden, head, targets, mask)
        old, advantages = (batch[name].flatten()[learned] for name in ("old_log_probs", "advantages"))
        loss, ratio, clipped = losses.policy_loss(self.loss, log_probs, old, advantages, sequences, *self.clip)
        figures = {"entropy": entropy, "ratio": ratio, "clipped": clipped, "policy_kl": losses.k3(old, log_probs)}
        for reference in self.frozen:
            with torch.no_grad():
                theirs = decode(reference, batch).last_hidden_state
                theirs, _ = losses.token_log_probs(theirs, reference.lm_head.weight, targets, mask)
            figures["reference_kl"] = losses.k3(log_probs, theirs)
            loss = loss + self.kl_weight * figures["reference_kl"]
        if self.loss in losses.PER_SEQUENCE:
            loss = loss / sequences.bincount()[sequences]
        told = dict(zip(self.told_names, batch["told"], strict=True))
        return {"loss": loss.sum()} | {name: value.detach().sum() for name, value in figures.items()} | told


class ActorCriticObjective(PolicyObjective):
    """PPO: a critic beside the policy learns what an answer will be worth, token by token, from `returns` and
    `old_values` (B, T) in the batch. It is a head on the policy's own trunk (`shared`), or on a copy of it. `loss` must
    be one that counts tokens, as the critic's error does."""

    def __init__(self, *args, shared: bool, value_weight: float, value_clip: float, **kwargs):
        super().__init__(*args, **kwargs)
        self.figures += ("value_loss",)
        self.value_weight, self.value_clip = value_weight, value_clip
        self.critic = None if shared else copy.deepcopy(self.model)
        if self.critic and self.critic.lm_head.weight is not self.critic.model.embed_tokens.weight:
            self.critic.lm_head.requires_grad_(False)  # it reads no logits, and DDP would wait for their gradient
        self.value_head = nn.Linear(self.model.config.hidden_size, 1)
        nn.init.zeros_(self.value_head.weight)
        nn.init.zeros_(self.value_head.bias)

    def values(self, batch, hidden: torch.Tensor | None = None) -> torch.Tensor:
        """(B, T): the worth of what comes from each place on. `hidden` are the policy's, if they are there."""
        if self.critic or hidden is None:
            hidden = decode(self.critic or self.model, batch).last_hidden_state
        return self.value_head(hidden)[..., 0].float()

    def sums(self, hidden, batch):
        sums, learned = super().sums(hidden, batch), losses.learned_tokens(batch["loss_mask"])
        values = (self.values(batch, hidden), batch["old_values"], batch["returns"])
        errors = losses.value_loss(*(value.flatten()[learned] for value in values), self.value_clip).sum()
        return sums | {"loss": sums["loss"] + self.value_weight * errors, "value_loss": errors.detach()}
