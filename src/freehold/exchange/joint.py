"""One answer out of several legs: what the client was told of it, and how a target is asked to go on.

The client's stream has one beginning, one end, and parts numbered through, whoever gave them. What it was told is never
taken back: so the arguments of a tool call wait for its end, and a call that was cut off is simply begun again. What
belongs to a single frame of a provider (`rest`) is not repeated, since the frames are ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from freehold.exchange.overlap import Overlap, Repeats, Spaces
from freehold.exchange.record import plus
from freehold.ir import (
    ArgumentsDelta,
    ChoiceEnd,
    ErrorEnd,
    Event,
    ExtraDelta,
    Finish,
    Generate,
    Message,
    Part,
    PartEnd,
    PartStart,
    ProofDelta,
    Pulse,
    Reasoning,
    ResponseEnd,
    ResponseStart,
    Text,
    TextDelta,
    ToolCall,
    Usage,
    UsageDelta,
)
from freehold.ir.fold import merge_usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from freehold.exchange.target import Target

How = Literal["prefill", "instruction", "afresh"]
"""How a target is asked to go on: with the answer so far as its own beginning, in words, or, where no text had been
said, with the request as it was."""

PREFILL = "prefill"
"""The dialect flag of models that go on with an assistant's turn which ends the conversation."""

GO_ON = (
    "Your answer above was cut off by a technical fault. Go on with it from exactly where it stops: your first "
    "character follows its last one, even in the middle of a word or a line. Repeat nothing of it, and do not mention "
    "the interruption."
)
CHARACTERS_A_TOKEN = 3
"""Fewer than text has on average: the rest of an answer gets a little more room rather than too little."""
LEAST_OUTPUT = 16
"""Tokens that a target is asked for at least; OpenAI's Responses API refuses less."""


class Resumption(msgspec.Struct, frozen=True, kw_only=True):
    """A request that asks a target to go on, and what to leave out of its answer."""

    request: Generate
    how: How
    overlap: Overlap | None


