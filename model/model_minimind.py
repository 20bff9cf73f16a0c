"""MiniMind: a Llama-style decoder, dense or mixture-of-experts, written to be read from top to bottom.

    token ids -> embedding -> N x [ x + Attention(RMSNorm(x)) ; x + FeedForward(RMSNorm(x)) ] -> RMSNorm -> logits

Shapes in comments: B batch, T tokens, H query heads, K key/value heads, D head_dim, C hidden_size, E experts.
The class is a Hugging Face `PreTrainedModel`, so `generate`, `save_pretrained` and every `Cache` work as usual;
the keys of its state dict are those of Llama, plus `mlp.gate`, `mlp.experts.{i}` and `mlp.shared_experts.{i}`.
model/fast/ holds faster forms of some of these modules, proven equal to the ones here.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from transformers import GenerationMixin, PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.cache_utils import Cache, DynamicCache
from transformers.masking_utils import create_causal_mask
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutputWithPast, MoeCausalLMOutputWithPast
from transformers.utils.generic import can_return_tuple
from transformers.utils.output_capturing import capture_outputs

LENGTH = "original_max_position_embeddings"  # in a rope_scaling: the tokens of training


class MiniMindConfig(PreTrainedConfig):
    """Sizes and switches of the network. The defaults are MiniMind2-Small, 25,829,888 parameters. Raises ValueError,
    naming the field, for sizes that cannot make a network."""

    model_type = "minimind"
    keys_to_ignore_at_inference = ["past_key_values", "aux_loss"]

    vocab_size: int = 6400
    hidden_size: int = 512
    num_hidden_layers: int = 8
    num_attention_heads: int = 8
    num_key_value_heads: int = 2
    head_dim: int | None = None  # None: hidden_size / num_attention_heads
    qk_norm: bool = False  # RMSNorm over each head's channels of q and k, before they are rotated (Qwen3)
    intermediate_size: int | None = None  # None: 64 * ceil(8/3 * hidden_size / 64)
    hidden_act: str = "silu"
    max_position_embeddings: int = 32768
    rope_theta: float = 1e6
    rope_scaling: dict | None = None  # rope_type, factor, original_max_position_embeddings, …: `scaled_frequencies`
    rms_norm_eps: float = 1e-5
    dropout: float = 0.0
    flash_attn: bool = True  # False: the written-out attention, as attn_implementation="eager"
    initializer_range: float = 0.02
    tie_word_embeddings: bool = True
    use_cache: bool = True
    pad_token_id: int | None = 0
    bos_token_id: int | None = 1
    eos_token_id: int | list[int] | None = 2
    # Mixture of experts; without use_moe the rest of this block is not looked at.
    use_moe: bool = False
    num_experts_per_tok: int = 2
    n_routed_experts: int = 4
    n_shared_experts: int = 1
    scoring_func: str = "softmax"
    aux_loss_alpha: float = 0.1
    seq_aux: bool = True  # balance every sequence by itself (True) or the whole batch as one (False)
    norm_topk_prob: bool = True  # the weights of a token's experts sum to 1

    def __post_init__(self, **kwargs):
        if self.intermediate_size is None:
            self.intermediate_size = 64 * math.ceil(self.hidden_size * 8 / 3 / 64)
        if self.head_dim is None and self.num_attention_heads > 0:
            self.head_dim, rest = divmod(self.hidden_size, self.num_attention_heads)
            self.head_dim = None if rest else self.head_dim
        heads, kv_heads, experts = self.num_attention_heads, self.num_key_value_heads, self.n_routed_experts
        sizes = (
            "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
            "intermediate_size", "max_position_embeddings",
        )  # fmt: skip
        problem = None
        if small := [name for name in sizes if getattr(self, name) < 1]:
            problem = f"{small[0]} is {getattr(self, small[0])}: it must be at least 1"
        elif self.head_dim is None or self.head_dim < 2 or self.head_dim % 2:
            problem = f"hidden_size {self.hidden_size} does not divide into {heads} heads of even size: "
            problem += f"choose a multiple of {2 * heads}, or an even head_dim"
        elif heads % kv_heads:
            problem = f"num_attention_heads {heads} is not a multiple of num_key_value_heads {kv_heads}"
        elif (self.hidden_act, self.scoring_func) != ("silu", "softmax"):
            problem = f"hidden_act {self.hidden_act!r} with scoring_func {self.scoring_func!r}: "
            problem += "this network knows 'silu' with 'softmax' only"
        elif self.use_moe and not 1 <= self.num_experts_per_tok <= experts:
            k = self.num_experts_per_tok
            problem = f"num_experts_per_tok {k} must lie between 1 and n_routed_experts {experts}"
        elif self.rope_scaling:
            problem = problem_of_scaling(self.rope_scaling)
        if problem:
            raise ValueError(problem)
        super().__post_init__(**kwargs)


class RMSNorm(nn.Module):
    """Root mean square normalisation (Zhang & Sennrich 2019, eq. 4): x / sqrt(mean(x^2) + eps) * weight."""

    def __init__(self, hidden_size: int, eps: float = 1e-5):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(hidden_size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # At least float32 inside: squares of half-precision numbers overflow (float16) or lose the small (bfloat16).
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        normed = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)
        return normed.type_as(x) * self.weight


def problem_of_scaling(scaling: dict) -> str | None:
    """What is wrong with a `rope_scaling`, if anything is."""
    kind, known = scaling.get("rope_type"), {"rope_type", "factor"}
    required = {"linear": (), "yarn": (LENGTH,), "llama3": (LENGTH, "low_freq_factor", "high_freq_factor")}
    if kind not in required:
        return f"rope_scaling {kind!r}: this network knows {', '.join(required)}"
    optional = {"attention_factor", "beta_fast", "beta_slow"} if kind == "yarn" else set()
    if others := scaling.keys() - known - {LENGTH, *required[kind]} - optional:
        return f"rope_scaling {kind} with {min(others)}: this network does not know that"
    for name in ("factor", *required[kind], *optional & scaling.keys()):
        value, least = scaling.get(name), 1 if name in ("factor", LENGTH) else 0
        if not isinstance(value, int | float) or not least <= value < math.inf:
            return f"rope_scaling {kind} with {name} {value}: it must be a number from {least} on"
    return None


def scaled_frequencies(frequency: torch.Tensor, theta: float, scaling: dict) -> tuple[torch.Tensor, float]:
    """Rotary frequencies (dim/2,) for `factor` times as many positions as in training, and by how much q and k grow.
    linear: all frequencies are divided by the factor (Chen et al. 2023). yarn: pairs that turn `beta_fast` times or
    more within the original length stay as they are, those that turn less than `beta_slow` times are divided, and a
    ramp lies between (Peng et al. 2023, section 3.2; the growth is eq. 22). llama3: likewise, the ramp over turns."""
    kind, factor = scaling["rope_type"], scaling["factor"]
    if kind == "linear":
        return frequency / factor, 1.0
    length, dim = scaling[LENGTH], 2 * len(frequency)
    if kind == "llama3":
        turns, least, most = length * frequency / (2 * math.pi), scaling["low_freq_factor"], scaling["high_freq_factor"]
        kept = ((turns - least) / (most - least)).clamp(0, 1)
        return frequency * kept + frequency / factor * (1 - kept), 1.0

    def pair_with(turns: float) -> float:
        """The pair that turns so often within the original length."""
        return dim * math.log(length / (2 * math.pi * turns)) / (2 * math.log(theta))

    low = max(math.floor(pair_with(scaling.get("beta_fast") or 32)), 0)
    high = min(math.ceil(pair_with(scaling.get("beta_slow") or 1)), dim - 1)
    divided = ((torch.arange(dim // 2, dtype=torch.float32) - low) / max(high - low, 0.001)).clamp(0, 1)
    growth = scaling.get("attention_factor") or 0.1 * math.log(factor) + 1
    return frequency * (1 - divided) + frequency / factor * divided, growth


def precompute_freqs_cis(
    dim: int, end: int, theta: float = 1e6, rope_scaling: dict | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosine and sine tables of rotary position embeddings (RoFormer, Su et al. 2021, eq. 15). Pair i of a head's `dim`
    channels turns by the angle position * theta^(-2i/dim), or as `rope_scaling` says. Returns two float32 tensors of
    shape (end, dim), laid out for `apply_rotary_pos_emb` (both halves equal)."""
    inverse_frequency = 1 / theta ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim)  # (dim/2,)
    growth = 1.0
    if rope_scaling:
        inverse_frequency, growth = scaled_frequencies(inverse_frequency, theta, rope_scaling)
    angles = torch.outer(torch.arange(end, dtype=torch.float32), inverse_frequency)  # (end, dim/2)
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos() * growth, angles.sin() * growth


