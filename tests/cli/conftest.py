"""The command line as its users have it: a process, its output, its exit code."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import msgspec
import pytest

Finished = subprocess.CompletedProcess[str]
Freehold = Callable[..., Finished]

PATIENCE = 60
"""Seconds that a command may take on a machine that is busy with other tests."""


def environment(home: Path, **more: str) -> dict[str, str]:
    """An environment in which nothing of this machine's user is found."""
    return {
        "HOME": str(home),
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "NO_COLOR": "1",
        "FREEHOLD_DATA": str(home / "data"),
        # Where a local server would be looked for; nothing listens there.
        "OLLAMA_HOST": "http://127.0.0.1:9",
        **more,
    }


def start(*arguments: str, env: dict[str, str], cwd: Path, log: IO[str] | None = None) -> subprocess.Popen[str]:
    """A command that keeps running; its standard error is piped, or goes to a file."""
    return subprocess.Popen(
        [sys.executable, "-m", "freehold", *arguments],
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if log is None else log,
        text=True,
    )


@pytest.fixture
def freehold(tmp_path: Path) -> Freehold:
    """Runs a command in an empty folder: `freehold("check", "--json", OPENAI_API_KEY="x")`."""

    def run(*arguments: str, stdin: str | None = None, **more: str) -> Finished:
        return subprocess.run(
            [sys.executable, "-m", "freehold", *arguments],
            env=environment(tmp_path, **more),
            cwd=tmp_path,
            input="" if stdin is None else stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    return run


class Sandbox(msgspec.Struct, frozen=True, kw_only=True):
    """A sandbox that runs in a process of its own: its configuration, and where other commands find it."""

    config: str
    data: str


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    home = tmp_path_factory.mktemp("sandbox")
    config = home / "freehold.toml"
    state = home / "data" / "sandbox.json"
    process = start("sandbox", "--output", str(config), env=environment(home), cwd=home)
    try:
        for _ in range(PATIENCE * 20):
            if (config.exists() and state.exists()) or process.poll() is not None:
                break
            time.sleep(0.05)
        assert config.exists(), process.communicate()
        yield Sandbox(config=str(config), data=str(state))
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert not state.exists()
