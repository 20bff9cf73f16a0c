"""Options: one dataclass per stage, turned into command-line flags; and how a user's mistake ends a program."""

import argparse
import atexit
import codecs
import difflib
import errno
import getpass
import io
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[1]
Options = TypeVar("Options")


def flag(default, help: str, aliases: list[str] | None = None, choices: list | None = None):
    """A dataclass field that becomes a documented flag; a list takes one value or more."""
    metadata = {"help": help} | ({"aliases": aliases} if aliases else {}) | ({"choices": choices} if choices else {})
    if isinstance(default, list):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass
class ModelOptions:
    """Sizes of the network."""

    hidden_size: int | None = flag(None, "width of the network; default: that of the weight, or 512 (MiniMind2-Small)")
    num_hidden_layers: int | None = flag(None, "depth of the network; default: that of the weight, or 8")
    num_attention_heads: int | None = flag(None, "query heads per layer; default: those of the weight, or 8")
    num_key_value_heads: int | None = flag(None, "key and value heads per layer; default: those of the weight, or 2")
    use_moe: bool | None = flag(None, "mixture of experts (1) or dense (0); default: as the weight, or dense")
    tokenizer: str = flag(str(ROOT / "model"), "folder of the tokenizer")

    def sizes(self) -> dict[str, int | bool | None]:
        """The flags that shape the network, by the names of MiniMindConfig; None where nothing was said."""
        names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "use_moe")
        return {name: getattr(self, name) for name in names}


@dataclass
class TrainOptions(ModelOptions):
    """What every stage can be told. Paths given are relative to the working directory, defaults to the repo."""

    data_path: str | None = flag(None, "JSONL file to train on; default: the full set in dataset/, else the sample")
    val_path: str | None = flag(None, "JSONL file to validate on; default: 1 percent of data_path, held out")
    out_dir: str = flag(str(ROOT / "out"), "folder for weights, training states, metrics and the token cache")
    from_weight: str = flag("none", "weight to start from: a name in out_dir, a .pth path, or none")
    save_weight: str = flag("pretrain", "name of the weight that is written")
    from_resume: bool = flag(False, "continue the stopped run that writes the same weight (1)")
    skip_finished: bool = flag(False, "keep what the same run (flags, data, start) has made, or go on with it (1)")
    epochs: int = flag(1, "passes over the data")
    max_steps: int = flag(0, "stop after this many optimizer steps, the schedule ending there too; 0: after the epochs")
    batch_size: int = flag(32, "sequences per device and micro-batch")
    accumulation_steps: int = flag(1, "micro-batches per optimizer step")
    max_seq_len: int = flag(512, "tokens per sequence")
    learning_rate: float = flag(5e-4, "peak learning rate; it rises over warmup_steps and falls by a cosine to a tenth")
    embedding_lr_scale: float = flag(1.0, "the embedding, which is the head too, learns at so many times learning_rate")
    warmup_steps: int = flag(-1, "steps of linear warm-up; -1: 2 percent of the run", aliases=["--warmup_iters"])
    optimizer: str = flag("muon", "muon (for the matrices; AdamW for the rest), or adamw", choices=["muon", "adamw"])
    weight_decay: float = flag(0.1, "weight decay of matrices; norms and embeddings have none")
    grad_clip: float = flag(1.0, "largest norm of the gradient; 0: no limit")
    dropout: float = flag(0.0, "dropout after the embedding, in attention and on both branches of a layer")
    dtype: str = flag("auto", "compute in it; auto: bfloat16 on a GPU (float16 on an old one), float32 on a CPU",
                      choices=["auto", "float32", "bfloat16", "float16"])  # fmt: skip
    device: str = flag("auto", "cuda, mps, cpu, or auto: the first of these that is there")
    compile: bool = flag(False, "compile the decoder with torch.compile (needs a C++ compiler)")
    gradient_checkpointing: bool = flag(False, "recompute activations in the backward pass: less memory, more time")
    num_workers: int = flag(0, "processes that load batches (to tokenise a large file, every core is used at any rate)")
    skip_bad_lines: bool = flag(False, "leave out and count lines that cannot be used, rather than stop")
    log_interval: int = flag(10, "steps between figures")
    save_interval: int = flag(500, "steps between training states and weights")
    eval_interval: int = flag(0, "steps between validations; 0: ten times a run")
    seed: int = flag(42, "seed of initial weights, order of data and dropout")
    use_wandb: bool = flag(False, "send figures to Weights & Biases (WANDB_MODE=offline works too)")
    wandb_project: str = flag("MiniMind", "project in Weights & Biases")
    wandb_run_name: str | None = flag(None, "name of the run there; default: the weight's")
    deepspeed: str | None = flag(None, "DeepSpeed's settings, as trainer/ds_config.json: train with its ZeRO")
    local_rank: int = flag(-1, "set by launchers; torchrun's environment goes before it")
    ddp: bool = flag(False, "accepted for old commands; torchrun is recognised by itself")

    def __post_init__(self):
        for name in ("epochs", "batch_size", "accumulation_steps", "log_interval", "save_interval"):
            require(getattr(self, name) >= 1, f"--{name} {getattr(self, name)}: it must be at least 1")
        require(2 <= self.max_seq_len <= 32768, f"--max_seq_len {self.max_seq_len}: it must lie between 2 and 32768")
        for name in ("learning_rate", "embedding_lr_scale"):
            require(0 < getattr(self, name) < float("inf"), f"--{name} {getattr(self, name)}: it must be positive")
        require(0 <= self.dropout < 1, f"--dropout {self.dropout}: it must lie in [0, 1)")
        for name in ("max_steps", "num_workers", "grad_clip", "weight_decay", "eval_interval"):
            require(getattr(self, name) >= 0, f"--{name} {getattr(self, name)}: it must not be negative")


