"""What the upstream client and the framings cost, beside other clients where they are installed.

    python benchmarks/transport.py            all of it, about a minute
    python benchmarks/transport.py --quick    a tenth

CPU microseconds of this process (user, and with the kernel's share), answers of 900 bytes from a server in another
process, on uvloop. The lowest of several interleaved rounds counts: the machine may be busy with other things.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import resource
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import trustme
import uvloop

from freehold.protocols.codec import Frame
from freehold.transport.client import Client
from freehold.transport.endpoint import Endpoint
from freehold.transport.framing.event_stream import EventStreamParser, write_event_stream
from freehold.transport.framing.json_array import JsonArrayParser
from freehold.transport.framing.sse import SseParser, write_sse

BODY = (
    b'{"model": "m", "messages": ['
    + b'{"role": "user", "content": "hello"}, ' * 20
    + b'{"role": "user", "content": ""}]}'
)
HEADERS = [
    ("authorization", "Bearer sk-0123456789012345678901234567890123456789"),
    ("content-type", "application/json"),
    ("accept", "application/json"),
    ("user-agent", "benchmark/1"),
]
ANSWER = (
    b"HTTP/1.1 200 OK\r\ndate: Sun, 22 Nov 2026 00:00:00 GMT\r\ncontent-type: application/json\r\n"
    b"x-request-id: req_0123456789\r\nserver: benchmark\r\ncontent-length: 900\r\n\r\n" + b"x" * 900
)
CHUNK = b"data: " + b"x" * 240 + b"\n\n"
ROUNDS = 3

Ask = Callable[[], Awaitable[None]]


class Server(asyncio.Protocol):
    """Answers POST with 900 bytes, GET with a stream of `?n` events."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.seen = b""

    def data_received(self, data: bytes) -> None:
        self.seen += data
        while (end := self.seen.find(b"\r\n\r\n")) >= 0:
            head = self.seen[:end].lower()
            start = head.find(b"content-length: ")
            length = 0 if start < 0 else int(head[start + 16 :].split(b"\r\n")[0])
            if len(self.seen) < end + 4 + length:
                return
            self.seen = self.seen[end + 4 + length :]
            if head.startswith(b"get /stream?"):
                asyncio.ensure_future(self.stream(int(head.split(b" ")[1][8:])))  # noqa: RUF006 (it ends with the connection)
            else:
                self.transport.write(ANSWER)

    async def stream(self, count: int) -> None:
        self.transport.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(count):
            self.transport.write(b"%x\r\n%b\r\n" % (len(CHUNK), CHUNK))
            await asyncio.sleep(0.0005)  # one event a packet
        self.transport.write(b"0\r\n\r\n")


async def serve(folder: str) -> None:
    loop = asyncio.get_running_loop()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(f"{folder}/server.pem", f"{folder}/server.key")
    plain = await loop.create_server(Server, "127.0.0.1", 0)
    secure = await loop.create_server(Server, "127.0.0.1", 0, ssl=context)
    sys.stdout.write(json.dumps([server.sockets[0].getsockname()[1] for server in (plain, secure)]) + "\n")
    sys.stdout.flush()
    await asyncio.gather(plain.serve_forever(), secure.serve_forever())


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


def cpu() -> tuple[float, float]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime, usage.ru_utime + usage.ru_stime


