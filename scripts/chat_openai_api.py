"""Chat with a server of OpenAI's protocol: this project's (scripts/serve_openai_api.py) or any other.

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
from scripts.serving.addresses import is_http_url  # noqa: E402
from trainer.command_line import flag, parse_options, require, run  # noqa: E402
from trainer.process import as_text  # noqa: E402


@dataclass
class ChatOptions:
    base_url: str = flag("http://127.0.0.1:8998/v1", "address of the server")
    api_key: str | None = flag(None, "its key; better in the environment, as MINIMIND_API_KEY")
    model: str = flag("minimind", "name of the model on the server")
    system: str | None = flag(None, "a system message before the conversation")
    temperature: float = flag(0.0, "0: always the likeliest token; higher: more variety")
    top_p: float = flag(0.9, "sample from the likeliest tokens that together have this probability")
    max_tokens: int | None = flag(None, "most tokens of an answer; default: as many as fit")
    history_cnt: int = flag(-1, "earlier messages that are sent along; -1: all", least=-1)

    def __post_init__(self):
        require(is_http_url(self.base_url), f"--base_url {self.base_url}: it must be an http:// or https:// address")
        self.model, self.system = as_text(self.model), as_text(self.system)
        self.api_key = self.api_key or os.environ.get("MINIMIND_API_KEY") or "none"  # the client requires one
        plain = self.api_key.isascii() and self.api_key.isprintable()
        require(plain, "--api_key (or MINIMIND_API_KEY): this client can send printable ASCII only")


def printable(text: str) -> str:
    """Without lone surrogates and the control characters with which a model could control the terminal."""
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))


def answer(client, messages: list[dict], options: ChatOptions) -> tuple[str, bool]:
    """Print the answer while it streams, its thought first; return it without the thought, and whether it was cut."""
    limit = {} if options.max_tokens is None else {"max_tokens": options.max_tokens}
    chunks = client.chat.completions.create(
        model=options.model, messages=messages, stream=True, temperature=options.temperature, top_p=options.top_p,
        **limit,
    )  # fmt: skip
    content, thinking, choice = "", False, None
    for choice in (chunk.choices[0] for chunk in chunks if chunk.choices):
        thought, text = getattr(choice.delta, "reasoning_content", None), printable(choice.delta.content or "")
        if thought:
            print("" if thinking else "[thought]\n", printable(thought), sep="", end="", flush=True)
            thinking = True
        if text:
            print("\n[answer]\n" if thinking else "", text, sep="", end="", flush=True)
            content, thinking = content + text, False
    if choice is None:
        raise LookupError("not one choice: a web page, perhaps")
    print(flush=True)
    return content, choice.finish_reason == "length"


def ask(client, head: list[dict], history: list[dict], options: ChatOptions) -> tuple[str, bool]:
    """`answer`; while the conversation does not fit the server's context, its oldest turns are dropped."""
    import openai

    try:
        return answer(client, head + history, options)
    except openai.BadRequestError as error:
        if error.code != "context_length_exceeded" or len(history) < 3:
            raise
        del history[:2]
        return ask(client, head, history, options)


def main() -> None:
    options = parse_options(ChatOptions, "Chat with a server of OpenAI's protocol.")

    import openai

    client = openai.OpenAI(base_url=options.base_url, api_key=options.api_key)
    head = [{"role": "system", "content": options.system}] if options.system else []
    history: list[dict] = []
    if sys.stdin.isatty():
        print("Type a message. /clear forgets the conversation, /exit or Ctrl-D ends it.")
    for message in typed_messages():
        if message == "/clear":
            history = []
            continue
        history = [*newest(history, options.history_cnt), {"role": "user", "content": message}]
        try:
            reply, cut = ask(client, head, history, options)
        except openai.APIConnectionError:
            raise ValueError(f"{options.base_url}: no server answers there: start it with ./run.sh serve") from None
        except openai.BadRequestError as error:  # for example too long a message: report it and go on
            print(f"error: {printable(error.message)} (/clear forgets the conversation)", file=sys.stderr)
            history.pop()
            continue
        except openai.APIError as error:
            raise ValueError(f"{options.base_url}: {printable(error.message)}") from None
        except OSError:
            raise
        except Exception:  # a malformed response can make the client fail in any way
            message = "this is not OpenAI's protocol: check the address, which usually ends in /v1"
            raise ValueError(f"{options.base_url}: {message}") from None
        history.append({"role": "assistant", "content": reply})
        if cut:
            print("note: the answer was cut, at --max_tokens or at the end of the server's context", file=sys.stderr)
            history = history[len(history) // 4 * 2 :]  # dropping the older half makes room for the next answer


if __name__ == "__main__":
    run(main)
