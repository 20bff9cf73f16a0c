"""MiniMind as a model of EleutherAI's lm_eval: its own class for Hugging Face models, which ours is one of.

lm_eval turns every benchmark into three kinds of requests: how likely is this continuation after this context, how
likely is this text as a whole, and what comes after this context. Contexts are strings that already hold the prompt's
control tokens, as those that the chat template writes.
"""

from lm_eval.models.huggingface import HFLM

from dataset.chat import encode_texts


class MiniMindLM(HFLM):
    """`max_length` is the context in tokens, from which a longer prompt loses its beginning (`n_shortened` counts
    them); `batch_size` how many inputs share a pass."""

    def __init__(self, model, tokenizer, max_length: int, batch_size: int):
        super().__init__(model, "causal", tokenizer=tokenizer, max_length=max_length, batch_size=batch_size)
        self.n_shortened = 0
        self.in_whole_text = False  # in which no string counts as a control token

    def tok_encode(self, string: str, *args, **kwargs) -> list[int]:
        if self.in_whole_text:
            return list(encode_texts(self.tokenizer, [string])[0])
        return super().tok_encode(string, *args, **kwargs)

    def loglikelihood_rolling(self, requests: list, disable_tqdm: bool = False) -> list[float]:
        self.in_whole_text = True
        try:
            return super().loglikelihood_rolling(requests, disable_tqdm)
        finally:
            self.in_whole_text = False

    def _loglikelihood_tokens(self, requests: list[tuple], *args, **kwargs) -> list[tuple[float, bool]]:
        for _, context, continuation in requests:
            self.check_room(len(continuation) <= self.max_length, f"an answer has {len(continuation)} tokens")
            self.n_shortened += len(context) + len(continuation) > self.max_length + 1
        return super()._loglikelihood_tokens(requests, *args, **kwargs)

    def generate_until(self, requests: list, disable_tqdm: bool = False) -> list[str]:
        for request in requests:
            context, settings = request.args
            most = settings.get("max_gen_toks", self.max_gen_toks)
            self.check_room(most < self.max_length, f"answers may take {most} tokens")
            self.n_shortened += len(self.tok_encode(context)) > self.max_length - most
        return super().generate_until(requests, disable_tqdm)

    def check_room(self, enough: bool, what: str) -> None:
        if not enough:
            raise ValueError(f"{what}, the context has {self.max_length}: raise --max_seq_len")
