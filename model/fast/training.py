"""Faster forms of the network's modules for training, with their gradients written out; `speed_up` puts them in.

Autograd stores every intermediate of x / sqrt(mean(x^2) + eps) * weight and of down(silu(gate(x)) * up(x)). The
backward pass can recompute most of them from what is stored anyway, and both passes can go through the tokens in
chunks, so that no large temporary tensor is ever made. The values are those of model/model_minimind.py.

On a CPU with AVX-512 all matrix products of float32 go to oneDNN. torch's own choice there is MKL, which on AMD's
processors leaves their 512-bit units unused: with oneDNN the products of a training step take half the time. Without
such units MKL is the faster, by a tenth to a fifth of a step.
"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.model_minimind import Attention, FeedForward, MOEFeedForward, RMSNorm

HAS_AVX512 = "AVX512" in torch.backends.cpu.get_cpu_capability()
HAS_ONEDNN = HAS_AVX512 and torch.backends.mkldnn.is_available()
SMALL_ROWS = 64
CHUNK_ROWS = 1024  # few enough for a CPU's cache and for holes in its heap, enough for fast matrix products
QUERY_TILE = 256  # queries of one row of a batch that meet their keys at a time

# ---------------------------------------------------------------- what is used where


def speed_up(model: nn.Module, compiled: bool = False) -> nn.Module:
    """Give every module of the network that has a faster form that form, in place, and return the network. Parameters,
    keys and hooks stay as they are. torch.compile makes fast code of the plain formulas by itself, except of a mixture
    of experts: with `compiled` nothing else is replaced."""
    for module in model.modules():
        faster = FASTER.get(type(module))
        if faster and getattr(module, "bias", None) is None and (faster is FastMOEFeedForward or not compiled):
            module.__class__ = faster
    return model


def compute_dtype(x: Tensor) -> torch.dtype:
    """What products with x are computed in: autocast's type where it is on, else x's own."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


def is_plain(module: nn.Module) -> bool:
    """Whether a module is x W^T, W being trained, and nothing else: no adapter or hook relies on its being called."""
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    return type(module) in (nn.Linear, FastLinear) and module.weight.requires_grad and not any(hooks)


def use_onednn(x: Tensor, y: Tensor) -> bool:
    return HAS_ONEDNN and x.is_cpu and x.dtype == y.dtype == torch.float32


def can_group(x: Tensor, experts: nn.ModuleList) -> bool:
    """Whether one kernel may compute all experts: bfloat16 on an NVIDIA GPU since Ampere."""
    able = x.is_cuda and compute_dtype(x) == torch.bfloat16 and torch.cuda.get_device_capability(x.device) >= (8, 0)
    return able and all(is_plain(part) for expert in experts for part in expert.children())


# ---------------------------------------------------------------- matrix products


def row_chunks(tensor: Tensor) -> tuple[Tensor, ...]:
    """(…, C) -> matrices (up to CHUNK_ROWS, C); one of all rows on a GPU, where a call costs more than its memory."""
    matrix = tensor.reshape(-1, tensor.shape[-1])
    return matrix.split(CHUNK_ROWS) if matrix.is_cpu else (matrix,)


def matmul(x: Tensor, weight: Tensor, residual: Tensor | None = None) -> Tensor:
    """x W^T + residual without a gradient: x (…, K), W (N, K), which may be a transposed view -> (…, N)."""
    if not use_onednn(x, weight):
        out = F.linear(x, weight)
        return out if residual is None else out + residual
    matrix = x.reshape(-1, x.shape[-1])
    residual = None if residual is None else residual.reshape(-1, len(weight))
    parts = [
        onednn_matmul(matrix[block], weight, is_small, None if residual is None else residual[block])
        for block, is_small in row_blocks(len(matrix))
    ]
    return (torch.cat(parts) if len(parts) > 1 else parts[0]).view(*x.shape[:-1], len(weight))


