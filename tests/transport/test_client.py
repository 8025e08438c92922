"""Requests and answers over real sockets, on good behaviour."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator

import pytest

from freehold.transport.client import Client
from freehold.transport.endpoint import Endpoint, split_url
from freehold.transport.errors import AnswerTooLargeError
from tests.transport.upstreams import Peer, answering, chunked, eventually, ok, upstream


async def test_a_request_travels_as_given_and_its_answer_returns() -> None:
    answer_bytes = b"HTTP/1.1 429 Slow\r\nX-Request-ID: abc\r\nRetry-After: 3\r\nContent-Length: 2\r\n\r\nno"
    async with upstream(answering(answer_bytes)) as server, Client() as client:
        headers = [("authorization", "Bearer k"), ("Content-Type", "application/json")]
        answer = await client.send(server.endpoint(), "POST", "/v1/x%3Ay?a=b+c&d", headers, b'{"a": 1}')
        assert answer.status == 429
        assert answer.headers == [("x-request-id", "abc"), ("retry-after", "3"), ("content-length", "2")]
        assert await answer.read(100) == b"no"
        assert await answer.receive() == b""
        head = (
            b"POST /v1/x%%3Ay?a=b+c&d HTTP/1.1\r\nhost: 127.0.0.1:%d\r\nauthorization: Bearer k\r\n"
            b"Content-Type: application/json\r\naccept-encoding: identity\r\ncontent-length: 8\r\n\r\n"
        )
        assert [(r.head, r.body) for r in server.received] == [(head % server.port, b'{"a": 1}')]


async def test_a_connection_is_used_again_and_the_last_one_first() -> None:
    async with upstream(answering(ok())) as server, Client() as client:
        endpoint = server.endpoint()
        for _ in range(5):
            answer = await client.send(endpoint, "GET", "/", [])
            assert await answer.read(100) == b"hello"
        assert server.connections == 1
        first, second = [await client.send(endpoint, "GET", "/", []) for _ in range(2)]
        assert server.connections == 2
        await first.read(100)
        await second.read(100)
        assert client.counts(endpoint).idle == 2
        await (await client.send(endpoint, "GET", "/", [])).read(100)
        assert server.received[-1].connection == 2


@pytest.mark.parametrize(
    ("answer_bytes", "body"),
    [
        (ok(b"x" * 100_000), b"x" * 100_000),
        (ok(b""), b""),
        (chunked(b"ab", b"cd", b"e" * 70_000), b"abcd" + b"e" * 70_000),
        (chunked(), b""),
        (chunked(b"ab").replace(b"0\r\n\r\n", b"0;last=1\r\nX-Trailer: 1\r\n\r\n"), b"ab"),
        (b"HTTP/1.1 204 None\r\n\r\n", b""),
        (b"HTTP/1.1 304 Same\r\ncontent-length: 10\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nlink: x\r\n\r\n" + ok(), b"hello"),
        (b"HTTP/1.1 200\r\ncontent-length: 1\r\n\r\nx", b"x"),
        (ok(headers=b"connection: upgrade\r\nupgrade: h2c\r\n"), b"hello"),
    ],
)
@pytest.mark.parametrize("piece", [0, 1, 7])
async def test_bodies_of_every_kind_keep_the_connection(answer_bytes: bytes, body: bytes, piece: int) -> None:
    if piece and len(answer_bytes) > 10_000:
        piece *= 5_000

    async def handle(peer: Peer) -> None:
        while True:
            await peer.request()
            for start in range(0, len(answer_bytes), piece or len(answer_bytes)):
                await peer.send(answer_bytes[start : start + (piece or len(answer_bytes))])
                if piece:
                    await asyncio.sleep(0)

    async with upstream(handle) as server, Client() as client:
        for _ in range(2):
            answer = await client.send(server.endpoint(), "GET", "/", [])
            assert await answer.read(1_000_000) == body
            assert "x-trailer" not in dict(answer.headers)
        assert server.connections == 1


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\nserver: old\r\n\r\n"])
async def test_a_body_that_ends_with_the_connection(head: bytes) -> None:
    async with upstream(answering(head + b"all of it", close=True)) as server, Client() as client:
        for _ in range(2):
            answer = await client.send(server.endpoint(), "GET", "/", [])
            assert await answer.read(100) == b"all of it"
        assert server.connections == 2


async def test_connection_close_is_obeyed() -> None:
    async with upstream(answering(ok(headers=b"connection: close\r\n"))) as server, Client() as client:
        for _ in range(2):
            assert await (await client.send(server.endpoint(), "GET", "/", [])).read(100) == b"hello"
        assert server.connections == 2


async def test_head_has_no_body_whatever_its_length_says() -> None:
    async with upstream(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n")) as server, Client() as client:
        answer = await client.send(server.endpoint(), "HEAD", "/", [])
        assert (answer.status, await answer.read(10)) == (200, b"")
        assert b"content-length" not in server.received[0].head


@pytest.mark.parametrize("size", [0, 1, 70_000, 5_000_000])
async def test_request_bodies_of_every_size(size: int) -> None:
    body = b"y" * size
    async with upstream(answering(ok())) as server, Client() as client:
        await (await client.send(server.endpoint(), "POST", "/", [], body)).read(100)
        assert server.received[0].body == body


async def test_a_request_body_in_pieces_is_sent_chunked() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for size in (1, 0, 300_000, 3):
            yield b"z" * size

    async with upstream(answering(ok())) as server, Client() as client:
        for _ in range(2):
            await (await client.send(server.endpoint(), "POST", "/", [], pieces())).read(100)
        assert server.received[1].body == b"z" * 300_004
        assert b"transfer-encoding: chunked" in server.received[1].head
        assert server.connections == 1


async def test_an_early_answer_ends_a_body_in_pieces() -> None:
    answered = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        await answered.wait()
        while True:
            yield b"b" * 10
            await asyncio.sleep(0)

    async def handle(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.send(b"HTTP/1.1 413 Too much\r\ncontent-length: 2\r\n\r\nno")
        answered.set()
        await peer.gone()

    async with upstream(handle) as server, Client() as client:
        answer = await client.send(server.endpoint(), "POST", "/", [], pieces())
        assert (answer.status, await answer.read(10)) == (413, b"no")
        await eventually(
            lambda: client.counts(server.endpoint()).open == 0
        )  # half a request is still on that connection


async def test_a_stream_arrives_while_it_is_made() -> None:
    more = asyncio.Event()

    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for number in range(3):
            await peer.send(b"5\r\nping%d\r\n" % number)
            await more.wait()
            more.clear()
        await peer.send(b"0\r\n\r\n")

    async with upstream(handle) as server, Client() as client:
        seen: list[bytes] = []
        async for data in (await client.send(server.endpoint(), "GET", "/", [])).chunks():
            seen.append(data)
            more.set()
        assert seen == [b"ping0", b"ping1", b"ping2"]


async def test_an_upstream_waits_for_a_slow_reader() -> None:
    sent = 0

    async def handle(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 50000000\r\n\r\n")
        for _ in range(500):
            await peer.send(b"x" * 100_000)
            sent += 100_000

    async with upstream(handle) as server, Client() as client:
        answer = await client.send(server.endpoint(), "GET", "/", [])
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.03)
        assert sent < 25_000_000  # what kernel buffers and ours hold
        received = 0
        async for data in answer:
            assert len(data) < 2_000_000
            received += len(data)
        assert received == 50_000_000


async def test_a_reader_that_stops_early_keeps_a_connection_with_little_left() -> None:
    async def handle(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n0123456789")
            await asyncio.sleep(0.005)
            await peer.send(b"0123456789")

    async with upstream(handle) as server, Client() as client:
        for _ in range(3):
            answer = await client.send(server.endpoint(), "GET", "/", [])
            assert await answer.receive() == b"0123456789"
            answer.release()
            await eventually(lambda: client.counts(server.endpoint()).idle == 1)
        assert server.connections == 1


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 5000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
)
async def test_a_reader_that_stops_early_cuts_a_connection_with_much_left(head: bytes) -> None:
    gone = asyncio.Event()

    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(head + b"x")
        await peer.gone()
        gone.set()

    async with upstream(handle) as server, Client() as client:
        answer = await client.send(server.endpoint(), "GET", "/", [])
        answer.release()
        await asyncio.wait_for(gone.wait(), 1)
        await eventually(lambda: client.counts(server.endpoint()).open == 0)


async def test_an_endless_rest_is_not_drained_for_ever() -> None:
    gone = asyncio.Event()

    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        try:
            for _ in range(1000):
                await peer.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        except ConnectionError:
            gone.set()

    async with upstream(handle) as server, Client() as client:
        answer = await client.send(server.endpoint(), "GET", "/", [])
        answer.release()
        await asyncio.wait_for(gone.wait(), 1)


@pytest.mark.parametrize("how", ["abort", "drop", "error inside async with"])
async def test_an_answer_that_is_given_up_closes_its_connection(how: str) -> None:
    gone = asyncio.Event()

    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n")
        await peer.gone()
        gone.set()

    async with upstream(handle) as server, Client() as client:
        answer = await client.send(server.endpoint(), "GET", "/", [])
        assert await answer.receive() == b"x"
        match how:
            case "abort":
                await answer.abort()
                assert await answer.receive() == b""
            case "drop":
                del answer
                gc.collect()
            case _:
                with pytest.raises(ZeroDivisionError):
                    async with answer:
                        raise ZeroDivisionError
        await asyncio.wait_for(gone.wait(), 1)
        await eventually(lambda: client.counts(server.endpoint()).open == 0)


async def test_a_cancelled_receive_loses_nothing() -> None:
    more = asyncio.Event()

    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n")
        await more.wait()
        await peer.send(b"late")

    async with upstream(handle) as server, Client() as client:
        answer = await client.send(server.endpoint(), "GET", "/", [])
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(answer.receive(), 0.005)
        more.set()
        assert await answer.read(100) == b"late"


async def test_read_has_a_limit() -> None:
    async with upstream(answering(ok(b"x" * 100))) as server, Client() as client:
        endpoint = server.endpoint()
        assert len(await (await client.send(endpoint, "GET", "/", [])).read(100)) == 100
        with pytest.raises(AnswerTooLargeError) as caught:
            await (await client.send(endpoint, "GET", "/", [])).read(99)
        assert caught.value.limit == 99


def test_endpoints_say_host_as_http_wants_it() -> None:
    assert Endpoint(host="api.example.com", port=443).authority == "api.example.com"
    assert Endpoint(host="::1", port=443).authority == "[::1]"
    assert Endpoint(scheme="http", host="10.0.0.5", port=8000).authority == "10.0.0.5:8000"
    assert split_url("https://Bücher.example/v1/").host == "xn--bcher-kva.example"
    assert split_url("http://u:p@h:8/v1/").path == "/v1"


@pytest.mark.parametrize(
    "url", ["ftp://x", "https://", "x", "http://h:99999", "http://h/ x", "http://[::1", "https://h\r\n"]
)
def test_what_is_no_address_is_a_configuration_error(url: str) -> None:
    from freehold.errors import ConfigError

    with pytest.raises(ConfigError):
        split_url(url)
