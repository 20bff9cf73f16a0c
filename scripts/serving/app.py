"""The server's application: the engine, the checks that every request passes, and the endpoints.

Read on: Service -> Answers -> Gate -> endpoints. protocol.py holds the fields of requests and responses, markup.py
splits a model's text into them; scripts/serve_openai_api.py starts it all.
"""

import asyncio
import contextlib
import hmac
import logging
import threading
import time
import uuid
from collections.abc import AsyncIterator
from functools import partial
from types import SimpleNamespace

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import StreamingResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from dataset.chat import as_trained, begin_document, opening, render
from model.generation import Generator
from scripts.serving.addresses import host_of, is_loopback
from scripts.serving.markup import MarkupParser
from scripts.serving.protocol import (
    ApiError,
    ChatRequest,
    CompletionRequest,
    GenerationRequest,
    as_api_error,
    chat_logprobs,
    event,
    text_tokens,
    whole_choice,
)

MODEL_NAME = "minimind"  # what clients call it, whichever weight is loaded
MAX_BODY_BYTES = 2**20  # a full context of 32,768 tokens is about 0.2 MB of text, and JSON may write it in \u escapes
MAX_DISCARDED_BYTES = 2**26  # a body that is too large is read up to here: clients only read the answer after sending
BODY_SECONDS = 30  # time limit for a body to arrive
HANDLED_ERRORS = (ApiError, RequestValidationError, UnicodeEncodeError, RecursionError, HTTPException, Exception)
log = logging.getLogger("minimind")


class Service:
    """The engine and the number of its places that are taken. All but the engine's steps runs in the event loop."""

    def __init__(self, engine: Generator, tokenizer, stage: str, n_places: int, thinking: bool | None = None):
        self.engine, self.tokenizer, self.stage, self.n_places, self.n_busy = engine, tokenizer, stage, n_places, 0
        self.thinking = thinking  # unless a request says otherwise
        self.created = int(time.time())

    @contextlib.asynccontextmanager
    async def running(self, app: FastAPI):
        stopping = threading.Event()
        thread = threading.Thread(target=self.engine.run, args=(stopping,), name="engine", daemon=True)
        thread.start()
        yield
        stopping.set()
        await asyncio.to_thread(thread.join)

    def opening(self, body: ChatRequest) -> str:
        thinking = self.thinking if body.thinking is None else body.thinking
        return opening(self.tokenizer, self.stage, thinking)

    def chat_prompt(self, body: ChatRequest) -> list[int]:
        messages = as_trained(body.plain_messages(), self.stage)
        if self.stage == "pretrain":
            return begin_document(self.tokenizer, messages[-1]["content"])
        return render(self.tokenizer, messages, add_generation_prompt=True, opening=self.opening(body))[0]


class Answers:
    """The answers to one HTTP request while they are generated: body.n for each prompt. The gate cancels
    what `requests` (the engine's) still lists when the HTTP request ends."""

    def __init__(self, service: Service, requests: list, prompts: list[list[int]], body: GenerationRequest, **sampling):
        n_answers, engine = len(prompts) * body.n, service.engine
        if n_answers > service.n_places:
            message = f"{n_answers} answers at once, but this server has {service.n_places} places"
            raise ApiError(400, message, param="n")
        if service.n_busy + n_answers > service.n_places:
            raise ApiError(429, "all places are taken: try again in a moment", "rate_limit_exceeded")
        n_most = max(map(len, prompts)) + (body.max_tokens or 1)
        if n_most > engine.max_length:
            message = (
                f"this model's context is {engine.max_length} tokens, but the request needs {n_most}, "
                f"{body.max_tokens or 1} of them for the answer: shorten the prompt or lower max_tokens"
            )
            raise ApiError(400, message, "context_length_exceeded", "prompt" if hasattr(body, "prompt") else "messages")
        self.service, self.requests, self.n_prompt_tokens = service, requests, sum(map(len, prompts))
        self.queue, self.loop = asyncio.Queue(), asyncio.get_running_loop()
        for prompt in prompts:
            for choice in range(body.n):
                pieces = SimpleNamespace(put=partial(self.put, len(requests)))
                try:
                    requests.append(engine.submit(prompt, body.sampling(choice, **sampling), pieces))
                except ValueError as error:
                    raise ApiError(400, str(error)) from None
                service.n_busy += 1

    def put(self, index: int, piece) -> None:
        """Called by the engine's thread."""
        with contextlib.suppress(RuntimeError):  # the event loop has ended
            self.loop.call_soon_threadsafe(self.receive, index, piece)

    def receive(self, index: int, piece) -> None:
        if isinstance(piece, BaseException) or piece.finish_reason:
            self.service.n_busy -= 1
        self.queue.put_nowait((index, piece))

    async def pieces(self) -> AsyncIterator[tuple]:
        """(index of the answer, text, logprobs of its tokens, finish_reason or None), answers interleaved."""
        n_open = len(self.requests)
        while n_open:
            index, piece = await self.queue.get()
            if isinstance(piece, BaseException):
                raise piece
            if piece.finish_reason == "cancelled":
                raise asyncio.CancelledError
            request, logprobs = self.requests[index], piece.logprobs
            if piece.finish_reason:
                n_open -= 1
                logprobs = request.logprobs[len(request.token_ids) - len(piece.token_ids) : n_visible(request)]
            yield index, piece.text, logprobs, piece.finish_reason

    def usage(self) -> dict:
        n_generated = sum(len(request.token_ids) for request in self.requests)
        counts = {"prompt_tokens": self.n_prompt_tokens, "completion_tokens": n_generated}
        return counts | {"total_tokens": self.n_prompt_tokens + n_generated}


