"""MEASURED.md: what the measuring scripts found, each in a section that it alone writes (--write)."""

import os
import platform
import shlex
import sys
import time
from pathlib import Path

from model.files import write_atomically

ROOT = Path(__file__).resolve().parents[2]


def machine() -> dict:
    """What figures are taken on."""
    import torch
    import transformers

    cpu, info = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if info.exists():
        cpu = next((x.split(":")[1].strip() for x in info.read_text().splitlines() if x.startswith("model name")), cpu)
    gpu = {"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    return {"machine": cpu, "cores": os.cpu_count(), "threads": torch.get_num_threads(), **gpu, **versions}


def write_section(heading: str, body: str, path: Path = ROOT / "MEASURED.md") -> None:
    """Put the section `heading` with this Markdown into MEASURED.md, in the place of an earlier one, and say so."""
    text = path.read_text("utf-8") if path.exists() else "# Measured\n"
    opening, *parts = text.split("\n## ")
    sections = {part.partition("\n")[0]: part.partition("\n")[2] for part in parts}
    script = Path(sys.argv[0]).resolve()
    command = ["python", str(script.relative_to(ROOT)) if script.is_relative_to(ROOT) else script.name, *sys.argv[1:]]
    taken_on = ", ".join([*(f"{key} {value}" for key, value in machine().items()), time.strftime("%Y-%m-%d")])
    sections[heading] = f"```bash\n{shlex.join(command)}\n```\n\nTaken on: {taken_on}.\n\n{body}"
    text = "\n".join([opening, *(f"## {name}\n\n{sections[name].strip()}\n" for name in sections)])
    write_atomically(path, lambda temporary: temporary.write_text(text, "utf-8"))
    print(f'written to {path}, section "{heading}"')
