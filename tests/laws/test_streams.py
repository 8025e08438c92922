"""Grammar and fold over every recorded stream, cut anywhere."""

from __future__ import annotations

import pytest

from freehold.exchange.recordings import Recording
from freehold.exchange.translate import stream_framing
from freehold.ir import ChoiceEnd, ErrorEnd, Event, Response, ResponseEnd
from freehold.ir.fold import Folding, fold, unfold
from freehold.ir.grammar import Grammar, check_stream
from freehold.protocols.codec import Codec, Frame, Stamp, Unsupported
from freehold.protocols.registry import CODECS, codec_of_recording
from freehold.transport.framing import frame_parser
from tests.laws.recordings import NAMES, recording

STAMP = Stamp(id="fx1", created=1)


def is_stream(name: str) -> bool:
    exchange = recording(name)
    codec = codec_of_recording(exchange.protocol, exchange.wire)
    answer = exchange.wire_response()
    return codec is not None and answer is not None and stream_framing(exchange, codec, answer, None) is not None


def frames_of(exchange: Recording, codec: Codec) -> list[Frame]:
    answer = exchange.wire_response()
    assert answer is not None
    framing = stream_framing(exchange, codec, answer, None)
    assert framing is not None
    parser = frame_parser(framing)
    return [*parser.feed(answer.body), *parser.close()]


def opened(name: str) -> tuple[Codec, list[Frame]]:
    exchange = recording(name)
    codec = codec_of_recording(exchange.protocol, exchange.wire)
    assert codec is not None
    return codec, frames_of(exchange, codec)


STREAMS = [name for name in NAMES if is_stream(name)]


@pytest.mark.parametrize("name", STREAMS)
def test_grammar_of_the_whole_stream(name: str) -> None:
    codec, frames = opened(name)
    decoder = codec.decoder()
    batches = [decoder.feed(frame) for frame in frames]
    batches.append(decoder.close())
    check_stream(batches)


@pytest.mark.parametrize("name", STREAMS)
def test_grammar_of_any_prefix_closed(name: str) -> None:
    codec, frames = opened(name)
    step = max(1, len(frames) // 25)
    for length in range(0, len(frames), step):
        decoder = codec.decoder()
        batches = [decoder.feed(frame) for frame in frames[:length]]
        batches.append(decoder.close())
        check_stream(batches)


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_that_dies_never_ends_as_a_clean_end(name: str) -> None:
    """Cut in its first half, before any finish reason, no recorded stream may close with a ResponseEnd."""
    codec, frames = opened(name)
    half = frames[: len(frames) // 2]
    if any(b'"finishReason"' in frame.data for frame in half):
        return  # Gemini has no other end than a reason, and gives one more than once
    decoder = codec.decoder()
    events: list[Event] = []
    for frame in half:
        events.extend(decoder.feed(frame))
    if any(isinstance(event, ChoiceEnd | ErrorEnd) for event in events):
        return
    events.extend(decoder.close())
    last = [event for event in events if isinstance(event, ResponseEnd | ErrorEnd)]
    assert len(last) == 1
    assert isinstance(last[0], ErrorEnd)


@pytest.mark.parametrize("name", STREAMS)
def test_fold_and_unfold(name: str) -> None:
    """`fold(unfold(r)) = r` for what every recorded stream folds to."""
    codec, frames = opened(name)
    decoder = codec.decoder()
    folding = Folding()
    for frame in frames:
        folding.feed(decoder.feed(frame))
    folding.feed(decoder.close())
    if folding.failure is not None:
        return
    whole = folding.done()
    again = unfold(whole)
    check_stream(again)
    assert fold(again) == whole


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("target", list(CODECS))
def test_every_encoder_writes_a_stream_its_own_decoder_understands(name: str, target: str) -> None:
    codec, frames = opened(name)
    decoder = codec.decoder()
    try:
        encoder = CODECS[target].encoder(STAMP, None)
    except Unsupported:
        return
    reader = CODECS[target].decoder(None)
    grammar = Grammar()
    for batch in [*(decoder.feed(frame) for frame in frames), decoder.close()]:
        for frame in encoder.feed(batch):
            for event in reader.feed(frame):
                grammar.check(event)
    for event in reader.close():
        grammar.check(event)
    assert grammar.state == "done"


@pytest.mark.parametrize("name", [name for name in NAMES if not is_stream(name)])
def test_whole_answers_unfold_and_fold(name: str) -> None:
    exchange = recording(name)
    codec = codec_of_recording(exchange.protocol, exchange.wire)
    answer = exchange.wire_response()
    if codec is None or answer is None or answer.status >= 400:
        return
    wire = exchange.wire_request()
    try:
        asked = None if wire is None else codec.decode_request(wire)
        result = codec.decode_response(answer, asked)
    except Unsupported:
        return
    if isinstance(result, Response):
        batches = unfold(result)
        check_stream(batches)
        assert fold(batches) == result
