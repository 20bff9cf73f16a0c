"""Training as users run it: real processes of the stage scripts, on a small network and a small file."""

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from preloaded import Preloaded, run_preloaded

from model.weights import load_weights
from trainer.optim import Float32Muon, get_lr, make_optimizer

ROOT = Path(__file__).resolve().parents[1]
SMALL = ["--hidden_size", "32", "--num_hidden_layers", "2", "--max_seq_len", "64", "--log_interval", "1"]
# AdamW at 1e-4 is the optimizer whose runs are compared: rounding stays rounding.
EXACT = ["--optimizer", "adamw", "--learning_rate", "1e-4", "--max_steps", "20", "--seed", "7"]


def train(script: str, out_dir: Path, *flags, ok=True, **kwargs) -> subprocess.CompletedProcess:
    done = run_preloaded(ROOT / "trainer" / script, *SMALL, "--out_dir", out_dir, *flags, **kwargs)
    assert not ok or done.returncode == 0, done.stderr[-3000:]
    return done


def records(out_dir: Path, name: str) -> list[dict]:
    return [json.loads(line) for line in (out_dir / "metrics" / f"{name}.jsonl").read_text().splitlines()]


def losses(out_dir: Path, name: str, key: str = "loss") -> list[float]:
    return [record[key] for record in records(out_dir, name) if key in record]


def assert_close(one: list[float], other: list[float], tolerance: float) -> None:
    assert len(one) == len(other) > 0
    assert max(abs(a - b) for a, b in zip(one, other, strict=True)) <= tolerance


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> dict[str, Path]:
    """The first lines of the sample, enough for a few dozen steps."""
    folder = tmp_path_factory.mktemp("data")
    for name, lines in (("pretrain", 400), ("sft", 200)):
        text = (ROOT / "dataset" / "sample" / f"{name}.jsonl").read_text(encoding="utf-8")
        (folder / f"{name}.jsonl").write_text("".join(text.splitlines(keepends=True)[:lines]), encoding="utf-8")
    return {path.stem: path for path in folder.iterdir()}


@pytest.fixture(scope="module")
def pretrained(data, tmp_path_factory) -> Path:
    """A folder with 20 steps of pretraining, one process, batch 8."""
    out_dir = tmp_path_factory.mktemp("pretrained")
    train("train_pretrain.py", out_dir, *EXACT, "--data_path", data["pretrain"], "--batch_size", 8)
    return out_dir


def test_weights_and_metrics_describe_the_run(pretrained, data):
    info = json.loads((pretrained / "pretrain_32.json").read_text())
    assert info["stage"] == "pretrain" and info["step"] == 20 and info["config"]["hidden_size"] == 32
    recipe = {"start": "new", "learning_rate": 1e-4, "batch_size": 8, "max_seq_len": 64, "steps": 20}
    assert recipe.items() <= info["recipe"].items() and info["data"]["file"] == data["pretrain"].name
    assert info["validation"]["val_loss"] == losses(pretrained, "pretrain_32", "val_loss")[-1]
    model, _ = load_weights(pretrained / "pretrain_32.pth")
    assert sum(p.numel() for p in model.parameters()) > 6400 * 32
    training = [r for r in records(pretrained, "pretrain_32") if "loss" in r]
    assert [r["step"] for r in training] == list(range(1, 21))
    assert training[-1]["loss"] < training[0]["loss"]
    assert all(r["tokens_per_second"] > 0 and 0 <= r["data_wait"] <= 1 and r["peak_memory_mib"] > 50 for r in training)
    assert math.isclose(training[0]["loss"], math.log(6400), rel_tol=0.02)  # a new network knows nothing


