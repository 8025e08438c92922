"""Errors of any shape read, and written so that Google's clients raise the right class."""

from __future__ import annotations

import json

import httpx
import pytest
from google.genai import errors

from freehold.errors import STATUS_OF_KIND, ErrorKind
from freehold.ir import ErrorEnd, Failure
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


STATUSES = {
    "invalid_request": (400, "INVALID_ARGUMENT"),
    "authentication": (401, "UNAUTHENTICATED"),
    "billing": (400, "FAILED_PRECONDITION"),
    "permission": (403, "PERMISSION_DENIED"),
    "not_found": (404, "NOT_FOUND"),
    "conflict": (409, "ABORTED"),
    "too_large": (400, "INVALID_ARGUMENT"),
    "rate_limit": (429, "RESOURCE_EXHAUSTED"),
    "quota": (429, "RESOURCE_EXHAUSTED"),
    "internal": (500, "INTERNAL"),
    "unsupported": (501, "UNIMPLEMENTED"),
    "bad_gateway": (503, "UNAVAILABLE"),
    "unavailable": (503, "UNAVAILABLE"),
    "timeout": (504, "DEADLINE_EXCEEDED"),
    "overloaded": (503, "UNAVAILABLE"),
    "content_refused": (400, "INVALID_ARGUMENT"),
}
"""What Google says of each kind, after google/rpc/code.proto."""


@pytest.mark.parametrize("kind", STATUS_OF_KIND)
def test_googles_client_reads_only_statuses_of_google(kind: ErrorKind) -> None:
    failure = Failure(origin="freehold", status=STATUS_OF_KIND[kind], kind=kind, message="No.", code="no_budget")
    written = CODEC.encode_error(failure, STAMP)
    status, word = STATUSES[kind]
    assert written.status == status
    response = httpx.Response(written.status, content=written.body, headers=dict(written.headers))
    with pytest.raises(errors.ClientError if status < 500 else errors.ServerError) as raised:
        errors.APIError.raise_for_response(response)
    assert (raised.value.code, raised.value.status, raised.value.message) == (status, word, "No.")


def test_an_error_within_a_stream_has_a_status_of_google_too() -> None:
    failure = Failure(origin="anthropic-messages", status=529, kind="overloaded", message="Overloaded")
    frames = CODEC.encoder(STAMP).feed([ErrorEnd(failure=failure)])
    assert [json.loads(frame.data)["error"]["code"] for frame in frames] == [503]


def test_a_status_of_googles_own_stays() -> None:
    body = {"error": {"code": 499, "message": "Cancelled.", "status": "CANCELLED"}}
    failure = CODEC.decode_error(WireResponse(status=499, body=json.dumps(body).encode()))
    assert CODEC.encode_error(failure, STAMP).status == 499
