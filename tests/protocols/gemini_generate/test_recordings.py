"""Every recording comes back as it was: requests, answers, streams chunk by chunk, errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from freehold.ir import ErrorEnd, Request, Response, Text
from freehold.ir.fold import fold, unfold
from freehold.ir.grammar import check_stream
from freehold.protocols.codec import Frame, Stamp
from freehold.protocols.gemini_generate import CODEC
from freehold.protocols.spellings import first_difference
from tests.protocols.gemini_generate.recordings import PATHS, ROOT, frames, load, wire_request, wire_response

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
            "stream": bool(exchange["stream"] and response["status"] == 200 and frames(exchange)),
        }
        if kinds[kind]:
            found.append(pytest.param(path, id=path.stem))
    return found


def asked(exchange: dict[str, Any]) -> Request | None:
    return None if exchange["request"] is None else CODEC.decode_request(wire_request(exchange))


@pytest.mark.parametrize("path", every("request"))
def test_a_recorded_request_comes_back_as_it_was(path: Path) -> None:
    exchange = load(path)
    wire = wire_request(exchange)
    encoded = CODEC.encode_request(CODEC.decode_request(wire))
    assert encoded.losses == ()
    assert encoded.value.path.rpartition(":")[2] == wire.path.rpartition(":")[2]
    assert first_difference(exchange["request"]["body"], json.loads(encoded.value.body)) is None


@pytest.mark.parametrize("path", every("answer"))
def test_a_recorded_answer_comes_back_as_it_was(path: Path) -> None:
    exchange = load(path)
    request = asked(exchange)
    result = CODEC.decode_response(wire_response(exchange), request)
    encoded = CODEC.encode_response(result, STAMP, request)
    assert encoded.losses == ()
    assert first_difference(exchange["response"]["body"], json.loads(encoded.value.body)) is None
    if isinstance(result, Response):
        assert fold(unfold(result)) == result


@pytest.mark.parametrize("path", every("error"))
def test_a_recorded_error_comes_back_as_it_was(path: Path) -> None:
    exchange = load(path)
    wire = wire_response(exchange)
    encoded = CODEC.encode_error(CODEC.decode_error(wire), STAMP)
    assert encoded.status == exchange["response"]["status"]
    assert first_difference(json.loads(wire.body), json.loads(encoded.body)) is None


@pytest.mark.parametrize("path", every("stream"))
def test_a_recorded_stream_comes_back_chunk_by_chunk(path: Path) -> None:
    exchange = load(path)
    request = asked(exchange)
    decoder, encoder = CODEC.decoder(request), CODEC.encoder(STAMP, request)
    batches = []
    for frame in frames(exchange):
        batches.append(decoder.feed(frame))
        (again,) = encoder.feed(batches[-1])
        assert first_difference(json.loads(frame.data), json.loads(again.data)) is None
    batches.append(decoder.close())
    assert encoder.feed(batches[-1]) == []
    assert encoder.losses == []
    check_stream(batches)


def spoken(response: Response) -> list[Any]:
    """How each candidate ended, and its parts but for empty texts, which say nothing."""
    return [(choice.finish, [part for part in choice.parts if part != Text(text="")]) for choice in response.choices]


@pytest.mark.parametrize("path", every("stream"))
def test_a_stream_and_its_folded_answer_say_the_same(path: Path) -> None:
    exchange = load(path)
    decoder = CODEC.decoder()
    answer = fold([*(decoder.feed(frame) for frame in frames(exchange)), decoder.close()])
    encoder, decoder = CODEC.encoder(STAMP), CODEC.decoder()
    sent: list[Frame] = [frame for batch in unfold(answer) for frame in encoder.feed(batch)]
    again = fold([*(decoder.feed(frame) for frame in sent), decoder.close()])
    assert encoder.losses == []
    assert again.usage == answer.usage
    assert spoken(again) == spoken(answer)


@pytest.mark.parametrize("path", every("stream"))
def test_any_prefix_of_a_stream_is_well_formed_and_ends_in_an_error(path: Path) -> None:
    recorded = frames(load(path))
    finishing = [number for number, frame in enumerate(recorded, 1) if b'"finishReason"' in frame.data]
    for length in range(len(recorded)):
        decoder = CODEC.decoder()
        batches = [decoder.feed(frame) for frame in recorded[:length]]
        batches.append(decoder.close())
        check_stream(batches)
        if length not in finishing:
            assert isinstance(batches[-1][-1], ErrorEnd)


def test_a_listing_comes_back_as_it_was() -> None:
    exchange = load(ROOT / "gemini-models" / "ruby-llm-4958e281.json")
    request = CODEC.decode_request(wire_request(exchange))
    result = CODEC.decode_response(wire_response(exchange), request)
    encoded = CODEC.encode_response(result, STAMP, request)
    assert first_difference(exchange["response"]["body"], json.loads(encoded.value.body)) is None
