"""An assistant's message, as a request repeats it and as an answer brings it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from freehold.ir import (
    SEALED,
    CachePoint,
    FileId,
    Inline,
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
)
from freehold.protocols.openai_chat.content import ContentWriter, drop_proof, repeat_or_drop
from freehold.protocols.openai_chat.language import FIELD, LANGUAGE, NAME, native, repeat_inner
from freehold.protocols.openai_chat.parts import details_of_proof, write_function_call, write_tool_call
from freehold.protocols.openai_chat.seal import join_id


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """How this message is to be written.

    `reasoning` names the field for the reasoning of other languages (None: they may not be told), or is "thinking" for
    Mistral's parts. `audio` gives what an answer's sound needs beside its data; a request may only refer to one.
    """

    reasoning: str | None
    audio: JsonObject | None = None


class AssistantWriter:
    """Collects the parts of one assistant message and says them in this protocol's fields."""

    def __init__(self, losses: Losses, manner: Manner, name_call: Callable[[ToolCall], str]) -> None:
        """`name_call` gives a call its id on the wire, seals excepted."""
        self._losses = losses
        self._manner = manner
        self._name_call = name_call
        self._content = ContentWriter(losses)
        self._calls: list[JsonValue] = []
        self._seals: list[tuple[str, str]] = []
        self._texts: dict[str, list[str]] = {}
        self._fields: JsonObject = {}

    def add(self, parts: tuple[Part, ...], path: str) -> None:
        """Take in the parts of the value at `path`."""
        for at, part in enumerate(parts):
            self._add(part, f"{path}.parts[{at}]")

    def done(self) -> JsonObject:
        """The message's fields, `content` only if something was said in it."""
        for where, _ in self._seals:
            self._losses.add(where, "dropped", "behaviour", "no tool call follows in whose id this proof could travel")
        content = self._content.value(join=True)
        message: JsonObject = {} if content is None else {"content": content}
        message.update(self._fields)
        for name, texts in self._texts.items():
            message[name] = "\n\n".join(texts)
        if self._calls:
            message["tool_calls"] = self._calls
        return message

    def _add(self, part: Part, path: str) -> None:
        match part:
            case Text():
                self._text(part, path)
            case Reasoning():
                self._reasoning(part, path)
            case ToolCall():
                self._call(part, path)
            case Refusal():
                self._refusal(part, path)
            case Media():
                self._media(part, path)
            case Opaque() if part.origin is LANGUAGE and part.value.get("type") == "custom":
                self._calls.append(part.value)
            case Structured() | Opaque() | CachePoint() | ToolResult():
                self._content.add(part, path)

    def _text(self, part: Text, path: str) -> None:
        self._content.add(part, path)
        fields = native(part.extra)
        if fields is not None and "type" not in fields:
            self._fields.update(fields)

    def _reasoning(self, part: Reasoning, path: str) -> None:
        fields = native(part.extra)
        if fields is not None and "type" in fields:
            self._content.thinking(part, path)
            return
        self._proof(part.proof, path)
        if fields is not None and "reasoning_details" in fields:
            self._fields["reasoning_details"] = fields["reasoning_details"]
        if fields is None:
            self._losses.drop_extra(part.extra, path)
        if part.text:
            self._reasoning_text(part, path, fields)

    def _reasoning_text(self, part: Reasoning, path: str, fields: JsonObject | None) -> None:
        """Write the words into the fields they came from; those of another language where this reader expects them."""
        if fields is not None:
            names = fields.get(FIELD, ["reasoning_content"])
            for name in names if isinstance(names, list) else []:
                self._texts.setdefault(str(name), []).append(part.text)
        elif self._manner.reasoning == "thinking":
            self._content.thinking(msgspec.structs.replace(part, extra=None), path)
        elif self._manner.reasoning is not None:
            self._texts.setdefault(self._manner.reasoning, []).append(part.text)
        else:
            self._losses.add(path, "dropped", "behaviour", "Chat Completions takes no reasoning back")

    def _proof(self, proof: Proof | None, path: str) -> None:
        if proof is None:
            return
        if proof.origin == NAME:
            self._fields["reasoning_details"] = details_of_proof(proof)
        elif proof.origin == SEALED:
            self._seals.append((f"{path}.proof", proof.value))
        else:
            drop_proof(proof, path, self._losses)

    def _call(self, call: ToolCall, path: str) -> None:
        if call.hosted:
            self._losses.add(path, "dropped", "content", f"the provider ran {call.name} itself")
            return
        if call.proof is not None and call.proof.origin != SEALED:
            drop_proof(call.proof, path, self._losses)
        fields = native(call.extra)
        if fields is not None and fields.get(FIELD) == "function_call":
            self._fields["function_call"] = write_function_call(call)
            return
        identity = join_id(self._name_call(call), [seal for _, seal in self._seals], call.proof)
        self._seals.clear()
        self._calls.append(write_tool_call(call, identity, path, self._losses))

    def _refusal(self, part: Refusal, path: str) -> None:
        fields = native(part.extra)
        if fields is not None and "type" in fields:
            self._content.add(part, path)
            return
        repeat_or_drop(part.extra, self._fields, path, self._losses)
        earlier = self._fields.get("refusal")
        self._fields["refusal"] = f"{earlier}{part.text}" if isinstance(earlier, str) else part.text

    def _media(self, part: Media, path: str) -> None:
        drop_proof(part.proof, path, self._losses)
        fields = native(part.extra)
        place = None if fields is None else fields.get(FIELD)
        if place == "images":
            drawn = ContentWriter(self._losses)
            drawn.add(part, path)
            images = self._fields.setdefault("images", [])
            if isinstance(images, list) and isinstance(blocks := drawn.value(), list):
                images += blocks
        elif part.kind == "audio" and (place == "audio" or self._manner.audio is not None):
            self._fields["audio"] = self._sound(part, fields)
        elif fields is not None and place is None:
            self._content.add(part, path)
        else:
            self._losses.add(path, "dropped", "content", f"an assistant's message holds no {part.kind}")

    def _sound(self, part: Media, fields: JsonObject | None) -> JsonObject:
        sound: JsonObject = {}
        match part.source:
            case FileId(id=identity):
                sound["id"] = identity
            case Inline(data=data):
                sound["data"] = data
            case _:
                pass
        if fields is not None:
            repeat_inner(fields, "audio.", sound)
            return sound
        return {**(self._manner.audio or {}), **sound}
