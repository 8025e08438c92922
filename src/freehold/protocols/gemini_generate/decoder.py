"""Streamed answers read: chunks of an answer, in which pieces of text continue each other."""

from __future__ import annotations

from collections.abc import Mapping

from freehold.errors import CallerError
from freehold.ir import (
    ChoiceEnd,
    ErrorEnd,
    Event,
    Extra,
    JsonObject,
    JsonValue,
    Part,
    PartEnd,
    PartStart,
    Pulse,
    Reasoning,
    Response,
    ResponseEnd,
    ResponseStart,
    Text,
    TextDelta,
    ToolCall,
    Usage,
    UsageDelta,
    parse_json,
)
from freehold.protocols.codec import Frame
from freehold.protocols.gemini_generate.enums import Numbers
from freehold.protocols.gemini_generate.errors import read_error, stream_failure
from freehold.protocols.gemini_generate.language import LANGUAGE, NAME
from freehold.protocols.gemini_generate.parts import read_part
from freehold.protocols.gemini_generate.response import block_finish, original_name, read_finish, unix_seconds
from freehold.protocols.gemini_generate.usage import split_usage

USUAL = Extra(LANGUAGE, {})
"""The rest of a chunk that holds nothing unusual: one candidate with its parts, usage, model and id."""


class _Candidate:
    """One candidate while its chunks come in."""

    __slots__ = ("calls", "extra", "finish", "next", "open", "thought")

    def __init__(self) -> None:
        self.next = 0
        self.open: int | None = None
        self.thought = False
        self.calls = False
        self.finish: JsonValue = None
        self.extra: JsonObject = {}


