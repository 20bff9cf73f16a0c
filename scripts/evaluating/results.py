"""Figures of benchmarks: the file that collects them, and weights side by side."""

import json
from collections.abc import Iterable
from pathlib import Path

from dataset.jsonl import bad_line, parse_line, read_lines
from scripts.reports.tables import format_table

ROW = ("task", "setting", "metric")  # what weights are compared on


def append_results(path: Path, records: Iterable[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        file.write("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))


def read_results(path: Path) -> list[dict]:
    """All figures so far, of each weight, task, setting and metric the newest. DataError names a line that is none."""
    newest: dict[tuple, dict] = {}
    for offset, line in read_lines(path, 0, path.stat().st_size) if path.is_file() else ():
        try:
            record = parse_line(line)
            same = tuple(record[key] for key in ("name", *ROW))
            if not all(isinstance(part, str) for part in same) or not isinstance(record["group"], str | None):
                raise TypeError
            numbers = {key: None if record[key] is None else float(record[key]) for key in ("stderr", "chance")}
            newest[same] = record | numbers | {"value": float(record["value"]), "n": int(record["n"])}
        except (ValueError, KeyError, TypeError, OverflowError):
            raise bad_line(path, offset, "this is no figure of a benchmark", "delete the line") from None
    return list(newest.values())


def comparison(records: list[dict]) -> str:
    """Weights side by side, tasks of one setting below one another; the subjects of a group are left out.

    Four decimals, as lm_eval's own table has them.
    """
    cells: dict[tuple, dict[str, str]] = {}
    chances: dict[tuple, str] = {}
    for record in records:
        if record["group"] is None:
            key = (*(record[part] for part in ROW), record["n"])
            error = "" if record["stderr"] is None else f" ± {record['stderr']:.4f}"
            cells.setdefault(key, {})[record["name"]] = f"{record['value']:.4f}{error}"
            chances.setdefault(key, "" if record["chance"] is None else f"{record['chance']:.4f}")
    names = list(dict.fromkeys(name for row in cells.values() for name in row))
    rows = [
        [f"{task}{setting and f', {setting}'}", metric, f"{n:,}", chances[task, setting, metric, n],
         *(row.get(name, "") for name in names)]
        for (task, setting, metric, n), row in cells.items()
    ]  # fmt: skip
    return format_table(["task", "metric", "n", "chance", *names], rows, left=2)
