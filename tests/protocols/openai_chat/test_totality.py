"""Decoders raise typed errors only, whatever arrives, and what they accept can be written again."""

from __future__ import annotations

import contextlib
import copy
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.errors import CallerError, UpstreamError
from freehold.ir.grammar import check_stream
from freehold.protocols.codec import Frame, Stamp, Unsupported, WireRequest, WireResponse
from freehold.protocols.openai_chat import CODEC
from tests.protocols.openai_chat.recordings import frames, is_stream, load, of_wires

STAMP = Stamp(id="exchange1", created=1_700_000_000)
EXCHANGES = [load(path) for path in of_wires("openai-chat")]
REQUESTS = [exchange["request"]["body"] for exchange in EXCHANGES if exchange["request"]]
ANSWERS = [exchange["response"]["body"] for exchange in EXCHANGES if "body" in exchange["response"]]
STREAMS = [
    [json.loads(frame.data) for frame in frames(exchange)[:12] if not frame.data.startswith(b"[")]
    for exchange in EXCHANGES
    if is_stream(exchange)
]

JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(allow_nan=False),
    st.text(max_size=4),
    st.sampled_from(
        ["[]", "{}", "[null]", "[[]]", '{"type":"text"}', '{"type":["x"]}', '{"index":[0]}', '"~fh1.x"', '{"error":1}']
    ).map(json.loads),
)


@st.composite
def mutated(draw: st.DrawFn, bodies: list[Any]) -> object:
    """A recorded body with a few of its values replaced, removed or moved to another type."""
    body = copy.deepcopy(bodies[draw(st.integers(0, len(bodies) - 1))])
    for _ in range(draw(st.integers(1, 3))):
        node = body
        while isinstance(node, dict | list) and node:
            keys = list(node) if isinstance(node, dict) else range(len(node))
            key = keys[draw(st.integers(0, len(keys) - 1))]
            child = node[key]
            if not isinstance(child, dict | list) or not child or draw(st.integers(0, 3)) == 0:
                if isinstance(node, dict) and draw(st.booleans()):
                    del node[key]
                else:
                    node[key] = draw(JUNK)
                break
            node = child
    return body


@settings(max_examples=300, deadline=None)
@given(mutated(REQUESTS))
def test_requests(body: object) -> None:
    wire = WireRequest(path="/v1/chat/completions", body=json.dumps(body).encode())
    try:
        request = CODEC.decode_request(wire)
    except (CallerError, Unsupported):
        return
    CODEC.encode_request(request)


@settings(max_examples=300, deadline=None)
@given(mutated(ANSWERS))
def test_answers(body: object) -> None:
    try:
        result = CODEC.decode_response(WireResponse(status=200, body=json.dumps(body).encode()))
    except (UpstreamError, Unsupported):
        return
    CODEC.encode_response(result, STAMP)


@settings(max_examples=300, deadline=None)
@given(mutated(STREAMS), st.booleans())
def test_streams(chunks: object, done: bool) -> None:  # noqa: FBT001 -- drawn by hypothesis
    decoder, encoder = CODEC.decoder(), CODEC.encoder(STAMP)
    values = chunks if isinstance(chunks, list) else [chunks]
    sent = [Frame(data=json.dumps(chunk).encode()) for chunk in values] + [Frame(data=b"[DONE]")] * done
    batches = [batch for frame in sent if (batch := decoder.feed(frame))]
    batches += [batch for batch in (decoder.close(),) if batch]
    check_stream(batches)
    for batch in batches:
        encoder.feed(batch)


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(st.binary(max_size=60), mutated(ANSWERS).map(lambda body: json.dumps(body).encode())),
    st.integers(400, 599),
)
def test_errors(body: bytes, status: int) -> None:
    failure = CODEC.decode_error(WireResponse(status=status, body=body))
    CODEC.encode_error(failure, STAMP)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=40))
def test_bytes(data: bytes) -> None:
    for path in ("/v1/chat/completions", "/v1/models", "/v1/other"):
        with contextlib.suppress(CallerError, Unsupported):
            CODEC.decode_request(WireRequest(path=path, body=data))
    with contextlib.suppress(UpstreamError, Unsupported):
        CODEC.decode_response(WireResponse(status=200, body=data))
    CODEC.decoder().feed(Frame(data=data))
