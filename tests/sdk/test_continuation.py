"""Streams that break in the middle and are gone on with elsewhere, as every official client reads them."""

from __future__ import annotations

import itertools
import time

import pytest

from tests.sdk.conftest import Begin
from tests.sdk.questions import Question
from tests.sdk.test_conversations import each_client, end_of
from tests.upstreams.gateway import SPOKEN, Gateway
from tests.upstreams.resuming import breaking, honouring, last_role
from tests.upstreams.scenarios import LISBON, Said

PIECES = (
    "Once upon",
    " a time,",
    " na Lisboa,",
    " um é",
    "vora 🌞 said ",
    "ha ha ha",
    " ha, and la",
    "ughed.\n\n",
    " The end.",
)
STORY = Said(text=PIECES, prompt=31, output=17)
PAIRS = [pair for pair in itertools.product(SPOKEN, SPOKEN) if pair[0] != pair[1]]
each_pair = pytest.mark.parametrize(("first", "second"), PAIRS, ids=["+".join(pair) for pair in PAIRS])
CLAUDE = {"anthropic-messages", "bedrock-converse", "bedrock-invoke"}


@each_pair
@each_client
def test_nothing_is_said_twice_and_nothing_is_lost(
    begin: Begin, gateway: Gateway, client: str, first: str, second: str
) -> None:
    for one in gateway.emulators[first], gateway.emulators[second]:
        one.instead = honouring(one, STORY)
    gateway.emulators[first].instead = breaking(gateway.emulators[first], STORY, PIECES[5])
    before = len(gateway.records())
    told = begin(client, f"{first}+{second}").ask(Question(text="Tell me a story"), stream=True)
    assert told.text == STORY.whole
    assert told.stop == end_of(client, "end")
    while len(gateway.records()) == before:
        time.sleep(0.005)  # some clients read no further than their protocol's own end
    record = gateway.records()[-1]
    one, other = record.attempts
    assert (record.outcome, one.target.split("/")[0], other.target.split("/")[0]) == ("ok", first, second)
    assert one.usage is not None
    assert other.usage is not None
    assert record.usage is not None
    assert other.usage.input_tokens == 31
    assert told.prompt == record.usage.input_tokens == (one.usage.input_tokens or 0) + 31
    assert told.output == record.usage.output_tokens == (one.usage.output_tokens or 0) + 17
    assert other.seam is not None
    assert other.seam.after == len("".join(PIECES[:6]))
    assert other.seam.how == ("prefill" if second in CLAUDE else "instruction")
    [asked] = gateway.emulators[second].asked
    assert (last_role(asked.body) == "user") == (other.seam.how == "instruction")


@pytest.mark.parametrize("broken", range(1, len(PIECES)))
@each_client
def test_wherever_it_breaks(begin: Begin, gateway: Gateway, client: str, broken: int) -> None:
    first, second = gateway.emulators["openai-chat"], gateway.emulators["anthropic-messages"]
    first.instead = breaking(first, STORY, PIECES[broken - 1])
    second.instead = honouring(second, STORY)
    assert begin(client, "openai-chat+anthropic-messages").ask(Question(text="Go"), stream=True).text == STORY.whole


@each_pair
@each_client
def test_a_call_that_was_cut_off_begins_again(
    begin: Begin, gateway: Gateway, client: str, first: str, second: str
) -> None:
    """Its first half never reached the client, so that there is one call, and it is whole."""
    calling = Said(text=("Let me", " look."), calls=(LISBON,), stop="calls")
    one, other = gateway.emulators[first], gateway.emulators[second]
    one.instead = breaking(one, calling, " look." if first.startswith("gemini") else LISBON.pieces[0])
    other.instead = honouring(other, calling)
    talk = begin(client, f"{first}+{second}")
    told = talk.ask(Question(text="Weather in Lisbon? (scenario=one-call)", tools=True), stream=True)
    assert told.text == calling.whole
    assert told.calls == [("get_weather", {"city": "Lisbon"})]
    assert told.stop == end_of(client, "calls")
    one.instead = other.instead = None
    assert talk.give_results(stream=True).text
