"""Limits on real sockets: sizes, times, open exchanges, slow readers."""

from __future__ import annotations

import asyncio
import json

import pytest

from freehold.server.http import Incoming, Outgoing
from freehold.server.http1 import Http1Connection
from freehold.server.limits import Gate, HttpLimits
from freehold.server.site import Answer
from tests.server.front.conftest import QUICK, Raw, Running, Start

GET = b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n"


def test_a_limit_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"limits\.streams"):
        HttpLimits(streams=0)


def test_the_gate_counts() -> None:
    gate = Gate(1)
    assert gate.enter()
    assert not gate.enter()
    gate.leave()
    assert gate.enter()
    assert (gate.open, gate.total, gate.refused) == (1, 2, 1)


async def test_an_announced_body_is_refused_before_it_is_sent(front: Running) -> None:
    answer = await front.say(b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"limit": 1000}


async def test_a_chunked_body_is_refused_when_it_grows_too_large(front: Running) -> None:
    raw = await front.connect()
    await raw.send(b"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(11):
        await raw.send(b"64\r\n" + b"x" * 100 + b"\r\n")
    assert (await raw.answer())[0].startswith(b"HTTP/1.1 413 ")


async def test_the_refusal_reaches_a_client_that_goes_on_sending(front: Running) -> None:
    # Closing at once would reset the connection and take the answer with it.
    raw = await front.connect()
    size = 8_000_000
    await raw.send(b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size)
    sending = asyncio.create_task(raw.send(b"x" * size))
    assert (await raw.until_closed()).startswith(b"HTTP/1.1 413 ")
    raw.close()
    await sending


async def test_a_body_nobody_asked_for_stops_at_a_bound(front: Running) -> None:
    raw = await front.connect()
    await raw.send(b"POST /hold HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n")
    await front.demo.until("hold: began")
    sending = asyncio.create_task(raw.send(b"x" * 50_000_000))
    await asyncio.sleep(0.05)
    connection = next(iter(front.front.site.connections))
    assert isinstance(connection, Http1Connection)
    assert connection._active is not None
    assert connection._active.size < 1_000_000
    assert not sending.done()
    front.demo.gate.set()
    assert (await raw.until_closed()).startswith(b"HTTP/1.1 200 ")
    raw.close()
    await sending


async def test_large_headers(front: Running) -> None:
    fits = b"GET /echo HTTP/1.1\r\nHost: h\r\nX-Big: " + b"a" * 4000 + b"\r\n\r\n"
    raw = await front.connect()
    await raw.send(fits)
    assert (await raw.answer())[0].startswith(b"HTTP/1.1 200 ")
    for request in (
        fits.replace(b"a" * 4000, b"a" * 5000),
        b"GET /%b HTTP/1.1\r\nHost: h\r\n\r\n" % (b"a" * 5000),
        b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X: 1\r\n" * 60 + b"\r\n",
    ):
        assert (await front.say(request)).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "endless",
    [
        b"GET / HTTP/1.1\r\nHost: h\r\nX: ",
        b"GET /",
        b"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ",
        b"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;",
    ],
)
async def test_what_never_ends_is_not_kept(front: Running, endless: bytes) -> None:
    raw = await front.connect()
    await raw.send(endless)
    for _ in range(20):
        await raw.send(b"a" * 1000)
        await asyncio.sleep(0.001)
    answer = await raw.until_closed()
    assert answer.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 ")), answer


async def test_unfinished_headers_time_out_however_fast_they_drip(hasty: Running) -> None:
    raw = await hasty.connect()
    await raw.send(b"GET / HTTP/1.1\r\nHost: h\r\n")

    async def drip() -> None:
        while True:
            await raw.send(b"X: 1\r\n")
            await asyncio.sleep(0.05)

    dripping = asyncio.create_task(drip())
    assert (await raw.until_closed()).startswith(b"HTTP/1.1 408 ")
    dripping.cancel()


