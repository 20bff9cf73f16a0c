"""Formulas of the network with their gradients written out, because autograd would take more memory or time.

Autograd stores every intermediate of x / sqrt(mean(x^2) + eps) * weight and of down(silu(gate(x)) * up(x)). The
backward pass can make most of them anew from what is stored anyway, and both passes can go through the tokens a few
rows at a time: no large temporary tensor is ever made, no time is lost. The values are those of the plain formulas.

On a CPU all matrix products of float32 go to oneDNN. torch's own choice there is MKL, which on AMD's processors leaves
their 512-bit units unused: with oneDNN the products of a training step take half the time.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import nn

HAS_ONEDNN = torch.backends.mkldnn.is_available()
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


def times(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """x W^T without a gradient: x (…, K), W (N, K), which may be a transposed view -> (…, N)."""
    if not for_onednn(x, weight):
        return F.linear(x, weight)
    matrix = x.flatten(0, -2)
    parts = [product(matrix[block], weight, few) for block, few in blocks(len(matrix))]
    return (torch.cat(parts) if len(parts) > 1 else parts[0]).view(*x.shape[:-1], len(weight))


def times_over_rows(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """x^T y, the gradient of a weight: x (…, K), y (…, N) -> (K, N)."""
    x, y = x.flatten(0, -2), y.flatten(0, -2)
    if not for_onednn(x, y):
        return x.T @ y
    first, *more = (product(x[block].T, y[block].T, few) for block, few in blocks(len(x)))
    for part in more:
        first += part
    return first


def blocks(n_rows: int) -> list[tuple[slice, bool]]:
    """Rows in parts of few different sizes: a multiple of ROWS, one of FEW_ROWS, and the rest, which are too `few`.

    For every new size oneDNN compiles a product, which takes a millisecond and a megabyte, and batches of
    conversations come in hundreds of sizes.
    """
    ends = [0, n_rows - n_rows % ROWS, n_rows - n_rows % FEW_ROWS]
    regular = [(slice(start, end), False) for start, end in zip(ends, ends[1:], strict=False) if start < end]
    return regular if n_rows and ends[-1] == n_rows else [*regular, (slice(ends[-1], n_rows), True)]


def product(x: torch.Tensor, weight: torch.Tensor, few: bool) -> torch.Tensor:
    """x (M, K) W^T (K, N), by oneDNN unless there are too few rows for it."""
    return x @ weight.T if few else torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")


class LinearFunction(torch.autograd.Function):
    """y = x W^T; keeps x (…, K) and W (N, K)."""

    @staticmethod
    def forward(ctx, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        return times(x, weight)

    @staticmethod
    def backward(ctx, dy: torch.Tensor):
        x, weight = ctx.saved_tensors
        dx = times(dy, weight.T) if ctx.needs_input_grad[0] else None
        # (x^T dy)^T: the order of the two that oneDNN is faster in
        dw = times_over_rows(x, dy).T if ctx.needs_input_grad[1] else None
        return dx, dw


class Linear(nn.Linear):
    """`nn.Linear` without a bias whose products are `times`, except under autocast, which chooses them itself."""

    def __init__(self, in_features: int, out_features: int):
        super().__init__(in_features, out_features, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not x.is_cpu or torch.is_autocast_enabled("cpu"):
            return F.linear(x, self.weight)
        return LinearFunction.apply(x, self.weight)


class RMSNormFunction(torch.autograd.Function):
    """y = x r w with r = 1 / sqrt(mean(x^2) + eps); keeps x and r, (…, C) and (…, 1)."""

    @staticmethod
    def forward(ctx, x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
        # At least float32 inside: squares of half-precision numbers overflow (float16) or lose the small (bfloat16).
        wide = torch.promote_types(x.dtype, torch.float32)
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=wide)
        r = torch.rsqrt(length.square() / x.shape[-1] + eps)
        ctx.save_for_backward(x, weight, r)
        return (x * r).type_as(x).mul_(weight)

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
        return grad_x, grad_weight.type_as(weight), None


class SwiGLUFunction(torch.autograd.Function):
    """y = (silu(g) * u) D^T with g = x G^T and u = x U^T; keeps x (…, C), g and u (…, I)."""

    @staticmethod
    def forward(ctx, x: torch.Tensor, gate: torch.Tensor, up: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
        all_g, all_u, out = times(x, gate), times(x, up), x.new_empty(*x.shape[:-1], len(down))
        ctx.save_for_backward(x, all_g, all_u, gate, up, down)
        for g, u, y in zip(*map(rows, (all_g, all_u, out)), strict=True):
            y.copy_(times(F.silu(g).mul_(u), down))
        return out

    @staticmethod
    def backward(ctx, grad: torch.Tensor):
        *tensors, gate, up, down = ctx.saved_tensors
        grad_x = torch.empty_like(tensors[0])
        grad_gate, grad_up, grad_down = (torch.zeros_like(weight) for weight in (gate, up, down))
        for x, g, u, dy, dx in zip(*map(rows, (*tensors, grad, grad_x)), strict=True):
            sigmoid = torch.sigmoid(g)
            silu = g * sigmoid
            grad_down += times_over_rows(dy, silu * u)
            d_product = times(dy, down.T)
            du = d_product * silu
            # d silu(g) / d g = sigmoid + silu (1 - sigmoid)
            dg = silu.mul_(1 - sigmoid).add_(sigmoid).mul_(u).mul_(d_product)
            grad_gate += times_over_rows(x, dg).T
            grad_up += times_over_rows(x, du).T
            torch.add(times(dg, gate.T), times(du, up.T), out=dx)
        return grad_x, grad_gate, grad_up, grad_down


def swiglu(x: torch.Tensor, gate: nn.Module, up: nn.Module, down: nn.Module) -> torch.Tensor:
    """down(silu(gate(x)) * up(x)), x (…, C).

    Calls the three as modules wherever somebody relies on that: an adapter, a hook, a frozen weight, autocast or
    inference.
    """
    plain = all(is_plain(module) for module in (gate, up, down))
    if not plain or torch.is_autocast_enabled(x.device.type) or not torch.is_grad_enabled():
        return down(F.silu(gate(x)) * up(x))
    return SwiGLUFunction.apply(x, gate.weight, up.weight, down.weight)


def is_plain(module: nn.Module) -> bool:
    """Whether a module is x W^T, W being trained, and nothing else."""
    hooks = (
        module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
    )  # fmt: skip
    return type(module) is Linear and module.bias is None and module.weight.requires_grad and not hooks


def can_group(x: torch.Tensor, experts: nn.ModuleList) -> bool:
    """Whether `swiglu_grouped` may stand for the experts: bfloat16 on an NVIDIA GPU since Ampere, no adapters."""
    autocast = torch.is_autocast_enabled(x.device.type)
    dtype = torch.get_autocast_dtype(x.device.type) if autocast else x.dtype
    able = x.is_cuda and dtype == torch.bfloat16 and torch.cuda.get_device_capability(x.device) >= (8, 0)
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
        ctx.few = not for_onednn(q, k)
        out = torch.empty_like(q)
        for own, seen in tiles(q, k):
            p = attention_weights(q[own], k[seen], ctx.few)
            out[own] = product(p, v[seen].T.contiguous(), ctx.few).view_as(out[own])
        ctx.save_for_backward(q, k, v, out)
        return out

    @staticmethod
    def backward(ctx, grad: torch.Tensor):
        q, k, v, out = ctx.saved_tensors
        grad_q, grad_k, grad_v = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        scale, few = q.shape[-1] ** -0.5, ctx.few
        along = (grad * out).sum(-1)  # sum_j P_ij dP_ij
        for own, seen in tiles(q, k):
            p = attention_weights(q[own], k[seen], few)
            dy, queries = grad[own].flatten(0, 1), q[own].flatten(0, 1)
            grad_v[seen] += product(dy.T, p.T, few).T
            # d softmax: dS = P (dP - sum_j P_ij dP_ij)
            ds = product(dy, v[seen].contiguous(), few).sub_(along[own].flatten()[:, None]).mul_(p).mul_(scale)
            grad_q[own] = product(ds, k[seen].T.contiguous(), few).view_as(q[own])
            grad_k[seen] += product(queries.T, ds.T, few).T
        return grad_q, grad_k, grad_v


def tiles(q: torch.Tensor, k: torch.Tensor) -> Iterator[tuple[tuple, tuple]]:
    """Places of the queries (H/K, up to QUERIES, D) in q and of all that they may look at, (S, D), in k and v."""
    group = q.shape[1] // k.shape[1]
    for start in range(0, q.shape[2], QUERIES):
        end = min(start + QUERIES, q.shape[2])
        for row in range(len(q)):
            for head in range(k.shape[1]):
                yield (row, slice(head * group, (head + 1) * group), slice(start, end)), (row, head, slice(end))


def attention_weights(q: torch.Tensor, k: torch.Tensor, few: bool) -> torch.Tensor:
    """P (G * T, S) of the last T of S tokens: q (G, T, D), k (S, D)."""
    group, tokens, dim = q.shape
    scores = product((q * dim**-0.5).flatten(0, 1), k.contiguous(), few).view(group, tokens, -1)
    scores[:, :, -tokens:] += torch.full((tokens, tokens), -torch.inf).triu_(1)
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
        grad_rows, grad_head = (torch.empty_like(rows), torch.zeros_like(head)) if keep else (None, None)
        with torch.autocast(rows.device.type, enabled=False):
            for start in range(0, len(rows), chunk):
                part = slice(start, start + chunk)
                x, w, target = rows[part].to(dtype), weights[part].to(wide), wanted[part, None]
                logits = times(x, h).to(wide)
                log_sums = logits.logsumexp(dim=-1)
                total += (log_sums - logits.gather(1, target).squeeze(1)) @ w
                if keep:
                    # d loss / d logits = w (softmax - one-hot)
                    d = logits.sub_(log_sums[:, None]).exp_().mul_(w[:, None])
                    d = d.scatter_add_(1, target, -w[:, None]).to(dtype)
                    grad_rows[part] = times(d, h.T)
                    grad_head += times_over_rows(x, d).T
        ctx.gradients = grad_rows, grad_head
        return total

    @staticmethod
    def backward(ctx, factor: torch.Tensor):
        grad_rows, grad_head = (grad * factor.to(grad.dtype) for grad in ctx.gradients)
        return grad_rows, grad_head, None, None, None, None
