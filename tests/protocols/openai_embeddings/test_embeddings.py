"""Embeddings: every recording comes back as it was, and vectors of others come in the encoding that was asked for."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.errors import CallerError, UpstreamError
from freehold.ir import Embed, Embedding, Embeddings, Inline, Media, Usage
from freehold.protocols.codec import Stamp, Unsupported, WireRequest, WireResponse
from freehold.protocols.openai_embeddings import CODEC
from freehold.protocols.spellings import first_difference, same_text
from tests.protocols.openai_chat.recordings import load, of_wires, raw_body, wire_request, wire_response

STAMP = Stamp(id="exchange1", created=1_700_000_000)
RECORDINGS = [pytest.param(path, id=f"{path.parent.name}-{path.stem}") for path in of_wires("openai-embeddings")]


@pytest.mark.parametrize("path", RECORDINGS)
def test_a_recorded_exchange_comes_back_as_it_was(path: Path) -> None:
    exchange = load(path)
    if exchange["request"] is not None:
        encoded = CODEC.encode_request(CODEC.decode_request(wire_request(exchange)))
        assert encoded.losses == ()
        assert first_difference(exchange["request"]["body"], json.loads(encoded.value.body)) is None
    wire = wire_response(exchange)
    if wire.status == 200:
        answer = CODEC.encode_response(CODEC.decode_response(wire), STAMP)
        assert answer.losses == ()
        assert same_text(wire.body, answer.value.body) != "different"
    else:
        assert same_text(raw_body(exchange), CODEC.encode_error(CODEC.decode_error(wire), STAMP).body) != "different"


def asked(**fields: object) -> Embed:
    body = {"model": "text-embedding-3-small", "input": "Hi", **fields}
    return CODEC.decode_request(WireRequest(path="/v1/embeddings", body=json.dumps(body).encode()))


@pytest.mark.parametrize("inputs", ["Hi", ["Hi"], ["a", "b"], [1, 2, 3], [[1, 2], [3]], []])
def test_inputs_keep_their_form(inputs: object) -> None:
    encoded = CODEC.encode_request(asked(input=inputs))
    assert json.loads(encoded.value.body)["input"] == inputs


def test_floats_become_base64_for_those_who_asked() -> None:
    vectors = Embeddings(origin="elsewhere", data=(Embedding(vector=(1.0, -0.5)),), usage=Usage(input_tokens=2))
    body = json.loads(CODEC.encode_response(vectors, STAMP, asked(encoding_format="base64")).value.body)
    assert body["data"][0]["embedding"] == "AACAPwAAAL8="
    body = json.loads(CODEC.encode_response(vectors, STAMP, asked()).value.body)
    assert body["data"][0] == {"object": "embedding", "index": 0, "embedding": [1.0, -0.5]}
    assert body["usage"] == {"prompt_tokens": 2, "total_tokens": 2}


def test_a_picture_is_refused_as_lost_content() -> None:
    picture = Media(kind="image", source=Inline(data="AAAA"), media_type="image/png")
    encoded = CODEC.encode_request(Embed(origin="elsewhere", model="m", inputs=("Hi", picture)))
    assert [(loss.path, loss.effect) for loss in encoded.losses] == [("inputs[1]", "content")]


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=3)
    )
)
def test_any_input_is_understood_or_refused(value: object) -> None:
    with contextlib.suppress(CallerError):
        CODEC.encode_request(asked(input=value))
    with contextlib.suppress(UpstreamError, Unsupported):
        CODEC.decode_response(WireResponse(status=200, body=json.dumps({"data": value}).encode()))
