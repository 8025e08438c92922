"""Putting another language's parts into the order of a message stream: one block at a time, numbered from 0."""

from __future__ import annotations

import msgspec

from freehold.ir import (
    ArgumentsDelta,
    Event,
    Extra,
    ExtraDelta,
    Losses,
    Opaque,
    Part,
    PartEnd,
    PartStart,
    ProofDelta,
    Reasoning,
    Refusal,
    Structured,
    Text,
    TextDelta,
    ToolCall,
    write_json,
)
from freehold.protocols.anthropic_messages.parts import usable_proof
from freehold.protocols.codec import Stamp

PartEvent = PartStart | TextDelta | ArgumentsDelta | ProofDelta | ExtraDelta | PartEnd


class _Block(msgspec.Struct):
    """The part that is being said: as it began, its number once it is on the wire, and what was sent of it."""

    key: int
    part: Part
    index: int | None = None
    sent: bool = False
    proven: bool = False


def made_id(stamp: Stamp, index: int) -> str:
    """The id of a tool call to which its provider gave none."""
    return f"toolu_{stamp.id}_{index}"


class Sequencer:
    """Takes part events in any order and gives them block by block.

    A text or thinking block ends when the next part begins; what comes for it later becomes a block of its own.
    Parts that begin while a tool call is open wait for its end.  Blocks that would stay empty are not begun.
    """

    __slots__ = ("_closed", "_count", "_live", "_losses", "_noted", "_stamp", "_waiting")

    def __init__(self, losses: Losses, stamp: Stamp) -> None:
        self._losses = losses
        self._stamp = stamp
        self._count = 0
        self._live: _Block | None = None
        self._closed: dict[int, Part] = {}
        self._waiting: dict[int, list[PartEvent]] = {}
        self._noted: set[str] = set()

    def number_in_flow(self, event: TextDelta) -> int | None:
        """The number of the block on the wire that this text merely continues; None if there is more to it."""
        live = self._live
        if live is None or live.key != event.index or event.choice != 0 or self._waiting or not event.text:
            return None
        return live.index if live.sent and not isinstance(live.part, ToolCall) else None

    def feed(self, event: PartEvent) -> list[Event]:
        """The events that may be written now."""
        if event.choice != 0:
            self._note(f"choices[{event.choice}]", "content", "a message has one candidate")
            return []
        waiting = self._waiting.get(event.index)
        if waiting is not None:
            waiting.append(event)
            return []
        live = self._live
        if isinstance(event, PartStart):
            return self._start(event)
        if live is not None and live.key == event.index:
            return self._go_on(live, event)
        return self._late(event)

    def _note(self, path: str, effect: str, detail: str) -> None:
        if path not in self._noted:
            self._noted.add(path)
            self._losses.add(path, "dropped", "content" if effect == "content" else "behaviour", detail)

    def _note_extra(self, extra: Extra | None, path: str) -> None:
        if extra is not None:
            fresh = {name: value for name, value in extra.fields.items() if f"{path}.{name}" not in self._noted}
            self._noted.update(f"{path}.{name}" for name in fresh)
            self._losses.drop_extra(Extra(extra.origin, fresh), path)

    def _start(self, event: PartStart) -> list[Event]:
        path = f"choices[0].parts[{event.index}]"
        part = self._speakable(event.part, event.index, path)
        if part is None:
            return []
        live = self._live
        if self._waiting or (live is not None and isinstance(live.part, ToolCall)):
            self._waiting[event.index] = [PartStart(index=event.index, part=part)]
            return []
        events = [] if live is None else self._close(live)
        self._live = block = _Block(key=event.index, part=part)
        match part:
            case Text(text=text) if text:
                events.extend(self._say(block, TextDelta(index=0, text=text)))
            case Reasoning():
                if part.redacted:
                    events.extend(self._begin(block))
                if part.text:
                    events.extend(self._say(block, TextDelta(index=0, text=part.text)))
                if part.proof is not None and not part.redacted:
                    events.extend(self._prove(block, ProofDelta(index=0, proof=part.proof)))
            case ToolCall():
                events.extend(self._begin(block))
                if part.arguments:
                    events.extend(self._say(block, ArgumentsDelta(index=0, text=part.arguments)))
            case _:
                pass
        return events

    def _speakable(self, part: Part, index: int, path: str) -> Part | None:
        """The part as this language may begin it; None, noted, if it has no words for it."""
        match part:
            case Text():
                self._note_extra(part.extra, path)
                if part.proof is not None:
                    self._note(f"{path}.proof", "behaviour", "signed text")
                return Text(text=part.text)
            case Refusal():
                self._losses.add(path, "approximated", "behaviour", "a refusal is said as text")
                return Text(text=part.text)
            case Structured():
                return Text(text=write_json(part.value).decode())
            case Reasoning():
                self._note_extra(part.extra, path)
                proof = part.proof if usable_proof(part.proof) is not None else None
                if part.proof is not None and proof is None:
                    self._note(f"{path}.proof", "behaviour", f"a proof of {part.proof.origin}")
                if part.redacted and proof is None:
                    return None
                return Reasoning(text=part.text, proof=proof, redacted=part.redacted)
            case ToolCall():
                if part.hosted:
                    self._note(path, "content", "a call that another provider ran")
                    return None
                self._note_extra(part.extra, path)
                if part.proof is not None:
                    self._note(f"{path}.proof", "behaviour", f"a proof of {part.proof.origin}")
                call_id = part.id or made_id(self._stamp, index)
                return ToolCall(id=call_id, name=part.name, arguments=part.arguments)
            case Opaque():
                self._losses.drop_opaque(part, path)
                return None
            case _:
                self._note(path, "content", f"a model's message has no {type(part).__name__} here")
                return None

    def _begin(self, block: _Block) -> list[Event]:
        """The start of the block on the wire, once."""
        if block.index is not None:
            return []
        block.index = self._count
        self._count += 1
        part = block.part
        match part:
            case Text():
                part = Text(text="")
            case Reasoning():
                part = part if part.redacted else Reasoning(text="")
            case ToolCall():
                part = ToolCall(id=part.id, name=part.name, arguments="")
            case _:
                pass
        return [PartStart(index=block.index, part=part)]

    def _say(self, block: _Block, event: TextDelta | ArgumentsDelta) -> list[Event]:
        if not event.text:
            return []
        events = self._begin(block)
        block.sent = True
        index = block.index or 0
        if isinstance(block.part, ToolCall):
            events.append(ArgumentsDelta(index=index, text=event.text))
        else:
            events.append(TextDelta(index=index, text=event.text))
        return events

    def _prove(self, block: _Block, event: ProofDelta) -> list[Event]:
        if not isinstance(block.part, Reasoning) or usable_proof(event.proof) is None:
            path = f"choices[0].parts[{block.key}].proof"
            self._note(path, "behaviour", f"a proof of {event.proof.origin}")
            return []
        events = self._begin(block)
        block.proven = True
        events.append(ProofDelta(index=block.index or 0, proof=event.proof))
        return events

    def _go_on(self, block: _Block, event: PartEvent) -> list[Event]:
        match event:
            case TextDelta() | ArgumentsDelta():
                return self._say(block, event)
            case ProofDelta():
                return self._prove(block, event)
            case ExtraDelta():
                self._note_extra(event.extra, f"choices[0].parts[{block.key}]")
                return []
            case PartEnd():
                events = self._finish(block, event.part)
                events.extend(self._close(block))
                events.extend(self._resume())
                return events
            case PartStart():
                return []

    def _finish(self, block: _Block, final: Part | None) -> list[Event]:
        """What a part's final form says that its deltas did not."""
        if final is None:
            return []
        match final:
            case Text() | Refusal() if not block.sent:
                return self._say(block, TextDelta(index=0, text=final.text))
            case ToolCall() if not block.sent:
                return self._say(block, ArgumentsDelta(index=0, text=final.arguments))
            case Reasoning() if isinstance(block.part, Reasoning) and not block.part.redacted:
                events = [] if block.sent else self._say(block, TextDelta(index=0, text=final.text))
                if final.proof is not None and not block.proven:
                    events.extend(self._prove(block, ProofDelta(index=0, proof=final.proof)))
                return events
            case _:
                return []

    def _close(self, block: _Block) -> list[Event]:
        self._live = None
        self._closed[block.key] = block.part
        return [] if block.index is None else [PartEnd(index=block.index)]

    def _resume(self) -> list[Event]:
        """What waited for a tool call to end."""
        events: list[Event] = []
        while self._waiting and self._live is None:
            waiting, self._waiting = self._waiting, {}
            for queued in waiting.values():
                for event in queued:
                    events.extend(self.feed(event))
        return events

    def _late(self, event: PartEvent) -> list[Event]:
        """More of a part whose block has ended already: a block of its own."""
        part = self._closed.get(event.index)
        if part is None or isinstance(part, ToolCall) or not isinstance(event, TextDelta | ProofDelta):
            return []
        again = Reasoning(text="") if isinstance(part, Reasoning) else Text(text="")
        return [*self.feed(PartStart(index=event.index, part=again)), *self.feed(event)]
