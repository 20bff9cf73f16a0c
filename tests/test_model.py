"""The network: Llama's logits when dense, a slow reference's when a mixture of experts, however a text is fed to it."""

import copy
import math
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM
from transformers.initialization import no_init_weights

from model.model_minimind import (
    FeedForward,
    MiniMindConfig,
    MiniMindForCausalLM,
    MOEFeedForward,
    RMSNorm,
    apply_rotary_pos_emb,
    precompute_freqs_cis,
    repeat_kv,
    scaled_frequencies,
)
from trainer.options import PRESETS

KINDS = {"dense": {}, "moe": {"use_moe": True}, "qk_norm": {"qk_norm": True, "head_dim": 24}}
both_kinds = pytest.mark.parametrize("kind", KINDS)


def assert_near(one: torch.Tensor, other: torch.Tensor, tolerance: float = 1e-5) -> None:
    assert one.shape == other.shape
    assert (one - other).abs().max() <= tolerance


def tokens(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(3, 97, shape, generator=torch.Generator().manual_seed(seed))


def gradients(model) -> dict[str, torch.Tensor]:
    return {name: parameter.grad for name, parameter in model.named_parameters()}


# ---------------------------------------------------------------- sizes and initial weights


@pytest.mark.parametrize(
    ("sizes", "parameters"),
    [
        ({}, 25_829_888),
        (PRESETS["minimind3"], 63_912_192),
        (PRESETS["minimind3-moe"], 198_416_640),
        (PRESETS["minimind2-small"], 25_829_888),
        (PRESETS["minimind2"], 104_030_976),
        (PRESETS["minimind2-moe"], 145_029_760),
    ],
)
def test_parameter_counts(sizes, parameters):
    with torch.device("meta"):
        model = MiniMindForCausalLM(MiniMindConfig(**sizes))
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


@both_kinds
def test_initial_weights_are_as_stated(kind):
    layers = 3
    config = MiniMindConfig(vocab_size=512, hidden_size=128, num_hidden_layers=layers, **KINDS[kind])
    torch.manual_seed(0)
    model = MiniMindForCausalLM(config)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    for name, weight in model.named_parameters():
        if "norm" in name:
            assert (weight == 1).all(), name
            continue
        residual = name.endswith(("o_proj.weight", "down_proj.weight"))
        std = 0.02 / math.sqrt(2 * layers) if residual else 0.02
        error = 5 / math.sqrt(2 * weight.numel())  # five standard errors of a standard deviation
        assert math.isclose(weight.std().item(), std, rel_tol=error), name
        assert abs(weight.mean().item()) < 5 * std / math.sqrt(weight.numel()), name


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("vocab_size", {"vocab_size": 0}),
        ("hidden_size", {"hidden_size": 0}),
        ("hidden_size", {"hidden_size": 500}),
        ("hidden_size", {"hidden_size": 24, "num_attention_heads": 8}),  # heads of odd size cannot turn
        ("num_hidden_layers", {"num_hidden_layers": -1}),
        ("num_attention_heads", {"num_attention_heads": 0}),
        ("num_key_value_heads", {"num_key_value_heads": 0}),
        ("num_key_value_heads", {"num_key_value_heads": 3}),
        ("intermediate_size", {"intermediate_size": 0}),
        ("max_position_embeddings", {"max_position_embeddings": 0}),
        ("hidden_act", {"hidden_act": "relu"}),
        ("num_experts_per_tok", {"use_moe": True, "num_experts_per_tok": 5}),
        ("num_experts_per_tok", {"use_moe": True, "num_experts_per_tok": 0}),
        ("n_routed_experts", {"use_moe": True, "n_routed_experts": 0}),
        ("scoring_func", {"use_moe": True, "scoring_func": "sigmoid"}),
    ],
)
def test_sizes_that_make_no_network_are_named(field, bad):
    with pytest.raises(ValueError, match=field):
        MiniMindConfig(**bad)


# ---------------------------------------------------------------- the parts, against their formulas


