"""Losses: pure functions on tensors, and the objective that joins a model with one."""

import torch
import torch.nn.functional as F
from torch import nn

# Tokens whose logits exist at a time. torch's own choice is 16 for a small network, which takes twice the time.
HEAD_CHUNK = 512


def token_cross_entropy(
    hidden: torch.Tensor, head: torch.Tensor, targets: torch.Tensor, loss_mask: torch.Tensor, weighted: bool = False
) -> torch.Tensor:
    """Sum over tokens of loss_mask * -log softmax(hidden @ head^T)[target], in nats, a float32 scalar.

    hidden (B, T, C), head (V, C), targets and loss_mask (B, T). Rows with mask 0 never meet the head, and the
    (tokens, V) logits are made a chunk at a time. `weighted` is for masks that hold more than 0 and 1.
    """
    learned = loss_mask.flatten().nonzero().squeeze(-1)
    rows, wanted = hidden.flatten(0, 1)[learned], targets.flatten()[learned]
    options = nn.LinearCrossEntropyOptions(batch_chunk_size=HEAD_CHUNK)
    if not weighted:
        return F.linear_cross_entropy(rows, head, wanted, reduction="sum", options=options).float()
    losses = F.linear_cross_entropy(rows, head, wanted, reduction="none", options=options)
    return (losses.float() * loss_mask.flatten()[learned]).sum()


class LanguageModelObjective(nn.Module):
    """Next-token prediction: what DDP wraps, so that every parameter is read inside its forward.

    `forward(batch)` gives named sums and `counts(batch)` what each is divided by: the target tokens (unweighted) and,
    for a mixture of experts, the sequences. The engine divides by the count over the whole optimizer step.
    """

    def __init__(self, model, weighted: bool = False):
        super().__init__()
        self.model, self.weighted = model, weighted

    def counts(self, batch: dict[str, torch.Tensor]) -> dict[str, float]:
        counts = {"loss": float((batch["loss_mask"] > 0).sum())}
        if self.model.config.use_moe:
            counts["aux_loss"] = float(n_sequences(batch))
        return counts

    def forward(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        inputs = {k: batch[k] for k in ("input_ids", "attention_mask", "position_ids") if k in batch}
        out = self.model.model(**inputs)
        head = self.model.lm_head.weight
        sums = {
            "loss": token_cross_entropy(
                out.last_hidden_state, head, batch["targets"], batch["loss_mask"], self.weighted
            )
        }
        if self.model.config.use_moe:
            sums["aux_loss"] = out.aux_loss * n_sequences(batch)
        return sums


def n_sequences(batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Rows of a batch that hold any text."""
    if "attention_mask" in batch:
        return batch["attention_mask"].any(dim=1).sum()
    return torch.tensor(len(batch["input_ids"]))
