"""Requests to generate, and to count what they would take."""

from __future__ import annotations

from typing import cast

import msgspec

from freehold.ir import CachePoint, Count, Extra, Generate, JsonObject, JsonValue, Losses, Message, Opaque, Tool
from freehold.protocols.codec import PLAIN, Dialect, Encoded
from freehold.protocols.gemini_generate.conversation import read_contents, read_system, write_foreign, write_native
from freehold.protocols.gemini_generate.language import NAME, is_ours
from freehold.protocols.gemini_generate.parts import PartWriter
from freehold.protocols.gemini_generate.settings import NO_SETTINGS, read_settings, write_settings
from freehold.protocols.gemini_generate.tools import (
    read_tools,
    take_tool_choice,
    tool_names,
    write_tool_choice,
    write_tools,
)
from freehold.protocols.gemini_generate.wire import Node, restore

WRAPPER = "generateContentRequest"
"""Where the Gemini API's token counter takes a whole request; without it, it takes `contents` alone."""

# --- Reading ---------------------------------------------------------------------------------------------------------


def read_request(body: JsonObject, *, model: str, stream: bool, headers: Extra | None) -> Generate:
    """A request from its body; the model and whether to stream stand in the path."""
    node = Node(body)
    messages: list[Message] = []
    system = node.take_object("systemInstruction")
    if system is not None:
        messages.append(read_system(system))
    contents = node.take_items("contents")
    if contents is None and not node.has("contents"):
        node.note_absent("contents")
    messages.extend(read_contents(contents or []))
    tools = _take_tools(node)
    config = node.child("toolConfig")
    choice = None
    if config is not None:
        choice = take_tool_choice(config)
        node.keep("toolConfig", config, hollow=True)
    settings = NO_SETTINGS
    generation = node.child("generationConfig")
    if generation is not None:
        settings = read_settings(generation)
        node.keep("generationConfig", generation, hollow=True)
    return Generate(
        origin=NAME,
        model=model,
        messages=tuple(messages),
        stream=stream,
        tools=tools,
        tool_choice=choice,
        **settings,
        headers=headers,
        extra=node.rest(),
    )


def _take_tools(node: Node) -> tuple[Tool | CachePoint | Opaque, ...]:
    """The offered tools; an empty list, or one of another form, rides along."""
    items = node.peek("tools")
    tools = read_tools([items] if isinstance(items, dict) else items) if isinstance(items, dict | list) else None
    if not tools:
        return ()
    node.take_items("tools")
    return tools


def read_count(body: JsonObject, *, model: str, headers: Extra | None) -> Count:
    """A request to count: a whole request in its wrapper, or its fields as they are."""
    node = Node(body)
    wrapped = node.child(WRAPPER)
    if wrapped is None:
        return Count(origin=NAME, generate=read_request(body, model=model, stream=False, headers=headers))
    inner = cast("JsonObject", body.get(WRAPPER, body.get("generate_content_request")))
    node.put_back(WRAPPER, {})
    generate = read_request(inner, model=model, stream=False, headers=headers)
    return Count(origin=NAME, generate=generate, extra=node.rest())


# --- Writing ---------------------------------------------------------------------------------------------------------


def write_body(request: Generate) -> Encoded[JsonObject]:
    """A request's body."""
    losses = Losses()
    native = request.origin == NAME
    names = tool_names(request)
    writer = PartWriter(losses, native=native, names=names)
    if native:
        system, contents = write_native(request.messages, writer)
    else:
        system, contents = write_foreign(request.messages, writer, request.model)
    body: JsonObject = {"contents": cast("JsonValue", contents)}
    if system is not None:
        body["systemInstruction"] = system
    tools = write_tools(request.tools, names, losses)
    if tools:
        body["tools"] = cast("JsonValue", tools)
    if request.tool_choice is not None and (tools or native or request.tool_choice.mode == "required"):
        choice = write_tool_choice(request.tool_choice, names, losses)
        body["toolConfig"] = {"functionCallingConfig": choice}
    settings = write_settings(request, losses)
    if settings:
        body["generationConfig"] = settings
    _note_unsaid(request, losses)
    restore(request.extra, body, losses, "")
    return Encoded(body, losses.done())


def _note_unsaid(request: Generate, losses: Losses) -> None:
    """What this protocol has no words for."""
    if request.parallel_tools is False and request.tools:
        losses.add("parallel_tools", "dropped", "behaviour", "calls may come in parallel")
    if request.user is not None:
        losses.add("user", "dropped", "accounting")
    if request.headers is not None and not is_ours(request.headers):
        losses.drop_extra(request.headers, "headers")


def write_count(request: Count, dialect: Dialect = PLAIN) -> Encoded[JsonObject]:
    """A request to count. The Gemini API counts system text and tools only in a wrapper, which Vertex AI lacks."""
    generate = request.generate
    native = generate.origin == NAME
    if not native:
        generate = _countable(generate)
    encoded = write_body(generate)
    body = encoded.value
    losses = Losses()
    said = request.extra.fields if request.extra is not None and is_ours(request.extra) else {}
    wrap = WRAPPER in said if native else dialect.provider != "vertex" and body.keys() > {"contents"}
    if wrap:
        if not native:
            body = {"model": f"models/{generate.model}", **body}
        body = dict[str, JsonValue]({WRAPPER: body})
    restore(request.extra, body, losses, "")
    return Encoded(body, encoded.losses + losses.done())


def _countable(request: Generate) -> Generate:
    """The request without what does not change its count, so that nothing of it is reported as lost."""
    return msgspec.structs.replace(
        request,
        tool_choice=None,
        parallel_tools=None,
        max_output_tokens=None,
        temperature=None,
        top_p=None,
        top_k=None,
        stop=(),
        seed=None,
        frequency_penalty=None,
        presence_penalty=None,
        candidates=None,
        output_format=None,
        reasoning=None,
        user=None,
    )
