"""Time to a loss: our pretraining for some minutes, beside a plain recipe for many more, on the same text.

    python scripts/benchmark_recipe.py --data_path text.jsonl --val_path other_text.jsonl

The plain recipe is what short teaching scripts do: each document padded to --max_seq_len, AdamW, no warm-up, a cosine
from 1.1 to 0.1 of the learning rate; every --plain_batch_size is tried with every --plain_learning_rate. Both sides
have the same network, tokenizer, text and number of threads; only training counts as time. What they reach is measured
alike: bits per byte of whole documents, read in windows that do not overlap, every byte counted; validation documents
that stand in the training text are left out.
"""

import itertools
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

from scripts.measuring.harness import Figure, table_of  # noqa: E402
from scripts.measuring.measured import write_section  # noqa: E402
from trainer.command_line import flag, parse_options, require, run  # noqa: E402


@dataclass
class RecipeOptions:
    data_path: str | None = flag(None, "training text, JSONL")
    val_path: str | None = flag(None, "text that is not trained on, JSONL")
    tokenizer: str = flag(str(ROOT / "model"), "folder of the tokenizer")
    hidden_size: int = flag(256, "width of the network", least=1)
    num_hidden_layers: int = flag(4, "depth of the network", least=1)
    max_seq_len: int = flag(512, "tokens per row, and of a window in the measurement", least=2)
    minutes: float = flag(2.0, "of our training", above=0)
    plain_minutes: float = flag(10.0, "of the plain recipe, with each of its settings; 0: leave it out", least=0)
    plain_batch_size: list[int] = flag([4], "documents per step of the plain recipe; 4 8 16 tries each", least=1)
    plain_learning_rate: list[float] = flag([1e-3], "learning rate of the plain recipe; 5e-4 1e-3 2e-3 tries each",
                                            above=0)  # fmt: skip
    ours: list[str] = flag([], "flags for trainer/train_pretrain.py without their dashes, as batch_size=4")
    seed: int = flag(0, "seed of both", least=0, most=2**32 - 1)
    write: bool = flag(False, "write the table into MEASURED.md")

    def __post_init__(self):
        require(self.data_path and self.val_path, "--data_path and --val_path: name two JSONL files of text")
        require(all("=" in setting for setting in self.ours), "--ours: give flags as name=value")


def main() -> None:
    options = parse_options(RecipeOptions, "Time to a loss: our pretraining beside a plain recipe.")

    from trainer.loading import load_tokenizer

    tokenizer, texts = load_tokenizer(options.tokenizer), read_texts(options.data_path)
    known = set(texts)
    held_out = [text for text in read_texts(options.val_path) if text not in known]
    require(held_out, f"--val_path {options.val_path}: every text of it stands in --data_path too")
    figures = []

    def report(name: str, bits: float, **details) -> None:
        figures.append(Figure("recipe", name, "bits per byte", bits, details=details))
        print(figures[-1].json_line(), flush=True)

    print(f"our recipe for {options.minutes:g} min", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        seconds, bits = train_ours(options, held_out, tokenizer, Path(folder))
    report(f"ours after {seconds:.0f} s", bits, seconds=seconds, settings=options.ours)
    settings = itertools.product(options.plain_batch_size, options.plain_learning_rate)
    for size, rate in settings if options.plain_minutes else ():
        name = f"batch {size}, learning rate {rate:g}"
        print(f"the plain recipe for {options.plain_minutes:g} min: {name}", flush=True)
        curve = list(train_plain(options, size, rate, tokenizer, texts, held_out))
        for seconds, bits in curve:
            report(f"the plain recipe after {seconds:.0f} s: {name}", bits)
    print("\n" + table_of(figures))
    if options.write:
        write_section("Time to a loss", table_of(figures, markdown=True))


def read_texts(path: str) -> list[str]:
    from dataset.jsonl import read_records
    from dataset.lm_dataset import PretrainDataset

    def text_of(record: dict) -> str:
        PretrainDataset.check(record)
        return record["text"]

    return list(read_records(path, text_of))


def bits_per_byte(model, tokenizer, texts: list[str], window: int) -> float:
    import torch
    import torch.nn.functional as F
    from torch.nn.utils.rnn import pad_sequence

    from dataset.chat import encode_texts

    rows = []
    for ids in encode_texts(tokenizer, texts):
        ids = torch.tensor([tokenizer.bos_token_id, *ids])
        rows += [ids[start : start + window + 1] for start in range(0, len(ids) - 1, window)]
    rows.sort(key=len)
    nats = 0.0
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(rows), 16):
            batch = pad_sequence(rows[start : start + 16], batch_first=True, padding_value=-100)
            logits = model(input_ids=batch[:, :-1].clamp(min=0)).logits.flatten(0, 1)
            nats += float(F.cross_entropy(logits, batch[:, 1:].flatten(), reduction="sum"))
    model.train()
    return nats / math.log(2) / sum(len(text.encode()) for text in texts)


