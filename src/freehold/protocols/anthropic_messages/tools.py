"""Offered tools, the choice among them, and the form an answer must have."""

from __future__ import annotations

from typing import cast

from freehold.ir import (
    CachePoint,
    Fields,
    JsonObject,
    JsonValue,
    Losses,
    Opaque,
    OutputFormat,
    Tool,
    ToolChoice,
)
from freehold.protocols.answer_schema import as_answer_schema
from freehold.protocols.anthropic_messages.language import EFFECT_OF_TOOL, LANGUAGE
from freehold.protocols.anthropic_messages.parts import cache_control, take_cache_point
from freehold.protocols.anthropic_messages.schema import as_input_schema

FREE_CHOICE = "free-tool-choice"
"""Dialect flag: the model can not be made to call a tool (Claude Opus 5.5 and Fable 5.1 answer 400)."""

# --- Reading ---------------------------------------------------------------------------------------------------------


def read_tools(values: list[JsonObject]) -> tuple[Tool | CachePoint | Opaque, ...]:
    """The offered tools; those that Anthropic defines stay whole."""
    tools: list[Tool | CachePoint | Opaque] = []
    for value in values:
        fields = Fields(value, LANGUAGE)
        point = take_cache_point(fields)
        tool = _read_tool(fields)
        if tool is None:
            tools.append(Opaque(origin=LANGUAGE, value=value))
            continue
        tools.append(tool)
        if point is not None:
            tools.append(point)
    return tuple(tools)


def _read_tool(fields: Fields) -> Tool | None:
    if fields.peek("type") not in (None, "custom"):
        return None
    name, schema = fields.take_str("name"), fields.take_object("input_schema")
    if name is None or schema is None:
        return None
    return Tool(
        name=name,
        description=fields.take_str("description"),
        parameters=schema,
        strict=fields.take_bool("strict"),
        extra=fields.rest(),
    )


def take_tool_choice(fields: Fields) -> tuple[ToolChoice | None, bool | None]:
    """The choice, and whether calls may be parallel; a choice of unknown form rides along."""
    value = fields.peek("tool_choice")
    if not isinstance(value, dict):
        return None, None
    inner = Fields(value, LANGUAGE)
    choice: ToolChoice | None = None
    match inner.take("type"):
        case "auto":
            choice = ToolChoice(mode="auto")
        case "any":
            choice = ToolChoice(mode="required")
        case "none":
            fields.take("tool_choice")
            return ToolChoice(mode="none", extra=inner.rest()), None
        case "tool":
            name = inner.take_str("name")
            choice = None if name is None else ToolChoice(mode="required", names=(name,))
        case _:
            pass
    if choice is None:
        return None, None
    fields.take("tool_choice")
    serial = inner.take_bool("disable_parallel_tool_use")
    extra = inner.rest()
    if extra is not None:
        choice = ToolChoice(mode=choice.mode, names=choice.names, extra=extra)
    return choice, None if serial is None else not serial


def read_format(value: JsonValue) -> tuple[OutputFormat, JsonObject] | None:
    """`{"type": "json_schema", "schema"}` and what is left of it; None for any other form."""
    if not isinstance(value, dict) or value.get("type") != "json_schema":
        return None
    inner = Fields(value, LANGUAGE)
    inner.take("type")
    schema = inner.take_object("schema")
    if schema is None:
        return None
    left = inner.rest()
    return OutputFormat(kind="schema", schema=schema), {} if left is None else left.fields


# --- Writing ---------------------------------------------------------------------------------------------------------


def write_tools(
    tools: tuple[Tool | CachePoint | Opaque, ...], names: dict[str, str], losses: Losses, *, native: bool
) -> list[JsonObject]:
    """The offered tools. `names` maps those that this protocol would refuse."""
    wires: list[JsonObject] = []
    for index, tool in enumerate(tools):
        path = f"tools[{index}]"
        match tool:
            case Tool():
                wires.append(_write_tool(tool, names, losses, path, native=native))
            case CachePoint() if wires:
                wires[-1]["cache_control"] = cache_control(tool, losses, path)
            case CachePoint():
                losses.add(path, "dropped", "accounting", "a cache point before the first tool")
            case Opaque() if tool.origin is LANGUAGE:
                wires.append(tool.value)
            case Opaque():
                losses.drop_opaque(tool, path, default=EFFECT_OF_TOOL)
    return wires


def _write_tool(tool: Tool, names: dict[str, str], losses: Losses, path: str, *, native: bool) -> JsonObject:
    wire: JsonObject = {"name": names.get(tool.name, tool.name)}
    if tool.description is not None:
        wire["description"] = tool.description
    schema = tool.parameters if native else as_input_schema(tool.parameters, losses, f"{path}.parameters")
    wire["input_schema"] = {"type": "object", "properties": {}} if schema is None else schema
    if tool.strict is not None and (native or tool.strict):
        wire["strict"] = tool.strict
    losses.repeat(tool.extra, LANGUAGE, wire, path)
    return wire


def write_tool_choice(
    choice: ToolChoice | None, names: dict[str, str], losses: Losses, *, parallel: bool | None, offered: bool
) -> JsonObject | None:
    """The choice with the parallel switch; None where nothing need be said. It is refused without tools."""
    if not offered and choice is None:
        return None
    if choice is None:
        return {"type": "auto", "disable_parallel_tool_use": True} if parallel is False else None
    wire: JsonObject
    match choice.mode:
        case "none":
            wire = {"type": "none"}
            parallel = None
        case "auto":
            wire = {"type": "auto"}
            if choice.names:
                losses.add("tool_choice.names", "dropped", "behaviour", "a choice among some of the tools")
        case "required" if len(choice.names) == 1:
            wire = {"type": "tool", "name": names.get(choice.names[0], choice.names[0])}
        case "required":
            wire = {"type": "any"}
            if choice.names:
                losses.add("tool_choice.names", "dropped", "behaviour", "a choice among some of the tools")
    if parallel is not None:
        wire["disable_parallel_tool_use"] = not parallel
    losses.repeat(choice.extra, LANGUAGE, wire, "tool_choice")
    return wire


def write_format(form: OutputFormat, losses: Losses, *, native: bool) -> JsonObject | None:
    """`output_config.format`; None for free text and for JSON without a schema, which has no word here."""
    if form.kind != "schema" or form.schema is None:
        return None
    schema = form.schema
    if not native:
        schema = as_answer_schema(schema, losses, "output_format.schema", one_of="anyOf")
    if form.description is not None:
        losses.add("output_format.description", "dropped", "behaviour")
    losses.drop_extra(form.extra, "output_format")
    return {"type": "json_schema", "schema": cast("JsonValue", schema)}
