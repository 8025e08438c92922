"""HTTP/2 with prior knowledge and over TLS, spoken by the h2 library's client side."""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path
from typing import TypeVar, cast

import httpx
import pytest
import trustme
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.settings import SettingCodes

from freehold.server.front import tls_context
from freehold.server.limits import HttpLimits
from tests.server.front.conftest import QUICK, Raw, Running, Start

E = TypeVar("E", bound=Event)


class Client:
    """One HTTP/2 connection."""

    def __init__(self, raw: Raw) -> None:
        self.raw = raw
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.events: list[Event] = []
        self.acknowledges = True

    async def begin(self, settings: dict[SettingCodes | int, int] | None = None) -> None:
        self.h2.local_settings.update(settings or {})
        self.h2.initiate_connection()
        await self.flush()

    async def flush(self) -> None:
        await self.raw.send(self.h2.data_to_send())

    async def ask(
        self, method: str, path: str, *extra: tuple[str, str], body: bytes | None = None, end: bool = True
    ) -> int:
        stream = self.h2.get_next_available_stream_id()
        head = [(":method", method), (":path", path), (":scheme", "http"), (":authority", "h:1"), *extra]
        self.h2.send_headers(stream, head, end_stream=end and body is None)
        if body is not None:
            self.h2.send_data(stream, body, end_stream=end)
        await self.flush()
        return stream

    async def read(self) -> bool:
        async with asyncio.timeout(5):
            data = await self.raw.reader.read(65_536)
        if not data:
            return False
        for event in self.h2.receive_data(data):
            self.events.append(event)
            if isinstance(event, DataReceived) and self.acknowledges:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        await self.flush()
        return True

    async def until(self, kind: type[E], stream: int | None = None) -> E:
        while True:
            for event in self.events:
                if isinstance(event, kind) and (stream is None or getattr(event, "stream_id", None) == stream):
                    return event
            assert await self.read(), f"closed before {kind.__name__}"

    async def answer(self, stream: int) -> tuple[dict[str, str], bytes]:
        await self.until(StreamEnded, stream)
        head = await self.until(ResponseReceived, stream)
        body = b"".join(e.data for e in self.events if isinstance(e, DataReceived) and e.stream_id == stream)
        return cast("dict[str, str]", dict(head.headers)), body


async def meet(running: Running) -> Client:
    client = Client(await running.connect())
    await client.begin()
    return client


@pytest.fixture
async def client(front: Running) -> Client:
    return await meet(front)


async def test_the_request_arrives_untouched(client: Client) -> None:
    stream = await client.ask(
        "POST", "/echo/a%3Ab%2Fc:d?x=%20a+b", ("x-one", "1"), ("x-one", "2"), ("content-length", "5"), body=b"hello"
    )
    head, body = await client.answer(stream)
    seen = json.loads(body)
    assert head[":status"] == "200"
    assert "date" in head
    assert head["content-length"] == str(len(body))
    assert (seen["path"], seen["query"]) == ("/echo/a%3Ab%2Fc:d", "x=%20a+b")
    assert seen["headers"] == [["host", "h:1"], ["x-one", "1"], ["x-one", "2"], ["content-length", "5"]]
    assert (seen["version"], seen["client"], seen["body"]) == ("2", "127.0.0.1", "hello")


async def test_the_preface_may_come_in_pieces(front: Running) -> None:
    client = Client(await front.connect())
    client.h2.initiate_connection()
    for byte in client.h2.data_to_send():
        await client.raw.send(bytes([byte]))
        await asyncio.sleep(0)
    assert (await client.answer(await client.ask("GET", "/echo")))[0][":status"] == "200"


async def test_many_streams_at_once(client: Client) -> None:
    streams = [await client.ask("POST", f"/echo/{number}", body=b"x" * 900) for number in range(40)]
    for number, stream in enumerate(streams):
        assert json.loads((await client.answer(stream))[1])["path"] == f"/echo/{number}"


async def test_streams_end_cleanly_or_are_reset(client: Client) -> None:
    _, body = await client.answer(await client.ask("GET", "/stream"))
    assert body == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
    for path in ("/abort", "/forget"):
        stream = await client.ask("GET", path)
        reset = await client.until(StreamReset, stream)
        assert reset.error_code == ErrorCodes.INTERNAL_ERROR
        assert not [e for e in client.events if isinstance(e, StreamEnded) and e.stream_id == stream]
    # The connection and its other streams are not touched.
    assert (await client.answer(await client.ask("GET", "/exact")))[1] == b"abcd"


async def test_head_and_failures(client: Client) -> None:
    head, body = await client.answer(await client.ask("HEAD", "/deny"))
    assert (head[":status"], head["content-length"], body) == ("401", "18", b"")
    assert (await client.answer(await client.ask("GET", "/raise")))[0][":status"] == "500"
    assert (await client.answer(await client.ask("GET", "/break")))[1] == b"refused"
    assert "upgrade" not in (await client.answer(await client.ask("GET", "/socket")))[0]


