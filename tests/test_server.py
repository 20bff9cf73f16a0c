"""The OpenAI server as its users meet it: a real process, the real client, a network that knows some answers."""

import http.server
import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import openai
import pytest
from preloaded import run_preloaded
from serving import ASKED, CALL, LONG, TOOLS, Server, teach, user

from dataset.chat import render
from model.generation import Generator
from scripts.serving.app import Service
from scripts.serving.markup import MarkupParser, whole_message
from scripts.serving.protocol import ChatRequest

KEY = "sesame"
ROOT = Path(__file__).resolve().parents[1]
CONTEXT = 420
HALF = {"name": "f", "description": "\ud83d"}


@pytest.fixture(scope="module")
def server(tmp_path_factory, tokenizer):
    server = Server(
        teach(tokenizer, tmp_path_factory.mktemp("out")), "--max_seq_len", str(CONTEXT), "--max_batch", "4",
        "--max_queue", "4", "--cors_origin", "https://page.example", key=KEY,
    )  # fmt: skip
    yield server
    assert server.stop() == 143
    log = server.output()
    assert "Traceback" not in log and "POST /v1/chat/completions 200" in log
    assert "你好" not in log and "数数" not in log  # prompts are private


@pytest.fixture(scope="module")
def client(server):
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key=KEY, max_retries=0)


def ask(client, messages, **more):
    messages = [user(messages)] if isinstance(messages, str) else messages
    return client.chat.completions.create(**{"model": "minimind", "messages": messages, "temperature": 0} | more)


