"""Formulas of the network with their gradients written out, because autograd would take more memory or time.

Autograd stores every intermediate of x / sqrt(mean(x^2) + eps) * weight and of down(silu(gate(x)) * up(x)). The
backward pass can make most of them anew from what is stored anyway, and both passes can go through the tokens a few
rows at a time: no large temporary tensor is ever made, no time is lost. The values are those of the plain formulas.

On a CPU with AVX-512 all matrix products of float32 go to oneDNN. torch's own choice there is MKL, which on AMD's
processors leaves their 512-bit units unused: with oneDNN the products of a training step take half the time. On one
without such units MKL is the faster, by a tenth to a fifth of a step.
"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import nn

HAS_AVX512 = "AVX512" in torch.backends.cpu.get_cpu_capability()
HAS_ONEDNN = HAS_AVX512 and torch.backends.mkldnn.is_available()
FEW_ROWS = 64
QUERIES = 256  # at a time, of one row of a batch
ROWS = 1024  # at a time: few enough for a CPU's cache, and for holes in its heap, enough for fast matrix products


def rows(tensor: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """(…, C) -> matrices (up to ROWS, C), or one of all rows on a GPU, where every call costs more than its memory."""
    matrix = tensor.reshape(-1, tensor.shape[-1])
    return matrix.split(ROWS) if matrix.is_cpu else (matrix,)


def for_onednn(x: torch.Tensor, y: torch.Tensor) -> bool:
    """Float32 on a CPU; but torch.compile chooses for itself."""
    return HAS_ONEDNN and x.is_cpu and x.dtype == y.dtype == torch.float32 and not torch.compiler.is_compiling()


def times(x: torch.Tensor, weight: torch.Tensor, plus: torch.Tensor | None = None) -> torch.Tensor:
    """x W^T + plus without a gradient: x (…, K), W (N, K), which may be a transposed view; plus and result (…, N)."""
    if not for_onednn(x, weight):
        out = F.linear(x, weight)
        return out if plus is None else out + plus
    matrix = x.reshape(-1, x.shape[-1])
    plus = None if plus is None else plus.reshape(-1, len(weight))
    parts = [
        product(matrix[block], weight, few, None if plus is None else plus[block]) for block, few in blocks(len(matrix))
    ]
    return (torch.cat(parts) if len(parts) > 1 else parts[0]).view(*x.shape[:-1], len(weight))


def times_over_rows(
    x: torch.Tensor, ys: Sequence[torch.Tensor], plus: Sequence[torch.Tensor | None] | None = None
) -> list[torch.Tensor]:
    """x^T y + plus for each y, gradients of weights: x (…, K), y (…, N) -> (K, N), summed up in float32 or wider."""
    x, *ys = (tensor.reshape(-1, tensor.shape[-1]) for tensor in (x, *ys))
    sums = plus or [None] * len(ys)
    if not for_onednn(x, ys[0]):
        wide = torch.promote_types(x.dtype, torch.float32)
        outs = [(x.T @ y).to(wide) for y in ys]
        return [out if total is None else total.add_(out) for out, total in zip(outs, sums, strict=True)]
    for block, few in blocks(len(x)):
        columns = x[block].T.contiguous()  # once for all of them
        sums = [product(columns, y[block].T, few, total) for y, total in zip(ys, sums, strict=True)]
    return sums


def blocks(n_rows: int) -> list[tuple[slice, bool]]:
    """Rows in parts of few different sizes: a multiple of ROWS, one of FEW_ROWS, and the rest, which are too `few`.

    For every new size oneDNN compiles a product, which takes a millisecond and a megabyte, and batches of
    conversations come in hundreds of sizes.
    """
    ends = [0, n_rows - n_rows % ROWS, n_rows - n_rows % FEW_ROWS]
    regular = [(slice(start, end), False) for start, end in zip(ends, ends[1:], strict=False) if start < end]
    return regular if n_rows and ends[-1] == n_rows else [*regular, (slice(ends[-1], n_rows), True)]


def product(x: torch.Tensor, weight: torch.Tensor, few: bool, plus: torch.Tensor | None = None) -> torch.Tensor:
    """x (M, K) W^T (K, N) + plus (M, N), by oneDNN in one pass unless there are too few rows for it."""
    if few:
        return x @ weight.T if plus is None else torch.addmm(plus, x, weight.T)
    if plus is None:
        return torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")
    return torch.ops.mkldnn._linear_pointwise.binary(x, plus, weight, None, "add")


def precision(x: torch.Tensor) -> torch.dtype:
    """What products with x are computed in: autocast's type where it is on, else x's own."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


