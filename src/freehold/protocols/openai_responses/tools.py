"""The tools that a client offers: in `tools`, or in an item of the conversation; alone, or inside a namespace.

Each function and each custom tool is a `Tool`, wherever it stands, so that every model can be offered it.  Where it
stood is its place, noted beside it: the item, and the namespace with the fields that the first of its tools keeps.
A custom tool takes free text; to others it is a function whose one argument is that text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from freehold.ir import CachePoint, Extra, Generate, JsonObject, JsonValue, Losses, Opaque, Request, Tool
from freehold.protocols.openai_responses.calls import INPUT, called, flat_name
from freehold.protocols.openai_responses.language import LANGUAGE, PLACE, carry, ours, place_in
from freehold.protocols.openai_responses.residual import residual

ITEM: Final = "item"
"""In a place: the number of the item that offers the tool, counted over the items that offer any."""

_AROUND: Final = "around"
"""In a place: the namespace that begins with this tool, without its tools."""

_INSIDE: Final = "inside"
"""In a place: the name of the namespace that this tool continues."""

Written = Mapping[int | None, list[JsonValue]]
"""Tools as they are written: those of `tools` under None, those of an item under its number."""

# --- Reading ---------------------------------------------------------------------------------------------------------


def read_tools(offered: Sequence[JsonObject], items: Sequence[Sequence[JsonObject]]) -> tuple[Tool | Opaque, ...]:
    """The tools of a request: those in `tools`, then those of each item.

    A name that was offered before stays with its first tool: no other protocol takes it twice.
    """
    tools: list[Tool | Opaque] = []
    names: set[str] = set()
    for number, wires in ((None, offered), *enumerate(items)):
        here: JsonObject = {} if number is None else {ITEM: number}
        for wire in wires:
            for place, one in _apart(wire, here):
                tool = _read_tool(one, place)
                if tool is None or tool.name in names:
                    tools.append(Opaque(origin=LANGUAGE, value={**one, PLACE: place} if place else one))
                    continue
                names.add(tool.name)
                tools.append(tool)
    return tuple(tools)


def _apart(wire: JsonObject, here: JsonObject) -> list[tuple[JsonObject, JsonObject]]:
    """The tools of a namespace, each with its place; any other tool alone."""
    match wire:
        case {"type": "namespace", "name": str(space), "tools": list(inner)} if inner:
            around = {name: value for name, value in wire.items() if name != "tools"}
            apart: list[tuple[JsonObject, JsonObject]] = []
            for one in inner:
                if not isinstance(one, dict):
                    return [(here, wire)]
                apart.append(({**here, _INSIDE: space} if apart else {**here, _AROUND: around}, one))
            return apart
        case _:
            return [(here, wire)]


def _space(place: JsonObject) -> str | None:
    """The name of the namespace that a tool stands in."""
    around = place.get(_AROUND)
    name = around.get("name") if isinstance(around, dict) else place.get(_INSIDE)
    return name if isinstance(name, str) else None


def _read_tool(wire: JsonObject, place: JsonObject) -> Tool | None:
    """A function, or a custom tool as one; None for what only this protocol has."""
    kind, name, description, strict = (wire.get(one) for one in ("type", "name", "description", "strict"))
    if kind not in ("function", "custom") or not isinstance(name, str) or "namespace" in wire:
        return None
    parameters = _free_text(wire.get("format")) if kind == "custom" else wire.get("parameters")
    bare = Tool(
        name=flat_name(_space(place), name),
        description=description if isinstance(description, str) else None,
        parameters=parameters if isinstance(parameters, dict) else None,
        strict=strict if isinstance(strict, bool) else None,
    )
    left = residual(wire, _function(bare))
    around = place.get(_AROUND)
    if isinstance(around, dict) and around.get("description"):
        left["namespace"] = True  # what it says of itself reaches no other protocol
    if place:
        left[PLACE] = place
    return msgspec.structs.replace(bare, extra=Extra(LANGUAGE, left))


def _free_text(form: JsonValue) -> JsonObject:
    """The schema of a function that takes one text, and what grammar that must follow."""
    text: JsonObject = {"type": "string"}
    match form:
        case {"type": "grammar", "syntax": str(syntax), "definition": str(definition)}:
            text["description"] = f"Text that follows this {syntax} grammar:\n{definition}"
        case _:
            pass
    return {"type": "object", "properties": {INPUT: text}, "required": [INPUT], "additionalProperties": False}


# --- Writing ---------------------------------------------------------------------------------------------------------


def write_tools(tools: Sequence[Tool | CachePoint | Opaque], losses: Losses) -> Written:
    """Every tool where it stood; those of another language in `tools`."""
    written: dict[int | None, list[JsonValue]] = {None: []}
    open_spaces: dict[int | None, tuple[str, list[JsonValue]]] = {}
    for index, tool in enumerate(tools):
        path = f"tools[{index}]"
        match tool:
            case Tool():
                place, wire = place_in(tool.extra), _write_tool(tool, losses, path)
            case CachePoint():
                losses.add(path, "dropped", "behaviour", "the provider decides what to cache")
                continue
            case Opaque() if tool.origin is LANGUAGE:
                found = tool.value.get(PLACE)
                place = found if isinstance(found, dict) else {}
                wire = {name: value for name, value in tool.value.items() if name != PLACE}
            case Opaque():
                losses.drop_opaque(tool, path, default="behaviour")
                continue
        number = place.get(ITEM)
        here = number if isinstance(number, int) else None
        into = written.setdefault(here, [])
        space = _space(place)
        if space is None:
            open_spaces.pop(here, None)
            into.append(wire)
            continue
        around, opened = place.get(_AROUND), open_spaces.get(here)
        if opened is None or opened[0] != space or isinstance(around, dict):
            inner: list[JsonValue] = []
            opened = open_spaces[here] = (space, inner)
            outer = around if isinstance(around, dict) else {"type": "namespace", "name": space}
            into.append({**outer, "tools": inner})
        opened[1].append(wire)
    return written


def _function(tool: Tool) -> JsonObject:
    """A function with what was said about it."""
    written: JsonObject = {"type": "function", "name": tool.name}
    for name, value in (
        ("description", tool.description),
        ("parameters", tool.parameters),
        ("strict", tool.strict),
    ):
        if value is not None:
            written[name] = value
    return written


def _write_tool(tool: Tool, losses: Losses, path: str) -> JsonObject:
    written = _function(tool)
    fields = ours(tool.extra)
    if fields is None:
        # Left out, `strict` means true here and false everywhere else; and parameters are required.
        written.setdefault("parameters", {"type": "object", "properties": {}})
        written.setdefault("strict", False)
    elif "namespace" in fields:
        own = Extra(LANGUAGE, {name: value for name, value in fields.items() if name != "namespace"})
        return carry(written, own, losses, path)
    return carry(written, tool.extra, losses, path)


# --- Being called ----------------------------------------------------------------------------------------------------


def places_of_calls(request: Request | None) -> dict[str, JsonObject]:
    """By the name under which others know it: how a call says which tool is meant, where the name alone does not."""
    places: dict[str, JsonObject] = {}
    if not isinstance(request, Generate):
        return places
    for tool in request.tools:
        fields = ours(tool.extra) if isinstance(tool, Tool) else None
        if fields is None or not isinstance(tool, Tool):
            continue
        name = fields.get("name", tool.name)
        place = called(
            name=name if isinstance(name, str) else tool.name,
            space=_space(place_in(tool.extra)),
            custom=fields.get("type") == "custom",
        )
        if place:
            places[tool.name] = place
    return places
