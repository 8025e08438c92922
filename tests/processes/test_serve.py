"""Several workers under one supervisor, as processes: what dies, what is changed under load, and who notices."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from freehold.exchange.record import read_records
from tests.hostile.processes import Served, ask, configure, eventually, new_key, served, with_keys
from tests.transport.upstreams import Peer, Upstream, upstream

pytestmark = pytest.mark.timeout(600)

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
CHUNK = (
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":'
    b'{"content":"%b"},"finish_reason":%b}]}\n\n'
)
WHOLE = (
    b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant",'
    b'"content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}'
)


def piece(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@contextlib.asynccontextmanager
async def provider(go_on: asyncio.Event) -> AsyncGenerator[Upstream]:
    """Answers plain questions at once; a stream says one word, and the last one when it may."""

    async def handle(peer: Peer) -> None:
        while True:
            try:
                request = await peer.request()
            except (EOFError, ConnectionError):
                return
            if b'"stream":true' not in request.body:
                await peer.send(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
                    % (len(WHOLE), WHOLE)
                )
                continue
            await peer.send(HEAD + piece(CHUNK % (b"first", b"null")))
            await go_on.wait()
            with contextlib.suppress(ConnectionError):  # whoever asked may have been killed
                await peer.send(piece(CHUNK % (b"last", b'"stop"')) + piece(b"data: [DONE]\n\n") + b"0\r\n\r\n")

    async with upstream(handle) as running:
        yield running


class Client:
    """One connection to the data plane."""

    def __init__(self, server: Served, key: str) -> None:
        self._host, _, port = server.data.removeprefix("http://").partition(":")
        self._port = int(port)
        self._key = key
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, *, stream: bool = False) -> asyncio.StreamReader:
        if self._open is None:
            self._open = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._open
        body = b'{"model":"m","stream":%b,"messages":[{"role":"user","content":"Hi"}]}' % (
            b"true" if stream else b"false"
        )
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer %b\r\n"
            b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (self._key.encode(), len(body), body)
        )
        return reader

    async def status(self) -> int:
        """Of one whole answer."""
        async with asyncio.timeout(60):
            reader = await self.ask()
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
        return int(head[9:12])

    def close(self) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None


async def each_new(server: Served, key: str, count: int = 24) -> Counter[int]:
    """The statuses of so many requests, each on a connection of its own: all workers get some."""
    seen: Counter[int] = Counter()
    for _ in range(count):
        client = Client(server, key)
        seen[await client.status()] += 1
        client.close()
    return seen


class Load:
    """Clients that never stop asking; half of them on new connections each time."""

    def __init__(self, server: Served, key: str, clients: int = 6) -> None:
        self.seen: Counter[str] = Counter()
        self._stop = False
        self._tasks = [asyncio.create_task(self._run(server, key, fresh=bool(n % 2))) for n in range(clients)]

    async def _run(self, server: Served, key: str, *, fresh: bool) -> None:
        client = Client(server, key)
        while not self._stop:
            try:
                self.seen[str(await client.status())] += 1
            except (OSError, EOFError, TimeoutError) as error:
                self.seen[type(error).__name__] += 1
                client.close()
            if fresh:
                client.close()
        client.close()

    async def more(self, count: int = 60) -> None:
        """Until so many more have been answered."""
        wanted = self.seen.total() + count
        while self.seen.total() < wanted:  # noqa: ASYNC110 -- the clients know nothing of who waits
            await asyncio.sleep(0.02)

    async def end(self) -> Counter[str]:
        self._stop = True
        await asyncio.gather(*self._tasks)
        return self.seen


@contextlib.asynccontextmanager
async def serving(folder: Path, *, notify: str = "") -> AsyncGenerator[Served]:
    manager = served(folder, workers=2, NOTIFY_SOCKET=notify)
    server = await asyncio.to_thread(manager.__enter__)
    try:
        yield server
    finally:
        await asyncio.to_thread(manager.__exit__, None, None, None)


async def soon(condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(eventually, condition, 120.0)


def word(server: Served, path: str) -> None:
    """An operator's word on the target."""
    connection = http.client.HTTPConnection(server.admin.removeprefix("http://"), timeout=60)
    said = json.dumps({"target": "one/gpt-4o", "reason": "because"})
    connection.request("POST", path, said, {"content-type": "application/json"})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    states = {each["target"]: each["state"] for each in json.loads(answer.read())["targets"]}
    assert states == {"one/gpt-4o": "disabled" if path.endswith("disable") else "ready"}
    connection.close()


def total(server: Served, name: str) -> float:
    lines = ask(server.admin, "/metrics").body.decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(f"freehold_{name}"))


