"""Serve a trained weight by OpenAI's protocol: any OpenAI client talks to it.

    python scripts/serve_openai_api.py                          # the newest SFT weight on http://127.0.0.1:8998/v1
    python scripts/serve_openai_api.py --model_mode 3           # a reasoning weight: its thought is reasoning_content
    MINIMIND_API_KEY=… python scripts/serve_openai_api.py --host 0.0.0.0       # for other machines, with a key

    GET /v1/models   POST /v1/chat/completions   POST /v1/completions   GET /health   GET /openapi.json

Read on: options -> service (the engine and its places) -> gate (what every request passes) -> the endpoints.
scripts/serving/protocol.py says what a request may hold, scripts/serving/markup.py takes answers apart.
"""

import asyncio
import contextlib
import hmac
import logging
import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

from scripts.serving.addresses import host_of, is_address, is_loopback, listen  # noqa: E402
from trainer.command_line import flag, parse_options, require, run  # noqa: E402
from trainer.options import WeightOptions  # noqa: E402

MODEL_NAME = "minimind"  # what clients call it, whichever weight it is
MAX_BODY_BYTES = 2**20  # a full context of 32,768 tokens is about 0.2 MB of text, and JSON may write it in \u escapes
DISCARDED_BYTES = 2**26  # of a body that is too large, read all the same: a client hears the answer when it has sent
BODY_SECONDS = 30  # in which a body has to arrive
GRACE_SECONDS = 30  # that a stopped server gives to answers under way
MAX_CONNECTIONS = 512
log = logging.getLogger("minimind")


@dataclass
class ServeOptions(WeightOptions):
    host: str = flag("127.0.0.1", "address to listen on; any but loopback needs a key")
    port: int = flag(8998, "port to listen on; 0: any free one", least=0, most=65535)
    api_key: str | None = flag(None, "key that clients must send; better in the environment, as MINIMIND_API_KEY")
    cors_origin: list[str] | None = flag(None, "origins of web pages that may call it, as https://example.org")
    max_batch: int = flag(16, "answers that are made at once", least=1)
    max_queue: int = flag(64, "answers that may wait; beyond that a request gets 429", least=0)

    def __post_init__(self):
        super().__post_init__()
        for origin in self.cors_origin or ():
            plain = origin == "*" or (is_address(origin) and origin.count("/") == 2)
            require(plain, f"--cors_origin {origin}: it must look like https://example.org, without a path")
        if self.api_key is None:
            self.api_key = os.environ.get("MINIMIND_API_KEY") or None
        if self.api_key is not None:
            self.api_key = self.api_key.strip()  # as a header is read
            what = "it must not be blank, and hold characters that can be printed"
            require(self.api_key and self.api_key.isprintable(), f"--api_key (or MINIMIND_API_KEY): {what}")
        require(
            self.api_key or is_loopback(self.host),
            f"--host {self.host}: other machines can reach it, so it needs a key: set MINIMIND_API_KEY or --api_key",
        )


# ---------------------------------------------------------------- service


class Outlet:
    """Stands where a request has its queue: what the engine's thread puts in comes out of an asyncio queue."""

    def __init__(self, service: "Service", queue: asyncio.Queue, choice: int):
        self.service, self.queue, self.choice = service, queue, choice
        self.loop = asyncio.get_running_loop()

    def put(self, piece) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody listens
            self.loop.call_soon_threadsafe(self.arrive, piece)

    def arrive(self, piece) -> None:
        if isinstance(piece, BaseException) or piece.finish_reason:
            self.service.n_busy -= 1
        self.queue.put_nowait((self.choice, piece))


