"""Every stage on two ranks, dense and mixture of experts: the figures are those of one rank."""

import json
from pathlib import Path

import pytest
from preloaded import run_ranks
from runs import STAGES, Run, make_data

pytestmark = pytest.mark.compat
FLAGS = ["--max_steps", 8, "--eval_interval", 4, "--optimizer", "adamw", "--learning_rate", "1e-4"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    make_data(folder)
    return folder


def on_two_ranks(run: Run, *flags) -> None:
    for done in run_ranks(2, *run.command(), "--batch_size", 2, *flags):
        assert done.returncode == 0, done.stderr[-3000:]


def make_run(folder: Path, stage: str, moe: int, name: str) -> Run:
    flags = [*FLAGS, *(["--lora_dropout", 0] if stage == "lora" else [])]
    run = Run(stage, moe, folder / f"{stage}_{moe}_{name}", flags)
    run.out_dir.mkdir()
    return run


def assert_agree(one: Run, two: Run) -> None:
    for a, b in zip(one.records(), two.records(), strict=True):
        assert a.keys() == b.keys() and a["step"] == b["step"] and a["tokens"] == b["tokens"]
        for key in a.keys() - {"val_kl_to_reference"}:  # of answers that each rank samples for itself
            assert b[key] == pytest.approx(a[key], abs=2e-4, rel=1e-3), (key, a["step"])


@pytest.mark.parametrize("moe", [0, 1], ids=["dense", "moe"])
@pytest.mark.parametrize("stage", STAGES)
def test_two_ranks_equal_one(folder, stage, moe):
    one, two = (make_run(folder, stage, moe, name) for name in ("one", "two"))
    assert one.start().join().returncode == 0
    on_two_ranks(two)
    assert_agree(one, two)


def test_two_ranks_may_go_on_as_one(folder):
    """The same samples in the same order, without dropout."""
    one, fewer = (make_run(folder, "sft", 1, name) for name in ("alone", "fewer"))
    assert one.start().join().returncode == 0
    on_two_ranks(fewer, "--save_interval", 4)
    fewer.state.with_suffix(".previous.pt").replace(fewer.state)  # of step 4
    done = fewer.start().join()
    assert done.returncode == 0 and "stopped with 2 ranks, resumed with 1" in done.stdout, done.stderr
    assert_agree(one, fewer)
    assert json.loads(fewer.weight.with_suffix(".json").read_text())["step"] == 8
