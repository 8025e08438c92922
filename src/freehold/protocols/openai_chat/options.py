"""What a request asks of the model beside the messages: tools, the form of the answer, how much to think."""

from __future__ import annotations

from typing import Literal

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
    ReasoningOptions,
    Tool,
    ToolChoice,
)
from freehold.protocols.openai_chat.content import take_cache_point, write_cache_point
from freehold.protocols.openai_chat.language import (
    FIELD,
    LANGUAGE,
    SHORTHAND,
    keep_inner,
    native,
    repeat_inner,
    repeat_plain,
    unpack,
)
from freehold.protocols.openai_chat.names import wire_name

# --- Tools ------------------------------------------------------------------------------------------------------------

_INNER = "function."


def take_tools(fields: Fields) -> list[Tool | CachePoint | Opaque]:
    """`tools`, then the older `functions`. Tools of the provider's own stay opaque."""
    tools: list[Tool | CachePoint | Opaque] = []
    offered = fields.peek("tools")
    if offered and isinstance(offered, list):
        fields.take("tools")
        for at, tool in enumerate(offered):
            tools += _decode_tool(tool, f"{fields.at('tools')}[{at}]")
    functions = fields.peek("functions")
    if functions and isinstance(functions, list):
        fields.take("functions")
        for at, function in enumerate(functions):
            inner = Fields(function, LANGUAGE, f"{fields.at('functions')}[{at}]")
            outer = Fields({FIELD: "functions"}, LANGUAGE, inner.path)
            tools.append(_decode_function(outer, inner))
    return tools


def _decode_tool(value: JsonValue, path: str) -> list[Tool | CachePoint | Opaque]:
    fields = Fields(value, LANGUAGE, path)
    function = unpack(fields, "function")
    if function is None:
        return [Opaque(origin=LANGUAGE, value=fields.mark().fields)]
    cache = take_cache_point(fields)
    tool = _decode_function(fields, function)
    return [tool] if cache is None else [tool, cache]


def _decode_function(fields: Fields, function: Fields) -> Tool:
    tool = Tool(
        name=function.need_str("name"),
        description=function.take_str("description"),
        parameters=function.take_object("parameters"),
        strict=function.take_bool("strict"),
    )
    keep_inner(fields, _INNER, function)
    return Tool(
        name=tool.name,
        description=tool.description,
        parameters=tool.parameters,
        strict=tool.strict,
        extra=fields.mark(),
    )


def write_tools(request: Generate, body: JsonObject, losses: Losses, *, cached: bool) -> None:
    """Write the tools, each in the form it came in."""
    tools: list[JsonValue] = []
    functions: list[JsonValue] = []
    for at, tool in enumerate(request.tools):
        path = f"tools[{at}]"
        match tool:
            case Tool():
                fields = native(tool.extra)
                if fields is not None and fields.get(FIELD) == "functions":
                    functions.append(_write_function(tool, fields))
                else:
                    tools.append(_write_tool(tool, fields, path, losses))
            case Opaque() if tool.origin is LANGUAGE:
                tools.append(tool.value)
            case Opaque():
                losses.drop_opaque(tool, path, default="behaviour")
            case CachePoint():
                last = tools[-1] if tools else None
                if isinstance(last, dict) and (cached or native(tool.extra) is not None):
                    last["cache_control"] = write_cache_point(tool)
                else:
                    losses.add(path, "dropped", "accounting", "Chat Completions caches on its own")
    if tools:
        body["tools"] = tools
    if functions:
        body["functions"] = functions


def _write_tool(tool: Tool, fields: JsonObject | None, path: str, losses: Losses) -> JsonObject:
    if fields is None:
        losses.drop_extra(tool.extra, path)
        return {"type": "function", "function": {**_write_function(tool, {}), "name": wire_name(tool.name)}}
    written: JsonObject = {}
    if "type" in fields:
        written["type"] = fields["type"]
    written["function"] = _write_function(tool, fields)
    repeat_plain(fields, written, (_INNER,))
    return written


def _write_function(tool: Tool, fields: JsonObject) -> JsonObject:
    written: JsonObject = {"name": tool.name}
    if tool.description is not None:
        written["description"] = tool.description
    if tool.parameters is not None:
        written["parameters"] = tool.parameters
    if tool.strict is not None:
        written["strict"] = tool.strict
    repeat_inner(fields, _INNER, written)
    return written


_MODES: dict[str, Literal["auto", "none", "required"]] = {
    "auto": "auto",
    "none": "none",
    "required": "required",
    "any": "required",  # Mistral
}


def take_tool_choice(fields: Fields) -> ToolChoice | None:
    """`tool_choice`, or the older `function_call`."""
    chosen = fields.peek("tool_choice")
    if isinstance(chosen, str) and chosen in _MODES:
        fields.take("tool_choice")
        return ToolChoice(mode=_MODES[chosen], extra=Extra(LANGUAGE, {SHORTHAND: chosen}))
    if isinstance(chosen, dict):
        choice = _decode_choice(Fields(chosen, LANGUAGE, fields.at("tool_choice")))
        if choice is not None:
            fields.take("tool_choice")
        return choice
    return _take_function_choice(fields)