async def test_a_worker_that_is_killed_takes_only_its_own_streams(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    async with provider(go_on) as up:
        configure(tmp_path, url=f"http://127.0.0.1:{up.port}/v1")
        key, identity = await asyncio.to_thread(new_key, tmp_path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(60)
        with listener:
            async with serving(tmp_path, notify=str(tmp_path / "notify")) as server:
                assert (await asyncio.to_thread(listener.recv, 100)) == b"READY=1"
                first, second = server.workers()
                assert await each_new(server, key) == {200: 24}
                before = await asyncio.to_thread(total, server, "exchanges_total")
                assert before == 24, "every worker's are counted"

                clients = [Client(server, key) for _ in range(16)]
                readers = [await client.ask(stream=True) for client in clients]
                async with asyncio.timeout(60):
                    for reader in readers:
                        await reader.readuntil(b"first")
                assert server.metric("open_exchanges") == 16
                os.kill(first, signal.SIGKILL)
                # The other takes what was meant for it, at once and until there is a new one.
                assert await each_new(server, key) == {200: 24}
                go_on.set()
                async with asyncio.timeout(60):
                    ends = (reader.readuntil(b"\r\n0\r\n\r\n") for reader in readers)
                    rests = await asyncio.gather(*ends, return_exceptions=True)
                for client in clients:
                    client.close()
                whole = [rest for rest in rests if isinstance(rest, bytes)]
                assert all(b"[DONE]" in rest for rest in whole)
                assert 0 < len(whole) < 16, "its own streams break, the others do not"
                assert all(isinstance(rest, bytes | EOFError | ConnectionError) for rest in rests), "and do not hang"

                await soon(lambda: server.metric("workers") == 2)
                assert second in server.workers()
                assert first not in server.workers()
                assert "worker 1 is gone" in server.log() or "worker 2 is gone" in server.log()
                assert "SIGKILL" in server.log()
                assert server.ready().json() == {"status": "ready"}
                after = await asyncio.to_thread(total, server, "exchanges_total")
                assert after == before + 24 + len(whole), "what the dead one had counted stays"
                assert await each_new(server, key) == {200: 24}
                rows = list(read_records(tmp_path / "data" / "spool"))
                assert len(rows) == 24 * 3 + len(whole), "no row is lost, none is there twice"
                assert len({row.id for row in rows}) == len(rows)

                await asyncio.to_thread(word, server, "/targets/disable")
                assert await each_new(server, key) == {503: 24}, "no worker asks it"
                await asyncio.to_thread(word, server, "/targets/enable")
                assert await each_new(server, key) == {200: 24}

                assert await asyncio.to_thread(with_keys, tmp_path, lambda keys: keys.revoke(identity, time.time()))
                assert await each_new(server, key) == {401: 24}, "no worker takes it"
                other, _ = await asyncio.to_thread(new_key, tmp_path)
                assert await each_new(server, other) == {200: 24}
                server.signal(signal.SIGTERM)
                assert await asyncio.to_thread(server.process.wait, 60) == 0
                assert (await asyncio.to_thread(listener.recv, 100)) == b"STOPPING=1"
                assert "Traceback" not in server.log()


async def test_a_reload_under_load_fails_nobody(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    async with provider(go_on) as up:
        file = configure(tmp_path, url=f"http://127.0.0.1:{up.port}/v1")
        text = file.read_text()
        # As Kubernetes mounts it: the name is a link into a folder that is swapped whole.
        for number in range(2):
            (tmp_path / f"v{number}").mkdir()
        (tmp_path / "v0" / "freehold.toml").write_text(text)
        (tmp_path / "v1" / "freehold.toml").write_text(text + "[limits]\nattempts = 3\n")
        (tmp_path / "now").symlink_to("v0")
        file.unlink()
        file.symlink_to("now/freehold.toml")
        key, _ = await asyncio.to_thread(new_key, tmp_path)
        async with serving(tmp_path) as server:
            workers = server.workers()
            client = Client(server, key)
            stream = await client.ask(stream=True)
            await stream.readuntil(b"first")
            load = Load(server, key)
            await load.more()

            server.signal(signal.SIGHUP)
            await soon(lambda: server.metric("snapshot") == 2)
            await load.more()

            (tmp_path / "next").symlink_to("v1")
            (tmp_path / "next").replace(tmp_path / "now")
            await soon(lambda: server.metric("snapshot") == 3)
            await load.more()

            (tmp_path / "v1" / "freehold.toml").write_text(text + "[limits]\nattempts = 0\n")
            await soon(lambda: server.metric("reload_refused") == 1)
            said = server.ready()
            assert said.status == 200
            assert "limits.attempts" in said.json()["warnings"][0]
            assert server.metric("snapshot") == 3
            await load.more()

            (tmp_path / "v1" / "freehold.toml").write_text(text + "[limits]\nattempts = 2\n")
            await soon(lambda: server.metric("snapshot") == 4)
            assert server.ready().json() == {"status": "ready"}
            await load.more()

            seen = await load.end()
            assert set(seen) == {"200"}, seen
            assert {row.snapshot for row in read_records(tmp_path / "data" / "spool")} == {1, 2, 3, 4}
            assert server.workers() == workers
            go_on.set()
            async with asyncio.timeout(60):
                assert b"[DONE]" in await stream.readuntil(b"0\r\n\r\n"), "no stream is dropped"
            client.close()
            assert "Traceback" not in server.log()


async def test_without_their_supervisor_workers_finish_and_stop(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    async with provider(go_on) as up:
        configure(tmp_path, url=f"http://127.0.0.1:{up.port}/v1")
        key, _ = await asyncio.to_thread(new_key, tmp_path)
        async with serving(tmp_path) as server:
            workers = server.workers()
            client = Client(server, key)
            reader = await client.ask(stream=True)
            await reader.readuntil(b"first")
            server.process.kill()
            await soon(lambda: not accepts(server))
            assert any(lives(worker) for worker in workers), "as long as a stream is open"
            go_on.set()
            async with asyncio.timeout(60):
                assert b"[DONE]" in await reader.readuntil(b"0\r\n\r\n")
            await soon(lambda: not any(lives(worker) for worker in workers))
            (row,) = read_records(tmp_path / "data" / "spool")
            assert row.outcome == "ok"
            assert "the supervisor is gone" in server.log()
            client.close()


def lives(process: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False


def accepts(server: Served) -> bool:
    host, _, port = server.data.removeprefix("http://").partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError:
        return False
    return True