def test_rms_norm_is_its_formula():
    torch.manual_seed(0)
    norm, x = RMSNorm(16, eps=1e-5), 3 * torch.randn(2, 5, 16)
    torch.nn.init.normal_(norm.weight)
    rows = x.double().reshape(-1, 16)
    expected = torch.stack([row / math.sqrt(sum(v * v for v in row.tolist()) / 16 + 1e-5) for row in rows])
    assert_near(norm(x).double(), (expected * norm.weight).view_as(x), 1e-6)
    assert norm(torch.zeros(1, 16)).abs().max() == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_rms_norm_stands_large_numbers_in_half_precision(dtype):
    x = torch.full((1, 8), 1000.0, dtype=dtype)  # its square is beyond float16
    assert_near(RMSNorm(8).to(dtype)(x), torch.ones(1, 8, dtype=dtype), 1e-2)


def test_rotary_tables_are_their_formula():
    cos, sin = precompute_freqs_cis(6, 50, theta=1e4)
    assert cos.shape == sin.shape == (50, 6) and cos.dtype == sin.dtype == torch.float32
    for position in (0, 1, 49):
        for channel in range(6):
            angle = position * 1e4 ** (-2 * (channel % 3) / 6)
            assert math.isclose(cos[position, channel], math.cos(angle), abs_tol=1e-5)
            assert math.isclose(sin[position, channel], math.sin(angle), abs_tol=1e-5)


def test_rotary_turns_pairs_like_complex_numbers():
    cos, sin = precompute_freqs_cis(8, 20)
    torch.manual_seed(0)
    q, k = torch.randn(2, 20, 4, 8), torch.randn(2, 20, 2, 8)
    turn = torch.complex(cos[:, :4], sin[:, :4])[None, :, None]
    for x, turned in zip((q, k), apply_rotary_pos_emb(q, k, cos, sin), strict=True):
        expected = torch.complex(x[..., :4], x[..., 4:]) * turn
        assert_near(turned, torch.cat((expected.real, expected.imag), -1))


def test_rotary_products_depend_on_distance_alone():
    cos, sin = precompute_freqs_cis(16, 200)
    torch.manual_seed(0)
    q, k = torch.randn(1, 1, 1, 16), torch.randn(1, 1, 1, 16)
    q, k = apply_rotary_pos_emb(q.expand(1, 200, 1, 16), k.expand(1, 200, 1, 16), cos, sin)
    products = q[0, :, 0] @ k[0, :, 0].T  # (query position, key position)
    for distance in (0, 1, 7, -30):
        diagonal = products.diagonal(-distance)
        assert_near(diagonal, diagonal[:1].expand_as(diagonal), 1e-4)
    assert (products[:, 0] - products[0, 0]).abs().max() > 0.1


def test_rotary_takes_heads_before_or_after_positions_and_a_table_per_row():
    cos, sin = precompute_freqs_cis(8, 30)
    q, k = torch.randn(2, 5, 4, 8), torch.randn(2, 5, 2, 8)
    positions = torch.tensor([[0, 1, 2, 3, 4], [9, 10, 11, 12, 13]])
    turned = apply_rotary_pos_emb(q, k, cos[positions], sin[positions])
    assert turned[0].shape == q.shape and turned[1].shape == k.shape
    for row in range(2):
        alone = apply_rotary_pos_emb(q[row : row + 1], k[row : row + 1], cos[positions[row]], sin[positions[row]])
        assert_near(turned[0][row : row + 1], alone[0])
        assert_near(turned[1][row : row + 1], alone[1])
    moved = apply_rotary_pos_emb(q.transpose(1, 2), k.transpose(1, 2), cos[positions], sin[positions], unsqueeze_dim=0)
    assert_near(moved[0].transpose(1, 2), turned[0])
    assert_near(moved[1].transpose(1, 2), turned[1])


def test_repeat_kv_gives_neighbouring_query_heads_the_same_head():
    x = torch.randn(2, 5, 3, 8)
    assert torch.equal(repeat_kv(x, 4), x.repeat_interleave(4, dim=2))
    assert torch.equal(repeat_kv(x, 1), x)


# ---------------------------------------------------------------- the whole network, against others


