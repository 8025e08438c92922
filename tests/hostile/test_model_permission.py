"""A key for certain models reaches no other, whatever way its request names one."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from freehold.ir import JsonObject
from freehold.protocols.codec import WireRequest
from freehold.transport.fake import FakeUpstream
from tests.exchange.road import Roadside
from tests.exchange.test_road import ANSWER, CHAT, reply

MESSAGES: JsonObject = {"messages": [{"role": "user", "content": "hello"}]}
ALLOWED = ("pair", "gpt-4o")


@pytest.mark.parametrize(
    "model",
    [
        "one/gpt-4o",
        "one/gpt-4o@openai-chat",
        "gpt-4o-mini",
        "GPT-4O",
        "us.gpt-4o",
        "arn:aws:bedrock:us-east-1:1:inference-profile/gpt-4o",
        "gpt-4o\n",
        "",
    ],
)
async def test_no_spelling_of_another_name_is_allowed(tmp_path: Path, model: str) -> None:
    upstream = FakeUpstream(reply(ANSWER))
    side = Roadside(tmp_path, upstream)
    door = await side.ask(CHAT, {**MESSAGES, "model": model}, models=ALLOWED)
    assert door.status in {400, 403}
    assert msgspec.json.decode(door.body)["error"]["message"].startswith(("this key may not", "model must"))
    assert not upstream.requests


@pytest.mark.parametrize("model", ["one%2Fgpt-4o", "gpt-4o%0a", "claude"])
@pytest.mark.parametrize("verb", ["converse", "invoke"])
async def test_nor_in_a_path(tmp_path: Path, model: str, verb: str) -> None:
    upstream = FakeUpstream(reply(ANSWER))
    side = Roadside(tmp_path, upstream)
    body: JsonObject = {**MESSAGES, "model": "pair"}
    door = await side.ask(f"/model/{model}/{verb}", body, f"bedrock-{verb}", models=ALLOWED)
    assert door.status == 403
    assert not upstream.requests


@pytest.mark.parametrize("field", ["Model", "MODEL", "models", "Models"])
async def test_nor_in_a_field_that_some_servers_take_for_model(tmp_path: Path, field: str) -> None:
    upstream = FakeUpstream(reply(ANSWER))
    side = Roadside(tmp_path, upstream)
    door = await side.ask(CHAT, {**MESSAGES, "model": "pair", field: "gpt-4o-mini"}, models=ALLOWED)
    assert door.status == 403
    assert not upstream.requests


async def test_nor_in_a_second_model_of_the_same_body(tmp_path: Path) -> None:
    upstream = FakeUpstream(reply(ANSWER))
    side = Roadside(tmp_path, upstream)
    body = b'{"model":"gpt-4o-mini","mod\\u0065l":"gpt-4o","messages":[{"role":"user","content":"hello"}]}'
    await side.ask(CHAT, {}, models=ALLOWED, wire=WireRequest(path=CHAT, body=body))
    assert b"mini" not in upstream.requests[0].body


@pytest.mark.parametrize("models", [(), ALLOWED])
@pytest.mark.parametrize("field", ["model", "Model", "models", "stream", "store", "previous_response_id"])
async def test_nor_in_the_options_for_a_provider(tmp_path: Path, field: str, models: tuple[str, ...]) -> None:
    upstream = FakeUpstream(reply(ANSWER))
    side = Roadside(tmp_path, upstream)
    options: JsonObject = {"provider_options": {"openai": {field: "gpt-4o-mini"}}}
    door = await side.ask(CHAT, {**MESSAGES, "model": "pair", "freehold": options}, models=models)
    assert door.status == 400
    assert field in msgspec.json.decode(door.body)["error"]["message"]
    assert not upstream.requests


async def test_what_a_key_may_use_it_gets(tmp_path: Path) -> None:
    side = Roadside(tmp_path, FakeUpstream(reply(ANSWER)))
    assert (await side.ask(CHAT, {**MESSAGES, "model": "pair"}, models=ALLOWED)).status == 200
