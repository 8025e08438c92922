"""An environment of its own for packages that can not live beside ours, from a file that names the hash of each."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]
INSTALL_SECONDS = 120


class NoEnvironmentError(Exception):
    """It can not be made here; the message says why."""


def interpreter(name: str) -> Path:
    """The interpreter of the environment that `requirements/{name}.txt` describes, made on first use.

    It stands under `build`, which `make clean` empties. Raises NoEnvironmentError.
    """
    folder = ROOT / "build" / name
    python = folder / "bin" / "python"
    requirements = ROOT / "requirements" / f"{name}.txt"
    wanted = f"{sys.version}\n".encode() + requirements.read_bytes()
    folder.parent.mkdir(exist_ok=True)
    with (folder.parent / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = folder / ".installed"
        if not stamp.is_file() or stamp.read_bytes() != wanted or not python.exists():
            _uv("venv", "--clear", "--python", sys.executable, str(folder))
            _uv("pip", "install", "--python", str(python), "--require-hashes", "--requirement", str(requirements))
            stamp.write_bytes(wanted)
    return python


def _uv(*arguments: str) -> None:
    uv = Path(sysconfig.get_path("scripts")) / "uv"
    if not uv.is_file():
        raise NoEnvironmentError("uv is not installed beside the tests' own interpreter; `make test` installs it")
    # A registry that can not be reached is not asked again and again.
    environment = {**os.environ, "UV_HTTP_RETRIES": "1"}
    try:
        done = subprocess.run(
            [uv, "--quiet", *arguments],
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        raise NoEnvironmentError(f"uv {arguments[0]} took more than {INSTALL_SECONDS} seconds") from None
    if done.returncode:
        raise NoEnvironmentError(f"uv {arguments[0]} failed: {done.stderr.strip()[-300:]}")
