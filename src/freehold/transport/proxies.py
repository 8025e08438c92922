"""Forward proxies: which requests go through one, and how to ask it for a tunnel."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
from collections.abc import Sequence
from typing import cast
from urllib.parse import unquote

from freehold.transport.addresses import parse_address
from freehold.transport.endpoint import Origin
from freehold.transport.errors import ProxyError

_MAX_HEAD = 16_384


def bypasses_proxy(host: str, no_proxy: str) -> bool:
    """Whether a `NO_PROXY` value (comma-separated names, domains, addresses, networks, or `*`) names this host."""
    host = host.lower().rstrip(".")
    address = parse_address(host)
    for entry in no_proxy.split(","):
        rule = entry.strip().lower()
        if rule == "*":
            return True
        if not rule:
            continue
        if address is not None:
            if _covers(rule, host):
                return True
            continue
        domain = rule.partition(":")[0].lstrip("*").lstrip(".").rstrip(".")
        if domain and (host == domain or host.endswith("." + domain)):
            return True
    return False


def _covers(rule: str, host: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(rule.strip("[]"), strict=False)
    except ValueError:
        return False


def proxy_authorization(proxy: Origin) -> str | None:
    """The value of `Proxy-Authorization` for the user and password in the proxy's URL; None where it names none."""
    if proxy.username is None:
        return None
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


class Tunnel(asyncio.Protocol):
    """Speaks with the proxy until it has opened the way."""

    def __init__(self, proxy_name: str) -> None:
        self._name = proxy_name
        self._head = bytearray()
        self._transport: asyncio.Transport | None = None
        self._answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def open(self, authority: str, authorization: str | None) -> None:
        """Ask for a tunnel to `authority`.

        Raises:
            ProxyError: the proxy refused, or answered something else.
        """
        transport = self._transport
        if transport is None:
            raise self._error("closed the connection", None)
        lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
        if authorization is not None:
            lines.append(f"Proxy-Authorization: {authorization}")
        transport.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        await self._answered
        head, found, rest = bytes(self._head).partition(b"\r\n\r\n")
        if not found:
            raise self._error("closed the connection or gave no HTTP answer", None)
        status = _status_of(head)
        if status is None:
            raise self._error("gave no HTTP answer", None)
        if not 200 <= status < 300:
            raise self._error(f"refused the tunnel with status {status}", status)
        if rest:
            raise self._error("sent bytes before the tunnel was used", status)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio.Protocol."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Part of asyncio.Protocol."""
        self._head += data
        if b"\r\n\r\n" in self._head or len(self._head) > _MAX_HEAD:
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio passes it)
        """Part of asyncio.Protocol."""
        self._transport = None
        self._finish()

    def _finish(self) -> None:
        if not self._answered.done():
            self._answered.set_result(None)

    def _error(self, problem: str, status: int | None) -> ProxyError:
        return ProxyError(
            f"the proxy {self._name} {problem}; check its address and credentials, and what it allows",
            host=self._name,
            proxy_status=status,
        )


def _status_of(head: bytes) -> int | None:
    words: Sequence[bytes] = head.partition(b"\r\n")[0].split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit() or len(words[1]) != 3:
        return None
    return int(words[1])