class ChunkDecoder:
    """Reads one streamed answer, chunk by chunk.

    There is no terminator: the end of the connection is the end of the answer if a chunk gave a reason to finish. Such
    a chunk need not be the last (code execution gives several), so candidates end when the connection does.
    """

    __slots__ = (
        "_candidates",
        "_done",
        "_feedback",
        "_id",
        "_late",
        "_left",
        "_model",
        "_names",
        "_numbers",
        "_started",
    )

    def __init__(self, names: Mapping[str, str], numbers: Numbers) -> None:
        """`names`: the caller's names of tools, by those that stand for them on the wire."""
        self._names = dict(names)
        self._numbers = numbers
        self._candidates: dict[int, _Candidate] = {}
        self._started = False
        self._done = False
        self._id: str | None = None
        self._model: str | None = None
        self._feedback: JsonValue = None
        self._left: Extra | None = None
        self._late: JsonObject = {}

    def feed(self, frame: Frame) -> list[Event]:
        """The events of one chunk."""
        if self._done:
            return []
        try:
            value = parse_json(frame.data)
            if not isinstance(value, dict):
                return self._fail("a chunk is not a JSON object")
            if "error" in value:
                failure = read_error(value, 200)
                if failure is not None:
                    self._done = True
                    return [ErrorEnd(failure=failure)]
            usual = self._usual(value) if self._started else None
            return self._read(value) if usual is None else usual
        except CallerError as error:
            return self._fail(error.message)

    def close(self) -> list[Event]:
        """The connection ended: every candidate ends with it, or the answer broke off."""
        if self._done:
            return []
        self._done = True
        finished = any(candidate.finish is not None for candidate in self._candidates.values())
        blocked = block_finish(self._feedback, self._numbers)
        if not finished and blocked is None:
            failure = stream_failure("the provider's stream ended before its answer did", "upstream_truncated")
            return [ErrorEnd(failure=failure)]
        events: list[Event] = []
        for index, candidate in self._candidates.items():
            self._close_part(index, candidate, events)
            finish = read_finish(candidate.finish, self._numbers, calls=candidate.calls)
            extra = Extra(LANGUAGE, candidate.extra) if candidate.extra else None
            events.append(ChoiceEnd(finish=finish, choice=index, extra=extra))
        if blocked is not None and not self._candidates:
            events.append(ChoiceEnd(finish=blocked))
        if self._left is not None:
            events.append(UsageDelta(usage=Usage(extra=self._left)))
        events.append(ResponseEnd(extra=Extra(LANGUAGE, self._late) if self._late else None))
        return events

    def _fail(self, problem: str) -> list[Event]:
        self._done = True
        failure = stream_failure(f"the provider's stream could not be understood: {problem}", "upstream_garbled")
        return [ErrorEnd(failure=failure)]

    def _usual(self, value: JsonObject) -> list[Event] | None:
        """The chunk that streams are made of, more words of one candidate; None for any other."""
        usage = value.get("usageMetadata")
        if (
            len(value) != 4
            or value.get("modelVersion") != self._model
            or value.get("responseId") != self._id
            or not isinstance(usage, dict)
        ):
            return None
        match value.get("candidates"):
            case [
                {"content": {"parts": [{"text": str(text), **marks}], "role": "model", **a}, "index": int(index), **b}
            ]:
                candidate = self._candidates.get(0)
                if (
                    a
                    or b
                    or type(index) is not int
                    or index
                    or candidate is None
                    or candidate.open is None
                    or candidate.finish is not None
                ):
                    return None
                if marks != _THOUGHT if candidate.thought else marks:
                    return None
                return [TextDelta(index=candidate.open, text=text, rest=USUAL), self._usage(usage)]
            case _:
                return None

    def _usage(self, value: JsonObject) -> UsageDelta:
        """The counts so far; what else is said about them is said anew in every chunk, so only the last is kept."""
        usage, self._left = split_usage(value)
        return UsageDelta(usage=usage, rest=self._left)

    def _read(self, value: JsonObject) -> list[Event]:
        rest = dict(value)
        events: list[Event] = [Pulse(rest=Extra(LANGUAGE, rest))]
        usage = rest.get("usageMetadata")
        if isinstance(usage, dict):
            del rest["usageMetadata"]
        if not self._started:
            events.append(self._start(rest))
        else:
            self._late.update(_of_answer(rest))
        if rest.get("promptFeedback") is not None:
            self._feedback = rest["promptFeedback"]
        candidates = rest.get("candidates")
        if isinstance(candidates, list):
            rest["candidates"] = [self._candidate(item, place, events) for place, item in enumerate(candidates)]
        if isinstance(usage, dict):
            events.append(self._usage(usage))
        return events

    def _start(self, rest: JsonObject) -> ResponseStart:
        self._started = True
        self._id = _text(rest.get("responseId"))
        self._model = _text(rest.get("modelVersion"))
        fields = _of_answer(rest)
        created = unix_seconds(rest.get("createTime"))
        extra = Extra(LANGUAGE, fields) if fields else None
        return ResponseStart(
            response=Response(origin=NAME, choices=(), id=self._id, model=self._model, created=created, extra=extra)
        )

    def _candidate(self, value: JsonValue, place: int, events: list[Event]) -> JsonValue:
        """The parts of one candidate as events; gives back what is left of it."""
        if not isinstance(value, dict):
            raise CallerError(f"candidates[{place}] must be an object")
        rest = dict(value)
        index = rest.get("index")
        number = index if isinstance(index, int) and not isinstance(index, bool) else place
        candidate = self._candidates.setdefault(number, _Candidate())
        content = rest.get("content")
        if isinstance(content, dict):
            left = dict(content)
            parts = left.get("parts")
            # An empty text, as it often stands beside the reason to finish, is no part of the answer.
            if isinstance(parts, list) and any(item != _SILENCE for item in parts):
                del left["parts"]
                # The model goes on after all: what it gave as its reason to finish was one of several steps.
                candidate.finish = None
                for item in parts:
                    self._part(item, number, candidate, events)
            rest["content"] = left
        if rest.get("finishReason") is not None:
            candidate.finish = rest["finishReason"]
        for name, item in rest.items():
            if name not in ("content", "index", "finishReason"):
                candidate.extra[name] = item
        return rest

    def _part(self, value: JsonValue, number: int, candidate: _Candidate, events: list[Event]) -> None:
        """More words of the open part, the start of another, or a whole one.

        A signed part stays by itself: Google forbids to join it with its neighbours.
        """
        part = read_part(value, f"candidates[{number}].content.parts")
        if not isinstance(part, Text | Reasoning) or part.proof is not None or part.extra is not None:
            self._whole_part(part, number, candidate, events)
            return
        thought = isinstance(part, Reasoning)
        if candidate.open is None or candidate.thought is not thought:
            self._close_part(number, candidate, events)
            candidate.open, candidate.thought = candidate.next, thought
            candidate.next += 1
            empty = Reasoning(text="") if thought else Text(text="")
            events.append(PartStart(index=candidate.open, part=empty, choice=number))
        events.append(TextDelta(index=candidate.open, text=part.text, choice=number))

    def _whole_part(self, part: Part, number: int, candidate: _Candidate, events: list[Event]) -> None:
        self._close_part(number, candidate, events)
        index = candidate.next
        candidate.next += 1
        if isinstance(part, ToolCall):
            candidate.calls = True
            part = original_name(part, self._names)
        events.append(PartStart(index=index, part=part, choice=number))
        events.append(PartEnd(index=index, choice=number))

    def _close_part(self, number: int, candidate: _Candidate, events: list[Event]) -> None:
        if candidate.open is not None:
            events.append(PartEnd(index=candidate.open, choice=number))
            candidate.open = None


_THOUGHT: JsonObject = {"thought": True}
_SILENCE: JsonObject = {"text": ""}
_OF_CHUNK = ("candidates", "usageMetadata", "modelVersion", "responseId")


def _of_answer(rest: JsonObject) -> JsonObject:
    """What a chunk says about the whole answer."""
    return {name: item for name, item in rest.items() if name not in _OF_CHUNK}


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) else None


__all__ = ["USUAL", "ChunkDecoder"]
