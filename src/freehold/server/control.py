"""The control plane on its own port: health, readiness, metrics, and the record of one exchange."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from pathlib import Path

import msgspec

from freehold.exchange.record import ExchangeRecord, read_records
from freehold.governance.authentication import is_loopback_host, is_loopback_peer
from freehold.server.http import Incoming, Outgoing

JSON = [("content-type", "application/json")]
TEXT = [("content-type", "text/plain; version=0.0.4; charset=utf-8")]


class Control:
    """Answers operators. Without a token it answers loopback callers only, under a loopback name."""

    def __init__(
        self,
        *,
        token: str | None,
        not_ready: Callable[[], str | None],
        metrics: Callable[[], str],
        spool_folder: Path,
    ) -> None:
        """`not_ready` says why no traffic should be sent here, None while it should."""
        self._token = token
        self._not_ready = not_ready
        self._metrics = metrics
        self._folder = spool_folder

    async def handle(self, incoming: Incoming, outgoing: Outgoing) -> None:
        """One request."""
        if not self._admits(incoming):
            outgoing.respond(403, JSON, _error("the control plane needs [server] admin_token, or a loopback caller"))
            return
        if incoming.method not in {"GET", "HEAD"}:
            outgoing.respond(405, [*JSON, ("allow", "GET, HEAD")], _error("only GET is answered here"))
            return
        path = incoming.path
        if path == "/healthz":
            outgoing.respond(200, JSON, b'{"status":"ok"}')
        elif path == "/readyz":
            reason = self._not_ready()
            body = {"status": "ready"} if reason is None else {"status": "not ready", "reason": reason}
            outgoing.respond(200 if reason is None else 503, JSON, msgspec.json.encode(body))
        elif path == "/metrics":
            outgoing.respond(200, TEXT, self._metrics().encode())
        elif path.startswith("/exchanges/"):
            record = await asyncio.to_thread(find_record, self._folder, path.removeprefix("/exchanges/"))
            if record is None:
                outgoing.respond(404, JSON, _error("no such exchange in the spool"))
            else:
                outgoing.respond(200, JSON, msgspec.json.encode(record))
        else:
            outgoing.respond(404, JSON, _error("try /healthz, /readyz, /metrics or /exchanges/{id}"))

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


def _error(message: str) -> bytes:
    return msgspec.json.encode({"error": message})
