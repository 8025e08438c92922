"""An upstream client that keeps what goes over the wire, both ways."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from freehold.transport.answer import Answer
from freehold.transport.client import Upstream
from freehold.transport.connection import State
from freehold.transport.endpoint import Endpoint
from freehold.transport.errors import TransportError

_LONGEST: Final = 16 * 1024 * 1024


class Overheard(msgspec.Struct, frozen=True, kw_only=True):
    """One request and its answer as they were on the wire; `target` is path and query."""

    method: str
    target: str
    request_headers: tuple[tuple[str, str], ...]
    request: bytes
    status: int
    headers: tuple[tuple[str, str], ...]
    answer: bytes


class Tap:
    """Sends through another client and remembers; `overheard` grows with every answer."""

    def __init__(self, client: Upstream) -> None:
        self._client = client
        self.overheard: list[Overheard] = []

    async def send(
        self,
        endpoint: Endpoint,
        method: str,
        target: str,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        *,
        deadline: float | None = None,
    ) -> Answer:
        """As `Client.send`; the answer is read whole before it is passed on."""
        answer = await self._client.send(endpoint, method, target, headers, body, deadline=deadline)
        data = await answer.read(_LONGEST)
        self.overheard.append(
            Overheard(
                method=method,
                target=target,
                request_headers=tuple(headers),
                request=body,
                status=answer.status,
                headers=tuple(answer.headers),
                answer=data,
            )
        )
        return Answer(answer.status, answer.headers, _Held(answer.status, answer.headers, data, endpoint.host))

    async def close(self) -> None:
        """As `Client.close`."""
        await self._client.close()


class _Held:
    """The source of an answer that is here already."""

    def __init__(self, status: int, headers: list[tuple[str, str]], data: bytes, host: str) -> None:
        self.status = status
        self.headers = headers
        self.host = host
        self._data = data

    @property
    def state(self) -> State:
        """Everything has arrived."""
        return "done"

    @property
    def error(self) -> TransportError | None:
        """Nothing went wrong."""
        return None

    def take(self) -> bytes:
        """All of it, once."""
        data, self._data = self._data, b""
        return data

    def wait(self) -> asyncio.Future[None]:
        """There is nothing to wait for."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def release(self) -> None:
        """Nothing is held open."""

    def abort(self) -> None:
        """Nothing is held open."""
