"""The order of a conversation: system prompt on top, turns alternating, results right after their calls."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import cast

import msgspec

from freehold.ir import Extra, JsonObject, JsonValue, Losses, Message, Role, ToolCall, ToolResult
from freehold.protocols.anthropic_messages.language import LANGUAGE
from freehold.protocols.anthropic_messages.parts import BlockWriter, is_ours, plain_string

_ROLE: dict[Role, str] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "user",
}

_PLAIN_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""The ids of tool calls that the API takes (`^[a-zA-Z0-9_-]+$`)."""

OPENING = "(The conversation begins with the assistant's turn.)"
"""Said for the user where a conversation begins with the assistant: the first turn must be the user's."""

NO_RESULT = "No result was given."
"""Said for a tool whose result is missing: every call must be answered in the next turn."""


def in_place(message: Message) -> bool:
    """Whether a system message stood among the messages, not in `system` (Claude Code sends such)."""
    return message.extra is not None and message.extra.origin is LANGUAGE and "role" in message.extra.fields


_MODEL = re.compile(r"claude-(?:v|[a-z]+-)?(\d+)(?:[-.](\d{1,2})(?!\d))?")
_SYSTEM_IN_PLACE = re.compile(rb'"role"\s*:\s*"system"')


def refuses_in_place(model: str) -> bool:
    """Whether it is a Claude before Opus 4.8: they refuse `system` as the role of a message.

    Clients go by the name that they know, so they may say it to any. Seen in 2026; documented at
    https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages.
    """
    found = _MODEL.search(model)
    return found is not None and (int(found[1]), int(found[2] or 0)) < (4, 8)


def must_move_system(model: str, body: bytes) -> bool:
    """Whether a request can not pass to this model as it is, for a system message among the others."""
    return refuses_in_place(model) and _SYSTEM_IN_PLACE.search(body) is not None


def plain_id(call_id: str) -> str:
    """A call's id in the alphabet that the API takes: the same id always becomes the same."""
    if _PLAIN_ID.fullmatch(call_id):
        return call_id
    return "toolu_" + hashlib.sha256(call_id.encode(errors="surrogatepass")).hexdigest()[:24]


class RequestWriter(BlockWriter):
    """Writes the blocks of a request: every call gets an id that its result finds."""

    __slots__ = ("_names", "_open", "_said")

    def __init__(self, losses: Losses, names: dict[str, str], *, native: bool) -> None:
        super().__init__(losses, native=native)
        self._names = names
        self._open: list[tuple[str, str]] = []
        self._said = 0

    def call_id(self, call: ToolCall) -> str:
        """In the alphabet that the API takes; made from the position where there was none."""
        self._said += 1
        call_id = plain_id(call.id) if call.id else f"toolu_{self._said:024d}"
        if not call.id:
            self._open.append((call_id, call.name))
        return call_id

    def result_id(self, result: ToolResult) -> str:
        """The id under which its call was written."""
        if result.call_id:
            return plain_id(result.call_id)
        return self._take_open(result.name)

    def _take_open(self, name: str | None) -> str:
        """The oldest unanswered call without an id, of that name if there is one."""
        for index, (call_id, called) in enumerate(self._open):
            if called == name:
                del self._open[index]
                return call_id
        if self._open:
            return self._open.pop(0)[0]
        return f"toolu_{0:024d}"

    def tool_name(self, name: str) -> str:
        """The name under which the tool was offered."""
        return self._names.get(name, name)


class _Turn(msgspec.Struct):
    """One entry of `messages` being written; `text` where its content is a string.

    `said`: there were parts, so that without blocks nothing of them could be said.
    """

    role: str
    blocks: list[JsonObject]
    text: str | None
    path: str
    extra: Extra | None = None
    said: bool = True

    def as_blocks(self) -> list[JsonObject]:
        """The content as blocks, for others to join."""
        if self.text is not None:
            self.blocks = [{"type": "text", "text": self.text}] if self.text.strip() else []
            self.text = None
        return self.blocks


