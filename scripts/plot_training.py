"""Draw how runs learned, from the metrics files that training writes.

    python scripts/plot_training.py                                             # all of out/metrics, oldest first
    python scripts/plot_training.py out/metrics/pretrain_512.jsonl out/metrics/full_sft_512.jsonl
    python scripts/plot_training.py a.jsonl b.jsonl --overlay 1 --x seconds --output out/compare.png

Training loss pale as it was measured and dark smoothed, validation loss as points. Several files make panels side by
side; with --overlay they share one, to compare runs. `draw` is the same thing for other scripts.
"""

import contextlib
import json
import math
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

from trainer.options import flag, parse_options, run  # noqa: E402

STAGES = {
    "pretrain": "Pretraining", "full_sft": "SFT", "rlhf": "DPO", "reason": "Reasoning", "full_dist": "Distillation",
}  # fmt: skip
COLORS = ("#2563a8", "#c8502d", "#2f8a57", "#8450a0", "#b58a1b", "#4b5563")  # told apart by the colour-blind as well
DPI, PANEL_INCHES = 150, (5.6, 4.0)


@dataclass
class PlotOptions:
    output: str = flag(str(ROOT / "out" / "loss.png"), "the picture to write (.png, .svg or .pdf)")
    x: str = flag("tokens", "draw the loss over tokens, or over seconds of training", choices=["tokens", "seconds"])
    overlay: bool = flag(False, "all runs in one panel, rather than side by side")
    metrics_dir: str = flag(str(ROOT / "out" / "metrics"), "folder whose files are drawn when none is named")


@dataclass
class Curves:
    """One run: training and validation loss in nats per token (of DPO: per pair), over tokens or seconds."""

    title: str
    train: list[tuple[float, float]]
    validation: list[tuple[float, float]]
    unit: str = "token"


# ---------------------------------------------------------------- reading


def title_of(path: Path) -> str:
    """`full_sft_512_moe` -> "SFT, hidden size 512, MoE"; any other name as it is."""
    match = re.fullmatch(rf"({'|'.join(STAGES)})_(\d+)(_moe)?", path.stem)
    return f"{STAGES[match[1]]}, hidden size {match[2]}{', MoE' if match[3] else ''}" if match else path.stem


def read_curves(path: str | Path, x: str = "tokens") -> Curves:
    """A metrics file. ValueError says which line is no record of a run, or that there is no loss in the file."""
    path = Path(path).absolute()
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file: name a metrics file, such as out/metrics/pretrain_512.jsonl")
    curves = Curves(title_of(path), [], [])
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        try:
            record = json.loads(line)
            if "reward_margin" in record:
                curves.unit = "pair"
            for key, points in (("loss", curves.train), ("val_loss", curves.validation)):
                if key in record:
                    points.append((float(record[x]), float(record[key])))
        except (ValueError, TypeError, KeyError):
            raise ValueError(
                f"{path}:{number}: this is no record of a run: draw a file that training wrote into out/metrics"
            ) from None
    if not curves.train and not curves.validation:
        raise ValueError(f"{path}: there is no loss in it: let the run get to its first figures (--log_interval)")
    return curves


