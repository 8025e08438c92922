"""What a well-formed stream of events is, as a table that tests, docs and the checker read alike."""

from __future__ import annotations

from collections.abc import Iterable

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

TRANSITIONS: dict[str, dict[type, str]] = {
    "idle": {ResponseStart: "open", Pulse: "idle", UsageDelta: "idle", ErrorEnd: "done"},
    "open": {
        PartStart: "open",
        TextDelta: "open",
        ArgumentsDelta: "open",
        ProofDelta: "open",
        ExtraDelta: "open",
        PartEnd: "open",
        ChoiceEnd: "open",
        UsageDelta: "open",
        Pulse: "open",
        ResponseEnd: "done",
        ErrorEnd: "done",
    },
    "done": {},
}
"""State of the stream and event → next state; what is not listed is a fault."""


class GrammarError(Exception):
    """A stream of events that no decoder may produce."""


class Grammar:
    """Checks events one by one: `check` raises GrammarError at the first that may not come."""

    def __init__(self) -> None:
        self.state = "idle"
        self._open: set[tuple[int, int]] = set()
        self._used: set[tuple[int, int]] = set()
        self._ended: set[int] = set()

    def check(self, event: Event) -> None:
        """Take one event. Raises GrammarError."""
        following = TRANSITIONS[self.state].get(type(event))
        if following is None:
            raise GrammarError(f"{type(event).__name__} while {self.state}")
        self._check_part(event)
        if isinstance(event, ResponseEnd) and self._open:
            raise GrammarError(f"ResponseEnd with open parts {sorted(self._open)}")
        self.state = following

    def _check_part(self, event: Event) -> None:
        match event:
            case PartStart():
                key = (event.choice, event.index)
                if key in self._used:
                    raise GrammarError(f"part {key} starts twice")
                if event.choice in self._ended:
                    raise GrammarError(f"part {key} starts after its choice ended")
                self._used.add(key)
                self._open.add(key)
            case TextDelta() | ArgumentsDelta() | ProofDelta() | ExtraDelta() | PartEnd():
                key = (event.choice, event.index)
                if key not in self._open:
                    raise GrammarError(f"{type(event).__name__} for part {key}, which is not open")
                if isinstance(event, PartEnd):
                    self._open.remove(key)
            case ChoiceEnd():
                if event.choice in self._ended:
                    raise GrammarError(f"choice {event.choice} ends twice")
                if any(choice == event.choice for choice, _ in self._open):
                    raise GrammarError(f"choice {event.choice} ends with open parts")
                self._ended.add(event.choice)
            case _:
                pass


def check_stream(batches: Iterable[Iterable[Event]]) -> None:
    """Raises GrammarError unless the batches are one complete, well-formed stream."""
    grammar = Grammar()
    for batch in batches:
        for event in batch:
            grammar.check(event)
    if grammar.state != "done":
        raise GrammarError(f"the stream stops while {grammar.state}")