def write_conversation(
    messages: Sequence[Message], writer: RequestWriter, losses: Losses, *, model: str
) -> tuple[JsonValue, list[JsonObject]]:
    """The `system` prompt (None where there is none) and the `messages`."""
    system, refuses = _System(writer), refuses_in_place(model)
    turns: list[_Turn] = []
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        role = _ROLE[message.role]
        if role == "system" and (refuses or not in_place(message)):
            if turns:
                losses.add(path, "moved", "behaviour", "system text said in mid-conversation stands at its top")
            system.add(message, path)
            continue
        _note_name(message, losses, path)
        turn = _turn(message, role, writer, path)
        if writer.native:
            _add_native(turns, turn)
            continue
        losses.drop_extra(message.extra, path)
        for piece in _pieces(turn):
            _join(turns, piece)
    if not writer.native:
        turns = _settle(turns, losses)
    return system.content(), [_write_turn(turn, losses) for turn in turns]


def _note_name(message: Message, losses: Losses, path: str) -> None:
    if message.name is not None:
        losses.add(f"{path}.name", "dropped", "behaviour", "names of participants")


class _System:
    """The system prompt while its messages come in: a string if it was one, else a list of text blocks."""

    __slots__ = ("_blocks", "_said", "_text", "_writer")

    def __init__(self, writer: RequestWriter) -> None:
        self._writer = writer
        self._said = False
        self._text: str | None = None
        self._blocks: list[JsonObject] = []

    def add(self, message: Message, path: str) -> None:
        if not is_ours(message.extra):
            self._writer.losses.drop_extra(message.extra, path)
        _note_name(message, self._writer.losses, path)
        text = plain_string(message.parts)
        if not self._said and text is not None and (self._writer.native or text.strip()):
            self._said, self._text = True, text
            return
        if self._text is not None:
            self._blocks, self._text = [{"type": "text", "text": self._text}], None
        blocks = self._writer.blocks(message.parts, f"{path}.parts")
        for index, block in enumerate(blocks):
            if block.get("type") == "text" or self._writer.native:
                self._blocks.append(block)
            else:
                self._writer.losses.add(f"{path}.parts[{index}]", "dropped", "content", "a system prompt is text only")
        self._said = self._said or bool(blocks) or is_ours(message.extra)

    def content(self) -> JsonValue:
        if not self._said:
            return None
        return self._text if self._text is not None else cast("JsonValue", self._blocks)


def _turn(message: Message, role: str, writer: RequestWriter, path: str) -> _Turn:
    text = plain_string(message.parts)
    blocks: list[JsonObject] = []
    if text is None:
        blocks = writer.blocks(message.parts, f"{path}.parts")
    elif not writer.native and not text.strip():
        text = None
    extra = message.extra if writer.native else None
    return _Turn(role=role, blocks=blocks, text=text, path=path, extra=extra, said=bool(message.parts))


def _add_native(turns: list[_Turn], turn: _Turn) -> None:
    """Append a turn as it was; one of which nothing could be said vanishes."""
    if turn.text is not None or turn.blocks or not turn.said:
        turns.append(turn)


def _pieces(turn: _Turn) -> list[_Turn]:
    """A foreign turn by who may say its blocks: results are the user's, calls and thoughts the assistant's."""
    pieces: list[_Turn] = []
    if turn.text is not None:
        return [turn]
    for block in turn.blocks:
        kind = block.get("type")
        role = _SPEAKER.get(kind, turn.role) if isinstance(kind, str) else turn.role
        if not pieces or pieces[-1].role != role:
            pieces.append(_Turn(role=role, blocks=[], text=None, path=turn.path))
        pieces[-1].blocks.append(block)
    return pieces


_SPEAKER = {
    "tool_result": "user",
    "tool_use": "assistant",
    "thinking": "assistant",
    "redacted_thinking": "assistant",
}
"""Whose turn a block must stand in, where it is not either's."""


def _join(turns: list[_Turn], turn: _Turn) -> None:
    """Append a foreign turn; neighbours of one role become one turn, empty ones vanish."""
    if turn.text is None and not turn.blocks:
        return
    if turns and turns[-1].role == turn.role:
        turns[-1].as_blocks().extend(turn.as_blocks())
        return
    turns.append(turn)


