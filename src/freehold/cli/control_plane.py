"""A running server's control plane, asked from a command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, cast

import msgspec

from freehold.cli.failure import CommandError
from freehold.transport.client import Client
from freehold.transport.endpoint import Endpoint, Timeouts, split_url
from freehold.transport.errors import TransportError

if TYPE_CHECKING:
    from types import TracebackType

    from freehold.config import Config

_PATIENCE = Timeouts(connect=5.0, first_byte=10.0, idle=10.0, total=20.0)
_LARGEST = 16 * 1024 * 1024


class ControlPlane:
    """Asks one server's control plane.

    async with ControlPlane.of(config, admin) as plane:
        said = await plane.ask("GET", "/targets")
    """

    def __init__(self, url: str, token: str | None) -> None:
        """Raises CommandError for what is no address."""
        self._url = url
        self._token = token
        try:
            origin = split_url(url)
        except ValueError as error:
            raise self._unreachable(error) from None
        self._endpoint = Endpoint(scheme=origin.scheme, host=origin.host, port=origin.port, timeouts=_PATIENCE)
        self._client = Client()

    @classmethod
    def of(cls, config: Config, admin: str | None) -> Self:
        """That of the server with this configuration; `admin` is its address where that is another."""
        token = config.server.admin_token
        return cls(admin or f"http://{config.server.admin_listen}", None if token is None else token.reveal())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def ask(self, method: str, path: str, body: bytes = b"") -> bytes:
        """What it answers. Raises CommandError where it does not, or refuses."""
        headers = [("content-type", "application/json")] if body else []
        if self._token is not None:
            headers.append(("authorization", f"Bearer {self._token}"))
        try:
            answer = await self._client.send(self._endpoint, method, path, headers, body)
            said = await answer.read(_LARGEST)
        except (TransportError, ValueError) as error:
            raise self._unreachable(error) from None
        if answer.status != 200:
            raise CommandError(_problem(said), code="control_plane_refused")
        return said

    def _unreachable(self, error: Exception) -> CommandError:
        problem = f"{self._url}: {error}; is the server running? --admin names another address"
        return CommandError(problem, code="control_plane_unreachable")


def _problem(said: bytes) -> str:
    try:
        answer: object = msgspec.json.decode(said)
    except msgspec.DecodeError:
        answer = None
    if isinstance(answer, dict):
        return str(cast("dict[str, object]", answer).get("error"))
    return "the address does not answer like a control plane"
