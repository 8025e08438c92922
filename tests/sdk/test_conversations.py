"""Every official client against every upstream: what people do with them, over real sockets."""

from __future__ import annotations

import json

import pytest

from tests.sdk.conftest import Converse
from tests.sdk.conversations import Question
from tests.upstreams.gateway import SPOKEN, Gateway
from tests.upstreams.scenarios import AFTER_RESULTS, FIRST, Said

CLIENTS = ["openai-chat", "openai-responses", "anthropic-messages"]

pytestmark = [
    pytest.mark.parametrize("upstream", SPOKEN),
    pytest.mark.parametrize("client", CLIENTS),
]
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])

_ENDS = {
    "openai-chat": {"end": "stop", "calls": "tool_calls", "length": "length", "sequence": "stop"},
    "openai-responses": {
        "end": "completed",
        "calls": "completed",
        "length": "incomplete:max_output_tokens",
        "sequence": "completed",
    },
    "anthropic-messages": {
        "end": "end_turn",
        "calls": "tool_use",
        "length": "max_tokens",
        "sequence": "stop_sequence",
    },
}


def said(name: str) -> Said:
    turn = FIRST[name]
    assert isinstance(turn, Said)
    return turn


@both_ways
def test_text(converse: Converse, client: str, upstream: str, *, stream: bool) -> None:
    told = converse(client, upstream).ask(Question(text="Hello (scenario=text)"), stream=stream)
    assert told.text == said("text").whole
    assert told.stop == _ENDS[client]["end"]
    assert (told.prompt, told.output) == (20, 12)


@both_ways
def test_system(converse: Converse, client: str, upstream: str, *, stream: bool) -> None:
    told = converse(client, upstream).ask(Question(text="Are you? (scenario=system)", system=True), stream=stream)
    assert told.text == "Yes."


@both_ways
def test_one_tool_call_and_its_result(converse: Converse, client: str, upstream: str, *, stream: bool) -> None:
    talk = converse(client, upstream)
    told = talk.ask(Question(text="Weather in Lisbon? (scenario=one-call)", tools=True), stream=stream)
    assert told.text == "Let me look."
    assert told.calls == [("get_weather", {"city": "Lisbon"})]
    assert told.stop == _ENDS[client]["calls"]
    assert talk.give_results(stream=stream).text == AFTER_RESULTS["one-call"].whole


@both_ways
def test_parallel_tool_calls_and_their_results(converse: Converse, client: str, upstream: str, *, stream: bool) -> None:
    talk = converse(client, upstream)
    told = talk.ask(Question(text="Lisbon and Porto? (scenario=two-calls)", tools=True), stream=stream)
    assert told.calls == [("get_weather", {"city": "Lisbon"}), ("get_weather", {"city": "Porto"})]
    assert talk.give_results(stream=stream).text == AFTER_RESULTS["two-calls"].whole


@both_ways
def test_a_tool_call_without_arguments(converse: Converse, client: str, upstream: str, *, stream: bool) -> None:
    talk = converse(client, upstream)
    told = talk.ask(Question(text="Which cities? (scenario=bare-call)", tools=True), stream=stream)
    assert told.calls == [("list_cities", {})]
    assert talk.give_results(stream=stream).text == AFTER_RESULTS["bare-call"].whole


def test_an_image(converse: Converse, client: str, upstream: str) -> None:
    told = converse(client, upstream).ask(Question(text="What is it? (scenario=image)", image=True), stream=False)
    assert told.text == "A red square."


def test_a_document(converse: Converse, client: str, upstream: str) -> None:
    told = converse(client, upstream).ask(Question(text="Sum up (scenario=document)", document=True), stream=False)
    assert told.text == "An empty document."


@both_ways
def test_structured_output(converse: Converse, client: str, upstream: str, *, stream: bool) -> None:
    told = converse(client, upstream).ask(Question(text="Weather? (scenario=structured)", schema=True), stream=stream)
    assert json.loads(told.text) == {"city": "Lisbon", "degrees": 24}


@both_ways
def test_a_stop_sequence(converse: Converse, client: str, upstream: str, *, stream: bool) -> None:
    if client == "openai-responses":
        pytest.skip("the Responses API has no stop sequences")
    told = converse(client, upstream).ask(Question(text="Count (scenario=stop)", stop=True), stream=stream)
    assert told.text == "one two "


@both_ways
def test_a_length_limit(converse: Converse, client: str, upstream: str, *, stream: bool) -> None:
    told = converse(client, upstream).ask(Question(text="Count (scenario=length)"), stream=stream)
    assert told.text == "one two three"
    assert told.stop == _ENDS[client]["length"]


@both_ways
def test_cached_tokens_are_counted_as_each_client_counts(
    converse: Converse, client: str, upstream: str, *, stream: bool
) -> None:
    talk = converse(client, upstream)
    told = talk.ask(Question(text="Again (scenario=cached)"), stream=stream)
    assert told.cached == 1000
    assert told.prompt == (1200 if talk.cached_inside else 200)
    assert told.output == 5


@both_ways
def test_a_proof_comes_back_through_a_foreign_client(
    converse: Converse, gateway: Gateway, client: str, upstream: str, *, stream: bool
) -> None:
    if gateway.emulators[upstream].vendor.proof is None:
        pytest.skip("this upstream gives no proofs")
    talk = converse(client, upstream)
    told = talk.ask(Question(text="Good day (scenario=reasoning)", think=True), stream=stream)
    assert told.text == "Good day."
    if client != "openai-chat":
        assert told.thought == "The user greets me."
    again = talk.ask(Question(text="And now?", think=True), stream=stream)
    if talk.echoes_proofs:
        assert again.text == "Still good."


@both_ways
def test_a_proof_beside_a_tool_call(
    converse: Converse, gateway: Gateway, client: str, upstream: str, *, stream: bool
) -> None:
    if gateway.emulators[upstream].vendor.proof is None:
        pytest.skip("this upstream gives no proofs")
    talk = converse(client, upstream)
    question = Question(text="Weather in Lisbon? (scenario=reasoning-call)", think=True, tools=True)
    assert talk.ask(question, stream=stream).calls == [("get_weather", {"city": "Lisbon"})]
    assert talk.give_results(stream=stream).text == "Sunny."
