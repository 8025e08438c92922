"""How much one client may ask of the front: sizes, times and open exchanges."""

from __future__ import annotations

import msgspec


class HttpLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits that hold before any handler runs.

    Body size is the handler's argument to `Incoming.body`, because its 413 is worded in the caller's protocol.
    """

    headers: int = 64 * 1024
    """Bytes of request line and headers together; more is answered 431. nginx takes 32 KiB; long tokens, cookies and
    a dozen `x-stainless-*` headers stay far below."""

    header_count: int = 200
    """Header lines of one request; more is answered 431. The official clients send at most 40."""

    streams: int = 2000
    """Exchanges open at once in this process; more are answered 503 with Retry-After. At the 50 KiB that an open
    stream costs, 2,000 are 100 MiB."""

    connections: int = 4096
    """Connections open at once in this process, TLS handshakes included. Beyond it the one that idles longest is closed
    for a new one; where none idles the new one is refused. Four for each exchange: clients keep a few in reserve. An
    idle one costs some 3 KiB, with TLS 50 KiB (measured with 4,000 and 1,000)."""

    streams_per_connection: int = 100
    """Concurrent HTTP/2 streams that one connection may open; RFC 9113 section 6.5.2 advises no less."""

    header_timeout: float = 10.0
    """Seconds from the first byte of a request to the end of its headers, the TLS handshake likewise; then 408."""

    idle_timeout: float = 75.0
    """Seconds without progress: an unused keep-alive connection, a body that does not arrive, a reader that does not
    read. Longer than the 60 of common load balancers, so that they close first. A handler may be silent for longer."""

    def __post_init__(self) -> None:
        """Refuses limits that would refuse everything."""
        for name in self.__struct_fields__:
            if getattr(self, name) <= 0:
                raise ValueError(f"limits.{name} must be greater than zero")


class Gate:
    """Counts open exchanges against a limit, and knows when the last one has ended."""

    __slots__ = ("limit", "open", "refused", "total")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.open = 0
        """Exchanges in flight now."""
        self.total = 0
        """Exchanges admitted so far."""
        self.refused = 0
        """Exchanges turned away so far."""

    def enter(self) -> bool:
        """Takes a place if one is free."""
        if self.open >= self.limit:
            self.refused += 1
            return False
        self.open += 1
        self.total += 1
        return True

    def leave(self) -> None:
        """Gives the place back."""
        self.open -= 1
