"""A model's answer as one Converse output, both ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from freehold.ir import (
    CachePoint,
    Choice,
    Fields,
    Finish,
    FinishKind,
    JsonObject,
    JsonValue,
    Losses,
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Response,
    Structured,
    Text,
    ToolCall,
    ToolResult,
    write_json,
)
from freehold.protocols.bedrock_converse.conversation import plain_id
from freehold.protocols.bedrock_converse.language import (
    KIND_OF_STOP_REASON,
    LANGUAGE,
    NAME,
    STOP_REASON_OF_KIND,
    ours,
    repeat,
)
from freehold.protocols.bedrock_converse.media import DocumentNames, write_media
from freehold.protocols.bedrock_converse.parts import (
    read_blocks,
    read_object,
    usable_proof,
    write_native_blocks,
    write_reasoning,
)
from freehold.protocols.bedrock_converse.usage import read_usage, write_usage
from freehold.protocols.codec import Encoded, Stamp, garbled

MORE_FIELDS = "additionalModelResponseFields"
"""What the client asked for beside the answer; belongs to its end."""

# --- Reading ---------------------------------------------------------------------------------------------------------


def read_response(body: JsonObject, names: Mapping[str, str]) -> Response:
    """A whole answer. `names`: the caller's names of tools by those on the wire. Raises UpstreamError for garbage."""
    fields = Fields(body, LANGUAGE)
    output = fields.take("output")
    message = output.get("message") if isinstance(output, dict) else None
    if not isinstance(output, dict) or not isinstance(message, dict):
        raise garbled(NAME, "there is no `output.message`")
    inner = Fields(message, LANGUAGE)
    content = inner.take_list("content")
    parts = None if content is None else read_blocks(content)
    if parts is None:
        raise garbled(NAME, "`output.message.content` is not a list of blocks")
    inner.take_constant("role", "assistant")
    if len(output) > 1:
        fields.put_back("output", {name: value for name, value in output.items() if name != "message"})
    if fields.has(MORE_FIELDS):
        inner.put_back(MORE_FIELDS, fields.take(MORE_FIELDS))
    usage = fields.take_object("usage")
    parts = rename_calls(parts, names)
    finish = read_finish(fields.take_str("stopReason"), calls=calls_tools(parts), more=inner.peek(MORE_FIELDS))
    return Response(
        origin=NAME,
        choices=(Choice(parts=parts, finish=finish, extra=inner.rest()),),
        usage=None if usage is None else read_usage(usage),
        extra=fields.rest(),
    )


def rename_calls(parts: tuple[Part, ...], names: Mapping[str, str]) -> tuple[Part, ...]:
    """Calls under the names by which the caller offered the tools."""
    if not names:
        return parts
    return tuple(
        msgspec.structs.replace(part, name=names[part.name])
        if isinstance(part, ToolCall) and part.name in names
        else part
        for part in parts
    )


def calls_tools(parts: Sequence[Part]) -> bool:
    """Whether the client is asked to run a tool."""
    return any(isinstance(part, ToolCall) and not part.hosted for part in parts)


def read_finish(reason: str | None, *, calls: bool, more: JsonValue) -> Finish | None:
    """Why the model stopped. A tool call counts for more than the word (WIRE_FACTS 13).

    Which stop sequence it was stands in `more`, if the client asked for it.
    """
    if reason is None:
        return None
    kind: FinishKind = KIND_OF_STOP_REASON.get(reason, "other")
    kind = "tool_calls" if calls and kind == "stop" else kind
    match more:
        case {"stop_sequence": str(sequence)} | {"delta": {"stop_sequence": str(sequence)}}:
            return Finish(kind=kind, raw=reason, origin=NAME, stop_sequence=sequence)
        case _:
            return Finish(kind=kind, raw=reason, origin=NAME)


# --- Writing ---------------------------------------------------------------------------------------------------------


def write_response(response: Response, stamp: Stamp) -> Encoded[JsonObject]:
    """An answer as a whole output."""
    losses = Losses()
    native = response.origin == NAME
    for index in range(1, len(response.choices)):
        losses.add(f"choices[{index}]", "dropped", "content", "a Converse answer has one candidate")
    choice = response.choices[0] if response.choices else Choice(parts=())
    message: JsonObject = {"role": "assistant"}
    if native:
        message["content"] = write_native_blocks(choice.parts, losses, "choices[0].parts")
    else:
        message["content"] = _AnswerWriter(losses, stamp).blocks(choice.parts)
    repeat(choice.extra, message, losses, "choices[0]")
    body: JsonObject = {"output": {"message": message}}
    if MORE_FIELDS in message:
        body[MORE_FIELDS] = message.pop(MORE_FIELDS)
    said = ours(response.extra)
    husk = None if said is None else said.get("output")
    if isinstance(husk, dict):
        body["output"] = {"message": message, **husk}
    if choice.finish is not None or not native:
        body["stopReason"] = write_finish(choice.finish, losses, calls=calls_tools(choice.parts))
    if response.usage is not None or not native:
        body["usage"] = write_usage(response.usage, losses)
    repeat(response.extra, body, losses, "")
    if not native:
        # Demanded by the service model; nobody measured it.
        body["metrics"] = {"latencyMs": 0}
    return Encoded(body, losses.done())


