"""Whatever arrives, a codec answers with a value or with one of its typed errors."""

from __future__ import annotations

import contextlib
import copy
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freehold.errors import CallerError, UpstreamError
from freehold.ir import JsonObject, JsonValue
from freehold.ir.grammar import Grammar
from freehold.protocols.codec import Frame, Stamp, Unsupported, WireRequest, WireResponse
from freehold.protocols.openai_responses import CODEC
from tests.protocols.openai_responses.recordings import answered, frames, streamed, wire_request, with_request

STAMP = Stamp(id="exchange", created=1_700_000_000)
MANY = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)

scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=4) | st.floats(allow_nan=False)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner)
)


def places(value: JsonValue, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every path into a JSON value."""
    found = [path] if path else []
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in members:
        found.extend(places(inner, (*path, key)))
    return found


def mutated(value: JsonObject, data: st.DataObject) -> JsonObject:
    """The value with a few places replaced by anything, or removed."""
    changed: Any = copy.deepcopy(value)
    for _ in range(data.draw(st.integers(1, 3))):
        every = places(changed)
        if not every:
            return changed
        *way, last = data.draw(st.sampled_from(every))
        target: Any = changed
        for key in way:
            target = target[key]
        if isinstance(target, dict) and data.draw(st.booleans()):
            del target[last]
        else:
            target[last] = data.draw(anything)
    return changed


@MANY
@given(data=st.data())
def test_requests(data: st.DataObject) -> None:
    exchange = data.draw(st.sampled_from(with_request()))
    body = mutated(exchange["request"]["body"], data)
    wire = WireRequest(path="/v1/responses", body=json.dumps(body).encode())
    try:
        request = CODEC.decode_request(wire)
    except CallerError:
        return
    assert json.loads(CODEC.encode_request(request).value.body) == body


@MANY
@given(data=st.data())
def test_answers(data: st.DataObject) -> None:
    exchange = data.draw(st.sampled_from(answered()))
    body = mutated(exchange["response"]["body"], data)
    try:
        answer = CODEC.decode_response(WireResponse(status=200, body=json.dumps(body).encode()))
    except UpstreamError:
        return
    assert json.loads(CODEC.encode_response(answer, STAMP).value.body) == body


@MANY
@given(data=st.data())
def test_streams(data: st.DataObject) -> None:
    exchange = data.draw(st.sampled_from(streamed()))
    received = frames(exchange)[:40] + frames(exchange)[-4:]
    at = data.draw(st.integers(0, len(received) - 1))
    if received[at].data != b"[DONE]":
        payload = mutated(json.loads(received[at].data), data)
        received[at] = Frame(event=received[at].event, data=json.dumps(payload).encode())
    decoder, encoder, grammar = CODEC.decoder(), CODEC.encoder(STAMP), Grammar()
    for frame in received:
        batch = decoder.feed(frame)
        for event in batch:
            grammar.check(event)
        written = encoder.feed(batch)
        if batch and not any(type(event).__name__ == "ErrorEnd" and event.rest is None for event in batch):
            assert [json.loads(one.data) for one in written if one.data != b"[DONE]"] == (
                [json.loads(frame.data)] if frame.data != b"[DONE]" else []
            )
    for event in decoder.close():
        grammar.check(event)


@MANY
@given(data=st.binary(max_size=60))
def test_bytes(data: bytes) -> None:
    for read in (
        lambda: CODEC.decode_request(WireRequest(path="/v1/responses", body=data)),
        lambda: CODEC.decode_response(WireResponse(status=200, body=data)),
    ):
        with contextlib.suppress(CallerError, UpstreamError, Unsupported):
            read()
    CODEC.encode_error(CODEC.decode_error(WireResponse(status=500, body=data)), STAMP)
    decoder = CODEC.decoder()
    decoder.feed(Frame(data=data))
    decoder.close()


def test_no_recorded_request_needs_its_path_to_be_known() -> None:
    for exchange in with_request():
        wire = wire_request(exchange)
        assert wire.path.endswith(("/responses", "/compact", "/input_tokens"))
