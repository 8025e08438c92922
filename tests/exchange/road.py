"""A road with an upstream in memory, for tests of what happens between the doors."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from freehold.config import load
from freehold.exchange.door import Arrival
from freehold.exchange.media import FetchPolicy
from freehold.exchange.places import Places
from freehold.exchange.record import ExchangeRecord, Spool, read_records
from freehold.exchange.road import Road, Snapshot
from freehold.governance.seal import Sealer
from freehold.governance.secret import ServerSecret
from freehold.ir import JsonObject
from freehold.protocols.codec import WireRequest
from freehold.protocols.registry import CODECS
from freehold.routing.names import Names
from freehold.server.worker import ExchangeIds
from freehold.transport.fake import FakeUpstream

CONFIG = """
[accounts.one]
provider = "openai"
base_url = "http://127.0.0.1:1/v1"
api_key = "key-of-one"
[accounts.two]
provider = "openai"
base_url = "http://127.0.0.1:2/v1"
api_key = "key-of-two"
[accounts.claude]
provider = "anthropic"
base_url = "http://127.0.0.1:3"
api_key = "key-of-claude"
[accounts.bedrock]
provider = "bedrock"
region = "us-east-1"
access_key_id = "AKIDEXAMPLE"
secret_access_key = "secret-of-bedrock"
[models.pair]
targets = ["one/gpt-4o", "two/gpt-4o"]
[models.claude]
targets = ["claude/claude-sonnet-4-5"]
[models.converse]
targets = ["bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0@bedrock-converse"]
"""


class Clock:
    """The real clocks; nothing here waits long enough for it to matter."""

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


class Door:
    """Keeps the answer; `leave_after` pieces of a stream the client is gone."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.ended = False
        self.aborted = False

    def respond(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        self.status, self.headers, self.body, self.ended = status, dict(headers), body, True

    async def start(self, status: int, headers: Sequence[tuple[str, str]]) -> Door:
        self.status, self.headers = status, dict(headers)
        return self

    async def send(self, data: bytes) -> None:
        self.body += data

    async def end(self) -> None:
        self.ended = True

    def abort(self) -> None:
        self.aborted = True

    @property
    def json(self) -> JsonObject:
        return msgspec.json.decode(self.body)


class Roadside:
    """A road, its upstream, and what it wrote down."""

    def __init__(self, folder: Path, upstream: FakeUpstream, config: str = CONFIG) -> None:
        file = folder / "freehold.toml"
        file.write_text(config)
        parsed = load(str(file), {})
        self.upstream = upstream
        self.folder = folder / "spool"
        self.spool = Spool(self.folder)
        self.naps: list[float] = []
        self.road = Road(
            client=upstream,
            spool=self.spool,
            sealer=Sealer(ServerSecret(bytes(32))),
            languages={codec.language.name: codec.language for codec in CODECS.values()},
            clock=Clock(),
            new_id=ExchangeIds(),
            sleep=self._sleep,
        )
        places = Places(
            parsed, Names(parsed), codecs=CODECS, prices=lambda _provider, _model: None, clock=time.time, environ={}
        )
        self.snapshot = Snapshot(number=1, resolver=places, max_attempts=4)

    async def _sleep(self, seconds: float) -> None:
        self.naps.append(seconds)

    def allow_fetching(self, *hosts: str) -> None:
        self.snapshot = msgspec.structs.replace(self.snapshot, fetch=FetchPolicy(allow=hosts))

    async def ask(self, path: str, body: JsonObject, codec: str = "openai-chat", **more: object) -> Door:
        door = Door()
        await self.travel(path, body, door, codec, **more)
        return door

    async def travel(self, path: str, body: JsonObject, door: Door, codec: str, **more: object) -> None:
        fields: dict[str, object] = {
            "id": "fx1",
            "codec": CODECS[codec],
            "operation": "generate",
            "wire": WireRequest(
                path=path, body=msgspec.json.encode(body), headers=(("content-type", "application/json"),)
            ),
            "project": "local",
            "key": None,
            "models": (),
            "started": 1_760_000_000.0,
            "deadline": time.monotonic() + 30,
            **more,
        }
        await self.road.travel(Arrival(**fields), door, self.snapshot)  # pyright: ignore[reportArgumentType] -- checked by the struct's users

    def records(self) -> list[ExchangeRecord]:
        return list(read_records(self.folder))
