"""A request's body, both ways."""

from __future__ import annotations

import re
from typing import Any, cast

import msgspec

from freehold.ir import (
    Extra,
    Fields,
    Generate,
    JsonObject,
    JsonValue,
    Losses,
    Message,
    OutputFormat,
    Part,
    Role,
    Text,
    Tool,
    ToolChoice,
)
from freehold.ir.fields import INTEGER, NUMBER, STRING, Plain
from freehold.protocols.anthropic_messages.conversation import RequestWriter, resumes_unsigned, write_conversation
from freehold.protocols.anthropic_messages.language import LANGUAGE
from freehold.protocols.anthropic_messages.parts import holder_extra, is_ours, take_content
from freehold.protocols.anthropic_messages.reasoning import (
    DEFAULT_MAX_TOKENS_STREAMED,
    Thinking,
    read_reasoning,
    write_reasoning,
)
from freehold.protocols.anthropic_messages.tools import (
    FREE_CHOICE,
    read_format,
    read_tools,
    take_tool_choice,
    write_format,
    write_tool_choice,
    write_tools,
)
from freehold.protocols.codec import PLAIN, Dialect, Encoded
from freehold.protocols.free_names import FreeNames

JSON_INSTRUCTION = "Answer with one valid JSON value and nothing else: no prose, no code fence."
"""Said in the system prompt where any JSON is wanted; this protocol can enforce only JSON that fits a schema."""

_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
"""The names of tools that the API takes."""

_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}

COUNTED = frozenset(
    {
        "cache_control",
        "context_management",
        "mcp_servers",
        "messages",
        "model",
        "output_config",
        "speed",
        "system",
        "thinking",
        "tool_choice",
        "tools",
    }
)
"""The fields of a request that can be counted; the endpoint refuses any other."""


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """Where a host wants what is not the conversation itself.

    `model`: whether it stands in the body. `version`: the `anthropic_version` that the body must hold, used where the
    client said none; with it, betas stand in the body, too.
    """

    model: bool = True
    version: str | None = None


FIRST_PARTY = Shape()
VERTEX = Shape(model=False, version="vertex-2023-10-16")

# --- Reading ---------------------------------------------------------------------------------------------------------


def read_request(
    body: JsonObject, *, headers: JsonObject, cloud: bool = False, model: str = "", stream: bool | None = None
) -> Generate:
    """A request from its body. `model`, where not empty, and `stream`, where not None, stand outside of it.

    `headers` are the protocol's own headers; the version and the betas that a `cloud` wants in the body join them.
    Raises CallerError, naming the place.
    """
    fields = Fields(body, LANGUAGE)
    headers = dict(headers)
    for name in ("anthropic_version", "anthropic_beta"):
        if cloud and fields.has(name):
            headers[name] = fields.take(name)
    wanted = fields.take_constant("stream", value=True)
    settings = fields.take_plain(_PLAIN)
    said = settings.pop("model", None)
    messages = (*_take_system(fields), *_take_messages(fields))
    if fields.holds_any(_COMPOSED):
        settings.update(_take_composed(fields))
    return Generate(
        origin=LANGUAGE.name,
        model=model or (fields.fail("must be a string", "model") if said is None else said),
        messages=messages,
        stream=wanted if stream is None else stream,
        headers=Extra(LANGUAGE, headers) if headers else None,
        extra=fields.rest(),
        **settings,
    )


_PLAIN: Plain = {
    "model": ("model", STRING),
    "max_tokens": ("max_output_tokens", INTEGER),
    "temperature": ("temperature", NUMBER),
    "top_p": ("top_p", NUMBER),
    "top_k": ("top_k", INTEGER),
}

_COMPOSED = frozenset(
    {
        "metadata",
        "output_config",
        "output_format",
        "stop_sequences",
        "thinking",
        "tool_choice",
        "tools",
    }
)
"""Fields that hold objects or lists, read by `_take_composed`."""


def _take_composed(fields: Fields) -> dict[str, Any]:
    """Fields that are objects or lists."""
    choice, parallel = take_tool_choice(fields)
    tools = fields.peek("tools")
    form = _take_format(fields)
    return {
        "tools": read_tools(cast("list[JsonObject]", fields.take("tools"))) if _are_objects(tools) else (),
        "tool_choice": choice,
        "parallel_tools": parallel,
        "stop": _take_stop(fields),
        "output_format": form,
        "reasoning": read_reasoning(fields),
        "user": _take_user(fields),
    }


def _are_objects(value: JsonValue) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _take_system(fields: Fields) -> tuple[Message, ...]:
    """`system`, a string or a list of blocks, as the first message."""
    if not fields.has("system"):
        return ()
    holder = Fields({"content": fields.peek("system")}, LANGUAGE)
    parts = take_content(holder)
    if holder.has("content"):
        return ()
    fields.take("system")
    return (Message(role="system", parts=parts, extra=holder_extra(holder, parts, had_content=True)),)


