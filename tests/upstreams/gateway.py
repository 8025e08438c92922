"""A gateway in front of the emulated upstreams, in a thread of its own, so that clients of every kind can call it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import uvloop

from freehold.app import Service
from freehold.config import load
from freehold.exchange.record import ExchangeRecord
from freehold.protocols.registry import CODECS
from freehold.routing.health import Health
from freehold.routing.hedges import Purses
from freehold.routing.retries import Retries
from tests.upstreams import bedrock
from tests.upstreams.anthropic_messages import AnthropicMessages
from tests.upstreams.azure_openai import AzureOpenAI
from tests.upstreams.emulator import Emulator, Vendor
from tests.upstreams.gemini import Gemini
from tests.upstreams.openai_chat import OpenAIChat
from tests.upstreams.openai_responses import OpenAIResponses

T = TypeVar("T")

SERVER_SECRET = "07" * 32

HANGS = 50.0
"""Seconds after which what is still not done never will be; a start takes many of them on a machine that is busy."""


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """One way to reach an emulated vendor: the codec it needs, the account's lines, and the target."""

    codec: str
    vendor: Callable[[], Vendor]
    target: str
    account: str


_OPENAI = 'provider = "openai"\nbase_url = "{url}/v1"\napi_key = "sk-upstream-openai"'
_BEDROCK = (
    f'provider = "bedrock"\nbase_url = "{{url}}"\nregion = "{bedrock.REGION}"\n'
    f'access_key_id = "{bedrock.ACCESS_KEY}"\nsecret_access_key = "{bedrock.SECRET_KEY}"'
)

UPSTREAMS: dict[str, Upstream] = {
    "openai-chat": Upstream(
        codec="openai-chat",
        vendor=OpenAIChat,
        target="gpt-4o@openai-chat",
        account=_OPENAI,
    ),
    "openai-responses": Upstream(
        codec="openai-responses", vendor=OpenAIResponses, target="gpt-5@openai-responses", account=_OPENAI
    ),
    "anthropic-messages": Upstream(
        codec="anthropic-messages",
        vendor=AnthropicMessages,
        target="claude-sonnet-4-5",
        account='provider = "anthropic"\nbase_url = "{url}"\napi_key = "sk-ant-upstream"',
    ),
    "gemini-generate": Upstream(
        codec="gemini-generate",
        vendor=Gemini,
        target="gemini-2.5-pro",
        account='provider = "gemini"\nbase_url = "{url}"\napi_key = "gemini-upstream"',
    ),
    "bedrock-converse": Upstream(
        codec="bedrock-converse",
        vendor=bedrock.BedrockConverse,
        target=f"{bedrock.MODEL}@bedrock-converse",
        account=_BEDROCK,
    ),
    "bedrock-invoke": Upstream(
        codec="bedrock-invoke", vendor=bedrock.BedrockInvoke, target=f"{bedrock.MODEL}@bedrock-invoke", account=_BEDROCK
    ),
    "azure-openai": Upstream(
        codec="azure-openai",
        vendor=AzureOpenAI,
        target="gpt-4o@azure-openai",
        account='provider = "azure"\nbase_url = "{url}"\napi_key = "azure-upstream"',
    ),
}
"""Every emulated upstream by name; its model's name for clients is the same."""

SPOKEN = [name for name, upstream in UPSTREAMS.items() if upstream.codec in CODECS]
"""Those whose language the gateway speaks."""


class Gateway:
    """A running service with its upstreams. Call only from other threads than its own."""

    def __init__(
        self, folder: Path, *, more: str = "", keys: bool = True, upstreams: Mapping[str, Upstream] | None = None
    ) -> None:
        self.folder = folder
        self.upstreams = {name: UPSTREAMS[name] for name in SPOKEN} if upstreams is None else dict(upstreams)
        self.emulators = {name: Emulator(upstream.vendor()) for name, upstream in self.upstreams.items()}
        self._more = more
        self._keys = keys
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.service: Service
        self.host = "127.0.0.1"
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something in the gateway's own loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(HANGS)

    def start(self) -> None:
        self._thread.start()
        self.run(self._start())

    async def _start(self) -> None:
        for emulator in self.emulators.values():
            await emulator.server.start()
        path = self.folder / "freehold.toml"
        path.write_text(self._configuration())
        config = load(str(path), {})
        config = msgspec.structs.replace(config, data_directory=str(self.folder))
        self.service = Service(config, environ={})
        await self.service.__aenter__()
        await self.service.listen()
        self.port = self.service.address[1]

    def _configuration(self) -> str:
        lines = [
            "[server]",
            'listen = "127.0.0.1:0"',
            'admin_listen = "127.0.0.1:0"',
            f"require_keys = {str(self._keys).lower()}",
            f'secret = "{SERVER_SECRET}"',
            f'[storage]\nurl = "sqlite:///{self.folder / "freehold.db"}"',
            f'[ledger]\ndirectory = "{self.folder / "spool"}"',
        ]
        for name, upstream in self.upstreams.items():
            port = self.emulators[name].server.port
            lines.append(f"[accounts.{name}]\n" + upstream.account.format(url=f"http://127.0.0.1:{port}"))
            lines.append(f'[models."{name}"]\ntargets = ["{name}/{upstream.target}"]')
        return "\n".join([*lines, self._more.format(**self._ports())]) + "\n"

    def _ports(self) -> dict[str, int]:
        return {name.replace("-", "_"): emulator.server.port for name, emulator in self.emulators.items()}

    def stop(self) -> None:
        self.run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _stop(self) -> None:
        await self.service.__aexit__(None, None, None)
        for emulator in self.emulators.values():
            await emulator.server.stop()

    def mint(self, *, aws: bool = False, models: tuple[str, ...] = (), strategy: str | None = None) -> tuple[str, str]:
        """A key: (bearer, id), or the access key id and its secret."""

        async def make() -> tuple[str, str]:
            minted, _ = await self.service.keys.create(
                project="p", name="n", now=1.0, aws=aws, models=models, strategy=strategy
            )
            for _ in range(500):
                # A server that has just started is told of keys for the first time a moment after it listens.
                if any(key.id == minted.key.id for key in self.service.table.keys):
                    break
                await asyncio.sleep(0.01)
            if aws:
                return minted.key.access_key_id or "", minted.secret_access_key or ""
            return minted.bearer or "", minted.key.id

        return self.run(make())

    def problems(self) -> list[str]:
        """What upstreams would have refused since the last call."""
        found: list[str] = []
        for emulator in self.emulators.values():
            found += emulator.problems
            emulator.problems = []
        return found

    def forget(self) -> None:
        """Begin a test anew."""
        for emulator in self.emulators.values():
            emulator.asked = []
            emulator.problems = []
            emulator.instead = None
        self.service.road.health = Health()
        self.service.road.retries = Retries()
        self.service.road.purses = Purses()

    def records(self) -> list[ExchangeRecord]:
        """All exchange records so far."""
        rows = (self.folder / "spool" / "exchanges.jsonl").read_bytes().splitlines()
        return [msgspec.json.decode(row, type=ExchangeRecord) for row in rows]
