"""Errors of any shape read, and written so that Google's clients raise the right class."""

from __future__ import annotations

import json

import httpx
import pytest
from google.genai import errors

from freehold.errors import ErrorKind
from freehold.ir import Failure
from freehold.protocols.codec import Stamp, WireResponse
from freehold.protocols.gemini_generate import CODEC

STAMP = Stamp(id="exchange1", created=1_700_000_000)
ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"


def read(status: int, body: object, **headers: str) -> Failure:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return CODEC.decode_error(WireResponse(status=status, body=data, headers=pairs))


@pytest.mark.parametrize(
    ("status", "word", "kind"),
    [
        (400, "INVALID_ARGUMENT", "invalid_request"),
        (400, "FAILED_PRECONDITION", "invalid_request"),
        (401, "UNAUTHENTICATED", "authentication"),
        (403, "PERMISSION_DENIED", "permission"),
        (404, "NOT_FOUND", "not_found"),
        (429, "RESOURCE_EXHAUSTED", "rate_limit"),
        (500, "INTERNAL", "internal"),
        (503, "UNAVAILABLE", "unavailable"),
        (504, "DEADLINE_EXCEEDED", "timeout"),
    ],
)
def test_status_words(status: int, word: str, kind: ErrorKind) -> None:
    body = {"error": {"code": status, "message": "No.", "status": word}}
    failure = read(status, body)
    assert (failure.kind, failure.message, failure.type) == (kind, "No.", word)
    assert json.loads(CODEC.encode_error(failure, STAMP).body) == body


def test_a_bad_key_is_a_400() -> None:
    details = [{"@type": ERROR_INFO, "reason": "API_KEY_INVALID", "domain": "googleapis.com"}]
    body = {"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT", "details": details}}
    failure = read(400, body)
    assert (failure.kind, failure.code) == ("authentication", "API_KEY_INVALID")
    assert json.loads(CODEC.encode_error(failure, STAMP).body) == body


def test_retry_advice_is_a_detail() -> None:
    details = [{"@type": RETRY_INFO, "retryDelay": "33.5s"}]
    failure = read(429, {"error": {"code": 429, "message": "", "status": "RESOURCE_EXHAUSTED", "details": details}})
    assert failure.retry_after == 33.5
    foreign = Failure(origin="openai-chat", status=429, kind="rate_limit", message="Slow", retry_after=33.5)
    written = CODEC.encode_error(foreign, STAMP)
    assert json.loads(written.body)["error"]["details"] == details
    assert dict(written.headers)["retry-after"] == "34"


def test_the_list_form_comes_back_as_a_list() -> None:
    body = [{"error": {"code": 404, "message": "No.", "status": "NOT_FOUND"}}]
    assert json.loads(CODEC.encode_error(read(404, body), STAMP).body) == body


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"upstream connect error", "upstream connect error"),
        (b"", "the provider answered 503 without a word"),
        (b'{"detail": "no"}', "no"),
        (b'{"message": "no"}', "no"),
        (b'{"error": "no"}', "no"),
    ],
)
def test_other_shapes(body: bytes, message: str) -> None:
    failure = read(503, body, retry_after="2")
    assert (failure.kind, failure.message, failure.retry_after) == ("unavailable", message, 2.0)


@pytest.mark.parametrize("kind", ["invalid_request", "authentication", "rate_limit", "quota", "internal", "overloaded"])
def test_googles_client_raises_its_own_classes(kind: ErrorKind) -> None:
    status = {"invalid_request": 400, "authentication": 401, "internal": 500, "overloaded": 529}.get(kind, 429)
    written = CODEC.encode_error(
        Failure(origin="freehold", status=status, kind=kind, message="No.", code="no_budget"), STAMP
    )
    response = httpx.Response(written.status, content=written.body, headers=dict(written.headers))
    expected = errors.ClientError if status < 500 else errors.ServerError
    with pytest.raises(expected) as raised:
        errors.APIError.raise_for_response(response)
    assert (raised.value.code, raised.value.message) == (status, "No.")
