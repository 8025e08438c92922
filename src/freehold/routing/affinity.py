"""Which target is warm for a conversation: what providers' caches are expected to hold, from what they last reported.

A conversation is known by a digest; nothing of its words is kept. The table is bounded, the oldest conversation makes
room. What was learned of one answer is a value, so that another process can take it in, too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

from freehold.ir import Usage
from freehold.providers.schema import PromptCache
from freehold.routing.features import Candidate, Warmth

MOST_CONVERSATIONS: Final = 8192
"""Conversations remembered, some 500 bytes each."""
MOST_AHEAD: Final = 10
"""Requests that a conversation is expected to go on for at most."""
SMOOTHING: Final = 0.2
"""Weight of the newest reading in a target's rate of hits."""
MOST_UNTOLD: Final = 4096
"""Lessons kept for other processes between two reports; beyond it the oldest are not told."""


class Lesson(msgspec.Struct, frozen=True):
    """What one answer told: its target's cache holds `tokens` of a conversation since `at` (monotonic seconds).

    `hit` is the share that was read of what had been expected there, None where nothing was or nobody says.
    """

    conversation: bytes
    target: str
    tokens: float
    at: float
    hit: float | None = None


class _Conversation:
    """A conversation: its first and last request, how many there were, and which target's cache holds how much."""

    __slots__ = ("first", "last", "places", "turns")

    def __init__(self, at: float) -> None:
        self.first = self.last = at
        self.turns = 0
        self.places: dict[str, tuple[float, float]] = {}

    @property
    def gap(self) -> float:
        """Seconds between two requests on average; 0 where there was but one."""
        return (self.last - self.first) / (self.turns - 1) if self.turns > 1 else 0.0


class Affinity:
    """The warm targets of many conversations in one process."""

    def __init__(self) -> None:
        self._conversations: dict[bytes, _Conversation] = {}
        self._hits: dict[str, float] = {}
        self._untold: deque[Lesson] = deque(maxlen=MOST_UNTOLD)

    def __len__(self) -> int:
        return len(self._conversations)

    def expect(self, conversation: bytes, candidates: Sequence[Candidate], now: float) -> Warmth:
        """What the caches are expected to hold for the next request of a conversation, and for those after it."""
        known = self._conversations.get(conversation)
        cached: dict[str, float] = {}
        again: dict[str, float] = {}
        for candidate in candidates:
            cache, name = candidate.cache, candidate.name
            if cache is None:
                continue
            tokens, at = (0.0, 0.0) if known is None else known.places.get(name, (0.0, 0.0))
            hits = self._hits.get(name, 1.0)
            if tokens:
                cached[name] = tokens * hits * alive(cache, now - at)
            if tokens or cache.automatic:
                # What has to be marked is only expected to be marked again where it was before.
                again[name] = hits * alive(cache, 0.0 if known is None else known.gap)
        turns = 0 if known is None else known.turns
        return Warmth(cached=cached, again=again, ahead=float(min(max(turns, 1), MOST_AHEAD)))

    def learn(self, conversation: bytes, candidate: Candidate, usage: Usage, asked: float) -> None:
        """Take in what an answer to a request, sent at `asked`, reports; nothing where its provider has no cache."""
        cache = candidate.cache
        if cache is None:
            return
        known = self._conversations.get(conversation)
        tokens, at = (0.0, 0.0) if known is None else known.places.get(candidate.name, (0.0, 0.0))
        hit = None
        if tokens and usage.cache_read is not None and asked - at <= cache.lifetime:
            hit = min(usage.cache_read / tokens, 1.0)
        lesson = Lesson(conversation, candidate.name, _held(cache, usage), asked, hit)
        self.take(lesson)
        self._untold.append(lesson)

    def news(self) -> list[Lesson]:
        """What this process has learned since it was last asked."""
        untold = list(self._untold)
        self._untold.clear()
        return untold

    def take(self, lesson: Lesson) -> None:
        """Remember a lesson, of this process or another."""
        known = self._conversations.pop(lesson.conversation, None)
        if known is None:
            known = _Conversation(lesson.at)
            if len(self._conversations) >= MOST_CONVERSATIONS:
                del self._conversations[next(iter(self._conversations))]
        self._conversations[lesson.conversation] = known
        known.turns += 1
        known.last = max(known.last, lesson.at)
        known.places[lesson.target] = (lesson.tokens, lesson.at)
        if lesson.hit is not None:
            hits = self._hits.get(lesson.target, 1.0)
            self._hits[lesson.target] = hits + SMOOTHING * (lesson.hit - hits)


def alive(cache: PromptCache, idle: float) -> float:
    """The chance that an entry is still there after so many seconds without use.

    Certain within the documented lifetime, none after the longest, and falling evenly in between.
    """
    if idle <= cache.lifetime:
        return 1.0
    longest = cache.longest or cache.lifetime
    return (longest - idle) / (longest - cache.lifetime) if idle < longest else 0.0


def _held(cache: PromptCache, usage: Usage) -> float:
    """Tokens of a request that the cache holds after it: all of a long one, or what was marked, read and written."""
    if not cache.automatic:
        return float((usage.cache_read or 0) + (usage.cache_write or 0))
    tokens = usage.input_tokens or 0
    return float(tokens) if tokens >= cache.least else 0.0
