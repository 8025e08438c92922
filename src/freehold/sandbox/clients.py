"""What each protocol's own client would send: written out by hand, so that nothing of our codecs helps.

`CLIENTS` are the applications of the demo: each asks a question in its vendor's words and reads the answer as that
vendor's library would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Literal
from urllib.parse import quote

import msgspec

from freehold.ir import JsonObject, JsonValue
from freehold.protocols.codec import Frame

LONGEST: Final = 300
"""Tokens that an answer may have; the scripted ones have some 40."""

KeyHeader = Literal["authorization", "api-key", "x-api-key", "x-goog-api-key", "signature"]


class Wire(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a client, before it is authenticated."""

    path: str
    body: JsonObject
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()


class VendorClient(msgspec.Struct, frozen=True, kw_only=True):
    """One vendor's client: how it asks (model, question, stream), where its key goes, how it reads what comes back."""

    protocol: str
    key: KeyHeader
    ask: Callable[[str, str, bool], Wire]
    said: Callable[[JsonValue], str]
    piece: Callable[[Frame], str]


def at(value: JsonValue, *path: str | int) -> JsonValue:
    """What stands there in a JSON value; None where nothing does."""
    for step in path:
        match value, step:
            case dict(), str():
                value = value.get(step)
            case list(), int() if -len(value) <= step < len(value):
                value = value[step]
            case _:
                return None
    return value


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else ""


def _items(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def _json(frame: Frame) -> JsonValue:
    try:
        return msgspec.json.decode(frame.data)
    except msgspec.DecodeError:
        return None  # `data: [DONE]`


# --- OpenAI ----------------------------------------------------------------------------------------------------------


def _messages(text: str) -> JsonValue:
    return [{"role": "user", "content": text}]


def _chat(model: str, text: str, stream: bool) -> Wire:  # noqa: FBT001 -- a column of the table below
    return Wire(path="/v1/chat/completions", body={"model": model, "messages": _messages(text), "stream": stream})


def _responses(model: str, text: str, stream: bool) -> Wire:  # noqa: FBT001 -- a column of the table below
    return Wire(path="/v1/responses", body={"model": model, "input": text, "stream": stream})


def _azure(model: str, text: str, stream: bool) -> Wire:  # noqa: FBT001 -- a column of the table below
    return Wire(
        path=f"/openai/deployments/{quote(model, safe='')}/chat/completions",
        query="api-version=2024-10-21",
        body={"messages": _messages(text), "stream": stream},
    )


def _said_in_chat(body: JsonValue) -> str:
    return _text(at(body, "choices", 0, "message", "content"))


def _said_in_responses(body: JsonValue) -> str:
    parts = (part for item in _items(at(body, "output")) for part in _items(at(item, "content")))
    return "".join(_text(at(part, "text")) for part in parts)


# --- Anthropic -------------------------------------------------------------------------------------------------------


def _anthropic(model: str, text: str, stream: bool) -> Wire:  # noqa: FBT001 -- a column of the table below
    return Wire(
        path="/v1/messages",
        headers=(("anthropic-version", "2023-06-01"),),
        body={"model": model, "max_tokens": LONGEST, "messages": _messages(text), "stream": stream},
    )


def _said_by_blocks(body: JsonValue) -> str:
    return "".join(_text(at(block, "text")) for block in _items(at(body, "content")))


# --- Amazon Bedrock --------------------------------------------------------------------------------------------------


def _converse(model: str, text: str, stream: bool) -> Wire:  # noqa: FBT001 -- a column of the table below
    verb = "converse-stream" if stream else "converse"
    return Wire(
        path=f"/model/{quote(model, safe='')}/{verb}",
        body={"messages": [{"role": "user", "content": [{"text": text}]}], "inferenceConfig": {"maxTokens": LONGEST}},
    )


def _invoke(model: str, text: str, stream: bool) -> Wire:  # noqa: FBT001 -- a column of the table below
    """The plainest body there is; it is accepted for any model."""
    verb = "invoke-with-response-stream" if stream else "invoke"
    return Wire(
        path=f"/model/{quote(model, safe='')}/{verb}",
        body={"prompt": text, "max_tokens": LONGEST, "temperature": 0.7},
    )


def _said_in_converse(body: JsonValue) -> str:
    return "".join(_text(at(block, "text")) for block in _items(at(body, "output", "message", "content")))


def _said_anywhere(body: JsonValue) -> str:
    """All words of a body: what InvokeModel answers depends on the model's family."""
    return " ".join(_strings(body))


def _strings(value: JsonValue) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from _strings(item)
        case dict():
            for item in value.values():
                yield from _strings(item)
        case _:
            return


# --- Gemini ----------------------------------------------------------------------------------------------------------


def _gemini(model: str, text: str, stream: bool) -> Wire:  # noqa: FBT001 -- a column of the table below
    verb = "streamGenerateContent" if stream else "generateContent"
    return Wire(
        path=f"/v1beta/models/{quote(model, safe='/')}:{verb}",
        query="alt=sse" if stream else "",
        body={"contents": [{"role": "user", "parts": [{"text": text}]}]},
    )


def _said_by_candidate(body: JsonValue) -> str:
    return "".join(_text(at(part, "text")) for part in _items(at(body, "candidates", 0, "content", "parts")))


CLIENTS: Final[tuple[VendorClient, ...]] = (
    VendorClient(
        protocol="openai-chat",
        key="authorization",
        ask=_chat,
        said=_said_in_chat,
        piece=lambda frame: _text(at(_json(frame), "choices", 0, "delta", "content")),
    ),
    VendorClient(
        protocol="openai-responses",
        key="authorization",
        ask=_responses,
        said=_said_in_responses,
        piece=lambda frame: _text(at(_json(frame), "delta")) if frame.event == "response.output_text.delta" else "",
    ),
    VendorClient(
        protocol="azure-openai",
        key="api-key",
        ask=_azure,
        said=_said_in_chat,
        piece=lambda frame: _text(at(_json(frame), "choices", 0, "delta", "content")),
    ),
    VendorClient(
        protocol="anthropic-messages",
        key="x-api-key",
        ask=_anthropic,
        said=_said_by_blocks,
        piece=lambda frame: _text(at(_json(frame), "delta", "text")),
    ),
    VendorClient(
        protocol="bedrock-converse",
        key="signature",
        ask=_converse,
        said=_said_in_converse,
        piece=lambda frame: _text(at(_json(frame), "delta", "text")),
    ),
    VendorClient(
        protocol="bedrock-invoke",
        key="signature",
        ask=_invoke,
        said=_said_anywhere,
        piece=lambda frame: _said_anywhere(_json(frame)),
    ),
    VendorClient(
        protocol="gemini-generate",
        key="x-goog-api-key",
        ask=_gemini,
        said=_said_by_candidate,
        piece=lambda frame: _said_by_candidate(_json(frame)),
    ),
)
"""In the order in which the demo's table has its rows."""
