"""Whether requests continue others: from sessions, from hashes of their pieces, from cache reads, else from lengths.

A conversation sends all that was said before once more, so that one request's input lies within the next one's. Where
nothing names conversations, lengths may betray them: the next input is a little longer than input and answer of one
that the same key sent a moment ago. That happens by chance as well, and how often, the lengths on both sides of that
window tell. What is left after subtracting are continuations: a lower bound, for conversations of many people under one
key drown in each other. So lengths can say that a workload is stateful, never that it is not.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Final, Literal, TypeAlias, cast

import msgspec

from freehold.cli.advise.rows import Use

Verdict: TypeAlias = Literal["stateful", "shared prefix", "stateless", "unknown"]

LEAST: Final = 100
"""Requests, below which nothing is said: a share is known to ten points then at best."""
STATEFUL: Final = 0.3
"""Share of requests that continue another from which a workload is stateful: every third pays for a warm place."""
SETTLED: Final = 3600.0
"""Seconds to be watched before a workload is called stateless: what the first requests continue came before them."""
SHARED: Final = 0.2
"""Share of the input that is read from a cache, or was sent before, from which a place with a cache pays."""
GROWN: Final = 0.5
"""Part of an input that another one's whole input has to make up to be what it continues."""
NEWS: Final = 512
"""Tokens that a turn adds at most, beside the answer before it, to be found by lengths alone."""
NEAREST: Final = 8
"""Requests of a key that are remembered to be continued: with more of them, chance drowns what is there."""
_MEMORY: Final = 200_000
"""What is remembered of all workloads together, some 60 MB: sessions, pieces, keys. The longest unused goes first."""
_Z: Final = 1.959963984540054


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One reason for a verdict: `share` between the ends of its 95 % interval, where it has one."""

    kind: Literal["sessions", "pieces", "cache reads", "lengths"]
    says: Verdict
    share: float
    low: float
    high: float
    why: str


class State(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict, and all evidence, the best first."""

    verdict: Verdict
    evidence: tuple[Evidence, ...]


class Memory:
    """What all workloads remember together, bounded; each has a name of its own in the keys."""

    def __init__(self, most: int = _MEMORY) -> None:
        self._kept: OrderedDict[tuple[object, ...], object] = OrderedDict()
        self._most = most

    def get(self, key: tuple[object, ...]) -> object:
        """What is kept under a key; None where nothing is, or is no longer."""
        return self._kept.get(key)

    def put(self, key: tuple[object, ...], value: object) -> None:
        """Keep a value until it is the longest unused of too many."""
        self._kept[key] = value
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)


class _Sessions:
    """Requests that name their conversation."""

    def __init__(self, memory: Memory, name: object) -> None:
        self._memory = memory
        self._name = name
        self.named = 0
        self.grown = 0

    def add(self, use: Use, session: str) -> None:
        """One that does."""
        self.named += 1
        key = (self._name, "session", session)
        before = self._memory.get(key)
        self.grown += isinstance(before, int) and use.input >= before
        self._memory.put(key, use.input)

    def report(self, count: int) -> Evidence | None:
        """None where too few name one."""
        if self.named < max(LEAST, count / 2):
            return None
        low, high = _interval(self.grown, self.named)
        return Evidence(
            kind="sessions",
            says="stateful" if low >= STATEFUL else "stateless" if high < STATEFUL else "unknown",
            share=round(self.grown / self.named, 4),
            low=low,
            high=high,
            why=f"{self.grown} of {self.named} requests continue a session and are as long as what they continue",
        )


class _Pieces:
    """Requests whose inputs are known by the hashes of their pieces."""

    def __init__(self, memory: Memory, name: object) -> None:
        self._memory = memory
        self._name = name
        self.count = 0
        self.continued = 0
        self.pieces = 0
        self.repeated = 0

    def add(self, blocks: tuple[object, ...]) -> None:
        """One input; its last piece is not whole, so the next one's differs."""
        chain, longest = 0, -1
        self.count += 1
        self.pieces += len(blocks)
        for place, block in enumerate(blocks):
            chain = hash((chain, block))
            key = (self._name, chain)
            ended = self._memory.get(key)
            self.repeated += ended is not None
            if ended:
                longest = place
            # Whether an input has ended here, but for its last piece.
            self._memory.put(key, bool(ended) or place == len(blocks) - 2)
        self.continued += longest >= 0 and longest + 1 >= GROWN * len(blocks)

    def report(self, count: int) -> Evidence | None:
        """None where too few have any."""
        if self.count < max(LEAST, count / 2) or not self.pieces:
            return None
        low, high = _interval(self.continued, self.count)
        repeated = self.repeated / self.pieces
        told: Verdict = "stateful" if low >= STATEFUL else "shared prefix" if repeated >= SHARED else "stateless"
        return Evidence(
            kind="pieces",
            says=told,
            share=round(self.continued / self.count, 4),
            low=low,
            high=high,
            why=f"{self.continued} of {self.count} inputs begin with another's whole input; {repeated:.0%} of their "
            "pieces had been sent before",
        )


