"""Numbers that go wrong, in real runs: they never reach the weights, and the run says where they came from."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from preloaded import run_preloaded, run_ranks

from dataset.lm_dataset import PretrainDataset, SFTDataset
from model.model_lora import apply_lora, load_lora, save_lora
from model.weights import WeightError, load_weights, save_weights

ROOT = Path(__file__).resolve().parents[1]
STAGE = ROOT / "tests" / "faulty_stage.py"
FLAGS = ["--hidden_size", 32, "--num_hidden_layers", 1, "--max_seq_len", 32, "--log_interval", 1]
POISONED = 38  # the line with a Z


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> dict[str, Path]:
    """Sixty lines, one of them poisoned; a blank one before it, so that lines and samples are counted differently."""
    folder = tmp_path_factory.mktemp("data")
    texts = [f"第{i}句话。" for i in range(60)]
    texts[POISONED - 2] = "1Z1"
    lines = {"text": [{"text": t} for t in texts]}
    lines["talk"] = [{"conversations": [{"role": r, "content": t} for r in ("user", "assistant")]} for t in texts]
    for name, records in lines.items():
        written = [json.dumps(record, ensure_ascii=False) + "\n" for record in records]
        (folder / f"{name}.jsonl").write_text("".join([*written[:5], "\n", *written[5:]]), "utf-8")
    return {path.stem: path for path in folder.iterdir()}


def errors(*processes) -> list[str]:
    return [line for p in processes for line in re.split(r"[\r\n]+", p.stderr) if line.startswith("error: ")]


def records(out_dir: Path) -> list[dict]:
    return [json.loads(line) for line in (out_dir / "metrics" / "pretrain_32.jsonl").read_text().splitlines()]


def test_lines_of_samples(data, tokenizer, tmp_path):
    """Of a conversation its own line, of a packed row those of all documents in it, in every order."""
    text = data["text"].read_text("utf-8").splitlines()
    packed = PretrainDataset(data["text"], tokenizer, 20, cache_dir=tmp_path)
    for order in (None, np.random.default_rng(1)):
        packed.set_order(order)
        for row in range(len(packed)):
            decoded = tokenizer.decode(packed[row][0])
            numbers = packed.lines([row])
            whole = re.findall(r"<\|im_start\|>(.*?)<\|im_end\|>", decoded)
            named = [json.loads(text[number - 1])["text"] for number in numbers]
            assert set(whole) <= set(named) and len(named) <= len(whole) + 2
            assert numbers == sorted(numbers)
    assert packed.lines(range(len(packed))) == [n for n in range(1, 62) if n != 6]
    talk = SFTDataset(data["talk"], tokenizer, 64, cache_dir=tmp_path)
    assert [talk.lines([i]) for i in (0, 4, 5, 59)] == [[1], [5], [7], [61]] and talk.lines([59, 0]) == [1, 61]


@pytest.mark.parametrize("kind", ["text", "talk"])
def test_what_is_not_finite_is_stopped_and_named(data, tmp_path, kind):
    """One rank's loss, of a packed row; one sample's gradient, of a conversation. All ranks stop, one speaks."""
    flags = [*FLAGS, "--data_path", data[kind], "--out_dir", tmp_path, "--batch_size", 1, "--accumulation_steps", 2]
    flags += ["--save_interval", 1, "--eval_interval", 100, "--epochs", 20]
    env = {"FAULT": "nan" if kind == "text" else "gradient"}
    if kind == "text":
        done = run_ranks(2, STAGE, *flags, env=env)
    else:
        done = [run_preloaded(STAGE, *flags, "--conversations", 1, env=env)]
    assert [d.returncode for d in done] == [1] * len(done), done[0].stderr
    (said,) = errors(*done)
    step = int(re.search(r"the (loss|gradient) is not finite at step (\d+)", said)[2])
    named = re.search(rf"from 1 of the step's \d samples: {data[kind]}:([\d,]+)", said)[1].split(",")
    assert str(POISONED) in named and (len(named) == 1 if kind == "talk" else len(named) <= 6)
    assert ("(rank " in said) == (len(done) > 1)
    assert f"weights of step {step - 1} are in {tmp_path}" in said if step > 1 else "Nothing was saved" in said
    if step > 1:
        weights, _ = load_weights(tmp_path / "pretrain_32.pth")
        assert all(value.isfinite().all() for value in weights.state_dict().values())
    assert len([r for r in records(tmp_path) if "loss" in r]) == step - 1


def test_a_rate_too_high_blames_the_weights_and_leaves_none(data, tmp_path):
    flags = [*FLAGS, "--data_path", data["text"], "--out_dir", tmp_path, "--learning_rate", "1e6", "--epochs", 9]
    done = run_preloaded(ROOT / "trainer/train_pretrain.py", *flags, "--batch_size", 4, "--save_interval", 1)
    (said,) = errors(done)
    assert done.returncode == 1 and "--learning_rate" in said and "Traceback" not in done.stderr
    assert "training has diverged" in said or "the weights are to blame" in said
    if (tmp_path / "pretrain_32.pth").exists():
        load_weights(tmp_path / "pretrain_32.pth")  # refuses what is not finite


def test_float16_skips_steps_until_its_scale_fits(data, tmp_path):
    flags = [*FLAGS, "--data_path", data["text"], "--out_dir", tmp_path, "--dtype", "float16", "--max_steps", 30]
    flags += ["--batch_size", 4, "--eval_interval", 30]
    done = run_preloaded(STAGE, *flags, env={"FAULT": "loud"})
    assert done.returncode == 0, done.stderr
    skipped = [r["skipped_steps"] for r in records(tmp_path) if "loss" in r]
    assert len(skipped) == 30 and skipped == sorted(skipped) and 0 < skipped[-1] < 20
    assert skipped[-5:] == skipped[-1:] * 5
    assert "steps skipped" in done.stderr


def test_float16_does_not_skip_for_ever(data, tmp_path):
    flags = [*FLAGS, "--data_path", data["text"], "--out_dir", tmp_path, "--dtype", "float16", "--epochs", 30]
    done = run_preloaded(STAGE, *flags, "--batch_size", 64, env={"FAULT": "gradient"})
    (said,) = errors(done)
    assert done.returncode == 1 and "not finite at step 20 " in said and "float16" in said and str(POISONED) in said


def test_a_broken_weight_is_refused_by_name(make_model, tokenizer, tmp_path):
    """Neither loaded nor written: NaN, infinity, and what half precision cannot hold."""
    model, path = make_model(), tmp_path / "a_48.pth"
    save_weights(model, path, tokenizer)
    good = path.read_bytes()
    name = "model.layers.1.mlp.up_proj.weight"
    for number in (math.nan, math.inf, 1e6):
        state = torch.load(path, weights_only=True)
        state[name][3, 2] = number
        torch.save(state, tmp_path / "broken.pth")
        with pytest.raises(WeightError, match=rf"broken\.pth: tensor {name} .*not finite"):
            load_weights(tmp_path / "broken.pth", sizes={**sizes(model)})
        broken = make_model()
        broken.state_dict()[name][3, 2] = number
        with pytest.raises(WeightError, match=rf"a_48\.pth: not written, because tensor {name}"):
            save_weights(broken, path, tokenizer)
    assert path.read_bytes() == good
    apply_lora(model, 2)
    model.model.layers[0].self_attn.q_proj.lora.B.weight.data[0, 0] = math.nan
    adapter = tmp_path / "adapter.pth"
    with pytest.raises(WeightError, match=r"adapter\.pth: not written, because tensor .*q_proj\.lora\.B"):
        save_lora(model, adapter)
    assert not adapter.exists()
    torch.save({key: value for key, value in model.state_dict().items() if ".lora." in key}, adapter)
    with pytest.raises(WeightError, match=r"adapter\.pth: tensor model\.layers\.0\.self_attn\.q_proj\.lora\.B"):
        load_lora(make_model(), tmp_path / "adapter.pth")


def sizes(model) -> dict:
    config = model.config
    return {name: getattr(config, name) for name in ("hidden_size", "num_hidden_layers", "vocab_size")} | {
        "num_attention_heads": config.num_attention_heads, "num_key_value_heads": config.num_key_value_heads
    }  # fmt: skip
