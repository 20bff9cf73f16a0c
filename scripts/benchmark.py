"""Measure MiniMind: one JSON line per figure, then a table of them all.

    python scripts/benchmark.py                                   # a training step of the 26M model (--step)
    python scripts/benchmark.py --hidden_size 768 --num_hidden_layers 16 --dtype bfloat16
    python scripts/benchmark.py --decode                          # tokens per second of one stream, and of 16
    python scripts/benchmark.py --text dataset/pretrain_hq.jsonl dataset/sft_mini_512.jsonl
    python scripts/benchmark.py --data dataset/pretrain_hq.jsonl  # how fast it is tokenised, and opened again

Where there are two sides to compare, they take turns (A B A B …) in one run, each in a process of its own that lives
through the whole run, so that neither owns a better minute of the machine and each has its memory to itself. Figures
are medians, the ratio is the median over pairs. The *floor* is what the hardware allows, measured in the same run.
"""

import contextlib
import dataclasses
import os
import platform
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

from scripts.measure import Figure, Side, paired, table, timed  # noqa: E402
from trainer.options import flag, parse_options, require, run  # noqa: E402

VOCAB_SIZE = 6400
PROMPT_TOKENS, STREAMS = 32, (1, 16)  # of --decode


@dataclass
class BenchmarkOptions:
    step: bool = flag(False, "a training step against transformers; what is measured when nothing else is asked for")
    decode: bool = flag(False, "generation with a KV cache against transformers' generate")
    text: list[str] | None = flag(None, "JSONL files: tokens, bytes per token, and what packing and padding waste")
    data: list[str] | None = flag(None, "JSONL files: rate of tokenising, start with a cache, memory of the processes")
    hidden_size: int = flag(512, "width of the network")
    num_hidden_layers: int = flag(8, "depth of the network")
    use_moe: bool = flag(False, "mixture of experts; the reference is then transformers' GraniteMoeShared")
    batch_size: int = flag(8, "sequences per step, and per batch of a data set")
    max_seq_len: int = flag(512, "tokens per sequence")
    new_tokens: int = flag(256, f"tokens made per stream, after {PROMPT_TOKENS} of prompt, for --decode")
    repeats: int = flag(10, "how often each side is measured")
    optimizer: str = flag("adamw", "our side's optimizer; the reference has AdamW", choices=["adamw", "muon"])
    dtype: str = flag("float32", "compute in it, on both sides", choices=["float32", "bfloat16"])
    engine_dtype: str | None = flag(None, "compute --decode's own side in it, as int8; default: --dtype",
                                    choices=["float32", "bfloat16", "int8"])  # fmt: skip
    device: str = flag("cpu", "cpu, cuda, mps, or auto: the best that is there")
    tokenizer: str = flag(str(ROOT / "model"), "folder of the tokenizer, for --text and --data")
    skip_bad_lines: bool = flag(False, "leave out lines of --text and --data that cannot be used, rather than stop")

    def __post_init__(self):
        for name in ("hidden_size", "num_hidden_layers", "batch_size", "new_tokens", "repeats"):
            require(getattr(self, name) >= 1, f"--{name} {getattr(self, name)}: it must be at least 1")
        require(self.max_seq_len >= 2, f"--max_seq_len {self.max_seq_len}: it must be at least 2")


# ---------------------------------------------------------------- job: a training step


