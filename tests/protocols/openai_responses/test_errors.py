"""Errors inside answers, and instead of them."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest

from freehold.errors import UpstreamError
from freehold.ir import ErrorEnd, Event, Failure
from freehold.protocols.codec import Frame, Stamp, WireResponse
from freehold.protocols.openai_responses import CODEC

STAMP = Stamp(id="exchange", created=1_700_000_000)


def last_of(*payloads: dict[str, Any]) -> ErrorEnd:
    """The error that a stream of these frames ends with; every frame must return as it was."""
    decoder, encoder = CODEC.decoder(), CODEC.encoder(STAMP)
    batch: list[Event] = []
    for payload in payloads:
        batch = decoder.feed(Frame(event=payload["type"], data=json.dumps(payload).encode()))
        assert [json.loads(frame.data) for frame in encoder.feed(batch)] == [payload]
    assert decoder.close() == []
    last = batch[-1]
    assert isinstance(last, ErrorEnd)
    return last


CREATED = {
    "type": "response.created",
    "sequence_number": 0,
    "response": {"id": "resp_1", "object": "response", "status": "in_progress", "output": []},
}


def test_a_response_that_failed() -> None:
    error = {"code": "rate_limit_exceeded", "message": "Slow down."}
    response = {"id": "resp_1", "object": "response", "status": "failed", "output": [], "error": error}
    failure = last_of(CREATED, {"type": "response.failed", "sequence_number": 1, "response": response}).failure
    assert (failure.kind, failure.status, failure.message) == ("rate_limit", 429, "Slow down.")
    with pytest.raises(UpstreamError, match="Slow down"):
        CODEC.decode_response(WireResponse(status=200, body=json.dumps(response).encode()))


@pytest.mark.parametrize(
    "members",
    [
        {"code": "server_error", "message": "Oh.", "param": None},
        {"error": {"type": "server_error", "code": "server_error", "message": "Oh.", "param": None}},
    ],
    ids=["as in the schema", "as it is sent"],
)
def test_an_error_event(members: dict[str, Any]) -> None:
    failure = last_of(CREATED, {"type": "error", "sequence_number": 1, **members}).failure
    assert (failure.status, failure.code, failure.message) == (500, "server_error", "Oh.")


def test_an_error_event_before_the_answer_began() -> None:
    assert last_of({"type": "error", "sequence_number": 0, "message": "No.", "code": None, "param": None})


def test_garbage_in_a_stream() -> None:
    for data in (b"{", b"[]", b'{"no":"type"}', b"<html>", b"[DONE]", b'{"type":1}'):
        (event,) = CODEC.decoder().feed(Frame(data=data))
        assert isinstance(event, ErrorEnd)


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b"{}", b'{"output":[1]}', b'{"error":{"message":"no"}}'])
def test_garbage_for_an_answer(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        CODEC.decode_response(WireResponse(status=200, body=body))


@pytest.mark.parametrize(
    ("kind", "status", "raised"),
    [
        ("invalid_request", 400, openai.BadRequestError),
        ("authentication", 401, openai.AuthenticationError),
        ("permission", 403, openai.PermissionDeniedError),
        ("not_found", 404, openai.NotFoundError),
        ("rate_limit", 429, openai.RateLimitError),
        ("overloaded", 529, openai.InternalServerError),
    ],
)
def test_the_sdk_raises_the_right_class(kind: str, status: int, raised: type[openai.APIStatusError]) -> None:
    failure = Failure(origin="other", status=status, kind=kind, message="no", retry_after=1.5)
    wire = CODEC.encode_error(failure, STAMP)
    headers = dict(wire.headers)
    assert headers["x-request-id"] == STAMP.id
    assert headers["retry-after-ms"] == "1500"
    client = openai.OpenAI(api_key="none", base_url="http://gateway.invalid/v1")
    request = httpx.Request("POST", "http://gateway.invalid/v1/responses")
    error = client._make_status_error(
        wire.body.decode(),
        body=json.loads(wire.body),
        response=httpx.Response(wire.status, headers=headers, content=wire.body, request=request),  # pyright: ignore[reportArgumentType] - the SDK's own fork of httpx has the same shape
    )
    assert isinstance(error, raised)
