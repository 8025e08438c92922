"""Servers that others wrote: uvicorn, nginx and Node, each in a process of its own."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import socket
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from freehold.transport.client import Client
from freehold.transport.endpoint import Endpoint, Timeouts
from freehold.transport.errors import TruncatedError

LIMITS = Timeouts(connect=5.0, first_byte=5.0, idle=5.0)
LARGE = bytes(range(256)) * 8_000

UVICORN_APP = """
import asyncio, hashlib
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    path = scope["path"]
    if path == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        for number in range(50):
            await send({"type": "http.response.body", "body": b"data: %d\\n\\n" % number, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    elif path == "/cut":
        headers = [(b"content-length", b"100")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise SystemError("planned")
    else:
        digest = hashlib.sha256(body).hexdigest().encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"64")]})
        await send({"type": "http.response.body", "body": digest})
"""

NODE_SERVER = """
const http = require("http"), crypto = require("crypto");
const server = http.createServer((request, response) => {
  const hash = crypto.createHash("sha256");
  request.on("data", piece => hash.update(piece));
  request.on("end", () => {
    if (request.url === "/stream") {
      response.writeHead(200, {"content-type": "text/event-stream"});
      for (let number = 0; number < 50; number++) response.write(`data: ${number}\\n\\n`);
      response.end();
    } else if (request.url === "/cut") {
      response.writeHead(200, {"content-length": 100});
      response.write("half", () => response.destroy());
    } else if (request.url === "/hints") {
      response.writeEarlyHints({link: "</x>; rel=preload"});
      response.end(hash.digest("hex"));
    } else response.end(hash.digest("hex"));
  });
});
server.keepAliveTimeout = Number(process.argv[2]);
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
"""


@contextmanager
def process(command: list[str], **options: object) -> Generator[subprocess.Popen[str]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, **options) as running:  # pyright: ignore[reportCallIssue, reportArgumentType] (options are few and written below)
        try:
            yield running
        finally:
            running.kill()


def listening(listener: socket.socket) -> int:
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    return listener.getsockname()[1]


@pytest.fixture(scope="module")
def uvicorn_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    pytest.importorskip("uvicorn")
    folder = tmp_path_factory.mktemp("uvicorn")
    (folder / "answers.py").write_text(UVICORN_APP)
    with socket.socket() as listener:
        port = listening(listener)
        descriptor = listener.fileno()
        command = [sys.executable, "-m", "uvicorn", "answers:app", "--fd", str(descriptor), "--log-level", "critical"]
        with process(command, cwd=folder, pass_fds=[descriptor]):
            yield port


def node_port(keep_alive: int) -> Iterator[int]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    with process([node, "-e", NODE_SERVER, str(keep_alive)]) as running:
        assert running.stdout is not None
        yield int(running.stdout.readline())


@pytest.fixture(scope="module")
def patient_node() -> Iterator[int]:
    yield from node_port(5000)


@pytest.fixture(scope="module")
def hasty_node() -> Iterator[int]:
    yield from node_port(5)


NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; client_max_body_size 0;
  fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
  gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;
  server {{
    listen 127.0.0.1:{port}; listen 127.0.0.1:{tls_port} ssl; keepalive_requests 3; root {folder};
    ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;
    location /forwarded/ {{ proxy_pass http://127.0.0.1:{behind}/; proxy_http_version 1.1; proxy_buffering off; }}
  }}
}}
"""


