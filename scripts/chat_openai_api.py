"""Chat with a server of OpenAI's protocol: this project's (scripts/serve_openai_api.py) or any other.

    python scripts/chat_openai_api.py
    python scripts/chat_openai_api.py --base_url https://example.org/v1 --model some-model       # MINIMIND_API_KEY=…
"""

import os
import sys
import unicodedata
from dataclasses import dataclass
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from eval_model import converse  # noqa: E402
from scripts.serving.addresses import is_http_url  # noqa: E402
from trainer.command_line import flag, parse_options, require, run  # noqa: E402
from trainer.process import as_text  # noqa: E402


@dataclass
class ChatOptions:
    base_url: str = flag("http://127.0.0.1:8998/v1", "address of the server")
    api_key: str | None = flag(None, "its key; better in the environment, as MINIMIND_API_KEY")
    model: str = flag("minimind", "name of the model on the server")
    temperature: float = flag(0.0, "0: always the likeliest token; higher: more variety")
    max_tokens: int | None = flag(None, "maximum tokens of an answer; default: as many as fit", least=1)
    history_cnt: int = flag(-1, "earlier messages that are sent along; -1: all", least=-1)

    def __post_init__(self):
        require(is_http_url(self.base_url), f"--base_url {self.base_url}: it must be an http:// or https:// address")
        self.model = as_text(self.model)
        self.api_key = self.api_key or os.environ.get("MINIMIND_API_KEY") or "none"  # the client requires one
        plain = self.api_key.isascii() and self.api_key.isprintable()
        require(plain, "--api_key (or MINIMIND_API_KEY): this client can send printable ASCII only")


def printable(text: str) -> str:
    """Without lone surrogates and the control characters with which a model could control the terminal."""
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))


def show(chunks) -> str:
    """Print an answer while it streams, its thought first; return it without the thought."""
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
    if choice.finish_reason == "length":
        print("note: the answer was cut, at --max_tokens or at the end of the server's context", file=sys.stderr)
    return content


def main() -> None:
    options = parse_options(ChatOptions, "Chat with a server of OpenAI's protocol.")

    import openai

    client, url = openai.OpenAI(base_url=options.base_url, api_key=options.api_key), options.base_url
    fixed = {"model": options.model, "temperature": options.temperature, "stream": True}
    fixed |= {"max_tokens": options.max_tokens} if options.max_tokens else {}

    def answer(messages: list[dict], turn: int) -> str:
        try:
            return show(client.chat.completions.create(messages=messages, **fixed))
        except openai.BadRequestError as error:  # too long a message, say: the chat goes on
            raise ValueError(f"{printable(error.message)} (/clear forgets the conversation)") from None
        except openai.APIConnectionError:
            raise ConnectionError(f"{url}: no server answers there: start it with ./run.sh serve") from None
        except openai.APIError as error:
            raise ConnectionError(f"{url}: {printable(error.message)}") from None
        except OSError:
            raise
        except Exception:  # a malformed response can make the client fail in any way
            what = "this is not OpenAI's protocol: check the address, which usually ends in /v1"
            raise ConnectionError(f"{url}: {what}") from None

    converse(answer, options.history_cnt)


if __name__ == "__main__":
    run(main)
