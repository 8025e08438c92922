"""What callers make up does not grow in memory, nor in whatever scrapes the metrics."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from freehold.exchange.road import Journey
from freehold.routing.features import Candidate
from freehold.routing.health import MOST_KNOWN, Health
from freehold.server.http1 import Http1Connection, Http1Exchange
from freehold.telemetry.counters import MOST_SERIES, Counters
from freehold.transport.connection import Connection
from tests.hostile.test_reload import BASE, service_at
from tests.transport.upstreams import Peer, eventually, upstream


def test_made_up_models_do_not_become_series_without_end() -> None:
    counters = Counters()
    for number in range(MOST_SERIES + 500):
        counters.add("attempts_total", (("target", f"one/{number}"), ("status", "404")))
    counters.add("exchanges_total", (("outcome", "ok"),))
    lines = counters.text({}).splitlines()
    assert len(lines) == MOST_SERIES + 1 + 3
    assert 'freehold_attempts_total{target="other",status="other"} 500' in lines
    assert 'freehold_attempts_total{target="one/0",status="404"} 1' in lines
    counters.add("attempts_total", (("target", "one/0"), ("status", "404")))
    assert 'freehold_attempts_total{target="one/0",status="404"} 2' in counters.text({})


def test_made_up_models_that_ask_for_time_are_forgotten() -> None:
    health = Health()
    made_up = [Candidate(name=f"one/{number}") for number in range(MOST_KNOWN + 10)]
    for candidate in made_up:
        health.failed(candidate, "rate_limit", 0.0, after=100.0)
    assert set(health.standings(made_up, 1.0)) == {candidate.name for candidate in made_up[10:]}


CHUNK = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n'  # noqa: E501 -- one event, as it travels
CLIENTS = 8
EVENT = CHUNK % (b"x" * 3000)


async def without_end(peer: Peer) -> None:
    """A stream that nobody ends."""
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
    while True:
        await peer.send(EVENT)
        await asyncio.sleep(0)


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No garbage collector: what goes, goes with its last reference."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    gc.collect()


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"], ids=["tunnel", "translate"])
async def test_clients_that_read_nothing_and_leave_take_everything_with_them(tmp_path: Path, path: str) -> None:
    """Cycles would keep a quarter of a megabyte of each until the collector's third generation is due."""
    others = parts()
    async with upstream(without_end) as provider:
        text = BASE.replace("http://127.0.0.1:1", f"http://127.0.0.1:{provider.port}")
        text = text.replace("require_keys = true", "require_keys = false")
        async with service_at(tmp_path, text) as service:
            await service.listen()
            body = b'{"model":"one/m","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"hi"}]}'
            head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
            site = service.front.site
            with contextlib.ExitStack() as clients:
                for _ in range(CLIENTS):
                    client = clients.enter_context(socket.create_connection(service.address))
                    client.sendall(head.encode() + body)
                await eventually(lambda: sum(unread(each) for each in site.connections) == CLIENTS)
            await eventually(lambda: service.road.open == 0 and not site.connections and not provider.tasks)
            # The sweeper holds the last one it looked at.
            may = Counter(Http1Connection=1)
            for _ in range(40):
                if alive(others) <= may:
                    break
                await asyncio.sleep(0.05)
            assert alive(others) <= may


def unread(connection: object) -> bool:
    return isinstance(connection, Http1Connection) and connection.blocked


def parts() -> list[object]:
    """What exchanges are made of, and is there."""
    kinds = (Http1Exchange, Http1Connection, Connection, Journey)
    return [each for each in gc.get_objects() if isinstance(each, kinds)]


def alive(others: list[object]) -> Counter[str]:
    """How much of that is there beside the others', which gateways that tests share keep open."""
    known = {id(each) for each in others}
    return Counter(type(each).__name__ for each in parts() if id(each) not in known)
