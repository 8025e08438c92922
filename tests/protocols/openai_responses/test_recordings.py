"""What a provider or a client wrote is written again: every recorded exchange, frame by frame."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.ir import Event, Extra, Generate, JsonValue, Reasoning, Refusal, Response, Text, Usage
from freehold.ir.fold import fold, unfold
from freehold.ir.grammar import check_stream
from freehold.protocols.codec import Frame, Stamp, Unsupported
from freehold.protocols.openai_responses import CODEC
from freehold.protocols.spellings import first_difference, same_frames, same_text
from tests.protocols.openai_responses.recordings import (
    answered,
    frames,
    name_of,
    refused,
    streamed,
    wire_request,
    wire_response,
    with_request,
)

STAMP = Stamp(id="exchange", created=1_700_000_000)


def batches_of(exchange: dict[str, Any]) -> list[list[Event]]:
    decoder = CODEC.decoder()
    return [*(decoder.feed(frame) for frame in frames(exchange)), decoder.close()]


@pytest.mark.parametrize("exchange", with_request(), ids=name_of)
def test_requests_return_as_they_were(exchange: dict[str, Any]) -> None:
    wire = wire_request(exchange)
    if wire.path.endswith("/compact"):
        with pytest.raises(Unsupported):
            CODEC.decode_request(wire)
        return
    encoded = CODEC.encode_request(CODEC.decode_request(wire))
    assert first_difference(json.loads(encoded.value.body), exchange["request"]["body"]) is None
    assert encoded.losses == ()


@pytest.mark.parametrize("exchange", answered(), ids=name_of)
def test_answers_return_as_they_were(exchange: dict[str, Any]) -> None:
    encoded = CODEC.encode_response(CODEC.decode_response(wire_response(exchange)), STAMP)
    assert first_difference(json.loads(encoded.value.body), exchange["response"]["body"]) is None
    assert encoded.losses == ()


@pytest.mark.parametrize("exchange", refused(), ids=name_of)
def test_errors_return_as_they_were(exchange: dict[str, Any]) -> None:
    wire = wire_response(exchange)
    encoded = CODEC.encode_error(CODEC.decode_error(wire), STAMP)
    assert encoded.status == wire.status
    assert same_text(encoded.body, wire.body) != "different"


@pytest.mark.parametrize("exchange", streamed(), ids=name_of)
def test_streams_return_frame_by_frame(exchange: dict[str, Any]) -> None:
    encoder = CODEC.encoder(STAMP)
    batches = batches_of(exchange)
    check_stream(batches)
    for frame, batch in zip(frames(exchange), batches, strict=False):
        assert same_frames([frame], encoder.feed(batch)) == "equal"
    assert encoder.feed(batches[-1]) == []
    assert encoder.losses == []


@pytest.mark.parametrize("exchange", streamed(), ids=name_of)
def test_a_stream_folds_to_the_answer_that_it_repeats_at_its_end(exchange: dict[str, Any]) -> None:
    last = json.loads([one for one in frames(exchange) if one.data != b"[DONE]"][-1].data)["response"]
    repeated = CODEC.decode_response(wire_response({"response": {"status": 200, "headers": {}, "body": last}}))
    assert isinstance(repeated, Response)
    folded = fold(batches_of(exchange))
    assert (folded.id, folded.model, folded.usage) == (repeated.id, repeated.model, repeated.usage)
    assert folded.choices[0].finish == repeated.choices[0].finish
    assert [type(part) for part in folded.choices[0].parts] == [type(part) for part in repeated.choices[0].parts]
    assert texts(folded) == texts(repeated)


@pytest.mark.parametrize("exchange", answered(), ids=name_of)
def test_an_answer_streamed_and_folded_again_is_the_same(exchange: dict[str, Any]) -> None:
    answer = CODEC.decode_response(wire_response(exchange))
    if not isinstance(answer, Response) or answer.choices[0].finish is None:
        return
    encoder, decoder = CODEC.encoder(STAMP), CODEC.decoder()
    written = [frame for batch in unfold(answer) for frame in encoder.feed(batch)]
    batches = [*(decoder.feed(frame) for frame in written), decoder.close()]
    check_stream(batches)
    folded = fold(batches)
    assert folded.choices == answer.choices
    assert folded.usage == answer.usage


@pytest.mark.parametrize("exchange", streamed(), ids=name_of)
def test_any_prefix_of_a_stream_ends_as_an_error(exchange: dict[str, Any]) -> None:
    received = frames(exchange)
    for cut in {0, 1, 3, len(received) // 2, len(received) - 2}:
        decoder = CODEC.decoder()
        batches = [decoder.feed(frame) for frame in received[:cut]]
        batches.append(decoder.close())
        check_stream(batches)


def test_what_is_kept_of_a_frame_is_only_what_differs() -> None:
    for exchange in streamed():
        for frame, batch in zip(frames(exchange), batches_of(exchange), strict=False):
            for event in batch:
                rest = {} if event.rest is None else event.rest.fields
                assert not kept_text(rest, frame), (name_of(exchange), rest)


def kept_text(rest: JsonValue, frame: Frame) -> bool:
    """Whether a delta, or a text that deltas made, stands in the rest of its frame."""
    kind = json.loads(frame.data)["type"] if frame.data != b"[DONE]" else ""
    told = {
        "response.output_text.delta": "delta",
        "response.output_text.done": "text",
        "response.refusal.done": "refusal",
        "response.function_call_arguments.delta": "delta",
        "response.function_call_arguments.done": "arguments",
        "response.reasoning_summary_text.done": "text",
        "response.reasoning_text.done": "text",
        "response.content_part.done": "part.text",
    }.get(kind)
    if told is None:
        return False
    for name in told.split("."):
        rest = rest.get(name) if isinstance(rest, dict) else None
    return rest is not None


def test_nothing_is_unclassified() -> None:
    """Every extra that the recordings leave has a known meaning for those who can not repeat it."""
    known = set(CODEC.language.effects)
    for exchange in answered():
        answer = CODEC.decode_response(wire_response(exchange))
        assert names(answer.extra) <= known, name_of(exchange)
        if isinstance(answer, Response) and answer.usage is not None:
            assert names(answer.usage.extra) <= known, name_of(exchange)
    for exchange in with_request():
        wire = wire_request(exchange)
        if wire.path.endswith("/responses"):
            request = CODEC.decode_request(wire)
            assert isinstance(request, Generate)
            assert names(request.extra) <= known, name_of(exchange)


def names(extra: Extra | None) -> set[str]:
    return set() if extra is None else set(extra.fields)


def texts(answer: Response) -> list[str]:
    return [part.text for part in answer.choices[0].parts if isinstance(part, Text | Reasoning | Refusal)]


def test_usage_says_what_was_counted() -> None:
    for exchange in answered():
        answer = CODEC.decode_response(wire_response(exchange))
        usage = exchange["response"]["body"].get("usage")
        if isinstance(answer, Response) and usage:
            assert answer.usage is not None
            assert answer.usage.input_tokens == usage["input_tokens"]
            assert answer.usage.cache_read == usage["input_tokens_details"]["cached_tokens"]
            assert answer.usage.reasoning == usage["output_tokens_details"]["reasoning_tokens"]
            assert isinstance(answer.usage, Usage)