@pytest.mark.parametrize("first", [b"", b"PRI * HTTP/2.0\r\n"])
async def test_a_connection_that_says_nothing_is_closed(hasty: Running, first: bytes) -> None:
    raw = await hasty.connect()
    await raw.send(first)
    assert await raw.until_closed() in {b"", b"<reset>"}


async def test_an_idle_connection_is_closed(hasty: Running) -> None:
    raw = await hasty.connect()
    await raw.send(GET % b"/echo")
    await raw.answer()
    assert await raw.until_closed() == b""


async def test_a_body_that_stops_coming(hasty: Running) -> None:
    raw = await hasty.connect()
    await raw.send(b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe")
    assert (await raw.until_closed()).startswith(b"HTTP/1.1 408 ")
    await hasty.demo.until("echo: gone")


async def test_a_silent_handler_is_not_idle(hasty: Running) -> None:
    raw = await hasty.connect()
    await raw.send(GET % b"/hold")
    await asyncio.sleep(QUICK.idle_timeout * 1.5)
    hasty.demo.gate.set()
    assert (await raw.answer())[0].startswith(b"HTTP/1.1 200 ")


async def test_a_reader_that_never_reads_bounds_memory_and_is_let_go(hasty: Running) -> None:
    raw = await hasty.connect()
    raw.stop_reading()
    await raw.send(GET % b"/flood")
    await hasty.demo.until("flood: gone")
    # What the kernel's socket buffers take, and no more; the handler had 62 MiB to send.
    assert hasty.demo.sent < 20_000_000


async def test_a_slow_reader_gets_everything(front: Running) -> None:
    raw = await front.connect()
    await raw.send(GET % b"/flood")
    got = 0
    tail = b""
    async with asyncio.timeout(20):
        while not tail.endswith(b"\r\n0\r\n\r\n"):
            piece = await raw.reader.read(4_000_000)
            got += len(piece)
            tail = (tail + piece)[-16:]
    assert got > 1_000 * 65_536


async def test_too_many_open_exchanges(start: Start) -> None:
    def refuse(incoming: Incoming) -> Answer:
        return 503, [("retry-after", "2")], incoming.path.encode()

    limits = HttpLimits(streams=2)
    async with start(limits=limits, refuse=refuse) as running:
        held = [await running.connect() for _ in range(2)]
        for raw in held:
            await raw.send(GET % b"/hold")
        await running.demo.until("hold: began")
        await asyncio.sleep(0.02)
        late = await running.connect()
        await late.send((GET % b"/late") * 2000)
        for _ in range(2000):
            head, body = await late.answer()
            assert head.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 2" in head
            assert body == b"/late"
        assert running.front.site.gate.refused == 2000
        running.demo.gate.set()
        for raw in held:
            await raw.answer()
        await late.send(GET % b"/now")
        assert (await late.answer())[0].startswith(b"HTTP/1.1 200 ")


async def test_two_slow_readers_do_not_stop_a_third(front: Running) -> None:
    slow: list[Raw] = [await front.connect() for _ in range(2)]
    for raw in slow:
        raw.stop_reading()
        await raw.send(GET % b"/flood")
    quick = await front.connect()
    await quick.send(GET % b"/echo")
    assert (await quick.answer())[0].startswith(b"HTTP/1.1 200 ")


async def test_a_slow_reader_of_a_whole_large_answer_is_not_idle(start: Start) -> None:
    body = b"x" * 30_000_000

    async def handle(incoming: Incoming, outgoing: Outgoing) -> None:
        outgoing.respond(200, [], body)

    async with start(handle, limits=HttpLimits(idle_timeout=0.2)) as running:
        raw = await running.connect()
        await raw.send(GET % b"/")
        await raw.until(b"\r\n\r\n")
        got = 0
        while got < len(body):
            piece = await raw.reader.read(2_000_000)
            assert piece, "cut off"
            got += len(piece)
            await asyncio.sleep(0.001)
