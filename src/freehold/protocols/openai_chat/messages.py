"""The messages of a request."""

from __future__ import annotations

import hashlib
import re
from typing import cast

import msgspec

from freehold.ir import (
    CachePoint,
    Extra,
    Fields,
    Generate,
    JsonObject,
    JsonValue,
    Losses,
    Media,
    Message,
    Opaque,
    Part,
    Role,
    Structured,
    Text,
    ToolCall,
    ToolResult,
)
from freehold.protocols.codec import Dialect
from freehold.protocols.openai_chat.assistant import AssistantWriter, Manner
from freehold.protocols.openai_chat.content import ContentWriter, repeat_or_drop, take_content
from freehold.protocols.openai_chat.language import FIELD, LANGUAGE, native, repeat_plain
from freehold.protocols.openai_chat.names import under_wire_names
from freehold.protocols.openai_chat.parts import take_assistant_parts
from freehold.protocols.openai_chat.seal import split_id

# --- Reading ----------------------------------------------------------------------------------------------------------

_SPEAKERS: frozenset[str] = frozenset({"system", "developer", "user"})


def decode_messages(fields: Fields) -> tuple[Message, ...]:
    """All messages, in order. Raises CallerError."""
    values = fields.need_list("messages")
    return tuple([_decode_message(value, at) for at, value in enumerate(values)])


_TALKERS = ("system", "developer", "user", "assistant")
_NOTHING_ELSE = Extra(LANGUAGE, {})


def _decode_message(value: JsonValue, at: int) -> Message:
    if isinstance(value, dict) and len(value) == 2:
        # Nothing but words, as most messages of most conversations are.
        role, text = value.get("role"), value.get("content")
        if role in _TALKERS and isinstance(text, str) and text:
            return Message(role=cast("Role", role), parts=(Text(text=text),), extra=_NOTHING_ELSE)
    return _decode_any_message(value, f"messages[{at}]")


def _decode_any_message(value: JsonValue, path: str) -> Message:
    fields = Fields(value, LANGUAGE, path)
    role = fields.need_str("role")
    if role in _SPEAKERS:
        parts = tuple(take_content(fields))
        name = fields.take_str("name")
        return Message(role=cast("Role", role), parts=parts, name=name, extra=fields.mark())
    match role:
        case "assistant":
            parts = tuple(take_assistant_parts(fields))
            name = fields.take_str("name")
            return Message(role="assistant", parts=parts, name=name, extra=fields.mark())
        case "tool":
            result = _take_result(fields, split_id(fields.take_str("tool_call_id") or "").id)
            return Message(role="tool", parts=(result,), extra=fields.mark())
        case "function":
            result = _take_result(fields, "")
            fields.put_back(FIELD, "function")
            return Message(role="tool", parts=(result,), extra=fields.mark())
        case _:
            return fields.fail("must be one of system, developer, user, assistant, tool and function", "role")


def _take_result(fields: Fields, call_id: str) -> ToolResult:
    parts = [part for part in take_content(fields) if isinstance(part, Text | Media | CachePoint | Opaque)]
    return ToolResult(call_id=call_id, parts=tuple(parts), name=fields.take_str("name"))


# --- Writing ----------------------------------------------------------------------------------------------------------

MAX_ID = 40
"""Longest tool call id that OpenAI accepts ("string too long. Expected a string with maximum length 40")."""

_SHORT_ID = re.compile(r"[A-Za-z0-9]{9}")
"""The only form of id that Mistral accepts from others (WIRE_FACTS 14)."""


