"""Vectors in the three forms that Google has, and from each to each; what google-genai 2 and 3 send stands here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.ir import Embed, Embedding, Embeddings, JsonObject, JsonValue, Request, Usage
from freehold.protocols.codec import PLAIN, Dialect, Encoded, Stamp, Unsupported, WireRequest, WireResponse
from freehold.protocols.gemini_generate import CODEC
from freehold.protocols.registry import CODECS

VERTEX, GEMINI = Dialect(provider="vertex"), Dialect(provider="gemini")
STAMP = Stamp(id="exchange1", created=1_700_000_000)
PLACE = "/v1beta1/projects/p/locations/l/publishers/google/models/"

# As both of google-genai's majors wrote them on 2026-11-28, the options of `embed_content` all set.
OPTIONS: JsonObject = {"taskType": "RETRIEVAL_QUERY", "title": "t", "outputDimensionality": 64, "autoTruncate": False}
PREDICT: JsonObject = {
    "instances": [
        {"content": text, "task_type": "RETRIEVAL_QUERY", "title": "t", "mimeType": "text/plain"} for text in "ab"
    ],
    "parameters": {"outputDimensionality": 64, "autoTruncate": False},
}
SINGLE: JsonObject = {"content": {"parts": [{"text": "a"}], "role": "user"}, "embedContentConfig": OPTIONS}
BATCH: JsonObject = {
    "requests": [
        {"content": {"parts": [{"text": text}], "role": "user"}, "embedContentConfig": OPTIONS} for text in "ab"
    ]
}
SENT = {
    "predict": (f"{PLACE}text-embedding-005:predict", PREDICT),
    "one": (f"{PLACE}gemini-embedding-2:embedContent", SINGLE),
    "several": (f"{PLACE}gemini-embedding-001:batchEmbedContents", BATCH),
}


def read(path: str, body: JsonObject) -> Embed:
    request = CODEC.decode_request(WireRequest(path=path, body=json.dumps(body).encode()))
    assert isinstance(request, Embed)
    return request


def written(request: Request, dialect: Dialect) -> tuple[str, Any, set[str]]:
    encoded = CODEC.encode_request(request, dialect)
    losses = {loss.path for loss in encoded.losses}
    return encoded.value.path.rpartition(":")[2], json.loads(encoded.value.body), losses


@pytest.mark.parametrize("dialect", [PLAIN, VERTEX], ids=["plain", "vertex"])
@pytest.mark.parametrize("sent", SENT.values(), ids=SENT)
def test_what_vertex_clients_send_is_understood_and_comes_back(sent: tuple[str, JsonObject], dialect: Dialect) -> None:
    path, body = sent
    request = read(path, body)
    assert request.inputs in (("a",), ("a", "b"))
    assert (request.dimensions, request.purpose, request.title) == (64, "RETRIEVAL_QUERY", "t")
    assert written(request, dialect) == (path.rpartition(":")[2], body, set())


@pytest.mark.parametrize("name", ["predict", "several"])
def test_the_gemini_api_is_asked_in_its_own_form(name: str) -> None:
    verb, body, losses = written(read(*SENT[name]), GEMINI)
    assert verb == "batchEmbedContents"
    assert [request["content"]["parts"] for request in body["requests"]] == [[{"text": "a"}], [{"text": "b"}]]
    assert all(request["taskType"] == "RETRIEVAL_QUERY" for request in body["requests"])
    assert all(request["outputDimensionality"] == 64 for request in body["requests"])
    assert all(request["model"].startswith("models/") for request in body["requests"])
    assert "embedContentConfig" not in json.dumps(body)
    assert {path.rpartition(".")[2] for path in losses} == {"autoTruncate"}


def test_a_foreign_request_is_written_as_vertex_wants_each_model() -> None:
    asked = Embed(
        origin="openai-embeddings", model="text-embedding-005", inputs=("a", "b"), dimensions=9, purpose="query"
    )
    assert written(asked, VERTEX) == (
        "predict",
        {
            "instances": [{"content": text, "task_type": "RETRIEVAL_QUERY"} for text in "ab"],
            "parameters": {"outputDimensionality": 9},
        },
        set(),
    )
    asked = Embed(origin="openai-embeddings", model="gemini-embedding-2", inputs=("a",), dimensions=9)
    assert written(asked, VERTEX)[:2] == (
        "embedContent",
        {"content": {"parts": [{"text": "a"}]}, "embedContentConfig": {"outputDimensionality": 9}},
    )
    asked = Embed(origin="openai-embeddings", model="gemini-embedding-2", inputs=("a", "b"))
    assert written(asked, VERTEX)[:2] == (
        "batchEmbedContents",
        {"requests": [{"content": {"parts": [{"text": text}]}} for text in "ab"]},
    )


def test_the_texts_of_one_content_are_one_instance() -> None:
    request = read(f"{PLACE}text-embedding-005:embedContent", {"content": {"parts": [{"text": "a"}, {"text": "b"}]}})
    assert written(request, VERTEX) == ("predict", {"instances": [{"content": "a\nb"}]}, set())


def test_other_predictions_are_refused_by_name() -> None:
    with pytest.raises(Unsupported, match=r"instances\[0\].content"):
        read(f"{PLACE}imagegeneration:predict", {"instances": [{"prompt": "a cat"}]})
    parts: list[JsonValue] = [{"text": "a"}, {"inlineData": {"mimeType": "image/png", "data": "AA=="}}]
    picture = read(f"{PLACE}text-embedding-005:embedContent", {"content": {"parts": parts}})
    with pytest.raises(Unsupported, match="texts only"):
        CODEC.encode_request(picture, VERTEX)


# --- Answers

PREDICTIONS: JsonObject = {
    "predictions": [
        {"embeddings": {"statistics": {"token_count": count, "truncated": False}, "values": [0.5, 1]}}
        for count in (4, 3)
    ],
    "metadata": {"billableCharacterCount": 30},
}


def answered(body: JsonObject, request: Embed | None = None) -> Embeddings:
    result = CODEC.decode_response(WireResponse(status=200, body=json.dumps(body).encode()), request)
    assert isinstance(result, Embeddings)
    return result


def said(encoded: Encoded[WireResponse]) -> Any:  # noqa: ANN401 -- a JSON document
    return json.loads(encoded.value.body)


def test_predictions_come_back_and_their_tokens_are_counted() -> None:
    request = read(*SENT["predict"])
    for asked in (request, None):
        result = answered(PREDICTIONS, asked)
        assert result.usage == Usage(input_tokens=7)
        encoded = CODEC.encode_response(result, STAMP, asked)
        assert (said(encoded), encoded.losses) == (PREDICTIONS, ())


def test_predictions_are_told_in_the_form_that_was_asked_for() -> None:
    result = answered(PREDICTIONS)
    encoded = CODEC.encode_response(result, STAMP, read(*SENT["several"]))
    assert said(encoded) == {
        "embeddings": [{"values": [0.5, 1]}, {"values": [0.5, 1]}],
        "usageMetadata": {"promptTokenCount": 7, "totalTokenCount": 7},
        "metadata": {"billableCharacterCount": 30},
    }
    assert {loss.effect for loss in encoded.losses} == {"accounting"}
    openai = said(CODECS["openai-embeddings"].encode_response(result, STAMP))
    assert [row["embedding"] for row in openai["data"]] == [[0.5, 1], [0.5, 1]]
    assert openai["usage"]["prompt_tokens"] == 7


def test_a_foreign_answer_becomes_predictions() -> None:
    request = read(f"{PLACE}text-embedding-005:predict", {"instances": [{"content": "a"}]})
    vector = Embedding(vector=(0.5, 1.0))
    one = Embeddings(origin="openai-embeddings", data=(vector,), usage=Usage(input_tokens=5))
    encoded = CODEC.encode_response(one, STAMP, request)
    assert said(encoded) == {"predictions": [{"embeddings": {"statistics": {"token_count": 5}, "values": [0.5, 1.0]}}]}
    two = Embeddings(origin="openai-embeddings", data=(vector, vector), usage=Usage(input_tokens=5))
    encoded = CODEC.encode_response(two, STAMP, request)
    assert said(encoded) == {"predictions": [{"embeddings": {"values": [0.5, 1.0]}}] * 2}
    assert [(loss.path, loss.effect) for loss in encoded.losses] == [("usage.input_tokens", "accounting")]


def test_a_batch_of_one_is_answered_as_a_batch() -> None:
    """A provider's lone `embedding` is still a list to a client that asked for several."""
    request = read("/v1beta/models/m:batchEmbedContents", {"requests": [{"content": {"parts": [{"text": "a"}]}}]})
    assert said(CODEC.encode_response(answered({"embedding": {"values": [1]}}), STAMP, request)) == {
        "embeddings": [{"values": [1]}]
    }
