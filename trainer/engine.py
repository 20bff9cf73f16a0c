"""The training loop that all stages share, in the order in which it happens.

A stage hands over an objective (model and loss in one module), its data, and its options; `Trainer.train` does the
rest: batches, forward, backward, clip, step, figures, validation, files. Every loss is a sum over the whole optimizer
step divided by its count over the whole optimizer step, on all micro-batches and all ranks, so that accumulating
4 x 1 equals 1 x 4 and two ranks equal one, to rounding.
"""

import contextlib
import functools
import itertools
import math
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch
from torch import nn

from dataset.batching import StepSampler, make_loader
from dataset.chat_template import template_name
from dataset.lm_dataset import JsonlDataset, PretrainDataset
from model.files import file_hash
from model.weights import WeightError, save_weights, to_half, weight_name
from trainer import checkpoint
from trainer.distributed import OtherRankError, World, choose_precision
from trainer.evaluation import Evaluator
from trainer.flops import peak_rate
from trainer.health import MAX_SKIPPED, MIN_SCALE, samples_of_step, where_not_finite
from trainer.monitor import Figures, Monitor, peak_memory_mib, wandb_options
from trainer.optim import Average, get_lr
from trainer.options import TrainOptions
from trainer.process import stop_signals
from trainer.replicas import Replicas
from trainer.rollout import RolloutError, Rollouts

# Attributes of a Trainer in a training state, which also has tensors, random generators and the identity.
RESTORED = ("start", "step", "tokens", "seconds", "validation", "validated", "skipped_steps")


class TrainingError(ValueError):
    """Training cannot continue: what, at which step, what to do."""


