"""OpenAI's protocol: what a request may say, checked by pydantic, and how errors and answers are written.

Three kinds of fields: those that are obeyed; those that change no answer here, which are accepted unread; and those
that would change it but are not supported, which are refused by name, so that nobody gets what he did not ask for.
"""

import json
import math
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from dataset.chat import with_tools
from model.sampling import Sampling

LARGEST_SEED = 2**63


class ApiError(Exception):
    """An answer that is an error, in OpenAI's shape."""

    def __init__(self, status: int, message: str, code: str | None = None, param: str | None = None):
        super().__init__(message)
        self.status = status
        kind = {401: "authentication_error", 429: "rate_limit_error"}.get(status, "invalid_request_error")
        kind = "server_error" if status >= 500 else kind
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}


def wrong_field(errors: list[dict]) -> ApiError:
    """pydantic's complaints as one sentence on one field. What the user sent is not repeated."""
    error = max(errors, key=lambda error: len(error["loc"]))  # of a union, the branch that went furthest
    names = [part for part in error["loc"][1:] if isinstance(part, int) or re.fullmatch("[a-z_]+", part)]
    names = [name for name in names if name not in ("str", "int")]  # branches of a union
    param = "".join(f"[{name}]" if isinstance(name, int) else f".{name}" for name in names).lstrip(".") or None
    if error["type"] == "extra_forbidden":
        name = str(error["loc"][-1])[:100].encode("ascii", "backslashreplace").decode()
        return ApiError(400, f"there is no such field: {name}", "unknown_parameter", name)
    if error["type"] == "json_invalid":
        return ApiError(400, "the body is not JSON", "invalid_json")
    message = error["msg"][:1].lower() + error["msg"][1:]
    return ApiError(400, f"{param or 'body'}: {message}", "invalid_value", param)


# ---------------------------------------------------------------- requests


def only(*harmless) -> Any:
    """The type of a field that is not supported, but for values that ask for nothing."""

    def check(value):
        if value is not None and value not in harmless:
            raise PydanticCustomError("unsupported", "this server does not support it; leave it out")
        return value

    return Annotated[Any, AfterValidator(check)]


Ignored = Any
Text = Annotated[str, Field(max_length=2**20)]  # a body is no longer; with any bound, half a surrogate pair is refused
Stop = Annotated[str, Field(min_length=1, max_length=1000)]


class Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class TextPart(Part):
    type: Literal["text"]
    text: Text


class Called(Part):
    name: Text
    arguments: Text


class ToolCall(Part):
    id: str
    type: Literal["function"] = "function"
    function: Called
    index: Ignored = None


class Message(Part):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Text | list[TextPart] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    name: Ignored = None
    reasoning_content: Ignored = None  # an earlier thought is not shown to the model again
    refusal: only() = None
    audio: only() = None
    function_call: only() = None
    annotations: Ignored = None

    @model_validator(mode="after")
    def check(self):
        if self.content is None and not (self.role == "assistant" and self.tool_calls):
            raise PydanticCustomError("missing", "content must be text")
        if self.tool_calls and self.role != "assistant":
            raise PydanticCustomError("tool_calls", "tool_calls belong to the assistant")
        if self.role == "tool" and not self.tool_call_id:
            raise PydanticCustomError("missing", "tool_call_id must name the call that this answers")
        return self

    def plain(self) -> dict:
        """With the content as one text, and the role as the template knows it."""
        content = "".join(part.text for part in self.content) if isinstance(self.content, list) else self.content or ""
        calls = [call.model_dump(include={"function"}) for call in self.tool_calls or ()]
        return {"role": self.role.replace("developer", "system"), "content": content, "tool_calls": calls}


class Function(Part):
    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: Text | None = None
    parameters: dict[str, Any] | None = None
    strict: only(False) = None


class Tool(Part):
    type: Literal["function"]
    function: Function


class StreamOptions(Part):
    include_usage: bool | None = None
    include_obfuscation: Ignored = None


class GenerationRequest(Part):
    """What both endpoints know."""

    model: str
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)] | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=4)] | None = None
    seed: Annotated[int, Field(ge=-LARGEST_SEED, lt=LARGEST_SEED)] | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    # Not OpenAI's, but other servers have them by these names; clients send them as extra_body.
    top_k: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    repetition_penalty: Annotated[float, Field(ge=0.01, le=10, allow_inf_nan=False)] | None = None
    logit_bias: only({}) = None
    user: Ignored = None

    @model_validator(mode="after")
    def check_stream(self):
        if self.stream_options and not self.stream:
            raise PydanticCustomError("stream_options", "stream_options is only allowed when stream is true")
        return self

    @property
    def n_choices(self) -> int:
        return self.n or 1

    @property
    def with_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)

    def sampling(self, choice: int, **more) -> Sampling:
        """Of one of the n choices: each has a noise of its own, the first that of the seed itself."""
        given = {
            "max_tokens": self.max_tokens, "top_k": self.top_k, "min_p": self.min_p,
            "presence_penalty": self.presence_penalty, "frequency_penalty": self.frequency_penalty,
            "repetition_penalty": self.repetition_penalty,
        }  # fmt: skip
        return Sampling(
            temperature=1.0 if self.temperature is None else self.temperature,
            top_p=1.0 if self.top_p is None else max(self.top_p, 1e-6),  # OpenAI's 0: the likeliest token alone
            stop=(self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ()),
            seed=None if self.seed is None else self.seed % (2 * LARGEST_SEED) + choice * 2 * LARGEST_SEED,
            **{name: value for name, value in given.items() if value is not None},
            **more,
        )


