"""Floating-point operations of training, counted on the network itself.

Every matrix product of a real forward pass is recorded. In the backward pass it comes once more for each of its two
factors that a gradient flows to. So no formula of the architecture is needed, and the count is right for an adapter
(frozen weights have no gradient), for a loss that looks at few tokens, for a teacher beside the student, for experts.
Work that is done twice to save memory counts once: these are the operations of the model (Chowdhery et al. 2022,
"PaLM", appendix B), and their share of what the hardware can do is the MFU.
"""

import time
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

SAMPLES, TOKENS = 8, 1024  # of the training data that are counted: so many, but no more once they hold so many tokens
FACTORS = {  # operation -> which two of its arguments are multiplied
    "aten::mm": (0, 1), "aten::bmm": (0, 1), "aten::addmm": (1, 2), "aten::baddbmm": (1, 2), "aten::linear": (0, 1),
    "aten::_grouped_mm": (0, 1), "mkldnn::_linear_pointwise": (0, 1), "mkldnn::_linear_pointwise.binary": (0, 2),
    "torch_nn::_linear_cross_entropy_batch_chunked_no_reduction": (0, 1),
}  # fmt: skip


class ProductRecorder(TorchDispatchMode):
    """Adds up in `training_flops` the operations of the matrix products that run within it, and of training the tensors
    `trained` by their backward pass. To be used without gradients."""

    def __init__(self, trained: Iterable[torch.Tensor]):
        super().__init__()
        self.training_flops = 0
        self.depends = WeakTensorKeyDictionary(dict.fromkeys(trained, True))  # on what is trained

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = function(*args, **kwargs)
        for flops, *factors in products_of(function, args, kwargs):
            self.training_flops += flops * (1 + sum(map(self.any_depends, factors)))
        if self.any_depends(tree_leaves((args, kwargs))):
            results = [x for x in tree_leaves(out) if isinstance(x, torch.Tensor) and x.is_floating_point()]
            for tensor in results + [result._base for result in results if result._base is not None]:
                self.depends[tensor] = True  # the base too: a part of it may have been written in place
        return out

    def any_depends(self, values: Iterable) -> bool:
        return any(isinstance(value, torch.Tensor) and value in self.depends for value in values)


def products_of(function, args: tuple, kwargs: dict) -> Iterator[tuple[int, tuple, tuple]]:
    """(operations, what one factor depends on, what the other does) of each matrix product in one of torch's."""
    name = function.name()
    if name in FACTORS:
        x, w = (args[place] for place in FACTORS[name])
        columns = w.numel() // x.shape[-1] // (len(w) if w.dim() == 3 else 1)  # of one expert, or one of a batch
        yield 2 * x.numel() * columns, (x,), (w,)
    elif "scaled_dot_product" in name:  # q (B, H, T, D), k and v (B, K, S, D)
        given = dict(zip((argument.name for argument in function._schema.arguments), args, strict=False)) | kwargs
        q, k, v = args[:3]
        seen = -(-k.shape[2] // 2) if given.get("is_causal") else k.shape[2]  # on average
        yield 2 * q.numel() * seen, (q,), (k,)
        yield 2 * q.shape[:3].numel() * v.shape[3] * seen, (q, k), (v,)


def training_flops(objective: torch.nn.Module, batch: dict[str, torch.Tensor]) -> int:
    """Operations of one training pass over a batch, forward and backward."""
    trained = {name: p.detach() for name, p in objective.named_parameters() if p.requires_grad}
    was_training = objective.training
    objective.eval()  # dropout draws no noise, nothing is recomputed
    with torch.no_grad(), ProductRecorder(trained.values()) as recorder:
        torch.func.functional_call(objective, trained, (batch,))
    objective.train(was_training)
    return recorder.training_flops


def flops_per_token(objective: torch.nn.Module, data) -> float:
    """Operations of training per token of text, on a few samples from all over the data set. To be called before the
    objective is compiled, or divided among ranks."""
    device, collate, flops, tokens = next(objective.parameters()).device, data.make_collate(), 0, 0
    for index in np.random.default_rng(0).integers(len(data), size=SAMPLES):
        batch = {name: tensor.to(device) for name, tensor in collate([data[int(index)]]).items()}
        flops += training_flops(objective, batch)
        tokens += int(batch.get("attention_mask", batch["loss_mask"]).sum())
        if tokens >= TOKENS:
            break
    return flops / tokens


def peak_rate(objective: torch.nn.Module, data, dtype: torch.dtype) -> float | None:
    """Tokens per second of one GPU that did all of training at the speed of a large matrix product: an MFU of 1. None
    on a CPU, where that speed moves two-fold and more with what else runs at the moment."""
    device = next(objective.parameters()).device
    if device.type != "cuda":
        return None
    a, b = (torch.ones(4096, 4096, device=device, dtype=dtype) for _ in range(2))  # not random: dropout's noise is next

    def seconds() -> float:
        started = time.perf_counter()
        (a @ b)[0, 0].item()  # waits for the device
        return time.perf_counter() - started

    return 2 * 4096**3 / min(seconds() for _ in range(10)) / flops_per_token(objective, data)
