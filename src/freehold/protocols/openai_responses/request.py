"""Requests: `POST /v1/responses` and `POST /v1/responses/input_tokens`."""

from __future__ import annotations

from typing import Final, Literal, cast

import msgspec

from freehold.ir import (
    Count,
    Extra,
    Fields,
    Generate,
    JsonObject,
    JsonValue,
    Losses,
    OutputFormat,
    ReasoningOptions,
    Request,
    ToolChoice,
    parse_object,
    write_json,
)
from freehold.protocols.codec import Encoded, Headers, Unsupported, WireRequest
from freehold.protocols.openai_responses.input import InputWriter, read_input
from freehold.protocols.openai_responses.language import LANGUAGE, NAME, carry, keep, ours
from freehold.protocols.openai_responses.residual import residual
from freehold.protocols.openai_responses.tools import read_tools, write_tools

PATH: Final = "/v1/responses"
_COUNT: Final = "/input_tokens"
HEADERS: Final = frozenset({"openai-beta"})
"""The protocol's own headers that cross the gateway."""

MIN_OUTPUT_TOKENS: Final = 16
"""The API refuses a smaller `max_output_tokens`."""

# Effort for a budget in tokens, by the first ceiling that holds it; the words mean about these sizes to other labs.
_EFFORT_OF_BUDGET: tuple[tuple[int, str], ...] = ((2_048, "low"), (12_288, "medium"), (1 << 62, "high"))

_FORMAT_TYPE: dict[Literal["text", "json", "schema"], str] = {
    "text": "text",
    "json": "json_object",
    "schema": "json_schema",
}

# --- Reading ---------------------------------------------------------------------------------------------------------


def decode_request(wire: WireRequest) -> Request:
    """Raises CallerError; Unsupported for other paths."""
    path = wire.path.rstrip("/")
    if wire.method != "POST" or not path.endswith(("/responses", "/responses" + _COUNT)):
        raise Unsupported(f"{NAME} does not translate {wire.method} {wire.path}")
    generate = read_generate(parse_object(wire.body), wire.headers)
    return Count(origin=NAME, generate=generate) if path.endswith(_COUNT) else generate


def read_generate(body: JsonObject, headers: Headers = ()) -> Generate:
    """A request body. Raises CallerError."""
    fields = Fields(body, LANGUAGE)
    messages, offers = read_input(fields)
    kept: JsonObject = {name: value for name, value in headers if name in HEADERS}
    return Generate(
        origin=NAME,
        # A prompt kept at the provider may name the model; an empty name rides along.
        model=(fields.take_str("model") or "") if fields.peek("model") else "",
        messages=messages,
        stream=fields.take_constant("stream", value=True),
        tools=read_tools(_offered(fields), offers),
        tool_choice=_read_tool_choice(fields),
        parallel_tools=fields.take_bool("parallel_tool_calls"),
        max_output_tokens=fields.take_int("max_output_tokens"),
        temperature=fields.take_number("temperature"),
        top_p=fields.take_number("top_p"),
        output_format=_read_output_format(fields),
        reasoning=_read_reasoning(fields),
        user=fields.take_str("user"),
        headers=keep(kept),
        extra=fields.rest(),
    )


def _offered(fields: Fields) -> list[JsonObject]:
    offered = fields.peek("tools")
    if not isinstance(offered, list) or not offered:
        return []
    tools: list[JsonObject] = []
    for index, tool in enumerate(offered):
        if not isinstance(tool, dict):
            fields.fail("must be an object", f"tools[{index}]")
        tools.append(tool)
    fields.take("tools")
    return tools


def _read_tool_choice(fields: Fields) -> ToolChoice | None:
    choice = _tool_choice_of(fields.peek("tool_choice"))
    if choice is not None:
        fields.take("tool_choice")
    return choice


def _tool_choice_of(value: JsonValue) -> ToolChoice | None:
    match value:
        case "auto" | "none" | "required":
            return ToolChoice(mode=value)
        case {"type": "function" | "custom", "name": str(name)}:
            bare = ToolChoice(mode="required", names=(name,))
        case {"type": "allowed_tools", "mode": "auto" | "required" as mode, "tools": list(tools)}:
            names = [tool["name"] for tool in tools if isinstance(tool, dict) and _names_alone(tool)]
            if len(names) != len(tools) or not names:
                return None
            mark = Extra(LANGUAGE, {})
            bare = ToolChoice(mode=mode, names=tuple(cast("list[str]", names)), extra=mark)
        case _:
            return None
    left = residual(value, _tool_choice(bare))
    if bare.extra is None:
        return None if left else bare
    return msgspec.structs.replace(bare, extra=Extra(LANGUAGE, left))


