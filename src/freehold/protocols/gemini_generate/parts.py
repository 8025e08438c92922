"""Parts: the same in requests and answers, read and written here."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import assert_never, cast

from freehold.errors import CallerError
from freehold.ir import (
    SEALED,
    CachePoint,
    JsonObject,
    JsonValue,
    Losses,
    Media,
    Opaque,
    Part,
    Proof,
    Reasoning,
    Refusal,
    Structured,
    Text,
    ToolCall,
    ToolResult,
    parse_object,
    write_json,
)
from freehold.protocols.gemini_generate.language import LANGUAGE, NAME, is_ours
from freehold.protocols.gemini_generate.media import read_media, write_media
from freehold.protocols.gemini_generate.wire import Node, restore

_SEAL = b"fh1."
_SEAL_IN_BASE64 = "ZmgxL"
"""How the base64 of every seal begins: signatures are bytes to Google's clients, so a seal travels as its base64."""

_DATA = (
    "text",
    "functionCall",
    "functionResponse",
    "inlineData",
    "fileData",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
)
"""The fields that say what kind a part is."""

# --- Reading ---------------------------------------------------------------------------------------------------------


def read_part(value: JsonValue, path: str) -> Part:
    """One part. Raises CallerError if it is not an object."""
    node = Node(value, path)
    part: Part | None
    if isinstance(node.peek("text"), str):
        part = _read_text(node)
    elif isinstance(node.peek("functionCall"), dict):
        part = _read_call(node)
    elif isinstance(node.peek("functionResponse"), dict):
        part = _read_result(node)
    elif isinstance(node.peek("inlineData"), dict) or isinstance(node.peek("fileData"), dict):
        part = _read_media(node)
    elif isinstance(node.peek("thoughtSignature"), str) and node.left.keys() <= {"thoughtSignature", "thought"}:
        node.note_absent("text")
        part = _read_text(node)
    else:
        part = None
    return _opaque(cast("JsonObject", value)) if part is None else part


def _opaque(value: JsonObject) -> Opaque:
    """A part that only Google understands, what it is first."""
    kind = next((name for name in _DATA if name in value), None)
    ordered = value if kind is None else {kind: value[kind], **value}
    return Opaque(origin=LANGUAGE, value=ordered)


def _read_text(node: Node) -> Text | Reasoning:
    text = node.take_str("text") or ""
    proof = take_proof(node)
    if node.peek("thought") is True:
        node.take("thought")
        return Reasoning(text=text, proof=proof, extra=node.rest())
    return Text(text=text, proof=proof, extra=node.rest())


def take_proof(node: Node) -> Proof | None:
    """`thoughtSignature`: Google's own, or a seal."""
    value = node.take_str("thoughtSignature")
    if value is None:
        return None
    if value.startswith(_SEAL_IN_BASE64):
        seal = _open_base64(value)
        if seal is not None:
            return Proof(origin=SEALED, value=seal)
    return Proof(origin=NAME, value=value)


def _open_base64(value: str) -> str | None:
    """The seal in a signature; clients write their bytes in either alphabet, with or without padding."""
    plain = value.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        data = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
        return data.decode("ascii") if data.startswith(_SEAL) else None
    except (binascii.Error, ValueError):
        return None


def _read_call(node: Node) -> ToolCall | None:
    inner = Node(node.peek("functionCall"), node.at("functionCall"))
    name = inner.take_str("name")
    if name is None or inner.has("partialArgs") or inner.has("willContinue"):
        # A call whose arguments come bit by bit, addressed by paths (Vertex AI, only where the client asked for it).
        return None
    node.take("functionCall")
    call_id, arguments = _take_id(inner), inner.take_object("args")
    node.keep("functionCall", inner)
    return ToolCall(
        id=call_id,
        name=name,
        arguments="" if arguments is None else write_json(arguments).decode(),
        proof=take_proof(node),
        extra=node.rest(),
    )


