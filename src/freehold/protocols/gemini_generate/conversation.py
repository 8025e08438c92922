"""The order of a conversation: whose turn it is, which result answers which call, and what the API insists on."""

from __future__ import annotations

from typing import cast

import msgspec

from freehold.ir import (
    SEALED,
    CachePoint,
    JsonObject,
    JsonValue,
    Losses,
    Media,
    Message,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Role,
    Structured,
    Text,
    ToolCall,
    ToolResult,
)
from freehold.protocols.gemini_generate.language import LANGUAGE, is_gemini_3, is_ours
from freehold.protocols.gemini_generate.parts import PartWriter, read_part
from freehold.protocols.gemini_generate.wire import Node, repeat

_ROLES: dict[JsonValue, Role] = {"user": "user", "model": "assistant"}

OPENING = "(The conversation begins with the assistant's turn.)"
"""Said for the user where a conversation begins with the model: calls may only follow a user's turn."""

NO_RESULT = "No result was given."
"""Said for a tool whose result is missing: every call must be answered in the next turn."""

UNSIGNED = "Y29udGV4dF9lbmdpbmVlcmluZ19pc190aGVfd2F5X3RvX2dv"
"""Google's stand-in for the signature of a call that another model made: Gemini 3 refuses calls without one
(ai.google.dev/gemini-api/docs/thought-signatures; base64 of the documented words, as recorded)."""

# --- Reading ---------------------------------------------------------------------------------------------------------


def read_contents(values: list[JsonValue]) -> list[Message]:
    """The turns. Calls without an id get one by their place, and results find theirs by name and order."""
    pending: list[tuple[str, str]] = []
    return [_read_turn(value, index, pending) for index, value in enumerate(values)]


def _read_turn(value: JsonValue, index: int, pending: list[tuple[str, str]]) -> Message:
    node = Node(value, f"contents[{index}]")
    said = node.peek("role")
    role = _ROLES.get(said) if isinstance(said, str) else None
    if role is not None:
        node.take("role")
    elif not node.has("role"):
        node.note_absent("role")
    parts: list[Part] = []
    for number, item in enumerate(_take_parts(node)):
        part = read_part(item, f"{node.path}.parts[{number}]")
        match part:
            case ToolCall():
                part = _identified(part, f"call_{index}_{number}")
                pending.append((part.id, part.name))
            case ToolResult():
                part = _answering(part, f"call_{index}_{number}", pending)
            case _:
                pass
        parts.append(part)
    fallback: Role = "tool" if said in ("function", "tool") else "user"
    return Message(role=role or fallback, parts=_rejoined(parts), extra=node.rest())


def _take_parts(node: Node) -> list[JsonValue]:
    items = node.take_items("parts")
    if items is None and not node.has("parts"):
        node.note_absent("parts")
    return items or []


def _identified(call: ToolCall, made: str) -> ToolCall:
    if call.id:
        return call
    return msgspec.structs.replace(call, id=made)


def _answering(result: ToolResult, made: str, pending: list[tuple[str, str]]) -> ToolResult:
    """The result with the id of its call: the oldest unanswered one of that name, or, if none has it, of any."""
    if result.call_id:
        pending[:] = [item for item in pending if item[0] != result.call_id]
        return result
    found = next((item for item in pending if item[1] == result.name), pending[0] if pending else None)
    if found is not None:
        pending.remove(found)
    call_id = made if found is None else found[0]
    return msgspec.structs.replace(result, call_id=call_id)


def _rejoined(parts: list[Part]) -> tuple[Part, ...]:
    """The parts, with thoughts that a stream cut to pieces joined again where a seal vouches for them."""
    if not any(isinstance(part, Reasoning) and part.proof and part.proof.origin == SEALED for part in parts):
        return tuple(parts)
    joined: list[Part] = []
    for part in parts:
        if isinstance(part, Reasoning) and part.proof is not None and part.proof.origin == SEALED:
            words: list[str] = []
            while joined and isinstance(joined[-1], Reasoning) and joined[-1].proof is None:
                words.insert(0, cast("Reasoning", joined.pop()).text)
            joined.append(msgspec.structs.replace(part, text="".join(words) + part.text))
        else:
            joined.append(part)
    return tuple(joined)


def read_system(value: JsonObject) -> Message:
    """`systemInstruction`; its role means nothing and rides along."""
    node = Node(value, "systemInstruction")
    items = _take_parts(node)
    parts = tuple(read_part(item, f"systemInstruction.parts[{index}]") for index, item in enumerate(items))
    return Message(role="system", parts=parts, extra=node.mark())


