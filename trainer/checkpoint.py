"""Training states: everything that a stopped run needs to go on as if it had never stopped.

Not to be mixed up with weights (model/weights.py): a state is full precision and large, read by `--from_resume 1`
alone, and lies in `out/checkpoints/`. It holds tensors, numbers, strings, lists and dicts only, so that reading one
never executes anything.
"""

import os
import random
from pathlib import Path

import numpy as np
import torch

from model.weights import write_atomically


class StateError(ValueError):
    """A training state that cannot be continued: what, where, what to do."""


def state_path(out_dir: str | Path, name: str) -> Path:
    return Path(out_dir) / "checkpoints" / f"{name}.pt"


def previous(path: Path) -> Path:
    """Where the state before the newest one is kept."""
    return path.with_suffix(".previous.pt")


def save_state(state: dict, path: Path) -> None:
    """Write atomically; the state that was newest so far is kept as the previous one."""

    def write(temporary: Path) -> None:
        torch.save(state, temporary)
        if path.exists():  # the new one is whole by now, so the old one may step back
            os.replace(path, previous(path))

    write_atomically(path, write)


def load_state(path: Path) -> dict:
    """The newest whole state: `path`, or the one before it when `path` is missing or damaged (said aloud).

    Raises StateError when there is none.
    """
    damaged = []
    for candidate in (path, previous(path)):
        if not candidate.exists():
            continue
        try:
            state = torch.load(candidate, map_location="cpu", weights_only=True)
            if not isinstance(state, dict) or "step" not in state:
                raise ValueError("it holds something else")
        except Exception:  # foreign bytes make the reader fail in any way there is
            damaged.append(candidate)
            continue
        if damaged:
            print(f"{damaged[0]} is damaged; continuing from {candidate}, step {state['step']}")
        return state
    if damaged:
        raise StateError(f"{damaged[0]}: this training state is damaged and no older one is left: start without it")
    raise StateError(f"{path}: there is no training state to resume: start without --from_resume")


def rng_states() -> dict:
    """States of every random number generator of this process, as tensors and builtins."""
    _, keys, position, has_gauss, gauss = np.random.get_state()
    version, internal, gauss_next = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        "numpy": [torch.from_numpy(keys.astype(np.int64)), position, has_gauss, gauss],
        "python": [version, list(internal), gauss_next],
    }


def set_rng_states(states: dict) -> None:
    torch.set_rng_state(states["torch"])
    if states["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
    keys, position, has_gauss, gauss = states["numpy"]
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    version, internal, gauss_next = states["python"]
    random.setstate((version, tuple(internal), gauss_next))
