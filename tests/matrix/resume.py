"""Stop and resume: every stage, dense and mixture of experts, against the same run that was never stopped.

    python tests/matrix/resume.py                 # all rows, some minutes on one core
    python tests/matrix/resume.py --only dpo      # the rows whose name holds "dpo"

Each row runs 40 optimizer steps once in one piece, and once in up to four processes: SIGTERM ends the first three
after a random number of steps. Then the figures of every step and validation, the final training state (float32
weights, optimizer, scaler, random generators) and the bytes of the weight file must be the same. Exits with 1 if not.
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from runs import STAGES, Run, compare, make_data, preload, print_table, stop, wait_for

STEPS = 40


def rows() -> dict[str, tuple[str, int, list]]:
    """name -> (stage, mixture of experts, flags)."""
    found = {}
    for stage in STAGES:
        for moe in (0, 1):
            found[f"{stage}, {'MoE' if moe else 'dense'}"] = (stage, moe, [])
    for moe, kind in enumerate(("dense", "MoE")):
        found[f"sft, {kind}, dropout, accumulation"] = ("sft", moe, ["--dropout", 0.1, "--accumulation_steps", 2])
        found[f"sft, {kind}, 2 workers"] = ("sft", moe, ["--num_workers", 2])
        for dtype in ("bfloat16", "float16"):
            found[f"sft, {kind}, {dtype}"] = ("sft", moe, ["--dtype", dtype])
    found["lora, dense, dropout in the adapter"] = ("lora", 0, ["--lora_dropout", 0.2])
    found["pretrain, dense, 2 workers, dropout"] = ("pretrain", 0, ["--num_workers", 2, "--dropout", 0.1])
    found["pretrain, dense, checkpointing"] = ("pretrain", 0, ["--gradient_checkpointing", 1, "--dropout", 0.1])
    found["pretrain, dense, compile"] = ("pretrain", 0, ["--compile", 1])
    found["pretrain, MoE, compile"] = ("pretrain", 1, ["--compile", 1])
    return found


def run_row(stage: str, moe: int, flags: list, folder: Path, rng: random.Random) -> dict:
    """One row of the table."""
    common = ["--max_steps", STEPS, "--eval_interval", 10, *flags]
    runs = {}
    for how in ("whole", "stopped"):
        (folder / how).mkdir()
        runs[how] = Run(stage, moe, folder / how, common)
    done = runs["whole"].start().join()
    assert done.returncode == 0, done.stderr
    stops = []
    for target in sorted(rng.sample(range(1, STEPS - 3), 3)):
        run = runs["stopped"]
        process = run.start()
        if not wait_for(process, lambda: run.n_steps() >= target):  # noqa: B023
            break  # it was there before it could be stopped
        done = stop(process)
        if done.returncode != 143:
            break
        stops.append(int(done.stderr.rpartition("after step ")[2].split()[0]))
    if done.returncode != 0:
        done = runs["stopped"].start().join()
    assert done.returncode == 0, done.stderr
    return {"stopped after": ", ".join(map(str, stops)) or "never", **compare(runs["stopped"], runs["whole"])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="rows whose name holds this")
    parser.add_argument("--seed", type=int, default=0, help="of the steps after which to stop")
    options = parser.parse_args()
    preload()
    table, rng = [], random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        make_data(Path(folder))
        for name, row in rows().items():
            if options.only not in name:
                continue
            place = Path(tempfile.mkdtemp(dir=folder))
            for path in Path(folder).glob("*.*"):  # data and weights to start from
                (place / path.name).symlink_to(path)
            table.append({"run": name} | run_row(*row, place, rng))
            print(table[-1], file=sys.stderr, flush=True)
    print_table(table)
    sys.exit(0 if all(row["figures"] and row["state"] and row["weights"] for row in table) else 1)


if __name__ == "__main__":
    main()
