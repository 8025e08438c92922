"""Streamed answers, written: canonical events to AWS event-stream messages."""

from __future__ import annotations

from collections.abc import Sequence

from freehold.ir import (
    SEALED,
    ArgumentsDelta,
    ChoiceEnd,
    ErrorEnd,
    Event,
    Extra,
    ExtraDelta,
    Inline,
    JsonObject,
    JsonValue,
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
    ResponseEnd,
    ResponseStart,
    Text,
    TextDelta,
    ToolCall,
    Usage,
    UsageDelta,
    write_json,
)
from freehold.ir.fold import merge_usage
from freehold.protocols.aws_errors import failure_frame
from freehold.protocols.bedrock_converse.language import LANGUAGE, NAME, ours, repeat
from freehold.protocols.bedrock_converse.media import write_media
from freehold.protocols.bedrock_converse.parts import usable_proof, write_redacted
from freehold.protocols.bedrock_converse.reading import FRAME, IMPLIED
from freehold.protocols.bedrock_converse.response import MORE_FIELDS, speak, write_finish
from freehold.protocols.bedrock_converse.usage import write_usage
from freehold.protocols.codec import Frame, Stamp


class _Block:
    """A block on its way: what it carries, its number once it is on the wire, and what was said of it."""

    __slots__ = ("index", "part", "path", "proven", "said")

    def __init__(self, part: Part, path: str) -> None:
        self.part = part
        self.path = path
        self.index: int | None = None
        self.said = False
        self.proven = False


