"""Streamed answers written: every chunk an answer of its own, the last with the reason to finish and the usage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import msgspec

from freehold.ir import (
    ArgumentsDelta,
    ChoiceEnd,
    ErrorEnd,
    Event,
    Extra,
    ExtraDelta,
    JsonObject,
    JsonValue,
    Losses,
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
    write_json,
)
from freehold.ir.fold import merge_extra, merge_usage
from freehold.protocols.codec import Frame, Stamp
from freehold.protocols.gemini_generate.decoder import USUAL
from freehold.protocols.gemini_generate.enums import Numbers, as_numbers
from freehold.protocols.gemini_generate.errors import error_body
from freehold.protocols.gemini_generate.language import LANGUAGE, NAME, is_ours
from freehold.protocols.gemini_generate.parts import PartWriter, signature
from freehold.protocols.gemini_generate.response import write_finish, write_heading
from freehold.protocols.gemini_generate.usage import write_usage
from freehold.protocols.gemini_generate.wire import repeat, restore


class _Open(msgspec.Struct):
    """A part that is being said: as it began, and what came since."""

    part: Part
    chunks: list[str]
    proof: Proof | None = None
    extra: Extra | None = None

    def whole(self) -> Part:
        """The part with everything that came."""
        part = self.part
        if isinstance(part, ToolCall):
            part = msgspec.structs.replace(part, arguments=part.arguments + "".join(self.chunks))
        if self.proof is not None and not isinstance(part, Refusal):
            part = msgspec.structs.replace(part, proof=self.proof)
        return part


class ChunkEncoder:
    """Writes one streamed answer.

    A batch that came as one of this language's chunks (its first event carries the chunk's rest) becomes the same chunk
    again. Any other is said in chunks of our own: text at once, calls when they are whole (a client gets no fragments
    here), the reason to finish and the usage in the last.
    """

    __slots__ = (
        "_ends",
        "_finished",
        "_heading",
        "_losses",
        "_model",
        "_numbers",
        "_open",
        "_pending",
        "_response",
        "_stamp",
        "_usage",
        "losses",
    )

    def __init__(self, stamp: Stamp, model: str, numbers: Numbers | None) -> None:
        """`numbers`: how enumerations are said to clients that want numbers."""
        self._stamp = stamp
        self._model = model
        self._numbers = numbers
        self._losses = Losses()
        self.losses = self._losses.items
        self._response = Response(origin="", choices=())
        self._open: dict[tuple[int, int], _Open] = {}
        self._usage: Usage | None = None
        self._ends: list[ChoiceEnd] = []
        self._finished: set[int] = set()
        self._pending: JsonObject = {}
        self._heading = b"}"

    def feed(self, events: Sequence[Event]) -> list[Frame]:
        """The chunks of one batch."""
        if not events:
            return []
        rest = events[0].rest
        if rest is USUAL:
            return [self._usual(events)]
        if isinstance(rest, Extra) and rest.origin is LANGUAGE and isinstance(events[0], Pulse):
            return [self._frame(self._chunk(events, rest.fields))]
        frames: list[Frame] = []
        for event in events:
            if isinstance(event, TextDelta):
                if event.text and self._pending:
                    frames.append(self._frame(self._parts([self._piece(event)], event.choice)))
                elif event.text:
                    frames.append(self._words(event))
                continue
            chunk = self._say(event)
            if chunk is not None:
                frames.append(self._frame(chunk))
        return frames

    def _frame(self, chunk: JsonObject) -> Frame:
        return Frame(data=write_json(self._said(chunk)))

    # --- This language's own chunks

    def _usual(self, events: Sequence[Event]) -> Frame:
        """A chunk of words and counts."""
        words = Frame(data=b"")
        usage: JsonValue = None
        for event in events:
            if isinstance(event, UsageDelta):
                usage = self._counts(event)
        counts = b"" if usage is None else b',"usageMetadata":' + write_json(self._said(usage))
        for event in events:
            if isinstance(event, TextDelta):
                words = self._words(event, counts)
        return words

    def _words(self, event: TextDelta, counts: bytes = b"") -> Frame:
        """A chunk of words, put together as text: streams are made of these."""
        text = write_json(event.text) + (b',"thought":true' if self._is_thought(event) else b"")
        content = b'{"candidates":[{"content":{"parts":[{"text":%b}],"role":"model"},"index":%d}]' % (
            text,
            event.choice,
        )
        return Frame(data=content + counts + self._heading)

    def _is_thought(self, event: TextDelta) -> bool:
        known = self._open.get((event.choice, event.index))
        return known is not None and isinstance(known.part, Reasoning)

    def _said(self, value: JsonValue) -> JsonValue:
        """A value with its enumerations as the client wants them."""
        return value if self._numbers is None else as_numbers(value, self._numbers)

    def _piece(self, event: TextDelta) -> JsonObject:
        return {"text": event.text, "thought": True} if self._is_thought(event) else {"text": event.text}

    def _counts(self, event: UsageDelta) -> JsonObject:
        """The usage of one chunk, with what was left of it there."""
        self._usage = event.usage
        return write_usage(event.usage, event.rest, self._losses, "usage")

    def _chunk(self, events: Sequence[Event], rest: JsonObject) -> JsonObject:
        """The chunk that a batch came as: its rest, with parts and usage in their places."""
        parts: dict[int, list[JsonValue]] = {}
        usage: JsonObject | None = None
        for event in events:
            match event:
                case ResponseStart():
                    self._start(event.response)
                case PartStart():
                    self._open[event.choice, event.index] = _Open(event.part, [])
                    if not _is_begun(event.part):
                        wire = self._writer().part(event.part, f"choices[{event.choice}].parts[{event.index}]")
                        if wire is not None:
                            parts.setdefault(event.choice, []).append(wire)
                case TextDelta():
                    parts.setdefault(event.choice, []).append(self._piece(event))
                case PartEnd():
                    self._open.pop((event.choice, event.index), None)
                case UsageDelta():
                    usage = self._counts(event)
                case _:
                    pass
        chunk = dict(rest)
        candidates = chunk.get("candidates")
        if isinstance(candidates, list):
            chunk["candidates"] = [self._refilled(item, place, parts) for place, item in enumerate(candidates)]
        elif chunk.get("promptFeedback") is not None:
            self._finished.add(0)
        if usage is not None:
            chunk["usageMetadata"] = usage
        return chunk

    def _refilled(self, value: JsonValue, place: int, parts: dict[int, list[JsonValue]]) -> JsonValue:
        """A candidate's rest with its parts."""
        if not isinstance(value, dict):
            return value
        index = value.get("index")
        number = index if isinstance(index, int) and not isinstance(index, bool) else place
        if value.get("finishReason") is not None:
            self._finished.add(number)
        content = value.get("content")
        said = parts.pop(number, None)
        if said is None or not isinstance(content, dict):
            return value
        return {**value, "content": {"parts": said, **content}}

    def _start(self, response: Response) -> None:
        self._response = response
        heading: JsonObject = {}
        write_heading(response, heading, self._stamp, self._model)
        if heading:
            self._heading = b"," + write_json(heading)[1:]

    # --- Chunks of our own

    def _writer(self) -> PartWriter:
        return PartWriter(self._losses, native=self._response.origin == NAME, answer=True)

    def _say(self, event: Event) -> JsonObject | None:
        match event:
            case PartStart():
                return self._begin(event)
            case ArgumentsDelta() | ProofDelta() | ExtraDelta():
                self._collect(event)
            case PartEnd():
                return self._end_part(event)
            case UsageDelta():
                self._usage = merge_usage(self._usage, event.usage)
            case ChoiceEnd():
                self._ends.append(event)
            case ResponseStart():
                self._start(event.response)
                self._usage = merge_usage(self._usage, event.response.usage)
                restore(event.response.extra, self._pending, self._losses, "")
            case ResponseEnd():
                return self._last(event)
            case ErrorEnd(failure=failure):
                return error_body(failure)
            case Pulse() | TextDelta():
                pass
        return None

    def _parts(self, parts: list[JsonObject], choice: int) -> JsonObject:
        chunk: JsonObject = {
            "candidates": [{"content": {"parts": cast("JsonValue", parts), "role": "model"}, "index": choice}]
        }
        return self._headed(chunk)

    def _headed(self, chunk: JsonObject) -> JsonObject:
        write_heading(self._response, chunk, self._stamp, self._model)
        if self._pending:
            repeat(self._pending, chunk)
            self._pending = {}
        return chunk

    def _begin(self, event: PartStart) -> JsonObject | None:
        part = event.part
        path = f"choices[{event.choice}].parts[{event.index}]"
        self._open[event.choice, event.index] = _Open(part, [])
        match part:
            case Text() | Reasoning() if part.text or is_ours(part.extra) or part.proof is not None:
                wire = self._writer().part(part, path)
                return None if wire is None else self._parts([wire], event.choice)
            case Refusal():
                wire = self._writer().part(part, path)
                return None if wire is None else self._parts([wire], event.choice)
            case Text() | Reasoning():
                if not is_ours(part.extra):
                    self._losses.drop_extra(part.extra, path)
            case _:
                pass
        return None

    def _collect(self, event: ArgumentsDelta | ProofDelta | ExtraDelta) -> None:
        """What can only be said with the whole part."""
        known = self._open.get((event.choice, event.index))
        if known is None:
            return
        match event:
            case ArgumentsDelta():
                known.chunks.append(event.text)
            case ProofDelta():
                before = known.proof
                value = event.proof.value if before is None else before.value + event.proof.value
                known.proof = Proof(origin=event.proof.origin, value=value)
            case ExtraDelta():
                known.extra = merge_extra(known.extra, event.extra)

    def _end_part(self, event: PartEnd) -> JsonObject | None:
        known = self._open.pop((event.choice, event.index), None)
        if known is None:
            return None
        path = f"choices[{event.choice}].parts[{event.index}]"
        self._losses.drop_extra(None if is_ours(known.extra) else known.extra, path)
        part = known.whole() if event.part is None else event.part
        if not isinstance(part, Text | Reasoning | Refusal):
            wire = self._writer().part(part, path)
            return None if wire is None else self._parts([wire], event.choice)
        if known.proof is None or isinstance(part, Refusal):
            return None
        value = signature(known.proof)
        if value is None:
            self._losses.add(f"{path}.proof", "dropped", "behaviour", f"a proof of {known.proof.origin}")
            return None
        signed: JsonObject = {"text": "", "thoughtSignature": value}
        if isinstance(part, Reasoning):
            signed["thought"] = True
        return self._parts([signed], event.choice)

    def _last(self, event: ResponseEnd) -> JsonObject | None:
        """The last chunk: why each candidate ended, and the usage. None if both were said already."""
        ends = [end for end in self._ends if end.choice not in self._finished]
        restore(event.extra, self._pending, self._losses, "")
        if self._finished and not ends:
            return None
        chunk: JsonObject = {"candidates": [self._finish(end) for end in ends]}
        if self._usage is not None:
            chunk["usageMetadata"] = write_usage(self._usage, self._usage.extra, self._losses, "usage")
        return self._headed(chunk)

    def _finish(self, end: ChoiceEnd) -> JsonObject:
        path = f"choices[{end.choice}]"
        wire: JsonObject = {"content": {"parts": [{"text": ""}], "role": "model"}}
        wire["finishReason"] = (
            "STOP" if end.finish is None else write_finish(end.finish, self._losses, f"{path}.finish")
        )
        wire["index"] = end.choice
        restore(end.extra, wire, self._losses, path)
        return wire


def _is_begun(part: Part) -> bool:
    """Whether a part only begins, and its words follow."""
    return isinstance(part, Text | Reasoning) and not part.text and part.proof is None and part.extra is None
