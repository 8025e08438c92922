"""What the model is given: the `input` and `instructions` of a request, to messages and back.

One input item is one message.  A bare string in `input` is a message without extra; an item always leaves one.
"""

from __future__ import annotations

from collections import deque
from hashlib import sha256
from typing import Final, assert_never, cast

import msgspec

from freehold.ir import (
    CachePoint,
    Extra,
    Fields,
    FileId,
    JsonObject,
    JsonValue,
    Losses,
    Media,
    Message,
    Opaque,
    Part,
    Proof,
    Reasoning,
    Refusal,
    Role,
    Structured,
    Text,
    ToolCall,
    ToolResult,
    write_json,
)
from freehold.protocols.openai_responses.calls import call_item, read_call
from freehold.protocols.openai_responses.content import Content, read_content, write_content
from freehold.protocols.openai_responses.items import (
    opens_item,
    read_item,
    read_message,
    reasoning_item,
    runs,
    write_message,
)
from freehold.protocols.openai_responses.language import LANGUAGE, NAME, OFFERED, carry, keep, ours, usable
from freehold.protocols.openai_responses.residual import residual
from freehold.protocols.openai_responses.tools import ITEM, Written

SAME_FILES: Final = frozenset({NAME, "openai-chat", "azure-openai"})
"""Languages whose file ids mean the same files."""

MAX_CALL_ID: Final = 64
"""Longest `call_id` that the API takes, in characters."""

_OUTPUTS: Final = frozenset({"function_call_output", "custom_tool_call_output"})

_ROLES: dict[JsonValue, Role] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
}

# --- Reading ---------------------------------------------------------------------------------------------------------


Offers = list[list[JsonObject]]
"""The tools of each item that offers some, in the order of the items."""


def read_input(fields: Fields) -> tuple[tuple[Message, ...], Offers]:
    """The messages of a request body, and the tools that are offered among them. Raises CallerError."""
    offers: Offers = []
    messages: list[Message] = []
    instructions = fields.take_str("instructions")
    if instructions is not None:
        mark = Extra(LANGUAGE, {"instructions": True})
        messages.append(Message(role="system", parts=(Text(text=instructions),), extra=mark))
    match fields.peek("input"):
        case str(text):
            messages.append(Message(role="user", parts=(Text(text=text),)))
        case list(items) if items:
            messages.extend(_read_items(items, fields, offers))
        case None | []:
            return tuple(messages), offers
        case _:
            fields.fail("must be a string or a list of items", "input")
    fields.take("input")
    return tuple(messages), offers


def _read_items(items: list[JsonValue], fields: Fields, offers: Offers) -> list[Message]:
    messages: list[Message] = []
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            fields.fail("must be an object", f"input[{index}]")
        offered = _offered(item)
        if offered is None:
            messages.append(_read_item(item))
            continue
        # What is offered joins the request's tools; a part without it keeps the item's place.
        around = {name: value for name, value in item.items() if name != "tools"}
        kept = Opaque(origin=LANGUAGE, value={OFFERED: around, ITEM: len(offers)})
        messages.append(Message(role="developer", parts=(kept,)))
        offers.append(offered)
    return messages


def _offered(item: JsonObject) -> list[JsonObject] | None:
    """The tools that an item offers; None for any other item."""
    match item:
        case {"type": "additional_tools", "tools": list(tools)}:
            offered = [tool for tool in tools if isinstance(tool, dict)]
            return offered if len(offered) == len(tools) else None
        case _:
            return None


def _read_item(item: JsonObject) -> Message:
    """One item of the input as a message; what only this protocol understands becomes an opaque part."""
    message: Message | None = None
    match item:
        case {"type": str(kind), "call_id": str(call), "output": str() | list()} if call and kind in _OUTPUTS:
            message = _read_output(item, call)
        case {"type": "message", "role": str(role), "content": content} if role in _ROLES:
            message = _read_message(item, _ROLES[role], content)
        case {"role": str(role), "content": content} if role in _ROLES and "type" not in item:
            message = _read_message(item, _ROLES[role], content)
        case {"type": "reasoning" | "function_call"}:
            message = Message(role="assistant", parts=read_item(item))
        case {"type": "custom_tool_call"} if (made := read_call(item, "completed")) is not None:
            message = Message(role="assistant", parts=(made,))
        case _:
            pass
    if message is not None:
        return message
    return Message(role=_role_of_opaque(item), parts=(Opaque(origin=LANGUAGE, value=item),))


