"""Message streams: server-sent events to canonical events and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import msgspec

from freehold.errors import CallerError
from freehold.ir import (
    ArgumentsDelta,
    ChoiceEnd,
    ErrorEnd,
    Event,
    Extra,
    ExtraDelta,
    Fields,
    Finish,
    JsonObject,
    JsonValue,
    Losses,
    Opaque,
    Part,
    PartEnd,
    PartStart,
    Proof,
    ProofDelta,
    Pulse,
    Reasoning,
    Refusal,
    Response,
    ResponseEnd,
    ResponseStart,
    Text,
    TextDelta,
    ToolCall,
    Usage,
    UsageDelta,
    parse_json,
    write_json,
)
from freehold.ir.fold import merge_usage
from freehold.protocols.anthropic_messages.errors import error_body, read_error, stream_failure
from freehold.protocols.anthropic_messages.language import LANGUAGE
from freehold.protocols.anthropic_messages.parts import BlockWriter, is_ours, read_block
from freehold.protocols.anthropic_messages.response import (
    BESIDE_DELTA,
    end_extra,
    finish_kind,
    message_id,
    write_end,
    write_finish,
)
from freehold.protocols.anthropic_messages.sequence import Sequencer
from freehold.protocols.anthropic_messages.usage import (
    cached_tokens,
    read_usage,
    write_complete_usage,
    write_usage,
)
from freehold.protocols.codec import Frame, Stamp

_PING = Extra(LANGUAGE, {"type": "ping"})
_PING_FRAME = Frame(event="ping", data=b'{"type":"ping"}')
_STOP_FRAME = Frame(event="message_stop", data=b'{"type":"message_stop"}')
_USUAL_START: JsonObject = {"content": [], "stop_reason": None, "stop_sequence": None}
"""What every `message_start` says about the answer's end, long before there is one."""

# --- Reading ---------------------------------------------------------------------------------------------------------


def _delta_kind(part: Part) -> str:
    """The type of the deltas that carry a part's text, "" for a part that has none."""
    match part:
        case Text() | Refusal():
            return "text_delta"
        case Reasoning():
            return "thinking_delta"
        case ToolCall():
            return "input_json_delta"
        case _:
            return ""


_FIELD_OF_DELTA = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}


