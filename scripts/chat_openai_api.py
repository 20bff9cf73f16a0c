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
from scripts.serving.addresses import is_http_url  # noqa: E402
from trainer.command_line import flag, parse_options, require, run  # noqa: E402
from trainer.process import as_text  # noqa: E402


@dataclass
class ChatOptions:
    base_url: str = flag("http://127.0.0.1:8998/v1", "address of the server")
    api_key: str | None = flag(None, "its key; better in the environment, as MINIMIND_API_KEY")
    model: str = flag("minimind", "name of the model there")
    system: str | None = flag(None, "a system message before the conversation")
    temperature: float = flag(0.0, "0: always the likeliest token; higher: more variety")
    top_p: float = flag(0.9, "sample from the likeliest tokens that together have this probability")
    max_tokens: int | None = flag(None, "most tokens of an answer; default: as many as fit")
    history_cnt: int = flag(-1, "earlier messages that the chat keeps in mind; -1: all", least=-1)
    stream: bool = flag(True, "show the answer as it is made")

    def __post_init__(self):
        require(is_http_url(self.base_url), f"--base_url {self.base_url}: it must be an http:// or https:// address")
        self.model, self.system = as_text(self.model), as_text(self.system)
        self.api_key = self.api_key or os.environ.get("MINIMIND_API_KEY") or "none"  # the client wants one
        plain = self.api_key.isascii() and self.api_key.isprintable()
        require(plain, "--api_key (or MINIMIND_API_KEY): this client can send printable ASCII only")


def printable(text: str) -> str:
    """Without the control characters that would let a model steer the terminal, and half surrogate pairs."""
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))


def answer(client, messages: list[dict], options: ChatOptions) -> tuple[str, bool]:
    """Print the answer, its thought before it; return it without the thought, and whether it was cut."""
    limit = {} if options.max_tokens is None else {"max_tokens": options.max_tokens}
    reply = client.chat.completions.create(
        model=options.model, messages=messages, stream=options.stream, temperature=options.temperature,
        top_p=options.top_p, **limit,
    )  # fmt: skip
    said, thinking, cut, choice = "", False, False, None
    for choice in (chunk.choices[0] for chunk in (reply if options.stream else [reply]) if chunk.choices):
        part, cut = choice.delta if options.stream else choice.message, choice.finish_reason == "length"
        thought, text = getattr(part, "reasoning_content", None) or "", printable(part.content or "")
        if thought:
            print("" if thinking else "[thought]\n", printable(thought), sep="", end="", flush=True)
            thinking = True
        if text:
            print("\n[answer]\n" if thinking else "", text, sep="", end="", flush=True)
            said, thinking = said + text, False
    if choice is None:
        raise LookupError("not one choice: a web page, perhaps")
    print(flush=True)
    return said, cut


def ask(client, head: list[dict], history: list[dict], options: ChatOptions) -> tuple[str, bool]:
    """`answer`; where the conversation does not fit the server's context, its oldest turns go."""
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
        history = newest(history, options.history_cnt)
        history.append({"role": "user", "content": message})
        try:
            reply, cut = ask(client, head, history, options)
        except openai.APIConnectionError:
            raise ValueError(f"{options.base_url}: no server answers there: start it with ./run.sh serve") from None
        except openai.BadRequestError as error:  # as too long a message: say so, keep talking
            print(f"error: {printable(error.message)} (/clear forgets the conversation)", file=sys.stderr)
            history.pop()
            continue
        except openai.APIError as error:
            raise ValueError(f"{options.base_url}: {printable(error.message)}") from None
        except OSError:
            raise
        except Exception:  # what answers there can make a client fail in any way there is
            what = "that is not OpenAI's protocol: check the address, which usually ends in /v1"
            raise ValueError(f"{options.base_url}: {what}") from None
        history.append({"role": "assistant", "content": reply})
        if cut:
            print("note: the answer was cut, at --max_tokens or where the server's context ends", file=sys.stderr)
            history = history[len(history) // 4 * 2 :]  # the older half makes room for the next answer


if __name__ == "__main__":
    run(main)
