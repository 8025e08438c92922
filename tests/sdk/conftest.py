"""A gateway with its upstreams for the whole run, and each official client pointed at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import anthropic
import openai
import pytest

from tests.sdk.conversations import Chat, Conversation, Messages, Responses
from tests.upstreams.gateway import Gateway

Converse = Callable[[str, str], Conversation]


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("gateway"))
    gateway.start()
    yield gateway
    gateway.stop()


@pytest.fixture
def gateway(running: Gateway) -> Iterator[Gateway]:
    """The gateway; afterwards no upstream may have seen a request that its vendor would refuse."""
    running.forget()
    yield running
    assert running.problems() == []


@pytest.fixture(scope="session")
def clients(running: Gateway) -> Iterator[dict[str, object]]:
    """One client of each kind, kept for the run: making them costs more than using them."""
    bearer, _ = running.mint()
    made = {
        "openai": openai.OpenAI(base_url=f"{running.url}/v1", api_key=bearer, max_retries=0),
        "anthropic": anthropic.Anthropic(base_url=running.url, api_key=bearer, max_retries=0),
    }
    yield made
    for client in made.values():
        client.close()


@pytest.fixture
def converse(gateway: Gateway, clients: dict[str, object]) -> Converse:
    """A conversation of a named client with a named model."""

    def begin(client: str, model: str) -> Conversation:
        match client:
            case "openai-chat":
                return Chat(clients["openai"], model)
            case "openai-responses":
                return Responses(clients["openai"], model)
            case "anthropic-messages":
                return Messages(clients["anthropic"], model)
            case _:
                raise AssertionError(client)

    return begin
