"""The answer holds what a regular expression describes."""

from __future__ import annotations

import re

import msgspec


class Regex(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="regex"):
    """`pattern`, in Python's syntax, is found anywhere in the answer; `^` and `$` tie it to the answer's ends."""

    pattern: str

    def __post_init__(self) -> None:
        """Raises ValueError for what is no regular expression."""
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(f"`{self.pattern}` is no regular expression: {error}") from None

    def score(self, answer: str) -> float:
        """1 or 0."""
        return float(re.search(self.pattern, answer) is not None)
