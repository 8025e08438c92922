"""A gateway with two upstreams behind one name, and plain HTTP to speak with it."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
import pytest

from tests.upstreams.gateway import UPSTREAMS, Gateway

MORE = """
[accounts.dead]
provider = "openai"
base_url = "http://127.0.0.1:{dead}/v1"
api_key = "sk-dead"
[models.both]
targets = ["openai-chat/gpt-4o@openai-chat", "anthropic-messages/claude-sonnet-4-5"]
[models.claude-first]
targets = ["anthropic-messages/claude-sonnet-4-5", "openai-chat/gpt-4o@openai-chat"]
[models.from-dead]
targets = ["dead/gpt-4o@openai-chat", "anthropic-messages/claude-sonnet-4-5"]
[accounts.patient]
provider = "openai"
base_url = "http://127.0.0.1:{openai_chat}/v1"
api_key = "sk-upstream-openai"
[models.raced]
targets = ["patient/gpt-4o@openai-chat", "anthropic-messages/claude-sonnet-4-5"]
strategy = "hedged"
hedge = {{ after = 0.05, extra_cost = 1.0 }}
[models.checked]
targets = ["openai-chat/gpt-4o@openai-chat", "anthropic-messages/claude-sonnet-4-5"]
strategy = "cascade"
[limits]
body = 65536
drain_timeout = 5.0
"""
GOING_ON = """
[models.going-on]
targets = ["openai-chat/gpt-4o@openai-chat", "anthropic-messages/claude-sonnet-4-5"]
continue = "text"
[models.going-on-from-claude]
targets = ["anthropic-messages/claude-sonnet-4-5", "openai-chat/gpt-4o@openai-chat"]
continue = "text"
[models.going-on-twice]
targets = [
    "openai-chat/gpt-4o@openai-chat", "anthropic-messages/claude-sonnet-4-5", "gemini-generate/gemini-2.5-pro",
]
continue = "text"
[models.going-on-in-words]
targets = ["openai-chat/gpt-4o@openai-chat", "gemini-generate/gemini-2.5-pro"]
continue = "text"
[models.brisk]
targets = ["openai-chat/gpt-4o@openai-chat", "anthropic-messages/claude-sonnet-4-5"]
continue = "text"
speed_floor = 50
speed_window = 0.4
[models.brisk-alone]
targets = ["openai-chat/gpt-4o@openai-chat", "anthropic-messages/claude-sonnet-4-5"]
speed_floor = 50
speed_window = 0.4
"""
PLANTED = "sk-planted-secret-000111222333"
"""Stands in every credential and prompt that a test wants to find nowhere else."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 -- whatever the protocol answers
        return json.loads(self.body)


Post = Callable[..., Answer]


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as link:
        link.bind(("127.0.0.1", 0))
        return link.getsockname()[1]


def request(
    gateway: Gateway, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """One exchange on a connection of its own."""
    connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=20)
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(status=answer.status, headers=names, body=answer.read())
    finally:
        connection.close()


def chat(model: str, text: str = "Hello (scenario=text)", **fields: object) -> bytes:
    return json.dumps({"model": model, "messages": [{"role": "user", "content": text}], **fields}).encode()


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Keyless, as on a newcomer's machine."""
    quick = msgspec.structs.replace(
        UPSTREAMS["openai-chat"],
        account=UPSTREAMS["openai-chat"].account + "\ntimeouts = {{ first_byte = 0.3, idle = 0.3 }}",
    )
    others = ("openai-responses", "anthropic-messages", "gemini-generate", "bedrock-converse", "azure-openai")
    upstreams = {"openai-chat": quick, **{name: UPSTREAMS[name] for name in others}}
    more = GOING_ON + MORE.replace("{dead}", str(closed_port()))
    gateway = Gateway(tmp_path_factory.mktemp("gateway"), keys=False, more=more, upstreams=upstreams)
    gateway.start()
    yield gateway
    gateway.stop()


@pytest.fixture
def gateway(running: Gateway) -> Iterator[Gateway]:
    """Upstreams as if nothing had been asked yet; afterwards none may have got a request it would refuse."""
    running.forget()
    yield running
    assert running.problems() == []


@pytest.fixture
def post(gateway: Gateway) -> Post:
    """POST to the chat path, or to another."""

    def send(body: bytes, path: str = "/v1/chat/completions", **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return request(gateway, "POST", path, body, {"content-type": "application/json", **named})

    return send
