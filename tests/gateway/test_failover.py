"""Another target is asked while nothing has reached the client and the caller is not to blame."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from tests.gateway.conftest import Post, chat
from tests.upstreams.gateway import Gateway
from tests.upstreams.server import SILENT, Asked, Reply

WORDS = "Hello from Lisbon — já é verão 🌞!"
SSE = (("content-type", "text/event-stream"),)
START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 30, "output_tokens": 1},
    },
}
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


def event(value: Mapping[str, object]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (str(value["type"]).encode(), json.dumps(value).encode())


def error(status: int, **headers: str) -> Reply:
    body = json.dumps({"error": {"message": "no", "type": "server_error", "param": None, "code": None}}).encode()
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Reply(status=status, headers=(("content-type", "application/json"), *named), body=body)


def words(body: bytes) -> str:
    """The text of a whole or a streamed Chat answer."""
    if body.startswith(b"{"):
        return json.loads(body)["choices"][0]["message"]["content"]
    lines = [line[6:] for line in body.split(b"\n") if line.startswith(b"data: {")]
    deltas = [choice["delta"] for line in lines for choice in json.loads(line)["choices"]]
    assert b"data: [DONE]" in body
    return "".join(delta.get("content") or "" for delta in deltas)


FAILURES = {
    "429": error(429),
    "429-with-retry-after": error(429, retry_after="30"),
    "500": error(500),
    "503": error(503),
    "529": error(529),
    "401": error(401),
    "stall": SILENT,
    "empty-stream": Reply(headers=SSE, pieces=[]),
    "error-inside-200": Reply(body=b'{"error": {"message": "no", "type": "server_error", "code": 500}}'),
    "error-event-first": Reply(headers=SSE, pieces=[b'data: {"error": {"message": "no", "type": "server_error"}}\n\n']),
    "reset-before-words": Reply(headers=SSE, pieces=[b": hello\n\n"], ending="reset"),
    "garbage": Reply(body=b"<html>not JSON</html>"),
}


@both_ways
@pytest.mark.parametrize("failure", FAILURES)
def test_the_next_target_answers(post: Post, gateway: Gateway, failure: str, *, stream: bool) -> None:
    gateway.emulators["openai-chat"].instead = lambda _: FAILURES[failure]
    answer = post(chat("both", stream=stream))
    assert answer.status == 200
    assert words(answer.body) == WORDS
    assert answer.headers["freehold-target"] == "anthropic-messages/claude-sonnet-4-5"
    assert answer.headers["freehold-attempts"] == "2"
    record = gateway.records()[-1]
    assert [attempt.target for attempt in record.attempts] == [
        "openai-chat/gpt-4o",
        "anthropic-messages/claude-sonnet-4-5",
    ]
    assert record.attempts[0].error
    assert record.outcome == "ok"


ANNOUNCED = {
    "error": Reply(headers=SSE, pieces=[event(START), event({"type": "error", "error": {"type": "overloaded_error"}})]),
    "reset": Reply(headers=SSE, pieces=[event(START)], ending="reset"),
    "end": Reply(headers=SSE, pieces=[event(START)]),
}


@pytest.mark.parametrize("how", ANNOUNCED)
def test_an_announcement_is_taken_back_and_paid_for(post: Post, gateway: Gateway, how: str) -> None:
    """A stream that began and broke before its first word: the client never hears of it, but the record does."""
    gateway.emulators["anthropic-messages"].instead = lambda _: ANNOUNCED[how]
    answer = post(chat("claude-first", stream=True))
    assert words(answer.body) == WORDS
    record = gateway.records()[-1]
    assert answer.headers["freehold-target"] == "openai-chat/gpt-4o"
    first, second = (attempt.usage for attempt in record.attempts)
    assert first is not None
    assert second is not None
    assert (first.source, first.input_tokens, first.output_tokens) == ("partial", 30, 1)
    assert (second.source, second.input_tokens, second.output_tokens) == ("provider", 20, 12)
    assert record.usage is not None
    assert (record.usage.source, record.usage.input_tokens, record.usage.output_tokens) == ("partial", 50, 13)
    costs = [attempt.cost_nano_usd or 0 for attempt in record.attempts]
    assert all(costs)
    assert record.cost_nano_usd == sum(costs)


@both_ways
def test_a_refused_connection_costs_nothing_but_a_moment(post: Post, *, stream: bool) -> None:
    answer = post(chat("from-dead", stream=stream))
    assert (answer.status, words(answer.body)) == (200, WORDS)
    assert answer.headers["freehold-attempts"] == "2"


@both_ways
def test_never_for_what_the_caller_did(post: Post, gateway: Gateway, *, stream: bool) -> None:
    gateway.emulators["openai-chat"].instead = lambda _: error(400)
    answer = post(chat("both", stream=stream))
    assert answer.status == 400
    assert answer.headers["freehold-attempts"] == "1"
    assert gateway.emulators["anthropic-messages"].asked == []


def test_one_that_asked_to_be_left_alone_is_asked_last(post: Post, gateway: Gateway) -> None:
    gateway.emulators["openai-chat"].instead = lambda _: error(429, retry_after="30")
    post(chat("both"))
    again = post(chat("both"))
    assert again.headers["freehold-target"] == "anthropic-messages/claude-sonnet-4-5"
    assert again.headers["freehold-attempts"] == "1"


def test_all_fail(post: Post, gateway: Gateway) -> None:
    for name in ("openai-chat", "anthropic-messages"):
        gateway.emulators[name].instead = lambda _: error(503)
    answer = post(chat("both"))
    assert answer.status in {502, 503}
    assert answer.json()["error"]["message"]
    assert gateway.records()[-1].outcome == "failed"


def test_a_short_wait_is_waited(post: Post, gateway: Gateway) -> None:
    """Every target asks for a moment; the road waits itself and asks again."""
    seen: list[Asked] = []

    def instead(asked: Asked) -> Reply | None:
        seen.append(asked)
        return error(429, retry_after_ms="20") if len(seen) == 1 else None

    gateway.emulators["openai-chat"].instead = instead
    answer = post(chat("openai-chat"))
    assert (answer.status, answer.headers["freehold-attempts"]) == (200, "2")


@both_ways
def test_nothing_is_retried_once_words_have_come(post: Post, gateway: Gateway, *, stream: bool) -> None:
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    piece = json.dumps({**chunk, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hi"}}]}).encode()
    broken = Reply(headers=SSE, pieces=[b"data: %b\n\n" % piece], ending="reset")
    gateway.emulators["openai-chat"].instead = lambda _: broken if stream else error(400)
    if not stream:
        assert post(chat("both")).status == 400
        return
    import http.client

    connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=10)
    connection.request("POST", "/v1/chat/completions", chat("both", stream=True), {"content-type": "application/json"})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    assert b"Hi" in body
    assert b'"error"' in body
    assert b"[DONE]" not in body
    assert gateway.emulators["anthropic-messages"].asked == []
