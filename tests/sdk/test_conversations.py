"""Every official client against every upstream: what people do with them, over real sockets."""

from __future__ import annotations

import json

import pytest

from tests.sdk.conftest import Begin
from tests.sdk.conversations import Question
from tests.upstreams.gateway import SPOKEN, Gateway
from tests.upstreams.scenarios import AFTER_RESULTS, FIRST, Said

CLIENTS = [
    "openai-chat",
    "openai-responses",
    "azure-chat",
    "azure-responses",
    "anthropic",
    "anthropic-bedrock",
    "anthropic-vertex",
    "boto3-converse",
    "boto3-invoke",
    "gemini",
    "vertex",
]

pytestmark = [
    pytest.mark.parametrize("upstream", SPOKEN),
    pytest.mark.parametrize("client", CLIENTS),
]
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])

_CHAT = {"end": "stop", "calls": "tool_calls", "length": "length"}
_RESPONSES = {"end": "completed", "calls": "completed", "length": "incomplete:max_output_tokens"}
_CLAUDE = {"end": "end_turn", "calls": "tool_use", "length": "max_tokens"}
_GEMINI = {"end": "STOP", "calls": "STOP", "length": "MAX_TOKENS"}
_ENDS = {
    "openai-chat": _CHAT,
    "azure-chat": _CHAT,
    "openai-responses": _RESPONSES,
    "azure-responses": _RESPONSES,
    "gemini": _GEMINI,
    "vertex": _GEMINI,
}


def end_of(client: str, kind: str) -> str:
    """How a client's language says why an answer ended."""
    return _ENDS.get(client, _CLAUDE)[kind]


def said(name: str) -> Said:
    turn = FIRST[name]
    assert isinstance(turn, Said)
    return turn


@both_ways
def test_text(begin: Begin, client: str, upstream: str, *, stream: bool) -> None:
    told = begin(client, upstream).ask(Question(text="Hello (scenario=text)"), stream=stream)
    assert told.text == said("text").whole
    assert told.stop == end_of(client, "end")
    assert (told.prompt, told.output) == (20, 12)


@both_ways
def test_system(begin: Begin, client: str, upstream: str, *, stream: bool) -> None:
    told = begin(client, upstream).ask(Question(text="Are you? (scenario=system)", system=True), stream=stream)
    assert told.text == "Yes."


@both_ways
def test_one_tool_call_and_its_result(begin: Begin, client: str, upstream: str, *, stream: bool) -> None:
    talk = begin(client, upstream)
    told = talk.ask(Question(text="Weather in Lisbon? (scenario=one-call)", tools=True), stream=stream)
    assert told.text == "Let me look."
    assert told.calls == [("get_weather", {"city": "Lisbon"})]
    assert told.stop == end_of(client, "calls")
    assert talk.give_results(stream=stream).text == AFTER_RESULTS["one-call"].whole


@both_ways
def test_parallel_tool_calls_and_their_results(begin: Begin, client: str, upstream: str, *, stream: bool) -> None:
    talk = begin(client, upstream)
    told = talk.ask(Question(text="Lisbon and Porto? (scenario=two-calls)", tools=True), stream=stream)
    assert told.calls == [("get_weather", {"city": "Lisbon"}), ("get_weather", {"city": "Porto"})]
    assert talk.give_results(stream=stream).text == AFTER_RESULTS["two-calls"].whole


@both_ways
def test_a_tool_call_without_arguments(begin: Begin, client: str, upstream: str, *, stream: bool) -> None:
    talk = begin(client, upstream)
    told = talk.ask(Question(text="Which cities? (scenario=bare-call)", tools=True), stream=stream)
    assert told.calls == [("list_cities", {})]
    assert talk.give_results(stream=stream).text == AFTER_RESULTS["bare-call"].whole


def test_an_image(begin: Begin, client: str, upstream: str) -> None:
    told = begin(client, upstream).ask(Question(text="What is it? (scenario=image)", image=True), stream=False)
    assert told.text == "A red square."


def test_a_document(begin: Begin, client: str, upstream: str) -> None:
    told = begin(client, upstream).ask(Question(text="Sum up (scenario=document)", document=True), stream=False)
    assert told.text == "An empty document."


@both_ways
def test_structured_output(begin: Begin, client: str, upstream: str, *, stream: bool) -> None:
    told = begin(client, upstream).ask(Question(text="Weather? (scenario=structured)", schema=True), stream=stream)
    assert json.loads(told.text) == {"city": "Lisbon", "degrees": 24}


@both_ways
def test_a_stop_sequence(begin: Begin, client: str, upstream: str, *, stream: bool) -> None:
    if client.endswith("-responses"):
        pytest.skip("the Responses API has no stop sequences")
    told = begin(client, upstream).ask(Question(text="Count (scenario=stop)", stop=True), stream=stream)
    assert told.text == "one two "


@both_ways
def test_a_length_limit(begin: Begin, client: str, upstream: str, *, stream: bool) -> None:
    told = begin(client, upstream).ask(Question(text="Count (scenario=length)"), stream=stream)
    assert told.text == "one two three"
    assert told.stop == end_of(client, "length")


@both_ways
def test_cached_tokens_are_counted_as_each_client_counts(
    begin: Begin, client: str, upstream: str, *, stream: bool
) -> None:
    talk = begin(client, upstream)
    told = talk.ask(Question(text="Again (scenario=cached)"), stream=stream)
    assert told.cached == 1000
    assert told.prompt == (1200 if talk.cached_inside else 200)
    assert told.output == 5


@both_ways
def test_a_proof_comes_back_through_a_foreign_client(
    begin: Begin, gateway: Gateway, client: str, upstream: str, *, stream: bool
) -> None:
    if gateway.emulators[upstream].vendor.proof is None:
        pytest.skip("this upstream gives no proofs")
    talk = begin(client, upstream)
    told = talk.ask(Question(text="Good day (scenario=reasoning)", think=True), stream=stream)
    assert told.text == "Good day."
    if client not in {"openai-chat", "azure-chat"}:
        assert told.thought == "The user greets me."
    again = talk.ask(Question(text="And now?", think=True), stream=stream)
    if talk.echoes_proofs:
        assert again.text == "Still good."


@both_ways
def test_a_proof_beside_a_tool_call(
    begin: Begin, gateway: Gateway, client: str, upstream: str, *, stream: bool
) -> None:
    if gateway.emulators[upstream].vendor.proof is None:
        pytest.skip("this upstream gives no proofs")
    talk = begin(client, upstream)
    question = Question(text="Weather in Lisbon? (scenario=reasoning-call)", think=True, tools=True)
    assert talk.ask(question, stream=stream).calls == [("get_weather", {"city": "Lisbon"})]
    assert talk.give_results(stream=stream).text == "Sunny."
