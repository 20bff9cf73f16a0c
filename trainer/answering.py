"""What a trained weight says to many conversations at once."""

from tqdm import tqdm

from dataset.chat import answer_room, keep_recent, render_batch
from model.generation import answer_prompts
from model.sampling import Sampling

ANSWER_TOKENS, REASON_TOKENS = 48, 256  # most of a reply that is scored; with its thought


def answer_all(
    model, tokenizer, conversations: list[list[dict]], max_new_tokens: int = ANSWER_TOKENS, batch_size: int = 128,
    with_tags=False, dtype=None,
) -> list[str]:  # fmt: skip
    """The likeliest reply to each conversation, `with_tags` of a reasoning weight."""
    prompts = [ids for ids, _ in render_batch(tokenizer, conversations, add_generation_prompt=True)]
    sampling = Sampling(max_tokens=max_new_tokens, skip_special_tokens=not with_tags)
    with tqdm(desc="answering", unit="question", total=len(prompts), leave=False) as bar:
        done = answer_prompts(model, tokenizer, prompts, sampling, batch_size, dtype, bar.update)
    return [request.text for request in done]


def answer_chats(
    model, tokenizer, chats: list[list[dict]], context: int, max_new_tokens: int = ANSWER_TOKENS, with_tags=False,
    dtype=None,
) -> list[list[str]]:  # fmt: skip
    """The likeliest reply to each question of each chat, as `dataset.heldout.read_chats` gives them. As when one talks
    to it, the weight sees its own earlier replies, and of a chat that is longer than `context` tokens the newest turns.
    """
    sampling = Sampling(max_tokens=max_new_tokens, skip_special_tokens=not with_tags)
    histories: list[list[dict]] = [[] for _ in chats]
    for turn in range(max(map(len, chats), default=0)):
        now = [(chat, history) for chat, history in zip(chats, histories, strict=True) if turn < len(chat)]
        for chat, history in now:
            history += chat[turn]["messages"]
        prompts = [keep_recent(tokenizer, history, context - answer_room(context)) for _, history in now]
        done = answer_prompts(model, tokenizer, prompts, sampling, len(prompts), dtype)
        for (_, history), request in zip(now, done, strict=True):
            history.append({"role": "assistant", "content": request.text})
    return [[m["content"] for m in history if m["role"] == "assistant"] for history in histories]
