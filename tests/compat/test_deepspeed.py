"""DeepSpeed's ZeRO beside one rank and beside DDP: the same batches give the same losses, weights and states."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

pytest.importorskip("deepspeed")

from preloaded import CONTEXT, LIBRARIES, Ranks, run_ranks  # noqa: E402

from model.weights import load_weights  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
STEPS = ["--optimizer", "adamw", "--learning_rate", "1e-4", "--max_steps", 12, "--seed", 7]
STEPS += ["--log_interval", 1, "--max_seq_len", 64, "--device", "cpu"]
SIZE = ["--hidden_size", 32, "--num_hidden_layers", 2]
CPU = {"device": "cpu"}
# name: what stands under zero_optimization
ZERO = {
    "ZeRO 1": {"stage": 1},
    "ZeRO 2": {"stage": 2},
    "ZeRO 3": {"stage": 3},
    "ZeRO 2, offload": {"stage": 2, "offload_optimizer": CPU},
    "ZeRO 3, offload": {"stage": 3, "offload_optimizer": CPU, "offload_param": CPU},
}
RUNS = {
    "pretrain": ("train_pretrain.py", [*SIZE], "pretrain_32", ["DDP", *ZERO]),
    "SFT, mixture of experts": (
        "train_full_sft.py",
        [*SIZE, "--from_weight", "none", "--use_moe", 1],
        "full_sft_32_moe",
        ["ZeRO 2", "ZeRO 3, offload"],
    ),
}

CONTEXT.set_forkserver_preload([*LIBRARIES, "deepspeed"])

pytestmark = pytest.mark.compat


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """The first lines of the sample, enough for 12 steps, and the settings of each kind of ZeRO."""
    folder = tmp_path_factory.mktemp("data")
    for name, lines in (("pretrain", 400), ("sft", 200), ("dpo", 60), ("reason", 60)):
        text = (ROOT / "dataset" / "sample" / f"{name}.jsonl").read_text(encoding="utf-8")
        (folder / f"{name}.jsonl").write_text("".join(text.splitlines(keepends=True)[:lines]), encoding="utf-8")
    for name, zero in ZERO.items():
        (folder / f"{name}.json").write_text(json.dumps({"zero_optimization": zero}))
    return folder


def flags_of(script: str, data: Path, out_dir: Path, *flags) -> list:
    kinds = {"train_pretrain.py": "pretrain", "train_dpo.py": "dpo", "train_distill_reason.py": "reason"}
    return [*STEPS, "--data_path", data / f"{kinds.get(script, 'sft')}.jsonl", "--out_dir", out_dir, *flags]


def train(n: int, script: str, *flags) -> str:
    """What rank 0 said; every rank must end well, and in silence."""
    done = run_ranks(n, ROOT / "trainer" / script, *flags)
    assert [process.returncode for process in done] == [0] * n, "\n\n".join(p.stderr[-2000:] for p in done)
    for process in done[1:]:
        assert not process.stdout and not process.stderr
    assert "arning" not in done[0].stderr and "DeepSpeed" not in done[0].stdout + done[0].stderr
    return done[0].stderr


def figures(out_dir: Path, name: str, key: str = "loss") -> list[float]:
    records = map(json.loads, (out_dir / "metrics" / f"{name}.jsonl").read_text().splitlines())
    return [record[key] for record in records if key in record]


def difference(one: list[float], other: list[float]) -> float:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


def state_of(out_dir: Path, name: str) -> dict:
    return torch.load(out_dir / "checkpoints" / f"{name}.pt", weights_only=True)


def stop(n: int, script: str, flags: list, out_dir: Path, name: str, after_step: int) -> None:
    """Train, and send SIGTERM as soon as the figures of a step are there; the run must have saved."""
    ranks = Ranks(n, ROOT / "trainer" / script, *flags)
    metrics = out_dir / "metrics" / f"{name}.jsonl"
    while not metrics.exists() or f'"step": {after_step},' not in metrics.read_text():
        assert all(process.exitcode is None for process in ranks.processes)
        time.sleep(0.01)
    for process in ranks.processes:  # as launchers do
        os.kill(process.pid, signal.SIGTERM)
    stopped = ranks.finish()
    assert [process.returncode for process in stopped] == [128 + signal.SIGTERM] * n, stopped[0].stderr[-2000:]
    assert "--from_resume 1" in stopped[0].stderr


@pytest.mark.parametrize("run", RUNS)
def test_loss_curves_agree(run, data, tmp_path):
    """One rank, DDP and every kind of ZeRO, with accumulation: losses, gradient norms, validation, weights, states."""
    script, flags, name, kinds = RUNS[run]
    train(1, script, *flags_of(script, data, tmp_path / "one", *flags, "--batch_size", 8))
    keys = ("loss", "grad_norm", "val_loss")
    print(f"\n{run}: largest difference to one rank over 12 steps\n{'2 ranks':18}", *(f"{key:>10}" for key in keys))
    expected = load_weights(tmp_path / "one" / f"{name}.pth")[0].state_dict()
    differences = {}
    for kind in kinds:
        out_dir = tmp_path / kind
        more = ["--deepspeed", data / f"{kind}.json"] if kind in ZERO else []
        batch = ["--batch_size", 2, "--accumulation_steps", 2]
        train(2, script, *flags_of(script, data, out_dir, *flags, *batch, *more))
        found = [difference(figures(tmp_path / "one", name, key), figures(out_dir, name, key)) for key in keys]
        print(f"{kind:18}", *(f"{value:10.1e}" for value in found))
        differences[kind] = max(found[0], found[2])
        for key, value in load_weights(out_dir / f"{name}.pth")[0].state_dict().items():
            assert (value - expected[key]).abs().max() < 2e-3  # half precision, and twelve steps of 1e-4 apart at most
        state, alone = state_of(out_dir, name), state_of(tmp_path / "one", name)
        assert state["model"].keys() == alone["model"].keys()
        moments, theirs = (s["optimizer"]["parts"][0]["state"] for s in (state, alone))
        assert moments.keys() == theirs.keys() and float(moments[0]["step"]) == 12
        for number, moment in moments.items():
            assert torch.allclose(moment["exp_avg"], theirs[number]["exp_avg"], rtol=0.02, atol=1e-4)
    assert max(differences.values()) <= 1e-4


@pytest.mark.parametrize("kind", ["ZeRO 1", "ZeRO 2", "ZeRO 3", "ZeRO 3, offload"])
def test_resumed_equals_uninterrupted(kind, data, tmp_path):
    """Stopped by SIGTERM in mid-epoch, with dropout: the same weights and moments to the bit, as the state holds every
    number that DeepSpeed works with, undivided and unrounded."""
    script, name = "train_full_sft.py", "full_sft_32"
    flags = [*SIZE, "--from_weight", "none", "--dropout", "0.1", "--batch_size", 2, "--accumulation_steps", 2]
    flags += ["--max_steps", 12, "--average", 0.95, "--deepspeed", data / f"{kind}.json"]
    train(2, script, *flags_of(script, data, tmp_path / "whole", *flags))
    stop(2, script, flags_of(script, data, tmp_path / "cut", *flags), tmp_path / "cut", name, after_step=3)
    assert 3 <= state_of(tmp_path / "cut", name)["step"] < 12
    train(2, script, *flags_of(script, data, tmp_path / "cut", *flags, "--from_resume", 1))
    assert figures(tmp_path / "cut", name) == figures(tmp_path / "whole", name)
    cut, whole = (state_of(tmp_path / folder, name) for folder in ("cut", "whole"))
    assert all(torch.equal(value, whole["model"][key]) for key, value in cut["model"].items())
    for number, moments in cut["optimizer"]["parts"][0]["state"].items():
        for key, value in moments.items():
            assert torch.equal(value, whole["optimizer"]["parts"][0]["state"][number][key])


def test_a_run_goes_on_in_another_company(data, tmp_path):
    """ZeRO 3 on three ranks, among which nothing divides evenly, then DDP, then ZeRO 2: as one rank all the time."""
    script, name = "train_pretrain.py", "pretrain_32"
    flags = [*SIZE, "--max_steps", 15]
    train(1, script, *flags_of(script, data, tmp_path / "one", *flags, "--batch_size", 12))
    out_dir = tmp_path / "parts"
    three = flags_of(script, data, out_dir, *flags, "--batch_size", 4, "--deepspeed", data / "ZeRO 3.json")
    two = flags_of(script, data, out_dir, *flags, "--batch_size", 6, "--from_resume", 1)
    stop(3, script, three, out_dir, name, after_step=2)
    stop(2, script, two, out_dir, name, after_step=7)
    train(2, script, *two, "--deepspeed", data / "ZeRO 2.json")
    assert difference(figures(tmp_path / "one", name), figures(out_dir, name)) <= 1e-4


def test_the_other_stages(data, tmp_path):
    """LoRA's frozen weights, DPO's reference, the distillation's teacher, weighted tokens: as DDP."""
    base = ["train_full_sft.py", data, tmp_path / "base", *SIZE, "--from_weight", "none"]
    train(1, base[0], *flags_of(*base))
    stages = {
        "train_lora.py": ([], "lora/identity_32"),
        "train_dpo.py": (["--learning_rate", "1e-3"], "rlhf_32"),
        "train_distillation.py": (["--hidden_size", 32, "--num_hidden_layers", 1], "full_dist_32"),
        "train_distill_reason.py": (["--from_weight", "full_sft"], "reason_32"),
    }
    for script, (own, name) in stages.items():
        for kind in ("DDP", "ZeRO 2", "ZeRO 3"):
            shutil.copytree(tmp_path / "base", tmp_path / script / kind)
            flags = [*own, "--max_steps", 6, "--batch_size", 4]
            flags += ["--deepspeed", data / f"{kind}.json"] if kind in ZERO else []
            train(2, script, *flags_of(script, data, tmp_path / script / kind, *flags))
            one, other = (tmp_path / script / k for k in ("DDP", kind))
            for key in ("loss", "val_loss"):
                assert difference(figures(one, name, key), figures(other, name, key)) <= 1e-4, (script, kind, key)
            one, other = (torch.load(folder / f"{name}.pth", weights_only=True) for folder in (one, other))
            assert one.keys() == other.keys()
            assert all((value - other[key]).abs().max() < 2e-3 for key, value in one.items())


