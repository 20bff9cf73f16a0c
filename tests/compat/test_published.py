"""Weights in the exact form and sizes in which MiniMind2 and MiniMind-3 are published, with random numbers in them."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from dataset.chat_template import template_name
from eval_model import EvalOptions
from model.model_minimind import MiniMindConfig, MiniMindForCausalLM
from scripts.convert_model import ConvertOptions, convert
from trainer.options import PRESETS

pytestmark = pytest.mark.compat
ROOT = Path(__file__).resolve().parents[2]
CLASSES = {
    "minimind2-small": "Llama", "minimind2": "Llama", "minimind2-moe": "GraniteMoeShared", "minimind3": "Qwen3",
    "minimind3-moe": "Qwen3Moe",
}  # fmt: skip
IDS = torch.randint(16, 6400, (2, 40), generator=torch.Generator().manual_seed(1))


def logits(model) -> torch.Tensor:
    with torch.inference_mode():
        return model.eval()(IDS).logits


@pytest.mark.parametrize("preset", PRESETS)
def test_a_published_file_is_the_stock_class_and_comes_back_the_same(preset, tmp_path):
    """The bare .pth in half precision, by its preset: logits as transformers computes them, and there and back."""
    torch.manual_seed(3)
    sizes = {name: value for name, value in PRESETS[preset].items() if name != "chat_template"}
    state = {key: value.half() for key, value in MiniMindForCausalLM(MiniMindConfig(**sizes)).state_dict().items()}
    path = tmp_path / "published.pth"
    torch.save(state, path)
    flags = {"preset": preset, "tokenizer": str(ROOT / "model")}
    model, tokenizer, *_ = EvalOptions(weight=str(path), device="cpu", **flags).load_model()
    assert template_name(tokenizer) == ("qwen3" if "3" in preset else "minimind")
    folder, back = tmp_path / "folder", tmp_path / "back.pth"
    convert(ConvertOptions(weight=str(path), to="llama", output=str(folder), outtype="f16", **flags))
    stock = AutoModelForCausalLM.from_pretrained(folder, dtype="float32", trust_remote_code=False)
    assert type(stock).__name__ == f"{CLASSES[preset]}ForCausalLM"
    torch.testing.assert_close(logits(stock), logits(model), rtol=0, atol=1e-5)
    convert(ConvertOptions(weight=str(folder), to="torch", output=str(back)))
    after = torch.load(back, weights_only=True)
    assert after.keys() == state.keys() and all(torch.equal(after[key], value) for key, value in state.items())
    assert json.loads(back.with_suffix(".json").read_text())["chat_template"] == template_name(tokenizer)