class Service:
    """The engine, and how many of its places are taken; all but the engine's own steps runs in the event loop."""

    def __init__(self, model, tokenizer, stage: str, options: ServeOptions):
        from model.generation import Generator

        context, dtype = options.context(model), options.compute_dtype(model)
        self.engine, self.stage = Generator(model, tokenizer, options.max_batch, context, dtype), stage
        self.tokenizer, self.n_places, self.n_busy = tokenizer, options.max_batch + options.max_queue, 0
        self.longest_token = max(len(token) for token in self.engine.token_bytes[False])
        self.created = int(time.time())

    @contextlib.asynccontextmanager
    async def running(self, app):
        stopping = threading.Event()
        thread = threading.Thread(target=self.engine.run, args=(stopping,), name="engine", daemon=True)
        thread.start()
        yield
        stopping.set()
        await asyncio.to_thread(thread.join)

    def check_length(self, text_bytes: int, param: str) -> None:
        """Refuse what cannot fit before it is cut into tokens, which takes time."""
        if text_bytes > self.engine.max_length * self.longest_token:
            raise too_long(f"the prompt does not fit the context of {self.engine.max_length} tokens", param)

    def chat_prompt(self, body) -> list[int]:
        from dataset.chat import begin_document, render
        from scripts.serving.protocol import ApiError

        try:
            messages = body.plain_messages()
            n_bytes = sum(len(message["content"].encode()) for message in messages)
        except RecursionError:
            raise ApiError(400, "tools: they are nested too deeply", param="tools") from None
        n_bytes += len(messages) * 4 * self.longest_token  # a turn has four tokens beside its text
        self.check_length(n_bytes, "messages")
        if self.stage == "pretrain":
            return begin_document(self.tokenizer, messages[-1]["content"])
        return render(self.tokenizer, messages, add_generation_prompt=True)[0]

    def completion_prompt(self, prompt: str | list[int]) -> list[int]:
        """Text begins as documents did in pretraining; token ids are taken as they are."""
        from dataset.chat import begin_document

        if isinstance(prompt, list):
            return prompt
        self.check_length(len(prompt.encode()), "prompt")
        return begin_document(self.tokenizer, prompt)

    def submit(self, prompts: list[list[int]], body, scope: dict, **sampling) -> "Answers":
        """Ask for body.n answers to each prompt. Those that are not at their end when the HTTP request is, the gate
        cancels, as `scope` lists them."""
        from scripts.serving.protocol import ApiError

        wanted = len(prompts) * body.n_choices
        if wanted > self.n_places:
            raise ApiError(400, f"{wanted} answers at once, but this server has {self.n_places} places", param="n")
        if self.n_busy + wanted > self.n_places:
            raise ApiError(429, "all places are taken: try again in a moment", "rate_limit_exceeded")
        longest = max(map(len, prompts)) + (body.max_tokens or 1)
        if longest > self.engine.max_length:
            raise too_long(
                f"this model's context is {self.engine.max_length} tokens, but {longest} were asked for, "
                f"{body.max_tokens or 1} of them for the answer: shorten the prompt or lower max_tokens",
                "messages" if hasattr(body, "messages") else "prompt",
            )
        answers = Answers(self)
        for prompt in prompts:
            for choice in range(body.n_choices):
                outlet = Outlet(self, answers.queue, len(answers.requests))
                try:
                    request = self.engine.submit(prompt, body.sampling(choice, **sampling), outlet)
                except ValueError as error:
                    raise ApiError(400, str(error)) from None
                self.n_busy += 1
                answers.requests.append(request)
                scope["requests"].append(request)
        answers.n_prompt_tokens = sum(map(len, prompts))
        return answers


def too_long(message: str, param: str):
    from scripts.serving.protocol import ApiError

    return ApiError(400, message, "context_length_exceeded", param)


class Answers:
    """The answers to one HTTP request, in the making."""

    def __init__(self, service: Service):
        self.engine, self.queue, self.requests, self.n_prompt_tokens = service.engine, asyncio.Queue(), [], 0

    async def pieces(self) -> AsyncIterator[tuple]:
        """(choice, text, its tokens' logprobs, finish_reason or None), of whichever choice goes on."""
        n_open, n_told = len(self.requests), [0] * len(self.requests)
        while n_open:
            choice, piece = await self.queue.get()
            if isinstance(piece, BaseException):
                raise piece
            if piece.finish_reason == "cancelled":
                raise asyncio.CancelledError
            request = self.requests[choice]
            end = n_told[choice] + len(piece.token_ids)
            if piece.finish_reason:
                n_open -= 1
                end = self.n_shown(request)
            yield choice, piece.text, request.logprobs[n_told[choice] : end], piece.finish_reason
            n_told[choice] = end

    def n_shown(self, request) -> int:
        """How many tokens the text of a finished request is made of: neither end of turn nor stop string."""
        n, ids = len(request.token_ids), request.token_ids
        if request.finish_reason == "stop" and ids[-1] in request.stop_ids:
            return n - 1
        if request.finish_reason == "stop":
            parts = [request.token_bytes[token] for token in ids]
            while n and len(b"".join(parts[: n - 1]).decode(errors="replace")) >= len(request.text):
                n -= 1
        return n

    def usage(self) -> dict:
        made = sum(len(request.token_ids) for request in self.requests)
        counts = {"prompt_tokens": self.n_prompt_tokens, "completion_tokens": made}
        return counts | {"total_tokens": self.n_prompt_tokens + made}


