"""What a model that goes on with an answer says twice: the end of what was already said.

Both automata take the new text piece by piece and give it back without the repetition. They hold back as little as they
need to tell, `WINDOW` characters at most, and give the same text however it is cut into pieces.
"""

from __future__ import annotations

from typing import Protocol

WINDOW = 1024
"""Characters of the end of what was said that a repetition may begin in: models repeat a sentence, not a page."""
LONG_ENOUGH = 12
"""Characters from which the same words are taken for a repetition. Shorter ones happen by chance: `</div>`, `that`."""
HALF_WORD = 3
"""Letters from which a word that was cut off, and begins the new text again, is taken for one."""


class Overlap(Protocol):
    """New text in, the same without what it repeats out. `removed` counts the characters that were left out."""

    removed: int

    def feed(self, text: str) -> str:
        """What can be said of the text so far."""
        ...

    def close(self) -> str:
        """What was held back, at the end of the text."""
        ...


class Spaces:
    """For a model that goes on character by character, after a text whose last spaces it was not shown."""

    __slots__ = ("_left", "removed")

    def __init__(self, spaces: str) -> None:
        self._left = spaces
        self.removed = 0

    def feed(self, text: str) -> str:
        """The text without those of the spaces that it begins with."""
        if not self._left:
            return text
        same = 0
        while same < min(len(text), len(self._left)) and text[same] == self._left[same]:
            same += 1
        self.removed += same
        self._left = self._left[same:] if same == len(text) else ""
        return text[same:]

    def close(self) -> str:
        """Nothing is held back."""
        return ""


class Repeats:
    """For a model that was told to go on, and may begin with words that were said.

    What the new text begins with is left out where the old one ends with the same and it can hardly be chance: a whole
    answer begun again, at least `LONG_ENOUGH` characters from the beginning of a word on, or the beginning of a word
    that was cut off. Text that repeats itself anyway is not touched.
    """

    __slots__ = ("_done", "_held", "_said", "_tail", "removed")

    def __init__(self, said: str) -> None:
        self._tail = said[-WINDOW:]
        self._said = len(said)
        self._held = ""
        self._done = not said
        self.removed = 0

    def feed(self, text: str) -> str:
        """Nothing as long as the new text may still be a repetition."""
        if self._done:
            return text
        self._held += text
        # As long as it stands somewhere in the old text, more of that may follow.
        return "" if self._held in self._tail else self.close()

    def close(self) -> str:
        """The text, less the longest repetition that it begins with."""
        new, self._held, self._done = self._held, "", True
        for length in range(min(len(new), len(self._tail)), 0, -1):
            if new.startswith(self._tail[-length:]) and self._repeats(length, new):
                self.removed = length
                return new[length:]
        return new

    def _repeats(self, length: int, new: str) -> bool:
        tail = self._tail
        start = len(tail) - length
        words = tail[start:]
        letters = sum(letter.isalpha() for letter in words)
        if letters < HALF_WORD or tail[:start].endswith(words) or _repetitive(words):
            return False
        if length == self._said:
            return True
        if start == 0 or tail[start - 1].isspace() == words[0].isspace():
            return False
        if length >= LONG_ENOUGH:
            return True
        return words.isalpha() and len(new) > length and new[length].isalpha()


def _repetitive(words: str) -> bool:
    """Whether it is one thing said at least twice: such text may well go on so."""
    return any(words.startswith(words[period:]) for period in range(1, len(words) // 2 + 1))
