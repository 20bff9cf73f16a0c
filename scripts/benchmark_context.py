"""Measure a context that is longer than in training: what is lost, what YaRN saves, and what a little training adds.

    python scripts/benchmark_context.py                                # the newest pretrained weight, the sample's text
    python scripts/benchmark_context.py --write                         # with the tables in MEASURED.md

Rows of text are joined from documents, and facts stand between them ("Box QX holds 47."), to be asked for later ("Box
QX holds"). A pretrained network has never been asked for anything, so it first learns to, on rows of the trained length
from nine tenths of the file. Then the same weights are measured on the last tenth, in rows of up to `factor` times that
length: as they are, with YaRN, and with YaRN after a few steps on the longest rows. The weight's file is not changed.
"""

import copy
import math
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from scripts.measuring.measured import write_section  # noqa: E402
from scripts.reports.plots import COLORS, DPI, output_path, picture_style  # noqa: E402
from scripts.reports.tables import markdown_table  # noqa: E402
from trainer.command_line import ROOT, flag, parse_options, require, run  # noqa: E402
from trainer.options import WeightOptions  # noqa: E402

DEPTHS = (0.1, 0.3, 0.5, 0.7, 0.9)  # where a fact stands: 0 is the beginning of the row, 1 its end
LETTERS = list("ABCDEFGHJKLMNPQRSTUVWXYZ")


@dataclass
class ContextOptions(WeightOptions):
    model_mode: int = flag(0, "newest weight of: 0 pretrain, 1 SFT, 2 DPO, 3 reasoning", choices=[0, 1, 2, 3])
    data_path: str = flag(str(ROOT / "dataset" / "sample" / "pretrain.jsonl"), 'text, as {"text": …} lines')
    factor: int = flag(8, "the longest rows, in multiples of the trained length", least=2)
    steps: int = flag(600, "training steps on rows of the trained length", least=1)
    tuning_steps: int = flag(150, "training steps with YaRN on the longest rows", least=1)
    rows: int = flag(24, "rows for each figure", least=4)
    output: str = flag(str(ROOT / "out" / "context.png"), "the picture to write: .png, .jpg, .svg or .pdf")
    write: bool = flag(False, "write the tables into MEASURED.md")


