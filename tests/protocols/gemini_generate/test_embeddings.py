"""Contents to embed: several texts of one content have one vector together, for every provider of vectors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.ir import Embed
from freehold.protocols.codec import WireRequest
from freehold.protocols.gemini_generate import CODEC
from freehold.protocols.registry import CODECS

MODEL = "models/gemini-embedding-001"
TWO = {"parts": [{"text": "first\nstill first"}, {"text": "second"}]}
PICTURE = {"role": "user", "parts": [{"text": "a"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}
SINGLE = f"/v1beta/{MODEL}:embedContent"
BATCH = f"/v1beta/{MODEL}:batchEmbedContents"


def read(path: str, body: dict[str, Any]) -> Embed:
    request = CODEC.decode_request(WireRequest(path=path, body=json.dumps(body).encode()))
    assert isinstance(request, Embed)
    return request


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (SINGLE, {"content": TWO}),
        (SINGLE, {"content": {**TWO, "role": "user"}, "taskType": "CLUSTERING"}),
        (SINGLE, {"content": {"parts": [{"text": ""}, {"text": ""}]}}),
        (SINGLE, {"content": {"parts": {"text": "alone"}}}),
        (SINGLE, {"content": PICTURE}),
        (SINGLE, {"content": {"parts": []}}),
        (
            BATCH,
            {"requests": [{"model": MODEL, "content": TWO}, {"model": MODEL, "content": {"parts": [{"text": "c"}]}}]},
        ),
    ],
)
def test_contents_return_as_they_came(path: str, body: dict[str, Any]) -> None:
    assert json.loads(CODEC.encode_request(read(path, body)).value.body) == body


def test_several_texts_of_a_content_are_one_input_to_others() -> None:
    encoded = CODECS["openai-embeddings"].encode_request(read(SINGLE, {"content": {**TWO, "role": "user"}}))
    assert json.loads(encoded.value.body)["input"] == "first\nstill first\nsecond"
    assert encoded.losses == ()
    batch = read(BATCH, {"requests": [{"model": MODEL, "content": TWO}, {"model": MODEL, "content": TWO}]})
    assert json.loads(CODECS["openai-embeddings"].encode_request(batch).value.body)["input"] == list(batch.inputs)


def test_a_picture_is_not_left_out_in_silence() -> None:
    losses = CODECS["openai-embeddings"].encode_request(read(SINGLE, {"content": PICTURE})).losses
    assert [(loss.path, loss.effect) for loss in losses] == [("inputs[0]", "content")]
