"""Streams to answers and back: `fold` serves a unary client on a streaming upstream, `unfold` the reverse.

Law: `fold(unfold(r)) == r` for every response whose choices are numbered in order.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

import msgspec

from freehold.errors import UpstreamError, kind_of_status
from freehold.ir.events import (
    ArgumentsDelta,
    ChoiceEnd,
    ErrorEnd,
    Event,
    ExtraDelta,
    PartEnd,
    PartStart,
    ProofDelta,
    Pulse,
    ResponseEnd,
    ResponseStart,
    TextDelta,
    UsageDelta,
)
from freehold.ir.values import (
    Choice,
    Extra,
    Failure,
    Finish,
    JsonObject,
    Media,
    Part,
    Proof,
    Reasoning,
    Refusal,
    Response,
    Text,
    ToolCall,
    Usage,
)

__all__ = ["Folding", "fold", "merge_extra", "merge_usage", "raise_failure", "unfold"]


def merge_usage(earlier: Usage | None, later: Usage | None) -> Usage | None:
    """The later figures, with the earlier ones where the later are silent (WIRE_FACTS 5: key by key)."""
    if earlier is None or later is None:
        return later if earlier is None else earlier
    return Usage(
        input_tokens=earlier.input_tokens if later.input_tokens is None else later.input_tokens,
        output_tokens=earlier.output_tokens if later.output_tokens is None else later.output_tokens,
        cache_read=earlier.cache_read if later.cache_read is None else later.cache_read,
        cache_write=earlier.cache_write if later.cache_write is None else later.cache_write,
        reasoning=earlier.reasoning if later.reasoning is None else later.reasoning,
        extra=merge_extra(earlier.extra, later.extra),
    )


def merge_extra(earlier: Extra | None, later: Extra | None) -> Extra | None:
    """Both extras of one language: lists are joined, objects merged, anything else replaced by the later."""
    if earlier is None or later is None or earlier.origin is not later.origin:
        return earlier if later is None else later
    return Extra(later.origin, _merge_objects(earlier.fields, later.fields))


def _merge_objects(earlier: JsonObject, later: JsonObject) -> JsonObject:
    merged = dict(earlier)
    for name, value in later.items():
        before = merged.get(name)
        if isinstance(before, list) and isinstance(value, list):
            merged[name] = before + value
        elif isinstance(before, dict) and isinstance(value, dict):
            merged[name] = _merge_objects(before, value)
        else:
            merged[name] = value
    return merged


def raise_failure(failure: Failure) -> UpstreamError:
    """The exception that says the same as a failure met inside an answer."""
    return UpstreamError(
        failure.message,
        code=failure.code or "upstream_error",
        kind=kind_of_status(failure.status),
        upstream_status=failure.status,
        request_id=failure.request_id,
    )


class _PartFolding:
    """One part while its deltas come in."""

    __slots__ = ("chunks", "extra", "part", "proof")

    def __init__(self, part: Part) -> None:
        self.part = part
        self.chunks: list[str] = []
        self.proof: Proof | None = None
        self.extra: Extra | None = None

    def done(self) -> Part:
        part = self.part
        if not (self.chunks or self.proof or self.extra):
            return part
        if isinstance(part, Text | Refusal | Reasoning) and self.chunks:
            part = msgspec.structs.replace(part, text=part.text + "".join(self.chunks))
        elif isinstance(part, ToolCall) and self.chunks:
            part = msgspec.structs.replace(part, arguments=part.arguments + "".join(self.chunks))
        if self.proof is not None and isinstance(part, Text | Reasoning | ToolCall | Media):
            part = msgspec.structs.replace(part, proof=_join_proofs(part.proof, self.proof))
        if self.extra is not None and hasattr(part, "extra"):
            part = msgspec.structs.replace(part, extra=merge_extra(getattr(part, "extra", None), self.extra))
        return part


def _join_proofs(earlier: Proof | None, later: Proof) -> Proof:
    if earlier is None or earlier.origin != later.origin:
        return later
    return Proof(origin=later.origin, value=earlier.value + later.value)


class _ChoiceFolding:
    """One choice while its parts come in."""

    __slots__ = ("extra", "finish", "parts")

    def __init__(self) -> None:
        self.parts: dict[int, _PartFolding] = {}
        self.finish: Finish | None = None
        self.extra: Extra | None = None

    def done(self, index: int) -> Choice:
        parts = tuple(self.parts[key].done() for key in sorted(self.parts))
        return Choice(parts=parts, finish=self.finish, index=index, extra=self.extra)


class Folding:
    """A response being put together from its events. `failure` is set once the stream broke off."""

    __slots__ = ("_choices", "_start", "ended", "failure", "usage")

    def __init__(self) -> None:
        self._start: Response | None = None
        self._choices: dict[int, _ChoiceFolding] = {}
        self.usage: Usage | None = None
        self.failure: Failure | None = None
        self.ended = False

    def feed(self, events: Iterable[Event]) -> None:
        """Take in one batch."""
        for event in events:
            self._take(event)

    def _part(self, choice: int, index: int) -> _PartFolding | None:
        folding = self._choices.get(choice)
        return None if folding is None else folding.parts.get(index)

    def _choice(self, choice: int) -> _ChoiceFolding:
        return self._choices.setdefault(choice, _ChoiceFolding())

    def _take(self, event: Event) -> None:
        match event:
            case TextDelta() | ArgumentsDelta():
                part = self._part(event.choice, event.index)
                if part is not None:
                    part.chunks.append(event.text)
            case PartStart():
                self._choice(event.choice).parts[event.index] = _PartFolding(event.part)
            case PartEnd():
                if event.part is not None:
                    self._choice(event.choice).parts[event.index] = _PartFolding(event.part)
            case ProofDelta():
                part = self._part(event.choice, event.index)
                if part is not None:
                    part.proof = _join_proofs(part.proof, event.proof)
            case ExtraDelta():
                part = self._part(event.choice, event.index)
                if part is not None:
                    part.extra = merge_extra(part.extra, event.extra)
            case ChoiceEnd():
                choice = self._choice(event.choice)
                choice.finish = event.finish
                choice.extra = merge_extra(choice.extra, event.extra)
            case UsageDelta():
                self.usage = merge_usage(self.usage, event.usage)
            case ResponseStart():
                self._start = event.response
                self.usage = merge_usage(self.usage, event.response.usage)
            case ResponseEnd():
                self.ended = True
                if event.extra is not None and self._start is not None:
                    extra = merge_extra(self._start.extra, event.extra)
                    self._start = msgspec.structs.replace(self._start, extra=extra)
            case ErrorEnd():
                self.failure = event.failure
            case Pulse():
                pass
            case _:
                assert_never(event)

    def done(self) -> Response:
        """The whole answer. Raises UpstreamError if the stream broke off or never was an answer."""
        if self.failure is not None:
            raise raise_failure(self.failure)
        if self._start is None or not self.ended:
            raise UpstreamError("the provider's stream ended before its answer did", code="upstream_truncated")
        return self.so_far()

    def so_far(self) -> Response:
        """What there is of the answer, complete or not."""
        start = self._start if self._start is not None else Response(origin="", choices=())
        choices = tuple(self._choices[index].done(index) for index in sorted(self._choices))
        return msgspec.structs.replace(start, choices=choices, usage=self.usage)


def fold(batches: Iterable[Iterable[Event]]) -> Response:
    """The answer that a stream's batches make. Raises UpstreamError if it broke off."""
    folding = Folding()
    for batch in batches:
        folding.feed(batch)
    return folding.done()


