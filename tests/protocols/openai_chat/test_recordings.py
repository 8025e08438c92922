"""Every recording comes back as it was: requests, answers, streams frame by frame, errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from freehold.ir import Generate, Response
from freehold.ir.fold import fold, unfold
from freehold.ir.grammar import check_stream
from freehold.protocols.codec import Stamp
from freehold.protocols.openai_chat import CODEC
from freehold.protocols.spellings import first_difference, same_frames, same_text
from tests.protocols.openai_chat.recordings import (
    frames,
    is_stream,
    load,
    of_wires,
    raw_body,
    wire_request,
    wire_response,
)

STAMP = Stamp(id="exchange1", created=1_700_000_000)
PATHS = of_wires("openai-chat", "openai-models")


def every(kind: str) -> list[Any]:
    """The recordings with a request, an answer, an error or a stream."""
    found: list[Any] = []
    for path in PATHS:
        exchange = load(path)
        status, request = exchange["response"]["status"], exchange["request"]
        kinds = {
            "request": request is not None and request["path"].partition("?")[0].endswith("/chat/completions"),
            "answer": status == 200 and not exchange["stream"],
            "error": status >= 400,
            "stream": is_stream(exchange),
        }
        if kinds[kind]:
            found.append(pytest.param(path, id=f"{path.parent.name}-{path.stem}"))
    return found


@pytest.mark.parametrize("path", every("request"))
def test_a_recorded_request_comes_back_as_it_was(path: Path) -> None:
    exchange = load(path)
    encoded = CODEC.encode_request(CODEC.decode_request(wire_request(exchange)))
    assert encoded.losses == ()
    assert first_difference(exchange["request"]["body"], json.loads(encoded.value.body)) is None


@pytest.mark.parametrize("path", every("answer"))
def test_a_recorded_answer_comes_back_as_it_was(path: Path) -> None:
    exchange = load(path)
    result = CODEC.decode_response(wire_response(exchange))
    encoded = CODEC.encode_response(result, STAMP)
    assert encoded.losses == ()
    assert first_difference(exchange["response"]["body"], json.loads(encoded.value.body)) is None
    if isinstance(result, Response):
        assert fold(unfold(result)) == result


@pytest.mark.parametrize("path", every("stream"))
def test_a_recorded_stream_comes_back_frame_by_frame(path: Path) -> None:
    recorded = frames(load(path))
    decoder, encoder = CODEC.decoder(), CODEC.encoder(STAMP)
    batches = [batch for frame in recorded if (batch := decoder.feed(frame))]
    batches += [batch for batch in (decoder.close(),) if batch]
    check_stream(batches)
    written = [frame for batch in batches for frame in encoder.feed(batch)]
    assert same_frames(recorded, written) != "different"
    assert encoder.losses == []


@pytest.mark.parametrize("path", every("stream"))
def test_any_prefix_of_a_recorded_stream_is_well_formed(path: Path) -> None:
    recorded = frames(load(path))
    for length in range(0, len(recorded), max(1, len(recorded) // 8)):
        decoder = CODEC.decoder()
        batches = [decoder.feed(frame) for frame in recorded[:length]]
        check_stream([batch for batch in [*batches, decoder.close()] if batch])


@pytest.mark.parametrize("path", every("error"))
def test_a_recorded_error_comes_back_as_it_was(path: Path) -> None:
    exchange = load(path)
    failure = CODEC.decode_error(wire_response(exchange))
    encoded = CODEC.encode_error(failure, STAMP)
    assert failure.message
    assert encoded.status == exchange["response"]["status"]
    assert same_text(raw_body(exchange), encoded.body) != "different"


def test_requests_are_chats() -> None:
    for path in every("request"):
        assert isinstance(CODEC.decode_request(wire_request(load(path.values[0]))), Generate)