# ---------------------------------------------------------------- gate


class Gate:
    """What every request passes, before any of it is parsed: host name, key, size and pace of the body. It also
    watches for a client that goes away, and ends what was done for it."""

    def __init__(self, app, api_key: str | None):
        self.app, self.api_key = app, api_key

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.monotonic(), 499  # as nginx says of a client that has gone

        async def sending(message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        scope["requests"] = []
        try:
            await self.serve(scope, receive, sending)
        finally:
            for request in scope["requests"]:
                request.cancel()
            made = sum(len(request.token_ids) for request in scope["requests"])
            seconds, path = time.monotonic() - started, scope["raw_path"][:80].decode("ascii", "replace")
            log.info("%s %s %d, %d tokens in %.2f s", scope["method"], path, status, made, seconds)

    async def serve(self, scope, receive, send) -> None:
        from scripts.serving.protocol import ApiError

        try:
            self.check(scope)
            async with asyncio.timeout(BODY_SECONDS):
                body = await read_body(receive)
        except (ApiError, TimeoutError) as error:
            if isinstance(error, TimeoutError):
                error = ApiError(408, f"the body did not arrive within {BODY_SECONDS} s")
            await error_response(error)(scope, receive, send)
            return
        if body is None:
            return
        given = asyncio.Event()

        async def receive_whole() -> dict:
            if given.is_set():
                await asyncio.Event().wait()  # whether the client goes away is watched here
            given.set()
            return {"type": "http.request", "body": body, "more_body": False}

        work = asyncio.ensure_future(self.app(scope, receive_whole, send))
        gone = asyncio.ensure_future(receive())  # the body is read: all that can come is the disconnect
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            if not work.done():
                work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work

    def check(self, scope) -> None:
        from scripts.serving.protocol import ApiError

        headers = dict(scope["headers"])
        if self.api_key is None:
            # A page in the user's browser can give its own name the address 127.0.0.1 (DNS rebinding).
            if not is_loopback(host_of("//" + headers.get(b"host", b"").decode("latin-1"))):
                raise ApiError(403, "without a key this server answers to localhost alone")
        elif scope["path"] != "/health":
            scheme, _, key = headers.get(b"authorization", b"").partition(b" ")
            if scheme.lower() != b"bearer" or not hmac.compare_digest(key.strip(), self.api_key.encode()):
                raise ApiError(401, "the API key is missing or wrong", "invalid_api_key")


async def read_body(receive) -> bytes | None:
    """The whole body; None if the client has gone. ApiError if it is too large."""
    from scripts.serving.protocol import ApiError

    body, size = bytearray(), 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        size += len(message.get("body", b""))
        if size <= MAX_BODY_BYTES:
            body += message.get("body", b"")
        if size > DISCARDED_BYTES or (size > MAX_BODY_BYTES and not message.get("more_body")):
            raise ApiError(413, f"the body is larger than {MAX_BODY_BYTES} bytes", "request_too_large")
        if not message.get("more_body"):
            return bytes(body)


def error_response(error):
    from fastapi.responses import JSONResponse

    headers = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "1"}}.get(error.status)
    return JSONResponse(error.body, error.status, headers)


# ---------------------------------------------------------------- endpoints


