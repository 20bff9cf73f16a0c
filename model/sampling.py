"""Choosing the next token from the network's logits: penalties, temperature, top_k, top_p, min_p and noise.

Shapes in comments: B requests (rows), V vocabulary.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

CANDIDATES = 256  # this many of the likeliest tokens nearly always contain what top_p keeps; else all V are sorted


@dataclass(frozen=True)
class Sampling:
    """How a request's tokens are chosen and when it ends. Raises ValueError for meaningless values. Order: penalties,
    temperature, top_k, top_p of what top_k left, min_p. Log-probabilities are the network's, before all that."""

    max_tokens: int | None = None  # None: as many as the context holds
    temperature: float = 0.0  # 0: always the likeliest token
    top_k: int = 0  # only the k likeliest tokens; 0: all
    top_p: float = 1.0  # only the likeliest tokens that together reach this probability (Holtzman et al. 2020)
    min_p: float = 0.0  # only tokens with at least this share of the likeliest one's probability
    # Off, as penalties change correct answers too: a sum may contain a digit twice.
    repetition_penalty: float = 1.0  # divides the logits of tokens in prompt and answer (Keskar et al. 2019, CTRL)
    presence_penalty: float = 0.0  # subtracted once from the logit of every token in the answer
    frequency_penalty: float = 0.0  # subtracted once per occurrence in the answer
    stop: Sequence[str] = ()  # texts that end the answer and are not part of it
    stop_ids: Sequence[int] | None = None  # likewise tokens; None: the tokenizer's end of turn
    seed: int | None = None  # of this request's noise; None: a new one every time
    logprobs: int | None = None  # log-probability of the chosen token and of this many likeliest ones
    skip_special_tokens: bool = True  # False: <think> and the like are part of the text

    def __post_init__(self):
        def require(holds: bool, name: str, what: str) -> None:
            if not holds:
                raise ValueError(f"{name} {getattr(self, name)!r}: it must {what}")

        require(self.max_tokens is None or self.max_tokens >= 1, "max_tokens", "be at least 1")
        require(0 <= self.temperature < math.inf, "temperature", "be finite and at least 0")
        require(0 <= self.top_k < 2**31, "top_k", "not be negative (0: all tokens), nor beyond 2^31")
        require(0 < self.top_p <= 1, "top_p", "lie in (0, 1]")
        require(0 <= self.min_p <= 1, "min_p", "lie in [0, 1]")
        require(0.01 <= self.repetition_penalty <= 100, "repetition_penalty", "lie between 0.01 and 100")
        require(math.isfinite(self.presence_penalty), "presence_penalty", "be a number")
        require(math.isfinite(self.frequency_penalty), "frequency_penalty", "be a number")
        require(not isinstance(self.stop, str) and all(self.stop), "stop", "be a list of texts, none of them empty")
        require(self.logprobs is None or self.logprobs >= 0, "logprobs", "not be negative")

    @property
    def penalises(self) -> bool:
        return (self.repetition_penalty, self.presence_penalty, self.frequency_penalty) != (1, 0, 0)


def penalise(logits: torch.Tensor, sampling: Sampling, prompt: list[int], answer: list[int]) -> torch.Tensor:
    """logits (V,) of one request, lowered for the tokens it contains."""
    count = torch.bincount(torch.tensor(answer, dtype=torch.long), minlength=len(logits)).to(logits.device)
    seen = count.bool()
    seen[prompt] = True
    repeated = torch.where(logits > 0, logits / sampling.repetition_penalty, logits * sampling.repetition_penalty)
    logits = torch.where(seen, repeated, logits)
    return logits - sampling.presence_penalty * (count > 0) - sampling.frequency_penalty * count


def keep_likeliest(probs: torch.Tensor, samplings: Sequence[Sampling]) -> torch.Tensor:
    """probs (B, V) with 0 for each row's tokens outside its top_k, top_p and min_p."""

    def column(values) -> torch.Tensor:
        return torch.tensor(list(values), device=probs.device)[:, None]

    vocabulary = probs.shape[-1]
    least = probs.amax(-1, keepdim=True) * column(s.min_p for s in samplings)
    if any(s.top_k or s.top_p < 1 for s in samplings):
        top_k = column(s.top_k or vocabulary for s in samplings)
        top_p = column(s.top_p for s in samplings)
        for n in dict.fromkeys((min(CANDIDATES, vocabulary), vocabulary)):
            best = probs.topk(n).values  # (B, n), descending
            best = best.masked_fill(torch.arange(n, device=probs.device) >= top_k, 0)
            total = torch.where(top_k < n, best.sum(-1, keepdim=True), 1.0)  # of what top_k leaves
            before = best.cumsum(-1) - best
            kept = (best > 0) & ((before < top_p * total) | (top_p == 1))
            beyond = (n <= top_k) & (top_k < vocabulary)  # n tokens do not show how much top_k leaves
            if n == vocabulary or not (kept[:, -1:] | beyond).any():
                break
        last = kept.sum(-1, keepdim=True).clamp(min=1) - 1
        unlimited = (top_k >= vocabulary) & (top_p == 1)
        least = torch.maximum(least, best.gather(-1, last).masked_fill(unlimited, 0))
    return probs.masked_fill(probs < least, 0)


def draw(logits: torch.Tensor, samplings: Sequence[Sampling], noise: Sequence[float]) -> torch.Tensor:
    """One token per row of logits (B, V): the first at which the cumulative probability reaches the noise in (0, 1].
    One number per row and token is the only source of randomness, so a seed gives the same answer in any batch."""
    temperature = torch.tensor([max(s.temperature, 1e-4) for s in samplings], device=logits.device)[:, None]
    probs = ((logits - logits.amax(-1, keepdim=True)) / temperature).softmax(-1)
    summed = keep_likeliest(probs, samplings).cumsum(-1)
    return torch.searchsorted(summed, torch.tensor(noise, device=logits.device)[:, None] * summed[:, -1:])[:, 0]


def choose(logits: torch.Tensor, requests: Sequence) -> list[int]:
    """The next token of each request, from logits (B, V), which are not modified."""
    penalised = [row for row, request in enumerate(requests) if request.sampling.penalises]
    if penalised:
        logits = logits.clone()
    for row in penalised:
        logits[row] = penalise(logits[row], requests[row].sampling, requests[row].prompt_ids, requests[row].token_ids)
    tokens = logits.argmax(-1)
    drawn = [row for row, request in enumerate(requests) if request.sampling.temperature > 0]
    if drawn:
        noise = [1 - requests[row].noise.random() for row in drawn]
        tokens[drawn] = draw(logits[drawn], [requests[row].sampling for row in drawn], noise)
    return tokens.tolist()


@dataclass
class Logprob:
    """Natural logarithms of probabilities: of the chosen token, and (token, logprob) of the likeliest, descending."""

    token_id: int
    logprob: float
    top: list[tuple[int, float]]


def logprobs_of(logits: torch.Tensor, tokens: list[int], n_top: list[int]) -> list[Logprob]:
    """Of one token per row of logits (B, V), each with that row's number of likeliest tokens."""
    logprobs = logits.log_softmax(-1)
    chosen = logprobs.gather(-1, torch.tensor(tokens, device=logits.device)[:, None])[:, 0].tolist()
    values, ids = (x.tolist() for x in logprobs.topk(min(max(n_top), logits.shape[-1])))
    rows = zip(tokens, chosen, ids, values, n_top, strict=True)
    return [Logprob(token, value, list(zip(i[:n], v[:n], strict=True))) for token, value, i, v, n in rows]
