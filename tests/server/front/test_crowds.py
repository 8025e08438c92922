"""Floods of connections: bounded, and at the expense of those that do nothing."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import socket
import ssl
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import trustme

from freehold.server import front as front_module
from freehold.server.http import Incoming, Outgoing
from freehold.server.http2 import PREFACE
from freehold.server.limits import HttpLimits
from tests.server.front.conftest import Raw, Running, Start
from tests.transport.upstreams import eventually

FEW = HttpLimits(connections=4)
GET = b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n"
EMPTY_SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


async def says_nothing(raw: Raw) -> None:
    """A connection whose protocol is not known yet."""


async def keeps_alive(raw: Raw) -> None:
    await raw.send(GET % b"/echo")
    await raw.answer()


async def begins_a_head(raw: Raw) -> None:
    await raw.send(b"GET / HTTP/1.1\r\nHost: h\r\nX: ")


async def speaks_http2(raw: Raw) -> None:
    await raw.send(PREFACE + EMPTY_SETTINGS)
    async with asyncio.timeout(5):
        await raw.reader.readexactly(9)


@pytest.mark.parametrize("idles", [says_nothing, keeps_alive, begins_a_head, speaks_http2])
async def test_the_idlest_connection_gives_way(start: Start, idles: Callable[[Raw], Awaitable[None]]) -> None:
    async with start(limits=FEW) as running:
        site = running.front.site
        busy = await running.connect()
        await busy.send(GET % b"/hold-stream")
        await busy.until(b"first")
        crowd: list[Raw] = []
        for number in range(10):
            raw = await running.connect()
            await idles(raw)
            crowd.append(raw)
            await asyncio.sleep(0.005)  # the loop counts in milliseconds
            await eventually(lambda number=number: site.closed_for_room == max(0, number - 2))
        assert len(site.connections) == 4
        for raw in crowd[:7]:
            assert (await raw.until_closed()).removesuffix(b"<reset>").count(b"HTTP/1.1 ") == 0
        newest = await running.connect()
        await newest.send(GET % b"/echo")
        assert (await newest.answer())[0].startswith(b"HTTP/1.1 200 ")
        running.demo.gate.set()
        assert b"last" in await busy.until(b"0\r\n\r\n")
        assert site.refused == 0


async def test_where_none_idles_a_new_connection_is_refused(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    async with start(limits=FEW) as running:
        for _ in range(4):
            await (await running.connect()).send(GET % b"/hold")
        await eventually(lambda: running.front.site.gate.open == 4)
        for _ in range(3):
            answer = await (await running.connect()).until_closed()
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert answer.endswith(b"too many connections\n")
        assert running.front.site.refused == 3
        assert caplog.text.count("[limits] connections") == 1
        running.demo.gate.set()
        for raw in running.raws[:4]:
            assert (await raw.answer())[0].startswith(b"HTTP/1.1 200 ")
        await keeps_alive(await running.connect())


async def test_an_answer_that_is_still_being_read_is_not_idle(start: Start) -> None:
    async with start(limits=HttpLimits(connections=1)) as running:
        reading = await running.connect()
        reading.stop_reading()
        await reading.send(GET % b"/big" * 20)
        await eventually(lambda: running.front.site.gate.total > 4)
        await eventually(lambda: running.front.site.gate.open == 0)
        assert (await (await running.connect()).until_closed()).startswith(b"HTTP/1.1 503 ")


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_handshakes_take_places_too(start: Start, tls: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    async with start(limits=FEW, tls=tls) as running:
        site = running.front.site
        crowd = [await running.connect() for _ in range(20)]
        await eventually(lambda: site.closed_for_room == 16)
        assert len(site.connections) == 4
        await keeps_alive(await running.connect(trusting))
        # Who is the oldest of those that came at the same time is nobody's to say.
        ends = [asyncio.create_task(raw.until_closed()) for raw in crowd]
        await eventually(lambda: sum(end.done() for end in ends) >= 16)
        for end in ends:
            end.cancel()
        ended = await asyncio.gather(*ends, return_exceptions=True)
        assert sum(each in {b"", b"<reset>"} for each in ended) >= 16
        assert site.failed_handshakes == 0


async def test_a_failed_handshake_is_counted_and_leaves_nothing(
    start: Start, tls: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    async with start(tls=tls) as running:
        with caplog.at_level(logging.INFO):
            for _ in range(3):
                assert b"200" not in await running.say(GET % b"/echo")
            await eventually(lambda: running.front.site.failed_handshakes == 3)
        assert caplog.text.count("handshake failed") == 1
        assert not running.front.site.connections


async def test_a_shutdown_ends_handshakes(running_tls: Running) -> None:
    raws = [await running_tls.connect() for _ in range(3)]
    await eventually(lambda: len(running_tls.front.site.connections) == 3)
    async with asyncio.timeout(2):
        await running_tls.front.stop(5.0)
    for raw in raws:
        assert await raw.until_closed() in {b"", b"<reset>"}


@pytest.fixture
async def running_tls(start: Start, tls: ssl.SSLContext) -> AsyncIterator[Running]:
    async with start(tls=tls) as running:
        yield running


async def test_without_descriptors_accepting_pauses_and_goes_on(
    start: Start,
    tls: ssl.SSLContext,
    trusting: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with start(tls=tls) as running:
        (door,) = running.front._servers.values()
        assert isinstance(door, front_module.TlsDoor)
        tried = 0
        real = door._listener

        class Exhausted:
            def accept(self) -> tuple[socket.socket, object]:
                nonlocal tried
                tried += 1
                if tried < 4:
                    raise OSError(errno.EMFILE, "Too many open files")
                return real.accept()

            def fileno(self) -> int:
                return real.fileno()

            def close(self) -> None:
                real.close()

        monkeypatch.setattr(door, "_listener", Exhausted())
        began = asyncio.get_running_loop().time()
        await keeps_alive(await running.connect(trusting))
        assert asyncio.get_running_loop().time() - began > 2.5 * front_module.ACCEPT_AGAIN
        assert caplog.text.count("raise the limit of open files") == 1


class Held:
    """What a handler holds in its hands."""


async def test_what_a_cancelled_handler_held_is_freed_at_once(start: Start) -> None:
    """Not when the garbage collector comes by, which a server calls rarely: such a stream holds a megabyte."""
    kept: list[weakref.ref[Held]] = []

    async def flood(incoming: Incoming, outgoing: Outgoing) -> None:
        held, task = Held(), asyncio.current_task()
        assert task is not None
        kept.append(weakref.ref(held))
        incoming.when_gone(task.cancel)
        sink = await outgoing.start(200, [])
        while held:
            await sink.send(bytes(65_536))

    gc.disable()
    try:
        async with start(flood) as running:
            raws = [await running.connect() for _ in range(3)]
            for raw in raws:
                raw.stop_reading()
                await raw.send(GET % b"/")
            await eventually(lambda: len(kept) == 3)
            for raw in raws:
                raw.writer.transport.abort()
            await eventually(lambda: running.front.site.gate.open == 0)
            await eventually(lambda: not any(ref() for ref in kept))
    finally:
        gc.enable()
