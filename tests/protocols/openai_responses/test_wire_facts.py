"""What translators get wrong about this protocol, each shown by a recorded exchange."""

from __future__ import annotations

import json
from typing import Any

from freehold.ir import (
    ErrorEnd,
    Event,
    Generate,
    PartStart,
    Reasoning,
    Response,
    ResponseEnd,
    Text,
    TextDelta,
    TokenCount,
    ToolCall,
    ToolResult,
)
from freehold.ir.fold import fold
from freehold.protocols.codec import Stamp, WireRequest
from freehold.protocols.openai_responses import CODEC
from tests.protocols.openai_responses.recordings import (
    answered,
    exchanges,
    frames,
    streamed,
    wire_request,
    wire_response,
    with_request,
)

STAMP = Stamp(id="exchange", created=1_700_000_000)


def events_of(exchange: dict[str, Any]) -> list[Event]:
    decoder = CODEC.decoder()
    batches = [decoder.feed(frame) for frame in frames(exchange)]
    return [event for batch in [*batches, decoder.close()] for event in batch]


def requests() -> list[Generate]:
    decoded = [
        CODEC.decode_request(wire_request(one))
        for one in with_request()
        if one["request"]["path"].partition("?")[0].endswith("/responses")
    ]
    return [one for one in decoded if isinstance(one, Generate)]


def test_fact_12_reasoning_items_come_before_the_message() -> None:
    orders = [
        [type(event.part) for event in events_of(one) if isinstance(event, PartStart)] for one in streamed()
    ]  # fmt: skip
    assert any(order[0] is Reasoning and Text in order for order in orders if order)


def test_fact_12_reasoning_with_an_empty_summary_still_carries_its_proof() -> None:
    sent = [part for one in requests() for message in one.messages for part in message.parts]
    bare = [part for part in sent if isinstance(part, Reasoning) and not part.text and part.proof is not None]
    assert bare
    assert all(part.proof is not None and part.proof.origin == "openai-responses" for part in bare)


def test_fact_12_results_refer_to_the_call_and_not_to_the_item() -> None:
    for exchange in answered():
        answer = CODEC.decode_response(wire_response(exchange))
        for item in exchange["response"]["body"].get("output", ()):
            if item["type"] == "function_call":
                assert isinstance(answer, Response)
                assert item["call_id"] in [part.id for part in answer.choices[0].parts if isinstance(part, ToolCall)]
    for one in requests():
        parts = [part for message in one.messages for part in message.parts]
        calls = {part.id for part in parts if isinstance(part, ToolCall)}
        # A result may answer a call that the provider still holds.
        if calls:
            assert {part.call_id for part in parts if isinstance(part, ToolResult)} <= calls


def test_fact_12_truncation_is_a_success_that_ends_incomplete() -> None:
    cut = [one for one in streamed() if b"response.incomplete" in frames(one)[-1].data]
    assert cut
    for exchange in cut:
        events = events_of(exchange)
        assert isinstance(events[-1], ResponseEnd)
        decoder = CODEC.decoder()
        finish = fold([*(decoder.feed(frame) for frame in frames(exchange)), decoder.close()]).choices[0].finish
        assert finish is not None
        assert (finish.kind, finish.raw) == ("length", "max_output_tokens")


def test_fact_12_obfuscation_rides_along() -> None:
    padded = [
        event
        for one in streamed()
        for event in events_of(one)
        if isinstance(event, TextDelta) and event.rest is not None and "obfuscation" in event.rest.fields
    ]
    assert len(padded) > 10


def test_fact_10_done_is_another_protocols_habit_that_openrouter_has_here() -> None:
    ends = [one for one in streamed() if frames(one)[-1].data == b"[DONE]"]
    assert {one["protocol"] for one in ends} == {"openrouter"}
    for exchange in ends:
        decoder, encoder = CODEC.decoder(), CODEC.encoder(STAMP)
        last = [frame for one in frames(exchange) for frame in encoder.feed(decoder.feed(one))][-1]
        assert last.data == b"[DONE]"
        # A client of ours that asked another provider never sees it.
        assert decoder.close() == []


def test_facts_3_and_4_cached_and_reasoning_tokens_are_inside_the_totals() -> None:
    for exchange in answered():
        usage = exchange["response"]["body"].get("usage")
        if usage:
            assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


def test_a_stream_that_stops_early_never_ends_clean() -> None:
    for exchange in streamed():
        decoder = CODEC.decoder()
        for frame in frames(exchange)[:3]:
            decoder.feed(frame)
        last = decoder.close()[-1]
        assert isinstance(last, ErrorEnd)
        assert last.failure.code == "upstream_truncated"


def test_instructions_and_a_bare_string_return_to_their_places() -> None:
    body = {"model": "m", "input": "hi", "instructions": "Be brief."}
    request = CODEC.decode_request(WireRequest(path="/v1/responses", body=json.dumps(body).encode()))
    assert isinstance(request, Generate)
    assert [message.role for message in request.messages] == ["system", "user"]
    assert json.loads(CODEC.encode_request(request).value.body) == body


def test_input_tokens_are_counted() -> None:
    exchange = next(
        one for one in exchanges() if one["request"] and one["request"]["path"].endswith("/responses/input_tokens")
    )
    counted = CODEC.decode_response(wire_response(exchange))
    assert isinstance(counted, TokenCount)
    assert counted.input_tokens == exchange["response"]["body"]["input_tokens"]
    assert CODEC.encode_request(CODEC.decode_request(wire_request(exchange))).value.operation == "count"
