"""Serve a trained weight by OpenAI's protocol: any OpenAI client can use it.

    python scripts/serve_openai_api.py                          # the newest SFT weight on http://127.0.0.1:8998/v1
    python scripts/serve_openai_api.py --model_mode 3           # a reasoning weight: its thought is reasoning_content
    MINIMIND_API_KEY=… python scripts/serve_openai_api.py --host 0.0.0.0       # for other machines, with a key

    GET /v1/models   POST /v1/chat/completions   POST /v1/completions   GET /health   GET /openapi.json

The application itself is scripts/serving/app.py.
"""

import contextlib
import logging
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from scripts.serving.addresses import is_http_url, is_loopback, listen  # noqa: E402
from trainer.command_line import flag, parse_options, require, run  # noqa: E402
from trainer.options import WeightOptions  # noqa: E402

GRACE_SECONDS = 30  # that a stopped server gives to unfinished answers
MAX_CONNECTIONS = 512


@dataclass
class ServeOptions(WeightOptions):
    host: str = flag("127.0.0.1", "address to listen on; any but loopback needs a key")
    port: int = flag(8998, "port to listen on; 0: any free one", least=0, most=65535)
    api_key: str | None = flag(None, "key that clients must send; better in the environment, as MINIMIND_API_KEY")
    cors_origin: list[str] | None = flag(None, "origins of web pages that may call it, such as https://example.org")
    max_batch: int = flag(16, "answers generated at once", least=1)
    max_queue: int = flag(64, "answers that may wait; beyond that a request gets 429", least=0)

    def __post_init__(self):
        super().__post_init__()
        for origin in self.cors_origin or ():
            plain = origin == "*" or (is_http_url(origin) and origin.count("/") == 2)
            require(plain, f"--cors_origin {origin}: it must look like https://example.org, without a path")
        if self.api_key is None:
            self.api_key = os.environ.get("MINIMIND_API_KEY") or None
        if self.api_key is not None:
            self.api_key = self.api_key.strip()  # as in a header
            what = "it must not be blank, and may only contain characters that can be printed"
            require(self.api_key and self.api_key.isprintable(), f"--api_key (or MINIMIND_API_KEY): {what}")
        require(
            self.api_key or is_loopback(self.host),
            f"--host {self.host}: other machines can reach it, so it needs a key: set MINIMIND_API_KEY or --api_key",
        )


def main() -> None:
    options = parse_options(ServeOptions, "Serve a trained weight by OpenAI's protocol.")
    listener = listen(options.host, options.port, MAX_CONNECTIONS)  # first: fails at once if the port is taken

    from uvicorn import Config, Server

    from model.generation import Generator
    from scripts.serving.app import MODEL_NAME, Service, log, make_app

    class GracefulServer(Server):
        """At a signal finishes the answers it is generating; at a second one stops at once."""

        def handle_exit(self, number, frame):
            if self.should_exit:
                os._exit(128 + number)
            self.should_exit, self.number = True, number

        @contextlib.contextmanager
        def capture_signals(self):
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # ignored under nohup
                    signal.signal(number, self.handle_exit)
            yield

    model, tokenizer, title, stage, trained_length = options.load_model()
    context, dtype = options.context(model, trained_length), options.compute_dtype(model)
    engine = Generator(model, tokenizer, options.max_batch, context, dtype)
    service = Service(engine, tokenizer, stage, options.max_batch + options.max_queue, options.thinking)
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.WARNING)
    log.setLevel(logging.INFO)
    host, port = listener.getsockname()[:2]
    host = f"[{host}]" if ":" in host else host
    print(f"{title}\nhttp://{host}:{port}/v1, model {MODEL_NAME}; Ctrl-C stops it", flush=True)
    config = Config(
        make_app(service, options.api_key, options.cors_origin), http="h11", ws="none", lifespan="on",
        log_level="warning", access_log=False, server_header=False, limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )  # fmt: skip
    server = GracefulServer(config)
    server.run(sockets=[listener])
    raise KeyboardInterrupt(server.number)


if __name__ == "__main__":
    run(main)
