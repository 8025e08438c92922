"""Forward proxies: tunnels, credentials, refusals, and who goes past them."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest

from freehold.errors import ConfigError
from freehold.transport.client import Client
from freehold.transport.endpoint import Endpoint, Timeouts
from freehold.transport.errors import ConnectError, ForbiddenAddressError, PhaseTimeoutError, ProxyError
from freehold.transport.proxies import bypasses_proxy
from tests.transport.test_tls import SECURE, Authority
from tests.transport.upstreams import Peer, answering, ok, upstream


class Tunnels:
    """A CONNECT proxy; every tunnel leads to `port` on loopback."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.heads: list[bytes] = []

    async def __call__(self, peer: Peer) -> None:
        self.heads.append(await peer.reader.readuntil(b"\r\n\r\n"))
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        await peer.send(b"HTTP/1.1 200 Established\r\nvia: test\r\n\r\n")
        try:
            await asyncio.gather(pump(peer.reader, writer), pump(reader, peer.writer))
        finally:
            writer.close()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except (OSError, RuntimeError, NotImplementedError):
        pass  # one side is gone; the other follows


async def exchange(client: Client, endpoint: Endpoint) -> bytes:
    return await (await client.send(endpoint, "GET", "/v1/x?y", [])).read(1_000_000)


