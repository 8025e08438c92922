"""What a raw client sees: refusals in its protocol, headers, disconnects, slow reading, shutdown, the record."""

from __future__ import annotations

import http.client
import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.gateway.conftest import MORE, PLANTED, Post, chat, closed_port, request
from tests.upstreams.gateway import UPSTREAMS, Gateway
from tests.upstreams.server import Reply

SSE = (("content-type", "text/event-stream"),)
JSON = {"content-type": "application/json"}


def eventually(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for what follows soon from what was done."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.005)


def chunk(text: str) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    value = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: %b\n\n" % json.dumps(value).encode()


def open_stream(gateway: Gateway, path: str, body: bytes) -> socket.socket:
    """A connection on which a stream has been asked for."""
    link = socket.create_connection((gateway.host, gateway.port), timeout=10)
    names = {"host": "127.0.0.1", **JSON, "anthropic-version": "2023-06-01", "content-length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in names.items())
    link.sendall(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
    return link


# --- Refusals --------------------------------------------------------------------------------------------------------


def test_head_is_answered_without_a_key(gateway: Gateway) -> None:
    assert request(gateway, "HEAD", "/").status == 200
    assert request(gateway, "HEAD", "/anthropic").status == 200


def test_a_websocket_is_refused_so_that_codex_falls_back_at_once(gateway: Gateway) -> None:
    headers = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    assert request(gateway, "GET", "/v1/responses", headers=headers).status == 426


@pytest.mark.parametrize(
    ("path", "headers", "place"),
    [
        ("/v1/threads", {}, ("error", "message")),
        ("/v1/messages/batches", {"anthropic-version": "2023-06-01"}, ("error", "message")),
        ("/v1beta/cachedContents", {"x-goog-api-key": "k"}, ("error", "message")),
        ("/guardrail/a/version/1/apply", {}, ("message",)),
        ("/openai/files", {"api-key": "k"}, ("error", "message")),
    ],
)
def test_an_unknown_path_is_404_in_its_callers_words(
    gateway: Gateway, path: str, headers: dict[str, str], place: tuple[str, ...]
) -> None:
    answer = request(gateway, "POST", path, b"{}", {**JSON, **headers})
    assert answer.status == 404
    value = answer.json()
    for name in place:
        value = value[name]
    assert path in value
    assert "/docs/reference/paths" in value
    if "anthropic-version" in headers:
        assert answer.json()["type"] == "error"
    if "x-goog-api-key" in headers:
        assert answer.json()["error"]["status"] == "NOT_FOUND"
    if len(place) == 1:
        assert answer.headers["x-amzn-errortype"].startswith("ResourceNotFoundException")


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/model/m/converse", "/v1/responses"])
def test_a_body_too_large_is_413(gateway: Gateway, path: str) -> None:
    answer = request(gateway, "POST", path, chat("openai-chat", "x" * 70_000), JSON)
    assert answer.status == (400 if path.startswith("/model") else 413)
    assert b"65536" in answer.body


def test_an_unknown_model_names_what_is_near(post: Post) -> None:
    answer = post(chat("openai-chatt"))
    assert answer.status == 404
    assert "openai-chat" in answer.json()["error"]["message"]


def test_a_body_that_is_no_json_is_400(post: Post) -> None:
    assert post(b"{").status == 400


# --- Keys ------------------------------------------------------------------------------------------------------------


def test_a_wrong_secret_of_a_minted_key_is_refused(post: Post, gateway: Gateway) -> None:
    bearer, _ = gateway.mint()
    assert post(chat("openai-chat"), authorization=f"Bearer {bearer}").status == 200
    wrong = bearer[:-8] + ("A" if bearer[-8] != "A" else "B") + bearer[-7:]
    answer = post(chat("openai-chat"), authorization=f"Bearer {wrong}")
    assert answer.status == 401
    assert bearer not in answer.body.decode()


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "api-key", "x-goog-api-key"])
def test_a_key_is_taken_wherever_a_client_puts_it(post: Post, gateway: Gateway, header: str) -> None:
    bearer, _ = gateway.mint(models=("anthropic-*",))
    value = f"Bearer {bearer}" if header == "authorization" else bearer
    assert post(chat("openai-chat"), **{header: value}).status == 403, "so it was read"
    assert post(chat("anthropic-messages"), **{header: value}).status == 200


def test_a_revoked_key_stops_within_a_second(post: Post, gateway: Gateway) -> None:
    bearer, identity = gateway.mint()
    assert post(chat("openai-chat"), authorization=f"Bearer {bearer}").status == 200
    gateway.run(gateway.service.keys.revoke(identity, time.time()))
    eventually(lambda: post(chat("openai-chat"), authorization=f"Bearer {bearer}").status == 401, 1.0)


def test_a_key_in_the_query_stays_here(gateway: Gateway) -> None:
    bearer, _ = gateway.mint()
    body = json.dumps({"contents": [{"role": "user", "parts": [{"text": "scenario=text"}]}]}).encode()
    path = f"/v1beta/models/gemini-generate:generateContent?key={bearer}"
    assert request(gateway, "POST", path, body, JSON).status == 200
    asked = gateway.emulators["gemini-generate"].asked[-1]
    assert bearer not in f"{asked.query}{asked.headers}{asked.body!r}"


# --- Headers ---------------------------------------------------------------------------------------------------------


def test_what_an_answer_says_about_itself(post: Post, gateway: Gateway) -> None:
    answer = post(chat("anthropic-messages", seed=7), freehold_tags="team=search, env=prod")
    headers = answer.headers
    assert headers["freehold-exchange"] == headers["x-request-id"]
    assert headers["freehold-target"] == "anthropic-messages/claude-sonnet-4-5"
    assert headers["freehold-attempts"] == "1"
    assert "seed" in headers["freehold-loss"]
    assert float(headers["freehold-cost"]) > 0
    record = gateway.records()[-1]
    assert record.id == headers["freehold-exchange"]
    assert record.tags == {"team": "search", "env": "prod"}
    assert record.attempts[0].request_id == "req_011CTupstream"
    assert record.usage is not None
    assert (record.usage.input_tokens, record.usage.output_tokens) == (20, 12)


def test_strictness_is_the_callers_choice(post: Post, gateway: Gateway) -> None:
    answer = post(chat("anthropic-messages", seed=7), freehold_on_loss="reject")
    assert answer.status == 400
    assert "seed" in answer.json()["error"]["message"]
    assert gateway.emulators["anthropic-messages"].asked == []


def test_nothing_of_a_client_crosses_but_its_protocol(post: Post, gateway: Gateway) -> None:
    answer = post(
        chat("openai-chat"),
        authorization=f"Bearer {PLANTED}",
        cookie=f"session={PLANTED}",
        proxy_authorization=PLANTED,
        x_forwarded_for="10.9.8.7",
        x_stainless_lang="python",
        te="trailers",
        freehold_tags="a=b",
    )
    assert answer.status == 200
    asked = gateway.emulators["openai-chat"].asked[-1]  # whose emulator refuses every header that is not its own
    assert PLANTED not in f"{asked.headers}{asked.query}{asked.body!r}"


def test_the_record_holds_no_content_and_no_secret(post: Post, gateway: Gateway) -> None:
    post(chat("openai-chat", f"my password is {PLANTED}"), authorization=f"Bearer {PLANTED}")
    post(chat("openai-chat", f"{PLANTED} scenario=error-400"), x_api_key=PLANTED)
    post(chat("no-such-model", PLANTED), api_key=PLANTED)
    post(b'{"model": "anthropic-messages", "messages": "%b"}' % PLANTED.encode())
    eventually(lambda: len(gateway.records()) >= 3)
    for path in Path(gateway.folder).rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert PLANTED.encode() not in data, path
            assert "Hello from Lisbon" not in data.decode(errors="replace"), path


# --- Lanes -----------------------------------------------------------------------------------------------------------

_OPTIONS = {"freehold": {"provider_options": {}}}
"""Has no effect, but must be read: so the request leaves the tunnel."""


@pytest.mark.parametrize(
    ("path", "model", "body"),
    [
        (
            "/v1/chat/completions",
            "openai-chat",
            {"messages": [{"role": "user", "content": "Hi"}], "temperature": 0.5, "max_tokens": 9, "user": "u"},
        ),
        (
            "/v1/messages",
            "anthropic-messages",
            {"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}], "metadata": {"user_id": "u"}},
        ),
        ("/v1/responses", "openai-responses", {"input": "Hi", "max_output_tokens": 99, "truncation": "auto"}),
    ],
)
def test_tunnel_and_same_language_say_the_same(
    gateway: Gateway, path: str, model: str, body: dict[str, object]
) -> None:
    headers = {**JSON, "anthropic-version": "2023-06-01"} if "messages" in path else JSON
    sent: list[object] = []
    answers: list[object] = []
    for options in ({}, _OPTIONS):
        whole = json.dumps({"model": model, **body, **options}).encode()
        answer = request(gateway, "POST", path, whole, headers)
        assert answer.status == 200
        sent.append(json.loads(gateway.emulators[model].asked[-1].body))
        answers.append(answer.json())
    lanes = [record.attempts[0].lane for record in gateway.records()[-2:]]
    assert lanes == ["tunnel", "same-language"]
    assert sent[0] == sent[1]
    assert answers[0] == answers[1]


# --- Streams ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_a_client_that_leaves_ends_the_upstream_call(gateway: Gateway, path: str) -> None:
    server = gateway.emulators["openai-chat"].server
    before = server.left_early
    pieces = (chunk("more ") for _ in itertools.count())
    gateway.emulators["openai-chat"].instead = lambda _: Reply(headers=SSE, pieces=pieces, gap=0.005)
    link = open_stream(gateway, path, chat("openai-chat", stream=True, max_tokens=9))
    assert link.recv(64).startswith(b"HTTP/1.1 200")
    link.close()
    eventually(lambda: server.left_early == before + 1)
    eventually(lambda: gateway.records()[-1].outcome == "client_gone")
    assert gateway.service.road.open == 0


def test_a_client_that_leaves_before_the_first_word_does_so_too(gateway: Gateway) -> None:
    server = gateway.emulators["anthropic-messages"].server
    before = server.left_early
    gateway.emulators["anthropic-messages"].instead = lambda _: Reply(headers=SSE, pieces=[], ending="silence")
    link = open_stream(gateway, "/v1/messages", chat("anthropic-messages", stream=True, max_tokens=9))
    eventually(lambda: len(gateway.emulators["anthropic-messages"].asked) == 1)
    link.close()
    eventually(lambda: server.left_early == before + 1)


def test_a_slow_reader_holds_the_upstream_back(gateway: Gateway) -> None:
    server = gateway.emulators["openai-chat"].server
    before = server.bytes_sent
    text = "x" * 4096
    pieces = (chunk(text) for _ in itertools.count())
    gateway.emulators["openai-chat"].instead = lambda _: Reply(headers=SSE, pieces=pieces)
    link = open_stream(gateway, "/v1/messages", chat("openai-chat", stream=True, max_tokens=9))
    assert link.recv(64).startswith(b"HTTP/1.1 200")
    sent = -1
    while server.bytes_sent != sent:  # until the buffers between are full
        sent = server.bytes_sent
        time.sleep(0.15)
    assert 0 < sent - before < 32 * 1024 * 1024, "socket buffers, not the whole of it"
    link.close()
    eventually(lambda: gateway.service.road.open == 0)


def test_shutdown_lets_a_stream_finish(tmp_path: Path) -> None:
    gateway = Gateway(
        tmp_path,
        keys=False,
        more=MORE.replace("{dead}", str(closed_port())),
        upstreams={name: UPSTREAMS[name] for name in ("openai-chat", "anthropic-messages")},
    )
    gateway.start()
    try:
        go_on = threading.Event()

        def pieces() -> Iterator[bytes]:
            yield chunk("first ")
            for _ in range(400):
                if go_on.is_set():
                    break
                yield b": wait\n\n"
            yield chunk("last")
            yield b"data: [DONE]\n\n"

        gateway.emulators["openai-chat"].instead = lambda _: Reply(headers=SSE, pieces=pieces(), gap=0.01)
        connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=10)
        connection.request("POST", "/v1/chat/completions", chat("openai-chat", stream=True), JSON)
        response = connection.getresponse()
        assert b"first" in response.readline()

        async def stop() -> None:
            gateway.service.stop_listening()
            await gateway.service.crew.drain(5.0)

        stopping = threading.Thread(target=gateway.run, args=(stop(),))
        stopping.start()
        eventually(lambda: not _accepts(gateway))
        go_on.set()
        rest = response.read()
        assert b"last" in rest
        assert b"[DONE]" in rest
        stopping.join(10)
        connection.close()
        assert gateway.records()[-1].outcome == "ok"
    finally:
        gateway.stop()


def _accepts(gateway: Gateway) -> bool:
    try:
        socket.create_connection((gateway.host, gateway.port), timeout=1).close()
    except OSError:
        return False
    return True