# --- Writing what this language said ---------------------------------------------------------------------------------


def write_native(messages: tuple[Message, ...], writer: PartWriter) -> tuple[JsonObject | None, list[JsonObject]]:
    """`systemInstruction` and `contents`, turn by turn as they were."""
    system: JsonObject | None = None
    contents: list[JsonObject] = []
    for index, message in enumerate(messages):
        parts = writer.parts(message.parts, f"messages[{index}].parts")
        if message.role in ("system", "developer"):
            if system is None:
                system = {"parts": cast("JsonValue", parts)}
                _repeat(message, system, writer.losses, index)
            else:
                said = system.get("parts")
                system["parts"] = [*(said if isinstance(said, list) else [said]), *parts]
            continue
        turn: JsonObject = {"parts": cast("JsonValue", parts)}
        if not (message.extra is not None and is_ours(message.extra) and "role" in message.extra.fields):
            turn["role"] = "model" if message.role == "assistant" else "user"
        _repeat(message, turn, writer.losses, index)
        contents.append(turn)
    return system, contents


def _repeat(message: Message, into: JsonObject, losses: Losses, index: int) -> None:
    if message.extra is None:
        return
    if message.extra.origin is LANGUAGE:
        repeat(message.extra.fields, into)
    else:
        losses.drop_extra(message.extra, f"messages[{index}]")


# --- Writing what others said ----------------------------------------------------------------------------------------


class _Turn(msgspec.Struct):
    """Neighbouring messages of one side, with the place of every part."""

    role: str
    parts: list[tuple[Part, str]]


class _Results:
    """The results of a conversation, by the call that they answer."""

    def __init__(self, turns: list[_Turn]) -> None:
        self._by_id: dict[str, list[tuple[ToolResult, str]]] = {}
        self._taken: set[int] = set()
        for turn in turns:
            for part, path in turn.parts:
                if isinstance(part, ToolResult):
                    self._by_id.setdefault(part.call_id, []).append((part, path))

    def take(self, call: ToolCall) -> tuple[ToolResult, str] | None:
        """The first result of a call that nobody took yet; without ids the names have to agree, where they are said."""
        for result, path in self._by_id.get(call.id, []):
            fits = bool(call.id) or result.name in (None, call.name)
            if id(result) not in self._taken and fits:
                self._taken.add(id(result))
                return result, path
        return None

    def was_taken(self, result: ToolResult) -> bool:
        """Whether it stands behind its call already."""
        return id(result) in self._taken


def write_foreign(
    messages: tuple[Message, ...], writer: PartWriter, model: str
) -> tuple[JsonObject | None, list[JsonObject]]:
    """`systemInstruction` and `contents` in the order that the API accepts."""
    losses = writer.losses
    system, turns = _sides(messages, writer)
    results = _Results(turns)
    contents: list[JsonObject] = []
    for turn in turns:
        if turn.role == "model":
            _write_answer(turn, results, contents, writer, model)
        else:
            _write_question(turn, results, contents, writer)
    if not contents and system:
        losses.add("messages[0]", "moved", "behaviour", "a request must hold a user's turn")
        return None, [_content("user", system)]
    if not contents:
        # Nothing was said, which the API is to refuse in its own words, not for a missing list.
        contents.append(_content("user", [{"text": ""}]))
    if contents[0]["role"] != "user":
        losses.add("messages[0]", "simulated", "behaviour", "the first turn must be the user's")
        contents.insert(0, _content("user", [{"text": OPENING}]))
    return ({"parts": cast("JsonValue", system)} if system else None), contents


def _content(role: str, parts: list[JsonObject]) -> JsonObject:
    return {"role": role, "parts": cast("JsonValue", parts)}


def _sides(messages: tuple[Message, ...], writer: PartWriter) -> tuple[list[JsonObject], list[_Turn]]:
    """The parts of the system prompt, and the turns with neighbours of one side joined."""
    losses = writer.losses
    system: list[JsonObject] = []
    turns: list[_Turn] = []
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        losses.drop_extra(message.extra, path)
        if message.name is not None:
            losses.add(f"{path}.name", "dropped", "behaviour", "names of participants")
        if message.role in ("system", "developer"):
            if turns:
                losses.add(path, "moved", "behaviour", "system text said in mid-conversation stands at its top")
            system.extend(_system_parts(message, path, writer))
            continue
        for number, part in enumerate(message.parts):
            role = _side(message, part)
            if not turns or turns[-1].role != role:
                turns.append(_Turn(role, []))
            turns[-1].parts.append((part, f"{path}.parts[{number}]"))
    return system, turns


