"""Streamed answers, read: AWS event-stream messages to canonical events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from freehold.errors import CallerError
from freehold.ir import (
    ArgumentsDelta,
    ChoiceEnd,
    ErrorEnd,
    Event,
    Extra,
    ExtraDelta,
    Fields,
    Inline,
    JsonObject,
    JsonValue,
    Media,
    Opaque,
    Part,
    PartEnd,
    PartStart,
    Proof,
    ProofDelta,
    Pulse,
    Reasoning,
    Response,
    ResponseEnd,
    ResponseStart,
    Text,
    TextDelta,
    ToolCall,
    UsageDelta,
    parse_json,
)
from freehold.protocols.aws_errors import broken_stream, stream_failure
from freehold.protocols.bedrock_converse.language import LANGUAGE, NAME, only
from freehold.protocols.bedrock_converse.media import TYPE_OF_FORMAT
from freehold.protocols.bedrock_converse.parts import is_hosted, read_redacted
from freehold.protocols.bedrock_converse.response import MORE_FIELDS, read_finish
from freehold.protocols.bedrock_converse.usage import read_usage
from freehold.protocols.codec import Frame

IMPLIED = Extra(LANGUAGE, {})
"""The rest of an event that no frame stands for: what the stream left out, and the grammar wants."""

FRAME = "frame"
"""Extra of a pulse: the name of a whole frame that means nothing here."""

_EMPTY_RESPONSE = Response(origin=NAME, choices=())


class ConverseStreamDecoder:
    """Reads one streamed answer, frame by frame. Text and thought begin with their first delta (WIRE_FACTS 1)."""

    __slots__ = ("_calls", "_done", "_ended", "_names", "_open", "_started", "_used", "_whole")

    def __init__(self, names: Mapping[str, str]) -> None:
        """`names`: the caller's names of tools, by those that stand for them on the wire."""
        self._names = names
        self._started = False
        self._ended = False
        self._done = False
        self._calls = False
        self._open: dict[int, type] = {}
        self._used: set[int] = set()
        # Blocks without a part of their own, put together to be given whole when they end.
        self._whole: dict[int, tuple[str, JsonObject]] = {}

    def feed(self, frame: Frame) -> list[Event]:
        """The events of one frame."""
        if self._done:
            return []
        if frame.kind != "event":
            self._done = True
            return [ErrorEnd(failure=stream_failure(frame, LANGUAGE))]
        try:
            value = parse_json(frame.data)
        except CallerError as error:
            return self._fail(error.message)
        if not isinstance(value, dict):
            return self._fail("a frame is not a JSON object")
        if frame.event == "contentBlockDelta" and not self._ended:
            index, delta = value.get("contentBlockIndex"), value.get("delta")
            if type(index) is int and isinstance(delta, dict):
                return self._delta(index, delta, value)
        return self._read(frame.event or "", value)

    def close(self) -> list[Event]:
        """The connection ended: an error unless the message was complete. Usage may have been lost with its frame."""
        if self._done:
            return []
        self._done = True
        if self._ended:
            return [ResponseEnd(rest=IMPLIED)]
        failure = broken_stream(
            "the provider's stream ended before its answer did", LANGUAGE, code="upstream_truncated"
        )
        return [ErrorEnd(failure=failure)]

    def _fail(self, problem: str) -> list[Event]:
        self._done = True
        return [ErrorEnd(failure=broken_stream(f"the provider's stream could not be understood: {problem}", LANGUAGE))]

    def _read(self, name: str, value: JsonObject) -> list[Event]:
        if name == "messageStart" and not self._started:
            self._started = True
            fields = Fields(value, LANGUAGE)
            fields.take_constant("role", "assistant")
            return [ResponseStart(response=_EMPTY_RESPONSE, rest=fields.rest())]
        events = self._begin()
        index = value.get("contentBlockIndex")
        match name:
            case "contentBlockStart" if type(index) is int and index not in self._used and not self._ended:
                kind, start = only(value.get("start"))
                part = self._part_of(index, kind, start)
                if part is not None:
                    events.append(self._start(index, part, _rest(value, "start")))
                    return events
            case "contentBlockStop" if type(index) is int and index in self._open:
                events.append(self._stop(index, _rest(value, None)))
                return events
            case "messageStop" if not self._ended:
                self._message_stop(value, events)
                return events
            case "metadata":
                return self._metadata(value, events)
            case _:
                pass
        events.append(Pulse(rest=Extra(LANGUAGE, {FRAME: name, "value": value})))
        return events

    def _begin(self) -> list[Event]:
        """The start of the answer, where its frame is missing."""
        if self._started:
            return []
        self._started = True
        return [ResponseStart(response=_EMPTY_RESPONSE, rest=IMPLIED)]

    def _start(self, index: int, part: Part, rest: Extra | None) -> PartStart:
        self._used.add(index)
        self._open[index] = type(part)
        return PartStart(index=index, part=part, rest=rest)

    def _part_of(self, index: int, kind: str, start: JsonValue) -> Part | None:
        if not isinstance(start, dict):
            return None
        if kind == "toolUse":
            fields = Fields(start, LANGUAGE)
            call_id, name = fields.take_str("toolUseId"), fields.take_str("name")
            if call_id is None or name is None:
                return None
            hosted = is_hosted(fields)
            self._calls = self._calls or not hosted
            name = self._names.get(name, name)
            return ToolCall(id=call_id, name=name, arguments="", hosted=hosted, extra=fields.rest())
        self._whole[index] = (kind, start)
        return Opaque(origin=LANGUAGE, value={kind: start})

    # --- Deltas

    def _delta(self, index: int, delta: JsonObject, value: JsonObject) -> list[Event]:
        rest = Extra(LANGUAGE, _beside_delta(value)) if len(value) > 2 else None
        opened = self._open.get(index)
        if opened is None and index in self._used:
            return [Pulse(rest=Extra(LANGUAGE, {FRAME: "contentBlockDelta", "value": value}))]
        if len(delta) == 1:
            match delta:
                case {"text": str(text)} if opened is Text:
                    return [TextDelta(index=index, text=text, rest=rest)]
                case {"toolUse": {"input": str(text), **more}} if opened is ToolCall and not more:
                    return [ArgumentsDelta(index=index, text=text, rest=rest)]
                case {"reasoningContent": dict(inner)} if len(inner) == 1:
                    events = self._reasoning_delta(index, opened, inner, rest)
                    if events is not None:
                        return events
                case {"text": str(text)} if opened is None:
                    return [
                        *self._begin(),
                        self._start(index, Text(text=""), None),
                        TextDelta(index=index, text=text, rest=rest),
                    ]
                case {"citation": citation} if opened is None or opened is Text:
                    events = self._begin()
                    if opened is None:
                        events.append(self._start(index, Text(text=""), None))
                    events.append(ExtraDelta(index=index, extra=Extra(LANGUAGE, {"citations": [citation]}), rest=rest))
                    return events
                case _:
                    pass
        return self._other_delta(index, opened, delta, rest)

    def _reasoning_delta(
        self, index: int, opened: type | None, inner: JsonObject, rest: Extra | None
    ) -> list[Event] | None:
        match inner:
            case {"text": str(text)} if opened is Reasoning:
                return [TextDelta(index=index, text=text, rest=rest)]
            case {"signature": str(signature)} if opened is Reasoning:
                return [ProofDelta(index=index, proof=Proof(origin=NAME, value=signature), rest=rest)]
            case {"redactedContent": str(data)} if opened is None:
                part = Reasoning(text="", proof=read_redacted(data), redacted=True)
                return [*self._begin(), self._start(index, part, rest)]
            case {"text": str() | None} | {"signature": str()} if opened is None:
                events = [*self._begin(), self._start(index, Reasoning(text=""), None)]
                return [*events, *(self._reasoning_delta(index, Reasoning, inner, rest) or [])]
            case _:
                return None

    def _other_delta(self, index: int, opened: type | None, delta: JsonObject, rest: Extra | None) -> list[Event]:
        events = self._begin()
        if opened is None:
            self._whole[index] = ("", {})
            events.append(self._start(index, Opaque(origin=LANGUAGE, value={}), None))
        whole = self._whole.get(index)
        kind, value = only(delta)
        if whole is not None:
            self._whole[index] = (whole[0] or kind, _grown(whole[1], value))
        events.append(ExtraDelta(index=index, extra=Extra(LANGUAGE, delta), rest=rest))
        return events

    # --- Ends

    def _stop(self, index: int, rest: Extra | None) -> PartEnd:
        del self._open[index]
        kind, whole = self._whole.pop(index, ("", None))
        return PartEnd(index=index, part=None if whole is None else _whole_part(kind, whole), rest=rest)

    def _message_stop(self, value: JsonObject, events: list[Event]) -> None:
        events.extend(self._stop(index, IMPLIED) for index in list(self._open))
        self._ended = True
        fields = Fields(value, LANGUAGE)
        finish = read_finish(fields.take_str("stopReason"), calls=self._calls, more=fields.peek(MORE_FIELDS))
        extra = Extra(LANGUAGE, {MORE_FIELDS: fields.take(MORE_FIELDS)}) if fields.has(MORE_FIELDS) else None
        events.append(ChoiceEnd(finish=finish, extra=extra, rest=fields.rest()))

    def _metadata(self, value: JsonObject, events: list[Event]) -> list[Event]:
        fields = Fields(value, LANGUAGE)
        usage = fields.take_object("usage")
        if not self._ended:
            # Never seen before `messageStop`; the rest marks it as a frame of its own.
            if usage is not None:
                events.append(UsageDelta(usage=read_usage(usage), rest=fields.mark()))
            else:
                events.append(Pulse(rest=Extra(LANGUAGE, {FRAME: "metadata", "value": value})))
            return events
        self._done = True
        padding = {"p": fields.take("p")} if fields.has("p") else {}
        if usage is not None:
            events.append(UsageDelta(usage=read_usage(usage)))
        # Marked: the frame was there, whatever it held.
        events.append(ResponseEnd(extra=fields.rest(), rest=Extra(LANGUAGE, {"metadata": True, **padding})))
        return events


def _rest(value: JsonObject, taken: str | None) -> Extra | None:
    left = {name: item for name, item in value.items() if name not in ("contentBlockIndex", taken)}
    return Extra(LANGUAGE, left) if left else None


def _beside_delta(value: JsonObject) -> JsonObject:
    return {name: item for name, item in value.items() if name not in ("contentBlockIndex", "delta")}


def _grown(whole: JsonObject, delta: JsonValue) -> JsonObject:
    """A block put together: a list of results joins its content, fields join the others."""
    if isinstance(delta, list):
        before = whole.get("content")
        return {**whole, "content": [*(before if isinstance(before, list) else []), *delta]}
    return {**whole, **delta} if isinstance(delta, dict) else whole


def _whole_part(kind: str, whole: JsonObject) -> Part:
    """The part that a block has become: a picture, or one that only this language understands."""
    match whole:
        case {"format": str(form), "source": {"bytes": str(data)}} if kind == "image":
            return Media(kind="image", source=Inline(data=data), media_type=TYPE_OF_FORMAT["image"].get(form))
        case _:
            return Opaque(origin=LANGUAGE, value=cast("JsonObject", {kind: whole}))
