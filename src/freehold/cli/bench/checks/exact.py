"""The answer is this text."""

from __future__ import annotations

import msgspec


class Exact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="exact"):
    """The answer is `text`, white space around it aside."""

    text: str

    def score(self, answer: str) -> float:
        """1 or 0."""
        return float(answer.strip() == self.text.strip())
