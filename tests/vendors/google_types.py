"""Gemini's bodies, held against the models of `google-genai`, their schemas, and Vertex AI's discovery document."""

from __future__ import annotations

import json
import re
from typing import Any, Required

from google.genai import types
from typing_extensions import TypedDict

from tests.vendors.deviations import problems
from tests.vendors.published import Schema
from tests.vendors.typed import Problem


class GenerateContentRequest(TypedDict, total=False):
    """The body of `:generateContent`, whose members the package types but not the whole."""

    model: str
    contents: Required[list[types.Content]]
    systemInstruction: types.Content
    tools: list[types.Tool]
    toolConfig: types.ToolConfig
    safetySettings: list[types.SafetySetting]
    generationConfig: types.GenerationConfig
    cachedContent: str
    labels: dict[str, str]


class CountTokensRequest(TypedDict, total=False):
    """The body of `:countTokens`: contents alone, or a whole request."""

    contents: list[types.Content]
    generateContentRequest: GenerateContentRequest


class EmbedContentRequest(TypedDict, total=False):
    """The body of `:embedContent`, and of each member of a batch."""

    model: str
    content: Required[types.Content]
    taskType: str
    title: str
    outputDimensionality: int


class BatchEmbedContentsRequest(TypedDict):
    """The body of `:batchEmbedContents`."""

    requests: list[EmbedContentRequest]


class EmbedContentResponse(TypedDict, total=False):
    """The answer of `:embedContent`; the package's model wraps it in a list."""

    embedding: Required[types.ContentEmbedding]
    usageMetadata: object


def _described(name: str) -> Schema:
    return Schema("google-genai", name)


def _on_vertex(name: str) -> Schema:
    return Schema("google-aiplatform-v1", name)


REQUESTS: dict[str, tuple[object, ...]] = {
    "gemini": (GenerateContentRequest, _described("GenerateContentRequest"), _on_vertex("GenerateContentRequest")),
    "gemini-count": (CountTokensRequest, _described("CountTokensRequest")),
    "gemini-embed": (EmbedContentRequest | BatchEmbedContentsRequest,),
    "vertex-generate": (GenerateContentRequest, _on_vertex("GenerateContentRequest")),
    "vertex-count": (_on_vertex("CountTokensRequest"),),
    "vertex-predict": (_on_vertex("PredictRequest"),),
    "vertex-embed": (EmbedContentRequest, _on_vertex("EmbedContentRequest")),
}
ANSWERS: dict[str, tuple[Any, ...]] = {
    "gemini": (
        types.GenerateContentResponse,
        _described("GenerateContentResponse"),
        _on_vertex("GenerateContentResponse"),
    ),
    "gemini-count": (types.CountTokensResponse, _described("CountTokensResponse"), _on_vertex("CountTokensResponse")),
    "gemini-embed": (EmbedContentResponse, _on_vertex("EmbedContentResponse")),
    "gemini-embed-batch": (types.EmbedContentResponse, _described("EmbedContentResponse")),
    "model": (types.Model, _described("Model")),
}


def answer_problems(form: str, body: object) -> list[Problem]:
    """A complete answer: every member known, and the model itself takes it."""
    if form == "gemini-embed" and isinstance(body, dict) and "embeddings" in body:
        form = "gemini-embed-batch"
    model, *schemas = ANSWERS[form]
    found = problems(body, model, *schemas)
    if not found and form in {"gemini", "gemini-count"}:
        model.model_validate(body)
    return found


def error_problems(body: object) -> list[Problem]:
    """Google's error: code, message and status."""
    error: Any = body[0] if isinstance(body, list) and body else body
    error = error.get("error") if isinstance(error, dict) else None
    if not isinstance(error, dict):
        return [Problem("$.error", f"{body!r:.80} is no error")]
    wanted = {"code": int, "message": str, "status": str}
    return [
        Problem(f"$.error.{name}", f"{error.get(name)!r} is no {kind.__name__}")
        for name, kind in wanted.items()
        if not isinstance(error.get(name), kind)
    ]


def stream_problems(body: bytes) -> list[Problem]:
    """Chunks, each a whole response; the last one with content says why it stopped."""
    chunks = _chunks(body)
    if not chunks:
        return [Problem("$", "the stream is empty")]
    found: list[Problem] = []
    finished = broke = False
    for chunk in chunks:
        if isinstance(chunk, dict) and "error" in chunk:
            broke = True
            found += error_problems(chunk)
            continue
        found += answer_problems("gemini", chunk)
        finished = finished or any("finishReason" in candidate for candidate in chunk.get("candidates", []))
        finished = finished or "blockReason" in chunk.get("promptFeedback", {})
    if not finished and not broke:
        found.append(Problem("$", "no chunk says why it stopped"))
    return found


def _chunks(body: bytes) -> list[Any]:
    if body.lstrip()[:1] in {b"[", b"{"}:
        value = json.loads(body)
        return value if isinstance(value, list) else [value]
    return [json.loads(data) for data in re.findall(rb"(?m)^data: ?(.*?)\r?$", body)]
