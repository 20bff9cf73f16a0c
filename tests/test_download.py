"""Fetching the published data sets: the real script, as a process, from a hub of our own on this machine."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hub import Hub

from scripts.download_data import choose
from trainer.command_line import UsageError

ROOT = Path(__file__).resolve().parents[1]
CHUNK = 10 << 20  # what arrives before the hub stalls
PATIENCE_SECONDS = 180
SMALL = b'{"conversations": []}\n' * 40
MEDIUM = b'{"chosen": [], "rejected": []}\n' * 4000


def start(endpoint: str, *words, cwd: Path) -> subprocess.Popen:
    env = os.environ | {"HF_ENDPOINT": endpoint, "MODELSCOPE_ENDPOINT": endpoint, "no_proxy": "*"}
    command = [sys.executable, str(ROOT / "scripts" / "download_data.py"), *map(str, words)]
    return subprocess.Popen(command, env=env, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def data(tmp_path):
    """`data(endpoint, words)`: the finished process of a call that puts its files into tmp_path/data."""

    def run(endpoint: str, *words):
        process = start(endpoint, *words, "--output_dir", tmp_path / "data", cwd=tmp_path)
        out, error = process.communicate(timeout=PATIENCE_SECONDS)
        return subprocess.CompletedProcess(process.args, process.returncode, out, error)

    return run


def test_files_arrive_are_kept_and_name_the_next_command(data, tmp_path):
    """One file of git's own, one large one; what is right is not fetched again, what is wrong is not overwritten."""
    with Hub({"lora_identity.jsonl": SMALL, "dpo.jsonl": MEDIUM, "README.md": b"#"}) as hub:
        first = data(hub.url, "lora_identity", "dpo.jsonl")
        assert first.returncode == 0, first.stderr
        assert {p.name for p in (tmp_path / "data").iterdir()} == {"lora_identity.jsonl", "dpo.jsonl"}
        assert (tmp_path / "data" / "dpo.jsonl").read_bytes() == MEDIUM
        assert hub.downloads() == [("lora_identity.jsonl", None), ("dpo.jsonl", None)]
        assert f"train_lora.py --data_path {tmp_path}/data/lora_identity.jsonl --lora_name identity" in first.stdout
        (tmp_path / "data" / "dpo.jsonl").write_bytes(MEDIUM[:-1] + b" ")
        wrong = data(hub.url, "lora_identity", "dpo")
        assert wrong.returncode == 1 and "lora_identity.jsonl: here already" in wrong.stdout
        assert "dpo.jsonl: it is not the published file" in wrong.stderr
        assert (tmp_path / "data" / "dpo.jsonl").read_bytes() != MEDIUM and len(hub.downloads()) == 2
        forced = data(hub.url, "dpo", "--force", 1)
        assert forced.returncode == 0 and (tmp_path / "data" / "dpo.jsonl").read_bytes() == MEDIUM


def test_a_killed_download_goes_on_where_it_was(tmp_path, data):
    """Killed in the middle by SIGKILL: the next call asks the server for the rest alone, and the checksum is right."""
    content = os.urandom(1 << 20) * 10 + SMALL
    folder = tmp_path / "data"
    with Hub({"pretrain_hq.jsonl": content}, stall_after=CHUNK) as hub:
        process = start(hub.url, "pretrain_hq", "--output_dir", folder, cwd=tmp_path)
        assert hub.stalled.wait(PATIENCE_SECONDS)
        end = time.monotonic() + PATIENCE_SECONDS
        while not any(part.stat().st_size >= CHUNK for part in folder.glob("*.part")):
            assert time.monotonic() < end and process.poll() is None, process.communicate()
            time.sleep(0.02)
        other = data(hub.url, "pretrain_hq")
        assert other.returncode == 1 and "another process is downloading it" in other.stderr
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert not (folder / "pretrain_hq.jsonl").exists()
    with Hub({"pretrain_hq.jsonl": content}) as hub:
        listed = data(hub.url)
        assert "10.5MB" in listed.stdout and "lora_medical" in listed.stdout and listed.returncode == 0
        done = data(hub.url, "pretrain_hq")
        assert done.returncode == 0, done.stderr
        assert hub.downloads() == [("pretrain_hq.jsonl", f"bytes={CHUNK}-")]
    assert (folder / "pretrain_hq.jsonl").read_bytes() == content and not list(folder.glob("*.part"))


def test_what_arrives_damaged_gets_no_name(data, tmp_path):
    """The list speaks of other bytes than the store sends."""
    with Hub({"dpo.jsonl": MEDIUM}) as hub:
        described = hub.sibling("dpo.jsonl")
        hub.sibling = lambda name: described
        hub.files["dpo.jsonl"] = MEDIUM.replace(b"chosen", b"CHOSEN", 1)
        done = data(hub.url, "dpo")
    assert done.returncode == 1 and "does not have the published checksum" in done.stderr
    assert not list((tmp_path / "data").iterdir())


@pytest.mark.parametrize(
    ("words", "claimed", "expected"),
    [
        (["dpo", "--revision", "v9"], {}, "--revision v9: "),
        (["dpo"], {"dpo.jsonl": 10**15}, "the download needs 1.00PB and "),
    ],
    ids=["revision", "disk"],
)
def test_what_cannot_be_had_is_one_sentence(data, tmp_path, words, claimed, expected):
    with Hub({"dpo.jsonl": MEDIUM}, claimed) as hub:
        done = data(hub.url, *words)
        assert not hub.downloads()
    assert done.returncode == 1 and expected in done.stderr and done.stderr.count("\n") == 1
    assert not list(tmp_path.glob("data/*"))


def test_an_unknown_name_is_answered_with_those_that_are_there():
    assert choose(["dpo.jsonl", "all", "dpo"])[:2] == ["dpo", "pretrain_t2t_mini"] and len(choose(["all"])) == 17
    with pytest.raises(UsageError, match="no data set pretrain: all, or some of pretrain_t2t_mini, pretrain_t2t"):
        choose(["pretrain"])


def test_without_a_network_the_list_is_there_and_a_mirror_is_named(data):
    done = data("http://127.0.0.1:9")
    assert done.returncode == 1 and "HF_ENDPOINT=" in done.stderr and "Traceback" not in done.stderr
    assert "pretrain_hq" in done.stdout


def test_modelscope_is_the_other_source_and_sees_no_token_of_the_hub(data, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with Hub({"dpo.jsonl": MEDIUM}) as hub:
        done = data(hub.url, "dpo", "--source", "modelscope")
        assert done.returncode == 0, done.stderr
        assert hub.downloads() == [("dpo.jsonl", None)] and not hub.authorised
    assert (tmp_path / "data" / "dpo.jsonl").read_bytes() == MEDIUM