def make_app(service: Service, options: ServeOptions):
    from fastapi import FastAPI, Request
    from fastapi.exceptions import RequestValidationError
    from fastapi.middleware.cors import CORSMiddleware
    from starlette.exceptions import HTTPException

    from scripts.serving.protocol import ApiError, ChatRequest, CompletionRequest, wrong_field

    app = FastAPI(title="MiniMind", lifespan=service.running, docs_url=None, redoc_url=None)
    app.add_middleware(Gate, api_key=options.api_key)
    if options.cors_origin:
        allowed = {"allow_methods": ["GET", "POST"], "allow_headers": ["authorization", "content-type"]}
        app.add_middleware(CORSMiddleware, allow_origins=options.cors_origin, **allowed)

    @app.exception_handler(ApiError)
    async def api_error(request, error: ApiError):
        return error_response(error)

    @app.exception_handler(RequestValidationError)
    async def validation_error(request, error: RequestValidationError):
        return error_response(wrong_field(error.errors()))

    @app.exception_handler(UnicodeEncodeError)
    async def no_text(request, error: UnicodeEncodeError):
        return error_response(ApiError(400, "a text holds half a character (a lone surrogate)", "invalid_value"))

    @app.exception_handler(HTTPException)
    async def http_error(request, error: HTTPException):
        return error_response(ApiError(error.status_code, str(error.detail)))

    @app.exception_handler(Exception)
    async def internal_error(request, error: Exception):
        return error_response(ApiError(500, "the server has failed; its log says why"))

    model_card = {"id": MODEL_NAME, "object": "model", "created": service.created, "owned_by": "minimind"}

    def check_model(name: str) -> None:
        if name != MODEL_NAME:
            raise ApiError(404, f"there is no such model here: use {MODEL_NAME}", "model_not_found", "model")

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
        from scripts.serving.markup import MarkupParser, whole_message
        from scripts.serving.protocol import chat_logprobs

        check_model(body.model)
        prompt = service.chat_prompt(body)
        n_top = (body.top_logprobs or 0) if body.logprobs else None
        bos, eos, pad = (getattr(service.tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad"))
        answers = service.submit(
            [prompt], body, request.scope, logprobs=n_top, skip_special_tokens=False, stop_ids=(eos, bos, pad)
        )
        token_bytes = service.engine.token_bytes[False]
        parsers = [MarkupParser(body.offered) for _ in answers.requests]

        async def changes():
            """(choice, delta, logprobs, finish_reason): a piece may hold several deltas; its logprobs go with the
            first, its end with the last."""
            async for choice, text, found, finish in answers.pieces():
                deltas = parsers[choice].add(text, last=bool(finish)) or [{}]
                if finish == "stop" and parsers[choice].n_calls:
                    finish = "tool_calls"
                for place, delta in enumerate(deltas):
                    logprobs = chat_logprobs(found if place == 0 else [], token_bytes) if body.logprobs else None
                    yield choice, delta, logprobs, finish if place == len(deltas) - 1 else None

        head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": MODEL_NAME}
        if body.stream:
            head["object"] = "chat.completion.chunk"
            return stream_response(stream_chat(body, answers, head, changes()))
        deltas, logprobs = [[] for _ in parsers], [[] for _ in parsers]
        finishes: list = [None] * len(parsers)
        async for choice, delta, found, finish in changes():
            deltas[choice].append(delta)
            logprobs[choice] += found["content"] if found else []
            finishes[choice] = finish or finishes[choice]
        choices = [
            {
                "index": i, "message": whole_message(deltas[i]), "finish_reason": finishes[i],
                "logprobs": {"content": logprobs[i], "refusal": None} if body.logprobs else None,
            }
            for i in range(len(parsers))
        ]  # fmt: skip
        return head | {"object": "chat.completion", "choices": choices, "usage": answers.usage()}

    @app.post("/v1/completions")
    async def completions(body: CompletionRequest, request: Request):
        from scripts.serving.protocol import completion_logprobs

        check_model(body.model)
        prompts = [service.completion_prompt(prompt) for prompt in body.prompts()]
        answers = service.submit(prompts, body, request.scope, logprobs=body.logprobs)
        token_bytes = service.engine.token_bytes[True]
        n_characters = [0] * len(answers.requests)

        async def choices():
            async for index, text, found, finish in answers.pieces():
                choice = {"index": index, "text": text, "finish_reason": finish, "logprobs": None}
                if body.logprobs is not None:
                    choice["logprobs"] = completion_logprobs(found, token_bytes, n_characters[index])
                    n_characters[index] += sum(map(len, choice["logprobs"]["tokens"]))
                yield choice

        head = {"id": f"cmpl-{uuid.uuid4().hex}", "object": "text_completion", "created": int(time.time())}
        head["model"] = MODEL_NAME
        if body.stream:
            return stream_response(stream_chunks(body, answers, head, choices()))
        empty = {"text": "", "finish_reason": None, "logprobs": None}
        whole = [{"index": i} | empty for i in range(len(answers.requests))]
        async for choice in choices():
            so_far = whole[choice["index"]]
            so_far["text"] += choice["text"]
            so_far["finish_reason"] = choice["finish_reason"]
            if choice["logprobs"] and so_far["logprobs"]:
                for name, values in choice["logprobs"].items():
                    so_far["logprobs"][name] += values
            else:
                so_far["logprobs"] = choice["logprobs"]
        return head | {"choices": whole, "usage": answers.usage()}

    return app


def stream_response(events):
    from fastapi.responses import StreamingResponse

    return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})