def _take_id(inner: Node) -> str:
    """The id of a call, "" for none; a call that has none keeps it so, whatever id stands in for it."""
    if not inner.has("id"):
        inner.note_absent("id")
    elif inner.peek("id"):
        return inner.take_str("id") or ""
    return ""


def _read_result(node: Node) -> ToolResult | None:
    inner = Node(node.peek("functionResponse"), node.at("functionResponse"))
    name = inner.take_str("name")
    if name is None:
        return None
    node.take("functionResponse")
    call_id, response = _take_id(inner), inner.take_object("response")
    parts: list[Text | Media | Structured | CachePoint | Opaque] = []
    is_error: bool | None = None
    match response:
        case None:
            if not inner.has("response"):
                inner.note_absent("response")
        case {"output": str(text), **others} if not others:
            parts.append(Text(text=text))
        case {"error": str(text), **others} if not others:
            parts.append(Text(text=text))
            is_error = True
        case _:
            parts.append(Structured(value=response))
    said = inner.peek("parts")
    if isinstance(said, list) and said and all(isinstance(item, dict) for item in said):
        inner.take("parts")
        parts.extend(_result_part(item, inner.at("parts")) for item in said)
    node.keep("functionResponse", inner)
    return ToolResult(call_id=call_id, name=name, parts=tuple(parts), is_error=is_error, extra=node.rest())


def _result_part(value: JsonValue, path: str) -> Media | Opaque:
    part = read_part(value, path)
    return part if isinstance(part, Media) else _opaque(cast("JsonObject", value))


def _read_media(node: Node) -> Media | None:
    media = read_media(node)
    if media is None:
        return None
    proof, extra = take_proof(node), node.rest()
    if proof is None and extra is None:
        return media
    return Media(
        kind=media.kind, source=media.source, media_type=media.media_type, name=media.name, proof=proof, extra=extra
    )


# --- Writing ---------------------------------------------------------------------------------------------------------

UNREADABLE = "unreadable_arguments"
"""The one argument of a call whose arguments were no JSON object: their text, so that the model sees its mistake."""


def read_arguments(arguments: str) -> JsonObject | None:
    """The JSON text of a call's arguments as an object, {} for none; None if it is anything else."""
    if not arguments.strip():
        return {}
    try:
        return parse_object(arguments)
    except CallerError:
        return None


def signature(proof: Proof | None) -> str | None:
    """What may stand in `thoughtSignature`: a native value, or the base64 of a seal."""
    if proof is None:
        return None
    if proof.origin == NAME:
        return proof.value
    if proof.origin == SEALED:
        return base64.b64encode(proof.value.encode()).decode()
    return None


