"""A weight beside itself in llama.cpp: the same tokens, log-probabilities and greedy text; and what rounding costs.

    python tests/compat/llama_cpp.py out/full_sft_192.pth --text dataset/sample/pretrain.jsonl

converts the weight to GGUF in F32, F16 and Q8_0, runs each with llama.cpp (through xllamacpp, whose server runs in this
process) and prints a table. test_llama_cpp.py asserts the same on small networks.
"""

import argparse
import json
import math
import sys
import tempfile
import urllib.request
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]


class LlamaCpp:
    """llama.cpp with one GGUF file on one CPU thread, all its attention in float32, as ours is: flash attention would
    round queries to half precision, which moves log-probabilities by a hundredth."""

    def __init__(self, path: Path, n_ctx: int = 1024):
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path, params.n_ctx, params.n_parallel, params.verbosity = str(path), n_ctx, 1, 0
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        self.server = xllamacpp.Server(params)
        (self.a,) = self.tokenize("a")

    def post(self, path: str, **content) -> dict:
        data, header = json.dumps(content).encode(), {"Content-Type": "application/json"}
        request = urllib.request.Request(self.server.listening_address + path, data, header)
        with urllib.request.urlopen(request) as response:
            return json.load(response)

    def tokenize(self, text: str) -> list[int]:
        return self.post("/tokenize", content=text, add_special=False, parse_special=True)["tokens"]

    def next_token(self, ids: list[int], n_probs: int) -> dict[int, float]:
        """{id: log-probability} of the n_probs likeliest tokens after `ids`, the likeliest first.

        The server tells these of tokens that it samples, unless they end within a character, and before any bias: so
        it is made to sample the letter a.
        """
        request = {"prompt": ids, "n_predict": 1, "n_probs": n_probs, "temperature": 0, "logit_bias": [[self.a, 1000]]}
        (token,) = self.server.handle_completions(request)["choices"][0]["logprobs"]["content"]
        return {entry["id"]: entry["logprob"] for entry in token["top_logprobs"]}

    def chat(self, messages: list[dict], max_tokens: int) -> str:
        request = {"messages": messages, "max_tokens": max_tokens, "temperature": 0}
        answer = self.server.handle_chat_completions(request)
        return answer["choices"][0]["message"]["content"]


@torch.inference_mode()
def log_probs(model, ids: list[int]) -> torch.Tensor:
    """Ours: log-probabilities of the token after each position, (len(ids), vocabulary)."""
    return model(torch.tensor([ids])).logits[0].log_softmax(-1)


def largest_difference(ours: torch.Tensor, top: list[dict[int, float]]) -> float:
    """Of llama.cpp's best log-probabilities, at every position, from ours there."""
    return max(abs(float(row[i]) - value) for row, best in zip(ours, top, strict=True) for i, value in best.items())


def read_along(llama: LlamaCpp, ids: list[int], vocab_size: int, n_probs: int = 100) -> list[dict[int, float]]:
    """llama.cpp's best log-probabilities after ids[:1], ids[:2], … ids: it is given the text, it writes none.

    Where the next of `ids` is not among the best, there are those of the whole vocabulary, which takes it longer.
    """
    after = []
    for end in range(1, len(ids) + 1):
        best = llama.next_token(ids[:end], n_probs)
        if end < len(ids) and ids[end] not in best:
            best = llama.next_token(ids[:end], vocab_size)
        after.append(best)
    return after


def ten_best(after: list[dict[int, float]]) -> list[dict[int, float]]:
    return [dict(sorted(best.items(), key=lambda entry: -entry[1])[:10]) for best in after]


def mean_loss(predicted: list[dict[int, float]], rows: list[list[int]]) -> float:
    """Nats per token of `rows`, given {id: log-probability} after every token of all rows, one after the other."""
    after, losses = iter(predicted), []
    for row in rows:
        for wanted in row[1:]:
            losses.append(-next(after)[wanted])
        next(after)  # of the last token, which nothing follows
    return sum(losses) / len(losses)


def texts_of(path: Path) -> list[str]:
    """The lines of a file; of a JSONL every text and every message in it."""
    texts = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if path.suffix != ".jsonl":
            texts.append(line)
            continue
        row = json.loads(line)
        parts = [row.get("text")] + [m["content"] for name in ("conversations", "messages") for m in row.get(name, [])]
        texts += [part for part in parts if part]
    return texts


def differing_lines(llama: LlamaCpp, tokenizer, texts: list[str]) -> list[str]:
    return [text for text in texts if llama.tokenize(text) != tokenizer(text).input_ids]


def main() -> None:
    from model.formats.gguf_file import OUTTYPES, write_gguf
    from trainer.answering import answer_all
    from trainer.options import WeightOptions

    parser = argparse.ArgumentParser(description="Compare a weight with itself in llama.cpp.")
    parser.add_argument("weight", help="a .pth with its .json, or a Hugging Face folder")
    parser.add_argument("--text", type=Path, required=True, help="lines to tokenise: a text file or a JSONL")
    parser.add_argument("--lines", type=int, default=10_000, help="how many of them")
    parser.add_argument("--questions", type=Path, default=ROOT / "dataset/sample/heldout.jsonl", help="to answer, read")
    parser.add_argument("--n", type=int, default=20, help="how many of them")
    options = parser.parse_args()
    model, tokenizer, title, stage, _ = WeightOptions(weight=options.weight, device="cpu").load_model()
    print(title)
    texts = texts_of(options.text)[: options.lines]
    questions = [json.loads(line) for line in options.questions.open(encoding="utf-8")]
    questions = questions[:: max(len(questions) // options.n, 1)][: options.n]
    replies = answer_all(model, tokenizer, [question["messages"] for question in questions], stage)
    rows = [
        tokenizer.apply_chat_template(
            [*question["messages"], {"role": "assistant", "content": question["answers"][0]}], return_dict=False
        )
        for question in questions
    ]
    ours = [log_probs(model, row) for row in rows]
    exact = mean_loss([dict(enumerate(p.tolist())) for p in torch.cat(ours)], rows)
    print(f"ours: perplexity {math.exp(exact):.4f} on {sum(map(len, rows)):,} tokens of {len(rows)} conversations")
    with tempfile.TemporaryDirectory() as folder:
        for outtype in OUTTYPES:
            path = Path(folder) / f"{outtype}.gguf"
            write_gguf(model, tokenizer, path, outtype)
            llama = LlamaCpp(path)
            if outtype == "f32":
                differing = differing_lines(llama, tokenizer, texts)
                print(f"tokens: {len(texts) - len(differing):,} of {len(texts):,} lines are equal")
                for text in differing[:5]:
                    print(f"  differs: {text[:200]!r}")
            predicted = [best for row in rows for best in read_along(llama, row, model.config.vocab_size)]
            loss = mean_loss(predicted, rows)
            asked = [llama.chat(question["messages"], 48) for question in questions]
            equal = sum(theirs == reply for theirs, reply in zip(asked, replies, strict=True))
            largest = largest_difference(torch.cat(ours), ten_best(predicted))
            print(
                f"{outtype:5} {path.stat().st_size / 2**20:7.2f} MiB   top-10 log-probabilities differ by at most "
                f"{largest:.1e} at {len(predicted):,} positions   perplexity {math.exp(loss):.4f} "
                f"({100 * math.expm1(loss - exact):+.3f}%)   equal replies {equal}/{len(replies)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
