"""trl's trainers on converted folders of every kind: what they should lower falls, what they reward grows."""

import copy

import pytest
import torch

trl = pytest.importorskip("trl")

from datasets import Dataset  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

from model.formats.hf_folder import write_minimind, write_stock  # noqa: E402

pytestmark = pytest.mark.compat
SHARED = {
    "use_cpu": True, "bf16": False, "report_to": [], "logging_steps": 1, "per_device_train_batch_size": 4,
    "save_strategy": "no", "lr_scheduler_type": "constant", "disable_tqdm": True, "seed": 0,
}  # fmt: skip
QUESTIONS = [f"{a} 加 {b} 等于多少？" for a in range(4) for b in range(4)]


def turn(role: str, content: str) -> list[dict]:
    return [{"role": role, "content": content}]


@pytest.fixture(params=["minimind", "minimind moe", "llama", "granitemoeshared"])
def model(request, make_model, tokenizer, tmp_path):
    config = {"vocab_size": len(tokenizer), "max_position_embeddings": 256, "use_moe": "moe" in request.param}
    folder = tmp_path / request.param.replace(" ", "_")
    write = write_minimind if "minimind" in request.param else write_stock
    write(make_model(**config), tokenizer, folder, torch.float32)
    return AutoModelForCausalLM.from_pretrained(folder, dtype="float32", trust_remote_code="minimind" in request.param)


def figures(trainer, name: str) -> list[float]:
    """What a trainer has logged under `name`, step by step."""
    torch.manual_seed(0)
    trainer.train()
    return [row[name] for row in trainer.state.log_history if name in row]


def test_sft(model, tokenizer, tmp_path):
    rows = [{"messages": turn("user", text) + turn("assistant", "不知道。")} for text in QUESTIONS]
    arguments = trl.SFTConfig(output_dir=str(tmp_path), max_steps=8, learning_rate=1e-2, max_length=64, **SHARED)
    trainer = trl.SFTTrainer(model, arguments, train_dataset=Dataset.from_list(rows), processing_class=tokenizer)
    losses = figures(trainer, "loss")
    assert losses[-1] < losses[0] - 1


def test_dpo(model, tokenizer, tmp_path):
    rows = [
        {"prompt": turn("user", text), "chosen": turn("assistant", "是。"), "rejected": turn("assistant", "否。")}
        for text in QUESTIONS
    ]
    arguments = trl.DPOConfig(output_dir=str(tmp_path), max_steps=6, learning_rate=1e-3, **SHARED)
    reference = copy.deepcopy(model)  # trl would load a second one from the folder, without running its code
    trainer = trl.DPOTrainer(
        model, reference, args=arguments, train_dataset=Dataset.from_list(rows), processing_class=tokenizer
    )
    margins = figures(trainer, "rewards/margins")
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    assert abs(margins[0]) < 1e-5 and margins[-1] > 0.3 and losses[-1] < losses[0] - 0.15


def test_grpo(model, tokenizer, tmp_path):
    """The reward is the share of tokens in the lower half of the vocabulary, half of all at the start."""
    arguments = trl.GRPOConfig(
        output_dir=str(tmp_path), max_steps=20, learning_rate=5e-2, num_generations=8, max_completion_length=8,
        **SHARED | {"per_device_train_batch_size": 16},
    )  # fmt: skip

    def reward(completion_ids, **_) -> list[float]:
        return [sum(token < 3200 for token in ids) / len(ids) for ids in completion_ids]

    rows = Dataset.from_list([{"prompt": turn("user", text)} for text in QUESTIONS])
    trainer = trl.GRPOTrainer(model, reward, args=arguments, train_dataset=rows, processing_class=tokenizer)
    rewards = figures(trainer, "reward")
    assert sum(rewards[-3:]) / 3 > sum(rewards[:3]) / 3 + 0.2
