"""Provider files: whatever lies in the folder loads, hangs together and says only what the rest understands."""

import datetime
import re

import pytest

from freehold.protocols import openai_chat
from freehold.providers.address import endpoint
from freehold.providers.catalog import claims, exact_ids, offered, parse, patterns, providers, rule
from freehold.providers.reference import page
from freehold.providers.schema import AccountField, Provider

PROVIDERS = sorted(providers())
ALL_FIELDS: dict[AccountField, str] = {
    "region": "eu-west-1",
    "project": "acme",
    "location": "europe-west4",
    "resource": "acme",
}
CODECS = {
    "openai-chat",
    "openai-responses",
    "openai-embeddings",
    "anthropic-messages",
    "gemini-generate",
    "bedrock-converse",
    "bedrock-invoke",
    "azure-openai",
}


def test_the_promised_providers_are_there() -> None:
    assert set(PROVIDERS) >= {
        "openai", "azure", "anthropic", "bedrock", "gemini", "vertex", "openai-compatible", "mistral", "groq",
        "deepseek", "xai", "openrouter", "ollama", "vllm",
    }  # fmt: skip


def test_labs_come_before_those_who_host_them() -> None:
    kinds = [provider.kind for provider in providers().values()]
    assert kinds == sorted(kinds, key=["lab", "cloud", "host", "aggregator", "self-hosted"].index)


@pytest.mark.parametrize("name", PROVIDERS)
class TestEveryFile:
    @pytest.fixture
    def provider(self, name: str) -> Provider:
        return providers()[name]

    def test_is_dated_and_names_its_file(self, provider: Provider, name: str) -> None:
        assert provider.name == name
        assert datetime.date(2026, 1, 1) < provider.checked <= datetime.date(2027, 12, 31)

    def test_speaks_protocols_that_have_a_codec(self, provider: Provider) -> None:
        assert {protocol.name for protocol in provider.protocols} <= CODECS
        assert len({protocol.name for protocol in provider.protocols}) == len(provider.protocols)

    def test_offers_models_only_in_protocols_that_it_speaks(self, provider: Provider) -> None:
        spoken = {protocol.name for protocol in provider.protocols}
        assert {name for rule in provider.models for name in rule.protocols} <= spoken

    def test_offers_some_protocol_for_each_model_it_lists(self, provider: Provider) -> None:
        for model in exact_ids(provider.models):
            assert offered(provider, model), model

    def test_lists_an_id_under_the_first_rule_that_fits(self, provider: Provider) -> None:
        for known in provider.models:
            for glob in known.match:
                if not set(glob) & set("*?["):
                    assert rule(provider, glob) is known, f"{glob} is taken by an earlier rule"

    def test_answers_within_its_window(self, provider: Provider) -> None:
        for known in provider.models:
            assert known.output is None or known.context is None or known.output <= known.context, known.match

    def test_has_an_address_for_every_protocol(self, provider: Provider) -> None:
        fields = dict(ALL_FIELDS)
        if "base_url" in provider.requires:
            fields["base_url"] = "http://127.0.0.1:9000/v1"
        for protocol in provider.protocols:
            found = endpoint(provider, protocol, fields)
            assert re.fullmatch(r"https?://[a-z0-9.:-]+", found.origin)
            for path in found.paths.values():
                assert path.startswith("/")
                assert not re.findall(r"\{(?!model|verb)", path)

    def test_passes_flags_that_the_codec_documents(self, provider: Provider) -> None:
        chat = provider.protocol("openai-chat")
        if chat is not None:
            documented = set(re.findall(r"`([a-z-]+(?::[a-z_]+)?)`", openai_chat.__doc__ or ""))
            assert set(chat.flags) <= documented

    def test_gives_every_fact_a_source(self, provider: Provider) -> None:
        for name in ("operator", "parent", "jurisdiction", "cloud", "silicon"):
            fact = getattr(provider.facts, name)
            assert fact is None or fact.source.startswith("https://")

    def test_has_a_section_in_the_reference(self, provider: Provider) -> None:
        assert f"## `{provider.name}`: {provider.title}" in page()


def test_an_unknown_key_is_an_error_that_names_the_file() -> None:
    text = 'title = "A"\nkind = "lab"\nchecked = 2026-11-22\nhomepage = ""\ndocs = ""\nauth = []\nprotocols = []\n'
    assert parse("acme", text).name == "acme"
    with pytest.raises(ValueError, match=r"acme\.toml.*colour"):
        parse("acme", text + 'colour = "red"\n')


@pytest.mark.parametrize(
    ("provider", "model", "context", "output", "protocols"),
    [
        ("openai", "gpt-5", 400_000, 128_000, ("openai-responses", "openai-chat")),
        ("openai", "gpt-5-2025-08-07", 400_000, 128_000, ("openai-responses", "openai-chat")),
        ("openai", "gpt-5-pro", 400_000, 272_000, ("openai-responses",)),
        ("openai", "text-embedding-3-small", 8191, None, ("openai-embeddings",)),
        ("openai", "a-model-of-tomorrow", None, None, ("openai-responses", "openai-chat")),
        ("anthropic", "claude-sonnet-4-5-20250929", 200_000, 64_000, ("anthropic-messages",)),
        ("anthropic", "claude-opus-4-1-20250805", 200_000, 32_000, ("anthropic-messages",)),
        ("anthropic", "claude-sonnet-4-6", 1_000_000, None, ("anthropic-messages",)),
        ("vertex", "claude-sonnet-4-5@20250929", 200_000, 64_000, ("anthropic-messages",)),
        ("vertex", "gemini-2.5-pro", 1_048_576, 65_536, ("gemini-generate",)),
        ("vertex", "xai/grok-4.1-fast-reasoning", None, None, ("openai-chat",)),
        (
            "bedrock",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            200_000,
            64_000,
            ("bedrock-invoke", "bedrock-converse", "anthropic-messages"),
        ),
        ("bedrock", "openai.gpt-5.6-luna", 1_000_000, None, ("openai-responses",)),
    ],
)
def test_what_is_known_about_a_model(
    provider: str, model: str, context: int | None, output: int | None, protocols: tuple[str, ...]
) -> None:
    file = providers()[provider]
    known = rule(file, model)
    assert known is not None
    assert (known.context, known.output) == (context, output)
    assert tuple(protocol.name for protocol in offered(file, model)) == protocols


def test_a_wide_pattern_claims_no_bare_name() -> None:
    assert not claims(providers()["openai"], "a-model-of-tomorrow")
    assert not claims(providers()["vllm"], "gpt-4o")
    assert claims(providers()["openai"], "gpt-4o")


def test_letter_case_counts_in_model_ids() -> None:
    assert patterns(("gpt-*",)).match("GPT-4") is None
