"""Errors of every shape, and the exceptions that Anthropic's client makes of ours."""

from __future__ import annotations

import json

import anthropic
import httpx2
import pytest

from freehold.errors import STATUS_OF_KIND, UpstreamError
from freehold.ir import Failure, ListModels, Model, ModelList, TokenCount
from freehold.protocols.anthropic_messages import CODEC
from freehold.protocols.codec import Stamp, WireRequest, WireResponse

STAMP = Stamp(id="exchange1", created=1_700_000_000)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":{"message":"no","type":"x","code":"y"}}', "no"),
        (b'{"error":"text"}', "text"),
        (b'{"detail":"gone"}', "gone"),
        (b'{"Message":"denied"}', "denied"),
        (b'[{"error":{"code":404,"message":"list"}}]', "list"),
        (b"<html>Bad gateway</html>", "<html>Bad gateway</html>"),
        (b"", "the provider answered 502 without a word"),
    ],
)
def test_any_body_becomes_a_message(body: bytes, message: str) -> None:
    failure = CODEC.decode_error(WireResponse(status=502, body=body))
    assert (failure.message, failure.kind) == (message, "bad_gateway")
    written = json.loads(CODEC.encode_error(failure, STAMP).body)
    assert written["error"]["message"] == message


@pytest.mark.parametrize(
    ("headers", "after"),
    [
        ((("retry-after", "7"),), 7.0),
        ((("retry-after", "7"), ("retry-after-ms", "1500")), 1.5),
        ((("x-amz-retry-after", "3000"),), 3.0),
        ((("retry-after", "soon"),), None),
        ((("retry-after", "nan"),), None),
    ],
)
def test_retry_advice(headers: tuple[tuple[str, str], ...], after: float | None) -> None:
    failure = CODEC.decode_error(WireResponse(status=429, body=b"{}", headers=headers))
    assert failure.retry_after == after


def test_what_the_provider_said_about_itself() -> None:
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}'
    headers = (("request-id", "req_1"), ("x-should-retry", "true"), ("retry-after", "2"))
    failure = CODEC.decode_error(WireResponse(status=529, body=body, headers=headers))
    assert (failure.kind, failure.request_id, failure.type) == ("overloaded", "req_1", "overloaded_error")
    again = CODEC.encode_error(failure, STAMP)
    assert json.loads(again.body) == json.loads(body)
    assert dict(again.headers) == {
        "content-type": "application/json",
        "request-id": "exchange1",
        "retry-after": "2",
        "x-should-retry": "true",
    }


@pytest.mark.parametrize(
    ("kind", "raised"),
    [
        ("invalid_request", anthropic.BadRequestError),
        ("authentication", anthropic.AuthenticationError),
        ("permission", anthropic.PermissionDeniedError),
        ("not_found", anthropic.NotFoundError),
        ("conflict", anthropic.ConflictError),
        ("rate_limit", anthropic.RateLimitError),
        ("internal", anthropic.InternalServerError),
        ("overloaded", anthropic.InternalServerError),
    ],
)
def test_the_client_raises_its_own_exception(kind: str, raised: type[Exception]) -> None:
    status = next(status for name, status in STATUS_OF_KIND.items() if name == kind)
    failure = Failure(origin="openai-chat", status=status, kind=kind, message="no", code="x")
    wire = CODEC.encode_error(failure, STAMP)

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(wire.status, content=wire.body, headers=list(wire.headers))

    transport = httpx2.MockTransport(answer)
    with httpx2.Client(transport=transport) as http:
        client = anthropic.Anthropic(api_key="k", base_url="http://gateway", max_retries=0, http_client=http)
        with pytest.raises(raised) as caught:
            client.messages.create(model="m", max_tokens=1, messages=[{"role": "user", "content": "Hi"}])
    assert isinstance(caught.value, anthropic.APIStatusError)
    assert caught.value.request_id == "exchange1"


def test_an_error_dressed_as_success_is_an_error() -> None:
    body = b'{"type":"error","error":{"type":"api_error","message":"oops"}}'
    with pytest.raises(UpstreamError, match="oops"):
        CODEC.decode_response(WireResponse(status=200, body=body))


def test_a_token_count() -> None:
    count = CODEC.decode_response(WireResponse(status=200, body=b'{"input_tokens":12,"new":1}'))
    assert isinstance(count, TokenCount)
    assert count.input_tokens == 12
    assert json.loads(CODEC.encode_response(count, STAMP).value.body) == {"input_tokens": 12, "new": 1}


def test_a_listing_of_another_protocol() -> None:
    listing = ModelList(origin="openai-chat", models=(Model(id="gpt-5", created=1_700_000_000), Model(id="other")))
    body = json.loads(CODEC.encode_response(listing, STAMP).value.body)
    assert body == {
        "data": [
            {
                "type": "model",
                "id": "gpt-5",
                "display_name": "gpt-5",
                "created_at": "2023-11-14T22:13:20Z",
                "lifecycle": "active",
            },
            {
                "type": "model",
                "id": "other",
                "display_name": "other",
                "created_at": "1970-01-01T00:00:00Z",
                "lifecycle": "active",
            },
        ],
        "has_more": False,
        "first_id": "gpt-5",
        "last_id": "other",
    }


def test_a_question_for_models() -> None:
    request = CODEC.decode_request(
        WireRequest(method="GET", path="/v1/models", query="limit=5&after_id=a&before_id=b", body=b"")
    )
    assert isinstance(request, ListModels)
    assert (request.limit, request.after) == (5, "a")
    assert CODEC.encode_request(request).value.query == "limit=5&after_id=a&before_id=b"
    single = CODEC.decode_request(WireRequest(method="GET", path="/anthropic/v1/models/a%2Fb", body=b""))
    assert isinstance(single, ListModels)
    assert single.model == "a/b"
    assert CODEC.encode_request(single).value.path == "/v1/models/a%2Fb"
