"""The coding agents, installed by npm into a folder outside version control."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / "build" / "agents"
INSTALL_SECONDS = 600  # the three are some 700 megabytes


class NoAgentsError(Exception):
    """They can not be had here; the message says why."""


def installed() -> Path:
    """The folder of the packages. Raises NoAgentsError."""
    npm = shutil.which("npm")
    if npm is None:
        raise NoAgentsError("Node.js with npm is not installed")
    CACHE.mkdir(parents=True, exist_ok=True)
    wanted = (HERE / "package.json").read_bytes()
    stamp = CACHE / ".installed"
    if not stamp.is_file() or stamp.read_bytes() != wanted:
        (CACHE / "package.json").write_bytes(wanted)
        command = [
            npm,
            "install",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--prefer-offline",
            "--no-package-lock",
        ]
        done = subprocess.run(command, cwd=CACHE, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
        if done.returncode:
            raise NoAgentsError(f"npm could not install the agents: {done.stderr.strip()[-300:]}")
        stamp.write_bytes(wanted)
    return CACHE / "node_modules"
