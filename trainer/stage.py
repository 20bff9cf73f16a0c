"""What the stage files are made of: the surroundings of a run, its starting weights, its data, and training itself."""

import contextlib
import gc
import os
import signal
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import torch

from dataset.chat import opening
from dataset.lm_dataset import JsonlDataset, QuestionDataset
from model.memory import lack_of_memory
from model.model_minimind import MiniMindConfig, MiniMindForCausalLM
from model.weights import find_weight, load_weights, read_info
from trainer.checkpoint import is_finished
from trainer.command_line import UsageError, check_out_dir, default_data, require
from trainer.distributed import World, end_rank, join_world
from trainer.engine import Trainer
from trainer.loading import length_of, load_tokenizer, quiet_transformers, set_template, speed_up
from trainer.options import RolloutOptions, TrainOptions
from trainer.replicas import Replicas


@contextlib.contextmanager
def stage(options: TrainOptions) -> Iterator[tuple]:
    """(world, tokenizer), around everything that a stage does: joins the other ranks, refuses at once what cannot work
    here, and ends all ranks whatever happens within, so that one of them says why."""
    quiet_transformers()
    world = join_world(options.device)
    try:
        check_out_dir(options.out_dir)
        world.find_writer(Path(options.out_dir))
        if options.use_wandb:
            require(find_spec("wandb") is not None, "--use_wandb needs the package: pip install wandb")
        replicas_class(options).check(options, world)
        if options.compile:
            check_compiler(world.device)
        yield world, load_tokenizer(options.tokenizer)
    except KeyboardInterrupt as stop:  # a second signal: others may wait in a collective operation, which would not end
        if world.world_size > 1:
            os._exit(128 + (stop.args[0] if stop.args else signal.SIGINT))
        raise
    except Exception as error:
        if lack := lack_of_memory(error):
            advice = "lower --batch_size or --max_seq_len, or pass --gradient_checkpointing 1"
            error = ValueError(f"too little memory ({lack}): {advice}")
        elif options.compile and isinstance(error, torch._dynamo.exc.TorchDynamoException):
            error = ValueError(why_not_compiled(error))
        if world.world_size > 1:
            end_rank(error)
        raise error
    finally:
        # DDP must be gone before its process group: whichever goes last ends the group's threads, and DDP would do so
        # with Python's lock in its hand, for which such a thread may be waiting.
        gc.collect()
        world.close()


def replicas_class(options: TrainOptions) -> type[Replicas]:
    """How the ranks share the model: as DDP does, or with --deepspeed as ZeRO does."""
    if not options.deepspeed:
        return Replicas
    from trainer.zero import ZeroReplicas

    return ZeroReplicas


def check_compiler(device: torch.device) -> None:
    """UsageError unless torch.compile works here, with its compiler and a place for what it makes."""
    try:
        torch.compile(torch.sin)(torch.ones(2, device=device))
    except Exception as error:  # a compiler, a folder or a package that it lacks
        raise UsageError(f"--compile 1: {why_not_compiled(error)}") from None


def why_not_compiled(error: Exception) -> str:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return f"torch.compile does not work here ({reason}): leave --compile out, or fix that"


def make_model(options: TrainOptions, tokenizer, world: World) -> MiniMindForCausalLM:
    """The network to train: new, from `--seed`, or with the weights that `--from_weight` names. A name in
    `--from_weight` becomes its path: whoever asks later means this file, not what is newest by then."""
    info = {}
    if options.from_weight == "none":
        given = {name: value for name, value in options.sizes().items() if value is not None}
        torch.manual_seed(options.seed)
        try:
            marks = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
            config = MiniMindConfig(vocab_size=len(tokenizer), dropout=options.dropout, **marks, **given)
        except ValueError as error:
            raise UsageError(str(error)) from None
        model, origin = MiniMindForCausalLM(config), "new weights"
    else:
        path = find_weight(options.from_weight, options.out_dir, options.hidden_size, options.use_moe)
        options.from_weight = str(path)
        model, info = load_weights(path, tokenizer, options.sizes(), options.dropout)
        origin = f"weights of {path}"
    if world.is_main:
        config, n_params = model.config, sum(p.numel() for p in model.parameters())
        kind = f"{config.num_hidden_layers}, {'mixture of experts' if config.use_moe else 'dense'}"
        size = f"{n_params / 1e6:.2f}M parameters, {config.hidden_size} x {kind}"
        print(f"model: {size}, {origin}; on {world.world_size} x {world.device}", flush=True)
    options.stretch(model, length_of(info), options.from_weight)
    check_length(options, model, options.from_weight)
    set_template(tokenizer, options.chat_template or info.get("chat_template"), options.from_weight)
    return speed_up(model.to(world.device), options.compile)


