"""The newest rollouts as a page: python scripts/show_rollouts.py [out/rollouts/grpo_192.jsonl] [--output a.html]"""

import sys
from dataclasses import make_dataclass
from html import escape
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from dataset.jsonl import read_records  # noqa: E402
from scripts.reports.shell import split_files  # noqa: E402
from trainer.command_line import ROOT, flag, parse_options, require, run  # noqa: E402

PAGE = """<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{0}</title>
<style>body {{ max-width: 44rem; margin: auto; padding: 1rem; font: 1rem/1.5 system-ui, "Noto Sans CJK SC" }}
p {{ white-space: pre-wrap; overflow-wrap: anywhere; margin: .5rem 0 }} h2 {{ font-size: 1rem; margin-top: 2rem }}
p[style] {{ border-left: 4px solid var(--c); background: color-mix(in srgb, var(--c) 8%, #fff); padding: .5rem .9rem }}
small {{ color: #6b7280 }}</style><h1>{0}</h1><small>green: above the group's mean; red: below</small>{1}"""
OPTIONS = make_dataclass("PageOptions", [("output", str | None, flag(None, "page to write; default: beside the file"))])


def main() -> None:
    files, flags = split_files(sys.argv[1:])
    options, html = parse_options(OPTIONS, "Show rollouts: show_rollouts.py [FILE.jsonl] [flags]", flags), ""
    files = files or sorted((ROOT / "out" / "rollouts").glob("*.jsonl"), key=lambda path: path.stat().st_mtime)[-1:]
    require(len(files) == 1, f"{len(files)} files, named or in out/rollouts: name one that training wrote there")
    try:
        for step in read_records(files[0], dict):
            replies = sorted(step["replies"], key=lambda reply: -reply["reward"])
            mean = sum(reply["reward"] for reply in replies) / len(replies)
            asked, right = "\n".join(m["content"] for m in step["messages"]), " / ".join(step["answers"])
            html += f"<h2>step {round(step['step'])}</h2><p>{escape(asked)}\n<small>right: {escape(right)}</small></p>"
            for one in (one for i, one in enumerate(replies) if one not in replies[:i]):  # equal ones once
                hue = "#2f8a57" if (d := round(one["reward"] - mean, 6)) > 0 else "#c8502d" if d < 0 else "#9ca3af"
                told = ", ".join(f"{escape(key)} {round(value, 3)}" for key, value in one.items() if key != "text")
                html += f"<p style=--c:{hue}><small>{replies.count(one)} × {told}</small>\n{escape(one['text'])}</p>"
    except (LookupError, TypeError, ArithmeticError, AttributeError):
        raise ValueError(f"{files[0]}: these are no rollouts: name a file of out/rollouts") from None
    page = Path(options.output or files[0]).with_suffix(".html").absolute()
    page.write_text(PAGE.format(escape(page.stem), html), "utf-8", "replace")
    print(page)


if __name__ == "__main__":
    run(main)
