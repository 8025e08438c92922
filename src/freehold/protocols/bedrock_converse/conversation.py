"""The order of a foreign conversation: system on top, turns alternating, results right after their calls."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import assert_never

import msgspec

from freehold.ir import (
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
    write_json,
)
from freehold.protocols.bedrock_converse.families import Family
from freehold.protocols.bedrock_converse.language import LANGUAGE
from freehold.protocols.bedrock_converse.media import DocumentNames, write_media
from freehold.protocols.bedrock_converse.parts import read_object, usable_proof, write_reasoning, write_text
from freehold.protocols.bedrock_converse.tools import write_foreign_cache_point

OPENING = "(The conversation begins with the assistant's turn.)"
"""Said for the user where a conversation begins with the assistant: the first turn must be the user's."""

NO_RESULT = "No result was given."
"""Said for a tool whose result is missing: every call must be answered in the next turn."""

MOST_CACHE_POINTS = 4
"""Cache points that a request may hold."""

_SYSTEM: frozenset[Role] = frozenset({"system", "developer"})

_PLAIN_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""The ids of tool calls that every model takes."""


def plain_id(call_id: str) -> str:
    """A call's id in the alphabet that models take: the same id always becomes the same."""
    if _PLAIN_ID.fullmatch(call_id):
        return call_id
    return "tooluse_" + hashlib.sha256(call_id.encode(errors="surrogatepass")).hexdigest()[:24]


class Turn(msgspec.Struct):
    """One entry of `messages` being written. `asked`: the calls it makes; `thinks`: a signed thought precedes them."""

    role: str
    path: str
    blocks: list[JsonObject] = []
    asked: list[str] = []
    thinks: bool = False


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """What was written: system blocks, turns, the tools that were called (by wire name, as they were called)."""

    system: list[JsonValue]
    messages: list[JsonValue]
    called: dict[str, str]
    unproven: bool


def write_conversation(
    messages: Sequence[Message], family: Family, names: dict[str, str], losses: Losses
) -> Conversation:
    """A foreign conversation as Bedrock takes it."""
    return _Writer(family, names, losses).conversation(messages)


def unproven_turn(turns: Sequence[Turn]) -> bool:
    """Whether the tool turn under way began without a signed thought, which Claude demands while thinking."""
    for turn in reversed(turns):
        if turn.role == "user" and not any("toolResult" in block for block in turn.blocks):
            return False
        if turn.role == "assistant":
            return bool(turn.asked) and not turn.thinks
    return False


