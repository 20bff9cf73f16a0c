"""GRPO and its kin against trl's own trainer: the same network, answers and rewards give the same advantages, loss,
gradient and figures. trl pads questions on the left, this project whole texts on the right."""

import pytest
import torch
from torch.nn.utils.rnn import pad_sequence

trl = pytest.importorskip("trl")

from datasets import Dataset  # noqa: E402
from transformers import LlamaForCausalLM  # noqa: E402

from dataset.batching import Collate  # noqa: E402
from model.formats.hf_folder import stock_config  # noqa: E402
from trainer.losses import group_advantages  # noqa: E402
from trainer.objectives import PolicyObjective  # noqa: E402

PROMPTS = [[5, 17, 40, 8], [9, 61, 33, 12, 70, 25, 4]]
LENGTHS, REWARDS = [3, 9, 6, 1, 5, 8], [1.0, 0.0, 0.25, 0.0, 2.0, 1.0]  # of three answers to each
IDS = torch.randint(3, 97, (sum(LENGTHS),), generator=torch.Generator().manual_seed(0)).split(LENGTHS)
ANSWERS = [(PROMPTS[i // 3], ids.tolist()) for i, ids in enumerate(IDS)]
LONGEST = 12
# What trl calls each loss, with the clips of its paper; and by how many nats a token's old log-probability is off.
KINDS = {
    "grpo": ({"loss_type": "grpo", "epsilon": 0.2}, 0.4),
    "dapo": ({"loss_type": "dapo", "epsilon": 0.2, "epsilon_high": 0.28}, 0.4),
    "dr_grpo": ({"loss_type": "dr_grpo", "epsilon": 0.2, "scale_rewards": "none"}, 0.4),
    "cispo": ({"loss_type": "cispo", "epsilon_high": 5.0}, 1.6),
    "gspo": (
        {"loss_type": "grpo", "importance_sampling_level": "sequence", "epsilon": 3e-4, "epsilon_high": 4e-4}, 1e-3,
    ),
}  # fmt: skip


def log_probs(model) -> list[torch.Tensor]:
    """Of each answer's tokens, from the logits of its text alone."""
    with torch.no_grad():
        logits = [model(torch.tensor([prompt + ids])).logits[0, len(prompt) - 1 : -1] for prompt, ids in ANSWERS]
    return [x.log_softmax(-1)[range(len(ids)), ids] for x, (_, ids) in zip(logits, ANSWERS, strict=True)]


def make_trainer(model, tokenizer, folder, options: dict):
    """One of trl's that takes ANSWERS for what the network has answered."""
    arguments = trl.GRPOConfig(
        output_dir=str(folder), per_device_train_batch_size=6, num_generations=3, max_completion_length=LONGEST,
        use_cpu=True, bf16=False, report_to=[], use_bias_correction_kl=False, **options,
    )  # fmt: skip
    prompts, ids = zip(*ANSWERS, strict=True)
    llama = LlamaForCausalLM(stock_config(model.config))
    llama.load_state_dict(model.state_dict())
    trainer = trl.GRPOTrainer(
        llama, lambda **_: REWARDS, args=arguments, train_dataset=Dataset.from_list([{"prompt": "?"}]),
        processing_class=tokenizer,
        rollout_func=lambda *_: {"prompt_ids": prompts, "completion_ids": ids, "logprobs": None},
    )  # fmt: skip
    trainer.current_gradient_accumulation_steps = 1
    trainer.model.train()
    return trainer


def make_batch(old: list[torch.Tensor], advantages: torch.Tensor) -> dict[str, torch.Tensor]:
    texts = [torch.tensor(prompt + ids) for prompt, ids in ANSWERS]
    masks = [torch.tensor([0.0] * (len(prompt) - 1) + [1.0] * len(ids)) for prompt, ids in ANSWERS]
    batch = Collate(0)([(text[:-1], text[1:], mask) for text, mask in zip(texts, masks, strict=True)])
    mask = batch["loss_mask"]
    batch["old_log_probs"] = torch.zeros_like(mask).masked_scatter(mask > 0, torch.cat(old))
    return batch | {"advantages": mask * advantages[:, None], "told": torch.zeros(0), "n_told": torch.tensor(0.0)}


@pytest.mark.compat
@pytest.mark.parametrize(("loss", "kl_weight"), [*((kind, 0.0) for kind in KINDS), ("grpo", 0.5)])
def test_policy_losses_are_trls(loss, kl_weight, make_model, tokenizer, tmp_path):
    model, reference = make_model(), make_model(seed=1) if kl_weight else None
    options, distance = KINDS[loss]
    noise = torch.randn(sum(LENGTHS), generator=torch.Generator().manual_seed(1)).split(LENGTHS)
    old = [now + distance * off for now, off in zip(log_probs(model), noise, strict=True)]

    trainer = make_trainer(model, tokenizer, tmp_path, options)
    inputs = trainer._generate_and_score_completions([{"prompt": "?"}] * 6)
    inputs["old_per_token_logps"] = pad_sequence(old, batch_first=True)
    if reference:
        trainer.beta, inputs["ref_per_token_logps"] = kl_weight, pad_sequence(log_probs(reference), batch_first=True)
    theirs = trainer._compute_loss(trainer.model, inputs)
    theirs.backward()
    metrics = {name: values[-1] for name, values in trainer._metrics["train"].items()}

    advantages = group_advantages(torch.tensor(REWARDS).view(2, 3), scaled=loss != "dr_grpo").flatten()
    objective = PolicyObjective(model, loss, (None, None), LONGEST, kl_weight, reference)
    batch = make_batch(old, advantages)
    sums, counts = objective(batch), objective.counts(batch)
    ours = sums["loss"] / counts["loss"]
    ours.backward()

    torch.testing.assert_close(advantages, inputs["advantages"], rtol=1e-6, atol=1e-6)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5, abs=1e-6)
    grads, expected = ({n: p.grad for n, p in each.named_parameters()} for each in (model, trainer.model))
    largest = max(grad.abs().max().item() for grad in expected.values())
    for name in grads | expected:
        torch.testing.assert_close(grads[name], expected[name], rtol=0, atol=1e-5 * largest)
    figures = {name: sums[name].item() / counts[name] for name in objective.figures}
    wanted = {"entropy": metrics["entropy"]} | ({"reference_kl": metrics["kl"]} if kl_weight else {})
    if loss in ("grpo", "dapo", "dr_grpo"):  # of gspo's, trl means over answers
        wanted["clipped"] = metrics["clip_ratio/region_mean"]
    assert {name: figures[name] for name in wanted} == pytest.approx(wanted, rel=1e-5)
    bounds = ("cispo_clip_ratio",) if loss == "cispo" else ("clip_ratio/low_mean", "clip_ratio/high_mean")
    assert all(0 < metrics[name] < 0.9 for name in bounds)  # the test reaches both