def write_finish(finish: Finish | None, losses: Losses, *, calls: bool) -> str:
    """The `stopReason`."""
    if finish is None:
        return "tool_use" if calls else "end_turn"
    if finish.origin == NAME and finish.raw is not None:
        return finish.raw
    if calls and finish.kind in ("stop", "other", "tool_calls"):
        return "tool_use"
    if finish.kind in ("error", "other", "pause"):
        losses.add("choices[0].finish", "approximated", "behaviour", f"finish {finish.raw or finish.kind}")
    if finish.kind == "stop" and finish.stop_sequence is not None:
        return "stop_sequence"
    return "end_turn" if finish.kind == "tool_calls" else STOP_REASON_OF_KIND[finish.kind]


class _AnswerWriter:
    """Writes the parts of a foreign answer as blocks."""

    def __init__(self, losses: Losses, stamp: Stamp) -> None:
        self.losses = losses
        self.stamp = stamp
        self.documents = DocumentNames()

    def blocks(self, parts: Sequence[Part]) -> list[JsonValue]:
        blocks: list[JsonValue] = []
        for index, part in enumerate(parts):
            block = self.block(part, index, f"choices[0].parts[{index}]")
            if block is not None:
                blocks.append(block)
        return blocks

    def block(self, part: Part, index: int, path: str) -> JsonObject | None:
        speakable = speak(part, index, self.losses, self.stamp, path)
        match speakable:
            case None:
                return None
            case Text():
                return {"text": speakable.text} if speakable.text else None
            case Reasoning():
                return write_reasoning(speakable, self.losses, path)
            case ToolCall():
                return {"toolUse": write_foreign_call(speakable, self.losses, path)}
            case Media():
                block = write_media(speakable, self.losses, path)
                document = None if block is None else block.get("document")
                if isinstance(document, dict):
                    document["name"] = self.documents.give(str(document["name"]))
                return block


def speak(
    part: Part, index: int, losses: Losses, stamp: Stamp, path: str
) -> Text | Reasoning | ToolCall | Media | None:
    """A part of a foreign answer in the words that this language has; None, noted, where it has none."""
    match part:
        case Text(text=text, proof=proof, extra=extra):
            if proof is not None:
                losses.add(f"{path}.proof", "dropped", "behaviour", "signed text")
            losses.drop_extra(None if ours(extra) is not None else extra, path)
            return Text(text=text)
        case Refusal(text=text, extra=extra):
            losses.add(path, "approximated", "behaviour", "a refusal is said as text")
            losses.drop_extra(extra, path)
            return Text(text=text)
        case Structured():
            return Text(text=write_json(part.value).decode())
        case Reasoning():
            proof = usable_proof(part.proof)
            if part.proof is not None and proof is None:
                losses.add(f"{path}.proof", "dropped", "behaviour", f"a proof of {part.proof.origin}")
            losses.drop_extra(part.extra, path)
            if proof is None and (part.redacted or not part.text):
                return None if part.redacted else Reasoning(text="")
            return Reasoning(text=part.text, proof=proof, redacted=part.redacted)
        case ToolCall():
            if part.hosted:
                losses.add(path, "dropped", "content", "a call that another provider ran")
                return None
            if part.proof is not None:
                losses.add(f"{path}.proof", "dropped", "behaviour", f"a proof of {part.proof.origin}")
            losses.drop_extra(part.extra, path)
            call_id = plain_id(part.id) if part.id else f"tooluse_{stamp.id}_{index}"[:64]
            return ToolCall(id=call_id, name=part.name, arguments=part.arguments)
        case Media():
            return part
        case Opaque():
            losses.drop_opaque(part, path)
            return None
        case CachePoint() | ToolResult():
            losses.add(path, "dropped", "content", f"a model's answer has no {type(part).__name__} here")
            return None


def write_foreign_call(part: ToolCall, losses: Losses, path: str) -> JsonObject:
    """The fields of `toolUse`."""
    return {"toolUseId": part.id, "name": part.name, "input": read_object(part.arguments, losses, path)}
