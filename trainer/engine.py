"""The training loop that all stages share, in the order in which it happens.

A stage hands over an objective (model and loss in one module), its data, and its options; `Trainer.train` does the
rest: batches, forward, backward, clip, step, figures, validation, files. Every loss is a sum over the whole optimizer
step divided by its count over the whole optimizer step, on all micro-batches and all ranks, so that accumulating
4 x 1 equals 1 x 4 and two ranks equal one, to rounding.
"""

import contextlib
import dataclasses
import math
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch
from torch import nn

from dataset.batching import StepSampler, make_loader
from dataset.lm_dataset import JsonlDataset, PretrainDataset
from model.files import file_hash
from model.memory import lack_of_memory
from model.weights import WeightError, save_weights, to_half, weight_name
from trainer.checkpoint import (
    StateError,
    differences,
    glance_at_state,
    load_state,
    previous,
    rng_states,
    save_state,
    seed_all,
    set_rng_states,
    state_path,
    take_lock,
)
from trainer.distributed import OtherRankError, World
from trainer.flops import peak_rate
from trainer.health import MAX_SKIPPED, MIN_SCALE, LossWatch, hardest_samples, who_is_not_finite
from trainer.identity import identity, recipe
from trainer.monitor import Monitor, peak_memory_mib
from trainer.optim import get_lr, make_optimizer
from trainer.options import TrainOptions
from trainer.process import handled


class TrainingError(ValueError):
    """Training cannot go on: what, at which step, what to do."""


