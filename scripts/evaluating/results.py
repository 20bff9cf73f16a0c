"""Figures of benchmarks: the file that collects them, tables, weights side by side, and a picture of it."""

import json
from collections.abc import Iterable
from pathlib import Path

from scripts.reports.tables import format_table

KEYS = ("name", "task", "setting", "metric", "value", "stderr", "chance", "n", "group")

# ---------------------------------------------------------------- the file


def append_records(path: Path, records: Iterable[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        file.write("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))


def read_records(path: Path):
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


def figure(value: float, stderr: float | None) -> str:
    """With four decimals, as lm_eval's own table has them."""
    return f"{value:.4f}" + (f" ± {stderr:.4f}" if stderr is not None and stderr == stderr else "")


def print_records(records: list[dict]) -> None:
    rows = [
        [r["task"], r["metric"], f"{r['n']:,}", figure(r["value"], r["stderr"]), number(r["chance"])] for r in records
    ]  # fmt: skip
    print(format_table(["task", "metric", "n", "value ± standard error", "chance"], rows, left=2))


def number(value) -> str:
    return "" if value is None or value != value else f"{value:.4f}"


def print_comparison(frame) -> None:
    """Weights side by side, tasks of one setting below one another; the subjects of a group are left out."""
    frame = frame[frame["group"].isna()].copy()
    names = list(dict.fromkeys(frame["name"]))
    frame["shown"] = [figure(r.value, r.stderr) for r in frame.itertuples()]
    key = ["task", "setting", "metric", "n"]
    table = frame.pivot_table(index=key, columns="name", values="shown", aggfunc="last", sort=False)[names]
    chances = frame.groupby(key, sort=False)["chance"].first()
    rows = [
        [", ".join(filter(None, index[:2])), index[2], f"{index[3]:,}", number(chances[index])]
        + ["" if cell != cell else cell for cell in row]
        for index, row in zip(table.index, table.to_numpy(), strict=True)
    ]
    print(format_table(["task", "metric", "n", "chance", *names], rows, left=2))


# ---------------------------------------------------------------- the picture


def draw(frame, output: Path) -> None:
    """Bars of every weight for each task and metric, with standard errors, and the chance level as a line; what is
    better low (bits per byte) in a panel of its own."""
    from matplotlib.figure import Figure

    from scripts.reports.plots import COLORS, picture_style, save_picture, shown

    frame = frame[frame["group"].isna()]
    names = list(dict.fromkeys(frame["name"]))
    low = frame["metric"].str.contains("bits_per_byte|perplexity")
    panels = [(title, part) for title, part in (("higher is better", frame[~low]), ("lower is better", frame[low]))
              if len(part)]  # fmt: skip
    keys = [list(dict.fromkeys(zip(p["task"], p["setting"], p["metric"], strict=True))) for _, p in panels]
    heights = [len(rows) for rows in keys]
    style = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False}
    with picture_style(style, map(shown, [*names, *frame["task"]])):
        height = 1.2 + 0.28 * sum(heights) * (len(names) + 1)
        figure_ = Figure((8, min(height, 400)), layout="constrained")  # taller than 400 inches is no picture
        axes = figure_.subplots(len(panels), 1, squeeze=False, height_ratios=heights)
        drawn: dict = {}
        for axis, (title, part), rows in zip(axes[:, 0], panels, keys, strict=True):
            drawn |= draw_panel(axis, part, rows, names, COLORS)
            axis.set_xlabel(title)
        figure_.legend(drawn.values(), map(shown, drawn), loc="outside upper center", ncols=3)
        save_picture(figure_, output)


def draw_panel(axis, part, rows: list[tuple], names: list[str], colors) -> dict:
    """The bars of one panel; returns what the legend explains, by name."""
    from scripts.reports.plots import shown

    drawn: dict = {}
    height = 0.8 / len(names)
    for i, name in enumerate(names):
        own = part[part["name"] == name].set_index(["task", "setting", "metric"])
        places = [row for row, key in enumerate(rows) if key in own.index]
        if not places:
            continue
        values = [own.loc[rows[row], "value"] for row in places]
        errors = [own.loc[rows[row], "stderr"] or 0 for row in places]
        heights = [row + (i - (len(names) - 1) / 2) * height for row in places]
        drawn[name] = axis.barh(
            heights, values, height * 0.9, xerr=errors, color=colors[i % len(colors)], error_kw={"linewidth": 0.8}
        )
        axis.bar_label(drawn[name], fmt="%.3f", padding=3, fontsize=7)
    for row, (task, setting, metric) in enumerate(rows):
        same = part[(part["task"] == task) & (part["setting"] == setting) & (part["metric"] == metric)]
        if same["chance"].notna().any():
            place = same["chance"].dropna().iloc[0]
            drawn["chance"] = axis.vlines(place, row - 0.45, row + 0.45, "black", "dashed", linewidth=1)
    labels = [f"{shown(task)}{f', {setting}' if setting else ''}\n{metric}" for task, setting, metric in rows]
    axis.set_yticks(range(len(rows)), labels)
    axis.invert_yaxis()
    axis.set_xlim(left=0)
    axis.grid(axis="x", color="#e5e7eb", linewidth=0.8)
    axis.set_axisbelow(True)
    return drawn