class ChatRequest(GenerationRequest):
    messages: Annotated[list[Message], Field(min_length=1)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    tools: Annotated[list[Tool], Field(max_length=128)] | None = None
    tool_choice: Literal["auto", "none"] | None = None
    response_format: only({"type": "text"}) = None
    modalities: only(["text"]) = None
    parallel_tool_calls: only(True) = None
    functions: only([]) = None
    function_call: only("none", "auto") = None
    audio: only() = None
    reasoning_effort: only() = None
    verbosity: only() = None
    web_search_options: only() = None
    moderation: only() = None
    metadata: Ignored = None
    prediction: Ignored = None  # makes no other answer, only a faster one
    prompt_cache_key: Ignored = None
    prompt_cache_options: Ignored = None
    prompt_cache_retention: Ignored = None
    safety_identifier: Ignored = None
    service_tier: Ignored = None
    store: Ignored = None

    @model_validator(mode="after")
    def check_pairs(self):
        if self.max_completion_tokens is not None:
            if self.max_tokens not in (None, self.max_completion_tokens):
                raise PydanticCustomError("max_tokens", "max_tokens and max_completion_tokens differ: give one")
            self.max_tokens = self.max_completion_tokens
        if self.top_logprobs is not None and not self.logprobs:
            raise PydanticCustomError("top_logprobs", "top_logprobs needs logprobs: true")
        return self

    @property
    def offered(self) -> list[str]:
        """Names of the functions that may be called."""
        return [] if self.tool_choice == "none" else [tool.function.name for tool in self.tools or ()]

    def plain_messages(self) -> list[dict]:
        tools = [tool.model_dump(exclude_none=True) for tool in self.tools or ()] if self.offered else []
        return with_tools([message.plain() for message in self.messages], tools)


class CompletionRequest(GenerationRequest):
    prompt: Text | list[Text] | list[int] | list[list[int]]
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None
    echo: only(False) = None
    suffix: only("") = None
    best_of: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def check_prompt(self):
        if not self.prompt:
            raise PydanticCustomError("prompt", "prompt is empty: give it some text")
        if self.best_of not in (None, self.n_choices):
            raise PydanticCustomError("best_of", "best_of must be n: this server returns all that it makes")
        return self

    def prompts(self) -> list[str] | list[list[int]]:
        """One per answer (times n)."""
        single = isinstance(self.prompt, str) or isinstance(self.prompt[0], int)
        return [self.prompt] if single else self.prompt


# ---------------------------------------------------------------- answers


def chat_logprobs(found: list, token_bytes: list[bytes]) -> dict:
    """model.sampling.Logprob of each token -> `logprobs` of a chat choice."""

    def entry(token: int, logprob: float) -> dict:
        raw = token_bytes[token]
        return {"token": raw.decode(errors="replace"), "logprob": finite(logprob), "bytes": list(raw)}

    content = [
        entry(one.token_id, one.logprob) | {"top_logprobs": [entry(*pair) for pair in one.top]} for one in found
    ]  # fmt: skip
    return {"content": content, "refusal": None}


def completion_logprobs(found: list, token_bytes: list[bytes], offset: int) -> dict:
    """`logprobs` of a completion's choice, whose first token stands at character `offset` of the answer."""

    def text(token: int) -> str:
        return token_bytes[token].decode(errors="replace")

    tokens, offsets = [text(one.token_id) for one in found], []
    for token in tokens:
        offsets.append(offset)
        offset += len(token)
    return {
        "tokens": tokens, "token_logprobs": [finite(one.logprob) for one in found], "text_offset": offsets,
        "top_logprobs": [{text(token): finite(logprob) for token, logprob in one.top} for one in found],
    }  # fmt: skip


def finite(logprob: float) -> float:
    """JSON has no infinity; OpenAI writes -9999 for what cannot be."""
    return logprob if math.isfinite(logprob) else -9999.0


def event(content: dict) -> str:
    """A server-sent event. ASCII alone: some readers take U+2028 and its like for the end of a line."""
    return f"data: {json.dumps(content)}\n\n"