async def test_an_answer_larger_than_the_window_follows_the_reader(client: Client) -> None:
    _, body = await client.answer(await client.ask("GET", "/big"))
    assert body == b"x" * 1_000_000


async def test_bodies_larger_than_the_limit(client: Client) -> None:
    stream = await client.ask("POST", "/echo", ("content-length", "2000"), body=b"x" * 10, end=False)
    assert (await client.answer(stream))[0][":status"] == "413"
    stream = await client.ask("POST", "/echo", body=b"x" * 2000)
    assert (await client.answer(stream))[0][":status"] == "413"


async def test_an_answer_before_the_body_stops_the_body(client: Client) -> None:
    stream = await client.ask("POST", "/deny", body=b"x", end=False)
    assert (await client.answer(stream))[0][":status"] == "401"
    reset = await client.until(StreamReset, stream)
    assert reset.error_code == ErrorCodes.NO_ERROR


async def test_the_client_resets_a_stream(front: Running, client: Client) -> None:
    stream = await client.ask("GET", "/when-gone")
    await client.until(DataReceived, stream)
    client.h2.reset_stream(stream, ErrorCodes.CANCEL)
    await client.flush()
    await front.demo.until("when-gone: send refused")
    stream = await client.ask("GET", "/gone")
    await front.demo.until("gone: waits")
    client.h2.reset_stream(stream, ErrorCodes.CANCEL)
    await client.flush()
    await front.demo.until("gone: respond refused")
    assert (await client.answer(await client.ask("GET", "/echo")))[0][":status"] == "200"


async def test_the_client_drops_the_connection(front: Running, client: Client) -> None:
    await client.ask("GET", "/gone")
    await front.demo.until("gone: waits")
    client.raw.close()
    await front.demo.until("gone: respond refused")


async def test_a_reader_that_opens_no_window_bounds_memory_and_is_let_go(hasty: Running) -> None:
    client = await meet(hasty)
    client.acknowledges = False
    stream = await client.ask("GET", "/flood")
    reset = await client.until(StreamReset, stream)
    assert reset.error_code == ErrorCodes.CANCEL
    await hasty.demo.until("flood: gone")
    assert hasty.demo.sent <= 65_536


async def test_a_reader_that_never_reads_is_let_go(hasty: Running) -> None:
    client = Client(await hasty.connect())
    await client.begin({SettingCodes.INITIAL_WINDOW_SIZE: 2**31 - 1})
    client.h2.increment_flow_control_window(2**31 - 1 - 65_535)
    await client.flush()
    client.raw.stop_reading()
    await client.ask("GET", "/flood")
    await hasty.demo.until("flood: gone")
    assert hasty.demo.sent < 20_000_000


async def test_a_body_nobody_asked_for_stops_at_the_window(front: Running, client: Client) -> None:
    stream = await client.ask("POST", "/hold", end=False)
    await front.demo.until("hold: began")
    await client.until(Event)
    while client.h2.remote_settings.initial_window_size != 128 * 1024:
        await client.read()
    sent = 0
    while (room := min(client.h2.local_flow_control_window(stream), 16_384)) > 0:
        client.h2.send_data(stream, b"x" * room)
        sent += room
        await client.flush()
    assert sent == 128 * 1024
    front.demo.gate.set()
    assert (await client.answer(stream))[0][":status"] == "200"
    # The window of the connection is whole again.
    assert (await client.answer(await client.ask("POST", "/echo", body=b"x" * 900)))[0][":status"] == "200"


async def test_too_large_headers_and_too_many(front: Running, client: Client) -> None:
    stream = await client.ask("GET", "/echo", *((f"x-{number}", "1") for number in range(60)))
    assert (await client.answer(stream))[0][":status"] == "431"
    await client.ask("GET", "/echo", ("x-big", "a" * 10_000))
    ended = await client.until(ConnectionTerminated)
    assert ended.error_code == ErrorCodes.ENHANCE_YOUR_CALM


async def test_rapid_resets_end_the_connection(client: Client) -> None:
    for _ in range(300):
        stream = client.h2.get_next_available_stream_id()
        client.h2.send_headers(
            stream, [(":method", "GET"), (":path", "/hold"), (":scheme", "http"), (":authority", "h")]
        )
        client.h2.reset_stream(stream, ErrorCodes.CANCEL)
    await client.flush()
    ended = await client.until(ConnectionTerminated)
    assert ended.error_code == ErrorCodes.ENHANCE_YOUR_CALM


async def test_nonsense_ends_the_connection(front: Running) -> None:
    raw = await front.connect()
    await raw.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x00\x00\x00\x00\x00\x00" * 3)
    await raw.until_closed()


