"""Every official JavaScript client against every upstream: text, streams, tools and errors, over real sockets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.javascript.conftest import Ask
from tests.upstreams.gateway import SPOKEN
from tests.upstreams.scenarios import AFTER_RESULTS, FIRST, MESSAGE, Said

CLIENTS = [
    "openai-chat",
    "openai-responses",
    "anthropic",
    "google",
    "aws-converse",
    "aws-invoke",
    "ai-openai-responses",
    "ai-openai-chat",
    "ai-anthropic",
    "ai-google",
    "ai-bedrock",
]
BEARERS = ["aws-converse-bearer", "ai-bedrock-bearer"]
"""Clients of AWS that send a key instead of a signature, and differ in nothing else."""

_OPENAI = {400: "BadRequestError", 401: "AuthenticationError", 404: "NotFoundError", 429: "RateLimitError"}
_AWS = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    404: "ResourceNotFoundException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
}
ERRORS = {
    "openai": {**_OPENAI, 503: "InternalServerError"},
    "anthropic": {**_OPENAI, 503: "ServiceUnavailableError"},
    "google": dict.fromkeys(_AWS, "ApiError"),
    "aws": _AWS,
    "ai": dict.fromkeys(_AWS, "AI_APICallError"),
}
"""What each package calls an error of that status; the AI SDK and Google's have one class for all."""

# Installing the packages for the first time may take longer than a test may.
pytestmark = pytest.mark.timeout(180)
every_client = pytest.mark.parametrize("client", CLIENTS)
every_credential = pytest.mark.parametrize("client", [*CLIENTS, *BEARERS])
every_upstream = pytest.mark.parametrize("upstream", SPOKEN)
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


def said(name: str) -> Said:
    turn = FIRST[name]
    assert isinstance(turn, Said)
    return turn


@every_credential
@every_upstream
@both_ways
def test_text(ask: Ask, client: str, upstream: str, *, stream: bool) -> None:
    told = ask(client, upstream, "Hello (scenario=text)", stream=stream)
    assert "error" not in told, told
    assert [turn["text"] for turn in told["turns"]] == [said("text").whole]
    assert (told["turns"][0]["input"], told["turns"][0]["output"]) == (20, 12)
    if client.startswith("aws"):
        assert told["protocol"] == "h2"


@every_client
@every_upstream
@both_ways
def test_a_tool_call_and_its_result(ask: Ask, client: str, upstream: str, *, stream: bool) -> None:
    told = ask(client, upstream, "Weather in Lisbon? (scenario=one-call)", tools=True, stream=stream)
    assert "error" not in told, told
    first, second = told["turns"]
    assert first["text"] == "Let me look."
    assert [(call["name"], call["arguments"]) for call in first["calls"]] == [("get_weather", {"city": "Lisbon"})]
    assert second["text"] == AFTER_RESULTS["one-call"].whole


@every_client
@every_upstream
@both_ways
def test_parallel_tool_calls_and_their_results(ask: Ask, client: str, upstream: str, *, stream: bool) -> None:
    told = ask(client, upstream, "Lisbon and Porto? (scenario=two-calls)", tools=True, stream=stream)
    assert "error" not in told, told
    first, second = told["turns"]
    assert [call["arguments"] for call in first["calls"]] == [{"city": "Lisbon"}, {"city": "Porto"}]
    assert second["text"] == AFTER_RESULTS["two-calls"].whole


@every_client
@every_upstream
@pytest.mark.parametrize("status", [400, 401, 429, 503])
def test_an_error_of_the_upstream(ask: Ask, client: str, upstream: str, status: int) -> None:
    # A stream that never began fails as a plain request does: some of the statuses are asked for as one.
    error = ask(client, upstream, f"Hello (scenario=error-{status})", stream=status % 2 == 0)["error"]
    assert name_of(client, error) == ERRORS[family(client)][status]
    assert MESSAGE in error["message"]
    # AWS answers a refused credential with 403.
    assert error["status"] == status or (status, error["status"]) == (401, 403)


@every_client
@every_upstream
def test_an_error_within_a_stream(ask: Ask, client: str, upstream: str) -> None:
    error = ask(client, upstream, "Hello (scenario=error-in-stream)", stream=True)["error"]
    if family(client) != "ai":  # its pipes forget what they hold when the connection breaks off behind it
        assert MESSAGE in error["message"]


@every_client
@every_upstream
def test_a_stream_that_breaks_off_is_an_error(ask: Ask, client: str, upstream: str) -> None:
    assert "error" in ask(client, upstream, "Hello (scenario=cut)", stream=True)


@every_credential
def test_a_wrong_credential(ask: Ask, credentials: dict[str, Any], client: str) -> None:
    key, (access_key_id, secret) = credentials["key"], credentials["pair"]
    wrong = {"key": key[:-4] + flipped(key[-4:]), "pair": (access_key_id, flipped(secret))}
    error = ask(client, "openai-chat", "Hello", **wrong)["error"]
    assert error["status"] in {401, 403}
    assert name_of(client, error) in {ERRORS[family(client)][401], "InvalidSignatureException"}


@every_client
def test_an_unknown_model(ask: Ask, client: str) -> None:
    error = ask(client, "no-such-model", "Hello")["error"]
    assert name_of(client, error) == ERRORS[family(client)][404]
    assert "no-such-model" in error["message"]


def family(client: str) -> str:
    return client.partition("-")[0]


def name_of(client: str, error: Mapping[str, Any]) -> str:
    """By class or by `name`, as programs for that package tell errors apart."""
    return error["name"] if family(client) in {"openai", "anthropic"} else error["named"]


def flipped(text: str) -> str:
    return "".join("b" if letter == "a" else "a" for letter in text)