class Rows:
    """Rows of tokens, drawn by a seed. `documents` are token ids, each between its marks."""

    def __init__(self, documents: list[list[int]], tokenizer, seed: int):
        import numpy as np

        self.documents, self.tokenizer, self.rng = documents, tokenizer, np.random.default_rng(seed)

    def fact(self) -> tuple[list[int], int]:
        """A fact as a document, and how many tokens before its end mark are the answer."""
        texts = [f"Box {''.join(self.rng.choice(LETTERS, 2))} holds", f" {self.rng.integers(10, 100)}."]
        asked, answer = self.tokenizer(texts, add_special_tokens=False).input_ids
        return [self.tokenizer.bos_token_id, *asked, *answer, self.tokenizer.eos_token_id], len(answer)

    def text(self, length: int) -> list[int]:
        ids = []
        while len(ids) < length:
            ids += self.documents[self.rng.integers(len(self.documents))]
        return ids[:length]

    def asked(self, length: int, depth: float) -> tuple[list[int], int]:
        """A row with one fact at `depth` that ends with the question and its answer, which has so many tokens."""
        fact, n_answer = self.fact()
        ids = self.text(length - 2 * len(fact) + 1)
        place = round(depth * len(ids))
        return ids[:place] + fact + ids[place:] + fact[:-1], n_answer

    def learned(self, length: int) -> list[int]:
        """A row of text in which every fact comes twice: to be learned, and to be found again."""
        facts = [self.fact()[0] for _ in range(length // 42)]  # frequent, so that they are soon learned
        ids = self.text(length - 2 * sum(map(len, facts)))
        parts = [(place, 0, [token]) for place, token in enumerate(ids)]
        parts += [(place, 1, fact) for fact in facts for place in self.rng.uniform(0, len(ids), 2)]
        return [token for _, _, part in sorted(parts) for token in part]


def teach(model, rows: Rows, length: int, steps: int, lr: float) -> None:
    import torch
    from tqdm import trange

    from trainer.optim import get_lr, make_optimizer

    optimizer = make_optimizer(model.train(), "muon", 0.1, model.device.type)
    for step in trange(steps, desc=f"training on rows of {length}", leave=False):
        batch = torch.tensor([rows.learned(length) for _ in range(max(4, 4096 // length))], device=model.device)
        optimizer.set_lr(get_lr(step, steps, lr, steps // 20))
        model(input_ids=batch, labels=batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    model.eval()


def measure(model, rows: Rows, lengths: list[int], n_rows: int) -> tuple[list[float], list[list[float]]]:
    """(bits per byte of text within each of `lengths` and the one before, and the share of facts that are found, by
    length and depth), each token of the answer being the likeliest, the earlier ones given."""
    import torch

    def found(ids: list[int], n_answer: int) -> bool:
        logits = model(torch.tensor([ids], device=model.device), logits_to_keep=n_answer + 1).logits
        return logits[0, :-1].argmax(-1).tolist() == ids[-n_answer:]

    bits, n_bytes, shares = [0.0] * len(lengths), [0] * len(lengths), []
    with torch.inference_mode():
        for _ in range(n_rows):
            ids = torch.tensor([rows.text(lengths[-1])], device=model.device)
            losses = torch.nn.functional.cross_entropy(model(ids).logits[0, :-1].float(), ids[0, 1:], reduction="none")
            for i, (begin, end) in enumerate(zip([0, *lengths], lengths, strict=False)):
                bits[i] += float(losses[begin : end - 1].sum()) / math.log(2)
                n_bytes[i] += len(rows.tokenizer.decode(ids[0, begin + 1 : end], skip_special_tokens=True).encode())
        for length in lengths:
            asked = [[rows.asked(length, depth) for _ in range(n_rows)] for depth in DEPTHS]
            shares.append([sum(found(*row) for row in of_depth) / n_rows for of_depth in asked])
    return [bit / n for bit, n in zip(bits, n_bytes, strict=True)], shares


def table(figures: dict[str, tuple], lengths: list[int]) -> str:
    """Bits per byte of the text between one length and the next; facts found again, at all depths, in such rows."""
    text = [[f"bits per byte, {name}", *(f"{x:.3f}" for x in bits)] for name, (bits, _) in figures.items()]
    facts = [[f"facts found, {name}", *(f"{sum(x) / len(x):.0%}" for x in each)] for name, (_, each) in figures.items()]
    return markdown_table(["", *(f"to {length:,}" for length in lengths)], text + facts)


def draw(figures: dict[str, tuple], lengths: list[int], output: Path) -> None:
    from matplotlib.figure import Figure

    with picture_style():
        figure = Figure((5.2 + 2.9 * len(figures), 3.9), layout="constrained")
        line, *maps = figure.subplots(1, 1 + len(figures), width_ratios=[1.7] + [1] * len(figures))
        for axis, color, (name, (bits, found)) in zip(maps, COLORS, figures.items(), strict=False):
            line.plot(lengths, bits, "o-", color=color, label=name)
            by_depth = list(zip(*found, strict=True))
            image = axis.imshow(by_depth, aspect="auto", vmin=0, vmax=1, cmap="Blues")
            axis.set(title=f"facts found: {name}", xlabel="length (tokens)", ylabel="depth of the fact")
            axis.set_xticks(range(len(lengths)), [f"{length:,}" for length in lengths], rotation=45)
            axis.set_yticks(range(len(DEPTHS)), [f"{depth:.0%}" for depth in DEPTHS])
            axis.grid(False)
        line.set(title="text", xlabel="position (tokens)", ylabel="bits per byte", ylim=(0, None))
        line.legend()
        figure.colorbar(image, ax=maps, format="{x:.0%}", shrink=0.8)
        figure.savefig(output, dpi=DPI)


def main() -> None:
    options = parse_options(ContextOptions, "Measure contexts that are longer than in training.")
    output = output_path(options.output)
    require(options.rope_scaling is None, "--rope_scaling: this script sets it itself, leave it out")

    from dataset.lm_dataset import PretrainDataset
    from model.model_minimind import LENGTH

    model, tokenizer, title, _, trained = options.load_model()
    trained = options.max_seq_len or trained
    require(trained >= 128, f"{title}: trained length {trained or 'unknown'}: pass one from 128 on as --max_seq_len")
    data = PretrainDataset(options.data_path, tokenizer, trained, cache_dir=Path(options.out_dir).absolute() / "cache")
    documents = [data.document(i).tolist() for i in range(len(data.kept))]
    split = len(documents) - max(1, len(documents) // 10)
    lengths = [trained * n for n in (1, 2, 4, 8, 16, 32, 64) if n < options.factor] + [trained * options.factor]

    teach(model, Rows(documents[:split], tokenizer, seed=0), trained, options.steps, lr=2e-3)
    stretched, figures = copy.deepcopy(model), {}
    stretched.stretch({"rope_type": "yarn", "factor": float(options.factor), LENGTH: trained})
    tuned = copy.deepcopy(stretched)
    teach(tuned, Rows(documents[:split], tokenizer, seed=2), lengths[-1], options.tuning_steps, lr=1e-3)
    for name, network in (("as trained", model), ("YaRN", stretched), ("YaRN, tuned", tuned)):
        figures[name] = measure(network, Rows(documents[split:], tokenizer, seed=1), lengths, options.rows)
    draw(figures, lengths, output)
    print(f"{title}\n\n{table(figures, lengths)}\n\n{output}")
    if options.write:
        write_section("Long context", table(figures, lengths))


if __name__ == "__main__":
    run(main)
