"""LoRA: what an adapter may change, what it must leave alone, and how it travels through a file."""

import json

import pytest
import torch
from transformers import AutoTokenizer

from model.files import file_hash
from model.model_lora import (
    DEFAULT_TARGETS,
    adapted,
    apply_lora,
    find_lora,
    load_lora,
    lora_state,
    merge_lora,
    save_lora,
)
from model.weights import WeightError, save_weights

IDS = torch.arange(24).view(2, 12)


def logits(model) -> torch.Tensor:
    with torch.no_grad():
        return model(IDS).logits


def stir(model, seed: int = 5) -> None:
    """Give the B matrices, which start at zero, something to say."""
    generator = torch.Generator().manual_seed(seed)
    for layer in adapted(model).values():
        layer.lora.B.weight.data.normal_(0, 0.1, generator=generator)


@pytest.mark.parametrize("use_moe", [False, True])
def test_a_new_adapter_changes_nothing_and_covers_every_projection(make_model, use_moe):
    model = make_model(use_moe=use_moe)
    before = logits(model)
    apply_lora(model, rank=4)
    assert torch.equal(logits(model), before)
    n_feed_forwards = 5 if use_moe else 1  # four routed experts and a shared one
    assert len(adapted(model)) == 2 * (4 + 3 * n_feed_forwards)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained == set(lora_state(model)) and all(".lora." in name for name in trained)


@pytest.mark.parametrize("use_moe", [False, True])
def test_training_leaves_the_base_bit_identical_and_merging_gives_the_adapted_logits(make_model, use_moe):
    model = make_model(use_moe=use_moe)
    base = {key: value.clone() for key, value in model.state_dict().items()}
    apply_lora(model, rank=4, alpha=6.0, dropout=0.1)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    model.train()
    for _ in range(5):
        model(IDS, labels=IDS).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval()
    state = model.state_dict()
    assert all(torch.equal(state[key], value) for key, value in base.items())
    assert all(value.any() for value in lora_state(model).values())
    adapted_logits = logits(model)
    assert (adapted_logits - logits(make_model(use_moe=use_moe))).abs().max() > 1e-2
    merge_lora(model)
    assert (logits(model) - adapted_logits).abs().max() <= 1e-5
    assert set(model.state_dict()) == set(base) and all(p.requires_grad for p in model.parameters())


def test_saved_and_loaded_is_the_same_adapter(make_model, tokenizer, tmp_path):
    """Half precision in the file, so the first reading rounds; after that nothing changes."""
    model, path = make_model(), tmp_path / "a.pth"
    apply_lora(model, rank=3, alpha=9.0, targets=("q_proj", "down_proj"))
    stir(model)
    for tensor in lora_state(model).values():
        tensor.copy_(tensor.half())
    save_lora(model, path, tokenizer, stage="lora", step=7)
    info = json.loads(path.with_suffix(".json").read_text())
    assert info["lora"] == {"rank": 3, "alpha": 9.0, "targets": ["down_proj", "q_proj"]} and info["step"] == 7
    assert set(torch.load(path, weights_only=True)) == set(lora_state(model))  # the adapter alone
    other = make_model()
    load_lora(other, path)
    assert torch.equal(logits(other), logits(model))


def test_an_adapter_of_the_known_format_is_read(make_model, tmp_path):
    """Rank 8 on the square projections, no .json: q_proj and o_proj, W x + B A x."""
    model, path, state = make_model(), tmp_path / "known.pth", {}
    generator = torch.Generator().manual_seed(0)
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and module.in_features == module.out_features:
            for key, shape in (("A", (8, module.in_features)), ("B", (module.out_features, 8))):
                state[f"module.{name}.lora.{key}.weight"] = torch.randn(shape, generator=generator) * 0.05
    assert {key.split(".")[-4] for key in state} == {"q_proj", "o_proj"}
    torch.save(state, path)
    with torch.no_grad():
        expected = make_model()
        for name, module in expected.named_modules():
            if f"module.{name}.lora.A.weight" in state:
                module.weight += state[f"module.{name}.lora.B.weight"] @ state[f"module.{name}.lora.A.weight"]
    load_lora(model, path)
    assert (logits(model) - logits(expected)).abs().max() <= 1e-5


def test_an_adapter_is_refused_on_another_vocabulary_and_noted_on_another_weight(
    make_model, tokenizer, other_vocabulary, tmp_path, capsys
):
    weight, other, path = (tmp_path / name for name in ("weight.pth", "other.pth", "a.pth"))
    for seed, file in enumerate((weight, other)):
        save_weights(make_model(seed, vocab_size=len(tokenizer)), file, tokenizer)
    model = make_model()
    apply_lora(model)
    save_lora(model, path, tokenizer, origin={"base weight": file_hash(weight)})
    load_lora(make_model(), path, tokenizer, weight)
    assert capsys.readouterr().err == ""
    load_lora(make_model(), path, tokenizer, other)
    (note,) = capsys.readouterr().err.splitlines()
    assert note.startswith("note: ") and str(path) in note and str(other) in note
    with pytest.raises(WeightError, match=r"a\.pth: it was trained with another vocabulary"):
        load_lora(make_model(), path, AutoTokenizer.from_pretrained(other_vocabulary), weight)


def test_mistakes_are_named(make_model, tmp_path):
    model = make_model()
    with pytest.raises(ValueError, match="'queries' names no linear layer"):
        apply_lora(model, targets=("q_proj", "queries"))
    with pytest.raises(ValueError, match="'lm_head' names no linear layer"):
        apply_lora(model, targets=("lm_head",))
    with pytest.raises(ValueError, match="no LoRA adapter to save"):
        save_lora(model, tmp_path / "none.pth")
    apply_lora(model)
    with pytest.raises(ValueError, match="has LoRA adapters already"):
        apply_lora(model)
    save_lora(model, tmp_path / "a.pth")
    with pytest.raises(ValueError, match="has LoRA adapters already"):
        load_lora(model, tmp_path / "a.pth")
    with pytest.raises(WeightError, match=r"a\.pth: tensor .* has shape"):
        load_lora(make_model(hidden_size=32), tmp_path / "a.pth")
    with pytest.raises(WeightError, match="belongs to no layer of this network"):
        load_lora(make_model(num_hidden_layers=1), tmp_path / "a.pth")
    with pytest.raises(WeightError, match="there: none"):
        find_lora("b", tmp_path, model.config)
    state = torch.load(tmp_path / "a.pth", weights_only=True)
    info = json.loads((tmp_path / "a.json").read_text())
    (tmp_path / "a.json").write_text(json.dumps(info | {"lora": {"alpha": "much"}}))
    with pytest.raises(WeightError, match="does not describe an adapter"):
        load_lora(make_model(), tmp_path / "a.pth")
    (tmp_path / "a.json").unlink()
    first = next(key for key in state if key.endswith("A.weight"))
    torch.save(state | {first: torch.tensor(1.0)}, tmp_path / "a.pth")
    with pytest.raises(WeightError, match=r"tensor .* has shape \(\)"):
        load_lora(make_model(), tmp_path / "a.pth")
    torch.save(dict(list(state.items())[1:]), tmp_path / "a.pth")
    with pytest.raises(WeightError, match="is missing: train the adapter again"):
        load_lora(make_model(), tmp_path / "a.pth")


def test_default_targets_are_every_linear_layer_but_the_head(make_model):
    model = make_model(use_moe=True)
    linear = {name.rpartition(".")[2] for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    assert linear - {"lm_head"} == set(DEFAULT_TARGETS)