class _Lengths:
    """Requests of which nothing but the lengths is known, and who sent them."""

    def __init__(self, memory: Memory, name: object) -> None:
        self._memory = memory
        self._name = name
        self._count = 0
        self._sum = 0.0
        self._squares = 0.0

    def add(self, use: Use) -> None:
        """One request: how many it may continue, less how many would fit by chance."""
        key = (self._name, "key", use.source)
        kept = self._memory.get(key)
        ends = cast("tuple[int, ...]", kept) if isinstance(kept, tuple) else ()
        excess = 0.0
        for end in ends:
            more = use.input - end
            if 0 <= more < NEWS:
                excess += 1.0
            elif -NEWS <= more < 2 * NEWS:
                excess -= 0.5  # of the two windows beside it, each as wide
        self._memory.put(key, (*ends, use.input + use.output)[-NEAREST:])
        self._count += 1
        self._sum += excess
        self._squares += excess * excess

    def report(self) -> Evidence | None:
        """None where it proves nothing."""
        if self._count < LEAST:
            return None
        mean = self._sum / self._count
        reach = _Z * math.sqrt(max(self._squares / self._count - mean * mean, 0.0) / self._count)
        if mean - reach < STATEFUL:
            return None
        return Evidence(
            kind="lengths",
            says="stateful",
            share=round(min(1.0, mean), 4),
            low=round(mean - reach, 4),
            high=round(min(1.0, mean + reach), 4),
            why=f"{mean:.0%} more inputs than by chance are a little longer than one before with its answer",
        )


class Continuity:
    """Watches the requests of one workload, in the order of their time; `name` is its own in what is remembered."""

    def __init__(self, memory: Memory, name: object = None) -> None:
        self._sessions = _Sessions(memory, name)
        self._pieces = _Pieces(memory, name)
        self._lengths = _Lengths(memory, name)
        self._count = 0
        self._input = 0
        self._cached = 0
        self._reported = 0
        self._first = math.inf
        self._last = -math.inf

    def add(self, use: Use) -> None:
        """One request."""
        self._count += 1
        self._first, self._last = min(self._first, use.at), max(self._last, use.at)
        if use.session is not None:
            self._sessions.add(use, use.session)
        if use.blocks:
            self._pieces.add(use.blocks)
        self._lengths.add(use)
        if use.cached is not None:
            self._reported += 1
            self._input += use.input
            self._cached += use.cached

    def report(self) -> State:
        """The verdict: that of the best evidence which says something."""
        found = (self._sessions.report(self._count), self._pieces.report(self._count), self._lengths.report())
        evidence = [each for each in found if each is not None]
        cached = self._cache_reads()
        if cached is not None:
            evidence.append(cached)
        if self._count < LEAST:
            return State(verdict="unknown", evidence=tuple(evidence))
        evidence = [each if each.says != "stateless" or self._settled else _unsettled(each) for each in evidence]
        told: list[Verdict] = [each.says for each in evidence if each.says != "unknown"]
        if told[:1] == ["stateless"] and "shared prefix" in told:
            return State(verdict="shared prefix", evidence=tuple(evidence))
        return State(verdict=told[0] if told else "unknown", evidence=tuple(evidence))

    @property
    def _settled(self) -> bool:
        return self._last - self._first >= SETTLED

    def _cache_reads(self) -> Evidence | None:
        if self._reported < LEAST or not self._input:
            return None
        share = round(self._cached / self._input, 4)
        return Evidence(
            kind="cache reads",
            # Nothing read proves nothing: whether a place has a cache, and was asked to use it, is not known here.
            says="shared prefix" if share >= SHARED else "unknown",
            share=share,
            low=share,
            high=share,
            why=f"{share:.0%} of the input was read from the provider's cache",
        )

    @property
    def reused(self) -> float:
        """The part of the input that is known to have been sent before: by cache reads, else by pieces."""
        if self._input and self._cached:
            return self._cached / self._input
        return self._pieces.repeated / self._pieces.pieces if self._pieces.pieces else 0.0


def _unsettled(evidence: Evidence) -> Evidence:
    return msgspec.structs.replace(evidence, says="unknown", why=f"{evidence.why}; too short a time to say more")


def _interval(hits: int, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    share, square = hits / count, _Z * _Z
    centre = (share + square / (2 * count)) / (1 + square / count)
    reach = _Z / (1 + square / count) * math.sqrt(share * (1 - share) / count + square / (4 * count * count))
    return round(max(0.0, centre - reach), 4), round(min(1.0, centre + reach), 4)
