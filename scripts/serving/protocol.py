"""OpenAI's protocol: the fields of a request, validated by pydantic, and how errors and answers are written.

Fields that change no answer here are ignored. Any other field that is not supported is refused by name, so that nobody
gets something else than they asked for.
"""

import json
import math
import re
from typing import Annotated, Any, ClassVar, Literal

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError
from starlette.exceptions import HTTPException

from model.sampling import Logprob, Sampling
from scripts.serving.markup import whole_message

LARGEST_SEED = 2**63


class ApiError(Exception):
    """A response that is an error, in OpenAI's form."""

    def __init__(self, status: int, message: str, code: str | None = None, param: str | None = None):
        super().__init__(message)
        self.status = status
        kind = {401: "authentication_error", 429: "rate_limit_error"}.get(status, "invalid_request_error")
        kind = "server_error" if status >= 500 else kind
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}

    def response(self) -> JSONResponse:
        headers = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "1"}}.get(self.status)
        return JSONResponse(self.body, self.status, headers)


def as_api_error(error: Exception) -> ApiError:
    if isinstance(error, ApiError):
        return error
    if isinstance(error, RequestValidationError):
        return invalid_field(error.errors())
    if isinstance(error, UnicodeEncodeError):
        return ApiError(400, "a text contains half a character (a lone surrogate)", "invalid_value")
    if isinstance(error, RecursionError):
        return ApiError(400, "tools: they are nested too deeply", "invalid_value", "tools")
    if isinstance(error, HTTPException):
        return ApiError(error.status_code, str(error.detail))
    return ApiError(500, "the server failed; its log says why")


def invalid_field(errors: list[dict]) -> ApiError:
    """pydantic's errors as one sentence about one field. What the user sent is not repeated."""
    error = max(errors, key=lambda error: len(error["loc"]))  # of a union, the branch that matched furthest
    names = [part for part in error["loc"][1:] if isinstance(part, int) or re.fullmatch(r"\w{1,100}", part, re.ASCII)]
    names = [name for name in names if name not in ("str", "int")]  # branches of a union
    param = "".join(f"[{name}]" if isinstance(name, int) else f".{name}" for name in names).lstrip(".") or None
    known = {"extra_forbidden": "this server does not support it: leave it out", "json_invalid": "it is not JSON"}
    message = known.get(error["type"]) or error["msg"][:1].lower() + error["msg"][1:]
    return ApiError(400, f"{param or 'body'}: {message}", "invalid_value", param)


Text = Annotated[str, Field(max_length=2**20)]  # no body is longer; with a bound, pydantic refuses lone surrogates
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Penalty = Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Stop = Annotated[str, Field(min_length=1, max_length=1000)]


class Part(BaseModel):
    """Leaves out what requests nothing: null, `ignored` fields, and unsupported ones with their `harmless` value."""

    model_config = ConfigDict(strict=True, extra="forbid")
    ignored: ClassVar[tuple[str, ...]] = ()
    harmless: ClassVar[dict] = {}

    @model_validator(mode="before")
    @classmethod
    def leave_out(cls, fields):
        if not isinstance(fields, dict):
            return fields
        return {
            name: value for name, value in fields.items()
            if value is not None and name not in cls.ignored and value != cls.harmless.get(name)
        }  # fmt: skip


class TextPart(Part):
    type: Literal["text"]
    text: Text


class FunctionCall(Part):
    name: Text
    arguments: Text


class ToolCall(Part):
    ignored = ("index",)
    id: str
    type: Literal["function"] = "function"
    function: FunctionCall