@pytest.mark.parametrize("size", ["small network, large weights", "MiniMind2-Small as initialised"])
def test_dense_logits_are_those_of_llama(make_model, size):
    if size.startswith("small"):
        model = make_model(num_hidden_layers=3)
    else:
        torch.manual_seed(0)
        model = MiniMindForCausalLM(MiniMindConfig()).eval()
    config = model.config
    llama = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=config.vocab_size,
            hidden_size=config.hidden_size,
            intermediate_size=config.intermediate_size,
            num_hidden_layers=config.num_hidden_layers,
            num_attention_heads=config.num_attention_heads,
            num_key_value_heads=config.num_key_value_heads,
            max_position_embeddings=config.max_position_embeddings,
            rms_norm_eps=config.rms_norm_eps,
            rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
            tie_word_embeddings=True,
        )
    ).eval()
    assert_same_network(model, llama)


def test_with_normed_queries_and_keys_they_are_those_of_qwen3(make_model):
    model = make_model(num_hidden_layers=3, rms_norm_eps=1e-6, intermediate_size=80, **KINDS["qk_norm"])
    config = model.config
    fields = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
              "num_key_value_heads", "head_dim", "max_position_embeddings", "rms_norm_eps")  # fmt: skip
    rope = {"rope_type": "default", "rope_theta": config.rope_theta}
    sizes = {name: getattr(config, name) for name in fields}
    assert_same_network(model, Qwen3ForCausalLM(Qwen3Config(**sizes, rope_parameters=rope, tie_word_embeddings=True)))


def assert_same_network(model, stock) -> None:
    """With the same tensors they give the same logits, in a padded batch too."""
    stock.eval().load_state_dict(model.state_dict(), strict=True)
    ids = tokens(2, 40)
    mask = torch.ones_like(ids)
    mask[1, 30:] = 0
    with torch.no_grad():
        assert_near(model(ids).logits, stock(ids).logits)
        ours, theirs = (network(ids, attention_mask=mask).logits for network in (model, stock))
    assert_near(ours[mask.bool()], theirs[mask.bool()])


@both_kinds
def test_written_out_attention_is_the_fused_one(make_model, kind):
    fused, written = (make_model(flash_attn=flash, **KINDS[kind]) for flash in (True, False))
    ids = tokens(2, 20)
    mask = torch.ones_like(ids)
    mask[0, :6] = 0
    assert_near(fused(ids).logits, written(ids).logits)
    text = mask.bool()
    assert_near(fused(ids, attention_mask=mask).logits[text], written(ids, attention_mask=mask).logits[text])
    for model in (fused, written):
        model(ids, labels=ids).loss.backward()
    for name, gradient in gradients(fused).items():
        assert_near(gradient, gradients(written)[name])


@both_kinds
def test_padding_on_the_right_needs_no_mask_for_attention(make_model, kind):
    model, ids = make_model(**KINDS[kind]), tokens(3, 64)
    mask = torch.ones_like(ids)
    mask[0, 40:] = mask[1, 1:] = 0
    found = []
    for right_padded in (False, True):
        out = model.model(ids, attention_mask=mask, right_padded=right_padded)
        hidden = out.last_hidden_state[mask.bool()]
        (hidden.square().sum() + (out.aux_loss or 0)).backward()
        found.append((hidden, gradients(model)))
        model.zero_grad()
    assert_near(found[1][0], found[0][0])
    for name, gradient in found[1][1].items():
        torch.testing.assert_close(gradient, found[0][1][name], atol=1e-4, rtol=1e-4)


@both_kinds
def test_decoder_compiles_to_one_graph(make_model, kind):
    """No graph break, and the same numbers (no C++ compiler needed)."""
    model, ids = make_model(**KINDS[kind]).train(), tokens(2, 20)
    plain = model.model(ids).last_hidden_state
    plain.sum().backward()
    expected = {name: gradient.clone() for name, gradient in gradients(model.model).items()}
    model.zero_grad()
    compiled = torch.compile(model.model, fullgraph=True, backend="aot_eager")(ids).last_hidden_state
    compiled.sum().backward()
    assert_near(compiled, plain)
    for name, gradient in gradients(model.model).items():
        assert_near(gradient, expected[name], 1e-4)


@both_kinds
def test_exports_with_gradients_on(make_model, kind):
    model, ids = make_model(**KINDS[kind]), tokens(2, 20)
    program = torch.export.export(model, (ids,), {"use_cache": False}, strict=False)
    assert_near(program.module()(ids, use_cache=False).logits, model(ids).logits)


