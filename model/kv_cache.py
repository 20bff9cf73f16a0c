"""The KV cache: keys and values of all tokens so far, so that each is computed once.

Shapes: B rows, T tokens, S positions, K key/value heads, D head_dim.
"""

import math
import os

import torch


class KVCache:
    """Keys and values of all layers, allocated once: (layers, rows, 2K, S, D), the K keys before the K values. Rows 0 …
    B-1 belong to the running requests, so that a batch is a slice of the cache and never a copy of it."""

    def __init__(self, config, rows: int, positions: int, dtype: torch.dtype, device: torch.device):
        self.n_kv_heads = config.num_key_value_heads
        shape = (config.num_hidden_layers, rows, 2 * self.n_kv_heads, positions, config.head_dim)
        size = math.prod(shape) * dtype.itemsize
        if device.type == "cuda":
            memory = torch.cuda.mem_get_info(device)[0]  # what is free
        else:
            memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")  # all that the machine has
        try:
            if size > memory:
                raise MemoryError
            self.data = torch.zeros(shape, dtype=dtype, device=device)  # zeros: a NaN would pierce the mask
        except (MemoryError, RuntimeError):
            raise ValueError(
                f"keys and values of {rows:,} answers at once, each of {positions:,} tokens, take {size >> 20:,} MiB; "
                f"there are {memory >> 20:,}: make fewer at once (--max_batch), or shorter ones (--max_seq_len)"
            ) from None

    def write_prompts(self, layer: int, first_row: int, kv: torch.Tensor) -> None:
        """kv (B, 2K, T, D) to positions 0 … T-1 of new rows. What padding leaves behind its own prompt is masked
        until a later token of the row overwrites it."""
        self.data[layer, first_row : first_row + len(kv), :, : kv.shape[2]] = kv

    def places(self, positions: torch.Tensor) -> torch.Tensor:
        """Where one token per row goes, positions (B,) -> (B * 2K,), counted along (rows, 2K, S) of any layer."""
        _, _, heads, n_positions, _ = self.data.shape
        lines = torch.arange(len(positions) * heads, device=positions.device).view(-1, heads)
        return (lines * n_positions + positions[:, None]).flatten()

    def write_tokens(self, layer: int, places: torch.Tensor, kv: torch.Tensor) -> None:
        """kv (B, 2K, D), one new token per row."""
        self.data[layer].flatten(0, 2).index_copy_(0, places, kv.flatten(0, 1))

    def read(self, layer: int, rows: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values (rows, K, length, D): views, nothing is copied."""
        data = self.data[layer, :rows, :, :length]
        return data[:, : self.n_kv_heads], data[:, self.n_kv_heads :]

    def spread(self, first_row: int, sources: torch.Tensor, length: int) -> None:
        """Row first_row + i becomes what first_row + sources[i] is, for prompts that several requests share."""
        self.data[:, first_row : first_row + len(sources), :, :length] = self.data[:, first_row + sources, :, :length]

    def move(self, source: int, target: int, length: int) -> None:
        """Row `source` takes the place of `target`, whose request has left."""
        self.data[:, target, :, :length] = self.data[:, source, :, :length]


class CachedRows:
    """Some rows of a cache in the place of transformers' `past_key_values`: the network's attention calls `update`.
    Without `positions` the rows are new and get their prompts; with them, (B,), each row gets one more token there."""

    def __init__(self, cache: KVCache, first_row: int = 0, positions: torch.Tensor | None = None, span: int = 0):
        self.cache, self.first_row, self.span = cache, first_row, span
        self.places = None if positions is None else cache.places(positions)

    def update(self, k: torch.Tensor, v: torch.Tensor, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
        """New keys and values (B, K, T, D) -> those that a token may look at, (B, K, S, D)."""
        kv = torch.cat((k, v), dim=1)
        if self.places is None:
            self.cache.write_prompts(layer, self.first_row, kv)
            return k, v
        self.cache.write_tokens(layer, self.places, kv[:, :, 0])
        return self.cache.read(layer, len(kv), self.span)