class Trainer:
    """One run of one stage. `objective` is one of trainer/objectives.py.

    `save_result(model, path, tokenizer, **info)` writes what the run is for: the weights, or an adapter alone.
    """

    def __init__(
        self, options: TrainOptions, stage: str, world: World, objective: nn.Module, tokenizer,
        train_data: JsonlDataset, val_data: JsonlDataset, save_result: Callable = save_weights,
    ):  # fmt: skip
        self.options, self.stage, self.world, self.tokenizer = options, stage, world, tokenizer
        self.train_data, self.val_data, self.save_result = train_data, val_data, save_result
        self.objective = objective.to(world.device)
        self.model = objective.model
        self.name = weight_name(options.save_weight, self.model.config.hidden_size, self.model.config.use_moe)
        self.out_dir = Path(options.out_dir).absolute()

        self.dtype, self.autocast = self.choose_precision()
        self.scaler = torch.amp.GradScaler(world.device.type, enabled=self.dtype == torch.float16)
        if options.gradient_checkpointing:
            self.model.activation_checkpointing_enable({"use_reentrant": False})
        self.optimizer = make_optimizer(
            objective, options.optimizer, options.weight_decay, world.device.type, options.embedding_lr_scale
        )
        self.peak_rate = peak_rate(objective, train_data, self.dtype)
        packed = isinstance(train_data, PretrainDataset)
        if options.compile:
            # Packed rows have few shapes, each compiled for itself; else what is compiled for a shape, and how it
            # rounds, would depend on the shapes that came before it, which are others after a resume.
            self.model.model.compile(dynamic=False if packed else None)
        self.wrapped = self.wrap()

        self.sampler = StepSampler(
            len(train_data), options.batch_size, options.accumulation_steps, world.rank, world.world_size,
            options.seed, None if packed else train_data.lengths,
        )  # fmt: skip
        self.collate = train_data.make_collate()
        self.total_steps = options.epochs * self.sampler.steps_per_epoch
        if options.max_steps:
            self.total_steps = min(self.total_steps, options.max_steps)
        self.warmup_steps = options.warmup_steps
        if self.warmup_steps < 0:
            self.warmup_steps = min(self.total_steps // 2, max(1, self.total_steps // 50))
        self.eval_interval = options.eval_interval or max(1, self.total_steps // 10)

        self.step = 0  # optimizer steps done
        self.tokens = 0  # text tokens seen, padding not counted, all ranks
        self.seconds = 0.0  # of training, without validation and saving
        self.validation: dict[str, float] = {}
        self.validated = -1  # the step that they are of
        self.saved = None  # (step, validated) that this process has put on the disk
        self.saved_step: int | None = None  # of the newest state there
        self.recent = no_figures()  # since the last log
        self.skipped_steps = 0  # that float16 lost to a scale too large
        self.skipped_in_a_row = 0
        self.grad_norm = torch.tensor(math.nan)
        self.loss_watch = LossWatch()
        self.stop_signal = 0  # that this rank got, or learned of
        self.stopping = False  # all ranks know of it: set in count() and validate() alone
        # Hash of the weights that training begins with, as they are now, before hours go by.
        self.start = "new" if options.from_weight == "none" else file_hash(Path(options.from_weight))
        seed_all(options.seed + 1000 * world.rank)  # dropout differs between ranks

    # ------------------------------------------------------------ precision

    def choose_precision(self) -> tuple[torch.dtype, contextlib.AbstractContextManager]:
        """The compute type asked for, and the autocast context that gives it; weights stay float32."""
        device_type, name = self.world.device.type, self.options.dtype
        if name == "auto":
            name = "float32"
            if device_type == "cuda":
                name = "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
        dtype = getattr(torch, name)
        if device_type == "cuda":
            torch.set_float32_matmul_precision("high")  # TensorFloat32 for what stays float32
        return dtype, torch.autocast(device_type, dtype=dtype, enabled=dtype != torch.float32)

    # ------------------------------------------------------------ what differs under DeepSpeed (trainer/zero.py)

    in_step = False  # whether a rank can call the network only together with all others

    def wrap(self) -> nn.Module:
        """The objective as it is called in training: its backward pass averages gradients over the ranks."""
        if self.world.world_size == 1:
            return self.objective
        device_ids = [self.world.device] if self.world.device.type == "cuda" else None
        # The only buffers are the rotary tables, which are the same on every rank from the start.
        return nn.parallel.DistributedDataParallel(self.objective, device_ids=device_ids, forward_sync_buffers=False)

    def micro_step(self, last: bool) -> contextlib.AbstractContextManager:
        """Around each micro-batch. Gradients travel between ranks once per step, with the last one."""
        return contextlib.nullcontext() if last or self.world.world_size == 1 else self.wrapped.no_sync()

    def backward(self, loss: torch.Tensor) -> None:
        self.scaler.scale(loss).backward()

    def clip_gradients(self) -> torch.Tensor:
        """The norm before clipping."""
        self.scaler.unscale_(self.optimizer)
        return nn.utils.clip_grad_norm_(self.objective.parameters(), self.options.grad_clip or math.inf)

    def whole_model(self) -> nn.Module:
        """The model as it is now, for a rank to use by itself."""
        return self.model

    # ------------------------------------------------------------ the loop

    def train(self) -> None:
        """Train to the last step, or until a signal asks to stop; save; print what came out.

        Raises StateError when another process is writing the same weight, or a stopped run would be lost.
        """
        if self.world.writes:
            self.lock = take_lock(state_path(self.out_dir, self.name).with_suffix(".lock"))
        goes_on = self.world.from_main(self.world.is_main and self.goes_on())
        self.objective.prepare(self)
        if goes_on:
            self.resume()
            self.saved_step = self.step
        self.objective.train()
        monitor = self.start_monitor if self.world.is_main else contextlib.nullcontext
        with stop_signals(self), monitor() as self.monitor:
            if self.validation_is_due():
                self.validate()
            while self.step < self.total_steps and not self.stopping:
                self.train_epoch(self.step // self.sampler.steps_per_epoch)
            if self.saved != (self.step, self.validated):
                self.save()
        if self.monitor:
            self.monitor.say(self.last_words())
            self.monitor.close()

    def train_epoch(self, epoch: int) -> None:
        """The rest of an epoch, from the current step on."""
        self.sampler.set_position(epoch, self.step - epoch * self.sampler.steps_per_epoch)
        if isinstance(self.train_data, PretrainDataset):
            self.train_data.set_order(np.random.default_rng((self.options.seed, epoch, 1)))
        pin = self.world.device.type == "cuda"
        batches = iter(make_loader(self.train_data, self.sampler, self.collate, self.options.num_workers, pin))
        while self.step < self.total_steps and not self.stopping:
            started = time.perf_counter()
            micro_batches = [b for _, b in zip(range(self.options.accumulation_steps), batches, strict=False)]
            if not micro_batches:
                return
            waited = time.perf_counter() - started
            if not self.train_step(micro_batches):
                return
            self.step += 1
            self.recent["waited"] += waited
            self.recent["seconds"] += time.perf_counter() - started
            self.after_step()

    def train_step(self, micro_batches: list[dict[str, torch.Tensor]]) -> bool:
        """One optimizer step: forward and backward of every micro-batch, then clip and update. False: asked to stop."""
        counts = self.count(micro_batches)
        if counts is None:
            return False
        lr = get_lr(self.step, self.total_steps, self.options.learning_rate, self.warmup_steps)
        self.optimizer.set_lr(lr)
        losses, step_loss = [], 0.0  # of this rank: what each micro-batch is trained on, and the figure
        for i, batch in enumerate(micro_batches):
            batch = {k: v.to(self.world.device, non_blocking=True) for k, v in batch.items()}
            last = i == len(micro_batches) - 1
            with self.micro_step(last):
                with self.autocast:
                    sums = self.wrapped(batch)
                total = sum(v / max(counts[name], 1.0) for name, v in sums.items() if v.requires_grad)
                # Times 1; but NaN if it is not finite, so that the gradient's norm tells every rank.
                total = total * (1 + 0 * total.detach())
                # DDP averages over ranks, and the sums are to be added.
                self.backward(total * self.world.world_size)
            for name, value in sums.items():
                self.recent["sums"][name] = self.recent["sums"].get(name, 0.0) + value.detach()
            losses.append(total.detach())
            step_loss = step_loss + sums["loss"].detach()
        self.recent["losses"].append((step_loss, counts["loss"]))
        norm = self.clip_gradients()
        self.lr = lr
        if torch.isfinite(norm):  # here the host waits for the device, once per step
            self.scaler.step(self.optimizer)
            self.grad_norm, self.skipped_in_a_row = norm, 0
        else:
            self.skip_or_stop(losses, counts)
        self.scaler.update()
        self.optimizer.zero_grad()
        return True

    def skip_or_stop(self, losses: list[torch.Tensor], counts: dict[str, float]) -> None:
        """The gradient is not finite. float16 may skip the step, if its scale was too large; else the run ends here."""
        self.skipped_steps += 1
        self.skipped_in_a_row += 1
        finite = all(self.world.gather(bool(torch.stack(losses).isfinite().all())))
        what, why = "gradient" if finite else "loss", ""
        if self.scaler.is_enabled() and finite:
            scale = self.scaler.get_scale()
            if self.skipped_in_a_row < MAX_SKIPPED and scale > MIN_SCALE:
                return
            why = f" (in float16 at scale {scale:.2g}, after {self.skipped_in_a_row} skipped steps)"
        what = f"the {what} is not finite at step {self.step + 1}{why}, the weights were not touched"
        self.stop(f"{what}. It comes from {who_is_not_finite(self, self.step, counts)}")

    def stop(self, what: str) -> NoReturn:
        """End the run on all ranks, because of what all of them know; rank 0 says it, and how to go on."""
        if not self.world.is_main:
            raise OtherRankError
        rate = self.options.learning_rate
        if self.saved_step is None:
            advice = f"Nothing was saved before: start again, with a lower --learning_rate (now {rate}) if need be"
        else:
            from_them = " from them (--from_weight)" if self.save_result is save_weights else ""  # not of an adapter
            advice = (
                f"The weights of step {self.saved_step} are in {self.weight_path}: start a new run{from_them} with a "
                f"lower --learning_rate (now {rate}) or without those lines; --from_resume 1 would come to the same "
                "point"
            )
        raise TrainingError(f"{what}. {advice}")

    def count(self, micro_batches: list[dict[str, torch.Tensor]]) -> dict[str, float] | None:
        """What each sum is divided by: counted over all micro-batches and ranks.

        None when any rank has been asked to stop; here all of them learn of it, before the step begins.
        """
        counts: dict[str, float] = {}
        for batch in micro_batches:
            for name, value in self.objective.counts(batch).items():
                counts[name] = counts.get(name, 0.0) + value
        tokens = sum(float(batch.get("attention_mask", batch["loss_mask"]).sum()) for batch in micro_batches)
        values = torch.tensor([*counts.values(), tokens, float(self.stop_signal)], dtype=torch.float64)
        *summed, tokens, stop = self.world.sum(values).tolist()
        if stop:
            self.stop_signal, self.stopping = self.stop_signal or signal.SIGTERM, True
            return None
        self.tokens += int(tokens)
        self.recent["tokens"] += int(tokens)
        for name, value in zip(counts, summed, strict=True):
            self.recent["counts"][name] = self.recent["counts"].get(name, 0.0) + value
        return dict(zip(counts, summed, strict=True))

    def after_step(self) -> None:
        """Figures, validation and files, each when it is due."""
        options, done = self.options, self.step == self.total_steps
        if self.monitor:
            self.monitor.step(self.step)
        if done or self.step % options.log_interval == 0:
            self.log()
        if self.validation_is_due():
            self.validate()
        if done or self.step % options.save_interval == 0:
            self.save()

    # ------------------------------------------------------------ figures

    def start_monitor(self) -> Monitor:
        options = self.options
        wandb_options = None
        if options.use_wandb:
            wandb_options = {
                "project": options.wandb_project,
                "name": options.wandb_run_name or self.name,
                "config": dataclasses.asdict(options),
                "folder": self.out_dir,
            }
        folder, place = self.out_dir / "metrics", (self.total_steps, self.step, self.validated)
        return Monitor(folder, self.name, self.stage, *place, wandb_options)

    def log(self) -> None:
        """Global figures since the last log. Only here does the device's work come back to Python."""
        recent, names = self.recent, list(self.recent["sums"])
        values = [recent["sums"][name] for name in names] + [loss for loss, _ in recent["losses"]]
        values = torch.stack([value.reshape(()) for value in values]).cpu().double()  # which not every device has
        values = self.world.sum(values).tolist()
        sums = dict(zip(names, values, strict=False))
        seconds, tokens = max(recent["seconds"], 1e-9), recent["tokens"]
        self.seconds += seconds
        if self.monitor:
            self.monitor.log(
                {"step": self.step, "epoch": self.step / self.sampler.steps_per_epoch, "tokens": self.tokens}
                | {name: sums[name] / max(recent["counts"][name], 1.0) for name in names}
                | {
                    "lr": self.lr,
                    "grad_norm": float(self.grad_norm) if self.grad_norm.isfinite() else None,
                    "tokens_per_second": tokens / seconds,
                    "data_wait": recent["waited"] / seconds,
                    "seconds": self.seconds,
                    "peak_memory_mib": peak_memory_mib(self.world.device),
                }
                | ({"mfu": tokens / seconds / (self.peak_rate * self.world.world_size)} if self.peak_rate else {})
                | ({"skipped_steps": self.skipped_steps} if self.scaler.is_enabled() else {})
            )
        self.name_spikes([v / max(n, 1.0) for v, (_, n) in zip(values[len(names) :], recent["losses"], strict=True)])
        self.recent = no_figures()

    def name_spikes(self, losses: list[float]) -> None:
        """A line on the screen for a loss, of the newest steps, that lies far above those before it."""
        for step, loss in enumerate(losses, self.step - len(losses)):
            usual = self.loss_watch.usual_if_exceeded(loss)
            if usual is None:
                continue
            line = f"step {step + 1}: loss {loss:.2f}, far above the usual {usual:.2f} of the steps before"
            same_order = step // self.sampler.steps_per_epoch == self.sampler.epoch  # of the data
            if same_order and not self.in_step:
                line += f"; its hardest samples now: {hardest_samples(self, step)}"
            if self.monitor:
                self.monitor.say(line)

    def validation_is_due(self) -> bool:
        """At the start, every so often and at the end; also after a resume, when the stop came before it was done."""
        # A validation just before the last one would tell the same.
        on_time = self.step % self.eval_interval == 0 and self.total_steps - self.step > self.eval_interval // 10
        return (on_time or self.step == self.total_steps) and self.validated != self.step

    @torch.no_grad()
    def validate(self) -> None:
        """The objective's figures on the held-out samples, and bits per byte of text; the ranks share the work.

        A signal ends it after the batch in hand, without figures: the resumed run begins with it anew.
        """
        self.objective.eval()
        world, sums, counts = self.world, {}, {}
        indices = list(range(world.rank, len(self.val_data), world.world_size))
        size = self.options.batch_size
        # As many batches on every rank, an empty one at the end: under ZeRO-3 they need each other for each.
        for i in range(0, -(-len(self.val_data) // world.world_size), size):
            if self.stop_signal and not self.in_step:
                break
            batch = self.collate([self.val_data[j] for j in indices[i : i + size]])
            for name, value in self.objective.counts(batch).items():
                counts[name] = counts.get(name, 0.0) + value
            batch = {k: v.to(world.device) for k, v in batch.items()}
            with self.autocast:
                for name, value in self.objective(batch).items():
                    sums[name] = sums.get(name, 0.0) + float(value)
        names = list(self.objective.counts(self.collate([])))  # a rank without samples has no other way to know
        values = [sums.get(n, 0.0) for n in names] + [counts.get(n, 0.0) for n in names] + [float(self.stop_signal)]
        *totals, stop = world.sum(torch.tensor(values, dtype=torch.float64)).tolist()
        if stop:  # on any rank: the figures are of a part
            self.stop_signal, self.stopping = self.stop_signal or signal.SIGTERM, True
            self.objective.train()
            return
        figures = {f"val_{n}": totals[i] / max(totals[len(names) + i], 1.0) for i, n in enumerate(names)}
        if text_loss := self.objective.text_loss:
            text_nats = totals[names.index(text_loss)]
            figures["val_bits_per_byte"] = text_nats / math.log(2) / max(1, self.val_data.n_bytes)
        figures |= {f"val_{name}": value for name, value in self.objective.more_figures(self).items()}
        self.validation, self.validated = figures, self.step
        self.objective.train()
        for name, value in figures.items():
            if not math.isfinite(value):
                self.stop(f"{name} is not finite ({value}) in the validation after step {self.step}; it was not saved")
        if self.monitor:
            self.monitor.log({"step": self.step, "tokens": self.tokens, "seconds": self.seconds} | figures)
            units = {"val_loss": f" {self.objective.unit}"}
            shown = [f"{n[4:].replace('_', ' ')} {value:.4f}{units.get(n, '')}" for n, value in figures.items()]
            self.monitor.say(f"step {self.step}: validation {', '.join(shown)}")

    # ------------------------------------------------------------ files

    def save(self) -> None:
        """The training state, to go on from, and the weights, to use; neither of a run that has diverged."""
        try:
            to_half(self.trained_state(), self.weight_path)
        except WeightError as error:  # on all ranks alike: their weights are the same
            self.stop(str(error))
        rngs, seconds = self.world.gather(rng_states()), self.seconds + self.recent["seconds"]
        self.saved, self.saved_step = (self.step, self.validated), self.step
        if not self.world.writes:
            return
        state = {
            "step": self.step, "tokens": self.tokens, "seconds": seconds, "rngs": rngs,
            "model": self.trained_state(), "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(), "validation": self.validation, "validated": self.validated,
            "identity": identity(self), "start": self.start, "skipped_steps": self.skipped_steps,
            "skipped_in_a_row": self.skipped_in_a_row, "loss_watch": self.loss_watch.state_dict(),
        }  # fmt: skip
        save_state(state, state_path(self.out_dir, self.name))
        data = {"file": self.train_data.path.name, "fingerprint": self.train_data.fingerprint}
        self.save_result(
            self.model, self.weight_path, self.tokenizer, stage=self.stage, step=self.step, tokens=self.tokens,
            seconds=round(seconds, 1), data=data, validation=self.validation, origin=self.objective.origin,
            recipe=recipe(self),
        )  # fmt: skip

    def trained_state(self) -> dict[str, torch.Tensor]:
        """The model's tensors without those that are frozen: they are read anew from where they came from."""
        state = self.model.state_dict(keep_vars=True)
        return {key: value.detach() for key, value in state.items() if value.requires_grad}

    @property
    def weight_path(self) -> Path:
        return self.out_dir / f"{self.name}.pth"

    def goes_on(self) -> bool:
        """Whether to continue a stopped run: as --from_resume says; with --skip_finished also one of the same recipe.

        Raises StateError rather than let a new run write over such a one.
        """
        path, total = state_path(self.out_dir, self.name), self.total_steps
        if self.options.from_resume:
            return True
        state = glance_at_state(path)
        if not state or not 0 < state["step"] < total or differences(state["identity"], identity(self)):
            return False
        if not self.options.skip_finished:
            raise StateError(
                f"{path}: a run stopped after step {state['step']} of {total} is there: pass --from_resume 1 to go on "
                f"with it, another --save_weight, or delete that file and {previous(path).name} to start anew"
            )
        if state["start"] == self.start:
            print(f"{self.stage}: goes on after step {state['step']} of {total}, where it was stopped", flush=True)
        return state["start"] == self.start

    def resume(self) -> None:
        """Continue the newest training state as if the run had never stopped.

        On one machine, with as many ranks, losses and weights are the same to the bit (with --compile, where batches
        have one shape: compiled code depends on the shapes that came first). With another number of ranks, but as
        many samples per step, it goes on at the same sample in the same order, and the figures agree to rounding;
        dropout draws other noise. The figures since the last log begin anew. Raises StateError, naming what differs,
        when this is not the run that was stopped.
        """
        # Rank 0's alone: another machine's may be missing, or older when the run was killed.
        found = load_state(state_path(self.out_dir, self.name)) if self.world.is_main else None
        state, path = self.world.from_main(found)
        now = self.world.from_main(identity(self))
        try:
            if changed := differences(state["identity"], now):
                raise StateError(
                    f"{path}: this is not the run that was stopped (then → now): {'; '.join(changed)}: "
                    "make them equal, or start anew without --from_resume"
                )
            self.take_over(state)
        except (StateError, OtherRankError, torch.distributed.DistError):
            raise
        except Exception as error:  # what a file holds can be wrong in any way there is
            if lack_of_memory(error):
                raise
            what = f"it cannot be taken over ({type(error).__name__}: {error})"
            raise StateError(f"{path}: {what}; it was left as it is") from error

    def take_over(self, state: dict) -> None:
        """Set everything that a training state holds."""
        if state["start"] != self.start and self.world.is_main:
            print(f"note: this run began from other weights than {self.options.from_weight}: it goes on with its own")
        self.start = state["start"]
        self.step, self.tokens, self.seconds = state["step"], state["tokens"], state["seconds"]
        self.validation, self.validated = state["validation"], state["validated"]
        self.skipped_steps, self.skipped_in_a_row = state["skipped_steps"], state["skipped_in_a_row"]
        self.loss_watch.load_state_dict(state["loss_watch"])
        if self.trained_state().keys() != state["model"].keys():
            raise KeyError("the identity decides the tensors")
        self.model.load_state_dict(state["model"], strict=False)
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        rngs = state["rngs"]  # each rank draws its own dropout
        if len(rngs) == self.world.world_size:
            set_rng_states(rngs[self.world.rank])
        elif self.world.is_main:
            print(f"note: stopped with {len(rngs)} ranks, resumed with {self.world.world_size}: same samples")

    # ------------------------------------------------------------ the end

    def last_words(self) -> str:
        if self.stop_signal and self.step < self.total_steps:
            name = signal.Signals(self.stop_signal).name
            return f"stopped by {name} after step {self.step} of {self.total_steps}; saved. Go on with --from_resume 1"
        return f"done in {self.seconds:.0f} s: {self.tokens:,} tokens, weights in {self.weight_path}"


def no_figures() -> dict:
    """What is gathered between two logs, before the first step of it; `losses` has (sum, count) of every step."""
    return {"sums": {}, "counts": {}, "losses": [], "tokens": 0, "seconds": 0.0, "waited": 0.0}


def stop_signals(trainer: Trainer) -> contextlib.AbstractContextManager:
    """Ctrl-C, SIGTERM and a closed terminal (SIGHUP, unless nohup has it ignored) let the step in hand end, then the
    run saves and stops. A second signal, of whatever kind, stops at once.

    Under torchrun and its like a third: the terminal sends Ctrl-C to every process, and the launcher passes its own
    on, so that the ranks get two of each.
    """
    patience, heard = 1 + ("LOCAL_RANK" in os.environ), 0

    def ask_to_stop(number, frame):
        nonlocal heard
        heard += 1
        if heard > patience:
            raise KeyboardInterrupt(number)
        if heard == 1 and os.environ.get("RANK", "0") == "0":
            with contextlib.suppress(OSError):  # not print(), in whose hands the stream may be at this moment
                os.write(2, b"\nstopping after the current step; Ctrl-C again stops at once\n")
        trainer.stop_signal = trainer.stop_signal or number

    numbers = [signal.SIGINT, signal.SIGTERM]
    numbers += [signal.SIGHUP] if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN else []
    return handled(numbers, ask_to_stop)
