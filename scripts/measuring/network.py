"""Figures of the network for scripts/benchmark.py: a training step, a mixture of experts, generation.

The floor of work on many tokens is the network's own matrix products alone, as recorded from a forward pass; that of
decoding, reading every weight and the cache once per token.
"""

import dataclasses
from collections.abc import Callable, Iterator

from scripts.measuring.harness import ROOT, VOCAB_SIZE, BenchmarkOptions, Figure, Turn, compared, take_turns, timed

TILE_ROWS = 1024  # of attention's products: no implementation holds all of a long text's attention weights at once

# ---------------------------------------------------------------- what all sides share


def shape(options: BenchmarkOptions) -> str:
    return f"{options.hidden_size}×{options.num_hidden_layers}{' MoE' if options.use_moe else ''}"


def sizes_of(options: BenchmarkOptions) -> dict:
    return {key: getattr(options, key) for key in ("hidden_size", "num_hidden_layers", "use_moe")}


def new_model(options: BenchmarkOptions, **more):
    """Our network of random weights, on its device, as it is trained."""
    import torch

    from model.model_minimind import MiniMindConfig, MiniMindForCausalLM
    from trainer.distributed import choose_device
    from trainer.loading import speed_up

    torch.manual_seed(0)
    config = MiniMindConfig(vocab_size=VOCAB_SIZE, **sizes_of(options) | more)
    return speed_up(MiniMindForCausalLM(config).to(choose_device(options.device)), options.compile)


def random_rows(rows: int, tokens: int):
    """Token ids (rows, tokens), the same on all sides."""
    import torch

    return torch.randint(3, VOCAB_SIZE, (rows, tokens), generator=torch.Generator().manual_seed(0))


class Samples(list):
    """Random samples as a data set, as far as the Trainer looks at it."""

    def __init__(self, options: BenchmarkOptions):
        import torch

        rows = random_rows(options.batch_size, options.max_seq_len + 1)
        super().__init__((row[:-1], row[1:], torch.ones(len(row) - 1)) for row in rows)

    @property
    def lengths(self):
        import numpy as np

        return np.array([len(ids) for ids, _, _ in self])

    def make_collate(self):
        from dataset.batching import Collate

        return Collate(0)


def one_batch(options: BenchmarkOptions, device) -> dict:
    samples = Samples(options)
    return {name: tensor.to(device) for name, tensor in samples.make_collate()(samples).items()}


# ---------------------------------------------------------------- a training step


def training_step(options: BenchmarkOptions) -> Iterator[Figure]:
    """Forward, backward, clip and update: the engine, transformers, and the matrix products alone, in turns."""
    sides, peaks = take_turns("step", *((build, options) for build in (build_trainer, build_transformers, build_floor)))
    extra = {"compile": "compiled", "gradient_checkpointing": "checkpointing"}
    name = ", ".join([shape(options), options.dtype, *(word for key, word in extra.items() if getattr(options, key))])
    kind = "GraniteMoeShared" if options.use_moe else "Llama"
    reference = f"reference: transformers' {kind}ForCausalLM of the same shape (sdpa, fused AdamW)"
    note = f"{reference}; floor: the network's own matrix products alone, forward x 3"
    yield compared("step", f"training step, {name}", sides, note)
    memory = f"peak memory less imports, {name}"
    yield Figure("step", memory, "MiB", peaks[0], peaks[1], peaks[0] / peaks[1], None, None, reference)


def build_trainer(options: BenchmarkOptions) -> Turn:
    """A step of the engine itself: the Trainer that every stage uses, given one packed batch again and again."""
    from trainer.distributed import World
    from trainer.engine import Trainer
    from trainer.objectives import LanguageModelObjective
    from trainer.options import TrainOptions

    same = ("batch_size", "max_seq_len", "dtype", "compile", "gradient_checkpointing")
    same = {key: getattr(options, key) for key in same} | sizes_of(options)
    train_options = TrainOptions(optimizer="adamw", **same)
    model, samples = new_model(options), Samples(options)
    world = World(0, 1, model.device)
    trainer = Trainer(train_options, "pretrain", world, LanguageModelObjective(model), None, samples, samples)
    trainer.objective.train()
    batch = samples.make_collate()(samples)
    return timed(lambda: trainer.train_step([batch]), world.device)