def _names_alone(tool: JsonObject) -> bool:
    """Whether it names a function or a custom tool and says nothing else."""
    match tool:
        case {"type": "function" | "custom", "name": str(), **more}:
            return not more
        case _:
            return False


def _read_output_format(fields: Fields) -> OutputFormat | None:
    text = fields.peek("text")
    if not isinstance(text, dict):
        return None
    wire = text.get("format")
    found = _output_format_of(wire) if isinstance(wire, dict) else None
    if found is None:
        return None
    rest = {name: value for name, value in text.items() if name != "format"}
    fields.take("text")
    if rest:
        fields.put_back("text", rest)
    return found


def _output_format_of(wire: JsonObject) -> OutputFormat | None:
    fields = Fields(wire, LANGUAGE)
    match fields.take("type"):
        case "text":
            return OutputFormat(kind="text", extra=fields.rest())
        case "json_object":
            return OutputFormat(kind="json", extra=fields.rest())
        case "json_schema":
            return OutputFormat(
                kind="schema",
                schema=fields.take_object("schema"),
                name=fields.take_str("name"),
                description=fields.take_str("description"),
                strict=fields.take_bool("strict"),
                extra=fields.mark(),
            )
        case _:
            return None


def _read_reasoning(fields: Fields) -> ReasoningOptions | None:
    wire = fields.take_object("reasoning")
    if wire is None:
        return None
    inner = Fields(wire, LANGUAGE)
    effort = inner.take_str("effort")
    return ReasoningOptions(
        mode="off" if effort == "none" else None,
        effort=effort,
        summary=inner.take_str("summary"),
        extra=inner.mark(),
    )


# --- Writing ---------------------------------------------------------------------------------------------------------


def encode_request(request: Request) -> Encoded[WireRequest]:
    """Raises Unsupported for what this protocol has no operation for."""
    losses = Losses()
    match request:
        case Generate():
            generate, path = request, PATH
        case Count():
            generate, path = _counted(request.generate), PATH + _COUNT
            losses.drop_extra(request.extra, "")
        case _:
            raise Unsupported(f"{NAME} has no {type(request).__name__}")
    body = write_generate(generate, losses)
    wire = WireRequest(
        path=path,
        body=write_json(body),
        headers=_headers(generate, losses),
        operation="count" if isinstance(request, Count) else "generate",
        model=generate.model,
        stream=generate.stream,
    )
    return Encoded(wire, losses.done())


def _counted(generate: Generate) -> Generate:
    """The request without how to answer it: nothing of that changes how long the input is, or is taken here."""
    if generate.origin == NAME:
        return generate
    return msgspec.structs.replace(
        generate,
        stream=False,
        stream_usage=None,
        max_output_tokens=None,
        temperature=None,
        top_p=None,
        top_k=None,
        stop=(),
        seed=None,
        frequency_penalty=None,
        presence_penalty=None,
        candidates=None,
        user=None,
    )


def _headers(request: Generate, losses: Losses) -> Headers:
    fields = ours(request.headers)
    if fields is None:
        losses.drop_extra(request.headers, "headers")
        return ()
    return tuple((name, value) for name, value in fields.items() if isinstance(value, str))


def write_generate(request: Generate, losses: Losses) -> JsonObject:
    """The body of a request."""
    body: JsonObject = {}
    if request.model:
        body["model"] = request.model
    offered = write_tools(request.tools, losses)
    InputWriter(request.origin, losses, offered).write(request.messages, body)
    if offered[None]:
        body["tools"] = offered[None]
    if request.tool_choice is not None:
        _choose_tools(request, request.tool_choice, body, losses)
    _put(body, "parallel_tool_calls", request.parallel_tools)
    _put(body, "max_output_tokens", _limit(request, losses))
    _put(body, "temperature", _bounded(request.temperature, 2, "temperature", losses))
    _put(body, "top_p", _bounded(request.top_p, 1, "top_p", losses))
    if request.output_format is not None:
        body["text"] = {"format": _write_output_format(request.output_format, losses)}
    if request.reasoning is not None:
        _write_reasoning(request.reasoning, body, losses)
    _put(body, "user", request.user)
    if request.stream:
        body["stream"] = True
    _drop_unsayable(request, losses)
    _repeat(request.extra, body, losses)
    return body


def _put(body: JsonObject, name: str, value: JsonValue) -> None:
    if value is not None:
        body[name] = value


