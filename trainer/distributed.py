"""Devices and ranks: where this process computes, who else takes part, and how all end when one fails."""

import contextlib
import os
import signal
import sys
import time
import traceback
import uuid
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import torch
import torch.distributed as dist

from trainer.command_line import UsageError, fail, require
from trainer.process import PATIENCE, count_reports

# A rank that has ended is noticed at once, by its closed connections; this is for one that hangs.
STEP_TIMEOUT = timedelta(minutes=10)
LONG_PATIENCE = 60.0  # where it is known that it will say why


class OtherRankError(RuntimeError):
    """This rank cannot continue because another one has failed, which says why."""


@dataclass
class World:
    """This process among all. Rank 0 alone prints; files are written by it, and by one rank on each other disk."""

    rank: int
    world_size: int
    device: torch.device
    store: dist.Store | None = None  # what the ranks can read and write without waiting for each other
    waits: int = 0  # how often main_first was passed
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
        """Element-wise sum over all ranks; every rank must call it."""
        if self.world_size > 1:
            values = values.to(self.device)  # where the ranks of GPUs meet
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
        """The ranks that write go through the block (to fill a cache), then the others (to find it filled). It may take
        hours, so nobody waits in a collective operation, whose time is limited."""
        self.waits += 1
        key, passed = f"minimind/main_first/{self.writer}/{self.waits}", False
        if self.world_size > 1 and not self.writes:
            while not self.store.check([key]):
                time.sleep(0.1)
            if self.store.get(key) != b"passed":
                raise OtherRankError
        try:
            yield
            passed = True
        finally:
            if self.world_size > 1 and self.writes:
                self.store.set(key, "passed" if passed else "failed")

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
        raise UsageError(f"--device {name}: use cuda, mps or cpu") from None
    kinds = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    require(device.type in kinds, f"--device {name}: use cuda, mps or cpu")
    require(kinds[device.type], f"--device {name}: torch finds no such GPU here")
    if device.type == "cuda":
        index = local_rank if device.index is None else device.index
        require(index < torch.cuda.device_count(), f"--device cuda:{index}: there are {torch.cuda.device_count()} GPUs")
        device = torch.device("cuda", index)
    return device


def choose_dtype(name: str, device: torch.device, old_gpu: str = "float32") -> torch.dtype:
    """The compute type asked for; `auto` is bfloat16 on a GPU that has it, else `old_gpu`, and float32 elsewhere."""
    if name == "auto":
        name = "float32"
        if device.type == "cuda":
            name = "bfloat16" if torch.cuda.is_bf16_supported() else old_gpu
    return getattr(torch, name)


def choose_precision(name: str, device: torch.device) -> tuple[torch.dtype, torch.autocast]:
    """What a stage computes in, and the context that gives it; weights stay float32."""
    dtype = choose_dtype(name, device, old_gpu="float16")
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")  # TensorFloat32 for what stays float32
    return dtype, torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32)


def join_world(device_name: str) -> World:
    """Join the ranks that torchrun started (it says so in the environment), or be alone."""
    world_size, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    device = choose_device(device_name, int(os.environ.get("LOCAL_RANK", 0)))
    if device.type == "cuda":
        torch.cuda.set_device(device)
    store = None
    if world_size > 1:
        backend = "nccl" if device.type == "cuda" else "gloo"
        store, rank, world_size = next(dist.rendezvous("env://", timeout=STEP_TIMEOUT))
        dist.init_process_group(backend, store=store, rank=rank, world_size=world_size, timeout=STEP_TIMEOUT)
    return World(rank, world_size, device, store)


def end_rank(error: Exception) -> NoReturn:
    """End this process because of `error`; of all ranks only the first that failed by itself says what happened."""
    message, reported = str(error), False
    if isinstance(error, OtherRankError | dist.DistError) or "/gloo/" in str(error):  # another one is gone or silent
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun ends the others as soon as one is gone
        message = "another rank has ended or hangs: see its message, or the launcher's report if it had no time for one"
        deadline = time.monotonic() + (LONG_PATIENCE if isinstance(error, OtherRankError) else PATIENCE)
        while not (reported := bool(count_reports())) and time.monotonic() < deadline:
            time.sleep(0.2)
    elif os.environ.get("MINIMIND_TRACEBACK") or not isinstance(error, ValueError | OSError):
        if not count_reports():
            traceback.print_exception(error)
        message = f"{type(error).__name__}: {error}"
    if reported:
        time.sleep(1)  # so that the launcher's report, too, begins with the one that failed
    else:
        fail(message)
    sys.stdout.flush()
    sys.stderr.flush()
    # At once: to take down a process group in which others are waiting may take for ever.
    os._exit(2 if isinstance(error, UsageError) else 1)
