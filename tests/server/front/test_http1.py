"""HTTP/1.1 on real sockets: what arrives, what is refused, how answers end."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.server.front.conftest import Running

GET = b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n"
LAST = b"GET %b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


async def test_the_request_arrives_untouched(front: Running) -> None:
    raw = await front.connect()
    await raw.send(
        b"POST /echo/a%3Ab%2Fc:d?x=%20a+b&y HTTP/1.1\r\nHost: h:1\r\nX-One: 1\r\nx-one: 2\r\nX-L: \xe9\r\n"
        b"Content-Length: 5\r\n\r\nhello"
    )
    head, body = await raw.answer()
    seen = json.loads(body)
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\ndate: " in head
    assert seen["path"] == "/echo/a%3Ab%2Fc:d"
    assert seen["query"] == "x=%20a+b&y"
    assert seen["headers"] == [
        ["host", "h:1"],
        ["x-one", "1"],
        ["x-one", "2"],
        ["x-l", "\xe9"],
        ["content-length", "5"],
    ]
    assert (seen["client"], seen["scheme"], seen["version"]) == ("127.0.0.1", "http", "1.1")
    assert seen["body"] == "hello"
    # The connection lives on.
    await raw.send(GET % b"/echo")
    assert json.loads((await raw.answer())[1])["body"] == ""
    raw.close()


async def test_any_split_of_the_bytes_is_the_same_request(front: Running) -> None:
    request = (
        b"POST /echo/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n4;ext=1\r\ndefg\r\n0\r\nX-Trailer: t\r\n\r\n"
    )
    raw = await front.connect()
    for cut in range(1, len(request), 7):
        await raw.send(request[:cut])
        await asyncio.sleep(0.001)
        await raw.send(request[cut:])
        _, body = await raw.answer()
        seen = json.loads(body)
        assert seen["body"] == "abcdefg"
        assert ["x-trailer", "t"] not in seen["headers"]
    raw.close()


async def test_byte_by_byte(front: Running) -> None:
    raw = await front.connect()
    for byte in b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi":
        await raw.send(bytes([byte]))
        await asyncio.sleep(0)
    assert json.loads((await raw.answer())[1])["body"] == "hi"
    raw.close()


async def test_pipelined_requests_are_answered_in_order(front: Running) -> None:
    raw = await front.connect()
    await raw.send(b"".join(GET % (b"/echo/%d" % number) for number in range(300)))
    for number in range(300):
        assert json.loads((await raw.answer())[1])["path"] == f"/echo/{number}"
    raw.close()


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"http://h/echo/p?q=1", "/echo/p", "q=1"),
        (b"http://h?q=/echo", "/", "q=/echo"),
        (b"/echo/http://x", "/echo/http://x", ""),
    ],
)
async def test_absolute_targets(front: Running, target: bytes, path: str, query: str) -> None:
    raw = await front.connect()
    await raw.send(GET % target)
    _, body = await raw.answer()
    if path != "/":
        assert json.loads(body)["path"] == path
        assert json.loads(body)["query"] == query
    raw.close()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400),
        (b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", 400),
        (b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1, 1\r\n\r\na", 400),
        (b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\na", 400),
        (b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\na", 400),
        (b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length : 1\r\n\r\na", 400),
        (b"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n", 400),
        (b"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc", 400),
        (b"GET /echo HTTP/1.1\r\nHost: h\r\nX: a\n b\r\n\r\n", 400),
        (b"GET /echo HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n", 400),
        (b"GET /echo HTTP/1.1\nHost: h\n\n", 400),
        (b"GET /echo HTTP/1.1\r\nHost: h\r\nX: \0\r\n\r\n", 400),
        (b"GET /echo HTTP/1.1\r\n\r\n", 400),
        (b"GET /echo HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET /echo#f HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET /echo HTTP/2.0\r\nHost: h\r\n\r\n", 505),
        (b"NONSENSE\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ],
)
async def test_what_could_be_understood_twice_is_refused(front: Running, request_: bytes, status: int) -> None:
    answer = await front.say(request_)
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    assert answer.count(b"HTTP/1.1") == 1


async def test_a_refusal_waits_for_the_answers_owed_before_it(front: Running) -> None:
    answer = await front.say(GET % b"/echo/good" + b"BROKEN\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"/echo/good" in answer
    assert answer.count(b"HTTP/1.1 ") == 1


async def test_head_has_no_body(front: Running) -> None:
    raw = await front.connect()
    await raw.send(b"HEAD /deny HTTP/1.1\r\nHost: h\r\n\r\n" + LAST % b"/deny")
    head, _, rest = (await raw.until_closed()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 401 ")
    assert b"content-length: 18" in head
    assert rest.startswith(b"HTTP/1.1 401 ")
    raw.close()


async def test_any_method_reaches_the_handler(front: Running) -> None:
    raw = await front.connect()
    for method in (b"PATCH", b"OPTIONS", b"PROPFIND"):
        await raw.send(method + b" /echo HTTP/1.1\r\nHost: h\r\n\r\n")
        assert json.loads((await raw.answer())[1])["method"] == method.decode()
    raw.close()


async def test_an_unknown_method_is_refused(front: Running) -> None:
    assert (await front.say(b"BREW / HTTP/1.1\r\nHost: h\r\n\r\n")).startswith(b"HTTP/1.1 400 ")


async def test_connect_is_an_ordinary_request(front: Running) -> None:
    answer = await front.say(b"CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\nopaque bytes")
    assert answer.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 500 "))
    assert b"connection: close" in answer


async def test_a_websocket_upgrade_gets_426_and_the_connection_goes_on(front: Running) -> None:
    raw = await front.connect()
    await raw.send(
        b"GET /socket HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    head, _ = await raw.answer()
    assert head.startswith(b"HTTP/1.1 426 Upgrade Required\r\n")
    assert b"connection: upgrade\r\n" in head
    assert b"upgrade: HTTP/1.1\r\n" in head
    await raw.send(GET % b"/echo/after")
    assert b"/echo/after" in (await raw.answer())[1]
    raw.close()


async def test_an_offer_of_h2c_with_a_body_is_declined(front: Running) -> None:
    raw = await front.connect()
    offer = (
        b"POST /echo HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: 2\r\n\r\nhi"
    )
    await raw.send(offer * 300)
    for _ in range(300):
        assert json.loads((await raw.answer())[1])["body"] == "hi"
    raw.close()


async def test_an_upgrade_with_a_body_smuggles_nothing(front: Running) -> None:
    raw = await front.connect()
    inner = GET % b"/echo/smuggled"
    head = b"POST /echo/outer HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    await raw.send(head + b"Content-Length: %d\r\n\r\n" % len(inner))
    await asyncio.sleep(0.01)
    await raw.send(inner)
    assert json.loads((await raw.answer())[1])["body"] == inner.decode()
    await raw.send(head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(inner), inner))
    assert json.loads((await raw.answer())[1])["body"] == inner.decode()
    await raw.send(GET % b"/echo/after")
    assert json.loads((await raw.answer())[1])["path"] == "/echo/after"


async def test_expect_100_continue(front: Running) -> None:
    raw = await front.connect()
    await raw.send(b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    assert await raw.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    await raw.send(b"hello")
    assert json.loads((await raw.answer())[1])["body"] == "hello"
    raw.close()


async def test_expect_100_continue_refused(front: Running) -> None:
    answer = await front.say(b"POST /deny HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"connection: close" in answer


async def test_http_1_0(front: Running) -> None:
    answer = await front.say(b"GET /echo HTTP/1.0\r\n\r\n")
    assert b"connection: close" in answer
    answer = await front.say(b"GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert b"transfer-encoding" not in answer
    assert answer.endswith(b"\r\n\r\ndata: 0\n\ndata: 1\n\ndata: 2\n\n")


async def test_a_stream_has_a_clean_end(front: Running) -> None:
    raw = await front.connect()
    await raw.send(GET % b"/stream")
    got = await raw.until(b"0\r\n\r\n")
    assert b"transfer-encoding: chunked\r\n" in got
    assert got.endswith(b"9\r\ndata: 2\n\n\r\n0\r\n\r\n")
    await raw.send(GET % b"/exact")
    assert (await raw.answer())[1] == b"abcd"
    raw.close()


@pytest.mark.parametrize("path", [b"/abort", b"/forget"])
async def test_a_broken_stream_has_none(front: Running, path: bytes) -> None:
    answer = await front.say(GET % path)
    assert answer.endswith(b"data: partial\n\n\r\n")
    assert b"0\r\n\r\n" not in answer


async def test_a_broken_stream_of_http_1_0_is_reset(front: Running) -> None:
    # Its clean end is the end of the connection, so only a reset can tell.
    assert (await front.say(b"GET /abort HTTP/1.0\r\n\r\n")).endswith(b"<reset>")


@pytest.mark.parametrize("path", [b"/raise", b"/nothing"])
async def test_a_handler_that_fails_is_answered_for(front: Running, path: bytes) -> None:
    raw = await front.connect()
    await raw.send(GET % path)
    assert (await raw.answer())[0].startswith(b"HTTP/1.1 500 ")
    await raw.send(GET % b"/echo")
    assert (await raw.answer())[0].startswith(b"HTTP/1.1 200 ")
    raw.close()


async def test_a_header_can_not_break_out_of_its_line(front: Running) -> None:
    assert (await front.say(LAST % b"/break")).endswith(b"refused")


async def test_the_client_leaves_while_the_handler_waits(front: Running) -> None:
    raw = await front.connect()
    await raw.send(GET % b"/gone")
    await front.demo.until("gone: waits")
    raw.close()
    await front.demo.until("gone: respond refused")


async def test_the_client_leaves_in_the_middle_of_a_stream(front: Running) -> None:
    raw = await front.connect()
    await raw.send(GET % b"/when-gone")
    await raw.until(b"first")
    raw.close()
    await front.demo.until("when-gone: send refused")
    assert "when-gone: called" in front.demo.seen


async def test_the_client_leaves_in_the_middle_of_its_body(front: Running) -> None:
    raw = await front.connect()
    await raw.send(b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe")
    await asyncio.sleep(0.02)
    raw.close()
    await front.demo.until("echo: gone")
