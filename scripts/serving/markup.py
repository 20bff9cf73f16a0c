"""A model's text, as it comes, taken apart into what OpenAI's protocol keeps in different fields.

    <think>…</think>              reasoning_content
    <answer>…</answer>            content, without the tags
    <tool_call>{…}</tool_call>    tool_calls, where the request offered that function
"""

import json
import uuid
from collections.abc import Sequence

FIELDS = {"<think>": "reasoning_content", "</think>": "content", "<answer>": "content", "</answer>": "content"}
CALL, CALL_END = "<tool_call>", "</tool_call>"


class MarkupParser:
    """`add` takes the text piece by piece and returns deltas, parts of a message. Their sum does not depend on where
    the pieces were cut. White space goes where it stands beside a tag. A call that is no JSON object of name and
    arguments, or of a function that was not offered, is text: a model can write anything."""

    def __init__(self, offered: Sequence[str] = ()):
        self.offered, self.n_calls = offered, 0
        self.tags = [*FIELDS, CALL] if offered else [*FIELDS]
        self.field, self.held, self.after_tag, self.in_call = "content", "", False, False

    def add(self, text: str, last: bool = False) -> list[dict]:
        self.held += text
        deltas = []
        while self.in_call or self.next_tag():
            if self.in_call:
                end = self.held.find(CALL_END)
                if end < 0:
                    break
                call, self.held = self.held[:end], self.held[end + len(CALL_END) :]
                self.in_call = False
                deltas += self.call(call)
            else:
                place, tag = self.next_tag()
                deltas += self.say(self.held[:place].rstrip())
                self.held, self.after_tag = self.held[place + len(tag) :], True
                self.in_call = tag == CALL
                self.field = FIELDS.get(tag, "content")
        if self.in_call:
            if not last:
                return deltas
            self.held, self.in_call, self.after_tag = CALL + self.held, False, False
        shown = len(self.held) if last else self.certain()
        text, self.held = self.held[:shown], self.held[shown:]
        return deltas + self.say(text)

    def next_tag(self) -> tuple[int, str] | None:
        found = [(place, tag) for tag in self.tags if (place := self.held.find(tag)) >= 0]
        return min(found) if found else None

    def certain(self) -> int:
        """So many characters cannot become part of a tag, nor of the white space before one."""
        end = len(self.held)
        start = self.held.rfind("<")
        if start >= 0 and any(tag.startswith(self.held[start:]) for tag in self.tags):
            end = start
        return len(self.held[:end].rstrip())

    def say(self, text: str) -> list[dict]:
        if self.after_tag:
            text = text.lstrip()
        if not text:
            return []
        self.after_tag = False
        return [{self.field: text}]

    def call(self, text: str) -> list[dict]:
        try:
            said = json.loads(text)
            name, arguments = said["name"], said["arguments"]
            if name not in self.offered or not isinstance(arguments, dict):
                raise ValueError
            arguments = json.dumps(arguments, ensure_ascii=False, allow_nan=False)
            arguments.encode()
        except (ValueError, KeyError, TypeError, RecursionError):
            self.after_tag = False
            return [{"content": f"{CALL}{text}{CALL_END}"}]
        self.n_calls += 1
        function = {"name": name, "arguments": arguments}
        call = {"index": self.n_calls - 1, "id": f"call_{uuid.uuid4().hex[:24]}", "type": "function"}
        return [{"tool_calls": [call | {"function": function}]}]


def whole_message(deltas: Sequence[dict]) -> dict:
    """The message that the deltas are parts of."""
    message = {"role": "assistant", "content": "".join(delta.get("content", "") for delta in deltas), "refusal": None}
    thought = "".join(delta.get("reasoning_content", "") for delta in deltas)
    calls = [call for delta in deltas for call in delta.get("tool_calls", ())]
    if thought:
        message["reasoning_content"] = thought
    if calls:
        message["tool_calls"] = [{key: call[key] for key in ("id", "type", "function")} for call in calls]
        message["content"] = message["content"] or None
    return message
