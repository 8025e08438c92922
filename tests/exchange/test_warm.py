"""On the road: a conversation that had to move stays where it is cached, its first target being well again."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from freehold.ir import JsonObject, JsonValue
from freehold.transport.fake import FakeRequest, FakeUpstream, Reply
from tests.exchange.road import Roadside

CHAT = "/v1/chat/completions"
OPENING: JsonValue = {"role": "user", "content": "Count to ten, please. " * 400}
TURNS: list[JsonValue] = [OPENING, {"role": "assistant", "content": "1, 2"}, {"role": "user", "content": "Go on."}]


def asking(*turns: JsonValue) -> JsonObject:
    return {"model": "pair", "messages": [*turns]}


def answer(request: FakeRequest) -> Reply:
    """As OpenAI reports it: a long prompt, nothing of it cached yet."""
    usage = {"prompt_tokens": 2000, "completion_tokens": 2, "total_tokens": 2002}
    message = {"role": "assistant", "content": "1, 2"}
    body = {"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}
    return Reply(status=200, headers=[("content-type", "application/json")], body=[msgspec.json.encode(body)])


def first_is_down(request: FakeRequest) -> Reply:
    return Reply(status=500, body=[b"{}"]) if request.endpoint.port == 1 else answer(request)


@pytest.mark.parametrize(("strategy", "second"), [("sticky", "two/gpt-4o"), ("failover", "one/gpt-4o")])
async def test_who_answers_the_second_turn(tmp_path: Path, strategy: str, second: str) -> None:
    side = Roadside(tmp_path, FakeUpstream(first_is_down, first_is_down, answer))
    opened = await side.ask(CHAT, asking(OPENING), strategy=strategy)
    assert opened.headers["freehold-target"] == "two/gpt-4o"
    went_on = await side.ask(CHAT, asking(*TURNS), strategy=strategy)
    assert went_on.headers["freehold-target"] == second


async def test_another_conversation_and_another_project_are_cold(tmp_path: Path) -> None:
    side = Roadside(tmp_path, FakeUpstream(first_is_down, first_is_down, answer))
    await side.ask(CHAT, asking(OPENING), strategy="sticky")
    other = asking({"role": "user", "content": "Something else. " * 500})
    for body, project in ((other, "local"), (asking(*TURNS), "theirs")):
        door = await side.ask(CHAT, body, strategy="sticky", project=project)
        assert door.headers["freehold-target"] == "one/gpt-4o"


async def test_what_was_expected_of_the_cache_is_on_the_record(tmp_path: Path) -> None:
    side = Roadside(tmp_path, FakeUpstream(answer))
    for body in (asking(OPENING), asking(*TURNS)):
        await side.ask(CHAT, body, strategy="sticky")
    scores = side.records()[1].scores
    assert scores["one/gpt-4o"]["cached_tokens"] == pytest.approx(2000, rel=0.2)
    assert scores["two/gpt-4o"]["cached_tokens"] == 0.0


async def test_strategies_that_do_not_mind_remember_nothing(tmp_path: Path) -> None:
    side = Roadside(tmp_path, FakeUpstream(answer))
    await side.ask(CHAT, asking(OPENING), strategy="failover")
    await side.ask(CHAT, {"model": "one/gpt-4o", "messages": [OPENING]}, strategy="sticky")
    assert not side.road.affinity
