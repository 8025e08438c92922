"""A closed-loop client: whole answers or streams over kept-alive connections, with latencies.

Run as `python -m benchmarks.load HOST:PORT PATH BODY-FILE CONNECTIONS REQUESTS [HEADER…]`; prints one JSON object.
Loopback only.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import uvloop


class Client(asyncio.Protocol):
    """One connection that asks again as soon as it is answered."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.rest = b""
        self.began = 0.0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask at once."""
        self.transport = transport  # pyright: ignore[reportAttributeAccessIssue] -- uvloop's own class
        self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """A connection that ends before the run does is a failure."""
        del exc
        self.run.lost()

    def ask(self) -> None:
        """Send one request, if any are left."""
        if self.run.left <= 0 or self.transport is None:
            return
        self.run.left -= 1
        self.rest = b""
        self.began = time.perf_counter()
        self.transport.write(self.run.request)

    def data_received(self, data: bytes) -> None:
        """Count an answer when its last byte has come."""
        self.rest += data
        end = self.rest.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.rest[:end].lower()
        at = head.find(b"content-length:")
        if at >= 0:
            length = int(head[at + 15 :].split(b"\r\n", 1)[0])
            done = len(self.rest) >= end + 4 + length
        else:
            done = self.rest.endswith(b"0\r\n\r\n")
        if done:
            self.run.answered(time.perf_counter() - self.began, ok=self.rest.startswith(b"HTTP/1.1 200"))
            self.ask()


class Run:
    """All connections of one measurement."""

    def __init__(self, request: bytes, requests: int) -> None:
        self.request = request
        self.left = requests
        self.wanted = requests
        self.latencies: list[float] = []
        self.failed = 0
        self.done = asyncio.get_running_loop().create_future()

    def answered(self, seconds: float, *, ok: bool) -> None:
        """Note one answer."""
        self.latencies.append(seconds)
        self.failed += not ok
        if len(self.latencies) >= self.wanted and not self.done.done():
            self.done.set_result(None)

    def lost(self) -> None:
        """Give up when a connection ends early."""
        if not self.done.done():
            self.failed += 1
            self.done.set_result(None)


async def main(body: bytes, arguments: list[str]) -> None:
    """One run."""
    address, path, connections, requests, *headers = arguments
    host, _, port = address.rpartition(":")
    if host != "127.0.0.1":
        raise SystemExit("only loopback addresses")
    lines = [f"POST {path} HTTP/1.1", f"host: {address}", "content-type: application/json", *headers]
    request = "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body
    run = Run(request, int(requests))
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    for _ in range(int(connections)):
        await loop.create_connection(lambda: Client(run), host, int(port))
    await asyncio.wait_for(run.done, 120)
    seconds = time.perf_counter() - started
    ordered = sorted(run.latencies)
    report = {
        "requests": len(ordered),
        "failed": run.failed,
        "seconds": seconds,
        "p50_ms": ordered[len(ordered) // 2] * 1000,
        "p99_ms": ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] * 1000,
    }
    print(json.dumps(report))  # noqa: T201 -- the report


if __name__ == "__main__":
    target, path, body_file, *rest = sys.argv[1:]
    uvloop.run(main(Path(body_file).read_bytes(), [target, path, *rest]))
