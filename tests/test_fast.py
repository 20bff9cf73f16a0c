"""The faster forms for training: the gradients and numbers of the plain formulas, whatever surrounds them."""

import copy

import pytest
import torch
import torch.nn.functional as F
from test_model import KINDS, assert_near, both_kinds, gradients, tokens

from model.fast.training import (
    CausalAttentionFunction,
    FastLinear,
    LinearFunction,
    RMSNormFunction,
    SwiGLUFunction,
    speed_up,
)
from model.model_lora import apply_lora
from model.model_minimind import FeedForward, MiniMindConfig, RMSNorm


@both_kinds
@pytest.mark.parametrize("surroundings", ["rows", "odd rows", "padding", "masked", "frozen", "lora", "no gradient"])
def test_fast_is_plain(make_model, kind, surroundings):
    """Hidden states, balance loss, logits and gradients."""
    plain, ids = make_model(**KINDS[kind]).train(), tokens(3, 20 if surroundings == "odd rows" else 64)
    mask = torch.ones_like(ids)
    mask[0, 40:] = mask[1, 1:] = 0
    given = {"padding": {"attention_mask": mask, "right_padded": True}, "masked": {"attention_mask": mask}}
    given, text = given.get(surroundings, {}), mask.bool() if surroundings in given else torch.ones_like(ids).bool()
    if surroundings == "frozen":
        plain.model.layers[0].mlp.requires_grad_(False)
        plain.model.layers[1].self_attn.k_proj.requires_grad_(False)
    if surroundings == "lora":
        apply_lora(plain, rank=2)
        for name, parameter in plain.named_parameters():
            if ".lora.B" in name:
                torch.nn.init.normal_(parameter, 0, 0.1)
    fast, found = speed_up(copy.deepcopy(plain)), []
    for model in (plain, fast):
        with torch.set_grad_enabled(surroundings != "no gradient"):
            out = model.model(ids, **given)
            logits = model.lm_head(out.last_hidden_state)[text]
            if logits.requires_grad:
                (logits.logsumexp(-1).mean() + (out.aux_loss or 0)).backward()
        found.append([logits, *([out.aux_loss] if out.aux_loss is not None else [])])
    for one, other in zip(*found, strict=True):
        assert_near(one, other)
    for name, gradient in gradients(plain).items():
        assert (gradient is None) == (gradients(fast)[name] is None), name
        if gradient is not None:
            torch.testing.assert_close(gradients(fast)[name], gradient, atol=2e-5, rtol=1e-4)


@both_kinds
def test_speed_up_keeps_parameters_and_keys(make_model, kind):
    model = make_model(**KINDS[kind])
    before = {key: value.data_ptr() for key, value in model.state_dict().items()}
    assert speed_up(speed_up(model)) is model
    assert {key: value.data_ptr() for key, value in model.state_dict().items()} == before
    assert isinstance(model.lm_head, FastLinear) and isinstance(model.lm_head, torch.nn.Linear)


@pytest.mark.parametrize("at_a_time", [2, 512])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 3)], ids=str)
def test_gradients_written_out_are_those_of_autograd(shape, at_a_time, monkeypatch):
    """Against finite differences in float64, for any number of tokens, and however many are gone through at a time."""
    monkeypatch.setattr("model.fast.training.CHUNK_ROWS", at_a_time)
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    x, weight, gate, up, down = random(*shape, 8), random(8), random(6, 8), random(6, 8), random(8, 6)
    assert torch.autograd.gradcheck(lambda x, w: RMSNormFunction.apply(x, w, 1e-5, x.dtype), (x, weight))
    assert torch.autograd.gradcheck(lambda *leaves: SwiGLUFunction.apply(*leaves, torch.float64), (x, gate, up, down))
    assert torch.autograd.gradcheck(lambda x, *w: LinearFunction.apply(x, x.dtype, *w), (x, gate, up))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_parts_have_the_gradients_of_the_plain_formulas(dtype):
    """In the dtypes that training uses, with more tokens than are gone through at a time."""
    torch.manual_seed(0)
    config = MiniMindConfig(hidden_size=48, num_attention_heads=4, num_key_value_heads=2)
    layer, norm = speed_up(FeedForward(config).to(dtype)), speed_up(RMSNorm(48).to(dtype))
    torch.nn.init.normal_(norm.weight)
    x = torch.randn(3, 401, 48, dtype=dtype).requires_grad_()
    wanted = torch.randn(3, 401, 48)
    leaves = [x, norm.weight, *layer.parameters()]
    found = torch.autograd.grad((layer(norm(x)) * wanted).sum(), leaves)

    exact = [leaf.detach().double().requires_grad_() for leaf in leaves]
    x, weight, gate, up, down = exact
    normed = x / (x.square().mean(-1, keepdim=True) + norm.eps).sqrt() * weight
    plain = F.silu(normed @ gate.T) * (normed @ up.T) @ down.T
    for one, other in zip(found, torch.autograd.grad((plain * wanted).sum(), exact), strict=True):
        assert one.dtype == dtype
        assert_near(one.double(), other, (1e-5 if dtype == torch.float32 else 5e-2) * other.abs().max().item())