class ConverseStreamEncoder:
    """Writes one streamed answer. Blocks are numbered when they are first said; empty ones are never begun."""

    __slots__ = ("_blocks", "_calls", "_count", "_losses", "_native", "_stamp", "_usage", "losses")

    def __init__(self, stamp: Stamp) -> None:
        self._stamp = stamp
        self._losses = Losses()
        self.losses: list[Loss] = self._losses.items
        self._native = False
        self._blocks: dict[int, _Block] = {}
        self._count = 0
        self._calls = False
        self._usage: Usage | None = None

    def feed(self, events: Sequence[Event]) -> list[Frame]:
        """The frames of one batch."""
        frames: list[Frame] = []
        for event in events:
            match event:
                case TextDelta() | ArgumentsDelta():
                    block = self._block(event.index, event.choice)
                    if block is not None and (event.text or self._native):
                        self._say(block, event.text, event.rest, frames)
                case PartStart():
                    self._part_start(event, frames)
                case PartEnd():
                    self._part_end(event, frames)
                case ProofDelta():
                    block = self._block(event.index, event.choice)
                    if block is not None:
                        self._prove(block, event.proof, event.rest, frames)
                case ExtraDelta():
                    self._extra(event, frames)
                case UsageDelta():
                    self._usage_delta(event, frames)
                case Pulse(rest=rest):
                    _repeat_frame(rest, frames)
                case ResponseStart():
                    self._start(event, frames)
                case ChoiceEnd():
                    self._choice_end(event, frames)
                case ResponseEnd():
                    self._end(event, frames)
                case ErrorEnd(failure=failure):
                    frames.append(failure_frame(failure, LANGUAGE))
        return frames

    def _start(self, event: ResponseStart, frames: list[Frame]) -> None:
        self._native = event.response.origin == NAME
        self._usage = merge_usage(self._usage, event.response.usage)
        if not self._native:
            self._losses.drop_extra(event.response.extra, "")
        if event.rest is not IMPLIED:
            frames.append(_frame("messageStart", {"role": "assistant"}, event.rest))

    def _block(self, index: int, choice: int) -> _Block | None:
        return self._blocks.get(index) if choice == 0 else None

    # --- Parts

    def _part_start(self, event: PartStart, frames: list[Frame]) -> None:
        path = f"choices[{event.choice}].parts[{event.index}]"
        if event.choice != 0:
            self._losses.add(path, "dropped", "content", "a Converse answer has one candidate")
            return
        part: Part | None = event.part
        if not self._native:
            part = speak(event.part, event.index, self._losses, self._stamp, path)
        if part is None:
            return
        self._blocks[event.index] = block = _Block(part, path)
        match part:
            case ToolCall():
                self._calls = self._calls or not part.hosted
                start: JsonObject = {"toolUseId": part.id, "name": part.name}
                repeat(part.extra, start, self._losses, path)
                frames.append(self._start_frame(block, {"toolUse": start}, event.rest))
                if part.arguments:
                    self._say(block, part.arguments, None, frames)
            case Text():
                if part.text:
                    self._say(block, part.text, event.rest, frames)
                self._cite(block, ours(part.extra) or {}, None, frames)
            case Reasoning():
                if part.text:
                    self._say(block, part.text, event.rest, frames)
                if part.proof is not None:
                    self._prove(block, part.proof, event.rest, frames)
            case Media():
                self._picture(block, part, frames)
            case Opaque():
                self._whole(block, part, event.rest, frames)
            case _:
                self._losses.add(path, "dropped", "content", f"a streamed answer has no {type(part).__name__}")

    def _number(self, block: _Block) -> int:
        if block.index is None:
            block.index = self._count
            self._count += 1
        return block.index

    def _start_frame(self, block: _Block, start: JsonObject, rest: Extra | None) -> Frame:
        return _frame("contentBlockStart", {"contentBlockIndex": self._number(block), "start": start}, rest)

    def _delta_frame(self, block: _Block, delta: JsonObject, rest: Extra | None) -> Frame:
        return _frame("contentBlockDelta", {"contentBlockIndex": self._number(block), "delta": delta}, rest)

    def _say(self, block: _Block, text: str, rest: Extra | None, frames: list[Frame]) -> None:
        block.said = True
        match block.part:
            case ToolCall():
                delta: JsonObject = {"toolUse": {"input": text}}
            case Reasoning():
                delta = {"reasoningContent": {"text": text}}
            case _:
                delta = {"text": text}
        frames.append(self._delta_frame(block, delta, rest))

    def _prove(self, block: _Block, proof: Proof, rest: Extra | None, frames: list[Frame]) -> None:
        part = block.part
        usable = usable_proof(proof)
        if not isinstance(part, Reasoning) or usable is None:
            self._losses.add(f"{block.path}.proof", "dropped", "behaviour", f"a proof of {proof.origin}")
            return
        block.proven = True
        # A seal without words travels as redacted content, which every client echoes.
        redacted = part.redacted or (usable.origin == SEALED and not block.said)
        inner: JsonObject = {"redactedContent": write_redacted(usable)} if redacted else {"signature": usable.value}
        frames.append(self._delta_frame(block, {"reasoningContent": inner}, rest))

    def _cite(self, block: _Block, fields: JsonObject, rest: Extra | None, frames: list[Frame]) -> None:
        citations = fields.get("citations")
        if isinstance(citations, list):
            frames.extend(self._delta_frame(block, {"citation": citation}, rest) for citation in citations)

    def _picture(self, block: _Block, part: Media, frames: list[Frame]) -> None:
        """Pictures are the only media that a stream can carry."""
        wire = write_media(part, self._losses, block.path)
        image = None if wire is None else wire.get("image")
        if isinstance(image, dict) and isinstance(part.source, Inline):
            frames.append(self._start_frame(block, {"image": {"format": image["format"]}}, None))
            frames.append(self._delta_frame(block, {"image": {"source": image["source"]}}, None))
        elif wire is not None:
            self._losses.add(block.path, "dropped", "content", f"a streamed answer has no {part.kind}")

    def _whole(self, block: _Block, part: Opaque, rest: Extra | None, frames: list[Frame]) -> None:
        """A block that only this language understands: begun, or given whole; an empty one begins with its delta."""
        for kind, value in part.value.items():
            if not isinstance(value, dict) or kind not in ("toolResult", "image"):
                self._losses.add(block.path, "dropped", "content", f"a streamed answer has no {kind}")
                return
            start = {name: item for name, item in value.items() if name != "content"}
            frames.append(self._start_frame(block, {kind: start}, rest))
            if "content" in value:
                frames.append(self._delta_frame(block, {kind: value["content"]}, None))

    def _extra(self, event: ExtraDelta, frames: list[Frame]) -> None:
        block = self._block(event.index, event.choice)
        if block is None:
            return
        fields = ours(event.extra)
        if fields is None:
            self._losses.drop_extra(event.extra, block.path)
        elif isinstance(block.part, Text) and "citations" in fields:
            self._cite(block, fields, event.rest, frames)
        elif self._native:
            frames.append(self._delta_frame(block, fields, event.rest))

    def _part_end(self, event: PartEnd, frames: list[Frame]) -> None:
        block = self._blocks.pop(event.index, None) if event.choice == 0 else None
        if block is None:
            return
        final = event.part
        match final:
            case Text() | Reasoning() if final.text and not block.said:
                self._say(block, final.text, None, frames)
            case ToolCall() if final.arguments and not block.said:
                self._say(block, final.arguments, None, frames)
            case _:
                pass
        if isinstance(final, Reasoning) and final.proof is not None and not block.proven:
            self._prove(block, final.proof, None, frames)
        if block.index is not None and event.rest is not IMPLIED:
            frames.append(_frame("contentBlockStop", {"contentBlockIndex": block.index}, event.rest))

    # --- Ends

    def _usage_delta(self, event: UsageDelta, frames: list[Frame]) -> None:
        if event.rest is not None and ours(event.rest) is not None:
            value: JsonObject = {"usage": write_usage(event.usage, self._losses)}
            frames.append(_frame("metadata", value, event.rest))
            return
        self._usage = merge_usage(self._usage, event.usage)

    def _choice_end(self, event: ChoiceEnd, frames: list[Frame]) -> None:
        if event.choice != 0:
            return
        value: JsonObject = {}
        if event.finish is not None or not self._native:
            value["stopReason"] = write_finish(event.finish, self._losses, calls=self._calls)
        said = ours(event.extra)
        if said is None:
            self._losses.drop_extra(event.extra, "choices[0]")
        elif MORE_FIELDS in said:
            value[MORE_FIELDS] = said[MORE_FIELDS]
        frames.append(_frame("messageStop", value, event.rest))

    def _end(self, event: ResponseEnd, frames: list[Frame]) -> None:
        if event.rest is IMPLIED:
            return
        value: JsonObject = {}
        rest = ours(event.rest)
        if self._usage is not None or rest is None:
            value["usage"] = write_usage(self._usage, self._losses)
        repeat(event.extra, value, self._losses, "")
        if rest is None:
            # Demanded by the service model; nobody measured it.
            value.setdefault("metrics", {"latencyMs": 0})
        elif "p" in rest:
            value["p"] = rest["p"]
        frames.append(Frame(event="metadata", data=write_json(value)))


def _frame(name: str, value: JsonObject, rest: Extra | None) -> Frame:
    """A frame, with what was left of it if it was one of this language."""
    if rest is not None and rest.origin is LANGUAGE:
        value = {**value, **rest.fields}
    return Frame(event=name, data=write_json(value))


def _repeat_frame(rest: Extra | None, frames: list[Frame]) -> None:
    said = ours(rest)
    if said is None:
        return
    name: JsonValue = said.get(FRAME)
    if isinstance(name, str):
        frames.append(Frame(event=name or None, data=write_json(said["value"])))
