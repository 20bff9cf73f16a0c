"""Curves from the metrics files that training writes, and what every picture of the reports shares.

Training loss is drawn pale as it was measured and dark smoothed, validation loss as points.
"""

import contextlib
import json
import logging
import math
import os
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from model.files import write_atomically
from trainer.command_line import check_out_dir

COLORS = ("#2563a8", "#c8502d", "#2f8a57", "#8450a0", "#b58a1b", "#4b5563")  # told apart by the colour-blind as well
DPI, PANEL_INCHES = 150, (5.6, 4.0)
MOST_RUNS, RUNS_PER_ROW = 60, 4  # in one picture, and side by side
LARGEST = 1e37  # nearly all of float32's range, in which losses are computed
CHINESE_FONTS = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei",
    "PingFang SC", "Hiragino Sans GB", "Heiti TC", "Arial Unicode MS", "Microsoft YaHei", "SimHei",
)  # fmt: skip
FORMATS = (".png", ".jpg", ".svg", ".pdf")


@dataclass
class Curves:
    """One figure of one run, in training and in validation, over tokens or seconds: the loss in nats per token (of DPO:
    per pair), or the reward of reinforcement learning, unless another is asked for."""

    title: str
    train: list[tuple[float, float]]
    validation: list[tuple[float, float]]
    label: str = "loss (nats per token)"


# ---------------------------------------------------------------- reading


def read_curves(path: str | Path, x: str = "tokens", y: str | None = None) -> Curves:
    """The figure `y` of a metrics file, without the line that a killed run left half-written at its end; one that is
    not finite is a gap. ValueError says which line is no record of a run, or that the figure is not in the file."""
    path = Path(path).absolute()
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file: name a metrics file, such as out/metrics/pretrain_512.jsonl")
    curves = Curves(shown(f"lora/{path.stem}" if path.parent.name == "lora" else path.stem), [], [])
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            if "reward_margin" in record:
                curves.label = "loss (nats per pair)"
            name = y or ("reward" if "reward" in record or "val_reward" in record else "loss")
            curves.label = curves.label if name == "loss" else name
            for key, points in ((name, curves.train), *(() if y else [(f"val_{name}", curves.validation)])):
                if key in record:
                    place, loss = float(record[x]), float(record[key])
                    if not 0 <= place < LARGEST:
                        raise ValueError
                    points.append((place, loss if abs(loss) < LARGEST else math.nan))
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            if number == len(lines):  # whole lines end with a newline
                break
            raise ValueError(
                f"{path}:{number}: this is no record of a run: draw a file that training wrote into out/metrics"
            ) from None
    if all(math.isnan(loss) for _, loss in curves.train + curves.validation):
        what = f"there is no {y or 'loss'} in it, or none that is finite"
        raise ValueError(f"{path}: {what}: let the run get to its first figures (--log_interval), or draw another")
    return curves