# ---------------------------------------------------------------- mixture of experts


def swiglu(expert: FeedForward, x: torch.Tensor) -> torch.Tensor:
    """One token (C,) through one expert."""
    return expert.down_proj.weight @ (F.silu(expert.gate_proj.weight @ x) * (expert.up_proj.weight @ x))


class SlowExperts(MOEFeedForward):
    """The reference: token by token, expert by expert, and the balance loss in plain arithmetic."""

    def forward(self, x, token_mask=None):
        config, out = self.gate.config, torch.zeros_like(x)
        n_experts, k = config.n_routed_experts, config.num_experts_per_tok
        sequences = {}  # number of the sequence -> (scores, chosen experts) of each of its text tokens
        for b, t in product(range(x.shape[0]), range(x.shape[1])):
            out[b, t] = sum(swiglu(shared, x[b, t]) for shared in self.shared_experts)
            if token_mask is not None and not token_mask[b, t]:
                continue
            scores = torch.softmax(self.gate.weight @ x[b, t], 0)
            best = sorted(range(n_experts), key=scores.tolist().__getitem__)[-k:]
            total = sum(scores[e] for e in best) if config.norm_topk_prob else 1.0
            out[b, t] = out[b, t] + sum(scores[e] / total * swiglu(self.experts[e], x[b, t]) for e in best)
            sequences.setdefault(b if config.seq_aux else 0, []).append((scores, best))
        losses = []
        for tokens_of_it in sequences.values():
            n, loss = len(tokens_of_it), 0.0
            for e in range(n_experts):
                f = sum(e in best for _, best in tokens_of_it) * n_experts / (k * n)
                loss = loss + f * sum(scores[e] for scores, _ in tokens_of_it) / n
            losses.append(loss)
        return out, config.aux_loss_alpha * sum(losses) / len(losses)


def slow_twin(model: MiniMindForCausalLM) -> MiniMindForCausalLM:
    """The same network and weights with the slow experts."""
    twin = MiniMindForCausalLM(model.config)
    for layer in twin.model.layers:
        layer.mlp = SlowExperts(model.config)
    twin.load_state_dict(model.state_dict())
    return twin.train(model.training)


MIXTURES = {
    "as shipped": {},
    "whole batch balanced": {"seq_aux": False},
    "weights as scored": {"norm_topk_prob": False, "num_experts_per_tok": 3, "n_routed_experts": 5},
    "one expert each, none shared": {"num_experts_per_tok": 1, "n_shared_experts": 0},
    "one expert each, weight as scored": {"num_experts_per_tok": 1, "norm_topk_prob": False},
    "two shared": {"n_shared_experts": 2, "num_experts_per_tok": 4},
}


@pytest.mark.parametrize("mixture", MIXTURES)
@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("padding", ["none", "left and right"])
def test_moe_is_the_slow_reference(make_model, mixture, mode, padding):
    model = make_model(use_moe=True, **MIXTURES[mixture]).train(mode == "train")
    twin, ids, mask = slow_twin(model), tokens(3, 9), None
    text = torch.ones(3, 9, dtype=torch.bool)
    if padding != "none":
        text[0, :4] = text[2, 7:] = False
        mask = text.long()
    ours, reference = (network(ids, attention_mask=mask) for network in (model, twin))
    assert_near(ours.logits[text], reference.logits[text])
    assert_near(ours.aux_loss, reference.aux_loss)
    for out in (ours, reference):
        (F.cross_entropy(out.logits[text], ids[text]) + out.aux_loss).backward()
    for name, gradient in gradients(model).items():
        assert_near(gradient, gradients(twin)[name])


