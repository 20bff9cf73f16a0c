"""MEASURED.md: what the measuring scripts found, each in a section that it alone writes (--write)."""

import os
import re
import shlex
import sys
import time
from pathlib import Path

from model.files import write_atomically
from trainer.command_line import ROOT


def machine() -> str:  # that figures are taken on
    import torch
    import transformers

    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    cpu = (re.findall(r"model name\s*: (.*)", info) or [os.uname().machine])[0]
    gpu = f", gpu {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    return f"machine {cpu}, cores {os.cpu_count()}, threads {torch.get_num_threads()}{gpu}, {versions}"


def write_section(heading: str, body: str, path: Path = ROOT / "MEASURED.md") -> None:
    """Put the section `heading` with this Markdown into MEASURED.md, in the place of an earlier one, and say so."""
    opening, *parts = (path.read_text("utf-8") if path.exists() else "# Measured\n").split("\n## ")
    sections = dict(part.partition("\n")[::2] for part in parts)
    command = shlex.join(["python", os.path.relpath(sys.argv[0], ROOT), *sys.argv[1:]])
    taken_on = f"Taken on: {machine()}, {time.strftime('%Y-%m-%d')}."
    sections[heading] = f"```bash\n{command}\n```\n\n{taken_on}\n\n{body}"
    text = "\n".join([opening, *(f"## {name}\n\n{section.strip()}\n" for name, section in sections.items())])
    write_atomically(path, lambda temporary: temporary.write_text(text, "utf-8"))
    print(f'written to {path}, section "{heading}"')
