"""A gateway before every emulated vendor twice, once well and once to be made ill, and each pair behind a name."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Generator, Iterator
from typing import get_args

import pytest
import trustme

from tests.faults.faults import Where
from tests.faults.protocols import PROTOCOLS
from tests.gateway.conftest import closed_port
from tests.upstreams.gateway import UPSTREAMS, Gateway

HASTE = 0.25
"""Seconds that the hasty account waits for a byte; no answer that is wanted has to come in that time."""


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    upstreams = {f"{state}-{name}": upstream for state in ("well", "sick") for name, upstream in UPSTREAMS.items()}
    with _listening(_plain) as plain, _stranger() as stranger:
        gateway = Gateway(
            tmp_path_factory.mktemp("faults"),
            keys=False,
            more=_accounts(plain, stranger) + _models(),
            upstreams=upstreams,
        )
        gateway.start()
        yield gateway
        gateway.stop()


@contextlib.contextmanager
def _listening(serve: Callable[[socket.socket], None]) -> Generator[int]:
    """A port where every connection is served so, in turn."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                link, _ = listener.accept()
            except OSError:
                return
            with link, contextlib.suppress(OSError):
                serve(link)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


def _plain(link: socket.socket) -> None:
    """What servers that speak no TLS say to it."""
    link.recv(65_536)
    link.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")


@contextlib.contextmanager
def _stranger() -> Generator[int]:
    """A server whose certificate is from an authority that nobody has heard of."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with _listening(lambda link: context.wrap_socket(link, server_side=True).close()) as port:
        yield port


def _accounts(plain: int, stranger: int) -> str:
    """An account for each way to fail that has one; those of the sick and the well are the gateway's own."""
    lines: list[str] = []
    for name, upstream in UPSTREAMS.items():
        port = f"{{sick_{name.replace('-', '_')}}}"
        urls = {
            "hasty": f"http://127.0.0.1:{port}",
            "dead": f"http://127.0.0.1:{closed_port()}",
            "plain": f"https://127.0.0.1:{plain}",
            "stranger": f"https://127.0.0.1:{stranger}",
        }
        for where, url in urls.items():
            lines.append(f"[accounts.{where}-{name}]\n" + upstream.account.replace("{url}", url))
            if where == "hasty":
                lines.append(f"timeouts = {{{{ first_byte = {HASTE}, idle = {HASTE} }}}}")
    return "\n".join(lines) + "\n"


def _models() -> str:
    """A name for every pair: first the target that fails, then the one that is well."""
    pairs = {
        pair
        for each in PROTOCOLS.values()
        for pair in ((each.own, each.own), (each.own, each.other), (each.other, each.own))
    }
    return "\n".join(
        f'[models."{where}.{first}.{second}"]\ntargets = {[target(where, first), target("well", second)]}'
        for where in get_args(Where)
        for first, second in sorted(pairs)
    )


def target(state: str, vendor: str) -> str:
    """A target as a configuration names it."""
    return f"{state}-{vendor}/{UPSTREAMS[vendor].target}"


@pytest.fixture
def gateway(running: Gateway) -> Iterator[Gateway]:
    """Everybody is well; afterwards none may have got a request that its vendor would refuse."""
    running.forget()
    yield running
    assert running.problems() == []
