"""Two formulas of the network with their gradients written out, because autograd would keep more than they need.

Autograd stores every intermediate of x / sqrt(mean(x^2) + eps) * weight and of down(silu(gate(x)) * up(x)). The
backward pass can make most of them anew from what is stored anyway, and both passes can go through the tokens a few
rows at a time: no large temporary tensor is ever made, no time is lost. The values are those of the plain formulas.
"""

import torch
import torch.nn.functional as F
from torch import nn

ROWS = 512  # at a time: few enough for a CPU's cache, and for holes in its heap, enough for fast matrix products


def rows(tensor: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """(…, C) -> matrices (up to ROWS, C), or one of all rows on a GPU, where every call costs more than its memory."""
    matrix = tensor.reshape(-1, tensor.shape[-1])
    return matrix.split(ROWS) if matrix.is_cpu else (matrix,)


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
        all_g, all_u, out = F.linear(x, gate), F.linear(x, up), x.new_empty(*x.shape[:-1], len(down))
        ctx.save_for_backward(x, all_g, all_u, gate, up, down)
        for g, u, y in zip(*map(rows, (all_g, all_u, out)), strict=True):
            y.copy_(F.silu(g).mul_(u) @ down.T)
        return out

    @staticmethod
    def backward(ctx, grad: torch.Tensor):
        *tensors, gate, up, down = ctx.saved_tensors
        grad_x = torch.empty_like(tensors[0])
        grad_gate, grad_up, grad_down = (torch.zeros_like(weight) for weight in (gate, up, down))
        for x, g, u, dy, dx in zip(*map(rows, (*tensors, grad, grad_x)), strict=True):
            sigmoid = torch.sigmoid(g)
            silu = g * sigmoid
            grad_down.addmm_(dy.T, silu * u)
            d_product = dy @ down
            du = d_product * silu
            # d silu(g) / d g = sigmoid + silu (1 - sigmoid)
            dg = silu.mul_(1 - sigmoid).add_(sigmoid).mul_(u).mul_(d_product)
            grad_gate.addmm_(dg.T, x)
            grad_up.addmm_(du.T, x)
            dx.copy_(dg @ gate).addmm_(du, up)
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
    return type(module) is nn.Linear and module.bias is None and module.weight.requires_grad and not hooks
