"""Tokens per second of one greedy stream: our engine, transformers' generate and llama.cpp in turns, on the same sizes.

    python tests/compat/llama_cpp_speed.py                       # 26M on 2 threads; after requirements-dev.txt
    python tests/compat/llama_cpp_speed.py --prompt_tokens 8192 --new_tokens 128 --repeats 3
"""

import dataclasses
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[0] = str(ROOT)

from scripts.measuring.harness import BenchmarkOptions, Side, Turn, median_ratio  # noqa: E402
from scripts.measuring.measured import write_section  # noqa: E402
from scripts.measuring.network import build_engine, build_generate, first_and_rest, new_model, random_rows  # noqa: E402
from scripts.reports.tables import format_table, markdown_table  # noqa: E402
from trainer.command_line import flag, parse_options, run  # noqa: E402

SIDES = {  # name -> (which program, precision)
    "transformers": ("generate", "float32"), "ours, float32": ("engine", "float32"), "llama.cpp, F32": ("llama", "f32"),
    "ours, bfloat16": ("engine", "bfloat16"), "llama.cpp, F16": ("llama", "f16"), "ours, int8": ("engine", "int8"),
    "llama.cpp, Q8_0": ("llama", "q8_0"),
}  # fmt: skip


@dataclass
class SpeedOptions(BenchmarkOptions):
    threads: int = flag(2, "of each side")
    gguf: str = flag("", "set by itself: the file of a llama.cpp side")


def build_llama(options: SpeedOptions) -> Turn:
    import torch
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.n_parallel, params.verbosity = options.gguf, 1, 0
    params.n_ctx = options.prompt_tokens + options.new_tokens + 8
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options.threads
    server = xllamacpp.Server(params)
    request = {"prompt": random_rows(1, options.prompt_tokens)[0].tolist()}
    request |= {"temperature": 0, "ignore_eos": True, "cache_prompt": False}

    def generate(n: int) -> None:
        made = server.handle_completions(request | {"n_predict": n})["usage"]["completion_tokens"]
        if made != n:
            raise ValueError(f"llama.cpp made {made} tokens instead of {n}")

    return first_and_rest(generate, options.new_tokens, torch.device("cpu"))


def write_files(options: SpeedOptions, folder: Path) -> None:
    from model.formats.gguf_file import write_gguf
    from trainer.loading import load_tokenizer

    model, tokenizer = new_model(options), load_tokenizer(str(ROOT / "model"))
    for outtype in ("f32", "f16", "q8_0"):
        write_gguf(model, tokenizer, folder / f"{outtype}.gguf", outtype)


def main() -> None:
    options = parse_options(SpeedOptions, "One greedy stream: our engine, transformers and llama.cpp.")
    options = dataclasses.replace(options, batch_size=1)
    os.environ["OMP_NUM_THREADS"] = str(options.threads)  # the sides are processes of their own
    builds = {"engine": build_engine, "generate": build_generate, "llama": build_llama}
    with tempfile.TemporaryDirectory() as folder:
        write_files(options, Path(folder))
        sides = {}
        for name, (program, precision) in SIDES.items():
            own = {"gguf": f"{folder}/{precision}.gguf"} if program == "llama" else {"engine_dtype": precision}
            sides[name] = Side(builds[program], dataclasses.replace(options, **own))
        try:
            for side in sides.values():
                side.request("turn")
            rounds = [{name: side.request("turn") for name, side in sides.items()} for _ in range(options.repeats)]
        finally:
            for side in sides.values():
                side.end()
    parts = (("reading the prompt", options.prompt_tokens), ("generating", options.new_tokens - 1))
    tables = []
    for part, (what, tokens) in enumerate(parts):
        found = {name: [turns[name][part] for turns in rounds] for name in sides}
        rows = [
            [
                name, f"{tokens / statistics.median(seconds):,.0f}",
                *(f"{median_ratio(found[other], seconds):.2f}" for other in ("transformers", "llama.cpp, F32")),
            ]
            for name, seconds in found.items()
        ]  # fmt: skip
        header = [what, "tokens/s", "to transformers", "to llama.cpp F32"]
        print(format_table(header, rows) + "\n")
        tables.append(markdown_table(header, rows))
    if options.write:
        write_section("Generation beside llama.cpp", "\n\n".join(tables))


if __name__ == "__main__":
    run(main)
