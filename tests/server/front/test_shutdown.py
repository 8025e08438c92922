"""Shutting down: what is in flight may end, within bounds; a real process and its signals."""

from __future__ import annotations

import asyncio
import signal
import sys
import textwrap

import pytest

from freehold.server.front import Front, address_of, listening_socket
from freehold.server.limits import HttpLimits
from tests.server.front.conftest import Running, Start
from tests.server.front.demo import Demo

GET = b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n"


async def test_streams_in_flight_end_and_idle_connections_close(front: Running) -> None:
    idle = await front.connect()
    await idle.send(GET % b"/echo")
    await idle.answer()
    busy = await front.connect()
    await busy.send(GET % b"/hold-stream")
    await busy.until(b"first")
    stopping = asyncio.create_task(front.front.stop(5.0))
    assert await idle.until_closed() == b""
    with pytest.raises(ConnectionRefusedError):
        await front.connect()
    assert not stopping.done()
    front.demo.gate.set()
    assert (await busy.until_closed()).endswith(b"data: last\n\n\r\n0\r\n\r\n")
    await stopping


async def test_an_answer_begun_while_draining_says_close(front: Running) -> None:
    raw = await front.connect()
    await raw.send(GET % b"/hold")
    await front.demo.until("hold: began")
    stopping = asyncio.create_task(front.front.stop(5.0))
    await asyncio.sleep(0.01)
    front.demo.gate.set()
    answer = await raw.until_closed()
    assert b"\r\nconnection: close\r\n" in answer
    await stopping


async def test_after_the_grace_everything_is_cut_off(front: Running) -> None:
    stream = await front.connect()
    await stream.send(GET % b"/hold-stream")
    await stream.until(b"first\n\n\r\n")
    unary = await front.connect()
    await unary.send(GET % b"/hold")
    await front.demo.until("hold: began")
    await front.front.stop(0.05)
    assert b"0\r\n\r\n" not in await stream.until_closed()
    assert (await unary.until_closed()).startswith(b"HTTP/1.1 503 ")
    assert front.front.site.gate.open == 0


async def test_several_fronts_share_one_inherited_socket(start: Start) -> None:
    listener = listening_socket("127.0.0.1", 0)
    host, port = address_of(listener)
    fronts = [Front(handler=Demo(), limits=HttpLimits()) for _ in range(2)]
    for front in fronts:
        await front.start(listener.dup())
    listener.close()
    # One stops; the address is still served.
    await fronts[0].stop(0.0)
    running = Running(fronts[1], host, port, Demo())
    raw = await running.connect()
    await raw.send(GET % b"/echo")
    assert (await raw.answer())[0].startswith(b"HTTP/1.1 200 ")
    await raw.closed()
    await fronts[1].stop(0.0)


async def test_sockets_may_share_a_port() -> None:
    first = listening_socket("127.0.0.1", 0, reuse_port=True)
    second = listening_socket("127.0.0.1", address_of(first)[1], reuse_port=True)
    assert address_of(first) == address_of(second)
    first.close()
    second.close()


SERVER = textwrap.dedent(
    """
    import asyncio, sys
    import uvloop
    from freehold.server.front import Front, address_of, listening_socket
    from freehold.server.limits import HttpLimits

    async def handle(incoming, outgoing):
        sink = await outgoing.start(200, [])
        await sink.send(b"begun ")
        await asyncio.sleep(float(incoming.query))
        await sink.send(b"done")
        await sink.end()

    async def main():
        front = Front(handler=handle, limits=HttpLimits())
        listener = listening_socket("127.0.0.1", 0)
        print(address_of(listener)[1], flush=True)
        await front.start(listener)
        await front.serve_until_signalled(grace=float(sys.argv[1]))
        print("stopped", flush=True)

    uvloop.run(main())
    """
)


@pytest.mark.parametrize(
    ("number", "grace", "takes", "times", "clean"),
    [
        (signal.SIGTERM, 10.0, 0.1, 1, True),
        (signal.SIGINT, 10.0, 0.1, 1, True),
        (signal.SIGTERM, 0.05, 30.0, 1, False),
        (signal.SIGTERM, 30.0, 30.0, 2, False),
    ],
)
async def test_signals(number: signal.Signals, grace: float, takes: float, times: int, *, clean: bool) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVER, str(grace), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(20):
        port = int(await process.stdout.readline())
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET % (b"/?%.2f" % takes))
        await reader.readuntil(b"begun ")
        for _ in range(times):
            process.send_signal(number)
            await asyncio.sleep(0.02)
        rest = await reader.read()
        assert rest.endswith(b"0\r\n\r\n") is clean
        writer.close()
        assert await process.stdout.readline() == b"stopped\n"
        assert await process.wait() == 0