def weight_gradients(x: Tensor, grads: Sequence[Tensor], totals: Sequence[Tensor | None] | None = None) -> list[Tensor]:
    """x^T dy + total for each dy: x (…, K), dy (…, N) -> (K, N), summed up in float32 or wider."""
    x, *grads = (tensor.reshape(-1, tensor.shape[-1]) for tensor in (x, *grads))
    totals = totals or [None] * len(grads)
    if not use_onednn(x, grads[0]):
        wide = torch.promote_types(x.dtype, torch.float32)
        outs = [(x.T @ dy).to(wide) for dy in grads]
        return [out if total is None else total.add_(out) for out, total in zip(outs, totals, strict=True)]
    for block, is_small in row_blocks(len(x)):
        columns = x[block].T.contiguous()  # once for all of them
        totals = [onednn_matmul(columns, dy[block].T, is_small, t) for dy, t in zip(grads, totals, strict=True)]
    return totals


def row_blocks(n_rows: int) -> list[tuple[slice, bool]]:
    """Rows in blocks of few different sizes: a multiple of CHUNK_ROWS, one of SMALL_ROWS, and a small rest. oneDNN
    compiles each new size, in a millisecond and a megabyte, and batches of conversations have hundreds."""
    ends = [0, n_rows - n_rows % CHUNK_ROWS, n_rows - n_rows % SMALL_ROWS]
    regular = [(slice(start, end), False) for start, end in zip(ends, ends[1:], strict=False) if start < end]
    return regular if n_rows and ends[-1] == n_rows else [*regular, (slice(ends[-1], n_rows), True)]


def onednn_matmul(x: Tensor, weight: Tensor, is_small: bool, residual: Tensor | None = None) -> Tensor:
    """x (M, K) W^T (K, N) + residual (M, N) in one pass; by torch's own product where the sizes are small."""
    if is_small:
        return x @ weight.T if residual is None else torch.addmm(residual, x, weight.T)
    if residual is None:
        return torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")
    return torch.ops.mkldnn._linear_pointwise.binary(x, residual, weight, None, "add")


class LinearFunction(torch.autograd.Function):
    """y_i = x W_i^T, computed in `dtype`, for matrices W_i (N_i, K) that share x (…, K); keeps x and the W_i."""

    @staticmethod
    def forward(ctx, x: Tensor, dtype: torch.dtype, *weights: Tensor) -> tuple[Tensor, ...]:
        x = x.to(dtype)
        ctx.save_for_backward(x, *weights)
        return tuple(matmul(x, weight.to(dtype)) for weight in weights)

    @staticmethod
    def backward(ctx, *grads: Tensor):
        x, *weights = ctx.saved_tensors
        needs_dx, _, *needs_dw = ctx.needs_input_grad
        dx = None
        for dy, weight in zip(grads, weights, strict=True):
            dx = matmul(dy, weight.to(dy.dtype).T, dx) if needs_dx else None
        if not any(needs_dw):
            return dx, None, *(None for _ in weights)
        # (x^T dy)^T: the order of the two that oneDNN is faster in
        return dx, None, *(dw.T for dw in weight_gradients(x, grads))


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """x W^T: x (…, K), W (N, K)."""
    return LinearFunction.apply(x, compute_dtype(x), weight)[0] if x.is_cpu else F.linear(x, weight)


class FastLinear(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight)


