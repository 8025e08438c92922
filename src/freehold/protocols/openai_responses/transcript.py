"""What has been streamed so far, and from it the frame that would come next by itself.

Much of a Responses stream repeats what was said before: ids, positions, counters, the finished text in four places.
Decoder and encoder both keep a transcript of the same events.  The decoder keeps of each frame only what differs from
the frame that its transcript foretells; the encoder foretells the same frame and puts the difference back.  So a text
that was changed in between is changed wherever the stream repeats it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from freehold.ir import (
    ArgumentsDelta,
    ChoiceEnd,
    ErrorEnd,
    Event,
    Extra,
    ExtraDelta,
    Failure,
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
)
from freehold.ir.fold import merge_extra, merge_usage
from freehold.protocols.openai_responses.calls import call_item
from freehold.protocols.openai_responses.content import write_said
from freehold.protocols.openai_responses.errors import error_event, failed_error
from freehold.protocols.openai_responses.items import (
    content_extra,
    item_fields,
    message_item,
    reasoning_item,
    segments_extra,
    write_message,
)
from freehold.protocols.openai_responses.language import LANGUAGE, NAME, carry, ours
from freehold.protocols.openai_responses.residual import residual
from freehold.protocols.openai_responses.response import finished_object, status_of, write_usage

CREATED: Final = "response.created"
IN_PROGRESS: Final = "response.in_progress"
QUEUED: Final = "response.queued"
COMPLETED: Final = "response.completed"
INCOMPLETE: Final = "response.incomplete"
FAILED: Final = "response.failed"
ERROR: Final = "error"
ITEM_ADDED: Final = "response.output_item.added"
ITEM_DONE: Final = "response.output_item.done"
PART_ADDED: Final = "response.content_part.added"
PART_DONE: Final = "response.content_part.done"
TEXT_DELTA: Final = "response.output_text.delta"
TEXT_DONE: Final = "response.output_text.done"
ANNOTATION_ADDED: Final = "response.output_text.annotation.added"
REFUSAL_DELTA: Final = "response.refusal.delta"
REFUSAL_DONE: Final = "response.refusal.done"
ARGUMENTS_DELTA: Final = "response.function_call_arguments.delta"
ARGUMENTS_DONE: Final = "response.function_call_arguments.done"
INPUT_DELTA: Final = "response.custom_tool_call_input.delta"
INPUT_DONE: Final = "response.custom_tool_call_input.done"
SUMMARY_ADDED: Final = "response.reasoning_summary_part.added"
SUMMARY_DELTA: Final = "response.reasoning_summary_text.delta"
SUMMARY_TEXT_DONE: Final = "response.reasoning_summary_text.done"
SUMMARY_DONE: Final = "response.reasoning_summary_part.done"
THOUGHT_DELTA: Final = "response.reasoning_text.delta"
THOUGHT_DONE: Final = "response.reasoning_text.done"

_LAST_OF_STATUS = {"completed": COMPLETED, "incomplete": INCOMPLETE, "failed": FAILED}

LAST: Final = frozenset({COMPLETED, INCOMPLETE, FAILED, ERROR})
"""Frames after which nothing is said."""

_PLACE = {"summary": "summary_index", "content": "content_index"}
_SEGMENT_DELTA = {"summary": SUMMARY_DELTA, "content": THOUGHT_DELTA}
FIELD_OF_DELTA: Final = {SUMMARY_DELTA: "summary", THOUGHT_DELTA: "content"}


class Item:
    """One output item while it is streamed."""

    __slots__ = ("done", "fields", "id", "index", "kind", "parts", "place", "segments")

    def __init__(self, index: int) -> None:
        self.index = index
        self.id: str | None = None
        self.kind = ""
        self.fields: JsonObject = {}
        """Of a message: its own fields, as the extra of its first part keeps them."""
        self.parts: list[Progress] = []
        self.segments: list[tuple[str, list[str]]] = []
        """Of reasoning: the field of each text (`summary`, `content`), and its pieces."""
        self.place = 0
        """The content or summary index that was spoken of last."""
        self.done: JsonObject | None = None


class Progress:
    """One part while it is streamed."""

    __slots__ = ("chunks", "delta", "extra", "index", "item", "open", "part", "place", "place_name", "proof")

    def __init__(self, index: int, part: Part, item: Item, place: int) -> None:
        self.index = index
        self.part = part
        self.item = item
        self.place = place
        self.place_name: str | None = None
        self.delta = ARGUMENTS_DELTA
        if isinstance(part, Text | Refusal):
            self.place_name = "content_index"
            self.delta = TEXT_DELTA if isinstance(part, Text) else REFUSAL_DELTA
        elif isinstance(part, Reasoning):
            self.place_name = "summary_index"
            self.delta = ""
        self.chunks: list[str] = []
        self.proof: Proof | None = None
        self.extra: Extra | None = None
        self.open = True

    def text(self) -> str:
        """The words or arguments so far."""
        part = self.part
        before = ""
        if isinstance(part, Text | Refusal | Reasoning):
            before = part.text
        elif isinstance(part, ToolCall):
            before = part.arguments
        if len(self.chunks) > 1:
            self.chunks = ["".join(self.chunks)]
        return before + self.chunks[0] if self.chunks else before

    def so_far(self) -> Part:
        """The part with its deltas."""
        part = self.part
        match part:
            case Text() | Refusal() | Reasoning():
                changed: dict[str, object] = {"text": self.text()}
            case ToolCall():
                changed = {"arguments": self.text()}
            case _:
                return part
        if self.proof is not None and not isinstance(part, Refusal):
            before = part.proof
            joined = before is not None and before.origin == self.proof.origin
            value = before.value + self.proof.value if joined and before is not None else self.proof.value
            changed["proof"] = Proof(origin=self.proof.origin, value=value)
        if self.extra is not None:
            changed["extra"] = merge_extra(part.extra, self.extra)
        return msgspec.structs.replace(part, **changed)

    def replace(self, part: Part) -> None:
        """The part's final form."""
        self.part = part
        self.chunks.clear()
        self.proof = None
        self.extra = None


