"""Text generation with a KV cache: one engine for chat, scoring, the page and the server.

    engine = Generator(model, tokenizer, max_batch=16, max_length=512)
    for piece in engine.stream(prompt_ids, Sampling(temperature=0.7, top_p=0.9)):
        print(piece.text, end="")

A decoder makes one token at a time, and a token looks at the keys and values of all tokens before it. These never
change again, so each is computed once and kept: the *KV cache*. A request's life has two parts. *Prefill* reads the
whole prompt in one pass, fills the cache and gives the first token. *Decode* then feeds back one token per step; its
cost is reading every weight once, whoever shares the step, and so many requests run in one batch. They join and leave
at any step (continuous batching: Yu et al. 2022, "Orca", section 3.2), for every row has a length of its own.

Read on from top to bottom: cache -> network -> text -> request -> engine; model/sampling.py chooses the tokens. Shapes
in comments: B running requests (rows), T tokens, S positions, H query heads, K key/value heads, D head_dim,
C hidden_size, V vocabulary.
"""

import codecs
import contextlib
import math
import os
import random
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue

import torch
import torch.nn.functional as F

from model.model_lora import merged_weight
from model.model_minimind import MiniMindForCausalLM, MOEFeedForward, precompute_freqs_cis
from model.sampling import Logprob, Sampling, choose, logprobs_of

INT8_ROWS = 16  # up to so many, a product of 8-bit weights is limited by reading them
PREFILL_TOKENS = 8192  # most that are read in one pass, padding included; it bounds the memory of the pass
CACHE_TOKENS = 1 << 16  # that the cache of a list of prompts holds: half a GiB for 512 x 8 in float32

# ---------------------------------------------------------------- cache


class KVCache:
    """Keys and values of all layers, allocated once: (layers, rows, 2K, S, D), the K keys before the K values.

    Rows 0 … B-1 belong to the running requests, so that a batch is a slice of the cache and never a copy of it.
    """

    def __init__(self, config, rows: int, positions: int, dtype: torch.dtype, device: torch.device):
        self.n_kv_heads = config.num_key_value_heads
        head_dim = config.hidden_size // config.num_attention_heads
        shape = (config.num_hidden_layers, rows, 2 * self.n_kv_heads, positions, head_dim)
        size, memory = math.prod(shape) * dtype.itemsize, memory_of(device)
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

    def move(self, source: int, target: int, length: int) -> None:
        """Row `source` takes the place of `target`, whose request has left."""
        self.data[:, target, :, :length] = self.data[:, source, :, :length]


