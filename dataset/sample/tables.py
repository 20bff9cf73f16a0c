"""The tables from which the miniature world is built: one JSONL file each, in the folder `tables` beside this file."""

import json
from pathlib import Path

TABLES = Path(__file__).resolve().parent / "tables"


def read(name: str) -> list[dict]:
    """The rows of `tables/{name}.jsonl`. Raises ValueError with the line that is no JSON."""
    rows = []
    with open(TABLES / f"{name}.jsonl", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise ValueError(f"tables/{name}.jsonl, line {number}: {error}") from error
    return rows


def named(name: str, key: str) -> dict[str, dict]:
    """The rows of a table by what stands under `key`."""
    return {row[key]: row for row in read(name)}


def phrases(module: str) -> dict[str, dict]:
    """The lists of phrases.jsonl that belong to one module: {"openers": {"zh": [...], "en": [...]}, ...}."""
    return {row["name"]: row for row in read("phrases") if row["module"] == module}