def _role_of_opaque(item: JsonObject) -> Role:
    """Whose turn an item belongs to that only this protocol understands."""
    role = _ROLES.get(item.get("role")) if isinstance(item.get("role"), str) else None
    if role is not None:
        return role
    kind = item.get("type")
    return "tool" if isinstance(kind, str) and kind.endswith("_output") else "assistant"


def _read_message(item: JsonObject, role: Role, content: JsonValue) -> Message | None:
    if isinstance(content, str):
        left = residual(item, {"role": role, "content": content})
        return Message(role=role, parts=(Text(text=content),), extra=Extra(LANGUAGE, left))
    if not isinstance(content, list):
        return None
    if role == "assistant":
        said = read_message(item, content)
        return None if said is None else Message(role=role, parts=said)
    read = _read_contents(content, role)
    if read is None:
        return None
    left = residual(item, {"role": role, "content": content})
    return Message(role=role, parts=read, extra=Extra(LANGUAGE, left))


def _read_contents(content: list[JsonValue], role: Role) -> tuple[Content, ...] | None:
    parts: list[Content] = []
    for wire in content:
        part = read_content(wire, role)
        if part is None:
            return None
        parts.append(part)
    return tuple(parts)


def _read_output(item: JsonObject, call: str) -> Message | None:
    output = item["output"]
    if isinstance(output, str):
        parts: tuple[Content, ...] | None = (Text(text=output),)
    else:
        parts = _read_contents(cast("list[JsonValue]", output), "tool")
    if parts is None:
        return None
    said: list[Text | Media | Opaque] = []
    for part in parts:
        if isinstance(part, Refusal):
            return None
        said.append(part)
    left = residual(item, {"type": "function_call_output", "call_id": call, "output": output})
    # An empty list is told from an empty text by the extra that only the list has.
    extra = Extra(LANGUAGE, left) if output == [] else keep(left)
    return Message(role="tool", parts=(ToolResult(call_id=call, parts=tuple(said), extra=extra),))


# --- Writing ---------------------------------------------------------------------------------------------------------


