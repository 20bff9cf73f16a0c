"""MiniMind as a model of EleutherAI's lm_eval: its requests in, log-likelihoods and texts out.

lm_eval turns every benchmark into three kinds of requests: how likely is this continuation after this context, how
likely is this text as a whole, and what comes after this context. Contexts are strings that already hold the prompt's
control tokens, as those that the chat template writes, and are encoded as lm_eval's own class for Hugging Face models
does it, so that both give the same figures.
"""

import json

import torch
from lm_eval.api.model import TemplateLM
from lm_eval.models.utils import normalize_gen_kwargs
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
from tqdm import tqdm

from dataset.chat import encode_texts
from model.generation import answer_prompts
from model.sampling import Sampling

HEAD_ROWS = 2048  # positions whose logits over the vocabulary are held at once


class MiniMindLM(TemplateLM):
    """`max_length` is the context in tokens, from which a longer prompt loses its beginning (`n_shortened` counts
    them); `batch_size` how many inputs share a pass."""

    def __init__(self, model, tokenizer, max_length: int, batch_size: int):
        super().__init__()
        self.model, self.tokenizer, self.max_length, self.batch_size = model, tokenizer, max_length, batch_size
        self.n_shortened = 0

    @property
    def eot_token_id(self) -> int:
        return self.tokenizer.eos_token_id

    @property
    def prefix_token_id(self) -> int:
        """What a text without a context begins with: BOS, as in pretraining; or else EOS, as lm_eval does it."""
        bos = self.tokenizer.bos_token_id
        return self.eot_token_id if bos is None else bos

    @property
    def tokenizer_name(self) -> str:
        return str(self.tokenizer.name_or_path).replace("/", "__")

    def apply_chat_template(self, chat_history: list[dict], add_generation_prompt: bool = True) -> str:
        return self.tokenizer.apply_chat_template(
            chat_history, tokenize=False, add_generation_prompt=add_generation_prompt,
            continue_final_message=not add_generation_prompt,
        )  # fmt: skip

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_) -> list[int]:
        if add_special_tokens is None:
            bos = self.tokenizer.bos_token
            add_special_tokens = not (bos and string.startswith(bos))
        return self.tokenizer.encode(string, add_special_tokens=add_special_tokens)

    # ------------------------------------------------------------ likelihoods

    @torch.inference_mode()
    def _loglikelihood_tokens(self, requests: list[tuple], disable_tqdm: bool = False, **_) -> list[tuple[float, bool]]:
        """(what it was, context ids, continuation ids) -> (log-likelihood of the continuation in nats, whether it is
        what greedy decoding would give).

        Requests with the same input, as the letters A to D after one question, share one pass; inputs are batched by
        length, padded on the right, where causal attention does not look.
        """
        inputs: dict[tuple[int, ...], list[int]] = {}
        for number, (_, context, continuation) in enumerate(requests):
            if len(continuation) > self.max_length:
                raise ValueError(
                    f"an answer to be scored is {len(continuation)} tokens long and the context {self.max_length}: "
                    "raise --max_seq_len"
                )
            tokens = (context + continuation)[-self.max_length - 1 :]
            self.n_shortened += len(tokens) < len(context) + len(continuation)
            inputs.setdefault(tuple(tokens[:-1]), []).append(number)
        ordered = sorted(inputs, key=len, reverse=True)
        results: list[tuple[float, bool]] = [(0.0, True)] * len(requests)
        bar = tqdm(desc="scoring", unit="answer", total=len(requests), leave=False, disable=disable_tqdm)
        with bar:
            for start in range(0, len(ordered), self.batch_size):
                batch = ordered[start : start + self.batch_size]
                readers = [(row, number) for row, tokens in enumerate(batch) for number in inputs[tokens]]
                lengths = [len(requests[number][2]) for _, number in readers]
                logprobs, greedy = self._score(
                    batch, [(row, n) for (row, _), n in zip(readers, lengths, strict=True)],
                    [token for _, number in readers for token in requests[number][2]],
                )  # fmt: skip
                parts = zip(readers, logprobs.split(lengths), greedy.split(lengths), strict=True)
                for (_, number), logprob, is_greedy in parts:
                    results[number] = (logprob.sum().item(), bool(is_greedy.all()))
                bar.update(len(readers))
        return results

    def _score(self, batch: list[tuple[int, ...]], spans: list[tuple[int, int]], targets: list[int]):
        """Log-probability of each target and whether it is the likeliest token (N,), for spans (row, n): the last n
        positions of that row of the batch."""
        device = self.model.device
        ids = torch.zeros(len(batch), len(batch[0]), dtype=torch.long)  # the longest comes first
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens)] = torch.tensor(tokens)
        hidden = self.model.model(ids.to(device)).last_hidden_state  # (B, T, C)
        places = [row * ids.shape[1] + len(batch[row]) - n + i for row, n in spans for i in range(n)]
        rows = hidden.flatten(0, 1)[torch.tensor(places, device=device)]  # (N, C)
        logprobs, greedy = [], []
        for part, target in zip(
            rows.split(HEAD_ROWS), torch.tensor(targets, device=device).split(HEAD_ROWS), strict=True
        ):
            logits = self.model.lm_head(part).float()  # (n, V)
            logprobs.append(logits.log_softmax(-1).gather(-1, target[:, None])[:, 0].double().cpu())
            greedy.append((logits.argmax(-1) == target).cpu())
        return torch.cat(logprobs), torch.cat(greedy)

    def loglikelihood_rolling(self, requests: list, disable_tqdm: bool = False) -> list[float]:
        """Log-likelihood in nats of each whole text, in which no string counts as a control token.

        A text longer than the context goes through windows that do not overlap, each seeing the last token of the
        one before; the last window reaches back to be full. Every token is predicted once.
        """
        windows, owners = [], []
        texts = encode_texts(self.tokenizer, [request.args[0] for request in requests])
        for number, tokens in enumerate(texts):
            for pair in get_rolling_token_windows(tokens, self.prefix_token_id, self.max_length, context_len=1):
                windows.append((None, *make_disjoint_window(pair)))
                owners.append(number)
        totals = [0.0] * len(requests)
        for owner, (logprob, _) in zip(owners, self._loglikelihood_tokens(windows, disable_tqdm), strict=True):
            totals[owner] += logprob
        return totals

    # ------------------------------------------------------------ texts

    def generate_until(self, requests: list, disable_tqdm: bool = False) -> list[str]:
        """The answer after each context, by the generation engine; requests of the same settings share a batch."""
        groups: dict[str, list[int]] = {}
        for number, request in enumerate(requests):
            groups.setdefault(json.dumps(request.args[1], sort_keys=True), []).append(number)
        texts = [""] * len(requests)
        for numbers in groups.values():
            settings = normalize_gen_kwargs(requests[numbers[0]].args[1])
            most = settings["max_gen_toks"]
            if most >= self.max_length:
                raise ValueError(
                    f"a task asks for answers of up to {most} tokens, the context has {self.max_length}: "
                    "raise --max_seq_len"
                )
            prompts = [self.tok_encode(requests[number].args[0]) for number in numbers]
            self.n_shortened += sum(len(prompt) > self.max_length - most for prompt in prompts)
            prompts = [prompt[most - self.max_length :] for prompt in prompts]
            sampling = Sampling(
                max_tokens=most, stop=[text for text in settings["until"] if text],
                temperature=settings["temperature"], top_p=settings.get("top_p", 1.0), top_k=settings.get("top_k", 0),
            )  # fmt: skip
            bar = tqdm(desc="answering", unit="question", total=len(prompts), leave=False, disable=disable_tqdm)
            with bar:
                answers = answer_prompts(
                    self.model, self.tokenizer, prompts, sampling, self.batch_size, progress=bar.update
                )
            for number, answer in zip(numbers, answers, strict=True):
                texts[number] = answer.text
        return texts
