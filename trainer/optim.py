"""Learning-rate schedule and optimizers."""

import math

import torch
from torch import nn

HAS_AVX512 = "AVX512" in torch.backends.cpu.get_cpu_capability()
N_AVERAGED = 50  # states of the weights of which --average makes its mean


def get_lr(current_step: int, total_steps: int, lr: float, warmup_steps: int = 0) -> float:
    """Linear warm-up to `lr` over `warmup_steps`, then a cosine down to lr / 10 at the last step. Steps count from 0.
    (SGDR, Loshchilov & Hutter 2017, eq. 5, without restarts.)"""
    if current_step < warmup_steps:
        return lr * (current_step + 1) / warmup_steps
    progress = (current_step - warmup_steps) / max(1, total_steps - 1 - warmup_steps)
    return lr * (0.1 + 0.45 * (1 + math.cos(math.pi * min(1.0, progress))))


def set_lr(param_groups: list[dict], lr: float) -> None:
    """Give each group its multiple of `lr`."""
    for group in param_groups:
        group["lr"] = lr * group.get("lr_scale", 1.0)


class Optimizers(torch.optim.Optimizer):
    """Several optimizers that act as one."""

    def __init__(self, parts: list[torch.optim.Optimizer]):
        self.parts = parts

    @property
    def param_groups(self) -> list[dict]:
        # Collected each time: loading a state gives the parts new groups.
        return [group for part in self.parts for group in part.param_groups]

    def set_lr(self, lr: float) -> None:
        set_lr(self.param_groups, lr)

    def step(self, closure=None) -> None:
        for part in self.parts:
            part.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        for part in self.parts:
            part.zero_grad(set_to_none=set_to_none)

    def state_dict(self) -> dict:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict) -> None:
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)


class Float32Muon(torch.optim.Muon):
    """Muon (Jordan et al. 2024) in float32, its steps scaled to AdamW's size (Liu et al. 2025, eq. 4). torch's own
    multiplies in bfloat16, for which a processor without AVX-512 has no fast product: seven times the time."""

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            lr, beta = group["lr"], group["momentum"]
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(matrix)
                momentum = state["momentum_buffer"].lerp_(matrix.grad, 1 - beta)
                update = orthogonalise(matrix.grad.lerp(momentum, beta), group["ns_coefficients"], group["ns_steps"])
                matrix.mul_(1 - lr * group["weight_decay"])
                matrix.sub_(update, alpha=0.2 * lr * math.sqrt(max(matrix.shape)))


def orthogonalise(matrix: torch.Tensor, coefficients: tuple[float, float, float], steps: int) -> torch.Tensor:
    """About the nearest matrix whose singular values are all 1, by Newton-Schulz iteration on the shorter side."""
    a, b, c = coefficients
    x = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x if matrix.shape[0] <= matrix.shape[1] else x.T


class Temperature(torch.optim.AdamW):
    """AdamW on the logarithm of a gain's length. All logits are a product with the last norm's gain, so its length is
    the inverse of a temperature: of all directions the one whose gradient is surest where a network samples."""

    def __init__(self, gain: nn.Parameter, lr_scale: float):
        self.gain, self.log_length = gain, nn.Parameter(torch.zeros((), device=gain.device))
        groups = [{"params": [self.log_length], "lr_scale": lr_scale}, {"params": [gain], "lr_scale": 0.0}]
        super().__init__(groups, betas=(0.9, 0.95), weight_decay=0.0)

    @torch.no_grad()
    def step(self) -> None:
        self.log_length.grad = self.gain.grad @ self.gain
        super().step()
        self.gain.mul_(self.log_length.exp())
        self.log_length.zero_()


def make_optimizer(
    module: nn.Module, name: str, weight_decay: float, device_type: str, embedding_lr_scale: float = 1.0,
    temperature_lr_scale: float = 0.0,
) -> Optimizers:  # fmt: skip
    """AdamW (Loshchilov & Hutter 2019) for everything, or Muon (Jordan et al. 2024) for the layers' matrices.

    Weight decay pulls matrices of the layers only: a norm's gain has its rest at 1, and an embedding row would shrink
    in every step in which its token does not occur. Muon's steps are scaled to AdamW's size (Liu et al. 2025, eq. 4),
    so that one learning rate suits both; the embedding, which is the head too, learns at `embedding_lr_scale` times it.
    With `temperature_lr_scale` only the length of the last norm's gain learns, at so many times the rate."""
    groups = {
        "embedding": {"params": [], "weight_decay": 0.0, "lr_scale": embedding_lr_scale},
        "rest": {"params": [], "weight_decay": 0.0},
        "matrices": {"params": [], "weight_decay": weight_decay},
    }
    parts: list[torch.optim.Optimizer] = []
    for key, parameter in module.named_parameters():
        is_last_norm = key.removeprefix("model.") in ("norm.weight", "model.norm.weight")  # of the policy, no critic's
        if temperature_lr_scale and is_last_norm and parameter.requires_grad:
            parts.append(Temperature(parameter, temperature_lr_scale))
        elif parameter.requires_grad:
            is_embedding = "embed_tokens" in key or "lm_head" in key
            name_of_group = "embedding" if is_embedding else "matrices" if parameter.dim() == 2 else "rest"
            groups[name_of_group]["params"].append(parameter)
    if name == "muon" and (matrices := groups.pop("matrices")["params"]):
        muon = Float32Muon if device_type == "cpu" and not HAS_AVX512 else torch.optim.Muon
        parts.append(muon(matrices, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"))
    if adamw := [group for group in groups.values() if group["params"]]:
        parts.append(torch.optim.AdamW(adamw, betas=(0.9, 0.95), fused=device_type in ("cuda", "cpu")))
    return Optimizers(parts)


class Average:
    """The mean of the weights over the last `steps` of a run, of at most N_AVERAGED states of them. It lies in the
    middle of where the steps lead to and fro, and is better than any of them (Izmailov et al. 2018, section 3)."""

    def __init__(self, steps: int):
        self.steps, self.n, self.mean = steps, 0, {}

    def is_due(self, left: int) -> bool:
        """Whether the weights count, `left` steps before the end."""
        return left < self.steps and left % -(-self.steps // N_AVERAGED) == 0

    def add(self, model: nn.Module, replicas, last: bool) -> None:
        """Take the weights in; after the last step their mean takes their place."""
        self.n += 1
        with replicas.gathered(write=last), torch.no_grad():
            for name, parameter in model.named_parameters():
                if parameter.requires_grad:
                    mean = self.mean.setdefault(name, torch.zeros_like(parameter, device="cpu"))
                    mean.lerp_(parameter.cpu(), 1 / self.n)
                    if last:
                        parameter.copy_(mean)
