"""The tables from which the miniature world is built: one JSONL file each, in the folder `tables` beside this file."""

import json
from pathlib import Path

TABLES = Path(__file__).resolve().parent / "tables"


def read(name: str) -> list[dict]:
    """The rows of `tables/{name}.jsonl`."""
    with open(TABLES / f"{name}.jsonl", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