class Transcript:
    """The answer so far, as both sides of the codec see it."""

    def __init__(self) -> None:
        self.sequence: int | None = 0
        """The next frame's number; None where the provider does not number frames."""
        self.response = Response(origin=NAME, choices=())
        self.snapshot: JsonObject = {}
        self.started = False
        self.items: dict[int, Item] = {}
        self.current: Item | None = None
        self.parts: dict[int, Progress] = {}
        self.usage: Usage | None = None
        self.finish: Finish | None = None
        self.failure: Failure | None = None

    # --- Taking in ----------------------------------------------------------------------------------------------

    def foretell(self, kind: str, events: Sequence[Event], hint: JsonObject) -> JsonObject:
        """Take in the events of a frame of this kind, and say what it would be. `hint` is the frame, or its rest."""
        if kind == ITEM_ADDED or (kind == ITEM_DONE and events and isinstance(events[0], PartStart)):
            item, known = self._open_item(), False
        else:
            item, known = self._locate(events, hint)
        for event in events:
            self._take(event, item)
        if kind in _DELTAS:
            return self._foretell_delta(kind, events)
        payload: JsonObject = {"type": kind}
        if self.sequence is not None:
            payload["sequence_number"] = self.sequence
        if kind == ITEM_ADDED and item is not None:
            payload["output_index"] = item.index
            payload["item"] = _started_item(item)
        elif kind in _RESPONSE_FRAMES:
            payload["response"] = self._response(kind)
        elif kind == ERROR:
            self._foretell_error(payload)
        elif item is not None and self.current is not None:
            payload["output_index"] = item.index if known else self.current.index
            self._foretell_item(kind, item, events, hint, payload)
        return payload

    def note(self, kind: str, payload: JsonObject) -> None:
        """Remember what the frame says that later frames repeat."""
        number = payload.get("sequence_number")
        self.sequence = number + 1 if isinstance(number, int) else None
        if kind in _RESPONSE_FRAMES:
            response = payload.get("response")
            self.snapshot = response if isinstance(response, dict) else {}
            return
        index = place_of(payload, "output_index")
        if kind == ITEM_ADDED and self.current is not None:
            self._note_item(self.current, index, payload.get("item"))
        item = self.items.get(index) if index is not None else self.current
        if item is None:
            return
        self.current = item
        place = place_of(payload, "content_index", "summary_index")
        if place is not None:
            item.place = place
        if kind == ITEM_DONE:
            done = payload.get("item")
            item.done = done if isinstance(done, dict) else {}

    def _note_item(self, item: Item, index: int | None, wire: JsonValue) -> None:
        if index is not None and index != item.index:
            self.items[index] = self.items.pop(item.index)
            item.index = index
        if isinstance(wire, dict):
            identifier, kind = wire.get("id"), wire.get("type")
            item.id = identifier if isinstance(identifier, str) else None
            item.kind = kind if isinstance(kind, str) else ""
            item.fields = residual(wire, message_item([], "in_progress"))

    def _open_item(self) -> Item:
        index = len(self.items)
        while index in self.items:
            index += 1
        item = self.current = self.items[index] = Item(index)
        return item

    def _locate(self, events: Sequence[Event], hint: JsonObject) -> tuple[Item | None, bool]:
        """The item that a frame speaks of, and whether the events alone tell."""
        for event in events:
            if isinstance(event, TextDelta | ArgumentsDelta | ProofDelta | ExtraDelta | PartEnd):
                progress = self.parts.get(event.index)
                if progress is not None:
                    return progress.item, True
        index = place_of(hint, "output_index")
        if index is not None and index in self.items:
            return self.items[index], False
        return self.current, False

    def _take(self, event: Event, item: Item | None) -> None:
        match event:
            case ResponseStart():
                self.started = True
                self.response = event.response
                self.usage = event.response.usage
            case PartStart() if item is not None:
                self.start_part(event.index, event.part, item)
            case TextDelta() | ArgumentsDelta() | ProofDelta() | ExtraDelta() | PartEnd():
                progress = self.parts.get(event.index)
                if progress is not None:
                    _take_into(progress, event)
            case UsageDelta():
                self.usage = merge_usage(self.usage, event.usage)
            case ChoiceEnd():
                self.finish = event.finish
            case ResponseEnd() if event.extra is not None:
                extra = merge_extra(self.response.extra, event.extra)
                self.response = msgspec.structs.replace(self.response, extra=extra)
            case ErrorEnd():
                self.failure = event.failure
            case _:
                pass

    def start_part(self, index: int, part: Part, item: Item) -> Progress:
        """A part begins inside an item."""
        progress = Progress(index, part, item, len(item.parts))
        item.parts.append(progress)
        self.parts[index] = progress
        return progress

    # --- Foretelling --------------------------------------------------------------------------------------------

    def delta(self, progress: Progress, text: str) -> JsonObject:
        """The frame of a few more words or arguments; the most frequent frame, so built in one go."""
        item = progress.item
        payload: JsonObject = {"type": progress.delta}
        if self.sequence is not None:
            payload["sequence_number"] = self.sequence
        payload["item_id"] = item.id
        payload["output_index"] = item.index
        if progress.place_name is not None:
            payload[progress.place_name] = progress.place
        payload["delta"] = text
        if progress.delta == TEXT_DELTA:
            payload["logprobs"] = []
        return payload

    def note_delta(self, progress: Progress, text: str, payload: JsonObject) -> None:
        """Remember a few more words or arguments."""
        number = payload.get("sequence_number")
        self.sequence = number + 1 if isinstance(number, int) else None
        progress.chunks.append(text)
        self.current = item = progress.item
        if item.segments:
            item.segments[-1][1].append(text)
        if progress.place_name is not None:
            item.place = progress.place

    def _foretell_delta(self, kind: str, events: Sequence[Event]) -> JsonObject:
        """A delta that came with more than itself: it opened its part or its segment without a frame of their own."""
        for event in events:
            if isinstance(event, TextDelta | ArgumentsDelta):
                progress = self.parts[event.index]
                if kind in FIELD_OF_DELTA and progress.delta != kind:
                    self.open_segment(progress, FIELD_OF_DELTA[kind])
                if progress.item.segments:
                    progress.item.segments[-1][1].append(event.text)
                return self.delta(progress, event.text)
        return {"type": kind}

    def open_segment(self, progress: Progress, field: str) -> None:
        """Another text of a reasoning item begins."""
        segments = progress.item.segments
        progress.place = sum(1 for other, _ in segments if other == field)
        progress.place_name = _PLACE[field]
        progress.delta = _SEGMENT_DELTA[field]
        progress.item.place = progress.place
        segments.append((field, []))

    def _response(self, kind: str) -> JsonObject:
        match kind:
            case "response.created":
                return _opening(self.response, self.usage)
            case "response.in_progress" | "response.queued":
                return self.snapshot
            case _:
                return self._finished()

    def _finished(self) -> JsonObject:
        output = [_as_it_stands(self.items[index]) for index in sorted(self.items)]
        response = msgspec.structs.replace(self.response, usage=self.usage)
        written = finished_object(response, self.finish, output, Losses())
        if self.failure is not None:
            written["status"] = "failed"
            written["error"] = failed_error(self.failure)
        return written

    def last_kind(self) -> str:
        """The kind of the frame that ends an answer which went well, or was cut short."""
        return _LAST_OF_STATUS[status_of(self.finish)[0]]

    def _foretell_error(self, payload: JsonObject) -> None:
        if self.failure is not None:
            payload.update(error_event(self.failure))

    def _foretell_item(
        self, kind: str, item: Item, events: Sequence[Event], hint: JsonObject, payload: JsonObject
    ) -> None:
        if kind == ITEM_DONE:
            payload["item"] = finished_item(item)
            return
        payload["item_id"] = item.id
        if kind in _SEGMENT_FRAMES:
            self._foretell_segment(kind, item, hint, payload)
        elif kind in _CONTENT_FRAMES:
            self._foretell_content(kind, item, events, hint, payload)
        elif kind == ARGUMENTS_DONE:
            payload["arguments"] = item.parts[0].text() if item.parts else ""

    def _foretell_segment(self, kind: str, item: Item, hint: JsonObject, payload: JsonObject) -> None:
        """A summary text, or a piece of the thoughts themselves."""
        field = "summary" if kind in _SUMMARY_FRAMES else "content"
        name = _PLACE[field]
        if kind == SUMMARY_ADDED:
            if item.parts:
                self.open_segment(item.parts[0], field)
            payload[name] = item.place
            payload["part"] = {"type": "summary_text", "text": ""}
            return
        place = place_of(hint, name)
        place = item.place if place is None else place
        text = _segment(item, field, place)
        payload[name] = item.place
        if kind == SUMMARY_DONE:
            payload["part"] = {"type": "summary_text", "text": text}
        else:
            payload["text"] = text

    def _foretell_content(
        self, kind: str, item: Item, events: Sequence[Event], hint: JsonObject, payload: JsonObject
    ) -> None:
        if item.kind == "reasoning":
            self._foretell_thought(kind, item, hint, payload)
            return
        if kind == PART_ADDED:
            progress = item.parts[-1] if item.parts else None
            payload["content_index"] = 0 if progress is None else progress.place
        else:
            place = place_of(hint, "content_index")
            progress = item.parts[at] if 0 <= (at := item.place if place is None else place) < len(item.parts) else None
            payload["content_index"] = item.place
        if progress is None:
            return
        if kind == TEXT_DONE:
            payload.update(text=progress.text(), logprobs=[])
        elif kind == REFUSAL_DONE:
            payload["refusal"] = progress.text()
        elif kind == ANNOTATION_ADDED:
            _foretell_annotation(progress, events, payload)
        else:
            part = progress.so_far()
            if isinstance(part, Text | Refusal):
                payload["part"] = write_said(content_extra(part), Losses(), "")

    def _foretell_thought(self, kind: str, item: Item, hint: JsonObject, payload: JsonObject) -> None:
        if kind == PART_ADDED and item.parts:
            self.open_segment(item.parts[0], "content")
            payload["content_index"] = item.place
            payload["part"] = {"type": "reasoning_text", "text": ""}
            return
        place = place_of(hint, "content_index")
        payload["content_index"] = item.place
        text = _segment(item, "content", item.place if place is None else place)
        payload["part"] = {"type": "reasoning_text", "text": text}


