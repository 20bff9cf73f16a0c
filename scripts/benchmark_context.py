"""Measure a context that is longer than in training: what is lost, what YaRN saves, and what a little training adds.

    python scripts/benchmark_context.py                                # the newest pretrained weight, the sample's text
    python scripts/benchmark_context.py --weight out/pretrain_512.pth --data_path book.jsonl --factor 4
    python scripts/benchmark_context.py --write                         # with the tables in MEASURED.md

Rows of text are joined from documents of the last tenth of the file. Facts stand between them ("Box QX holds 47."), and
are asked for later ("Box QX holds"): whether the network finds them again is the retrieval. A pretrained network has
never been asked for anything, so it first learns to, on rows of the trained length (from the other nine tenths). Then
the same weights are measured in rows of up to `factor` times that length: as they are, with YaRN, and with YaRN after
a few steps on rows of the new length. The weight's file is not changed.
"""

import copy
import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

from scripts.measuring.measured import write_section  # noqa: E402
from scripts.reports.plots import COLORS, DPI, output_path, picture_style  # noqa: E402
from scripts.reports.tables import format_table, markdown_table  # noqa: E402
from trainer.command_line import flag, parse_options, require, run  # noqa: E402
from trainer.options import WeightOptions  # noqa: E402

DEPTHS = (0.1, 0.3, 0.5, 0.7, 0.9)  # where a fact stands: 0 is the beginning of the row, 1 its end
TOKENS_PER_FACT = 42  # of a row in training: facts are frequent, so that they are soon learned


@dataclass
class ContextOptions(WeightOptions):
    model_mode: int = flag(0, "newest weight of: 0 pretrain, 1 SFT, 2 DPO, 3 reasoning", choices=[0, 1, 2, 3])
    data_path: str = flag(str(ROOT / "dataset" / "sample" / "pretrain.jsonl"), 'text, as {"text": …} lines')
    factor: int = flag(8, "the longest rows, in multiples of the trained length", least=2)
    steps: int = flag(600, "training steps on rows of the trained length", least=1)
    tuning_steps: int = flag(150, "training steps with YaRN on the longest rows", least=1)
    rows: int = flag(24, "rows for each figure", least=4)
    learning_rate: float = flag(2e-3, "peak learning rate", above=0)
    output: str = flag(str(ROOT / "out" / "context.png"), "the picture to write: .png, .jpg, .svg or .pdf")
    write: bool = flag(False, "write the tables into MEASURED.md")