def smoothed(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Average over a twentieth of the run around each point, narrower towards both ends, so that it never lags; of a
    long run, around a thousand of its points."""
    n, means = len(points), []
    for i in sorted({*range(0, n, max(1, n // 1000)), n - 1}):
        reach = min(n // 40, i, n - 1 - i)
        near = [loss for _, loss in points[i - reach : i + reach + 1] if math.isfinite(loss)]
        means.append((points[i][0], sum(near) / len(near) if near else math.nan))
    return means


# ---------------------------------------------------------------- drawing


def output_path(output: str | Path) -> Path:
    """Where a picture goes: `loss.png` in a folder, a name without a suffix gets .png. ValueError for other formats."""
    path = Path(output).absolute()
    if path.is_dir() or str(output).endswith("/"):
        path /= "loss.png"
    if not path.suffix:
        path = path.with_name(f"{path.name}.png")
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"{path}: a picture is one of {', '.join(FORMATS)}: give it one of these suffixes")
    return path


def shown(text: str) -> str:
    """A name that the user chose, to stand in a picture: in one line, and its middle left out when it is long."""
    text = "".join(c if c.isprintable() else " " if c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return text if len(text) <= 40 else f"{text[:24]}…{text[-15:]}"


@contextlib.contextmanager
def picture_style() -> Iterator[None]:
    """Within it figures are made and saved in which the user's names are drawn as they are: `$` and `_` are no
    mathematics, and Chinese has a font where this machine has one. Where not, one line says so."""
    from matplotlib import style as styles
    from matplotlib.font_manager import findSystemFonts, fontManager

    for path in set(findSystemFonts()) - {entry.fname for entry in fontManager.ttflist}:  # newer than its first start
        with contextlib.suppress(Exception):  # a font that cannot be read is none
            fontManager.addfont(path)
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # a font without a bold face is good enough
    installed = {entry.name for entry in fontManager.ttflist}
    style = {
        "font.size": 10, "axes.titlesize": 11, "axes.titleweight": "bold", "axes.titlelocation": "left",
        "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#9ca3af", "axes.labelcolor": "#374151",
        "xtick.color": "#6b7280", "ytick.color": "#6b7280", "legend.frameon": False, "text.parse_math": False,
        "axes.grid": True, "grid.color": "#e5e7eb", "axes.axisbelow": True,
        "font.family": ["DejaVu Sans", *(name for name in CHINESE_FONTS if name in installed)],
    }  # fmt: skip
    with styles.context(["default", style]), warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", "Glyph .* missing")
        yield
    missing = (re.match(r"Glyph (\d+) .* missing", str(warning.message)) for warning in caught)
    if lacking := "".join(dict.fromkeys(chr(int(match[1])) for match in missing if match)):
        print(f"note: no font here has {lacking}: boxes stand in their place until one is installed (for Chinese, "
              "fonts-noto-cjk of Debian and Ubuntu)", file=sys.stderr)  # fmt: skip


def draw_losses(
    paths: Sequence[str | Path], output: str | Path, x: str = "tokens", overlay: bool = False, titles: Sequence = (),
    ys: Sequence[str] = (),
) -> Path:  # fmt: skip
    """Draw the metrics files at `paths` into the picture `output`, and return its path.

    `titles`, if given, stand in for those that follow from the files' names; `ys` are the figures to draw of each file.
    Raises ValueError for a file that cannot be drawn or a picture's format that is not known.
    """
    output = output_path(output)
    if len(paths) * max(1, len(ys)) > MOST_RUNS:
        raise ValueError(f"{len(paths)} runs are too many for one picture: name up to {MOST_RUNS} files")
    runs = [read_curves(path, x, y) for path in paths for y in ys or [None]]
    for curves, title in zip(runs, titles, strict=bool(titles)):
        curves.title = title
    if len(ys) > 1:
        for curves in runs:
            curves.title, curves.label = f"{curves.title}: {curves.label}", "" if overlay else curves.label
    from matplotlib.figure import Figure

    n_panels = 1 if overlay else len(runs)
    columns = min(n_panels, RUNS_PER_ROW)
    width = PANEL_INCHES[0] * columns if n_panels > 1 else PANEL_INCHES[0] * 1.3
    with picture_style():
        rows = -(-n_panels // columns)
        figure = Figure((width, PANEL_INCHES[1] * rows), layout="constrained")
        axes = list(figure.subplots(rows, columns, squeeze=False).flat)
        drawn = [draw_run(axes[0 if overlay else i], run, COLORS[i % len(COLORS)]) for i, run in enumerate(runs)]
        if overlay:
            entries = [(run[0][0], curves.title) for run, curves in zip(drawn, runs, strict=True)]
            finish(axes[0], x, runs[0].label, entries, None if ys else "line: training, points: validation")
        else:
            for axis, entries, curves in zip(axes, drawn, runs, strict=False):
                finish(axis, x, curves.label, entries, None)
                axis.set_title(curves.title)
        for axis in axes[n_panels:]:
            axis.remove()
        path = Path(os.path.realpath(output))  # a link stays one
        check_out_dir(path.parent, "place for the picture")
        write_atomically(path, lambda temporary: figure.savefig(temporary, dpi=DPI, format=output.suffix[1:].lower()))
    return output


def draw_run(axis, curves: Curves, color: str) -> list[tuple]:
    """The three curves of one run, and its last validation loss as a number. Returns (curve, text) for the legend."""
    from matplotlib.patheffects import withStroke

    entries = []
    if curves.train:
        axis.plot(*zip(*curves.train, strict=True), color=color, alpha=0.35, linewidth=0.8)
        entries += [(*axis.plot(*zip(*smoothed(curves.train), strict=True), color=color, linewidth=1.8), "training")]
    if curves.validation:
        style = {"markersize": 5.5, "markeredgecolor": "white", "zorder": 3, "clip_on": False}
        entries += [(*axis.plot(*zip(*curves.validation, strict=True), "o", color=color, **style), "validation")]
        place, loss = curves.validation[-1]
        if math.isfinite(loss):
            axis.annotate(
                f"{loss:.3g}", (place, loss), xytext=(0, 8), textcoords="offset points", ha="center",
                color=color, fontweight="bold", path_effects=[withStroke(linewidth=3, foreground="white")],
            )  # fmt: skip
    return entries


def finish(axis, x: str, label: str, entries: Sequence[tuple], legend_title: str | None) -> None:
    """Labels with units, ticks a person can read, and the legend."""
    from matplotlib.ticker import EngFormatter

    axis.xaxis.set_major_formatter(EngFormatter())  # 2 k, 5 M
    axis.set(xlabel="tokens" if x == "tokens" else "seconds of training", ylabel=label)
    axis.set_xlim(left=0)
    if not any(loss < 0 for line in axis.lines for loss in line.get_ydata()):
        axis.set_ylim(bottom=0)
    # Named one by one: of its own accord matplotlib leaves out what begins with "_".
    size = min(10, 160 / len(entries))
    place = {"reward": "lower right", "loss (nats per token)": "upper right"}.get(label, "best")  # where no curve ends
    legend = axis.legend(*zip(*entries, strict=True), title=legend_title, loc=place, fontsize=size)
    legend.set_in_layout(False)  # long names are no reason for a narrow panel
