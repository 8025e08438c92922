"""Every recording comes back as it was: requests, answers, streams frame by frame, errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from freehold.ir import Response
from freehold.ir.fold import fold, unfold
from freehold.ir.grammar import check_stream
from freehold.protocols.anthropic_messages import CODEC
from freehold.protocols.codec import Frame, Stamp
from freehold.protocols.spellings import first_difference
from tests.protocols.anthropic_messages.recordings import PATHS, frames, load, wire_request, wire_response

STAMP = Stamp(id="exchange1", created=1_700_000_000)


def every(kind: str) -> list[Any]:
    """The recordings with a request, an answer, an error or a stream."""
    found: list[Any] = []
    for path in PATHS:
        exchange = load(path)
        response = exchange["response"]
        kinds = {
            "request": exchange["request"] is not None,
            "answer": "body" in response and response["status"] == 200,
            "error": response["status"] >= 400,
            "stream": exchange["stream"] and response["status"] == 200,
        }
        if kinds[kind]:
            found.append(pytest.param(path, id=path.stem))
    return found


@pytest.mark.parametrize("path", every("request"))
def test_a_recorded_request_comes_back_as_it_was(path: Path) -> None:
    exchange = load(path)
    wire = wire_request(exchange)
    encoded = CODEC.encode_request(CODEC.decode_request(wire))
    assert encoded.losses == ()
    assert encoded.value.path == wire.path
    if wire.body:
        assert first_difference(exchange["request"]["body"], json.loads(encoded.value.body)) is None


@pytest.mark.parametrize("path", every("answer"))
def test_a_recorded_answer_comes_back_as_it_was(path: Path) -> None:
    exchange = load(path)
    result = CODEC.decode_response(wire_response(exchange), CODEC.decode_request(wire_request(exchange)))
    encoded = CODEC.encode_response(result, STAMP)
    assert encoded.losses == ()
    assert first_difference(exchange["response"]["body"], json.loads(encoded.value.body)) is None
    if isinstance(result, Response):
        assert fold(unfold(result)) == result


@pytest.mark.parametrize("path", every("error"))
def test_a_recorded_error_comes_back_as_it_was(path: Path) -> None:
    exchange = load(path)
    encoded = CODEC.encode_error(CODEC.decode_error(wire_response(exchange)), STAMP)
    assert encoded.status == exchange["response"]["status"]
    assert first_difference(exchange["response"]["body"], json.loads(encoded.body)) is None


@pytest.mark.parametrize("path", every("stream"))
def test_a_recorded_stream_comes_back_frame_by_frame(path: Path) -> None:
    decoder, encoder = CODEC.decoder(), CODEC.encoder(STAMP)
    batches = []
    for frame in frames(load(path)):
        batches.append(decoder.feed(frame))
        (again,) = encoder.feed(batches[-1])
        assert again.event == frame.event
        assert first_difference(json.loads(frame.data), json.loads(again.data)) is None
    assert decoder.close() == []
    assert encoder.losses == []
    check_stream(batches)


@pytest.mark.parametrize("path", every("stream"))
def test_a_stream_and_its_folded_answer_say_the_same(path: Path) -> None:
    decoder = CODEC.decoder()
    answer = fold(decoder.feed(frame) for frame in frames(load(path)))
    encoder, decoder = CODEC.encoder(STAMP), CODEC.decoder()
    sent: list[Frame] = [frame for batch in unfold(answer) for frame in encoder.feed(batch)]
    again = fold(decoder.feed(frame) for frame in sent)
    one, other = (json.loads(CODEC.encode_response(response, STAMP).value.body) for response in (answer, again))
    assert first_difference(one, other) is None


@pytest.mark.parametrize("path", every("stream"))
def test_any_prefix_of_a_stream_is_well_formed_and_ends_in_an_error(path: Path) -> None:
    recorded = frames(load(path))
    for length in range(0, len(recorded) - 1, max(1, len(recorded) // 20)):
        decoder = CODEC.decoder()
        batches = [decoder.feed(frame) for frame in recorded[:length]]
        batches.append(decoder.close())
        check_stream(batches)
