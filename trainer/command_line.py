"""The command line: dataclasses become flags, and a user's mistake ends a program with one sentence."""

import argparse
import difflib
import math
import operator
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import field
from pathlib import Path
from typing import TypeVar

from model.memory import lack_of_memory
from trainer.process import count_reports, prepare_process
from trainer.threads import share_cores

ROOT = Path(__file__).resolve().parents[1]
Options = TypeVar("Options")
# What a flag's number can be held to: the words of a message, and the comparison. Without bounds of its own a number
# must fit into what computes with it: 64 bits, or a float32 and its products.
BOUNDS = {
    "least": ("at least", operator.ge), "above": ("above", operator.gt),
    "most": ("at most", operator.le), "below": ("below", operator.lt),
}  # fmt: skip
WIDEST = {int: {"least": -(2**63), "most": 2**63 - 1}, float: {"least": -1e30, "most": 1e30}}


def flag(
    default, help: str, aliases: list[str] | None = None, choices: list | None = None, is_name: bool = False,
    free: bool = False, **bounds,
):  # fmt: skip
    """A dataclass field that becomes a documented flag; a list takes one value or more. `bounds` (least, above, most,
    below) are those of its number, or of each number in its list. A text that `is_name` becomes a part of a file's
    name. A `free` flag may differ between a stopped run and the one that continues it. A class that gives a flag
    another default inherits all three."""
    rules = bounds | ({"is_name": True} if is_name else {}) | ({"free": True} if free else {})
    metadata = {"help": help, "rules": rules}
    metadata |= ({"aliases": aliases} if aliases else {}) | ({"choices": choices} if choices else {})
    if isinstance(default, list):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


def rules_of(options_class: type, name: str) -> dict:
    """Bounds, is_name and free of a flag, as the class or one that it inherits from says them."""
    fields = (getattr(base, "__dataclass_fields__", {}).get(name) for base in reversed(options_class.__mro__))
    return {key: value for one in fields if one for key, value in one.metadata.get("rules", {}).items()}


def compared_flags(options) -> dict:
    """The flags that a resumed run must share with the stopped one: all that are not `free`."""
    return {name: value for name, value in vars(options).items() if not rules_of(type(options), name).get("free")}


class UsageError(ValueError):
    """Flags that make no sense; ends a program with exit code 2."""


def require(condition: bool, message: str) -> None:
    if not condition:
        raise UsageError(message)


def check_flags(options_class: type, given: dict) -> None:
    """UsageError for a number out of bounds, an empty text, or a name that cannot be a part of a file's name."""
    for name, value in given.items():
        rules, default = rules_of(options_class, name), options_class.__dataclass_fields__[name].default
        bounds = {kind: bound for kind, bound in rules.items() if kind in BOUNDS}
        for one in value if isinstance(value, list) else [] if value in (None, default) else [value]:
            typed = f"--{name} {one!s:.100}"
            typed = typed if typed.isprintable() else ascii(typed)[1:-1]
            require(one != "", f"--{name} is empty: give it a value, or leave it out")
            if rules.get("is_name"):
                plain = one.isprintable() and one not in (".", "..") and not set(one) & set("/\\")
                require(plain, f"{typed}: it must be a plain name for a file, not a path")
                require(len(one.encode()) <= 200, f"{typed}…: a name for a file must be at most 200 bytes long")
            require(not isinstance(one, float) or math.isfinite(one), f"{typed}: it must be a finite number")
            for kind, bound in (WIDEST.get(type(one), {}) | bounds).items():
                words, holds = BOUNDS[kind]
                require(holds(one, bound), f"{typed}: it must be {words} {bound}")


def parse_options(options_class: type[Options], description: str, argv: list[str] | None = None) -> Options:
    """The dataclass filled from the command line. A wrong or unknown flag prints one sentence and exits with 2."""
    from transformers import HfArgumentParser

    class Parser(HfArgumentParser):
        def add_argument(self, *names, rules=None, **kwargs):  # which check_flags applies
            return super().add_argument(*names, **kwargs)

        def error(self, message: str):
            sys.exit(fail(f"{message} (all flags: --help)", code=2))

    formatter = argparse.ArgumentDefaultsHelpFormatter
    parser = Parser(options_class, description=description, formatter_class=formatter, allow_abbrev=False)
    known, unknown = parser.parse_known_args(argv)
    if unknown:
        nearest = difflib.get_close_matches(unknown[0].split("=")[0], parser._option_string_actions, n=1)
        parser.error(f"unknown flag {unknown[0]}" + (f": did you mean {nearest[0]}?" if nearest else ""))
    try:
        check_flags(options_class, vars(known))
        return options_class(**vars(known))
    except UsageError as error:
        parser.error(str(error))


def fail(message: str, code: int = 1) -> int:
    """Print an error as one sentence and return the exit code. Of several ranks, only the first to fail prints."""
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        message = f"rank {os.environ.get('RANK')}: {message}"
        if (count_reports(mine=1) or 1) > 1:
            return code
    print(f"error: {message}", file=sys.stderr, flush=True)
    return code


def run(main: Callable[[], None]) -> None:
    """Run a program. A user's mistake (ValueError, OSError) or too little memory ends it with one sentence and exit
    code 1, or with a traceback under MINIMIND_TRACEBACK=1; Ctrl-C, SIGTERM and a closed terminal (SIGHUP) end it with
    130, 143 and 129, after it has cleaned up."""
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "LOCAL_SIZE", "MASTER_PORT"):
        if not os.environ.get(name, "1").removeprefix("-").isdecimal():
            what = f"{name}={os.environ.pop(name)!r} in the environment is not a number"
            sys.exit(fail(f"{what}: unset it, or start with torchrun", code=2))
    share_cores()
    own = os.getpid()

    def terminate(number, frame):
        if os.getpid() != own:  # a process that was forked, to load or to tokenise: nothing to clean up
            os._exit(128 + number)
        raise KeyboardInterrupt(number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup does it
            signal.signal(number, terminate)
    try:
        try:
            prepare_process()
            main()
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt as stop:
        print("\nstopped.", file=sys.stderr)
        sys.exit(128 + (stop.args[0] if stop.args else signal.SIGINT))
    except Exception as error:
        lack = lack_of_memory(error)
        if os.environ.get("MINIMIND_TRACEBACK") or not (lack or isinstance(error, ValueError | OSError)):
            raise
        message = f"too little memory ({lack}): close other programs, or choose smaller sizes" if lack else str(error)
        sys.exit(fail(message, code=2 if isinstance(error, UsageError) else 1))


def check_out_dir(out_dir: str | Path, flag: str = "--out_dir") -> None:
    """Make the output folder now and prove that it can be written, before any work is lost."""
    folder = Path(out_dir).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except (FileExistsError, NotADirectoryError):
        what = "a file is in the place of this folder"
        raise ValueError(f"{folder}: {what}: move it, or pass another {flag}") from None
    except OSError as error:
        raise ValueError(f"{folder}: cannot write there ({error.strerror}): pass another {flag}") from None


def default_data(full_sets: Sequence[str], sample: str, quiet: bool = False) -> Path:
    """The first of the published sets that is in dataset/, else the sample, with a note unless `quiet`."""
    for path in (ROOT / "dataset" / name for name in full_sets):
        if path.exists():
            return path
    small = ROOT / "dataset" / "sample" / sample
    if not quiet:
        get_it = f"put {full_sets[0]} into dataset/ (./run.sh data lists and fetches what is published)"
        print(f"data: {small.relative_to(ROOT)}, the sample that comes with MiniMind. For the full set {get_it}.")
    return small
