"""Samples in, batches out: which samples make a step, on which rank, and how they become tensors.

One *step* of the optimizer takes batch_size * accumulation_steps * world_size samples; of conversations on average. The
order of samples and their grouping into steps depend on the seed, the epoch and that product alone, so 4 x 1 equals
1 x 4 and two ranks equal one, sample for sample. Every sample comes exactly once per epoch.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from dataset.processes import run_in_order

BUCKET_STEPS = 32  # samples are sorted by length within this many steps' worth of shuffled samples


class StepSampler:
    """Yields micro-batches (lists of sample indices) of one rank, `accumulation_steps` of them per step.

    With `lengths`, samples of similar length share a step (length buckets), and all steps have about as many tokens:
    `batch_size` is a mean then. Otherwise short questions would be learned in small, noisy steps, and a turn of a long
    conversation would weigh a fraction of one. Micro-batches of a small step may be empty, so that all ranks take as
    many. `set_position` chooses where iteration begins."""

    def __init__(self, n_samples, batch_size, accumulation_steps=1, rank=0, world_size=1, seed=0, lengths=None):
        self.n_samples, self.lengths, self.seed = n_samples, lengths, seed
        self.accumulation_steps, self.rank, self.world_size = accumulation_steps, rank, world_size
        self.step_size = batch_size * accumulation_steps * world_size
        self.set_position(0, 0)

    def set_position(self, epoch: int, start_step: int) -> None:
        self.epoch, self.start_step = epoch, start_step

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.n_samples // self.step_size)

    def steps(self, start: int = 0) -> Iterator[np.ndarray]:
        """The samples of each step of this epoch from step `start` on, the same on every rank."""
        rng = np.random.default_rng((self.seed, self.epoch))
        order = np.arange(self.n_samples, dtype=np.uint32)
        rng.shuffle(order)  # as rng.permutation, in half the memory
        ends, turns = np.arange(1, self.steps_per_epoch + 1) * self.step_size, np.arange(self.steps_per_epoch)
        if self.lengths is not None:
            size = BUCKET_STEPS * self.step_size
            ends = np.concatenate([at + self.sort_and_cut(order[at : at + size]) for at in range(0, len(order), size)])
            turns = rng.permutation(self.steps_per_epoch)
        starts = np.concatenate([[0], ends[:-1]])
        for turn in turns[start:]:
            yield order[starts[turn] : ends[turn]]

    def sort_and_cut(self, rows: np.ndarray) -> np.ndarray:
        """Sort `rows` by length, in place; returns where steps of about equally many tokens end, none of them empty."""
        rows[:] = rows[np.argsort(self.lengths[rows], kind="stable")]
        tokens = self.lengths[rows].cumsum(dtype=np.int64)
        n_steps = -(-len(rows) // self.step_size)
        numbers = np.arange(1, n_steps + 1)
        ends = np.searchsorted(tokens, tokens[-1] * numbers / n_steps, side="right")
        ends = np.maximum.accumulate(np.maximum(ends, numbers) - numbers) + numbers
        return np.minimum(ends, len(rows) - n_steps + numbers)

    def __iter__(self) -> Iterator[list[int]]:
        for step in self.steps(self.start_step):
            yield from self.micro_batches(step)

    def micro_batches(self, step: np.ndarray) -> list[list[int]]:
        """This rank's share of the samples of a step, which are spread evenly over all micro-batches and ranks."""
        parts = np.array_split(step, self.accumulation_steps * self.world_size)
        return [parts[micro * self.world_size + self.rank].tolist() for micro in range(self.accumulation_steps)]

    def __len__(self) -> int:
        return (self.steps_per_epoch - self.start_step) * self.accumulation_steps


class Collate:
    """Samples -> one batch of tensors, padded on the right to the longest. input_ids, targets (B, T) int64; loss_mask
    (B, T) float32, 0 on padding; attention_mask (B, T) int64, 1 on text, left out for `packed` rows of one length. No
    samples make one row of padding without any weight: a rank that has none must take part in the step."""

    def __init__(self, pad_token_id: int, packed: bool = False):
        self.pad_token_id, self.packed = pad_token_id, packed

    def __call__(self, samples: Sequence[tuple[torch.Tensor, ...]]) -> dict[str, torch.Tensor]:
        if not samples:
            blank = torch.full((1, 2), self.pad_token_id)
            zeros = torch.zeros(1, 2)
            return {"input_ids": blank, "targets": blank, "loss_mask": zeros, "attention_mask": zeros.long()}
        input_ids, targets, loss_mask = zip(*samples, strict=True)
        batch = {
            "input_ids": pad_sequence(input_ids, batch_first=True, padding_value=self.pad_token_id),
            "targets": pad_sequence(targets, batch_first=True, padding_value=self.pad_token_id),
            "loss_mask": pad_sequence(loss_mask, batch_first=True),
        }
        if not self.packed or len({len(ids) for ids in input_ids}) > 1:
            batch["attention_mask"] = pad_sequence([torch.ones_like(ids) for ids in input_ids], batch_first=True)
        return batch


class PairCollate(Collate):
    """Pairs of a chosen and a rejected sample -> one batch of 2B rows, the chosen ones first. A pair's third member,
    its reference log-probabilities (2,), becomes a row of reference (B, 2) float32."""

    def __call__(self, pairs: Sequence[tuple]) -> dict[str, torch.Tensor]:
        if not pairs:
            blank = super().__call__([])
            return {name: value.repeat(2, 1) for name, value in blank.items()} | {"reference": torch.zeros(1, 2)}
        chosen, rejected, reference = zip(*pairs, strict=True)
        return super().__call__(chosen + rejected) | {"reference": torch.stack(reference)}


def load_batch(dataset, collate: Callable, indices: list[int]) -> dict[str, np.ndarray]:
    """A batch as arrays: tensors would travel between processes in shared memory."""
    return {name: tensor.numpy() for name, tensor in collate([dataset[i] for i in indices]).items()}


def make_loader(dataset, sampler, collate: Callable, num_workers: int = 0, pin_memory: bool = False) -> Iterator[dict]:
    """The batches of the sampler's micro-batches, prepared ahead by `num_workers` processes."""
    load = partial(load_batch, dataset, collate)
    for arrays in run_in_order(load, ((indices,) for indices in sampler), num_workers):
        batch = {name: torch.from_numpy(array) for name, array in arrays.items()}
        yield {name: tensor.pin_memory() for name, tensor in batch.items()} if pin_memory else batch
