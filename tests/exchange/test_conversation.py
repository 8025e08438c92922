"""Conversations: the same from turn to turn in every protocol, never shared between projects, and no words kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.exchange.conversation import conversation_of
from freehold.exchange.door import Arrival
from freehold.exchange.lanes import glance
from freehold.protocols.codec import Operation, WireRequest
from freehold.protocols.registry import CODECS


def digest(
    body: dict[str, Any], codec: str, path: str, *, project: str = "p", operation: Operation = "generate"
) -> bytes:
    wire = WireRequest(path=path, body=json.dumps(body).encode())
    arrival = Arrival(
        id="fx",
        codec=CODECS[codec],
        operation=operation,
        wire=wire,
        project=project,
        key=None,
        models=(),
        started=0.0,
        deadline=0.0,
    )
    return conversation_of(arrival, glance(CODECS[codec].manners, wire))


def words(text: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text}]


CHAT = ("openai-chat", "/v1/chat/completions", "messages", {"model": "m", "tools": [{"type": "function"}]})
RESPONSES = ("openai-responses", "/v1/responses", "input", {"model": "m", "instructions": "Be brief."})
CLAUDE = ("anthropic-messages", "/v1/messages", "messages", {"model": "m", "system": "Be brief.", "max_tokens": 9})
CONVERSE = ("bedrock-converse", "/model/m/converse", "messages", {"system": [{"text": "Be brief."}]})
GEMINI = ("gemini-generate", "/v1beta/models/m:generateContent", "contents", {"systemInstruction": {"parts": []}})
SHAPES: dict[str, tuple[Any, ...]] = {
    "chat": (*CHAT, lambda role, text: {"role": role, "content": text}),
    "responses": (*RESPONSES, lambda role, text: {"role": role, "content": text}),
    "claude": (*CLAUDE, lambda role, text: {"role": role, "content": words(text)}),
    "converse": (*CONVERSE, lambda role, text: {"role": role, "content": [{"text": text}]}),
    "gemini": (
        *GEMINI,
        lambda role, text: {"role": "model" if role == "assistant" else role, "parts": [{"text": text}]},
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [10, 40_000])
def test_the_turns_that_follow_change_nothing_and_another_beginning_does(shape: str, size: int) -> None:
    codec, path, name, rest, turn = SHAPES[shape]
    opening = turn("user", "Count to ten. " * size)
    first = digest({**rest, name: [opening]}, codec, path)
    later = digest({**rest, name: [opening, turn("assistant", "1"), turn("user", "Go on.")]}, codec, path)
    assert first == later
    assert len(first) == 16
    assert digest({**rest, name: [turn("user", "Something else.")]}, codec, path) != first
    assert digest({**rest, name: [opening]}, codec, path, project="q") != first
    assert digest({**rest, name: [opening]}, codec, path, operation="embed") == b""


def test_system_messages_before_the_first_turn_belong_to_the_beginning() -> None:
    codec, path, _, rest, turn = SHAPES["chat"]
    one = digest({**rest, "messages": [turn("system", "one"), turn("user", "Hi")]}, codec, path)
    two = digest({**rest, "messages": [turn("system", "two"), turn("user", "Hi")]}, codec, path)
    assert one != two


def test_marks_that_move_on_with_the_conversation_do_not_count() -> None:
    """Agents mark the newest turn for the cache, so that the first turn is marked in the first request only."""
    codec, path, _, rest, turn = SHAPES["claude"]
    marked = [{"type": "text", "text": "Hello", "cache_control": {"type": "ephemeral"}}]
    first = digest({**rest, "messages": [{"role": "user", "content": marked}]}, codec, path)
    plain = digest({**rest, "messages": [{"role": "user", "content": "Hello"}]}, codec, path)
    assert first == digest({**rest, "messages": [turn("user", "Hello"), turn("assistant", "Hi")]}, codec, path) == plain


def test_a_cache_key_of_the_clients_own_tells_conversations_apart() -> None:
    codec, path, _, rest, turn = SHAPES["responses"]
    body = {**rest, "input": [turn("user", "Hello")]}
    assert digest({**body, "prompt_cache_key": "a"}, codec, path) != digest(
        {**body, "prompt_cache_key": "b"}, codec, path
    )


@pytest.mark.parametrize("turns", ["Hello", 7, [], [1, None], {"role": "user"}, "[" * 100])
def test_strange_turns_are_no_error(turns: object) -> None:
    assert digest({"model": "m", "messages": turns}, "openai-chat", "/v1/chat/completions")


def test_depth_is_no_way_to_break_it() -> None:
    wire = WireRequest(path="/v1/messages", body=b'{"model":"m","messages":[' + b"[" * 900 + b"]" * 900 + b"]}")
    arrival = Arrival(
        id="fx",
        codec=CODECS["anthropic-messages"],
        operation="generate",
        wire=wire,
        project="p",
        key=None,
        models=(),
        started=0.0,
        deadline=0.0,
    )
    assert conversation_of(arrival, glance(arrival.codec.manners, wire))
