"""The decoder laid out for inference: the same numbers as model/model_minimind.py, in as few operations as may be.

Shapes: N tokens of any rows, B rows, T tokens, S positions, H query heads, K key/value heads, D head_dim,
C hidden_size, V vocabulary.
"""

import math
import os
from collections.abc import Callable

import torch
import torch.nn.functional as F

from model.kv_cache import KVCache
from model.model_lora import merged_weight
from model.model_minimind import MiniMindForCausalLM, MOEFeedForward, precompute_freqs_cis

INT8_ROWS = 16  # up to so many, a product of 8-bit weights is limited by reading them


class Projection:
    """x (…, in) -> x W^T (…, out), plus `residual` if given. On a CPU W is kept in the blocked order of oneDNN, whose
    products are about twice as fast as F.linear, for one row as for many (torch.compile does so to frozen weights)."""

    def __init__(self, weight: torch.Tensor):
        self.packed = weight.is_cpu and torch.backends.mkldnn.is_available()
        if self.packed and weight.dtype != torch.float32:
            self.packed = weight.dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach()) if self.packed else weight.detach()

    def __call__(self, x: torch.Tensor, residual: torch.Tensor | None = None) -> torch.Tensor:
        if not self.packed:
            out = F.linear(x, self.weight)
            return out if residual is None else out + residual
        if residual is None:
            return torch.ops.mkldnn._linear_pointwise(x, self.weight, None, "none", [], "")
        return torch.ops.mkldnn._linear_pointwise.binary(x, residual, self.weight, None, "add")


class Int8Projection:
    """The same with W in 8 bits, one scale per output: a quarter of float32's bytes to read for a token. x is bfloat16.
    Many rows are limited by arithmetic, not by reading: then W becomes bfloat16 for the product."""

    def __init__(self, weight: torch.Tensor):
        weight = weight.detach().float()
        self.scale = (weight.abs().amax(1) / 127).clamp(min=1e-12).bfloat16()
        self.weight = (weight / self.scale.float()[:, None]).round().clamp(-127, 127).to(torch.int8)

    def __call__(self, x: torch.Tensor, residual: torch.Tensor | None = None) -> torch.Tensor:
        if len(x) <= INT8_ROWS and x.shape[-1] % 16 == 0:  # of other widths it reads beyond the end
            out = torch._weight_int8pack_mm(x, self.weight, self.scale)
        else:
            out = F.linear(x, self.weight.to(x.dtype)) * self.scale
        return out if residual is None else out + residual


class SwiGLU:
    """The dense feed-forward, gate and up as one product."""

    def __init__(self, mlp, project: Callable):
        self.gate_up, self.down = project(mlp.gate_proj, mlp.up_proj), project(mlp.down_proj)

    def __call__(self, x: torch.Tensor, residual: torch.Tensor | None = None) -> torch.Tensor:
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(F.silu(gate).mul_(up), residual)


