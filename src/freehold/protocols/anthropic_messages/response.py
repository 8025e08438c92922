"""A model's answer as one message, both ways."""

from __future__ import annotations

from typing import cast

import msgspec

from freehold.ir import (
    Choice,
    Extra,
    Fields,
    Finish,
    FinishKind,
    JsonObject,
    JsonValue,
    Losses,
    Part,
    Response,
    ToolCall,
)
from freehold.protocols.anthropic_messages.language import KIND_OF_STOP_REASON, LANGUAGE, STOP_REASON_OF_KIND
from freehold.protocols.anthropic_messages.parts import BlockWriter, is_ours, read_blocks
from freehold.protocols.anthropic_messages.sequence import made_id
from freehold.protocols.anthropic_messages.usage import read_usage, write_complete_usage
from freehold.protocols.codec import Encoded, Stamp, garbled

BESIDE_DELTA = ("context_management", "input_transformations")
"""What belongs to the end of an answer and stands beside `message_delta.delta`."""

_END_FIELDS = ("stop_sequence", "stop_details", "container", *BESIDE_DELTA)
"""What a stream says only when the message ends; in a whole message these stand at its top level."""


def read_response(body: JsonObject) -> Response:
    """A whole message. Raises UpstreamError for what is none."""
    fields = Fields(body, LANGUAGE)
    content = fields.take_list("content")
    if content is None or not all(isinstance(block, dict) for block in content):
        raise garbled(LANGUAGE.name, "there is no list of blocks in `content`")
    parts = read_blocks(cast("list[JsonObject]", content))
    fields.take_constant("type", "message")
    fields.take_constant("role", "assistant")
    usage = fields.take_object("usage")
    finish, extra = take_finish(fields, calls=calls_tools(parts))
    return Response(
        origin=LANGUAGE.name,
        choices=(Choice(parts=parts, finish=finish, extra=extra),),
        id=fields.take_str("id"),
        model=fields.take_str("model"),
        usage=None if usage is None else read_usage(usage),
        extra=fields.rest(),
    )


def calls_tools(parts: tuple[Part, ...]) -> bool:
    """Whether the client is asked to run a tool."""
    return any(isinstance(part, ToolCall) and not part.hosted for part in parts)


def take_finish(fields: Fields, *, calls: bool) -> tuple[Finish | None, Extra | None]:
    """Why the model stopped, and what else belongs to the end of the answer."""
    reason = fields.take_str("stop_reason")
    sequence = fields.take_str("stop_sequence")
    extra = end_extra({name: fields.take(name) for name in _END_FIELDS if fields.has(name)}, sequence)
    if reason is None:
        return None, extra
    return Finish(
        kind=finish_kind(reason, calls=calls), raw=reason, origin=LANGUAGE.name, stop_sequence=sequence
    ), extra


def end_extra(left: JsonObject, sequence: str | None) -> Extra | None:
    """What else was said at the end; None for the rule, which is `stop_sequence`, null or not, and nothing else."""
    expected: JsonObject = {"stop_sequence": None} if sequence is None else {}
    return None if left == expected else Extra(LANGUAGE, left)


def finish_kind(reason: str, *, calls: bool) -> FinishKind:
    """Our word for a stop reason. A tool call counts for more than the word (WIRE_FACTS 13)."""
    kind = KIND_OF_STOP_REASON.get(reason, "other")
    return "tool_calls" if calls and kind == "stop" else kind


def write_finish(finish: Finish | None, losses: Losses, path: str, *, calls: bool, native: bool) -> JsonObject:
    """`stop_reason` and `stop_sequence`; a complete message that gives no reason has one that fits its content."""
    if finish is None and native:
        return {"stop_reason": None, "stop_sequence": None}
    finish = finish or Finish(kind="stop")
    if finish.origin == LANGUAGE.name and finish.raw is not None:
        return {"stop_reason": finish.raw, "stop_sequence": finish.stop_sequence}
    if calls and finish.kind in ("stop", "other", "tool_calls"):
        return {"stop_reason": "tool_use", "stop_sequence": None}
    if finish.kind in ("error", "other"):
        losses.add(path, "approximated", "behaviour", f"finish {finish.raw or finish.kind}")
    if finish.kind == "stop" and finish.stop_sequence is not None:
        return {"stop_reason": "stop_sequence", "stop_sequence": finish.stop_sequence}
    reason = "end_turn" if finish.kind == "tool_calls" else STOP_REASON_OF_KIND[finish.kind]
    return {"stop_reason": reason, "stop_sequence": None}


def message_id(response: Response, stamp: Stamp) -> str:
    """The id that a client sees: the provider's own, or one in this protocol's form."""
    return response.id if response.origin == LANGUAGE.name and response.id is not None else f"msg_{stamp.id}"


def write_response(response: Response, stamp: Stamp, model: str) -> Encoded[JsonObject]:
    """An answer as a whole message. `model` is named where the provider named none."""
    losses = Losses()
    native = response.origin == LANGUAGE.name
    for index in range(1, len(response.choices)):
        losses.add(f"choices[{index}]", "dropped", "content", "a message has one candidate")
    choice = response.choices[0] if response.choices else Choice(parts=())
    writer = BlockWriter(losses, native=native, answer=True)
    parts = choice.parts if native else _identified(choice.parts, stamp)
    content = writer.blocks(parts, "choices[0].parts")
    finish = write_finish(choice.finish, losses, "choices[0].finish", calls=calls_tools(choice.parts), native=native)
    message: JsonObject = {
        "id": message_id(response, stamp),
        "type": "message",
        "role": "assistant",
        "model": response.model or model,
        "content": cast("JsonValue", content),
    }
    if choice.finish is not None or not native:
        message["stop_reason"] = finish["stop_reason"]
    write_end(message, finish, choice.extra, losses, "choices[0]")
    losses.repeat(response.extra, LANGUAGE, message, "")
    if response.usage is not None or not native:
        message["usage"] = write_complete_usage(response.usage, losses, "usage", native=native)
    return Encoded(message, losses.done())


def _identified(parts: tuple[Part, ...], stamp: Stamp) -> tuple[Part, ...]:
    """The same with an id for every tool call: a client must tell two calls of one tool apart."""
    return tuple(
        msgspec.structs.replace(part, id=made_id(stamp, index)) if isinstance(part, ToolCall) and not part.id else part
        for index, part in enumerate(parts)
    )


def write_end(target: JsonObject, finish: JsonObject, extra: Extra | None, losses: Losses, path: str) -> None:
    """`stop_sequence` and what stands beside it: exactly what was said, where this language said it."""
    if not is_ours(extra) or finish["stop_sequence"] is not None:
        target["stop_sequence"] = finish["stop_sequence"]
    losses.repeat(extra, LANGUAGE, target, path)
