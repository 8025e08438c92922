"""Which vendor judges a body: the form in which a codec writes it, and the judge of that form."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from freehold.protocols.codec import Operation
from tests.vendors import anthropic_types, bedrock_types, google_types, manners, openai_types
from tests.vendors.deviations import genuine, problems
from tests.vendors.typed import Problem

Judge = Callable[[Any], list[Problem]]

_FORM_OF_CODEC = {
    "openai-chat": "chat",
    "openai-responses": "responses",
    "openai-embeddings": "embeddings",
    "anthropic-messages": "messages",
    "gemini-generate": "gemini",
    "bedrock-converse": "converse",
}

_MANNERS: Mapping[str, Judge] = {
    "chat": manners.chat,
    "responses": manners.responses,
    "messages": manners.anthropic,
    "converse": manners.converse,
    "gemini": manners.gemini,
}

_REQUESTS: Mapping[str, tuple[object, ...]] = {
    **openai_types.REQUESTS,
    **anthropic_types.REQUESTS,
    **google_types.REQUESTS,
}


def form_of_request(codec: str, body: bytes, operation: Operation) -> str:
    """The vendor's form of a request body, by codec; families are told apart by their members."""
    if codec == "azure-openai" and operation == "embed":
        return "embeddings"
    if codec in _FORM_OF_CODEC:
        return _FORM_OF_CODEC[codec]
    value = json.loads(body) if body else {}
    if codec == "azure-openai":
        return "chat" if "messages" in value else "responses"
    if "anthropic_version" in value:
        return "messages"
    if "inferenceConfig" in value or "schemaVersion" in value:
        return "nova"
    if "messages" not in value:
        return "prompt"
    content = value["messages"][0].get("content") if value["messages"] else None
    return "nova" if isinstance(content, list) and content and "type" not in content[0] else "chat"


def form_of_answer(codec: str, body: bytes) -> str:
    """The vendor's form of an answer, whole or streamed."""
    if codec in _FORM_OF_CODEC:
        return _FORM_OF_CODEC[codec]
    if codec == "azure-openai":
        if b'"embedding"' in body[:400]:
            return "embeddings"
        is_responses = b'"object":"response"' in body or b"event: response." in body
        return "responses" if is_responses else "chat"
    if body[:1] == b"\0":
        body = b"".join(_chunks(body)[:1])
    if b'"choices"' in body:
        return "prompt" if b'"text_completion"' in body else "chat"
    if b'"type":"message' in body:
        return "messages"
    return "nova" if b'"stopReason"' in body or b'"messageStart"' in body else "prompt"


def request_problems(codec: str, body: bytes, operation: Operation) -> list[Problem]:
    """A request, by the vendor's types and, where those are content, the API's manners."""
    value = json.loads(body) if body else {}
    if operation == "list":
        return []
    form = form_of_request(codec, body, operation)
    if operation != "generate":
        return _typed_request(form if form == "embeddings" else f"{form}-{operation}", codec, value)
    found = _typed_request(form, codec, value)
    return found or (_MANNERS[form](value) if form in _MANNERS else [])


def _typed_request(form: str, codec: str, value: dict[str, Any]) -> list[Problem]:
    """Nova's bodies and the bare prompts have no published types, and nothing to be judged by."""
    match form:
        case "converse":
            return genuine(bedrock_types.request_problems("Converse", value))
        case "converse-count":
            return genuine(bedrock_types.request_problems("CountTokens", value))
        case _ if form not in _REQUESTS:
            return []
        case _:
            pass
    if codec in {"azure-openai", "bedrock-invoke"}:
        # The path names the model.
        value = {"model": "", **{name: item for name, item in value.items() if name != "anthropic_version"}}
    return problems(value, *_REQUESTS[form])


def vertex_request_problems(body: bytes, operation: Operation) -> list[Problem]:
    """A request in Gemini's language as Vertex AI is sent it."""
    value = json.loads(body)
    form = "predict" if operation == "embed" and "instances" in value else operation
    return problems(value, *google_types.REQUESTS[f"vertex-{form}"])


def answer_problems(codec: str, body: bytes, operation: Operation) -> list[Problem]:
    """A complete answer."""
    value = json.loads(body)
    if operation == "list":
        return _listing_problems(codec, value)
    form = form_of_answer(codec, body)
    if operation == "count" or (operation == "embed" and form != "embeddings"):
        form = f"{form}-{operation}"
    if form in openai_types.ANSWERS:
        return openai_types.answer_problems(form, value)
    if form in anthropic_types.ANSWERS:
        return anthropic_types.answer_problems(form, value)
    if form in google_types.ANSWERS:
        return google_types.answer_problems(form, value)
    if form == "nova":
        return genuine(bedrock_types.answer_problems("Converse", {"metrics": {"latencyMs": 0}, **value}))
    if form.startswith("converse"):
        return genuine(bedrock_types.answer_problems("CountTokens" if operation == "count" else "Converse", value))
    return []


def _listing_problems(codec: str, value: dict[str, Any]) -> list[Problem]:
    rows = value.get("data", value.get("models"))
    rows = [value] if rows is None else rows
    if codec.startswith("bedrock"):
        return []
    types = {"anthropic-messages": anthropic_types, "gemini-generate": google_types}.get(codec, openai_types)
    return [found for row in rows for found in types.answer_problems("model", row)]


def error_problems(codec: str, body: bytes) -> list[Problem]:
    """An error body."""
    types = {
        "anthropic-messages": anthropic_types,
        "gemini-generate": google_types,
        "bedrock-converse": bedrock_types,
        "bedrock-invoke": bedrock_types,
    }
    return types.get(codec, openai_types).error_problems(json.loads(body))


def stream_problems(codec: str, body: bytes) -> list[Problem]:
    """A streamed answer."""
    if codec == "bedrock-invoke":
        return _invoke_stream_problems(body)
    match form_of_answer(codec, body):
        case "chat":
            return openai_types.chat_stream_problems(body)
        case "responses":
            return openai_types.responses_stream_problems(body)
        case "messages":
            return anthropic_types.stream_problems(body)
        case "gemini":
            return google_types.stream_problems(body)
        case _:
            return bedrock_types.stream_problems("ConverseStream", body)


def _invoke_stream_problems(body: bytes) -> list[Problem]:
    found = bedrock_types.stream_problems("InvokeModelWithResponseStream", body)
    last = bedrock_types.messages(body)[-1:]
    if last and last[0].headers.get(":message-type") != "event":
        return found  # an exception ends it, wherever the model's own events were
    chunks = [json.loads(chunk) for chunk in _chunks(body)]
    for chunk in chunks:
        chunk.pop("amazon-bedrock-invocationMetrics", None)
    if found or not chunks:
        return found
    if chunks[0].get("type") == "message_start":
        lines = [f"event: {chunk['type']}\ndata: {json.dumps(chunk)}\n\n" for chunk in chunks]
        return anthropic_types.stream_problems("".join(lines).encode())
    if chunks[0].get("object") == "chat.completion.chunk":
        # Models of this form give the metrics a chunk of their own.
        lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks if chunk]
        return openai_types.chat_stream_problems("".join([*lines, "data: [DONE]\n\n"]).encode())
    return []


def _chunks(body: bytes) -> list[bytes]:
    """What the chunks of an invoke stream hold."""
    return [
        base64.b64decode(json.loads(message.payload)["bytes"])
        for message in bedrock_types.messages(body)
        if message.headers.get(":event-type") == "chunk"
    ]
