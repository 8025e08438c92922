"""Offered tools and the choice among them."""

from __future__ import annotations

import re
from typing import cast

from freehold.ir import (
    CachePoint,
    Generate,
    JsonObject,
    JsonValue,
    Losses,
    Opaque,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from freehold.protocols.free_names import FreeNames
from freehold.protocols.gemini_generate.language import EFFECT_OF_TOOL, ENTRY, LANGUAGE, STYLE, is_ours
from freehold.protocols.gemini_generate.schema import as_parameters, put_schema, take_schema
from freehold.protocols.gemini_generate.wire import Node, repeat, restore

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
"""Names of functions that the API takes."""

_MODES: dict[str, ToolChoice] = {
    "AUTO": ToolChoice(mode="auto"),
    "ANY": ToolChoice(mode="required"),
    "NONE": ToolChoice(mode="none"),
    "VALIDATED": ToolChoice(mode="auto"),
}
_MODE_OF_CHOICE = {"auto": "AUTO", "required": "ANY", "none": "NONE"}

# --- Reading ---------------------------------------------------------------------------------------------------------


def read_tools(values: list[JsonValue]) -> tuple[Tool | CachePoint | Opaque, ...] | None:
    """The offered tools, flat; entries without functions stay whole. None if an entry is not an object."""
    tools: list[Tool | CachePoint | Opaque] = []
    for value in values:
        if not isinstance(value, dict):
            return None
        functions = _read_entry(value)
        if functions is None:
            tools.append(Opaque(origin=LANGUAGE, value=value))
        else:
            tools.extend(functions)
    return tuple(tools)


def _read_entry(value: JsonObject) -> list[Tool] | None:
    """The functions of one entry; the first is marked as its beginning and carries what else the entry says."""
    node = Node(value)
    declared = node.take_items("functionDeclarations")
    if not declared:
        return None
    rest = node.rest()
    entry: JsonObject = {} if rest is None else rest.fields
    tools: list[Tool] = []
    for item in declared:
        tool = _read_function(item, entry if not tools else None)
        if tool is None:
            return None
        tools.append(tool)
    return tools


def _read_function(value: JsonValue, entry: JsonObject | None) -> Tool | None:
    if not isinstance(value, dict):
        return None
    node = Node(value)
    name = node.take_str("name")
    if name is None:
        return None
    description = node.take_str("description")
    schema = take_schema(node, "parameters", "parametersJsonSchema")
    if entry is not None:
        node.note(ENTRY, entry)
    return Tool(name=name, description=description, parameters=schema, extra=node.rest())


def take_tool_choice(config: Node) -> ToolChoice | None:
    """`functionCallingConfig` out of `toolConfig`; a mode of unknown form rides along."""
    value = config.peek("functionCallingConfig")
    if not isinstance(value, dict):
        return None
    node = Node(value)
    mode = node.peek("mode")
    known = _MODES.get(mode.upper()) if isinstance(mode, str) else None
    if known is None:
        return None
    names = node.peek("allowedFunctionNames")
    allowed: tuple[str, ...] = ()
    if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
        node.take("allowedFunctionNames")
        allowed = tuple(cast("list[str]", names))
    if isinstance(mode, str) and mode.upper() == _MODE_OF_CHOICE[known.mode]:
        node.take("mode")
        if mode != mode.upper():
            node.note(STYLE, mode)
    config.take("functionCallingConfig")
    return ToolChoice(mode=known.mode, names=allowed, extra=node.mark())


# --- Writing ---------------------------------------------------------------------------------------------------------


def tool_names(request: Generate) -> dict[str, str]:
    """The tools whose names the API would refuse, and what they are called instead."""
    if request.origin == LANGUAGE.name:
        return {}
    names = {tool.name for tool in request.tools if isinstance(tool, Tool)}
    for message in request.messages:
        names.update(part.name for part in message.parts if isinstance(part, ToolCall) and not part.hosted)
        names.update(part.name for part in message.parts if isinstance(part, ToolResult) and part.name)
    wrong = sorted(name for name in names if not _NAME.fullmatch(name))
    return _allowed(wrong, names) if wrong else {}


def _allowed(wrong: list[str], names: set[str]) -> dict[str, str]:
    free = FreeNames(names.difference(wrong))
    written: dict[str, str] = {}
    for name in wrong:
        plain = re.sub(r"[^A-Za-z0-9_.:-]", "_", name)[:120] or "_"
        written[name] = free.give(plain if _NAME.fullmatch(plain) else f"_{plain}")
    return written


def write_tools(
    tools: tuple[Tool | CachePoint | Opaque, ...], names: dict[str, str], losses: Losses
) -> list[JsonObject]:
    """The entries of `tools`; functions share one unless they came in several."""
    entries: list[JsonObject] = []
    functions: list[JsonValue] | None = None
    begun: list[tuple[JsonObject, JsonObject]] = []
    for index, tool in enumerate(tools):
        path = f"tools[{index}]"
        match tool:
            case Tool():
                entry = tool.extra.fields.get(ENTRY) if tool.extra is not None and is_ours(tool.extra) else None
                if functions is None or isinstance(entry, dict):
                    functions = []
                    wire: JsonObject = {"functionDeclarations": functions}
                    entries.append(wire)
                    begun.append((wire, entry if isinstance(entry, dict) else {}))
                functions.append(_write_function(tool, names, losses, path))
            case Opaque() if tool.origin is LANGUAGE:
                functions = None
                entries.append(tool.value)
            case Opaque():
                losses.drop_opaque(tool, path, default=EFFECT_OF_TOOL)
            case CachePoint():
                losses.add(path, "dropped", "accounting", "a cache point")
    for wire, entry in begun:
        repeat(entry, wire)
    return entries


def _write_function(tool: Tool, names: dict[str, str], losses: Losses, path: str) -> JsonObject:
    wire: JsonObject = {"name": names.get(tool.name, tool.name)}
    if tool.description is not None:
        wire["description"] = tool.description
    ours = is_ours(tool.extra)
    schema = tool.parameters if ours else as_parameters(tool.parameters)
    if schema is not None:
        put_schema(wire, schema, tool.extra, "parameters", "parametersJsonSchema")
    if tool.strict:
        losses.add(f"{path}.strict", "dropped", "behaviour", "calls are not held to the schema")
    restore(tool.extra, wire, losses, path)
    return wire


def write_tool_choice(choice: ToolChoice, names: dict[str, str], losses: Losses) -> JsonObject:
    """`functionCallingConfig`. Names go only with ANY (or Google's own VALIDATED)."""
    wire: JsonObject = {}
    said = choice.extra.fields if choice.extra is not None and is_ours(choice.extra) else {}
    if "mode" not in said:
        mode, style = _MODE_OF_CHOICE[choice.mode], said.get(STYLE)
        wire["mode"] = style if isinstance(style, str) and style.upper() == mode else mode
    if choice.names and (choice.mode == "required" or is_ours(choice.extra)):
        wire["allowedFunctionNames"] = [names.get(name, name) for name in choice.names]
    elif choice.names and choice.mode == "auto":
        wire["mode"] = "VALIDATED"
        wire["allowedFunctionNames"] = [names.get(name, name) for name in choice.names]
    restore(choice.extra, wire, losses, "tool_choice")
    return wire
