"""The model on the ranks: whole on each of them, with averaged gradients (DDP, Li et al. 2020)."""

import contextlib
import math

import torch
from torch import nn

from trainer.distributed import World
from trainer.optim import make_optimizer
from trainer.options import TrainOptions


class Replicas:
    """The objective, whole on every rank, and its optimizer: DDP averages the gradients. trainer/zero.py has the same
    for DeepSpeed, where the ranks divide the model among them."""

    in_step = False  # whether a rank can call the network only together with all others

    def __init__(self, objective: nn.Module, options: TrainOptions, world: World, dtype: torch.dtype):
        self.objective, self.options, self.world, self.model = objective, options, world, objective.model
        self.scaler = torch.amp.GradScaler(world.device.type, enabled=dtype == torch.float16)
        self.optimizer = make_optimizer(
            objective, options.optimizer, options.weight_decay, world.device.type, options.embedding_lr_scale,
            options.temperature_lr_scale,
        )  # fmt: skip
        self.wrapped = self.wrap(dtype)  # the objective as it is called in training

    @staticmethod
    def check(options: TrainOptions, world: World) -> None:
        """UsageError for what cannot work here."""

    def wrap(self, dtype: torch.dtype) -> nn.Module:
        if self.world.world_size == 1:
            return self.objective
        device_ids = [self.world.device] if self.world.device.type == "cuda" else None
        ddp = nn.parallel.DistributedDataParallel
        # The only buffers are the rotary tables, the same on every rank. (The flag for it has two names in torch 2.)
        names = [name for name, _ in self.objective.named_buffers()]
        ddp._set_params_and_buffers_to_ignore_for_model(self.objective, names)
        return ddp(self.objective, device_ids=device_ids)

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

    def gathered(self, write: bool = False) -> contextlib.AbstractContextManager:
        """Within it every parameter is whole on every rank; with `write`, what is changed in them stays."""
        return contextlib.nullcontext()

    def whole_state(self, keep: bool) -> contextlib.AbstractContextManager:
        """`gathered`, and the optimizer's state is whole on the ranks that `keep` it; every rank must enter it."""
        return contextlib.nullcontext()
