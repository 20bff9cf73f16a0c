"""The stages after SFT, as users run them: real processes, dense and mixture of experts, on one rank and on two."""

import json
import math
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from preloaded import run_preloaded

from model.files import file_hash
from model.model_lora import load_lora
from model.weights import load_weights

ROOT = Path(__file__).resolve().parents[1]
STEPS = ["--optimizer", "adamw", "--max_steps", 6, "--seed", 7, "--log_interval", 1, "--max_seq_len", 64]
SIZE = ["--hidden_size", 32, "--num_hidden_layers", 1]
# stage: (script, data, its own flags, the name of what it writes)
STAGES = {
    "lora": ("train_lora.py", "sft", ["--lora_name", "a", "--lora_dropout", "0.1"], "lora/a_32"),
    "dpo": ("train_dpo.py", "dpo", ["--learning_rate", "1e-3"], "rlhf_32"),
    "distillation": ("train_distillation.py", "sft", [*SIZE, "--kl", "reverse"], "full_dist_32"),
    "reason": ("train_distill_reason.py", "reason", [], "reason_32"),
}


def conversation(number: int, said: str) -> list[dict]:
    question = f"{number} 的后面是几？" + "请说。" * (number % 4)  # of unlike length
    return [{"role": "user", "content": question}, {"role": "assistant", "content": said}]


def lines(kind: str) -> list[dict]:
    if kind == "sft":
        return [{"conversations": conversation(i, f"是 {i + 1}。")} for i in range(60)]
    if kind == "reason":
        form = "<think>\n{} 加 1。\n</think>\n<answer>\n{}\n</answer>"
        return [{"conversations": conversation(i, form.format(i, i + 1))} for i in range(60)]
    return [{"chosen": conversation(i, f"是 {i + 1}。"), "rejected": conversation(i, "不知道！")} for i in range(60)]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for kind in ("sft", "dpo", "reason"):
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines(kind))
        (folder / f"{kind}.jsonl").write_text(text, "utf-8")
    return folder


def train(script: str, *flags) -> subprocess.CompletedProcess:
    done = run_preloaded(ROOT / "trainer" / script, *flags)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def run_stage(name: str, data: Path, out_dir: Path, moe: int, *flags) -> subprocess.CompletedProcess:
    script, kind, own, _ = STAGES[name]
    places = ["--data_path", data / f"{kind}.jsonl", "--out_dir", out_dir, "--use_moe", moe]
    return train(script, *places, *STEPS, *own, "--batch_size", 8, *flags)


def records(out_dir: Path, name: str) -> list[dict]:
    return [json.loads(line) for line in (out_dir / "metrics" / f"{name}.jsonl").read_text().splitlines()]


def same_weights(one: Path, other: Path) -> bool:
    states = [torch.load(path, weights_only=True) for path in (one, other)]
    assert states[0].keys() == states[1].keys()
    return all(torch.equal(value, states[1][key]) for key, value in states[0].items())


@pytest.fixture(scope="module", params=[0, 1], ids=["dense", "moe"])
def trained(request, data, tmp_path_factory) -> tuple[int, Path, dict[str, str]]:
    """(use_moe, a folder in which every stage ran six steps on the same SFT weight, what each printed)."""
    moe, out_dir = request.param, tmp_path_factory.mktemp("out")
    flags = ["--from_weight", "none", "--hidden_size", 32, "--num_hidden_layers", 2, "--use_moe", moe]
    train("train_full_sft.py", *flags, *STEPS, "--data_path", data / "sft.jsonl", "--out_dir", out_dir)
    before = file_hash(weight(out_dir, "full_sft_32", moe))
    printed = {name: run_stage(name, data, out_dir, moe).stdout for name in STAGES}
    assert file_hash(weight(out_dir, "full_sft_32", moe)) == before
    return moe, out_dir, printed


def weight(out_dir: Path, name: str, moe: int) -> Path:
    return out_dir / f"{name}{'_moe' if moe else ''}.pth"