def apply_rotary_pos_emb(
    q: torch.Tensor, k: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, unsqueeze_dim: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rotate q (B, T, H, D) and k (B, T, K, D) by their positions; cos and sin are (T, D) or (B, T, D). Channel i is
    paired with channel i + D/2 (the "rotate-half" layout of Llama), so that (a, b) -> (a cos - b sin, b cos + a sin).
    `unsqueeze_dim` is the head axis, counted in the (T, D) tables: 1 for (B, T, H, D), 0 for (B, H, T, D)."""
    if cos.dim() == 3:
        unsqueeze_dim += 1
    cos, sin = cos.unsqueeze(unsqueeze_dim).type_as(q), sin.unsqueeze(unsqueeze_dim).type_as(q)

    def rotate(x: torch.Tensor) -> torch.Tensor:
        a, b = x.chunk(2, dim=-1)
        return x * cos + torch.cat((-b, a), dim=-1) * sin

    return rotate(q), rotate(k)


def repeat_kv(x: torch.Tensor, n_rep: int) -> torch.Tensor:
    """(B, T, K, D) -> (B, T, K * n_rep, D): give each query head a copy of the key/value head it shares."""
    return x.repeat_interleave(n_rep, dim=2)


class Attention(nn.Module):
    """Grouped-query causal self-attention (Vaswani et al. 2017, eq. 1; Ainslie et al. 2023). H query heads share K < H
    key/value heads, which makes the KV cache H/K times smaller."""

    def __init__(self, config: MiniMindConfig, layer_idx: int):
        super().__init__()
        self.config, self.layer_idx, self.dropout = config, layer_idx, config.dropout
        self.n_heads, self.n_kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.head_dim = config.head_dim
        self.q_proj = nn.Linear(config.hidden_size, self.n_heads * self.head_dim, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, self.n_kv_heads * self.head_dim, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, self.n_kv_heads * self.head_dim, bias=False)
        self.o_proj = nn.Linear(self.n_heads * self.head_dim, config.hidden_size, bias=False)
        self.o_proj.writes_to_residual = True  # _init_weights starts it smaller
        self.q_norm, self.k_norm = (
            RMSNorm(self.head_dim, config.rms_norm_eps) if config.qk_norm else nn.Identity() for _ in range(2)
        )

    def forward(
        self, x, rotary, attention_mask=None, past_key_values: Cache | None = None, output_attentions: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """x (B, T, C) -> (B, T, C), and the attention weights (B, H, T, S) of the written-out form, else None.
        `attention_mask` is None for plain causal attention."""
        batch, tokens, _ = x.shape
        q, k, v = (out.view(batch, tokens, -1, self.head_dim) for out in self.project(x))
        q, k = self.rotate(self.q_norm(q), self.k_norm(k), *rotary)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)  # (B, H or K, T, D)
        if past_key_values is not None:
            k, v = past_key_values.update(k, v, self.layer_idx)  # now of all S tokens so far
        dropout, weights = self.dropout if self.training else 0.0, None
        if self.config._attn_implementation == "eager" or output_attentions:
            out, weights = self.attend_written_out(q, k, v, attention_mask, dropout)
        else:
            out = self.attend(q, k, v, attention_mask, dropout)
        return self.o_proj(out.transpose(1, 2).reshape(batch, tokens, -1)), weights

    def project(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.q_proj(x), self.k_proj(x), self.v_proj(x)

    rotate = staticmethod(apply_rotary_pos_emb)

    def attend(self, q, k, v, attention_mask, dropout: float) -> torch.Tensor:
        # One new token may look at everything before it, so it needs no causal mask.
        causal = attention_mask is None and q.shape[2] > 1
        return F.scaled_dot_product_attention(q, k, v, attention_mask, dropout, is_causal=causal, enable_gqa=True)

    def attend_written_out(self, q, k, v, attention_mask, dropout: float) -> tuple[torch.Tensor, torch.Tensor]:
        """softmax(q k^T / sqrt(D) + mask) v, the formula itself, with its weights (B, H, T, S). `attention_mask` holds
        0 and very negative numbers, or True for what may be seen."""
        n_rep, n_new, n_seen = self.n_heads // self.n_kv_heads, q.shape[2], k.shape[2]
        k, v = (repeat_kv(t.transpose(1, 2), n_rep).transpose(1, 2) for t in (k, v))  # (B, H, S, D)
        scores = q @ k.transpose(-2, -1) / math.sqrt(self.head_dim)  # (B, H, T, S)
        if attention_mask is None:
            attention_mask = torch.ones(n_new, n_seen, dtype=torch.bool, device=q.device).tril(n_seen - n_new)
        if attention_mask.dtype == torch.bool:
            scores = scores.masked_fill(~attention_mask, torch.finfo(scores.dtype).min)
        else:
            scores = scores + attention_mask
        weights = F.dropout(F.softmax(scores.float(), dim=-1).type_as(q), dropout)
        return weights @ v, weights


class FeedForward(nn.Module):
    """SwiGLU (Shazeer 2020, eq. 6): down(silu(gate(x)) * up(x)). The same block serves as an expert."""

    def __init__(self, config: MiniMindConfig):
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)
        self.down_proj.writes_to_residual = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class MoEGate(nn.Module):
    """The router: scores every expert for every token and keeps the best `num_experts_per_tok`."""

    def __init__(self, config: MiniMindConfig):
        super().__init__()
        self.config = config
        self.weight = nn.Parameter(torch.empty(config.n_routed_experts, config.hidden_size))

    def forward(
        self, x: torch.Tensor, token_mask: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """x (B, T, C), token_mask (B, T), True for text -> expert ids and their weights (B, T, k), balance loss ()."""
        # float32: in half precision two experts' scores tie far too easily.
        scores = F.linear(x.float(), self.weight.float()).softmax(dim=-1)  # (B, T, E)
        weights, experts = scores.topk(self.config.num_experts_per_tok, dim=-1, sorted=False)
        if self.config.norm_topk_prob:  # of a lone expert it is 1 then, and the gate learns from the balance loss alone
            weights = weights / weights.sum(-1, keepdim=True)
        return experts, weights.type_as(x), self.balance_loss(scores, experts, token_mask)

    def balance_loss(self, scores, experts, token_mask) -> torch.Tensor:
        """DeepSeek-V2 (2024), eq. 23-25: alpha * sum_e f_e P_e over a sequence's text tokens, mean over sequences. f_e
        is expert e's share of the choices times E (1 when balanced), P_e its mean score. Padding counts nowhere."""
        n_experts, k = self.config.n_routed_experts, self.config.num_experts_per_tok
        mask = torch.ones_like(scores[..., :1]) if token_mask is None else token_mask.unsqueeze(-1).float()  # (B, T, 1)
        chosen = F.one_hot(experts, n_experts).sum(dim=-2) * mask  # (B, T, E)
        over = (1,) if self.config.seq_aux else (0, 1)
        n_tokens = mask.sum(over)  # (B, 1) or (1,)
        f = chosen.sum(over) * n_experts / (k * n_tokens.clamp(min=1))
        p = (scores * mask).sum(over) / n_tokens.clamp(min=1)
        loss = (f * p).sum(-1)  # (B,) or (): 0 for a row that is all padding
        return self.config.aux_loss_alpha * loss.sum() / (n_tokens > 0).sum().clamp(min=1)


class MOEFeedForward(nn.Module):
    """Mixture of experts (Shazeer et al. 2017; shared experts: DeepSeekMoE, Dai et al. 2024, eq. 9). Each token goes to
    k of E routed experts, weighted by the gate, and to all shared experts."""

    def __init__(self, config: MiniMindConfig):
        super().__init__()
        self.gate = MoEGate(config)
        self.experts = nn.ModuleList(FeedForward(config) for _ in range(config.n_routed_experts))
        self.shared_experts = nn.ModuleList(FeedForward(config) for _ in range(config.n_shared_experts))

    def forward(self, x: torch.Tensor, token_mask: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """x (B, T, C) -> (B, T, C) and the balance loss. To padding (token_mask False) routed experts add nothing."""
        experts, weights, balance_loss = self.gate(x, token_mask)
        if token_mask is not None:
            weights = weights * token_mask.unsqueeze(-1)
        out = self.dispatch(x.flatten(0, 1), experts.flatten(0, 1), weights.flatten(0, 1)).view_as(x)
        for shared in self.shared_experts:
            out = out + shared(x)
        return out, balance_loss

    def dispatch(self, x: torch.Tensor, experts: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """sum_e g_e E_e(x) (Shazeer et al. 2017, eq. 1): x (N, C), experts and weights (N, k) -> (N, C). An expert that
        a token did not choose has g_e = 0 there. Here it is computed all the same, which keeps the formula, and every
        shape fixed; model/fast computes only what was chosen."""
        out = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            g = (weights * (experts == number)).sum(-1, keepdim=True)  # (N, 1)
            out = out + (g * expert(x)).type_as(x)
        return out


class MiniMindBlock(GradientCheckpointingLayer):
    """One pre-norm decoder layer: attention, then the feed-forward, each added to the residual stream."""

    def __init__(self, config: MiniMindConfig, layer_idx: int):
        super().__init__()
        self.self_attn = Attention(config, layer_idx)
        self.mlp = MOEFeedForward(config) if config.use_moe else FeedForward(config)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, x, rotary, attention_mask=None, token_mask=None, past_key_values=None, output_attentions: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """x (B, T, C) -> (B, T, C) and this layer's balance loss (None when dense)."""
        normed = self.input_layernorm(x)
        attended, _ = self.self_attn(normed, rotary, attention_mask, past_key_values, output_attentions)
        x = x + self.dropout(attended)
        normed, balance_loss = self.post_attention_layernorm(x), None
        if isinstance(self.mlp, MOEFeedForward):
            out, balance_loss = self.mlp(normed, token_mask)
        else:
            out = self.mlp(normed)
        return x + self.dropout(out), balance_loss


@dataclass
class MiniMindModelOutput(BaseModelOutputWithPast):
    aux_loss: torch.Tensor | None = None  # balance loss of all layers, already times alpha; None when dense


class MiniMindPreTrainedModel(PreTrainedModel):
    config_class = MiniMindConfig
    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    _no_split_modules = ["MiniMindBlock"]
    _skip_keys_device_placement = ["past_key_values"]
    _supports_sdpa = True
    _can_compile_fullgraph = True
    _can_record_outputs = {"hidden_states": MiniMindBlock, "attentions": Attention}

    def stretch(self, rope_scaling: dict) -> int:
        """Use a `rope_scaling` from now on. Returns the length, in tokens, that it is meant for (0: it does not say);
        there are at least so many positions then. Raises ValueError for one that cannot be."""
        if problem := problem_of_scaling(rope_scaling):
            raise ValueError(problem)
        config, inner = self.config, self.base_model
        length = math.ceil(rope_scaling["factor"] * rope_scaling.get(LENGTH, 0))
        config.rope_scaling, config.max_position_embeddings = rope_scaling, max(config.max_position_embeddings, length)
        inner.freqs_cos, inner.freqs_sin = (table.to(inner.freqs_cos) for table in inner.rotary_tables())
        return length

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """N(0, 0.02) everywhere (GPT-2), and the two projections that write to the residual stream divided by
        sqrt(2 * layers), so that its variance does not grow with depth (Radford et al. 2019, section 2.3)."""
        std = self.config.initializer_range
        if isinstance(module, nn.Linear | nn.Embedding | MoEGate):
            if getattr(module, "writes_to_residual", False):
                std /= math.sqrt(2 * self.config.num_hidden_layers)
            init.normal_(module.weight, mean=0.0, std=std)
        elif isinstance(module, RMSNorm):
            init.ones_(module.weight)
        elif isinstance(module, MiniMindModel):
            for table, values in zip((module.freqs_cos, module.freqs_sin), module.rotary_tables(), strict=True):
                init.copy_(table, values)


class MiniMindModel(MiniMindPreTrainedModel):
    """The decoder without its head: token ids -> hidden states."""

    def __init__(self, config: MiniMindConfig):
        super().__init__(config)
        if not config.flash_attn:
            self.config._attn_implementation = "eager"
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(MiniMindBlock(config, i) for i in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        cos, sin = self.rotary_tables()
        self.register_buffer("freqs_cos", cos, persistent=False)
        self.register_buffer("freqs_sin", sin, persistent=False)
        self.gradient_checkpointing = False
        self.post_init()

    def rotary_tables(self) -> tuple[torch.Tensor, torch.Tensor]:
        config = self.config
        sizes = config.head_dim, config.max_position_embeddings, config.rope_theta
        return precompute_freqs_cis(*sizes, config.rope_scaling)

    @capture_outputs
    def forward(
        self, input_ids: torch.LongTensor | None = None, attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None, past_key_values: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None, use_cache: bool | None = None, right_padded: bool = False, **kwargs,
    ) -> MiniMindModelOutput:  # fmt: skip
        """input_ids (B, T) -> last_hidden_state (B, T, C), and aux_loss for a mixture of experts.

        attention_mask (B, all tokens so far) is 1 for text, 0 for padding on either side. Without it, position_ids that
        start again inside a row mean several documents in that row, and none sees another. `right_padded` promises that
        padding only follows text: attention then needs no mask, and is faster. A cache is made and returned if
        `use_cache` says so; by default as the config does, except in training and for rows of several documents. Raises
        ValueError for neither or both of input_ids and inputs_embeds, and for positions beyond its own."""
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give exactly one of input_ids and inputs_embeds")
        x = self.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        tokens = x.shape[1]
        # None when plain causal attention is all that is needed, which is the fast path.
        causal_mask = create_causal_mask(
            config=self.config, inputs_embeds=x, attention_mask=None if right_padded else attention_mask,
            past_key_values=past_key_values, position_ids=position_ids,
        )  # fmt: skip
        if use_cache is None:
            may_be_packed = position_ids is not None and attention_mask is None
            use_cache = self.config.use_cache and not self.training and not may_be_packed
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache(config=self.config)
        if position_ids is None:
            seen = 0 if past_key_values is None else past_key_values.get_seq_length()
            position_ids = (torch.arange(tokens, device=x.device) + seen).unsqueeze(0)
        token_mask = None
        if self.config.use_moe and attention_mask is not None and attention_mask.dim() == 2:
            token_mask = attention_mask[:, -tokens:].bool()
        try:
            rotary = self.freqs_cos[position_ids], self.freqs_sin[position_ids]  # (B or 1, T, D)
        except IndexError:
            raise ValueError(
                f"a token at position {int(position_ids.max())}, but this network has max_position_embeddings = "
                f"{self.config.max_position_embeddings}: shorten the input"
            ) from None
        output_attentions = kwargs.get("output_attentions", self.config.output_attentions)

        x = self.dropout(x)
        balance_losses = []
        for layer in self.layers:
            x, balance_loss = layer(
                x, rotary, causal_mask, token_mask, past_key_values=past_key_values, output_attentions=output_attentions
            )
            balance_losses.append(balance_loss)
        aux_loss = torch.stack(balance_losses).sum() if self.config.use_moe else None
        return MiniMindModelOutput(last_hidden_state=self.norm(x), past_key_values=past_key_values, aux_loss=aux_loss)


class MiniMindForCausalLM(MiniMindPreTrainedModel, GenerationMixin):
    """The decoder with its language-model head, whose matrix is the embedding's (Press & Wolf 2017)."""

    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}

    def __init__(self, config: MiniMindConfig | None = None):
        super().__init__(config or MiniMindConfig())
        self.model = MiniMindModel(self.config)
        self.lm_head = nn.Linear(self.config.hidden_size, self.config.vocab_size, bias=False)
        self.post_init()

    def generate_batch(self, *args, **kwargs):
        raise NotImplementedError("MiniMind has no paged attention: use model.generation.Generator, or generate()")

    @can_return_tuple
    def forward(
        self, input_ids: torch.LongTensor | None = None, attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None, past_key_values: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None, labels: torch.LongTensor | None = None,
        use_cache: bool | None = None, logits_to_keep: int | torch.Tensor = 0, **kwargs,
    ) -> MoeCausalLMOutputWithPast:  # fmt: skip
        """input_ids (B, T) -> logits (B, T or logits_to_keep, vocab_size), and past_key_values if asked for. With
        labels (B, T; -100 is not learned; shifted here), `loss` is the mean cross-entropy in nats, plus, for a mixture
        of experts, `aux_loss`: the balance loss of all layers, already times aux_loss_alpha."""
        out = self.model(input_ids, attention_mask, position_ids, past_key_values, inputs_embeds, use_cache, **kwargs)
        keep = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(out.last_hidden_state[:, keep])
        loss = None
        if labels is not None:
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=self.config.vocab_size, **kwargs)
            if out.aux_loss is not None:
                loss = loss + out.aux_loss
        return MoeCausalLMOutputWithPast(
            loss=loss, aux_loss=out.aux_loss, logits=logits, past_key_values=out.past_key_values,
            hidden_states=out.hidden_states, attentions=out.attentions,
        )  # fmt: skip
