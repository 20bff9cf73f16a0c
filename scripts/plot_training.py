"""Draw how runs learned, from the metrics files that training writes.

    python scripts/plot_training.py                                             # all of out/metrics, oldest first
    python scripts/plot_training.py out/metrics/pretrain_512.jsonl out/metrics/full_sft_512.jsonl
    python scripts/plot_training.py a.jsonl b.jsonl --overlay 1 --x seconds --output out/compare.png
    python scripts/plot_training.py out/metrics/grpo_512.jsonl --y reward_right,entropy,length

Several files make panels side by side, four in a row; with --overlay they share one, to compare runs.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

from scripts.reports.plots import draw_losses  # noqa: E402
from scripts.reports.shell import split_files  # noqa: E402
from trainer.command_line import flag, parse_options, run  # noqa: E402


@dataclass
class PlotOptions:
    output: str = flag(str(ROOT / "out" / "loss.png"), "the picture to write: .png, .jpg, .svg or .pdf")
    x: str = flag("tokens", "draw the loss over tokens, or over seconds of training", choices=["tokens", "seconds"])
    y: str = flag("", "figures to draw, a comma between; default: the loss or reward, with its validation")
    overlay: bool = flag(False, "all runs in one panel, rather than side by side")
    metrics_dir: str = flag(str(ROOT / "out" / "metrics"), "folder whose files are drawn when none is named")


def main() -> None:
    files, flags = split_files(sys.argv[1:])
    options = parse_options(PlotOptions, "Draw runs: plot_training.py [FILE.jsonl …] [flags]", flags)
    if not files:
        folder = Path(options.metrics_dir)
        found = [path for path in (*folder.glob("*.jsonl"), *folder.glob("lora/*.jsonl")) if path.is_file()]
        files = sorted(found, key=lambda path: path.stat().st_mtime_ns)
        if not files:
            raise ValueError(f"{options.metrics_dir}: no metrics file (*.jsonl) in it: train first, or name a file")
    print(draw_losses(files, options.output, options.x, options.overlay, ys=[y for y in options.y.split(",") if y]))


if __name__ == "__main__":
    run(main)
