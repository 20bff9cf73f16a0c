"""Figures of the network for scripts/benchmark.py: a training step, a mixture of experts, generation.

The floor of work on many tokens is the network's own matrix products alone; that of decoding, reading every weight and
the cache once per token.
"""

import dataclasses
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path

from scripts.measuring.harness import VOCAB_SIZE, BenchmarkOptions, Figure, Turn, paired, take_turns, timed

# ---------------------------------------------------------------- a training step


def training_step(options: BenchmarkOptions) -> Iterator[Figure]:
    """Forward, backward, clip and update: the engine, transformers, and the matrix products alone, in turns."""
    (ours, reference, floor), peaks = take_turns(
        "step", (build_minimind, options), (build_transformers, options), (build_products, options)
    )
    details = options.shown("batch_size", "max_seq_len", "optimizer", "compile", "gradient_checkpointing")
    extra = {"compile": "compiled", "gradient_checkpointing": "checkpointing"}
    name = ", ".join([shape(options), options.dtype, *(word for key, word in extra.items() if getattr(options, key))])
    kind = "GraniteMoeShared" if options.use_moe else "Llama"
    reference_is = f"reference: transformers' {kind}ForCausalLM of the same shape (sdpa, fused AdamW)"
    yield Figure(
        "step", f"training step, {name}", "s", statistics.median(ours), statistics.median(reference),
        paired(ours, reference), statistics.median(floor), paired(floor, ours),
        f"{reference_is}; floor: the network's own matrix products alone, forward x 3", details,
    )  # fmt: skip
    yield Figure(
        "step", f"peak memory less imports, {name}", "MiB", peaks[0], peaks[1], peaks[0] / peaks[1],
        note=reference_is, details=details,
    )  # fmt: skip


def shape(options: BenchmarkOptions) -> str:
    return f"{options.hidden_size}×{options.num_hidden_layers}{' MoE' if options.use_moe else ''}"


def sizes_of(options: BenchmarkOptions) -> dict:
    return {key: getattr(options, key) for key in ("hidden_size", "num_hidden_layers", "use_moe")}


def random_rows(rows: int, tokens: int):
    """Token ids (rows, tokens), the same on all sides."""
    import torch

    return torch.randint(3, VOCAB_SIZE, (rows, tokens), generator=torch.Generator().manual_seed(0))


def build_minimind(options: BenchmarkOptions, imports_done: Callable[[], None]) -> Turn:
    """A step of the engine itself: the Trainer that every stage uses, given one packed batch again and again."""
    import torch

    from dataset.batching import Collate
    from model.model_minimind import MiniMindConfig, MiniMindForCausalLM
    from trainer.distributed import World, choose_device
    from trainer.engine import Trainer
    from trainer.objectives import LanguageModelObjective
    from trainer.options import TrainOptions

    class Rows(list):
        """All that the Trainer wants to know of a data set."""

        @property
        def lengths(self):
            import numpy as np

            return np.array([len(row) - 1 for row in self])

        def make_collate(self):
            return Collate(0)

    imports_done()
    same = ("batch_size", "max_seq_len", "optimizer", "dtype", "compile", "gradient_checkpointing")
    train_options = TrainOptions(**{key: getattr(options, key) for key in same}, **sizes_of(options))
    torch.manual_seed(0)
    model = MiniMindForCausalLM(MiniMindConfig(vocab_size=VOCAB_SIZE, **sizes_of(options)))
    rows = Rows(random_rows(options.batch_size, options.max_seq_len + 1))
    world = World(0, 1, choose_device(options.device))
    trainer = Trainer(train_options, "pretrain", world, LanguageModelObjective(model), None, rows, rows)
    trainer.objective.train()
    batch = Collate(0)([(row[:-1], row[1:], torch.ones(len(row) - 1)) for row in rows])
    return timed(lambda: trainer.train_step([batch]), world.device)


