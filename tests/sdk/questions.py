"""One conversation as the users of each official client hold it: ask, read the answer, send results, go on.

All of them are driven by the same `Question` and read into the same `Told`, from the client's own fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from tests.upstreams.scenarios import RESULTS

DESCRIPTION = "Tells the weather of a city."


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked, in no client's words."""

    text: str
    image: bool = False
    document: bool = False
    tools: bool = False
    schema: bool = False
    stop: bool = False
    system: bool = False
    think: bool = False


class Told(msgspec.Struct, kw_only=True):
    """What the client's own objects say about one answer; `prompt` as this client counts."""

    text: str = ""
    thought: str = ""
    calls: list[tuple[str, Any]] = []
    stop: str = ""
    prompt: int | None = None
    cached: int | None = None
    output: int | None = None
    reasoning: int | None = None


class Conversation(Protocol):
    """One client talking to one model."""

    cached_inside: bool
    """Whether this client's input count includes cached tokens."""
    echoes_proofs: bool
    """Whether a turn without tool calls has a place for a proof."""

    def ask(self, question: Question, *, stream: bool) -> Told: ...

    def give_results(self, *, stream: bool) -> Told:
        """Answer every call of the last turn, as `RESULTS` says."""
        ...


def result_of(arguments: Mapping[str, Any]) -> str:
    return RESULTS.get(str(arguments.get("city")), "Lisbon, Porto")
