"""The sides that scripts/benchmark.py compares: a `build_…` runs in a process of its own and returns what is timed."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from statistics import median

import torch
from transformers import GraniteMoeSharedForCausalLM, LlamaForCausalLM

from model.formats.hf_folder import stock_config
from model.generation import Generator
from model.model_minimind import MiniMindConfig, MiniMindForCausalLM
from model.sampling import Sampling
from trainer.command_line import ROOT
from trainer.flops import training_flops
from trainer.loading import load_tokenizer, speed_up
from trainer.monitor import peak_memory_mib
from trainer.objectives import LanguageModelObjective
from trainer.optim import make_optimizer
from trainer.threads import all_cores

Turn = Callable[[], tuple[float, ...]]  # seconds, of one thing or of several
HELD = {}  # in a side's process: its device, what it times, and the memory before


def take_turns(repeats: int, *sides: tuple[Callable, object]) -> list[tuple[tuple[float, ...], ...]]:
    """Of each side (build, options), its turns, taken A B A B …: the seconds, and the peak memory in MiB."""
    context = multiprocessing.get_context("forkserver")
    ignore = (signal.SIGINT, signal.SIG_IGN)  # on Ctrl-C this process ends the others
    with ExitStack() as stack:
        pools = [stack.enter_context(ProcessPoolExecutor(1, context, signal.signal, ignore)) for _ in sides]
        for pool, side in zip(pools, sides, strict=True):  # alone, so that none is measured while another is built
            pool.submit(begin, *side).result()
        turns = [[pool.submit(take_turn).result() for pool in pools] for _ in range(repeats)]
    return list(zip(*turns, strict=True))


def begin(build: Callable, options) -> None:
    parent = multiprocessing.parent_process()  # which this process must not outlive
    threading.Thread(target=lambda: parent.join() or os._exit(1), daemon=True).start()
    all_cores()
    HELD["device"] = torch.device(options.device)
    HELD["imports"] = peak_memory_mib(HELD["device"])  # at the top of `build`'s module
    HELD["turn"] = build(options)
    HELD["turn"]()  # to warm up


def take_turn() -> tuple[float, ...]:
    return *HELD["turn"](), peak_memory_mib(HELD["device"]) - HELD["imports"]


def timed(work: Callable[[], object], options) -> float:
    """Its seconds, the device's work included."""
    started = time.perf_counter()
    work()
    if options.device != "cpu":
        torch.accelerator.synchronize()
    return time.perf_counter() - started


def compared(figure: str, sides: list[tuple], part: int, tokens: int = 0) -> dict:
    """A row of the table: medians of one part of the turns, or of `tokens` per second, and of the ratios by round."""
    ours, reference, *floor = ([tokens / turn[part] if tokens else turn[part] for turn in side] for side in sides)
    row = {"ours": median(ours), "reference": median(reference), "ratio": median_ratio(ours, reference)}
    row |= {"floor": median(floor[0]), "share of floor": median_ratio(floor[0], ours)} if floor else {}
    return {"figure": figure, **row}


def median_ratio(a: list[float], b: list[float]) -> float:
    return median(x / y for x, y in zip(a, b, strict=True))


def config_of(options) -> MiniMindConfig:
    return MiniMindConfig(**{name: getattr(options, name) for name in ("hidden_size", "num_hidden_layers", "use_moe")})


def our_model(options) -> MiniMindForCausalLM:
    return speed_up(MiniMindForCausalLM(config_of(options)).to(options.device), options.compile)


def stock_model(options):  # its attention is sdpa, transformers' fastest
    kind = GraniteMoeSharedForCausalLM if options.use_moe else LlamaForCausalLM
    return kind(stock_config(config_of(options))).to(options.device)


def shape(options) -> str:
    return f"{options.hidden_size}×{options.num_hidden_layers}{' MoE' if options.use_moe else ''}, {options.dtype}"


