"""How fast a stream is, as its reader sees it."""

from __future__ import annotations

from collections import deque

CHARACTERS_A_TOKEN = 4
"""Characters for each token, roughly; a stream says how many tokens it had only at its end."""


class Pace:
    """Tells when a stream falls below `floor` tokens a second, measured over the last `window` seconds of its text.

    A pause counts as half a window at most, so that one alone (a model that thinks, a burst that was late) is no sign.
    """

    __slots__ = ("_gaps", "_last", "_seconds", "_tokens", "floor", "window")

    def __init__(self, floor: float, window: float) -> None:
        self.floor = floor
        self.window = window
        self._gaps: deque[tuple[float, float]] = deque()
        self._last: float | None = None
        self._seconds = 0.0
        self._tokens = 0.0

    def slow(self, now: float, characters: int) -> bool:
        """Take in some text that came just now; whether the stream is too slow. Nothing is, before a whole window."""
        last, self._last = self._last, now
        if last is None:
            return False
        gap, tokens = min(now - last, self.window / 2), characters / CHARACTERS_A_TOKEN
        self._gaps.append((gap, tokens))
        self._seconds += gap
        self._tokens += tokens
        while self._seconds - self._gaps[0][0] >= self.window:
            gone, less = self._gaps.popleft()
            self._seconds -= gone
            self._tokens -= less
        return self._seconds >= self.window and self._tokens < self.floor * self._seconds