class Message(Part):
    ignored = ("name", "annotations", "reasoning_content")  # the model does not see earlier thoughts
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Text | list[TextPart] | None = None
    tool_calls: list[ToolCall] = []
    tool_call_id: str = ""

    @model_validator(mode="after")
    def check(self):
        if self.content is None and not (self.role == "assistant" and self.tool_calls):
            raise PydanticCustomError("missing", "content must be text")
        if self.tool_calls and self.role != "assistant":
            raise PydanticCustomError("tool_calls", "only the assistant can have tool_calls")
        if self.role == "tool" and not self.tool_call_id:
            raise PydanticCustomError("missing", "tool_call_id must name the call that this message answers")
        return self

    def plain(self) -> dict:
        """With the content as one text and the role as in the chat template."""
        content = "".join(part.text for part in self.content) if isinstance(self.content, list) else self.content or ""
        calls = [call.model_dump(include={"function"}) for call in self.tool_calls]
        return {"role": self.role.replace("developer", "system"), "content": content, "tool_calls": calls}


class Function(Part):
    harmless = {"strict": False}
    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: Text | None = None
    parameters: dict[str, Any] | None = None


class Tool(Part):
    type: Literal["function"]
    function: Function


class StreamOptions(Part):
    ignored = ("include_obfuscation",)
    include_usage: bool = False


class GenerationRequest(Part):
    """The fields of both endpoints."""

    ignored = ("user",)
    model: str
    max_tokens: Count | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] = 1.0
    top_p: Probability = 1.0
    presence_penalty: Penalty = 0.0
    frequency_penalty: Penalty = 0.0
    stop: Stop | Annotated[list[Stop], Field(max_length=4)] = []
    seed: Annotated[int, Field(ge=-LARGEST_SEED, lt=LARGEST_SEED)] | None = None
    n: Annotated[int, Field(ge=1, le=128)] = 1
    stream: bool = False
    stream_options: StreamOptions | None = None
    # Not in OpenAI's protocol; other servers have them under these names, and clients send them as extra_body.
    top_k: Annotated[int, Field(ge=0, lt=2**31)] = 0
    min_p: Probability = 0.0
    repetition_penalty: Annotated[float, Field(ge=0.01, le=10, allow_inf_nan=False)] = 1.0

    @model_validator(mode="after")
    def check_stream(self):
        if self.stream_options and not self.stream:
            raise PydanticCustomError("stream_options", "stream_options is only allowed when stream is true")
        return self

    def sampling(self, choice: int, **fields) -> Sampling:
        """For one of the n choices. Each has its own noise; the first one's is that of the seed itself."""
        return Sampling(
            max_tokens=self.max_tokens, temperature=self.temperature, top_k=self.top_k, min_p=self.min_p,
            repetition_penalty=self.repetition_penalty, presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            top_p=max(self.top_p, 1e-6),  # OpenAI's 0: only the likeliest token
            stop=[self.stop] if isinstance(self.stop, str) else self.stop,
            seed=None if self.seed is None else self.seed % (2 * LARGEST_SEED) + choice * 2 * LARGEST_SEED,
            **fields,
        )  # fmt: skip


class TemplateArguments(Part):
    enable_thinking: bool | None = None
    open_thinking: bool | None = None


