"""Whole answers, both ways."""

from __future__ import annotations

from datetime import datetime
from typing import cast

import msgspec

from freehold.errors import CallerError
from freehold.ir import (
    Choice,
    Finish,
    FinishKind,
    JsonObject,
    JsonValue,
    Losses,
    Part,
    Response,
    ToolCall,
)
from freehold.protocols.codec import Encoded, Stamp, garbled
from freehold.protocols.gemini_generate.enums import GEMINI_NUMBERS, Numbers, name_of
from freehold.protocols.gemini_generate.language import (
    ABSENT,
    FINISH_REASON_OF_KIND,
    KIND_OF_FINISH_REASON,
    NAME,
)
from freehold.protocols.gemini_generate.parts import PartWriter, read_part
from freehold.protocols.gemini_generate.usage import read_usage, write_usage
from freehold.protocols.gemini_generate.wire import Node, flagged, restore

CANDIDATES = "candidates"

# --- Reading ---------------------------------------------------------------------------------------------------------


def read_response(body: JsonObject, numbers: Numbers = GEMINI_NUMBERS) -> Response:
    """A whole answer. Raises UpstreamError for what is none."""
    if CANDIDATES not in body and "promptFeedback" not in body and "usageMetadata" not in body:
        raise garbled(NAME, "there are no `candidates`")
    try:
        return _read(Node(body), numbers)
    except CallerError as error:
        raise garbled(NAME, error.message) from None


def _read(node: Node, numbers: Numbers) -> Response:
    choices: tuple[Choice, ...] = ()
    candidates = node.peek(CANDIDATES)
    if isinstance(candidates, list) and candidates:
        node.take(CANDIDATES)
        choices = tuple(_read_candidate(item, place, numbers) for place, item in enumerate(candidates))
    elif not node.has(CANDIDATES):
        node.note_absent(CANDIDATES)
        blocked = block_finish(node.peek("promptFeedback"), numbers)
        choices = () if blocked is None else (Choice(parts=(), finish=blocked),)
    usage = node.take_object("usageMetadata")
    created = unix_seconds(node.peek("createTime"))
    return Response(
        origin=NAME,
        choices=choices,
        id=node.take_str("responseId"),
        model=node.take_str("modelVersion"),
        created=created,
        usage=None if usage is None else read_usage(usage),
        extra=node.rest(),
    )


def unix_seconds(value: JsonValue) -> int | None:
    """RFC 3339 text as Unix seconds; the text itself rides along, being more exact."""
    if not isinstance(value, str):
        return None
    try:
        return int(datetime.fromisoformat(value[:19] + "+00:00").timestamp())
    except (ValueError, OverflowError):
        return None


def block_finish(feedback: JsonValue, numbers: Numbers = GEMINI_NUMBERS) -> Finish | None:
    """Why a prompt was refused as a whole; None if it was not."""
    if not isinstance(feedback, dict) or "blockReason" not in feedback:
        return None
    raw = name_of("blockReason", feedback["blockReason"], numbers)
    return Finish(kind="content_filter", raw=raw, origin=NAME)


def read_finish(value: JsonValue, numbers: Numbers, *, calls: bool) -> Finish | None:
    """A `finishReason`, by name or number. Calls decide what STOP means."""
    raw = name_of("finishReason", value, numbers)
    if raw is None:
        return None
    kind: FinishKind = KIND_OF_FINISH_REASON.get(raw, "other")
    return Finish(kind="tool_calls" if calls and kind == "stop" else kind, raw=raw, origin=NAME)


def _read_candidate(value: JsonValue, place: int, numbers: Numbers) -> Choice:
    node = Node(value, f"candidates[{place}]")
    content = node.child("content")
    parts: tuple[Part, ...] = ()
    if content is None:
        if not node.has("content"):
            node.note_absent("content")
    else:
        items = content.take_list("parts")
        if items is None and not content.has("parts"):
            content.note_absent("parts")
        parts = tuple(read_part(item, f"{content.path}.parts[{number}]") for number, item in enumerate(items or []))
        if not content.take_constant("role", "model") and not content.has("role"):
            content.note_absent("role")
        node.keep("content", content)
    index = node.take_int("index")
    if index is None and not node.has("index"):
        node.note_absent("index")
    finish = read_finish(node.peek("finishReason"), numbers, calls=has_calls(parts))
    if isinstance(node.peek("finishReason"), str):
        node.take("finishReason")
    return Choice(parts=parts, finish=finish, index=place if index is None else index, extra=node.rest())


def has_calls(parts: tuple[Part, ...]) -> bool:
    """Whether the client is to run tools."""
    return any(isinstance(part, ToolCall) and not part.hosted for part in parts)


# --- Writing ---------------------------------------------------------------------------------------------------------


def write_response(response: Response, stamp: Stamp, model: str) -> Encoded[JsonObject]:
    """A whole answer."""
    losses = Losses()
    native = response.origin == NAME
    body: JsonObject = {}
    if not (native and flagged(response.extra, ABSENT, CANDIDATES)):
        writer = PartWriter(losses, native=native, answer=True)
        body[CANDIDATES] = [_write_candidate(choice, writer) for choice in response.choices]
    if response.usage is not None:
        body["usageMetadata"] = write_usage(response.usage, response.usage.extra, losses, "usage")
    write_heading(response, body, stamp, model)
    restore(response.extra, body, losses, "")
    return Encoded(body, losses.done())


def write_heading(response: Response, body: JsonObject, stamp: Stamp, model: str) -> None:
    """Which model answered, and the answer's id; made up only for other languages' answers."""
    native = response.origin == NAME
    version = response.model if native else response.model or model or None
    identity = response.id if native else response.id or stamp.id
    if version is not None:
        body["modelVersion"] = version
    if identity is not None:
        body["responseId"] = identity


def _write_candidate(choice: Choice, writer: PartWriter) -> JsonObject:
    path = f"choices[{choice.index}]"
    parts = writer.parts(choice.parts, f"{path}.parts")
    wire: JsonObject = {"content": {"parts": cast("JsonValue", parts), "role": "model"}}
    if choice.finish is not None:
        wire["finishReason"] = write_finish(choice.finish, writer.losses, f"{path}.finish")
    wire["index"] = choice.index
    restore(choice.extra, wire, writer.losses, path)
    return wire


def write_finish(finish: Finish, losses: Losses, path: str) -> str:
    """The `finishReason` that says so, or comes nearest."""
    if finish.origin == NAME and finish.raw is not None:
        return finish.raw
    if finish.kind in ("refusal", "pause"):
        losses.add(path, "approximated", "behaviour", f"{finish.kind} as {FINISH_REASON_OF_KIND[finish.kind]}")
    return FINISH_REASON_OF_KIND[finish.kind]


def renamed(response: Response, names: dict[str, str]) -> Response:
    """The answer with the names of tools as the request has them."""
    choices = tuple(
        msgspec.structs.replace(choice, parts=tuple(original_name(part, names) for part in choice.parts))
        for choice in response.choices
    )
    return msgspec.structs.replace(response, choices=choices)


def original_name(part: Part, names: dict[str, str]) -> Part:
    """A call under the name that the request has for its tool."""
    if isinstance(part, ToolCall) and part.name in names:
        return msgspec.structs.replace(part, name=names[part.name])
    return part
