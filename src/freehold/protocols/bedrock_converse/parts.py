"""Content blocks and parts, both ways: what requests and answers share."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import assert_never, cast

from freehold.errors import CallerError
from freehold.ir import (
    SEALED,
    CachePoint,
    Extra,
    Fields,
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
    parse_json,
    write_json,
)
from freehold.protocols.bedrock_converse.language import LANGUAGE, NAME, only, ours, repeat
from freehold.protocols.bedrock_converse.media import read_media, write_native_media

SEAL_PREFIX = b"fh1."
"""How every seal begins; one stands base64-encoded in `redactedContent`."""

GUARDED = "guardContent.text"
"""Extra of a text that stood in `guardContent`: what else its `text` object said."""

# --- Reading ---------------------------------------------------------------------------------------------------------


def read_blocks(blocks: Sequence[JsonValue]) -> tuple[Part, ...] | None:
    """Blocks as parts; what nobody understands stays whole. None if something is not even an object."""
    parts: list[Part] = []
    for block in blocks:
        if not isinstance(block, dict):
            return None
        parts.append(read_block(block))
    return tuple(parts)


def read_block(block: JsonObject) -> Part:
    """One content block: a union, so an object with a single field."""
    kind, value = only(block)
    match kind:
        case "text" if isinstance(value, str):
            return Text(text=value)
        case "toolUse":
            part: Part | None = _read_call(value)
        case "toolResult":
            part = _read_result(value)
        case "reasoningContent":
            part = _read_reasoning(value)
        case "image" | "document" | "video" | "audio":
            part = read_media(kind, value)
        case "cachePoint":
            part = read_cache_point(value)
        case "citationsContent":
            part = _read_cited(value)
        case "guardContent":
            part = _read_guarded(value)
        case "json":
            part = Structured(value=value)
        case _:
            part = None
    return Opaque(origin=LANGUAGE, value=block) if part is None else part


def _read_call(value: JsonValue) -> ToolCall | None:
    if not isinstance(value, dict):
        return None
    fields = Fields(value, LANGUAGE)
    call_id, name = fields.take_str("toolUseId"), fields.take_str("name")
    if call_id is None or name is None or not fields.has("input"):
        return None
    arguments = write_json(fields.take("input")).decode()
    return ToolCall(id=call_id, name=name, arguments=arguments, hosted=is_hosted(fields), extra=fields.rest())


def is_hosted(call: Fields) -> bool:
    """Whether AWS runs the tool itself. Some models say `tool_use` for the others; either word stays where it is."""
    return call.peek("type") == "server_tool_use"


def _read_result(value: JsonValue) -> ToolResult | None:
    """A result that a client gives. One with a `type` is of a tool that AWS ran, and stays whole."""
    if not isinstance(value, dict) or "type" in value:
        return None
    fields = Fields(value, LANGUAGE)
    call_id, content = fields.take_str("toolUseId"), fields.take_list("content")
    if call_id is None or content is None:
        return None
    parts = read_blocks(content)
    if parts is None:
        return None
    inner = tuple(
        part
        if isinstance(part, Text | Media | Structured | CachePoint | Opaque)
        else Opaque(origin=LANGUAGE, value=cast("JsonObject", block))
        for part, block in zip(parts, content, strict=True)
    )
    status = fields.peek("status")
    is_error = {"error": True, "success": False}.get(status) if isinstance(status, str) else None
    if is_error is not None:
        fields.take("status")
    return ToolResult(call_id=call_id, parts=inner, is_error=is_error, extra=fields.rest())


def _read_reasoning(value: JsonValue) -> Reasoning | None:
    match only(value):
        case "redactedContent", str(data):
            return Reasoning(text="", proof=read_redacted(data), redacted=True)
        case "reasoningText", dict(inner):
            fields = Fields(inner, LANGUAGE)
            text = fields.take_str("text")
            if text is None:
                return None
            signature = fields.take_str("signature")
            # The signature must return byte for byte, or the next turn is refused.
            proof = None if signature is None else Proof(origin=NAME, value=signature)
            return Reasoning(text=text, proof=proof, extra=fields.rest())
        case _:
            return None


def read_redacted(data: str) -> Proof:
    """A redacted thought: the provider's blob in base64 as it stands, or a seal that was put in its place."""
    try:
        blob = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        blob = b""
    if blob.startswith(SEAL_PREFIX) and blob.isascii():
        return Proof(origin=SEALED, value=blob.decode())
    return Proof(origin=NAME, value=data)


def read_cache_point(value: JsonValue) -> CachePoint | None:
    """`{"type": "default"}`, with a `ttl` or without."""
    if not isinstance(value, dict) or value.get("type") != "default":
        return None
    fields = Fields(value, LANGUAGE)
    fields.take("type")
    return CachePoint(ttl=fields.take_str("ttl"), extra=fields.rest())


