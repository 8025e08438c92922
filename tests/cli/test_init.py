"""`init`, `check` and `providers` without anything running."""

import ast
import json
import tomllib
from pathlib import Path

from freehold.providers.catalog import providers
from tests.cli.conftest import Freehold


def test_it_writes_what_it_finds_without_the_secret_itself(freehold: Freehold, tmp_path: Path) -> None:
    done = freehold("init", OPENAI_API_KEY="sk-secret", ANTHROPIC_API_KEY="also-secret", AWS_REGION="eu-central-1")
    assert done.returncode == 0, done.stderr
    file = tmp_path / "freehold.toml"
    text = file.read_text()
    written = tomllib.loads(text)
    assert "secret" not in text
    assert file.stat().st_mode & 0o777 == 0o600
    # The AWS chain spends somebody's money, so nobody but a person may choose it.
    assert set(written["accounts"]) == {"anthropic", "openai"}
    assert written["accounts"]["openai"]["api_key"] == "env:OPENAI_API_KEY"
    assert set(written["models"]["assistant"]["targets"]) == {"anthropic/claude-sonnet-4-5", "openai/gpt-5"}
    checked = freehold("check", OPENAI_API_KEY="sk-secret", ANTHROPIC_API_KEY="also-secret")
    assert checked.returncode == 0, checked.stderr


def test_flags_say_what_to_write(freehold: Freehold, tmp_path: Path) -> None:
    done = freehold(
        "init", "--provider", "bedrock", "--provider", "openai", "--model", "openai/gpt-5-mini", "--listen",
        "127.0.0.1:9000", "--output", "other.toml", "--json", AWS_REGION="eu-central-1",
    )  # fmt: skip
    told = json.loads(done.stdout)
    assert told["accounts"] == ["bedrock", "openai"]
    assert any("OPENAI_API_KEY" in note for note in told["notes"])
    written = tomllib.loads((tmp_path / "other.toml").read_text())
    assert written["accounts"]["bedrock"] == {"provider": "bedrock", "region": "eu-central-1"}
    assert written["server"]["listen"] == "127.0.0.1:9000"
    assert written["models"]["assistant"]["targets"] == ["openai/gpt-5-mini"]


def test_it_never_overwrites_unasked(freehold: Freehold, tmp_path: Path) -> None:
    (tmp_path / "freehold.toml").write_text("# mine\n")
    refused = freehold("init", OPENAI_API_KEY="x")
    assert refused.returncode == 1
    assert "--force" in refused.stderr
    assert (tmp_path / "freehold.toml").read_text() == "# mine\n"
    assert freehold("init", "--force", OPENAI_API_KEY="x").returncode == 0


def test_its_snippets_name_the_address_and_are_programs(freehold: Freehold) -> None:
    shown = json.loads(freehold("init", "--json", "--listen", "127.0.0.1:9000", OPENAI_API_KEY="x").stdout)["snippets"]
    assert list(shown) == [
        "openai", "AzureOpenAI", "anthropic", "boto3", "google-genai", "Claude Code", "Codex", "Gemini CLI",
    ]  # fmt: skip
    for title, snippet in shown.items():
        assert "http://127.0.0.1:9000" in snippet
        if "import" in snippet:
            ast.parse(snippet)
        assert "KEY" in snippet or title == "boto3"


def test_an_unknown_provider_is_wrong_use(freehold: Freehold) -> None:
    assert freehold("init", "--provider", "venus").returncode == 2


def test_with_nothing_in_the_environment_it_says_so(freehold: Freehold) -> None:
    done = freehold("init")
    assert done.returncode == 0
    assert "No provider was found" in done.stderr
    assert done.stdout == "", "no client can ask for anything yet"


def test_check_reports_every_mistake(freehold: Freehold, tmp_path: Path) -> None:
    (tmp_path / "freehold.toml").write_text(
        '[accounts.a]\nprovider = "openay"\n\n[accounts.b]\nprovider = "openai"\napi_key = "env:NOT_SET"\nregin = "x"\n'
    )
    done = freehold("check", "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["error"]["code"] == "invalid_config"
    assert len(told["error"]["problems"]) == 3
    assert "line 6" in done.stderr
    assert freehold("check", "--config", "missing.toml").returncode == 1


def test_providers_lists_every_file(freehold: Freehold) -> None:
    rows = json.loads(freehold("providers", "--json").stdout)["providers"]
    assert [row["name"] for row in rows] == list(providers())
    anthropic = next(row for row in rows if row["name"] == "anthropic")
    assert anthropic["auth"] == ["x-api-key"]
    assert "ANTHROPIC_API_KEY" in anthropic["environment"]
    assert "ANTHROPIC_API_KEY" in freehold("providers").stdout