class LinearFunction(torch.autograd.Function):
    """y_i = x W_i^T, computed in `dtype`, for matrices W_i (N_i, K) that share x (…, K); keeps x and the W_i."""

    @staticmethod
    def forward(ctx, x: torch.Tensor, dtype: torch.dtype, *weights: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x = x.to(dtype)
        ctx.save_for_backward(x, *weights)
        return tuple(times(x, weight.to(dtype)) for weight in weights)

    @staticmethod
    def backward(ctx, *grads: torch.Tensor):
        x, *weights = ctx.saved_tensors
        needs_dx, _, *needs_dw = ctx.needs_input_grad
        dx = None
        for dy, weight in zip(grads, weights, strict=True):
            dx = times(dy, weight.to(dy.dtype).T, dx) if needs_dx else None
        if not any(needs_dw):
            return dx, None, *(None for _ in weights)
        # (x^T dy)^T: the order of the two that oneDNN is faster in
        return dx, None, *(dw.T for dw in times_over_rows(x, grads))


class Linear(nn.Linear):
    """`nn.Linear` without a bias whose products are `times`."""

    def __init__(self, in_features: int, out_features: int):
        super().__init__(in_features, out_features, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not x.is_cpu:
            return F.linear(x, self.weight)
        return LinearFunction.apply(x, precision(x), self.weight)[0]


def project(x: torch.Tensor, *layers: nn.Module) -> tuple[torch.Tensor, ...]:
    """What each layer makes of x. On a CPU their gradients of x are summed up within the products."""
    if x.is_cpu and all(map(is_plain, layers)):
        return LinearFunction.apply(x, precision(x), *(layer.weight for layer in layers))
    return tuple(layer(x) for layer in layers)


class RMSNormFunction(torch.autograd.Function):
    """y = x r w with r = 1 / sqrt(mean(x^2) + eps), rounded to `dtype`; keeps x and r, (…, C) and (…, 1)."""

    @staticmethod
    def forward(ctx, x: torch.Tensor, weight: torch.Tensor, eps: float, dtype: torch.dtype) -> torch.Tensor:
        # At least float32 inside: squares of half-precision numbers overflow (float16) or lose the small (bfloat16).
        wide = torch.promote_types(x.dtype, torch.float32)
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=wide)
        r = torch.rsqrt(length.square() / x.shape[-1] + eps)
        ctx.save_for_backward(x, weight, r)
        return (x * r).type_as(x).mul_(weight).to(dtype)

    @staticmethod
    def backward(ctx, grad: torch.Tensor):
        all_x, weight, all_r = ctx.saved_tensors
        grad_x, grad_weight = torch.empty_like(all_x), torch.zeros_like(weight, dtype=all_r.dtype)
        for x, r, dy, dx in zip(*map(rows, (all_x, all_r, grad, grad_x)), strict=True):
            normed, dy = x * r, dy.to(r.dtype)
            grad_weight += (dy * normed).sum(0)
            dy = dy * weight
            # d normed / d x = r (I - normed normed^T / C)
            along = (dy * normed).mean(-1, keepdim=True)
            dx.copy_(dy.sub_(normed.mul_(along)).mul_(r))
        return grad_x, grad_weight.type_as(weight), None, None


class SwiGLUFunction(torch.autograd.Function):
    """y = (silu(g) * u) D^T with g = x G^T and u = x U^T, in `dtype`; keeps x (…, C), g and u (…, I)."""

    @staticmethod
    def forward(ctx, x, gate, up, down, dtype: torch.dtype) -> torch.Tensor:
        x, down_now = x.to(dtype), down.to(dtype)
        all_g, all_u = times(x, gate.to(dtype)), times(x, up.to(dtype))
        ctx.save_for_backward(x, all_g, all_u, gate, up, down)
        out = x.new_empty(*x.shape[:-1], len(down))
        for g, u, y in zip(*map(rows, (all_g, all_u, out)), strict=True):
            y.copy_(times(F.silu(g).mul_(u), down_now))
        return out

    @staticmethod
    def backward(ctx, grad: torch.Tensor):
        *tensors, gate, up, down = ctx.saved_tensors
        gate_now, up_now, down_now = (weight.to(grad.dtype) for weight in (gate, up, down))
        grad_x = torch.empty_like(tensors[0])
        grads_in, grads_down = None, None
        for x, g, u, dy, dx in zip(*map(rows, (*tensors, grad, grad_x)), strict=True):
            silu = F.silu(g)
            grads_down = times_over_rows(dy, [silu * u], grads_down)
            d_product = times(dy, down_now.T)
            du = silu.mul_(d_product)
            dg = torch.ops.aten.silu_backward(d_product.mul_(u), g)
            grads_in = times_over_rows(x, [dg, du], grads_in)
            dx.copy_(times(du, up_now.T, times(dg, gate_now.T)))
        return grad_x, *(grad.T for grad in grads_in), *grads_down, None


def swiglu(x: torch.Tensor, gate: nn.Module, up: nn.Module, down: nn.Module) -> torch.Tensor:
    """down(silu(gate(x)) * up(x)), x (…, C).

    Calls the three as modules wherever somebody relies on that: an adapter, a hook, a frozen weight, inference, or
    autocast on a GPU.
    """
    plain = all(is_plain(module) for module in (gate, up, down))
    autocast_on_gpu = not x.is_cpu and torch.is_autocast_enabled(x.device.type)
    if not plain or autocast_on_gpu or not torch.is_grad_enabled():
        return down(F.silu(gate(x)) * up(x))
    return SwiGLUFunction.apply(x, gate.weight, up.weight, down.weight, precision(x))


def is_plain(module: nn.Module) -> bool:
    """Whether a module is x W^T, W being trained, and nothing else."""
    hooks = (
        module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
    )  # fmt: skip
    return type(module) is Linear and module.bias is None and module.weight.requires_grad and not hooks


def can_group(x: torch.Tensor, experts: nn.ModuleList) -> bool:
    """Whether `swiglu_grouped` may stand for the experts: bfloat16 on an NVIDIA GPU since Ampere, no adapters."""
    able = x.is_cuda and precision(x) == torch.bfloat16 and torch.cuda.get_device_capability(x.device) >= (8, 0)
    return able and all(is_plain(part) for expert in experts for part in expert.children())


def swiglu_grouped(x: torch.Tensor, counts: torch.Tensor, experts: nn.ModuleList) -> torch.Tensor:
    """x (N, C), the first counts[0] rows for the first expert, and so on -> (N, C).

    One kernel for all experts, and the counts (E,) stay on the device, so the host need not wait for them.
    """
    ends, dtype = counts.cumsum(0).to(torch.int32), torch.bfloat16 if x.is_cuda else x.dtype

    def times_all(x: torch.Tensor, name: str) -> torch.Tensor:
        weights = torch.stack([getattr(expert, name).weight for expert in experts]).to(dtype)  # (E, out, in)
        return F.grouped_mm(x, weights.transpose(1, 2), offs=ends)

    x = x.to(dtype)
    return times_all(F.silu(times_all(x, "gate_proj")) * times_all(x, "up_proj"), "down_proj")


class CausalAttentionFunction(torch.autograd.Function):
    """P v with P = softmax(q k^T / sqrt(D)) under a causal mask: q (B, H, T, D), k and v (B, K, T, D) -> (B, H, T, D).

    QUERIES tokens meet what lies before them at a time, with all H/K query heads that share a key head in one product.
    P is made anew in the backward pass, and is never there for more than such a tile (Dao et al. 2022, FlashAttention,
    appendix B).
    """

    @staticmethod
    def forward(ctx, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        few, scaled, mask = not for_onednn(q, k), q * q.shape[-1] ** -0.5, causal_mask(q)
        out = torch.empty_like(q)
        for own, seen in tiles(q, k):
            p = attention_weights(scaled[own], k[seen].contiguous(), mask, few)
            out[own] = product(p, v[seen].T.contiguous(), few).view_as(out[own])
        ctx.save_for_backward(q, k, v)
        return out

    @staticmethod
    def backward(ctx, grad: torch.Tensor):
        q, k, v = ctx.saved_tensors
        scale, few, mask = q.shape[-1] ** -0.5, not for_onednn(q, k), causal_mask(q)
        grad_q, grad_k, grad_v = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        scaled = q * scale
        for own, seen in tiles(q, k):
            keys, queries, dy = k[seen].contiguous(), scaled[own], grad[own].flatten(0, 1)
            p = attention_weights(queries, keys, mask, few)
            grad_v[seen] += product(dy.T, p.T, few).T
            # ds = p (dp - sum_j p_j dp_j)
            ds = torch._softmax_backward_data(product(dy, v[seen].contiguous(), few), p, -1, p.dtype)
            grad_q[own] = product(ds, keys.T, few).view_as(queries).mul_(scale)
            grad_k[seen] += product(queries.flatten(0, 1).T, ds.T, few).T
        return grad_q, grad_k, grad_v


def tiles(q: torch.Tensor, k: torch.Tensor) -> Iterator[tuple[tuple, tuple]]:
    """Places of the queries (H/K, up to QUERIES, D) in q and of all that they may look at, (S, D), in k and v."""
    group = q.shape[1] // k.shape[1]
    for start in range(0, q.shape[2], QUERIES):
        end = min(start + QUERIES, q.shape[2])
        for row in range(len(q)):
            for head in range(k.shape[1]):
                yield (row, slice(head * group, (head + 1) * group), slice(start, end)), (row, head, slice(end))


def causal_mask(q: torch.Tensor) -> torch.Tensor:
    """Of a tile's queries against the keys of the same tokens, (QUERIES, QUERIES): -inf above the diagonal."""
    return torch.full((QUERIES, QUERIES), -torch.inf, dtype=q.dtype, device=q.device).triu_(1)


def attention_weights(queries: torch.Tensor, keys: torch.Tensor, mask: torch.Tensor, few: bool) -> torch.Tensor:
    """P (G * T, S) of the last T of S tokens: queries (G, T, D), already scaled, and keys (S, D)."""
    group, tokens, _ = queries.shape
    scores = product(queries.flatten(0, 1), keys, few).view(group, tokens, -1)
    scores[:, :, -tokens:] += mask[:tokens, :tokens]
    return scores.softmax(-1).flatten(0, 1)


def causal_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """`F.scaled_dot_product_attention` with `is_causal`: q (B, H, T, D), k and v (B, K, T, D) -> (B, H, T, D)."""
    regular = q.shape[2] == k.shape[2] and q.shape[2] % FEW_ROWS == 0  # else oneDNN has too many sizes to compile
    if regular and q.is_cpu and torch.is_grad_enabled():
        wide = [x.float() if x.dtype == torch.bfloat16 else x for x in (q, k, v)]  # faster than torch's in bfloat16
        if for_onednn(*wide[:2]):
            return CausalAttentionFunction.apply(*wide).to(q.dtype)
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)


class HeadLossFunction(torch.autograd.Function):
    """sum_i weights_i * -log softmax(rows_i H^T)[wanted_i]: rows (N, C), head H (V, C), wanted and weights (N,).

    The gradients of a sum are known but for one factor as soon as the logits are there, so they are made in the forward
    pass, `chunk` tokens at a time: the logits are computed once, and never all of them kept (Hsu et al. 2024, Liger
    Kernel, section 3.2). Matrix products are in `dtype`, all that is summed up is at least float32.
    """

    @staticmethod
    def forward(ctx, rows, head, wanted, weights, chunk: int, dtype: torch.dtype) -> torch.Tensor:
        wide, h = torch.promote_types(dtype, torch.float32), head.to(dtype)
        total = rows.new_zeros((), dtype=wide)
        keep = any(ctx.needs_input_grad)
        grad_rows, grad_head = torch.empty_like(rows), head.new_zeros(head.shape[::-1], dtype=wide)  # (V, C)^T
        with torch.autocast(rows.device.type, enabled=False):
            for start in range(0, len(rows), chunk):
                part = slice(start, start + chunk)
                x, w, target = rows[part].to(dtype), weights[part, None].to(wide), wanted[part, None]
                logits = times(x, h).to(wide)
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
                    grad_rows[part] = times(d, h.T).mul_(factor)
                    (grad_head,) = times_over_rows(x * factor, [d], [grad_head])
        ctx.gradients = grad_rows, grad_head.T.type_as(head)
        return total

    @staticmethod
    def backward(ctx, factor: torch.Tensor):
        grad_rows, grad_head = (grad * factor.to(grad.dtype) for grad in ctx.gradients)
        return grad_rows, grad_head, None, None, None, None