def unfold(response: Response) -> list[list[Event]]:
    """The batches of a stream that folds to `response`."""
    start = msgspec.structs.replace(response, choices=(), usage=None)
    batches: list[list[Event]] = [[ResponseStart(response=start)]]
    for choice in response.choices:
        for index, part in enumerate(choice.parts):
            batches.extend(_unfold_part(choice.index, index, part))
        batches.append([ChoiceEnd(finish=choice.finish, choice=choice.index, extra=choice.extra)])
    last: list[Event] = []
    if response.usage is not None:
        last.append(UsageDelta(usage=response.usage))
    last.append(ResponseEnd())
    batches.append(last)
    return batches


def _unfold_part(choice: int, index: int, part: Part) -> list[list[Event]]:
    """Start, one delta if there is text, the proof, end: one batch each, as a provider would send them."""
    batches: list[list[Event]] = []
    empty = part
    delta: Event | None = None
    proof: Proof | None = None
    if isinstance(part, Text | Refusal | Reasoning) and part.text:
        empty = msgspec.structs.replace(part, text="")
        delta = TextDelta(index=index, text=part.text, choice=choice)
    elif isinstance(part, ToolCall) and part.arguments:
        empty = msgspec.structs.replace(part, arguments="")
        delta = ArgumentsDelta(index=index, text=part.arguments, choice=choice)
    if isinstance(empty, Reasoning) and not empty.redacted and empty.proof is not None:
        proof = empty.proof
        empty = msgspec.structs.replace(empty, proof=None)
    batches.append([PartStart(index=index, part=empty, choice=choice)])
    if delta is not None:
        batches.append([delta])
    if proof is not None:
        batches.append([ProofDelta(index=index, proof=proof, choice=choice)])
    batches.append([PartEnd(index=index, choice=choice)])
    return batches