class Nginx:
    def __init__(self, folder: Path, port: int, tls_port: int) -> None:
        self.plain = Endpoint(scheme="http", host="127.0.0.1", port=port, timeouts=LIMITS)
        self.secure = Endpoint(host="localhost", port=tls_port, ca_file=str(folder / "ca.pem"), timeouts=LIMITS)


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory, patient_node: int) -> Iterator[Nginx]:
    binary = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    if binary is None:
        pytest.skip("nginx is not installed")
    folder = tmp_path_factory.mktemp("nginx")
    folder.chmod(0o755)
    authority = trustme.CA()
    identity = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    identity.private_key_pem.write_to_path(str(folder / "server.key"))
    (folder / "server.pem").write_bytes(identity.cert_chain_pems[0].bytes())
    (folder / "large").write_bytes(LARGE)
    for _ in range(5):  # nginx can not inherit a socket, so a port may be taken before it listens
        with socket.socket() as first, socket.socket() as second:
            port, tls_port = listening(first), listening(second)
        text = NGINX.format(folder=folder, port=port, tls_port=tls_port, behind=patient_node)
        (folder / "nginx.conf").write_text(text)
        with process(
            [binary, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
        ) as running:
            if answers(running, tls_port):
                yield Nginx(folder, port, tls_port)
                return
    pytest.fail((folder / "error.log").read_text())


def answers(running: subprocess.Popen[str], port: int) -> bool:
    for _ in range(200):
        if running.poll() is not None:
            return False
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        try:
            running.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
    return False


def plain(port: int) -> Endpoint:
    return Endpoint(scheme="http", host="127.0.0.1", port=port, timeouts=LIMITS)


async def converse(client: Client, endpoint: Endpoint, prefix: str = "") -> None:
    """Unary, large and streamed exchanges, side by side on few connections."""

    async def one(size: int) -> None:
        body = b"z" * size
        answer = await client.send(endpoint, "POST", f"{prefix}/echo", [("content-type", "text/plain")], body)
        assert answer.status == 200
        assert await answer.read(1000) == hashlib.sha256(body).hexdigest().encode()

    async def stream() -> None:
        answer = await client.send(endpoint, "GET", f"{prefix}/stream", [])
        assert (await answer.read(10_000)).count(b"data: ") == 50

    await asyncio.gather(*(one(size) for size in (0, 1, 1000, 70_000, 2_000_000) * 3), *(stream() for _ in range(5)))
    assert client.counts(endpoint).open <= 20


async def test_uvicorn(uvicorn_port: int) -> None:
    async with Client() as client:
        await converse(client, plain(uvicorn_port))
        with pytest.raises(TruncatedError):
            await (await client.send(plain(uvicorn_port), "GET", "/cut", [])).read(1000)


async def test_node(patient_node: int) -> None:
    async with Client() as client:
        await converse(client, plain(patient_node))
        with pytest.raises(TruncatedError):
            await (await client.send(plain(patient_node), "GET", "/cut", [])).read(1000)
        hints = await client.send(plain(patient_node), "GET", "/hints", [])
        assert (hints.status, len(await hints.read(1000))) == (200, 64)


async def test_node_that_closes_idle_connections_at_once(hasty_node: int) -> None:
    """Our request and its close meet on the way: the request is sent again on a fresh connection."""
    async with Client() as client:
        for number in range(30):
            answer = await client.send(plain(hasty_node), "GET", "/", [])
            await answer.read(1000)
            await asyncio.sleep(0.004 + 0.0003 * (number % 10))


async def test_nginx(nginx: Nginx) -> None:
    async with Client() as client:
        for endpoint in (nginx.plain, nginx.secure):
            await converse(client, endpoint, "/forwarded")
            for _ in range(8):
                answer = await client.send(endpoint, "GET", "/large", [])
                assert await answer.read(10_000_000) == LARGE
            with pytest.raises(TruncatedError):
                await (await client.send(endpoint, "GET", "/forwarded/cut", [])).read(1000)
            packed = await client.send(endpoint, "GET", "/large", [("accept-encoding", "gzip")])
            assert "content-encoding" not in dict(packed.headers)
            assert await packed.read(10_000_000) == LARGE
            head = await client.send(endpoint, "HEAD", "/large", [])
            assert (head.status, await head.read(10)) == (200, b"")
            assert (await client.send(endpoint, "GET", "/missing", [])).status == 404
