"""Answers compressed though `identity` was asked for: undone, bounded, refused."""

from __future__ import annotations

import gzip
import zlib

import pytest

from freehold.transport.client import Client
from freehold.transport.errors import ProtocolError, TruncatedError
from tests.transport.upstreams import answering, chunked, ok, upstream

brotli = pytest.importorskip("brotli")
zstandard = pytest.importorskip("zstandard")

PLAIN = b'{"text": "' + b"abc" * 200_000 + b'"}'


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


@pytest.mark.parametrize(
    ("encoding", "packed", "plain"),
    [
        (b"gzip", gzip.compress(PLAIN), PLAIN),
        (b"X-GZIP", gzip.compress(PLAIN) + gzip.compress(b"second member"), PLAIN + b"second member"),
        (b"gzip", gzip.compress(PLAIN) + b"\0" * 20, PLAIN),
        (b"deflate", zlib.compress(PLAIN), PLAIN),
        (b"deflate", raw_deflate(PLAIN), PLAIN),
        (b"zstd", zstandard.compress(PLAIN), PLAIN),
        (b"br", brotli.compress(PLAIN), PLAIN),
        (b"identity", PLAIN, PLAIN),
        (b"gzip", b"", b""),
    ],
)
@pytest.mark.parametrize("piece", [1, 1_000_000])
async def test_an_encoding_we_did_not_ask_for_is_undone(
    encoding: bytes, packed: bytes, plain: bytes, piece: int
) -> None:
    if piece == 1:
        piece = max(len(packed) // 97, 1)
    pieces = [packed[start : start + piece] for start in range(0, len(packed), piece)]
    answer_bytes = chunked(*pieces).replace(b"\r\n\r\n", b"\r\ncontent-encoding: " + encoding + b"\r\n\r\n", 1)
    async with upstream(answering(answer_bytes)) as server, Client() as client:
        answer = await client.send(server.endpoint(), "GET", "/", [])
        assert await answer.read(10_000_000) == plain
        assert b"accept-encoding: identity" in server.received[0].head


BOMB = zlib.compress(b"\0" * 60_000_000, 9)


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        (b"deflate", BOMB),
        (b"zstd", zstandard.compress(b"\0" * 60_000_000)),
        (b"br", brotli.compress(b"\0" * 60_000_000)),
    ],
)
async def test_bombs_are_defused(encoding: bytes, packed: bytes) -> None:
    async with (
        upstream(answering(ok(packed, b"content-encoding: " + encoding + b"\r\n"))) as server,
        Client() as client,
    ):
        answer = await client.send(server.endpoint(), "GET", "/", [])
        largest = 0

        async def read() -> None:
            nonlocal largest
            async for data in answer:
                largest = max(largest, len(data))

        with pytest.raises(ProtocolError, match="unpacks"):
            await read()
        assert largest < 8_000_000


@pytest.mark.parametrize("encoding", [b"snappy", b"gzip, gzip", b"gzip\r\ncontent-encoding: gzip"])
async def test_an_encoding_that_can_not_be_undone_is_refused(encoding: bytes) -> None:
    async with upstream(answering(ok(b"x", b"content-encoding: " + encoding + b"\r\n"))) as server, Client() as client:
        with pytest.raises(ProtocolError, match="compressed"):
            await client.send(server.endpoint(), "GET", "/", [])


@pytest.mark.parametrize(
    ("encoding", "body"), [(b"gzip", b"no gzip"), (b"zstd", b"no zstd at all"), (b"br", b"\xff\xff\xff no brotli")]
)
async def test_a_wrong_encoding_is_an_error(encoding: bytes, body: bytes) -> None:
    async with upstream(answering(ok(body, b"content-encoding: " + encoding + b"\r\n"))) as server, Client() as client:
        with pytest.raises(ProtocolError):
            await (await client.send(server.endpoint(), "GET", "/", [])).read(100)


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [(b"gzip", gzip.compress(PLAIN)), (b"zstd", zstandard.compress(PLAIN)), (b"br", brotli.compress(PLAIN))],
)
async def test_a_compressed_body_without_its_end_is_truncated(encoding: bytes, packed: bytes) -> None:
    answer_bytes = ok(packed[:-9], b"content-encoding: " + encoding + b"\r\n")
    async with upstream(answering(answer_bytes)) as server, Client() as client:
        with pytest.raises(TruncatedError):
            await (await client.send(server.endpoint(), "GET", "/", [])).read(10_000_000)