class MixtureOfExperts:
    """Each row goes to its k experts, and every expert reads its rows at once; an expert without rows costs nothing."""

    def __init__(self, mlp: MOEFeedForward, project: Callable):
        self.router, self.config = mlp.gate.weight.detach().float(), mlp.gate.config
        self.experts = [SwiGLU(expert, project) for expert in mlp.experts]
        self.shared_experts = [SwiGLU(expert, project) for expert in mlp.shared_experts]

    def __call__(self, x: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        weights, chosen = F.linear(x.float(), self.router).softmax(-1).topk(self.config.num_experts_per_tok)  # (B, k)
        if self.config.norm_topk_prob:
            weights = weights / weights.sum(-1, keepdim=True)
        out = residual.clone()
        for number, expert in enumerate(self.experts):
            rows, place = (chosen == number).nonzero(as_tuple=True)
            if len(rows):
                out.index_add_(0, rows, expert(x[rows]) * weights[rows, place, None].type_as(x))
        for shared in self.shared_experts:
            out = shared(x, out)
        return out


class FastNetwork:
    """The decoder of a MiniMindForCausalLM for inference alone. q, k and v are one product, and so are gate and up. An
    adapter is added to its matrix in this copy; the model itself keeps both apart. What needs no other layout or type
    (norms and embedding, on a GPU more) is not copied but the model's own tensor, so once the model has been trained
    on, use it only after `Generator.refresh`."""

    def __init__(self, model: MiniMindForCausalLM, dtype: torch.dtype, positions: int):
        config = self.config = model.config
        kind, dtype = (Int8Projection, torch.bfloat16) if dtype == torch.int8 else (Projection, dtype)
        self.n_heads, self.n_kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.head_dim = config.head_dim
        pairs = torch.arange(self.head_dim).view(2, -1).T.flatten()  # 0, D/2, 1, D/2 + 1, …

        def project(*layers, rotated: int = 0) -> Projection | Int8Projection:
            """The layers' matrices below one another; the first `rotated` with each head's channels in pairs."""
            matrices = [merged_weight(layer).detach().to(dtype) for layer in layers]
            for i in range(rotated):
                heads = matrices[i].unflatten(0, (-1, self.head_dim))
                matrices[i] = heads[:, pairs.to(heads.device)].flatten(0, 1)
            return kind(torch.cat(matrices) if len(matrices) > 1 else matrices[0])

        self.embedding = model.model.embed_tokens.weight.detach().to(dtype)
        self.layers = []
        for block in model.model.layers:
            attention = block.self_attn
            # Rotary embeddings turn channels i and i + D/2 as a pair. With q's and k's channels reordered so that a
            # pair lies side by side it is one complex number, and q k^T stays the same sum in another order.
            qkv = project(attention.q_proj, attention.k_proj, attention.v_proj, rotated=2)
            mlp = MixtureOfExperts if isinstance(block.mlp, MOEFeedForward) else SwiGLU
            norms = [norm.weight.detach().to(dtype) for norm in (block.input_layernorm, block.post_attention_layernorm)]
            heads = ((attention.q_norm, self.n_heads), (attention.k_norm, self.n_kv_heads)) if config.qk_norm else ()
            qk_norms = [norm.weight.detach().to(dtype)[pairs.to(norm.weight.device)].expand(n, -1) for norm, n in heads]
            qk_norm = torch.cat(qk_norms) if qk_norms else None  # (H + K, D)
            self.layers.append((norms[0], qkv, qk_norm, project(attention.o_proj), norms[1], mlp(block.mlp, project)))
        self.norm = model.model.norm.weight.detach().to(dtype)
        self.head = project(model.lm_head)
        cos, sin = precompute_freqs_cis(self.head_dim, positions, config.rope_theta, config.rope_scaling)
        half = self.head_dim // 2
        self.rotation = torch.complex(cos[:, :half], sin[:, :half]).to(self.embedding.device)  # (S, D/2)
        self.recorded: dict[tuple[int, int], RecordedStep] = {}  # on an NVIDIA GPU, by rows and span

    def normalise(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(x, weight.shape, weight, self.config.rms_norm_eps)

    def rotate(self, qk: torch.Tensor, rotation: torch.Tensor) -> None:
        """Turn the channel pairs of qk (N, heads, D) by rotation (N, 1, D/2), in place."""
        wide = qk.float()  # itself if it is float32
        torch.view_as_complex(wide.unflatten(-1, (-1, 2))).mul_(rotation)
        if wide is not qk:
            qk.copy_(wide)

    def prefill(self, ids: torch.Tensor, lengths: list[int], cache: KVCache, first_row: int) -> torch.Tensor:
        """Prompts ids (B, T), padded on the right, into the cache's new rows; logits after each one's last (B, V). No
        mask is needed: a token looks only to its left, where no padding is."""
        batch, tokens = ids.shape
        rotation = self.rotation[:tokens, None]  # (T, 1, D/2)

        def attend(layer: int, q: torch.Tensor, kv: torch.Tensor) -> torch.Tensor:
            q, kv = (x.unflatten(0, (batch, tokens)).transpose(1, 2) for x in (q, kv))  # (B, H or 2K, T, D)
            cache.write_prompts(layer, first_row, kv)
            k, v = kv.split(self.n_kv_heads, dim=1)
            out = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
            return out.transpose(1, 2).flatten(2).flatten(0, 1)

        hidden = self.forward(ids.flatten(), rotation.repeat(batch, 1, 1), attend)
        last = [row * tokens + length - 1 for row, length in enumerate(lengths)]
        return self.logits(hidden[last])

    def decode(self, ids: torch.Tensor, lengths: list[int], cache: KVCache) -> torch.Tensor:
        """One new token per row, ids (B,), after `lengths` earlier ones; logits (B, V)."""
        positions, longest = torch.tensor(lengths, device=ids.device), max(lengths) + 1
        # A mixture asks the device how many rows each expert has, which a recorded step cannot.
        if not ids.is_cuda or self.config.use_moe or os.environ.get("MINIMIND_CUDA_GRAPHS") == "0":
            return self.decode_step(ids, positions, longest, min(lengths) + 1 < longest, cache)
        _, n_rows, _, n_positions, _ = cache.data.shape
        rows, span = min(next_power_of_2(len(ids), 1), n_rows), min(next_power_of_2(longest, 256), n_positions)
        if (rows, span) not in self.recorded:
            self.recorded[rows, span] = RecordedStep(self, rows, span, cache, ids, positions)
        return self.recorded[rows, span](ids, positions)

    def decode_step(self, ids, positions, span: int, masked: bool, cache: KVCache) -> torch.Tensor:
        """One new token per row, ids (B,), at positions (B,), which sees the cache's first `span` positions; `masked`:
        some rows are shorter. The shapes are those of the arguments, and no value is looked at: it can be recorded."""
        places, mask = cache.places(positions), None
        if masked:  # -inf where a shorter row has nothing yet
            beyond = torch.arange(span, device=ids.device) > positions[:, None]
            mask = torch.zeros(beyond.shape, dtype=cache.data.dtype, device=ids.device)
            mask = mask.masked_fill_(beyond, -math.inf)[:, None, None]  # (B, 1, 1, S)

        def attend(layer: int, q: torch.Tensor, kv: torch.Tensor) -> torch.Tensor:
            cache.write_tokens(layer, places, kv)
            k, v = cache.read(layer, len(ids), span)
            # The H/K query heads that share a key head are put where the tokens of one head would be.
            q = q.unflatten(1, (self.n_kv_heads, -1))  # (B, K, H/K, D)
            return F.scaled_dot_product_attention(q, k, v, mask).flatten(1)

        return self.logits(self.forward(ids, self.rotation[positions, None], attend))

    def forward(self, ids: torch.Tensor, rotation: torch.Tensor, attend: Callable) -> torch.Tensor:
        """Token ids (N,) of any rows -> hidden states (N, C). Only `attend` knows which of them belong together."""
        x = self.embedding[ids]
        n_rotated = self.n_heads + self.n_kv_heads
        for number, (norm1, qkv_proj, qk_norm, o_proj, norm2, mlp) in enumerate(self.layers):
            qkv = qkv_proj(self.normalise(x, norm1)).unflatten(-1, (-1, self.head_dim))  # (N, H + 2K, D)
            if qk_norm is not None:
                qkv[:, :n_rotated] = F.rms_norm(qkv[:, :n_rotated], (self.head_dim,), None, self.config.rms_norm_eps)
                qkv[:, :n_rotated] *= qk_norm
            self.rotate(qkv[:, :n_rotated], rotation)
            x = o_proj(attend(number, qkv[:, : self.n_heads], qkv[:, self.n_heads :]), x)
            x = mlp(self.normalise(x, norm2), x)
        return x

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """float32, whatever the network computes in."""
        return self.head(self.normalise(hidden, self.norm)).float()


class RecordedStep:
    """The kernels of `decode_step` for `rows` rows and `span` positions as one CUDA graph. A GPU has done a kernel of a
    small network before Python can ask for the next one; a graph asks for all at once. It does the same work on the
    same memory each time, so rows and span are rounded up, and its few sizes serve all. Rows without a request make
    token 0 at position 0 of a row of the cache that nobody has."""

    def __init__(self, network: FastNetwork, rows: int, span: int, cache: KVCache, ids, positions):
        self.ids, self.positions = torch.zeros(2, rows, dtype=torch.long, device=ids.device)
        self.fill(ids, positions)
        side, current = torch.cuda.Stream(), torch.cuda.current_stream()
        side.wait_stream(current)
        with torch.cuda.stream(side):  # cuBLAS makes its workspace outside of the recording
            network.decode_step(self.ids, self.positions, span, True, cache)
        current.wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
            self.logits = network.decode_step(self.ids, self.positions, span, True, cache)

    def fill(self, ids: torch.Tensor, positions: torch.Tensor) -> None:
        for static, new in ((self.ids, ids), (self.positions, positions)):
            static.zero_()[: len(new)] = new

    def __call__(self, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Logits (B, V), until the next call."""
        self.fill(ids, positions)
        self.graph.replay()
        return self.logits[: len(ids)]


def next_power_of_2(number: int, least: int) -> int:
    return max(least, 1 << (number - 1).bit_length())
