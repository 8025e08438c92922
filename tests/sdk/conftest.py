"""A gateway with its upstreams for the whole run, and each official client pointed at it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import anthropic
import boto3
import openai
import pytest
from anthropic.lib.bedrock import AnthropicBedrock
from anthropic.lib.vertex import AnthropicVertex
from botocore.config import Config
from google import genai
from google.genai import types
from google.oauth2.credentials import Credentials
from openai.providers import bedrock

from tests.sdk.amazon import Converse, Invoke
from tests.sdk.conversations import Chat, Messages, Responses
from tests.sdk.google import GenerateContent
from tests.sdk.questions import Conversation
from tests.upstreams.gateway import SPOKEN, UPSTREAMS, Gateway

Begin: TypeAlias = Callable[[str, str], Conversation]
Clients: TypeAlias = dict[str, Any]
"""Official clients by name; each test knows which kind it asks for."""


CONTINUED = "\n".join(
    f'[models."{first}+{second}"]\ncontinue = "text"\n'
    f'targets = ["{first}/{UPSTREAMS[first].target}", "{second}/{UPSTREAMS[second].target}"]'
    for first in SPOKEN
    for second in SPOKEN
    if first != second
)
"""Models whose second target goes on where the first breaks off."""


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("gateway"), more=CONTINUED)
    gateway.start()
    yield gateway
    gateway.stop()


@pytest.fixture
def gateway(running: Gateway) -> Iterator[Gateway]:
    """The gateway; afterwards no upstream may have seen a request that its vendor would refuse."""
    running.forget()
    yield running
    assert running.problems() == []


def amazon(url: str, key: str, secret: str) -> Any:  # noqa: ANN401 -- boto3 makes its clients at run time
    return boto3.client(
        "bedrock-runtime",
        endpoint_url=url,
        region_name="eu-central-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )


def connect(gateway: Gateway) -> Clients:
    """One client of each kind."""
    bearer, _ = gateway.mint()
    access_key, secret = gateway.mint(aws=True)
    url = gateway.url
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # botocore and google-auth warn about this Python version
        made: Clients = {
            "openai": openai.OpenAI(base_url=f"{url}/v1", api_key=bearer, max_retries=0),
            "azure": openai.AzureOpenAI(
                azure_endpoint=url, api_key=bearer, api_version="2025-04-01-preview", max_retries=0
            ),
            "openai-bedrock": openai.OpenAI(
                provider=bedrock(
                    endpoint="mantle",
                    region="eu-central-1",
                    base_url=f"{url}/openai/v1",
                    access_key_id=access_key,
                    secret_access_key=secret,
                ),
                max_retries=0,
            ),
            "anthropic": anthropic.Anthropic(base_url=url, api_key=bearer, max_retries=0),
            "anthropic-bedrock": AnthropicBedrock(
                base_url=url,
                aws_access_key=access_key,
                aws_secret_key=secret,
                aws_region="eu-central-1",
                max_retries=0,
            ),
            "anthropic-vertex": AnthropicVertex(
                base_url=f"{url}/v1", access_token=bearer, project_id="p", region="europe-west4", max_retries=0
            ),
            "boto3": amazon(url, access_key, secret),
            "gemini": genai.Client(api_key=bearer, http_options=types.HttpOptions(base_url=url)),
            "vertex": genai.Client(
                enterprise=True,
                project="p",
                location="europe-west4",
                credentials=Credentials(token=bearer),
                http_options=types.HttpOptions(base_url=url),
            ),
        }
    return made


@pytest.fixture(scope="session")
def clients(running: Gateway) -> Iterator[Clients]:
    """One client of each kind, kept for the run: making them costs more than using them."""
    made = connect(running)
    yield made
    for client in made.values():
        client.close()


def conversation(clients: Clients, client: str, model: str) -> Conversation:
    match client:
        case "openai-chat":
            return Chat(clients["openai"], model)
        case "openai-responses":
            return Responses(clients["openai"], model)
        case "openai-bedrock":
            return Chat(clients["openai-bedrock"], model)
        case "azure-chat":
            return Chat(clients["azure"], model)
        case "azure-responses":
            return Responses(clients["azure"], model)
        case "anthropic" | "anthropic-bedrock" | "anthropic-vertex":
            return Messages(clients[client], model)
        case "boto3-converse":
            return Converse(clients["boto3"], model)
        case "boto3-invoke":
            return Invoke(clients["boto3"], model)
        case "gemini" | "vertex":
            return GenerateContent(clients[client], model)
        case _:
            raise AssertionError(client)


@pytest.fixture
def begin(gateway: Gateway, clients: Clients) -> Begin:
    """Begins a conversation of a named client with a named model."""
    return lambda client, model: conversation(clients, client, model)
