"""Vertex AI as a provider: its paths and bodies, and tokens of a service account, behind one client of each kind."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.sdk.conftest import Clients, connect, conversation
from tests.sdk.questions import Question
from tests.upstreams import anthropic_messages, gemini, vertex
from tests.upstreams.gateway import Gateway, Upstream
from tests.upstreams.scenarios import AFTER_RESULTS
from tests.upstreams.server import Server

_ACCOUNT = f'provider = "vertex"\nbase_url = "{{url}}"\nproject = "{vertex.PROJECT}"\nlocation = "{vertex.LOCATION}"\n'
UPSTREAMS = {
    "vertex-gemini": Upstream(
        codec="gemini-generate", vendor=vertex.VertexGemini, target="gemini-2.5-pro", account=_ACCOUNT
    ),
    "vertex-anthropic": Upstream(
        codec="anthropic-messages", vendor=vertex.VertexAnthropic, target="claude-sonnet-4-5", account=_ACCOUNT
    ),
    "vertex-openai": Upstream(
        codec="openai-chat", vendor=vertex.VertexOpenAI, target="meta/llama-4-maverick", account=_ACCOUNT
    ),
}
"""One for each of the three languages that Vertex AI speaks."""


_MORE = """
[models.vectors]
targets = ["vertex-gemini/gemini-embedding-2"]
"""

each_upstream = pytest.mark.parametrize("upstream", UPSTREAMS)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("vertex")
    gateway = Gateway(folder, more=_MORE, upstreams=UPSTREAMS)
    gateway.start()
    tokens = Server(vertex.tokens)
    gateway.run(tokens.start())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(vertex.service_account(folder, tokens.port)))
        patch.setenv("NO_PROXY", "127.0.0.1")
        yield gateway
    gateway.run(tokens.stop())
    gateway.stop()


@pytest.fixture(scope="module")
def talking(cloud: Gateway) -> Iterator[Clients]:
    made = connect(cloud)
    yield made
    for client in made.values():
        client.close()


@pytest.fixture(autouse=True)
def nothing_that_vertex_refuses(cloud: Gateway) -> Iterator[None]:
    cloud.forget()
    yield
    assert cloud.problems() == []


@each_upstream
@pytest.mark.parametrize(
    "client",
    ["openai-chat", "openai-responses", "anthropic", "anthropic-vertex", "boto3-converse", "boto3-invoke", "vertex"],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_whole_conversation(talking: Clients, client: str, upstream: str, *, stream: bool) -> None:
    talk = conversation(talking, client, upstream)
    question = Question(text="Weather in Lisbon? (scenario=one-call)", tools=True, system=True, image=True)
    told = talk.ask(question, stream=stream)
    assert told.calls == [("get_weather", {"city": "Lisbon"})]
    assert talk.give_results(stream=stream).text == AFTER_RESULTS["one-call"].whole


@each_upstream
@pytest.mark.parametrize("client", ["openai-responses", "anthropic", "vertex"])
def test_structured_output(talking: Clients, client: str, upstream: str) -> None:
    told = conversation(talking, client, upstream).ask(
        Question(text="Weather? (scenario=structured)", schema=True), stream=False
    )
    assert json.loads(told.text) == {"city": "Lisbon", "degrees": 24}


@pytest.mark.parametrize("upstream", ["vertex-gemini", "vertex-anthropic"])
def test_tokens_are_counted(talking: Clients, upstream: str) -> None:
    messages = [{"role": "user", "content": "How many?"}]
    counted = talking["anthropic"].messages.count_tokens(model=upstream, messages=messages, system="Count.")
    assert counted.input_tokens == anthropic_messages.COUNTED == gemini.COUNTED
    assert talking["vertex"].models.count_tokens(model=upstream, contents="How many?").total_tokens == gemini.COUNTED


def test_one_text_is_embedded(talking: Clients) -> None:
    answer = talking["openai"].embeddings.create(model="vectors", input="one", dimensions=3)
    assert answer.data[0].embedding == gemini.VECTOR