def test_balance_loss_written_out():
    """Two tokens, three experts, one each: scores and choices by hand."""
    config = MiniMindConfig(
        hidden_size=16, use_moe=True, n_routed_experts=3, num_experts_per_tok=1, n_shared_experts=0, aux_loss_alpha=0.5
    )
    gate = MOEFeedForward(config).gate
    scores = torch.tensor([[[0.5, 0.3, 0.2], [0.6, 0.1, 0.3], [0.0, 0.0, 1.0]]])
    experts = torch.tensor([[[0], [0], [2]]])
    # f = choices * 3 experts / 3 tokens = 2, 0, 1; P = 1.1/3, 0.4/3, 1.5/3
    assert math.isclose(gate.balance_loss(scores, experts, None), 0.5 * (2 * 1.1 / 3 + 1.5 / 3), rel_tol=1e-6)
    # without the last token: f = 2 * 3 / 2 = 3, 0, 0; P = 0.55, 0.2, 0.25
    mask = torch.tensor([[True, True, False]])
    assert math.isclose(gate.balance_loss(scores, experts, mask), 0.5 * 3 * 0.55, rel_tol=1e-6)
    assert gate.balance_loss(scores, experts, torch.zeros(1, 3, dtype=torch.bool)) == 0


def test_padding_reaches_no_expert_and_no_balance(make_model):
    """What stands in the padding, and how much of it there is, changes neither experts' gradients nor aux_loss."""
    results = []
    for width, seed in ((6, 1), (6, 2), (11, 3)):
        model = make_model(use_moe=True).train()
        mlp = model.model.layers[0].mlp
        x, text = torch.randn(2, width, 48, generator=torch.Generator().manual_seed(seed)), torch.zeros(2, width)
        x[:, :5] = torch.randn(2, 5, 48, generator=torch.Generator().manual_seed(0))
        text[:, :5] = 1
        out, balance = mlp(x, text.bool())
        (out[:, :5].sum() + balance).backward()
        seen = torch.stack([expert.gate_proj.weight.grad for expert in mlp.experts])
        results.append((out[:, :5], balance, seen, mlp.gate.weight.grad))
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            assert_near(one, two)


def test_an_expert_without_tokens_has_a_gradient_of_zero(make_model):
    """Under DDP a parameter without a gradient on one rank stops all of them."""
    model = make_model(use_moe=True).train()
    mlp = model.model.layers[0].mlp
    with torch.no_grad():
        mlp.gate.weight[3] = -100.0  # with positive inputs, never among the best two
    x = torch.rand(2, 5, 48)
    mlp(x)[0].sum().backward()
    for parameter in mlp.experts[3].parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() == 0
    assert mlp.experts[0].up_proj.weight.grad.abs().max() > 0


# ---------------------------------------------------------------- however a text is fed


@both_kinds
@pytest.mark.parametrize("flash", [True, False])
@pytest.mark.parametrize("chunks", [[1] * 12, [5, 1, 1, 5], [2, 7, 3], [12]])
def test_cached_is_uncached(make_model, kind, flash, chunks):
    model, ids = make_model(flash_attn=flash, **KINDS[kind]), tokens(2, 12)
    with torch.no_grad():
        whole, parts, cache = model(ids).logits, [], None
        for part in ids.split(chunks, dim=1):
            out = model(part, past_key_values=cache, use_cache=True)
            parts.append(out.logits)
            cache = out.past_key_values
    assert cache.get_seq_length() == 12
    assert_near(torch.cat(parts, 1), whole)