class MessageStreamDecoder:
    """Reads one streamed message, frame by frame."""

    __slots__ = ("_cached", "_calls", "_done", "_ended", "_names", "_opaque", "_open", "_started", "_used")

    def __init__(self, names: Mapping[str, str]) -> None:
        """`names`: the caller's names of tools, by those that stand for them on the wire."""
        self._names = names
        self._started = False
        self._ended = False
        self._done = False
        self._calls = False
        self._cached = 0
        self._open: dict[int, str] = {}
        self._used: set[int] = set()
        self._opaque: dict[int, JsonObject] = {}

    def feed(self, frame: Frame) -> list[Event]:
        """The events of one frame."""
        if self._done:
            return []
        try:
            value = parse_json(frame.data)
            if not isinstance(value, dict):
                return self._fail("a frame is not a JSON object")
            return self._read(value)
        except CallerError as error:
            return self._fail(error.message)

    def close(self) -> list[Event]:
        """The connection ended: an error unless `message_stop` was seen."""
        if self._done:
            return []
        self._done = True
        failure = stream_failure("the provider's stream ended before its answer did", "upstream_truncated")
        return [ErrorEnd(failure=failure)]

    def _fail(self, problem: str) -> list[Event]:
        self._done = True
        failure = stream_failure(f"the provider's stream could not be understood: {problem}", "upstream_garbled")
        return [ErrorEnd(failure=failure)]

    def _read(self, value: JsonObject) -> list[Event]:
        match value.get("type"):
            case "content_block_delta":
                return self._delta(value)
            case "ping" if len(value) == 1:
                return [Pulse(rest=_PING)]
            case "error":
                self._done = True
                return [ErrorEnd(failure=read_error(value, 200), rest=None)]
            case "message_start":
                return self._start(value)
            case _ if not self._started:
                return [Pulse(rest=Extra(LANGUAGE, value))]
            case "content_block_start":
                return self._part_start(value)
            case "content_block_stop":
                return self._part_end(value)
            case "message_delta":
                return self._end(value)
            case "message_stop":
                return self._stop(value)
            case _:
                return [Pulse(rest=Extra(LANGUAGE, value))]

    def _start(self, value: JsonObject) -> list[Event]:
        if self._started:
            return self._fail("the message starts twice")
        self._started = True
        frame = Fields(value, LANGUAGE)
        frame.take("type")
        message = Fields(frame.need_object("message"), LANGUAGE, "message")
        message.take_constant("type", "message")
        message.take_constant("role", "assistant")
        said: JsonObject = {name: message.take(name) for name in (*_USUAL_START, "stop_details") if message.has(name)}
        usage = message.take_object("usage")
        if said != _USUAL_START or usage is None:
            frame.put_back("message", said)
        response = Response(
            origin=LANGUAGE.name,
            choices=(),
            id=message.take_str("id"),
            model=message.take_str("model"),
            usage=None if usage is None else self._usage(usage),
            extra=message.rest(),
        )
        return [ResponseStart(response=response, rest=frame.rest())]

    def _usage(self, value: JsonObject) -> Usage:
        usage = read_usage(value, cached=self._cached)
        if usage.cache_read is not None or usage.cache_write is not None:
            self._cached = cached_tokens(usage)
        return usage

    def _part_start(self, value: JsonObject) -> list[Event]:
        frame = Fields(value, LANGUAGE)
        frame.take("type")
        index = frame.take_int("index")
        block = frame.need_object("content_block")
        if index is None or index in self._used:
            return self._fail("a block starts twice or has no index")
        if self._ended:
            return self._fail("a block starts after the message ended")
        part = _read_start(block)
        self._used.add(index)
        self._open[index] = _delta_kind(part)
        if isinstance(part, Opaque):
            self._opaque[index] = block
        elif isinstance(part, ToolCall) and not part.hosted:
            self._calls = True
            if part.name in self._names:
                part = msgspec.structs.replace(part, name=self._names[part.name])
        return [PartStart(index=index, part=part, rest=frame.rest())]

    def _delta(self, value: JsonObject) -> list[Event]:
        index, delta = value.get("index"), value.get("delta")
        if type(index) is not int or not isinstance(delta, dict):
            return self._fail("a delta without index or content")
        expected = self._open.get(index)
        if expected is None:
            return self._fail(f"a delta for block {index}, which is not open")
        field = _FIELD_OF_DELTA.get(expected)
        if field is not None and delta.get("type") == expected:
            text = delta.get(field)
            if isinstance(text, str):
                rest = None if len(value) == 3 and len(delta) == 2 else _delta_rest(value, field)
                if expected == "input_json_delta":
                    return [ArgumentsDelta(index=index, text=text, rest=rest)]
                return [TextDelta(index=index, text=text, rest=rest)]
        return self._rare_delta(value, index, delta, expected)

    def _rare_delta(self, value: JsonObject, index: int, delta: JsonObject, expected: str) -> list[Event]:
        """Signatures, citations, and what later versions of the protocol add to a block."""
        if index in self._opaque:
            self._opaque[index] = _grown(self._opaque[index], delta)
            return [Pulse(rest=Extra(LANGUAGE, value))]
        kind = delta.get("type")
        signature = delta.get("signature")
        if kind == "signature_delta" and expected == "thinking_delta" and isinstance(signature, str):
            proof = Proof(origin=LANGUAGE.name, value=signature)
            return [ProofDelta(index=index, proof=proof, rest=_delta_rest(value, "signature"))]
        citation = delta.get("citation")
        if kind == "citations_delta" and isinstance(citation, dict):
            extra = Extra(LANGUAGE, {"citations": [citation]})
            return [ExtraDelta(index=index, extra=extra, rest=_delta_rest(value, "citation"))]
        fields = {name: item for name, item in delta.items() if name != "type"}
        frame = {name: item for name, item in value.items() if name not in ("type", "index")}
        frame["delta"] = {"type": kind} if "type" in delta else {}
        return [ExtraDelta(index=index, extra=Extra(LANGUAGE, fields), rest=Extra(LANGUAGE, frame))]

    def _part_end(self, value: JsonObject) -> list[Event]:
        frame = Fields(value, LANGUAGE)
        frame.take("type")
        index = frame.take_int("index")
        if index is None or index not in self._open:
            return self._fail("a block ends that is not open")
        return [self._close_part(index, frame.rest())]

    def _close_part(self, index: int, rest: Extra | None = None) -> Event:
        del self._open[index]
        block = self._opaque.pop(index, None)
        part = None if block is None else Opaque(origin=LANGUAGE, value=block)
        return PartEnd(index=index, part=part, rest=rest)

    def _close_parts(self) -> list[Event]:
        return [self._close_part(index) for index in sorted(self._open)]

    def _end(self, value: JsonObject) -> list[Event]:
        """`message_delta`: the stop reason, once, and the usage, which counts from the start of the message."""
        frame = Fields(value, LANGUAGE)
        frame.take("type")
        usage = frame.take_object("usage")
        delta = Fields(frame.need_object("delta"), LANGUAGE, "delta")
        reason = delta.take_str("stop_reason") if not self._ended else None
        if reason is None:
            left = delta.rest()
            frame.put_back("delta", {} if left is None else left.fields)
            if usage is None:
                return [Pulse(rest=Extra(LANGUAGE, value))]
            return [UsageDelta(usage=self._usage(usage), rest=frame.mark())]
        self._ended = True
        sequence = delta.take_str("stop_sequence")
        left = delta.rest()
        said: JsonObject = {} if left is None else dict(left.fields)
        said.update({name: frame.take(name) for name in BESIDE_DELTA if frame.has(name)})
        finish = Finish(
            kind=finish_kind(reason, calls=self._calls), raw=reason, origin=LANGUAGE.name, stop_sequence=sequence
        )
        events = self._close_parts()
        # Marked without usage: it must not wait for one.
        rest = frame.mark() if usage is None else frame.rest()
        events.append(ChoiceEnd(finish=finish, extra=end_extra(said, sequence), rest=rest))
        if usage is not None:
            events.append(UsageDelta(usage=self._usage(usage)))
        return events

    def _stop(self, value: JsonObject) -> list[Event]:
        self._done = True
        frame = Fields(value, LANGUAGE)
        frame.take("type")
        return [*self._close_parts(), ResponseEnd(rest=frame.rest())]