def smooth(values: Sequence[float]) -> list[float]:
    """Average over a twentieth of the run around each point, narrower towards both ends, so that it never lags."""
    n, smoothed = len(values), []
    for i in range(n):
        reach = min(n // 40, i, n - 1 - i)
        near = [value for value in values[i - reach : i + reach + 1] if math.isfinite(value)]
        smoothed.append(sum(near) / len(near) if near else math.nan)
    return smoothed


# ---------------------------------------------------------------- drawing


def draw(
    paths: Sequence[str | Path], output: str | Path, x: str = "tokens", overlay: bool = False, titles: Sequence = ()
) -> Path:
    """Draw the metrics files at `paths` into the picture `output`, and return its path.

    `titles`, if given, stand in for those that follow from the files' names.
    Raises ValueError for a file that cannot be drawn or a picture's format that is not known.
    """
    runs = [read_curves(path, x) for path in paths]
    for curves, title in zip(runs, titles, strict=bool(titles)):
        curves.title = title
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    output = Path(output).absolute()
    n_panels = 1 if overlay else len(runs)
    width = PANEL_INCHES[0] * n_panels if n_panels > 1 else PANEL_INCHES[0] * 1.3
    style = {
        "font.size": 10, "axes.titlesize": 11, "axes.titleweight": "bold", "axes.titlelocation": "left",
        "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#9ca3af", "axes.labelcolor": "#374151",
        "xtick.color": "#6b7280", "ytick.color": "#6b7280", "legend.frameon": False,
    }  # fmt: skip
    with pyplot.rc_context(style):
        size = (width, PANEL_INCHES[1])
        figure, axes = pyplot.subplots(1, n_panels, figsize=size, squeeze=False, layout="constrained")
        for i, curves in enumerate(runs):
            draw_run(axes[0, 0 if overlay else i], curves, COLORS[i % len(COLORS)], overlay)
        for axis, curves in zip(axes[0], runs, strict=False):
            finish(axis, x, overlay, curves.unit)
        temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")  # no half picture where a disk is full
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(temporary, dpi=DPI, format=output.suffix[1:] or "png")
            os.replace(temporary, output)
        except OSError as error:
            raise OSError(f"{output}: the picture cannot be written ({error.strerror or error})") from error
        finally:
            pyplot.close(figure)
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
    return output


def draw_run(axis, curves: Curves, color: str, overlay: bool) -> None:
    """The three curves of one run, and its last validation loss as a number."""
    from matplotlib.patheffects import withStroke

    if curves.train:
        xs, losses = zip(*curves.train, strict=True)
        axis.plot(xs, losses, color=color, alpha=0.35, linewidth=0.8)
        axis.plot(xs, smooth(losses), color=color, linewidth=1.8, label=curves.title if overlay else "training")
    if curves.validation:
        xs, losses = zip(*curves.validation, strict=True)
        label = None if overlay and curves.train else curves.title if overlay else "validation"
        axis.plot(
            xs, losses, "o", color=color, markersize=5.5, markeredgecolor="white", label=label, zorder=3, clip_on=False
        )
        axis.annotate(
            f"{losses[-1]:.2f}", (xs[-1], losses[-1]), xytext=(0, 8), textcoords="offset points", ha="center",
            color=color, fontweight="bold", path_effects=[withStroke(linewidth=3, foreground="white")],
        )  # fmt: skip
    if not overlay:
        axis.set_title(curves.title)


def finish(axis, x: str, overlay: bool, loss_unit: str = "token") -> None:
    """Labels with units, ticks a person can read, and the grid."""
    from matplotlib.ticker import FuncFormatter

    most = max(line.get_xdata()[-1] for line in axis.lines)
    if x == "tokens":
        words = ((1e9, " (billions)"), (1e6, " (millions)"), (1e3, " (thousands)"), (0, ""))
        scale, word = next((scale, word) for scale, word in words if most >= scale)
        unit = f"tokens{word}"
    else:
        scale, unit = (3600, "hours of training") if most >= 3 * 3600 else (1, "seconds of training")
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / (scale or 1):g}"))
    axis.set_xlabel(unit)
    axis.set_ylabel(f"loss (nats per {loss_unit})")
    axis.set_xlim(left=0)
    axis.set_ylim(bottom=0)
    axis.grid(color="#e5e7eb", linewidth=0.8)
    axis.set_axisbelow(True)
    axis.legend(title="line: training, points: validation" if overlay else None)


# ---------------------------------------------------------------- the command


def split_files(arguments: list[str]) -> tuple[list[str], list[str]]:
    """(files, flags): a word is a file unless it is a flag or stands behind one, whose value it then is."""
    files, flags = [], []
    for before, word in zip(["", *arguments], arguments, strict=False):
        is_value = before.startswith("--") and "=" not in before
        (flags if word.startswith("-") or is_value else files).append(word)
    return files, flags


def main() -> None:
    files, flags = split_files(sys.argv[1:])
    options = parse_options(PlotOptions, "Draw runs: plot_training.py [FILE.jsonl …] [flags]", flags)
    if not files:
        found = sorted(Path(options.metrics_dir).glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
        if not found:
            raise ValueError(f"{options.metrics_dir}: no metrics file (*.jsonl) in it: train first, or name a file")
        files = [str(path) for path in found]
    print(draw(files, options.output, options.x, options.overlay))


if __name__ == "__main__":
    run(main)