def test_every_stage_writes_what_it_promises(trained):
    moe, out_dir, printed = trained
    sft = file_hash(weight(out_dir, "full_sft_32", moe))
    for name, (*_, result) in STAGES.items():
        path = weight(out_dir, result, moe)
        info = json.loads(path.with_suffix(".json").read_text())
        assert info["stage"] == name and info["step"] == 6 and info["sha256"] == file_hash(path)
        said = records(out_dir, path.stem if name != "lora" else f"lora/{path.stem}")
        training, validated = ([r for r in said if key in r] for key in ("loss", "val_loss"))
        assert validated[-1]["val_loss"] < validated[0]["val_loss"]  # on the same samples
        assert ("aux_loss" in training[0]) == bool(moe)
        if name != "reason":
            assert list(info["origin"].values()) == [sft]
    assert "rlhf_32" in printed["reason"]  # which goes before full_sft
    assert "trained: " in printed["lora"] and "trained: " not in printed["dpo"]


def test_dpo_starts_at_ln_2_and_reports_what_it_does(trained):
    moe, out_dir, _ = trained
    figures = records(out_dir, weight(out_dir, "rlhf_32", moe).stem)
    validations = [r for r in figures if "val_loss" in r]
    first = next(r for r in figures if "loss" in r)
    assert first["loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert validations[0]["val_loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert abs(validations[0]["val_kl_to_reference"]) < 1e-6 < validations[-1]["val_kl_to_reference"]
    assert validations[-1]["val_reward_margin"] > 0 and validations[-1]["val_reward_accuracy"] == 1
    assert validations[-1]["val_chosen_logp"] > validations[0]["val_chosen_logp"] - 5
    assert "val_bits_per_byte" not in validations[0]


def test_an_adapter_file_on_the_base_gives_the_trained_network(trained, tokenizer):
    """What is in the file is the adapter alone, a few percent, and the validation of the run can be had from it."""
    moe, out_dir, _ = trained
    base, path = weight(out_dir, "full_sft_32", moe), weight(out_dir, "lora/a_32", moe)
    assert all(".lora." in key for key in torch.load(path, weights_only=True))
    model, _ = load_weights(base, tokenizer)
    ids = torch.arange(40)[None]
    with torch.no_grad():
        before = model.eval()(ids).logits
        load_lora(model, path)
        assert (model.eval()(ids).logits - before).abs().max() > 0


@pytest.mark.parametrize("name", ["lora", "dpo"])
def test_resumed_equals_uninterrupted(trained, data, tmp_path, name):
    """From the state in the middle, bit for bit: with dropout in the adapter, with DPO's reference the start weight."""
    moe, out_dir, _ = trained
    if moe:
        pytest.skip("dense says it all")
    cut, (*_, result) = tmp_path / "out", STAGES[name]
    shutil.copytree(out_dir, cut)
    run_stage(name, data, cut, moe, "--save_interval", 3)
    assert same_weights(cut / f"{result}.pth", out_dir / f"{result}.pth")
    state = cut / "checkpoints" / f"{result}.pt"
    state.with_suffix(".previous.pt").replace(state)  # of step 3
    (cut / f"{result}.pth").unlink()
    run_stage(name, data, cut, moe, "--save_interval", 3, "--from_resume", 1)
    assert same_weights(cut / f"{result}.pth", out_dir / f"{result}.pth")
    assert [r["loss"] for r in records(cut, result) if "loss" in r] == [
        r["loss"] for r in records(out_dir, result) if "loss" in r
    ]
    script, kind, own, _ = STAGES[name]
    flags = ["--data_path", data / f"{kind}.jsonl", "--out_dir", cut, *STEPS, *own, "--batch_size", 8]
    refused = run_preloaded(
        ROOT / "trainer" / script, *flags, "--from_resume", 1, "--from_weight", cut / "reason_32.pth"
    )
    assert refused.returncode == 1 and ("reference weight" if name == "dpo" else "base weight") in refused.stderr


def test_the_results_answer(data, trained, tmp_path):
    """Talking to a DPO weight, to one with an adapter on top, and to a reasoning weight, thought and answer apart."""
    moe, out_dir, _ = trained
    if moe:
        pytest.skip("dense says it all")
    for flags in (["--model_mode", 2], ["--lora_name", "a"]):
        done = run_preloaded(ROOT / "eval_model.py", "--out_dir", out_dir, "--max_seq_len", 64, "--auto", 1, *flags)
        assert done.returncode == 0 and "> 那日本呢？" in done.stdout, done.stderr
    one = {"conversations": conversation(1, "<think>\n1 加 1。\n</think>\n<answer>\n2\n</answer>")}
    (tmp_path / "one.jsonl").write_text((json.dumps(one) + "\n") * 32)
    flags = ["--data_path", tmp_path / "one.jsonl", "--out_dir", out_dir, "--save_weight", "reason_by_heart"]
    flags += ["--learning_rate", "2e-2", "--epochs", 20, "--eval_interval", 80, "--max_seq_len", 64]
    train("train_distill_reason.py", *flags, "--from_weight", "full_sft")
    prompt = one["conversations"][0]["content"]
    flags = ["--weight", out_dir / "reason_by_heart_32.pth"]
    for stream in (0, 1):
        done = run_preloaded(ROOT / "eval_model.py", *flags, "--prompt", prompt, "--stream", stream)
        assert done.stdout == "[thought]\n1 加 1。\n\n[answer]\n2\n\n", done.stderr
    question = {"category": "a", "messages": one["conversations"][:1], "answers": ["2"]}
    (tmp_path / "questions.jsonl").write_text(json.dumps(question) + "\n")
    score = ["--score", "--score_data", tmp_path / "questions.jsonl", "--score_json", tmp_path / "score.json"]
    done = run_preloaded(ROOT / "eval_model.py", *flags, *score)
    table = json.loads((tmp_path / "score.json").read_text())
    assert (table["score"], table["well_formed"]) == (100, 100), done.stderr


def test_data_of_today_trains_every_stage_that_takes_it(tmp_path):
    """With thoughts, tools and calls, as MiniMind-3's files have them; and a weight passes on how it was written to."""
    tools = json.dumps([{"type": "function", "function": {"name": "clock", "parameters": {}}}])
    call = json.dumps([{"name": "clock", "arguments": {"zone": 8}}])
    rows, pairs = [], []
    for i in range(40):
        prompt = [
            {"role": "system", "content": "", "tools": tools}, {"role": "user", "content": f"{i}：几点了？"},
            {"role": "assistant", "content": "", "reasoning_content": "看钟。", "tool_calls": call},
            {"role": "tool", "content": f"{i % 24}:00"},
        ]  # fmt: skip
        rows.append({"conversations": [*prompt, {"role": "assistant", "content": f"{i % 24} 点。"}]})
        answers = ({"role": "assistant", "content": text} for text in (f"{i % 24} 点。", "不知道。"))
        pairs.append({key: [*prompt, answer] for key, answer in zip(("chosen", "rejected"), answers, strict=True)})
    for name, lines in (("sft", rows), ("dpo", pairs)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    flags = ["--from_weight", "none", *SIZE, "--chat_template", "qwen3", "--data_path", tmp_path / "sft.jsonl"]
    # Rows of 64 tokens would end before the first answer.
    longer = ["--max_seq_len", 512, "--out_dir", tmp_path]
    train("train_full_sft.py", *STEPS, *flags, *longer)
    for name in ("lora", "dpo", "distillation"):
        run_stage(name, tmp_path, tmp_path, 0, *longer)
        info = json.loads((tmp_path / f"{STAGES[name][3]}.json").read_text())
        assert info["chat_template"] == "qwen3" and info["step"] == 6
