"""The objective on samples outside of a training step: validation, and the search for samples that a step failed on."""

import contextlib
import math
from collections import Counter
from collections.abc import Callable, Iterator

import torch

from dataset.lm_dataset import JsonlDataset
from trainer.distributed import World

Sums = dict[str, torch.Tensor]


class Evaluator:
    """`collate` turns samples into a batch, `autocast` is the precision in which it is computed."""

    def __init__(self, objective, collate: Callable, world: World, autocast: torch.autocast):
        self.objective, self.collate, self.world, self.autocast = objective, collate, world, autocast

    def run(self, samples: list) -> tuple[Sums, dict[str, float]]:
        """(sums, counts) of a batch."""
        batch = self.collate(samples)
        counts = self.objective.counts(batch)
        batch = {name: value.to(self.world.device) for name, value in batch.items()}
        with self.autocast:
            return self.objective(batch), counts

    @contextlib.contextmanager
    def without_gradients(self) -> Iterator[None]:
        """Without dropout, too."""
        self.objective.eval()
        with torch.no_grad():
            yield
        self.objective.train()

    def figures(
        self, data: JsonlDataset, batch_size: int, sum_over_ranks: Callable[[list[float]], list[float] | None],
        interrupted: Callable[[], bool],
    ) -> dict[str, float] | None:  # fmt: skip
        """The objective's figures on all of `data`, and bits per byte of text; None if `sum_over_ranks` gives None."""
        rank, n_ranks = self.world.rank, self.world.world_size
        indices, sums = range(rank, len(data), n_ranks), Counter()
        counts = Counter(self.objective.counts(self.collate([])))  # a rank without samples learns the names here
        # As many batches on every rank, an empty one at the end: under ZeRO-3 they need each other for each.
        for i in range(0, -(-len(data) // n_ranks), batch_size):
            if interrupted():
                break
            batch_sums, batch_counts = self.run([data[j] for j in indices[i : i + batch_size]])
            sums.update({name: float(value) for name, value in batch_sums.items()})
            counts.update(batch_counts)
        totals = sum_over_ranks([sums[name] for name in counts] + [*counts.values()])
        if totals is None:
            return None
        sums = dict(zip(counts, totals, strict=False))
        counts = dict(zip(counts, totals[len(counts) :], strict=True))
        figures = {name: value / max(counts[name], 1.0) for name, value in sums.items()}
        if text_loss := self.objective.text_loss:
            figures["bits_per_byte"] = sums[text_loss] / math.log(2) / max(1, data.n_bytes)
        return figures
