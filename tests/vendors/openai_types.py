"""OpenAI's bodies, held against its OpenAPI description and the types and stream helpers of the `openai` package."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, cast

from openai._streaming import ServerSentEvent, SSEDecoder
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types import CreateEmbeddingResponse, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.completion_create_params import CompletionCreateParams
from openai.types.embedding_create_params import EmbeddingCreateParams
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.responses.input_token_count_params import InputTokenCountParams
from openai.types.responses.input_token_count_response import InputTokenCountResponse
from openai.types.responses.response_create_params import ResponseCreateParams

from tests.vendors.deviations import problems
from tests.vendors.published import Schema
from tests.vendors.typed import Problem


def _described(name: str) -> Schema:
    return Schema("openai-openapi", name)


REQUESTS: dict[str, tuple[object, ...]] = {
    "chat": (CompletionCreateParams, _described("CreateChatCompletionRequest")),
    "responses": (ResponseCreateParams, _described("CreateResponse")),
    "embeddings": (EmbeddingCreateParams, _described("CreateEmbeddingRequest")),
    "responses-count": (InputTokenCountParams, _described("TokenCountsBody")),
}
ANSWERS: dict[str, tuple[Any, Schema]] = {
    "chat": (ChatCompletion, _described("CreateChatCompletionResponse")),
    "responses": (Response, _described("Response")),
    "embeddings": (CreateEmbeddingResponse, _described("CreateEmbeddingResponse")),
    "responses-count": (InputTokenCountResponse, _described("TokenCountsResource")),
    "model": (Model, _described("Model")),
}
_CHUNK = (ChatCompletionChunk, _described("CreateChatCompletionStreamResponse"))
_EVENT = (ResponseStreamEvent, _described("ResponseStreamEvent"))
_ERROR = _described("ErrorResponse")


def answer_problems(form: str, body: object) -> list[Problem]:
    """A complete answer: every member known, and the model itself takes it."""
    model, schema = ANSWERS[form]
    found = problems(body, model, schema)
    if not found:
        model.model_validate(body)
    return found


def events(body: bytes) -> list[ServerSentEvent]:
    """The events as the official client reads them."""
    return list(SSEDecoder().iter_bytes(iter([body])))


def error_problems(body: object) -> list[Problem]:
    """An error body, as OpenAI describes it."""
    return problems(body, _ERROR)


def chat_stream_problems(body: bytes) -> list[Problem]:
    """A stream of chunks: each one typed, `[DONE]` at the end, and the SDK's own accumulator takes them all."""
    found: list[Problem] = []
    state = ChatCompletionStreamState()
    data = [event.data for event in events(body)]
    if not data:
        return [Problem("$", "the stream is empty")]
    broke = False
    for number, text in enumerate(data):
        if text == "[DONE]":
            found += [] if number == len(data) - 1 else [Problem(f"#{number}", "[DONE] is not the end")]
            break
        chunk = json.loads(text)
        if "error" in chunk:
            found += error_problems(chunk)
            broke = True
            continue
        wrong = problems(chunk, *_CHUNK)
        found += wrong
        if not wrong:
            state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    if data[-1] != "[DONE]" and not broke:
        found.append(Problem("$", "[DONE] is missing"))
    if not found and not broke:
        whole = cast("dict[str, object]", json.loads(state.current_completion_snapshot.to_json()))
        found += _finished(whole)
    return found


def _finished(whole: dict[str, object]) -> list[Problem]:
    """Every choice says why it stopped, and calls for tools whenever it holds some."""
    found: list[Problem] = []
    for choice in cast("Iterable[dict[str, Any]]", whole["choices"]):
        calls = choice["message"].get("tool_calls")
        if choice["finish_reason"] is None:
            found.append(Problem("$.choices", "a choice never finished"))
        elif calls and choice["finish_reason"] not in {"tool_calls", "length", "content_filter"}:
            found.append(Problem("$.choices", f"calls tools and finishes with {choice['finish_reason']}"))
    return found


def responses_stream_problems(body: bytes) -> list[Problem]:
    """A stream of Responses events: each one typed, numbered without a gap, ended by one that says so."""
    found: list[Problem] = []
    seen = events(body)
    if not seen:
        return [Problem("$", "the stream is empty")]
    kinds: list[str] = []
    for number, event in enumerate(seen):
        value = json.loads(event.data)
        kinds.append(value.get("type", ""))
        if event.event != value.get("type"):
            found.append(Problem(f"#{number}", f"event {event.event} is typed {value.get('type')}"))
        if value.get("sequence_number") != number:
            found.append(Problem(f"#{number}.sequence_number", f"{value.get('sequence_number')} is not {number}"))
        found += problems(value, *_EVENT)
    ends = {"response.completed", "response.incomplete", "response.failed", "error"}
    # A failure is told twice: by the event that makes clients raise, and by the one that ends the response.
    if kinds[-1] not in ends or any(kind in ends for kind in kinds[:-1] if kinds[-2:] != ["error", "response.failed"]):
        found.append(Problem("$", f"ends with {kinds[-3:]}"))
    return found
