"""One upstream address and how to reach it."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

import msgspec

from freehold.errors import ConfigError


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Limits in seconds for each phase of a request; None means no limit.

    `connect` covers waiting for a free connection, and then again name, TCP, proxy and TLS together. `first_byte` runs
    from the sent request to the head of the answer: a model that thinks before it speaks is silent for minutes. `idle`
    is the longest silence inside a body, or while sending. `total` covers everything.
    """

    connect: float = 10.0
    first_byte: float | None = 300.0
    idle: float | None = 120.0
    total: float | None = None


class Endpoint(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True):
    """One upstream address and how to reach it; equal endpoints share a pool of connections.

    `host` is a name or an address without brackets. `ca_file` replaces the system's certificate authorities.
    `client_cert` and `client_key` are PEM files. `proxy` is the URL of a forward proxy. `addresses`, where given, pins
    the connection to them, whatever the name resolves to. `allow_private=False` is for URLs that come from users: only
    public addresses are connected to, and the connection goes to the very address that was checked.
    """

    scheme: Literal["http", "https"] = "https"
    host: str
    port: int
    ca_file: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    proxy: str | None = None
    timeouts: Timeouts = Timeouts()
    # A worker's thousand streams may all be at one provider; more wait in line.
    max_connections: int = 1024
    # Load balancers commonly close silent connections after 60 seconds; we go first.
    keep_alive: float = 55.0
    addresses: tuple[str, ...] = ()
    allow_private: bool = True

    @property
    def authority(self) -> str:
        """Host and port as a `Host` header says them; the scheme's own port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def name(self) -> str:
        """Host and port for messages."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


DEFAULT_PORTS = {"http": 80, "https": 443}


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Scheme, host and port of a URL, and the path that requests below it begin with (no slash at its end)."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    path: str
    username: str | None = None
    password: str | None = None


def split_url(url: str) -> Origin:
    """The parts of an http or https URL.

    Raises:
        ConfigError: it is something else; the message does not repeat the URL, which may hold a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _not_a_url() from None
    host = parts.hostname
    if not host or any(character <= " " or character == "\x7f" for character in url):
        raise _not_a_url()
    if not host.isascii():
        try:
            host = host.encode("idna").decode()
        except UnicodeError:
            raise _not_a_url() from None
    match parts.scheme:
        case "http" | "https" as scheme:
            return Origin(
                scheme=scheme,
                host=host,
                port=DEFAULT_PORTS[scheme] if port is None else port,
                path=parts.path.rstrip("/"),
                username=parts.username,
                password=parts.password,
            )
        case _:
            raise _not_a_url()


def _not_a_url() -> ConfigError:
    return ConfigError("an address must look like https://host/path or http://host:port/path", code="invalid_url")
