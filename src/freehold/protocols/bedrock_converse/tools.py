"""Offered tools, the choice among them, and the form an answer must have."""

from __future__ import annotations

import hashlib
import json
import re
from typing import cast

import msgspec

from freehold.errors import CallerError
from freehold.ir import (
    CachePoint,
    Extra,
    Fields,
    Generate,
    JsonObject,
    JsonValue,
    Losses,
    Opaque,
    OutputFormat,
    Tool,
    ToolCall,
    ToolChoice,
    parse_json,
    write_json,
)
from freehold.protocols.answer_schema import as_answer_schema
from freehold.protocols.bedrock_converse.families import Family
from freehold.protocols.bedrock_converse.language import EFFECT_OF_TOOL, LANGUAGE, SPELLING, only, ours, repeat
from freehold.protocols.bedrock_converse.parts import read_cache_point, write_cache_point

_PLAIN_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""The names that a tool may have (botocore: ToolName)."""

# --- Reading ---------------------------------------------------------------------------------------------------------


def take_tools(config: Fields) -> tuple[Tool | CachePoint | Opaque, ...]:
    """`toolConfig.tools`; an entry that is no object leaves the whole list where it is."""
    values = config.peek("tools")
    if not isinstance(values, list) or not values or not all(isinstance(value, dict) for value in values):
        return ()
    config.take("tools")
    return tuple(_read_tool(cast("JsonObject", value)) for value in values)


def _read_tool(value: JsonObject) -> Tool | CachePoint | Opaque:
    kind, inner = only(value)
    read: Tool | CachePoint | None = None
    if kind == "toolSpec":
        read = _read_specification(inner)
    elif kind == "cachePoint":
        read = read_cache_point(inner)
    return Opaque(origin=LANGUAGE, value=value) if read is None else read


def _read_specification(value: JsonValue) -> Tool | None:
    if not isinstance(value, dict):
        return None
    fields = Fields(value, LANGUAGE)
    name = fields.take_str("name")
    kind, schema = only(fields.peek("inputSchema"))
    if name is None or kind != "json" or not isinstance(schema, dict):
        return None
    fields.take("inputSchema")
    return Tool(
        name=name,
        description=fields.take_str("description"),
        parameters=schema,
        strict=fields.take_bool("strict"),
        extra=fields.rest(),
    )


def take_tool_choice(config: Fields) -> ToolChoice | None:
    """`auto`, `any` or one tool; anything else rides along."""
    match only(config.peek("toolChoice")):
        case "auto", dict(inner) if not inner:
            choice = ToolChoice(mode="auto")
        case "any", dict(inner) if not inner:
            choice = ToolChoice(mode="required")
        case "tool", {"name": str(name), **rest} if not rest:
            choice = ToolChoice(mode="required", names=(name,))
        case _:
            return None
    config.take("toolChoice")
    return choice


def take_output_format(config: Fields) -> OutputFormat | None:
    """`outputConfig.textFormat`: a schema as JSON text, whose spelling is kept: it is a string to everybody else."""
    match config.peek("textFormat"):
        case {"type": "json_schema", "structure": {"jsonSchema": dict(definition), **more}, **rest} if not (
            more or rest
        ):
            pass
        case _:
            return None
    fields = Fields(definition, LANGUAGE)
    text = fields.take_str("schema")
    schema = None if text is None else _read_schema(text)
    if schema is None:
        return None
    config.take("textFormat")
    value, spelling = schema
    left: JsonObject = {} if spelling == "compact" else {SPELLING: spelling}
    name, description = fields.take_str("name"), fields.take_str("description")
    left.update(fields.mark().fields)
    return OutputFormat(
        kind="schema",
        schema=value,
        name=name,
        description=description,
        extra=Extra(LANGUAGE, left) if left else None,
    )


def _read_schema(text: str) -> tuple[JsonObject, str] | None:
    """The schema and the way its text is written; None for a text that could not be written again."""
    try:
        value = parse_json(text)
    except CallerError:
        return None
    if not isinstance(value, dict):
        return None
    try:
        return next(((value, spelling) for spelling in _SPELLINGS if _write_schema(value, spelling) == text), None)
    except RecursionError:
        return None


_SPELLINGS = ("compact", "spaced", "spaced-ascii", "compact-ascii")
"""As JavaScript writes JSON, as Python does, and both with everything beyond ASCII escaped."""


def _write_schema(schema: JsonObject, spelling: JsonValue) -> str:
    separators = (", ", ": ") if str(spelling).startswith("spaced") else (",", ":")
    return json.dumps(schema, separators=separators, ensure_ascii=str(spelling).endswith("-ascii"))


# --- Writing ---------------------------------------------------------------------------------------------------------


def tool_names(request: Generate) -> dict[str, str]:
    """Tools offered or called whose names Bedrock refuses, by the names that stand for them."""
    names: dict[str, str] = {}
    for tool in request.tools:
        if isinstance(tool, Tool):
            _note_name(tool.name, names)
    for message in request.messages:
        for part in message.parts:
            if isinstance(part, ToolCall):
                _note_name(part.name, names)
    return names


def _note_name(name: str, names: dict[str, str]) -> None:
    if name in names or _PLAIN_NAME.fullmatch(name):
        return
    plain = re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:55]
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:8]
    names[name] = f"{plain}_{digest}"


def write_native_tool_config(request: Generate, losses: Losses) -> JsonObject:
    """`toolConfig` as it was, what rode along in it excepted."""
    config: JsonObject = {}
    if request.tools:
        config["tools"] = [_write_native_tool(tool, losses, index) for index, tool in enumerate(request.tools)]
    if request.tool_choice is not None:
        config["toolChoice"] = _write_choice(request.tool_choice, {})
    return config


def _write_native_tool(tool: Tool | CachePoint | Opaque, losses: Losses, index: int) -> JsonValue:
    match tool:
        case Tool():
            return _write_tool(tool, {}, losses, f"tools[{index}]", native=True)
        case CachePoint():
            return write_cache_point(tool, losses, f"tools[{index}]")
        case Opaque():
            return tool.value


def write_tool_config(
    request: Generate, family: Family, names: dict[str, str], losses: Losses, *, called: dict[str, str]
) -> JsonObject:
    """`toolConfig` of a foreign request. `called`: tools in the history, for which it must be there (by wire name)."""
    choice = _possible(request.tool_choice, family, losses)
    offered = [(index, tool) for index, tool in enumerate(request.tools) if _is_chosen(tool, choice)]
    if choice is not None and choice.mode == "none":
        offered = [] if not called else offered
        if called and offered:
            losses.add("tool_choice", "dropped", "behaviour", "tools can not be forbidden while some were called")
    tools: list[JsonValue] = []
    for index, tool in offered:
        path = f"tools[{index}]"
        match tool:
            case Tool():
                tools.append(_write_tool(tool, names, losses, path))
            case CachePoint() if tools and family.caches_tools:
                tools.append(write_foreign_cache_point(tool, losses, path))
            case CachePoint():
                losses.add(path, "dropped", "accounting", "no cache point can stand here")
            case Opaque():
                losses.drop_opaque(tool, path, default=EFFECT_OF_TOOL)
    if not any("toolSpec" in tool for tool in tools if isinstance(tool, dict)):
        tools = [_bare_tool(name) for name in called]
        if tools:
            losses.add("tools", "simulated", "behaviour", "tools that were called must be offered")
    if not tools:
        if choice is not None and choice.mode == "required":
            losses.add("tool_choice", "dropped", "behaviour", "there are no tools to choose from")
        return {}
    config: JsonObject = {"tools": tools}
    if choice is not None and choice.mode != "none" and offered:
        if len(choice.names) > 1 or (choice.names and choice.mode == "auto"):
            losses.add("tool_choice.names", "approximated", "behaviour", "only these tools are offered")
        losses.drop_extra(choice.extra, "tool_choice")
        config["toolChoice"] = _write_choice(choice, names)
    return config


def _possible(choice: ToolChoice | None, family: Family, losses: Losses) -> ToolChoice | None:
    """The choice as far as the family can be told: tools can be forced, one of them named, or neither."""
    if choice is None or choice.mode != "required" or family.choices == "tool":
        return choice
    if family.choices == "auto":
        losses.add("tool_choice", "dropped", "behaviour", "this model can not be made to call a tool")
        return ToolChoice(mode="auto", names=choice.names)
    # Naming one twice offers only that one, and asks for any.
    return msgspec.structs.replace(choice, names=choice.names * 2) if len(choice.names) == 1 else choice


def _is_chosen(tool: Tool | CachePoint | Opaque, choice: ToolChoice | None) -> bool:
    """Whether a tool may be called: where a choice names several, only these are offered."""
    if choice is None or not isinstance(tool, Tool) or not choice.names:
        return True
    alone = choice.mode == "required" and len(choice.names) == 1
    return alone or tool.name in choice.names


def _bare_tool(name: str) -> JsonObject:
    return {"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object", "properties": {}}}}}


def _write_tool(tool: Tool, names: dict[str, str], losses: Losses, path: str, *, native: bool = False) -> JsonObject:
    name = names.get(tool.name, tool.name)
    if name != tool.name:
        losses.add(f"{path}.name", "approximated", "behaviour", f"{tool.name} as {name}")
    specification: JsonObject = {"name": name}
    if tool.description is not None and (tool.description or native):
        specification["description"] = tool.description
    nothing: JsonObject = {"type": "object", "properties": {}}
    schema = nothing if tool.parameters is None else tool.parameters
    specification["inputSchema"] = {"json": schema}
    if tool.strict or (native and tool.strict is not None):
        specification["strict"] = tool.strict
    repeat(tool.extra, specification, losses, path)
    return {"toolSpec": specification}


def _write_choice(choice: ToolChoice, names: dict[str, str]) -> JsonObject:
    if choice.mode != "required":
        return {"auto": {}}
    if len(choice.names) == 1:
        return {"tool": {"name": names.get(choice.names[0], choice.names[0])}}
    return {"any": {}}


def write_foreign_cache_point(point: CachePoint, losses: Losses, path: str) -> JsonObject:
    """Another language's cache point; only two lifetimes can be said."""
    block: JsonObject = {"type": "default"}
    if point.ttl in ("5m", "1h"):
        block["ttl"] = point.ttl
    elif point.ttl is not None:
        losses.add(f"{path}.ttl", "dropped", "accounting", f"a lifetime of {point.ttl}")
    losses.drop_extra(point.extra, path)
    return {"cachePoint": block}


