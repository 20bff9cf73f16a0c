"""The server among others' clients, under a fuzzer, under load, and with clients that behave badly."""

import json
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import pytest
from serving import ASKED, LONG, TOOLS, Server, teach, user

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.compat
KEY = "sesame"


@pytest.fixture(scope="module")
def out_dir(tmp_path_factory, tokenizer) -> Path:
    return teach(tokenizer, tmp_path_factory.mktemp("out"))


@pytest.fixture(scope="module")
def server(out_dir):
    server = Server(out_dir, "--max_seq_len", "420", "--max_batch", "16", "--max_queue", "64", key=KEY)
    server.never_whole = socket.create_connection(("127.0.0.1", server.port), timeout=120)
    server.never_whole.sendall(raw_request(b"{", length=100))
    yield server
    assert server.stop() == 143 and "Traceback" not in server.output()


@pytest.fixture(autouse=True)
def alive_and_idle(request):
    """After whatever a test did, the server answers, and all its places are free."""
    yield
    if "server" in request.fixturenames:
        server = request.getfixturevalue("server")
        server.wait_until_idle()
        assert connect(server).chat.completions.create(
            model="minimind", messages=[user("你好")], temperature=0
        ).choices[0].message.content.startswith("你好")


def connect(server) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key=KEY, max_retries=0, timeout=120)


def raw_request(body: bytes, length: int | None = None) -> bytes:
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += f"Authorization: Bearer {KEY}\r\nContent-Length: {len(body) if length is None else length}\r\n\r\n"
    return head.encode() + body


def chat_body(**more) -> bytes:
    return json.dumps({"model": "minimind", "messages": [user("数数")]} | more).encode()


# ---------------------------------------------------------------- clients


def test_langchain(server):
    langchain_openai = pytest.importorskip("langchain_openai")
    model = langchain_openai.ChatOpenAI(base_url=f"{server.url}/v1", api_key=KEY, model="minimind", temperature=0)
    assert model.invoke("你好").content == "你好！很高兴见到你。😀"
    assert "".join(chunk.content for chunk in model.stream("数数")) == LONG
    call = model.bind_tools(TOOLS).invoke(ASKED["content"]).tool_calls[0]
    assert call["name"] == "clock" and call["args"] == {"city": "北京"}
    assert model.invoke("你好").usage_metadata["output_tokens"] > 3


def test_llm(server, tmp_path):
    """Simon Willison's command line client, told of the server in the file it has for that."""
    pytest.importorskip("llm")
    described = {"model_id": "mine", "model_name": "minimind", "api_base": f"{server.url}/v1", "api_key_name": "mine"}
    (tmp_path / "extra-openai-models.yaml").write_text(json.dumps([described]))  # JSON is YAML
    (tmp_path / "keys.json").write_text(json.dumps({"mine": KEY}))
    llm = Path(sys.executable).with_name("llm")
    for more in ([], ["--no-stream"]):
        command = [llm, "-m", "mine", "-o", "temperature", "0", *more, "数数"]
        env = os.environ | {"LLM_USER_PATH": str(tmp_path)}
        done = subprocess.run([str(part) for part in command], env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0 and done.stdout.strip() == LONG, done.stderr


def test_a_thousand_requests_of_a_fuzzer(server):
    """schemathesis reads /openapi.json and makes requests that fit it, and some that do not: none makes the server
    fail, and when its buffers have their size its memory grows no more."""
    pytest.importorskip("schemathesis")

    def fuzz(phases: str, n_examples: int) -> None:
        command = [
            Path(sys.executable).with_name("schemathesis"), "run", f"{server.url}/openapi.json", "-H",
            f"Authorization: Bearer {KEY}", "--checks", "not_a_server_error", "--max-examples", n_examples,
            "--request-timeout", 60, "--phases", phases, "--seed", 1,
        ]  # fmt: skip
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=1800)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]

    def n_requests() -> int:
        return server.output().count(" tokens in ")

    fuzz("fuzzing", 30)
    before, memory = n_requests(), server.memory_mib()
    fuzz("coverage,fuzzing", 130)
    assert n_requests() - before >= 1000
    assert server.memory_mib() - memory < 32
    print(f"{n_requests() - before} requests, memory {memory:.0f} -> {server.memory_mib():.0f} MiB")


def test_32_streams_at_once_are_what_each_is_alone(server):
    """Twice as many as the server has places for, so that some wait while others leave."""
    client = connect(server)

    def answer(seed: int) -> list[str]:
        stream = client.chat.completions.create(
            model="minimind", messages=[user("数数")], seed=seed, temperature=1.5, max_tokens=32, logprobs=True,
            stream=True,
        )  # fmt: skip
        choices = [choice for chunk in stream for choice in chunk.choices]
        assert choices[-1].finish_reason in ("stop", "length")
        return [token.token for choice in choices if choice.logprobs for token in choice.logprobs.content]

    alone = [answer(seed) for seed in range(32)]
    with ThreadPoolExecutor(32) as clients:
        together = list(clients.map(answer, range(32)))
    # Of 1,024 draws one may fall on the border of two tokens, within the rounding of a batch of another size.
    assert sum(one != other for one, other in zip(alone, together, strict=True)) <= 1
    assert all(alone) and len(set(map(tuple, alone))) > 16


# ---------------------------------------------------------------- bad manners


def test_a_body_of_50_megabytes_is_refused(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(raw_request(b" " * 50_000_000))
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_a_slow_client_holds_no_one_up(server):
    slow = [socket.create_connection(("127.0.0.1", server.port), timeout=60) for _ in range(40)]
    for i, connection in enumerate(slow):
        whole = raw_request(chat_body(stream=True))
        connection.sendall(whole[: min(20 + i * 7, len(whole) - 1)])  # cut in the head, or in the body
    started = connect(server).chat.completions.create(model="minimind", messages=[user("你好")], max_tokens=2)
    assert started.usage.completion_tokens == 2 and server.health()["busy"] == 0
    for connection in slow:
        connection.close()


def test_a_body_that_never_comes_is_given_up(server):
    """Half a minute after it began, when the tests above it ran."""
    with server.never_whole as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_a_hundred_disconnects_in_mid_stream(server):
    for i in range(100):
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
        connection.sendall(raw_request(chat_body(stream=i % 3 > 0, n=1 + i % 2, temperature=2.0, top_p=1.0)))
        if i % 3:
            assert connection.recv(200).startswith(b"HTTP/1.1 200")
        connection.close()
    server.wait_until_idle()


# ---------------------------------------------------------------- the end


def test_sigterm_lets_answers_finish_and_takes_no_new_ones(out_dir):
    server = Server(out_dir, "--max_seq_len", "420")
    client = connect(server)
    stream = client.chat.completions.create(model="minimind", messages=[user("数数")], temperature=0, stream=True)
    next(stream)
    os.kill(server.process.pid, signal.SIGTERM)
    chunks = list(stream)
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == LONG
    assert server.process.wait(60) == 143 and "Traceback" not in server.output()
    with pytest.raises(openai.APIConnectionError):
        client.models.list()


def test_without_a_key_only_localhost_by_name(out_dir):
    server = Server(out_dir)
    try:
        for host, status in (("localhost", b"200"), ("127.0.0.1:80", b"200"), ("[::1]", b"200"), ("evil", b"403")):
            with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
                connection.sendall(f"GET /v1/models HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                assert connection.recv(100).split()[1] == status
    finally:
        server.stop()
