"""Vertex AI: other paths and another key than the vendors' own, and tokens for the assertion of a service account."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.genai import types
from pydantic import BaseModel

from tests.upstreams import anthropic_messages
from tests.upstreams.anthropic_messages import AnthropicMessages
from tests.upstreams.gemini import CLOSED, KINDS, Gemini
from tests.upstreams.openai_chat import OpenAIChat
from tests.upstreams.scenarios import Heard
from tests.upstreams.server import Asked, Reply
from tests.upstreams.validation import WrongRequestError, as_object
from tests.vendors.published import Schema

PROJECT = "upstream-project"
LOCATION = "europe-west4"
TOKEN = "ya29.upstream"
_PLACE = f"/projects/{PROJECT}/locations/{LOCATION}"
_KEY = ("authorization", f"Bearer {TOKEN}")


class _Count(BaseModel):
    """The body of countTokens, of more than contents: here no whole request is wrapped."""

    model_config = CLOSED

    model: str | None = None
    contents: list[types.Content] | None = None
    system_instruction: types.Content | None = None
    tools: list[types.Tool] | None = None
    generation_config: types.GenerationConfig | None = None


class _Embed(BaseModel):
    """The body of embedContent: the options stand in an object of their own."""

    model_config = CLOSED

    content: types.Content
    embed_content_config: types.EmbedContentConfig | None = None


class VertexGemini(Gemini):
    """`POST /v1beta1/projects/{p}/locations/{l}/publishers/google/models/{model}:{verb}`."""

    key: tuple[str, str] = _KEY
    kinds: Mapping[str, type[BaseModel]] = {
        "countTokens": _Count,
        "embedContent": _Embed,
        **{verb: KINDS[verb] for verb in ("generateContent", "streamGenerateContent")},
    }
    path = rf"/v1beta1{_PLACE}/publishers/google/(?P<model>models/[^/:]+):(?P<verb>\w+)"
    schemas: Mapping[str, Schema] = {
        "generateContent": Schema("google-aiplatform-v1", "GenerateContentRequest"),
        "streamGenerateContent": Schema("google-aiplatform-v1", "GenerateContentRequest"),
        "countTokens": Schema("google-aiplatform-v1", "CountTokensRequest"),
        "embedContent": Schema("google-aiplatform-v1", "EmbedContentRequest"),
    }


class VertexAnthropic(AnthropicMessages):
    """`POST …/publishers/anthropic/models/{model}:rawPredict`, `:streamRawPredict` and `count-tokens:rawPredict`."""

    key: tuple[str, str] = _KEY
    # The header says nothing here, and is let through: the version stands in the body.
    own_headers: frozenset[str] = frozenset({"anthropic-version", "anthropic-beta"})

    def read(self, asked: Asked) -> tuple[Heard, bool]:
        """Raises WrongRequestError for what Vertex AI or Claude there would refuse."""
        body = as_object(asked.body)
        version = body.pop("anthropic_version", None)
        if version != "vertex-2023-10-16":
            raise WrongRequestError(f"anthropic_version: {version!r} is not vertex-2023-10-16")
        counts = self.operation(asked) == "count"
        if counts != ("model" in body):
            raise WrongRequestError("the model stands in the path; only a count names it in the body")
        if not counts:
            stream = asked.path.endswith(":streamRawPredict")
            if (body.get("stream") is True) != stream:
                raise WrongRequestError(f"stream is {body.get('stream')} at {asked.path}")
            anthropic_messages.check_message({**body, "model": "claude-sonnet-4-5"})
            return anthropic_messages.hear(body), stream
        anthropic_messages.check_count(body)
        return anthropic_messages.hear(body), False

    def operation(self, asked: Asked) -> str:
        found = re.fullmatch(rf"/v1{_PLACE}/publishers/anthropic/models/([^/:]+):(?:streamR|r)awPredict", asked.path)
        if found is None:
            raise WrongRequestError(f"Vertex AI serves nothing at {asked.path}")
        return "count" if found[1] == "count-tokens" else "generate"


class VertexOpenAI(OpenAIChat):
    """`POST /v1/projects/{p}/locations/{l}/endpoints/openapi/chat/completions`."""

    key: tuple[str, str] = _KEY

    def operation(self, asked: Asked) -> str:
        if asked.path != f"/v1{_PLACE}/endpoints/openapi/chat/completions":
            raise WrongRequestError(f"Vertex AI serves nothing at {asked.path}")
        return "generate"


def tokens(asked: Asked) -> Reply:
    """What Google's token endpoint says to an assertion of a service account."""
    asks = parse_qs(asked.body.decode())
    if asks.get("grant_type") != ["urn:ietf:params:oauth:grant-type:jwt-bearer"] or "assertion" not in asks:
        return Reply(status=400, body=b'{"error":"invalid_grant"}')
    value: dict[str, Any] = {"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"}
    return Reply(body=json.dumps(value).encode())


def service_account(folder: Path, port: int) -> Path:
    """The file of a service account whose tokens come from a port of this machine."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    path = folder / "service-account.json"
    value = {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": "1",
        "private_key": text,
        "client_email": f"freehold@{PROJECT}.example",
        "client_id": "1",
        "token_uri": f"http://127.0.0.1:{port}/token",
    }
    path.write_text(json.dumps(value))
    return path
