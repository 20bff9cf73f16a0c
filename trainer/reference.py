"""DPO's reference, the weights that training began with, without a second model in memory while training.

Its log-probabilities of all pairs are computed once, before the first step, and cached beside the tokens.
At a validation the reference is loaded for a moment, to measure how far the policy has moved away from it.
"""

import hashlib
from pathlib import Path

import numpy as np
import torch

from dataset.lm_dataset import DPODataset
from model.files import file_hash, write_atomically
from model.weights import load_weights, tokenizer_hash, weight_name
from trainer.distributed import World, choose_precision
from trainer.loading import speed_up
from trainer.losses import sequence_log_probs, token_kl
from trainer.objectives import decode
from trainer.options import TrainOptions

CACHE_FORMAT = 1  # raise it when the meaning of the cached numbers changes
KL_PROMPTS, KL_TOKENS = 32, 64  # held-out prompts, and tokens of a sampled answer, few for a validation


class Reference:
    """Of the weight that `--from_weight` names, whose file must stay what it is while training runs."""

    def __init__(self, options: TrainOptions, tokenizer, world: World, config):
        self.options, self.tokenizer, self.world = options, tokenizer, world
        self.weight, self.out_dir = Path(options.from_weight), Path(options.out_dir).absolute()
        name = weight_name(options.save_weight, config.hidden_size, config.use_moe)
        if self.weight == self.out_dir / f"{name}.pth":
            raise ValueError(f"{self.weight}: the reference would be overwritten: pass another --save_weight")
        self.hash = file_hash(self.weight)
        self.dtype, self.autocast = choose_precision(options.dtype, world.device)

    def log_probs(self, model, data: DPODataset) -> np.ndarray:
        """(samples, 2) float32: log-probabilities of every chosen and rejected answer, under `model` as it is loaded.

        From `out/cache/reference_….npy` when this weight has read these pairs before; else the ranks share the work,
        and one rank per disk writes the file.
        """
        identity = f"{CACHE_FORMAT} {self.hash} {tokenizer_hash(self.tokenizer)} {data.fingerprint} "
        identity += f"{data.max_length} {self.dtype} "
        key = hashlib.sha256(identity.encode() + data.kept.astype(np.int64).tobytes()).hexdigest()[:16]
        path = self.out_dir / "cache" / f"reference_{key}.npy"
        known = read_reference(path, len(data))
        if all(self.world.gather(known is not None)):  # all or none: the computation needs every rank
            return known
        log_probs = self.compute_log_probs(model.eval(), data)
        if self.world.writes:

            def write(temporary: Path) -> None:
                with open(temporary, "wb") as file:
                    np.save(file, log_probs)

            write_atomically(path, write)
        return log_probs

    @torch.no_grad()
    def compute_log_probs(self, model, data: DPODataset) -> np.ndarray:
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

        Averages sum_t KL(pi(. | prompt, y_<t) || ref(. | prompt, y_<t)) over y ~ pi: the chain rule of KL, whose
        spread is far smaller than that of log pi(y) - log ref(y). Answers end after KL_TOKENS.
        """
        world, device = self.world, self.world.device
        prompts = [data.prompt(i) for i in range(world.rank, min(KL_PROMPTS, len(data)), world.world_size)]
        total = torch.zeros(2, device=device)
        if prompts:
            if file_hash(self.weight) != self.hash:
                raise ValueError(f"{self.weight}: it changed since this run began, and is its reference: put it back")
            cuda = [device] if device.type == "cuda" else []
            with self.autocast, torch.random.fork_rng(cuda):  # training's own noise is undisturbed
                reference = load_weights(self.weight)[0]  # a new network draws weights first
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


def read_reference(path: Path, n_samples: int) -> np.ndarray | None:
    """What an earlier run left in `path`, or None. Never executes anything that a file may contain."""
    if not path.is_file():
        return None
    try:
        log_probs = np.load(path, allow_pickle=False)
        if log_probs.shape != (n_samples, 2) or log_probs.dtype != np.float32 or not np.isfinite(log_probs).all():
            raise ValueError("other numbers")
    except Exception:  # foreign bytes make the reader fail in any way there is
        print(f"note: {path} is damaged; the reference is computed again", flush=True)
        return None
    return log_probs


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
