"""Two machines: torchrun's rendezvous and training between two network namespaces, each with an address of its own.

The machines share no disk: each has its own copy of the data and its own output folder.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
ADDRESSES = ("10.231.77.1", "10.231.77.2")
FLAGS = ["--hidden_size", 32, "--num_hidden_layers", 1, "--max_seq_len", 64, "--batch_size", 4, "--max_steps", 3]
FLAGS += ["--optimizer", "adamw", "--device", "cpu", "--dtype", "float32"]

pytestmark = pytest.mark.compat


def ip(*words) -> None:
    subprocess.run(["ip", *map(str, words)], check=True, capture_output=True, text=True)


@contextlib.contextmanager
def two_machines():
    """((namespace, interface), (namespace, interface)), joined by a cable; skips where that is not allowed."""
    if not shutil.which("ip"):
        pytest.skip("there is no `ip` command (package iproute2)")
    names = [f"mm{os.getpid()}{side}" for side in "ab"]
    try:
        try:
            for name in names:
                ip("netns", "add", name)
            ip("link", "add", names[0], "netns", names[0], "type", "veth", "peer", names[1], "netns", names[1])
            for name, address in zip(names, ADDRESSES, strict=True):
                ip("-n", name, "address", "add", f"{address}/24", "dev", name)
                for interface in ("lo", name):
                    ip("-n", name, "link", "set", interface, "up")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"network namespaces are not allowed here: {error.stderr.strip()}")
        yield names
    finally:
        for name in names:  # with its end of the cable
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


def torchrun(*flags, before=()) -> subprocess.Popen:
    command = [*before, sys.executable, "-m", "torch.distributed.run", "--rdzv_backend", "c10d", *flags]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [str(word) for word in command], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip


def finish(*processes: subprocess.Popen, patience: float = 600) -> list[str]:
    """What each has printed; none is left running, whatever happens."""
    try:
        printed = [process.communicate(timeout=patience)[0] for process in processes]
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert [process.returncode for process in processes] == [0] * len(processes), "\n\n".join(printed)[-6000:]
    return printed


def weights(out_dir: Path) -> dict[str, torch.Tensor]:
    return torch.load(out_dir / "pretrain_32.pth", weights_only=True)


def test_two_machines_train_as_one(tmp_path):
    text = (ROOT / "dataset" / "sample" / "pretrain.jsonl").read_text("utf-8").splitlines(keepends=True)[:100]
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data.jsonl").write_text("".join(text), "utf-8")
    script = ROOT / "trainer" / "train_pretrain.py"
    with two_machines() as names:
        # What a user types on each, with its own name of the network card.
        machines = [
            torchrun(
                "--nnodes", 2, "--nproc_per_node", 1, "--rdzv_id", "test", "--rdzv_endpoint", f"{ADDRESSES[0]}:29555",
                "--rdzv_conf", f"is_host={int(address == ADDRESSES[0])}", "--local_addr", address, script, *FLAGS,
                "--data_path", tmp_path / folder / "data.jsonl", "--out_dir", tmp_path / folder,
                before=["ip", "netns", "exec", name, "env", f"GLOO_SOCKET_IFNAME={name}"],
            )
            for name, address, folder in zip(names, ADDRESSES, ("a", "b"), strict=True)
        ]  # fmt: skip
        printed = finish(*machines)
    assert sum("on 2 x cpu" in text for text in printed) == 1  # rank 0 alone speaks, and writes the figures
    assert sorted(path.parent.parent.name for path in tmp_path.glob("?/metrics/*.jsonl")) in (["a"], ["b"])
    places = ["--data_path", tmp_path / "a" / "data.jsonl", "--out_dir", tmp_path / "c"]
    finish(torchrun("--nproc_per_node", 2, "--rdzv_endpoint", "localhost:0", script, *FLAGS, *places))
    expected = weights(tmp_path / "c")
    for folder in ("a", "b"):  # each has all that the next stage, or a resumed run, needs
        assert all(torch.equal(value, expected[key]) for key, value in weights(tmp_path / folder).items())
        assert (tmp_path / folder / "pretrain_32.json").is_file()
        assert (tmp_path / folder / "checkpoints" / "pretrain_32.pt").is_file()
        assert list((tmp_path / folder / "cache").rglob("input_ids"))
        assert not list((tmp_path / folder).glob(".ranks-*"))
