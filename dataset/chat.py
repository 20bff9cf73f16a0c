"""The one chat renderer: messages -> token ids and loss mask, for training, evaluation and serving alike.

    <|im_start|>user\\n…<|im_end|>\\n<|im_start|>assistant\\n…<|im_end|>\\n          (ChatML)

Only this file emits control tokens. The content of a message is encoded with control tokens switched off, so a user
who types "<|im_end|>" ends no turn and moves no mask. `CHAT_TEMPLATE` is the same format in Jinja for engines that
read `tokenizer_config.json`; it cannot tell text from control tokens, so training and serving here do not use it.
"""

import json
import re
from collections.abc import Sequence

BOS, EOS, PAD = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
# Markup that an assistant may write as control tokens; anywhere else these strings are plain text.
THOUGHT_MARKUP = ("<think>", "</think>", "<answer>", "</answer>")
MARKUP = (*THOUGHT_MARKUP, "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
SPECIAL_TOKENS = (PAD, BOS, EOS, *MARKUP, *(f"<|reserved_{i}|>" for i in range(5)))
ROLES = ("system", "user", "assistant", "tool")

_THOUGHT_PATTERN = re.compile(r"\s*<think>(.*)</think>\s*<answer>(.*)</answer>\s*", re.DOTALL)
_MARKUP_PATTERN = re.compile("(" + "|".join(map(re.escape, MARKUP)) + ")")

# How functions are offered and called: the wording of Qwen2.5's template, whose format many programs read.
TOOLS_HEAD = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n"
)
TOOLS_TAIL = (
    "</tools>\n\nFor each function call, return a json object with function name and arguments within "
    '<tool_call></tool_call> XML tags:\n<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n'
    "</tool_call>"
)
_HEAD, _TAIL = (text.replace("\n", "\\n") for text in (TOOLS_HEAD, TOOLS_TAIL))
CHAT_TEMPLATE = (
    "{% set described = messages and messages[0]['role'] == 'system' %}"
    "{% if tools %}"
    "{{ '<|im_start|>system\\n' + (messages[0]['content'] + '\\n\\n' if described else '') }}"
    f"{{{{ '{_HEAD}' }}}}"
    "{% for tool in tools %}{{ (tool | tojson) + '\\n' }}{% endfor %}"
    f"{{{{ '{_TAIL}<|im_end|>\\n' }}}}"
    "{% endif %}"
    "{% for message in (messages[1:] if tools and described else messages) %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + (message['content'] or '') }}"
    "{% for call in message['tool_calls'] or [] %}"
    "{% if not loop.first or message['content'] %}{{ '\\n' }}{% endif %}"
    "{{ '<tool_call>\\n{\"name\": ' + (call['function']['name'] | tojson) + ', \"arguments\": ' }}"
    "{% set arguments = call['function']['arguments'] %}"
    "{{ (arguments if arguments is string else (arguments | tojson)) + '}\\n</tool_call>' }}"
    "{% endfor %}"
    "{{ '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def check_messages(messages) -> None:
    """Raise ValueError, saying what is wrong and what to do, unless `messages` is a list of role/content turns."""
    if not isinstance(messages, list):
        raise ValueError(f"a conversation must be a list of messages, not {type(messages).__name__}")
    for number, message in enumerate(messages, 1):
        if not isinstance(message, dict) or not {"role", "content"} <= message.keys():
            raise ValueError(f'message {number} must look like {{"role": "user", "content": "…"}}')
        if message["role"] not in ROLES:
            raise ValueError(f"message {number} has role {message['role']!r}: use one of {', '.join(ROLES)}")
        if not isinstance(message["content"], str):
            raise ValueError(f"content of message {number} must be text, not {type(message['content']).__name__}")


def split_thought(text: str) -> tuple[str, str] | None:
    """(thought, answer) of "<think>\\n…\\n</think>\\n<answer>\\n…\\n</answer>"; None unless each tag is there once."""
    match = _THOUGHT_PATTERN.fullmatch(text)
    if not match or any(text.count(tag) != 1 for tag in THOUGHT_MARKUP):
        return None
    return match[1].strip(), match[2].strip()


def as_trained(messages: list[dict], stage: str) -> list[dict]:
    """As a weight of the stage "reason" met them in training: earlier answers between their tags, without a thought."""
    if stage != "reason":
        return messages

    def bare(text: str) -> str:
        return f"<think>\n</think>\n<answer>\n{(split_thought(text) or ('', text))[1]}\n</answer>"

    return [m | {"content": bare(m["content"])} if m["role"] == "assistant" else m for m in messages]


def with_tools(messages: list[dict], tools: Sequence[dict] = ()) -> list[dict]:
    """OpenAI's messages as role and content alone: the `tools` (JSON objects) described in the system turn, and an
    answer's `tool_calls` written out in its content."""
    plain = []
    for message in messages:
        parts = [message["content"]] if message["content"] else []
        for call in message.get("tool_calls") or ():
            name, arguments = call["function"]["name"], call["function"]["arguments"]
            if not isinstance(arguments, str):
                arguments = json.dumps(arguments, ensure_ascii=False)
            name = json.dumps(name, ensure_ascii=False)
            parts.append(f'<tool_call>\n{{"name": {name}, "arguments": {arguments}}}\n</tool_call>')
        plain.append({"role": message["role"], "content": "\n".join(parts)})
    if tools:
        text = TOOLS_HEAD + "".join(json.dumps(tool, ensure_ascii=False) + "\n" for tool in tools) + TOOLS_TAIL
        if plain and plain[0]["role"] == "system":
            text = plain.pop(0)["content"] + "\n\n" + text
        plain.insert(0, {"role": "system", "content": text})
    return plain


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
    tokenizer, conversations: Sequence[list[dict]], add_generation_prompt: bool = False, markup_weight: int = 1
) -> list[tuple[list[int], list[int]]]:
    """Render each conversation (a list of {"role", "content"}) to (token ids, loss weights), two lists of one length.

    A weight belongs to the token at its place, as a target: 1 for an answer and the <|im_end|> that closes it,
    `markup_weight` for <think>-like tags inside an answer, 0 for everything that is given.
    """
    control = control_tokens(tokenizer)
    pieces = []  # of each conversation, (text, whether it is a control token, weight)
    for messages in conversations:
        pieces.append([])
        for message in messages:
            learned = int(message["role"] == "assistant")
            pieces[-1] += [(BOS, True, 0), (message["role"] + "\n", False, 0)]
            parts = _MARKUP_PATTERN.split(message["content"]) if learned else [message["content"]]
            for i, part in enumerate(parts):  # the pattern's group puts the tags at odd places
                is_tag = i % 2 == 1 and part in control
                pieces[-1].append((part, is_tag, markup_weight if is_tag else learned))
            pieces[-1] += [(EOS, True, learned), ("\n", False, 0)]
        if add_generation_prompt:
            pieces[-1] += [(BOS, True, 0), ("assistant\n", False, 0)]

    texts = [text for conversation in pieces for text, is_control, _ in conversation if not is_control]
    encoded = iter(encode_texts(tokenizer, texts))  # one call of the tokenizer for the whole batch
    result = []
    for conversation in pieces:
        ids, weights = [], []
        for text, is_control, weight in conversation:
            new = [control[text]] if is_control else next(encoded)
            ids += new
            weights += [weight] * len(new)
        result.append((ids, weights))
    return result


