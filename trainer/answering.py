"""What a trained weight says to many conversations at once."""

from tqdm import tqdm

from dataset.chat import answer_room, as_trained, keep_recent, render_batch
from model.generation import answer_prompts
from model.sampling import Sampling


def sampling_of(stage: str) -> Sampling:
    """The likeliest tokens, at most 48; of a weight of the stage "reason", with thought and tags, 256."""
    reasons = stage == "reason"
    return Sampling(max_tokens=256 if reasons else 48, skip_special_tokens=not reasons)


def answer_all(model, tokenizer, conversations: list[list[dict]], stage: str, dtype=None) -> list[str]:
    """The likeliest reply to each conversation."""
    conversations = [as_trained(messages, stage) for messages in conversations]
    prompts = [ids for ids, _ in render_batch(tokenizer, conversations, add_generation_prompt=True)]
    with tqdm(desc="answering", unit="question", total=len(prompts), leave=False) as bar:
        done = answer_prompts(model, tokenizer, prompts, sampling_of(stage), 128, dtype, bar.update)
    return [request.text for request in done]


def answer_chats(model, tokenizer, chats: list[list[dict]], context: int, stage: str, dtype=None) -> list[list[str]]:
    """The likeliest reply to each question of each chat, as `dataset.heldout.read_chats` gives them. As when one talks
    to it, the weight sees its own earlier replies, and of a chat that is longer than `context` tokens the newest turns.
    """
    histories: list[list[dict]] = [[] for _ in chats]
    for turn in range(max(map(len, chats), default=0)):
        now = [(chat, history) for chat, history in zip(chats, histories, strict=True) if turn < len(chat)]
        for chat, history in now:
            history += chat[turn]["messages"]
        room, seen = context - answer_room(context), [as_trained(history, stage) for _, history in now]
        prompts = [keep_recent(tokenizer, messages, room) for messages in seen]
        done = answer_prompts(model, tokenizer, prompts, sampling_of(stage), len(prompts), dtype)
        for (_, history), request in zip(now, done, strict=True):
            history.append({"role": "assistant", "content": request.text})
    return [[m["content"] for m in history if m["role"] == "assistant"] for history in histories]
