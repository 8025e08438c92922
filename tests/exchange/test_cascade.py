"""Cascade: an answer that does not pass is not sent, unless there is no better one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from freehold.ir import JsonObject
from freehold.transport.fake import FakeUpstream, Reply, Reset, Stall
from tests.exchange.road import CONFIG, Roadside
from tests.exchange.test_hedging import ONE, TWO, adds_up, alone, asked, both_ways, by_account, question
from tests.exchange.test_road import ANSWER, CHAT, HELLO, SSE, STREAM, USAGE, chunk, error, reply


def cascade(check: str = "", more: str = "") -> str:
    settings = f'[models.pair]\nstrategy = "cascade"\ncheck = {{ {check} }}'
    return CONFIG.replace("[models.pair]", settings) + more


def saying(text: str, finish: str = "stop", *, stream: bool) -> Reply:
    """An answer, in a stream with a blank after each word."""
    if stream:
        words = [chunk({"content": f"{word} "}) for word in text.split(" ")]
        return Reply(headers=SSE, body=[STREAM[0], *words, chunk({}, finish), USAGE, STREAM[-1]])
    choice: JsonObject = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    return reply({**ANSWER, "choices": [choice]})


@both_ways
async def test_an_answer_that_passes_is_sent_as_it_came(tmp_path: Path, *, stream: bool) -> None:
    small = saying("all is well", stream=stream)
    side = Roadside(tmp_path, by_account(one=small, two=Stall()), cascade("min_characters = 5"))
    door = await side.ask(CHAT, {**question(stream=stream), "stream_options": {"include_usage": True}})
    assert asked(side) == [1]
    assert door.body == b"".join(piece for piece in small.body if isinstance(piece, bytes)), "byte for byte"
    assert door.ended
    record = side.records()[0]
    assert (record.strategy, record.attempts[0].check) == ("cascade", None)
    assert record.usage is not None
    assert record.usage.input_tokens == 5


@both_ways
async def test_an_answer_that_does_not_pass_is_asked_again_and_both_are_billed(tmp_path: Path, *, stream: bool) -> None:
    small, large = saying("half of i", "length", stream=stream), saying("the whole of it", stream=stream)
    side = Roadside(tmp_path, by_account(one=small, two=large), cascade())
    door = await side.ask(CHAT, question(stream=stream))
    assert door.status == 200
    assert b"half" not in door.body
    assert b"whole" in door.body
    assert door.headers["freehold-target"] == TWO
    record = side.records()[0]
    assert [attempt.check for attempt in record.attempts] == ["finish: length", None]
    assert [attempt.error for attempt in record.attempts] == [None, None]
    assert record.usage is not None
    assert (record.usage.input_tokens, record.usage.output_tokens) == (10, 4)
    adds_up(record)
    assert [exchange.outcome for exchange in side.upstream.exchanges] == ["done", "done"]
    assert await alone()


@both_ways
async def test_the_last_answer_is_not_looked_at(tmp_path: Path, *, stream: bool) -> None:
    poor = saying("short", stream=stream)
    side = Roadside(tmp_path, by_account(one=poor, two=poor), cascade("min_characters = 100"))
    door = await side.ask(CHAT, question(stream=stream))
    assert door.headers["freehold-target"] == TWO
    assert [attempt.check for attempt in side.records()[0].attempts] == ["min_characters: 5", None]


@both_ways
@pytest.mark.parametrize(
    "large",
    [error(500), error(400), Reply(headers=SSE, body=[Reset()]), Reply(headers=SSE, body=[])],
    ids=["500", "400", "reset", "empty"],
)
async def test_a_poor_answer_is_better_than_none(large: Reply, tmp_path: Path, *, stream: bool) -> None:
    small = saying("short", stream=stream)
    side = Roadside(tmp_path, by_account(one=small, two=large), cascade("min_characters = 100"))
    door = await side.ask(CHAT, question(stream=stream))
    assert door.status == 200
    assert b"short" in door.body
    assert door.ended
    assert door.headers["freehold-target"] == ONE
    record = side.records()[0]
    assert record.outcome == "ok"
    assert record.attempts[0].check == "min_characters: 5"
    assert record.attempts[1].error is not None


@both_ways
async def test_a_small_model_that_fails_is_followed_as_in_failover(tmp_path: Path, *, stream: bool) -> None:
    side = Roadside(tmp_path, by_account(one=error(500), two=saying("fine", stream=stream)), cascade())
    door = await side.ask(CHAT, question(stream=stream))
    assert door.headers["freehold-target"] == TWO
    assert side.records()[0].attempts[0].error is not None


async def test_a_stream_that_breaks_while_it_is_held_costs_the_client_nothing(tmp_path: Path) -> None:
    broken = Reply(headers=SSE, body=[*STREAM[:2], Reset()])
    side = Roadside(tmp_path, by_account(one=broken, two=saying("fine", stream=True)), cascade())
    door = await side.ask(CHAT, question(stream=True))
    assert b"fine" in door.body
    assert b"error" not in door.body
    assert side.records()[0].attempts[0].error is not None


async def test_escalations_do_not_spend_the_retry_budget(tmp_path: Path) -> None:
    """Nothing has failed: half of all requests may be meant for the larger model."""
    poor, large = saying("short", stream=False), saying("x" * 200, stream=False)
    side = Roadside(tmp_path, by_account(one=poor, two=large), cascade("min_characters = 100"))
    side.snapshot = msgspec.structs.replace(side.snapshot, retry_share=0.0)
    for _ in range(120):
        door = await side.ask(CHAT, HELLO)
        assert door.headers["freehold-target"] == TWO


async def test_a_client_that_leaves_while_an_answer_is_held_ends_it(tmp_path: Path) -> None:
    endless = Reply(headers=SSE, body=[*STREAM[:2], Stall()])
    side = Roadside(tmp_path, by_account(one=endless, two=Stall()), cascade())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await side.ask(CHAT, question(stream=True))
    assert side.upstream.exchanges[0].outcome == "aborted"
    assert side.records()[0].outcome == "client_gone"
    assert await alone()


async def test_an_answer_in_another_protocol_is_looked_at_too(tmp_path: Path) -> None:
    claude: JsonObject = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": "I had no room for"}],
        "stop_reason": "max_tokens",
        "stop_sequence": None,
        "usage": {"input_tokens": 5, "output_tokens": 6},
    }
    config = cascade().replace(
        'targets = ["one/gpt-4o", "two/gpt-4o"]', 'targets = ["claude/claude-sonnet-4-5", "two/gpt-4o"]'
    )
    side = Roadside(tmp_path, by_account(claude=reply(claude), two=saying("fine", stream=False)), config)
    door = await side.ask(CHAT, {**HELLO, "max_completion_tokens": 6})
    assert b'"content":"fine"' in door.body
    assert side.records()[0].attempts[0].check == "finish: length"


async def test_what_must_not_happen_twice_is_asked_of_the_last_at_once(tmp_path: Path) -> None:
    side = Roadside(tmp_path, by_account(one=Stall(), two=saying("fine", stream=False)), cascade())
    door = await side.ask(CHAT, {**HELLO, "store": True})
    assert door.headers["freehold-target"] == TWO
    assert asked(side) == [2]
    assert side.records()[0].rejections == {ONE: "cascade: the field store"}


# --- Judges ----------------------------------------------------------------------------------------------------------

JUDGE = '\n[models.judge]\ntargets = ["claude/claude-sonnet-4-5"]\n'


def judging(verdict: str) -> Reply:
    body: JsonObject = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": verdict}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 50, "output_tokens": 1},
    }
    return reply(body)


@both_ways
@pytest.mark.parametrize(
    ("judge", "check"),
    [
        (judging("PASS"), None),
        (judging("FAIL"), "judge: it said FAIL"),
        (judging("Perhaps."), "judge: it gave no verdict"),
        (error(500), "judge: it could not be asked (500)"),
    ],
    ids=["pass", "fail", "perhaps", "down"],
)
async def test_a_judge_is_asked_down_the_same_road(
    judge: Reply, check: str | None, tmp_path: Path, *, stream: bool
) -> None:
    answers = {"one": saying("small words", stream=stream), "two": saying("large words", stream=stream)}
    config = cascade('judge = "judge", criteria = "It rhymes."', JUDGE)
    side = Roadside(tmp_path, by_account(claude=judge, **answers), config)
    door = await side.ask(CHAT, question(stream=stream), tags={"team": "x"})
    assert door.headers["freehold-target"] == (ONE if check is None else TWO)
    verdict, record = side.records()
    assert record.attempts[0].check == check
    assert record.attempts[0].judge == verdict.id != record.id
    assert (verdict.parent, verdict.model, verdict.tags) == (record.id, "judge", {"team": "x"})
    assert (verdict.project, verdict.key) == (record.project, record.key)
    adds_up(record)
    shown = side.upstream.requests[1].body.decode()
    for words in ("hello", "small words", "It rhymes."):
        assert words in shown
    assert side.road.open == 0


async def test_a_judge_is_not_asked_where_the_answer_lacks_something_anyway(tmp_path: Path) -> None:
    answers = {"one": saying("half", "length", stream=False), "two": saying("fine", stream=False)}
    side = Roadside(tmp_path, by_account(claude=Stall(), **answers), cascade('judge = "judge"', JUDGE))
    await side.ask(CHAT, HELLO)
    assert asked(side) == [1, 2]


async def test_a_client_that_leaves_takes_the_judge_along(tmp_path: Path) -> None:
    answers = {"one": saying("fine", stream=False), "two": Stall()}
    side = Roadside(tmp_path, by_account(claude=Stall(), **answers), cascade('judge = "judge"', JUDGE))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await side.ask(CHAT, HELLO)
    assert {record.outcome for record in side.records()} == {"client_gone"}
    assert len(side.records()) == 2
    assert side.road.open == 0
    assert await alone()


async def test_other_operations_have_no_answer_to_look_at(tmp_path: Path) -> None:
    vectors: JsonObject = {
        "object": "list",
        "model": "m",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    }
    config = cascade().replace("gpt-4o", "text-embedding-3-small")
    side = Roadside(tmp_path, FakeUpstream(reply(vectors)), config)
    body: JsonObject = {"model": "pair", "input": "hello"}
    door = await side.ask("/v1/embeddings", body, "openai-embeddings", operation="embed")
    assert door.status == 200
    assert len(side.upstream.requests) == 1