def resumes_unsigned(messages: Sequence[JsonObject]) -> bool:
    """Whether the model is to go on from tool results, in a turn of its own that does not begin with thinking."""
    if len(messages) < 2:
        return False
    asked, answered = messages[-2].get("content"), messages[-1].get("content")
    if not isinstance(asked, list) or not isinstance(answered, list):
        return False
    begins = asked[0].get("type") if asked and isinstance(asked[0], dict) else None
    results = any(isinstance(block, dict) and block.get("type") == "tool_result" for block in answered)
    return results and begins not in ("thinking", "redacted_thinking")


def _settle(turns: list[_Turn], losses: Losses) -> list[_Turn]:
    """A conversation that the API accepts: the user begins, and each call has its result in the next turn."""
    settled: list[_Turn] = []
    asked: dict[str, None] = {}
    for turn in turns:
        if turn.role == "assistant":
            if asked:
                settled.append(_results_turn(asked, losses, turn.path))
            _trim_end(turn)
            asked = _calls(turn, losses)
        else:
            _answer(turn, asked, losses)
            asked = {}
        _join(settled, turn)
    if asked:
        settled.append(_results_turn(asked, losses, "messages"))
    if not settled or settled[0].role != "user":
        losses.add("messages[0]", "simulated", "behaviour", "the first turn must be the user's")
        settled.insert(0, _Turn(role="user", blocks=[], text=OPENING, path="messages[0]"))
    return settled


def _calls(turn: _Turn, losses: Losses) -> dict[str, None]:
    """The ids of a turn's calls, which must differ: a second call under one id has nothing to answer it."""
    calls: dict[str, None] = {}
    kept: list[JsonObject] = []
    for block in turn.blocks:
        call_id = block["id"] if block.get("type") == "tool_use" else None
        if isinstance(call_id, str):
            if call_id in calls:
                losses.add(turn.path, "dropped", "content", "two calls with one id")
                continue
            calls[call_id] = None
        kept.append(block)
    turn.blocks = kept
    return calls


def _trim_end(turn: _Turn) -> None:
    """Without white space at its end: the API refuses it in the last assistant turn."""
    if turn.text is not None:
        turn.text = turn.text.rstrip()
    elif turn.blocks and turn.blocks[-1].get("type") == "text":
        turn.blocks[-1]["text"] = str(turn.blocks[-1]["text"]).rstrip()


def _missing(call_id: str) -> JsonObject:
    return {"type": "tool_result", "tool_use_id": call_id, "content": NO_RESULT, "is_error": True}


def _results_turn(asked: Iterable[str], losses: Losses, path: str) -> _Turn:
    losses.add(path, "simulated", "behaviour", "results of tool calls that had none")
    return _Turn(role="user", blocks=[_missing(call_id) for call_id in asked], text=None, path=path)


def _answer(turn: _Turn, asked: dict[str, None], losses: Losses) -> None:
    """Put results first, make up those that are missing, and say as text those that nobody asked for.

    What is answered is no longer `asked`.
    """
    if turn.text is not None and not asked:
        return
    blocks = turn.as_blocks()
    results: list[JsonObject] = []
    others: list[JsonObject] = []
    for block in blocks:
        if block.get("type") != "tool_result":
            others.append(block)
        elif block["tool_use_id"] in asked:
            del asked[block["tool_use_id"]]
            results.append(block)
        else:
            losses.add(turn.path, "approximated", "behaviour", "a result without its call is said as text")
            others.extend(_as_text(block))
    if asked:
        losses.add(turn.path, "simulated", "behaviour", "results of tool calls that had none")
        results.extend(_missing(call_id) for call_id in asked)
    turn.blocks = results + others


def _as_text(result: JsonObject) -> list[JsonObject]:
    """The content of a tool result as blocks of a user's turn."""
    content = result.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content.strip() else []
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _write_turn(turn: _Turn, losses: Losses) -> JsonObject:
    wire: JsonObject = {"role": turn.role}
    extra = turn.extra
    if turn.text is not None:
        wire["content"] = turn.text
    elif turn.blocks or not (extra is not None and extra.origin is LANGUAGE and "content" in extra.fields):
        wire["content"] = cast("JsonValue", turn.blocks)
    losses.repeat(extra, LANGUAGE, wire, turn.path)
    return wire
