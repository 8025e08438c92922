"""Node, the clients' packages, and one process of it that does what tests ask."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import queue
import shutil
import subprocess
import threading
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / "build" / "javascript"
"""Outside version control; `make clean` empties it."""

INSTALL_SECONDS = 120
ANSWER_SECONDS = 20


class NoNodeError(Exception):
    """These tests can not run here; the message says why."""


def installed() -> Path:
    """The folder with the driver and the packages that the lock names, installed on first use by whoever comes first.

    Raises NoNodeError.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise NoNodeError("Node.js with npm is not installed")
    CACHE.mkdir(parents=True, exist_ok=True)
    with _alone(CACHE / ".lock"):
        lock = (HERE / "package-lock.json").read_bytes()
        stamp = CACHE / ".installed"
        if not stamp.is_file() or stamp.read_bytes() != lock:
            stamp.unlink(missing_ok=True)
            _install(npm)
            stamp.write_bytes(lock)
        _copy_sources()
    return CACHE


def _install(npm: str) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, CACHE / name)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=0"]
    try:
        done = subprocess.run(
            command, cwd=CACHE, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False, env=_environment()
        )
    except subprocess.TimeoutExpired:
        raise NoNodeError(f"npm did not install the clients within {INSTALL_SECONDS} seconds") from None
    if done.returncode:
        raise NoNodeError(f"npm could not install the clients: {done.stderr.strip()[-300:]}")


def _copy_sources() -> None:
    """Modules find packages by their own place, so the sources stand beside the packages."""
    (CACHE / "clients").mkdir(exist_ok=True)
    for source in (HERE / "driver.mjs", *(HERE / "clients").glob("*.mjs")):
        target = CACHE / source.relative_to(HERE)
        if not target.is_file() or target.read_bytes() != source.read_bytes():
            shutil.copy(source, target)


def _environment() -> dict[str, str]:
    """Ours, without what would send clients elsewhere."""
    away = ("AWS_", "OPENAI_", "ANTHROPIC_", "GOOGLE_", "GEMINI_")
    return {name: value for name, value in os.environ.items() if not name.startswith(away)}


@contextlib.contextmanager
def _alone(path: Path) -> Generator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Driver:
    """`driver.mjs` in a process: one task at a time."""

    def __init__(self, folder: Path) -> None:
        with (folder / f"stderr-{os.getpid()}.log").open("w") as complaints:
            self._process = subprocess.Popen(
                ["node", "driver.mjs"],
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
                # Else the AWS SDK would read profiles and ask the machine's metadata service for a role.
                env={**_environment(), "AWS_CONFIG_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true"},
            )
        self._number = 0
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)

    def do(self, task: Mapping[str, object]) -> dict[str, Any]:
        """What came of a task. Raises queue.Empty when nothing did within `ANSWER_SECONDS`."""
        assert self._process.stdin is not None
        self._number += 1
        self._process.stdin.write(json.dumps({**task, "number": self._number}) + "\n")
        self._process.stdin.flush()
        while True:
            told = json.loads(self._lines.get(timeout=ANSWER_SECONDS))
            if told["number"] == self._number:
                return told  # any other is the late answer to a task that was given up

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._process.stdout.close()
