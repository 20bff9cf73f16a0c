"""Devices and ranks: where this process computes and who else takes part."""

import contextlib
import os
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

from trainer.options import UsageError, require


@dataclass
class World:
    """This process among all; rank 0 alone writes files and prints."""

    rank: int
    world_size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Element-wise sum over all ranks, in place; every rank must call it."""
        if self.world_size > 1:
            dist.all_reduce(values)
        return values

    def gather(self, value) -> list:
        """`value` of every rank, on every rank."""
        if self.world_size == 1:
            return [value]
        values = [None] * self.world_size
        dist.all_gather_object(values, value)
        return values

    @contextlib.contextmanager
    def main_first(self):
        """Rank 0 goes through the block (to fill a cache), then the others (to find it filled)."""
        if self.world_size > 1 and not self.is_main:
            dist.barrier()
        yield
        if self.world_size > 1 and self.is_main:
            dist.barrier()

    def close(self) -> None:
        if dist.is_initialized():
            dist.destroy_process_group()


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """The device asked for; `auto` is cuda, else mps, else cpu. UsageError for one that is not there."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"--device {name}: there is no such device; use cuda, mps or cpu") from None
    require(device.type in ("cuda", "mps", "cpu"), f"--device {name}: use cuda, mps or cpu")
    require(device.type != "cuda" or torch.cuda.is_available(), f"--device {name}: there is no usable NVIDIA GPU")
    require(device.type != "mps" or torch.backends.mps.is_available(), f"--device {name}: there is no Apple GPU")
    if device.type == "cuda":
        index = local_rank if device.index is None else device.index
        require(index < torch.cuda.device_count(), f"--device cuda:{index}: there are {torch.cuda.device_count()} GPUs")
        device = torch.device("cuda", index)
    return device


def join_world(device_name: str) -> World:
    """Join the ranks that torchrun started (it says so in the environment), or be alone."""
    world_size, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    device = choose_device(device_name, int(os.environ.get("LOCAL_RANK", 0)))
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if world_size > 1:
        # Tokenising a large file on rank 0 may take long, and the others wait for it.
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=timedelta(hours=2))
    return World(rank, world_size, device)