class UsageError(ValueError):
    """Flags that make no sense; ends a program with exit code 2."""


def require(condition: bool, message: str) -> None:
    if not condition:
        raise UsageError(message)


def parse_options(options_class: type[Options], description: str, argv: list[str] | None = None) -> Options:
    """The dataclass filled from the command line. A wrong or unknown flag prints one sentence and exits with 2."""
    from transformers import HfArgumentParser

    class Parser(HfArgumentParser):
        def error(self, message: str):
            sys.exit(fail(f"{message} (all flags: --help)", code=2))

    formatter = argparse.ArgumentDefaultsHelpFormatter
    parser = Parser(options_class, description=description, formatter_class=formatter, allow_abbrev=False)
    known, unknown = parser.parse_known_args(argv)
    if unknown:
        nearest = difflib.get_close_matches(unknown[0].split("=")[0], parser._option_string_actions, n=1)
        parser.error(f"unknown flag {unknown[0]}" + (f": did you mean {nearest[0]}?" if nearest else ""))
    for name, value in vars(known).items():
        if (value == "" and parser.get_default(name) != "") or (isinstance(value, list) and "" in value):
            parser.error(f"--{name} is empty: give it a value, or leave it out")
    try:
        return options_class(**vars(known))
    except UsageError as error:
        parser.error(str(error))


def as_text(argument: str | None) -> str | None:
    """What was typed behind a flag, as UTF-8 whatever the locale is; bytes that are none become U+FFFD."""
    try:
        (argument or "").encode()
    except UnicodeEncodeError:  # Python passes bytes that it could not read as lone surrogates, which paths need
        return os.fsencode(argument).decode(errors="replace")
    return argument


class Output(io.FileIO):
    """Standard output or error. Once its reader has gone (`| head -1`, a closed terminal) it leads nowhere, and the
    program goes on; any other failure is raised once."""

    def write(self, data) -> int | None:
        try:
            return super().write(data)
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            if error.errno in (errno.EPIPE, errno.EIO):
                return len(data)
            raise OSError(f"the output cannot be written ({error.strerror}): send it elsewhere") from None


def prepare_process() -> None:
    """What programs take for granted: standard streams that never fail at a character, a working directory, a user's
    name, and a home, where libraries keep their caches."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:  # closed (`>&-`): the next file opened would take its place
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115
        elif stream is sys.__stdin__:
            ascii_only = codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding="utf-8" if ascii_only else stream.encoding, errors="replace")
        elif stream is getattr(sys, f"__{name}__"):
            stream.flush()
            raw = io.BufferedWriter(Output(stream.fileno(), "w", closefd=False))
            how = {"line_buffering": stream.line_buffering, "write_through": stream.write_through}
            setattr(sys, name, io.TextIOWrapper(raw, stream.encoding, errors="backslashreplace", **how))
    try:
        os.getcwd()
    except OSError:
        raise OSError("the working directory has been deleted: change to another one and run again") from None
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["USER"] = str(os.getuid())
    if not os.path.isdir(os.path.expanduser("~")):
        os.environ["HOME"] = tempfile.mkdtemp()
        atexit.register(shutil.rmtree, os.environ["HOME"], ignore_errors=True)


def fail(message: str, code: int = 1) -> int:
    """Print an error as one sentence and return the exit code. Of several ranks, the first to fail speaks."""
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        from trainer.distributed import count_reports

        message = f"rank {os.environ.get('RANK')}: {message}"
        if (count_reports(mine=1) or 1) > 1:
            return code
    print(f"error: {message}", file=sys.stderr, flush=True)
    return code


def run(main: Callable[[], None]) -> None:
    """Run a program. A user's mistake (ValueError, OSError) ends it with one sentence and exit code 1, Ctrl-C with 130,
    SIGTERM with 143, like Ctrl-C: what it began is put away, and processes that it started end with it.

    MINIMIND_TRACEBACK=1 shows the whole traceback instead.
    """

    own = os.getpid()

    def terminate(number, frame):
        if os.getpid() != own:  # a process that was forked, to load or to tokenise: nothing of its own to put away
            os._exit(128 + number)
        raise KeyboardInterrupt(number)

    signal.signal(signal.SIGTERM, terminate)
    try:
        try:
            prepare_process()
            main()
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt as stop:
        print("\nstopped.", file=sys.stderr)
        sys.exit(128 + (stop.args[0] if stop.args else signal.SIGINT))
    except (ValueError, OSError) as error:
        if os.environ.get("MINIMIND_TRACEBACK"):
            raise
        sys.exit(fail(str(error), code=2 if isinstance(error, UsageError) else 1))


def default_data(full_set: str, sample: str, quiet: bool = False) -> Path:
    """`dataset/{full_set}` when it has been downloaded, else the sample, said in one line unless `quiet`."""
    full, small = ROOT / "dataset" / full_set, ROOT / "dataset" / "sample" / sample
    if full.exists():
        return full
    if quiet:
        return small
    print(
        f"data: {small.relative_to(ROOT)}, the sample that comes with MiniMind. For the full set put {full_set} into "
        "dataset/ (./run.sh data lists and fetches what is published)."
    )
    return small
