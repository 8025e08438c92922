"""Counting text with the vocabularies that ship in the wheel of splintr: nothing is fetched, now or later.

A vocabulary is loaded when it is first needed (a tenth of a second, some 40 MB) and kept.
"""

from __future__ import annotations

from functools import cache
from typing import Protocol

SLICE = 16_384
"""Characters that are counted in one go: the library holds the interpreter meanwhile, some 4 ms for these."""


class _Encoder(Protocol):
    def encode_ordinary(self, text: str) -> list[int]: ...


@cache
def _encoder(vocabulary: str) -> _Encoder:
    from splintr import Tokenizer  # noqa: PLC0415 -- 40 MB of vocabularies, which only counting needs

    return Tokenizer.from_pretrained(vocabulary)


def count_text(text: str, vocabulary: str) -> int:
    """The tokens of a text, in which the marks of chat templates are text like any other."""
    encode = _encoder(vocabulary).encode_ordinary
    if len(text) <= SLICE:
        return len(encode(text))
    total = start = 0
    while start < len(text):
        end = _cut(text, start)
        total += len(encode(text[start:end]))
        start = end
    return total


def _cut(text: str, start: int) -> int:
    """Where the slice ends: before a space that follows a letter, where no token of these vocabularies crosses.

    A text without such a place is cut where the slice is full, which adds a token at most.
    """
    end = start + SLICE
    if end >= len(text):
        return len(text)
    at = text.rfind(" ", start + 1, end)
    while at > start:
        before = text[at - 1]
        if before.isascii() and before.isalpha():
            return at
        at = text.rfind(" ", start + 1, at)
    return end