@both_kinds
def test_generation_is_the_same_cached_uncached_and_in_a_padded_batch(make_model, kind):
    model = make_model(3, tie_word_embeddings=False, **KINDS[kind])  # tied, these repeat one token for ever
    settings = {"max_new_tokens": 12, "do_sample": False, "eos_token_id": None}
    prompts = [tokens(1, n, seed=n) for n in (3, 8, 5)]
    single = [model.generate(prompt, **settings)[0, prompt.shape[1] :] for prompt in prompts]
    for prompt, made in zip(prompts, single, strict=True):
        uncached = model.generate(prompt, use_cache=False, **settings)[0, prompt.shape[1] :]
        assert uncached.tolist() == made.tolist()
    assert all(len(set(made.tolist())) > 4 for made in single)
    padded, mask = torch.zeros(3, 8, dtype=torch.long), torch.zeros(3, 8, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        padded[row, 8 - prompt.shape[1] :] = prompt[0]
        mask[row, 8 - prompt.shape[1] :] = 1
    batch = model.generate(padded, attention_mask=mask, **settings)[:, 8:]
    assert batch.tolist() == [made.tolist() for made in single]


@both_kinds
@pytest.mark.parametrize("flash", [True, False])
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_padded_row_equals_the_text_alone(make_model, kind, flash, side):
    model, lengths = make_model(flash_attn=flash, **KINDS[kind]), (4, 15, 9)
    texts = [tokens(1, n, seed=n) for n in lengths]
    ids, mask = torch.zeros(3, 15, dtype=torch.long), torch.zeros(3, 15, dtype=torch.long)
    places = [slice(15 - n, None) if side == "left" else slice(n) for n in lengths]
    for row, (place, text) in enumerate(zip(places, texts, strict=True)):
        ids[row, place], mask[row, place] = text[0], 1
    out, alone = model(ids, attention_mask=mask), [model(text) for text in texts]
    for row, place in enumerate(places):
        assert_near(out.logits[row, place], alone[row].logits[0])
    if kind == "moe":  # every sequence counts once, its padding not at all
        assert_near(out.aux_loss, sum(one.aux_loss for one in alone) / 3, 1e-6)


@both_kinds
@pytest.mark.parametrize("flash", [True, False])
def test_a_row_of_padding_alone_does_no_harm(make_model, kind, flash):
    """A rank that has run out of samples steps on such a row: nothing may become NaN."""
    model = make_model(flash_attn=flash, **KINDS[kind]).train()
    for mask in (torch.zeros(1, 4, dtype=torch.long), torch.tensor([[1, 1, 1, 0], [0, 0, 0, 0]])):
        model.zero_grad()
        out = model(tokens(len(mask), 4), attention_mask=mask)
        loss = out.logits[mask.bool()].sum() + (out.aux_loss if kind == "moe" else 0.0)
        loss.backward()
        assert out.logits.isfinite().all()
        assert all(gradient.isfinite().all() for gradient in gradients(model).values())


@both_kinds
@pytest.mark.parametrize("flash", [True, False])
def test_packed_documents_do_not_see_each_other(make_model, kind, flash):
    model, lengths = make_model(flash_attn=flash, **KINDS[kind]), (4, 1, 8)
    documents = [tokens(1, n, seed=n) for n in lengths]
    positions = torch.cat([torch.arange(n) for n in lengths])[None]
    packed = model(torch.cat(documents, 1), position_ids=positions).logits[0]
    for part, document in zip(packed.split(lengths), documents, strict=True):
        assert_near(part, model(document).logits[0])


@both_kinds
def test_loss_is_the_cross_entropy_of_the_next_token(make_model, kind):
    model, ids = make_model(**KINDS[kind]), tokens(2, 7)
    labels = ids.clone()
    labels[0, :4] = labels[1, 6:] = -100
    out = model(ids, labels=labels)
    losses = []
    for row in range(2):
        for place in range(6):
            if labels[row, place + 1] != -100:
                losses.append(-out.logits[row, place].double().log_softmax(0)[labels[row, place + 1]])
    expected = sum(losses) / len(losses)
    assert len(losses) == 3 + 5
    if kind == "moe":
        assert out.aux_loss > 0
        expected = expected + out.aux_loss
    else:
        assert out.aux_loss is None
    assert math.isclose(out.loss.item(), expected.item(), rel_tol=1e-5)


def test_logits_to_keep(make_model):
    model, ids = make_model(), tokens(2, 10)
    whole = model(ids).logits
    assert_near(model(ids, logits_to_keep=1).logits, whole[:, -1:])
    assert_near(model(ids, logits_to_keep=4).logits, whole[:, -4:])
    assert_near(model(ids, logits_to_keep=torch.tensor([0, 7])).logits, whole[:, [0, 7]])


def test_embeddings_instead_of_ids(make_model):
    model, ids = make_model(), tokens(2, 10)
    assert_near(model(inputs_embeds=model.model.embed_tokens(ids)).logits, model(ids).logits)
    with pytest.raises(ValueError, match="exactly one of input_ids and inputs_embeds"):
        model()


@both_kinds
def test_gradient_checkpointing_gives_the_same_gradients(make_model, kind):
    ids, found = tokens(2, 12), []
    for checkpointing in (False, True):
        model = make_model(**KINDS[kind]).train()
        if checkpointing:
            enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
            enable({"use_reentrant": False})
        model(ids, labels=ids).loss.backward()
        found.append(gradients(model))
    for name, gradient in found[0].items():
        assert_near(gradient, found[1][name], 1e-6)


@both_kinds
def test_save_pretrained_and_back(make_model, kind, tmp_path):
    model, ids = make_model(rope_theta=1e4, **KINDS[kind]), tokens(2, 12)
    model.save_pretrained(tmp_path)
    back, report = MiniMindForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    assert back.lm_head.weight is back.model.embed_tokens.weight
    assert back.config.to_diff_dict() | {"_name_or_path": ""} == model.config.to_diff_dict() | {"_name_or_path": ""}
    assert torch.equal(back.eval()(ids).logits, model(ids).logits)


def test_dropout_is_for_training_only(make_model):
    model, ids = make_model(dropout=0.5), tokens(2, 10)
    assert torch.equal(model(ids).logits, model(ids).logits)
    assert_near(model(ids).logits, make_model()(ids).logits, 0.0)
    model.train()
    assert not torch.equal(model(ids).logits, model(ids).logits)


# ---------------------------------------------------------------- a citizen of transformers


@both_kinds
@pytest.mark.parametrize("flash", [True, False])
def test_hidden_states_and_attention_weights_when_asked_for(make_model, kind, flash):
    model, ids = make_model(flash_attn=flash, **KINDS[kind]), tokens(2, 10)
    mask = torch.ones_like(ids)
    mask[0, :4] = 0
    out = model(ids, attention_mask=mask, output_hidden_states=True, output_attentions=True)
    assert [state.shape for state in out.hidden_states] == [(2, 10, 48)] * 3
    assert_near(model.lm_head(out.hidden_states[-1]), out.logits)
    for weights in out.attentions:
        assert weights.shape == (2, 4, 10, 10)
        text = weights[:, :, 4:]  # of the queries that are text in both rows
        assert_near(text.sum(-1), torch.ones(2, 4, 6))
        assert text.triu(5).abs().max() == 0 and text[0, :, :, :4].abs().max() == 0
    as_tuple = model(ids, return_dict=False)
    assert isinstance(as_tuple, tuple) and model(ids).hidden_states is None


@both_kinds
def test_a_hand_written_loop_has_its_cache(make_model, kind):
    """As the config says, without use_cache in the call; none in training and for rows that may be packed."""
    model, ids = make_model(**KINDS[kind]), tokens(1, 8)
    out = model(ids[:, :5])
    for i in range(5, 8):
        out = model(ids[:, i : i + 1], past_key_values=out.past_key_values)
    assert_near(out.logits[:, -1], model(ids).logits[:, -1])
    assert model(ids, position_ids=torch.arange(8)[None] % 4).past_key_values is None
    assert model.train()(ids).past_key_values is None
    model.config.use_cache = False
    assert model.eval()(ids).past_key_values is None


def test_rotary_tables_are_exact_however_the_network_is_made(make_model, tmp_path):
    expected = precompute_freqs_cis(12, 128)
    model = make_model()
    model.save_pretrained(tmp_path)
    made = [model, MiniMindForCausalLM.from_pretrained(tmp_path, dtype=torch.float16)]
    with no_init_weights():
        made.append(MiniMindForCausalLM(model.config))
    for one in made:
        for table, wanted in zip((one.model.freqs_cos, one.model.freqs_sin), expected, strict=True):
            assert table.dtype == torch.float32 and torch.equal(table, wanted)


def test_attn_implementation_is_obeyed(make_model, tmp_path):
    make_model().save_pretrained(tmp_path)
    eager = MiniMindForCausalLM.from_pretrained(tmp_path, attn_implementation="eager")
    calls = []
    eager.model.layers[0].self_attn.attend_written_out = lambda *args: calls.append(1) or (args[0], None)
    eager(tokens(1, 5))
    assert calls and MiniMindForCausalLM.from_pretrained(tmp_path).config._attn_implementation == "sdpa"


def test_quantisers_find_every_linear_layer(make_model):
    model, ids = make_model(), tokens(2, 10)
    quantised = torch.ao.quantization.quantize_dynamic(copy.deepcopy(model), {torch.nn.Linear}, dtype=torch.qint8)
    layers = [m for m in quantised.modules() if isinstance(m, torch.ao.nn.quantized.dynamic.Linear)]
    assert len(layers) == 2 * 7 + 1
    assert (quantised(ids).logits - model(ids).logits).norm() < 0.1 * model(ids).logits.norm()


def test_what_cannot_be_is_refused_by_name(make_model):
    model = make_model()
    with pytest.raises(ValueError, match="position 128.*max_position_embeddings = 128"):
        model(tokens(1, 129))
    with pytest.raises(NotImplementedError, match="paged attention"):
        model.generate_batch([[1, 2]])
    assert "aux_loss" in MiniMindConfig.keys_to_ignore_at_inference


# ---------------------------------------------------------------- stretched positions


STRETCHED = {
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32},
    "yarn, as MiniMind-3": {"rope_type": "yarn", "factor": 16.0, "original_max_position_embeddings": 8,
                            "attention_factor": 1.0, "beta_fast": 32, "beta_slow": 1},
    "linear": {"rope_type": "linear", "factor": 4.0},
    "llama3": {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 32, "low_freq_factor": 1.0,
               "high_freq_factor": 4.0},
}  # fmt: skip


