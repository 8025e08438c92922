"""`freehold route explain`: recordings and bodies, this process's view and a running server's."""

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from freehold.cli import build
from freehold.cli.failure import run
from freehold.cli.route import PATHS
from freehold.protocols.registry import CODECS
from freehold.server.paths import find_route
from tests.cli.conftest import Sandbox, environment

BODY = {"model": "assistant", "messages": [{"role": "user", "content": "hello"}], "seed": 7}

Explain = Callable[..., tuple[int, str]]


@pytest.fixture
def explain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Explain:
    """Runs the command in this process, in an empty folder: its exit status and standard output."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)

    def call(*arguments: str, stdin: str = "") -> tuple[int, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        status = run(build(("route",)), ("route", "explain", *arguments))
        return status, capsys.readouterr().out

    return call


def test_every_protocol_has_a_path_that_the_server_takes_for_it() -> None:
    assert set(PATHS) == set(CODECS)
    for protocol, path in PATHS.items():
        route = find_route("POST", path.format(model="m"), (), "")
        assert route is not None
        assert route.codec == protocol


def test_a_body_is_explained_and_nothing_is_left_behind(explain: Explain, sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "body.json").write_text(json.dumps(BODY))
    where = ("body.json", "--protocol", "openai-chat", "--config", sandbox.config)
    status, said = explain(*where)
    assert status == 0
    assert "assistant in openai-chat, generate" in said
    assert "1  azure/gpt-5" in said
    assert "loses seed" in said
    assert "chosen: azure/gpt-5" in said
    told = json.loads(explain(*where, "--strategy", "cheapest", "--json")[1])
    costs = [each["score"]["cost_usd"] for each in told["targets"] if each["rank"] is not None]
    assert costs == sorted(costs)
    assert told["chosen"] == told["targets"][0]["target"]
    assert all(each["expected_usd"] == each["score"]["cost_usd"] for each in told["targets"])
    assert all(not file.read_bytes() for file in (tmp_path / "data" / "spool").iterdir())
    strict = json.loads(explain(*where, "--on-loss", "reject", "--json")[1])
    assert (
        "would lose " in {each["target"]: each["obstacle"] for each in strict["targets"]}["anthropic/claude-sonnet-4-5"]
    )


@pytest.mark.parametrize(
    ("folder", "protocol"),
    [
        ("anthropic-messages", "anthropic-messages"),
        ("gemini-generate", "gemini-generate"),
        ("bedrock-converse", "bedrock-converse"),
        ("openai-responses", "openai-responses"),
    ],
)
def test_recordings_of_every_kind_are_routed(explain: Explain, sandbox: Sandbox, folder: str, protocol: str) -> None:
    folder_of = Path(__file__).parents[1] / "exchanges" / folder
    recording = next(file for file in sorted(folder_of.glob("*.json")) if json.loads(file.read_bytes()).get("request"))
    status, said = explain(
        str(recording), "--model", "assistant", "--on-loss", "report", "--json",
        "--config", sandbox.config,
    )  # fmt: skip
    assert status == 0
    told = json.loads(said)
    assert (told["model"], told["protocol"]) == ("assistant", protocol)
    assert told["chosen"] is not None


def test_standard_input_is_read_and_chance_can_be_drawn_again(explain: Explain, sandbox: Sandbox) -> None:
    where = ("-", "--protocol", "openai-chat", "--config", sandbox.config, "--strategy", "weighted")
    said = [
        json.loads(explain(*where, "--exchange", f"fx00000000000000{draw}", "--json", stdin=json.dumps(BODY))[1])
        for draw in ("40000000", "40000000", "c0000000")
    ]
    assert said[0]["ask"]["draw"] == 0.25
    assert said[0]["targets"] == said[1]["targets"]
    assert said[0]["targets"] != said[2]["targets"]


def test_a_body_without_a_model_takes_the_one_that_is_named(explain: Explain, sandbox: Sandbox) -> None:
    body = json.dumps({"contents": [{"parts": [{"text": "hello"}]}]})
    where = ("-", "--protocol", "gemini-generate", "--config", sandbox.config)
    assert explain(*where, stdin=body)[0] == 2
    told = json.loads(explain(*where, "--model", "assistant", "--json", stdin=body)[1])
    assert told["model"] == "assistant"
    chat = ("-", "--protocol", "openai-chat", "--config", sandbox.config, "--json")
    nameless = json.dumps({"messages": BODY["messages"]})
    assert json.loads(explain(*chat, stdin=nameless)[1])["error"]["param"] == "model"
    assert json.loads(explain(*chat, "--model", "gpt", stdin=nameless)[1])["model"] == "gpt"


@pytest.mark.parametrize(
    "arguments",
    [
        ("nowhere.json",),
        ("-",),
        ("-", "--protocol", "morse"),
        ("-", "--strategy", "luckiest"),
        ("-", "--on-loss", "cry"),
    ],
)
def test_wrong_use_is_2(explain: Explain, arguments: tuple[str, ...]) -> None:
    assert explain(*arguments, stdin="nonsense")[0] == 2


def test_a_server_that_is_not_there_is_said(explain: Explain, sandbox: Sandbox) -> None:
    status, said = explain(
        "-", "--protocol", "openai-chat", "--live", "--admin", "http://127.0.0.1:9", "--json",
        "--config", sandbox.config, stdin=json.dumps(BODY),
    )  # fmt: skip
    assert status == 1
    assert json.loads(said)["error"]["code"] == "control_plane_unreachable"