class Rows:
    """Rows of tokens, drawn by a seed. `documents` are token ids, each between its marks."""

    def __init__(self, documents: list[list[int]], tokenizer, seed: int):
        import numpy as np

        self.documents, self.tokenizer, self.rng = documents, tokenizer, np.random.default_rng(seed)

    def fact(self) -> tuple[list[int], list[int], list[int]]:
        """Token ids of a fact as a document, of the question for it, and of the answer."""
        from dataset.chat import encode_texts

        letters, (first, second) = "ABCDEFGHJKLMNPQRSTUVWXYZ", self.rng.integers(0, 24, 2)
        texts = f"Box {letters[first]}{letters[second]} holds", f" {self.rng.integers(10, 100)}."
        asked, answer = encode_texts(self.tokenizer, texts)
        bos, eos = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id
        return [bos, *asked, *answer, eos], [bos, *asked], answer

    def text(self, length: int) -> list[int]:
        ids = []
        while len(ids) < length:
            ids += self.documents[self.rng.integers(len(self.documents))]
        return ids[:length]

    def asked(self, length: int, depth: float) -> tuple[list[int], list[int]]:
        """(a row that ends with a question about its one fact at `depth`, the answer): `length` tokens together."""
        fact, question, answer = self.fact()
        ids = self.text(length - len(fact) - len(question) - len(answer))
        place = round(depth * len(ids))
        return ids[:place] + fact + ids[place:] + question, answer

    def learned(self, length: int) -> list[int]:
        """A row of text in which facts are asked for again later."""
        facts = [self.fact() for _ in range(length // TOKENS_PER_FACT)]
        n_text = length - sum(len(fact) + len(question) + len(answer) + 1 for fact, question, answer in facts)
        parts = [(place, 0, [token]) for place, token in enumerate(self.text(n_text))]
        for fact, question, answer in facts:
            first, second = sorted(self.rng.uniform(0, n_text, 2))
            parts += [(first, 1, fact), (second, 2, [*question, *answer, self.tokenizer.eos_token_id])]
        return [token for _, _, ids in sorted(parts) for token in ids]


def teach(model, rows: Rows, length: int, steps: int, lr: float, tokens_per_step: int = 4096) -> None:
    """Train the model on all tokens of rows of `length` tokens."""
    import torch
    from tqdm import trange

    from trainer.optim import get_lr, make_optimizer

    model.train()
    optimizer = make_optimizer(model, "muon", 0.1, model.device.type)
    for step in trange(steps, desc=f"training on rows of {length}", leave=False):
        ids = [rows.learned(length) for _ in range(max(1, tokens_per_step // length))]
        batch = torch.tensor(ids, device=model.device)
        loss = model(input_ids=batch, labels=batch).loss
        optimizer.set_lr(get_lr(step, steps, lr, steps // 20))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.eval()


def measure(model, tokenizer, documents: list[list[int]], lengths: list[int], n_rows: int) -> dict:
    """Bits per byte of text within each of `lengths` and the one before, and the share of facts that are found, by
    length and depth. Every model meets the same rows."""
    import torch
    import torch.nn.functional as F

    rows, n_bytes = Rows(documents, tokenizer, seed=1), [0] * len(lengths)
    bits, found = [0.0] * len(lengths), []
    with torch.inference_mode():
        for _ in range(n_rows):
            ids = torch.tensor([rows.text(lengths[-1])], device=model.device)
            losses = F.cross_entropy(model(input_ids=ids).logits[0, :-1].float(), ids[0, 1:], reduction="none")
            for i, (begin, end) in enumerate(zip([0, *lengths], lengths, strict=False)):
                bits[i] += float(losses[begin : end - 1].sum()) / math.log(2)
                n_bytes[i] += len(tokenizer.decode(ids[0, begin + 1 : end], skip_special_tokens=True).encode())
        for length in lengths:
            found.append([])
            for depth in DEPTHS:
                asked = [rows.asked(length, depth) for _ in range(n_rows)]
                found[-1].append(sum(goes_on_with(model, *pair) for pair in asked) / n_rows)
    return {"bits_per_byte": [bit / n for bit, n in zip(bits, n_bytes, strict=True)], "found": found}


def goes_on_with(model, prompt: list[int], answer: list[int]) -> bool:
    """Whether each token of the answer is the likeliest, the earlier ones given."""
    import torch

    ids = torch.tensor([prompt + answer], device=model.device)
    return model(input_ids=ids, logits_to_keep=len(answer) + 1).logits[0, :-1].argmax(-1).tolist() == answer


def tables(figures: dict[str, dict], lengths: list[int], table: Callable) -> str:
    heads = ["", *(f"to {length:,}" for length in lengths)]
    bits = [[name, *(f"{value:.3f}" for value in figure["bits_per_byte"])] for name, figure in figures.items()]
    found = [[name, *(f"{sum(row) / len(row):.0%}" for row in figure["found"])] for name, figure in figures.items()]
    parts = ("Bits per byte of the text between one length and the next:", table(heads, bits),
             "Facts found again, at all depths, in rows of that length:", table(heads, found))  # fmt: skip
    return "\n\n".join(parts)


def draw(figures: dict[str, dict], lengths: list[int], trained: int, output: Path) -> None:
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    with picture_style():
        figure = Figure((5.2 + 2.9 * len(figures), 3.9), layout="constrained")
        line, *maps = figure.subplots(1, 1 + len(figures), width_ratios=[1.7] + [1] * len(figures))
        for (name, measured), color in zip(figures.items(), COLORS, strict=False):
            line.plot(lengths, measured["bits_per_byte"], "o-", color=color, label=name)
        line.axvline(trained, color="#9ca3af", linestyle=":")
        line.set(title="text", xlabel="position (tokens)", ylabel="bits per byte", ylim=(0, None))
        line.legend()
        for axis, (name, measured) in zip(maps, figures.items(), strict=True):
            grid = list(zip(*measured["found"], strict=True))  # a line for each depth
            image = axis.imshow(grid, aspect="auto", vmin=0, vmax=1, cmap="Blues")
            axis.set(title=f"facts found: {name}", xlabel="length (tokens)", ylabel="depth of the fact")
            axis.set_xticks(range(len(lengths)), [f"{length:,}" for length in lengths], rotation=45)
            axis.set_yticks(range(len(DEPTHS)), [f"{depth:.0%}" for depth in DEPTHS])
            axis.grid(False)
        figure.colorbar(image, ax=maps, format=PercentFormatter(1), shrink=0.8)
        figure.savefig(output, dpi=DPI)


def main() -> None:
    options = parse_options(ContextOptions, "Measure contexts that are longer than in training.")
    output = output_path(options.output)
    require(options.rope_scaling is None, "--rope_scaling: this script sets it itself, leave it out")

    from dataset.lm_dataset import PretrainDataset
    from model.model_minimind import LENGTH

    model, tokenizer, title, _, trained = options.load_model()
    trained = options.max_seq_len or trained
    known = f"the trained length is {trained} tokens" if trained else "its file does not say the trained length"
    require(trained >= 128, f"{title}: {known}: pass one from 128 on as --max_seq_len")
    data = PretrainDataset(options.data_path, tokenizer, trained, cache_dir=Path(options.out_dir).absolute() / "cache")
    documents = [data.document(i).tolist() for i in range(len(data.kept))]
    n_held_out = max(1, len(documents) // 10)
    lengths = [trained * n for n in (1, 2, 4, 8, 16, 32, 64) if n < options.factor] + [trained * options.factor]
    print(f"{title}, trained on {trained} tokens; lengths up to {lengths[-1]:,}", flush=True)

    teach(model, Rows(documents[:-n_held_out], tokenizer, 0), trained, options.steps, options.learning_rate)
    model.config.max_position_embeddings = max(model.config.max_position_embeddings, lengths[-1])
    model.model.freqs_cos, model.model.freqs_sin = model.model.rotary_tables()
    figures = {}
    stretched = copy.deepcopy(model)
    stretched.stretch({"rope_type": "yarn", "factor": float(options.factor), LENGTH: trained})
    tuned = copy.deepcopy(stretched)
    for name, network in (("as trained", model), ("YaRN", stretched), ("YaRN, tuned", tuned)):
        if network is tuned:
            rows = Rows(documents[:-n_held_out], tokenizer, 2)
            teach(tuned, rows, lengths[-1], options.tuning_steps, options.learning_rate / 2, 4 * lengths[-1])
        figures[name] = measure(network, tokenizer, documents[-n_held_out:], lengths, options.rows)
        print(json.dumps({"network": name, "lengths": lengths} | figures[name]), flush=True)
    draw(figures, lengths, trained, output)
    print(f"\n{tables(figures, lengths, format_table)}\n\n{output}")
    if options.write:
        write_section("Long context", tables(figures, lengths, markdown_table))


if __name__ == "__main__":
    run(main)