@pytest.mark.parametrize("scaling", STRETCHED.values(), ids=STRETCHED)
def test_stretched_positions_are_those_of_transformers_llama(make_model, scaling):
    """Whether the config has them from the start, or the network is stretched later; generation, too."""
    model = make_model(num_hidden_layers=2, rope_theta=1e4, max_position_embeddings=128)
    fields = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
              "num_key_value_heads", "max_position_embeddings", "rms_norm_eps")  # fmt: skip
    sizes = {name: getattr(model.config, name) for name in fields}
    llama = LlamaForCausalLM(LlamaConfig(**sizes, rope_parameters=scaling | {"rope_theta": 1e4},
                                         tie_word_embeddings=True)).eval()  # fmt: skip
    llama.load_state_dict(model.state_dict())
    ids = tokens(2, 120)
    with torch.no_grad():
        before = model(ids).logits
        model.stretch(scaling)
        assert_near(model(ids).logits, llama(ids).logits)
        again = make_model(num_hidden_layers=2, rope_theta=1e4, max_position_embeddings=128, rope_scaling=scaling)
        assert torch.equal(again(ids).logits, model(ids).logits)
        assert (model(ids).logits - before).abs().max() > 0.01
        step = model(ids[:, -1:], past_key_values=model(ids[:, :-1], use_cache=True).past_key_values)
        assert_near(step.logits[:, -1], llama(ids).logits[:, -1])