def n_visible(request) -> int:
    """How many tokens of a finished request make up its text: without end of turn and stop string."""
    n, ids = len(request.token_ids), request.token_ids
    if request.finish_reason == "stop" and ids[-1] in request.stop_ids:
        return n - 1
    if request.finish_reason == "stop":
        parts = [request.token_bytes[token] for token in ids]
        while n and len(b"".join(parts[: n - 1]).decode(errors="replace")) >= len(request.text):
            n -= 1
    return n


class Gate:
    """Middleware that checks host name, key, size and pace of the body before anything is parsed, and that ends the
    work for a client that has disconnected."""

    def __init__(self, app, api_key: str | None):
        self.app, self.api_key = app, api_key

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.monotonic(), 499  # nginx's status for a client that has disconnected

        async def send_noting_status(message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        requests = scope["requests"] = []
        try:
            await self.serve(scope, receive, send_noting_status)
        finally:
            for request in requests:
                request.cancel()
            n_tokens, seconds = sum(len(request.token_ids) for request in requests), time.monotonic() - started
            path = scope["raw_path"][:80].decode("ascii", "replace")
            log.info("%s %s %d, %d tokens in %.2f s", scope["method"], path, status, n_tokens, seconds)

    async def serve(self, scope, receive, send) -> None:
        try:
            self.check(scope)
            async with asyncio.timeout(BODY_SECONDS):
                body = await read_body(Request(scope, receive))
        except ClientDisconnect:
            return
        except TimeoutError:
            error = ApiError(408, f"the body did not arrive within {BODY_SECONDS} s")
            return await error.response()(scope, receive, send)
        except ApiError as error:
            return await error.response()(scope, receive, send)
        messages = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def replay() -> dict:
            if message := next(messages, None):
                return message
            return await asyncio.Event().wait()  # never: the disconnect is handled below

        work = asyncio.ensure_future(self.app(scope, replay, send))
        disconnect = asyncio.ensure_future(receive())  # the only message that can follow the body
        try:
            await asyncio.wait({work, disconnect}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            disconnect.cancel()
            if not work.done():
                work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work

    def check(self, scope) -> None:
        headers = dict(scope["headers"])
        if self.api_key is None:
            # A page in the user's browser can point its own name at the address 127.0.0.1 (DNS rebinding).
            if not is_loopback(host_of("//" + headers.get(b"host", b"").decode("latin-1"))):
                raise ApiError(403, "without a key this server only answers requests to localhost")
        elif scope["path"] != "/health":
            scheme, _, key = headers.get(b"authorization", b"").partition(b" ")
            if scheme.lower() != b"bearer" or not hmac.compare_digest(key.strip(), self.api_key.encode()):
                raise ApiError(401, "the API key is missing or wrong", "invalid_api_key")


async def read_body(request: Request) -> bytes:
    body, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= MAX_BODY_BYTES:
            body += chunk
        elif size > MAX_DISCARDED_BYTES:
            break
    if size > MAX_BODY_BYTES:
        raise ApiError(413, f"the body is larger than {MAX_BODY_BYTES} bytes", "request_too_large")
    return bytes(body)


def make_app(service: Service, api_key: str | None, cors_origins: list[str] | None) -> FastAPI:
    errors = dict.fromkeys(HANDLED_ERRORS, answer_error)
    app = FastAPI(title="MiniMind", lifespan=service.running, docs_url=None, redoc_url=None, exception_handlers=errors)
    app.add_middleware(Gate, api_key=api_key)
    if cors_origins:
        allowed = {"allow_methods": ["GET", "POST"], "allow_headers": ["authorization", "content-type"]}
        app.add_middleware(CORSMiddleware, allow_origins=cors_origins, **allowed)
    model_card = {"id": MODEL_NAME, "object": "model", "created": service.created, "owned_by": "minimind"}

    @app.get("/health")
    async def health() -> dict:
        return {"status": "ok", "busy": service.n_busy, "places": service.n_places}

    @app.get("/v1/models")
    async def models() -> dict:
        return {"object": "list", "data": [model_card]}

    @app.get("/v1/models/{name}")
    async def model(name: str) -> dict:
        check_model(name)
        return model_card

    @app.post("/v1/chat/completions")
    async def chat(body: ChatRequest, request: Request):
        check_model(body.model)
        n_top = body.top_logprobs if body.logprobs else None
        stop_ids = tuple(getattr(service.tokenizer, f"{name}_token_id") for name in ("eos", "bos", "pad"))
        answers = Answers(
            service, request.scope["requests"], [service.chat_prompt(body)], body, logprobs=n_top,
            skip_special_tokens=False, stop_ids=stop_ids,
        )  # fmt: skip
        kind = "chat.completion.chunk" if body.stream else "chat.completion"
        return await respond(body, answers, chat_choices(body, answers), f"chatcmpl-{uuid.uuid4().hex}", kind)

    @app.post("/v1/completions")
    async def completions(body: CompletionRequest, request: Request):
        check_model(body.model)
        # Text is begun like a document of pretraining; token ids are used as they are.
        prompts = [p if isinstance(p, list) else begin_document(service.tokenizer, p) for p in body.prompts()]
        answers = Answers(service, request.scope["requests"], prompts, body, logprobs=body.logprobs)
        return await respond(body, answers, text_choices(body, answers), f"cmpl-{uuid.uuid4().hex}", "text_completion")

    return app


def check_model(name: str) -> None:
    if name != MODEL_NAME:
        raise ApiError(404, f"there is no such model here: use {MODEL_NAME}", "model_not_found", "model")


async def answer_error(request: Request, error: Exception):
    return as_api_error(error).response()


async def chat_choices(body: ChatRequest, answers: Answers) -> AsyncIterator[dict]:
    """Chunks of the choices: their role, their deltas, and the finish_reason with an empty delta."""
    parsers = [MarkupParser(body.offered) for _ in answers.requests]
    for parser in parsers:
        parser.add(answers.service.opening(body))

    def choice(index: int, delta: dict, logprobs: list = (), finish_reason: str | None = None) -> dict:
        logprobs = chat_logprobs(logprobs, answers.service.engine.token_bytes[False]) if body.logprobs else None
        return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}

    for index in range(len(parsers)):
        yield choice(index, {"role": "assistant", "content": ""})
    async for index, text, logprobs, finish_reason in answers.pieces():
        for delta in parsers[index].add(text, last=bool(finish_reason)) or ([{}] if logprobs else []):
            yield choice(index, delta, logprobs)
            logprobs = []  # those of a piece go with its first delta
        if finish_reason:
            calls = finish_reason == "stop" and parsers[index].n_calls
            yield choice(index, {}, finish_reason="tool_calls" if calls else finish_reason)


async def text_choices(body: CompletionRequest, answers: Answers) -> AsyncIterator[dict]:
    async for index, text, _, finish_reason in answers.pieces():
        choice = {"index": index, "text": text, "logprobs": None, "finish_reason": finish_reason}
        if finish_reason:
            choice |= text_tokens(body, answers.requests[index], answers.service.engine.token_bytes[False])
        yield choice


async def respond(body: GenerationRequest, answers: Answers, choices: AsyncIterator[dict], answer_id: str, kind: str):
    """The response, whole or streamed, that is made of these chunks of choices."""
    head = {"id": answer_id, "object": kind, "created": int(time.time()), "model": MODEL_NAME}
    if body.stream:
        events = stream(body, answers, choices, head)
        return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
    chunks = [[] for _ in answers.requests]
    async for choice in choices:
        chunks[choice["index"]].append(choice)
    return head | {"choices": list(map(whole_choice, chunks)), "usage": answers.usage()}


async def stream(body: GenerationRequest, answers: Answers, choices: AsyncIterator[dict], head: dict):
    """Server-sent events: a chunk per choice, the usage if requested, and [DONE]; or an error."""
    with_usage = body.stream_options and body.stream_options.include_usage
    no_usage = {"usage": None} if with_usage else {}
    try:
        async for choice in choices:
            yield event(head | {"choices": [choice]} | no_usage)
    except Exception as error:
        log.exception("an answer failed")
        yield event(as_api_error(error).body)
        return
    if with_usage:
        yield event(head | {"choices": [], "usage": answers.usage()})
    yield "data: [DONE]\n\n"