def post(server, body: bytes | dict, path="/v1/chat/completions", **headers) -> tuple[int, dict]:
    body = json.dumps(body).encode() if isinstance(body, dict) else body
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"} | headers
    try:
        with urllib.request.urlopen(urllib.request.Request(server.url + path, body, headers), timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


# ---------------------------------------------------------------- answers


def test_an_answer_has_openais_form(client):
    assert [model.id for model in client.models.list()] == ["minimind"]
    assert client.models.retrieve("minimind").object == "model"
    first, second = ask(client, "你好"), ask(client, "你好")
    choice = first.choices[0]
    assert choice.message.content == "你好！很高兴见到你。😀" and choice.finish_reason == "stop"
    assert choice.message.role == "assistant" and choice.message.tool_calls is None and choice.logprobs is None
    assert first.object == "chat.completion" and first.model == "minimind" and abs(first.created - time.time()) < 600
    assert first.id.startswith("chatcmpl-") and first.id != second.id
    usage = first.usage
    assert usage.prompt_tokens > 5 and usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_roles_and_parts_are_understood(client):
    parts = [{"type": "text", "text": "你"}, {"type": "text", "text": "好"}]
    assert ask(client, [{"role": "user", "content": parts}]).choices[0].message.content == "你好！很高兴见到你。😀"
    usages = {
        role: ask(client, [{"role": role, "content": "短"}, user("你好")], max_tokens=1).usage
        for role in ("developer", "system")
    }
    assert usages["developer"] == usages["system"]
    harmless = {"user": "me", "metadata": {"a": "b"}, "store": False, "service_tier": "auto", "logit_bias": {}}
    assert ask(client, "你好", **harmless).choices[0].message.content.startswith("你好")


def test_a_stream_is_the_answer_in_pieces(client):
    chunks = list(ask(client, "你好", stream=True, stream_options={"include_usage": True}))
    *body, last = chunks
    assert body[0].choices[0].delta.role == "assistant" and len(body) > 4
    assert "".join(chunk.choices[0].delta.content or "" for chunk in body) == "你好！很高兴见到你。😀"
    assert [chunk.choices[0].finish_reason for chunk in body] == [None] * (len(body) - 1) + ["stop"]
    assert last.choices == [] and last.usage == ask(client, "你好").usage
    assert len({chunk.id for chunk in chunks}) == 1 and {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert all(chunk.usage is None for chunk in ask(client, "你好", stream=True))


def test_a_stream_ends_with_done(server):
    body = {"model": "minimind", "messages": [user("你好")], "stream": True, "max_tokens": 2}
    request = urllib.request.Request(
        f"{server.url}/v1/chat/completions", json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"},
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=60) as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        events = response.read().decode("ascii").split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""] and all(event.startswith("data: ") for event in events[:-1])


def test_length_and_stop_end_an_answer(client):
    for name in ("max_tokens", "max_completion_tokens"):
        cut = ask(client, "数数", **{name: 5})
        assert cut.choices[0].finish_reason == "length" and cut.usage.completion_tokens == 5
        assert LONG.startswith(cut.choices[0].message.content)
    for stop in (" 12", ["none of it", " 12", " 20"]):
        stopped = ask(client, "数数", stop=stop).choices[0]
        assert stopped.message.content == LONG.split(" 12")[0] and stopped.finish_reason == "stop"
        pieces = [chunk.choices[0].delta.content or "" for chunk in ask(client, "数数", stop=stop, stream=True)]
        assert "".join(pieces) == LONG.split(" 12")[0]


def test_n_and_seed(client):
    wild = {"temperature": 2.0, "max_tokens": 12, "n": 3}
    one, same, other = (ask(client, "你好", seed=seed, **wild) for seed in (1, 1, 2))
    texts = [[choice.message.content for choice in reply.choices] for reply in (one, same, other)]
    assert texts[0] == texts[1] != texts[2] and len(set(texts[0])) == 3
    assert [choice.index for choice in one.choices] == [0, 1, 2]
    assert ask(client, "你好", seed=1, **wild | {"n": 1}).choices[0].message.content == texts[0][0]
    streamed = ["", "", ""]
    for chunk in ask(client, "你好", seed=1, stream=True, **wild):
        streamed[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert streamed == texts[0]


def test_logprobs_belong_to_the_text(client):
    for more in ({}, {"stop": "见"}, {"max_tokens": 3}):
        choice = ask(client, "你好", logprobs=True, top_logprobs=3, **more).choices[0]
        content = choice.logprobs.content
        assert b"".join(bytes(token.bytes) for token in content).decode(errors="replace").startswith(
            choice.message.content
        )
        for token in content:
            assert len(token.top_logprobs) == 3 and token.top_logprobs[0].token == token.token
            assert 0 >= token.logprob >= token.top_logprobs[1].logprob
        streamed = [
            token.token for chunk in ask(client, "你好", logprobs=True, top_logprobs=3, stream=True, **more)
            for token in (chunk.choices[0].logprobs.content if chunk.choices[0].logprobs else ())
        ]  # fmt: skip
        assert streamed == [token.token for token in content]


def test_completions(client, tokenizer):
    def complete(prompt, **more):
        return client.completions.create(model="minimind", prompt=prompt, **{"temperature": 0, "max_tokens": 6} | more)

    reply = complete("你好")
    choice = reply.choices[0]
    assert reply.object == "text_completion" and choice.finish_reason == "length" and reply.usage.completion_tokens == 6
    assert "".join(chunk.choices[0].text for chunk in complete("你好", stream=True)) == choice.text
    ids = [tokenizer.bos_token_id, *tokenizer("你好").input_ids]
    assert complete(ids).choices[0].text == choice.text
    several = complete(["你好", "数数"], n=2)
    assert [choice.index for choice in several.choices] == [0, 1, 2, 3]
    assert several.choices[0].text == several.choices[1].text == choice.text


def test_a_thought_and_a_call_have_fields_of_their_own(client):
    message = ask(client, "一加一").choices[0].message
    assert message.content == "2" and message.reasoning_content == "一加一是二"
    chunks = [chunk.choices[0].delta for chunk in ask(client, "一加一", stream=True)]
    assert "".join(delta.content or "" for delta in chunks) == "2"
    assert "".join(getattr(delta, "reasoning_content", "") or "" for delta in chunks) == "一加一是二"

    first = ask(client, [ASKED], tools=TOOLS).choices[0]
    (call,) = first.message.tool_calls
    assert first.finish_reason == "tool_calls" and first.message.content is None and call.type == "function"
    assert (call.function.name, json.loads(call.function.arguments)) == ("clock", {"city": "北京"})
    result = {"role": "tool", "tool_call_id": call.id, "content": "12:00"}
    then = ask(client, [ASKED, first.message, result], tools=TOOLS).choices[0]
    assert then.message.content == "十二点。" and then.finish_reason == "stop"
    *_, told, end = ask(client, [ASKED], tools=TOOLS, stream=True)
    assert told.choices[0].delta.tool_calls[0].function.name == "clock"
    assert end.choices[0].finish_reason == "tool_calls"


def test_a_request_says_whether_there_is_a_thought_before_the_answer(client):
    switches = [{"reasoning_effort": "low"}] + [
        switch for name in ("enable_thinking", "open_thinking")
        for switch in ({"extra_body": {name: True}}, {"extra_body": {"chat_template_kwargs": {name: True}}})
    ]  # fmt: skip
    for switch in switches:
        message = ask(client, "二加二", **switch).choices[0].message
        assert (message.reasoning_content, message.content) == ("二加二是四", "4")
        chunks = [chunk.choices[0].delta for chunk in ask(client, "二加二", stream=True, **switch)]
        assert "".join(getattr(delta, "reasoning_content", "") or "" for delta in chunks) == "二加二是四"
    for switch in ({"reasoning_effort": "none"}, {"extra_body": {"chat_template_kwargs": {"enable_thinking": False}}}):
        message = ask(client, "二加二", **switch).choices[0].message
        assert message.content == "四" and not hasattr(message, "reasoning_content")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("plain <b> text \n", {"content": "plain <b> text \n"}),
        ("<think>\na < b\n</think>\n\n<answer>\nc d\n</answer>\n", {"reasoning_content": "a < b", "content": "c d"}),
        ("<think>a", {"reasoning_content": "a", "content": ""}),
        ("a</think> b ", {"content": "ab "}),
        ('x <tool_call>\n{"name": "clock", "arguments": {}}\n</tool_call>', {"content": "x", "calls": ["{}"]}),
        ('<tool_call>{"name": "rm", "arguments": {}}</tool_call>', None),
        ("<tool_call>{</tool_call> <thi", None),
        ('<tool_call>{"name": "clock"', None),
        ('<tool_call>{"name": "clock", "arguments": []}</tool_call>', None),
        ('<tool_call>{"name": "clock", "arguments": {"a": NaN}}</tool_call>', None),
        ("<tool_call>" + "[" * 5000 + "</tool_call>", None),
    ],
)
def test_markup_is_taken_apart_wherever_the_pieces_are_cut(text, message):
    """None: all of it is text."""
    for size in (1, 2, 3, 7, len(text)):
        parser = MarkupParser(["clock"])
        cuts = range(0, len(text), size)
        deltas = [delta for i in cuts for delta in parser.add(text[i : i + size])] + parser.add("", last=True)
        found = whole_message(deltas)
        expected = message or {"content": text}
        assert (found["content"] or "") == expected["content"]
        assert found.get("reasoning_content") == expected.get("reasoning_content")
        assert [call["function"]["arguments"] for call in found.get("tool_calls", ())] == expected.get("calls", [])
    assert whole_message(MarkupParser().add("<tool_call>{}</tool_call>", last=True))["content"][:11] == "<tool_call>"


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("change", "status", "named"),
    [
        ({"model": "gpt-9"}, 404, "minimind"),
        ({"messages": []}, 400, "messages"),
        ({"messages": [user("\ud83d")]}, 400, "messages[0].content"),
        ({"messages": [{"role": "user"}]}, 400, "messages[0]"),
        ({"messages": [{"role": "king", "content": "a"}]}, 400, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400, "messages[0].content[0].type"),
        ({"messages": [user("长" * 100_000)]}, 400, "context"),
        ({"messages": [user("长" * CONTEXT)]}, 400, "context"),
        ({"max_tokens": -1}, 400, "max_tokens"),
        ({"max_tokens": 10**12}, 400, "context"),
        ({"max_tokens": 5, "max_completion_tokens": 6}, 400, "max_completion_tokens"),
        ({"temperature": float("nan")}, 400, "temperature"),
        ({"temperature": "hot"}, 400, "temperature"),
        ({"n": 9}, 400, "places"),
        ({"stop": ["a"] * 5}, 400, "stop"),
        ({"stop": ""}, 400, "stop"),
        ({"top_logprobs": 3}, 400, "top_logprobs"),
        ({"stream_options": {"include_usage": True}}, 400, "stream_options"),
        ({"response_format": {"type": "json_object"}}, 400, "response_format"),
        ({"logit_bias": {"5": 1}}, 400, "logit_bias"),
        ({"tool_choice": "required"}, 400, "tool_choice"),
        ({"reasoning_effort": "some"}, 400, "reasoning_effort"),
        ({"chat_template_kwargs": {"style": 1}}, 400, "style"),
        ({"no_such_field": 1}, 400, "no_such_field"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(server, change, status, named):
    got, body = post(server, {"model": "minimind", "messages": [user("你好")], "max_tokens": 3} | change)
    assert got == status and set(body) == {"error"} and set(body["error"]) == {"message", "type", "param", "code"}
    assert named in body["error"]["message"] and "Traceback" not in str(body) and "长长" not in str(body)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b'{"model": "minimind", "messages": [{"role": "user", "content": "\xff\xfe"}]}', 400),
        (b'{"model": "minimind", "messages": [{"role": "user", "content": "\\ud800"}]}', 400),
        (b"[" * 1000 + b"]" * 1000, 400),
        (b'{"a":' * 100_000, 400),
        (b" " * 2_000_000, 413),
    ],
    ids=["nothing", "half", "no-utf8", "half-a-pair", "deep", "deeper", "large"],
)
def test_broken_bodies_are_refused(server, body, status):
    got, answer = post(server, body)
    assert got == status and answer["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("completions", {"prompt": "\ud83d"}),
        ("completions", {"prompt": ["a", "\udc80"]}),
        ("completions", {"prompt": "a", "stop": "\ud83d"}),
        ("chat/completions", {"messages": [{"role": "user", "content": [{"type": "text", "text": "\udc80"}]}]}),
        ("chat/completions", {"messages": [user("a")], "tools": [{"type": "function", "function": HALF}]}),
    ],
)
def test_half_a_character_is_refused_wherever_it_stands(server, path, more):
    status, body = post(server, {"model": "minimind", "max_tokens": 2} | more, path=f"/v1/{path}")
    assert status == 400 and body["error"]["code"] == "invalid_value", body