class Joint:
    """What a client was told of one answer, over all the legs that gave it."""

    __slots__ = (
        "_at",
        "_before",
        "_calls",
        "_held",
        "_legs",
        "_next",
        "_open",
        "_overlap",
        "_seam",
        "_texts",
        "_trimmed",
        "_usage",
        "characters",
        "ended",
        "failure",
        "finished",
        "fixed",
    )

    def __init__(self) -> None:
        self.failure: ErrorEnd | None = None
        """Why the leg under way broke off."""
        self.finished = False
        """Whether the model had said all."""
        self.ended = False
        self.fixed = False
        """Whether there is something in it that no other target could go on with."""
        self.characters = 0
        """Of this leg, told or not."""
        self._calls = False
        self._legs = 1
        self._next = 0
        self._at: dict[int, int | None] = {}
        """The client's number of each part of this leg; None for those that it is not told of."""
        self._open: dict[int, Part] = {}
        self._texts: dict[int, list[str]] = {}
        self._held: dict[int, list[Event]] = {}
        """Tool calls under way."""
        self._seam: int | None = None
        """The client's number of the text that the next leg goes on with."""
        self._trimmed: int | None = None
        """This leg's number of the text that the overlap is taken from."""
        self._overlap: Overlap | None = None
        self._before: Usage | None = None
        self._usage: Usage | None = None

    @property
    def said(self) -> str:
        """All text so far."""
        return "".join(piece for pieces in self._texts.values() for piece in pieces)

    @property
    def complete(self) -> bool:
        """Whether what was said is a whole turn: the model had finished, or called tools whose results it needs."""
        return self.finished or self._calls

    @property
    def removed(self) -> int:
        """Characters of this leg that repeated what had been said."""
        return 0 if self._overlap is None else self._overlap.removed

    # --- What may be said --------------------------------------------------------------------------------------------

    def take(self, batches: Iterable[Sequence[Event]]) -> list[list[Event]]:
        """What the client is told of some batches of the leg under way; a break is kept back in `failure`."""
        told: list[list[Event]] = []
        for events in batches:
            broken = next((event for event in events if isinstance(event, ErrorEnd)), None)
            said: list[Event] = []
            for event in events:
                if isinstance(event, TextDelta | ArgumentsDelta):
                    self.characters += len(event.text)
                # A part that ends because its stream broke has not ended.
                if not (broken is not None and isinstance(event, PartEnd)):
                    self._take(event, said)
            if broken is not None:
                self.flush(said)
            if said:
                told.append(said)
        return told

    def _take(self, event: Event, said: list[Event]) -> None:
        match event:
            case TextDelta():
                self._text(event, said)
            case PartStart():
                self._start(event, said)
            case ArgumentsDelta() | ProofDelta() | ExtraDelta():
                self._more(event, said)
            case PartEnd():
                self._end(event, said)
            case ChoiceEnd():
                self._release(said)
                self._close_seam(said)
                self.finished = True
                said.append(msgspec.structs.replace(event, rest=None))
            case UsageDelta():
                self._usage = merge_usage(self._usage, event.usage)
                said.append(UsageDelta(usage=_plus(self._before, self._usage) or Usage()))
            case ResponseStart():
                self._begin(event, said)
            case ResponseEnd():
                self.ended = True
                said.append(msgspec.structs.replace(event, rest=None))
            case ErrorEnd():
                self.failure = event
            case Pulse():
                pass

    def _begin(self, event: ResponseStart, said: list[Event]) -> None:
        self._usage = merge_usage(self._usage, event.response.usage)
        if self._legs == 1:
            said.append(ResponseStart(response=msgspec.structs.replace(event.response, origin="")))

    def _start(self, event: PartStart, said: list[Event]) -> None:
        part, index = event.part, event.index
        self.fixed = self.fixed or event.choice != 0 or not _portable(part)
        if isinstance(part, Reasoning) and self._overlap is not None:
            self._at[index] = None  # it thinks about how to go on
            return
        if isinstance(part, ToolCall):
            self._held[index] = [event]
            return
        first = isinstance(part, Text) and self._overlap is not None and self._trimmed is None
        if first:
            self._trimmed = index
        if first and self._seam is not None:
            self._at[index], self._seam = self._seam, None
            self._text(TextDelta(index=index, text=part.text if isinstance(part, Text) else ""), said)
            return
        self._close_seam(said)
        number = self._number(index, part)
        if first and isinstance(part, Text) and part.text:
            said.append(PartStart(index=number, part=msgspec.structs.replace(part, text="")))
            self._text(TextDelta(index=index, text=part.text), said)
            return
        if isinstance(part, Text):
            self._texts[number] = [part.text]
        said.append(msgspec.structs.replace(event, index=number, rest=None))

    def _number(self, index: int, part: Part) -> int:
        number = self._at[index] = self._next
        self._next += 1
        self._open[number] = part
        if isinstance(part, Text):
            self._texts[number] = []
        return number

    def _text(self, event: TextDelta, said: list[Event]) -> None:
        number = self._at.get(event.index)
        if number is None:
            return
        text = event.text
        if event.index == self._trimmed and self._overlap is not None:
            text = self._overlap.feed(text)
            if not text:
                return
        self._say(number, text, event.choice, said)

    def _say(self, number: int, text: str, choice: int, said: list[Event]) -> None:
        pieces = self._texts.get(number)
        if pieces is not None:
            pieces.append(text)
        said.append(TextDelta(index=number, text=text, choice=choice))

    def _more(self, event: ArgumentsDelta | ProofDelta | ExtraDelta, said: list[Event]) -> None:
        held = self._held.get(event.index)
        if held is not None:
            held.append(event)
            return
        number = self._at.get(event.index)
        # A proof of the rest does not vouch for the whole.
        if number is None or (event.index == self._trimmed and isinstance(event, ProofDelta)):
            return
        said.append(msgspec.structs.replace(event, index=number, rest=None))

    def _end(self, event: PartEnd, said: list[Event]) -> None:
        held = self._held.pop(event.index, None)
        if held is not None:
            self._close_seam(said)
            self._call([*held, event], said)
            return
        number = self._at.get(event.index)
        if number is None:
            return
        final = event.part
        if event.index == self._trimmed:
            final = None  # the deltas are the truth: the final form has what was left out
            self.flush(said)
        self._open.pop(number, None)
        said.append(PartEnd(index=number, part=final, choice=event.choice))

    def flush(self, said: list[Event]) -> None:
        """Say what was held back as a possible repetition."""
        number = None if self._trimmed is None else self._at.get(self._trimmed)
        rest = "" if self._overlap is None else self._overlap.close()
        if number is not None and rest:
            self._say(number, rest, 0, said)

    def _call(self, events: list[Event], said: list[Event]) -> None:
        """Tell of a whole tool call."""
        number = self._next
        self._next += 1
        self._calls = True
        said.extend(
            msgspec.structs.replace(event, index=number, rest=None)
            for event in events
            if isinstance(event, PartStart | ArgumentsDelta | ProofDelta | ExtraDelta | PartEnd)
        )

    def _release(self, said: list[Event]) -> None:
        """Calls that their protocol does not end one by one end with the turn."""
        for index in list(self._held):
            self._end(PartEnd(index=index), said)

    def _close_seam(self, said: list[Event]) -> None:
        """The text that the last leg left open ends: this one says something else."""
        if self._seam is not None:
            said.append(PartEnd(index=self._seam))
            self._open.pop(self._seam, None)
            self._seam = None

    # --- The seam ----------------------------------------------------------------------------------------------------

    def resume(self, request: Generate, target: Target) -> Resumption:
        """How to ask a target to go on."""
        said = self.said
        if not said.strip():
            return Resumption(request=request, how="afresh", overlap=None)
        texts = [Text(text=text) for text in ("".join(pieces) for pieces in self._texts.values()) if text.strip()]
        limit = request.max_output_tokens
        if limit is not None:
            limit = max(limit - len(said) // CHARACTERS_A_TOKEN, min(limit, LEAST_OUTPUT))
        if PREFILL in target.dialect.flags and not _thinks(request):
            # Anthropic refuses a last turn that ends in spaces.
            texts[-1] = Text(text=texts[-1].text.rstrip())
            messages = (*request.messages, Message(role="assistant", parts=tuple(texts)))
            longer = msgspec.structs.replace(request, messages=messages, max_output_tokens=limit)
            return Resumption(request=longer, how="prefill", overlap=Spaces(said[len(said.rstrip()) :]))
        instruction = Message(role="user", parts=(Text(text=GO_ON),))
        messages = (*request.messages, Message(role="assistant", parts=tuple(texts)), instruction)
        longer = msgspec.structs.replace(request, messages=messages, max_output_tokens=limit)
        return Resumption(request=longer, how="instruction", overlap=Repeats(said))

    def go_on(self, overlap: Overlap | None, billed: Usage | None) -> list[Event]:
        """Another leg takes over: what has to be said before its first word. `billed` is the usage of the last."""
        said: list[Event] = []
        self._legs += 1
        self._before, self._usage = _plus(self._before, billed), None
        self.characters = 0
        self._at, self._held = {}, {}
        self._overlap, self._trimmed, self.failure = overlap, None, None
        texts = [number for number, part in self._open.items() if isinstance(part, Text)]
        self._seam = texts[-1] if texts and overlap is not None else None
        for number in list(self._open):
            if number != self._seam:
                del self._open[number]
                said.append(PartEnd(index=number))
        return said

    def end(self) -> list[Event]:
        """The end of an answer that was complete when its stream broke."""
        said: list[Event] = [PartEnd(index=number) for number in self._open]
        self._open.clear()
        self.failure = None
        if not self.finished:
            said.append(ChoiceEnd(finish=Finish(kind="tool_calls")))
        self.finished = self.ended = True
        said.append(ResponseEnd())
        return said


def _plus(before: Usage | None, usage: Usage | None) -> Usage | None:
    """The sum of what is known; what only one provider counts belongs to no sum."""
    if before is None or usage is None:
        return usage if before is None else before
    return Usage(
        input_tokens=plus(before.input_tokens, usage.input_tokens),
        output_tokens=plus(before.output_tokens, usage.output_tokens),
        cache_read=plus(before.cache_read, usage.cache_read),
        cache_write=plus(before.cache_write, usage.cache_write),
        reasoning=plus(before.reasoning, usage.reasoning),
    )


def _portable(part: Part) -> bool:
    """Whether another target can go on after such a part."""
    if isinstance(part, ToolCall):
        return not part.hosted
    return isinstance(part, Text | Reasoning)


def _thinks(request: Generate) -> bool:
    """Whether the model is asked to think, which rules out a prefilled turn at Anthropic."""
    return request.reasoning is not None and request.reasoning.mode != "off"


def resumable(request: Generate) -> bool:
    """Whether an answer to this request can be gone on with: one candidate, in words rather than in a given form."""
    form = request.output_format
    return (request.candidates or 1) == 1 and (form is None or form.kind == "text")
