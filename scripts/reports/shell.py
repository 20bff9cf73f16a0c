"""Command lines: how scripts read files among their flags, and how reports print what to type next."""

import shlex
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def split_files(arguments: list[str]) -> tuple[list[str], list[str]]:
    """(files, flags): a word is a file unless it is a flag or stands behind one, whose value it then is."""
    files, flags = [], []
    for before, word in zip(["", *arguments], arguments, strict=False):
        is_value = before.startswith("--") and "=" not in before
        (flags if word.startswith("-") or is_value else files).append(word)
    return files, flags


def typed(path: str | Path) -> str:
    """A path as it is typed in a shell: short where this program was started in the repository's root."""
    path = Path(path).absolute()
    short = str(path.relative_to(ROOT)) if Path.cwd() == ROOT and path.is_relative_to(ROOT) else "-"
    return shlex.quote(str(path) if short.startswith("-") else short)  # what begins with "-" would be a flag


def command(script: str, word: str = "", out_dir: Path = ROOT / "out") -> str:
    """A script of this project as it is typed, or run.sh with a word; with a flag for another `out_dir`."""
    program = "./" if Path.cwd() == ROOT else ""
    if script != "run.sh":
        program = f"{typed(sys.executable)} "
    place = "" if out_dir == ROOT / "out" else f" --out_dir {typed(out_dir)}"
    return f"{program}{typed(ROOT / script)}{f' {word}' if word else ''}{place}"