def stock_model(options: BenchmarkOptions, imports_done: Callable[[], None]):
    """The same shape in transformers, on its device: sdpa, no cache unless asked for."""
    import torch
    from transformers import GraniteMoeSharedConfig, GraniteMoeSharedForCausalLM, LlamaConfig, LlamaForCausalLM

    from model.model_minimind import MiniMindConfig
    from trainer.distributed import choose_device

    imports_done()
    ours = MiniMindConfig(
        vocab_size=VOCAB_SIZE, hidden_size=options.hidden_size, num_hidden_layers=options.num_hidden_layers
    )
    shape = {
        key: getattr(ours, key)
        for key in (
            "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
            "num_key_value_heads", "max_position_embeddings", "rms_norm_eps", "tie_word_embeddings",
        )
    } | {"rope_parameters": {"rope_type": "default", "rope_theta": ours.rope_theta}, "use_cache": False}  # fmt: skip
    if options.use_moe:
        config = GraniteMoeSharedConfig(
            **shape, num_local_experts=ours.n_routed_experts, num_experts_per_tok=ours.num_experts_per_tok,
            shared_intermediate_size=ours.n_shared_experts * ours.intermediate_size, output_router_logits=True,
            attention_multiplier=(ours.hidden_size // ours.num_attention_heads) ** -0.5,
            router_aux_loss_coef=ours.aux_loss_alpha,
        )  # fmt: skip
    else:
        config = LlamaConfig(**shape)
    config._attn_implementation = "sdpa"
    torch.manual_seed(0)
    model = (GraniteMoeSharedForCausalLM if options.use_moe else LlamaForCausalLM)(config)
    return model.to(choose_device(options.device))


def build_transformers(options: BenchmarkOptions, imports_done: Callable[[], None]) -> Turn:
    """transformers at its best: its own loss, fused AdamW, the same clipping."""
    import torch

    model = stock_model(options, imports_done).train()
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


def build_products(options: BenchmarkOptions, imports_done: Callable[[], None]) -> Turn:
    """The floor of a step. Backward multiplies twice for each product of the forward pass."""
    from model.fast.training import matmul

    rows, tokens = options.batch_size, options.max_seq_len
    turn = forward_floor(options, rows, tokens, rows * tokens, lambda w: lambda x: matmul(x, w), imports_done)
    return lambda: 3 * turn()


def forward_floor(options, rows: int, tokens: int, n_logits: int, multiplier: Callable, imports_done) -> Turn:
    """The matrix products of one forward pass, alone: `multiplier(W)` gives the function x -> x W^T."""
    import torch

    from trainer.distributed import choose_device

    imports_done()
    device, dtype = choose_device(options.device), getattr(torch, options.dtype)
    products = []
    for x, w, n in forward_products(options, rows, tokens, n_logits):
        x, w = torch.randn(x, device=device, dtype=dtype), torch.randn(w, device=device, dtype=dtype)
        if n > 1 and device.type != "cpu":  # one call there
            products.append((x.expand(n, *x.shape), w.T.expand(n, *w.T.shape).__rmatmul__, 1))
        else:
            products.append((x, multiplier(w), n))

    def forward() -> None:
        for x, multiply, n in products:
            for _ in range(n):
                multiply(x)

    return timed(forward, device)


def forward_products(options, rows: int, tokens: int, n_logits: int) -> Iterator[tuple[tuple, tuple, int]]:
    """(shape of x, shape of W, how often) of every product x W^T of a forward pass over (rows, tokens)."""
    from model.fast.training import QUERY_TILE as QUERIES
    from model.model_minimind import MiniMindConfig
    from trainer.losses import HEAD_CHUNK

    config = MiniMindConfig(**sizes_of(options))
    n_tokens, hidden, ffn = rows * tokens, config.hidden_size, config.intermediate_size
    kv_heads, head_dim = config.num_key_value_heads, hidden // config.num_attention_heads
    tile = min(QUERIES, tokens)
    queries = tile * config.num_attention_heads // kv_heads  # of all heads that share a key head
    seen = -(-tokens // 2)  # causal: a token meets half of the row on average
    for _ in range(config.num_hidden_layers):
        for out in (hidden, kv_heads * head_dim, kv_heads * head_dim, hidden):
            yield (n_tokens, hidden), (out, hidden), 1  # q, k, v, o
        n_tiles = rows * kv_heads * -(-tokens // tile)
        yield (queries, head_dim), (seen, head_dim), n_tiles
        yield (queries, seen), (head_dim, seen), n_tiles
        parts = [n_tokens]
        if options.use_moe:
            yield (n_tokens, hidden), (config.n_routed_experts, hidden), 1
            share = n_tokens * config.num_experts_per_tok // config.n_routed_experts
            parts = [n_tokens] * config.n_shared_experts + [share] * config.n_routed_experts
        for n in parts:
            yield from [((n, hidden), (ffn, hidden), 1), ((n, hidden), (ffn, hidden), 1), ((n, ffn), (hidden, ffn), 1)]
    chunk = min(HEAD_CHUNK, n_logits)
    yield (chunk, hidden), (VOCAB_SIZE, hidden), -(-n_logits // chunk)


# ---------------------------------------------------------------- a mixture of experts


def mixture(options: BenchmarkOptions) -> Iterator[Figure]:
    """Forward and backward of a mixture, of the dense network with as many active parameters, and the products."""
    own, dense = dataclasses.replace(options, use_moe=True), dataclasses.replace(options, use_moe=False)
    (ours, reference, floor), _ = take_turns("moe", (build_pass, own), (build_pass, dense), (build_products, own))
    yield Figure(
        "moe", f"forward and backward, {shape(own)}, {own.dtype}", "s", statistics.median(ours),
        statistics.median(reference), paired(ours, reference), statistics.median(floor), paired(floor, ours),
        "reference: our dense network whose feed-forward is as wide as all experts that a token goes to",
        own.shown("batch_size", "max_seq_len", "compile"),
    )  # fmt: skip


def build_pass(options: BenchmarkOptions, imports_done: Callable[[], None]) -> Turn:
    """Forward and backward; a dense network with the feed-forward of as many experts as a token of a mixture has."""
    import torch

    from dataset.batching import Collate
    from model.model_minimind import MiniMindConfig, MiniMindForCausalLM
    from trainer.distributed import choose_device
    from trainer.objectives import LanguageModelObjective

    imports_done()
    config = MiniMindConfig(vocab_size=VOCAB_SIZE, **sizes_of(options))
    if not options.use_moe:
        config.intermediate_size *= config.num_experts_per_tok + config.n_shared_experts
    device = choose_device(options.device)
    torch.manual_seed(0)
    objective = LanguageModelObjective(MiniMindForCausalLM(config).to(device).train())
    if options.compile:
        objective.model.model.compile(dynamic=False)
    rows = random_rows(options.batch_size, options.max_seq_len + 1)
    batch = Collate(0)([(row[:-1], row[1:], torch.ones(len(row) - 1)) for row in rows])
    batch = {key: value.to(device) for key, value in batch.items()}
    dtype = getattr(torch, options.dtype)

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
        sides, _ = take_turns(
            f"decode {streams}", (build_engine, own), (build_generate, own), (build_generation_floor, own)
        )
        details = own.shown("engine_dtype", "prompt_tokens", "new_tokens") | {"streams": streams}
        dtype = own.engine_dtype or own.dtype
        what = f"{streams} stream{'s' if streams > 1 else ''}, {shape(own)}, {dtype}, prompt of {own.prompt_tokens}"
        n_bytes, cache = bytes_per_step(own), last_level_cache()
        fits = ", which fit the processor's last cache" if own.device == "cpu" and n_bytes <= cache else ""
        decode_note = (
            "reference: transformers' generate with its growing cache; floor: every weight and all of the cache read "
            f"once per step, {n_bytes / 2**20:.0f} MiB{fits}"
        )
        prefill_note = "reference: transformers; floor: the matrix products alone, in --dtype"
        for part, (name, tokens, note) in enumerate(
            (("prefill", streams * own.prompt_tokens, prefill_note),
             ("decode", streams * (own.new_tokens - 1), decode_note))
        ):  # fmt: skip
            ours, reference, floor = ([turn[part] for turn in turns] for turns in sides)
            yield Figure(
                "decode", f"{name}, {what}", "tokens/s", tokens / statistics.median(ours),
                tokens / statistics.median(reference), paired(reference, ours), tokens / statistics.median(floor),
                paired(floor, ours), note, details,
            )  # fmt: skip


def first_and_rest(generate: Callable[[int], object], new_tokens: int, device) -> Turn:
    """Seconds of (the prompt and the first token, the tokens after it)."""
    first, all_of_them = timed(lambda: generate(1), device), timed(lambda: generate(new_tokens), device)

    def turn() -> tuple[float, float]:
        seconds = first()
        return seconds, all_of_them() - seconds

    return turn


def build_engine(options: BenchmarkOptions, imports_done: Callable[[], None]) -> Turn:
    """The engine of eval_model.py and the server, on a network of random weights."""
    import torch

    from model.generation import Generator
    from model.model_minimind import MiniMindConfig, MiniMindForCausalLM
    from model.sampling import Sampling
    from trainer.distributed import choose_device
    from trainer.loading import load_tokenizer

    imports_done()
    device = choose_device(options.device)
    torch.manual_seed(0)
    model = MiniMindForCausalLM(MiniMindConfig(vocab_size=VOCAB_SIZE, **sizes_of(options))).to(device)
    engine = Generator(
        model, load_tokenizer(options.tokenizer), options.batch_size, options.prompt_tokens + options.new_tokens,
        getattr(torch, options.engine_dtype or options.dtype),
    )  # fmt: skip
    prompts = random_rows(options.batch_size, options.prompt_tokens).tolist()
    return first_and_rest(
        lambda n: engine.generate(prompts, Sampling(max_tokens=n, stop_ids=())), options.new_tokens, device
    )


def build_generate(options: BenchmarkOptions, imports_done: Callable[[], None]) -> Turn:
    """The same in transformers."""
    import torch

    model = stock_model(options, imports_done).to(getattr(torch, options.dtype)).eval()
    ids = random_rows(options.batch_size, options.prompt_tokens).to(model.device)
    settings = {"do_sample": False, "eos_token_id": None, "pad_token_id": 0, "use_cache": True}
    mask = torch.ones_like(ids)
    return first_and_rest(
        lambda n: model.generate(ids, attention_mask=mask, max_new_tokens=n, **settings), options.new_tokens,
        model.device,
    )  # fmt: skip


def bytes_per_step(options: BenchmarkOptions) -> int:
    """What a step of decoding has to read: all weights, and keys and values of a text of middling length per stream."""
    import torch

    from model.model_minimind import MiniMindConfig, MiniMindForCausalLM

    config = MiniMindConfig(vocab_size=VOCAB_SIZE, **sizes_of(options))
    with torch.device("meta"):
        n_weights = sum(p.numel() for p in MiniMindForCausalLM(config).parameters())
    positions = options.batch_size * (options.prompt_tokens + options.new_tokens // 2)
    head_dim = config.hidden_size // config.num_attention_heads
    n_cached = positions * config.num_hidden_layers * 2 * config.num_key_value_heads * head_dim
    dtype = getattr(torch, options.engine_dtype or options.dtype)
    cached = torch.bfloat16 if dtype == torch.int8 else dtype
    return n_weights * dtype.itemsize + n_cached * cached.itemsize


def last_level_cache() -> int:
    """Bytes; 0 where nobody says."""
    sizes = [path.read_text().strip() for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")]
    return max((int(size.rstrip("KM")) << (20 if size.endswith("M") else 10) for size in sizes), default=0)


def build_generation_floor(options: BenchmarkOptions, imports_done: Callable[[], None]) -> Turn:
    """The products of reading the prompts, and as many bytes as the steps after it need, on all threads."""
    import torch

    from model.fast.decoding import Projection
    from trainer.distributed import choose_device

    streams = options.batch_size
    prefill = forward_floor(options, streams, options.prompt_tokens, streams, Projection, imports_done)
    device = choose_device(options.device)
    data = torch.ones(bytes_per_step(options) // 4, device=device)

    def read() -> None:
        for _ in range(options.new_tokens - 1):
            data.sum()

    decode = timed(read, device)
    return lambda: (prefill(), decode())