def train_plain(
    options: RecipeOptions, batch_size: int, rate: float, tokenizer, texts: list[str], held_out: list[str]
) -> Iterator[tuple[float, float]]:
    """(seconds of training, bits per byte) after each minute."""
    import torch

    from dataset.chat import encode_texts
    from model.model_minimind import MiniMindConfig, MiniMindForCausalLM

    torch.manual_seed(options.seed)
    sizes = {"hidden_size": options.hidden_size, "num_hidden_layers": options.num_hidden_layers}
    model = MiniMindForCausalLM(MiniMindConfig(vocab_size=len(tokenizer), **sizes))
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    bos, eos, pad = tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id
    rows = torch.full((len(texts), options.max_seq_len), pad)
    for row, ids in zip(rows, encode_texts(tokenizer, texts), strict=True):
        ids = torch.tensor([bos, *ids, eos])[: options.max_seq_len]
        row[: len(ids)] = ids
    total, spent, order = 60 * options.plain_minutes, 0.0, torch.empty(0, dtype=torch.long)
    for mark in [*range(60, math.ceil(total), 60), total]:
        while spent < mark:
            started = time.perf_counter()
            if len(order) < batch_size:
                order = torch.randperm(len(rows))
            batch, order = rows[order[:batch_size]], order[batch_size:]
            for group in optimizer.param_groups:
                group["lr"] = rate / 10 + 0.5 * rate * (1 + math.cos(math.pi * spent / total))
            labels = batch.masked_fill(batch == pad, -100)
            model(input_ids=batch, labels=labels).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            spent += time.perf_counter() - started
        yield spent, bits_per_byte(model, tokenizer, held_out, options.max_seq_len)


def train_ours(options: RecipeOptions, held_out: list[str], tokenizer, folder: Path) -> tuple[float, float]:
    """The same of trainer/train_pretrain.py as users run it, as many steps as fit into the minutes.

    The schedule ends with the last step, so the number of steps is guessed from a short run; a guess that takes
    longer than the minutes is made again.
    """
    from model.weights import load_weights

    (folder / "val.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in held_out[:8]), "utf-8")
    command = [sys.executable, ROOT / "trainer" / "train_pretrain.py", "--data_path", options.data_path]
    command += ["--val_path", folder / "val.jsonl", "--out_dir", folder, "--tokenizer", options.tokenizer]
    for name in ("hidden_size", "num_hidden_layers", "max_seq_len", "seed"):
        command += [f"--{name}", getattr(options, name)]
    for setting in options.ours:
        name, value = setting.split("=", 1)
        command += [f"--{name}", value]
    command += ["--epochs", 1000, "--eval_interval", 10**9, "--save_interval", 10**9]

    def train(steps: int) -> float:
        done = subprocess.run([str(c) for c in (*command, "--max_steps", steps)], capture_output=True, text=True)
        if done.returncode:
            raise ValueError(f"trainer/train_pretrain.py: {done.stderr.strip().splitlines()[-1]}")
        lines = (folder / "metrics" / f"pretrain_{options.hidden_size}.jsonl").read_text("utf-8").splitlines()
        return max(json.loads(line)["seconds"] for line in lines)

    seconds = train(10)
    seconds = train(60) - seconds  # the first steps take longer
    wanted, spent = 60 * options.minutes, math.inf
    steps = round(wanted / (seconds / 50))
    while spent > wanted and steps > 0:
        spent = train(steps)
        steps = int(0.98 * steps * wanted / spent)
    model, _ = load_weights(folder / f"pretrain_{options.hidden_size}.pth", tokenizer)
    return spent, bits_per_byte(model.float(), tokenizer, held_out, options.max_seq_len)


if __name__ == "__main__":
    run(main)