_RESPONSE_FRAMES = frozenset({CREATED, IN_PROGRESS, QUEUED, COMPLETED, INCOMPLETE, FAILED})
_DELTAS = frozenset({TEXT_DELTA, REFUSAL_DELTA, ARGUMENTS_DELTA, SUMMARY_DELTA, THOUGHT_DELTA})
_SUMMARY_FRAMES = frozenset({SUMMARY_ADDED, SUMMARY_TEXT_DONE, SUMMARY_DONE})
_SEGMENT_FRAMES = _SUMMARY_FRAMES | {THOUGHT_DONE}
_CONTENT_FRAMES = frozenset({PART_ADDED, PART_DONE, TEXT_DONE, REFUSAL_DONE, ANNOTATION_ADDED})


def place_of(payload: JsonObject, *names: str) -> int | None:
    """An index in a frame; None if it has none of these."""
    for name in names:
        value = payload.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None


def _take_into(progress: Progress, event: TextDelta | ArgumentsDelta | ProofDelta | ExtraDelta | PartEnd) -> None:
    match event:
        case TextDelta() | ArgumentsDelta():
            progress.chunks.append(event.text)
        case ProofDelta():
            before = progress.proof
            joined = before.value + event.proof.value if before is not None else event.proof.value
            progress.proof = Proof(origin=event.proof.origin, value=joined)
        case ExtraDelta():
            progress.extra = merge_extra(progress.extra, event.extra)
        case PartEnd():
            progress.open = False
            if event.part is not None:
                progress.replace(event.part)