async def test_idle_and_stalled(hasty: Running) -> None:
    client = await meet(hasty)
    stream = await client.ask("POST", "/echo", body=b"he", end=False)
    reset = await client.until(StreamReset, stream)
    assert reset.error_code == ErrorCodes.CANCEL
    await hasty.demo.until("echo: gone")
    ended = await client.until(ConnectionTerminated)
    assert ended.error_code == ErrorCodes.NO_ERROR


async def test_too_many_open_exchanges(start: Start) -> None:
    async with start(limits=HttpLimits(streams=1)) as running:
        client = Client(await running.connect())
        await client.begin()
        held = await client.ask("GET", "/hold")
        await running.demo.until("hold: began")
        head, _ = await client.answer(await client.ask("GET", "/late"))
        assert (head[":status"], head["retry-after"]) == ("503", "1")
        running.demo.gate.set()
        assert (await client.answer(held))[0][":status"] == "200"


async def test_shutdown_lets_streams_end(front: Running, client: Client) -> None:
    stream = await client.ask("GET", "/hold-stream")
    await front.demo.until("hold-stream: began")
    stopping = asyncio.create_task(front.front.stop(5.0))
    # h2's client refuses to go on after a GOAWAY, so what follows is only read here, not answered.
    ended = await client.until(ConnectionTerminated)
    assert (ended.error_code, ended.last_stream_id) == (ErrorCodes.NO_ERROR, stream)
    assert not stopping.done()
    front.demo.gate.set()
    rest = await client.raw.until_closed()
    assert b"data: last" in rest
    await stopping


async def test_a_client_that_says_goodbye_still_gets_its_answer(front: Running, client: Client) -> None:
    await client.ask("GET", "/hold-stream")
    await front.demo.until("hold-stream: began")
    client.h2.close_connection()
    await client.flush()
    await asyncio.sleep(0.02)
    front.demo.gate.set()
    assert b"data: last" in await client.raw.until_closed()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(authority: trustme.CA, tmp_path: Path) -> tuple[Path, Path, Path]:
    """Certificate, key and CA as files."""
    issued = authority.issue_cert("localhost")
    cert, key, ca = tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "ca.pem"
    cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    ca.write_bytes(authority.cert_pem.bytes())
    return cert, key, ca


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.mark.parametrize("http2", [False, True])
async def test_tls_speaks_what_alpn_agrees(
    start: Start, authority: trustme.CA, files: tuple[Path, Path, Path], *, http2: bool
) -> None:
    cert, key, _ = files
    async with (
        start(tls=tls_context(cert=cert, key=key)) as running,
        httpx.AsyncClient(verify=trusting(authority), http2=http2, trust_env=False) as client,
    ):
        url = f"https://localhost:{running.port}"
        answer = await client.post(f"{url}/echo/a%3Ab", content=b"hi")
        assert answer.json()["scheme"] == "https"
        assert answer.json()["version"] == ("2" if http2 else "1.1")
        assert answer.json()["path"] == "/echo/a%3Ab"
        assert (await client.get(f"{url}/big")).content == b"x" * 1_000_000
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(f"{url}/abort")


async def test_prior_knowledge_over_tls_needs_no_alpn(
    start: Start, authority: trustme.CA, files: tuple[Path, Path, Path]
) -> None:
    cert, key, _ = files
    async with start(tls=tls_context(cert=cert, key=key)) as running:
        context = trusting(authority)
        context.set_alpn_protocols(["http/1.1"])
        client = Client(await running.connect(context))
        await client.begin()
        assert (await client.answer(await client.ask("GET", "/echo")))[0][":status"] == "200"


async def test_only_clients_with_a_certificate(
    start: Start, authority: trustme.CA, files: tuple[Path, Path, Path]
) -> None:
    cert, key, ca = files
    async with start(tls=tls_context(cert=cert, key=key, client_ca=ca)) as running:
        url = f"https://localhost:{running.port}/echo"
        known = trusting(authority)
        authority.issue_cert("client@example.org").configure_cert(known)
        async with httpx.AsyncClient(verify=known, trust_env=False) as client:
            assert (await client.get(url)).status_code == 200
        async with httpx.AsyncClient(verify=trusting(authority), trust_env=False) as client:
            with pytest.raises((httpx.ReadError, httpx.ConnectError, httpx.RemoteProtocolError)):
                await client.get(url)


async def test_an_unfinished_handshake_times_out(start: Start, files: tuple[Path, Path, Path]) -> None:
    cert, key, _ = files
    async with start(tls=tls_context(cert=cert, key=key), limits=QUICK) as running:
        raw = await running.connect()
        await raw.send(b"\x16\x03\x01")
        assert await raw.until_closed() in {b"", b"<reset>"}