def _side(message: Message, part: Part) -> str:
    """Who says a part: calls are the model's and results the user's, whoever was said to have said them."""
    match part:
        case ToolCall():
            return "model"
        case ToolResult():
            return "user"
        case _:
            return "model" if message.role == "assistant" else "user"


def _system_parts(message: Message, path: str, writer: PartWriter) -> list[JsonObject]:
    """The words of a system message: the API takes no other parts there."""
    written: list[JsonObject] = []
    for number, part in enumerate(message.parts):
        where = f"{path}.parts[{number}]"
        if isinstance(part, Text | Refusal | Structured | CachePoint | Opaque):
            wire = writer.part(part, where)
            if wire is not None:
                written.append(wire)
        else:
            writer.losses.add(where, "dropped", "content", "a system prompt is text only")
    return written


def _write_answer(turn: _Turn, results: _Results, contents: list[JsonObject], writer: PartWriter, model: str) -> None:
    """A model's turn, and right after it the results of its calls, in their order."""
    written: list[JsonObject] = []
    answers: list[JsonObject] = []
    beside: list[JsonObject] = []
    for part, path in turn.parts:
        wire = writer.part(part, path)
        if isinstance(part, ToolCall) and part.hosted:
            found = results.take(part)
            if found is not None:
                writer.losses.add(found[1], "dropped", "content", "the result of a tool that another provider ran")
            continue
        if wire is None:
            continue
        written.append(wire)
        if isinstance(part, ToolCall):
            # Before Gemini 3 a result holds no media: they follow it in the same turn.
            apart = None if is_gemini_3(model) else beside
            answers.append(_write_answer_to(part, path, results.take(part), writer, apart))
    _sign_first_call(written, model)
    before = contents[-1] if contents else {}
    said = before.get("parts")
    if written and before.get("role") == "model" and isinstance(said, list):
        # Only results of hosted tools, which can not be said, stood between them.
        said.extend(written)
    elif written:
        contents.append(_content("model", written))
    if answers:
        contents.append(_content("user", answers + beside))


def _write_answer_to(
    call: ToolCall, path: str, found: tuple[ToolResult, str] | None, writer: PartWriter, beside: list[JsonObject] | None
) -> JsonObject:
    """The result of a call. `beside` takes the media of a result that may hold none itself."""
    if found is None:
        writer.losses.add(path, "simulated", "behaviour", "the result of a tool call that had none")
        missing = ToolResult(call_id=call.id, name=call.name, parts=(Text(text=NO_RESULT),), is_error=True)
        return writer.result(missing, path)
    result, where = found
    writer.losses.drop_extra(result.extra, where)
    media = tuple(part for part in result.parts if isinstance(part, Media))
    named = msgspec.structs.replace(result, name=call.name, call_id=call.id)
    if not media or beside is None:
        return writer.result(named, where)
    for number, part in enumerate(result.parts):
        wire = writer.part(part, f"{where}.parts[{number}]") if isinstance(part, Media) else None
        if wire is not None:
            writer.losses.add(f"{where}.parts[{number}]", "moved", "behaviour", "what a tool showed stands beside it")
            beside.append(wire)
    plain = tuple(part for part in result.parts if not isinstance(part, Media))
    return writer.result(msgspec.structs.replace(named, parts=plain), where)


def _sign_first_call(written: list[JsonObject], model: str) -> None:
    """The first call of a step must be signed from Gemini 3 on."""
    if not is_gemini_3(model):
        return
    call = next((wire for wire in written if "functionCall" in wire), None)
    if call is not None:
        call.setdefault("thoughtSignature", UNSIGNED)


def _write_question(turn: _Turn, results: _Results, contents: list[JsonObject], writer: PartWriter) -> None:
    """A user's turn without the results that stand behind their calls."""
    written: list[JsonObject] = []
    for part, path in turn.parts:
        if isinstance(part, ToolResult):
            if not results.was_taken(part):
                writer.losses.add(path, "approximated", "behaviour", "a result without its call is said as text")
                written.extend(_as_text(part, path, writer))
            continue
        wire = writer.part(part, path)
        if wire is not None:
            written.append(wire)
    if written:
        contents.append(_content("user", written))


def _as_text(result: ToolResult, path: str, writer: PartWriter) -> list[JsonObject]:
    return writer.parts(result.parts, f"{path}.parts")
