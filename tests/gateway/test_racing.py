"""Hedging and cascades over real sockets, for clients of every protocol."""

from __future__ import annotations

import json

import pytest

from tests.gateway.conftest import Post, chat, request
from tests.gateway.test_failover import SSE, WORDS, both_ways, error, words
from tests.gateway.test_front_door import JSON, chunk, eventually, open_stream
from tests.upstreams.gateway import Gateway
from tests.upstreams.server import SILENT, Reply

FIRST = "openai-chat/gpt-4o"
SECOND = "anthropic-messages/claude-sonnet-4-5"

TEXT = "Hello (scenario=text)"
TURN = {"role": "user", "content": TEXT}
CLIENTS: dict[str, tuple[str, dict[str, object]]] = {
    "openai-chat": ("/v1/chat/completions", {"messages": [TURN]}),
    "openai-responses": ("/v1/responses", {"input": TEXT}),
    "anthropic-messages": ("/v1/messages", {"messages": [TURN], "max_tokens": 50}),
    "gemini-generate": ("/v1beta/models/MODEL:", {"contents": [{"role": "user", "parts": [{"text": TEXT}]}]}),
    "bedrock-converse": ("/model/MODEL/", {"messages": [{"role": "user", "content": [{"text": TEXT}]}]}),
}
every_client = pytest.mark.parametrize("client", CLIENTS)


def ask(gateway: Gateway, client: str, model: str, *, stream: bool) -> tuple[int, bytes, dict[str, str]]:
    """The same question in a client's own words."""
    path, body = CLIENTS[client]
    match client:
        case "gemini-generate":
            path = path.replace("MODEL", model) + ("streamGenerateContent?alt=sse" if stream else "generateContent")
        case "bedrock-converse":
            path = path.replace("MODEL", model) + ("converse-stream" if stream else "converse")
        case _:
            body = {**body, "model": model, "stream": stream}
    answer = request(gateway, "POST", path, json.dumps(body).encode(), {**JSON, "anthropic-version": "2023-06-01"})
    return answer.status, answer.body, answer.headers


def cut_short(*, stream: bool) -> Reply:
    """A Chat answer that met its limit."""
    if stream:
        choice = {"index": 0, "delta": {}, "finish_reason": "length"}
        last = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
        end = [b"data: %b\n\n" % json.dumps(last).encode(), b"data: [DONE]\n\n"]
        return Reply(headers=SSE, pieces=[chunk("Half of an"), *end])
    message = {"role": "assistant", "content": "Half of an"}
    body = {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 3, "total_tokens": 23},
    }
    return Reply(body=json.dumps(body).encode())


def first_is_quicker(gateway: Gateway) -> None:
    """As far as was measured, and hedges have been earned."""
    road = gateway.service.road
    for number, candidate in enumerate(gateway.service.serving.snapshot.resolver.resolve("raced").candidates):
        road.health.answered(candidate, first_token=0.01 * (number + 1), speed=100.0)
    road.purses.of("raced").earn(1e9, 1.0)


@every_client
@both_ways
def test_the_second_answers_while_the_first_is_silent(gateway: Gateway, client: str, *, stream: bool) -> None:
    server = gateway.emulators["openai-chat"].server
    before = server.left_early - server.requests
    first_is_quicker(gateway)
    gateway.emulators["openai-chat"].instead = lambda _: SILENT
    status, body, headers = ask(gateway, client, "raced", stream=stream)
    assert status == 200
    assert b"Lisbon" in body
    assert headers["freehold-target"] == SECOND
    # It may be cut before its request was sent; a request that did arrive has lost its caller.
    eventually(lambda: server.left_early - server.requests == before)
    record = gateway.records()[-1]
    assert [attempt.lost for attempt in record.attempts] == [True, False]
    loser, winner = record.attempts
    assert loser.usage is not None
    assert winner.usage is not None
    assert (loser.usage.source, winner.usage.source) == ("estimate", "provider")
    assert (loser.usage.input_tokens or 0) > 0
    assert record.cost_nano_usd == (loser.cost_nano_usd or 0) + (winner.cost_nano_usd or 0)
    assert (loser.cost_nano_usd or 0) > 0
    eventually(lambda: gateway.service.road.open == 0)


@both_ways
def test_a_client_that_leaves_the_race_ends_it_everywhere(gateway: Gateway, *, stream: bool) -> None:
    servers = [gateway.emulators[name].server for name in ("openai-chat", "anthropic-messages")]
    before = [server.left_early - server.requests for server in servers]
    for name in ("openai-chat", "anthropic-messages"):
        gateway.emulators[name].instead = lambda _: SILENT
    first_is_quicker(gateway)
    link = open_stream(gateway, "/v1/chat/completions", chat("raced", stream=stream))
    eventually(lambda: len(gateway.emulators["anthropic-messages"].asked) == 1)
    link.close()
    eventually(lambda: [server.left_early - server.requests for server in servers] == before)
    eventually(lambda: gateway.service.road.open == 0)


@both_ways
def test_both_fail(post: Post, gateway: Gateway, *, stream: bool) -> None:
    beating = Reply(headers=SSE, pieces=[b": wait\n\n"] * 20, gap=0.01, ending="reset")
    gateway.emulators["openai-chat"].instead = lambda _: beating
    gateway.emulators["anthropic-messages"].instead = lambda _: error(500)
    first_is_quicker(gateway)
    answer = post(chat("raced", stream=stream))
    assert answer.status >= 500
    assert answer.json()["error"]["message"]
    record = gateway.records()[-1]
    assert all(attempt.error for attempt in record.attempts)
    assert record.usage is None


@every_client
@both_ways
def test_an_answer_that_does_not_pass_is_not_seen(gateway: Gateway, client: str, *, stream: bool) -> None:
    gateway.emulators["openai-chat"].instead = lambda _: cut_short(stream=stream)
    status, body, headers = ask(gateway, client, "checked", stream=stream)
    assert status == 200
    assert b"Lisbon" in body
    assert b"Half" not in body
    assert headers["freehold-target"] == SECOND
    record = gateway.records()[-1]
    assert [attempt.check for attempt in record.attempts] == ["finish: length", None]
    assert record.outcome == "ok"


@every_client
@both_ways
def test_an_answer_that_passes_is_sent(gateway: Gateway, client: str, *, stream: bool) -> None:
    status, body, headers = ask(gateway, client, "checked", stream=stream)
    assert status == 200
    assert b"Lisbon" in body
    assert headers["freehold-target"] == FIRST
    assert gateway.emulators["anthropic-messages"].asked == []


@both_ways
def test_a_request_may_ask_for_them(post: Post, gateway: Gateway, *, stream: bool) -> None:
    gateway.emulators["openai-chat"].instead = lambda _: cut_short(stream=stream)
    answer = post(chat("both", stream=stream), freehold_strategy="cascade")
    assert words(answer.body) == WORDS
    assert gateway.records()[-1].strategy == "cascade"
    gateway.emulators["openai-chat"].instead = None
    assert words(post(chat("both", stream=stream), freehold_strategy="hedged").body) == WORDS
    assert gateway.records()[-1].strategy == "hedged"