def _take_messages(fields: Fields) -> tuple[Message, ...]:
    values = fields.need_list("messages")
    if not all(isinstance(value, dict) for value in values):
        # The provider will say what is wrong with them.
        fields.put_back("messages", values)
        return ()
    return tuple([_read_message(value, index) for index, value in enumerate(values)])


def _read_message(value: JsonValue, index: int) -> Message:
    if isinstance(value, dict) and len(value) == 2:
        # Nothing but words, as most messages of most conversations are.
        role, text = value.get("role"), value.get("content")
        if role in ("user", "assistant") and isinstance(text, str):
            return Message(role=cast("Role", role), parts=(Text(text=text),))
    return _read_any_message(value, index)


def _read_any_message(value: JsonValue, index: int) -> Message:
    fields = Fields(value, LANGUAGE, f"messages[{index}]")
    said = fields.peek("role")
    role = _ROLES.get(said) if isinstance(said, str) else None
    if role is None:
        fields.fail('must be "user", "assistant" or "system"', "role")
    if role != "system":
        fields.take("role")
    # The role of a system message rides along: it tells this place from the top-level `system`.
    had_content = fields.has("content")
    parts: tuple[Part, ...] = take_content(fields)
    return Message(role=role, parts=parts, extra=holder_extra(fields, parts, had_content=had_content))


def _take_stop(fields: Fields) -> tuple[str, ...]:
    stop = fields.peek("stop_sequences")
    if not isinstance(stop, list) or not stop or not all(isinstance(item, str) for item in stop):
        return ()
    fields.take("stop_sequences")
    return tuple(item for item in stop if isinstance(item, str))


def _take_user(fields: Fields) -> str | None:
    return _take_inner(fields, "metadata", "user_id")


def _take_inner(fields: Fields, outer: str, name: str) -> str | None:
    """A string inside of an object; the rest of the object, if any, is put back."""
    value = fields.peek(outer)
    if not isinstance(value, dict) or not isinstance(value.get(name), str):
        return None
    fields.take(outer)
    left = {key: item for key, item in value.items() if key != name}
    if left:
        fields.put_back(outer, left)
    return cast("str", value[name])


def _take_format(fields: Fields) -> OutputFormat | None:
    """`output_config.format`, or `output_format` as betas wrote it, whose husk rides along to tell the two apart."""
    config = fields.peek("output_config")
    if isinstance(config, dict):
        found = read_format(config.get("format"))
        if found is not None:
            form, husk = found
            fields.take("output_config")
            left = {name: item for name, item in config.items() if name != "format"}
            if husk:
                left["format"] = husk
            if left:
                fields.put_back("output_config", left)
            return form
    found = read_format(fields.peek("output_format"))
    if found is None:
        return None
    form, husk = found
    fields.put_back("output_format", husk)
    return form


# --- Writing ---------------------------------------------------------------------------------------------------------


def tool_names(request: Generate) -> dict[str, str]:
    """The offered and called tools whose names this protocol refuses, by the names that stand for them."""
    offered = dict.fromkeys(tool.name for tool in request.tools if isinstance(tool, Tool))
    free = FreeNames(offered)
    return {
        name: free.give(re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:120] or "tool")
        for name in offered
        if not _TOOL_NAME.fullmatch(name)
    }


def write_body(
    request: Generate, shape: Shape = FIRST_PARTY, dialect: Dialect = PLAIN, *, counted: bool = False
) -> Encoded[JsonObject]:
    """A request's body. `counted`: for the token counter, which takes no limits and no sampling."""
    losses = Losses()
    native = request.origin == LANGUAGE.name
    if counted and not native:
        request = _countable(request)
    names = tool_names(request)
    writer = RequestWriter(losses, names, native=native)
    system, messages = write_conversation(request.messages, writer, losses, model=request.model)
    unsigned = (writer.dropped_reasoning or not native) and resumes_unsigned(messages)
    thinking = write_reasoning(request, losses, dialect, native=native, unsigned=unsigned)
    form = None
    if request.output_format is not None:
        form = write_format(request.output_format, losses, native=native)
        if form is None and request.output_format.kind == "json":
            losses.add("output_format", "simulated", "behaviour", "JSON without a schema is asked for in words")
            system = _with_instruction(system)
    body: JsonObject = {}
    if shape.version is not None:
        body["anthropic_version"] = _header(request, "anthropic_version") or shape.version
        beta = _header(request, "anthropic_beta")
        if beta is not None:
            body["anthropic_beta"] = beta
    if shape.model:
        body["model"] = request.model
    if thinking.max_tokens is not None:
        body["max_tokens"] = thinking.max_tokens
    if messages or not _rides_along(request, "messages"):
        body["messages"] = cast("JsonValue", messages)
    if system is not None:
        body["system"] = system
    if request.stream:
        body["stream"] = True
    _write_sampling(request, body, losses, thinking, native=native)
    _write_tools(request, body, names, losses, dialect, native=native)
    _write_configuration(request, body, thinking, form)
    _note_unsaid(request, losses)
    losses.repeat(request.extra, LANGUAGE, body, "")
    if counted and not native:
        body = {name: item for name, item in body.items() if name in COUNTED}
    return Encoded(body, losses.done())