class RMSNormFunction(torch.autograd.Function):
    """y = x r w with r = 1 / sqrt(mean(x^2) + eps), rounded to `dtype`; keeps x and r, (…, C) and (…, 1)."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
        # At least float32 inside: squares of half-precision numbers overflow or lose the small.
        wide = torch.promote_types(x.dtype, torch.float32)
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=wide)
        r = torch.rsqrt(length.square() / x.shape[-1] + eps)
        ctx.save_for_backward(x, weight, r)
        return (x * r).type_as(x).mul_(weight).to(dtype)

    @staticmethod
    def backward(ctx, grad: Tensor):
        all_x, weight, all_r = ctx.saved_tensors
        grad_x, grad_weight = torch.empty_like(all_x), torch.zeros_like(weight, dtype=all_r.dtype)
        for x, r, dy, dx in zip(*map(row_chunks, (all_x, all_r, grad, grad_x)), strict=True):
            normed, dy = x * r, dy.to(r.dtype)
            grad_weight += (dy * normed).sum(0)
            dy = dy * weight
            # d normed / d x = r (I - normed normed^T / C)
            along = (dy * normed).mean(-1, keepdim=True)
            dx.copy_(dy.sub_(normed.mul_(along)).mul_(r))
        return grad_x, grad_weight.type_as(weight), None, None


class FastRMSNorm(RMSNorm):
    def forward(self, x: Tensor) -> Tensor:
        return RMSNormFunction.apply(x, self.weight, self.eps, compute_dtype(x))


class SwiGLUFunction(torch.autograd.Function):
    """y = (silu(g) * u) D^T with g = x G^T and u = x U^T, in `dtype`; keeps x (…, C), g and u (…, I)."""

    @staticmethod
    def forward(ctx, x, gate, up, down, dtype: torch.dtype) -> Tensor:
        x, down_now = x.to(dtype), down.to(dtype)
        all_g, all_u = matmul(x, gate.to(dtype)), matmul(x, up.to(dtype))
        ctx.save_for_backward(x, all_g, all_u, gate, up, down)
        out = x.new_empty(*x.shape[:-1], len(down))
        for g, u, y in zip(*map(row_chunks, (all_g, all_u, out)), strict=True):
            y.copy_(matmul(F.silu(g).mul_(u), down_now))
        return out

    @staticmethod
    def backward(ctx, grad: Tensor):
        *tensors, gate, up, down = ctx.saved_tensors
        gate_now, up_now, down_now = (weight.to(grad.dtype) for weight in (gate, up, down))
        grad_x = torch.empty_like(tensors[0])
        grads_in, grads_down = None, None
        for x, g, u, dy, dx in zip(*map(row_chunks, (*tensors, grad, grad_x)), strict=True):
            silu = F.silu(g)
            grads_down = weight_gradients(dy, [silu * u], grads_down)
            d_product = matmul(dy, down_now.T)
            du = silu.mul_(d_product)
            dg = torch.ops.aten.silu_backward(d_product.mul_(u), g)
            grads_in = weight_gradients(x, [dg, du], grads_in)
            dx.copy_(matmul(du, up_now.T, matmul(dg, gate_now.T)))
        return grad_x, *(grad.T for grad in grads_in), *grads_down, None


class FastFeedForward(FeedForward):
    def forward(self, x: Tensor) -> Tensor:
        layers = (self.gate_proj, self.up_proj, self.down_proj)
        autocast_on_gpu = not x.is_cpu and torch.is_autocast_enabled(x.device.type)
        if autocast_on_gpu or not torch.is_grad_enabled() or not all(map(is_plain, layers)):
            return super().forward(x)
        return SwiGLUFunction.apply(x, *(layer.weight for layer in layers), compute_dtype(x))


class FastMOEFeedForward(MOEFeedForward):
    """Computes only the experts that a token chose, and none for padding."""

    def forward(self, x: Tensor, token_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if token_mask is None or x.is_cuda:  # a GPU would have to wait until it is known how many tokens are text
            return super().forward(x, token_mask)
        experts, weights, balance_loss = self.gate(x, token_mask)
        out = self.dispatch(x[token_mask], experts[token_mask], weights[token_mask])
        out = torch.zeros_like(x).masked_scatter(token_mask.unsqueeze(-1), out)
        for shared in self.shared_experts:
            out = out + shared(x)
        return out, balance_loss

    def dispatch(self, x: Tensor, experts: Tensor, weights: Tensor) -> Tensor:
        """One matrix product per expert over its tokens, side by side. Every expert runs even on zero tokens, so that
        each parameter has a gradient on every rank."""
        group = can_group(x, self.experts)
        if torch.compiler.is_compiling() and not group:
            return super().dispatch(x, experts, weights)
        n_experts, k = len(self.experts), experts.shape[1]
        order = experts.flatten().argsort(stable=True)  # (N*k,) choices, grouped by expert
        counts = (experts.view(-1, 1) == torch.arange(n_experts, device=x.device)).sum(0)
        token = order // k  # which token each choice belongs to
        if group:
            done = swiglu_grouped(x[token], counts, self.experts)
        else:
            chunks = x[token].split(counts.tolist())
            done = torch.cat([expert(chunk) for expert, chunk in zip(self.experts, chunks, strict=True)])
        return torch.zeros_like(x).index_add(0, token, (done * weights.flatten()[order, None]).type_as(x))


def swiglu_grouped(x: Tensor, counts: Tensor, experts: nn.ModuleList) -> Tensor:
    """x (N, C), the first counts[0] rows for the first expert, and so on -> (N, C). One kernel for all experts, and the
    counts (E,) stay on the device, so the host need not wait for them."""
    ends, dtype = counts.cumsum(0).to(torch.int32), torch.bfloat16 if x.is_cuda else x.dtype

    def matmul_all(x: Tensor, name: str) -> Tensor:
        weights = torch.stack([getattr(expert, name).weight for expert in experts]).to(dtype)  # (E, out, in)
        return F.grouped_mm(x, weights.transpose(1, 2), offs=ends)

    x = x.to(dtype)
    return matmul_all(F.silu(matmul_all(x, "gate_proj")) * matmul_all(x, "up_proj"), "down_proj")


class CausalAttentionFunction(torch.autograd.Function):
    """P v with P = softmax(q k^T / sqrt(D)) under a causal mask: q (B, H, T, D), k and v (B, K, T, D) -> (B, H, T, D).
    A tile of QUERY_TILE tokens meets all keys before it, the H/K query heads of a key head in one product. P is
    recomputed in the backward pass, never for more than a tile (Dao et al. 2022, FlashAttention, appendix B)."""

    @staticmethod
    def forward(ctx, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        is_small, scaled, mask = not use_onednn(q, k), q * q.shape[-1] ** -0.5, causal_mask(q)
        out = torch.empty_like(q)
        for own, seen in tiles(q, k):
            p = attention_weights(scaled[own], k[seen].contiguous(), mask, is_small)
            out[own] = onednn_matmul(p, v[seen].T.contiguous(), is_small).view_as(out[own])
        ctx.save_for_backward(q, k, v)
        return out

    @staticmethod
    def backward(ctx, grad: Tensor):
        q, k, v = ctx.saved_tensors
        scale, is_small, mask = q.shape[-1] ** -0.5, not use_onednn(q, k), causal_mask(q)
        grad_q, grad_k, grad_v = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        scaled = q * scale
        for own, seen in tiles(q, k):
            keys, queries, dy = k[seen].contiguous(), scaled[own], grad[own].flatten(0, 1)
            p = attention_weights(queries, keys, mask, is_small)
            grad_v[seen] += onednn_matmul(dy.T, p.T, is_small).T
            # ds = p (dp - sum_j p_j dp_j)
            ds = torch._softmax_backward_data(onednn_matmul(dy, v[seen].contiguous(), is_small), p, -1, p.dtype)
            grad_q[own] = onednn_matmul(ds, keys.T, is_small).view_as(queries).mul_(scale)
            grad_k[seen] += onednn_matmul(queries.flatten(0, 1).T, ds.T, is_small).T
        return grad_q, grad_k, grad_v


def tiles(q: Tensor, k: Tensor) -> Iterator[tuple[tuple, tuple]]:
    """Places of the queries (H/K, up to QUERY_TILE, D) in q and of all that they may look at, (S, D), in k and v."""
    group = q.shape[1] // k.shape[1]
    for start in range(0, q.shape[2], QUERY_TILE):
        end = min(start + QUERY_TILE, q.shape[2])
        for row in range(len(q)):
            for head in range(k.shape[1]):
                yield (row, slice(head * group, (head + 1) * group), slice(start, end)), (row, head, slice(end))


def causal_mask(q: Tensor) -> Tensor:
    """(QUERY_TILE, QUERY_TILE), of queries against the keys of the same tokens: -inf above the diagonal."""
    return torch.full((QUERY_TILE, QUERY_TILE), -torch.inf, dtype=q.dtype, device=q.device).triu_(1)


def attention_weights(queries: Tensor, keys: Tensor, mask: Tensor, is_small: bool) -> Tensor:
    """P (G * T, S) of the last T of S tokens: queries (G, T, D), already scaled, and keys (S, D)."""
    group, tokens, _ = queries.shape
    scores = onednn_matmul(queries.flatten(0, 1), keys, is_small).view(group, tokens, -1)
    scores[:, :, -tokens:] += mask[:tokens, :tokens]
    return scores.softmax(-1).flatten(0, 1)


class FastAttention(Attention):
    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """On a CPU the three gradients of x are summed up within the products."""
        layers = (self.q_proj, self.k_proj, self.v_proj)
        if not x.is_cpu or not all(map(is_plain, layers)):
            return super().project(x)
        return LinearFunction.apply(x, compute_dtype(x), *(layer.weight for layer in layers))

    @staticmethod
    def rotate(q, k, cos, sin) -> tuple[Tensor, Tensor]:
        """`apply_rotary_pos_emb`, added in place to save memory: rolled by half, (a, b) is (b, a)."""
        cos, sin = cos.unsqueeze(2).type_as(q), sin.unsqueeze(2).type_as(q)
        sin_a, sin_b = sin.chunk(2, dim=-1)
        sin = torch.cat((-sin_a, sin_b), dim=-1)
        return tuple((x * cos).addcmul_(x.roll(x.shape[-1] // 2, dims=-1), sin) for x in (q, k))

    def attend(self, q, k, v, attention_mask, dropout: float) -> Tensor:
        # Of irregular lengths oneDNN would have too many sizes to compile.
        regular = q.shape[2] == k.shape[2] and q.shape[2] % SMALL_ROWS == 0
        if attention_mask is None and not dropout and regular and q.is_cpu and torch.is_grad_enabled():
            wide = [x.float() if x.dtype == torch.bfloat16 else x for x in (q, k, v)]  # faster than torch's bfloat16
            if use_onednn(*wide[:2]):
                return CausalAttentionFunction.apply(*wide).to(q.dtype)
        return super().attend(q, k, v, attention_mask, dropout)


FASTER = {
    nn.Linear: FastLinear, RMSNorm: FastRMSNorm, Attention: FastAttention, FeedForward: FastFeedForward,
    MOEFeedForward: FastMOEFeedForward,
}  # fmt: skip


class HeadLossFunction(torch.autograd.Function):
    """sum_i weights_i * -log softmax(rows_i H^T)[wanted_i]: rows (N, C), head H (V, C), wanted and weights (N,). The
    gradients of a sum are known but for one factor as soon as the logits are there, so they are made in the forward
    pass if `keep` says so, `chunk` tokens at a time: the logits are computed once, and never all of them exist (Hsu et
    al. 2024, Liger Kernel, section 3.2). Matrix products are in `dtype`, what is summed up is at least float32."""

    @staticmethod
    def forward(ctx, rows, head, wanted, weights, chunk: int, dtype: torch.dtype, keep: bool) -> Tensor:
        wide, h = torch.promote_types(dtype, torch.float32), head.to(dtype)
        total = rows.new_zeros((), dtype=wide)
        grad_rows, grad_head = torch.empty_like(rows), head.new_zeros(head.shape[::-1], dtype=wide)  # (V, C)^T
        with torch.autocast(rows.device.type, enabled=False):
            for start in range(0, len(rows), chunk):
                part = slice(start, start + chunk)
                x, w, target = rows[part].to(dtype), weights[part, None].to(wide), wanted[part, None]
                logits = matmul(x, h).to(wide)
                largest, right = logits.amax(-1, keepdim=True), logits.gather(1, target)
                d = logits.sub_(largest).exp_()
                sums = d.sum(-1, keepdim=True)
                total += ((largest + sums.log() - right) * w).sum()
                if keep:
                    # d loss / d logits = w (softmax - one-hot) = w / sums (exp(logits - largest) - sums * one-hot);
                    # the factor of a row meets the narrow matrices beside it, when they are wide enough in range.
                    d, factor = d.scatter_add_(1, target, -sums), w / sums
                    if dtype != wide:
                        d, factor = d.mul_(factor).to(dtype), torch.ones_like(factor, dtype=dtype)
                    grad_rows[part] = matmul(d, h.T).mul_(factor)
                    (grad_head,) = weight_gradients(x * factor, [d], [grad_head])
        ctx.gradients = grad_rows, grad_head.T.type_as(head)
        return total

    @staticmethod
    def backward(ctx, factor: Tensor):
        grad_rows, grad_head = (grad * factor.to(grad.dtype) for grad in ctx.gradients)
        return grad_rows, grad_head, None, None, None, None, None
