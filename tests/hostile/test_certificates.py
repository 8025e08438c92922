"""Certificates at our own door: who gets in, and renewal without a restart."""

from __future__ import annotations

import asyncio
import logging
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from freehold.app import Service
from tests.hostile.test_reload import BASE, service_at

TLS = """
tls_cert = "{folder}/server.pem"
tls_key = "{folder}/server.key"
client_ca = "{folder}/clients.pem"
[accounts.one]"""


class Keys:
    """The files of one folder, and clients to try them with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers = trustme.CA()
        self.clients = trustme.CA()
        self.renew()
        self.admit(self.clients)

    def renew(self) -> None:
        identity = self.servers.issue_cert("127.0.0.1")
        (self.folder / "server.pem").write_bytes(b"".join(blob.bytes() for blob in identity.cert_chain_pems))
        identity.private_key_pem.write_to_path(str(self.folder / "server.key"))

    def admit(self, authority: trustme.CA) -> None:
        authority.cert_pem.write_to_path(str(self.folder / "clients.pem"))

    def client(self, identity: trustme.LeafCert | None) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.servers.configure_trust(context)
        if identity is not None:
            identity.configure_cert(context)
        return context

    def known(self) -> ssl.SSLContext:
        return self.client(self.clients.issue_cert("client@example.com"))

    def service(self) -> Service:
        return service_at(self.folder, BASE.replace("[accounts.one]", TLS.format(folder=self.folder)))


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


async def ask(service: Service, context: ssl.SSLContext) -> tuple[bytes, int]:
    """The first line of an answer and the serial number of the server's certificate."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.address[1], ssl=context)
    try:
        serial = int(writer.get_extra_info("peercert")["serialNumber"], 16)
        writer.write(b"HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        async with asyncio.timeout(10):
            return (await reader.read()).partition(b"\r\n")[0], serial
    finally:
        writer.close()


async def refused(service: Service, context: ssl.SSLContext) -> bool:
    """Whether the handshake fails; in TLS 1.3 a client learns of it when it reads."""
    try:
        line, _ = await ask(service, context)
    except (ssl.SSLError, ConnectionError):
        return True
    return line == b""


async def test_only_certificates_of_the_named_authority_get_in(keys: Keys, caplog: pytest.LogCaptureFixture) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    async with keys.service() as service:
        await service.listen()
        assert (await ask(service, keys.known()))[0] == b"HTTP/1.1 200 OK"
        strangers = (
            None,
            trustme.CA().issue_cert("client@example.com"),
            keys.clients.issue_cert("client@example.com", not_after=yesterday),
        )
        with caplog.at_level(logging.INFO):
            for identity in strangers:
                assert await refused(service, keys.client(identity))
        assert "handshake failed" in caplog.text
        await service.refresh()
        assert "freehold_handshakes_failed_total 3" in service.metrics()


async def test_renewed_files_are_taken_at_a_reload(keys: Keys) -> None:
    async with keys.service() as service:
        await service.listen()
        _, first = await ask(service, keys.known())
        keys.renew()
        assert (await ask(service, keys.known()))[1] == first
        await service.reload()
        assert (await ask(service, keys.known()))[1] != first
        known, clients = keys.known(), trustme.CA()
        keys.admit(clients)
        await service.reload()
        assert await refused(service, known), "an authority that is no longer named"
        assert (await ask(service, keys.client(clients.issue_cert("c@example.com"))))[0] == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize("file", ["server.pem", "server.key", "clients.pem"])
async def test_a_broken_file_leaves_the_last_good_one(keys: Keys, file: str, caplog: pytest.LogCaptureFixture) -> None:
    async with keys.service() as service:
        await service.listen()
        (keys.folder / file).write_text("nonsense")
        await service.reload()
        assert "the last good one stays in use" in caplog.text
        assert service.serving.snapshot.number == 1
        assert (await ask(service, keys.known()))[0] == b"HTTP/1.1 200 OK"
