"""Two formulas of the network with their gradients written out, because autograd would keep more than they need.

Autograd stores every intermediate of x / sqrt(mean(x^2) + eps) * weight and of down(silu(gate) * up). The backward
pass can make most of them anew from what is stored anyway, at the price of one element-wise pass: a third less memory
for activations, and no time lost. The values are those of the plain formulas.
"""

import torch
import torch.nn.functional as F
from torch import nn


class RMSNormFunction(torch.autograd.Function):
    """y = x r w with r = 1 / sqrt(mean(x^2) + eps); keeps x and r, (…, C) and (…, 1)."""

    @staticmethod
    def forward(ctx, x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
        # At least float32 inside: squares of half-precision numbers overflow (float16) or lose the small (bfloat16).
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        r = torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)
        ctx.save_for_backward(x, weight, r)
        return (x * r).type_as(x) * weight

    @staticmethod
    def backward(ctx, grad: torch.Tensor):
        x, weight, r = ctx.saved_tensors
        normed, grad = x * r, grad.to(r.dtype)
        grad_weight = (grad * normed).flatten(0, -2).sum(0).type_as(weight)
        grad = grad * weight
        # d normed / d x = r (I - normed normed^T / C); in place, as both tensors are new here
        along = (grad * normed).mean(-1, keepdim=True)
        return grad.sub_(normed.mul_(along)).mul_(r).type_as(x), grad_weight, None


class SwiGLULinearFunction(torch.autograd.Function):
    """y = (silu(g) * u) W^T; keeps g and u (…, I), not silu(g) and the product."""

    @staticmethod
    def forward(ctx, gate: torch.Tensor, up: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(gate, up, weight)
        return F.linear(F.silu(gate).mul_(up), weight)

    @staticmethod
    def backward(ctx, grad: torch.Tensor):
        gate, up, weight = ctx.saved_tensors
        sigmoid = torch.sigmoid(gate)
        silu = gate * sigmoid
        grad_weight = None
        if ctx.needs_input_grad[2]:
            grad_weight = grad.flatten(0, -2).T @ (silu * up).flatten(0, -2)
        grad = grad @ weight
        grad_up = grad * silu
        # d silu(g) / d g = sigmoid + silu (1 - sigmoid)
        return silu.mul_(1 - sigmoid).add_(sigmoid).mul_(up).mul_(grad), grad_up, grad_weight


def swiglu_linear(gate: torch.Tensor, up: torch.Tensor, down: nn.Module) -> torch.Tensor:
    """down(silu(gate) * up), gate and up (…, I).

    Calls `down` as a module wherever somebody relies on that: an adapter or a hook on it, autocast, or inference.
    """
    plain = type(down) is not nn.Linear or down._forward_hooks or down._forward_pre_hooks
    if plain or gate.dtype != down.weight.dtype or not torch.is_grad_enabled():
        return down(F.silu(gate) * up)
    return SwiGLULinearFunction.apply(gate, up, down.weight)
