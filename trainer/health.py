"""Numbers going wrong: a loss far above those before it, and which lines of the data file a bad step was made of."""

import collections
import itertools
import statistics
from collections.abc import Iterator

import torch
from torch import nn

WINDOW = 100  # steps that a loss is compared with, and that pass before another one is spoken of
LEAST_STEPS = 20  # fewer say nothing about what is usual
DEVIATIONS, LEAST_RISE = 6.0, 0.5
MAX_SKIPPED = 20  # steps in a row that float16 may lose while it looks for its scale, which halves each time
MIN_SCALE = 1e-4
MAX_LINES = 20  # line numbers that a message lists


class LossWatch:
    """Knows which losses stand out.

    A loss does if it lies above the median of the last WINDOW steps by more than 6 robust standard deviations
    (1.4826 times the median distance from the median) and by more than 0.5 nats. Median and median distance, because
    mean and variance are themselves drawn upwards by what they should reveal; the deviations, because losses of small
    batches scatter widely; the nats, because late in a run the scatter is so small that anything would stand out. In a
    run that learns the older losses are the higher ones, so learning itself never stands out.
    """

    def __init__(self):
        self.recent: collections.deque[float] = collections.deque(maxlen=WINDOW)
        self.quiet = 0  # steps to come that are not spoken of

    def state_dict(self) -> dict:
        return {"recent": list(self.recent), "quiet": self.quiet}

    def load_state_dict(self, state: dict) -> None:
        self.recent.extend(state["recent"])
        self.quiet = state["quiet"]

    def usual_if_exceeded(self, loss: float) -> float | None:
        """The median of the steps before, if `loss` stands out from them and none did for a while; else None."""
        usual, stands_out = None, False
        if len(self.recent) >= LEAST_STEPS:
            usual = statistics.median(self.recent)
            deviation = 1.4826 * statistics.median(abs(before - usual) for before in self.recent)
            stands_out = loss - usual > max(LEAST_RISE, DEVIATIONS * deviation)
        self.recent.append(loss)
        if self.quiet:
            self.quiet -= 1
            return None
        if stands_out:
            self.quiet = WINDOW
        return usual if stands_out else None


def list_lines(numbers: list[int]) -> str:
    """[3, 17, …] -> "3,17,…", the first MAX_LINES of them."""
    more = f" and {len(numbers) - MAX_LINES} more" if len(numbers) > MAX_LINES else ""
    return ",".join(map(str, numbers[:MAX_LINES])) + more


def samples_of_step(trainer, step: int) -> list[int]:
    """This rank's samples of a step, which counts from 0 and lies in the current epoch."""
    in_epoch = step - trainer.sampler.epoch * trainer.sampler.steps_per_epoch
    return list(itertools.chain(*trainer.sampler.micro_batches(next(trainer.sampler.steps(in_epoch)))))


def sums_of_each(trainer, samples: list[int]) -> Iterator[tuple[int, dict[str, torch.Tensor], dict[str, float]]]:
    """(sample, sums, counts) of every sample alone, through the network as it is now."""
    for sample in samples:
        batch = trainer.collate([trainer.train_data[sample]])
        counts = trainer.objective.counts(batch)
        batch = {name: value.to(trainer.world.device) for name, value in batch.items()}
        with trainer.autocast:
            sums = trainer.objective(batch)
        yield sample, sums, counts  # outside: what the caller does is his


@torch.no_grad()
def hardest_samples(trainer, step: int, most: int = 3) -> str:
    """`file:lines (loss)` of the samples of a step that the network finds hardest now; every rank calls it."""
    trainer.objective.eval()
    losses = sums_of_each(trainer, samples_of_step(trainer, step))
    own = [(float(sums["loss"]) / max(counts["loss"], 1.0), sample) for sample, sums, counts in losses]
    trainer.objective.train()
    named = [(loss, list_lines(trainer.train_data.lines([sample]))) for loss, sample in sorted(own)[-most:]]
    worst = sorted(itertools.chain(*trainer.world.gather(named)), reverse=True)[:most]
    return ", ".join(f"{trainer.train_data.path}:{lines} ({loss:.2f})" for loss, lines in worst)


def who_is_not_finite(trainer, step: int, counts: dict[str, float]) -> str:
    """Which samples of a step, computed alone, give a loss or a gradient that is not finite; every rank calls it.

    `counts` are the step's. Slow, forward and backward for every sample: it is for a run that has ended. Where ranks
    go in step, the samples are not told apart.
    """
    parameters = [p for p in trainer.objective.parameters() if p.requires_grad]
    own = samples_of_step(trainer, step)
    guilty = []
    for sample, sums, _ in sums_of_each(trainer, own if not trainer.in_step else []):
        total = sum(value / max(counts[name], 1.0) for name, value in sums.items() if value.requires_grad)
        # Not backward(), which would wake DDP's hooks.
        gradients = torch.autograd.grad(trainer.scaler.scale(total), parameters, allow_unused=True)
        norm = nn.utils.get_total_norm([g for g in gradients if g is not None])
        if not (total.isfinite() and norm.isfinite()):
            guilty.append(sample)
    found = trainer.world.gather((len(own), len(guilty), trainer.train_data.lines(guilty or own)))
    n_samples, n_guilty = (sum(part[i] for part in found) for i in (0, 1))
    if n_guilty == n_samples > 1:
        what = f"each of the step's {n_samples} samples, so the weights are to blame, not the data"
    elif n_guilty:
        what = f"{n_guilty} of the step's {n_samples} samples"
    else:
        what = f"the step's {n_samples} samples" + ("" if trainer.in_step else " together, from none of them alone")
    places = [
        f"{trainer.train_data.path}:{list_lines(lines)}" + (f" (rank {rank})" if len(found) > 1 else "")
        for rank, (_, of_rank, lines) in enumerate(found)
        if lines and (of_rank or not n_guilty)
    ]
    return f"{what}: {', '.join(places)}"
