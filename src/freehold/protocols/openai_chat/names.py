"""Names of tools: other protocols allow dots, colons and more letters than OpenAI, so some need another name here."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

import msgspec

from freehold.ir import Generate, Part, Request, Response, Tool, ToolCall

_ACCEPTED = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What OpenAI accepts: "Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'", up to 64 characters long."""

_FOREIGN = re.compile(r"[^A-Za-z0-9_-]")


def wire_name(name: str) -> str:
    """A name that servers accept: the same one where it fits, else one made from it, always the same."""
    if _ACCEPTED.fullmatch(name):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{_FOREIGN.sub('_', name)[:55]}_{digest[:8]}"


def own_names(request: Request | None) -> dict[str, str]:
    """The tools that had to be renamed for this request: their names by those on the wire."""
    if not isinstance(request, Generate):
        return {}
    renamed: dict[str, str] = {}
    for tool in request.tools:
        if isinstance(tool, Tool) and (written := wire_name(tool.name)) != tool.name:
            renamed[written] = tool.name
    return renamed


def give_back(response: Response, renamed: dict[str, str]) -> Response:
    """The answer with each call under the name that the tool was offered with."""
    if not renamed:
        return response
    choices = tuple(
        msgspec.structs.replace(choice, parts=tuple(_renamed(part, renamed.get) for part in choice.parts))
        for choice in response.choices
    )
    return msgspec.structs.replace(response, choices=choices)


def under_wire_names(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """A turn of another protocol with each call under the name that is offered on the wire."""
    return tuple(_renamed(part, wire_name) for part in parts)


def _renamed(part: Part, name_of: Callable[[str], str | None]) -> Part:
    if not isinstance(part, ToolCall):
        return part
    name = name_of(part.name)
    return part if name is None or name == part.name else msgspec.structs.replace(part, name=name)