def _read_start(block: JsonObject) -> Part:
    """The part that a block starts as."""
    if block == {"type": "text", "text": ""}:
        return Text(text="")
    if block == {"type": "thinking", "thinking": "", "signature": ""}:
        return Reasoning(text="")
    part = read_block(Fields(block, LANGUAGE))
    if part is None or not isinstance(part, Text | Reasoning | ToolCall):
        return Opaque(origin=LANGUAGE, value=block)
    if isinstance(part, ToolCall) and part.arguments == "{}":
        # A placeholder: the arguments follow as deltas.
        return ToolCall(id=part.id, name=part.name, arguments="", hosted=part.hosted, extra=part.extra)
    return part


def _delta_rest(value: JsonObject, field: str) -> Extra | None:
    """What a delta frame says beyond its type, index and one field."""
    delta = cast("JsonObject", value["delta"])
    inner = {name: item for name, item in delta.items() if name not in ("type", field)}
    outer = {name: item for name, item in value.items() if name not in ("type", "index", "delta")}
    if inner:
        outer["delta"] = inner
    return Extra(LANGUAGE, outer) if outer else None


def _grown(block: JsonObject, delta: JsonObject) -> JsonObject:
    """A block that only this language understands, with a delta taken in: texts grow, anything else is replaced."""
    grown = dict(block)
    for name, item in delta.items():
        if name == "type":
            continue
        before = grown.get(name)
        grown[name] = before + item if isinstance(before, str) and isinstance(item, str) else item
    return grown


# --- Writing ---------------------------------------------------------------------------------------------------------


def _frame(value: JsonObject) -> Frame:
    kind = value.get("type")
    return Frame(event=kind if isinstance(kind, str) else None, data=write_json(value))


