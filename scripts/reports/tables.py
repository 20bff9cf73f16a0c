"""Tables for a terminal, aligned where Chinese stands in them too, and for Markdown; and how figures look in them."""

import unicodedata
from collections.abc import Sequence


def cells(text: str) -> int:
    """Columns that `text` takes on a terminal: a Chinese character takes two, a combining mark none."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """One line per row, columns two spaces apart; the first `left` of them lean left, the others right."""
    widths = [max(cells(row[i]) for row in (header, *rows)) for i in range(len(header))]
    rule = ["─" * width for width in widths]
    lines = []
    for row in (header, rule, *rows):
        padding = [" " * (width - cells(cell)) for width, cell in zip(widths, row, strict=True)]
        parts = [cell + pad if i < left else pad + cell for i, (cell, pad) in enumerate(zip(row, padding, strict=True))]
        lines.append("  ".join(parts).rstrip())
    return "\n".join(lines)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """The same as Markdown; a bar in a cell stays a bar."""
    rule = ["---" if i < left else "--:" for i in range(len(header))]
    return "\n".join("| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in (header, rule, *rows))


def percent(score: float) -> str:
    return f"{score:.1f} %"
