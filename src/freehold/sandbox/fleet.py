"""All emulated clouds together: started, described as a configuration, and found again by other commands."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self, cast

import msgspec

from freehold.sandbox.cloud import HOST, Cloud
from freehold.sandbox.clouds import CLOUDS
from freehold.sandbox.control import Control
from freehold.server.front import Front, address_of, listening_socket
from freehold.server.limits import HttpLimits
from freehold.store.private_files import write_private

SEED: Final = 7
"""Any number would do; the same one gives the same answers."""

NAMES: Final[dict[str, tuple[str, ...]]] = {
    "assistant": ("azure", "bedrock-us", "anthropic", "gemini"),
    "gpt": ("openai",),
    "gpt-on-azure": ("azure",),
    "claude": ("anthropic",),
    "claude-on-bedrock": ("bedrock-us", "bedrock-eu"),
    "gemini": ("gemini",),
    "local": ("rack",),
}
"""The model names of the sandbox's configuration, and whose first model each asks, in order."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Where a running sandbox can be told to break."""

    control: str
    token: str
    pid: int


class Fleet:
    """The clouds, and the port that controls them; `state_file` is there while they run.

    async with Fleet(state_file=path) as fleet:
        print(fleet.configuration())
    """

    def __init__(self, *, state_file: Path | None = None, seed: int = SEED) -> None:
        clouds = (Cloud(spec, seed=seed) for spec in CLOUDS)
        # Freehold can only emulate a cloud whose language it has a codec for.
        self.clouds: Mapping[str, Cloud] = {cloud.spec.name: cloud for cloud in clouds if cloud.answering.protocols}
        self._state_file = state_file
        self._stack = AsyncExitStack()
        self.control = ""

    async def __aenter__(self) -> Self:
        """Raises OSError where no port or no state file can be had."""
        try:
            for cloud in self.clouds.values():
                self._stack.push_async_callback(cloud.stop)
                await cloud.start()
            if self._state_file is not None:
                await self._control(self._state_file)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _control(self, file: Path) -> None:
        token = secrets.token_urlsafe(24)
        front = Front(handler=Control(self.clouds, token).handle, limits=HttpLimits(streams=64))
        listener = listening_socket(HOST, 0)
        await front.start(listener)
        self._stack.push_async_callback(front.stop, 0.0)
        host, port = address_of(listener)
        self.control = f"http://{host}:{port}"
        state = State(control=self.control, token=token, pid=os.getpid())
        before = read_state(file)
        write_private(file, msgspec.json.encode(state))
        self._stack.callback(_forget, file, token, before)

    def routes(self) -> dict[str, list[tuple[str, str]]]:
        """The model names of the configuration: cloud and model of each target."""
        return {
            name: [(cloud, self.clouds[cloud].spec.models[0]) for cloud in clouds if cloud in self.clouds]
            for name, clouds in NAMES.items()
            if any(cloud in self.clouds for cloud in clouds)
        }

    def configuration(
        self,
        *,
        listen: str | None = None,
        admin_listen: str | None = None,
        home: Path | None = None,
        patience: float | None = None,
    ) -> str:
        """A `freehold.toml` whose accounts are these clouds; with `home` its state lies there as well.

        `patience` are the seconds of silence after which the gateway gives a cloud up.
        """
        lines = ["# The emulated clouds of `freehold sandbox`: addresses and keys last as long as it runs.", ""]
        server = {"listen": listen, "admin_listen": admin_listen, "secret": home and f"file:{home / 'secret'}"}
        sections: list[tuple[str, Mapping[str, object]]] = [("server", server)]
        if home is not None:
            sections.append(("storage", {"url": f"sqlite:///{home / 'freehold.db'}"}))
            sections.append(("ledger", {"directory": str(home / "spool")}))
        waits = None if patience is None else {"first_byte": patience, "idle": patience}
        sections += [
            (f"accounts.{name}", {**_account(cloud), "timeouts": waits}) for name, cloud in self.clouds.items()
        ]
        for name, route in self.routes().items():
            sections.append((f"models.{name}", {"targets": [f"{cloud}/{model}" for cloud, model in route]}))
        sections.append(("models.embeddings", {"targets": ["openai/text-embedding-3-small"]}))
        for title, settings in sections:
            stated = {key: value for key, value in settings.items() if value is not None}
            if stated:
                lines.append(f"[{title}]")
                lines += [f"{key} = {_toml(value)}" for key, value in stated.items()]
                lines.append("")
        return "\n".join(lines)


def _account(cloud: Cloud) -> dict[str, object]:
    settings: dict[str, object] = {"provider": cloud.spec.provider, "base_url": cloud.address}
    if cloud.spec.provider == "bedrock":
        settings["access_key_id"] = cloud.login.access_key_id
        settings["secret_access_key"] = cloud.login.secret_access_key
    else:
        settings["api_key"] = cloud.login.key
    settings["region"] = cloud.spec.region
    settings["silicon"] = cloud.spec.silicon
    settings["jurisdiction"] = cloud.spec.jurisdiction
    # Stated, so that a bare name goes to a cloud that has it and listings show what there is.
    settings["deployments"] = {model: model for model in cloud.spec.models}
    return settings


def _toml(value: object) -> str:
    """A value as TOML writes it; its strings are JSON's."""
    if isinstance(value, list):
        return "[" + ", ".join(_toml(each) for each in cast("list[str]", value)) + "]"
    if isinstance(value, dict):
        pairs = cast("dict[str, str | float]", value).items()
        return "{ " + ", ".join(f"{_toml(key)} = {_toml(text)}" for key, text in pairs) + " }"
    return msgspec.json.encode(value).decode()


def read_state(file: Path) -> State | None:
    """Where the sandbox of this state file is; None where there is none."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=State)
    except (OSError, msgspec.DecodeError):
        return None


def _forget(file: Path, token: str, before: State | None) -> None:
    """Take the state file away, unless another sandbox has put its own there; `before` returns while it runs."""
    state = read_state(file)
    if state is None or state.token != token:
        return
    if before is not None and before.pid != os.getpid() and _runs(before.pid):
        write_private(file, msgspec.json.encode(before))
    else:
        file.unlink(missing_ok=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True
