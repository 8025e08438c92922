"""Recordings as a client of another protocol hears them."""

from __future__ import annotations

import json
from typing import Any

from freehold.exchange.recordings import Recording
from freehold.exchange.translate import stream_framing
from freehold.ir import Event, Failure, Generate, Request, Response
from freehold.ir.fold import fold
from freehold.protocols.codec import Codec, Frame, Stamp, WireResponse
from freehold.protocols.registry import CODECS, codec_of_recording
from freehold.transport.framing import frame_parser
from tests.laws.recordings import recording

STAMP = Stamp(id="fact1", created=1_760_000_000)
CLIENT = Generate(origin="openai-chat", model="m", messages=(), stream=True, stream_usage=True)
"""A foreign client that streams and wants to know the usage."""


def _source(name: str) -> tuple[Recording, Codec, Request | None, WireResponse]:
    exchange = recording(f"{name}.json")
    source = codec_of_recording(exchange.protocol, exchange.wire)
    answer, wire = exchange.wire_response(), exchange.wire_request()
    assert source is not None
    assert answer is not None
    return exchange, source, None if wire is None else source.decode_request(wire), answer


def frames(name: str) -> list[Frame]:
    """The frames of a recorded stream."""
    exchange, source, request, answer = _source(name)
    framing = stream_framing(exchange, source, answer, request)
    assert framing is not None
    parser = frame_parser(framing)
    return [*parser.feed(answer.body), *parser.close()]


def batches(name: str) -> list[list[Event]]:
    """What a recorded stream says, frame by frame, its end included."""
    _, source, request, _ = _source(name)
    decoder = source.decoder(request)
    return [*(decoder.feed(frame) for frame in frames(name)), decoder.close()]


def events(name: str) -> list[Event]:
    """All that a recorded stream says."""
    return [event for batch in batches(name) for event in batch]


def answer(name: str) -> Response:
    """The whole answer, streamed or not."""
    exchange, source, request, wire = _source(name)
    if stream_framing(exchange, source, wire, request) is not None:
        return fold(batches(name))
    result = source.decode_response(wire, request)
    assert isinstance(result, Response)
    return result


def failure(name: str) -> Failure:
    """The recorded error."""
    exchange = recording(f"{name}.json")
    source, wire = codec_of_recording(exchange.protocol, exchange.wire), exchange.wire_response()
    assert source is not None
    assert wire is not None
    return source.decode_error(wire)


def told(name: str, codec: str) -> dict[str, Any]:
    """The whole answer as the body that another protocol's client gets."""
    return json.loads(CODECS[codec].encode_response(answer(name), STAMP, CLIENT).value.body)


def streamed(name: str, codec: str) -> list[Frame]:
    """The recorded stream as another protocol's client gets it."""
    encoder = CODECS[codec].encoder(STAMP, CLIENT)
    return [frame for batch in batches(name) for frame in encoder.feed(batch)]


def chunks(name: str, codec: str) -> list[dict[str, Any]]:
    """The JSON of those frames."""
    return [json.loads(frame.data) for frame in streamed(name, codec) if frame.data != b"[DONE]"]
