"""How `freehold serve` ends: what a load balancer sees meanwhile, and what the shell is told."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.hostile.processes import Served, ask, configure, eventually, new_key, served
from tests.transport.upstreams import Peer, Upstream, upstream

# Processes start slowly on a busy machine.
pytestmark = pytest.mark.timeout(180)

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
CHUNK = (
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":'
    b'{"content":"%b"},"finish_reason":%b}]}\n\n'
)


def piece(text: bytes, finish: bytes = b"null") -> bytes:
    data = CHUNK % (text, finish)
    return b"%x\r\n%b\r\n" % (len(data), data)


@contextlib.asynccontextmanager
async def streaming(go_on: asyncio.Event) -> AsyncGenerator[Upstream]:
    """An upstream that says one word, and the last one when it may."""

    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD + piece(b"first"))
        await go_on.wait()
        done = b"data: [DONE]\n\n"
        await peer.send(piece(b"last", b'"stop"') + b"%x\r\n%b\r\n0\r\n\r\n" % (len(done), done))

    async with upstream(handle) as running:
        yield running


async def open_stream(server: Served, key: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = server.data.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"Hi"}]}'
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: %b\r\nauthorization: Bearer %b\r\n"
        b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
        % (host.encode(), key.encode(), len(body), body)
    )
    async with asyncio.timeout(20):
        await reader.readuntil(b"first")
    return reader, writer


@pytest.mark.parametrize(
    ("number", "status", "workers"), [(signal.SIGTERM, 0, 1), (signal.SIGINT, 130, 1), (signal.SIGTERM, 0, 2)]
)
async def test_the_control_plane_says_so_while_a_stream_finishes(
    tmp_path: Path, number: signal.Signals, status: int, workers: int
) -> None:
    go_on = asyncio.Event()
    async with streaming(go_on) as up:
        configure(tmp_path, url=f"http://127.0.0.1:{up.port}/v1")
        key, _ = await asyncio.to_thread(new_key, tmp_path)
        manager = served(tmp_path, workers=workers)
        server = await asyncio.to_thread(manager.__enter__)
        try:
            assert (await asyncio.to_thread(server.ready)).status == 200
            reader, writer = await open_stream(server, key)
            server.signal(number)
            await asyncio.to_thread(eventually, lambda: server.ready().status == 503)
            assert (await asyncio.to_thread(server.ready)).json()["reason"] == "shutting down"
            with pytest.raises(ConnectionRefusedError):
                await asyncio.to_thread(ask, server.data, "/v1/models")
            assert (await asyncio.to_thread(server.ready)).status == 503, "until the last stream has ended"
            go_on.set()
            async with asyncio.timeout(20):
                rest = await reader.read()
            writer.close()
            assert b"last" in rest
            assert b"[DONE]" in rest
            assert await asyncio.to_thread(server.process.wait, 20) == status
        finally:
            await asyncio.to_thread(manager.__exit__, None, None, None)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_load_balancer_has_time_to_notice(tmp_path: Path, workers: int) -> None:
    configure(tmp_path, "[limits]\ndrain_delay = 60")
    key, _ = new_key(tmp_path)
    with served(tmp_path, workers=workers) as server:
        server.signal(signal.SIGTERM)
        eventually(lambda: server.ready().status == 503)
        assert server.takes(key)
        server.signal(signal.SIGTERM)
        assert server.process.wait(20) == 0, "a second signal ends the wait"
