"""Never lose a run: kills, a full disk, two runs at once, damaged and malicious files, with real processes.

tests/matrix/ does the same at length: every stage, and thirty kills each.
"""

import contextlib
import fcntl
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import pytest
import torch
from kills import kill_until_done, run_whole
from preloaded import run_preloaded
from runs import ROOT, Run, make_data, stop, wait_for

from model.files import file_hash
from model.weights import load_weights, save_weights
from trainer.checkpoint import StateError, differences, load_state, previous, save_state
from trainer.process import stop_signals

EVERY_STEP = ["--max_steps", 40, "--save_interval", 1, "--eval_interval", 15]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    make_data(folder)
    return folder


def new_run(folder: Path, name: str, *flags, stage="sft", moe=0) -> Run:
    run = Run(stage, moe, folder / name, list(flags))
    run.out_dir.mkdir()
    return run


def sentence(done: subprocess.CompletedProcess) -> str:
    """The one line with which a run was refused."""
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    (line,) = [line for line in re.split(r"[\r\n]+", done.stderr) if line.startswith("error: ")]
    return line


# ---------------------------------------------------------------- kills and stops


@pytest.mark.parametrize(("stage", "moe", "number"), [("sft", 0, signal.SIGKILL), ("dpo", 1, signal.SIGTERM)])
def test_killed_again_and_again_it_ends_as_if_nothing_had_happened(folder, stage, moe, number):
    """In its first seconds, between two steps, and while it writes; the figures, the state and the weight agree."""
    flags = [*EVERY_STEP, "--dropout", 0.1]
    whole, killed = (new_run(folder, f"{how}_{stage}", *flags, stage=stage, moe=moe) for how in ("whole", "killed"))
    row = kill_until_done(killed, whole, number, 3, run_whole(whole), random.Random(1))
    assert row["figures"] and row["state"] and row["weights"], row
    assert row["sent"] and not row["not whole after it"] and not row["left over"], row


def test_a_stop_is_heard_during_a_long_validation_and_the_validation_is_made_up_for(folder):
    long = folder / "long.jsonl"
    long.write_text((folder / "sft.jsonl").read_text("utf-8") * 60, "utf-8")
    run = new_run(folder, "long", "--max_steps", 2, "--val_path", long)
    process = run.start()
    assert wait_for(process, (run.out_dir / "metrics" / f"{run.name}.jsonl").exists)  # the validation begins
    done = stop(process, signal.SIGINT)
    assert done.returncode == 130 and "stopped by SIGINT after step 0 of 2; saved" in done.stderr, done.stderr
    assert run.records() == []
    run.flags[-1] = folder / "sft.jsonl"
    assert run.start().join().returncode == 0
    assert [record["step"] for record in run.records() if "val_loss" in record] == [0, 1, 2]


def test_a_terminal_that_is_closed_stops_the_run_and_loses_nothing(folder):
    """A real one, which takes standard output and error away with it."""
    run = new_run(folder, "terminal", "--max_steps", 4000)
    master, slave = os.openpty()

    def take_terminal() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # it may be ignored where the tests were started
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        [sys.executable, *map(str, run.command())], stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        preexec_fn=take_terminal, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    os.close(slave)
    threading.Thread(target=read_all, args=(master,), daemon=True).start()
    while run.n_steps() < 3:
        assert process.poll() is None
        time.sleep(0.02)
    os.close(master)
    assert process.wait(60) == 128 + signal.SIGHUP and run.state.exists()
    assert load_state(run.state)[0]["step"] >= 3 and run.left_over() == []


def read_all(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(descriptor, 4096):
            pass


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
@pytest.mark.parametrize("then", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_after_one_signal_any_second_one_stops_at_once(first, then, monkeypatch, capfd):
    """Under a launcher, which passes on what the terminal has sent to the ranks already, a third."""
    for launched in (False, True):
        monkeypatch.delenv("LOCAL_RANK", raising=False)
        if launched:
            monkeypatch.setenv("LOCAL_RANK", "0")
        received = []
        with pytest.raises(KeyboardInterrupt) as stopped, stop_signals(received.append):
            os.kill(os.getpid(), first)
            assert received == [first]
            if launched:
                os.kill(os.getpid(), first)
            assert capfd.readouterr().err.count("stopping after the current step") == 1
            os.kill(os.getpid(), then)
            pytest.fail("it goes on")
        assert stopped.value.args == (then,)


def test_under_nohup_a_closed_terminal_changes_nothing():
    before, received = signal.signal(signal.SIGHUP, signal.SIG_IGN), []
    try:
        with stop_signals(received.append):
            os.kill(os.getpid(), signal.SIGHUP)
        assert not received and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_two_at_once_are_refused_and_a_killed_one_leaves_the_way_free(folder):
    run = new_run(folder, "twice", "--max_steps", 4000, "--num_workers", 1)
    first = run.start()
    assert wait_for(first, lambda: run.n_steps() > 2)
    told = sentence(run.start().join())
    assert f"process {first.pid} on " in told and "is writing this weight" in told and "--save_weight" in told
    n_steps = run.n_steps()
    assert wait_for(first, lambda: run.n_steps() > n_steps)  # undisturbed
    stop(first, signal.SIGKILL)  # its worker lives on for a while
    again = run.start()
    assert wait_for(again, lambda: f"process {again.pid} on" in run.state.with_suffix(".lock").read_text())
    stop(again, signal.SIGKILL)


# ---------------------------------------------------------------- disks and files


@pytest.fixture
def small_disk(tmp_path) -> Path:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)], capture_output=True
    ).returncode == 0  # fmt: skip
    if not mounted:
        pytest.skip("making a small disk takes the right to mount one (root)")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk(small_disk, folder):
    """One sentence with folder and sizes, exit code 1, and what was saved before is what is there."""
    for name in ("sft.jsonl", "start_32.pth", "start_32.json"):
        shutil.copy(folder / name, small_disk)
    run = new_run(small_disk, "out", "--max_steps", 2, "--save_interval", 1)
    assert run.start().join().returncode == 0
    kept = (run.state, previous(run.state), run.weight, run.weight.with_suffix(".json"))
    before = [file_hash(path) for path in kept]
    free = shutil.disk_usage(small_disk).free
    (small_disk / "other").write_bytes(b"\0" * (free - 1_000_000))
    told = sentence(run.start(resume=False).join())
    assert f"{run.state}: the disk is full: it needs " in told and f"MiB are free in {run.state.parent}" in told
    assert float(re.search(r"([\d.]+) MiB are free", told)[1]) == pytest.approx(1, abs=0.2)
    assert [file_hash(path) for path in kept] == before and run.left_over() == []


