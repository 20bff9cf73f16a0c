"""Time to a loss: our pretraining for some minutes, beside a plain recipe for many more, on the same text.

    python scripts/benchmark_recipe.py --data_path text.jsonl --val_path other_text.jsonl

The plain recipe is what short teaching scripts do: each document padded to --max_seq_len, AdamW, no warm-up, a cosine
from 1.1 to 0.1 of the learning rate. Both sides have the same network, tokenizer, text and number of threads; only
training counts as time. What they reach is measured alike: bits per byte of whole documents, read in windows that do
not overlap, every byte counted; validation documents that stand in the training text are left out.
"""

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

SAME = ("hidden_size", "num_hidden_layers")  # of both networks


@dataclass
class RecipeOptions:
    data_path: str | None = flag(None, "training text, JSONL")
    val_path: str | None = flag(None, "text that is not trained on, JSONL")
    tokenizer: str = flag(str(ROOT / "model"), "folder of the tokenizer")
    hidden_size: int = flag(256, "width of the network", least=1)
    num_hidden_layers: int = flag(4, "depth of the network", least=1)
    max_seq_len: int = flag(512, "tokens per row, and of a window in the measurement", least=2)
    minutes: float = flag(2.0, "of our training", above=0)
    plain_minutes: float = flag(10.0, "of the plain recipe; 0: leave it out", least=0)
    plain_batch_size: int = flag(4, "documents per step of the plain recipe", least=1)
    plain_learning_rate: float = flag(1e-3, "learning rate of the plain recipe", above=0)
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

    def measure(recipe: str, model, seconds: float) -> None:
        bits = bits_per_byte(model, tokenizer, held_out, options.max_seq_len)
        figures.append(Figure("recipe", f"{recipe} after {seconds:.0f} s", "bits per byte", bits))
        print(figures[-1].json_line(), flush=True)

    with tempfile.TemporaryDirectory() as folder:
        measure(" ".join(["ours", *options.ours]), *train_ours(options, held_out, tokenizer, Path(folder)))
    plain = f"plain recipe, batch {options.plain_batch_size}, learning rate {options.plain_learning_rate:g},"
    for model, seconds in train_plain(options, tokenizer, texts) if options.plain_minutes else ():
        measure(plain, model, seconds)
    print("\n" + table_of(figures))
    if options.write:
        write_section("Time to a loss", table_of(figures, markdown=True))


def read_texts(path: str) -> list[str]:
    from dataset.jsonl import check_text, read_records

    return list(read_records(path, lambda record: check_text(record.get("text"), '"text"') or record["text"]))


def bits_per_byte(model, tokenizer, texts: list[str], window: int) -> float:
    import torch
    import torch.nn.functional as F
    from torch.nn.utils.rnn import pad_sequence

    from dataset.chat import encode_texts

    rows, nats = [], 0.0
    for ids in encode_texts(tokenizer, texts):
        ids = torch.tensor([tokenizer.bos_token_id, *ids])
        rows += [ids[start : start + window + 1] for start in range(0, len(ids) - 1, window)]
    rows.sort(key=len)
    with torch.inference_mode():  # neither network has dropout
        for start in range(0, len(rows), 16):
            batch = pad_sequence(rows[start : start + 16], batch_first=True, padding_value=-100)
            logits = model(input_ids=batch[:, :-1].clamp(min=0)).logits.flatten(0, 1)
            nats += float(F.cross_entropy(logits, batch[:, 1:].flatten(), reduction="sum"))
    return nats / math.log(2) / sum(len(text.encode()) for text in texts)


def train_plain(options: RecipeOptions, tokenizer, texts: list[str]) -> Iterator[tuple]:
    """(network, seconds of training) after each minute."""
    import torch

    from dataset.chat import encode_texts
    from model.model_minimind import MiniMindConfig, MiniMindForCausalLM
    from trainer.loading import speed_up

    torch.manual_seed(options.seed)
    sizes = {name: getattr(options, name) for name in SAME}
    model = speed_up(MiniMindForCausalLM(MiniMindConfig(vocab_size=len(tokenizer), **sizes)))
    rate, batch_size, pad = options.plain_learning_rate, options.plain_batch_size, tokenizer.pad_token_id
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    rows = torch.full((len(texts), options.max_seq_len), pad)
    for row, ids in zip(rows, encode_texts(tokenizer, texts), strict=True):
        ids = torch.tensor([tokenizer.bos_token_id, *ids, tokenizer.eos_token_id])[: options.max_seq_len]
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
            model(input_ids=batch, labels=batch.masked_fill(batch == pad, -100)).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            spent += time.perf_counter() - started
        yield model, spent


def train_ours(options: RecipeOptions, held_out: list[str], tokenizer, folder: Path) -> tuple:
    """(network, seconds) of trainer/train_pretrain.py as users run it, as many steps as fit into the minutes.

    The schedule ends with the last step, so the number of steps is guessed from short runs; a guess that takes longer
    than the minutes is made again.
    """
    from model.weights import load_weights

    (folder / "val.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in held_out[:8]), "utf-8")
    flags = {name: getattr(options, name) for name in ("data_path", "tokenizer", *SAME, "max_seq_len", "seed")}
    flags |= {"val_path": folder / "val.jsonl", "out_dir": folder, "epochs": 1000, "eval_interval": 10**9}
    flags |= {"save_interval": 10**9} | dict(setting.split("=", 1) for setting in options.ours)

    def train(steps: int) -> float:
        words = [str(word) for name, value in (flags | {"max_steps": steps}).items() for word in (f"--{name}", value)]
        command = [sys.executable, ROOT / "trainer" / "train_pretrain.py", *words]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise ValueError(f"trainer/train_pretrain.py: {done.stderr.strip().splitlines()[-1]}")
        lines = (folder / "metrics" / f"pretrain_{options.hidden_size}.jsonl").read_text("utf-8").splitlines()
        return max(json.loads(line)["seconds"] for line in lines)

    wanted, spent = 60 * options.minutes, math.inf
    steps = max(1, round(50 * wanted / (train(60) - train(10))))  # the first steps take longer
    while spent > wanted and steps > 0:
        spent = train(steps)
        steps = int(0.98 * steps * wanted / spent)
    model, _ = load_weights(folder / f"pretrain_{options.hidden_size}.pth", tokenizer)
    return model.float(), spent


if __name__ == "__main__":
    run(main)