def check_length(options: TrainOptions, model: MiniMindForCausalLM, weight: str | Path) -> None:
    """ValueError unless the network has positions for the rows that are asked for."""
    n, most = options.max_seq_len, model.config.max_position_embeddings
    if n > most:
        raise ValueError(f"--max_seq_len {n}: {weight} has positions for {most} tokens: pass --max_seq_len {most}")


def load_data(
    kind: Callable[..., JsonlDataset], options: TrainOptions, tokenizer, world: World, full_sets: Sequence[str],
    sample: str,
) -> tuple[JsonlDataset, JsonlDataset]:  # fmt: skip
    """(training, validation) data from --data_path and --val_path, or what `default_data` finds."""
    path = Path(options.data_path) if options.data_path else default_data(full_sets, sample, quiet=not world.is_main)
    cache_dir = Path(options.out_dir).absolute() / "cache"

    def read(path: Path) -> JsonlDataset:
        return kind(path, tokenizer, options.max_seq_len, skip_bad_lines=options.skip_bad_lines, cache_dir=cache_dir)

    with world.main_first():
        train_data = read(path)
        val_data = read(Path(options.val_path)) if options.val_path else None
    if val_data is None:
        train_data, val_data = train_data.split_validation()
    # Each machine reads its own copy of the file.
    samples = world.gather([(part.fingerprint, zlib.crc32(part.lengths.tobytes())) for part in (train_data, val_data)])
    for rank, theirs in enumerate(samples):
        if theirs != samples[0]:
            raise ValueError(f"{path}: what rank {rank} reads there is not what rank 0 reads: copy the file again")
    if world.is_main:
        print(train_data.summary(), flush=True)
    return train_data, val_data


def load_questions(
    options: RolloutOptions, tokenizer, world: World, full_sets: Sequence[str], sample: str, needs_answers: bool = False
) -> tuple[QuestionDataset, QuestionDataset]:
    """`load_data` of questions, asked and answered as the weight was trained to that the policy starts from."""
    info = {} if options.from_weight == "none" else read_info(Path(options.from_weight)) or {}
    spoken = info.get("stage", "full_sft").replace("pretrain", "full_sft")
    begin, room = opening(tokenizer, spoken, options.thinking), options.max_new_tokens
    kind = partial(QuestionDataset, stage=spoken, opening=begin, room=room, needs_answers=needs_answers)
    return load_data(kind, options, tokenizer, world, full_sets, sample)


def train(options: TrainOptions, name: str, world: World, objective, tokenizer, *args, **kwargs) -> None:
    """Train and save, unless --skip_finished and the same run has; `name` is the stage's, the rest the Trainer's.
    Raises SystemExit with 128 + signal number when a signal stopped it, as shells expect."""
    n_params = sum(p.numel() for p in objective.parameters())
    n_trained = sum(p.numel() for p in objective.parameters() if p.requires_grad)
    if world.is_main and n_trained < n_params:
        print(f"trained: {n_trained:,} of {n_params:,} parameters, {n_trained / n_params:.1%}", flush=True)
    replicas = replicas_class(options)
    trainer = Trainer(options, name, world, objective, tokenizer, *args, make_replicas=replicas, **kwargs)
    metrics = trainer.out_dir / "metrics" / f"{trainer.name}.jsonl"
    if options.skip_finished and world.from_main(is_finished(trainer.weight_path, metrics, trainer.recipe)):
        if world.is_main:
            print(f"{name}: kept {trainer.weight_path}, from the same flags, data and start", flush=True)
    else:
        trainer.train()
    stop_signal, trainer = trainer.stop_signal, None  # see stage()
    if stop_signal:
        raise SystemExit(128 + stop_signal)
