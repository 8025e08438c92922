"""Nova's answers look like Converse's and are not: what only Nova says reaches no client of Converse."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from freehold.ir import Event, Response
from freehold.ir.fold import fold
from freehold.protocols.codec import Frame, Stamp, WireRequest, WireResponse
from freehold.protocols.registry import BEDROCK_CONVERSE, BEDROCK_INVOKE

STAMP = Stamp(id="exchange1", created=1_700_000_000)
USAGE = {"inputTokens": 13, "outputTokens": 7, "totalTokens": 20, "cacheReadInputTokenCount": 0}
ANSWER = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Paris."}], "novaMessage": 1}},
    "stopReason": "end_turn",
    "usage": USAGE,
    "novaAnswer": {"a": 1},
}
CHUNKS: list[dict[str, Any]] = [
    {"messageStart": {"role": "assistant", "novaStart": 1}},
    {"contentBlockDelta": {"delta": {"text": "Paris"}, "contentBlockIndex": 0}},
    {"contentBlockDelta": {"delta": {"text": "."}, "contentBlockIndex": 0, "novaDelta": 1}},
    {"contentBlockStop": {"contentBlockIndex": 0}},
    {"messageStop": {"stopReason": "end_turn", "novaStop": 1}},
    {"metadata": {"usage": USAGE, "metrics": {}, "novaMetadata": 1}},
]
ASKED = BEDROCK_INVOKE.decode_request(
    WireRequest(
        path="/model/amazon.nova-pro-v1%3A0/invoke-with-response-stream",
        body=b'{"messages":[{"role":"user","content":[{"text":"Hi."}]}]}',
    )
)


def chunk(value: dict[str, Any]) -> Frame:
    data = base64.b64encode(json.dumps(value, separators=(",", ":")).encode()).decode()
    return Frame(event="chunk", data=json.dumps({"bytes": data, "p": "ab"}, separators=(",", ":")).encode())


def events() -> list[list[Event]]:
    decoder = BEDROCK_INVOKE.decoder(ASKED)
    return [*(decoder.feed(chunk(value)) for value in CHUNKS), decoder.close()]


def test_a_whole_answer() -> None:
    result = BEDROCK_INVOKE.decode_response(WireResponse(status=200, body=json.dumps(ANSWER).encode()), ASKED)
    assert isinstance(result, Response)
    assert result.origin == "bedrock-invoke"
    encoded = BEDROCK_CONVERSE.encode_response(result, STAMP)
    body = json.loads(encoded.value.body)
    assert b"nova" not in encoded.value.body
    assert body["usage"] == {"inputTokens": 13, "outputTokens": 7, "totalTokens": 20}
    assert body["metrics"] == {"latencyMs": 0}
    assert {loss.path for loss in encoded.losses} == {"choices[0].novaMessage", "novaAnswer"}


@pytest.mark.parametrize("asked", [ASKED, None])
def test_a_client_of_nova_has_all_of_it(asked: Any) -> None:  # noqa: ANN401 -- a request, or none
    result = BEDROCK_INVOKE.decode_response(WireResponse(status=200, body=json.dumps(ANSWER).encode()), asked)
    again = BEDROCK_INVOKE.encode_response(result, STAMP, asked)
    assert (json.loads(again.value.body), again.losses) == (ANSWER, ())


def test_a_stream() -> None:
    encoder = BEDROCK_CONVERSE.encoder(STAMP)
    frames = [frame for batch in events() for frame in encoder.feed(batch)]
    assert not any(b"nova" in frame.data or b"TokenCount" in frame.data for frame in frames)
    assert [frame.event for frame in frames] == [next(iter(value)) for value in CHUNKS]
    metadata = json.loads(frames[-1].data)
    assert metadata["usage"]["totalTokens"] == 20
    assert metadata["metrics"] == {"latencyMs": 0}
    assert "novaMetadata" in {loss.path for loss in encoder.losses}
    assert fold(events()).origin == "bedrock-invoke"


def test_a_stream_to_a_client_of_nova() -> None:
    encoder = BEDROCK_INVOKE.encoder(STAMP, ASKED)
    frames = [frame for batch in events() for frame in encoder.feed(batch)]
    assert [json.loads(base64.b64decode(json.loads(frame.data)["bytes"])) for frame in frames] == CHUNKS
    assert encoder.losses == []
