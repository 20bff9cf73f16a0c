"""Training states, from which a stopped run continues as if it had never stopped, and which runs are the same.

Unlike a weight (model/weights.py) a state is full precision and large, read by `--from_resume 1` alone, and lies in
`out/checkpoints/`. It holds tensors, numbers, strings, lists and dicts only, so reading one executes nothing.
"""

import contextlib
import errno
import fcntl
import json
import os
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import torch

from dataset.lm_dataset import JsonlDataset
from model.files import file_hash, write_atomically
from model.memory import lack_of_memory
from model.weights import n_bytes, tokenizer_hash, write_tensors
from trainer.command_line import compared_flags
from trainer.distributed import OtherRankError
from trainer.options import TrainOptions

GENERATORS = {"cpu": torch, "cuda": torch.cuda, "mps": torch.mps}  # of random numbers
FORMAT = 9  # raise it when a state means something else than before


class StateError(ValueError):
    """A training state that cannot be continued: what, where, what to do."""


def state_path(out_dir: str | Path, name: str) -> Path:
    return Path(out_dir) / "checkpoints" / f"{name}.pt"


def previous(path: Path) -> Path:
    """The file of the state before the newest one."""
    return path.with_suffix(".previous.pt")


def save_state(state: dict, path: Path) -> None:
    """Write atomically; the state that was newest so far becomes the previous one."""
    content = state | {"format": FORMAT}
    write_atomically(path, lambda temporary: write_tensors(content, temporary), n_bytes(content), previous(path))


def read_whole(path: Path) -> dict:
    """The state in a file, without executing anything in it. Raises in any way there is when bytes of it are wrong."""
    with zipfile.ZipFile(path) as archive:
        if damaged := archive.testzip():  # torch itself does not look at the checksums that it writes
            raise ValueError(f"{damaged} is damaged")
    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or not isinstance(state.get("step"), int):
        raise ValueError("it holds something else")
    return state


def load_state(path: Path) -> tuple[dict, Path]:
    """The newest whole state, and its file: `path`, or the one before it when that is missing or damaged, with a note.
    A damaged one is moved aside, lest it become the previous one; so only the process that writes may call this. Raises
    StateError when there is none, or when another version of this program wrote it."""
    damaged = False
    for candidate in (path, previous(path)):
        if not candidate.exists():
            continue
        try:
            state = read_whole(candidate)
        except Exception as error:  # foreign bytes make the reader fail in any way there is
            if isinstance(error, PermissionError) or lack_of_memory(error):  # no fault of the file
                raise
            damaged = True
            continue
        if candidate != path:
            what = "is damaged" if damaged else "is not there"
            print(f"{path} {what}; continuing from {candidate}, step {state['step']}", flush=True)
        if state.get("format") != FORMAT:
            raise StateError(f"{candidate}: another version of MiniMind wrote this: resume with that, or start again")
        if damaged:
            path.replace(path.with_suffix(".damaged.pt"))
        return state, candidate
    if damaged:
        raise StateError(f"{path}: this training state is damaged and no older one is left: start without it")
    raise StateError(f"{path}: there is no training state to resume: start without --from_resume")


@contextlib.contextmanager
def state_errors(path: Path) -> Iterator[None]:
    """What a state holds can be wrong in any way there is: StateError for all of them."""
    try:
        yield
    except (StateError, OtherRankError, torch.distributed.DistError):
        raise
    except Exception as error:
        if lack_of_memory(error):
            raise
        what = f"it cannot be resumed ({type(error).__name__}: {error})"
        raise StateError(f"{path}: {what}; it was not changed") from error


def identity(
    options: TrainOptions, stage: str, objective, tokenizer, train_data: JsonlDataset, samples_per_step: int,
    steps: int, dtype: torch.dtype,
) -> dict:  # fmt: skip
    """Everything that shapes the weights, but their start: the flags that are not free, and what others amount to."""
    config = objective.model.config
    network = {name: getattr(config, name) for name in options.sizes()}
    if config.rope_scaling:
        network["rope_scaling"] = config.rope_scaling
    return compared_flags(options) | objective.origin | {
        "stage": stage, "steps": steps, "dtype": str(dtype).removeprefix("torch."),
        "samples_per_step": samples_per_step, "training_samples": len(train_data),
        "data_fingerprint": train_data.fingerprint, "network": network, "vocabulary": tokenizer_hash(tokenizer),
    }  # fmt: skip


