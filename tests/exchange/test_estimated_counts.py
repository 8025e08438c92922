"""Token counts that no provider gives: answered here in every protocol, and said to be ours."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from freehold.exchange.record import UsageRecord
from freehold.ir import JsonObject, TokenCount
from freehold.protocols.codec import WireResponse
from freehold.protocols.registry import CODECS
from freehold.transport.fake import FakeUpstream, Refuse, Reply
from tests.exchange.road import Roadside

CONFIG = """
[accounts.mistral]
provider = "mistral"
base_url = "http://127.0.0.1:1/v1"
api_key = "k"
[accounts.azure]
provider = "azure"
base_url = "http://127.0.0.1:1"
api_key = "k"
deployments = { "mine" = "gpt-4o" }
[accounts.bedrock]
provider = "bedrock"
region = "us-east-1"
api_key = "k"
[accounts.claude]
provider = "anthropic"
base_url = "http://127.0.0.1:3"
api_key = "k"
[models.asked]
targets = ["TARGET"]
"""
ASKED: dict[str, tuple[str, JsonObject]] = {
    "anthropic-messages": (
        "/v1/messages/count_tokens",
        {"model": "asked", "messages": [{"role": "user", "content": "hello world"}]},
    ),
    "gemini-generate": ("/v1beta/models/asked:countTokens", {"contents": [{"parts": [{"text": "hello world"}]}]}),
    "bedrock-converse": (
        "/model/asked/count-tokens",
        {"input": {"converse": {"messages": [{"role": "user", "content": [{"text": "hello world"}]}]}}},
    ),
    "openai-responses": ("/v1/responses/input_tokens", {"model": "asked", "input": "hello world"}),
}
JSON = [("content-type", "application/json")]
COUNTED = Reply(headers=JSON, body=[b'{"input_tokens": 77, "inputTokens": 77}'])


def side(folder: Path, target: str, *replies: Reply | Refuse) -> Roadside:
    return Roadside(folder, FakeUpstream(*replies), CONFIG.replace("TARGET", target))


@pytest.mark.parametrize("codec", ASKED)
async def test_every_client_is_answered_in_its_protocol(codec: str, tmp_path: Path) -> None:
    road = side(tmp_path, "azure/mine")
    path, body = ASKED[codec]
    door = await road.ask(path, body, codec, operation="count")
    assert (door.status, road.upstream.requests) == (200, [])
    wire = WireResponse(status=200, body=door.body, headers=tuple(door.headers.items()))
    counted = CODECS[codec].decode_response(wire, None)
    assert isinstance(counted, TokenCount)
    # Two words, four of the message's frame, three of the answer's: as OpenAI counts for the deployment's real model.
    assert counted.input_tokens == 9
    assert door.headers["freehold-count"] == "exact"
    assert door.headers["freehold-target"] == "azure/mine"
    assert door.headers["freehold-attempts"] == "0"


async def test_an_estimate_is_said_to_be_one(tmp_path: Path) -> None:
    road = side(tmp_path, "mistral/mistral-large-latest")
    path, body = ASKED["anthropic-messages"]
    door = await road.ask(path, body, "anthropic-messages", operation="count")
    kind, _, bound = door.headers["freehold-count"].partition(";at-most=")
    assert kind == "estimate"
    tokens = door.json["input_tokens"]
    assert isinstance(tokens, int)
    assert 2 < tokens < int(bound)
    [record] = road.records()
    assert record.usage == UsageRecord(source="estimate", input_tokens=tokens)
    assert (record.outcome, record.status, record.attempts) == ("ok", 200, [])


async def test_where_there_is_no_bound_none_is_said(tmp_path: Path) -> None:
    road = side(tmp_path, "mistral/mistral-large-latest")
    path, body = ASKED["anthropic-messages"]
    tools: JsonObject = {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}
    door = await road.ask(path, {**body, **tools}, "anthropic-messages", operation="count")
    assert door.headers["freehold-count"] == "estimate"


async def test_an_estimate_is_not_counted_as_used(tmp_path: Path) -> None:
    road = side(tmp_path, "azure/mine")
    path, body = ASKED["anthropic-messages"]
    await road.ask(path, body, "anthropic-messages", operation="count")
    written = road.road.counters.text({})
    assert "exchanges_total" in written
    assert "input_tokens_total" not in written


@pytest.mark.parametrize(
    ("model", "counted"),
    [
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", True),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", False),
        ("amazon.nova-lite-v1:0", False),
    ],
)
async def test_bedrock_is_asked_for_the_ids_that_it_counts(model: str, counted: bool, tmp_path: Path) -> None:  # noqa: FBT001 -- a parameter of the test
    road = side(tmp_path, f"bedrock/{model}", COUNTED)
    path, body = ASKED["bedrock-converse"]
    door = await road.ask(path, body, "bedrock-converse", operation="count")
    assert (door.status, len(road.upstream.requests)) == (200, int(counted))
    assert (door.json["inputTokens"] == 77) is counted
    assert ("freehold-count" in door.headers) is not counted


@pytest.mark.parametrize("fault", [Refuse(), Reply(status=529, headers=JSON, body=[b'{"type": "error"}'])])
async def test_a_provider_that_can_not_count_just_now_is_stood_in_for(fault: Reply | Refuse, tmp_path: Path) -> None:
    road = side(tmp_path, "claude/claude-sonnet-4-5", fault)
    path, body = ASKED["anthropic-messages"]
    door = await road.ask(path, body, "anthropic-messages", operation="count")
    assert door.status == 200
    assert door.headers["freehold-count"].startswith("estimate;at-most=")
    assert door.headers["freehold-attempts"] == "1"
    [record] = road.records()
    assert record.attempts[0].error is not None


async def test_a_request_that_the_caller_has_to_mend_stays_an_error(tmp_path: Path) -> None:
    said = msgspec.json.encode({"type": "error", "error": {"type": "invalid_request_error", "message": "no"}})
    road = side(tmp_path, "claude/claude-sonnet-4-5", Reply(status=400, headers=JSON, body=[said]))
    path, body = ASKED["anthropic-messages"]
    door = await road.ask(path, body, "anthropic-messages", operation="count")
    assert door.status == 400