class CallIds:
    """Gives each tool call the id it has on the wire, and its result the same one."""

    def __init__(self, *, short: bool, keep: bool) -> None:
        """`short` asks for Mistral's ids of nine letters and digits; `keep` says that all ids are this protocol's."""
        self._short = short
        self._keep = keep
        self._unnamed: list[tuple[str, str]] = []
        self._open: list[str] = []
        self._count = 0

    def of_call(self, call: ToolCall) -> str:
        """The id of a call; one without gets a number, to be claimed by the next result of the same tool."""
        self._count += 1
        if call.id:
            identity = self.written(call.id)
            self._open.append(identity)
            return identity
        identity = self.written(f"call_{self._count}")
        self._unnamed.append((call.name, identity))
        return identity

    def of_result(self, result: ToolResult) -> str:
        """The id of the call that a result answers; one that no call has answers the oldest that is open."""
        if result.call_id:
            identity = self.written(result.call_id)
            if identity in self._open:
                self._open.remove(identity)
            elif self._open and not self._keep:
                return self._open.pop(0)
            return identity
        for at, (name, identity) in enumerate(self._unnamed):
            if result.name is None or result.name == name:
                del self._unnamed[at]
                return identity
        # Some clients name results otherwise than calls: then they are in the order of the calls.
        return self._unnamed.pop(0)[1] if self._unnamed else self.written("call_0")

    def written(self, identity: str) -> str:
        """An id in the form that the provider accepts: the same for the same, and as it came where it fits."""
        if self._short:
            return identity if _SHORT_ID.fullmatch(identity) else _digest(identity)[:9]
        return identity if self._keep or len(identity) <= MAX_ID else f"call_{_digest(identity)[:32]}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class MessageWriter:
    """Writes the messages of one request; `losses` grows."""

    def __init__(self, request: Generate, dialect: Dialect, losses: Losses) -> None:
        flags = dialect.flags
        self._losses = losses
        self._ids = CallIds(short="short-tool-ids" in flags, keep=native(request.extra) is not None)
        self._cached = "cache-control" in flags
        self._videos = "video-url" in flags
        self._same_files = request.origin in {"openai-chat", "openai-responses", "azure-openai"}
        self._manner = Manner(reasoning=reasoning_field(dialect))
        self._written: list[JsonValue] = []
        self._shown: list[tuple[Part, str]] = []
        self._open: AssistantWriter | None = None

    def write(self, messages: tuple[Message, ...]) -> list[JsonValue]:
        """All messages as this protocol says them."""
        for at, message in enumerate(messages):
            words = _only_words(message)
            if words is not None and message.role in _SPEAKERS and not self._shown:
                self._close_assistant()
                self._written.append({"role": message.role, "content": words})
                continue
            path = f"messages[{at}]"
            if message.role == "assistant":
                self._show()
                self._assistant(message, path)
                continue
            self._close_assistant()
            if message.role in {"system", "developer"}:
                self._show()
                self._instruction(message, path)
            else:
                self._turn(message, path)
        self._close_assistant()
        self._show()
        return self._written

    def _content(self) -> ContentWriter:
        return ContentWriter(self._losses, cached=self._cached, videos=self._videos, same_files=self._same_files)

    def _add(self, role: str, content: JsonValue, message: Message, path: str) -> None:
        """One message with content; those of another language that hold nothing are left out."""
        fields = native(message.extra)
        if content is None and fields is None:
            return
        written: JsonObject = {"role": role}
        if message.name is not None:
            written["name"] = message.name
        if content is not None:
            written["content"] = content
        repeat_or_drop(message.extra, written, path, self._losses)
        self._written.append(written)

    def _assistant(self, message: Message, path: str) -> None:
        """One turn of the model. Another protocol's neighbours are one: all calls stand before the first result."""
        fields = native(message.extra)
        if fields is None:
            self._losses.drop_extra(message.extra, path)
            self._open = self._open or AssistantWriter(self._losses, self._manner, self._ids.of_call)
            self._open.add(under_wire_names(message.parts), path)
            return
        self._close_assistant()
        writer = AssistantWriter(self._losses, self._manner, self._ids.of_call)
        writer.add(message.parts, path)
        written: JsonObject = {"role": "assistant"}
        if message.name is not None:
            written["name"] = message.name
        written.update(writer.done())
        repeat_plain(fields, written)
        self._written.append(written)

    def _close_assistant(self) -> None:
        """Write the joined turn, if it says more than reasoning."""
        if self._open is None:
            return
        said = self._open.done()
        self._open = None
        if said.keys() - REASONING_ONLY:
            self._written.append({"role": "assistant", "content": None, **said})

    def _instruction(self, message: Message, path: str) -> None:
        content = self._content()
        for at, part in enumerate(message.parts):
            where = f"{path}.parts[{at}]"
            if isinstance(part, Media) and native(message.extra) is None:
                self._losses.add(where, "dropped", "content", "system messages hold text only")
            else:
                content.add(part, where)
        self._add(message.role, content.value(), message, path)

    def _turn(self, message: Message, path: str) -> None:
        """Results first, each a message of its own and right after its call; then what the user says."""
        said: list[tuple[Part, str]] = []
        results = 0
        for at, part in enumerate(message.parts):
            where = f"{path}.parts[{at}]"
            if isinstance(part, ToolResult):
                results += 1
                self._result(part, message, where)
            else:
                said.append((part, where))
        if results and not said:
            return
        plain = message if not results else Message(role="user", parts=(), name=message.name)
        self._user([*self._shown, *said], plain, path)
        self._shown.clear()

    def _show(self) -> None:
        """Let a user show the media of the tools that answered last."""
        if self._shown:
            self._user(self._shown, Message(role="user", parts=()), "messages")
            self._shown.clear()

    def _user(self, parts: list[tuple[Part, str]], message: Message, path: str) -> None:
        content = self._content()
        for part, where in parts:
            content.add(part, where)
        self._add("user", content.value(), message, path)

    def _result(self, result: ToolResult, message: Message, path: str) -> None:
        """One tool message; its media wait until a user may show them."""
        fields = native(message.extra) if message.role == "tool" else None
        content = self._content()
        for at, part in enumerate(result.parts):
            where = f"{path}.parts[{at}]"
            if isinstance(part, Media) and native(part.extra) is None:
                self._losses.add(where, "moved", "behaviour", "a tool's media go into the user's next message")
                self._shown.append((part, where))
            else:
                content.add(_answer_part(part), where)
        written: JsonObject
        if fields is not None and fields.get(FIELD) == "function":
            written = {"role": "function", "name": result.name}
        else:
            written = {"role": "tool", "tool_call_id": self._ids.of_result(result)}
            if result.call_id and written["tool_call_id"] != self._ids.written(result.call_id):
                self._losses.add(f"{path}.call_id", "approximated", "behaviour", "no call has this id; the oldest does")
            if fields is not None and result.name is not None:
                written["name"] = result.name
        said = content.value()
        if said is not None:
            written["content"] = said
        if fields is not None:
            repeat_plain(fields, written)
        else:
            written.setdefault("content", "")
        self._losses.drop_extra(result.extra, path)
        if result.is_error:
            self._losses.add(f"{path}.is_error", "dropped", "behaviour", "a tool message does not say that it failed")
        self._written.append(written)


REASONING_ONLY = frozenset({"reasoning_content", "reasoning", "reasoning_details"})
"""Fields that do not make a message by themselves."""


def _only_words(message: Message) -> str | None:
    """The words of a message that is one plain text and nothing else, as most are; they need no writer."""
    if len(message.parts) != 1 or message.name is not None or (message.extra is not None and message.extra.fields):
        return None
    part = message.parts[0]
    if not isinstance(part, Text) or part.proof is not None or (part.extra is not None and part.extra.fields):
        return None
    return part.text or None


def _answer_part(part: Part) -> Part:
    """What a tool answered, with a JSON value as its text."""
    if isinstance(part, Structured):
        return Text(text=msgspec.json.encode(part.value).decode(), extra=part.extra)
    return part


def reasoning_field(dialect: Dialect) -> str | None:
    """Where the provider wants the reasoning of earlier turns; None where it refuses any."""
    if "thinking-parts" in dialect.flags:
        return "thinking"
    if "reasoning-key:reasoning_content" in dialect.flags:
        return "reasoning_content"
    return "reasoning" if "reasoning-key:reasoning" in dialect.flags else None