def memory_of(device: torch.device) -> int:
    """Bytes: what is free on an NVIDIA GPU; elsewhere all that the machine has."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


# ---------------------------------------------------------------- network


class Projection:
    """x (…, in) -> x W^T (…, out), plus `residual` if given.

    On a CPU W is kept in the blocked order of oneDNN, whose products are about twice as fast as F.linear, for one row
    as for many (torch.compile does this to frozen weights; here no compiler is needed).
    """

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
    """The same with W in 8 bits, one scale per output: a quarter of float32's bytes to read for a token.

    x is bfloat16. Many rows are limited by arithmetic, not by reading: then W becomes bfloat16 for the product.
    """

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
        if self.config.norm_topk_prob and self.config.num_experts_per_tok > 1:
            weights = weights / weights.sum(-1, keepdim=True)
        out = residual.clone()
        for number, expert in enumerate(self.experts):
            rows, place = (chosen == number).nonzero(as_tuple=True)
            if len(rows):
                out.index_add_(0, rows, expert(x[rows]) * weights[rows, place, None].type_as(x))
        for shared in self.shared_experts:
            out = shared(x, out)
        return out


class Network:
    """The decoder of a MiniMindForCausalLM for inference alone: the same numbers, in as few operations as may be.

    q, k and v are one product, and so are gate and up. An adapter is added to its matrix in this copy; the model
    itself keeps both apart. What needs no other layout or type (norms and embedding, on a GPU more) is not copied but
    the model's own tensor, so once the model has been trained on, use it only after `Generator.refresh`.
    """

    def __init__(self, model: MiniMindForCausalLM, dtype: torch.dtype, positions: int):
        config = self.config = model.config
        kind, dtype = (Int8Projection, torch.bfloat16) if dtype == torch.int8 else (Projection, dtype)
        self.n_heads, self.n_kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.head_dim = config.hidden_size // self.n_heads
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
            self.layers.append((norms[0], qkv, project(attention.o_proj), norms[1], mlp(block.mlp, project)))
        self.norm = model.model.norm.weight.detach().to(dtype)
        self.head = project(model.lm_head)
        cos, sin = precompute_freqs_cis(self.head_dim, positions, config.rope_theta)
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
        """Prompts ids (B, T), padded on the right, into the cache's new rows; logits after each one's last (B, V).

        No mask is needed: a token looks only to its left, where no padding is.
        """
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
        some rows are shorter. The shapes are those of the arguments, and no value is looked at: it can be recorded.
        """
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
        for number, (norm1, qkv_proj, o_proj, norm2, mlp) in enumerate(self.layers):
            qkv = qkv_proj(self.normalise(x, norm1)).unflatten(-1, (-1, self.head_dim))  # (N, H + 2K, D)
            self.rotate(qkv[:, :n_rotated], rotation)
            x = o_proj(attend(number, qkv[:, : self.n_heads], qkv[:, self.n_heads :]), x)
            x = mlp(self.normalise(x, norm2), x)
        return x

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """float32, whatever the network computes in."""
        return self.head(self.normalise(hidden, self.norm)).float()


class RecordedStep:
    """The kernels of `decode_step` for `rows` rows and `span` positions as one CUDA graph.

    A GPU has done a kernel of a small network before Python can ask for the next one; a graph asks for all at once. It
    does the same work on the same memory each time, so rows and span are rounded up, and its few sizes serve all. Rows
    without a request make token 0 at position 0 of a row of the cache that nobody has.
    """

    def __init__(self, network: Network, rows: int, span: int, cache: KVCache, ids, positions):
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


# ---------------------------------------------------------------- text


def bytes_of_tokens(tokenizer, skip_special_tokens: bool) -> list[bytes]:
    """What each id of a byte-level BPE stands for; a character of its vocabulary is one byte (GPT-2's alphabet)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    alphabet = {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}
    added = tokenizer.added_tokens_decoder
    table = []
    for i, token in enumerate(tokenizer.convert_ids_to_tokens(range(len(tokenizer)))):
        if i in added:
            table.append(b"" if added[i].special and skip_special_tokens else token.encode())
        elif set(token) <= alphabet.keys():
            table.append(bytes(alphabet[c] for c in token))
        else:
            raise ValueError(f"{tokenizer.name_or_path}: its token {token!r} shows that it is no byte-level BPE")
    return table


class TextStream:
    """Bytes -> text as it may be shown: never half a character, and never a part of what may become a stop string."""

    def __init__(self, stop: Sequence[str]):
        self.stop, self.held = stop, ""
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, token: bytes, last: bool = False) -> tuple[str, bool]:
        """(new text, whether a stop string has come); with `last`, all that was held back."""
        self.held += self.decoder.decode(token, last)
        found = [place for place in map(self.held.find, self.stop) if place >= 0]
        if found:
            return self.held[: min(found)], True
        held = 0 if last else max((self.begun(stop) for stop in self.stop), default=0)
        shown, self.held = self.held[: len(self.held) - held], self.held[len(self.held) - held :]
        return shown, False

    def begun(self, stop: str) -> int:
        """How many characters at the end of the text are the beginning of `stop`."""
        return next((n for n in range(len(stop) - 1, 0, -1) if self.held.endswith(stop[:n])), 0)


# ---------------------------------------------------------------- request


@dataclass
class Piece:
    """A part of an answer: what has become certain since the last piece. A token's text may come with a later one."""

    text: str
    token_ids: list[int]  # includes a stop token, which has no text
    logprobs: list[Logprob]  # one per token if asked for
    finish_reason: str | None = None  # with the last piece: "stop", "length" or "cancelled"


