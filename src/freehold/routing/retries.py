"""What a target may be asked at second hand, so that failure does not multiply load.

Each target has a bucket of tokens. First attempts fill it by a share, and whatever comes to it because another attempt
failed or was slow (a failover, a retry, a hedge) takes one; from an empty bucket none is taken. So second-hand requests
stay below that share of the load in the long run, however many callers fail at once. A reserve, which fills up by
itself, lets a quiet target be a stand-in, too.

The scheme is Finagle's (https://finagle.github.io/blog/2016/02/08/retry-budgets: a share of 20 % above a minimum, in a
token bucket), with one difference: a stand-in is filled by the first attempts at those it stands in for as well. One
that waits behind others gets none of its own, and is needed just then.
"""

from __future__ import annotations

from typing import Final

SHARE: Final = 0.2
"""Tokens for each first attempt. Finagle's: a target that fails one time in five is still covered in full."""
RESERVE: Final = 100.0
"""Tokens of a target nobody has asked yet: when a server starts beside a dead provider, what comes before its breaker
opens moves on. Finagle's reserve, too: ten a second for ten seconds."""
REFILL: Final = 1.0
"""Tokens a second, up to the reserve: one retry in a second multiplies nobody's load."""
MOST: Final = 1000.0
"""Tokens at most: all the exchanges that a worker has open (`limits.streams`) may move once when a target dies."""
MOST_KNOWN: Final = 4096
"""Targets remembered: callers choose models, and must not fill memory."""


class _Bucket:
    """The bucket of one target."""

    __slots__ = ("at", "counted", "firsts", "tokens")

    def __init__(self) -> None:
        self.firsts = 0
        """First attempts at it."""
        self.tokens = RESERVE
        self.at = 0.0
        self.counted: dict[str, int] = {}
        """How many first attempts at whom have filled it already."""


class Retries:
    """The buckets of all targets in one process. A first attempt costs an addition; all else is done when one fails."""

    def __init__(self) -> None:
        self._buckets: dict[str, _Bucket] = {}

    def first(self, target: str) -> None:
        """An exchange asks its first target."""
        bucket = self._buckets.get(target)
        if bucket is None:
            bucket = self._add(target)
        bucket.firsts += 1

    def take(self, target: str, first: str, now: float, share: float = SHARE) -> bool:
        """Whether a target may be asked at second hand by an exchange that asked `first` first; counts it, if so."""
        bucket = self._buckets.get(target)
        if bucket is None:
            bucket = self._add(target)
            bucket.at = now
        if bucket.tokens < RESERVE:
            bucket.tokens = min(RESERVE, bucket.tokens + max(0.0, now - bucket.at) * REFILL)
        bucket.at = now
        for name in {target, first}:
            origin = self._buckets.get(name)
            if origin is not None:
                new = origin.firsts - bucket.counted.get(name, 0)
                bucket.counted[name] = origin.firsts
                bucket.tokens = min(MOST, bucket.tokens + max(0, new) * share)
        if bucket.tokens < 1.0:
            return False
        bucket.tokens -= 1.0
        return True

    def _add(self, target: str) -> _Bucket:
        if len(self._buckets) >= MOST_KNOWN:
            del self._buckets[next(iter(self._buckets))]
        bucket = self._buckets[target] = _Bucket()
        return bucket