@pytest.mark.parametrize("place", ["gate_proj", "up_proj", "down_proj"])
def test_what_is_hung_on_a_projection_takes_part(place):
    """Adapters (here as a hook) must see what goes in and change what comes out in training too."""
    layer = speed_up(FeedForward(MiniMindConfig(hidden_size=48, num_attention_heads=4, num_key_value_heads=2)))
    x, seen = torch.randn(2, 7, 48), []
    gate, up = layer.gate_proj(x), layer.up_proj(x)
    hung = getattr(layer, place)
    hung.register_forward_hook(lambda module, args, out: seen.append(args[0]) or out + 1)
    out = layer(x)
    gate, up = gate + (place == "gate_proj"), up + (place == "up_proj")
    assert_near(out, F.silu(gate) * up @ layer.down_proj.weight.T + (place == "down_proj"))
    assert_near(seen[0], F.silu(gate) * up if place == "down_proj" else x)


def test_a_frozen_projection_gets_no_gradient_and_lets_it_through():
    layer = speed_up(FeedForward(MiniMindConfig(hidden_size=48, num_attention_heads=4, num_key_value_heads=2)))
    x = torch.randn(2, 7, 48, requires_grad=True)
    layer(x).sum().backward()
    expected, x.grad = x.grad, None
    layer.zero_grad()
    layer.up_proj.requires_grad_(False)
    layer(x).sum().backward()
    assert_near(x.grad, expected)
    assert layer.up_proj.weight.grad is None and layer.gate_proj.weight.grad is not None


def test_experts_in_one_product_are_the_experts_one_by_one(make_model, monkeypatch):
    """The way a GPU goes, here in float32."""
    model, ids = speed_up(make_model(use_moe=True)), tokens(3, 20)
    found = []
    for grouped in (False, True):
        monkeypatch.setattr("model.fast.training.can_group", lambda x, experts, grouped=grouped: grouped)
        loss = model(ids, labels=ids).loss
        loss.backward()
        found.append((loss, gradients(model)))
        model.zero_grad()
    assert_near(found[1][0], found[0][0])
    for name, gradient in found[1][1].items():
        assert_near(gradient, found[0][1][name])


@pytest.mark.parametrize(("heads", "kv_heads", "length"), [(4, 2, 7), (2, 2, 3), (3, 1, 1)])
def test_attention_written_out_has_the_gradients_of_autograd(heads, kv_heads, length, monkeypatch):
    """Against torch's own in float64, in tiles of three queries."""
    monkeypatch.setattr("model.fast.training.QUERY_TILE", 3)
    generator = torch.Generator().manual_seed(0)
    q, k, v = (
        torch.randn(2, n, length, 4, generator=generator, dtype=torch.float64).requires_grad_()
        for n in (heads, kv_heads, kv_heads)
    )
    out = CausalAttentionFunction.apply(q, k, v)
    torch.testing.assert_close(out, F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True))
    assert torch.autograd.gradcheck(CausalAttentionFunction.apply, (q, k, v))


@pytest.mark.parametrize("length", [20, 64], ids=["attention_of_torch", "attention_in_tiles"])
@both_kinds
def test_bfloat16_autocast_stays_near_float32(make_model, kind, length):
    """Loss and gradients; in a mixture a token near a border goes to another expert."""
    model, ids = speed_up(make_model(**KINDS[kind]).train()), tokens(2, length)
    within = 0.05 if kind == "dense" else 0.2
    found = []
    for enabled in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            loss = model(ids, labels=ids).loss
        loss.backward()
        found.append((loss, gradients(model)))
        model.zero_grad()
    (loss, exact), (half_loss, half) = found
    assert abs(half_loss - loss) < 0.05
    for name, gradient in half.items():
        assert gradient.dtype == torch.float32, name
        assert (gradient - exact[name]).norm() < within * exact[name].norm(), name
