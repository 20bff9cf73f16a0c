"""Splits a model's text, while it streams, into the fields of OpenAI's protocol.

    <think>…</think>              reasoning_content
    <answer>…</answer>            content, without the tags
    <tool_call>{…}</tool_call>    tool_calls, if the request offered that function
"""

import json
import re
import uuid
from collections.abc import Sequence

FIELDS = {"<think>": "reasoning_content", "</think>": "content", "<answer>": "content", "</answer>": "content"}
CALL, CALL_END = "<tool_call>", "</tool_call>"


class MarkupParser:
    """`add` takes text piece by piece and returns deltas, parts of a message. Their concatenation does not depend on
    where the pieces were cut. White space next to a tag is dropped. A call that is not a JSON object of name and
    arguments, or that names a function which was not offered, stays text."""

    def __init__(self, offered: Sequence[str] = ()):
        self.offered, self.n_calls = offered, 0
        self.tags = [*FIELDS, CALL] if offered else [*FIELDS]
        self.any_tag = re.compile("|".join(map(re.escape, self.tags)))
        self.field, self.held, self.after_tag, self.in_call = "content", "", False, False

    def add(self, text: str, last: bool = False) -> list[dict]:
        self.held += text
        deltas = []
        while True:
            if self.in_call:
                call, end, rest = self.held.partition(CALL_END)
                if not end:
                    break
                self.held, self.in_call = rest, False
                deltas += self.call_delta(call)
            else:
                tag = self.any_tag.search(self.held)
                if not tag:
                    break
                deltas += self.text_delta(self.held[: tag.start()].rstrip())
                self.held, self.after_tag = self.held[tag.end() :], True
                self.in_call, self.field = tag[0] == CALL, FIELDS.get(tag[0], "content")
        if self.in_call:
            if not last:
                return deltas
            self.held, self.in_call, self.after_tag = CALL + self.held, False, False
        n_ready = len(self.held) if last else self.n_certain()
        text, self.held = self.held[:n_ready], self.held[n_ready:]
        return deltas + self.text_delta(text)

    def n_certain(self) -> int:
        """How many held characters cannot be part of a tag, or of the white space before one."""
        end = len(self.held)
        start = self.held.rfind("<")
        if start >= 0 and any(tag.startswith(self.held[start:]) for tag in self.tags):
            end = start
        return len(self.held[:end].rstrip())

    def text_delta(self, text: str) -> list[dict]:
        if self.after_tag:
            text = text.lstrip()
        if not text:
            return []
        self.after_tag = False
        return [{self.field: text}]

    def call_delta(self, text: str) -> list[dict]:
        try:
            call = json.loads(text)
            name, arguments = call["name"], call["arguments"]
            if name not in self.offered or not isinstance(arguments, dict):
                raise ValueError
            arguments = json.dumps(arguments, ensure_ascii=False, allow_nan=False)
            arguments.encode()
        except (ValueError, KeyError, TypeError, RecursionError):
            self.after_tag = False
            return [{"content": f"{CALL}{text}{CALL_END}"}]
        self.n_calls += 1
        call = {"index": self.n_calls - 1, "id": f"call_{uuid.uuid4().hex[:24]}", "type": "function"}
        return [{"tool_calls": [call | {"function": {"name": name, "arguments": arguments}}]}]


def whole_message(deltas: Sequence[dict]) -> dict:
    message = {"role": "assistant", "content": "".join(delta.get("content", "") for delta in deltas), "refusal": None}
    if thought := "".join(delta.get("reasoning_content", "") for delta in deltas):
        message["reasoning_content"] = thought
    if calls := [call for delta in deltas for call in delta.get("tool_calls", ())]:
        message["tool_calls"] = [{key: call[key] for key in ("id", "type", "function")} for call in calls]
        message["content"] = message["content"] or None
    return message
