"""The emulated upstreams for coding agents: strict towards translations, tolerant towards an agent's own language.

What an agent says in its own language travels unread. It holds betas and fields that the vendor takes and the types in
its package do not list, so the emulators in `TOLERANT` look at what they need and check nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest

from tests.agents.worker import Worker
from tests.upstreams import anthropic_messages, azure_openai, bedrock, gemini, openai_chat, openai_responses
from tests.upstreams.gateway import SPOKEN, UPSTREAMS, Upstream
from tests.upstreams.scenarios import Heard
from tests.upstreams.server import Asked
from tests.upstreams.validation import as_object

AS_IT_IS = "-as-it-is"


class _Messages(anthropic_messages.AnthropicMessages):
    own_headers = anthropic_messages.AnthropicMessages.own_headers | {
        "anthropic-dangerous-direct-browser-access",
        "x-app",
    }

    def read(self, asked: Asked) -> tuple[Heard, bool]:
        body = as_object(asked.body)
        return anthropic_messages.hear(_without_systems(body)), body.get("stream") is True


class _Responses(openai_responses.OpenAIResponses):
    def read(self, asked: Asked) -> tuple[Heard, bool]:
        body = as_object(asked.body)
        return openai_responses.hear(body), body.get("stream") is True


class _Azure(azure_openai.AzureOpenAI):
    def read(self, asked: Asked) -> tuple[Heard, bool]:
        body = as_object(asked.body)
        return openai_responses.hear(body), body.get("stream") is True


class _Gemini(gemini.Gemini):
    def read(self, asked: Asked) -> tuple[Heard, bool]:
        return gemini.hear(as_object(asked.body)), self.verb(asked).startswith("stream")


class _Invoke(bedrock.BedrockInvoke):
    own_headers = bedrock.BedrockInvoke.own_headers | {"anthropic-version", "anthropic-beta"}

    def read(self, asked: Asked) -> tuple[Heard, bool]:
        return anthropic_messages.hear(_without_systems(as_object(asked.body))), asked.path.endswith("stream")


def _without_systems(body: Mapping[str, Any]) -> dict[str, Any]:
    """Claude Code says `system` among the messages; the emulator's order of turns knows two roles."""
    return {**body, "messages": [message for message in body["messages"] if message["role"] != "system"]}


TOLERANT: dict[str, type] = {
    "anthropic-messages": _Messages,
    "openai-responses": _Responses,
    "azure-openai": _Azure,
    "gemini-generate": _Gemini,
    "bedrock-invoke": _Invoke,
}


def upstreams() -> dict[str, Upstream]:
    """Every upstream whose language the gateway speaks, and the tolerant ones under names of their own."""
    strict = {name: UPSTREAMS[name] for name in SPOKEN}
    tolerant = {
        f"{name}{AS_IT_IS}": msgspec.structs.replace(
            UPSTREAMS[name], vendor=vendor, target=UPSTREAMS[name].target.partition("@")[0] + f"@{name}"
        )
        for name, vendor in TOLERANT.items()
    }
    return {**strict, **tolerant}


def number_calls(patch: pytest.MonkeyPatch, worker: Worker) -> None:
    """Give calls of different turns different ids: agents take the same id for the same call."""
    for module in (anthropic_messages, bedrock, openai_chat):
        made: Callable[[int], str] = module.call_id
        patch.setattr(module, "call_id", lambda index, made=made: f"{made(index)}{len(worker.turns)}")