def recipe(identity: dict, start: str, options: TrainOptions, val_data: JsonlDataset) -> dict:
    """What a weight was made from, in words, for its `.json`."""
    return identity | {
        "start": start, "batch_size": options.batch_size, "accumulation_steps": options.accumulation_steps,
        "validation_samples": len(val_data), "validation_fingerprint": val_data.fingerprint,
    }  # fmt: skip


def is_finished(weight: Path, metrics: Path, recipe: dict) -> bool:
    """Whether a run of this recipe has written both files, and trained to the last step."""
    metadata = weight.with_suffix(".json")
    if not all(path.is_file() for path in (weight, metadata, metrics)):
        return False
    try:
        info = json.loads(metadata.read_text(encoding="utf-8"))
        same = info["recipe"] == recipe and info["step"] == recipe["steps"]
        return same and info["sha256"] == file_hash(weight)
    except (ValueError, KeyError, TypeError, RecursionError):  # not written by this engine: not this run
        return False


def should_resume(path: Path, options: TrainOptions, identity: dict, start: str, total_steps: int) -> bool:
    """As --from_resume says; with --skip_finished also when the same run, from the same `start`, was stopped. Raises
    StateError rather than let a new run overwrite a stopped one."""
    if options.from_resume:
        return True
    state = None
    for candidate in (previous(path), path):
        with contextlib.suppress(Exception):  # foreign bytes make the reader fail in any way there is
            found = torch.load(candidate, map_location="cpu", weights_only=True, mmap=True)  # no tensor is read
            state = found if found["format"] == FORMAT else state
    if not state or not 0 < state["step"] < total_steps or differences(state["identity"], identity):
        return False
    where = f"after step {state['step']} of {total_steps}"
    if not options.skip_finished:
        advice = f"another --save_weight, or delete that file and {previous(path).name} to start again"
        raise StateError(f"{path}: a run stopped {where} is there: pass --from_resume 1 to continue it, {advice}")
    if state["start"] == start:
        print(f"{path.stem}: continues {where}, where it was stopped", flush=True)
    return state["start"] == start


def differences(before: dict, now: dict, within: str = "") -> list[str]:
    """What differs between two nested dicts, a phrase for each value: `network hidden_size 32 → 64`."""
    phrases = []
    for key in before | now:
        old, new = (side.get(key, "not set") for side in (before, now))
        if isinstance(old, dict) and isinstance(new, dict):
            phrases += differences(old, new, f"{within}{key} ")
        elif old != new:
            phrases.append(f"{within}{key} {old} → {new}")
    return phrases


def take_lock(path: Path) -> IO[str]:
    """The right to write the states, weights and metrics of one name, until the process ends, however it does. The file
    returned must stay open. Raises StateError while another process has the lock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = open(path, "a+", encoding="utf-8")  # noqa: SIM115
    try:
        # A lock of the process, which its loader's workers do not inherit: they outlive a killed run for seconds.
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            print(f"note: {path.parent} has no file locks ({error.strerror}): start no second run of this name")
            return file
        file.seek(0)
        holder = file.read(200).strip() or "another process"
        what = f"{holder} is writing this weight"
        raise StateError(f"{path}: {what}: wait for it, stop it, or pass another --save_weight or --out_dir") from None
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
    file.flush()
    return file


def rng_states(device: torch.device) -> dict[str, torch.Tensor]:
    """States of the generators that dropout may use, by kind of device."""
    return {kind: GENERATORS[kind].get_rng_state() for kind in {"cpu", device.type}}


def set_rng_states(states: dict[str, torch.Tensor], device: torch.device) -> None:
    for kind in {"cpu", device.type} & states.keys():
        GENERATORS[kind].set_rng_state(states[kind])
