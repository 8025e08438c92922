"""Honesty: where no loss is reported, the other protocol's reader understands what was meant, request and answer."""

from __future__ import annotations

import msgspec
import pytest

from freehold.errors import FreeholdError
from freehold.exchange.recordings import Recording
from freehold.exchange.translate import stream_framing
from freehold.ir import Embed, Embeddings, ErrorEnd, Event, Generate, Request, Response, Result, TokenCount
from freehold.ir.fold import fold
from freehold.protocols.codec import Codec, Stamp, Unsupported
from freehold.protocols.registry import CODECS, codec_of_recording
from freehold.transport.framing import frame_parser
from tests.laws import meaning
from tests.laws.recordings import NAMES, recording

STAMP = Stamp(id="honesty1", created=1_760_000_000)

BARE_PROMPTS = (b'"prompt":', b'"text_completion"', b'"message":')
"""Bedrock's bodies that hold a conversation in a template of the model's, which nobody can read back."""

SHORTENED = b"<blob of "
"""Stands in recordings for bytes that were removed; in an address it makes none."""

UNRECORDED = Generate(origin="", model="", messages=(), stream=True, stream_usage=True)
"""Stands for a request that was not recorded."""


def asked(exchange: Recording, source: Codec) -> Request | None:
    """The recorded request, where there is one that can be read; a stream's answer then tells its usage."""
    wire = exchange.wire_request()
    if wire is None:
        return None
    try:
        request = source.decode_request(wire)
    except (FreeholdError, Unsupported):
        return None
    return msgspec.structs.replace(request, stream_usage=True) if isinstance(request, Generate) else request


def meaning_of_request(request: Request) -> meaning.Meaning:
    match request:
        case Generate():
            return meaning.of_request(request)
        case Embed():
            return meaning.of_embed(request)
        case _:
            return {}


@pytest.mark.parametrize("name", NAMES)
def test_requests(name: str) -> None:
    exchange = recording(name)
    source = codec_of_recording(exchange.protocol, exchange.wire)
    request = None if source is None else asked(exchange, source)
    if request is None:
        return
    for target in CODECS.values():
        if target is source:
            continue
        try:
            encoded = target.encode_request(request)
        except (FreeholdError, Unsupported):
            continue
        if encoded.losses or _unreadable(target, encoded.value.body):
            continue
        understood = target.decode_request(encoded.value)
        assert (target.name, meaning_of_request(understood)) == (target.name, meaning_of_request(request))


@pytest.mark.parametrize("name", NAMES)
def test_answers(name: str) -> None:
    exchange = recording(name)
    source = codec_of_recording(exchange.protocol, exchange.wire)
    if source is None or exchange.response is None or exchange.response.status >= 400:
        return
    request = asked(exchange, source)
    try:
        answer = _answer(exchange, source, request)
    except (FreeholdError, Unsupported):
        return
    for target in CODECS.values():
        if target is source:
            continue
        try:
            understood = _understood(target, answer, request)
        except Unsupported:
            continue
        if understood is not None:
            whole = _whole(answer)
            assert (target.name, meaning.of_result(understood)) == (target.name, meaning.of_result(whole))


Batches = list[list[Event]]


def _answer(exchange: Recording, source: Codec, request: Request | None) -> Result | Batches:
    """The recorded answer; the batches of one that streams. Raises what the codec does, and for broken streams."""
    wire = exchange.wire_response()
    assert wire is not None
    framing = stream_framing(exchange, source, wire, request)
    if framing is None:
        return source.decode_response(wire, request)
    parser, decoder = frame_parser(framing), source.decoder(request)
    batches = [decoder.feed(frame) for frame in [*parser.feed(wire.body), *parser.close()]]
    batches.append(decoder.close())
    fold(batches)
    return batches


def _whole(answer: Result | Batches) -> Result:
    return fold(answer) if isinstance(answer, list) else answer


def _understood(target: Codec, answer: Result | Batches, request: Request | None) -> Result | None:
    """What a client of the target reads; None where losses were reported, or nothing can be read."""
    if isinstance(answer, Response | Embeddings | TokenCount):
        encoded = target.encode_response(answer, STAMP, request)
        if encoded.losses or _unreadable(target, encoded.value.body):
            return None
        return target.decode_response(encoded.value, request)
    if not isinstance(answer, list):
        return None
    encoder = target.encoder(STAMP, request or UNRECORDED)
    frames = [frame for batch in answer for frame in encoder.feed(batch)]
    if encoder.losses or any(isinstance(event, ErrorEnd) for batch in answer for event in batch):
        return None
    if any(_unreadable(target, frame.data) for frame in frames):
        return None
    decoder = target.decoder(request or UNRECORDED)
    return fold([*(decoder.feed(frame) for frame in frames), decoder.close()])


def _unreadable(target: Codec, body: bytes) -> bool:
    return SHORTENED in body or (target.name == "bedrock-invoke" and any(sign in body for sign in BARE_PROMPTS))
