"""Failures of every upstream arrive as each client's own exceptions: class, message, how long to wait."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from botocore.exceptions import ClientError, EventStreamError
from google.genai import errors as google_errors

from tests.sdk.conftest import Clients
from tests.upstreams.gateway import SPOKEN, Gateway
from tests.upstreams.scenarios import MESSAGE

each_upstream = pytest.mark.parametrize("upstream", SPOKEN)
each_client = pytest.mark.parametrize(
    "client", ["openai-chat", "openai-responses", "anthropic", "boto3-converse", "boto3-invoke", "gemini"]
)

_NO_529 = {"openai-chat", "openai-responses", "azure-openai", "gemini-generate", "bedrock-converse", "bedrock-invoke"}
"""Upstreams that say 503 where Anthropic says 529."""

_OPENAI: dict[int, type[Exception]] = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
    503: openai.InternalServerError,
    529: openai.InternalServerError,
}
_ANTHROPIC: dict[int, tuple[type[Exception], str]] = {
    400: (anthropic.BadRequestError, "invalid_request_error"),
    401: (anthropic.AuthenticationError, "authentication_error"),
    403: (anthropic.PermissionDeniedError, "permission_error"),
    404: (anthropic.NotFoundError, "not_found_error"),
    429: (anthropic.RateLimitError, "rate_limit_error"),
    500: (anthropic.InternalServerError, "api_error"),
    503: (anthropic.APIStatusError, ""),
    529: (anthropic.APIStatusError, "overloaded_error"),
}
_AMAZON = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
    529: "ServiceUnavailableException",
}
_GOOGLE = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    529: "UNAVAILABLE",
}


def send(clients: Clients, client: str, model: str, text: str) -> object:
    """One whole answer."""
    match client:
        case "openai-chat":
            return clients["openai"].chat.completions.create(model=model, messages=[{"role": "user", "content": text}])
        case "openai-responses":
            return clients["openai"].responses.create(model=model, input=text, store=False)
        case "anthropic":
            return clients["anthropic"].messages.create(
                model=model, max_tokens=64, messages=[{"role": "user", "content": text}]
            )
        case "boto3-converse":
            message = {"role": "user", "content": [{"text": text}]}
            return clients["boto3"].converse(modelId=model, messages=[message])
        case "boto3-invoke":
            return clients["boto3"].invoke_model(modelId=model, body=claude(text))
        case _:
            return clients["gemini"].models.generate_content(model=model, contents=text)


def claude(text: str) -> str:
    return (
        '{"anthropic_version": "bedrock-2023-05-31", "max_tokens": 64, '
        f'"messages": [{{"role": "user", "content": "{text}"}}]}}'
    )


def stream(clients: Clients, client: str, model: str, text: str) -> Iterator[Any]:
    """The raw events of one streamed answer."""
    match client:
        case "openai-chat":
            messages = [{"role": "user", "content": text}]
            yield from clients["openai"].chat.completions.create(model=model, messages=messages, stream=True)
        case "openai-responses":
            yield from clients["openai"].responses.create(model=model, input=text, store=False, stream=True)
        case "anthropic":
            messages = [{"role": "user", "content": text}]
            yield from clients["anthropic"].messages.create(model=model, max_tokens=64, messages=messages, stream=True)
        case "boto3-converse":
            message = {"role": "user", "content": [{"text": text}]}
            # botocore leaves the connection of a broken stream to the garbage collector.
            with contextlib.closing(
                clients["boto3"].converse_stream(modelId=model, messages=[message])["stream"]
            ) as it:
                yield from it
        case "boto3-invoke":
            answer = clients["boto3"].invoke_model_with_response_stream(modelId=model, body=claude(text))
            with contextlib.closing(answer["body"]) as it:
                yield from it
        case _:
            yield from clients["gemini"].models.generate_content_stream(model=model, contents=text)


def check(error: Exception, client: str, upstream: str, status: int) -> None:
    """The exception is the one that this client has for the status, and its message is the upstream's."""
    if status == 529 and upstream in _NO_529 and client == "anthropic":
        status = 503
    assert MESSAGE in str(error)
    match client:
        case "openai-chat" | "openai-responses":
            assert type(error) is _OPENAI[status]
        case "anthropic":
            kind, name = _ANTHROPIC[status]
            assert isinstance(error, kind)
            assert isinstance(error, anthropic.APIStatusError)
            assert name in {"", error.type}
            if status in {503, 529}:
                assert isinstance(error, anthropic.ServiceUnavailableError | anthropic.OverloadedError)
        case "boto3-converse" | "boto3-invoke":
            assert isinstance(error, ClientError)
            assert error.response["Error"]["Code"] == _AMAZON[status]
            assert MESSAGE in error.response["Error"]["Message"]
        case _:
            kind = google_errors.ClientError if status < 500 else google_errors.ServerError
            assert isinstance(error, kind)
            assert error.status == _GOOGLE[status]