def _read_cited(value: JsonValue) -> Text | None:
    """Text with its citations; web search answers cite without text of their own."""
    if not isinstance(value, dict):
        return None
    fields = Fields(value, LANGUAGE)
    text = ""
    match fields.peek("content"):
        case [{"text": str(said), **rest}] if not rest and said:
            fields.take("content")
            text = said
        case [{"text": ""}] | None if fields.peek("content") is not None or not fields.has("content"):
            pass
        case _:
            return None
    return Text(text=text, extra=fields.mark())


def _read_guarded(value: JsonValue) -> Text | None:
    match only(value):
        case "text", {"text": str(text), **rest}:
            return Text(text=text, extra=Extra(LANGUAGE, {GUARDED: rest}))
        case _:
            return None


# --- Writing ---------------------------------------------------------------------------------------------------------


def write_native_blocks(parts: Sequence[Part], losses: Losses, path: str) -> list[JsonValue]:
    """The blocks of parts of this language, one for one; what a policy or seal put among them, as far as it can."""
    blocks: list[JsonValue] = []
    for index, part in enumerate(parts):
        block = write_native_block(part, losses, f"{path}[{index}]")
        if block is not None:
            blocks.append(block)
    return blocks


def write_native_block(part: Part, losses: Losses, path: str) -> JsonObject | None:
    """One part of this language as it was."""
    match part:
        case Text():
            return write_text(part, losses, path)
        case ToolCall():
            return write_call(part, part.id, part.name, losses, path)
        case ToolResult():
            result: JsonObject = {
                "toolUseId": part.call_id,
                "content": write_native_blocks(part.parts, losses, f"{path}.parts"),
            }
            if part.is_error is not None:
                result["status"] = "error" if part.is_error else "success"
            repeat(part.extra, result, losses, path)
            return {"toolResult": result}
        case Reasoning():
            return write_reasoning(part, losses, path)
        case Media():
            return write_native_media(part, losses, path)
        case CachePoint():
            return write_cache_point(part, losses, path)
        case Structured():
            return {"json": part.value}
        case Opaque():
            if part.origin is LANGUAGE:
                return part.value
            losses.drop_opaque(part, path)
            return None
        case Refusal():
            return {"text": part.text}
        case _:
            assert_never(part)


def write_text(part: Text, losses: Losses, path: str) -> JsonObject:
    """Plain text, text with citations, or text for a guardrail to look at."""
    said = ours(part.extra)
    if said is None:
        losses.drop_extra(part.extra, path)
        return {"text": part.text}
    guarded = said.get(GUARDED)
    if isinstance(guarded, dict):
        return {"guardContent": {"text": {"text": part.text, **guarded}}}
    cited: JsonObject = {}
    if part.text:
        cited["content"] = [{"text": part.text}]
    repeat(part.extra, cited, losses, path)
    return {"citationsContent": cited}


def write_call(part: ToolCall, call_id: str, name: str, losses: Losses, path: str) -> JsonObject:
    """A call under the id and name that are given."""
    block: JsonObject = {"toolUseId": call_id, "name": name, "input": read_arguments(part.arguments)}
    repeat(part.extra, block, losses, path)
    return {"toolUse": block}


def read_arguments(arguments: str) -> JsonValue:
    """The JSON of a call's arguments, {} for none; text that is no JSON is handed on as a string."""
    if not arguments.strip():
        return {}
    try:
        return parse_json(arguments)
    except CallerError:
        return arguments


def read_object(arguments: str, losses: Losses, path: str) -> JsonObject:
    """The arguments of a foreign call, which must be an object here; anything else is put into one."""
    value = read_arguments(arguments)
    if isinstance(value, dict):
        return value
    losses.add(f"{path}.arguments", "approximated", "behaviour", "arguments that are no JSON object")
    return {"arguments": value}


def write_reasoning(part: Reasoning, losses: Losses, path: str) -> JsonObject | None:
    """A thought with its proof. A seal without words travels as redacted content, which every client echoes."""
    proof = usable_proof(part.proof)
    if part.proof is not None and proof is None:
        losses.add(f"{path}.proof", "dropped", "behaviour", f"a proof of {part.proof.origin}")
    if proof is not None and (part.redacted or (not part.text and proof.origin == SEALED)):
        return {"reasoningContent": {"redactedContent": write_redacted(proof)}}
    if part.redacted:
        return None
    inner: JsonObject = {"text": part.text}
    if proof is not None:
        inner["signature"] = proof.value
    repeat(part.extra, inner, losses, path)
    return {"reasoningContent": {"reasoningText": inner}}


def usable_proof(proof: Proof | None) -> Proof | None:
    """The proof if it may be written: a native one, or a seal for a foreign one."""
    return proof if proof is not None and proof.origin in (NAME, SEALED) else None


def write_redacted(proof: Proof) -> str:
    """The base64 of a redacted thought, or of the seal that stands for one."""
    return base64.b64encode(proof.value.encode()).decode() if proof.origin == SEALED else proof.value


def write_cache_point(part: CachePoint, losses: Losses, path: str) -> JsonObject:
    """Where caching is worth it."""
    block: JsonObject = {"type": "default"}
    if part.ttl is not None:
        block["ttl"] = part.ttl
    repeat(part.extra, block, losses, path)
    return {"cachePoint": block}
