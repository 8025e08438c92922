"""No file at all: accounts from the environment, each said aloud; nothing that spends money unasked."""

from pathlib import Path

import pytest

from freehold.config import Config, Secret, load


@pytest.fixture(autouse=True)
def _no_file_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def found(**environ: str) -> Config:
    return load(None, {"HOME": "/users/a", **environ})


@pytest.mark.parametrize(
    ("environ", "account"),
    [
        ({"OPENAI_API_KEY": "k"}, "openai"),
        ({"ANTHROPIC_API_KEY": "k"}, "anthropic"),
        ({"GEMINI_API_KEY": "k"}, "gemini"),
        ({"GOOGLE_API_KEY": "k"}, "gemini"),
        ({"MISTRAL_API_KEY": "k"}, "mistral"),
        ({"GROQ_API_KEY": "k"}, "groq"),
        ({"DEEPSEEK_API_KEY": "k"}, "deepseek"),
        ({"XAI_API_KEY": "k"}, "xai"),
        ({"OPENROUTER_API_KEY": "k"}, "openrouter"),
    ],
)
def test_a_key_makes_an_account_and_is_said(environ: dict[str, str], account: str) -> None:
    config = found(**environ)
    assert list(config.accounts) == [account]
    assert config.accounts[account].api_key == Secret("k")
    assert any(note.startswith(f"account `{account}`") and next(iter(environ)) in note for note in config.notes)


def test_azure_needs_its_address_too() -> None:
    assert not found(AZURE_OPENAI_API_KEY="k").accounts
    config = found(AZURE_OPENAI_API_KEY="k", AZURE_OPENAI_ENDPOINT="https://acme.openai.azure.com/")
    assert config.accounts["azure"].base_url == "https://acme.openai.azure.com"


def test_google_prefers_the_variable_that_its_own_client_prefers() -> None:
    assert found(GEMINI_API_KEY="a", GOOGLE_API_KEY="b").accounts["gemini"].api_key == Secret("b")


def test_labs_come_first_so_that_bare_names_go_to_them() -> None:
    config = found(OPENROUTER_API_KEY="k", AZURE_OPENAI_API_KEY="k", AZURE_OPENAI_ENDPOINT="https://a.openai.azure.com",
                   OPENAI_API_KEY="k")  # fmt: skip
    assert list(config.accounts) == ["openai", "azure", "openrouter"]


def test_cloud_credentials_are_offered_only() -> None:
    config = found(AWS_REGION="us-east-1", AWS_ACCESS_KEY_ID="A", GOOGLE_CLOUD_PROJECT="p")
    assert not config.accounts
    assert [note for note in config.notes if "freehold init" in note] == [
        "Amazon Bedrock could be used (AWS_REGION is set): `freehold init` writes the account down",
        "Google Vertex AI could be used (GOOGLE_CLOUD_PROJECT is set): `freehold init` writes the account down",
    ]


def test_an_ollama_is_for_the_caller_to_ask() -> None:
    (probe,) = found().probes
    assert probe.url == "http://127.0.0.1:11434/v1/models"
    assert probe.account.provider == "ollama"
    (probe,) = found(OLLAMA_HOST="0.0.0.0:9999").probes
    assert probe.url == "http://127.0.0.1:9999/v1/models"


def test_an_empty_variable_is_none() -> None:
    assert not found(OPENAI_API_KEY=" ").accounts


def test_nothing_shows_a_key_and_a_new_key_changes_the_digest() -> None:
    config = found(OPENAI_API_KEY="sk-planted")
    assert "planted" not in repr(config)
    assert config.source is None
    assert found(OPENAI_API_KEY="sk-other").digest != config.digest


def test_data_goes_where_the_user_keeps_data() -> None:
    assert found(XDG_DATA_HOME="/data").data_directory == "/data/freehold"
    assert found(FREEHOLD_DATA="/here").data_directory == "/here"
    assert found().storage.url == Secret("sqlite:////users/a/.local/share/freehold/freehold.db")