def _decode_choice(inner: Fields) -> ToolChoice | None:
    """A choice of one function, or among allowed ones; None for a tool of the provider's own."""
    function = unpack(inner, "function")
    if function is not None:
        name = function.take_str("name")
        if name is None:
            return None
        keep_inner(inner, _INNER, function)
        return ToolChoice(mode="required", names=(name,), extra=inner.mark())
    allowed = inner.peek("allowed_tools")
    match allowed:
        case {"mode": "auto" | "required" as mode, "tools": list(tools), **rest} if not rest:
            names = [_allowed_name(tool) for tool in tools]
            if None in names:
                return None
            inner.take("allowed_tools")
            return ToolChoice(mode=mode, names=tuple(name for name in names if name), extra=inner.mark())
        case _:
            return None


def _allowed_name(tool: JsonValue) -> str | None:
    match tool:
        case {"type": "function", "function": {"name": str(name), **rest}, **more} if not rest and not more:
            return name
        case _:
            return None


def _take_function_choice(fields: Fields) -> ToolChoice | None:
    match fields.peek("function_call"):
        case "auto" | "none" as mode:
            fields.take("function_call")
            return ToolChoice(mode=mode, extra=Extra(LANGUAGE, {FIELD: "function_call"}))
        case {"name": str(name), **rest} if not rest:
            fields.take("function_call")
            return ToolChoice(mode="required", names=(name,), extra=Extra(LANGUAGE, {FIELD: "function_call"}))
        case _:
            return None


def write_tool_choice(request: Generate, body: JsonObject, losses: Losses) -> None:
    """Write the choice in the form it came in; without tools, Chat Completions refuses one."""
    choice = request.tool_choice
    if choice is None:
        return
    fields = native(choice.extra)
    if fields is None:
        losses.drop_extra(choice.extra, "tool_choice")
        if "tools" in body:
            body["tool_choice"] = _write_choice(choice)
        return
    if fields.get(FIELD) == "function_call":
        body["function_call"] = {"name": choice.names[0]} if choice.names else choice.mode
        return
    if SHORTHAND in fields:
        body["tool_choice"] = fields[SHORTHAND]
        return
    written: JsonObject = {}
    if "type" in fields:
        written["type"] = fields["type"]
    if fields.get("type") == "allowed_tools":
        written["allowed_tools"] = _allowed(choice)
    else:
        function: JsonObject = {"name": choice.names[0]} if choice.names else {}
        repeat_inner(fields, _INNER, function)
        written["function"] = function
    repeat_plain(fields, written, (_INNER,))
    body["tool_choice"] = written


def _write_choice(choice: ToolChoice) -> JsonValue:
    if not choice.names:
        return choice.mode
    if choice.mode == "required" and len(choice.names) == 1:
        return {"type": "function", "function": {"name": wire_name(choice.names[0])}}
    return {"type": "allowed_tools", "allowed_tools": _allowed(choice)}


def _allowed(choice: ToolChoice) -> JsonObject:
    tools: list[JsonValue] = [{"type": "function", "function": {"name": wire_name(name)}} for name in choice.names]
    return {"mode": "required" if choice.mode == "required" else "auto", "tools": tools}


# --- The form of the answer -------------------------------------------------------------------------------------------

_FORMATS: dict[str, Literal["text", "json", "schema"]] = {
    "text": "text",
    "json_object": "json",
    "json_schema": "schema",
}
_FORMAT_NAMES = {kind: name for name, kind in _FORMATS.items()}
_INNER_SCHEMA = "json_schema."


def take_output_format(fields: Fields) -> OutputFormat | None:
    """`response_format`; a form of the provider's own rides along."""
    value = fields.peek("response_format")
    if not isinstance(value, dict):
        return None
    inner = Fields(value, LANGUAGE, fields.at("response_format"))
    kind = _FORMATS.get(str(inner.peek("type")))
    schema = unpack(inner, "json_schema") if kind == "schema" else None
    if kind is None or (kind == "schema" and schema is None):
        return None
    fields.take("response_format")
    inner.take("type")
    if schema is None:
        return OutputFormat(kind=kind, extra=inner.rest())
    name = schema.take_str("name")
    description = schema.take_str("description")
    strict = schema.take_bool("strict")
    json_schema = schema.take_object("schema")
    keep_inner(inner, _INNER_SCHEMA, schema)
    return OutputFormat(
        kind=kind, schema=json_schema, name=name, description=description, strict=strict, extra=inner.mark()
    )


