"""Names that nobody else in a request has, where a protocol's alphabet makes one of several."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_ROOM: Final = 12
"""Characters that the largest number takes with what stands around it."""


class FreeNames:
    """Gives each name once, with a number behind it where it is taken; the last of many as fast as the first."""

    __slots__ = ("_longest", "_next", "_taken")

    def __init__(self, taken: Iterable[str] = (), *, longest: int = 128) -> None:
        """`longest` is the limit in characters, which the number counts against."""
        self._taken = set(taken)
        self._longest = longest
        # By the beginning that no number can cut off: names that differ only behind it share their numbers.
        self._next: dict[str, int] = {}

    def give(self, plain: str, form: str = "_{}") -> str:
        """This name, or one made of it; `form` is how the number is written."""
        free = plain[: self._longest]
        if free in self._taken:
            free = self._numbered(plain, form)
        self._taken.add(free)
        return free

    def _numbered(self, plain: str, form: str) -> str:
        stem = plain[: self._longest - _ROOM]
        number = self._next.get(stem, 1)
        while True:
            number += 1
            ending = form.format(number)
            free = plain[: self._longest - len(ending)] + ending
            if free not in self._taken:
                self._next[stem] = number
                return free
