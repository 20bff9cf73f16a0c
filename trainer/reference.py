"""DPO's reference, the weights that training began with, without a second model in memory while training.

Its log-probabilities of all pairs are computed once, before the first step.
At a validation the reference is loaded for a moment, to measure how far the policy has moved away from it.
"""

from pathlib import Path

import numpy as np
import torch

from dataset.lm_dataset import DPODataset
from model.files import file_hash
from model.weights import load_weights, weight_name
from trainer.distributed import World, choose_precision
from trainer.loading import speed_up
from trainer.losses import sequence_log_probs, token_kl
from trainer.objectives import decode
from trainer.options import TrainOptions

KL_PROMPTS, KL_TOKENS = 32, 64  # held-out prompts, and tokens of a sampled answer, few for a validation


class Reference:
    """Of the weight that `--from_weight` names, whose file must stay what it is while training runs."""

    def __init__(self, options: TrainOptions, tokenizer, world: World, config):
        self.options, self.tokenizer, self.world = options, tokenizer, world
        self.weight = Path(options.from_weight)
        name = weight_name(options.save_weight, config.hidden_size, config.use_moe)
        if self.weight == Path(options.out_dir).absolute() / f"{name}.pth":
            raise ValueError(f"{self.weight}: the reference would be overwritten: pass another --save_weight")
        self.hash = file_hash(self.weight)
        _, self.autocast = choose_precision(options.dtype, world.device)

    @torch.no_grad()
    def log_probs(self, model, data: DPODataset) -> np.ndarray:
        """(samples, 2) float32: log-probabilities of all chosen and rejected answers by `model`; ranks share it."""
        model.eval()
        world, size, collate = self.world, self.options.batch_size, data.make_collate()
        result = torch.zeros(len(data), 2, device=world.device)
        own = np.argsort(data.lengths, kind="stable")[world.rank :: world.world_size]  # pairs of like length together
        for start in range(0, len(own), size):
            chosen = own[start : start + size]
            batch = collate([data[int(i)] for i in chosen])
            batch = {name: value.to(world.device) for name, value in batch.items()}
            with self.autocast:
                hidden = decode(model, batch).last_hidden_state
                log_probs = sequence_log_probs(hidden, model.lm_head.weight, batch["targets"], batch["loss_mask"])
                result[torch.from_numpy(chosen).to(world.device)] = log_probs.view(2, -1).T
        return world.sum(result).cpu().numpy()  # each pair is 0 on all ranks but one

    @torch.no_grad()
    def kl(self, policy, data: DPODataset) -> float:
        """KL(policy || reference) in nats per answer, estimated on answers that the policy samples to held-out prompts.
        Averages sum_t KL(pi(. | prompt, y_<t) || ref(. | prompt, y_<t)) over y ~ pi: the chain rule of KL, whose spread
        is far smaller than that of log pi(y) - log ref(y). Answers end after KL_TOKENS."""
        world, device = self.world, self.world.device
        prompts = [data.prompt(i) for i in range(world.rank, min(KL_PROMPTS, len(data)), world.world_size)]
        total = torch.zeros(2, device=device)
        if prompts:
            if file_hash(self.weight) != self.hash:
                raise ValueError(f"{self.weight}: it changed since this run began, and is its reference: put it back")
            cuda = [device] if device.type == "cuda" else []
            with self.autocast, torch.random.fork_rng(cuda):  # training's own noise is undisturbed
                reference = load_weights(self.weight)[0]  # a new network draws weights first
                if policy.config.rope_scaling:
                    reference.stretch(policy.config.rope_scaling)
                reference = speed_up(reference.eval().to(device))
                torch.manual_seed(self.options.seed + world.rank)
                batch = sample_answers(policy, self.tokenizer, prompts, device)
                hidden, reference_hidden = (
                    decode(model, batch, right_padded=False).last_hidden_state for model in (policy, reference)
                )
                head, reference_head = policy.lm_head.weight, reference.lm_head.weight
                # the reference in the teacher's place, so that `reverse` is KL(policy || reference)
                kl = token_kl(hidden, head, reference_hidden, reference_head, batch["loss_mask"], reverse=True)
            total = torch.tensor([float(kl), len(prompts)], device=device)
        kl, n_answers = world.sum(total).tolist()
        return kl / max(1.0, n_answers)


def sample_answers(model, tokenizer, prompts: list[list[int]], device: torch.device) -> dict[str, torch.Tensor]:
    """An answer to each prompt at temperature 1 from the whole distribution, as a batch whose loss_mask covers them."""
    padded = tokenizer.pad({"input_ids": prompts}, padding_side="left", return_tensors="pt").to(device)
    room = model.config.max_position_embeddings - padded["input_ids"].shape[1] + 1  # the last token is not read
    ids = model.generate(
        **padded, max_new_tokens=min(KL_TOKENS, room), do_sample=True, temperature=1.0, top_k=0, top_p=1.0,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    ended = ids[:, padded["input_ids"].shape[1] :] == tokenizer.eos_token_id
    is_answer = (ended.cumsum(dim=1) - ended.long() == 0).long()  # up to the first end, which belongs to it
    text = torch.cat((padded["attention_mask"], is_answer), dim=1)
    mask = torch.cat((torch.zeros_like(padded["attention_mask"]), is_answer), dim=1)
    return {"input_ids": ids[:, :-1], "attention_mask": text[:, :-1], "loss_mask": mask[:, 1:].float()}