class MessageStreamEncoder:
    """Writes one streamed message. Clients need the block starts and stops, and both usages (CLIENT_FACTS 8)."""

    __slots__ = (
        "_cached",
        "_calls",
        "_end",
        "_kinds",
        "_losses",
        "_model",
        "_native",
        "_sequencer",
        "_stamp",
        "_usage",
        "losses",
    )

    def __init__(self, stamp: Stamp, model: str) -> None:
        self._stamp = stamp
        self._model = model
        self._native = False
        self._losses = Losses()
        self.losses = self._losses.items
        self._sequencer = Sequencer(self._losses, stamp)
        self._kinds: dict[int, str] = {}
        self._usage: Usage | None = None
        self._cached = 0
        self._calls = False
        self._end: ChoiceEnd | None = None

    def feed(self, events: Sequence[Event]) -> list[Frame]:
        """The frames of one batch."""
        frames: list[Frame] = []
        for event in events:
            if isinstance(event, TextDelta) and not self._native:
                # More words of the open block: what most events of a translated stream are.
                number = self._sequencer.number_in_flow(event)
                if number is not None:
                    frames.append(self._words(number, event.text, None))
                    continue
            match event:
                case PartStart() | TextDelta() | ArgumentsDelta() | ProofDelta() | ExtraDelta() | PartEnd():
                    if self._native:
                        self._part(event, frames)
                    else:
                        for ordered in self._sequencer.feed(event):
                            self._part(ordered, frames)
                case UsageDelta():
                    self._usage_delta(event, frames)
                case Pulse(rest=rest):
                    if rest is _PING:
                        frames.append(_PING_FRAME)
                    elif rest is not None and rest.origin is LANGUAGE:
                        frames.append(_frame(rest.fields))
                case ResponseStart():
                    frames.append(self._start(event))
                case ChoiceEnd():
                    alone = not any(isinstance(other, UsageDelta) for other in events)
                    self._choice_end(event, frames, alone=alone)
                case ResponseEnd():
                    self._stop(event, frames)
                case ErrorEnd(failure=failure):
                    frames.append(_frame(error_body(failure, self._stamp)))
        return frames

    def _start(self, event: ResponseStart) -> Frame:
        response = event.response
        self._native = response.origin == LANGUAGE.name
        self._usage = merge_usage(self._usage, response.usage)
        message: JsonObject = {
            "id": message_id(response, self._stamp),
            "type": "message",
            "role": "assistant",
            "model": response.model or self._model,
        }
        outer: JsonObject = {"type": "message_start", "message": message}
        said = event.rest.fields.get("message") if event.rest is not None and is_ours(event.rest) else None
        message.update(said if isinstance(said, dict) else _USUAL_START)
        self._losses.repeat(response.extra, LANGUAGE, message, "")
        if response.usage is not None or not isinstance(said, dict):
            message["usage"] = write_complete_usage(self._usage, self._losses, "usage", native=self._native)
        self._note_cached(self._usage)
        _repeat_rest(event.rest, outer)
        return _frame(outer)

    def _note_cached(self, usage: Usage | None) -> None:
        if usage is not None and (usage.cache_read is not None or usage.cache_write is not None):
            self._cached = cached_tokens(usage)

    def _part(self, event: Event, frames: list[Frame]) -> None:
        match event:
            case TextDelta() | ArgumentsDelta():
                frames.append(self._words(event.index, event.text, event.rest))
            case PartStart():
                self._part_start(event, frames)
            case ProofDelta():
                signature: JsonObject = {"type": "signature_delta", "signature": event.proof.value}
                frames.append(_delta_frame(event.index, signature, event.rest))
            case ExtraDelta():
                frames.extend(_extra_frames(event))
            case PartEnd():
                stop: JsonObject = {"type": "content_block_stop", "index": event.index}
                _repeat_rest(event.rest, stop)
                frames.append(_frame(stop))
            case _:
                pass

    def _words(self, index: int, text: str, rest: Extra | None) -> Frame:
        kind = self._kinds.get(index, "text_delta")
        return _delta_frame(index, {"type": kind, _FIELD_OF_DELTA[kind]: text}, rest)

    def _part_start(self, event: PartStart, frames: list[Frame]) -> None:
        part = event.part
        self._kinds[event.index] = _delta_kind(part) or "text_delta"
        if isinstance(part, ToolCall) and not part.hosted:
            self._calls = True
        writer = BlockWriter(self._losses, native=True, answer=True)
        block = writer.block(part, f"choices[0].parts[{event.index}]")
        start: JsonObject = {"type": "content_block_start", "index": event.index, "content_block": block}
        _repeat_rest(event.rest, start)
        frames.append(_frame(start))

    def _choice_end(self, event: ChoiceEnd, frames: list[Frame], *, alone: bool) -> None:
        if event.choice != 0:
            return
        self._end = event
        if alone and is_ours(event.rest):
            frames.append(_frame(self._message_delta(event, None)))
            self._end = None

    def _message_delta(self, end: ChoiceEnd, usage: JsonObject | None) -> JsonObject:
        finish = write_finish(end.finish, self._losses, "choices[0].finish", calls=self._calls, native=self._native)
        delta: JsonObject = {"stop_reason": finish["stop_reason"]}
        write_end(delta, finish, end.extra, self._losses, "choices[0]")
        message: JsonObject = {"type": "message_delta", "delta": delta}
        if usage is not None:
            message["usage"] = usage
        if is_ours(end.extra):
            message.update({name: delta.pop(name) for name in BESIDE_DELTA if name in delta})
        _repeat_rest(end.rest, message)
        return message

    def _usage_delta(self, event: UsageDelta, frames: list[Frame]) -> None:
        self._usage = merge_usage(self._usage, event.usage)
        if event.rest is not None and is_ours(event.rest):
            message: JsonObject = {"type": "message_delta", "delta": event.rest.fields.get("delta", {})}
            message["usage"] = write_usage(event.usage, self._losses, "usage", cached=self._cached)
            _repeat_rest(event.rest, message)
            frames.append(_frame(message))
        elif self._native and self._end is not None:
            wire = write_usage(event.usage, self._losses, "usage", cached=self._cached)
            frames.append(_frame(self._message_delta(self._end, wire)))
            self._end = None
        self._note_cached(event.usage)

    def _stop(self, event: ResponseEnd, frames: list[Frame]) -> None:
        self._losses.drop_extra(None if is_ours(event.extra) else event.extra, "")
        if self._end is not None:
            usage = write_complete_usage(self._usage, self._losses, "usage", native=False)
            frames.append(_frame(self._message_delta(self._end, usage)))
            self._end = None
        rest = event.rest
        if rest is None or rest.origin is not LANGUAGE:
            frames.append(_STOP_FRAME)
            return
        stop: JsonObject = {"type": "message_stop"}
        _repeat_rest(rest, stop)
        frames.append(_frame(stop))


