"""Requests with very much of one thing are written in time that grows with their size, not with its square.

The sizes are chosen so that the square would take minutes: pytest's own time limit is the judge.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from freehold.ir import JsonObject, JsonValue
from freehold.protocols.codec import Unsupported, WireRequest
from freehold.protocols.registry import CODECS

MANY = 30_000

USER: JsonObject = {"role": "user", "content": "a"}


def chat(**fields: JsonValue) -> JsonObject:
    return {"model": "m", "messages": [USER], **fields}


def tool(name: str) -> JsonObject:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}


def calling() -> list[JsonValue]:
    """A user's turn, and one with very many calls."""
    calls: list[JsonValue] = [
        {"id": f"c{number}", "type": "function", "function": {"name": "f", "arguments": "{}"}} for number in range(MANY)
    ]
    return [USER, {"role": "assistant", "content": None, "tool_calls": calls}]


def results() -> list[JsonValue]:
    return [{"role": "tool", "tool_call_id": f"c{number}", "content": "r"} for number in range(MANY)]


def gemini(role: str, part: JsonObject) -> JsonObject:
    return {"role": role, "parts": list[JsonValue]([part]) * MANY}


def document(number: int) -> JsonObject:
    return {"type": "file", "file": {"filename": f"{number % 2}.pdf", "file_data": "data:application/pdf;base64,AA=="}}


CHAT, GEMINI = "/v1/chat/completions", "/v1beta/models/m:generateContent"
SHAPES: dict[str, tuple[str, str, Callable[[], JsonObject]]] = {
    "turns of one role": ("openai-chat", CHAT, lambda: chat(messages=list[JsonValue]([USER]) * MANY)),
    "tools of one name": ("openai-chat", CHAT, lambda: chat(tools=list[JsonValue]([tool("a b")]) * MANY)),
    "tools of names that become one": (
        "openai-chat",
        CHAT,
        lambda: chat(
            tools=[tool(f"a{chr(0x4E00 + number % 20_000)}{'é' * (number // 20_000)}") for number in range(MANY)]
        ),
    ),
    "calls and results": ("openai-chat", CHAT, lambda: chat(messages=[*calling(), *results()])),
    "calls without results": ("openai-chat", CHAT, lambda: chat(messages=calling())),
    "results without calls": ("openai-chat", CHAT, lambda: chat(messages=[USER, *results()])),
    "calls without ids": (
        "gemini-generate",
        GEMINI,
        lambda: {
            "contents": [
                {"role": "user", "parts": [{"text": "a"}]},
                gemini("model", {"functionCall": {"name": "f", "args": {}}}),
                gemini("user", {"functionResponse": {"name": "f", "response": {}}}),
            ]
        },
    ),
    "documents of two names": (
        "openai-chat",
        CHAT,
        lambda: chat(messages=[{"role": "user", "content": [document(number) for number in range(MANY)]}]),
    ),
}


@pytest.mark.parametrize(("codec", "path", "body"), SHAPES.values(), ids=SHAPES)
def test_very_much_of_one_thing(codec: str, path: str, body: Callable[[], JsonObject]) -> None:
    request = CODECS[codec].decode_request(WireRequest(path=path, body=msgspec.json.encode(body())))
    written = 0
    for other in CODECS.values():
        try:
            written += len(other.encode_request(request).value.body) > MANY
        except Unsupported:
            continue
    assert written >= 5
