"""Decoders raise typed errors only, whatever arrives, and what they accept can be written again."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.errors import CallerError, UpstreamError
from freehold.ir import ErrorEnd, Event
from freehold.ir.grammar import check_stream
from freehold.protocols.codec import Frame, Stamp, Unsupported, WireRequest, WireResponse
from freehold.protocols.gemini_generate import CODEC
from freehold.protocols.spellings import first_difference
from tests.protocols.gemini_generate.recordings import PATHS, frames, load

STAMP = Stamp(id="exchange1", created=1_700_000_000)
EXCHANGES = [load(path) for path in PATHS]
VALUES: dict[str, list[Any]] = {
    "requests": [exchange["request"]["body"] for exchange in EXCHANGES if exchange["request"]],
    "answers": [exchange["response"]["body"] for exchange in EXCHANGES if "body" in exchange["response"]],
    "streams": [[json.loads(frame.data) for frame in frames(exchange)] for exchange in EXCHANGES if frames(exchange)],
}

JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(allow_nan=False),
    st.text(max_size=4),
    st.just([]),
    st.just({}),
    st.just([None]),
    st.just({"text": "x"}),
    st.just({"functionCall": {"name": "f"}}),
    st.just({"parts": {"text": "x"}, "role": []}),
)


def places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The path of every member and item of a JSON value."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found: list[tuple[str | int, ...]] = []
    for key, child in children:
        found.append((*path, key))
        found.extend(places(child, (*path, key)))
    return found


VERBS = ("generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents")
DELETE = "delete"
MUTATION = st.tuples(
    st.integers(0, 999), st.lists(st.tuples(st.integers(0, 9999), st.just(DELETE) | JUNK), min_size=1, max_size=3)
)
"""Which value is changed, and in what places (both modulo their number) it is overwritten or cut."""


Mutation = tuple[int, list[tuple[int, object]]]


def mutate(kind: str, mutation: Mutation) -> Any:  # noqa: ANN401 -- any JSON at all
    """One of the values, changed."""
    which, edits = mutation
    values = VALUES[kind]
    value = copy.deepcopy(values[which % len(values)])
    for place, junk in edits:
        where = places(value)
        if not where:
            break
        *parents, last = where[place % len(where)]
        holder = value
        for key in parents:
            holder = holder[key]
        if junk != DELETE:
            holder[last] = copy.deepcopy(junk)
        elif isinstance(holder, dict):
            del holder[last]
    return value


@settings(max_examples=200, deadline=None)
@given(MUTATION, st.sampled_from(VERBS))
def test_any_request_is_read_or_refused(mutation: Mutation, verb: str) -> None:
    body = mutate("requests", mutation)
    try:
        request = CODEC.decode_request(WireRequest(path=f"/v1beta/models/m:{verb}", body=json.dumps(body).encode()))
    except CallerError:
        return
    encoded = CODEC.encode_request(request)
    assert encoded.losses == ()
    assert first_difference(body, json.loads(encoded.value.body)) is None


@settings(max_examples=200, deadline=None)
@given(MUTATION)
def test_any_answer_is_read_or_refused(mutation: Mutation) -> None:
    body = mutate("answers", mutation)
    try:
        result = CODEC.decode_response(WireResponse(status=200, body=json.dumps(body).encode()))
    except UpstreamError:
        return
    encoded = CODEC.encode_response(result, STAMP)
    assert encoded.losses == ()
    assert first_difference(body, json.loads(encoded.value.body)) is None


@settings(max_examples=200, deadline=None)
@given(MUTATION)
def test_any_stream_is_well_formed(mutation: Mutation) -> None:
    events = mutate("streams", mutation)
    decoder, encoder = CODEC.decoder(), CODEC.encoder(STAMP)
    batches: list[list[Event]] = [decoder.feed(Frame(data=json.dumps(event).encode())) for event in events]
    batches.append(decoder.close())
    check_stream(batches)
    for event, batch in zip(events, batches, strict=False):
        for frame in encoder.feed(batch):
            assert isinstance(batch[0], ErrorEnd) or first_difference(event, json.loads(frame.data)) is None


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60) | MUTATION)
def test_any_bytes_make_a_failure(body: bytes | Mutation) -> None:
    if not isinstance(body, bytes):
        body = json.dumps(mutate("answers", body)).encode()
    failure = CODEC.decode_error(WireResponse(status=500, body=body))
    assert CODEC.encode_error(failure, STAMP).status == 500


@given(st.binary(max_size=60).filter(lambda body: not body.strip().startswith((b"{", b"["))))
def test_any_bytes_are_refused_as_a_body(body: bytes) -> None:
    with pytest.raises((CallerError, UpstreamError)):
        CODEC.decode_request(WireRequest(path="/v1beta/models/m:generateContent", body=body))
    with pytest.raises(UpstreamError):
        CODEC.decode_response(WireResponse(status=200, body=body))
    assert len(CODEC.decoder().feed(Frame(data=body))) <= 1


@pytest.mark.parametrize("path", ["/v1beta/models/m:predict", "/v1beta/files", "/v1beta/models/m"])
def test_other_paths_are_not_spoken(path: str) -> None:
    with pytest.raises(Unsupported):
        CODEC.decode_request(WireRequest(path=path, body=b"{}"))