def _repeat_rest(rest: Extra | None, into: JsonObject) -> None:
    """Write back what was left of a frame, if it was one of this language; a frame's rest is never a loss."""
    if rest is not None and rest.origin is LANGUAGE:
        for name, item in rest.fields.items():
            into.setdefault(name, item)


def _delta_frame(index: int, delta: JsonObject, rest: Extra | None) -> Frame:
    value: JsonObject = {"type": "content_block_delta", "index": index, "delta": delta}
    if rest is not None and rest.origin is LANGUAGE:
        more = rest.fields.get("delta")
        if isinstance(more, dict):
            delta.update(more)
        _repeat_rest(rest, value)
    return Frame(event="content_block_delta", data=write_json(value))


def _extra_frames(event: ExtraDelta) -> list[Frame]:
    """Citations one by one, or a delta of a type that nobody knows, as it was."""
    if event.rest is not None and is_ours(event.rest) and isinstance(event.rest.fields.get("delta"), dict):
        known = cast("JsonObject", event.rest.fields["delta"])
        if "type" in known or not known:
            value: JsonObject = {
                "type": "content_block_delta",
                "index": event.index,
                "delta": {**known, **event.extra.fields},
            }
            _repeat_rest(event.rest, value)
            return [_frame(value)]
    citations: JsonValue = event.extra.fields.get("citations")
    if not isinstance(citations, list):
        return []
    return [
        _delta_frame(event.index, {"type": "citations_delta", "citation": citation}, event.rest)
        for citation in citations
    ]