def test_the_key_is_needed_but_for_health(server):
    assert server.health()["status"] == "ok"
    for given in ("Bearer wrong", "Bearer ", KEY, "Basic sesame", "Bearer sésame", "Bearer \udcff"):
        status, body = post(server, {}, Authorization=given.encode(errors="surrogateescape"))
        assert status == 401 and body["error"]["code"] == "invalid_api_key"
    status, body = post(server, {}, path="/nowhere")
    assert status == 404 and "error" in body


def test_only_the_origin_that_was_given_may_call_from_a_page(server):
    for origin, allowed in (("https://page.example", "https://page.example"), ("https://evil.example", None)):
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        request = urllib.request.Request(f"{server.url}/v1/chat/completions", headers=headers, method="OPTIONS")
        try:
            found = urllib.request.urlopen(request, timeout=60).headers
        except urllib.error.HTTPError as error:
            found = error.headers
        assert found["Access-Control-Allow-Origin"] == allowed


def test_a_second_signal_ends_the_server_at_once(server):
    """A closed terminal lets it finish what it does; half a request, for which it waits, holds nobody up."""
    server = Server(Path(server.log.name).parent)
    with socket.create_connection(("127.0.0.1", server.port)) as half_open:
        half_open.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
        server.health()  # it has come to this one too, then
        server.process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            server.process.wait(1)
        assert server.stop() == 143
    assert "Traceback" not in server.output() and "Exception" not in server.output()


