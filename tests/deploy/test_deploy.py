"""What is shipped for systemd and for containers, as far as it can be checked without either of them running it."""

from __future__ import annotations

import configparser
import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from freehold.config import Limits
from freehold.server.crew import CUT_OFF

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy" / "freehold.service"
RECIPE = ROOT / "deploy" / "Containerfile"


def section(name: str) -> configparser.SectionProxy:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # pyright: ignore[reportAttributeAccessIssue] -- as the documentation has it
    parser.read(UNIT)
    return parser[name]


def options_of(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "freehold", *command, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "200", "NO_COLOR": "1", "PATH": "/usr/bin"},
    )
    return done.stdout


def instructions() -> list[tuple[str, str]]:
    lines = (line for line in RECIPE.read_text().replace("\\\n", " ").splitlines() if line and not line.startswith("#"))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


def test_the_unit_runs_a_command_that_exists() -> None:
    service = section("Service")
    program, command, *options = shlex.split(service["ExecStart"])
    assert Path(program).name == "freehold"
    known = options_of(command)
    assert all(option in known for option in options if option.startswith("--"))
    assert "kill -HUP" in service["ExecReload"]


def test_the_unit_waits_for_streams_in_flight() -> None:
    service = section("Service")
    limits = Limits()
    assert float(service["TimeoutStopSec"]) > limits.drain_delay + limits.drain_timeout + CUT_OFF
    assert service["KillMode"] == "control-group"
    assert service["Type"] == "notify"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_understands_the_unit_and_finds_it_closed(tmp_path: Path) -> None:
    there = tmp_path / "freehold.service"
    there.write_text(UNIT.read_text().replace("/usr/local/bin/freehold", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", str(there)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    judged = ["systemd-analyze", "security", "--offline=yes", "--threshold=20", str(there)]
    done = subprocess.run(judged, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_recipe_copies_what_there_is() -> None:
    copied = [rest.split() for name, rest in instructions() if name == "COPY" and not rest.startswith("--from")]
    assert copied
    for *sources, _ in copied:
        assert all((ROOT / source).exists() for source in sources)
    # Everything that is installed has its hash.
    installs = [rest for name, rest in instructions() if name == "RUN" and "pip install" in rest]
    assert all("--require-hashes" in rest or "--no-deps --no-build-isolation" in rest for rest in installs)
    assert "hatchling==" in (ROOT / "requirements" / "runtime.txt").read_text()


def test_the_image_serves_without_root() -> None:
    recipe = instructions()
    last = max(place for place, (name, _) in enumerate(recipe) if name == "FROM")
    final = dict(recipe[last:])
    user, _, group = final["USER"].partition(":")
    assert int(user) > 0
    assert int(group) > 0
    assert json.loads(final["ENTRYPOINT"]) == ["freehold"]
    command, *options = json.loads(final["CMD"])
    assert all(option in options_of(command) for option in options if option.startswith("--"))
    probe = json.loads(final["HEALTHCHECK"].partition(" CMD ")[2])
    assert all(option in options_of(*probe[1:3]) for option in probe if option.startswith("--"))
