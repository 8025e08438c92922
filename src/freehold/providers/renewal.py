"""Credentials that expire: fetched in a thread, kept, renewed in the background before they end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

import msgspec

from freehold.errors import OTHER_TARGET, FreeholdError, UpstreamError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Clock = Callable[[], float]
"""Unix seconds."""

MARGIN: Final = 300.0
"""Seconds before its end at which a credential is renewed; every cloud hands out the next one by then."""

_PAUSE: Final = 5.0
"""Seconds between attempts to renew a credential that still works."""


class Fetched(msgspec.Struct, Generic[T], frozen=True):
    """A credential and the Unix time of its end, None for one that has none."""

    value: T
    ends: float | None = None

    def __repr__(self) -> str:
        return f"Fetched(ends={self.ends})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """As `repr`: the value is a secret."""
        return [("ends", self.ends)]


class Source(Protocol[T_co]):
    """Where a credential comes from."""

    async def get(self) -> T_co:
        """The credential of the moment."""
        ...


class Constant(Generic[T]):
    """A credential that the configuration states."""

    def __init__(self, value: T) -> None:
        self._value = value

    async def get(self) -> T:
        """The stated one."""
        return self._value


class Renewed(Generic[T]):
    """A credential from a blocking `fetch`, which runs in a thread.

    While a credential works, nobody waits for the next one: it is fetched in the background from `MARGIN` seconds
    before the end, and a failure then is forgotten and tried again. Only without a working one do callers wait, all
    for the same attempt. Raises UpstreamError `account_credentials` where that one fails.
    """

    def __init__(self, fetch: Callable[[], Fetched[T]], clock: Clock, *, what: str) -> None:
        self._fetch = fetch
        self._clock = clock
        self._what = what
        self._current: Fetched[T] | None = None
        self._attempt: asyncio.Task[Fetched[T]] | None = None
        self._not_before = 0.0

    async def get(self) -> T:
        """The credential of the moment; waits only where there is none that works."""
        current = self._current
        now = self._clock()
        if current is not None and (current.ends is None or now < current.ends - MARGIN):
            return current.value
        if current is not None and current.ends is not None and now < current.ends:
            if now >= self._not_before:
                self._not_before = now + _PAUSE
                self._start()
            return current.value
        try:
            return (await asyncio.shield(self._start())).value
        except FreeholdError:
            raise
        except Exception as error:
            # The vendors' libraries raise dozens of kinds; each means that this account can not be used now.
            raise UpstreamError(
                f"no credential from {self._what}: {type(error).__name__}: {error}",
                code="account_credentials",
                kind="authentication",
                status=502,
                retry=OTHER_TARGET,
            ) from error

    def _start(self) -> asyncio.Task[Fetched[T]]:
        if self._attempt is None:
            self._attempt = asyncio.create_task(asyncio.to_thread(self._fetch))
            self._attempt.add_done_callback(self._finish)
        return self._attempt

    def _finish(self, attempt: asyncio.Task[Fetched[T]]) -> None:
        self._attempt = None
        if not attempt.cancelled() and attempt.exception() is None:
            self._current = attempt.result()
