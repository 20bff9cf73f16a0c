"""Chat with a server of OpenAI's protocol: ours (scripts/serve_openai_api.py), or any other.

    python scripts/chat_openai_api.py
    python scripts/chat_openai_api.py --base_url https://example.org/v1 --model some-model       # MINIMIND_API_KEY=…
"""

import os
import sys
import unicodedata
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

from eval_model import newest, typed_messages  # noqa: E402
from trainer.options import flag, parse_options, require, run  # noqa: E402


@dataclass
class ChatOptions:
    base_url: str = flag("http://127.0.0.1:8998/v1", "address of the server")
    api_key: str | None = flag(None, "its key; better in the environment, as MINIMIND_API_KEY")
    model: str = flag("minimind", "name of the model there")
    system: str | None = flag(None, "a system message before the conversation")
    temperature: float = flag(0.0, "0: always the likeliest token; higher: more variety")
    top_p: float = flag(0.9, "sample from the likeliest tokens that together have this probability")
    max_tokens: int | None = flag(None, "most tokens of an answer; default: as many as fit")
    history_cnt: int = flag(-1, "earlier messages that the chat keeps in mind; -1: all")
    stream: bool = flag(True, "show the answer as it is made")

    def __post_init__(self):
        require(self.history_cnt >= -1, f"--history_cnt {self.history_cnt}: it must be at least -1")
        is_http = self.base_url.startswith(("http://", "https://"))
        require(is_http, f"--base_url {self.base_url}: it must begin with http:// or https://")


def printable(text: str) -> str:
    """Without the control characters that would let a model steer the terminal."""
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) != "Cc")


def answer(client, messages: list[dict], options: ChatOptions) -> str:
    """Print the answer, its thought before it; return it without the thought."""
    asked = {"temperature": options.temperature, "top_p": options.top_p, "max_tokens": options.max_tokens}
    asked = {name: value for name, value in asked.items() if value is not None}
    reply = client.chat.completions.create(model=options.model, messages=messages, stream=options.stream, **asked)
    parts = [reply.choices[0].message] if not options.stream else (c.choices[0].delta for c in reply if c.choices)
    said, thinking = "", False
    for part in parts:
        thought, text = getattr(part, "reasoning_content", None) or "", part.content or ""
        if thought and not thinking:
            print("[thought]")
        if text and thinking:
            print("\n[answer]")
        thinking = bool(thought) or (thinking and not text)
        if thought and text:  # a whole message at once
            thought, thinking = f"{thought}\n[answer]\n", False
        print(printable(thought + text), end="", flush=True)
        said += text
    print(flush=True)
    return said


def main() -> None:
    options = parse_options(ChatOptions, "Chat with a server of OpenAI's protocol.")

    import openai

    key = options.api_key or os.environ.get("MINIMIND_API_KEY") or "none"  # the client wants one, loopback does not
    client = openai.OpenAI(base_url=options.base_url, api_key=key)
    head = [{"role": "system", "content": options.system}] if options.system else []
    history: list[dict] = []
    if sys.stdin.isatty():
        print("Type a message. /clear forgets the conversation, /exit or Ctrl-D ends it.")
    for message in typed_messages():
        if message == "/clear":
            history = []
            continue
        history = newest(history, options.history_cnt)
        history.append({"role": "user", "content": message})
        try:
            reply = answer(client, head + history, options)
        except openai.APIConnectionError:
            raise ValueError(f"{options.base_url}: no server answers there: start it with ./run.sh serve") from None
        except openai.BadRequestError as error:  # as too long a conversation: say so, keep talking
            print(f"error: {printable(error.message)} (/clear forgets the conversation)", file=sys.stderr)
            history.pop()
            continue
        except openai.APIError as error:
            raise ValueError(f"{options.base_url}: {printable(error.message)}") from None
        history.append({"role": "assistant", "content": reply})


if __name__ == "__main__":
    run(main)
