"""Events in, chunks out.

A batch that came from this protocol carries the chunk it was taken from: its words are put back. Any other batch
becomes chunks as OpenAI sends them, one for each thing that is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from freehold.ir import (
    SEALED,
    ArgumentsDelta,
    CachePoint,
    ChoiceEnd,
    ErrorEnd,
    Event,
    Extra,
    ExtraDelta,
    Generate,
    Inline,
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
    Usage,
    UsageDelta,
    write_json,
)
from freehold.ir.fold import merge_usage
from freehold.protocols.codec import Frame, Stamp
from freehold.protocols.openai_chat.chunk import Chunk, place_text
from freehold.protocols.openai_chat.content import drop_proof
from freehold.protocols.openai_chat.language import (
    DONE,
    FIELD,
    LANGUAGE,
    NAME,
    native,
    repeat_inner,
    repeat_plain,
)
from freehold.protocols.openai_chat.parts import details_of_proof
from freehold.protocols.openai_chat.response import CallNames, envelope, raw_finish, spoken_answer
from freehold.protocols.openai_chat.seal import join_id
from freehold.protocols.openai_chat.usage import encode_usage
from freehold.protocols.openai_errors import write_failure

DONE_FRAME = Frame(data=b"[DONE]")

_BLOCKS = frozenset({"text", "thinking"})
"""Places that are typed parts in a delta's content, not fields of it."""


class _Part:
    """One part being written: where in a delta its words go, what leads them in, and for a call its number."""

    __slots__ = ("argued", "call", "lead", "part", "places")

    def __init__(self, part: Part, places: tuple[str, ...], call: int = -1) -> None:
        self.part = part
        self.places = places
        self.call = call
        self.lead = ""
        self.argued = False


class _Choice:
    """One candidate answer being written."""

    __slots__ = ("begun", "calls", "parts", "seals")

    def __init__(self) -> None:
        self.parts: dict[int, _Part] = {}
        self.calls = 0
        self.begun = False
        self.seals: list[tuple[str, str]] = []


