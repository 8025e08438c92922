"""The control port: says how the emulated clouds are, breaks them and heals them."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec

from freehold.errors import CallerError, FreeholdError
from freehold.sandbox.cloud import Cloud
from freehold.sandbox.faults import fault_named
from freehold.server.http import ClientGone, Incoming, Outgoing

_BODY: Final = 64 * 1024
_ALL: Final = "all"


class Fail(msgspec.Struct, frozen=True, kw_only=True):
    """What to break; `seconds` None means until it is healed."""

    cloud: str
    fault: str
    seconds: float | None = None


class Heal(msgspec.Struct, frozen=True, kw_only=True):
    """What to heal; by default everything."""

    cloud: str = _ALL


_Wish = TypeVar("_Wish", Fail, Heal)


class CloudStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How one cloud is."""

    name: str
    provider: str
    address: str
    region: str | None
    models: tuple[str, ...]
    protocols: tuple[str, ...]
    requests: int
    fault: str | None = None
    seconds_left: float | None = None


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How all clouds are."""

    clouds: tuple[CloudStatus, ...]


class Control:
    """Answers on the control port whoever has the token of the state file."""

    def __init__(self, clouds: Mapping[str, Cloud], token: str) -> None:
        self._clouds = clouds
        self._token = token

    async def handle(self, incoming: Incoming, outgoing: Outgoing) -> None:
        """One request: `GET /status`, `POST /fail`, `POST /heal`; each answers with the status."""
        try:
            await self._handle(incoming, outgoing)
        except ClientGone:
            return
        except FreeholdError as error:
            _respond(outgoing, error.status, {"error": error.message})

    async def _handle(self, incoming: Incoming, outgoing: Outgoing) -> None:
        body = await incoming.body(_BODY)
        given = dict(incoming.headers).get("authorization", "")
        # A web page can send requests to loopback as well, so being there proves nothing.
        if not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
            raise CallerError("the control port wants the token of its state file", kind="authentication")
        match incoming.method, incoming.path:
            case "GET", "/status":
                pass
            case "POST", "/fail":
                await self._fail(_read(body, Fail))
            case "POST", "/heal":
                await self._heal(_read(body, Heal))
            case _:
                raise CallerError("there are GET /status, POST /fail and POST /heal", kind="not_found")
        _respond(outgoing, 200, status_of(self._clouds))

    async def _fail(self, wish: Fail) -> None:
        fault = fault_named(wish.fault)
        if wish.seconds is not None and wish.seconds <= 0:
            raise CallerError("the seconds of a fault must be more than 0", param="seconds")
        await asyncio.gather(*(cloud.fail(fault, wish.seconds) for cloud in self._named(wish.cloud)))

    async def _heal(self, wish: Heal) -> None:
        await asyncio.gather(*(cloud.heal() for cloud in self._named(wish.cloud)))

    def _named(self, name: str) -> list[Cloud]:
        if name == _ALL:
            return list(self._clouds.values())
        cloud = self._clouds.get(name)
        if cloud is None:
            known = ", ".join(self._clouds)
            raise CallerError(f"there is no cloud `{name}`; choose one of {known}, or {_ALL}", param="cloud")
        return [cloud]


def status_of(clouds: Mapping[str, Cloud]) -> Status:
    """How the clouds are now."""
    return Status(clouds=tuple(_status(cloud) for cloud in clouds.values()))


def _status(cloud: Cloud) -> CloudStatus:
    health = cloud.health()
    return CloudStatus(
        name=cloud.spec.name,
        provider=cloud.spec.provider,
        address=cloud.address,
        region=cloud.spec.region,
        models=cloud.spec.models,
        protocols=cloud.answering.protocols,
        requests=cloud.answering.requests,
        fault=health.fault,
        seconds_left=health.seconds_left,
    )


def _read(body: bytes, kind: type[_Wish]) -> _Wish:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise CallerError(f"the body is not understood: {error}") from None


def _respond(outgoing: Outgoing, status: int, value: object) -> None:
    outgoing.respond(status, [("content-type", "application/json")], msgspec.json.encode(value))