async def stream_chat(body, answers: Answers, head: dict, changes) -> AsyncIterator[str]:
    """The role of each choice, its deltas, and its finish_reason in a chunk with an empty delta."""

    async def choices():
        for i in range(len(answers.requests)):
            delta = {"role": "assistant", "content": ""}
            yield {"index": i, "delta": delta, "logprobs": None, "finish_reason": None}
        async for index, delta, logprobs, finish in changes:
            if delta or (logprobs and logprobs["content"]):
                yield {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": None}
            if finish:
                yield {"index": index, "delta": {}, "logprobs": None, "finish_reason": finish}

    async for text in stream_chunks(body, answers, head, choices()):
        yield text


async def stream_chunks(body, answers: Answers, head: dict, choices) -> AsyncIterator[str]:
    """Server-sent events: a chunk per choice, the usage if it was asked for, and [DONE]; or an error."""
    from scripts.serving.protocol import ApiError, event

    pending = {"usage": None} if body.with_usage else {}
    try:
        async for choice in choices:
            yield event(head | {"choices": [choice]} | pending)
    except Exception:
        log.exception("an answer failed")
        yield event(ApiError(500, "the server has failed; its log says why").body)
        return
    if body.with_usage:
        yield event(head | {"choices": [], "usage": answers.usage()})
    yield "data: [DONE]\n\n"


# ---------------------------------------------------------------- main


def main() -> None:
    options = parse_options(ServeOptions, "Serve a trained weight by OpenAI's protocol.")
    listener = listen(options.host, options.port, MAX_CONNECTIONS)  # first, so that a port in use is said at once

    from uvicorn import Config, Server

    class StoppedServer(Server):
        """Stops at a signal when the answers under way are made, or at once at a second one."""

        def handle_exit(self, number, frame):
            if self.should_exit:
                os._exit(128 + number)
            self.should_exit, self.number = True, number

        @contextlib.contextmanager
        def capture_signals(self):
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # as nohup does it
                    signal.signal(number, self.handle_exit)
            yield

    model, tokenizer, title, stage = options.load_model()
    app = make_app(Service(model, tokenizer, stage, options), options)
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.WARNING)
    log.setLevel(logging.INFO)
    host, port = listener.getsockname()[:2]
    host = f"[{host}]" if ":" in host else host
    print(f"{title}\nhttp://{host}:{port}/v1, model {MODEL_NAME}; Ctrl-C ends it", flush=True)
    config = Config(
        app, http="h11", ws="none", lifespan="on", log_level="warning", access_log=False, server_header=False,
        limit_concurrency=MAX_CONNECTIONS, timeout_graceful_shutdown=GRACE_SECONDS,
    )  # fmt: skip
    server = StoppedServer(config)
    server.run(sockets=[listener])
    raise KeyboardInterrupt(server.number)


if __name__ == "__main__":
    run(main)