def test_an_address_for_others_needs_a_key(tmp_path):
    done = run_preloaded("scripts/serve_openai_api.py", "--host", "0.0.0.0", "--out_dir", tmp_path)
    assert done.returncode == 2 and "MINIMIND_API_KEY" in done.stderr and len(done.stderr.splitlines()) == 1
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_preloaded("scripts/serve_openai_api.py", "--port", port, "--out_dir", tmp_path)
    assert done.returncode == 1 and f"--port {port}" in done.stderr and "Traceback" not in done.stderr


# ---------------------------------------------------------------- places


def test_a_client_that_goes_away_frees_its_place_and_too_many_are_told_so(server, client):
    server.wait_until_idle()
    wild = {"temperature": 2.0, "n": 4, "stream": True, "seed": 3, "max_tokens": 380}
    streams = [ask(client, "你好", **wild) for _ in range(2)]  # all eight places
    with pytest.raises(openai.RateLimitError):
        for _ in range(100):
            ask(client, "你好", **wild).close()
            streams.append(ask(client, "你好", **wild))
    for stream in streams:
        stream.close()
    server.wait_until_idle()
    assert ask(client, "你好").choices[0].message.content.startswith("你好")


def test_many_at_once_get_what_each_gets_alone(client):
    def reply(seed: int) -> str:
        stream = ask(client, "数数", temperature=1.5, seed=seed, max_tokens=20, stream=True)
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream)

    alone, together = [reply(seed) for seed in range(6)], [""] * 6

    def work(seed: int) -> None:
        together[seed] = reply(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone and len(set(alone)) > 3


def test_the_call_in_the_conversation_is_written_as_it_was_made(client):
    messages = [ASKED, {"role": "assistant", "content": None, "tool_calls": [CALL]}]
    result = {"role": "tool", "tool_call_id": CALL["id"], "content": "12:00"}
    assert ask(client, [*messages, result], tools=TOOLS).choices[0].message.content == "十二点。"


def test_the_client_script_shows_answers_and_thoughts(server):
    command = [sys.executable, "scripts/chat_openai_api.py", "--base_url", f"{server.url}/v1", "--api_key", KEY]
    talk = "你好\n/clear\n一加一\n"
    done = subprocess.run(command, cwd=ROOT, input=talk, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip() == "你好！很高兴见到你。😀\n[thought]\n一加一是二\n[answer]\n2"


def test_the_client_script_reports_a_message_that_does_not_fit_and_a_cut_answer_and_goes_on(server):
    command = [sys.executable, "scripts/chat_openai_api.py", "--base_url", f"{server.url}/v1", "--api_key", KEY]
    talk = "你好\n" + "长" * 420 + "\n/clear\n你好\n"  # the context is 420 tokens
    done = subprocess.run(command, cwd=ROOT, input=talk, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.split() == ["你好！很高兴见到你。😀"] * 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error:") and "context is 420 tokens" in line and "/clear" in line
    done = subprocess.run([*command, "--max_tokens", "3"], cwd=ROOT, input="数数\n", capture_output=True, text=True)
    assert done.returncode == 0 and "the answer was cut" in done.stderr


def test_the_client_script_ends_with_one_sentence_where_no_such_server_answers(server):
    class Page(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<html></html>")

    page = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=page.serve_forever, daemon=True).start()
    odd = f"http://127.0.0.1:{page.server_port}"
    for address, reason in (
        (server.url, "404"), ("http://127.0.0.1:9/v1", "no server answers"), (odd, "not OpenAI's protocol"),
    ):  # fmt: skip
        command = [sys.executable, "scripts/chat_openai_api.py", "--base_url", address, "--api_key", KEY]
        done = subprocess.run(command, cwd=ROOT, input=b"caf\xe9\n", capture_output=True, timeout=120)
        assert done.returncode == 1 and done.stderr.startswith(b"error: ") and reason in done.stderr.decode()


def test_a_pretrained_weight_goes_on_with_the_last_message(make_model, tokenizer):
    engine = Generator(make_model(vocab_size=len(tokenizer)), tokenizer, max_batch=1, max_length=64)
    body = ChatRequest(model="minimind", messages=[user("一"), {"role": "assistant", "content": "二"}, user("法国的")])
    prompts = {stage: Service(engine, tokenizer, stage, 1).chat_prompt(body) for stage in ("pretrain", "full_sft")}
    assert prompts["pretrain"] == [tokenizer.bos_token_id, *tokenizer("法国的").input_ids]
    assert prompts["full_sft"] == render(tokenizer, body.plain_messages(), add_generation_prompt=True)[0]