def test_variants(data, tmp_path):
    """bfloat16, checkpointing, one rank alone, no clipping; compiled code where the stage allows it."""
    script, name = "train_pretrain.py", "pretrain_32"
    flags = [*SIZE, "--max_steps", 5, "--dtype", "bfloat16", "--batch_size", 4]
    train(2, script, *flags_of(script, data, tmp_path / "ddp", *flags))
    variants = {
        "checkpointing": (2, "ZeRO 3", ["--gradient_checkpointing", 1]),
        "compiled": (2, "ZeRO 2", ["--compile", 1]),
        "alone": (1, "ZeRO 2", ["--batch_size", 8]),
    }
    for variant, (n, kind, more) in variants.items():
        zero = ["--deepspeed", data / f"{kind}.json"]
        train(n, script, *flags_of(script, data, tmp_path / variant, *flags, *more, *zero))
        # bfloat16 has eight bits: the order of rounding shows
        assert difference(figures(tmp_path / "ddp", name), figures(tmp_path / variant, name)) < 5e-3, variant


@pytest.mark.parametrize("kind", ["ZeRO 2", "ZeRO 3"])
def test_a_loss_that_is_not_finite_stops_all_ranks_before_it_reaches_the_weights(kind, data, tmp_path):
    """One text of eighty, of one rank: rank 0 names its line, and the last good weights load."""
    texts = [json.dumps({"text": "1Z1" if i == 36 else f"第{i}句话。"}) + "\n" for i in range(80)]
    (tmp_path / "text.jsonl").write_text("".join(texts), "utf-8")
    flags = [*STEPS, *SIZE, "--data_path", tmp_path / "text.jsonl", "--out_dir", tmp_path, "--max_seq_len", 32]
    flags += ["--batch_size", 1, "--save_interval", 1, "--eval_interval", 100, "--deepspeed", data / f"{kind}.json"]
    done = run_ranks(2, ROOT / "tests" / "faulty_stage.py", *flags, env={"FAULT": "nan"})
    assert [process.returncode for process in done] == [1, 1], done[0].stderr[-2000:]
    said = [line for process in done for line in process.stderr.splitlines() if line.startswith("error: ")]
    assert len(said) == 1 and "the loss is not finite at step " in said[0], said
    named = re.search(r"text\.jsonl:([\d,]+)", said[0])[1].split(",")
    assert "37" in named and len(named) <= 6
    load_weights(tmp_path / "pretrain_32.pth")


@pytest.mark.parametrize("launcher", ["deepspeed", "torchrun"])
def test_the_launchers(launcher, data, tmp_path):
    """The shipped settings, each launcher as users type it."""
    bin_dir = Path(sys.executable).parent
    torchrun = ["torchrun", "--nproc_per_node", 2, "--rdzv_backend", "c10d", "--rdzv_endpoint", "localhost:0"]
    command = torchrun if launcher == "torchrun" else ["deepspeed", "--num_gpus", 2]
    flags = flags_of("train_pretrain.py", data, tmp_path, *SIZE, "--max_steps", 3, "--batch_size", 4)
    words = [*command, ROOT / "trainer/train_pretrain.py", *flags, "--deepspeed", ROOT / "trainer/ds_config.json"]
    env = os.environ | {"OMP_NUM_THREADS": "1", "PATH": f"{bin_dir}:{os.environ['PATH']}"}
    done = subprocess.run(list(map(str, words)), env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "on 2 x cpu" in done.stdout and len(figures(tmp_path, "pretrain_32")) == 3
    load_weights(tmp_path / "pretrain_32.pth")
