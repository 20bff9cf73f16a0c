"""Figures of benchmarks: the file that collects them, tables, weights side by side, and a picture of it."""

import json
import math
from collections.abc import Iterable
from pathlib import Path

from scripts.reports.tables import format_table

KEYS = ("name", "task", "setting", "metric", "value", "stderr", "chance", "n", "group")
ROW = ["task", "setting", "metric"]  # what weights are compared on

# ---------------------------------------------------------------- the file


def append_results(path: Path, records: Iterable[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        file.write("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))


def read_results(path: Path):
    """All figures so far as a pandas frame, of each weight, task, setting and metric the newest."""
    import pandas

    from dataset.jsonl import bad_line, parse_line, read_lines

    newest: dict[tuple, dict] = {}
    for offset, line in read_lines(path, 0, path.stat().st_size) if path.is_file() else ():
        try:
            record = parse_line(line)
            same = tuple(record[key] for key in ("name", "task", "setting", "metric"))
            if not all(isinstance(part, str) for part in same) or not isinstance(record["group"], str | None):
                raise TypeError
            numbers = {key: None if record[key] is None else float(record[key]) for key in ("stderr", "chance")}
            numbers |= {"value": float(record["value"]), "n": int(record["n"])}
            newest[same] = {key: record[key] for key in KEYS} | numbers
        except (ValueError, KeyError, TypeError, OverflowError):
            raise bad_line(path, offset, "this is no figure of a benchmark", "delete the line") from None
    return pandas.DataFrame(newest.values(), columns=KEYS)


# ---------------------------------------------------------------- tables


def figure(value: float, stderr: float = math.nan) -> str:
    """With four decimals, as lm_eval's own table has them; what is not known, None or NaN, is left out."""
    known = [f"{number:.4f}" for number in (value, stderr) if number is not None and not math.isnan(number)]
    return " ± ".join(known)


def print_comparison(frame) -> None:
    """Weights side by side, tasks of one setting below one another; the subjects of a group are left out."""
    frame = frame[frame["group"].isna()].copy()
    names = list(dict.fromkeys(frame["name"]))
    frame["shown"] = [figure(r.value, r.stderr) for r in frame.itertuples()]
    key = ["task", "setting", "metric", "n"]
    table = frame.pivot_table(index=key, columns="name", values="shown", aggfunc="last", sort=False)[names].fillna("")
    chances = frame.groupby(key, sort=False)["chance"].first()
    rows = [
        [", ".join(filter(None, (task, setting))), metric, f"{n:,}", figure(chances[task, setting, metric, n]), *row]
        for (task, setting, metric, n), row in zip(table.index, table.to_numpy(), strict=True)
    ]
    print(format_table(["task", "metric", "n", "chance", *names], rows, left=2))


# ---------------------------------------------------------------- the picture


def draw_comparison(frame, output: Path) -> None:
    """Bars of every weight for each task and metric, with standard errors, and the chance level as a line; what is
    better low (bits per byte) in a panel of its own."""
    from matplotlib.figure import Figure

    from scripts.reports.plots import picture_style, save_picture, shown

    frame = frame[frame["group"].isna()]
    names = list(dict.fromkeys(frame["name"]))
    low = frame["metric"].str.contains("bits_per_byte|perplexity")
    panels = [(title, part) for title, part in (("higher is better", frame[~low]), ("lower is better", frame[low]))
              if len(part)]  # fmt: skip
    heights = [part.groupby(ROW).ngroups for _, part in panels]
    style = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False}
    with picture_style(style, map(shown, [*names, *frame["task"]])):
        height = 1.2 + 0.28 * sum(heights) * (len(names) + 1)
        picture = Figure((8, min(height, 400)), layout="constrained")  # taller than 400 inches is no picture
        axes = picture.subplots(len(panels), 1, squeeze=False, height_ratios=heights)
        drawn: dict = {}
        for axis, (title, part) in zip(axes[:, 0], panels, strict=True):
            drawn |= draw_panel(axis, part, names)
            axis.set_xlabel(title)
        picture.legend(drawn.values(), map(shown, drawn), loc="outside upper center", ncols=3)
        save_picture(picture, output)


def draw_panel(axis, part, names: list[str]) -> dict:
    """The bars of one panel; returns what the legend explains, by name."""
    from scripts.reports.plots import COLORS, shown

    drawn: dict = {}
    rows, height = {key: row for row, key in enumerate(part.groupby(ROW, sort=False).groups)}, 0.8 / len(names)
    for i, name in enumerate(names):
        own = part[part["name"] == name]
        if not len(own):
            continue
        places = [rows[key] + (i - (len(names) - 1) / 2) * height for key in zip(*(own[k] for k in ROW), strict=True)]
        drawn[name] = axis.barh(
            places, own["value"], height * 0.9, xerr=own["stderr"].astype(float).fillna(0),
            color=COLORS[i % len(COLORS)], error_kw={"linewidth": 0.8},
        )  # fmt: skip
        axis.bar_label(drawn[name], fmt="%.3f", padding=3, fontsize=7)
    for key, chance in part.groupby(ROW, sort=False)["chance"].first().dropna().items():
        drawn["chance"] = axis.vlines(chance, rows[key] - 0.45, rows[key] + 0.45, "black", "dashed", linewidth=1)
    labels = [f"{shown(task)}{f', {setting}' if setting else ''}\n{metric}" for task, setting, metric in rows]
    axis.set_yticks(range(len(rows)), labels)
    axis.invert_yaxis()
    axis.set_xlim(left=0)
    axis.grid(axis="x", color="#e5e7eb", linewidth=0.8)
    axis.set_axisbelow(True)
    return drawn
