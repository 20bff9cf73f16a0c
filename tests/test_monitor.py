"""Watching a run that was killed and goes on: its figures have no gap and no doubles, here and in Weights & Biases."""

import json
import signal
from pathlib import Path

import pytest
from preloaded import run_preloaded

from trainer.monitor import Monitor, is_unchanged

ROOT = Path(__file__).resolve().parents[1]
STAGE = ROOT / "tests" / "faulty_stage.py"
FLAGS = ["--hidden_size", 32, "--num_hidden_layers", 1, "--max_seq_len", 32, "--batch_size", 1, "--log_interval", 1]
FLAGS += ["--max_steps", 31, "--save_interval", 6, "--eval_interval", 10, "--dropout", 0.1]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "text.jsonl"
    path.write_text("".join(json.dumps({"text": f"第{i}句话。" * 3}) + "\n" for i in range(200)), "utf-8")
    return path


def test_a_stage_of_several_says_once_how_long_all_takes(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("trainer.monitor.SECONDS_BEFORE_ESTIMATE", 0)
    for rest, times in (("2.5", 1), ("0", 1), (None, 0)):
        monkeypatch.delenv("MINIMIND_REST", raising=False)
        if rest:
            monkeypatch.setenv("MINIMIND_REST", rest)
        with Monitor(tmp_path, "a", "a", total_steps=5, from_step=0, validated=-1) as monitor:
            for step in range(1, 6):
                monitor.step(step)
            monitor.close()
        assert capsys.readouterr().err.count("at this machine's speed: about 0 min more") == times


def test_a_run_with_rollouts_shows_its_reward_and_keeps_its_validations(tmp_path):
    record = {"step": 1, "loss": 0.1, "lr": 1e-4, "tokens_per_second": 9, "data_wait": 0.5, "peak_memory_mib": 1024}
    with Monitor(tmp_path, "a", "a", total_steps=5, from_step=0, validated=-1) as monitor:
        monitor.log(record)
        assert monitor.bar.postfix.startswith("loss 0.100, ") and "tokens/s, data 50%" in monitor.bar.postfix
        monitor.log(record | {"reward": 0.625, "length": 54.3})
        shown = monitor.bar.postfix
        monitor.close()
    assert shown == "reward 0.62, lr 1.0e-04, 9 tokens/s, length 54, rollouts 50%, 1.0 GiB"
    line = b'{"step": 4, "val_reward": 1.0}\n'
    assert is_unchanged(line, 3, validated=4) and not is_unchanged(line, 5, validated=3)


def figures(out_dir: Path) -> list[tuple]:
    lines = (out_dir / "metrics" / "pretrain_32.jsonl").read_text().splitlines()
    return [(r["step"], r["tokens"], r.get("loss"), r.get("val_loss")) for r in map(json.loads, lines)]


def test_a_killed_run_goes_on_in_its_metrics_and_in_wandb(data, tmp_path):
    flags = [*FLAGS, "--data_path", data]
    done = run_preloaded(STAGE, *flags, "--out_dir", tmp_path / "whole")
    assert done.returncode == 0, done.stderr
    whole = figures(tmp_path / "whole")
    assert [step for step, _, loss, _ in whole if loss is not None] == list(range(1, 32))
    assert [step for step, _, _, val_loss in whole if val_loss is not None] == [0, 10, 20, 31]  # not 30 as well
    assert "nats per token" in done.stderr

    cut = tmp_path / "cut"
    flags += ["--out_dir", cut, "--use_wandb", 1]
    env = {"WANDB_MODE": "offline", "WANDB_SILENT": "true"}
    killed = run_preloaded(STAGE, *flags, env=env | {"FAULT": "kill", "FAULT_STEP": "15"})
    assert killed.returncode == -signal.SIGKILL
    assert [step for step, *_ in figures(cut)][-1] == 14  # two steps after the last state
    metrics = cut / "metrics" / "pretrain_32.jsonl"
    metrics.write_text(metrics.read_text() + '{"step": 15, "epo')
    wandb_id = (cut / "metrics" / "pretrain_32.wandb").read_text().strip()
    done = run_preloaded(STAGE, *flags, "--from_resume", 1, env=env)
    assert done.returncode == 0, done.stderr
    assert figures(cut) == whole
    assert (cut / "metrics" / "pretrain_32.wandb").read_text().strip() == wandb_id
    assert len(list((cut / "wandb").glob(f"offline-run-*-{wandb_id}"))) == 2
