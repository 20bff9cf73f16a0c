"""Numbers going wrong: which lines of the data file a step was made of whose loss or gradient is not finite."""

import itertools
from collections.abc import Iterable

import torch
from torch import nn

from dataset.batching import StepSampler
from dataset.lm_dataset import JsonlDataset
from trainer.distributed import World

MAX_SKIPPED = 20  # steps in a row that float16 may lose while it looks for its scale, which halves each time
MIN_SCALE = 1e-4
MAX_LINES = 20  # line numbers that a message lists


def samples_of_step(sampler: StepSampler, step: int) -> list[int]:
    """This rank's samples of a step, which counts from 0 and lies in the sampler's epoch."""
    in_epoch = step - sampler.epoch * sampler.steps_per_epoch
    return list(itertools.chain(*sampler.micro_batches(next(sampler.steps(in_epoch)))))


def where_not_finite(
    samples: list[int], each: Iterable | None, counts: dict[str, float], objective: nn.Module,
    scaler: torch.amp.GradScaler, data: JsonlDataset, world: World,
) -> str:  # fmt: skip
    """Which of this rank's samples of a step give a loss or a gradient that is not finite; every rank calls it. `each`
    computes them one by one, as (sample, sums, counts), or is None where that cannot be done. `counts` are the step's.
    Slow, forward and backward for every sample: it is for a run that has ended."""
    parameters = [p for p in objective.parameters() if p.requires_grad]
    bad = []
    for sample, sums, _ in each or ():
        total = sum(value / max(counts[name], 1.0) for name, value in sums.items() if value.requires_grad)
        # Not backward(), which would wake DDP's hooks.
        gradients = torch.autograd.grad(scaler.scale(total), parameters, allow_unused=True)
        norm = nn.utils.get_total_norm([g for g in gradients if g is not None])
        if not (total.isfinite() and norm.isfinite()):
            bad.append(sample)
    found = world.gather((len(samples), len(bad), data.lines(bad or samples)))
    n_samples, n_bad = (sum(part[i] for part in found) for i in (0, 1))
    if n_bad == n_samples > 1:
        what = f"each of the step's {n_samples} samples, so the weights are to blame, not the data"
    elif n_bad:
        what = f"{n_bad} of the step's {n_samples} samples"
    else:
        what = f"the step's {n_samples} samples" + ("" if each is None else " together, from none of them alone")
    places = []
    for rank, (_, bad_of_rank, lines) in enumerate(found):
        if lines and (bad_of_rank or not n_bad):
            more = f" and {len(lines) - MAX_LINES} more" if len(lines) > MAX_LINES else ""
            of_rank = f" (rank {rank})" if len(found) > 1 else ""
            places.append(f"{data.path}:{','.join(map(str, lines[:MAX_LINES]))}{more}{of_rank}")
    return f"{what}: {', '.join(places)}"