def _segment(item: Item, field: str, place: int) -> str:
    texts = [chunks for other, chunks in item.segments if other == field]
    return "".join(texts[place]) if 0 <= place < len(texts) else ""


def _foretell_annotation(progress: Progress, events: Sequence[Event], payload: JsonObject) -> None:
    for event in events:
        if isinstance(event, ExtraDelta):
            added = event.extra.fields.get("annotations")
            fields = ours(progress.extra) or {}
            sofar = fields.get("annotations")
            if isinstance(added, list) and isinstance(sofar, list) and added:
                payload["annotation_index"] = len(sofar) - 1
                payload["annotation"] = added[0]


def _opening(response: Response, usage: Usage | None) -> JsonObject:
    """The response object of an answer that has not said anything yet."""
    written = finished_object(msgspec.structs.replace(response, usage=None), None, [], Losses())
    written["status"] = "in_progress"
    written["usage"] = write_usage(usage, Losses())
    return written


def _started_item(item: Item) -> JsonObject:
    """An item that has not said anything yet."""
    if not item.parts:
        return message_item([], "in_progress")
    part = item.parts[0].part
    match part:
        case Reasoning():
            bare = msgspec.structs.replace(part, text="", proof=None, extra=_without_segments(part.extra))
            return reasoning_item(bare, Losses(), "")
        case ToolCall():
            return carry(call_item(part, "in_progress"), part.extra, Losses(), "")
        case Opaque():
            return dict(part.value)
        case _:
            return message_item([], "in_progress")


