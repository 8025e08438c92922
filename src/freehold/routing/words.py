"""What one process tells the others of how targets are doing. Times are on the machine's monotonic clock."""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class Opened(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A breaker opened, of a target or of a domain: the next probe may go at `until`, and after it `lasts` seconds."""

    name: str
    domain: bool
    until: float
    lasts: float


class Closed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Somebody was answered: the breaker is closed."""

    name: str
    domain: bool


class Down(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The breaker of one of a domain's targets is open."""

    domain: str
    target: str


class Cooling(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A target asked to be left alone."""

    target: str
    until: float


class Disabled(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An operator took a target out."""

    target: str
    reason: str


class Enabled(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An operator put a target back."""

    target: str


class TakenOut(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A drill has taken a domain out; a time that is over ends it."""

    domain: str
    until: float


class Figures(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """How fast a target has been, and how often it failed; see `Standing`."""

    target: str
    first_token: float | None
    speed: float | None
    errors: float


Word: TypeAlias = Opened | Closed | Down | Cooling | Disabled | Enabled | TakenOut | Figures
