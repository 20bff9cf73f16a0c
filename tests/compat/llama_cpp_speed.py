"""Tokens per second of one greedy stream: our engine, transformers' generate and llama.cpp in turns, on the same sizes.

    python tests/compat/llama_cpp_speed.py                       # 26M on 2 threads; after requirements-dev.txt
    python tests/compat/llama_cpp_speed.py --prompt_tokens 8192 --new_tokens 128 --repeats 3
"""

import os
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
sys.path[0] = str(ROOT)

from scripts.benchmark import BenchmarkOptions  # noqa: E402
from scripts.measuring import speed  # noqa: E402
from scripts.measuring.measured import write_section  # noqa: E402
from scripts.reports.tables import format_table, markdown_table  # noqa: E402
from trainer.command_line import flag, parse_options, run  # noqa: E402


@dataclass
class SpeedOptions(BenchmarkOptions):
    batch_size: int = flag(1, "one stream", choices=[1])
    threads: int = flag(2, "of each side")
    write: bool = flag(False, "write the tables into MEASURED.md")
    gguf: str = flag("", "set by itself: the file of a llama.cpp side")


def build_llama(options: SpeedOptions) -> speed.Turn:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.n_parallel, params.verbosity = options.gguf, 1, 0
    params.n_ctx = options.prompt_tokens + options.new_tokens + 8
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options.threads
    server = xllamacpp.Server(params)
    request = {"prompt": speed.random_rows(options, options.prompt_tokens)[0].tolist()}
    request |= {"temperature": 0, "ignore_eos": True, "cache_prompt": False}

    def generate(n: int) -> None:
        made = server.handle_completions(request | {"n_predict": n})["usage"]["completion_tokens"]
        if made != n:
            raise ValueError(f"llama.cpp made {made} tokens instead of {n}")

    return speed.first_and_rest(generate, options)


SIDES = {  # name -> (which program, precision)
    "transformers": (speed.build_generate, "float32"), "ours, float32": (speed.build_engine, "float32"),
    "llama.cpp, F32": (build_llama, "f32"), "ours, bfloat16": (speed.build_engine, "bfloat16"),
    "llama.cpp, F16": (build_llama, "f16"), "ours, int8": (speed.build_engine, "int8"),
    "llama.cpp, Q8_0": (build_llama, "q8_0"),
}  # fmt: skip


def write_files(options: SpeedOptions, folder: str) -> None:
    from model.formats.gguf_file import write_gguf
    from trainer.loading import load_tokenizer

    model, tokenizer = speed.our_model(options), load_tokenizer(str(ROOT / "model"))
    for outtype in ("f32", "f16", "q8_0"):
        write_gguf(model, tokenizer, Path(folder) / f"{outtype}.gguf", outtype)


def main() -> None:
    options = parse_options(SpeedOptions, "One greedy stream: our engine, transformers and llama.cpp.")
    os.environ["OMP_NUM_THREADS"] = str(options.threads)  # the sides are processes of their own
    with tempfile.TemporaryDirectory() as folder:
        write_files(options, folder)
        sides = []
        for build, precision in SIDES.values():
            own = {"gguf": f"{folder}/{precision}.gguf"} if build is build_llama else {"dtype": precision}
            sides.append((build, replace(options, **own)))
        turns = speed.take_turns(options.repeats, *sides)
    parts = (("reading the prompt", options.prompt_tokens), ("generating", options.new_tokens - 1))
    tables = []
    for part, (what, tokens) in enumerate(parts):
        found = {name: [turn[part] for turn in side] for name, side in zip(SIDES, turns, strict=True)}
        rows = [
            [
                name, f"{tokens / median(seconds):,.0f}",
                *(f"{speed.median_ratio(found[other], seconds):.2f}" for other in ("transformers", "llama.cpp, F32")),
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
