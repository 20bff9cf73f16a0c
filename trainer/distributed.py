"""Devices and ranks: where this process computes and who else takes part."""

import contextlib
import os
import uuid
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

from trainer.options import UsageError, require


@dataclass
class World:
    """This process among all. Rank 0 alone prints; files are written by it, and by one rank on each other disk."""

    rank: int
    world_size: int
    device: torch.device
    writer: int = 0  # the rank that writes to the disk that this one sees

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    @property
    def writes(self) -> bool:
        return self.rank == self.writer

    def find_writer(self, folder: Path) -> None:
        """Machines may share a disk or not: the first of all ranks that see the same `folder` writes there."""
        if self.world_size == 1:
            return
        mark = f".ranks-{self.from_main(uuid.uuid4().hex)}-"
        own = folder / f"{mark}{self.rank}"
        own.touch()
        dist.barrier()
        self.writer = min(int(name.removeprefix(mark)) for name in os.listdir(folder) if name.startswith(mark))
        dist.barrier()
        own.unlink()

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

    def from_main(self, value):
        """`value` of rank 0, on every rank."""
        values = [value]
        if self.world_size > 1:
            dist.broadcast_object_list(values)
        return values[0]

    @contextlib.contextmanager
    def main_first(self):
        """The ranks that write go through the block (to fill a cache), then the others (to find it filled)."""
        if self.world_size > 1 and not self.writes:
            dist.barrier()
        yield
        if self.world_size > 1 and self.writes:
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
