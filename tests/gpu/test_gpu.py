"""Proof on an NVIDIA GPU, in one run of a few minutes: ./run.sh test-gpu. Nothing is downloaded.

Training in every precision, --compile, grouped experts, recorded decoding steps, resume and generation are held to what
the CPU computes; at the end stands the table of scripts/benchmark.py. MINIMIND_TEST_DEVICE=cpu tries the tests
themselves where there is no GPU.
"""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from model.generation import Generator
from model.model_minimind import MiniMindConfig, MiniMindForCausalLM
from model.sampling import Sampling
from trainer.loading import load_model, speed_up

ROOT = Path(__file__).resolve().parents[2]
DEVICE = os.environ.get("MINIMIND_TEST_DEVICE", "cuda")
on_gpu = DEVICE.startswith("cuda")
SAMPLE = ROOT / "dataset" / "sample"
SIZE = ["--hidden_size", 128, "--num_hidden_layers", 2, "--max_seq_len", 128, "--batch_size", 8]
FIXED = ["--data_path", SAMPLE / "pretrain.jsonl", "--max_steps", 20, "--log_interval", 1, "--eval_interval", 1000]
pytestmark = pytest.mark.skipif(on_gpu and not torch.cuda.is_available(), reason="there is no usable NVIDIA GPU here")
KINDS = {"dense": 0, "moe": 1}
# Mean difference from float32 on the CPU, in nats per token, over 20 steps; a GPU's float32 products are TensorFloat32.
NEAR = {"float32": 0.01, "bfloat16": 0.05, "float16": 0.05}


def run(script: str, *flags, **env) -> subprocess.CompletedProcess:
    command = [str(part) for part in (sys.executable, ROOT / script, *flags)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=os.environ | env)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def pretrain(out_dir: Path, *flags) -> list[float]:
    """The loss of every step."""
    run("trainer/train_pretrain.py", "--out_dir", out_dir, *SIZE, *FIXED, *flags)
    (metrics,) = (out_dir / "metrics").glob("*.jsonl")
    records = [json.loads(line) for line in metrics.read_text("utf-8").splitlines()]
    return [record["loss"] for record in records if "loss" in record]


@pytest.fixture(scope="module", params=KINDS)
def trained(request, tmp_path_factory) -> tuple[list[float], Path, int]:
    """Losses in float32 on the CPU, the folder of the weight, and whether it is a mixture."""
    out_dir, moe = tmp_path_factory.mktemp(request.param), KINDS[request.param]
    return pretrain(out_dir, "--device", "cpu", "--use_moe", moe), out_dir, moe


@pytest.mark.parametrize("compiled", [0, 1], ids=["eager", "compiled"])
@pytest.mark.parametrize("dtype", NEAR)
def test_training_gives_the_losses_of_the_cpu(trained, tmp_path, dtype, compiled):
    if compiled and dtype == "float16":
        pytest.skip("as bfloat16")
    expected, _, moe = trained
    found = pretrain(tmp_path, "--device", DEVICE, "--use_moe", moe, "--dtype", dtype, "--compile", compiled)
    assert len(found) == len(expected) and found[-1] < found[0] - 0.5
    mean = sum(abs(one - other) for one, other in zip(found, expected, strict=True)) / len(found)
    assert mean < NEAR[dtype] * (2 if moe else 1), (found, expected)


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(tmp_path):
    flags = ["--device", DEVICE, "--dropout", "0.1", "--save_interval", 5]
    whole = pretrain(tmp_path / "whole", *flags)
    code = (  # dies after the state of step 10 is on the disk
        "import os, runpy, sys; sys.argv = sys.argv[1:]; sys.path.insert(0, os.path.dirname(sys.argv[0]))\n"
        f"sys.path.insert(0, {str(ROOT)!r}); from trainer.engine import Trainer; save = Trainer.save\n"
        "Trainer.save = lambda self: (save(self), self.step == 10 and os._exit(9))\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    parts = [sys.executable, "-c", code, ROOT / "trainer" / "train_pretrain.py", "--out_dir", tmp_path / "cut"]
    killed = subprocess.run([str(part) for part in (*parts, *SIZE, *FIXED, *flags)], capture_output=True, text=True)
    assert killed.returncode == 9, killed.stderr[-2000:]
    resumed = pretrain(tmp_path / "cut", *flags, "--from_resume", 1)
    assert resumed == pytest.approx(whole, abs=1e-4)


def test_generation_says_what_the_cpu_says(trained):
    """Greedy, several rows at once, with and without recorded steps; log-probabilities near."""
    _, out_dir, moe = trained
    prompts, answers = [[1, 20, 30], [1, *range(40, 140)], [1, 9]], []
    for device, graphs in (("cpu", "1"), (DEVICE, "1"), (DEVICE, "0")):
        os.environ["MINIMIND_CUDA_GRAPHS"] = graphs
        model, tokenizer, *_ = load_model("pretrain", str(out_dir), None, {}, "pretrain", device=device)
        engine = Generator(model, tokenizer, max_batch=4, max_length=256, dtype=torch.float32)
        done = engine.generate(prompts, Sampling(max_tokens=40, logprobs=1, stop_ids=()))
        answers.append([[(token.token_id, token.logprob) for token in request.logprobs] for request in done])
    for others in answers[1:]:
        for row, other in zip(answers[0], others, strict=True):
            same = next((i for i, (a, b) in enumerate(zip(row, other, strict=True)) if a[0] != b[0]), len(row))
            assert same >= 8  # later a near-tie may part them
            assert [p for _, p in other[:same]] == pytest.approx([p for _, p in row[:same]], abs=0.02)


def test_experts_in_one_kernel_are_the_experts_one_by_one():
    """Loss and gradients of the grouped experts in bfloat16, beside the plain formula's."""
    torch.manual_seed(0)
    config = MiniMindConfig(vocab_size=97, hidden_size=64, num_attention_heads=4, num_hidden_layers=2, use_moe=True)
    plain = MiniMindForCausalLM(config).to(DEVICE).train()
    fast, ids, found = speed_up(copy.deepcopy(plain)), torch.randint(3, 97, (4, 64), device=DEVICE), []
    for model in (plain, fast):
        with torch.autocast(DEVICE.split(":")[0], dtype=torch.bfloat16):
            loss = model(ids, labels=ids).loss
        loss.backward()
        found.append((loss.item(), {name: p.grad for name, p in model.named_parameters()}))
    assert found[0][0] == pytest.approx(found[1][0], abs=0.02)
    for name, gradient in found[0][1].items():
        assert (found[1][1][name] - gradient).norm() < 0.2 * gradient.norm() + 1e-4, name


def test_the_table_of_the_benchmark(capsys):
    """Steps per second and MFU of 26M, 104M and the mixture of 145M, tokens per second, memory, beside transformers."""
    flags = ["--all", 1, "--device", DEVICE] if on_gpu else ["--hidden_size", 64, "--num_hidden_layers", 2]
    done = run("scripts/benchmark.py", *flags, "--repeats", 3)
    with capsys.disabled():
        print("\n" + done.stdout[done.stdout.rindex("}\n") + 2 :])
