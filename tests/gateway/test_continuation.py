"""What leads to another target going on in the middle of an answer, what does not, and what the record says of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.gateway.conftest import Post, chat
from tests.gateway.test_failover import words
from tests.upstreams.gateway import Gateway
from tests.upstreams.openai_chat import OpenAIChat
from tests.upstreams.resuming import Ending, bodies, breaking, honouring
from tests.upstreams.scenarios import LISBON, PORTO, Fault, Said
from tests.upstreams.server import Asked, Reply

STORY = Said(text=("Once upon a time", " there was a king,", " and he lived", " in Lisbon."), prompt=31, output=17)
CALLS = Said(text=("Look.",), calls=(LISBON, PORTO), stop="calls")
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]
GARBLED = b"data: {not json}\n\n"


@pytest.fixture
def breaks(gateway: Gateway) -> Callable[..., None]:
    """Has the first target break off after its second piece of text, and the second one go on."""

    def arrange(said: Said = STORY, after: str = STORY.text[1], ending: Ending = "reset", last: bytes = b"") -> None:
        first, second = gateway.emulators["openai-chat"], gateway.emulators["anthropic-messages"]
        first.instead = breaking(first, said, after, ending, last)
        second.instead = honouring(second, said)

    return arrange


def in_band(status: int) -> bytes:
    asked = Asked(method="POST", path="/v1/chat/completions", query="", headers=(), body=b"{}", connection=0)
    return OpenAIChat().broken_off(asked, Fault(status=status))


BREAKS: dict[str, tuple[Ending, bytes]] = {
    "reset": ("reset", b""),
    "reset-in-mid-event": ("reset", b'data: {"id": "c", "choi'),
    "cut": ("close", b""),
    "end-without-end": ("end", b""),
    "stall": ("silence", b""),
    "garbled": ("end", GARBLED),
    "error": ("end", in_band(529)),
}


@pytest.mark.parametrize("how", BREAKS)
def test_every_break_is_mended(post: Post, gateway: Gateway, breaks: Callable[..., None], how: str) -> None:
    breaks(ending=BREAKS[how][0], last=BREAKS[how][1])
    answer = post(chat("going-on", stream=True))
    assert words(answer.body) == STORY.whole
    assert answer.headers["freehold-target"] == "openai-chat/gpt-4o"
    record = gateway.records()[-1]
    assert (record.outcome, record.error, record.status) == ("ok", None, 200)
    assert record.attempts[0].error
    assert record.attempts[1].seam is not None
    assert (record.attempts[1].seam.how, record.attempts[1].seam.removed) == ("prefill", 0)


def test_it_is_off_unless_the_model_says_so(post: Post, gateway: Gateway, breaks: Callable[..., None]) -> None:
    breaks()
    answer = post(chat("both", stream=True))
    assert b'"error"' in answer.body
    assert gateway.emulators["anthropic-messages"].asked == []
    assert gateway.records()[-1].outcome == "broken"


def test_nobody_is_left(post: Post, gateway: Gateway, breaks: Callable[..., None]) -> None:
    """The error is the one that broke it, as without going on."""
    breaks()
    gateway.emulators["anthropic-messages"].instead = lambda _: Reply(status=503, body=b"{}")
    answer = post(chat("going-on", stream=True))
    assert b'"error"' in answer.body
    assert b"[DONE]" not in answer.body
    record = gateway.records()[-1]
    assert (record.outcome, len(record.attempts)) == ("broken", 2)
    assert record.error == record.attempts[0].error


def test_what_the_caller_did_is_not_taken_elsewhere(post: Post, gateway: Gateway) -> None:
    first = gateway.emulators["anthropic-messages"]
    asked = Asked(method="POST", path="/v1/messages", query="", headers=(), body=b"{}", connection=0)
    first.instead = breaking(first, STORY, STORY.text[1], "end", first.vendor.broken_off(asked, Fault(status=400)))
    assert b'"error"' in post(chat("going-on-from-claude", stream=True)).body
    assert gateway.emulators["openai-chat"].asked == []


def test_nobody_is_asked_who_would_lose_more_than_is_allowed(
    post: Post, gateway: Gateway, breaks: Callable[..., None]
) -> None:
    breaks()
    body = chat("going-on", stream=True, logit_bias={"50256": -100})
    assert b'"error"' in post(body, freehold_on_loss="reject").body
    record = gateway.records()[-1]
    assert gateway.emulators["anthropic-messages"].asked == []
    assert "would lose" in record.rejections["anthropic-messages/claude-sonnet-4-5"]


def test_a_third_goes_on_with_the_second(post: Post, gateway: Gateway, breaks: Callable[..., None]) -> None:
    breaks()
    second, third = gateway.emulators["anthropic-messages"], gateway.emulators["gemini-generate"]
    rest = Said(text=STORY.text[2:], prompt=5, output=3)
    second.instead = breaking(second, rest, rest.text[0])
    third.instead = honouring(third, STORY)
    answer = post(chat("going-on-twice", stream=True, stream_options={"include_usage": True}))
    assert words(answer.body) == STORY.whole
    record = gateway.records()[-1]
    assert [attempt.seam.how if attempt.seam else None for attempt in record.attempts] == [
        None,
        "prefill",
        "instruction",
    ]
    usages = [attempt.usage for attempt in record.attempts]
    assert record.usage is not None
    assert record.usage.source == "estimate"
    assert record.usage.input_tokens == sum(usage.input_tokens or 0 for usage in usages if usage is not None)
    assert record.usage.output_tokens == sum(usage.output_tokens or 0 for usage in usages if usage is not None)
    told_usage = [json.loads(line[6:])["usage"] for line in answer.body.split(b"\n") if b'"prompt_tokens"' in line]
    assert told_usage[-1]["prompt_tokens"] == record.usage.input_tokens
    assert told_usage[-1]["completion_tokens"] == record.usage.output_tokens


def test_what_the_second_repeats_is_left_out(post: Post, gateway: Gateway, breaks: Callable[..., None]) -> None:
    breaks()
    third = gateway.emulators["gemini-generate"]
    third.instead = honouring(third, STORY, repeated=len(" there was a king,") - 1)
    answer = post(chat("going-on-in-words", stream=True))
    assert words(answer.body) == STORY.whole
    seam = gateway.records()[-1].attempts[1].seam
    assert seam is not None
    assert (seam.how, seam.removed) == ("instruction", 17)


def test_calls_that_are_complete_end_the_turn(post: Post, gateway: Gateway) -> None:
    """The client runs the one that it was told of; asking again could have it run twice."""
    first = gateway.emulators["anthropic-messages"]
    first.instead = breaking(first, CALLS, PORTO.pieces[1])
    answer = post(chat("going-on-from-claude", "Go (scenario=two-calls)", stream=True, tools=TOOLS))
    chunks = [json.loads(line[6:]) for line in answer.body.split(b"\n") if line.startswith(b"data: {")]
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    calls = [call for choice in choices for call in choice["delta"].get("tool_calls") or []]
    assert {call["index"] for call in calls} == {0}
    arguments = "".join(call["function"].get("arguments") or "" for call in calls)
    assert json.loads(arguments) == {"city": "Lisbon"}
    assert gateway.emulators["openai-chat"].asked == []
    assert choices[-1]["finish_reason"] == "tool_calls"
    assert b"data: [DONE]" in answer.body
    assert gateway.records()[-1].outcome == "ok"


def test_a_finished_answer_is_ended_and_not_gone_on_with(
    post: Post, gateway: Gateway, breaks: Callable[..., None]
) -> None:
    breaks()
    first = gateway.emulators["openai-chat"]

    def without_end(asked: Asked) -> Reply:
        pieces = first.vendor.pieces(asked, STORY)
        finished = next(at for at, piece in enumerate(pieces) if b'"stop"' in piece)
        return Reply(headers=first.vendor.stream_headers, pieces=pieces[: finished + 1], ending="reset")

    first.instead = without_end
    assert words(post(chat("going-on", stream=True)).body) == STORY.whole
    assert gateway.emulators["anthropic-messages"].asked == []
    assert gateway.records()[-1].outcome == "ok"


@pytest.mark.parametrize("fields", [{"n": 2}, {"response_format": {"type": "json_object"}}], ids=["several", "json"])
def test_what_can_not_be_joined_is_not(
    post: Post, gateway: Gateway, breaks: Callable[..., None], fields: dict[str, Any]
) -> None:
    breaks()
    assert b'"error"' in post(chat("going-on", stream=True, **fields)).body
    assert gateway.emulators["anthropic-messages"].asked == []


def test_the_limit_counts_for_the_whole_answer(post: Post, gateway: Gateway, breaks: Callable[..., None]) -> None:
    breaks()
    post(chat("going-on", stream=True, max_tokens=100))
    [asked] = bodies(gateway.emulators["anthropic-messages"])
    assert asked["max_tokens"] == 100 - len("".join(STORY.text[:2])) // 3
    assert asked["messages"][-1] == {"role": "assistant", "content": "".join(STORY.text[:2])}


def test_thoughts_that_were_cut_off_are_thought_again(
    post: Post, gateway: Gateway, breaks: Callable[..., None]
) -> None:
    """Nothing had been said: the next target is asked afresh."""
    thinking = Said(thought=("Let me", " think"), text=("So.",))
    first, second = gateway.emulators["anthropic-messages"], gateway.emulators["openai-chat"]
    first.instead = breaking(first, thinking, " think")
    second.instead = honouring(second, Said(text=("So",), output=3))
    body = {
        "model": "going-on-from-claude",
        "max_tokens": 4096,
        "stream": True,
        "thinking": {"type": "enabled", "budget_tokens": 2048},
        "messages": [{"role": "user", "content": "Think"}],
    }
    answer = post(json.dumps(body).encode(), "/v1/messages", anthropic_version="2023-06-01")
    events = [json.loads(line[6:]) for line in answer.body.split(b"\n") if line.startswith(b"data: ")]
    starts = [event["content_block"]["type"] for event in events if event["type"] == "content_block_start"]
    assert starts == ["thinking", "text"]
    assert [event["index"] for event in events if event["type"] == "content_block_stop"] == [0, 1]
    assert [event["type"] for event in events].count("message_start") == 1
    assert events[-1]["type"] == "message_stop"
    seam = gateway.records()[-1].attempts[1].seam
    assert seam is not None
    assert (seam.how, seam.after) == ("afresh", 0)


# --- Streams that are too slow ---------------------------------------------------------------------------------------


def trickle(gateway: Gateway, model_name: str, said: Said) -> None:
    """Has an upstream send piece by piece, far below any floor."""
    emulator = gateway.emulators[model_name]

    def slowly(asked: Asked) -> Reply:
        return Reply(headers=emulator.vendor.stream_headers, pieces=emulator.vendor.pieces(asked, said), gap=0.05)

    emulator.instead = slowly


SLOW = Said(text=tuple("abcdefghijklmnopqrstuvwxyz"))


def test_a_slow_stream_is_gone_on_with_elsewhere(post: Post, gateway: Gateway) -> None:
    trickle(gateway, "openai-chat", SLOW)
    second = gateway.emulators["anthropic-messages"]
    second.instead = honouring(second, SLOW)
    answer = post(chat("brisk", stream=True))
    assert words(answer.body) == SLOW.whole
    record = gateway.records()[-1]
    assert [attempt.error for attempt in record.attempts] == ["too_slow", None]
    assert record.outcome == "ok"


def test_a_slow_stream_is_better_than_none(post: Post, gateway: Gateway) -> None:
    trickle(gateway, "openai-chat", SLOW)
    gateway.emulators["anthropic-messages"].instead = lambda _: Reply(status=503, body=b"{}")
    answer = post(chat("brisk", stream=True))
    assert words(answer.body) == SLOW.whole
    assert gateway.records()[-1].outcome == "ok"


def test_without_going_on_only_health_learns_of_it(post: Post, gateway: Gateway) -> None:
    trickle(gateway, "openai-chat", SLOW)
    for _ in range(5):
        assert words(post(chat("brisk-alone", stream=True)).body) == SLOW.whole
    record = gateway.records()[-1]
    assert (record.outcome, [attempt.error for attempt in record.attempts]) == ("ok", ["too_slow"])
    post(chat("brisk-alone", stream=True))
    assert gateway.records()[-1].attempts[0].target == "anthropic-messages/claude-sonnet-4-5"


def test_a_client_that_has_seen_nothing_is_served_by_the_next(post: Post, gateway: Gateway) -> None:
    """The upstream streams though nobody asked it to."""
    trickle(gateway, "openai-chat", SLOW)
    answer = post(chat("brisk-alone"))
    assert answer.headers["freehold-target"] == "anthropic-messages/claude-sonnet-4-5"
    assert gateway.records()[-1].attempts[0].error == "too_slow"