def random_rows(options, tokens: int) -> torch.Tensor:
    """Token ids (batch_size, tokens), the same on all sides."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(3, 6400, (options.batch_size, tokens), generator=generator).to(options.device)


def training_step(options) -> Iterator[dict]:
    """Forward, backward, clip and update; and the most memory."""
    sides = take_turns(options.repeats, *((side, options) for side in (build_our_step, build_stock_step, build_floor)))
    name = ", ".join([shape(options), *(x for x in ("compile", "gradient_checkpointing") if getattr(options, x))])
    yield compared(f"training step, {name}, s", sides, part=0)
    yield compared(f"peak memory less imports, {name}, MiB", sides[:2], part=1)


def build_our_step(options) -> Turn:
    model, batch = our_model(options), one_batch(options)
    if options.gradient_checkpointing:  # transformers 5.17 knows it by the second name
        enable = getattr(model, "activation_checkpointing_enable", None)
        (enable or model.gradient_checkpointing_enable)({"use_reentrant": False})
    if options.compile:
        model.model.compile(dynamic=False)
    objective = LanguageModelObjective(model)
    counts = objective.counts(batch)
    return step_of(objective, lambda: sum(total / counts[name] for name, total in objective(batch).items()), options)


def build_stock_step(options) -> Turn:
    model, ids = stock_model(options), one_batch(options)["input_ids"]
    if options.compile:
        model.compile(dynamic=False)
    return step_of(model, lambda: model(input_ids=ids, labels=ids, use_cache=False).loss, options)


def one_batch(options) -> dict[str, torch.Tensor]:
    ids = random_rows(options, options.max_seq_len + 1)
    return {"input_ids": ids[:, :-1], "targets": ids[:, 1:], "loss_mask": torch.ones_like(ids[:, 1:]).float()}


def step_of(module: torch.nn.Module, loss: Callable[[], torch.Tensor], options) -> Turn:
    device, dtype = options.device.split(":")[0], getattr(torch, options.dtype)
    optimizer = make_optimizer(module.train(), "adamw", 0.1, device)

    def step() -> None:
        with torch.autocast(device, dtype=dtype, enabled=dtype != torch.float32):
            value = loss()
        value.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return lambda: (timed(step, options),)


def build_floor(options) -> Turn:
    """The step's operations (trainer/flops.py) at the speed of a large matrix product, in torch's fastest way."""
    operations = training_flops(LanguageModelObjective(our_model(options)), one_batch(options))
    size, dtype = 1024 if options.device == "cpu" else 8192, getattr(torch, options.dtype)
    a, b = torch.randn(2, size, size, device=options.device, dtype=dtype)
    products = [lambda: a.mT @ b]
    if options.device == "cpu" and dtype == torch.float32 and torch.backends.mkldnn.is_available():
        products += [lambda: a @ b, lambda: torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], "")]
    return lambda: (min(timed(product, options) for product in products) / (2 * size**3) * operations,)


def generation(options) -> Iterator[dict]:
    """Greedy, all streams together: reading the prompts, then the tokens after them."""
    sides = take_turns(options.repeats, (build_engine, options), (build_generate, options))
    name = f"{options.batch_size} × prompt of {options.prompt_tokens}, {shape(options)}, tokens/s"
    yield compared(f"prefill, {name}", sides, 0, options.batch_size * options.prompt_tokens)
    yield compared(f"decode, {name}", sides, 1, options.batch_size * (options.new_tokens - 1))


def first_and_rest(generate: Callable[[int], object], options) -> Turn:
    """Seconds of (the prompt and the first token, the tokens after it)."""

    def turn() -> tuple[float, float]:
        first = timed(lambda: generate(1), options)
        return first, timed(lambda: generate(options.new_tokens), options) - first

    return turn


def build_engine(options) -> Turn:
    """The engine of eval_model.py and the server."""
    length, dtype = options.prompt_tokens + options.new_tokens, getattr(torch, options.dtype)
    engine = Generator(our_model(options), load_tokenizer(str(ROOT / "model")), options.batch_size, length, dtype)
    prompts = random_rows(options, options.prompt_tokens).tolist()
    return first_and_rest(lambda n: engine.generate(prompts, Sampling(max_tokens=n, stop_ids=())), options)


def build_generate(options) -> Turn:
    model = stock_model(options).to(getattr(torch, options.dtype)).eval()
    ids = random_rows(options, options.prompt_tokens)
    settings = {"attention_mask": torch.ones_like(ids), "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    return first_and_rest(lambda n: model.generate(ids, max_new_tokens=n, **settings), options)
