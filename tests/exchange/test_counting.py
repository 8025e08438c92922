"""Token counts at every provider, for every client that asks: the provider's own figure, or one made here."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.ir import JsonObject
from freehold.providers.catalog import matches, providers
from freehold.providers.schema import Provider
from freehold.transport.fake import FakeUpstream, Reply
from tests.exchange.road import Roadside

ASKED: dict[str, tuple[str, JsonObject]] = {
    "anthropic-messages": (
        "/v1/messages/count_tokens",
        {"model": "asked", "messages": [{"role": "user", "content": "hello"}]},
    ),
    "gemini-generate": ("/v1beta/models/asked:countTokens", {"contents": [{"parts": [{"text": "hello"}]}]}),
    "bedrock-converse": (
        "/model/asked/count-tokens",
        {"input": {"converse": {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}}},
    ),
    "openai-responses": ("/v1/responses/input_tokens", {"model": "asked", "input": "hello"}),
}
COUNT = b'{"totalTokens": 3, "inputTokens": 3, "input_tokens": 3, "object": "response.input_tokens"}'
FIELDS = 'api_key = "k"\nbase_url = "http://127.0.0.1:1/v1"\nregion = "eu-west-1"\nproject = "p"\nlocation = "l"\n'


def kinds() -> list[tuple[str, str, bool]]:
    """Every provider with one model of each family, and whether one of that model's protocols counts."""
    found: dict[tuple[str, str], tuple[str, str, bool]] = {}
    for name, provider in providers().items():
        for rule in provider.models:
            if "generate" in rule.operations:
                model = rule.match[0].replace("*", "x")
                found.setdefault((name, rule.family), (name, model, counts(provider, model, rule.protocols)))
    return list(found.values())


def counts(provider: Provider, model: str, offered: tuple[str, ...]) -> bool:
    return any(
        "count" in protocol.paths
        and matches(protocol.models, model)
        and matches(protocol.counts, model)
        and (not offered or protocol.name in offered)
        for protocol in provider.protocols
    )


@pytest.mark.parametrize("codec", ASKED)
@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: f"{kind[0]}/{kind[1]}")
@pytest.mark.usefixtures("google")
async def test_tokens_are_counted_by_the_provider_or_else_here(
    kind: tuple[str, str, bool], codec: str, tmp_path: Path
) -> None:
    provider, model, counted = kind
    text = f'[accounts.a]\nprovider = "{provider}"\n{FIELDS}[models.asked]\ntargets = ["a/{model}"]\n'
    side = Roadside(tmp_path, FakeUpstream(Reply(headers=[("content-type", "application/json")], body=[COUNT])), text)
    path, body = ASKED[codec]
    door = await side.ask(path, body, codec, operation="count")
    if counted:
        assert (door.status, len(side.upstream.requests)) == (200, 1), door.body
        assert 3 in door.json.values()
        return
    assert (door.status, side.upstream.requests) == (200, []), door.body
    assert door.headers["freehold-count"].startswith(("exact", "estimate"))
    assert any(isinstance(value, int) and 0 < value < 100 for value in door.json.values())
