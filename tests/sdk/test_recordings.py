"""Recorded answers through the gateway: a foreign client hears what the vendor's own client hears without it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from tests.sdk.conftest import Begin
from tests.sdk.conversations import Chat, Messages, Responses
from tests.sdk.questions import Conversation, Question
from tests.upstreams.gateway import Gateway
from tests.upstreams.server import Reply, Server

_FOLDER = Path(__file__).parents[1] / "exchanges"
_FOREIGN = {
    "openai-chat": ["anthropic", "openai-responses", "boto3-converse", "gemini"],
    "openai-responses": ["anthropic", "openai-chat", "boto3-converse", "gemini"],
    "anthropic-messages": ["openai-chat", "openai-responses", "boto3-converse", "gemini"],
}
_PLAIN = frozenset(
    [
        "system",
        "multi_turn",
        "stream_usage",
        "tools",
        "tool_call",
        "parallel_tools",
        "reasoning",
        "reasoning_requested",
        "thinking_signature",
        "cache",
        "cache_hit",
        "stop",
        "tool_choice",
        "tool_result",
        "image",
        "pdf",
        "structured_output",
        "truncated",
    ]
)
"""What answers of every language can say; recordings that show anything else are the codecs' tests' business."""


def recordings() -> Iterator[Any]:
    for upstream in _FOREIGN:
        for path in sorted((_FOLDER / upstream).glob("*.json")):
            value = json.loads(path.read_bytes())
            request = value["request"]
            asked = request and request["path"].partition("?")[0] in {
                "/v1/chat/completions",
                "/v1/responses",
                "/v1/messages",
            }
            # `function_call`, from before there were tools: the gateway makes a tool call of it, the package does not.
            legacy = '"function_call":{"name"' in json.dumps(value["response"], separators=(",", ":")).replace("\\", "")
            # Who has no namespaces hears the whole name, `tools__search`; the package leaves it in two fields.
            spaced = '"namespace"' in json.dumps(value["response"]).replace("\\", "")
            if (
                asked
                and not (legacy or spaced)
                and value["response"]["status"] == 200
                and _PLAIN.issuperset(value["features"])
            ):
                yield pytest.param(upstream, value, id=f"{upstream}-{value['id']}")


def reply_of(recording: dict[str, Any]) -> Reply:
    response = recording["response"]
    headers = (("content-type", response["headers"].get("content-type", "application/json")),)
    if "body" in response:
        return Reply(headers=headers, body=json.dumps(response["body"]).encode())
    text = response.get("body_text")
    return Reply(headers=headers, body=text.encode() if text else base64.b64decode(response["body_base64"]))


@pytest.fixture(scope="module")
def direct(running: Gateway) -> Iterator[tuple[Server, list[Reply]]]:
    """The same answers without the gateway between."""
    now: list[Reply] = []
    server = Server(lambda _: now[0])
    running.run(server.start())
    yield server, now
    running.run(server.stop())


def natively(upstream: str, port: int) -> tuple[Conversation, openai.OpenAI | anthropic.Anthropic]:
    base = f"http://127.0.0.1:{port}"
    if upstream == "anthropic-messages":
        client = anthropic.Anthropic(base_url=base, api_key="x", max_retries=0)
        return Messages(client, "m"), client
    other = openai.OpenAI(base_url=f"{base}/v1", api_key="x", max_retries=0)
    return (Chat if upstream == "openai-chat" else Responses)(other, "m"), other


@pytest.mark.parametrize(("upstream", "recording"), list(recordings()))
def test_everybody_hears_the_same(
    begin: Begin, gateway: Gateway, direct: tuple[Server, list[Reply]], upstream: str, recording: dict[str, Any]
) -> None:
    reply = reply_of(recording)
    stream = bool(recording["stream"])
    server, now = direct
    now[:] = [reply]
    talk, client = natively(upstream, server.port)
    with client:
        wanted = talk.ask(Question(text="hi"), stream=stream)
    gateway.emulators[upstream].instead = lambda _: reply
    for foreign in _FOREIGN[upstream]:
        told = begin(foreign, upstream).ask(Question(text="hi"), stream=stream)
        assert told.text == wanted.text, foreign
        assert told.calls == wanted.calls, foreign
        assert told.output == wanted.output, foreign
