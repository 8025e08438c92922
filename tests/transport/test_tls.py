"""TLS: whom we trust, who we say we are, and what a cut connection means."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import trustme

from freehold.transport.client import Client
from freehold.transport.endpoint import Endpoint, Timeouts
from freehold.transport.errors import PhaseTimeoutError, TlsError, TransportError, TruncatedError
from tests.transport.upstreams import Handler, Peer, answering, chunked, ok, upstream


class Authority:
    """A certificate authority with files, and a server identity for `name`."""

    def __init__(self, folder: Path, name: str = "upstream.example") -> None:
        self.ca = trustme.CA()
        self.ca_file = str(folder / "ca.pem")
        self.ca.cert_pem.write_to_path(self.ca_file)
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.set_alpn_protocols(["h2", "http/1.1"])
        self.ca.issue_cert(name).configure_cert(self.context)

    def client_files(self, folder: Path) -> tuple[str, str]:
        identity = self.ca.issue_cert("client@example.com")
        certificate, key = folder / "client.pem", folder / "client.key"
        certificate.write_bytes(b"".join(blob.bytes() for blob in identity.cert_chain_pems))
        identity.private_key_pem.write_to_path(str(key))
        return str(certificate), str(key)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def named(host: str, port: int) -> tuple[str, ...]:
    return ("127.0.0.1",)


async def exchange(client: Client, endpoint: Endpoint) -> bytes:
    return await (await client.send(endpoint, "GET", "/", [])).read(10_000_000)


SECURE: dict[str, object] = {"scheme": "https", "host": "upstream.example"}


async def test_an_own_authority_sni_and_alpn(authority: Authority) -> None:
    seen: list[object] = []
    authority.context.sni_callback = lambda _socket, name, _context: seen.append(name)

    async def handle(peer: Peer) -> None:
        seen.append(peer.writer.get_extra_info("ssl_object").selected_alpn_protocol())
        await answering(ok(b"x" * 300_000))(peer)

    async with upstream(handle, authority.context) as server, Client(resolver=named) as client:
        endpoint = server.endpoint(**SECURE, ca_file=authority.ca_file)
        for _ in range(3):
            assert len(await exchange(client, endpoint)) == 300_000
        assert seen == ["upstream.example", "http/1.1"]
        large = await client.send(endpoint, "POST", "/", [], b"y" * 3_000_000)
        await large.read(1_000_000)
        assert len(server.received[-1].body) == 3_000_000


@pytest.mark.parametrize(
    ("host", "trusted", "said"),
    [
        ("upstream.example", False, "not accepted"),
        ("other.example", True, "not accepted"),
        ("127.0.0.1", True, "not accepted"),
    ],
)
async def test_a_certificate_that_proves_nothing_is_refused(
    authority: Authority, host: str, *, trusted: bool, said: str
) -> None:
    async with upstream(answering(ok()), authority.context) as server, Client(resolver=named) as client:
        ca_file = authority.ca_file if trusted else None
        endpoint = server.endpoint(scheme="https", host=host, ca_file=ca_file)
        with pytest.raises(TlsError, match=said) as caught:
            await exchange(client, endpoint)
        assert (caught.value.phase, caught.value.sent) == ("tls", False)
        assert server.received == []
        assert client.counts(endpoint).open == 0


async def test_client_certificates(authority: Authority, tmp_path: Path) -> None:
    authority.context.verify_mode = ssl.CERT_REQUIRED
    authority.ca.configure_trust(authority.context)
    certificate, key = authority.client_files(tmp_path)
    async with upstream(answering(ok()), authority.context) as server, Client(resolver=named) as client:
        plain = server.endpoint(**SECURE, ca_file=authority.ca_file)
        with pytest.raises(TransportError):
            await exchange(client, plain)
        known = server.endpoint(**SECURE, ca_file=authority.ca_file, client_cert=certificate, client_key=key)
        assert await exchange(client, known) == b"hello"


async def test_a_certificate_that_has_expired_is_refused(authority: Authority) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    authority.ca.issue_cert("upstream.example", not_after=yesterday).configure_cert(context)
    async with upstream(answering(ok()), context) as server, Client(resolver=named) as client:
        with pytest.raises(TlsError, match="expired"):
            await exchange(client, server.endpoint(**SECURE, ca_file=authority.ca_file))


async def test_a_client_certificate_of_another_authority_is_refused(authority: Authority, tmp_path: Path) -> None:
    authority.context.verify_mode = ssl.CERT_REQUIRED
    authority.ca.configure_trust(authority.context)
    (tmp_path / "stranger").mkdir()
    certificate, key = Authority(tmp_path / "stranger").client_files(tmp_path)
    async with upstream(answering(ok()), authority.context) as server, Client(resolver=named) as client:
        with pytest.raises(TransportError):
            await exchange(
                client, server.endpoint(**SECURE, ca_file=authority.ca_file, client_cert=certificate, client_key=key)
            )
        assert server.received == []


async def test_renewed_files_are_used_for_new_connections_and_old_answers_end(
    authority: Authority, tmp_path: Path
) -> None:
    seen: list[object] = []
    go_on = asyncio.Event()
    authority.context.verify_mode = ssl.CERT_REQUIRED
    authority.ca.configure_trust(authority.context)

    async def handle(peer: Peer) -> None:
        seen.append(peer.writer.get_extra_info("peercert")["serialNumber"])
        while True:
            received = await peer.request()
            await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe")
            if b"GET /slow" in received.head:
                await go_on.wait()
            await peer.send(b"llo")

    certificate, key = authority.client_files(tmp_path)
    async with upstream(handle, authority.context) as server, Client(resolver=named) as client:
        endpoint = server.endpoint(**SECURE, ca_file=authority.ca_file, client_cert=certificate, client_key=key)
        slow = await client.send(endpoint, "GET", "/slow", [])
        assert await exchange(client, endpoint) == b"hello"
        authority.client_files(tmp_path)
        assert await exchange(client, endpoint) == b"hello"
        assert len(set(seen)) == 1, "nothing was said of a renewal"
        client.renew()
        assert await exchange(client, endpoint) == b"hello"
        assert len(set(seen)) == 2
        go_on.set()
        assert await slow.read(10) == b"hello"
        assert await exchange(client, endpoint) == b"hello"
        assert len(seen) == 3, "the connection of the old certificate was not used again"


@pytest.mark.parametrize("options", [{"ca_file": "/nowhere/ca.pem"}, {"client_cert": "/nowhere/client.pem"}])
async def test_a_missing_file_is_named(options: dict[str, object]) -> None:
    endpoint = msgspec.structs.replace(Endpoint(host="h", port=1), **options)
    async with Client() as client:
        with pytest.raises(TlsError, match="/nowhere"):
            await exchange(client, endpoint)


async def test_an_upstream_that_speaks_no_tls_says_so() -> None:
    async def handle(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 400 Speak plainly\r\n\r\n")
        await peer.gone()

    async with upstream(handle) as server, Client(resolver=named) as client:
        with pytest.raises(TlsError, match="speaks TLS"):
            await exchange(client, server.endpoint(**SECURE))


async def test_an_upstream_that_hangs_up_in_the_handshake() -> None:
    async def handle(peer: Peer) -> None:
        await peer.reader.read(10)

    async with upstream(handle) as server, Client(resolver=named) as client:
        endpoint = server.endpoint(**SECURE)
        with pytest.raises(TlsError):
            await exchange(client, endpoint)
        assert client.counts(endpoint).open == 0


async def test_a_handshake_has_the_limit_of_connecting() -> None:
    async def handle(peer: Peer) -> None:
        await peer.gone()

    async with upstream(handle) as server, Client(resolver=named) as client:
        endpoint = server.endpoint(**SECURE, timeouts=Timeouts(connect=0.15))
        with pytest.raises(PhaseTimeoutError) as caught:
            await exchange(client, endpoint)
        assert (caught.value.phase, caught.value.sent) == ("tls", False)
        assert client.counts(endpoint).open == 0


async def test_a_body_that_ends_with_a_proper_end_of_tls_is_whole(authority: Authority) -> None:
    handler = answering(b"HTTP/1.1 200 OK\r\n\r\nall of it", close=True)
    async with upstream(handler, authority.context) as server, Client(resolver=named) as client:
        assert await exchange(client, server.endpoint(**SECURE, ca_file=authority.ca_file)) == b"all of it"


async def test_a_slow_reader_gets_all_that_was_sent_before_the_upstream_closed(authority: Authority) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1000000\r\n\r\n")
        for _ in range(20):
            await peer.send(b"x" * 50_000)
            await asyncio.sleep(0)
        peer.writer.transport.abort()

    async with upstream(handle, authority.context) as server, Client(resolver=named) as client:
        endpoint = server.endpoint(**SECURE, ca_file=authority.ca_file)
        for _ in range(5):
            answer = await client.send(endpoint, "GET", "/", [])
            received = 0
            async for data in answer:
                received += len(data)
                await asyncio.sleep(0.005)
            assert received == 1_000_000


async def half_then_cut(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\n\r\nhalf")
    await asyncio.sleep(0.01)
    peer.writer.transport.abort()  # no close_notify: an attacker could have done it


async def chunks_then_cut(peer: Peer) -> None:
    await peer.request()
    await peer.send(chunked(b"half")[:-5])
    await asyncio.sleep(0.01)
    peer.writer.transport.abort()


@pytest.mark.parametrize("handler", [half_then_cut, chunks_then_cut])
async def test_a_cut_without_the_end_of_tls_is_truncated(authority: Authority, handler: Handler) -> None:
    async with upstream(handler, authority.context) as server, Client(resolver=named) as client:
        with pytest.raises(TruncatedError):
            await exchange(client, server.endpoint(**SECURE, ca_file=authority.ca_file))


@pytest.mark.parametrize("turns", [1, 3, 5, 8, 12, 20, 40])
async def test_cancelling_a_handshake_leaves_nothing(authority: Authority, turns: int) -> None:
    async with upstream(answering(ok()), authority.context) as server, Client(resolver=named) as client:
        endpoint = server.endpoint(**SECURE, ca_file=authority.ca_file, max_connections=1)
        task = asyncio.ensure_future(exchange(client, endpoint))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await exchange(client, endpoint) == b"hello"
