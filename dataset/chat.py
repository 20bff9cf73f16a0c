"""The one chat renderer: messages -> token ids and loss mask, for training, evaluation and serving alike.

    <|im_start|>user\n…<|im_end|>\n<|im_start|>assistant\n…<|im_end|>\n          (ChatML)

A message is OpenAI's: role and content, and perhaps reasoning_content (a thought), tool_calls and, in the system turn,
tools. chat_template.py has the two formats in which they are written out.

Only this file emits control tokens. What a user writes, or a tool returns, is encoded with control tokens switched off,
so a "<|im_end|>" in it ends no turn and moves no mask. The Jinja templates give the same tokens for all other texts;
they cannot tell text from control tokens, so training and serving here do not use them.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat

from dataset.chat_template import NO_THOUGHT, TOOLS_HEAD, TOOLS_TAIL, template_name

BOS, EOS, PAD = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
# Markup that an assistant may write as control tokens; in what it is given these strings are plain text.
THOUGHT_MARKUP = ("<think>", "</think>", "<answer>", "</answer>")
MARKUP = (*THOUGHT_MARKUP, "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
SPECIAL_TOKENS = (PAD, BOS, EOS, *MARKUP, *(f"<|reserved_{i}|>" for i in range(5)))
ROLES = ("system", "user", "assistant", "tool")

_THOUGHT_PATTERN = re.compile(r"\s*<think>(.*)</think>\s*<answer>(.*)</answer>\s*", re.DOTALL)
_MARKUP_PATTERN = re.compile("(" + "|".join(map(re.escape, MARKUP)) + ")")


def check_messages(messages) -> None:
    """Raise ValueError, saying what is wrong and what to do, unless `messages` is a list of turns as above."""
    if not isinstance(messages, list):
        raise ValueError(f"a conversation must be a list of messages, not {type(messages).__name__}")
    for number, message in enumerate(messages, 1):
        if not isinstance(message, dict) or not {"role", "content"} <= message.keys():
            raise ValueError(f'message {number} must look like {{"role": "user", "content": "…"}}')
        if message["role"] not in ROLES:
            raise ValueError(f"message {number} has role {message['role']!r}: use one of {', '.join(ROLES)}")
        try:
            given = {key: read_list(message, key) for key in ("tools", "tool_calls")}
            for call in given["tool_calls"]:
                check_call(call)
        except ValueError as error:
            raise ValueError(f"message {number}: {error}") from None
        given["reasoning_content"] = message.get("reasoning_content") or ""
        for key, owner in (("tools", "system"), ("tool_calls", "assistant"), ("reasoning_content", "assistant")):
            if given[key] and (message["role"] != owner or (key == "tools" and number > 1)):
                place = "the first, a system turn" if key == "tools" else f'one with the role "{owner}"'
                raise ValueError(f'message {number} has the key "{key}": only {place}, can have it')
        content = message["content"] or "" if given["tool_calls"] else message["content"]
        for text, key in ((content, "content"), (given["reasoning_content"], "reasoning_content")):
            if not isinstance(text, str):
                raise ValueError(f"{key} of message {number} must be text, not {type(text).__name__}")


def read_list(message: dict, key: str) -> list[dict]:
    """The objects under a key, which may be JSON in a string, as published data has it. ValueError for other things."""
    value = message.get(key) or []
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"its {key} do not parse as JSON ({error})") from None
    if not isinstance(value, list) or not all(isinstance(part, dict) for part in value):
        raise ValueError(f"its {key} must be a list of JSON objects")
    return value


def check_call(call: dict) -> None:
    """ValueError unless a tool call has a name, and arguments that are a JSON object or the text of one."""
    call = call.get("function") or call
    name, arguments = (call.get("name"), call.get("arguments")) if isinstance(call, dict) else (None, None)
    try:
        is_object = isinstance(json.loads(arguments) if isinstance(arguments, str) else arguments, dict)
    except (ValueError, RecursionError):
        is_object = False
    if not isinstance(name, str) or not is_object:
        raise ValueError('a call in its tool_calls must look like {"name": "…", "arguments": {…}}')


def as_json(value) -> str:
    return json.dumps(value, ensure_ascii=False)


def split_thought(text: str) -> tuple[str, str] | None:
    """(thought, answer) of "<think>\\n…\\n</think>\\n<answer>\\n…\\n</answer>"; None unless each tag is there once."""
    match = _THOUGHT_PATTERN.fullmatch(text)
    if not match or any(text.count(tag) != 1 for tag in THOUGHT_MARKUP):
        return None
    return match[1].strip(), match[2].strip()


def answer_in(reply: str, stage: str) -> str:
    """What a reply says after its thought; "" where the thought does not end, or a tag of the stage "reason" lacks."""
    if stage == "reason":
        return (split_thought(reply) or ("", ""))[1]
    before, ended, after = reply.rpartition("</think>")
    return after.strip() if ended or "<think>" not in reply else ""


def as_trained(messages: list[dict], stage: str) -> list[dict]:
    """As a weight met them in training: earlier answers without their thoughts, of "reason" between its tags."""

    def bare(message: dict) -> dict:
        text = message["content"] or ""
        after = text.rpartition("</think>")[2].lstrip("\n") if "<think>" in text else text
        text = (split_thought(text) or ("", after))[1]
        if stage == "reason":
            text = f"<think>\n</think>\n<answer>\n{text}\n</answer>"
        return {key: value for key, value in message.items() if key != "reasoning_content"} | {"content": text}

    return [bare(message) if message["role"] == "assistant" else message for message in messages]


def opening(tokenizer, stage: str, thinking: bool | None = None) -> str:
    """How a prompt begins the answer: with an open thought, an empty one, or (thinking None) as the weights were
    trained to (Qwen3's format: an empty one). "reason" has its answers in tags, "pretrain" has none."""
    by_itself = thinking is None and (stage == "reason" or template_name(tokenizer) != "qwen3")
    if stage == "pretrain" or by_itself:
        return ""
    if thinking:
        return "<think>\n"
    return "<think>\n</think>\n<answer>\n" if stage == "reason" else NO_THOUGHT


def turns(messages: list[dict], template: str, empty_thought: bool = True) -> Iterator[tuple[str, list[tuple]]]:
    """(role, parts) of each turn as it is written out. A part is (text, whether tags in it are control tokens)."""
    messages = list(messages)
    if messages and (tools := read_list(messages[0], "tools")):
        system = messages.pop(0)["content"]
        described = [(system + "\n\n", False)] if system else []
        schemas = "".join(as_json(tool) + "\n" for tool in tools)
        yield "system", [*described, (TOOLS_HEAD, True), (schemas, False), (TOOLS_TAIL, True)]
    results = []
    for number, message in enumerate(messages):
        role, content = message["role"], message["content"] or ""
        if role == "assistant":
            yield role, [(answer_text(message, template, empty_thought), True)]
        elif role == "tool" and template == "qwen3":
            between = "\n" if results else ""
            results += [(between + "<tool_response>\n", True), (content, False), ("\n</tool_response>", True)]
            if messages[number + 1 : number + 2] and messages[number + 1]["role"] == "tool":
                continue  # consecutive results share a turn
            yield "user", results
            results = []
        else:
            yield role, [(content, False)]


def learned_text(tokenizer, messages: list[dict], empty_thought: bool) -> str:
    """All answers of a conversation, one behind the other."""
    written = turns(messages, template_name(tokenizer), empty_thought)
    return "".join(text for role, parts in written if role == "assistant" for text, _ in parts)


def answer_text(message: dict, template: str, empty_thought: bool = True) -> str:
    content, thought = message["content"] or "", message.get("reasoning_content")
    if template == "qwen3" and thought is None:  # perhaps it is written in the content
        before, _, content = content.rpartition("</think>")
        thought = before.split("</think>")[0].rstrip("\n").rpartition("<think>")[2]
    if thought is not None:
        content, thought = content.lstrip("\n"), thought.strip("\n")
    parts = [content] if content else []
    for call in read_list(message, "tool_calls"):
        call = call.get("function") or call
        arguments = call["arguments"] if isinstance(call["arguments"], str) else as_json(call["arguments"])
        parts.append(f'<tool_call>\n{{"name": {as_json(call["name"])}, "arguments": {arguments}}}\n</tool_call>')
    if thought or (thought is not None and (empty_thought or template != "qwen3")):
        return f"<think>\n{thought}\n</think>\n\n" + "\n".join(parts)
    return "\n".join(parts)


def encode_texts(tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text, in which no string counts as a control token."""
    backend = tokenizer.backend_tokenizer  # transformers' own wrapper takes a third of the time
    if not backend.encode_special_tokens:  # threads may share it, so it is changed only when necessary
        backend.encode_special_tokens = True
    return [encoding.ids for encoding in backend.encode_batch_fast(texts, add_special_tokens=False)]


def control_tokens(tokenizer) -> dict[str, int]:
    """The ids of the marks around turns, whatever this tokenizer calls them, and of the tags that it has as one token.
    ValueError for a tokenizer without such marks."""
    missing = [name for name in ("bos_token", "eos_token") if getattr(tokenizer, name) is None]
    if missing:
        raise ValueError(
            f"{tokenizer.name_or_path}: this tokenizer has no {' and no '.join(missing)}, to mark where documents and "
            "turns begin and end: set it in its tokenizer_config.json, or pass another folder with --tokenizer"
        )
    tags = {tag: tokenizer.convert_tokens_to_ids(tag) for tag in MARKUP}
    known = {tag: number for tag, number in tags.items() if number not in (None, tokenizer.unk_token_id)}
    return {BOS: tokenizer.bos_token_id, EOS: tokenizer.eos_token_id} | known


def render_batch(
    tokenizer, conversations: Sequence[list[dict]], add_generation_prompt: bool = False, markup_weight: int = 1,
    opening: str = "", empty_thoughts: Iterable[bool] = repeat(True),
) -> list[tuple[list[int], list[int]]]:  # fmt: skip
    """Render each conversation to (token ids, loss weights), two lists of one length. A weight belongs to the token at
    its place, as a target: 1 for an answer (thought, text and calls) and the <|im_end|> that closes it, `markup_weight`
    for <think>-like tags inside an answer, 0 for everything that is given. `opening` begins the answer of a generation
    prompt; `empty_thoughts` says for each conversation whether Qwen3's format shows thoughts that are empty."""
    control, template = control_tokens(tokenizer), template_name(tokenizer)
    pieces = []  # of each conversation, (text, whether it is a control token, weight)
    for messages, empty_thought in zip(conversations, empty_thoughts, strict=False):
        pieces.append([])
        for role, parts in turns(messages, template, empty_thought):
            learned = int(role == "assistant")
            pieces[-1] += [(BOS, True, 0), (role + "\n", False, 0)]
            for text, has_tags in parts:
                split = split_tags(text, control, learned, learned * markup_weight)
                pieces[-1] += split if has_tags else [(text, False, learned)]
            pieces[-1] += [(EOS, True, learned), ("\n", False, 0)]
        if add_generation_prompt:
            pieces[-1] += [(BOS, True, 0), ("assistant\n", False, 0), *split_tags(opening, control, 0, 0)]

    joined = [list(join_texts(conversation)) for conversation in pieces]
    texts = [text for conversation in joined for text, is_control, _ in conversation if not is_control]
    encoded = iter(encode_texts(tokenizer, texts))  # one call of the tokenizer for the whole batch
    result = []
    for conversation in joined:
        ids, weights = [], []
        for text, is_control, weight in conversation:
            new = [control[text]] if is_control else next(encoded)
            ids += new
            weights += [weight] * len(new)
        result.append((ids, weights))
    return result


def split_tags(text: str, control: dict[str, int], learned: int, markup_weight: int) -> Iterator[tuple[str, bool, int]]:
    """The pieces of a text whose tags are control tokens, as far as the tokenizer has them."""
    for i, part in enumerate(_MARKUP_PATTERN.split(text)):  # the pattern's group puts the tags at odd places
        is_tag = i % 2 == 1 and part in control
        yield part, is_tag, markup_weight if is_tag else learned


def count_tokens(tokenizer, texts: Sequence[str]) -> int:
    """Of all texts together; their tags are control tokens."""
    control = control_tokens(tokenizer)
    pieces = [piece for text in texts for piece in split_tags(text, control, 0, 0)]
    encoded = encode_texts(tokenizer, [text for text, is_tag, _ in pieces if not is_tag])
    return sum(map(len, encoded)) + sum(is_tag for _, is_tag, _ in pieces)


def join_texts(pieces: list[tuple[str, bool, int]]) -> Iterator[tuple[str, bool, int]]:
    """Neighbouring texts as one, which is how they are tokenised elsewhere; but where learning begins, a token does."""
    held, weight = "", 0
    for text, is_control, its_weight in pieces:
        if held and (is_control or its_weight != weight):
            yield held, False, weight
            held = ""
        if is_control:
            yield text, True, its_weight
        else:
            held, weight = held + text, its_weight
    if held:
        yield held, False, weight


def render(
    tokenizer, messages: list[dict], add_generation_prompt: bool = False, markup_weight: int = 1, opening: str = ""
) -> tuple[list[int], list[int]]:
    return render_batch(tokenizer, [messages], add_generation_prompt, markup_weight, opening)[0]


def begin_document(tokenizer, text: str) -> list[int]:
    """Prompt for a pretrained weight to continue: a text, begun as documents were in pretraining."""
    return [control_tokens(tokenizer)[BOS], *encode_texts(tokenizer, [text])[0]]


def answer_room(context: int) -> int:
    """Tokens of a context that a conversation leaves free for the next answer."""
    return min(256, context // 2)


def keep_recent(tokenizer, messages: list[dict], room: int, limit: int | None = None, opening: str = "") -> list[int]:
    """Prompt for the next answer, in `room` tokens: the oldest turns are dropped first. A system turn at the beginning
    and the last message are kept, and alone may take `limit` tokens (default: room); ValueError for longer ones."""
    limit = room if limit is None else limit
    head = messages[:1] if messages and messages[0]["role"] == "system" else []
    turns = messages[len(head) :]
    while True:
        ids, _ = render(tokenizer, head + turns, add_generation_prompt=True, opening=opening)
        if len(ids) <= (room if len(turns) > 1 else limit):
            return ids
        if len(turns) <= 1:
            n_head = len(render(tokenizer, head)[0])
            both = f"the system message and the message are {n_head} + {len(ids) - n_head}"
            what = both if head else f"the message is {len(ids)}"
            raise ValueError(f"{what} tokens long, only {limit} fit: shorten it")
        turns = turns[1:]
        while len(turns) > 1 and turns[0]["role"] != "user":
            turns = turns[1:]


def make_prompt(
    tokenizer, messages: list[dict], stage: str, room: int, limit: int | None = None, opening: str = ""
) -> list[int]:
    """`keep_recent` of the messages `as_trained`; but "pretrain" continues the last message as a text."""
    if stage != "pretrain":
        return keep_recent(tokenizer, as_trained(messages, stage), room, limit, opening)
    ids, limit = begin_document(tokenizer, messages[-1]["content"]), limit or room
    if len(ids) > limit:
        raise ValueError(f"the text is {len(ids)} tokens long, only {limit} fit: shorten it")
    return ids
