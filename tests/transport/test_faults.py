"""Upstreams that are hostile, slow, dead or half dead; every way to give up in the middle."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.errors import NEVER, UpstreamError
from freehold.transport.client import Client
from freehold.transport.connection import Connection
from freehold.transport.endpoint import Endpoint, Timeouts
from freehold.transport.errors import (
    ConnectError,
    ConnectionLostError,
    PhaseTimeoutError,
    PoolTimeoutError,
    ProtocolError,
    TransportError,
    TruncatedError,
    UnsendableError,
)
from tests.transport.upstreams import Handler, Peer, answering, chunked, eventually, ok, upstream

SHORT = 0.05


async def exchange(client: Client, endpoint: Endpoint) -> bytes:
    answer = await client.send(endpoint, "POST", "/", [("authorization", "Bearer secret")], b"{}")
    return await answer.read(1_000_000)


def open_sockets() -> int:
    count = 0
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 (descriptors vanish while they are listed)
        try:
            count += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")  # noqa: PTH115 (as above)
        except OSError:
            continue
    return count


# Answers that can not be trusted.


@pytest.mark.parametrize(
    "answer_bytes",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffffff\r\nx",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\nx",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nxyz\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\ncontent-length: 5\n\nhello",
        b"HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\r\n folded\r\n\r\n",
        b"HTTP/1.1 000 No\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 99999 No\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nframes",
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"\x00" * 100,
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 600 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000 + b"\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 " + b"y" * 70_000,
    ],
)
async def test_answers_that_are_not_http_are_refused(answer_bytes: bytes) -> None:
    async with upstream(answering(answer_bytes)) as server, Client() as client:
        with pytest.raises(ProtocolError) as caught:
            await exchange(client, server.endpoint())
        await eventually(lambda: client.counts(server.endpoint()).open == 0)
        assert caught.value.kind == "bad_gateway"
        assert caught.value.host == f"127.0.0.1:{server.port}"


async def flood(peer: Peer, begin: bytes, piece: bytes) -> None:
    await peer.request()
    await peer.send(begin)
    for _ in range(10_000):
        await peer.send(piece)
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 10),
        (b"HTTP/1.1 200 OK\r\nx: ", b"y" * 100),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 10),
        (b"", b"HTTP/1.1 103 Hints\r\nlink: x\r\n\r\n" * 10),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;", b"x" * 100),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", b"x: y\r\n" * 10),
    ],
)
async def test_endless_heads_and_chunk_extensions_are_cut(begin: bytes, piece: bytes) -> None:
    async with upstream(lambda peer: flood(peer, begin, piece)) as server, Client() as client:
        with pytest.raises(ProtocolError):
            await exchange(client, server.endpoint())


@pytest.mark.parametrize(
    "answer_bytes",
    [
        ok(b"hello")[:-1],
        ok(b"hello")[:-5],
        chunked(b"hello")[:-1],
        chunked(b"hello")[:-5],
        chunked(b"hello")[:-8],
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"H",
    ],
)
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_truncated_answer_never_looks_like_a_clean_end(answer_bytes: bytes, how: str) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer_bytes)
        if how == "reset":
            await asyncio.sleep(0.01)
            peer.reset()

    async with upstream(handle) as server, Client() as client:
        # A reset may overtake the bytes before it, so that none of the answer was seen.
        with pytest.raises(TruncatedError if how == "close" else (TruncatedError, ConnectionLostError)) as caught:
            await exchange(client, server.endpoint())
        assert caught.value.sent


async def test_what_arrived_before_a_cut_is_still_given() -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(chunked(b"one", b"two")[:-5])

    async with upstream(handle) as server, Client() as client:
        answer = await client.send(server.endpoint(), "GET", "/", [])
        received = b""
        while len(received) < 6:
            received += await answer.receive()
        assert received == b"onetwo"
        with pytest.raises(TruncatedError):
            await answer.receive()
        assert await answer.receive() == b""


async def test_a_body_that_ends_with_a_reset_is_truncated() -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        await asyncio.sleep(0.01)
        peer.reset()

    async with upstream(handle) as server, Client() as client:
        with pytest.raises((TruncatedError, ConnectionLostError)):
            await exchange(client, server.endpoint())


async def test_bytes_behind_an_answer_never_answer_the_next_request() -> None:
    forged = ok(b"forged")
    async with upstream(answering(ok(b"true") + forged)) as server, Client() as client:
        for _ in range(3):
            assert await exchange(client, server.endpoint()) == b"true"
        assert server.connections == 3


async def test_bytes_on_an_idle_connection_close_it() -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(ok(b"true"))
        await asyncio.sleep(0.005)
        await peer.send(ok(b"forged"))
        await peer.gone()

    async with upstream(handle) as server, Client() as client:
        assert await exchange(client, server.endpoint()) == b"true"
        await eventually(lambda: client.counts(server.endpoint()).open == 0)
        assert await exchange(client, server.endpoint()) == b"true"


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=4))
def test_any_bytes_give_an_answer_or_a_typed_error(noise: bytes, places: list[int]) -> None:
    """The state machine alone, on mutated answers: no other exception ever leaves it."""
    loop = asyncio.SelectorEventLoop()
    try:
        answer_bytes = bytearray(chunked(b"hello", b"world"))
        for place in places:
            answer_bytes[place % len(answer_bytes) : place % len(answer_bytes)] = noise
        connection = Connection(
            Endpoint(scheme="http", host="h", port=1), loop, on_idle=lambda _: None, on_closed=lambda _: None
        )
        connection.connection_made(_Wire())
        connection.start(b"", b"", None, head_only=False, streaming=False)
        for start in range(0, len(answer_bytes), 7):
            connection.data_received(bytes(answer_bytes[start : start + 7]))
        connection.eof_received()
        connection.connection_lost(None)
        assert connection.state in ("done", "closed")
        assert (connection.state == "done") == (connection.error is None)
    finally:
        loop.close()


class _Wire(asyncio.Transport):
    def is_closing(self) -> bool:
        return False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def abort(self) -> None:
        pass

    def close(self) -> None:
        pass

    def pause_reading(self) -> None:
        pass


# Time.


async def silent(peer: Peer) -> None:
    await peer.request()
    await peer.gone()


async def stalled(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
    await peer.gone()


async def dripping(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    for _ in range(1000):
        await peer.send(b"x")
        await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("handler", "limits", "phase"),
    [
        (silent, Timeouts(first_byte=SHORT), "first_byte"),
        (stalled, Timeouts(idle=SHORT), "idle"),
        (dripping, Timeouts(idle=1.0, total=SHORT), "total"),
        (silent, Timeouts(total=SHORT), "total"),
    ],
)
@pytest.mark.parametrize("answered_before", [0, 1])
async def test_each_phase_has_its_limit(handler: Handler, limits: Timeouts, phase: str, answered_before: int) -> None:
    async def handle(peer: Peer) -> None:
        for _ in range(answered_before):
            await peer.request()
            await peer.send(ok())
        await handler(peer)

    async with upstream(handle) as server, Client() as client:
        endpoint = server.endpoint(timeouts=limits)
        for _ in range(answered_before):
            await exchange(client, endpoint)
        begun = asyncio.get_running_loop().time()
        with pytest.raises(PhaseTimeoutError) as caught:
            await exchange(client, endpoint)
        assert asyncio.get_running_loop().time() - begun < 1.5  # none of the other limits
        assert (caught.value.phase, caught.value.kind) == (phase, "timeout")
        assert caught.value.seconds == pytest.approx(SHORT, abs=SHORT)
        await eventually(lambda: client.counts(endpoint).open == 0)
        assert server.connections == 1  # nothing was sent a second time


async def test_a_slow_but_steady_stream_is_not_idle() -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 30\r\n\r\n")
        for _ in range(30):
            await asyncio.sleep(0.01)
            await peer.send(b"x")

    async with upstream(handle) as server, Client() as client:
        assert await exchange(client, server.endpoint(timeouts=Timeouts(idle=0.2))) == b"x" * 30


async def test_a_slow_reader_is_not_the_upstreams_silence() -> None:
    body = b"x" * 4_000_000
    async with upstream(answering(ok(body))) as server, Client() as client:
        answer = await client.send(server.endpoint(timeouts=Timeouts(idle=SHORT)), "GET", "/", [])
        await asyncio.sleep(3 * SHORT)
        assert len(await answer.read(5_000_000)) == 4_000_000


async def test_an_upstream_that_does_not_take_the_request() -> None:
    async def handle(peer: Peer) -> None:
        await asyncio.sleep(5)

    async with upstream(handle) as server, Client() as client:
        endpoint = server.endpoint(timeouts=Timeouts(idle=SHORT))
        with pytest.raises(PhaseTimeoutError) as caught:
            await client.send(endpoint, "POST", "/", [], b"x" * 50_000_000)
        assert caught.value.phase == "send"


async def test_a_deadline_of_the_exchange_counts() -> None:
    async with upstream(silent) as server, Client() as client:
        deadline = asyncio.get_running_loop().time() + SHORT
        with pytest.raises(PhaseTimeoutError) as caught:
            await client.send(server.endpoint(), "GET", "/", [], deadline=deadline)
        assert caught.value.phase == "total"


async def test_connecting_has_a_limit() -> None:
    # A full backlog swallows further connection attempts, as a dead host does.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:
                filler.settimeout(0)
                filler.connect_ex(address)
            endpoint = Endpoint(scheme="http", host="127.0.0.1", port=address[1], timeouts=Timeouts(connect=SHORT))
            async with Client() as client:
                with pytest.raises(PhaseTimeoutError) as caught:
                    await exchange(client, endpoint)
                assert caught.value.phase == "connect"
                assert not caught.value.sent
                assert client.counts(endpoint).open == 0
        finally:
            for filler in fillers:
                filler.close()


# Connections that are not there.


async def test_a_refused_connection_says_so() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = Endpoint(scheme="http", host="127.0.0.1", port=unused.getsockname()[1])
    async with Client() as client:
        with pytest.raises(ConnectError, match="refuses connections") as caught:
            await exchange(client, endpoint)
        assert (caught.value.phase, caught.value.sent, caught.value.status) == ("connect", False, 503)
        assert caught.value.retry != NEVER
        assert client.counts(endpoint).open == 0


async def test_an_unknown_name_says_so() -> None:
    async with Client() as client:
        with pytest.raises(ConnectError, match="not known"):
            await exchange(client, Endpoint(scheme="http", host="no..name", port=80))


async def test_the_next_address_is_tried() -> None:
    async def resolver(host: str, port: int) -> tuple[str, ...]:
        return ("127.0.0.9", "::1", "127.0.0.1")

    async with upstream(answering(ok())) as server, Client(resolver=resolver) as client:
        assert await exchange(client, server.endpoint(host="several.example")) == b"hello"
        assert server.received[0].head.split(b"\r\n")[1] == b"host: several.example:%d" % server.port


async def test_pinned_addresses_are_used_whatever_the_name_says() -> None:
    async def resolver(host: str, port: int) -> tuple[str, ...]:
        raise AssertionError("resolved")

    async with upstream(answering(ok())) as server, Client(resolver=resolver) as client:
        endpoint = server.endpoint(host="pinned.example", addresses=("127.0.0.1",))
        assert await exchange(client, endpoint) == b"hello"


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_connection_closed_before_the_answer_is_an_error_on_a_new_connection(how: str) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        if how == "reset":
            peer.reset()

    async with upstream(handle) as server, Client() as client:
        with pytest.raises(ConnectionLostError) as caught:
            await exchange(client, server.endpoint())
        assert caught.value.sent
        assert server.connections == 1


async def stale(peer: Peer) -> None:
    """Answers the first request of a connection and hangs up on the second; the third connection is sound."""
    await peer.request()
    await peer.send(ok())
    if peer.number < 3:
        await peer.request()
        return
    await answering(ok(b"sound"))(peer)


async def test_a_stale_connection_is_replaced_by_a_fresh_one() -> None:
    async with upstream(stale) as server, Client() as client:
        endpoint = server.endpoint()
        first, second = [await client.send(endpoint, "GET", "/", []) for _ in range(2)]
        await first.read(10)
        await second.read(10)
        assert await exchange(client, endpoint) == b"hello"
        assert [received.connection for received in server.received] == [1, 2, 2, 3]


async def test_half_an_answer_on_a_used_connection_is_not_tried_again() -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(ok())
        await peer.request()
        await peer.send(b"HTTP/1.1 2")

    async with upstream(handle) as server, Client() as client:
        await exchange(client, server.endpoint())
        with pytest.raises(TruncatedError):
            await exchange(client, server.endpoint())
        assert len(server.received) == 2


async def test_idle_connections_expire() -> None:
    async with upstream(answering(ok())) as server, Client() as client:
        endpoint = server.endpoint(keep_alive=SHORT)
        await exchange(client, endpoint)
        await eventually(lambda: client.counts(endpoint).open == 0)


async def test_a_keep_alive_header_shortens_the_wait() -> None:
    async with upstream(answering(ok(headers=b"keep-alive: timeout=1, max=5\r\n"))) as server, Client() as client:
        endpoint = server.endpoint()
        await exchange(client, endpoint)
        assert client._pools[endpoint]._idle[0]._keep_alive == 0.5


# Limits and waiting.


async def test_waiters_get_connections_in_the_order_of_asking() -> None:
    order: list[int] = []

    async def handle(peer: Peer) -> None:
        while True:
            received = await peer.request()
            order.append(int(received.head.split(b" ")[1][1:]))
            await asyncio.sleep(0.001)
            await peer.send(ok())

    async with upstream(handle) as server, Client() as client:
        endpoint = server.endpoint(max_connections=1)

        async def ask(number: int) -> None:
            await (await client.send(endpoint, "GET", f"/{number}", [])).read(10)

        await asyncio.gather(*(ask(number) for number in range(20)))
        assert order == list(range(20))
        assert server.connections == 1


async def test_nobody_waits_for_ever() -> None:
    async with upstream(stalled) as server, Client() as client:
        endpoint = server.endpoint(max_connections=1, timeouts=Timeouts(connect=2 * SHORT))
        busy = await client.send(endpoint, "GET", "/", [])
        with pytest.raises(PoolTimeoutError) as caught:
            await exchange(client, endpoint)
        assert (caught.value.phase, caught.value.sent) == ("pool", False)
        await busy.abort()
        await eventually(lambda: client.counts(endpoint).open == 0)
        again = await client.send(endpoint, "GET", "/", [])
        assert client.counts(endpoint).open == 1
        await again.abort()


async def test_a_failed_connection_frees_its_place_for_the_next() -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        if peer.number % 2:
            await peer.send(ok())

    async with upstream(handle) as server, Client() as client:
        endpoint = server.endpoint(max_connections=1)
        outcomes = await asyncio.gather(*(exchange(client, endpoint) for _ in range(8)), return_exceptions=True)
        assert all(outcome == b"hello" or isinstance(outcome, TransportError) for outcome in outcomes)
        await eventually(lambda: client.counts(endpoint).waiting == 0)


# Giving up.


@pytest.mark.parametrize("turns", range(14))
async def test_a_cancelled_request_leaves_no_socket_and_no_lost_place(turns: int) -> None:
    async with upstream(answering(ok(b"x" * 300_000))) as server, Client() as client:
        endpoint = server.endpoint(max_connections=2, host="localhost", addresses=("127.0.0.1",))
        before = open_sockets()
        tasks = [asyncio.ensure_future(exchange(client, endpoint)) for _ in range(4)]
        for _ in range(turns):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await eventually(lambda: client.counts(endpoint).open == client.counts(endpoint).idle)
        assert client.counts(endpoint).waiting == 0
        for _ in range(3):  # and it still works, to its limit
            results = await asyncio.gather(*(exchange(client, endpoint) for _ in range(3)))
            assert results == [b"x" * 300_000] * 3
        await client.close()
        await eventually(lambda: open_sockets() <= before)


async def test_cancelling_while_the_upstream_thinks_tells_it() -> None:
    asked, gone = asyncio.Event(), asyncio.Event()

    async def handle(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.gone()
        gone.set()

    async with upstream(handle) as server, Client() as client:
        task = asyncio.ensure_future(exchange(client, server.endpoint()))
        await asyncio.wait_for(asked.wait(), 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(gone.wait(), 1)


async def test_closing_the_client_ends_what_is_under_way() -> None:
    async with upstream(stalled) as server:
        client = Client()
        answer = await client.send(server.endpoint(), "GET", "/", [])
        assert await answer.receive() == b"half"
        await client.close()
        with pytest.raises(TruncatedError):
            await answer.receive()
        with pytest.raises(RuntimeError, match="closed"):
            await client.send(server.endpoint(), "GET", "/", [])


# What we refuse to send.


@pytest.mark.parametrize(
    "headers",
    [
        [("x", "a\r\nb: c")],
        [("x", "a\nb: c")],
        [("x", "a\rb")],
        [("x", "a\0b")],
        [("x", "\u20ac")],
        [("x\r\ny", "z")],
        [("x: y\r\nz", "w")],
        [("x y", "z")],
        [("", "z")],
        [("x:", "z")],
        [("transfer-encoding", "chunked")],
        [("Connection", "close")],
        [("content-length", "7")],
        [("content-length", "2"), ("content-length", "2")],
        [("host", "a"), ("Host", "b")],
    ],
)
async def test_headers_that_would_break_out_are_refused(headers: list[tuple[str, str]]) -> None:
    async with Client() as client:
        with pytest.raises(UnsendableError):
            await client.send(Endpoint(scheme="http", host="127.0.0.1", port=1), "POST", "/", headers, b"{}")


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", ""),
        ("GET", "x"),
        ("GET", "/a b"),
        ("GET", "/a\r\nx: y"),
        ("GET", "/\u20ac"),
        ("GET", "/a#b"),
        ("GET", "/\x7f"),
        ("GET", "http://other/"),
        ("GET /", "/"),
        ("get", "/"),
        ("CONNECT", "/"),
        ("", "/"),
    ],
)
async def test_targets_and_methods_that_would_break_out_are_refused(method: str, target: str) -> None:
    async with Client() as client:
        with pytest.raises(UnsendableError):
            await client.send(Endpoint(scheme="http", host="127.0.0.1", port=1), method, target, [])


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=3), st.text(max_size=6))
def test_whatever_is_sent_is_one_request_of_these_headers(headers: list[tuple[str, str]], target: str) -> None:
    from freehold.transport.request import HeadWriter

    try:
        head = HeadWriter("h").write("POST", "/" + target, headers, 0)
    except UnsendableError:
        return
    lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    assert b"\r" not in b"".join(lines)
    assert b"\n" not in b"".join(lines)
    assert lines[0] == f"POST /{target} HTTP/1.1".encode()
    said = [line.split(b": ", 1) for line in lines[1:]]
    for name, value in headers:
        assert [name.encode(), value.encode("latin-1")] in said


async def test_the_callers_own_host_length_and_encoding_are_kept() -> None:
    async with upstream(answering(ok())) as server, Client() as client:
        headers = [("Host", "signed.example"), ("Content-Length", "2"), ("Accept-Encoding", "gzip")]
        await (await client.send(server.endpoint(), "POST", "/", headers, b"{}")).read(10)
        head = server.received[0].head.lower()
        assert head.count(b"host: ") == head.count(b"content-length: ") == head.count(b"accept-encoding: ") == 1


Failing = Callable[[Client, Endpoint], Awaitable[object]]


async def test_no_error_tells_a_secret() -> None:
    async with upstream(silent) as server, Client() as client:
        endpoint = server.endpoint(timeouts=Timeouts(first_byte=SHORT))
        with pytest.raises(UpstreamError) as caught:
            await client.send(endpoint, "POST", "/secret?key=secret", [("authorization", "Bearer secret")], b"secret")
        assert "secret" not in str(caught.value)
        with pytest.raises(UnsendableError) as refused:
            await client.send(endpoint, "POST", "/", [("authorization", "Bearer secret\n")], b"secret")
        assert "secret" not in str(refused.value)
        assert "authorization" in str(refused.value)