def write_output_format(request: Generate, body: JsonObject, losses: Losses) -> None:
    """Write the form; a schema of another language gets the name that is demanded here."""
    form = request.output_format
    if form is None:
        return
    written: JsonObject = {"type": _FORMAT_NAMES[form.kind]}
    fields = native(form.extra)
    if fields is None:
        losses.drop_extra(form.extra, "output_format")
    if form.kind == "schema":
        schema: JsonObject = {}
        name = form.name if fields is not None else form.name or "answer"
        if name is not None:
            schema["name"] = name
        if form.description is not None:
            schema["description"] = form.description
        if form.schema is not None:
            schema["schema"] = form.schema
        if form.strict is not None:
            schema["strict"] = form.strict
        repeat_inner(fields or {}, _INNER_SCHEMA, schema)
        written["json_schema"] = schema
    if fields is not None:
        repeat_plain(fields, written, (_INNER_SCHEMA,))
    body["response_format"] = written


# --- How much to think ------------------------------------------------------------------------------------------------

EFFORT_OF_BUDGET = ((2048, "low"), (8192, "medium"))
"""Largest thinking budget, in tokens, that an effort stands for; more is `high`. Vendors publish no such figures: these
are the budgets that their own compatibility layers use (Gemini's and OpenRouter's documentation, 2025)."""


def take_reasoning_options(fields: Fields) -> ReasoningOptions | None:
    """`reasoning_effort`, or OpenRouter's `reasoning`, or the `thinking` switch of DeepSeek and GLM."""
    effort = fields.take_str("reasoning_effort")
    if effort is not None:
        mode = "off" if effort == "none" else None
        return ReasoningOptions(effort=effort, mode=mode, extra=Extra(LANGUAGE, {}))
    inner = unpack(fields, "reasoning")
    if inner is not None:
        return _decode_reasoning(inner)
    match fields.peek("thinking"):
        case {"type": "enabled" | "disabled" as switch, **rest}:
            fields.take("thinking")
            extra: JsonObject = {FIELD: "thinking", **rest}
            return ReasoningOptions(mode="on" if switch == "enabled" else "off", extra=Extra(LANGUAGE, extra))
        case _:
            return None


def _decode_reasoning(inner: Fields) -> ReasoningOptions:
    effort = inner.take_str("effort")
    budget = inner.take_int("max_tokens")
    enabled = inner.peek("enabled")
    mode = {True: "on", False: "off"}.get(enabled) if isinstance(enabled, bool) else None
    inner.put_back(FIELD, "reasoning")
    return ReasoningOptions(
        effort=effort,
        budget=budget,
        mode="off" if mode == "off" or effort == "none" else "on" if mode == "on" else None,
        extra=inner.mark(),
    )


def write_reasoning_options(
    request: Generate, body: JsonObject, losses: Losses, *, form: Literal["effort", "reasoning", "thinking"]
) -> None:
    """Write how much to think, in the form it came in or, for another language, in the provider's."""
    options = request.reasoning
    if options is None:
        return
    fields = native(options.extra)
    if fields is None:
        losses.drop_extra(options.extra, "reasoning")
    place = fields.get(FIELD) if fields is not None else form
    match place:
        case "thinking":
            thinking: JsonObject = {"type": "disabled" if options.mode == "off" else "enabled"}
            repeat_plain(fields or {}, thinking)
            body["thinking"] = thinking
        case "reasoning":
            body["reasoning"] = _write_reasoning(options, fields)
        case _:
            _write_effort(options, body, losses, known=fields is not None)
    if fields is None and options.summary not in {None, "none"} and place != "reasoning":
        losses.add("reasoning.summary", "dropped", "behaviour", "Chat Completions shows no summary on request")


def _write_reasoning(options: ReasoningOptions, fields: JsonObject | None) -> JsonObject:
    """OpenRouter's object: an effort or a budget, not both."""
    written: JsonObject = {}
    if options.effort is not None:
        written["effort"] = options.effort
    if options.budget is not None and (fields is not None or options.effort is None):
        written["max_tokens"] = options.budget
    if fields is not None:
        repeat_plain(fields, written)
    elif not written:
        written["enabled"] = options.mode != "off"
    return written


def _write_effort(options: ReasoningOptions, body: JsonObject, losses: Losses, *, known: bool) -> None:
    if options.effort is not None:
        body["reasoning_effort"] = options.effort if known else _known_effort(options.effort, losses)
    elif options.mode == "off":
        # Most models refuse "none", and think only when told to.
        losses.add("reasoning.mode", "dropped", "behaviour", "thinking can not be switched off for every model")
    elif options.budget is not None:
        body["reasoning_effort"] = _effort_of_budget(options.budget)
        losses.add("reasoning.budget", "approximated", "behaviour", "a budget becomes an effort")


def _known_effort(effort: str, losses: Losses) -> str:
    if effort == "max":
        losses.add("reasoning.effort", "approximated", "behaviour", "max becomes xhigh")
        return "xhigh"
    return effort


def _effort_of_budget(budget: int) -> str:
    for most, effort in EFFORT_OF_BUDGET:
        if budget <= most:
            return effort
    return "high"
