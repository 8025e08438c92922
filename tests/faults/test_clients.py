"""What goes wrong reaches each official client as an exception of its own, and never as a parser's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from botocore.exceptions import ClientError, EventStreamError
from google.genai import errors as google_errors

from tests.faults.conftest import target
from tests.faults.faults import FAULTS, Scene
from tests.sdk.conftest import Clients, connect
from tests.sdk.test_errors import send, stream
from tests.upstreams.gateway import Gateway

OWN = {
    "openai-chat": "openai-chat",
    "openai-responses": "openai-responses",
    "anthropic": "anthropic-messages",
    "boto3-converse": "bedrock-converse",
    "boto3-invoke": "bedrock-invoke",
    "gemini": "gemini-generate",
}
"""The vendor whose client it is, by the client's name: there the gateway passes bytes on."""

RAISED: dict[str, tuple[type[Exception], type[Exception]]] = {
    "openai-chat": (openai.InternalServerError, openai.APIError),
    "openai-responses": (openai.InternalServerError, openai.APIError),
    "anthropic": (anthropic.APIStatusError, anthropic.APIStatusError),
    "boto3-converse": (ClientError, EventStreamError),
    "boto3-invoke": (ClientError, EventStreamError),
    "gemini": (google_errors.ServerError, google_errors.APIError),
}
"""Instead of an answer, and in the middle of one."""


@pytest.fixture(scope="module")
def clients(running: Gateway) -> Iterator[Clients]:
    made = connect(running)
    yield made
    for client in made.values():
        client.close()


def make_ill(gateway: Gateway, name: str, vendor: str, *, streamed: bool) -> str:
    """The model to ask."""
    fault, emulator = FAULTS[name], gateway.emulators[f"sick-{vendor}"]
    if (play := fault.play) is not None:
        emulator.instead = lambda asked: play(Scene(emulator, asked, streamed=streamed))
    return target(fault.where, vendor)


@pytest.mark.parametrize("client", OWN)
@pytest.mark.parametrize("name", ["refused", "silent", "garbled", "page", "not-gzip"])
def test_instead_of_an_answer(gateway: Gateway, clients: Clients, client: str, name: str) -> None:
    model = make_ill(gateway, name, OWN[client], streamed=False)
    with pytest.raises(RAISED[client][0]):
        send(clients, client, model, "Hello")


@pytest.mark.parametrize("client", OWN)
@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.breaks])
def test_in_the_middle_of_an_answer(gateway: Gateway, clients: Clients, client: str, name: str) -> None:
    model = make_ill(gateway, name, OWN[client], streamed=True)
    told: list[Any] = []
    with pytest.raises(RAISED[client]):
        told.extend(stream(clients, client, model, "Hello"))
