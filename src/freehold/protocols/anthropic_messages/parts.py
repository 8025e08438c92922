"""Content blocks and parts, both ways: what requests and answers share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import assert_never, cast

from freehold.errors import CallerError
from freehold.ir import (
    SEALED,
    CachePoint,
    Extra,
    Fields,
    FileId,
    Inline,
    JsonObject,
    JsonValue,
    Losses,
    Media,
    Opaque,
    Part,
    PlainText,
    Proof,
    Reasoning,
    Refusal,
    Structured,
    Text,
    ToolCall,
    ToolResult,
    Url,
    parse_object,
    write_json,
)
from freehold.protocols.anthropic_messages.language import LANGUAGE
from freehold.protocols.anthropic_messages.media import write_media

# --- Reading ---------------------------------------------------------------------------------------------------------


def take_content(fields: Fields) -> tuple[Part, ...]:
    """The `content` of a message, result or system prompt: a string or a list of blocks; else it rides along."""
    content = fields.peek("content")
    if isinstance(content, str):
        fields.take("content")
        return (Text(text=content),)
    if isinstance(content, list) and all(isinstance(block, dict) for block in content):
        fields.take("content")
        return _mark_lone_text(read_blocks(cast("list[JsonObject]", content)))
    return ()


def _mark_lone_text(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """A lone plain text that stood in a list is marked, so that it does not come back as a string."""
    if len(parts) == 1:
        only = parts[0]
        if isinstance(only, Text) and only.extra is None:
            return (Text(text=only.text, extra=Extra(LANGUAGE, {})),)
    return parts


def holder_extra(fields: Fields, parts: tuple[Part, ...], *, had_content: bool) -> Extra | None:
    """What is left of an object with content; marked if its content was an empty list."""
    return fields.mark() if had_content and not parts else fields.rest()


def read_blocks(blocks: Sequence[JsonObject]) -> tuple[Part, ...]:
    """Blocks as parts; what nobody understands stays whole."""
    parts: list[Part] = []
    for block in blocks:
        fields = Fields(block, LANGUAGE)
        point = take_cache_point(fields)
        part = read_block(fields)
        if part is None:
            parts.append(Opaque(origin=LANGUAGE, value=block))
            continue
        parts.append(part)
        if point is not None:
            parts.append(point)
    return tuple(parts)


def take_cache_point(fields: Fields) -> CachePoint | None:
    """The `cache_control` of a block or tool, as the point that follows it."""
    control = fields.peek("cache_control")
    if not isinstance(control, dict) or control.get("type") != "ephemeral":
        return None
    fields.take("cache_control")
    inner = Fields(control, LANGUAGE)
    inner.take("type")
    return CachePoint(ttl=inner.take_str("ttl"), extra=inner.rest())


def read_block(fields: Fields) -> Part | None:
    """One content block; None for a type that nobody knows or a shape that its type does not have."""
    kind = fields.peek("type")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    return None if reader is None else reader(fields)


def _read_text(fields: Fields) -> Text | None:
    text = fields.take_str("text")
    fields.take("type")
    return None if text is None else Text(text=text, extra=fields.rest())


def _read_thinking(fields: Fields) -> Reasoning | None:
    text = fields.take_str("thinking")
    if text is None:
        return None
    fields.take("type")
    signature = fields.take_str("signature") if fields.peek("signature") else None
    if signature is None:
        # Marked: what is said about the signature (nothing, "" or null) is exactly what was said.
        return Reasoning(text=text, extra=fields.mark())
    # The signature must return byte for byte, or the next turn is refused.
    return Reasoning(text=text, proof=Proof(origin=LANGUAGE.name, value=signature), extra=fields.rest())


def _read_redacted(fields: Fields) -> Reasoning | None:
    data = fields.take_str("data")
    if data is None:
        return None
    fields.take("type")
    return Reasoning(text="", proof=Proof(origin=LANGUAGE.name, value=data), redacted=True, extra=fields.rest())


def _read_call(fields: Fields) -> ToolCall | None:
    name, call_id, arguments = fields.take_str("name"), fields.take_str("id"), fields.take_object("input")
    if name is None or call_id is None or arguments is None:
        return None
    fields.take("type")
    return ToolCall(id=call_id, name=name, arguments=write_json(arguments).decode(), extra=fields.rest())


def _read_hosted_call(fields: Fields) -> ToolCall | None:
    """A call that Anthropic runs. Its `type` stays in the extra: it tells a server tool from an MCP tool."""
    name, call_id, arguments = fields.take_str("name"), fields.take_str("id"), fields.take_object("input")
    if name is None or call_id is None or arguments is None:
        return None
    text = write_json(arguments).decode()
    return ToolCall(id=call_id, name=name, arguments=text, hosted=True, extra=fields.rest())


def _read_result(fields: Fields) -> ToolResult | None:
    call_id = fields.take_str("tool_use_id")
    if call_id is None:
        return None
    fields.take("type")
    is_error = fields.take_bool("is_error")
    blocks = fields.peek("content")
    had_content = fields.has("content")
    parts = take_content(fields)
    if isinstance(blocks, list) and any(isinstance(part, Reasoning | ToolCall | ToolResult) for part in parts):
        parts = tuple(Opaque(origin=LANGUAGE, value=block) for block in blocks if isinstance(block, dict))
    return ToolResult(
        call_id=call_id,
        parts=cast("tuple[Text | Media | CachePoint | Opaque, ...]", parts),
        is_error=is_error,
        extra=holder_extra(fields, parts, had_content=had_content),
    )


def _read_image(fields: Fields) -> Media | None:
    source = _take_source(fields)
    if source is None or isinstance(source[0], PlainText):
        return None
    fields.take("type")
    return Media(kind="image", source=source[0], media_type=source[1], extra=fields.rest())


def _read_document(fields: Fields) -> Media | None:
    source = _take_source(fields)
    if source is None:
        return None
    fields.take("type")
    name = fields.take_str("title")
    return Media(kind="document", source=source[0], media_type=source[1], name=name, extra=fields.rest())


def _take_source(fields: Fields) -> tuple[Inline | PlainText | Url | FileId, str | None] | None:
    """Where an image or document comes from, and its MIME type; what else its `source` says is put back."""
    value = fields.take_object("source")
    if value is None:
        return None
    source = Fields(value, LANGUAGE)
    found = _read_source(source)
    left = source.rest()
    if found is not None and left is not None:
        fields.put_back("source", left.fields)
    return found


def _read_source(source: Fields) -> tuple[Inline | PlainText | Url | FileId, str | None] | None:
    kind = source.take("type")
    match kind:
        case "base64":
            data = source.take_str("data")
            return None if data is None else (Inline(data=data), source.take_str("media_type"))
        case "text":
            data = source.take_str("data")
            return None if data is None else (PlainText(text=data), source.take_str("media_type"))
        case "url":
            url = source.take_str("url")
            return None if url is None else (Url(url=url), None)
        case "file":
            file_id = source.take_str("file_id")
            return None if file_id is None else (FileId(id=file_id), None)
        case _:
            return None


_READERS: dict[str, Callable[[Fields], Part | None]] = {
    "text": _read_text,
    "thinking": _read_thinking,
    "redacted_thinking": _read_redacted,
    "tool_use": _read_call,
    "server_tool_use": _read_hosted_call,
    "mcp_tool_use": _read_hosted_call,
    "tool_result": _read_result,
    "image": _read_image,
    "document": _read_document,
}

# --- Writing ---------------------------------------------------------------------------------------------------------


def plain_string(parts: Sequence[Part]) -> str | None:
    """The text of a content that is written as a string: one plain text without a mark."""
    if len(parts) != 1:
        return None
    only = parts[0]
    return only.text if isinstance(only, Text) and only.extra is None and only.proof is None else None


def cache_control(point: CachePoint, losses: Losses, path: str) -> JsonObject:
    """A cache point as the `cache_control` of what it follows."""
    control: JsonObject = {"type": "ephemeral"}
    if point.ttl is not None:
        control["ttl"] = point.ttl
    losses.repeat(point.extra, LANGUAGE, control, path)
    return control


def read_arguments(arguments: str) -> JsonObject | None:
    """The JSON text of a call's arguments as an object, {} for none; None if it is anything else (WIRE_FACTS 6)."""
    if not arguments.strip():
        return {}
    try:
        return parse_object(arguments)
    except CallerError:
        return None


