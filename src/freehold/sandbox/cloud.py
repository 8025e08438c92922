"""One emulated cloud on its own port, whole or broken."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Final

from freehold.providers.catalog import providers
from freehold.sandbox.access import Access
from freehold.sandbox.answering import Answering
from freehold.sandbox.clouds import CloudSpec, login_of
from freehold.sandbox.faults import Fault, Health, Switch
from freehold.server.front import Front, address_of, listening_socket
from freehold.server.limits import HttpLimits

HOST: Final = "127.0.0.1"


class Cloud:
    """A cloud that can be reached at `address` from `start` to `stop`, unless it is made to fail."""

    def __init__(self, spec: CloudSpec, *, seed: int) -> None:
        self.spec = spec
        self.provider = providers()[spec.provider]
        self.login = login_of(spec, seed)
        self._switch = Switch()
        self.answering = Answering(
            spec=spec,
            provider=self.provider,
            access=Access(self.provider, self.login, spec.region, time.time),
            switch=self._switch,
            seed=seed,
            clock=time.time,
        )
        self._place: socket.socket | None = None
        self._front: Front | None = None
        self._cutter: asyncio.Server | None = None
        self._timer: asyncio.Task[None] | None = None
        self._turning = asyncio.Lock()
        self.port = 0

    @property
    def address(self) -> str:
        """Where it is: `http://127.0.0.1:PORT`."""
        return f"http://{HOST}:{self.port}"

    async def start(self) -> None:
        """Listen on a free port."""
        self._place = _reserved()
        self.port = address_of(self._place)[1]
        await self._open()

    async def stop(self) -> None:
        """Listen no more; connections are cut."""
        if self._timer is not None:
            self._timer.cancel()
        self._switch.turn(None)
        await self._close()
        if self._place is not None:
            self._place.close()

    def health(self) -> Health:
        """What is wrong with it."""
        return self._switch.health(asyncio.get_running_loop().time())

    async def fail(self, fault: Fault, seconds: float | None = None) -> None:
        """Break it, for so many seconds or until `heal`; what is in flight at an outage breaks as well."""
        await self._turn(fault, seconds)

    async def heal(self) -> None:
        """Make it well again."""
        await self._turn(None, None)

    async def _turn(self, fault: Fault | None, seconds: float | None) -> None:
        async with self._turning:
            if self._timer is not None and self._timer is not asyncio.current_task():
                self._timer.cancel()
            self._timer = None
            until = None if seconds is None else asyncio.get_running_loop().time() + seconds
            self._switch.turn(fault, until)
            if seconds is not None:
                self._timer = asyncio.create_task(self._heal_after(seconds))
            unreachable = fault in {"outage", "reset"}
            if unreachable or self._front is None:
                await self._close()
            if fault == "reset":
                self._cutter = await asyncio.get_running_loop().create_server(_Cutting, sock=self._listener())
            elif not unreachable and self._front is None:
                await self._open()

    async def _heal_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.heal()

    async def _open(self) -> None:
        front = Front(handler=self.answering.handle, limits=HttpLimits())
        await front.start(self._listener())
        self._front = front

    async def _close(self) -> None:
        if self._front is not None:
            await self._front.stop(0.0)
            self._front = None
        if self._cutter is not None:
            self._cutter.close()
            self._cutter = None

    def _listener(self) -> socket.socket:
        return listening_socket(HOST, self.port, reuse_port=True)


class _Cutting(asyncio.Protocol):
    """A connection that is cut as soon as it is made."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            transport.abort()
        else:  # uvloop's transports are no subclasses of asyncio's
            transport.close()


def _reserved() -> socket.socket:
    """A socket that holds a free port without listening: while nobody else does, connections are refused."""
    place = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    place.bind((HOST, 0))
    return place