@dataclass(eq=False)
class Request:
    """An answer in the making. Iterate over it for its pieces, from any thread, while some thread runs the engine."""

    prompt_ids: list[int]
    sampling: Sampling
    stop_ids: Sequence[int]
    max_tokens: int
    token_bytes: list[bytes]
    pieces: SimpleQueue
    text: str = ""
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[Logprob] = field(default_factory=list)
    finish_reason: str | None = None
    cancelled: bool = False

    def __post_init__(self):
        self.noise, self.text_stream = random.Random(self.sampling.seed), TextStream(self.sampling.stop)
        self.n_sent = 0
        self.received = False  # the last piece

    @property
    def n_cached(self) -> int:
        """Tokens in the cache: all but the newest."""
        return len(self.prompt_ids) + len(self.token_ids) - 1

    def cancel(self) -> None:
        """Leave at the next step, with one last piece. After the end it does nothing."""
        self.cancelled = True

    def add(self, token: int) -> None:
        """Take the next token, and send what has become certain."""
        self.token_ids.append(token)
        ended, full = token in self.stop_ids, len(self.token_ids) == self.max_tokens
        text, stopped = self.text_stream.add(b"" if ended else self.token_bytes[token], ended or full)
        self.send(text, "stop" if ended or stopped else "length" if full else None)

    def send(self, text: str, finish_reason: str | None) -> None:
        self.text += text
        if text or finish_reason:
            new = slice(self.n_sent, len(self.token_ids))
            self.n_sent, self.finish_reason = new.stop, finish_reason  # before another thread can see the piece
            self.pieces.put(Piece(text, self.token_ids[new], self.logprobs[new], finish_reason))

    def __iter__(self) -> Iterator[Piece]:
        return self.receive()

    def receive(self, work: Callable[[], object] | None = None) -> Iterator[Piece]:
        """Waits for each piece, or does `work` until it is there; nothing comes after the last one.

        Raises what made the engine fail.
        """
        while not self.received:
            while work and self.pieces.empty():
                work()
            piece = self.pieces.get()
            if isinstance(piece, BaseException):
                self.pieces.put(piece)  # for whoever asks again
                raise piece
            self.received = piece.finish_reason is not None
            yield piece


# ---------------------------------------------------------------- engine