UNREADABLE = "unreadable_arguments"
"""The one field of an `input` whose arguments were no JSON object: their text, so that the model sees its mistake."""


def is_ours(extra: Extra | None) -> bool:
    """Whether this language said it."""
    return extra is not None and extra.origin is LANGUAGE


class BlockWriter:
    """Writes parts as content blocks, noting what can not be said.

    `native`: the parts came from this language, and every block is repeated as it was. `answer`: they are a model's
    answer on its way to a client, which may see thinking that nobody signed; a request may not.
    """

    __slots__ = ("answer", "dropped_reasoning", "losses", "native")

    def __init__(self, losses: Losses, *, native: bool, answer: bool = False) -> None:
        self.losses = losses
        self.native = native
        self.answer = answer
        self.dropped_reasoning = False

    def call_id(self, call: ToolCall) -> str:
        """The id to write for a call."""
        return call.id

    def result_id(self, result: ToolResult) -> str:
        """The id of the call that a result answers."""
        return result.call_id

    def tool_name(self, name: str) -> str:
        """The name to write for a called tool."""
        return name

    def blocks(self, parts: Sequence[Part], path: str) -> list[JsonObject]:
        """The blocks of one message; cache points are attached to the block before them."""
        blocks: list[JsonObject] = []
        for index, part in enumerate(parts):
            if isinstance(part, CachePoint):
                self._attach(part, blocks, f"{path}[{index}]")
                continue
            block = self.block(part, f"{path}[{index}]")
            if block is not None:
                blocks.append(block)
        return blocks

    def _attach(self, point: CachePoint, blocks: list[JsonObject], path: str) -> None:
        if blocks and blocks[-1].get("type") not in _UNCACHEABLE:
            blocks[-1]["cache_control"] = cache_control(point, self.losses, path)
            return
        self.losses.add(path, "dropped", "accounting", "no block here can carry a cache point")

    def block(self, part: Part, path: str) -> JsonObject | None:
        """One part as a block; None where there is nothing to say, or no way to say it (noted)."""
        match part:
            case Text():
                return self._text(part, path)
            case Reasoning():
                return self._reasoning(part, path)
            case ToolCall():
                return self._call(part, path)
            case ToolResult() | Media() if self.answer and not self.native:
                self.losses.add(path, "dropped", "content", f"a model's message has no {type(part).__name__} here")
                return None
            case ToolResult():
                return self._result(part, path)
            case Media():
                return write_media(part, self.losses, path, native=self.native)
            case Opaque():
                if part.origin is LANGUAGE:
                    return part.value
                self.losses.drop_opaque(part, path)
                return None
            case Refusal():
                self.losses.add(path, "approximated", "behaviour", "a refusal is said as text")
                return self._plain(part.text, part.extra, path)
            case Structured():
                return self._plain(write_json(part.value).decode(), part.extra, path)
            case CachePoint():
                return None
            case _:
                assert_never(part)

    def _text(self, part: Text, path: str) -> JsonObject | None:
        if part.proof is not None:
            self.losses.add(f"{path}.proof", "dropped", "behaviour", "signed text")
        return self._plain(part.text, part.extra, path)

    def _plain(self, text: str, extra: Extra | None, path: str) -> JsonObject | None:
        if not self.native and not text.strip():
            # The API refuses text blocks without anything but white space.
            return None
        block: JsonObject = {"type": "text", "text": text}
        self.losses.repeat(extra, LANGUAGE, block, path)
        return block

    def _reasoning(self, part: Reasoning, path: str) -> JsonObject | None:
        proof = usable_proof(part.proof)
        if proof is None and (part.redacted or not self.answer):
            # Thinking without a signature is refused in a request.
            whose = "without a proof" if part.proof is None else f"with a proof of {part.proof.origin}"
            self.losses.add(path, "dropped", "behaviour", f"reasoning {whose}")
            self.dropped_reasoning = True
            return None
        if part.proof is not None and proof is None:
            self.losses.add(f"{path}.proof", "dropped", "behaviour", f"a proof of {part.proof.origin}")
        if part.redacted and proof is not None:
            block: JsonObject = {"type": "redacted_thinking", "data": proof}
        else:
            block = {"type": "thinking", "thinking": part.text}
            if proof is not None or not is_ours(part.extra):
                block["signature"] = proof or ""
        self.losses.repeat(part.extra, LANGUAGE, block, path)
        return block

    def _call(self, part: ToolCall, path: str) -> JsonObject | None:
        extra = part.extra
        kind: JsonValue = "tool_use"
        if part.hosted:
            if not is_ours(extra):
                self.losses.add(path, "dropped", "content", "a call that another provider ran")
                return None
            kind = extra.fields.get("type", "server_tool_use") if extra is not None else "server_tool_use"
        if part.proof is not None:
            self.losses.add(f"{path}.proof", "dropped", "behaviour", f"a proof of {part.proof.origin}")
        arguments: JsonValue = read_arguments(part.arguments)
        if arguments is None:
            self.losses.add(f"{path}.arguments", "approximated", "behaviour", "arguments that are no JSON object")
            arguments = {UNREADABLE: part.arguments}
        name = part.name if part.hosted else self.tool_name(part.name)
        block: JsonObject = {"type": kind, "id": self.call_id(part), "name": name, "input": arguments}
        self.losses.repeat(extra, LANGUAGE, block, path)
        return block

    def _result(self, part: ToolResult, path: str) -> JsonObject:
        block: JsonObject = {"type": "tool_result", "tool_use_id": self.result_id(part)}
        self.write_content(block, part.parts, part.extra, path)
        if part.is_error is not None:
            block["is_error"] = part.is_error
        self.losses.repeat(part.extra, LANGUAGE, block, path)
        return block

    def write_content(self, block: JsonObject, parts: Sequence[Part], extra: Extra | None, path: str) -> None:
        """Write `content` as the string or list that it was; nothing where none was written or it rides along."""
        text = plain_string(parts)
        if text is not None and (self.native or text.strip()):
            block["content"] = text
            return
        if parts or (extra is not None and extra.origin is LANGUAGE and "content" not in extra.fields):
            block["content"] = cast("JsonValue", self.blocks(parts, f"{path}.parts"))


_UNCACHEABLE = frozenset({"thinking", "redacted_thinking"})


def usable_proof(proof: Proof | None) -> str | None:
    """The value that may stand in a signature: a native one, or a seal for a foreign one."""
    return proof.value if proof is not None and proof.origin in (LANGUAGE.name, SEALED) else None
