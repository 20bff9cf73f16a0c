"""Kill a run again and again, go on each time, and compare with the same run that was never stopped.

    python tests/matrix/kills.py                            # 30 x kill -9, then 30 x SIGTERM
    python tests/matrix/kills.py --stage dpo --moe 1 --kills 5 --signals SIGKILL

The run saves after every step. A third of the kills falls anywhere in the start of a process, a third at a random
moment between two steps, a third as soon as a file is being written. After each of them the newest training
state must be readable and the weight must fit its .json, or neither be there yet. At the end the figures, the state and
the bytes of the weight file must be those of the uninterrupted run, and no temporary file may be left. Exits with 1 if
not.
"""

import argparse
import contextlib
import io
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from runs import STAGES, Run, compare, make_data, preload, print_table, wait_for

from model.weights import read_metadata, read_state
from trainer.checkpoint import load_state

MOMENTS = ("start", "between steps", "while writing")


def kill_once(run: Run, number: int, moment: str, start_seconds: float, rng: random.Random):
    """Start or go on with `run` and send it the signal at that moment; the process, ended."""
    process, steps, old = run.start(), run.n_steps(), set(run.left_over())
    ends = time.monotonic() + rng.uniform(0, 1.1 * start_seconds)
    if moment == "start":  # this one may start faster than the first did: it is not to get to its end
        wait_for(process, lambda: time.monotonic() > ends or run.n_steps() > steps + 1)
    elif moment == "between steps":
        if wait_for(process, lambda: run.n_steps() != steps):
            time.sleep(rng.uniform(0, min(0.2, start_seconds / 20)))
    elif wait_for(process, lambda: run.n_steps() != steps):
        wait_for(process, lambda: set(run.left_over()) - old)
        time.sleep(rng.uniform(0, 0.01))
    process.send_signal(number)
    return process.join(1800)


def faults(run: Run) -> list[str]:
    """What is not whole now."""
    found = []
    if run.has_state():
        with contextlib.redirect_stdout(io.StringIO()) as said:
            try:
                load_state(run.state)
            except ValueError as error:
                found.append(str(error))
        if "damaged" in said.getvalue():
            found.append(said.getvalue())
    if run.weight.exists() and run.weight.with_suffix(".json").exists():
        try:
            read_state(run.weight)
            read_metadata(run.weight)
        except ValueError as error:
            found.append(str(error))
    elif run.weight.exists():
        found.append(f"{run.weight} without its .json")
    return found


def run_whole(run: Run) -> float:
    """Run it in one piece; how many seconds its first step took to come."""
    began = time.monotonic()
    process = run.start()
    wait_for(process, lambda: run.n_steps() > 0)
    start_seconds = time.monotonic() - began
    done = process.join()
    assert done.returncode == 0, done.stderr
    return start_seconds


def kill_until_done(
    run: Run, whole: Run, number: int, n_kills: int, start_seconds: float, rng: random.Random
) -> dict:  # fmt: skip
    """One row of the table."""
    broken, hit, writing = [], 0, 0
    for i in range(n_kills):
        done = kill_once(run, number, MOMENTS[i % 3], start_seconds, rng)
        if done.returncode not in (-number, 128 + number):
            assert done.returncode == 0, done.stderr  # it had ended by itself
            break
        hit, writing = hit + 1, writing + bool(run.left_over())
        broken += faults(run)
        print(f"{hit}: {MOMENTS[i % 3]}, {run.n_steps()} steps, left: {run.left_over()}", file=sys.stderr, flush=True)
    done = run.start().join()
    assert done.returncode == 0, done.stderr
    for fault in broken:
        print(f"not whole: {fault}", file=sys.stderr)
    return {
        "signal": signal.Signals(number).name, "sent": hit, "in the middle of a file": writing,
        "not whole after it": len(broken), **compare(run, whole), "left over": len(run.left_over()),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stage", default="sft", choices=STAGES)
    parser.add_argument("--moe", type=int, default=0, choices=(0, 1))
    parser.add_argument("--kills", type=int, default=30, help="of each signal")
    parser.add_argument("--signals", nargs="+", default=["SIGKILL", "SIGTERM"], choices=("SIGKILL", "SIGTERM"))
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    steps = ["--max_steps", 6 * options.kills, "--save_interval", 1, "--eval_interval", 25]
    table, rng = [], random.Random(options.seed)
    preload()
    with tempfile.TemporaryDirectory() as folder:
        make_data(Path(folder))
        runs = {}
        for name in ("whole", "SIGKILL", "SIGTERM"):
            runs[name] = Run(options.stage, options.moe, Path(folder) / name, [*steps, "--dropout", 0.1])
            runs[name].out_dir.mkdir()
        start_seconds = run_whole(runs["whole"])
        for name in options.signals:
            row = kill_until_done(runs[name], runs["whole"], signal.Signals[name], options.kills, start_seconds, rng)
            table.append({"run": runs[name].name} | row)
    print_table(table)
    good = (all(row[key] for key in ("figures", "state", "weights")) for row in table)
    sys.exit(0 if all(good) and not any(row["not whole after it"] + row["left over"] for row in table) else 1)


if __name__ == "__main__":
    main()