class PartWriter:
    """Writes parts, noting what can not be said.

    `native`: the parts came from this language. `answer`: they are a model's answer on its way to a client.
    `names`: the tools that are called otherwise on the wire.
    """

    __slots__ = ("answer", "losses", "names", "native")

    def __init__(
        self, losses: Losses, *, native: bool, answer: bool = False, names: Mapping[str, str] | None = None
    ) -> None:
        self.losses = losses
        self.native = native
        self.answer = answer
        self.names: Mapping[str, str] = {} if names is None else names

    def parts(self, parts: Sequence[Part], path: str) -> list[JsonObject]:
        """The parts of one turn."""
        wires = (self.part(part, f"{path}[{index}]") for index, part in enumerate(parts))
        return [wire for wire in wires if wire is not None]

    def part(self, part: Part, path: str) -> JsonObject | None:
        """One part; None where there is nothing to say, or no way to say it (noted)."""
        wire: JsonObject | None
        match part:
            case Text():
                wire = self._text(part, path)
            case Reasoning():
                wire = self._reasoning(part, path)
            case Refusal():
                self.losses.add(path, "approximated", "behaviour", "a refusal is said as text")
                wire = {"text": part.text} if part.text else None
            case ToolCall():
                wire = self._call(part, path)
            case ToolResult() if self.answer and not self.native:
                self.losses.add(path, "dropped", "content", "the result of a tool that another provider ran")
                return None
            case ToolResult():
                wire = self.result(part, path)
            case Media():
                wire = write_media(part, self.losses, path, native=is_ours(part.extra) or self.native)
                self._sign(wire, part.proof, path)
            case Structured():
                wire = {"text": write_json(part.value).decode()}
            case CachePoint():
                self.losses.add(path, "dropped", "accounting", "a cache point")
                return None
            case Opaque():
                if part.origin is LANGUAGE:
                    return part.value
                self.losses.drop_opaque(part, path)
                return None
            case _:
                assert_never(part)
        if wire is not None:
            restore(part.extra, wire, self.losses, path)
        return wire

    def _sign(self, wire: JsonObject | None, proof: Proof | None, path: str) -> None:
        if proof is None:
            return
        value = signature(proof)
        if value is None:
            self.losses.add(f"{path}.proof", "dropped", "behaviour", f"a proof of {proof.origin}")
        elif wire is not None:
            wire["thoughtSignature"] = value

    def _text(self, part: Text, path: str) -> JsonObject | None:
        wire: JsonObject = {"text": part.text}
        self._sign(wire, part.proof, path)
        if not part.text and not self.native and len(wire) == 1:
            return None
        return wire

    def _reasoning(self, part: Reasoning, path: str) -> JsonObject | None:
        wire: JsonObject = {"text": part.text, "thought": True}
        self._sign(wire, part.proof, path)
        if not part.text and not self.native and "thoughtSignature" not in wire:
            if part.proof is None and not self.answer:
                self.losses.add(path, "dropped", "behaviour", "reasoning without text or proof")
            return None
        return wire

    def _call(self, part: ToolCall, path: str) -> JsonObject | None:
        if part.hosted:
            self.losses.add(path, "dropped", "content", "a call that another provider ran")
            return None
        arguments: JsonValue = read_arguments(part.arguments)
        if arguments is None:
            self.losses.add(f"{path}.arguments", "approximated", "behaviour", "arguments that are no JSON object")
            arguments = {UNREADABLE: part.arguments}
        call: JsonObject = {}
        if part.id:
            call["id"] = part.id
        call["name"] = self.names.get(part.name, part.name)
        if part.arguments or not self.native:
            call["args"] = arguments
        wire: JsonObject = {"functionCall": call}
        self._sign(wire, part.proof, path)
        return wire

    def result(self, part: ToolResult, path: str) -> JsonObject:
        """A tool's result: its words or value in `response`, media beside it."""
        inner: JsonObject = {}
        if part.call_id:
            inner["id"] = part.call_id
        name = part.name or ""
        inner["name"] = self.names.get(name, name)
        media: list[JsonValue] = []
        values: list[JsonValue] = []
        structured = False
        for index, item in enumerate(part.parts):
            where = f"{path}.parts[{index}]"
            match item:
                case Text():
                    values.append(item.text)
                    self._drop_extra(item, where)
                case Structured():
                    values.append(item.value)
                    structured = True
                    self._drop_extra(item, where)
                case _:
                    wire = self.part(item, where)
                    if wire is not None:
                        media.append(wire)
        inner["response"] = _response(values, structured=structured, is_error=part.is_error is True)
        if media:
            inner["parts"] = media
        return {"functionResponse": inner}

    def _drop_extra(self, item: Text | Structured, path: str) -> None:
        if not is_ours(item.extra):
            self.losses.drop_extra(item.extra, path)


def _response(values: list[JsonValue], *, structured: bool, is_error: bool) -> JsonObject:
    """`response`: Google reads `output` and `error`, and takes any other object as the output itself."""
    if structured and len(values) == 1 and isinstance(values[0], dict):
        value = values[0]
        return {"error": value} if is_error and "error" not in value else value
    output: JsonValue
    if not structured:
        output = "\n".join(cast("list[str]", values))
    elif len(values) == 1:
        output = values[0]
    else:
        output = values
    return {"error" if is_error else "output": output}