class ChatRequest(GenerationRequest):
    ignored = (
        "user", "metadata", "prediction", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
        "safety_identifier", "service_tier", "store",
    )  # fmt: skip
    harmless = {"logit_bias": {}, "modalities": ["text"], "parallel_tool_calls": True}
    harmless |= {"response_format": {"type": "text"}}
    messages: Annotated[list[Message], Field(min_length=1)]
    max_completion_tokens: Count | None = None
    logprobs: bool = False
    top_logprobs: Annotated[int, Field(ge=0, le=20)] = 0
    tools: Annotated[list[Tool], Field(max_length=128)] = []
    tool_choice: Literal["auto", "none"] = "auto"
    # Whether to think before the answer: OpenAI's field, Qwen3's, MiniMind-3's, and how vLLM wraps the latter two.
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    enable_thinking: bool | None = None
    open_thinking: bool | None = None
    chat_template_kwargs: TemplateArguments | None = None

    @model_validator(mode="after")
    def check_pairs(self):
        if self.max_completion_tokens is not None:
            if self.max_tokens not in (None, self.max_completion_tokens):
                raise PydanticCustomError("max_tokens", "max_tokens and max_completion_tokens differ: send only one")
            self.max_tokens = self.max_completion_tokens
        if self.top_logprobs and not self.logprobs:
            raise PydanticCustomError("top_logprobs", "top_logprobs needs logprobs: true")
        return self

    @property
    def offered(self) -> list[str]:
        """Names of the functions that may be called."""
        return [] if self.tool_choice == "none" else [tool.function.name for tool in self.tools]

    @property
    def thinking(self) -> bool | None:
        """None: as the weights do it by themselves."""
        inner = self.chat_template_kwargs or TemplateArguments()
        effort = None if self.reasoning_effort is None else self.reasoning_effort != "none"
        asked = (effort, self.enable_thinking, self.open_thinking, inner.enable_thinking, inner.open_thinking)
        return next((value for value in asked if value is not None), None)

    def plain_messages(self) -> list[dict]:
        """As dataset.chat reads them, the tools in the system turn."""
        messages = [message.plain() for message in self.messages]
        if self.offered:
            tools = [tool.model_dump(exclude_none=True) for tool in self.tools]
            system = messages.pop(0) if messages[0]["role"] == "system" else {"role": "system", "content": ""}
            messages.insert(0, system | {"tools": tools})
        return messages


class CompletionRequest(GenerationRequest):
    harmless = {"logit_bias": {}, "echo": False, "suffix": "", "best_of": 1}
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    return_token_ids: bool = False  # vLLM's: with its log-probabilities, what reinforcement learning needs
    prompt: Annotated[Text | list[Text] | list[int] | list[list[int]], Field(min_length=1)]

    def prompts(self) -> list[str] | list[list[int]]:
        """One per answer (times n)."""
        single = isinstance(self.prompt, str) or isinstance(self.prompt[0], int)
        return [self.prompt] if single else self.prompt


def chat_logprobs(logprobs: list[Logprob], token_bytes: list[bytes]) -> dict:
    def entry(token: int, logprob: float) -> dict:
        raw = token_bytes[token]
        return {"token": raw.decode(errors="replace"), "logprob": finite(logprob), "bytes": list(raw)}

    content = [entry(x.token_id, x.logprob) | {"top_logprobs": [entry(*pair) for pair in x.top]} for x in logprobs]
    return {"content": content, "refusal": None}


def text_tokens(body: CompletionRequest, request, token_bytes: list[bytes]) -> dict:
    """What the last chunk of a completion says of its tokens, the end of turn among them."""

    def text(token: int) -> str:
        return token_bytes[token].decode(errors="replace")

    found = {"token_ids": request.token_ids} if body.return_token_ids else {}
    if body.logprobs is not None:
        found["logprobs"] = {
            "tokens": [text(x.token_id) for x in request.logprobs],
            "token_logprobs": [finite(x.logprob) for x in request.logprobs],
            "top_logprobs": [{text(token): finite(value) for token, value in x.top} for x in request.logprobs],
        }
    return found


def finite(logprob: float) -> float:
    """JSON has no infinity; OpenAI writes -9999 for probability 0."""
    return logprob if math.isfinite(logprob) else -9999.0


def whole_choice(chunks: list[dict]) -> dict:
    """A choice of a complete response, joined from its choices in the chunks of a stream."""
    if "delta" in chunks[0]:
        content = {"message": whole_message([chunk["delta"] for chunk in chunks])}
    else:
        return chunks[-1] | {"text": "".join(chunk["text"] for chunk in chunks)}
    logprobs, *later = [chunk["logprobs"] for chunk in chunks if chunk["logprobs"]] or [None]
    for part in later:
        logprobs["content"] += part["content"]
    return {"index": chunks[0]["index"], **content, "logprobs": logprobs, "finish_reason": chunks[-1]["finish_reason"]}


def event(content: dict) -> str:
    """A server-sent event. ASCII only: some clients take U+2028 and the like for a line end."""
    return f"data: {json.dumps(content)}\n\n"