JSON_INSTRUCTION = "Answer with one valid JSON value and nothing else: no prose, no code fence."
"""Said where JSON is wanted and can not be enforced."""


def output_instruction(form: OutputFormat | None, losses: Losses, *, schemas: bool) -> str | None:
    """What has to be said in words; None where the form can be enforced, or is free text."""
    if form is None or form.kind == "text" or (form.kind == "schema" and form.schema is not None and schemas):
        return None
    losses.add("output_format", "simulated", "behaviour", "the form of the answer is asked for in words")
    if form.schema is None:
        return JSON_INSTRUCTION
    return f"{JSON_INSTRUCTION} It must fit this JSON schema:\n{write_json(form.schema).decode()}"


def write_output_format(form: OutputFormat, losses: Losses, *, native: bool) -> JsonObject | None:
    """`outputConfig.textFormat`; None for a form that can not be enforced."""
    if form.kind != "schema" or form.schema is None:
        return None
    said = ours(form.extra)
    schema = form.schema
    if not native:
        losses.drop_extra(form.extra, "output_format")
        schema = as_answer_schema(schema, losses, "output_format.schema", one_of="oneOf")
    spelling = None if said is None else said.get(SPELLING)
    definition: JsonObject = {"schema": _write_schema(schema, spelling or "compact")}
    if form.name is not None:
        definition["name"] = form.name
    if form.description is not None:
        definition["description"] = form.description
    if said is not None:
        repeat(form.extra, definition, losses, "output_format")
    return {"type": "json_schema", "structure": {"jsonSchema": definition}}
