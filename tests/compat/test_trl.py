"""DPO against trl's own trainer: same pairs, policy and reference, same loss, rewards and log-probabilities.

Without label smoothing, which trl 1.16 leaves out of its plain DPO loss; tests/test_losses.py writes that out.
"""

from pathlib import Path

import pytest
import torch

trl = pytest.importorskip("trl")

from datasets import Dataset  # noqa: E402
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM  # noqa: E402

from trainer.losses import dpo_loss, sequence_log_probs  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


def llama(seed: int) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=6400, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        initializer_range=0.3,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


@pytest.mark.compat
def test_dpo_is_trls(tmp_path):
    rows = [("1 + 1 =", " 2", " 三十"), ("天空是", "蓝色的。", "绿的"), ("hello", " there, friend", " no")]
    pairs = Dataset.from_list([{"prompt": p, "chosen": c, "rejected": r} for p, c, r in rows])
    policy, reference = llama(0), llama(1)
    arguments = trl.DPOConfig(
        output_dir=str(tmp_path), beta=0.05, per_device_eval_batch_size=3, use_cpu=True, report_to=[], bf16=False,
    )  # fmt: skip
    trainer = trl.DPOTrainer(
        policy, reference, args=arguments, train_dataset=pairs, eval_dataset=pairs,
        processing_class=AutoTokenizer.from_pretrained(ROOT / "model"),
    )  # fmt: skip
    theirs = trainer.evaluate()

    batch = next(iter(trainer.get_eval_dataloader()))
    ids, mask = batch["input_ids"], batch["attention_mask"]
    log_probs = []
    with torch.no_grad():
        for model in (policy, reference):
            hidden = model.model(ids, attention_mask=mask).last_hidden_state[:, :-1]
            answers = batch["completion_mask"][:, 1:].float()
            log_probs += sequence_log_probs(hidden, model.lm_head.weight, ids[:, 1:], answers).chunk(2)
    losses, chosen, rejected = dpo_loss(*log_probs, beta=0.05)
    ours = {
        "eval_loss": losses.mean(), "eval_rewards/margins": (chosen - rejected).mean(),
        "eval_rewards/chosen": chosen.mean(), "eval_logps/rejected": log_probs[1].mean(),
    }  # fmt: skip
    assert abs(float(ours["eval_rewards/margins"])) > 0.1
    assert {k: float(v) for k, v in ours.items()} == pytest.approx({k: theirs[k] for k in ours}, rel=1e-4)
