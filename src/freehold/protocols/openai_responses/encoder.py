"""A streamed answer, written event by event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import msgspec

from freehold.ir import (
    ArgumentsDelta,
    CachePoint,
    ChoiceEnd,
    ErrorEnd,
    Event,
    Extra,
    ExtraDelta,
    Failure,
    JsonObject,
    Loss,
    Losses,
    Media,
    Opaque,
    Part,
    PartEnd,
    PartStart,
    Proof,
    ProofDelta,
    Pulse,
    Reasoning,
    Refusal,
    Request,
    Response,
    ResponseEnd,
    ResponseStart,
    Structured,
    Text,
    TextDelta,
    ToolCall,
    ToolResult,
    UsageDelta,
    write_json,
)
from freehold.protocols.codec import Frame, Stamp
from freehold.protocols.openai_responses.calls import INPUT, is_custom, text_of
from freehold.protocols.openai_responses.decoder import DONE, EVENT, NOTHING
from freehold.protocols.openai_responses.items import cut, item_fields, opens_item
from freehold.protocols.openai_responses.language import LANGUAGE, NAME, ours, usable
from freehold.protocols.openai_responses.residual import restore
from freehold.protocols.openai_responses.response import (
    completed_call,
    drop_finish,
    foreign_call_item,
    id_prefix,
    proof_item,
    said,
    started,
)
from freehold.protocols.openai_responses.tools import places_of_calls
from freehold.protocols.openai_responses.transcript import (
    ANNOTATION_ADDED,
    ARGUMENTS_DONE,
    CREATED,
    ERROR,
    FAILED,
    IN_PROGRESS,
    INPUT_DELTA,
    INPUT_DONE,
    ITEM_ADDED,
    ITEM_DONE,
    LAST,
    PART_ADDED,
    PART_DONE,
    REFUSAL_DONE,
    SUMMARY_ADDED,
    SUMMARY_DONE,
    SUMMARY_TEXT_DONE,
    TEXT_DONE,
    THOUGHT_DONE,
    Item,
    Progress,
    Transcript,
)


class ResponsesEncoder:
    """Batches of events in, frames out, for one streamed answer.

    A batch of this language names its frame in the `type` of its rest, and becomes that frame again.  Events of
    another language become the sequence of frames that the SDKs' stream helpers follow: every item and part is
    announced, spoken and repeated when done.
    """

    def __init__(self, stamp: Stamp, request: Request | None) -> None:
        self._stamp = stamp
        self._request = request
        self._script = Transcript()
        self._losses = Losses()
        self.losses: list[Loss] = self._losses.items
        self._frames: list[Frame] = []
        self._message: Item | None = None
        """The message item that another text part would join."""
        self._unsaid: set[int] = set()
        """Parts that this protocol can not say; their deltas are passed over."""
        self._held: dict[int, str] = {}
        """Proofs that came after the text or tool call they belong to had begun."""
        self._places = places_of_calls(request)
        self._named: dict[int, JsonObject] = {}
        """Of calls of tools inside a namespace: what their items say instead of one name."""
        self._inputs: dict[int, list[str]] = {}
        """Of calls of custom tools: the arguments so far. The text in them can be said when they are complete."""
        self._other_choices: set[int] = set()
        self._over = False

    def feed(self, events: Sequence[Event]) -> list[Frame]:
        """The frames of one batch."""
        if len(events) == 1:
            event = events[0]
            if isinstance(event, TextDelta | ArgumentsDelta):
                frame = self._delta(event)
                if frame is not None:
                    return [frame]
        rest = _rest(events)
        if rest is not None:
            return self._native(events, rest)
        self._frames = []
        for event in events:
            if not self._over:
                self._foreign(event)
        return self._frames

    # --- Our own frames -----------------------------------------------------------------------------------------

    def _delta(self, event: TextDelta | ArgumentsDelta) -> Frame | None:
        """The short way for a few more words; None where more than the delta itself has to be said."""
        script = self._script
        progress = script.parts.get(event.index)
        if progress is None or not progress.delta or event.choice or event.index in self._inputs:
            return None
        payload = script.delta(progress, event.text)
        name: object = progress.delta
        if event.rest is not None and event.rest.origin is LANGUAGE:
            left = event.rest.fields
            if "type" in left:
                return None
            restore(payload, left)
            name = payload.pop(EVENT, name)
        script.note_delta(progress, event.text, payload)
        return Frame(event=name if isinstance(name, str) else None, data=write_json(payload))

    def _native(self, events: Sequence[Event], rest: JsonObject) -> list[Frame]:
        kind = str(rest["type"])
        if kind in (NOTHING, DONE.decode()):
            self._over = True
            return [] if kind == NOTHING else [Frame(event=_name(rest, kind), data=DONE)]
        payload = restore(self._script.foretell(kind, events, rest), rest)
        name = _name(payload, kind)
        payload.pop(EVENT, None)
        self._script.note(kind, payload)
        if kind in LAST:
            self._over = True
        return [Frame(event=name, data=write_json(payload))]

    # --- Another language's events ------------------------------------------------------------------------------

    def _emit(self, kind: str, events: Sequence[Event] = (), more: JsonObject | None = None) -> None:
        """The next frame of this kind, with what the transcript can not know."""
        hint = {} if more is None else more
        payload = restore(self._script.foretell(kind, events, hint), hint)
        self._script.note(kind, payload)
        self._frames.append(Frame(event=kind, data=write_json(payload)))

    def _foreign(self, event: Event) -> None:
        if not self._script.started and not isinstance(event, ResponseStart | Pulse):
            self._start(ResponseStart(response=Response(origin="", choices=())))
        choice: int = getattr(event, "choice", 0)
        if choice:
            self._other_choice(choice)
            return
        match event:
            case ResponseStart():
                self._start(event)
            case PartStart():
                self._part_start(event)
            case TextDelta():
                self._text(event)
            case ArgumentsDelta() if event.index in self._inputs:
                self._inputs[event.index].append(event.text)
            case ArgumentsDelta():
                frame = self._delta(event)
                if frame is not None:
                    self._frames.append(frame)
            case ProofDelta():
                self._proof(event)
            case ExtraDelta():
                self._extra(event)
            case PartEnd():
                self._part_end(event)
            case ChoiceEnd():
                self._choice_end(event)
            case UsageDelta():
                self._usage(event)
            case ResponseEnd():
                self._end(event)
            case ErrorEnd():
                self._fail(event.failure)
            case Pulse():
                pass
            case _:
                assert_never(event)

    def _other_choice(self, choice: int) -> None:
        if choice not in self._other_choices:
            self._other_choices.add(choice)
            self._losses.add(f"choices[{choice}]", "dropped", "content", f"{NAME} has one answer")

    def _start(self, event: ResponseStart) -> None:
        response = started(event.response, self._stamp, self._request, self._losses)
        if response.usage is not None and ours(response.usage.extra) is None:
            self._losses.drop_extra(response.usage.extra, "usage")
        self._emit(CREATED, [ResponseStart(response=response)])
        self._emit(IN_PROGRESS)

    def _id(self, prefix: str) -> str:
        return f"{prefix}_{self._stamp.id}_{len(self._script.items)}"

    def _part_start(self, event: PartStart) -> None:
        path = f"choices[0].parts[{event.index}]"
        part = said(event.part)
        if not isinstance(part, Text | Refusal):
            self._close_message()
        match part:
            case Text() | Refusal():
                self._open_said(event.index, part, path)
            case Reasoning():
                self._open_reasoning(event.index, part, path)
            case ToolCall():
                self._open_call(event.index, part, path)
            case Opaque() if part.origin is LANGUAGE:
                self._emit(ITEM_ADDED, [PartStart(index=event.index, part=part)])
            case Opaque():
                self._unsaid.add(event.index)
                self._losses.drop_opaque(part, path)
            case Media() | ToolResult() | Structured():
                self._unsaid.add(event.index)
                self._losses.add(path, "dropped", "content", f"no {type(part).__name__} in an answer")
            case CachePoint():
                self._unsaid.add(event.index)
            case _:
                assert_never(part)

    def _open_said(self, index: int, part: Text | Refusal, path: str) -> None:
        if ours(part.extra) is None:
            self._losses.drop_extra(part.extra, path)
        if isinstance(part, Text) and part.proof is not None:
            self._proof_before(part.proof, path)
            part = msgspec.structs.replace(part, proof=None)
        if self._message is None or opens_item(part):
            self._close_message()
            own = {name: value for name, value in item_fields(part).items() if name not in ("status", "content")}
            fields: JsonObject = own if "id" in own else {"id": self._id("msg"), **own}
            self._emit(ITEM_ADDED, more={"item": fields})
            self._message = self._script.current
        if self._message is None:
            return
        empty = msgspec.structs.replace(part, text="")
        self._emit(PART_ADDED, [PartStart(index=index, part=empty)], self._of(self._message))
        if part.text:
            self._text(TextDelta(index=index, text=part.text))

    def _of(self, item: Item) -> JsonObject:
        """The place of a frame about an item that was not the last to be spoken of."""
        if self._script.current is item:
            return {}
        return {"output_index": item.index, "item_id": item.id}

    def _open_reasoning(self, index: int, part: Reasoning, path: str) -> None:
        if ours(part.extra) is None:
            self._losses.drop_extra(part.extra, path)
        usable(part.proof, self._losses, path)
        empty = msgspec.structs.replace(part, text="")
        made: JsonObject = {} if ours(part.extra) is not None else {"item": {"id": self._id("rs")}}
        self._emit(ITEM_ADDED, [PartStart(index=index, part=empty)], made)
        if part.text:
            self._text(TextDelta(index=index, text=part.text))

    def _open_call(self, index: int, part: ToolCall, path: str) -> None:
        if part.hosted:
            self._unsaid.add(index)
            self._losses.add(path, "dropped", "content", "a tool that the other provider ran")
            return
        self._proof_before(part.proof, path)
        named = msgspec.structs.replace(part, id=part.id or self._id("call"), arguments="", proof=None)
        made: JsonObject = {}
        if ours(part.extra) is None:
            self._losses.drop_extra(part.extra, path)
            place = self._places.get(part.name, {})
            item = foreign_call_item(named, place, "in_progress")
            made["id"] = self._id(id_prefix(item))
            if is_custom(place):
                self._inputs[index] = [part.arguments]
                opaque = Opaque(origin=LANGUAGE, value={**made, **item})
                self._emit(ITEM_ADDED, [PartStart(index=index, part=opaque)])
                return
            if place:
                self._named[index] = {name: item[name] for name in ("name", "namespace")}
        self._emit(ITEM_ADDED, [PartStart(index=index, part=named)], {"item": {**made, **self._named.get(index, {})}})
        if part.arguments:
            self._foreign(ArgumentsDelta(index=index, text=part.arguments))

    def _proof_before(self, proof: Proof | None, path: str) -> None:
        sealed = usable(proof, self._losses, path)
        if sealed is not None:
            self._close_message()
            self._say_proof(sealed)

    def _say_proof(self, sealed: str) -> None:
        """A reasoning item of its own for a proof that another language puts on a text or a tool call."""
        item = proof_item(sealed, self._id("rs"))
        opaque = Opaque(origin=LANGUAGE, value=item)
        index = -1 - len(self._script.items)
        self._emit(ITEM_ADDED, [PartStart(index=index, part=opaque)])
        self._emit(ITEM_DONE, [PartEnd(index=index)])

    def _text(self, event: TextDelta) -> None:
        progress = self._script.parts.get(event.index)
        if progress is None or not event.text:
            return
        if isinstance(progress.part, Reasoning) and not progress.delta:
            self._open_segment(progress)
        frame = self._delta(TextDelta(index=event.index, text=event.text))
        if frame is not None:
            self._frames.append(frame)

    def _open_segment(self, progress: Progress) -> None:
        part = progress.part
        field = cut(part)[0] if isinstance(part, Reasoning) else "summary"
        self._emit(SUMMARY_ADDED if field == "summary" else PART_ADDED, more=self._of(progress.item))

    def _proof(self, event: ProofDelta) -> None:
        progress = self._script.parts.get(event.index)
        path = f"choices[0].parts[{event.index}]"
        if progress is None:
            return
        sayable = usable(event.proof, self._losses, path)
        if sayable is None:
            return
        if isinstance(progress.part, Reasoning):
            before = progress.proof
            value = sayable if before is None else before.value + sayable
            progress.proof = Proof(origin=event.proof.origin, value=value)
        elif isinstance(progress.part, Text | ToolCall) or event.index in self._inputs:
            self._held[event.index] = self._held.get(event.index, "") + sayable
        else:
            self._losses.add(f"{path}.proof", "dropped", "behaviour", "no place for a proof here")

    def _extra(self, event: ExtraDelta) -> None:
        progress = self._script.parts.get(event.index)
        if progress is None:
            return
        path = f"choices[0].parts[{event.index}]"
        if ours(event.extra) is None:
            self._losses.drop_extra(event.extra, path)
        elif "annotations" in event.extra.fields:
            self._emit(ANNOTATION_ADDED, [event])
        else:
            self._script.foretell("", [event], {})

    def _part_end(self, event: PartEnd) -> None:
        progress = self._script.parts.get(event.index)
        if progress is None:
            return
        self._settle(progress, event.part)
        here = self._of(progress.item)
        match progress.part:
            case Text():
                self._emit(TEXT_DONE, more={**here, "content_index": progress.place})
                self._emit(PART_DONE, more={"content_index": progress.place})
                progress.open = False
                self._held_proof(progress)
            case Refusal():
                self._emit(REFUSAL_DONE, more={**here, "content_index": progress.place})
                self._emit(PART_DONE, more={"content_index": progress.place})
                progress.open = False
            case Reasoning():
                self._end_segment(progress, here)
                self._emit(ITEM_DONE, [PartEnd(index=event.index)])
            case ToolCall():
                self._end_call(progress, here)
            case Opaque() as part if event.index in self._inputs:
                self._end_custom_call(progress, part, event.part, here)
            case _:
                self._emit(ITEM_DONE, [PartEnd(index=event.index)])

    def _settle(self, progress: Progress, final: Part | None) -> None:
        """Let the final form of a part replace what was streamed, as far as the repeated frames can still say it."""
        if final is None or type(final) is not type(progress.part):
            return
        if isinstance(final, ToolCall) and isinstance(progress.part, ToolCall):
            final = msgspec.structs.replace(final, id=final.id or progress.part.id, proof=None)
        progress.replace(final)

    def _end_segment(self, progress: Progress, here: JsonObject) -> None:
        if progress.delta == "" or not isinstance(progress.part, Reasoning):
            return
        if progress.place_name == "summary_index":
            self._emit(SUMMARY_TEXT_DONE, more=here)
            self._emit(SUMMARY_DONE)
        else:
            self._emit(THOUGHT_DONE, more=here)
            self._emit(PART_DONE)

    def _end_call(self, progress: Progress, here: JsonObject) -> None:
        call = progress.part
        if isinstance(call, ToolCall) and not progress.text() and ours(call.extra) is None:
            progress.replace(completed_call(call, call.id))
        named = self._named.get(progress.index, {})
        name = named.get("name", call.name if isinstance(call, ToolCall) else "")
        self._emit(ARGUMENTS_DONE, more={**here, "name": name})
        self._emit(ITEM_DONE, [PartEnd(index=progress.index)], {"item": named})
        self._held_proof(progress)

    def _end_custom_call(self, progress: Progress, part: Opaque, final: Part | None, here: JsonObject) -> None:
        arguments = "".join(self._inputs.pop(progress.index))
        text = text_of(final.arguments if isinstance(final, ToolCall) else arguments)
        if text:
            self._emit(INPUT_DELTA, more={**here, "delta": text})
        self._emit(INPUT_DONE, more={**here, INPUT: text})
        done = Opaque(origin=LANGUAGE, value={**part.value, "status": "completed", INPUT: text})
        self._emit(ITEM_DONE, [PartEnd(index=progress.index, part=done)])
        self._held_proof(progress)

    def _held_proof(self, progress: Progress) -> None:
        sealed = self._held.pop(progress.index, None)
        if sealed is not None:
            self._close_message()
            self._say_proof(sealed)

    def _close_message(self) -> None:
        """End the message item that is open, unless one of its parts still speaks."""
        item = self._message
        if item is None or any(progress.open for progress in item.parts):
            return
        self._message = None
        # This frame says whose it is in the item itself.
        here = {name: value for name, value in self._of(item).items() if name != "item_id"}
        self._emit(ITEM_DONE, more=here)

    def _choice_end(self, event: ChoiceEnd) -> None:
        self._close_message()
        if ours(event.extra) is None:
            self._losses.drop_extra(event.extra, "choices[0]")
        drop_finish(event.finish, self._losses)
        self._script.foretell("", [event], {})

    def _usage(self, event: UsageDelta) -> None:
        if ours(event.usage.extra) is None:
            self._losses.drop_extra(event.usage.extra, "usage")
        self._script.foretell("", [event], {})

    def _end(self, event: ResponseEnd) -> None:
        self._close_message()
        if ours(event.extra) is None:
            self._losses.drop_extra(event.extra, "")
            event = ResponseEnd()
        self._emit(self._script.last_kind(), [event])
        self._over = True

    def _fail(self, failure: Failure) -> None:
        """First the event that makes SDKs raise, then the one that ends the response."""
        self._emit(ERROR, [ErrorEnd(failure=failure)])
        self._emit(FAILED)
        self._over = True


def _rest(events: Sequence[Event]) -> JsonObject | None:
    """What is left of the frame of this language that a batch came from; None if it came from none."""
    for event in events:
        rest: Extra | None = event.rest
        if rest is not None and rest.origin is LANGUAGE and "type" in rest.fields:
            return rest.fields
    return None


def _name(payload: JsonObject, kind: str) -> str | None:
    name = payload.get(EVENT, kind)
    return name if isinstance(name, str) else None