async def measure(ask: Ask, *, count: int, side_by_side: int) -> tuple[float, float]:
    """CPU microseconds for one request: user, and user with system."""

    async def worker() -> None:
        for _ in range(count // side_by_side):
            await ask()

    user, both = cpu()
    await asyncio.gather(*(worker() for _ in range(side_by_side)))
    after_user, after_both = cpu()
    return (after_user - user) / count * 1e6, (after_both - both) / count * 1e6


async def compare(ports: list[int], folder: str, scale: int) -> None:
    clients: dict[str, Ask] = {}
    ours = Client()
    plain = Endpoint(scheme="http", host="127.0.0.1", port=ports[0])
    secure = Endpoint(host="localhost", port=ports[1], ca_file=f"{folder}/ca.pem")

    async def ask(endpoint: Endpoint) -> None:
        answer = await ours.send(endpoint, "POST", "/v1/chat/completions", HEADERS, BODY)
        await answer.read(10_000)

    async def stream(events: int) -> None:
        parser = SseParser()
        async for data in await ours.send(plain, "GET", f"/stream?{events}", HEADERS):
            parser.feed(data)

    clients["freehold"] = lambda: ask(plain)
    clients["freehold, https"] = lambda: ask(secure)
    closers: list[Callable[[], Awaitable[None]]] = [ours.close]
    url = f"http://127.0.0.1:{ports[0]}/v1/chat/completions"
    if importlib.util.find_spec("aiohttp"):
        import aiohttp  # pyright: ignore[reportMissingImports] -- compared with where installed

        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

        async def ask_aiohttp() -> None:
            async with session.post(url, headers=dict(HEADERS), data=BODY) as answer:
                await answer.read()

        clients["aiohttp"] = ask_aiohttp
        closers.append(session.close)
    if importlib.util.find_spec("httpx"):
        import httpx

        theirs = httpx.AsyncClient()

        async def ask_httpx() -> None:
            await theirs.post(url, headers=dict(HEADERS), content=BODY)

        clients["httpx"] = ask_httpx
        closers.append(theirs.aclose)

    say(f"{'CPU µs a request':24}{'1 connection':>22}{'64 connections':>22}")
    best: dict[tuple[str, int], tuple[float, float]] = {}
    for _ in range(ROUNDS):
        for name, client in clients.items():
            count = (1_000 if name == "httpx" else 10_000) // scale
            for side_by_side in (1, 64):
                await measure(client, count=max(count // 10, side_by_side), side_by_side=side_by_side)
                cost = await measure(client, count=max(count, side_by_side), side_by_side=side_by_side)
                best[name, side_by_side] = min(best.get((name, side_by_side), cost), cost)
    for name in clients:
        cells = [f"{best[name, n][0]:9.1f} ({best[name, n][1]:5.1f})" for n in (1, 64)]
        say(f"{name:24}{cells[0]:>22}{cells[1]:>22}")

    events = 2_000 // scale
    both = [await measure(lambda: stream(events), count=20, side_by_side=20) for _ in range(ROUNDS)]
    user, whole = min(both)
    say(f"{'streamed event, parsed':24}{f'{user / events:9.1f} ({whole / events:5.1f})':>22}")
    for close in closers:
        await close()


def frames(scale: int) -> None:
    payload = (
        b'{"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":" hello"}}]}'
    )
    chat = write_sse(Frame(data=payload))
    messages = write_sse(Frame(data=payload, event="content_block_delta"))
    aws = write_event_stream(Frame(data=payload, event="contentBlockDelta"))
    cases = {
        "SSE, one event a read": (SseParser, [chat] * 1000),
        "SSE with event name": (SseParser, [messages] * 1000),
        "SSE, CRLF": (SseParser, [chat.replace(b"\n", b"\r\n")] * 1000),
        "SSE, ten events a read": (SseParser, [chat * 10] * 100),
        "AWS event stream": (EventStreamParser, [aws] * 1000),
        "JSON array": (JsonArrayParser, [b"[" + payload + b"\n", *([b",\r\n" + payload] * 999)]),
    }
    say(f"\n{'framing':24}{'µs a frame':>22}")
    for name, (make, pieces) in cases.items():
        lowest = float("inf")
        for _ in range(50 // scale or 1):
            parser = make()
            begun = time.process_time()
            count = sum(len(parser.feed(piece)) for piece in pieces)
            lowest = min(lowest, (time.process_time() - begun) / count)
        say(f"{name:24}{lowest * 1e6:22.2f}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--serve", help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.serve:
        uvloop.run(serve(chosen.serve))
        return
    scale = 10 if chosen.quick else 1
    with tempfile.TemporaryDirectory() as folder:
        authority = trustme.CA()
        identity = authority.issue_cert("localhost")
        authority.cert_pem.write_to_path(f"{folder}/ca.pem")
        identity.private_key_pem.write_to_path(f"{folder}/server.key")
        Path(f"{folder}/server.pem").write_bytes(identity.cert_chain_pems[0].bytes())
        command = [sys.executable, __file__, "--serve", folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                uvloop.run(compare(json.loads(server.stdout.readline()), folder, scale))
            finally:
                server.kill()
    frames(scale)


if __name__ == "__main__":
    main()
