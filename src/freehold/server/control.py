"""The control plane on its own port: health, readiness, metrics, the record of one exchange, and targets."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Protocol, TypeVar

import msgspec

from freehold.errors import CallerError
from freehold.exchange.record import ExchangeRecord, read_records
from freehold.governance.authentication import is_loopback_host, is_loopback_peer
from freehold.routing.health import LONGEST_OUTAGE
from freehold.server.http import Incoming, Outgoing
from freehold.server.targets import TargetState

JSON = [("content-type", "application/json")]
TEXT = [("content-type", "text/plain; version=0.0.4; charset=utf-8")]


_LONGEST_WORD = 4096
_PATHS = ("/healthz", "/readyz", "/metrics", "/targets", "/outages")
_NO_REASON = "an operator's word"


class _Word(msgspec.Struct, forbid_unknown_fields=True):
    """What an operator says of a target."""

    target: str
    reason: str = ""


class Outage(msgspec.Struct, forbid_unknown_fields=True):
    """A failure domain taken out by a drill, and for how many seconds more; 0: no longer. `reason` is for the log."""

    domain: str
    seconds: Annotated[float, msgspec.Meta(ge=0, le=LONGEST_OUTAGE)]
    reason: str = "a drill"


class TargetControl(Protocol):
    """What the control plane may do with targets."""

    async def list(self) -> list[TargetState]:
        """Every target that the configuration states."""
        ...

    async def disable(self, target: str, reason: str) -> None:
        """Take one out, from the next decision on. Raises CallerError for a target that does not exist."""
        ...

    async def enable(self, target: str, reason: str) -> None:
        """Put one back, with its breaker closed. Raises CallerError for a target that does not exist."""
        ...

    async def take_out(self, outage: Outage) -> None:
        """Let every attempt in a domain fail for a time. Raises CallerError for a domain that no target lies in."""
        ...

    def outages(self) -> Sequence[Outage]:
        """What drills have taken out now."""
        ...


class Control:
    """Answers operators. Without a token it answers loopback callers only, under a loopback name."""

    def __init__(
        self,
        *,
        token: str | None,
        refresh: Callable[[], Awaitable[None]],
        not_ready: Callable[[], str | None],
        warnings: Callable[[], list[str]],
        metrics: Callable[[], str],
        spool_folder: Path,
        targets: TargetControl,
    ) -> None:
        """`refresh` looks at the workers before one of the others is asked.

        `not_ready` says why no traffic should be sent here, None while it should; `warnings` what else is amiss.
        """
        self._token = token
        self._refresh = refresh
        self._not_ready = not_ready
        self._warnings = warnings
        self._metrics = metrics
        self._folder = spool_folder
        self._targets = targets

    async def handle(self, incoming: Incoming, outgoing: Outgoing) -> None:
        """One request."""
        if not self._admits(incoming):
            outgoing.respond(403, JSON, _error("the control plane needs [server] admin_token, or a loopback caller"))
            return
        if incoming.path.startswith("/targets"):
            await self._target(incoming, outgoing)
            return
        if incoming.path == "/outages":
            await self._outage(incoming, outgoing)
            return
        if incoming.method not in {"GET", "HEAD"}:
            outgoing.respond(405, [*JSON, ("allow", "GET, HEAD")], _error("only GET is answered here"))
            return
        path = incoming.path
        if path == "/healthz":
            outgoing.respond(200, JSON, b'{"status":"ok"}')
        elif path == "/readyz":
            await self._refresh()
            reason = self._not_ready()
            body: dict[str, object] = (
                {"status": "ready"} if reason is None else {"status": "not ready", "reason": reason}
            )
            if warnings := self._warnings():
                body["warnings"] = warnings
            outgoing.respond(200 if reason is None else 503, JSON, msgspec.json.encode(body))
        elif path == "/metrics":
            await self._refresh()
            outgoing.respond(200, TEXT, self._metrics().encode())
        elif path.startswith("/exchanges/"):
            record = await asyncio.to_thread(find_record, self._folder, path.removeprefix("/exchanges/"))
            if record is None:
                outgoing.respond(404, JSON, _error("no such exchange in the spool"))
            else:
                outgoing.respond(200, JSON, msgspec.json.encode(record))
        else:
            outgoing.respond(404, JSON, _error(f"try {', '.join(_PATHS)} or /exchanges/{{id}}"))

    async def _target(self, incoming: Incoming, outgoing: Outgoing) -> None:
        """`GET /targets`; `POST /targets/disable` and `/targets/enable` with `{"target": …, "reason": …}`."""
        if incoming.path == "/targets" and incoming.method in {"GET", "HEAD"}:
            outgoing.respond(200, JSON, msgspec.json.encode({"targets": await self._targets.list()}))
            return
        act = {"/targets/disable": self._targets.disable, "/targets/enable": self._targets.enable}.get(incoming.path)
        if act is None or incoming.method != "POST":
            outgoing.respond(404, JSON, _error("try GET /targets, POST /targets/disable or POST /targets/enable"))
            return
        said = await _said(incoming, outgoing, _Word)
        if said is not None and await _done(outgoing, act(said.target, said.reason.strip() or _NO_REASON)):
            outgoing.respond(200, JSON, msgspec.json.encode({"targets": await self._targets.list()}))

    async def _outage(self, incoming: Incoming, outgoing: Outgoing) -> None:
        """`GET /outages`; `POST /outages` with `{"domain": "kind:name", "seconds": …, "reason": …}`, 0 to end one."""
        if incoming.method == "POST":
            said = await _said(incoming, outgoing, Outage)
            if said is None or not await _done(outgoing, self._targets.take_out(said)):
                return
        elif incoming.method not in {"GET", "HEAD"}:
            outgoing.respond(405, [*JSON, ("allow", "GET, HEAD, POST")], _error("only GET and POST are answered here"))
            return
        outgoing.respond(200, JSON, msgspec.json.encode({"outages": self._targets.outages()}))

    def _admits(self, incoming: Incoming) -> bool:
        sent = {name: value for name, value in incoming.headers if name in {"authorization", "host"}}
        if self._token is not None:
            wanted = f"Bearer {self._token}"
            return hmac.compare_digest(sent.get("authorization", "").encode(), wanted.encode())
        # The name is checked too: a web page may point a name of its own at loopback.
        return is_loopback_peer(incoming.client) and is_loopback_host(sent.get("host", ""))


def find_record(folder: Path, exchange: str) -> ExchangeRecord | None:
    """The record of an exchange, searched in the spool; blocking."""
    return next((record for record in read_records(folder) if record.id == exchange), None)


_S = TypeVar("_S", _Word, Outage)


async def _said(incoming: Incoming, outgoing: Outgoing, kind: type[_S]) -> _S | None:
    """What an operator says; None where it is not understood, and they have been told."""
    # A web page can post text to loopback without asking, JSON only where a preflight allows it.
    if not any(name == "content-type" and value.startswith("application/json") for name, value in incoming.headers):
        outgoing.respond(415, JSON, _error("the body has to be application/json"))
        return None
    try:
        return msgspec.json.decode(await incoming.body(_LONGEST_WORD), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        wanted = kind.__struct_fields__[0]
        outgoing.respond(400, JSON, _error(f"the body has to be an object with `{wanted}`: {error}"))
        return None


async def _done(outgoing: Outgoing, work: Awaitable[None]) -> bool:
    """Whether it could be done; else they have been told why not."""
    try:
        await work
    except CallerError as error:
        outgoing.respond(error.status, JSON, _error(error.message))
        return False
    return True


def _error(message: str) -> bytes:
    return msgspec.json.encode({"error": message})