class Trainer:
    """One run of a stage. `save_result(model, path, tokenizer, **info)` writes what the run is for: the weights, or an
    adapter alone. `extra_figures(model)` gives what a validation reports beside the objective's own figures; all ranks
    call it. With `rollouts`, the data are questions, and a step trains on the policy's answers to them."""

    def __init__(
        self, options: TrainOptions, stage: str, world: World, objective: nn.Module, tokenizer,
        train_data: JsonlDataset, val_data: JsonlDataset, save_result: Callable = save_weights,
        extra_figures: Callable[[nn.Module], dict[str, float]] | None = None, make_replicas: type[Replicas] = Replicas,
        rollouts: Rollouts | None = None,
    ):  # fmt: skip
        self.options, self.stage, self.world, self.tokenizer = options, stage, world, tokenizer
        self.train_data, self.val_data = train_data, val_data
        self.save_result, self.extra_figures, self.rollouts = save_result, extra_figures, rollouts
        self.spoken = rollouts.data.stage if rollouts and rollouts.rewards else stage  # how the result is spoken to
        self.objective, self.model = objective.to(world.device), objective.model
        self.name = weight_name(options.save_weight, self.model.config.hidden_size, self.model.config.use_moe)
        self.out_dir = Path(options.out_dir).absolute()
        self.weight_path = self.out_dir / f"{self.name}.pth"
        self.state_path = checkpoint.state_path(self.out_dir, self.name)

        self.dtype, self.autocast = choose_precision(options.dtype, world.device)
        if options.gradient_checkpointing:
            # transformers 5.17 knows it by the second name
            enable = getattr(self.model, "activation_checkpointing_enable", None)
            (enable or self.model.gradient_checkpointing_enable)({"use_reentrant": False})
        self.peak_rate = None if rollouts else peak_rate(objective, train_data, self.dtype)
        packed = isinstance(train_data, PretrainDataset)
        if options.compile:
            # Packed rows have few shapes, each compiled for itself; else what is compiled for a shape, and how it
            # rounds, would depend on the shapes that came before it, which are others after a resume.
            self.model.model.compile(dynamic=False if packed else None)
        self.replicas = make_replicas(self.objective, options, world, self.dtype)
        self.optimizer, self.scaler = self.replicas.optimizer, self.replicas.scaler
        self.sampler = StepSampler(
            len(train_data), options.batch_size, options.accumulation_steps, world.rank, world.world_size,
            options.seed, None if packed or rollouts else train_data.lengths,
        )  # fmt: skip
        self.evaluator = Evaluator(self.objective, val_data.make_collate(), world, self.autocast)
        self.total_steps = options.max_steps or options.epochs * self.sampler.steps_per_epoch
        self.warmup_steps = options.warmup_steps
        if self.warmup_steps < 0:
            self.warmup_steps = min(self.total_steps // 2, max(1, self.total_steps // 50))
        self.eval_interval = options.eval_interval or max(1, self.total_steps // 10)
        self.average = Average(int(options.average * self.total_steps))

        self.step = 0  # optimizer steps done
        self.tokens = 0  # text tokens seen, padding not counted, all ranks
        self.seconds = 0.0  # of training, without validation and saving
        self.validation, self.validated = {}, -1  # figures, and the step that they are of
        self.saved = self.saved_step = None  # (step, validated) that this process has saved; step of the newest state
        self.recent = Figures()  # since the last log
        self.skipped_steps = self.skipped_in_a_row = 0  # that float16 lost to a scale too large
        self.grad_norm = torch.tensor(math.nan)
        self.stop_signal = 0  # that this rank got, or learned of
        self.stopping = False  # all ranks know of it: set in sum_or_stop() alone
        # Hash of the weights that training begins with, as they are now, before hours go by.
        self.start = "new" if options.from_weight == "none" else file_hash(Path(options.from_weight))
        torch.manual_seed(options.seed + 1000 * world.rank)  # dropout differs between ranks

    # ------------------------------------------------------------ the loop

    def train(self) -> None:
        """Train to the last step, or until a signal asks to stop; save; print a summary. Raises StateError when another
        process is writing the same weight, or a stopped run would be lost."""
        if self.world.writes:
            self.lock = checkpoint.take_lock(self.state_path.with_suffix(".lock"))
        found = self.world.is_main and checkpoint.should_resume(
            self.state_path, self.options, self.identity, self.start, self.total_steps
        )
        if self.world.from_main(found):
            self.resume()
        self.objective.train()
        monitor = self.start_monitor if self.world.is_main else contextlib.nullcontext
        with stop_signals(self.ask_to_stop), monitor() as self.monitor:
            if self.validation_is_due():
                self.validate()
            try:
                while self.step < self.total_steps and not self.stopping:
                    self.train_epoch(self.step // self.sampler.steps_per_epoch)
            except RolloutError:  # of all ranks
                self.save()
                raise
            if self.saved != (self.step, self.validated):
                self.save()
        if self.monitor:
            self.monitor.say(self.summary())
            self.monitor.close()

    def train_epoch(self, epoch: int) -> None:
        """The rest of an epoch, from the current step on."""
        self.sampler.set_position(epoch, self.step - epoch * self.sampler.steps_per_epoch)
        if isinstance(self.train_data, PretrainDataset):
            self.train_data.set_order(np.random.default_rng((self.options.seed, epoch, 1)))
        pin, workers = self.world.device.type == "cuda", self.options.num_workers
        batches = iter(make_loader(self.train_data, self.sampler, self.train_data.make_collate(), workers, pin))
        while self.step < self.total_steps and not self.stopping:
            started = time.perf_counter()
            micro_batches = list(itertools.islice(batches, self.options.accumulation_steps))
            if self.rollouts and micro_batches:
                micro_batches = self.rollouts.make_batches(micro_batches, self.step)
            waited = time.perf_counter() - started
            if not micro_batches or not self.train_step(micro_batches):
                return
            self.step += 1
            self.recent.waited += waited
            self.recent.seconds += time.perf_counter() - started
            self.after_step()

    def train_step(self, micro_batches: list[dict[str, torch.Tensor]]) -> bool:
        """One step: an update, or on a rollout `passes` of them. False: asked to stop."""
        counts = self.count(micro_batches)
        if counts is None:
            return False
        self.lr = get_lr(self.step, self.total_steps, self.options.learning_rate, self.warmup_steps)
        self.optimizer.set_lr(self.lr)
        for left in reversed(range(self.options.passes if self.rollouts else 1)):
            sums = self.update(micro_batches, counts)
            if left and self.rollouts.is_far(sums, counts):
                break
        return True

    def update(self, micro_batches: list[dict[str, torch.Tensor]], counts: Counter) -> Counter:
        """Forward and backward of every micro-batch, then clip and step. Returns this rank's sums."""
        losses, sums_of_update = [], Counter()  # the first: what each micro-batch is trained on
        for i, batch in enumerate(micro_batches):
            batch = {k: v.to(self.world.device, non_blocking=True) for k, v in batch.items()}
            with self.replicas.micro_step(last=i == len(micro_batches) - 1):
                with self.autocast:
                    sums = self.replicas.wrapped(batch)
                total = sum(v / max(counts[name], 1.0) for name, v in sums.items() if v.requires_grad)
                # Times 1; but NaN if it is not finite, so that the gradient's norm tells every rank.
                total = total * (1 + 0 * total.detach())
                # DDP averages over ranks, and the sums are to be added.
                self.replicas.backward(total * self.world.world_size)
            sums_of_update.update({name: value.detach() for name, value in sums.items()})
            losses.append(total.detach())
        self.recent.sums.update(sums_of_update)
        self.recent.counts.update(counts)
        norm = self.replicas.clip_gradients()
        if torch.isfinite(norm):  # here the host waits for the device, once per step
            self.scaler.step(self.optimizer)
            self.grad_norm, self.skipped_in_a_row = norm, 0
        else:
            self.skip_or_fail(losses, counts)
        self.scaler.update()
        self.optimizer.zero_grad()
        return sums_of_update

    def count(self, micro_batches: list[dict[str, torch.Tensor]]) -> Counter | None:
        """What each sum is divided by: counted over all micro-batches and ranks. None: some rank was asked to stop."""
        counts = Counter()
        for batch in micro_batches:
            counts.update(self.objective.counts(batch))
            counts["tokens"] += float(batch.get("attention_mask", batch["loss_mask"]).sum())
        if (summed := self.sum_or_stop([*counts.values()])) is None:
            return None
        counts = Counter(dict(zip(counts, summed, strict=True)))
        self.tokens += int(counts["tokens"])
        return counts

    def after_step(self) -> None:
        """Figures, validation and files, each when it is due."""
        done = self.step == self.total_steps
        if self.monitor:
            self.monitor.step(self.step)
        if self.average.is_due(left := self.total_steps - self.step):
            self.average.add(self.model, self.replicas, last=not left)
        if done or self.step % self.options.log_interval == 0:
            self.log()
        if self.validation_is_due():
            self.validate()
        if done or self.step % self.options.save_interval == 0:
            self.save()

    # ------------------------------------------------------------ stops and failures

    def ask_to_stop(self, number: int) -> None:
        """A signal came: the current step, or the current batch of a validation, is the last one."""
        self.stop_signal = self.stop_signal or number

    def sum_or_stop(self, values: list[float]) -> list[float] | None:
        """Sums over all ranks; None for all of them when one was asked to stop, which they learn here."""
        *sums, stop = self.world.sum(torch.tensor([*values, self.stop_signal], dtype=torch.float64)).tolist()
        if not stop:
            return sums
        self.stop_signal, self.stopping = self.stop_signal or signal.SIGTERM, True
        return None

    def skip_or_fail(self, losses: list[torch.Tensor], counts: dict[str, float]) -> None:
        """The gradient is not finite. float16 may skip the step, if its scale was too large; else the run ends here."""
        self.skipped_steps += 1
        self.skipped_in_a_row += 1
        finite = all(self.world.gather(bool(torch.stack(losses).isfinite().all())))
        why = ""
        if self.scaler.is_enabled() and finite:
            scale = self.scaler.get_scale()
            if self.skipped_in_a_row < MAX_SKIPPED and scale > MIN_SCALE:
                return
            why = f" (in float16 at scale {scale:.2g}, after {self.skipped_in_a_row} skipped steps)"
        samples = samples_of_step(self.sampler, self.step)
        alone = ((sample, *self.evaluator.run([self.train_data[sample]])) for sample in samples)
        each = None if self.replicas.in_step or self.rollouts else alone
        where = where_not_finite(samples, each, counts, self.objective, self.scaler, self.train_data, self.world)
        what = f"the {'gradient' if finite else 'loss'} is not finite at step {self.step + 1}{why}"
        self.fail(f"{what}, the weights were not touched. It comes from {where}")

    def fail(self, what: str) -> NoReturn:
        """End the run on all ranks, because of what all of them know; rank 0 says it, and what to do."""
        if not self.world.is_main:
            raise OtherRankError
        rate = f"a lower --learning_rate (now {self.options.learning_rate})"
        if self.saved_step is None:
            raise TrainingError(f"{what}. Nothing was saved before: start again, with {rate} if need be")
        raise TrainingError(
            f"{what}. The weights of step {self.saved_step} are in {self.weight_path}: start a new run with "
            f"{rate} or without those lines; --from_resume 1 would come to the same point"
        )

    # ------------------------------------------------------------ figures

    def start_monitor(self) -> Monitor:
        position = (self.total_steps, self.step, self.validated)
        return Monitor(self.out_dir / "metrics", self.name, self.stage, *position, wandb_options(self.options))

    def log(self) -> None:
        """Global figures since the last log."""
        recent, self.recent = self.recent, Figures()
        figures = recent.over_all_ranks(self.world)
        self.seconds += recent.seconds
        figures |= self.rollouts.speed() if self.rollouts else {}
        if self.monitor:
            position = {"step": self.step, "epoch": self.step / self.sampler.steps_per_epoch, "tokens": self.tokens}
            extra = {"skipped_steps": self.skipped_steps} if self.scaler.is_enabled() else {}
            if self.peak_rate:
                extra["mfu"] = figures["tokens_per_second"] / (self.peak_rate * self.world.world_size)
            self.monitor.log(position | figures | {
                "lr": self.lr, "grad_norm": float(self.grad_norm) if self.grad_norm.isfinite() else None,
                "seconds": self.seconds, "peak_memory_mib": peak_memory_mib(self.world.device),
            } | extra)  # fmt: skip

    def validation_is_due(self) -> bool:
        """At the start, every so often and at the end; also after a resume, when the stop came before it was done."""
        # A validation just before the last one would tell the same.
        on_time = self.step % self.eval_interval == 0 and self.total_steps - self.step > self.eval_interval // 10
        return (on_time or self.step == self.total_steps) and self.validated != self.step

    def validate(self) -> None:
        """The objective's figures on the held-out samples; a signal ends it after the current batch, without any."""
        measure = self.rollouts if self.rollouts and self.rollouts.rewards else self.evaluator
        with self.evaluator.without_gradients():
            figures = measure.figures(
                self.val_data, self.options.batch_size, self.sum_or_stop,
                interrupted=lambda: self.stop_signal and not self.replicas.in_step,
            )  # fmt: skip
            if figures is None:
                return
            if self.extra_figures:
                figures |= self.extra_figures(self.replicas.whole_model())
        self.validation, self.validated = {f"val_{name}": value for name, value in figures.items()}, self.step
        for name, value in self.validation.items():
            if not math.isfinite(value):
                self.fail(f"{name} is not finite ({value}) in the validation after step {self.step}; it was not saved")
        if self.monitor:
            self.monitor.log({"step": self.step, "tokens": self.tokens, "seconds": self.seconds} | self.validation)
            units = {"loss": f" {self.objective.unit}"}
            shown = [f"{name.replace('_', ' ')} {value:.4f}{units.get(name, '')}" for name, value in figures.items()]
            self.monitor.say(f"step {self.step}: validation {', '.join(shown)}")

    # ------------------------------------------------------------ files

    @functools.cached_property
    def identity(self) -> dict:
        """What a resumed run must share with the stopped one."""
        run = (self.options, self.stage, self.objective, self.tokenizer, self.train_data)
        return checkpoint.identity(*run, self.sampler.step_size, self.total_steps, self.dtype)

    @property
    def recipe(self) -> dict:
        """What the result is made from: of two runs with one recipe it is the same, on one machine to the bit."""
        return checkpoint.recipe(self.identity, self.start, self.options, self.val_data)

    def save(self) -> None:
        """The training state, to resume from, and the weights, to use; neither of a run that has diverged."""
        with self.replicas.whole_state(keep=self.world.writes):
            try:
                to_half(self.trained_state(), self.weight_path)
            except WeightError as error:  # on all ranks alike: their weights are the same
                self.fail(str(error))
            rngs = self.world.gather(checkpoint.rng_states(self.world.device))
            self.saved, self.saved_step = (self.step, self.validated), self.step
            if self.world.writes:
                self.write_files(rngs)

    def write_files(self, rngs: list[dict]) -> None:
        seconds = self.seconds + self.recent.seconds
        state = {name: getattr(self, name) for name in RESTORED} | {"seconds": seconds, "rngs": rngs}
        state |= {"model": self.trained_state(), "optimizer": self.optimizer.state_dict(), "identity": self.identity}
        state |= {"scaler": self.scaler.state_dict(), "average": vars(self.average)}
        checkpoint.save_state(state, self.state_path)
        self.save_result(
            self.model, self.weight_path, self.tokenizer, stage=self.spoken, step=self.step, tokens=self.tokens,
            seconds=round(seconds, 1), from_weight=Path(self.options.from_weight).name,
            chat_template=template_name(self.tokenizer),
            data={"file": self.train_data.path.name, "fingerprint": self.train_data.fingerprint},
            validation=self.validation, origin=self.objective.origin, recipe=self.recipe,
        )  # fmt: skip

    def trained_state(self) -> dict[str, torch.Tensor]:
        """The tensors that are trained, a critic's too: a resumed run loads the others as this one did."""
        state = self.objective.state_dict(keep_vars=True)
        return {key: value.detach() for key, value in state.items() if value.requires_grad}

    def resume(self) -> None:
        """Continue the newest training state: on one machine, with as many ranks, the same to the bit as if the run had
        never stopped (with --compile only where all batches have one shape). With another number of ranks, but as many
        samples per step, figures agree to rounding. The figures since the last log start again. Raises StateError,
        naming what differs, when this is not the run that was stopped."""
        # Rank 0's alone: another machine's may be missing, or older when the run was killed.
        state, path = self.world.from_main(checkpoint.load_state(self.state_path) if self.world.is_main else None)
        with checkpoint.state_errors(path), self.replicas.gathered(write=True):
            if changed := checkpoint.differences(state["identity"], self.identity):
                what = f"this is not the run that was stopped (then → now): {'; '.join(changed)}"
                advice = "make them equal, or start again without --from_resume"
                raise checkpoint.StateError(f"{path}: {what}: {advice}")
            if state["start"] != self.start and self.world.is_main:
                print(f"note: this run began from other weights than {self.options.from_weight}: it keeps its own")
            for name in RESTORED:
                setattr(self, name, state[name])
            vars(self.average).update(state["average"])
            if self.trained_state().keys() != state["model"].keys():
                raise KeyError("the identity decides the tensors")
            self.objective.load_state_dict(state["model"], strict=False)
            self.optimizer.load_state_dict(state["optimizer"])
            self.scaler.load_state_dict(state["scaler"])
            rngs = state["rngs"]  # each rank draws its own dropout
            if len(rngs) == self.world.world_size:
                checkpoint.set_rng_states(rngs[self.world.rank], self.world.device)
            elif self.world.is_main:
                print(f"note: stopped with {len(rngs)} ranks, resumed with {self.world.world_size}: same samples")
        self.saved_step = self.step

    # ------------------------------------------------------------ the end

    def summary(self) -> str:
        if self.stop_signal and self.step < self.total_steps:
            name = signal.Signals(self.stop_signal).name
            return f"stopped by {name} after step {self.step} of {self.total_steps}; saved. Continue: --from_resume 1"
        return f"done in {self.seconds:.0f} s: {self.tokens:,} tokens, weights in {self.weight_path}"