def _repeat(extra: Extra | None, body: JsonObject, losses: Losses) -> None:
    """Our own extras after everything else; what remained of `text` joins the format."""
    fields = ours(extra)
    text = body.get("text")
    if fields is not None and isinstance(text, dict) and isinstance(more := fields.get("text"), dict):
        body["text"] = {**text, **more}
    losses.repeat(extra, LANGUAGE, body, "")


def _limit(request: Generate, losses: Losses) -> int | None:
    limit = request.max_output_tokens
    if limit is None or limit >= MIN_OUTPUT_TOKENS or request.origin == NAME:
        return limit
    losses.add("max_output_tokens", "clamped", "behaviour", f"{limit} became {MIN_OUTPUT_TOKENS}")
    return MIN_OUTPUT_TOKENS


def _bounded(value: float | None, most: int, path: str, losses: Losses) -> float | None:
    if value is None or value <= most:
        return value
    losses.add(path, "clamped", "behaviour", f"{value} became {most}")
    return most


def _drop_unsayable(request: Generate, losses: Losses) -> None:
    unsayable = (
        ("top_k", request.top_k),
        ("stop", request.stop or None),
        ("seed", request.seed),
        ("frequency_penalty", request.frequency_penalty or None),
        ("presence_penalty", request.presence_penalty or None),
        ("candidates", None if request.candidates == 1 else request.candidates),
    )
    for name, value in unsayable:
        if value is not None:
            losses.add(name, "dropped", "behaviour", f"{NAME} has no such parameter")


def _tool_choice(choice: ToolChoice) -> JsonObject:
    if len(choice.names) == 1 and ours(choice.extra) is None:
        return {"type": "function", "name": choice.names[0]}
    tools: list[JsonValue] = [{"type": "function", "name": name} for name in choice.names]
    return {"type": "allowed_tools", "mode": choice.mode, "tools": tools}


def _choose_tools(request: Generate, choice: ToolChoice, body: JsonObject, losses: Losses) -> None:
    """The API refuses a choice without tools. Where one was demanded and all had to be dropped, content is lost."""
    if "tools" in body or request.origin == NAME:
        body["tool_choice"] = _write_tool_choice(choice, losses)
    elif choice.mode == "required":
        losses.add("tool_choice", "dropped", "content", "none of the tools that must be called can be offered")


def _write_tool_choice(choice: ToolChoice, losses: Losses) -> JsonValue:
    if not choice.names:
        losses.drop_extra(choice.extra, "tool_choice")
        return choice.mode
    return carry(_tool_choice(choice), choice.extra, losses, "tool_choice")


def _write_output_format(form: OutputFormat, losses: Losses) -> JsonObject:
    kind = "json" if form.kind == "schema" and form.schema is None and ours(form.extra) is None else form.kind
    written: JsonObject = {"type": _FORMAT_TYPE[kind]}
    if kind == "schema":
        if form.name is not None or ours(form.extra) is None:
            written["name"] = form.name if form.name is not None else "response"
        _put(written, "description", form.description)
        _put(written, "schema", form.schema)
        _put(written, "strict", form.strict)
    return carry(written, form.extra, losses, "output_format")


def _write_reasoning(options: ReasoningOptions, body: JsonObject, losses: Losses) -> None:
    written: JsonObject = {}
    _put(written, "effort", _effort(options, losses))
    summary = options.summary
    if summary == "full":
        losses.add("reasoning.summary", "approximated", "behaviour", "full became detailed")
        summary = "detailed"
    if summary != "none" or ours(options.extra) is not None:
        _put(written, "summary", summary)
    carry(written, options.extra, losses, "reasoning")
    if written or ours(options.extra) is not None:
        body["reasoning"] = written


def _effort(options: ReasoningOptions, losses: Losses) -> str | None:
    if options.effort is not None:
        return options.effort
    if options.mode == "off":
        return "none"
    if options.budget is None:
        return None
    effort = next(word for ceiling, word in _EFFORT_OF_BUDGET if options.budget <= ceiling)
    losses.add("reasoning.budget", "approximated", "behaviour", f"{options.budget} tokens became {effort}")
    return effort


def stateless(request: Generate) -> Generate:
    """The request, asking the provider to keep nothing and to hand out encrypted reasoning instead.

    No state is left at a provider unasked.  A request that leans on state held there keeps its references
    (`previous_response_id`, `conversation`): they are the road's to refuse or resolve.
    """
    fields = dict(ours(request.extra) or {})
    included = fields.get("include")
    wanted: list[JsonValue] = [*included] if isinstance(included, list) else []
    if "reasoning.encrypted_content" not in wanted:
        wanted.append("reasoning.encrypted_content")
    fields.update(store=False, include=wanted)
    return msgspec.structs.replace(request, extra=Extra(LANGUAGE, fields))