class _Writer:
    """Writes one conversation; knows the calls that still want a result, and how many cache points were given."""

    def __init__(self, family: Family, names: dict[str, str], losses: Losses) -> None:
        self.family = family
        self.names = names
        self.losses = losses
        self.documents = DocumentNames()
        self.cache_points = 0
        self.calls = 0
        self.called: dict[str, str] = {}
        # Calls whose wire id does not follow from their own: made for a call without an id (beside it the tool's name),
        # or for one whose id an earlier call of its turn has (beside it that id).
        self.nameless: OrderedDict[str, str] = OrderedDict()
        self.waiting: defaultdict[str, deque[str]] = defaultdict(deque)
        """The nameless by what stands beside them, the oldest first."""
        self.asked: set[str] = set()
        """The calls of the message under way."""
        self.answered: set[str] = set()

    def conversation(self, messages: Sequence[Message]) -> Conversation:
        system: list[JsonObject] = []
        turns: list[Turn] = []
        for index, message in enumerate(messages):
            path = f"messages[{index}]"
            if message.name is not None:
                self.losses.add(f"{path}.name", "dropped", "behaviour", "names of participants")
            self.losses.drop_extra(message.extra, path)
            if message.role in _SYSTEM:
                if turns:
                    self.losses.add(
                        path, "moved", "behaviour", "system text said in mid-conversation stands at its top"
                    )
                self._system(message, system, path)
                continue
            turn = self._turn(message, path)
            if not turn.blocks:
                continue
            if turns and turns[-1].role == turn.role:
                _join(turns[-1], turn)
            else:
                turns.append(turn)
        if not self.family.system and system:
            system = self._system_as_text(system, turns)
        unproven = unproven_turn(turns)
        settled = self._settle(turns)
        return Conversation(
            system=list(system),
            messages=[{"role": turn.role, "content": list[JsonValue](turn.blocks)} for turn in settled],
            called=self.called,
            unproven=unproven,
        )

    # --- System

    def _system(self, message: Message, into: list[JsonObject], path: str) -> None:
        for index, part in enumerate(message.parts):
            where = f"{path}.parts[{index}]"
            match part:
                case Text() | Refusal():
                    if part.text.strip():
                        into.append({"text": part.text})
                    self.losses.drop_extra(part.extra, where)
                case Structured():
                    into.append({"text": write_json(part.value).decode()})
                case CachePoint():
                    self._cache_point(part, into, where)
                case Opaque():
                    self.losses.drop_opaque(part, where)
                case Reasoning() | Media() | ToolCall() | ToolResult():
                    self.losses.add(where, "dropped", "content", "a system prompt is text only")

    def _system_as_text(self, system: list[JsonObject], turns: list[Turn]) -> list[JsonObject]:
        """For models without a system prompt: said at the head of the first turn."""
        self.losses.add("messages[0]", "moved", "behaviour", "this model takes system text only within a user's turn")
        texts: list[JsonObject] = [block for block in system if "text" in block]
        if turns and turns[0].role == "user":
            turns[0].blocks = texts + turns[0].blocks
        else:
            turns.insert(0, Turn(role="user", path="messages[0]", blocks=texts))
        return []

    # --- Turns

    def _turn(self, message: Message, path: str) -> Turn:
        turn = Turn(role="assistant" if message.role == "assistant" else "user", path=path)
        self.asked.clear()
        for index, part in enumerate(message.parts):
            self._part(part, turn, f"{path}.parts[{index}]")
        return turn

    def _part(self, part: Part, turn: Turn, path: str) -> None:
        match part:
            case Text():
                self._text(part, turn, path)
            case Refusal():
                if part.text.strip():
                    turn.blocks.append({"text": part.text})
            case Structured():
                turn.blocks.append({"text": write_json(part.value).decode()})
            case Reasoning():
                self._reasoning(part, turn, path)
            case ToolCall():
                self._call(part, turn, path)
            case ToolResult():
                self._result(part, turn, path)
            case Media():
                self._media(part, turn, path)
            case CachePoint():
                self._cache_point(part, turn.blocks, path)
            case Opaque():
                if part.origin is LANGUAGE:
                    turn.blocks.append(part.value)
                else:
                    self.losses.drop_opaque(part, path)
            case _:
                assert_never(part)

    def _text(self, part: Text, turn: Turn, path: str) -> None:
        if part.proof is not None:
            self.losses.add(f"{path}.proof", "dropped", "behaviour", "signed text")
        # Blank text blocks are refused.
        if part.text.strip():
            turn.blocks.append(write_text(part, self.losses, path))

    def _reasoning(self, part: Reasoning, turn: Turn, path: str) -> None:
        if usable_proof(part.proof) is None:
            if part.proof is not None:
                self.losses.add(f"{path}.proof", "dropped", "behaviour", f"a proof of {part.proof.origin}")
            if part.text or part.redacted:
                self.losses.add(path, "dropped", "behaviour", "reasoning without a usable proof")
            return
        block = write_reasoning(part, self.losses, path)
        if block is not None:
            turn.thinks = turn.thinks or not turn.asked
            turn.blocks.append(block)

    def _call(self, part: ToolCall, turn: Turn, path: str) -> None:
        if part.hosted:
            self.losses.add(path, "dropped", "content", "a call that another provider ran")
            return
        if turn.role != "assistant":
            self.losses.add(path, "dropped", "content", "only a model calls tools")
            return
        if part.proof is not None:
            self.losses.add(f"{path}.proof", "dropped", "behaviour", f"a proof of {part.proof.origin}")
        self.losses.drop_extra(part.extra, path)
        self.calls += 1
        call_id = plain_id(part.id) if part.id else f"tooluse_{self.calls:024d}"
        if call_id in self.asked:
            call_id = plain_id(f"{part.id}#{self.calls}")
            self._name_later(call_id, part.id)
        elif not part.id:
            self._name_later(call_id, part.name)
        arguments = read_object(part.arguments, self.losses, path)
        name = self.names.get(part.name, part.name) or "tool"
        self.called[name] = part.name
        self.asked.add(call_id)
        turn.asked.append(call_id)
        turn.blocks.append({"toolUse": {"toolUseId": call_id, "name": name, "input": arguments}})

    def _name_later(self, call_id: str, known: str) -> None:
        self.nameless[call_id] = known
        self.waiting[known].append(call_id)

    def _result(self, part: ToolResult, turn: Turn, path: str) -> None:
        if turn.role == "assistant":
            self.losses.add(path, "dropped", "content", "a result of a tool that another provider ran")
            return
        self.losses.drop_extra(part.extra, path)
        result: JsonObject = {"toolUseId": self._result_id(part), "content": []}
        content: list[JsonValue] = []
        after: list[CachePoint] = []
        for index, inner in enumerate(part.parts):
            if isinstance(inner, CachePoint):
                after.append(inner)
                continue
            block = self._result_block(inner, f"{path}.parts[{index}]")
            if block is not None:
                content.append(block)
        result["content"] = content
        if part.is_error is not None and self.family.result_status:
            result["status"] = "error" if part.is_error else "success"
        elif part.is_error:
            self.losses.add(f"{path}.is_error", "dropped", "behaviour", "this model is not told that a tool failed")
        turn.blocks.append({"toolResult": result})
        for point in after:
            self._cache_point(point, turn.blocks, path)

    def _result_id(self, part: ToolResult) -> str:
        """The id under which the call was written; the oldest that fits where it had none of its own."""
        wanted = part.call_id or part.name or ""
        # A call that shares its id with an earlier one of its turn: that one takes the first result.
        if self.waiting.get(wanted) and (not part.call_id or wanted in self.answered):
            call_id = self.waiting[wanted].popleft()
            del self.nameless[call_id]
            return call_id
        if part.call_id:
            self.answered.add(part.call_id)
            return plain_id(part.call_id)
        if not self.nameless:
            return f"tooluse_{0:024d}"
        call_id, known = self.nameless.popitem(last=False)
        self.waiting[known].popleft()
        return call_id

    def _result_block(self, part: Text | Media | Structured | Opaque, path: str) -> JsonObject | None:
        match part:
            case Text():
                self.losses.drop_extra(part.extra, path)
                return {"text": part.text} if part.text.strip() else None
            case Structured():
                if isinstance(part.value, dict):
                    return {"json": part.value}
                return {"text": write_json(part.value).decode()}
            case Media():
                block = write_media(part, self.losses, path)
                return None if block is None else self._named(block)
            case Opaque():
                if part.origin is LANGUAGE:
                    return part.value
                self.losses.drop_opaque(part, path)
                return None

    def _media(self, part: Media, turn: Turn, path: str) -> None:
        if turn.role == "assistant":
            self.losses.add(path, "dropped", "content", f"an assistant's turn holds no {part.kind}")
            return
        block = write_media(part, self.losses, path)
        if block is not None:
            turn.blocks.append(self._named(block))

    def _named(self, block: JsonObject) -> JsonObject:
        """The block with a name that no other document of the request has."""
        document = block.get("document")
        if isinstance(document, dict):
            document["name"] = self.documents.give(str(document.get("name") or ""))
        return block

    def _cache_point(self, part: CachePoint, blocks: list[JsonObject], path: str) -> None:
        usable = self.family.caches and bool(blocks) and "cachePoint" not in blocks[-1]
        if not usable or self.cache_points >= MOST_CACHE_POINTS:
            self.losses.add(path, "dropped", "accounting", "no cache point can stand here")
            return
        self.cache_points += 1
        blocks.append(write_foreign_cache_point(part, self.losses, path))

    # --- Order

    def _settle(self, turns: list[Turn]) -> list[Turn]:
        """The user begins, documents have words beside them, and each call has its result in the next turn."""
        if not turns or turns[0].role != "user":
            self.losses.add("messages[0]", "simulated", "behaviour", "the first turn must be the user's")
            turns.insert(0, Turn(role="user", path="messages[0]", blocks=[{"text": OPENING}]))
        settled: list[Turn] = []
        asked: list[str] = []
        for turn in turns:
            if turn.role == "assistant":
                if asked:
                    settled.append(self._missing_turn(asked, turn.path))
                asked = turn.asked
                _trim_end(turn)
            else:
                self._answer(turn, asked)
                self._accompany(turn)
                asked = []
            settled.append(turn)
        if asked:
            settled.append(self._missing_turn(asked, "messages"))
        return settled

    def _missing(self, call_ids: Iterable[str]) -> list[JsonObject]:
        results: list[JsonObject] = []
        for call_id in call_ids:
            result: JsonObject = {"toolUseId": call_id, "content": [{"text": NO_RESULT}]}
            if self.family.result_status:
                result["status"] = "error"
            results.append({"toolResult": result})
        return results

    def _missing_turn(self, asked: list[str], path: str) -> Turn:
        self.losses.add(path, "simulated", "behaviour", "results of tool calls that had none")
        return Turn(role="user", path=path, blocks=self._missing(asked))

    def _answer(self, turn: Turn, asked: list[str]) -> None:
        """Put results first, make up those that are missing, and say as text those that nobody asked for."""
        if not asked and not any("toolResult" in block for block in turn.blocks):
            return
        waiting = Counter(asked)
        results: list[JsonObject] = []
        others: list[JsonObject] = []
        for block in turn.blocks:
            result = block.get("toolResult")
            if not isinstance(result, dict):
                (results if "cachePoint" in block and not others else others).append(block)
            elif waiting[str(result["toolUseId"])]:
                waiting[str(result["toolUseId"])] -= 1
                results.append(block)
            else:
                self.losses.add(turn.path, "approximated", "behaviour", "a result without its call is said as text")
                others.extend(_as_text(result))
        if any(waiting.values()):
            self.losses.add(turn.path, "simulated", "behaviour", "results of tool calls that had none")
            results.extend(self._missing(waiting.elements()))
        turn.blocks = results + others or [{"text": NO_RESULT}]

    def _accompany(self, turn: Turn) -> None:
        """A document is refused in a turn without text."""
        if any("text" in block or "guardContent" in block for block in turn.blocks):
            return
        names = [document["name"] for block in turn.blocks if isinstance(document := block.get("document"), dict)]
        if names:
            self.losses.add(turn.path, "simulated", "behaviour", "a document must be accompanied by text")
            turn.blocks.append({"text": f"See {', '.join(str(name) for name in names)}."})


def _join(turn: Turn, more: Turn) -> None:
    turn.thinks = turn.thinks or (more.thinks and not turn.asked)
    turn.blocks.extend(more.blocks)
    turn.asked.extend(more.asked)


def _trim_end(turn: Turn) -> None:
    """Without white space at its end: Claude refuses it in the last assistant turn."""
    last = turn.blocks[-1]
    if isinstance(text := last.get("text"), str):
        turn.blocks[-1] = {"text": text.rstrip()}


def _as_text(result: JsonObject) -> list[JsonObject]:
    """The content of a tool result as blocks of a user's turn."""
    content = result["content"]
    return [
        {"text": write_json(block["json"]).decode()} if "json" in block else block
        for block in (content if isinstance(content, list) else [])
        if isinstance(block, dict)
    ]