def _without_segments(extra: Extra | None) -> Extra | None:
    fields = ours(extra)
    if fields is None or "segments" not in fields:
        return extra
    return Extra(LANGUAGE, {name: value for name, value in fields.items() if name != "segments"})


def finished_item(item: Item) -> JsonObject:
    """An item that has said all."""
    parts = [progress.so_far() for progress in item.parts]
    written: JsonObject
    match parts:
        case [Reasoning() as reasoning]:
            written = reasoning_item(_as_streamed(reasoning, item), Losses(), "")
        case [ToolCall() as call]:
            written = carry(call_item(call), call.extra, Losses(), "")
        case [Opaque() as opaque]:
            written = dict(opaque.value)
        case [first, *_]:
            written = write_message(list(enumerate(parts)), Losses(), "")
            if isinstance(first, Text | Refusal) and "id" in item_fields(first):
                return written
        case _:
            written = message_item([])
    if item.id is not None and "id" not in written:
        written = {"id": item.id, **written}
    return written


def _as_it_stands(item: Item) -> JsonObject:
    """An item in the final response, also where that came before the item was done."""
    if item.done is not None:
        return item.done
    written = finished_item(item)
    return {**written, "status": "incomplete"} if item.kind in ("message", "function_call", "reasoning") else written


def _as_streamed(reasoning: Reasoning, item: Item) -> Reasoning:
    """Reasoning cut where the stream cut it, if the lengths still fit."""
    if not item.segments:
        return reasoning
    field = item.segments[-1][0]
    lengths = [sum(map(len, chunks)) for other, chunks in item.segments if other == field]
    fields = dict(ours(reasoning.extra) or {})
    if "segments" in fields:
        return reasoning
    segments = segments_extra(field, lengths, reasoning.text)
    if reasoning.extra is not None and reasoning.extra.origin is not LANGUAGE:
        return reasoning
    return msgspec.structs.replace(reasoning, extra=Extra(LANGUAGE, {**fields, **segments}))