@pytest.mark.parametrize(("length", "head_dim", "pairs"), [(512, 48, (1, 8)), (512, 64, (2, 11)), (512, 96, (3, 16))])
def test_yarn_keeps_the_fast_pairs_and_divides_the_slow_ones(length, head_dim, pairs):
    frequency = 1 / 1e6 ** (torch.arange(0, head_dim, 2) / head_dim)
    scaling = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": length}
    scaled, growth = scaled_frequencies(frequency, 1e6, scaling)
    ratio = frequency / scaled
    assert (ratio[: pairs[0] + 1] == 1).all() and torch.allclose(ratio[pairs[1] :], torch.tensor(4.0))
    assert (ratio[pairs[0] + 1 : pairs[1]] > 1).all() and math.isclose(growth, 0.1 * math.log(4) + 1)


@pytest.mark.parametrize(
    ("scaling", "what"),
    [
        ({"rope_type": "dynamic", "factor": 2.0}, "knows linear, yarn, llama3"),
        ({"rope_type": "yarn", "factor": 2.0}, "original_max_position_embeddings None"),
        ({"rope_type": "linear", "factor": 0.5}, "factor 0.5"),
        ({"rope_type": "linear", "factor": "2"}, "factor 2"),
        ({"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 8, "mscale": 1.0}, "mscale"),
    ],
)
def test_a_stretch_that_cannot_be_is_named(scaling, what):
    with pytest.raises(ValueError, match=what):
        MiniMindConfig(rope_scaling=scaling)