def stock_model(options: BenchmarkOptions):
    """The same shape in transformers, on its device: sdpa, no cache unless asked for."""
    import torch
    from transformers import AutoModelForCausalLM

    from model.formats.hf_folder import stock_config
    from model.model_minimind import MiniMindConfig
    from trainer.distributed import choose_device

    config = stock_config(MiniMindConfig(vocab_size=VOCAB_SIZE, **sizes_of(options)))
    config.use_cache = False
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
    return model.to(choose_device(options.device))


def build_transformers(options: BenchmarkOptions) -> Turn:
    """transformers at its best: its own loss, fused AdamW, the same clipping."""
    import torch

    model = stock_model(options).train()
    if options.compile:
        model.compile(dynamic=False)
    device = model.device
    fused = device.type in ("cuda", "cpu")
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=fused)
    dtype = getattr(torch, options.dtype)
    input_ids = random_rows(options.batch_size, options.max_seq_len).to(device)

    def step() -> None:
        with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
            loss = model(input_ids=input_ids, labels=input_ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return timed(step, device)


def build_floor(options: BenchmarkOptions) -> Turn:
    """The floor of a step. Backward multiplies twice for each product of the forward pass."""
    from trainer.objectives import LanguageModelObjective

    objective = LanguageModelObjective(new_model(options)).requires_grad_(False)
    device = objective.model.device
    turn = products_alone(lambda: objective(one_batch(options, device)), device, options.dtype)
    return lambda: 3 * turn()


def products_alone(forward: Callable[[], object], device, dtype: str) -> Turn:
    """The matrix products of a forward pass, without anything between them, each in torch's fastest way."""
    import torch

    from trainer.flops import ProductRecorder

    with torch.no_grad(), ProductRecorder() as recorder:
        forward()
    work = []
    for (n, rows, inner, columns), times in recorder.products.items():
        make = {"device": device, "dtype": getattr(torch, dtype)}
        if n > 1 and device.type != "cpu":  # one call there
            x, w = torch.randn(n, rows, inner, **make), torch.randn(n, inner, columns, **make)
            work.append((lambda x=x, w=w: x @ w, times))
        elif rows and inner and columns:  # an expert may have no tokens
            tiles = -(-rows // TILE_ROWS) if n > 1 else 1
            x, w = torch.randn(-(-rows // tiles), inner, **make), torch.randn(columns, inner, **make)
            work.append((fastest_linear(x, w), times * n * tiles))

    def multiply() -> None:
        for product, times in work:
            for _ in range(times):
                product()

    return timed(multiply, device)


def fastest_linear(x, weight) -> Callable[[], object]:
    """The fastest way that torch has here to compute x W^T: x (M, K), W (N, K)."""
    import torch
    import torch.nn.functional as F

    ways: list[Callable] = [lambda: F.linear(x, weight)]
    if x.is_cpu and torch.backends.mkldnn.is_available() and x.dtype == torch.float32:  # for other types it is linear's
        packed = torch.ops.mkldnn._reorder_linear_weight(weight)
        ways.append(lambda: torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], ""))
    seconds = [min(turn() for _ in range(3)) for turn in (timed(way, x.device) for way in ways)]
    return ways[seconds.index(min(seconds))]


# ---------------------------------------------------------------- a mixture of experts


def mixture(options: BenchmarkOptions) -> Iterator[Figure]:
    """Forward and backward of a mixture, of the dense network with as many active parameters, and the products."""
    moe, dense = (dataclasses.replace(options, use_moe=use_moe) for use_moe in (True, False))
    sides, _ = take_turns("moe", (build_both_passes, moe), (build_both_passes, dense), (build_floor, moe))
    note = "reference: our dense network whose feed-forward is as wide as all experts that a token goes to"
    yield compared("moe", f"forward and backward, {shape(moe)}, {moe.dtype}", sides, note)


def build_both_passes(options: BenchmarkOptions) -> Turn:
    """Forward and backward; a dense network with the feed-forward of as many experts as a token of a mixture has."""
    import torch

    from model.model_minimind import MiniMindConfig
    from trainer.objectives import LanguageModelObjective

    config = MiniMindConfig(**sizes_of(options))
    n_experts = 1 if options.use_moe else config.num_experts_per_tok + config.n_shared_experts
    model = new_model(options, intermediate_size=n_experts * config.intermediate_size)
    objective, device = LanguageModelObjective(model).train(), model.device
    if options.compile:
        model.model.compile(dynamic=False)
    batch, dtype = one_batch(options, device), getattr(torch, options.dtype)

    def both_passes() -> None:
        with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
            sums = objective(batch)
        sum(sums.values()).backward()
        objective.zero_grad()

    return timed(both_passes, device)


# ---------------------------------------------------------------- generation


def generation(options: BenchmarkOptions) -> Iterator[Figure]:
    """Greedy, all streams together: reading the prompts, then tokens per second after them."""
    for streams in options.streams:
        own = dataclasses.replace(options, batch_size=streams)
        builds = (build_engine, build_generate, build_generation_floor)
        sides, _ = take_turns(f"decode {streams}", *((build, own) for build in builds))
        dtype = own.engine_dtype or own.dtype
        what = f"{streams} stream{'s' if streams > 1 else ''}, {shape(own)}, {dtype}, prompt of {own.prompt_tokens}"
        decode_note = (
            "reference: transformers' generate with its growing cache; floor: every weight and all of the cache read "
            f"once per step, {bytes_per_step(own) / 2**20:.0f} MiB"
        )
        prefill_note = "reference: transformers; floor: the matrix products alone, in --dtype"
        parts = (("prefill", own.prompt_tokens, prefill_note), ("decode", own.new_tokens - 1, decode_note))
        for part, (name, tokens, note) in enumerate(parts):
            seconds = [[turn[part] for turn in turns] for turns in sides]
            yield compared("decode", f"{name}, {what}", seconds, note, tokens=streams * tokens)


def first_and_rest(generate: Callable[[int], object], new_tokens: int, device) -> Turn:
    """Seconds of (the prompt and the first token, the tokens after it)."""
    first, all_of_them = timed(lambda: generate(1), device), timed(lambda: generate(new_tokens), device)

    def turn() -> tuple[float, float]:
        seconds = first()
        return seconds, all_of_them() - seconds

    return turn


def build_engine(options: BenchmarkOptions) -> Turn:
    """The engine of eval_model.py and the server, on a network of random weights."""
    import torch

    from model.generation import Generator
    from model.sampling import Sampling
    from trainer.loading import load_tokenizer

    model, dtype = new_model(options), getattr(torch, options.engine_dtype or options.dtype)
    length = options.prompt_tokens + options.new_tokens
    engine = Generator(model, load_tokenizer(str(ROOT / "model")), options.batch_size, length, dtype)
    prompts = random_rows(options.batch_size, options.prompt_tokens).tolist()
    return first_and_rest(
        lambda n: engine.generate(prompts, Sampling(max_tokens=n, stop_ids=())), options.new_tokens, model.device
    )


def build_generate(options: BenchmarkOptions) -> Turn:
    """The same in transformers."""
    import torch

    model = stock_model(options).to(getattr(torch, options.dtype)).eval()
    ids = random_rows(options.batch_size, options.prompt_tokens).to(model.device)
    settings = {"do_sample": False, "eos_token_id": None, "pad_token_id": 0, "use_cache": True}
    settings["attention_mask"] = torch.ones_like(ids)
    return first_and_rest(lambda n: model.generate(ids, max_new_tokens=n, **settings), options.new_tokens, model.device)


def build_generation_floor(options: BenchmarkOptions) -> Turn:
    """The products of reading the prompts, and as many bytes as the steps after it need, on all threads."""
    import torch

    model = new_model(options).eval()
    device, ids = model.device, random_rows(options.batch_size, options.prompt_tokens)
    prefill = products_alone(lambda: model(ids.to(device), logits_to_keep=1), device, options.dtype)
    data = torch.ones(bytes_per_step(options) // 4, device=device)

    def read() -> None:
        for _ in range(options.new_tokens - 1):
            data.sum()

    decode = timed(read, device)
    return lambda: (prefill(), decode())


def bytes_per_step(options: BenchmarkOptions) -> int:
    """What a step of decoding has to read: all weights, and keys and values of a text of middling length per stream."""
    import torch

    from model.generation import KVCache

    model, dtype = new_model(options), getattr(torch, options.engine_dtype or options.dtype)
    cached = torch.bfloat16 if dtype == torch.int8 else dtype
    per_token = KVCache(model.config, rows=1, positions=1, dtype=cached, device=torch.device("cpu")).data.nbytes
    n_cached = options.batch_size * (options.prompt_tokens + options.new_tokens // 2)
    return sum(p.numel() for p in model.parameters()) * dtype.itemsize + n_cached * per_token
