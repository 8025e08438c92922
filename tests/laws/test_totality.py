"""Decoders fuzzed with mutated recordings: whatever comes, only typed errors are raised."""

from __future__ import annotations

import contextlib
import random

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freehold.errors import CallerError, UpstreamError
from freehold.ir import JsonValue, parse_json
from freehold.ir.grammar import Grammar
from freehold.protocols.codec import Codec, Frame, Stamp, Unsupported, WireRequest, WireResponse
from freehold.protocols.registry import CODECS, codec_of_recording
from tests.laws.recordings import NAMES, recording
from tests.laws.test_streams import STREAMS, opened

ODD: list[JsonValue] = [None, True, 0, -1, 1.5, 10**30, "", "x", "\ud800", [], {}, [None], {"type": "text"}, [[[]]]]


def mutate(value: JsonValue, dice: random.Random) -> JsonValue:
    """The value with one place changed: replaced by something odd, dropped, or doubled."""
    if isinstance(value, dict) and value and dice.random() < 0.85:
        name = dice.choice(list(value))
        changed = dict(value)
        roll = dice.random()
        if roll < 0.15:
            del changed[name]
        elif roll < 0.8:
            changed[name] = mutate(changed[name], dice)
        else:
            changed[name] = dice.choice(ODD)
        return changed
    if isinstance(value, list) and value and dice.random() < 0.85:
        index = dice.randrange(len(value))
        changed_list = list(value)
        if dice.random() < 0.2:
            changed_list.insert(index, changed_list[index])
        else:
            changed_list[index] = mutate(changed_list[index], dice)
        return changed_list
    return dice.choice(ODD)


def dumped(value: JsonValue) -> bytes:
    with contextlib.suppress(UnicodeEncodeError, msgspec.EncodeError):
        return msgspec.json.encode(value)
    return b'{"odd":"\\ud800"}'


def codec_and_request(name: str) -> tuple[Codec, WireRequest] | None:
    exchange = recording(name)
    codec = codec_of_recording(exchange.protocol, exchange.wire)
    wire = exchange.wire_request()
    return None if codec is None or wire is None or not wire.body else (codec, wire)


REQUESTS = [name for name in NAMES if codec_and_request(name) is not None]
STAMP = Stamp(id="fx1", created=1)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(name=st.sampled_from(REQUESTS), seed=st.integers(0, 2**32))
def test_mutated_requests(name: str, seed: int) -> None:
    dice = random.Random(seed)
    found = codec_and_request(name)
    assert found is not None
    codec, wire = found
    body = parse_json(wire.body)
    for _ in range(dice.randint(1, 4)):
        body = mutate(body, dice)
    mutated = msgspec.structs.replace(wire, body=dumped(body))
    try:
        request = codec.decode_request(mutated)
    except (CallerError, Unsupported):
        return
    for target in CODECS.values():
        with contextlib.suppress(CallerError, Unsupported):
            target.encode_request(request)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(name=st.sampled_from(NAMES), seed=st.integers(0, 2**32))
def test_mutated_answers(name: str, seed: int) -> None:
    dice = random.Random(seed)
    exchange = recording(name)
    codec = codec_of_recording(exchange.protocol, exchange.wire)
    answer = exchange.wire_response()
    if codec is None or answer is None:
        return
    try:
        body = parse_json(answer.body)
    except CallerError:
        body = answer.body.decode(errors="replace")
    for _ in range(dice.randint(1, 4)):
        body = mutate(body, dice)
    mutated = WireResponse(status=answer.status, headers=answer.headers, body=dumped(body))
    failure = codec.decode_error(msgspec.structs.replace(mutated, status=max(400, mutated.status)))
    for target in CODECS.values():
        target.encode_error(failure, STAMP)
    try:
        result = codec.decode_response(mutated)
    except (UpstreamError, Unsupported):
        return
    for target in CODECS.values():
        with contextlib.suppress(Unsupported):
            target.encode_response(result, STAMP)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(name=st.sampled_from(STREAMS), seed=st.integers(0, 2**32))
def test_mutated_streams(name: str, seed: int) -> None:
    """Frames dropped, doubled, exchanged and garbled: the events stay grammatical and no decoder raises."""
    dice = random.Random(seed)
    codec, frames = opened(name)
    mangled = [mangle(frame, dice) for frame in frames if dice.random() > 0.03]
    if mangled and dice.random() < 0.5:
        mangled.insert(dice.randrange(len(mangled)), dice.choice(mangled))
    decoder = codec.decoder()
    grammar = Grammar()
    encoders = [target.encoder(STAMP, None) for target in CODECS.values() if target.name != "openai-embeddings"]
    for batch in [*(decoder.feed(frame) for frame in mangled), decoder.close()]:
        for event in batch:
            grammar.check(event)
        for encoder in encoders:
            encoder.feed(batch)
    assert grammar.state == "done"


def mangle(frame: Frame, dice: random.Random) -> Frame:
    if dice.random() > 0.05:
        return frame
    try:
        data = dumped(mutate(parse_json(frame.data), dice))
    except CallerError:
        data = b"\xff{"
    return Frame(data=data, event=frame.event, kind=frame.kind)


@pytest.mark.parametrize("codec", list(CODECS.values()), ids=list(CODECS))
@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 5_000, b"{}", b'"x"']
)
def test_nonsense_bodies(codec: Codec, body: bytes) -> None:
    for path in ("/v1/chat/completions", "/v1/messages", "/model/m/converse", "/v1beta/models/m:generateContent"):
        with contextlib.suppress(CallerError, Unsupported):
            codec.decode_request(WireRequest(path=path, body=body))
    with contextlib.suppress(UpstreamError, Unsupported):
        codec.decode_response(WireResponse(status=200, body=body))
    failure = codec.decode_error(WireResponse(status=500, body=body))
    assert failure.status == 500
