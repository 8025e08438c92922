"""The emulated upstreams, where OpenAI's Responses takes what its published types leave out and the API does not."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from tests.upstreams.azure_openai import AzureOpenAI
from tests.upstreams.gateway import SPOKEN, UPSTREAMS, Upstream
from tests.upstreams.openai_responses import OpenAIResponses
from tests.upstreams.scenarios import Heard
from tests.upstreams.server import Asked
from tests.upstreams.validation import as_object


def upstreams() -> dict[str, Upstream]:
    """Those whose language the gateway speaks."""
    lenient = {"openai-responses": _Responses, "azure-openai": _Azure}
    return {
        name: msgspec.structs.replace(UPSTREAMS[name], vendor=lenient.get(name, UPSTREAMS[name].vendor))
        for name in SPOKEN
    }


class _Responses(OpenAIResponses):
    def read(self, asked: Asked) -> tuple[Heard, bool]:
        return super().read(_spelled_out(asked))


class _Azure(AzureOpenAI):
    def read(self, asked: Asked) -> tuple[Heard, bool]:
        return super().read(_spelled_out(asked) if asked.path == "/openai/responses" else asked)


def _spelled_out(asked: Asked) -> Asked:
    """The AI SDK says earlier answers without the `type`, `status`, `annotations` and `logprobs` that are demanded."""
    body = as_object(asked.body)
    items: list[dict[str, Any]] = body["input"] if isinstance(body["input"], list) else []
    for item in items:
        if item.get("role") == "assistant" and "type" not in item and isinstance(item["content"], list):
            item |= {"type": "message", "status": "completed"}
            for part in item["content"]:
                part.setdefault("annotations", [])
                part.setdefault("logprobs", [])
    return msgspec.structs.replace(asked, body=json.dumps(body).encode())
