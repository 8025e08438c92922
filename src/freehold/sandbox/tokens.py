"""A simple, deterministic count of tokens: what the emulated clouds bill by and stream in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from freehold.ir import Generate, Media, Message, Reasoning, Refusal, Structured, Text, Tool, ToolCall, ToolResult
from freehold.ir import write_json as written

_PIECE: Final = re.compile(r"\s*(?:\w{1,8}|[^\w\s])|\s+")

_MESSAGE: Final = 3
"""Tokens that a message costs beside its words."""

_MEDIUM: Final = 85
"""Tokens of an image or document, whatever its size."""


def pieces(text: str) -> list[str]:
    """A text cut where a tokenizer might cut it: words of up to 8 letters with the space before them."""
    return _PIECE.findall(text)


def count(text: str) -> int:
    """How many pieces a text has."""
    return len(pieces(text))


def count_request(request: Generate) -> int:
    """The input tokens of a request: its messages and the tools that it offers."""
    tools = (tool for tool in request.tools if isinstance(tool, Tool))
    offered = sum(count(tool.name) + count(tool.description or "") + _json(tool.parameters) for tool in tools)
    return offered + sum(_MESSAGE + _parts(message) for message in request.messages)


def _parts(message: Message) -> int:
    return sum(_part(part) for part in message.parts)


def _part(part: object) -> int:
    match part:
        case Text(text=text) | Refusal(text=text) | Reasoning(text=text):
            return count(text)
        case ToolCall(name=name, arguments=arguments):
            return count(name) + count(arguments)
        case ToolResult(parts=parts):
            return _all(parts)
        case Structured(value=value):
            return _json(value)
        case Media():
            return _MEDIUM
        case _:
            return 0


def _all(parts: Iterable[object]) -> int:
    return sum(_part(part) for part in parts)


def _json(value: object) -> int:
    return 0 if value is None else count(written(value).decode())
