"""Several ranks on a CPU: they compute what one would, and end together when one of them fails."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from preloaded import run_preloaded, run_ranks

ROOT = Path(__file__).resolve().parents[1]
STAGE = ROOT / "tests" / "faulty_stage.py"
FLAGS = ["--hidden_size", 32, "--num_hidden_layers", 1, "--max_seq_len", 32, "--log_interval", 1]
FLAGS += ["--optimizer", "adamw", "--learning_rate", "1e-4", "--eval_interval", 100]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """24 conversations: 23 to train on, which neither two nor three ranks divide."""
    path = tmp_path_factory.mktemp("data") / "talk.jsonl"
    turns = [[{"role": r, "content": f"第{i}句话" + "。" * (i % 3)} for r in ("user", "assistant")] for i in range(24)]
    path.write_text("".join(json.dumps({"conversations": turn}) + "\n" for turn in turns), "utf-8")
    return path


def errors(*processes) -> list[str]:
    lines = [line for p in processes for line in re.split(r"[\r\n]+", p.stderr)]
    return [line for line in lines if line.startswith("error: ") or "gloo" in line or "Traceback" in line]


def records(out_dir: Path, name: str) -> list[dict]:
    """Of the training steps."""
    lines = (out_dir / "metrics" / f"{name}.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if "loss" in record]


@pytest.mark.parametrize("fault", ["value", "file", "bug", "kill"])
def test_when_one_rank_fails_all_end_and_one_says_why(data, tmp_path, fault):
    """Though no launcher ends the others: they notice by themselves."""
    flags = [*FLAGS, "--data_path", data, "--out_dir", tmp_path, "--conversations", 1, "--batch_size", 1]
    started = time.monotonic()
    done = run_ranks(2, STAGE, *flags, env={"FAULT": fault, "FAULT_STEP": "3"})
    assert time.monotonic() - started < 30 + 30  # and the start
    assert [d.returncode for d in done] == [1, -signal.SIGKILL if fault == "kill" else 1]
    said = errors(*done)
    assert said[-1:] == errors(done[0] if fault == "kill" else done[1])[-1:]
    expected = {
        "value": ["error: rank 1: a value on rank one"],
        "file": ["error: rank 1: [Errno 2] No such file or directory: '/there/is/no/such/file'"],
        "bug": ["Traceback (most recent call last):", "error: rank 1: KeyError: 'a bug on rank one'"],
    }
    if fault == "kill":
        assert len(said) == 1 and said[0].startswith("error: rank 0: another rank has ended")
    else:
        assert said == expected[fault]
    assert not list(tmp_path.glob("*.pth"))


def test_a_stop_that_reaches_one_rank_stops_all_and_the_run_is_not_lost(data, tmp_path):
    """Nor by the same command without --from_resume; with --skip_finished that goes on."""
    flags = [*FLAGS, "--data_path", data, "--out_dir", tmp_path, "--conversations", 1, "--max_steps", 6]
    done = run_ranks(2, STAGE, *flags, "--batch_size", 1, env={"FAULT": "stop", "FAULT_STEP": "3"})
    assert [d.returncode for d in done] == [128 + signal.SIGTERM] * 2 and errors(*done) == []
    assert "after step 3 of 6; saved" in done[0].stderr
    before = records(tmp_path, "pretrain_32")
    again = run_preloaded(STAGE, *flags, "--batch_size", 2)
    (said,) = errors(again)
    assert again.returncode == 1 and "pretrain_32.pt: a run stopped after step 3 of 6 is there" in said
    assert records(tmp_path, "pretrain_32") == before and len(before) == 3
    on = run_preloaded(STAGE, *flags, "--batch_size", 2, "--skip_finished", 1)
    assert on.returncode == 0 and "continues after step 3 of 6" in on.stdout, on.stderr
    assert [record["step"] for record in records(tmp_path, "pretrain_32")] == [1, 2, 3, 4, 5, 6]


def test_a_rank_that_is_killed_under_torchrun(data, tmp_path):
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    launcher += ["--rdzv_backend", "c10d", "--rdzv_endpoint", "localhost:0", STAGE, *FLAGS]
    launcher += ["--data_path", data, "--out_dir", tmp_path, "--conversations", 1, "--batch_size", 1]
    env = os.environ | {"OMP_NUM_THREADS": "1", "FAULT": "kill", "FAULT_STEP": "3"}
    done = subprocess.run([str(word) for word in launcher], env=env, capture_output=True, text=True, timeout=100)
    assert done.returncode == 1 and "gloo" not in done.stderr and "SIGKILL" in done.stderr
    assert len([line for line in errors(done) if line.startswith("error: rank 0: another rank")]) == 1
    assert len(errors(done)) == 2  # with torchrun's own traceback


@pytest.mark.parametrize("mistake", ["flags", "line"])
def test_what_all_ranks_find_wrong_is_said_once(data, tmp_path, mistake):
    """A flag, which every rank reads; a line of the data, which rank 0 meets while the others wait for it."""
    bad = tmp_path / "bad.jsonl"
    bad.write_text(data.read_text("utf-8") + '{"text": 1}\n', "utf-8")
    flags = [*FLAGS, "--data_path", bad, "--out_dir", tmp_path, "--conversations", 1]
    done = run_ranks(2, STAGE, *flags, *(["--heads", 3] if mistake == "flags" else []))
    (said,) = errors(*done)
    if mistake == "flags":
        assert [d.returncode for d in done] == [2, 2] and "--heads" in said
    else:
        assert [d.returncode for d in done] == [1, 1] and said.startswith(f"error: rank 0: {bad}:25: ")


def test_gradients_travel_once_per_step_whatever_the_accumulation(data, tmp_path):
    flags = [*FLAGS, "--data_path", data, "--conversations", 1, "--out_dir", tmp_path, "--batch_size", 1]
    done = run_ranks(2, STAGE, *flags, "--accumulation_steps", 4, "--report", tmp_path / "report")
    assert [d.returncode for d in done] == [0, 0], done[0].stderr
    steps = len(records(tmp_path, "pretrain_32"))
    assert steps == 3  # of 8 samples, the last one of 7
    for rank in (0, 1):
        # the rotary tables, which are larger than a small network, do not travel: they are the same on all ranks
        assert (tmp_path / f"report{rank}").read_text().splitlines() == ["gradients alone"] * steps


def test_an_adapter_on_experts_trains_alike_on_one_two_and_three_ranks(data, tmp_path):
    """Also when a rank has no sample left in a last step, and an expert no token: nobody waits for its gradient."""
    flags = [*FLAGS, "--data_path", data, "--conversations", 1, "--lora", 1, "--use_moe", 1, "--max_steps", 8]
    runs = {1: 6, 2: 3, 3: 2}  # 23 samples are three steps of 6 and one of 5, twice
    for n_ranks, batch_size in runs.items():
        own = ["--batch_size", batch_size, "--out_dir", tmp_path / str(n_ranks)]
        done = run_ranks(n_ranks, STAGE, *flags, *own)
        assert all(d.returncode == 0 for d in done), done[0].stderr
    one, *more = (records(tmp_path / str(n_ranks), "pretrain_32_moe") for n_ranks in runs)
    assert len(one) == 8
    for several in more:
        assert [r["loss"] for r in several] == pytest.approx([r["loss"] for r in one], abs=1e-4)
        assert [r["tokens"] for r in several] == [r["tokens"] for r in one]  # every sample once on some rank
    flags = [*flags, "--batch_size", 7, "--out_dir", tmp_path / "few"]  # 23 = 21 + 2: one sample, one, and none
    done = run_ranks(3, STAGE, *flags)
    assert [d.returncode for d in done] == [0, 0, 0], done[0].stderr