def test_a_picture_on_a_full_disk(small_disk):
    """One sentence; the picture that was there stays, and nothing half-made."""
    metrics, picture = small_disk / "a.jsonl", small_disk / "a.png"
    metrics.write_text('{"step": 1, "tokens": 5, "seconds": 1.0, "loss": 2.0}\n')
    plot = ROOT / "scripts" / "plot_training.py", metrics, "--output", picture
    assert run_preloaded(*plot).returncode == 0
    before = file_hash(picture)
    (small_disk / "other").write_bytes(b"\0" * (shutil.disk_usage(small_disk).free - 4096))
    assert f"{picture}: the disk is full" in sentence(run_preloaded(*plot))
    assert file_hash(picture) == before and {p.name for p in small_disk.iterdir()} == {"a.jsonl", "a.png", "other"}


def state_of(step: int) -> dict:
    return {"step": step, "model": {"w": torch.arange(5000.0)}}


def test_the_newest_whole_state_is_found(tmp_path, capsys):
    path = tmp_path / "a.pt"
    with pytest.raises(StateError, match="there is no training state"):
        load_state(path)
    for step in (1, 2, 3):
        save_state(state_of(step), path)
    assert load_state(path)[0]["step"] == 3 and load_state(previous(path))[0]["step"] == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.previous.pt", "a.pt"]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1  # one bit, in the numbers
    for damaged in (content, content[:-100], b"", b"PK\x03\x04", b"hello"):
        path.write_bytes(damaged)
        assert load_state(path)[0]["step"] == 2
        assert f"{path} is damaged; continuing from {previous(path)}, step 2" in capsys.readouterr().out
        assert path.with_suffix(".damaged.pt").read_bytes() == damaged and not path.exists()
    assert load_state(path)[0]["step"] == 2
    assert f"{path} is not there; continuing from" in capsys.readouterr().out
    previous(path).write_bytes(b"")
    with pytest.raises(StateError, match="damaged and no older one is left"):
        load_state(path)


class Trap:
    """Unpickled, it makes the file `path`."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_files_that_would_run_a_program_do_not(tmp_path):
    sprung = tmp_path / "sprung"
    for path in (tmp_path / "a.pt", tmp_path / "a.previous.pt"):
        torch.save(state_of(1) | {"model": Trap(sprung)}, path)
    with pytest.raises(StateError, match="damaged"):
        load_state(tmp_path / "a.pt")
    assert not sprung.exists()
    torch.load(tmp_path / "a.pt", weights_only=False)
    assert sprung.exists()  # the trap does work where nobody is careful


def test_a_damaged_token_cache_is_refused(folder, tmp_path):
    run = new_run(tmp_path, "out", "--max_steps", 1)
    for name in ("sft.jsonl", "start_32.pth", "start_32.json"):
        shutil.copy(folder / name, tmp_path)
    assert run.start().join().returncode == 0
    (cache,) = (run.out_dir / "cache").rglob("*input_ids")
    content = cache.read_bytes()
    for damaged in (content[: len(content) // 2], b"hello" * 100, b""):
        cache.write_bytes(damaged)
        assert "cache" in sentence(run.start(resume=False).join())


def test_what_changed_is_said_field_by_field():
    before = {"dropout": 0.1, "network": {"hidden_size": 32, "layers": 2, "gone": 1}, "stage": "sft"}
    now = {"dropout": 0.2, "network": {"hidden_size": 64, "layers": 2}, "stage": "sft", "new": "x"}
    assert differences(before, before) == []
    assert differences(before, now) == [
        "dropout 0.1 → 0.2", "network hidden_size 32 → 64", "network gone 1 → not set", "new not set → x"
    ]  # fmt: skip


# ---------------------------------------------------------------- a weight and its .json


def test_between_the_two_files_of_a_weight_a_reader_finds_a_pair(make_model, tokenizer, tmp_path):
    """A kill in between leaves the `.json` with both descriptions and either the old or the new `.pth`."""
    path = tmp_path / "a_48.pth"
    pairs = []
    for seed in (1, 2):
        save_weights(make_model(seed, vocab_size=len(tokenizer)), path, tokenizer, step=seed)
        pairs.append((path.read_bytes(), json.loads(path.with_suffix(".json").read_text("utf-8"))))
    (_, old), (_, new) = pairs
    between = json.dumps(new | {"replaced": old})
    for step, (content, _) in enumerate(pairs, 1):
        path.write_bytes(content)
        path.with_suffix(".json").write_text(between, "utf-8")
        model, info = load_weights(path, tokenizer)
        assert info["step"] == step and "replaced" not in info
    path.with_suffix(".json").write_text(between, "utf-8")
    save_weights(model, path, tokenizer, step=3)
    assert "replaced" not in json.loads(path.with_suffix(".json").read_text("utf-8"))  # nothing grows
