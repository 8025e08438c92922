"""Every official client against every upstream: what people do with them, over real sockets."""

from __future__ import annotations

import json

import pytest

from tests.sdk.conftest import Begin
from tests.sdk.questions import Question
from tests.upstreams.gateway import SPOKEN, UPSTREAMS
from tests.upstreams.scenarios import AFTER_RESULTS, FIRST, Said

each_upstream = pytest.mark.parametrize("upstream", SPOKEN)
each_signing_upstream = pytest.mark.parametrize(
    "upstream", [name for name in SPOKEN if UPSTREAMS[name].vendor().proof is not None]
)
each_client = pytest.mark.parametrize(
    "client", ["openai-chat", "openai-responses", "anthropic", "boto3-converse", "boto3-invoke", "gemini"]
)
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])

_CHAT = {"end": "stop", "calls": "tool_calls", "length": "length"}
_RESPONSES = {"end": "completed", "calls": "completed", "length": "incomplete:max_output_tokens"}
_CLAUDE = {"end": "end_turn", "calls": "tool_use", "length": "max_tokens"}
_GEMINI = {"end": "STOP", "calls": "STOP", "length": "MAX_TOKENS"}
_ENDS = {
    "openai-chat": _CHAT,
    "openai-responses": _RESPONSES,
    "gemini": _GEMINI,
}


def end_of(client: str, kind: str) -> str:
    """How a client's language says why an answer ended."""
    return _ENDS.get(client, _CLAUDE)[kind]


def said(name: str) -> Said:
    turn = FIRST[name]
    assert isinstance(turn, Said)
    return turn


@each_upstream
@each_client
@both_ways
def test_text(begin: Begin, client: str, upstream: str, *, stream: bool) -> None:
    told = begin(client, upstream).ask(Question(text="Hello (scenario=text)"), stream=stream)
    assert told.text == said("text").whole
    assert told.stop == end_of(client, "end")
    assert (told.prompt, told.output) == (20, 12)


@each_upstream
@each_client
@both_ways
def test_system(begin: Begin, client: str, upstream: str, *, stream: bool) -> None:
    told = begin(client, upstream).ask(Question(text="Are you? (scenario=system)", system=True), stream=stream)
    assert told.text == "Yes."


@each_upstream
@each_client
@both_ways
def test_one_tool_call_and_its_result(begin: Begin, client: str, upstream: str, *, stream: bool) -> None:
    talk = begin(client, upstream)
    told = talk.ask(Question(text="Weather in Lisbon? (scenario=one-call)", tools=True), stream=stream)
    assert told.text == "Let me look."
    assert told.calls == [("get_weather", {"city": "Lisbon"})]
    assert told.stop == end_of(client, "calls")
    assert talk.give_results(stream=stream).text == AFTER_RESULTS["one-call"].whole


@each_upstream
@each_client
@both_ways
def test_parallel_tool_calls_and_their_results(begin: Begin, client: str, upstream: str, *, stream: bool) -> None:
    talk = begin(client, upstream)
    told = talk.ask(Question(text="Lisbon and Porto? (scenario=two-calls)", tools=True), stream=stream)
    assert told.calls == [("get_weather", {"city": "Lisbon"}), ("get_weather", {"city": "Porto"})]
    assert talk.give_results(stream=stream).text == AFTER_RESULTS["two-calls"].whole


@each_upstream
@each_client
@both_ways
def test_a_tool_call_without_arguments(begin: Begin, client: str, upstream: str, *, stream: bool) -> None:
    talk = begin(client, upstream)
    told = talk.ask(Question(text="Which cities? (scenario=bare-call)", tools=True), stream=stream)
    assert told.calls == [("list_cities", {})]
    assert talk.give_results(stream=stream).text == AFTER_RESULTS["bare-call"].whole


@each_upstream
@each_client
def test_an_image(begin: Begin, client: str, upstream: str) -> None:
    told = begin(client, upstream).ask(Question(text="What is it? (scenario=image)", image=True), stream=False)
    assert told.text == "A red square."


@each_upstream
@each_client
def test_a_document(begin: Begin, client: str, upstream: str) -> None:
    told = begin(client, upstream).ask(Question(text="Sum up (scenario=document)", document=True), stream=False)
    assert told.text == "An empty document."


@each_upstream
@each_client
@both_ways
def test_structured_output(begin: Begin, client: str, upstream: str, *, stream: bool) -> None:
    told = begin(client, upstream).ask(Question(text="Weather? (scenario=structured)", schema=True), stream=stream)
    assert json.loads(told.text) == {"city": "Lisbon", "degrees": 24}


@each_upstream
@pytest.mark.parametrize("client", ["openai-chat", "anthropic", "boto3-converse", "boto3-invoke", "gemini"])
@both_ways
def test_a_stop_sequence(begin: Begin, client: str, upstream: str, *, stream: bool) -> None:
    told = begin(client, upstream).ask(Question(text="Count (scenario=stop)", stop=True), stream=stream)
    assert told.text == "one two "


@each_upstream
@each_client
@both_ways
def test_a_length_limit(begin: Begin, client: str, upstream: str, *, stream: bool) -> None:
    told = begin(client, upstream).ask(Question(text="Count (scenario=length)"), stream=stream)
    assert told.text == "one two three"
    assert told.stop == end_of(client, "length")


@each_upstream
@each_client
@both_ways
def test_cached_tokens_are_counted_as_each_client_counts(
    begin: Begin, client: str, upstream: str, *, stream: bool
) -> None:
    talk = begin(client, upstream)
    told = talk.ask(Question(text="Again (scenario=cached)"), stream=stream)
    assert told.cached == 1000
    assert told.prompt == (1200 if talk.cached_inside else 200)
    assert told.output == 5


@each_signing_upstream
@each_client
@both_ways
def test_a_proof_comes_back_through_a_foreign_client(begin: Begin, client: str, upstream: str, *, stream: bool) -> None:
    talk = begin(client, upstream)
    told = talk.ask(Question(text="Good day (scenario=reasoning)", think=True), stream=stream)
    assert told.text == "Good day."
    if client != "openai-chat":
        assert told.thought == "The user greets me."
    again = talk.ask(Question(text="And now?", think=True), stream=stream)
    if talk.echoes_proofs:
        assert again.text == "Still good."


@each_signing_upstream
@each_client
@both_ways
def test_a_proof_beside_a_tool_call(begin: Begin, client: str, upstream: str, *, stream: bool) -> None:
    talk = begin(client, upstream)
    question = Question(text="Weather in Lisbon? (scenario=reasoning-call)", think=True, tools=True)
    assert talk.ask(question, stream=stream).calls == [("get_weather", {"city": "Lisbon"})]
    assert talk.give_results(stream=stream).text == "Sunny."


@each_upstream
@pytest.mark.parametrize(
    "client", ["azure-chat", "azure-responses", "openai-bedrock", "anthropic-bedrock", "anthropic-vertex", "vertex"]
)
@both_ways
def test_a_variant_of_a_client_holds_a_whole_conversation(
    begin: Begin, client: str, upstream: str, *, stream: bool
) -> None:
    """Other paths and other keys; the language is that of the plain client, which has the tests above."""
    talk = begin(client, upstream)
    question = Question(text="Weather in Lisbon? (scenario=one-call)", tools=True, system=True, image=True)
    told = talk.ask(question, stream=stream)
    assert told.calls == [("get_weather", {"city": "Lisbon"})]
    assert talk.give_results(stream=stream).text == AFTER_RESULTS["one-call"].whole
