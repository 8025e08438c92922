"""`freehold translate` as scripts use it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from freehold.cli import build
from freehold.protocols.registry import CODECS

EXCHANGES = Path(__file__).parent.parent / "exchanges"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(build(("translate",)), ["translate", *arguments])


def some(folder: str) -> str:
    return str(min((EXCHANGES / folder).glob("*.json")))


def test_one_line_for_each_part_and_target() -> None:
    done = run(some("openai-chat"), "--json")
    assert done.exit_code == 0
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 2 * len(CODECS)
    assert {row["part"] for row in rows} == {"request", "response"}
    assert {row["to"] for row in rows} == set(CODECS)
    for row in rows:
        assert {"id", "part", "from", "to", "status", "losses"} <= set(row)
        assert row["from"] == "openai-chat"
        for loss in row["losses"]:
            assert {"path", "kind", "effect", "detail"} == set(loss)


def test_one_target() -> None:
    done = run(some("anthropic-messages"), "--to", "openai-chat", "--json")
    assert {json.loads(line)["to"] for line in done.stdout.splitlines()} == {"openai-chat"}


def test_bodies_are_written_where_asked(tmp_path: Path) -> None:
    done = run(some("openai-chat"), "--to", "anthropic-messages", "--output", str(tmp_path))
    assert done.exit_code == 0
    written = sorted(file.name.rpartition(".")[2] for file in (tmp_path / "anthropic-messages").iterdir())
    assert written == ["request", "response"]


def test_a_table_for_people() -> None:
    done = run(str(EXCHANGES / "openai-chat"), "--to", "openai-chat")
    assert done.exit_code == 0
    assert "openai-chat" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["--to", "klingon", "."], "no such protocol"), (["/no/such/path"], "does not exist")],
)
def test_wrong_use_exits_2(arguments: list[str], says: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert says in done.output


def test_a_file_that_is_no_exchange_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "odd.json").write_text('{"hello": 1}')
    done = run(str(tmp_path), "--json")
    assert done.exit_code == 1
    row = json.loads(done.stdout.splitlines()[0])
    assert row["status"] == "error"
    assert "odd.json" in row["message"]


def test_an_operation_without_a_codec_is_unsupported(tmp_path: Path) -> None:
    exchange = {
        "id": "x",
        "protocol": "openai-images",
        "wire": "openai-images",
        "request": {"method": "POST", "path": "/v1/images/generations", "headers": {}, "body": {"prompt": "a cat"}},
        "response": {"status": 200, "headers": {}, "body": {"data": []}},
    }
    (tmp_path / "x.json").write_text(json.dumps(exchange))
    done = run(str(tmp_path), "--json")
    assert done.exit_code == 0
    assert {json.loads(line)["status"] for line in done.stdout.splitlines()} == {"unsupported"}
