"""`freehold` as an operator runs it: a process, its ports, its log, its signals."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Generator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from freehold.governance.keystore import KeyStore, open_keystore

T = TypeVar("T")

FREEHOLD = (sys.executable, "-m", "freehold")
SECRET = "0a" * 32


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What a port answered."""

    status: int
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 -- whatever the port answers
        return json.loads(self.body)


def ask(url: str, path: str, **headers: str) -> Said:
    """One GET on a connection of its own."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return Said(status=answer.status, body=answer.read())
    finally:
        connection.close()


def eventually(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    """Wait for what follows soon from what was done."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """A server that listens."""

    process: subprocess.Popen[str]
    data: str
    admin: str
    log_file: Path

    def log(self) -> str:
        return self.log_file.read_text()

    def ready(self) -> Said:
        return ask(self.admin, "/readyz")

    def metric(self, name: str) -> float:
        lines = ask(self.admin, "/metrics").body.decode().splitlines()
        return float(next(line.split()[-1] for line in lines if line.startswith(f"freehold_{name} ")))

    def takes(self, key: str) -> bool:
        """Whether this key opens the data plane."""
        return ask(self.data, "/v1/models", authorization=f"Bearer {key}").status == 200

    def workers(self) -> list[int]:
        """The process ids of the workers."""
        living = (each.name for each in Path("/proc").iterdir() if each.name.isdigit())
        return sorted(int(each) for each in living if _parent(each) == self.process.pid and _serves(each))

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


def _parent(process: str) -> int:
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _serves(process: str) -> bool:
    try:
        return b"freehold.server.process" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False


def environment(folder: Path, **more: str) -> Mapping[str, str]:
    """As the tests', with a data directory of its own and no accounts found by chance."""
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    return {**kept, "FREEHOLD_DATA": str(folder / "data"), **more}


def configure(folder: Path, more: str = "", *, server: str = "", url: str = "http://127.0.0.1:9/v1") -> Path:
    """A configuration that needs keys and has one account."""
    file = folder / "freehold.toml"
    file.write_text(
        '[server]\nlisten = "127.0.0.1:0"\nadmin_listen = "127.0.0.1:0"\nrequire_keys = true\n'
        f'secret = "{SECRET}"\n{server}\n'
        f'[accounts.one]\nprovider = "openai"\nbase_url = "{url}"\napi_key = "key-of-one"\n'
        f'[models.m]\ntargets = ["one/gpt-4o@openai-chat"]\n{more}\n'
    )
    file.chmod(0o600)
    return file


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command with the configuration of the folder."""
    words = [*FREEHOLD, *arguments, "--config", str(folder / "freehold.toml")]
    return subprocess.run(
        words, env=environment(folder), cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


def with_keys(folder: Path, work: Callable[[KeyStore], Coroutine[Any, Any, T]], *, storage_url: str = "") -> T:
    """Do as `freehold keys` does, in this process: a command takes seconds to start on a busy machine."""

    async def inside() -> T:
        url = storage_url or f"sqlite:///{folder / 'data' / 'freehold.db'}"
        async with open_keystore(storage_url=url, configured_secret=SECRET, data_directory=folder / "data") as keys:
            return await work(keys)

    return asyncio.run(inside())


def new_key(folder: Path, *, storage_url: str = "") -> tuple[str, str]:
    """A key that every running server takes: the key itself and its id."""

    async def make(keys: KeyStore) -> tuple[str, str]:
        minted, settled = await keys.create(project="p", name="n", now=time.time())
        assert settled
        return minted.bearer or "", minted.key.id

    return with_keys(folder, make, storage_url=storage_url)


@contextlib.contextmanager
def served(folder: Path, *, prefix: tuple[str, ...] = (), workers: int = 1, **more: str) -> Generator[Served]:
    """`freehold serve` with the configuration of the folder; ended afterwards if it still runs.

    `more` are environment variables.
    """
    log_file = folder / "log"
    words = [*prefix, *FREEHOLD, "serve", "--json", "--config", str(folder / "freehold.toml"), f"--workers={workers}"]
    with log_file.open("w") as log:
        process = subprocess.Popen(
            words, env=environment(folder, **more), cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, log_file.read_text()
        places = json.loads(line)
        yield Served(process=process, data=places["listen"], admin=places["admin"], log_file=log_file)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()