class InputWriter:
    """Writes messages as `instructions` and `input`, noting what can not be said."""

    def __init__(self, origin: str, losses: Losses, offered: Written) -> None:
        """`origin` is the language that the messages come from, `offered` what the items with tools offer."""
        self.losses = losses
        self._offered = offered
        self._same_files = origin in SAME_FILES
        self._items: list[JsonValue] = []
        self._unnamed: deque[tuple[str, str]] = deque()

    def write(self, messages: tuple[Message, ...], body: JsonObject) -> None:
        """Put `instructions` and `input` into `body`."""
        first = 0
        if messages and _is_instructions(messages[0]):
            first = 1
            body["instructions"] = self._joined(messages[0], "messages[0]")
        if len(messages) == first + 1 and _is_bare(messages[first]):
            body["input"] = cast("Text", messages[first].parts[0]).text
            return
        for index, message in enumerate(messages[first:], first):
            self._message(message, f"messages[{index}]")
        if self._items:
            body["input"] = self._items

    def _joined(self, message: Message, path: str) -> str:
        texts: list[str] = []
        for index, part in enumerate(message.parts):
            where = f"{path}.parts[{index}]"
            if isinstance(part, Text):
                self.losses.drop_extra(part.extra, where)
                texts.append(part.text)
            elif isinstance(part, CachePoint):
                self.losses.add(where, "dropped", "behaviour", "the provider decides what to cache")
        if ours(message.extra) is None:
            self.losses.drop_extra(message.extra, path)
        return "\n\n".join(texts)

    def _message(self, message: Message, path: str) -> None:
        if message.name is not None:
            self.losses.add(f"{path}.name", "dropped", "behaviour", "no names on messages")
        match message.role:
            case "assistant":
                self._assistant(message, path)
            case "system" | "developer" | "user" | "tool":
                self._given(message, path)
            case _:
                assert_never(message.role)

    def _given(self, message: Message, path: str) -> None:
        """A message of anybody but the model: its contents are one item, each tool result is another."""
        content: list[tuple[str, Part]] = []
        for index, part in enumerate(message.parts):
            where = f"{path}.parts[{index}]"
            if isinstance(part, ToolResult):
                self._result(part, where)
            elif isinstance(part, Opaque) and message.extra is None:
                self._opaque(part, where)
            else:
                content.append((where, part))
        if content or (not message.parts and ours(message.extra) is not None):
            item = self._given_item(message, content, path)
            # Without what could not be said, a message of another language may have nothing left to say.
            if item["content"] != [] or ours(message.extra) is not None:
                self._items.append(item)

    def _given_item(self, message: Message, content: list[tuple[str, Part]], path: str) -> JsonObject:
        role: Role = "user" if message.role == "tool" else message.role
        written: JsonObject = {"role": role, "content": self._content(content, role)}
        return carry(written, message.extra, self.losses, path)

    def _content(self, parts: list[tuple[str, Part]], role: Role) -> JsonValue:
        if len(parts) == 1:
            where, part = parts[0]
            if isinstance(part, Text) and ours(part.extra) is None:
                self.losses.drop_extra(part.extra, where)
                self._drop_proof(part.proof, where)
                return part.text
        pieces: list[JsonValue] = []
        for where, part in parts:
            written = self._piece(part, role, where)
            if written is not None:
                pieces.append(written)
        return pieces

    def _drop_proof(self, proof: Proof | None, path: str) -> None:
        if proof is not None:
            self.losses.add(f"{path}.proof", "dropped", "behaviour", f"{proof.origin} only")

    def _piece(self, part: Part, role: Role, path: str) -> JsonObject | None:
        match part:
            case Media(source=FileId()) if not self._same_files:
                self.losses.add(path, "dropped", "content", "the file lies at another provider")
                return None
            case Text() | Refusal() | Media() | Structured() | CachePoint() | Opaque():
                return write_content(part, role, self.losses, path)
            case Reasoning() | ToolCall() | ToolResult():
                self.losses.add(path, "dropped", "content", f"not in a {role} message")
                return None

    def _result(self, result: ToolResult, path: str) -> None:
        call = _fitting(result.call_id) or self._answered(result.name)
        parts: list[tuple[str, Part]] = [(f"{path}.parts[{index}]", part) for index, part in enumerate(result.parts)]
        output: JsonValue
        if all(isinstance(part, Text | Structured) and ours(part.extra) is None for _, part in parts) and (
            parts or ours(result.extra) is None
        ):
            output = self._plain(parts)
        else:
            output = self._content(parts, "user") if parts else []
        if result.is_error:
            self.losses.add(f"{path}.is_error", "dropped", "behaviour", "no mark for failed tools")
        written: JsonObject = {"type": "function_call_output", "call_id": call, "output": output}
        self._items.append(carry(written, result.extra, self.losses, path))

    def _plain(self, parts: list[tuple[str, Part]]) -> str:
        texts: list[str] = []
        for where, part in parts:
            if isinstance(part, Text | Structured):
                self.losses.drop_extra(part.extra, where)
                texts.append(part.text if isinstance(part, Text) else write_json(part.value).decode())
        return "\n".join(texts)

    def _answered(self, name: str | None) -> str:
        """The id that was made for the first call without one that has no result yet, of this tool if there is one."""
        for waiting in self._unnamed:
            if waiting[0] == name:
                self._unnamed.remove(waiting)
                return waiting[1]
        return self._unnamed.popleft()[1] if self._unnamed else "call_unknown"

    def _assistant(self, message: Message, path: str) -> None:
        before = len(self._items)
        for run in runs(message.parts):
            index, part = run[0]
            where = f"{path}.parts[{index}]"
            match part:
                case Text() | Refusal():
                    self._said(run, message, path)
                case Reasoning():
                    self._reasoning(part, where)
                case ToolCall():
                    self._call(part, where)
                case Opaque():
                    self._opaque(part, where)
                case ToolResult():
                    self._result(part, where)
                case Structured():
                    self._items.append({"role": "assistant", "content": write_json(part.value).decode()})
                case CachePoint():
                    self.losses.add(where, "dropped", "behaviour", "the provider decides what to cache")
                case Media():
                    self.losses.add(where, "dropped", "content", f"no {part.kind} in an answer")
                case _:
                    assert_never(part)
        fields = ours(message.extra)
        if fields is None:
            self.losses.drop_extra(message.extra, path)
        elif len(self._items) == before + 1:
            self._items[before] = carry(cast("JsonObject", self._items[before]), message.extra, self.losses, path)

    def _said(self, run: list[tuple[int, Part]], message: Message, path: str) -> None:
        """Texts of an earlier answer: our own items as they were, any other as plain messages."""
        for index, part in run:
            if isinstance(part, Text):
                self._drop_proof(part.proof, f"{path}.parts[{index}]")
        first = run[0][1]
        if isinstance(first, Text | Refusal) and opens_item(first):
            self._items.append(write_message(run, self.losses, path))
            return
        for index, part in run:
            where = f"{path}.parts[{index}]"
            if isinstance(part, Text | Refusal) and (part.text or ours(message.extra) is not None):
                self.losses.drop_extra(part.extra, where)
                self._items.append({"role": "assistant", "content": part.text})

    def _reasoning(self, part: Reasoning, path: str) -> None:
        """Reasoning of our own as it was; any other only if its proof can be said, since the API refuses it without."""
        if ours(part.extra) is None and usable(part.proof, Losses(), "") is None:
            self.losses.add(path, "dropped", "behaviour", "reasoning without a proof of this protocol")
            return
        self._items.append(reasoning_item(part, self.losses, path))

    def _call(self, call: ToolCall, path: str) -> None:
        if call.hosted:
            self.losses.add(path, "dropped", "content", "a tool that the other provider ran")
            return
        sealed = usable(call.proof, self.losses, path)
        if sealed is not None:
            self._items.append({"type": "reasoning", "summary": [], "encrypted_content": sealed})
        if not call.id:
            made = f"call_{len(self._items)}"
            self._unnamed.append((call.name, made))
            call = msgspec.structs.replace(call, id=made)
        if ours(call.extra) is None:
            call = msgspec.structs.replace(call, id=_fitting(call.id), arguments=call.arguments or "{}")
        self._items.append(carry(call_item(call), call.extra, self.losses, path))

    def _opaque(self, part: Opaque, path: str) -> None:
        if part.origin is not LANGUAGE:
            self.losses.drop_opaque(part, path)
            return
        around, number = part.value.get(OFFERED), part.value.get(ITEM)
        if isinstance(around, dict) and isinstance(number, int):
            self._items.append({**around, "tools": [*self._offered.get(number, ())]})
        else:
            self._items.append(part.value)


def _fitting(call: str) -> str:
    """A call's id, or a short name for one that the API would refuse."""
    return call if len(call) <= MAX_CALL_ID else f"call_{sha256(call.encode()).hexdigest()[:32]}"


def _is_instructions(message: Message) -> bool:
    """Whether the first message goes into `instructions`: marked as such, or another language's system text."""
    fields = ours(message.extra)
    if fields is not None:
        return "instructions" in fields
    return message.role == "system" and all(isinstance(part, Text | CachePoint) for part in message.parts)


def _is_bare(message: Message) -> bool:
    """Whether the whole input is one bare text of the user."""
    match message:
        case Message(role="user", parts=(Text(extra=None, proof=None),), extra=None, name=None):
            return True
        case _:
            return False