def training_step(options: BenchmarkOptions) -> Iterator[Figure]:
    """Forward, backward, clip and update: the engine, transformers, and the matrix products alone, in turns."""
    from tqdm import tqdm

    from model.model_minimind import MiniMindConfig
    from trainer.distributed import choose_device

    MiniMindConfig(hidden_size=options.hidden_size)  # says so now if no network can have this size
    options = dataclasses.replace(options, device=str(choose_device(options.device)))
    sides = [Side(build, options) for build in (build_minimind, build_transformers, build_matmuls)]
    try:
        for side in sides:  # warm up: the optimizer's state is made in the first step
            side.ask("turn")
        rounds = tqdm(range(options.repeats), desc="step", unit="round", leave=False)
        ours, reference, floor = zip(*([side.ask("turn") for side in sides] for _ in rounds), strict=True)
        our_peak, reference_peak, _ = (side.ask("peak") for side in sides)
    finally:
        for side in sides:
            side.end()
    details = shown(options, "new_tokens")
    kind = "GraniteMoeShared" if options.use_moe else "Llama"
    reference_is = f"reference: transformers' {kind}ForCausalLM of the same shape (sdpa, fused AdamW)"
    yield Figure(
        "step", "training step", "s", statistics.median(ours), statistics.median(reference), paired(ours, reference),
        statistics.median(floor), paired(floor, ours),
        f"{reference_is}; floor: the network's own matrix products alone, forward x 3", details,
    )  # fmt: skip
    yield Figure(
        "step", "peak memory less imports", "MiB", our_peak, reference_peak, our_peak / reference_peak,
        note=reference_is, details=details,
    )  # fmt: skip


def shown(options: BenchmarkOptions, *left_out: str) -> dict:
    """The flags that belong to a figure: those of other jobs are `left_out`."""
    left_out += ("step", "decode", "text", "tokenizer", "skip_bad_lines")
    return {key: value for key, value in dataclasses.asdict(options).items() if key not in left_out}


def random_rows(options: BenchmarkOptions):
    """Token ids (batch_size, max_seq_len + 1), the same on both sides."""
    import torch

    generator = torch.Generator().manual_seed(0)
    return torch.randint(3, VOCAB_SIZE, (options.batch_size, options.max_seq_len + 1), generator=generator)


def build_minimind(options: BenchmarkOptions, imports_done: Callable[[], None]) -> Callable[[], float]:
    """A step of the engine itself: the Trainer that every stage uses, given one packed batch again and again."""
    import torch

    from dataset.batching import Collate
    from model.model_minimind import MiniMindConfig, MiniMindForCausalLM
    from trainer.distributed import World, choose_device
    from trainer.engine import Trainer, no_figures
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
    sizes = {key: getattr(options, key) for key in ("hidden_size", "num_hidden_layers", "use_moe")}
    settings = {key: getattr(options, key) for key in ("batch_size", "max_seq_len", "optimizer", "dtype")}
    train_options = TrainOptions(**settings, **sizes)
    torch.manual_seed(0)
    model = MiniMindForCausalLM(MiniMindConfig(vocab_size=VOCAB_SIZE, **sizes))
    rows = Rows(random_rows(options))
    world = World(0, 1, choose_device(options.device))
    trainer = Trainer(train_options, "pretrain", world, LanguageModelObjective(model), None, rows, rows)
    trainer.objective.train()
    trainer.recent = no_figures()
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


