"""What is asked besides answers: embeddings, token counts, lists of models."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from google import genai
from google.genai import types
from google.oauth2.credentials import Credentials

from tests.sdk.conftest import Clients
from tests.upstreams import anthropic_messages, gemini
from tests.upstreams.gateway import UPSTREAMS, Gateway
from tests.upstreams.openai_chat import VECTOR

_MORE = """
[models."vectors-openai"]
targets = ["openai-chat/text-embedding-3-small"]
[models."vectors-gemini"]
targets = ["gemini-generate/gemini-embedding-001"]
"""
VECTORS = ["vectors-openai", "vectors-gemini"]


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    names = ["openai-chat", "gemini-generate"]
    gateway = Gateway(
        tmp_path_factory.mktemp("vectors"),
        more=_MORE,
        keys=False,
        upstreams={name: UPSTREAMS[name] for name in names},
    )
    gateway.start()
    yield gateway
    gateway.stop()
    assert gateway.problems() == []


@pytest.mark.parametrize("model", VECTORS)
def test_embeddings_by_openai(vectors: Gateway, model: str) -> None:
    """The package asks for base64 and unpacks it."""
    with openai.OpenAI(base_url=f"{vectors.url}/v1", api_key="x", max_retries=0) as client:
        answer = client.embeddings.create(model=model, input=["one", "two"])
        assert [row.embedding for row in answer.data] == [list(VECTOR), list(VECTOR)]
        floats = client.embeddings.create(model=model, input="one", encoding_format="float")
        assert floats.data[0].embedding == list(VECTOR)


@pytest.mark.parametrize("model", VECTORS)
def test_embeddings_by_azure(vectors: Gateway, model: str) -> None:
    with openai.AzureOpenAI(
        azure_endpoint=vectors.url, api_key="x", api_version="2025-04-01-preview", max_retries=0
    ) as client:
        assert client.embeddings.create(model=model, input="one").data[0].embedding == list(VECTOR)


@pytest.mark.parametrize("model", VECTORS)
def test_embeddings_by_google(vectors: Gateway, model: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = genai.Client(api_key="x", http_options=types.HttpOptions(base_url=vectors.url))
    texts = [types.Content(parts=[types.Part(text=text)]) for text in ("one", "two")]
    answer = client.models.embed_content(model=model, contents=texts)
    client.close()
    assert [row.values for row in answer.embeddings or []] == [list(VECTOR), list(VECTOR)]


@pytest.mark.parametrize("model", VECTORS)
def test_embeddings_by_vertex(vectors: Gateway, model: str) -> None:
    """By `embedContent` for a model that is called Gemini, by `predict` for any other."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = genai.Client(
            enterprise=True,
            project="p",
            location="europe-west4",
            credentials=Credentials(token="x"),
            http_options=types.HttpOptions(base_url=vectors.url),
        )
    texts = [types.Content(parts=[types.Part(text=text)]) for text in ("one", "two")]
    asked = types.EmbedContentConfig(output_dimensionality=3, task_type="RETRIEVAL_QUERY")
    for contents in (texts, texts[:1]):
        answer = client.models.embed_content(model=model, contents=contents, config=asked)
        assert [row.values for row in answer.embeddings or []] == [list(VECTOR)] * len(contents)
    client.close()


def test_tokens_counted_by_anthropic(gateway: Gateway, clients: Clients) -> None:
    for client in ("anthropic", "anthropic-vertex"):
        for upstream in ("anthropic-messages", "gemini-generate"):
            counted = clients[client].messages.count_tokens(
                model=upstream, messages=[{"role": "user", "content": "How many?"}]
            )
            assert counted.input_tokens == anthropic_messages.COUNTED == gemini.COUNTED


def test_tokens_counted_by_google(gateway: Gateway, clients: Clients) -> None:
    for upstream in ("anthropic-messages", "gemini-generate"):
        counted = clients["gemini"].models.count_tokens(model=upstream, contents="How many?")
        assert counted.total_tokens == gemini.COUNTED


def test_tokens_counted_by_bedrock(gateway: Gateway, clients: Clients) -> None:
    for upstream in ("anthropic-messages", "bedrock-converse", "gemini-generate"):
        asked = {"converse": {"messages": [{"role": "user", "content": [{"text": "How many?"}]}]}}
        assert clients["boto3"].count_tokens(modelId=upstream, input=asked)["inputTokens"] == gemini.COUNTED


def test_models_are_listed_in_each_clients_shape(gateway: Gateway, clients: Clients) -> None:
    names = set(gateway.upstreams)
    assert names <= {model.id for model in clients["openai"].models.list()}
    assert names <= {model.id for model in clients["anthropic"].models.list()}
    assert names <= {(model.name or "").removeprefix("models/") for model in clients["gemini"].models.list()}
    assert clients["openai"].models.retrieve("openai-chat").id == "openai-chat"
    assert clients["anthropic"].models.retrieve("openai-chat").id == "openai-chat"


def test_the_gateway_leaves_nothing_but_its_files(vectors: Gateway) -> None:
    assert {path.name for path in Path(vectors.folder).iterdir()} <= {
        "freehold.toml",
        "freehold.db",
        "freehold.db-shm",
        "freehold.db-wal",
        "spool",
    }