class ChatEncoder:
    """Encodes one streamed answer."""

    def __init__(self, stamp: Stamp, request: Request | None = None) -> None:
        self.losses: list[Loss] = []
        self._noted = Losses()
        self._noted.items = self.losses
        self._stamp = stamp
        self._wants_usage = isinstance(request, Generate) and bool(request.stream_usage)
        self._choices: dict[int, _Choice] = {}
        self._names = CallNames(stamp)
        self._usage: Usage | None = None
        self._ended = False
        self._enclose(envelope(Response(origin="", choices=()), stamp, "chat.completion.chunk"))

    def _enclose(self, fields: JsonObject) -> None:
        """Put these fields around the choices of every chunk from now on; all chunks begin with the same bytes."""
        self._envelope = fields
        self._head = write_json({**fields, "choices": []}).removesuffix(b"]}")

    def feed(self, events: Sequence[Event]) -> list[Frame]:
        """The frames of one batch."""
        if not events:
            return []
        first = events[0]
        rest = first.rest
        if rest is None or rest.origin is not LANGUAGE:
            return self._foreign(events)
        if type(first) is TextDelta and len(events) == 1:
            frame = self._plain(first, rest.fields)
            if frame is not None:
                return [frame]
        return self._native(events, rest.fields)

    # --- Chunks of this language, put together again ---

    def _plain(self, event: TextDelta, chunk: JsonObject) -> Frame | None:
        """The fast path: one piece of text back into its chunk."""
        state = self._choices.get(event.choice)
        part = None if state is None else state.parts.get(event.index)
        choices = chunk.get("choices")
        if part is None or len(part.places) != 1 or not isinstance(choices, list) or len(choices) != 1:
            return None
        choice = choices[0]
        if not isinstance(choice, dict) or not isinstance(delta := choice.get("delta"), dict):
            return None
        place = part.places[0]
        if place in _BLOCKS or place in delta:
            return None
        said = {**choice, "delta": {**delta, place: event.text}}
        return Frame(data=write_json({**chunk, "choices": [said]}))

    def _native(self, events: Sequence[Event], fields: JsonObject) -> list[Frame]:
        if DONE in fields:
            self._ended = True
            sent = fields[DONE]
            return [Frame(data=sent.encode())] if isinstance(sent, str) else []
        chunk = Chunk(fields)
        for event in events:
            self._put_back(event, chunk)
        frames = [Frame(data=write_json(chunk.fields), event=chunk.event)]
        if isinstance(events[-1], ErrorEnd) and chunk.fields.get("choices") is not None:
            # OpenRouter, whose error stands in a chunk, still ends with [DONE]; Groq, with `event: error`, does not.
            frames.append(DONE_FRAME)
        return frames

    def _put_back(self, event: Event, chunk: Chunk) -> None:
        """Write one event into the chunk it came from. What rode along whole is there already."""
        match event:
            case TextDelta():
                part = self._part(event.choice, event.index)
                if part is not None:
                    chunk.add_text(event.choice, part.places, event.text)
            case ArgumentsDelta():
                part = self._part(event.choice, event.index)
                if part is not None:
                    chunk.add_arguments(event.choice, part.places, part.call, event.text)
            case PartStart():
                self._put_part_back(event, chunk)
            case ChoiceEnd():
                if event.finish is not None:
                    chunk.choice(event.choice)["finish_reason"] = raw_finish(event.finish, called=True)
            case UsageDelta():
                chunk.add_usage(encode_usage(event.usage, self._noted))
            case ErrorEnd():
                self._ended = True
                chunk.fields.update(write_failure(event.failure, LANGUAGE))
            case ResponseStart():
                self._enclose(envelope(event.response, self._stamp, "chat.completion.chunk"))
            case PartEnd() | ProofDelta() | ExtraDelta() | Pulse() | ResponseEnd():
                pass
            case _:
                assert_never(event)

    def _put_part_back(self, event: PartStart, chunk: Chunk) -> None:
        state = self._choice(event.choice)
        state.begun = True
        part = event.part
        match part:
            case ToolCall():
                fields = native(part.extra)
                if fields is not None and fields.get(FIELD) == "function_call":
                    state.parts[event.index] = _Part(part, ("function_call",))
                    chunk.start_function(event.choice, part)
                else:
                    identity = join_id(part.id, [seal for _, seal in state.seals], part.proof)
                    state.seals.clear()
                    state.parts[event.index] = _Part(part, ("tool_calls",), state.calls)
                    chunk.start_call(event.choice, part, identity, state.calls)
                    state.calls += 1
            case Reasoning():
                if part.proof is not None and part.proof.origin == SEALED:
                    state.seals.append(("", part.proof.value))
                state.parts[event.index] = _Part(part, _places(part))
            case _:
                state.parts[event.index] = _Part(part, _places(part))

    def _part(self, choice: int, index: int) -> _Part | None:
        state = self._choices.get(choice)
        return None if state is None else state.parts.get(index)

    def _choice(self, number: int) -> _Choice:
        state = self._choices.get(number)
        if state is None:
            state = self._choices[number] = _Choice()
        return state

    # --- Chunks for events of another language ---

    def _foreign(self, events: Sequence[Event]) -> list[Frame]:
        frames: list[Frame] = []
        for event in events:
            self._say(event, frames)
        return frames

    def _say(self, event: Event, frames: list[Frame]) -> None:
        match event:
            case TextDelta():
                self._text(event.choice, event.index, event.text, frames)
            case ArgumentsDelta():
                self._arguments(event.choice, event.index, event.text, frames)
            case PartStart():
                self._start_part(event, frames)
            case PartEnd():
                self._end_part(event, frames)
            case ProofDelta():
                part = self._part(event.choice, event.index)
                if part is not None:
                    self._proof(event.choice, event.index, part.part, event.proof, frames)
            case ChoiceEnd():
                self._end_choice(event, frames)
            case UsageDelta():
                self._usage = merge_usage(self._usage, event.usage)
            case ResponseStart():
                self._start(event.response, frames)
            case ResponseEnd():
                self._end(event, frames)
            case ErrorEnd():
                self._ended = True
                frames.append(Frame(data=write_json(write_failure(event.failure, LANGUAGE))))
            case ExtraDelta():
                self._extra(event, frames)
            case Pulse():
                pass
            case _:
                assert_never(event)

    def _start(self, response: Response, frames: list[Frame]) -> None:
        self._usage = merge_usage(self._usage, response.usage)
        around = envelope(response, self._stamp, "chat.completion.chunk")
        fields = native(response.extra)
        if fields is None:
            self._noted.drop_extra(response.extra, "")
        else:
            repeat_plain(fields, around)
            around["object"] = "chat.completion.chunk"
        self._enclose(around)
        self._delta(0, {}, frames)

    def _delta(
        self,
        number: int,
        delta: JsonObject,
        frames: list[Frame],
        *,
        finish: str | None = None,
        extra: JsonObject | None = None,
    ) -> None:
        """One chunk; the first of a choice names the role."""
        state = self._choice(number)
        if not state.begun:
            state.begun = True
            delta = {"role": "assistant", "content": "", **delta}
        choice: JsonObject = {"index": number, "delta": delta, "finish_reason": finish}
        if extra is not None:
            choice.update(extra)
        frames.append(Frame(data=self._head + write_json(choice) + b"]}"))

    def _text(self, number: int, index: int, text: str, frames: list[Frame]) -> None:
        part = self._part(number, index)
        if part is None or not text:
            return
        part.argued = True
        if part.lead:
            text, part.lead = part.lead + text, ""
        places = part.places
        if len(places) == 1 and places[0] not in _BLOCKS:
            self._delta(number, {places[0]: text}, frames)
            return
        delta: JsonObject = {}
        place_text(delta, places, text)
        self._delta(number, delta, frames)

    def _arguments(self, number: int, index: int, text: str, frames: list[Frame]) -> None:
        part = self._part(number, index)
        if part is None or not text:
            return
        part.argued = True
        if part.places == ("function_call",):
            self._delta(number, {"function_call": {"arguments": text}}, frames)
        elif part.places == ("tool_calls",):
            self._delta(number, {"tool_calls": [{"index": part.call, "function": {"arguments": text}}]}, frames)

    def _start_part(self, event: PartStart, frames: list[Frame]) -> None:
        number, index, part = event.choice, event.index, event.part
        path = f"choices[{number}].parts[{index}]"
        state = self._choice(number)
        match part:
            case Text() | Refusal():
                if isinstance(part, Text):
                    drop_proof(part.proof, path, self._noted)
                state.parts[index] = _Part(part, _places(part))
                self._text(number, index, part.text, frames)
                self._part_extra(number, part.extra, path, frames)
            case Reasoning():
                state.parts[index] = _Part(part, _places(part))
                if native(part.extra) is None:
                    self._noted.drop_extra(part.extra, path)
                if any(isinstance(earlier.part, Reasoning) and earlier.argued for earlier in state.parts.values()):
                    state.parts[index].lead = "\n\n"
                self._text(number, index, part.text, frames)
                if part.proof is not None:
                    self._proof(number, index, part, part.proof, frames)
            case ToolCall():
                self._start_call(number, index, part, path, frames)
            case Structured():
                state.parts[index] = _Part(part, ("content",))
                self._text(number, index, write_json(part.value).decode(), frames)
            case Media():
                self._media(number, part, path, frames)
            case Opaque():
                self._opaque(number, part, path, frames)
            case ToolResult():
                self._noted.add(path, "dropped", "content", "an answer holds no tool results")
            case CachePoint():
                pass

    def _part_extra(self, number: int, extra: Extra | None, path: str, frames: list[Frame]) -> None:
        fields = native(extra)
        if fields is None:
            self._noted.drop_extra(extra, path)
        elif "type" not in fields and fields:
            self._delta(number, dict(fields), frames)

    def _start_call(self, number: int, index: int, call: ToolCall, path: str, frames: list[Frame]) -> None:
        if call.hosted:
            self._noted.add(path, "dropped", "content", f"the provider ran {call.name} itself")
            return
        if call.proof is not None and call.proof.origin != SEALED:
            drop_proof(call.proof, path, self._noted)
        state = self._choice(number)
        fields = native(call.extra)
        if fields is not None and fields.get(FIELD) == "function_call":
            state.parts[index] = _Part(call, ("function_call",))
            self._delta(number, {"function_call": {"name": call.name, "arguments": call.arguments}}, frames)
            return
        if fields is None:
            self._noted.drop_extra(call.extra, path)
        part = state.parts[index] = _Part(call, ("tool_calls",), state.calls)
        part.argued = bool(call.arguments) or fields is not None
        state.calls += 1
        identity = join_id(self._names(call), [seal for _, seal in state.seals], call.proof)
        state.seals.clear()
        function: JsonObject = {"name": call.name, "arguments": call.arguments}
        entry: JsonObject = {"index": part.call, "id": identity, "type": "function", "function": function}
        if fields is not None:
            repeat_inner(fields, "function.", function)
            repeat_plain(fields, entry, ("function.",))
        self._delta(number, {"tool_calls": [entry]}, frames)

    def _end_part(self, event: PartEnd, frames: list[Frame]) -> None:
        part = self._part(event.choice, event.index)
        if part is None:
            return
        final = event.part
        if isinstance(final, Text | Refusal | Reasoning) and not part.argued:
            self._text(event.choice, event.index, final.text, frames)
        if isinstance(final, ToolCall) and not part.argued:
            self._arguments(event.choice, event.index, final.arguments, frames)
        if isinstance(final, Reasoning) and final.proof is not None:
            self._proof(event.choice, event.index, final, final.proof, frames)
        if part.places == ("tool_calls",) and not part.argued:
            # Clients parse the joined fragments, and "" is no JSON (WIRE_FACTS 6).
            self._arguments(event.choice, event.index, "{}", frames)

    def _proof(self, number: int, index: int, part: Part, proof: Proof, frames: list[Frame]) -> None:
        path = f"choices[{number}].parts[{index}].proof"
        if not isinstance(part, Reasoning):
            self._noted.add(path, "dropped", "behaviour", "the call's id is already sent")
        elif proof.origin == SEALED:
            seals = self._choice(number).seals
            if not seals or seals[-1] != (path, proof.value):
                seals.append((path, proof.value))
        elif proof.origin == NAME:
            self._delta(number, {"reasoning_details": details_of_proof(proof)}, frames)
        else:
            self._noted.add(path, "dropped", "behaviour", "Chat Completions has no place for this proof")

    def _media(self, number: int, part: Media, path: str, frames: list[Frame]) -> None:
        drop_proof(part.proof, path, self._noted)
        if part.kind != "audio" or not isinstance(part.source, Inline):
            self._noted.add(path, "dropped", "content", f"an answer holds no {part.kind}")
            return
        sound: JsonObject = {"data": part.source.data}
        fields = native(part.extra)
        if fields is None:
            self._noted.drop_extra(part.extra, path)
            sound.update(spoken_answer(self._stamp))
        else:
            repeat_inner(fields, "audio.", sound)
        self._delta(number, {"audio": sound}, frames)

    def _opaque(self, number: int, part: Opaque, path: str, frames: list[Frame]) -> None:
        if part.origin is not LANGUAGE:
            self._noted.drop_opaque(part, path)
        elif part.value.get("type") == "custom":
            state = self._choice(number)
            self._delta(number, {"tool_calls": [{**part.value, "index": state.calls}]}, frames)
            state.calls += 1
        else:
            self._delta(number, {"content": [part.value]}, frames)

    def _extra(self, event: ExtraDelta, frames: list[Frame]) -> None:
        self._part_extra(event.choice, event.extra, f"choices[{event.choice}].parts[{event.index}]", frames)

    def _end_choice(self, event: ChoiceEnd, frames: list[Frame]) -> None:
        state = self._choice(event.choice)
        for path, _ in state.seals:
            self._noted.add(path, "dropped", "behaviour", "no tool call follows in whose id this proof could travel")
        state.seals.clear()
        fields = native(event.extra)
        extra: JsonObject = {}
        delta: JsonObject = {}
        if fields is None:
            self._noted.drop_extra(event.extra, f"choices[{event.choice}]")
        else:
            repeat_plain(fields, extra, ("message.",))
            repeat_inner(fields, "message.", delta)
            delta = {name: value for name, value in delta.items() if value and name != "role"}
        finish = raw_finish(event.finish, called=bool(state.calls))
        self._delta(event.choice, delta, frames, finish=finish, extra=extra)

    def _end(self, event: ResponseEnd, frames: list[Frame]) -> None:
        self._ended = True
        fields = native(event.extra)
        if fields is None:
            self._noted.drop_extra(event.extra, "")
        if self._wants_usage and self._usage is not None:
            chunk: JsonObject = {**self._envelope, "choices": [], "usage": encode_usage(self._usage, self._noted)}
            repeat_plain(fields or {}, chunk)
            frames.append(Frame(data=write_json(chunk)))
        frames.append(DONE_FRAME)


def _places(part: Part) -> tuple[str, ...]:
    """Where in a delta the words of a part go; several where a server says them twice."""
    match part:
        case Text():
            fields = native(part.extra)
            return ("text",) if fields is not None and "type" in fields else ("content",)
        case Refusal():
            return ("refusal",)
        case Reasoning():
            fields = native(part.extra) or {}
            if "type" in fields:
                return ("thinking",)
            names = fields.get(FIELD, ["reasoning_content"])
            return tuple(str(name) for name in names) if isinstance(names, list) else ()
        case _:
            return ()
