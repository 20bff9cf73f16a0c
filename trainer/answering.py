"""What a trained weight says to many conversations at once."""

from tqdm import tqdm

from dataset.chat import render_batch
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
