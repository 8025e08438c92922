"""What can be made to go wrong at an emulated cloud, and for how long."""

from __future__ import annotations

import asyncio
from typing import Final, Literal, cast, get_args

import msgspec

from freehold.errors import CallerError, ErrorKind

Fault = Literal[
    "outage",
    "reset",
    "429",
    "429-retry-after",
    "500",
    "503",
    "529",
    "stall",
    "stall-midway",
    "reset-midway",
    "garbled",
    "slow",
]

FAULTS: Final[dict[Fault, str]] = {
    "outage": "connections are refused",
    "reset": "connections are accepted and cut at once",
    "429": "rate limited, without a word about when to come back",
    "429-retry-after": "rate limited, with Retry-After: 2",
    "500": "an internal error",
    "503": "unavailable",
    "529": "overloaded",
    "stall": "takes the request and stays silent",
    "stall-midway": "begins to answer and falls silent",
    "reset-midway": "cuts the connection in the middle of an event",
    "garbled": "answers something that is not its protocol",
    "slow": "answers at 4 tokens a second",
}
"""Every fault, and what a client sees of it."""

ERRORS: Final[dict[Fault, tuple[int, ErrorKind, str]]] = {
    "429": (429, "rate_limit", "Rate limit reached for requests"),
    "429-retry-after": (429, "rate_limit", "Rate limit reached for requests"),
    "500": (500, "internal", "The server had an error while processing your request"),
    "503": (503, "unavailable", "The service is temporarily unavailable"),
    "529": (529, "overloaded", "Overloaded"),
}
"""Faults that are an error answer: status, kind and message."""

RETRY_AFTER: Final = 2.0
"""Seconds that `429-retry-after` asks for."""

SLOW: Final = 4.0
"""Tokens a second of `slow`."""


def fault_named(name: str) -> Fault:
    """The fault of that name. Raises CallerError listing those there are."""
    if name not in get_args(Fault):
        raise CallerError(
            f"there is no fault `{name}`; choose one of {', '.join(FAULTS)}", code="unknown_fault", param="fault"
        )
    return cast("Fault", name)


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a cloud, and for how many more seconds; None is nothing, or until it is healed."""

    fault: Fault | None = None
    seconds_left: float | None = None


class Switch:
    """One cloud's fault, set from outside and healed by hand or by time."""

    def __init__(self) -> None:
        self._fault: Fault | None = None
        self._until: float | None = None
        self._over = asyncio.Event()

    @property
    def fault(self) -> Fault | None:
        """What is wrong now."""
        return self._fault

    def health(self, now: float) -> Health:
        """What is wrong, and how much longer; `now` is the event loop's time."""
        left = None if self._until is None else round(max(0.0, self._until - now), 3)
        return Health(fault=self._fault, seconds_left=left)

    def turn(self, fault: Fault | None, until: float | None = None) -> None:
        """Something else is wrong from now on, or nothing."""
        self._over.set()
        self._over = asyncio.Event()
        self._fault = fault
        self._until = until

    async def over(self) -> None:
        """Returns when what is wrong now is no longer wrong."""
        await self._over.wait()
