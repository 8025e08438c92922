"""A credential that can be passed around, compared and used, but not printed or serialised by accident."""

from __future__ import annotations

import hmac
from typing import Final, NoReturn

MASK: Final = "••••••"


class Secret:
    """A secret string. Only `reveal` gives it away; `repr`, `str`, formatting, pickling and JSON do not."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself, for the one place that sends or verifies it."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    __hash__ = None  # pyright: ignore[reportAssignmentType] -- a secret is no key of a table

    def __reduce__(self) -> NoReturn:
        """Refuses: whoever may carry secrets to another process says so by `freehold.server.messages`."""
        raise TypeError("a Secret is not pickled")