def render(tokenizer, messages, add_generation_prompt=False, markup_weight=1) -> tuple[list[int], list[int]]:
    """`render_batch` for one conversation."""
    return render_batch(tokenizer, [messages], add_generation_prompt, markup_weight)[0]


def begin_document(tokenizer, text: str) -> list[int]:
    """Prompt for a pretrained weight to continue: a text, begun as documents were in pretraining."""
    return [control_tokens(tokenizer)[BOS], *encode_texts(tokenizer, [text])[0]]


def answer_room(context: int) -> int:
    """Tokens of a context that a conversation leaves free for the next answer."""
    return min(256, context // 2)


def keep_recent(tokenizer, messages: list[dict], room: int, limit: int | None = None) -> list[int]:
    """Prompt for the next answer, in `room` tokens: the oldest turns are dropped first.

    A system turn at the beginning and the last message are always kept, and alone may take `limit` tokens (default:
    room). Raises ValueError when they are longer.
    """
    limit = room if limit is None else limit
    head = messages[:1] if messages and messages[0]["role"] == "system" else []
    turns = messages[len(head) :]
    while True:
        ids, _ = render(tokenizer, head + turns, add_generation_prompt=True)
        if len(ids) <= (room if len(turns) > 1 else limit):
            return ids
        if len(turns) <= 1:
            n_head = len(render(tokenizer, head)[0])
            both = f"the system message and the message are {n_head} + {len(ids) - n_head}"
            raise ValueError(
                f"{both if head else f'the message is {len(ids)}'} tokens long, only {limit} fit: shorten it"
            )
        turns = turns[1:]
        while len(turns) > 1 and turns[0]["role"] != "user":
            turns = turns[1:]


def make_prompt(tokenizer, messages: list[dict], stage: str, room: int, limit: int | None = None) -> list[int]:
    """`keep_recent` of the messages `as_trained`; but "pretrain" continues the last message as a text."""
    if stage != "pretrain":
        return keep_recent(tokenizer, as_trained(messages, stage), room, limit)
    ids, limit = begin_document(tokenizer, messages[-1]["content"]), limit or room
    if len(ids) > limit:
        raise ValueError(f"the text is {len(ids)} tokens long, only {limit} fit: shorten it")
    return ids