def test_two_ranks_equal_one_pretrain(pretrained, data, tmp_path):
    """Started by torchrun itself; tests/compat/test_two_ranks.py has the other stages."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    launcher += ["--rdzv_backend", "c10d", "--rdzv_endpoint", "localhost:0"]  # a free port
    command = [*launcher, ROOT / "trainer" / "train_pretrain.py", *SMALL, *EXACT, "--out_dir", tmp_path]
    command += ["--data_path", data["pretrain"], "--batch_size", "4"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert_close(losses(tmp_path, "pretrain_32"), losses(pretrained, "pretrain_32"), 1e-4)
    assert_close(losses(tmp_path, "pretrain_32", "val_loss"), losses(pretrained, "pretrain_32", "val_loss"), 1e-4)


def test_accumulation_equals_a_larger_batch(pretrained, data, tmp_path):
    flags = ["--data_path", data["pretrain"], "--batch_size", 2, "--accumulation_steps", 4]
    train("train_pretrain.py", tmp_path, *EXACT, *flags)
    assert_close(losses(tmp_path, "pretrain_32"), losses(pretrained, "pretrain_32"), 1e-4)


def test_resumed_equals_uninterrupted(data, tmp_path):
    """Stopped in the middle of an epoch, with dropout and accumulation: the same losses and weights, bit for bit."""
    flags = [*EXACT, "--data_path", data["sft"], "--from_weight", "none", "--dropout", "0.1", "--batch_size", 4]
    flags += ["--accumulation_steps", 2, "--save_interval", 5, "--average", 0.95]
    train("train_full_sft.py", tmp_path / "whole", *flags)
    process = Preloaded(ROOT / "trainer/train_full_sft.py", *SMALL, "--out_dir", tmp_path / "cut", *flags)
    metrics = tmp_path / "cut" / "metrics" / "full_sft_32.jsonl"
    while not metrics.exists() or '"step": 3,' not in metrics.read_text():
        assert process.join(0.01) is None
    process.send_signal(signal.SIGTERM)
    stopped = process.join(60)
    assert stopped.returncode == 128 + signal.SIGTERM and "--from_resume 1" in stopped.stderr
    train("train_full_sft.py", tmp_path / "cut", *flags, "--from_resume", 1)
    assert losses(tmp_path / "cut", "full_sft_32") == losses(tmp_path / "whole", "full_sft_32")
    whole, _ = load_weights(tmp_path / "whole" / "full_sft_32.pth")
    cut, _ = load_weights(tmp_path / "cut" / "full_sft_32.pth")
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), cut.state_dict().values(), strict=True))
    changed = train("train_full_sft.py", tmp_path / "cut", *flags, "--from_resume", 1, "--dropout", "0.2", ok=False)
    assert changed.returncode == 1 and "dropout 0.1" in changed.stderr and "Traceback" not in changed.stderr


NORM = "model.model.norm.weight"  # in a training state


def test_averaging_gives_the_mean_of_the_last_steps(data, tmp_path):
    """The result, its validation and its training state; the steps before are those of a run without it."""
    flags = [*EXACT, "--max_steps", 5, "--data_path", data["pretrain"], "--batch_size", 4, "--save_interval", 1]
    train("train_pretrain.py", tmp_path / "plain", *flags)
    train("train_pretrain.py", tmp_path / "mean", *flags, "--average", 0.4)
    before, last, mean = (
        torch.load(tmp_path / f"{folder}/checkpoints/pretrain_32{which}.pt", weights_only=True)["model"]
        for folder, which in (("plain", ".previous"), ("plain", ""), ("mean", ""))
    )
    assert mean.keys() == last.keys() and not torch.equal(before[NORM], last[NORM])
    assert all(torch.allclose(mean[key], (before[key] + last[key]) / 2, rtol=0, atol=1e-7) for key in last)
    weight, _ = load_weights(tmp_path / "mean" / "pretrain_32.pth")
    assert all(torch.equal(value, mean[f"model.{key}"].half().float()) for key, value in weight.state_dict().items())
    assert losses(tmp_path / "plain", "pretrain_32") == losses(tmp_path / "mean", "pretrain_32")
    ends = [losses(tmp_path / folder, "pretrain_32", "val_loss") for folder in ("plain", "mean")]
    assert ends[0][:-1] == ends[1][:-1] and ends[0][-1] != ends[1][-1]


def test_variants_run(data, tmp_path):
    """bfloat16 on the CPU, Muon, checkpointing, several epochs, from inside trainer/."""
    flags = ["--data_path", data["pretrain"], "--max_steps", 3, "--dtype", "bfloat16", "--optimizer", "muon"]
    flags += ["--gradient_checkpointing", 1, "--use_moe", 1, "--num_workers", 1, "--batch_size", 4]
    done = train("train_pretrain.py", tmp_path, *flags, cwd=ROOT / "trainer")
    assert "pretrain_32_moe.pth" in done.stderr and len(losses(tmp_path, "pretrain_32_moe")) == 3


def test_compile_gives_the_same_losses(data, tmp_path):
    for how in (0, 1):
        flags = ["--data_path", data["pretrain"], "--batch_size", 4, "--num_hidden_layers", 1, "--compile", how]
        train("train_pretrain.py", tmp_path / str(how), *EXACT, *flags)
    assert_close(losses(tmp_path / "0", "pretrain_32"), losses(tmp_path / "1", "pretrain_32"), 1e-4)


def test_a_rate_too_high_is_stopped_before_it_reaches_the_weights(data, tmp_path):
    flags = ["--data_path", data["pretrain"], "--learning_rate", "1e30", "--warmup_steps", 0, "--grad_clip", 0]
    done = train("train_pretrain.py", tmp_path, *flags, ok=False)
    assert done.returncode == 1 and "not finite at step" in done.stderr and "Traceback" not in done.stderr


def test_schedule():
    assert get_lr(0, 100, 1.0, warmup_steps=10) == pytest.approx(0.1)
    assert get_lr(9, 100, 1.0, warmup_steps=10) == 1.0
    assert get_lr(99, 100, 1.0, warmup_steps=10) == pytest.approx(0.1)
    middle = get_lr(55, 101, 1.0, warmup_steps=10)
    assert middle == pytest.approx(0.1 + 0.9 * 0.5)
    rates = [get_lr(step, 100, 1.0, warmup_steps=10) for step in range(10, 100)]
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_the_embedding_learns_at_its_multiple_of_the_rate(make_model, name):
    model = make_model()
    optimizer = make_optimizer(model, name, 0.1, "cpu", embedding_lr_scale=4.0)
    optimizer.load_state_dict(optimizer.state_dict())  # as a resume does
    optimizer.set_lr(0.5)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert rates == {id(p): 2.0 if "embed" in key else 0.5 for key, p in model.named_parameters()}


def test_the_temperature_is_learned_at_its_own_rate_and_the_gain_keeps_its_direction(make_model):
    """Longer where the gradient says so, by exp(rate) in Adam's first step; all else is as without."""
    model, plain = make_model(), make_model()
    gain = model.model.norm.weight
    with torch.no_grad():
        gain.copy_(torch.linspace(-1, 2, len(gain)))
    before = gain.detach().clone()
    for each, flags in ((model, {"temperature_lr_scale": 300.0}), (plain, {})):
        optimizer = make_optimizer(each, "adamw", 0.1, "cpu", **flags)
        optimizer.load_state_dict(optimizer.state_dict())
        optimizer.set_lr(1e-4)
        for key, parameter in each.named_parameters():
            parameter.grad = -before if key == "model.norm.weight" else torch.ones_like(parameter)
        optimizer.step()
    torch.testing.assert_close(gain.detach(), before * math.exp(0.03))
    others = (dict(each.named_parameters()) for each in (model, plain))
    for (key, ours), theirs in zip(next(others).items(), next(others).values(), strict=True):
        assert key == "model.norm.weight" or torch.equal(ours, theirs)


