"""How commands fail, all of them alike: one JSON object with `--json`, prose on standard error, an exit status."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup, TyperOption
from typer.main import get_command

from freehold.cli import COMMANDS, build
from freehold.cli.failure import run
from tests.cli.conftest import environment


def commands(command: object | None = None, *above: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, found by walking the application."""
    command = command or get_command(build(COMMANDS))
    if isinstance(command, TyperGroup):
        for name, inner in command.commands.items():
            yield from commands(inner, *above, name)
        if not command.invoke_without_command:
            return
    if above:
        yield above, command


ALL = dict(commands())
NAMES = [" ".join(words) for words in ALL]

# What each needs besides `--config missing.toml` to come as far as reading it.
READING = {
    "serve": [],
    "check": [],
    "chat": ["m", "Hello"],
    "keys create": ["--name", "n"],
    "keys list": [],
    "keys revoke": ["k"],
    "record": ["account"],
    "bench": ["m"],
    "route explain": ["here"],
    "ledger show": [],
    "advise": [],
    "models": [],
    "target list": [],
    "target disable": ["a/b"],
    "target enable": ["a/b"],
}
# The others read none; how they fail, and with which code. Listing what is built in can not fail.
OTHERWISE: dict[str, tuple[list[str], str]] = {
    "init": (["--output", "here"], "file_exists"),
    "translate": (["here"], "translation_failed"),
    "sandbox status": ([], "no_sandbox"),
    "sandbox fail": (["openai", "outage"], "no_sandbox"),
    "sandbox heal": ([], "no_sandbox"),
    "sandbox": ([], "sandbox_failed"),
    "demo": ([], "sandbox_failed"),
    "drill": ([], "sandbox_failed"),
}
NEVER = {"providers", "sandbox faults"}


@pytest.fixture(autouse=True)
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder but for a file that is nothing, and an environment in which nothing is found."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    (tmp_path / "here").write_text("nothing")


def told(capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], str]:
    """The error of the one object on standard output's last line, and standard error."""
    caught = capsys.readouterr()
    *_, last = caught.out.splitlines()
    error = json.loads(last)["error"]
    assert isinstance(error["code"], str)
    assert error["message"]
    return error, caught.err


def test_every_command_is_here() -> None:
    assert {*READING, *OTHERWISE, *NEVER} == set(NAMES)


@pytest.mark.parametrize("words", ALL, ids=NAMES)
def test_every_command_takes_config_and_json(words: tuple[str, ...]) -> None:
    options = {name for each in ALL[words].params if isinstance(each, TyperOption) for name in each.opts}
    assert {"--config", "--json"} <= options


@pytest.mark.parametrize("words", ALL, ids=NAMES)
def test_wrong_use_is_told_as_json_too(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(build(COMMANDS), [*words, "--json", "--nonsense"]) == 2
    error, prose = told(capsys)
    assert error["code"] == "wrong_usage"
    assert "--nonsense" in error["message"]
    assert error["message"] in prose
    assert run(build(COMMANDS), [*words, "--nonsense"]) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", READING)
def test_a_missing_file_is_told_as_json_too(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*name.split(), *READING[name], "--config", "missing.toml"]
    assert run(build(COMMANDS), [*arguments, "--json"]) == 1
    error, prose = told(capsys)
    assert error["code"] == "invalid_config"
    assert "missing.toml" in error["message"]
    assert error["message"] in prose
    assert run(build(COMMANDS), arguments) == 1
    assert capsys.readouterr() == ("", prose)


@pytest.mark.parametrize("name", OTHERWISE)
def test_other_failures_are_told_as_json_too(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    more, code = OTHERWISE[name]
    if code == "sandbox_failed":
        monkeypatch.setattr("freehold.sandbox.cloud.listening_socket", no_socket)
    assert run(build(COMMANDS), [*name.split(), *more, "--json"]) == 1
    error, prose = told(capsys)
    assert error["code"] == code
    assert error["message"] in prose


def no_socket(*_: object, **__: object) -> None:
    raise OSError(98, "Address already in use")


def test_a_text_that_looks_like_the_option_is_a_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(build(COMMANDS), ["chat", "m", "--config", "missing.toml", "--", "--json"]) == 1
    assert capsys.readouterr().out == ""


def test_whoever_breaks_a_question_off_is_an_interrupt() -> None:
    app = typer.Typer()

    @app.command()
    def asks() -> None:
        raise typer.Abort

    assert run(app, []) == 130
