"""A streamed answer, read frame by frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from freehold.errors import CallerError
from freehold.ir import (
    ArgumentsDelta,
    ChoiceEnd,
    ErrorEnd,
    Event,
    Extra,
    ExtraDelta,
    JsonObject,
    JsonValue,
    Part,
    PartEnd,
    PartStart,
    ProofDelta,
    Pulse,
    Reasoning,
    Refusal,
    ResponseEnd,
    ResponseStart,
    Text,
    TextDelta,
    ToolCall,
    UsageDelta,
    parse_json,
)
from freehold.ir.fold import merge_extra
from freehold.protocols.codec import Frame
from freehold.protocols.openai_errors import broken
from freehold.protocols.openai_responses.content import read_content
from freehold.protocols.openai_responses.errors import failure_in
from freehold.protocols.openai_responses.items import SEPARATOR, read_item, with_item
from freehold.protocols.openai_responses.language import LANGUAGE, NAME, ours
from freehold.protocols.openai_responses.residual import residual
from freehold.protocols.openai_responses.response import read_finish, read_head, read_usage
from freehold.protocols.openai_responses.transcript import (
    ANNOTATION_ADDED,
    ARGUMENTS_DELTA,
    COMPLETED,
    ERROR,
    FAILED,
    FIELD_OF_DELTA,
    INCOMPLETE,
    ITEM_ADDED,
    ITEM_DONE,
    LAST,
    PART_ADDED,
    REFUSAL_DELTA,
    SUMMARY_ADDED,
    SUMMARY_DELTA,
    TEXT_DELTA,
    THOUGHT_DELTA,
    Item,
    Progress,
    Transcript,
    place_of,
)

EVENT: Final = "(event)"
"""In a rest: the name on the frame's `event:` line, where it is not the frame's type."""

NOTHING: Final = "(nothing)"
"""In a rest, as the type: the events came without a frame."""

DONE: Final = b"[DONE]"
"""The end mark of another OpenAI protocol, which OpenRouter sends here, too."""

_Spoken = Text | Refusal | Reasoning | ToolCall
_DELTA_KINDS = frozenset({TEXT_DELTA, REFUSAL_DELTA, ARGUMENTS_DELTA, SUMMARY_DELTA, THOUGHT_DELTA})


class ResponsesDecoder:
    """Frames in, events out, for one streamed answer."""

    def __init__(self) -> None:
        self._script = Transcript()
        self._over = False
        self._completed = False
        """The answer is complete, but its stream may still say `[DONE]`."""
        self._next_part = 0
        self._extra: Extra | None = None
        self._readers: dict[str, Callable[[JsonObject], list[Event]]] = {
            ITEM_ADDED: self._item_added,
            ITEM_DONE: self._item_done,
            PART_ADDED: self._part_added,
            SUMMARY_ADDED: self._segment_added,
            ANNOTATION_ADDED: self._annotation_added,
            COMPLETED: self._finished,
            INCOMPLETE: self._finished,
            FAILED: self._failed,
            ERROR: self._failed,
        }

    def feed(self, frame: Frame) -> list[Event]:
        """The batch of one frame."""
        if self._over:
            return []
        if frame.data.strip() == DONE:
            return self._end({"type": DONE.decode(), EVENT: frame.event})
        try:
            payload = parse_json(frame.data)
        except CallerError as error:
            return self._broken(error.message)
        if not isinstance(payload, dict) or not isinstance(kind := payload.get("type"), str):
            return self._broken("a frame without a type")
        if kind in _DELTA_KINDS and not self._completed:
            delta = self._delta(kind, payload, frame.event)
            if delta is not None:
                return delta
        return self._read(kind, payload, frame.event)

    def close(self) -> list[Event]:
        """What is left to say when the connection has ended."""
        if self._over:
            return []
        if self._completed:
            return self._end({"type": NOTHING})
        return self._broken("the stream ended before the answer did", "upstream_truncated")

    def _end(self, rest: JsonObject) -> list[Event]:
        if not self._completed:
            return self._broken("the stream ended before the answer did", "upstream_truncated")
        self._over = True
        return [ResponseEnd(extra=self._extra, rest=Extra(LANGUAGE, rest))]

    def _broken(self, problem: str, code: str = "upstream_garbled") -> list[Event]:
        self._over = True
        message = f"the provider's {NAME} stream could not be understood: {problem}"
        failure = msgspec.structs.replace(broken(LANGUAGE, message), code=code)
        return [ErrorEnd(failure=failure)]

    # --- One frame ----------------------------------------------------------------------------------------------

    def _delta(self, kind: str, payload: JsonObject, name: str | None) -> list[Event] | None:
        """The short way for a few more words; None if the part they belong to is not there or not of this kind."""
        progress = self._speaking(payload)
        text = payload.get("delta")
        if progress is None or progress.delta != kind or not isinstance(text, str):
            return None
        script = self._script
        left = residual(payload, script.delta(progress, text))
        if name != kind:
            left[EVENT] = name
        rest = Extra(LANGUAGE, left) if left else None
        script.note_delta(progress, text, payload)
        if kind == ARGUMENTS_DELTA:
            return [ArgumentsDelta(index=progress.index, text=text, rest=rest)]
        return [TextDelta(index=progress.index, text=text, rest=rest)]

    def _speaking(self, payload: JsonObject) -> Progress | None:
        """The open part that a delta belongs to."""
        index = payload.get("output_index")
        item = self._script.items.get(index) if isinstance(index, int) else None
        if item is None or not item.parts:
            return None
        place = payload.get("content_index", 0) if item.kind == "message" else 0
        if not isinstance(place, int) or not 0 <= place < len(item.parts):
            return None
        progress = item.parts[place]
        if item.segments and payload.get(progress.place_name or "") != progress.place:
            return None
        return progress if progress.open else None

    def _read(self, kind: str, payload: JsonObject, name: str | None) -> list[Event]:
        events = [] if self._completed else self._events(kind, payload)
        if not self._script.started and not any(isinstance(event, ErrorEnd) for event in events):
            events.insert(0, _start(payload))
        if not events:
            events.append(Pulse())
        if kind in LAST and not self._completed:
            self._close_with(events, deferred=name is None)
        foretold = self._script.foretell(kind, events, payload)
        rest: JsonObject = {**residual(payload, foretold), "type": kind}
        if name != kind:
            rest[EVENT] = name
        self._script.note(kind, payload)
        events[0] = msgspec.structs.replace(events[0], rest=Extra(LANGUAGE, rest))
        return events

    def _events(self, kind: str, payload: JsonObject) -> list[Event]:
        reader = self._readers.get(kind)
        if reader is not None:
            return reader(payload)
        return self._late_delta(kind, payload) if kind in _DELTA_KINDS else []

    def _close_with(self, events: list[Event], *, deferred: bool) -> None:
        """After the last frame the answer is over, unless a server without `event:` lines might still say `[DONE]`."""
        if deferred and isinstance(events[-1], ResponseEnd):
            events.pop()
            self._completed = True
        else:
            self._over = True

    # --- Readers ------------------------------------------------------------------------------------------------

    def _start_part(self, part: Part) -> PartStart:
        self._next_part += 1
        return PartStart(index=self._next_part - 1, part=part)

    def _item(self, payload: JsonObject) -> Item | None:
        index = place_of(payload, "output_index")
        return None if index is None else self._script.items.get(index)

    def _item_added(self, payload: JsonObject) -> list[Event]:
        item = payload.get("item")
        if not isinstance(item, dict) or item.get("type") == "message":
            return []
        part = read_item(item, "in_progress")[0]
        if isinstance(part, Reasoning) and part.proof is not None:
            # The encrypted content may still be incomplete here; it counts when the item is done.
            part = msgspec.structs.replace(part, proof=None)
        return [self._start_part(part)]

    def _part_added(self, payload: JsonObject) -> list[Event]:
        item = self._item(payload)
        wire = payload.get("part")
        if item is None:
            return []
        if item.kind == "reasoning":
            return self._segment_added(payload)
        part = read_content(wire, "assistant")
        if item.kind != "message" or not isinstance(part, Text | Refusal):
            return []
        events: list[Event] = [PartEnd(index=one.index) for one in item.parts if one.open]
        if not item.parts:
            part = with_item(part, item.fields)
        return [*events, self._start_part(part)]

    def _segment_added(self, payload: JsonObject) -> list[Event]:
        item = self._item(payload)
        if item is None or not item.parts or not item.segments or not item.parts[0].open:
            return []
        return [TextDelta(index=item.parts[0].index, text=SEPARATOR)]

    def _late_delta(self, kind: str, payload: JsonObject) -> list[Event]:
        """A delta whose part or segment was never announced."""
        item = self._item(payload)
        text = payload.get("delta")
        if item is None or not isinstance(text, str):
            return []
        if kind in FIELD_OF_DELTA and item.kind == "reasoning" and item.parts and item.parts[0].open:
            return [TextDelta(index=item.parts[0].index, text=text)]
        if kind in (TEXT_DELTA, REFUSAL_DELTA) and item.kind == "message" and not item.parts:
            bare = Text(text="") if kind == TEXT_DELTA else Refusal(text="")
            start = self._start_part(with_item(bare, item.fields))
            return [start, TextDelta(index=start.index, text=text)]
        return []

    def _annotation_added(self, payload: JsonObject) -> list[Event]:
        item = self._item(payload)
        place = place_of(payload, "content_index")
        if item is None or place is None or "annotation" not in payload or not 0 <= place < len(item.parts):
            return []
        progress = item.parts[place]
        if not progress.open or not isinstance(progress.part, Text):
            return []
        added: list[JsonValue] = [payload["annotation"]]
        return [ExtraDelta(index=progress.index, extra=Extra(LANGUAGE, {"annotations": added}))]

    def _item_done(self, payload: JsonObject) -> list[Event]:
        wire = payload.get("item")
        if not isinstance(wire, dict):
            return []
        item = self._item(payload)
        finals = read_item(wire)
        if item is None or not item.parts:
            return self._whole(finals)
        events: list[Event] = []
        for progress, final in zip(item.parts, finals, strict=False):
            if progress.open:
                events.extend(_settle(progress, final))
        events.extend(PartEnd(index=one.index) for one in item.parts[len(finals) :] if one.open)
        return events

    def _whole(self, parts: tuple[Part, ...]) -> list[Event]:
        """Parts that were not streamed, each at once."""
        events: list[Event] = []
        for part in parts:
            start = self._start_part(part)
            events += [start, PartEnd(index=start.index)]
        return events

    def _finished(self, payload: JsonObject) -> list[Event]:
        wire = payload.get("response")
        body = wire if isinstance(wire, dict) else {}
        script = self._script
        events: list[Event] = [PartEnd(index=one.index) for one in script.parts.values() if one.open]
        parts = [progress.part for progress in script.parts.values()]
        usage = body.get("usage")
        if isinstance(usage, dict):
            events.append(UsageDelta(usage=read_usage(usage)))
        events.append(ChoiceEnd(finish=read_finish(body, parts)))
        self._extra = _later(script.response.extra, body)
        events.append(ResponseEnd(extra=self._extra))
        return events

    def _failed(self, payload: JsonObject) -> list[Event]:
        wire = payload.get("response")
        body = wire if isinstance(wire, dict) else payload
        events: list[Event] = []
        usage = body.get("usage")
        if isinstance(usage, dict):
            events.append(UsageDelta(usage=read_usage(usage)))
        events.append(ErrorEnd(failure=failure_in(body)))
        return events


def _start(payload: JsonObject) -> ResponseStart:
    """The beginning of an answer, from its first frame, whichever that is."""
    wire = payload.get("response")
    body = wire if isinstance(wire, dict) else {}
    usage = body.get("usage")
    head = read_head(body)
    if not isinstance(usage, dict):
        return ResponseStart(response=head)
    return ResponseStart(response=msgspec.structs.replace(head, usage=read_usage(usage)))


def _later(earlier: Extra | None, body: JsonObject) -> Extra | None:
    """What the finished response says otherwise than the one that began (the time it took, the tier that served it)."""
    changes = _changes(ours(earlier) or {}, ours(read_head(body).extra) or {})
    return Extra(LANGUAGE, changes) if changes else None


def _changes(before: JsonObject, after: JsonObject) -> JsonObject:
    """What must be merged into `before` to make it `after`; lists can only grow that way, so changed ones stay."""
    changes: JsonObject = {}
    for name, value in after.items():
        known = before.get(name)
        if name in before and value == known:
            continue
        if isinstance(value, dict) and isinstance(known, dict):
            inner = _changes(known, value)
            if inner:
                changes[name] = inner
        elif not (isinstance(value, list) and isinstance(known, list)):
            changes[name] = value
    return changes


def _settle(progress: Progress, final: Part) -> list[Event]:
    """The events that make of a streamed part its final form, and end it."""
    index, now = progress.index, progress.so_far()
    events: list[Event] = []
    if isinstance(now, _Spoken) and isinstance(final, _Spoken):
        if (
            isinstance(final, Reasoning)
            and isinstance(now, Reasoning)
            and now.proof is None
            and final.proof is not None
        ):
            events.append(ProofDelta(index=index, proof=final.proof))
            now = msgspec.structs.replace(now, proof=final.proof)
        changes = _changes(ours(now.extra) or {}, ours(final.extra) or {})
        if changes:
            added = Extra(LANGUAGE, changes)
            events.append(ExtraDelta(index=index, extra=added))
            now = msgspec.structs.replace(now, extra=merge_extra(now.extra, added))
    if now == final:
        return [*events, PartEnd(index=index)]
    return [PartEnd(index=index, part=final)]
