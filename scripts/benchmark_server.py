"""Load a running server of OpenAI's protocol with many streaming clients, and check each answer.

    ./run.sh serve                                     # in one terminal
    python scripts/benchmark_server.py                 # in another: 32 clients for 60 seconds

Each question is first asked alone, with a seed. Under load the same question and seed must give the same answer.
Batches of different sizes round differently, so a token may differ where the noise lies on the border between two;
where answers differ, the log-probabilities of both must agree to 1e-4, and such places are counted.
"""

import asyncio
import os
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

from scripts.measuring.harness import Figure, table_of  # noqa: E402
from scripts.measuring.measured import write_section  # noqa: E402
from trainer.command_line import flag, parse_options, run  # noqa: E402

QUESTIONS = (
    "你好，你是谁？", "Who are you?", "四加五等于几？", "What is 12 plus 7?", "请给我讲一个小故事。",
    "Give me some advice on sleeping well.", "把三、一、二从小到大排好。", "What day comes after Monday?",
)  # fmt: skip
N_ALONE = 32  # questions with different seeds
AGREE = 1e-4  # nats
MOST_TIES = 0.05  # of the answers; noise that is not the seed's would change nearly all of them


@dataclass
class ClientsOptions:
    base_url: str = flag("http://127.0.0.1:8998/v1", "address of the server")
    api_key: str | None = flag(None, "its key; better in the environment, as MINIMIND_API_KEY")
    model: str = flag("minimind", "name of the model there")
    clients: int = flag(32, "clients that ask at the same time", least=1)
    seconds: int = flag(60, "for how long they ask", least=1)
    max_tokens: int = flag(64, "most tokens of an answer", least=1)
    temperature: float = flag(1.0, "of the answers")
    write: bool = flag(False, "write the table into MEASURED.md")


@dataclass
class Answer:
    finish_reason: str | None = None
    tokens: list[str] = field(default_factory=list)
    tops: list[dict[str, float]] = field(default_factory=list)  # of each token: candidate -> log-probability
    first_token_seconds: float = 0.0
    n_tokens: int = 0  # as the server counts them


async def stream_answer(client, number: int, options: ClientsOptions) -> Answer:
    """One streamed answer to question `number`, whose seed it is."""
    answer, started = Answer(), time.perf_counter()
    stream = await client.chat.completions.create(
        model=options.model, messages=[{"role": "user", "content": QUESTIONS[number % len(QUESTIONS)]}], seed=number,
        temperature=options.temperature, max_tokens=options.max_tokens, logprobs=True, top_logprobs=5, stream=True,
        stream_options={"include_usage": True},
    )  # fmt: skip
    async for chunk in stream:
        if chunk.usage:
            answer.n_tokens = chunk.usage.completion_tokens
        for choice in chunk.choices:
            answer.finish_reason = choice.finish_reason or answer.finish_reason
            for token in choice.logprobs.content if choice.logprobs else ():
                if not answer.tokens:
                    answer.first_token_seconds = time.perf_counter() - started
                answer.tokens.append(token.token)
                top = {candidate.token: candidate.logprob for candidate in token.top_logprobs}
                answer.tops.append(top | {token.token: token.logprob})
    return answer


def is_equal(one: Answer, other: Answer) -> bool:
    return one.tokens == other.tokens and one.finish_reason == other.finish_reason


def is_near_tie(one: Answer, other: Answer) -> bool:
    """Whether both had the same probabilities to choose from where they differ first, as far as the answers tell: of
    the end of an answer the protocol gives no probability."""
    for a, b, top, other_top in zip(one.tokens, other.tokens, one.tops, other.tops, strict=False):
        if a != b:
            common = top.keys() & other_top.keys()
            return bool(common) and all(abs(top[token] - other_top[token]) <= AGREE for token in common)
    return True


async def run_clients(options: ClientsOptions) -> list[Figure]:
    import openai

    key = options.api_key or os.environ.get("MINIMIND_API_KEY") or "none"
    client = openai.AsyncOpenAI(base_url=options.base_url, api_key=key, max_retries=0, timeout=600)
    print(f"asking {N_ALONE} questions one after another", flush=True)
    started = time.perf_counter()
    alone = [await stream_answer(client, number, options) for number in range(N_ALONE)]
    alone_seconds = time.perf_counter() - started
    found: list[tuple[int, Answer]] = []
    print(f"{options.clients} clients for {options.seconds} s", flush=True)
    started = time.perf_counter()

    async def work(number: int) -> None:
        while time.perf_counter() - started < options.seconds:
            found.append((number % N_ALONE, await stream_answer(client, number % N_ALONE, options)))
            number += options.clients + 1  # each client comes to every question

    await asyncio.gather(*(work(number) for number in range(options.clients)))
    seconds = time.perf_counter() - started
    incomplete = sum(answer.finish_reason not in ("stop", "length") for _, answer in found)
    different = [(answer, alone[number]) for number, answer in found if not is_equal(answer, alone[number])]
    near_ties = sum(is_near_tie(*pair) for pair in different)
    waits = sorted(answer.first_token_seconds for _, answer in found)
    rate = sum(answer.n_tokens for _, answer in found) / seconds
    rate_alone = sum(answer.n_tokens for answer in alone) / alone_seconds
    return [
        Figure("server", "answers", "number", len(found)),
        Figure("server", "incomplete answers", "number", incomplete),
        Figure("server", "answers that differ from the one alone, at a near-tie", "number", near_ties),
        Figure("server", "answers that differ otherwise", "number", len(different) - near_ties),
        Figure("server", "all clients together", "tokens/s", rate, rate_alone, rate / rate_alone,
               note="reference: one client alone"),
        Figure("server", "first token, half of the answers within", "s", statistics.median(waits)),
        Figure("server", "first token, 95 % within", "s", waits[min(len(waits) - 1, int(0.95 * len(waits)))]),
    ]  # fmt: skip


def main() -> None:
    options = parse_options(ClientsOptions, "Load a server with streaming clients, and check each answer.")

    import openai

    try:
        figures = asyncio.run(run_clients(options))
    except openai.APIConnectionError:
        raise ValueError(f"{options.base_url}: no server answers there: start it with ./run.sh serve") from None
    except openai.APIError as error:
        raise ValueError(f"{options.base_url}: {error.message}") from None
    for figure in figures:
        print(figure.json_line())
    print("\n" + table_of(figures))
    answers, incomplete, near_ties, others = (figure.ours for figure in figures[:4])
    if incomplete or others or near_ties > max(1, MOST_TIES * answers):
        raise ValueError("answers were incomplete, or differ from what the same seed gives alone")
    if options.write:
        write_section("Server under load", table_of(figures, markdown=True))


if __name__ == "__main__":
    run(main)
