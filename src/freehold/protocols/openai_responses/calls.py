"""Calls of functions and of custom tools, which take free text; and the names of tools inside a namespace.

Others know a tool inside a namespace by one name, and a custom tool as a function of one text.  A call keeps in its
place what this protocol says instead: the namespace and the name in it, and that the input is text.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

import msgspec

from freehold.errors import CallerError
from freehold.ir import Extra, JsonObject, ToolCall, parse_json, write_json
from freehold.protocols.openai_responses.language import LANGUAGE, PLACE, place_in
from freehold.protocols.openai_responses.residual import residual

INPUT: Final = "input"
"""The one argument of a custom tool that others call as a function."""

_CUSTOM: Final = "custom"
"""In a place: the call's input is text."""

_TOP: Final = "functions"
"""The namespace that OpenAI's models give to functions without one."""

_MAX_NAME: Final = 64
"""Longest name of a tool that every protocol takes, in characters."""


def flat_name(space: str | None, name: str) -> str:
    """One name for a tool inside a namespace.

    A tool that is found by a search is called in a namespace of its own name.
    """
    if space is None or space in (_TOP, name):
        return name
    joined = f"{space}__{name}"
    if len(joined) <= _MAX_NAME:
        return joined
    return f"{joined[:55]}_{sha256(joined.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def called(*, name: str, space: str | None, custom: bool) -> JsonObject:
    """The place of a call; empty for a plain function."""
    place: JsonObject = {} if space is None else {"namespace": space, "name": name}
    if custom:
        place[_CUSTOM] = True
    return place


def is_custom(place: JsonObject) -> bool:
    """Whether a call's input is text."""
    return _CUSTOM in place


def read_call(item: JsonObject, status: str) -> ToolCall | None:
    """A call of a function or of a custom tool; None for one that can not be understood."""
    space = item.get("namespace")
    match item:
        case {"type": "function_call", "call_id": str(call), "name": str(name), "arguments": str(arguments)} if call:
            custom = False
        case {"type": "custom_tool_call", "call_id": str(call), "name": str(name), "input": str(text)} if call:
            arguments, custom = write_json({INPUT: text}).decode(), True
        case _:
            return None
    if not isinstance(space, str):
        space = None
    place = called(name=name, space=space, custom=custom)
    mark: JsonObject = {PLACE: place} if place else {}
    bare = ToolCall(id=call, name=flat_name(space, name), arguments=arguments, extra=Extra(LANGUAGE, mark))
    left = residual(item, call_item(bare, status))
    return msgspec.structs.replace(bare, extra=Extra(LANGUAGE, {**left, **mark}))


def call_item(call: ToolCall, status: str = "completed") -> JsonObject:
    """A call as this protocol writes it by itself, in its place."""
    place = place_in(call.extra)
    custom = is_custom(place)
    written: JsonObject = {"type": "custom_tool_call" if custom else "function_call", "status": status}
    if custom:
        written[INPUT] = text_of(call.arguments)
    else:
        written["arguments"] = call.arguments
    written["call_id"] = call.id
    written["name"] = place.get("name", call.name)
    if "namespace" in place:
        written["namespace"] = place["namespace"]
    return written


def text_of(arguments: str) -> str:
    """The text that a custom tool is called with; arguments of another form as they are."""
    try:
        value = parse_json(arguments)
    except CallerError:
        return arguments
    match value:
        case {"input": str(text)}:
            return text
        case {}:
            return arguments if value else ""
        case str(text):
            return text
        case _:
            return arguments