def _countable(request: Generate) -> Generate:
    """The request without what does not change its count, so that nothing of it is reported as lost."""
    return msgspec.structs.replace(
        request,
        stream=False,
        max_output_tokens=DEFAULT_MAX_TOKENS_STREAMED,
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


def _rides_along(request: Generate, name: str) -> bool:
    return is_ours(request.extra) and request.extra is not None and name in request.extra.fields


def _header(request: Generate, name: str) -> JsonValue:
    return request.headers.fields.get(name) if request.headers is not None and is_ours(request.headers) else None


def _with_instruction(system: JsonValue) -> JsonValue:
    if system is None or system == "":
        return JSON_INSTRUCTION
    if isinstance(system, str):
        return f"{system}\n\n{JSON_INSTRUCTION}"
    return [*cast("list[JsonValue]", system), {"type": "text", "text": JSON_INSTRUCTION}]


def _write_sampling(request: Generate, body: JsonObject, losses: Losses, thinking: Thinking, *, native: bool) -> None:
    """Temperature and its like.

    While thinking the API takes only their defaults, and current models refuse temperature and top_p together.
    """
    if request.stop:
        stop = [item for item in request.stop if native or item.strip()]
        if len(stop) < len(request.stop):
            losses.add("stop", "dropped", "behaviour", "stop sequences of white space only")
        if stop:
            body["stop_sequences"] = cast("JsonValue", stop)
    if native:
        _set(body, "temperature", request.temperature)
        _set(body, "top_k", request.top_k)
        _set(body, "top_p", request.top_p)
        return
    temperature = request.temperature
    if temperature is not None and not 0 <= temperature <= 1:
        temperature = min(max(temperature, 0), 1)
        losses.add("temperature", "clamped", "behaviour", f"{request.temperature} to {temperature}")
    if not thinking.on:
        _set(body, "temperature", temperature)
        _set(body, "top_k", request.top_k)
        if temperature is None:
            _set(body, "top_p", request.top_p)
        elif request.top_p is not None and request.top_p < 1:
            losses.add("top_p", "dropped", "behaviour", "not beside a temperature")
        return
    if temperature is not None and temperature != 1:
        losses.add("temperature", "dropped", "behaviour", "not while thinking")
    if request.top_k is not None:
        losses.add("top_k", "dropped", "behaviour", "not while thinking")
    if request.top_p is not None and request.top_p < 1:
        losses.add("top_p", "dropped", "behaviour", "not while thinking")


def _set(body: JsonObject, name: str, value: JsonValue) -> None:
    if value is not None:
        body[name] = value


def _write_tools(
    request: Generate, body: JsonObject, names: dict[str, str], losses: Losses, dialect: Dialect, *, native: bool
) -> None:
    tools = write_tools(request.tools, names, losses, native=native)
    if tools:
        body["tools"] = cast("JsonValue", tools)
    choice = request.tool_choice
    if not native and not tools:
        if choice is not None and choice.mode == "required":
            losses.add("tool_choice", "dropped", "behaviour", "there are no tools to choose from")
        return
    if not native and FREE_CHOICE in dialect.flags and choice is not None and choice.mode == "required":
        losses.add("tool_choice", "dropped", "behaviour", "this model can not be made to call a tool")
        choice = ToolChoice(mode="auto")
    wire = write_tool_choice(choice, names, losses, parallel=request.parallel_tools, offered=bool(tools))
    _set(body, "tool_choice", wire)


def _write_configuration(request: Generate, body: JsonObject, thinking: Thinking, form: JsonObject | None) -> None:
    """`thinking`, `output_config` and `metadata`, each joined with what else its object said."""
    extras = request.extra.fields if request.extra is not None and is_ours(request.extra) else {}
    _set(body, "thinking", thinking.value)
    config: JsonObject = {}
    _set(config, "effort", thinking.effort)
    if form is not None and "output_format" in extras:
        body["output_format"] = _joined(form, extras["output_format"])
    elif form is not None:
        said = extras.get("output_config")
        config["format"] = _joined(form, said.get("format") if isinstance(said, dict) else None)
    if config:
        said = extras.get("output_config")
        body["output_config"] = _joined(config, said)
    if request.user is not None:
        body["metadata"] = _joined({"user_id": request.user}, extras.get("metadata"))


def _joined(taken: JsonObject, left: JsonValue) -> JsonObject:
    """A field's own object with what was left of it."""
    return {**left, **taken} if isinstance(left, dict) else taken


def _note_unsaid(request: Generate, losses: Losses) -> None:
    """What this protocol has no words for."""
    for name in ("seed", "frequency_penalty", "presence_penalty"):
        value = getattr(request, name)
        if value not in (None, 0):
            losses.add(name, "dropped", "behaviour")
    if request.candidates is not None and request.candidates > 1:
        losses.add("candidates", "dropped", "behaviour", "a message has one candidate")
    if request.headers is not None and not is_ours(request.headers):
        losses.drop_extra(request.headers, "headers")