class Generator:
    """Runs requests in one batch. `submit` and `cancel` may be called from any thread, and steps take turns.

    Holds a copy of the model's weights laid out for inference, adapters merged: call `refresh` after training on.
    `max_length` is the context of prompt and answer together, by default all positions that the model has;
    `dtype` is what the network computes in, by default the model's; int8 is bfloat16 with weights of 8 bits, which
    pays for one or two streams on a CPU. Raises ValueError for sizes that cannot be, and for int8 elsewhere.
    """

    def __init__(
        self, model: MiniMindForCausalLM, tokenizer, max_batch: int = 16, max_length: int | None = None,
        dtype: torch.dtype | None = None,
    ):  # fmt: skip
        positions = model.config.max_position_embeddings
        self.max_batch, self.max_length = max_batch, positions if max_length is None else max_length
        if max_batch < 1:
            raise ValueError(f"max_batch {max_batch}: it must be at least 1")
        if not 2 <= self.max_length <= positions:
            raise ValueError(f"max_length {max_length}: it must lie between 2 and the model's {positions} positions")
        self.model, self.eos_token_id, self.dtype = model, tokenizer.eos_token_id, dtype or model.dtype
        if self.dtype == torch.int8 and model.device.type != "cpu":
            raise ValueError(f"dtype int8 is for a CPU, this model is on {model.device.type}: use bfloat16")
        unknown = [b""] * (model.config.vocab_size - len(tokenizer))
        self.token_bytes = {skip: bytes_of_tokens(tokenizer, skip) + unknown for skip in (True, False)}
        cached = torch.bfloat16 if self.dtype == torch.int8 else self.dtype
        self.cache = KVCache(model.config, max_batch, self.max_length, cached, model.device)
        self.submitted: SimpleQueue[Request] = SimpleQueue()
        self.waiting: deque[Request] = deque()
        self.running: list[Request] = []  # the request of each row
        self.turn, self.work = threading.Lock(), threading.Event()
        self.door, self.closed = threading.Lock(), False  # whether `run` has ended
        self.refresh()

    def refresh(self) -> None:
        """Read the model's weights anew. RuntimeError while requests run: their cache is of the old ones."""
        with self.turn, torch.inference_mode():
            if self.running:
                raise RuntimeError(f"{len(self.running)} requests are running: refresh when they have ended")
            self.network = Network(self.model, self.dtype, self.max_length)

    def submit(self, prompt_ids: Sequence[int], sampling: Sampling | None = None, pieces=None) -> Request:
        """Queue a prompt; ValueError if it is empty, not of the vocabulary, or too long with its max_tokens;
        RuntimeError once `run` has ended.

        `pieces` has a `put` that takes the answer's pieces, or the engine's error; by default a queue of its own.
        """
        prompt_ids, sampling = list(prompt_ids), sampling or Sampling()
        vocabulary, room = self.model.config.vocab_size, self.max_length - len(prompt_ids)
        if not prompt_ids:
            raise ValueError("the prompt is empty: give it at least one token")
        if not 0 <= min(prompt_ids) <= max(prompt_ids) < vocabulary:
            raise ValueError(f"a token id in the prompt lies outside of the vocabulary of {vocabulary}")
        if room < (sampling.max_tokens or 1):
            raise ValueError(
                f"{len(prompt_ids)} tokens of prompt and {sampling.max_tokens or 1} of answer do not fit "
                f"the context of {self.max_length}: shorten the prompt or lower max_tokens"
            )
        stop_ids = (self.eos_token_id,) if sampling.stop_ids is None else sampling.stop_ids
        token_bytes, pieces = self.token_bytes[sampling.skip_special_tokens], pieces or SimpleQueue()
        request = Request(prompt_ids, sampling, stop_ids, sampling.max_tokens or room, token_bytes, pieces)
        with self.door:
            if self.closed:
                raise RuntimeError("this engine has been stopped and takes no more requests")
            self.submitted.put(request)
        self.work.set()
        return request

    def step(self) -> int:
        """Advance every request by a token; those that join read their prompt first. How many are left after it."""
        with self.turn, torch.inference_mode():
            try:
                self.admit()
                while joining := self.next_to_join():
                    self.prefill(joining)
                if self.running:
                    self.decode()
            except BaseException as error:  # whoever waits for an answer hears of it
                for request in (*self.running, *self.waiting):
                    if not request.finish_reason:
                        request.pieces.put(error)
                self.running.clear()
                self.waiting.clear()
                raise
            return len(self.running) + len(self.waiting) + self.submitted.qsize()

    def admit(self) -> None:
        """Take in what was submitted, let go what was cancelled."""
        while not self.submitted.empty():
            self.waiting.append(self.submitted.get())
        for request in (*self.running, *self.waiting):
            if request.cancelled:
                request.send(request.text_stream.add(b"", last=True)[0], "cancelled")
        self.waiting = deque(request for request in self.waiting if not request.finish_reason)
        self.leave()

    def next_to_join(self) -> list[Request]:
        """The first that wait, as many as there are free rows, and as one pass can read."""
        joining, longest = [], 0
        while self.waiting and len(self.running) + len(joining) < self.max_batch:
            longest = max(longest, len(self.waiting[0].prompt_ids))
            if joining and longest * (len(joining) + 1) > PREFILL_TOKENS:
                break
            joining.append(self.waiting.popleft())
        return joining

    def prefill(self, joining: list[Request]) -> None:
        first_row, lengths = len(self.running), [len(request.prompt_ids) for request in joining]
        self.running += joining
        ids = torch.zeros(len(joining), max(lengths), dtype=torch.long)
        for row, request in enumerate(joining):
            ids[row, : lengths[row]] = torch.tensor(request.prompt_ids)
        logits = self.network.prefill(ids.to(self.cache.data.device), lengths, self.cache, first_row)
        self.hand_out(logits, joining)

    def decode(self) -> None:
        ids = torch.tensor([request.token_ids[-1] for request in self.running], device=self.cache.data.device)
        logits = self.network.decode(ids, [request.n_cached for request in self.running], self.cache)
        self.hand_out(logits, self.running)

    def hand_out(self, logits: torch.Tensor, requests: list[Request]) -> None:
        """Give each request its next token, chosen from logits (B, V); who has finished leaves."""
        if not logits.isfinite().all():
            raise ValueError(
                f"the network's logits are not finite (computed in {str(self.dtype).removeprefix('torch.')}): its "
                "weights are broken, or too large for that type: try float32, or another weight"
            )
        tokens = choose(logits, requests)
        wanted = [row for row, request in enumerate(requests) if request.sampling.logprobs is not None]
        if wanted:
            n_top = [requests[row].sampling.logprobs for row in wanted]
            found = logprobs_of(logits[wanted], [tokens[row] for row in wanted], n_top)
            for row, logprob in zip(wanted, found, strict=True):
                requests[row].logprobs.append(logprob)
        for request, token in zip(requests, tokens, strict=True):
            request.add(token)
        self.leave()

    def leave(self) -> None:
        """Free the rows of finished requests; the last row moves into the gap."""
        for row in reversed(range(len(self.running))):
            if self.running[row].finish_reason:
                last = self.running.pop()
                if row < len(self.running):
                    self.cache.move(len(self.running), row, last.n_cached)
                    self.running[row] = last

    # ------------------------------------------------------------ ways to use it

    def stream(self, prompt_ids: Sequence[int], sampling: Sampling | None = None) -> Iterator[Piece]:
        """The pieces of one answer. This thread runs the engine meanwhile; closing the iterator cancels."""
        request = self.submit(prompt_ids, sampling)
        try:
            yield from request.receive(self.step)
        finally:
            request.cancel()

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling | None = None,
        progress: Callable[[], object] | None = None,
    ) -> list[Request]:  # fmt: skip
        """Finished requests, in the order of the prompts; `progress` is called as often as there are prompts."""
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))  # neighbours of one length need no padding
        requests: dict[int, Request] = {}
        try:
            for i in order:
                requests[i] = self.submit(prompts[i], sampling)
            for request in requests.values():
                for _ in request.receive(self.step):
                    pass
                if progress:
                    progress()
        finally:  # Ctrl-C, say: nobody waits for the others any more
            for request in requests.values():
                request.cancel()
        return [requests[i] for i in range(len(prompts))]

    def run(self, stopping: threading.Event) -> None:
        """What a server's thread does: step while there is work, sleep while there is none, until told to stop."""
        while not stopping.is_set():
            self.work.wait(0.1)
            self.work.clear()
            with contextlib.suppress(Exception):  # those who waited have it, the next ones may fare better
                while not stopping.is_set() and self.step():
                    pass
        with self.door:
            self.closed = True
        while self.step():
            for request in (*self.running, *self.waiting):
                request.cancel()


def answer_prompts(
    model: MiniMindForCausalLM, tokenizer, prompts: Sequence[Sequence[int]], sampling: Sampling, max_batch: int,
    dtype: torch.dtype | None = None, progress: Callable[[], object] | None = None,
) -> list[Request]:  # fmt: skip
    """What `Generator.generate` does, for prompts of any lengths. All rows of a cache are as long as the longest, so
    prompts that are longer than their share of CACHE_TOKENS get a cache of their own, with fewer rows."""
    share, done = CACHE_TOKENS // max_batch - sampling.max_tokens, {}
    for is_long in (False, True):
        group = [i for i, prompt in enumerate(prompts) if (len(prompt) > share) == is_long]
        if group:
            length = max(len(prompts[i]) for i in group) + sampling.max_tokens
            rows = min(max_batch, len(group), max(1, CACHE_TOKENS // length))
            engine = Generator(model, tokenizer, rows, length, dtype)
            done |= zip(group, engine.generate([prompts[i] for i in group], sampling, progress), strict=True)
    return [done[i] for i in range(len(prompts))]