@each_upstream
@each_client
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503, 529])
def test_an_error_is_the_clients_own(
    gateway: Gateway, clients: Clients, client: str, upstream: str, status: int
) -> None:
    with pytest.raises(Exception, match=MESSAGE) as caught:
        send(clients, client, upstream, f"scenario=error-{status}")
    check(caught.value, client, upstream, status)


@each_upstream
@each_client
def test_a_stream_that_begins_with_an_error_is_an_error(
    gateway: Gateway, clients: Clients, client: str, upstream: str
) -> None:
    with pytest.raises(Exception, match=MESSAGE) as caught:
        list(stream(clients, client, upstream, "scenario=error-at-once"))
    if upstream in {"anthropic-messages", "bedrock-converse", "bedrock-invoke", "gemini-generate"}:
        check(caught.value, client, upstream, 529)
    # OpenAI's error events say only that it was the server's fault.
    match client:
        case "openai-chat" | "openai-responses":
            assert isinstance(caught.value, openai.InternalServerError)
        case "anthropic":
            assert isinstance(caught.value, anthropic.APIStatusError)
            assert caught.value.status_code >= 500
        case "gemini":
            assert isinstance(caught.value, google_errors.ServerError)
        case _:
            assert type(caught.value) is not ClientError, "a modelled exception"


@each_upstream
@each_client
def test_how_long_to_wait(gateway: Gateway, clients: Clients, client: str, upstream: str) -> None:
    with pytest.raises(Exception, match=MESSAGE) as caught:
        send(clients, client, upstream, "scenario=error-429-later")
    error: Any = caught.value
    check(error, client, upstream, 429)
    match client:
        case "boto3-converse" | "boto3-invoke":
            headers = error.response["ResponseMetadata"]["HTTPHeaders"]
            assert headers["x-amz-retry-after"] == "17000"
        case "gemini":
            assert "17s" in str(error.details)
        case _:
            assert error.response.headers["retry-after"] == "17"


_RAISED: dict[str, type[Exception]] = {
    "openai-chat": openai.APIError,
    "openai-responses": openai.APIError,
    "anthropic": anthropic.APIStatusError,
    "boto3-converse": EventStreamError,
    "boto3-invoke": EventStreamError,
    "gemini": google_errors.APIError,
}


@each_upstream
@each_client
@pytest.mark.parametrize("scenario", ["error-in-stream", "reset", "cut"])
def test_a_stream_that_breaks_never_ends_well(
    gateway: Gateway, clients: Clients, client: str, upstream: str, scenario: str
) -> None:
    told: list[Any] = []
    words = "Hello from Lisbon"[:5]
    events = stream(clients, client, upstream, f"scenario={scenario}")
    with pytest.raises(_RAISED[client]) as caught:
        told.extend(events)
    if scenario == "error-in-stream":
        # The openai package hands on an error event without an `error` inside; then the connection is cut.
        assert MESSAGE in str(caught.value) + str(told[-1])
    assert told, "the first words came"
    assert any(words in _text(event) for event in told)


def _text(event: object) -> str:
    if isinstance(event, dict) and "chunk" in event:
        return event["chunk"]["bytes"].decode()
    return str(event)