def test_decay_reaches_matrices_only():
    from model.model_minimind import MiniMindConfig, MiniMindForCausalLM

    model = MiniMindForCausalLM(MiniMindConfig(vocab_size=64, hidden_size=32, num_hidden_layers=1, use_moe=True))
    groups = make_optimizer(model, "adamw", 0.1, "cpu").param_groups
    decayed = {id(p) for group in groups if group["weight_decay"] > 0 for p in group["params"]}
    names = {name for name, p in model.named_parameters() if id(p) in decayed}
    assert "model.embed_tokens.weight" not in names and not any("norm" in name for name in names)
    assert "model.layers.0.self_attn.q_proj.weight" in names
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))


@pytest.mark.parametrize("shape", [(24, 24), (16, 40), (40, 16)])
def test_muon_in_float32_is_torchs_to_the_rounding_of_bfloat16(shape):
    torch.manual_seed(0)
    start, gradients = torch.randn(shape), torch.randn(4, *shape)
    ends = []
    for muon in (torch.optim.Muon, Float32Muon):
        matrix = torch.nn.Parameter(start.clone())
        optimizer = muon([matrix], lr=0.1, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
        for gradient in gradients:
            matrix.grad = gradient.clone()
            optimizer.step()
        ends.append((matrix.detach(), optimizer.state_dict()))
    (theirs, state), (ours, own_state) = ends
    moved = (theirs - start).norm()
    assert (ours - theirs).norm() < 0.02 * moved and moved > 0.1
    assert torch.equal(state["state"][0]["momentum_buffer"], own_state["state"][0]["momentum_buffer"])
    assert state["param_groups"] == own_state["param_groups"]