def build_transformers(options: BenchmarkOptions, imports_done: Callable[[], None]) -> Callable[[], float]:
    """transformers at its best: its own loss, fused AdamW, the same clipping."""
    import torch

    model = stock_model(options, imports_done).train()
    device = model.device
    fused = device.type in ("cuda", "cpu")
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=fused)
    dtype = getattr(torch, options.dtype)
    input_ids = random_rows(options)[:, :-1].to(device)

    def step() -> None:
        with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
            loss = model(input_ids=input_ids, labels=input_ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return timed(step, device)


def build_matmuls(options: BenchmarkOptions, imports_done: Callable[[], None]) -> Callable[[], float]:
    """The floor of a step: the network's matrix products alone. Backward multiplies twice for each product of the
    forward pass, so a step's floor is three times the forward products."""
    import torch

    from model.fused import times
    from model.model_minimind import MiniMindConfig
    from trainer.distributed import choose_device

    imports_done()
    device, dtype = choose_device(options.device), getattr(torch, options.dtype)
    config = MiniMindConfig(hidden_size=options.hidden_size, num_hidden_layers=options.num_hidden_layers)
    tensors = [
        (torch.randn(*a, device=device, dtype=dtype), torch.randn(*b, device=device, dtype=dtype))
        for a, b in forward_products(config, options)
    ]

    def forward() -> None:
        for a, b in tensors:
            if b.dim() == 2:
                times(a, b.T)
            else:
                a @ b

    turn = timed(forward, device)
    return lambda: 3 * turn()


def forward_products(config, options: BenchmarkOptions) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Shapes (of a, of b) of every product a @ b in one forward pass."""
    n_tokens, hidden, heads = options.batch_size * options.max_seq_len, config.hidden_size, config.num_attention_heads
    head_dim, ffn = hidden // heads, config.intermediate_size
    seen = -(-options.max_seq_len // 2)  # causal: a token meets half of the row on average
    for _ in range(config.num_hidden_layers):
        for out in (hidden, config.num_key_value_heads * head_dim, config.num_key_value_heads * head_dim, hidden):
            yield (n_tokens, hidden), (hidden, out)  # q, k, v, o
        scores = (options.batch_size * heads, options.max_seq_len)
        yield (*scores, head_dim), (scores[0], head_dim, seen)
        yield (*scores, seen), (scores[0], seen, head_dim)
        rows = [n_tokens]
        if options.use_moe:
            yield (n_tokens, hidden), (hidden, config.n_routed_experts)
            share = n_tokens * config.num_experts_per_tok // config.n_routed_experts
            rows = [n_tokens] * config.n_shared_experts + [share] * config.n_routed_experts
        for n in rows:
            yield from [((n, hidden), (hidden, ffn)), ((n, hidden), (hidden, ffn)), ((n, ffn), (ffn, hidden))]
    yield (n_tokens, hidden), (hidden, VOCAB_SIZE)


# ---------------------------------------------------------------- job: generation


def generation(options: BenchmarkOptions) -> Iterator[Figure]:
    """Greedy tokens per second of all streams together: our engine, transformers' generate, the weights' reading."""
    from tqdm import tqdm

    from trainer.distributed import choose_device

    options = dataclasses.replace(options, device=str(choose_device(options.device)))
    for streams in STREAMS:
        tokens, own = streams * options.new_tokens, dataclasses.replace(options, batch_size=streams)
        sides = [Side(build, own) for build in (build_engine, build_generate, build_reading)]
        try:
            for side in sides:
                side.ask("turn")
            rounds = tqdm(range(options.repeats), desc=f"decode {streams}", unit="round", leave=False)
            ours, reference, floor = zip(*([side.ask("turn") for side in sides] for _ in rounds), strict=True)
        finally:
            for side in sides:
                side.end()
        yield Figure(
            "decode", "one stream" if streams == 1 else f"{streams} streams together", "tokens/s",
            tokens / statistics.median(ours), tokens / statistics.median(reference), paired(reference, ours),
            tokens / statistics.median(floor), paired(floor, ours),
            "reference: transformers' generate with its growing cache; floor: every weight is read once per step",
            shown(own, "max_seq_len", "optimizer"),
        )  # fmt: skip


def build_engine(options: BenchmarkOptions, imports_done: Callable[[], None]) -> Callable[[], float]:
    """The engine of eval_model.py and the server, on a network of random weights."""
    import torch

    from model.generation import Generator
    from model.model_minimind import MiniMindConfig, MiniMindForCausalLM
    from model.sampling import Sampling
    from trainer.distributed import choose_device
    from trainer.stage import load_tokenizer

    imports_done()
    device = choose_device(options.device)
    sizes = {key: getattr(options, key) for key in ("hidden_size", "num_hidden_layers", "use_moe")}
    torch.manual_seed(0)
    model = MiniMindForCausalLM(MiniMindConfig(vocab_size=VOCAB_SIZE, **sizes)).to(device)
    engine = Generator(
        model, load_tokenizer(options.tokenizer), options.batch_size, PROMPT_TOKENS + options.new_tokens,
        getattr(torch, options.engine_dtype or options.dtype),
    )  # fmt: skip
    prompts = random_rows(dataclasses.replace(options, max_seq_len=PROMPT_TOKENS - 1)).tolist()
    sampling = Sampling(max_tokens=options.new_tokens, stop_ids=())
    return timed(lambda: engine.generate(prompts, sampling), device)


def build_generate(options: BenchmarkOptions, imports_done: Callable[[], None]) -> Callable[[], float]:
    """The same in transformers."""
    import torch

    model = stock_model(options, imports_done).to(getattr(torch, options.dtype)).eval()
    ids = random_rows(dataclasses.replace(options, max_seq_len=PROMPT_TOKENS - 1)).to(model.device)
    settings = {"max_new_tokens": options.new_tokens, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    mask = torch.ones_like(ids)
    return timed(lambda: model.generate(ids, attention_mask=mask, use_cache=True, **settings), model.device)


def build_reading(options: BenchmarkOptions, imports_done: Callable[[], None]) -> Callable[[], float]:
    """The floor: as many bytes as a step's weights have, read once per step, on all threads."""
    import torch

    from model.model_minimind import MiniMindConfig, MiniMindForCausalLM
    from trainer.distributed import choose_device

    imports_done()
    device = choose_device(options.device)
    sizes = {key: getattr(options, key) for key in ("hidden_size", "num_hidden_layers", "use_moe")}
    with torch.device("meta"):
        model = MiniMindForCausalLM(MiniMindConfig(vocab_size=VOCAB_SIZE, **sizes))
    dtype = getattr(torch, options.engine_dtype or options.dtype)
    n_bytes = sum(p.numel() for p in model.parameters()) * dtype.itemsize
    weights = torch.ones(n_bytes // 4, device=device)

    def read() -> None:
        for _ in range(options.new_tokens):
            weights.sum()

    return timed(read, device)


# ---------------------------------------------------------------- job: what a data set wastes


def text_figures(options: BenchmarkOptions) -> Iterator[Figure]:
    """Tokens, and the share of an epoch's positions that hold text, in the batches that the engine would form."""
    from trainer.stage import load_tokenizer, quiet_transformers

    quiet_transformers()
    tokenizer = load_tokenizer(options.tokenizer)
    for path in options.text or []:
        with tempfile.TemporaryDirectory() as cache_dir:
            yield from file_figures(path, tokenizer, cache_dir, options)


def file_figures(path: str, tokenizer, cache_dir: str, options: BenchmarkOptions) -> Iterator[Figure]:
    import numpy as np

    from dataset.batching import Collate, StepSampler, make_loader
    from dataset.lm_dataset import PretrainDataset, SFTDataset

    packed = first_keys(path) == "text"
    data = (PretrainDataset if packed else SFTDataset)(
        path, tokenizer, options.max_seq_len, skip_bad_lines=options.skip_bad_lines, cache_dir=cache_dir
    )
    n_samples, n_tokens = len(data.kept), int(data.lengths.sum())
    if packed:
        data.set_order(np.random.default_rng(0))
    sampler = StepSampler(len(data), options.batch_size, lengths=None if packed else data.lengths)
    positions = text = 0
    for batch in make_loader(data, sampler, Collate(tokenizer.pad_token_id)):
        positions += batch["input_ids"].numel()
        text += int((batch["loss_mask"] if packed else batch["attention_mask"]).sum())

    keys = ("max_seq_len", "batch_size")
    details = {"file": str(path)} | {key: getattr(options, key) for key in keys}
    name = Path(path).name
    kind = "documents" if packed else "conversations"
    yield Figure("text", f"{name}: {kind}", "", n_samples, details=details)
    yield Figure("text", f"{name}: tokens", "", n_tokens, details=details)
    if packed:
        n_control = 2 * n_samples  # every document opens and closes with one, which stand for no byte
        yield Figure("text", f"{name}: text per token", "bytes", data.n_bytes / (n_tokens - n_control), details=details)
    padded = np.minimum(data.lengths, options.max_seq_len).sum() / (n_samples * options.max_seq_len)
    yield Figure(
        "text", f"{name}: positions that are text", "share", text / positions, float(padded),
        text / positions / float(padded), 1.0, text / positions,
        f"reference: every sample padded to {options.max_seq_len} tokens; floor: no padding at all", details,
    )  # fmt: skip


def first_keys(path: str) -> str:
    """Which kind of data a JSONL file holds: "text" or "conversations"."""
    from dataset.jsonl import bad_line, check_file, parse_line, read_lines

    file = check_file(path)
    for offset, line in read_lines(file, 0, file.stat().st_size):
        try:
            record = parse_line(line)
        except ValueError as error:
            raise bad_line(file, offset, str(error)) from None
        for key in ("text", "conversations"):
            if key in record:
                return key
        raise bad_line(file, offset, 'neither "text" nor "conversations" is in it')
    raise ValueError(f"{file}: there are only blank lines in it: it needs one JSON object per line")


# ---------------------------------------------------------------- job: tokenising


RATE_BYTES = 16 << 20  # of a file, on which the rate of one process is measured


def data_figures(options: BenchmarkOptions) -> Iterator[Figure]:
    """How fast a file is tokenised, beside the bare tokenizer; how fast it opens later; memory of the processes."""
    for path in options.data or []:
        with tempfile.TemporaryDirectory() as folder:
            part = Path(folder) / "part.jsonl"
            write_part(Path(path), part)
            yield from rate_figures(path, dataclasses.replace(options, data=[str(part)]))
            yield from whole_figures(path, Path(folder) / "cache", options)


def write_part(path: Path, part: Path) -> None:
    """The first lines of a file."""
    from dataset.jsonl import check_file, read_lines

    with open(part, "wb") as file:
        file.writelines(line for _, line in read_lines(check_file(path), 0, RATE_BYTES))


def rate_figures(path: str, options: BenchmarkOptions) -> Iterator[Figure]:
    from tqdm import tqdm

    sides = [Side(build, options) for build in (build_tokenising, build_bare_tokenizer)]
    try:
        for side in sides:
            side.ask("turn")  # warm up
        rounds = tqdm(range(options.repeats), desc="data", unit="round", leave=False)
        ours, bare = zip(*([side.ask("turn") for side in sides] for _ in rounds), strict=True)
    finally:
        for side in sides:
            side.end()
    megabytes = Path(options.data[0]).stat().st_size / 1e6
    ratio = paired(bare, ours)
    yield Figure(
        "data", f"{Path(path).name}: tokenising, one process", "MB/s", megabytes / statistics.median(ours),
        megabytes / statistics.median(bare), ratio, note="ours: lines read, checked, tokenised and written; "
        f"reference: encode_batch of tokenizers on the same {megabytes:.0f} MB, read before",
        details={"file": str(path)},
    )  # fmt: skip


def open_data(path: str, options: BenchmarkOptions, cache_dir, num_proc: int | None):
    from dataset.lm_dataset import PretrainDataset, SFTDataset
    from trainer.stage import load_tokenizer, quiet_transformers

    quiet_transformers()
    tokenizer = load_tokenizer(options.tokenizer)
    kind = PretrainDataset if first_keys(path) == "text" else SFTDataset
    settings = {"skip_bad_lines": options.skip_bad_lines, "cache_dir": cache_dir, "num_proc": num_proc}
    return lambda: kind(path, tokenizer, options.max_seq_len, **settings)


def build_tokenising(options: BenchmarkOptions, imports_done: Callable[[], None]) -> Callable[[], float]:
    from tqdm import tqdm

    from dataset import token_cache

    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    token_cache.SECONDS_BEFORE_BAR = float("inf")  # the rounds have theirs
    tqdm.set_lock(threading.RLock())  # not one between processes, which the end of this one would leave behind
    imports_done()

    def turn() -> float:
        with tempfile.TemporaryDirectory() as cache_dir:
            make = open_data(options.data[0], options, cache_dir, num_proc=1)
            started = time.perf_counter()
            make()
            return time.perf_counter() - started

    return turn


def build_bare_tokenizer(options: BenchmarkOptions, imports_done: Callable[[], None]) -> Callable[[], float]:
    """The floor of tokenising: the texts of the file, nothing read, checked or written."""
    from dataset.jsonl import parse_line, read_lines
    from trainer.stage import load_tokenizer

    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    backend, path, texts = load_tokenizer(options.tokenizer).backend_tokenizer, Path(options.data[0]), []
    for _, line in read_lines(path, 0, path.stat().st_size):
        record = parse_line(line)
        texts += [record["text"]] if "text" in record else [m["content"] for m in record["conversations"]]
    imports_done()

    def turn() -> float:
        started = time.perf_counter()
        for start in range(0, len(texts), 256):
            backend.encode_batch(texts[start : start + 256], add_special_tokens=False)
        return time.perf_counter() - started

    return turn


def whole_figures(path: str, cache_dir: Path, options: BenchmarkOptions) -> Iterator[Figure]:
    name, details = Path(path).name, {"file": str(path)}
    make = open_data(path, options, cache_dir, num_proc=None)
    with AnonymousMemory() as memory:
        started = time.perf_counter()
        make()
        seconds = time.perf_counter() - started
    rate = Path(path).stat().st_size / 1e6 / seconds
    yield Figure("data", f"{name}: tokenising, all processes", "MB/s", rate, details=details)
    if memory.peaks:
        yield Figure(
            "data", f"{name}: most memory of a process", "MiB", max(memory.peaks.values()),
            note=f"anonymous (RssAnon), {len(memory.peaks)} processes, imports included", details=details,
        )  # fmt: skip
    seconds = []
    for _ in range(options.repeats):
        started = time.perf_counter()
        make()
        seconds.append(time.perf_counter() - started)
    yield Figure("data", f"{name}: opening with a cache", "s", statistics.median(seconds), details=details)


class AnonymousMemory:
    """While it is entered, `peaks` gathers per process id the highest RssAnon in MiB: of this process and its children.

    It stays empty where there is no /proc.
    """

    def __enter__(self) -> "AnonymousMemory":
        self.peaks: dict[str, float] = {}
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def __exit__(self, *exception) -> None:
        self.done.set()
        self.thread.join()

    def watch(self) -> None:
        while not self.done.wait(0.1):
            children = " ".join(path.read_text() for path in Path("/proc/self/task").glob("*/children"))
            for pid in ("self", *children.split()):
                with contextlib.suppress(OSError, StopIteration):  # it has ended
                    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
                    kib = int(next(line for line in lines if line.startswith("RssAnon:")).split()[1])
                    self.peaks[pid] = max(self.peaks.get(pid, 0.0), kib / 1024)


# ---------------------------------------------------------------- all of it


def machine() -> dict:
    """What the figures were taken on."""
    import torch
    import transformers

    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        cpu = next((x.split(":")[1].strip() for x in info.read_text().splitlines() if x.startswith("model name")), cpu)
    gpu = {"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    return {"machine": cpu, "threads": torch.get_num_threads(), **gpu, **versions}


def main() -> None:
    options = parse_options(BenchmarkOptions, "Measure MiniMind: one JSON line per figure, then a table.")
    asked = ((text_figures, options.text), (data_figures, options.data), (generation, options.decode))
    jobs = [job for job, wanted in asked if wanted]
    if options.step or not jobs:
        jobs.append(training_step)
    on, figures = machine(), []
    for job in jobs:
        for figure in job(options):
            print(figure.json_line(**on), flush=True)
            figures.append(figure)
    print("\n" + table(figures))
    notes = dict.fromkeys(f"{figure.figure}: {figure.note}" for figure in figures if figure.note)
    print("\n".join(["", *notes, ", ".join(f"{key} {value}" for key, value in on.items())]))


if __name__ == "__main__":
    run(main)
