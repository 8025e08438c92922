"""Chat Completions as Azure serves them at deployments: another path, another key, filter results in between."""

from __future__ import annotations

import re
from typing import Any

from tests.upstreams.openai_chat import OpenAIChat, event
from tests.upstreams.openai_responses import OpenAIResponses
from tests.upstreams.scenarios import Fault, Heard, Said
from tests.upstreams.server import Asked, Reply
from tests.upstreams.validation import WrongRequestError

_SAFE: dict[str, Any] = {"hate": {"filtered": False, "severity": "safe"}}


class AzureOpenAI(OpenAIChat):
    """`POST /openai/deployments/{name}/chat/completions` and `/embeddings`, and `POST /openai/responses`."""

    key: tuple[str, str] = ("api-key", "azure-upstream")

    def __init__(self) -> None:
        self._responses = OpenAIResponses(path="/openai/responses")

    def read(self, asked: Asked) -> tuple[Heard, bool]:
        """Raises WrongRequestError for what Azure would refuse."""
        if not re.fullmatch(r"api-version=20\d\d-\d\d-\d\d(-preview)?", asked.query):
            raise WrongRequestError(f"api-version is missing or wrong: {asked.query}")
        if asked.path == "/openai/responses":
            return self._responses.read(asked)
        return super().read(asked)

    def operation(self, asked: Asked) -> str:
        found = re.fullmatch(r"/openai/deployments/gpt-4o/(chat/completions|embeddings)", asked.path)
        if found is None:
            raise WrongRequestError(f"DeploymentNotFound: {asked.path}")
        return "embed" if found[1] == "embeddings" else "generate"

    def whole(self, asked: Asked, said: Said) -> Reply:
        return (self._responses if asked.path == "/openai/responses" else super()).whole(asked, said)

    def pieces(self, asked: Asked, said: Said) -> list[bytes]:
        if asked.path == "/openai/responses":
            return self._responses.pieces(asked, said)
        first = event(
            {
                "choices": [],
                "created": 0,
                "id": "",
                "model": "",
                "object": "",
                "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": _SAFE}],
            }
        )
        return [first, *super().pieces(asked, said)]

    def broken_off(self, asked: Asked, fault: Fault) -> bytes:
        """An error within a stream that began well."""
        if asked.path == "/openai/responses":
            return self._responses.broken_off(asked, fault)
        return super().broken_off(asked, fault)