async def test_https_goes_through_a_tunnel(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with upstream(answering(ok(b"x" * 200_000)), authority.context) as server, Client() as client:
        tunnels = Tunnels(server.port)
        async with upstream(tunnels) as proxy:
            endpoint = server.endpoint(
                **SECURE, ca_file=authority.ca_file, proxy=f"http://us%40er:p%3Aw@127.0.0.1:{proxy.port}"
            )
            for _ in range(2):
                assert len(await exchange(client, endpoint)) == 200_000
            await client.close()
            pair = base64.b64encode(b"us@er:p:w")
            authority_line = b"upstream.example:%d" % server.port
            assert tunnels.heads == [
                b"CONNECT %b HTTP/1.1\r\nHost: %b\r\nProxy-Authorization: Basic %b\r\n\r\n"
                % (authority_line, authority_line, pair)
            ]
            assert b"proxy-authorization" not in server.received[0].head.lower()


async def test_https_through_an_https_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy_folder, server_folder = tmp_path / "proxy", tmp_path / "server"
    proxy_folder.mkdir()
    server_folder.mkdir()
    front, behind = Authority(proxy_folder, "localhost"), Authority(server_folder)
    monkeypatch.setenv("SSL_CERT_FILE", front.ca_file)  # the proxy is trusted as the system trusts
    async with upstream(answering(ok()), behind.context) as server, Client() as client:
        tunnels = Tunnels(server.port)
        async with upstream(tunnels, front.context) as proxy:
            endpoint = server.endpoint(**SECURE, ca_file=behind.ca_file, proxy=f"https://localhost:{proxy.port}")
            assert await exchange(client, endpoint) == b"hello"
            assert await exchange(client, endpoint) == b"hello"
            assert len(tunnels.heads) == 1
            await client.close()


async def test_plain_http_asks_the_proxy_for_the_whole_url() -> None:
    async with upstream(answering(ok())) as proxy, Client() as client:
        endpoint = Endpoint(
            scheme="http", host="upstream.example", port=8000, proxy=f"http://u:p@127.0.0.1:{proxy.port}"
        )
        assert await exchange(client, endpoint) == b"hello"
        head = proxy.received[0].head
        assert head.startswith(b"GET http://upstream.example:8000/v1/x?y HTTP/1.1\r\nhost: upstream.example:8000\r\n")
        assert b"proxy-authorization: Basic dTpw\r\n" in head


async def test_a_pinned_address_stays_pinned_through_a_proxy() -> None:
    async with upstream(answering(ok())) as server, Client() as client:
        tunnels = Tunnels(server.port)
        async with upstream(tunnels) as proxy:
            endpoint = Endpoint(
                scheme="http",
                host="user.example",
                port=80,
                addresses=("93.184.215.14",),
                allow_private=False,
                proxy=f"http://127.0.0.1:{proxy.port}",
            )
            assert await exchange(client, endpoint) == b"hello"
            assert tunnels.heads[0].startswith(b"CONNECT 93.184.215.14:80 HTTP/1.1\r\n")
            assert b"host: user.example\r\n" in server.received[0].head
            await client.close()


@pytest.mark.parametrize(
    ("answer_bytes", "status"),
    [
        (b"HTTP/1.1 407 Who\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n", 407),
        (b"HTTP/1.1 403 No\r\n\r\n", 403),
        (b"garbage", None),
        (b"garbage\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\n\r\nearly", 200),
        (b"HTTP/1.1 20x OK\r\n\r\n", None),
        (b"", None),
        (b"x" * 100_000, None),
    ],
)
async def test_a_proxy_that_refuses_is_named_with_its_status(answer_bytes: bytes, status: int | None) -> None:
    async with upstream(answering(answer_bytes, close=True)) as proxy, Client() as client:
        endpoint = Endpoint(host="upstream.example", port=443, proxy=f"http://user:secret@127.0.0.1:{proxy.port}")
        with pytest.raises(ProxyError) as caught:
            await exchange(client, endpoint)
        assert (caught.value.proxy_status, caught.value.phase, caught.value.sent) == (status, "proxy", False)
        assert str(proxy.port) in str(caught.value)
        assert "secret" not in str(caught.value)
        assert client.counts(endpoint).open == 0


async def test_a_proxy_that_does_not_answer_is_a_timeout() -> None:
    async def handle(peer: Peer) -> None:
        await peer.gone()

    async with upstream(handle) as proxy, Client() as client:
        endpoint = Endpoint(
            host="h.example",
            port=443,
            proxy=f"http://127.0.0.1:{proxy.port}",
            timeouts=Timeouts(connect=0.15),
        )
        with pytest.raises(PhaseTimeoutError) as caught:
            await exchange(client, endpoint)
        assert caught.value.phase == "proxy"


async def test_a_proxy_that_is_not_there() -> None:
    async with upstream(answering()) as gone:
        pass
    async with Client() as client:
        endpoint = Endpoint(host="h.example", port=443, proxy=f"http://127.0.0.1:{gone.port}")
        with pytest.raises(ConnectError, match="proxy"):
            await exchange(client, endpoint)


async def test_a_proxy_address_must_be_a_url() -> None:
    async with Client() as client:
        with pytest.raises(ConfigError):
            await exchange(client, Endpoint(host="h", port=443, proxy="socks5://user:secret@h:1"))


async def test_a_users_private_url_is_refused_through_a_proxy_too() -> None:
    async with Client() as client:
        endpoint = Endpoint(host="10.0.0.1", port=443, proxy="http://127.0.0.1:1", allow_private=False)
        with pytest.raises(ForbiddenAddressError):
            await exchange(client, endpoint)


@pytest.mark.parametrize(
    ("host", "no_proxy", "past"),
    [
        ("api.example.com", "example.com", True),
        ("api.example.com", ".example.com", True),
        ("api.example.com", "*.example.com", True),
        ("example.com", ".example.com", True),
        ("API.Example.com.", "other, example.com:443", True),
        ("badexample.com", "example.com", False),
        ("example.com.evil.net", "example.com", False),
        ("anything", "*", True),
        ("anything", "", False),
        ("anything", " , ,", False),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("11.1.2.3", "10.0.0.0/8,example.com", False),
        ("::1", "[::1]", True),
        ("::1", "10.0.0.0/8", False),
    ],
)
def test_who_goes_past_the_proxy(host: str, no_proxy: str, *, past: bool) -> None:
    assert bypasses_proxy(host, no_proxy) is past
