"""What a trained weight says to many conversations at once."""

import random
from dataclasses import replace

from tqdm import tqdm

from dataset.chat import answer_room, as_trained, count_tokens, keep_recent, opening, render_batch
from model.generation import CACHE_TOKENS, Generator, answer_prompts
from model.sampling import Sampling


def sampling_of(stage: str, thinking: bool | None = None) -> Sampling:
    """The likeliest tokens, at most 64; where there is a thought, and its tags, 256."""
    thinks = thinking or (thinking is None and stage == "reason")
    return Sampling(max_tokens=256 if thinks else 64, skip_special_tokens=stage == "pretrain")


def answer_all(
    model, tokenizer, conversations: list[list[dict]], stage: str, dtype=None, thinking: bool | None = None
) -> list[str]:
    """The likeliest reply to each conversation, from its `dataset.chat.opening` on."""
    begin, prompts = prompts_of(tokenizer, conversations, stage, thinking)
    with tqdm(desc="answering", unit="question", total=len(prompts), leave=False) as bar:
        done = answer_prompts(model, tokenizer, prompts, sampling_of(stage, thinking), 128, dtype, bar.update)
    return [begin + request.text for request in done]


def sample_all(
    model, tokenizer, conversations: list[list[dict]], stage: str, n: int, seed: int, dtype=None,
    thinking: bool | None = None,
) -> list[list[str]]:  # fmt: skip
    """`n` replies to each conversation, drawn at temperature 1 from the whole vocabulary. The noise of each depends on
    the seed, the conversation and the reply's number alone."""
    begin, prompts = prompts_of(tokenizer, conversations, stage, thinking)
    sampling, requests = replace(sampling_of(stage, thinking), temperature=1.0), []
    length = max(map(len, prompts)) + sampling.max_tokens
    engine = Generator(model, tokenizer, min(128, max(1, CACHE_TOKENS // length)), length, dtype)
    for prompt in prompts:
        for number in range(n):
            noise = random.Random(f"{seed} {number} {prompt}").getrandbits(64)
            requests.append(engine.submit(prompt, replace(sampling, seed=noise)))
    with tqdm(desc="sampling", unit="answer", total=len(requests), leave=False) as bar:
        while left := engine.step():
            bar.update(len(requests) - left - bar.n)
    return [[begin + request.text for request in requests[i : i + n]] for i in range(0, len(requests), n)]


def prompts_of(tokenizer, conversations: list[list[dict]], stage: str, thinking: bool | None):
    """(how each reply begins, the tokens up to there of each conversation)."""
    begin = opening(tokenizer, stage, thinking)
    conversations = [as_trained(messages, stage) for messages in conversations]
    return begin, [ids for ids, _ in render_batch(tokenizer, conversations, add_generation_prompt=True, opening=begin)]


def tokens_a_reply(tokenizer, replies: list[str], stage: str, thinking: bool | None) -> float:
    """How many tokens a reply has on average, of its thought too, but without the beginning that it was given."""
    begin = opening(tokenizer, stage, thinking)
    return count_tokens(tokenizer, [reply.removeprefix(begin) for reply in replies]) / len(replies)


def answer_chats(
    model, tokenizer, chats: list[list[dict]], context: int, stage: str, dtype=None, thinking: bool | None = None
) -> list[list[str]]:
    """The likeliest reply to each question of each chat, as `dataset.heldout.read_chats` gives them. As when one talks
    to it, the weight sees its own earlier replies, and of a chat that is longer than `context` tokens the newest turns.
    """
    histories: list[list[dict]] = [[] for _ in chats]
    begin = opening(tokenizer, stage, thinking)
    for turn in range(max(map(len, chats), default=0)):
        now = [(chat, history) for chat, history in zip(chats, histories, strict=True) if turn < len(chat)]
        for chat, history in now:
            history += chat[turn]["messages"]
        room, seen = context - answer_room(context), [as_trained(history, stage) for _, history in now]
        prompts = [keep_recent(tokenizer, messages, room, opening=begin) for messages in seen]
        done = answer_prompts(model, tokenizer, prompts, sampling_of(stage, thinking), len(prompts), dtype)
        for (_, history), request in zip(now, done, strict=True):
            history.append({"role": "assistant", "content": begin + request.text})
    return [[m["content"] for m in history if m["role"] == "assistant"] for history in histories]
