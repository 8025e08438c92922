"""generateContent as the Gemini API serves it, written by hand after recordings."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from google.genai import types
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from tests.upstreams.scenarios import MESSAGE, Fault, Heard, Said
from tests.upstreams.server import Asked, Reply
from tests.upstreams.validation import WrongRequestError, as_object, check
from tests.vendors.published import Schema

JSON = ("content-type", "application/json; charset=UTF-8")
SSE = ("content-type", "text/event-stream")
PROOF = "CiQBcsjaf+/+/HRoaXNpc25vdGFyZWFsc2lnbmF0dXJlKysvLz8/"
COUNTED = 2079
VECTOR = [0.125, -0.5, 0.25]

_STATUS: Mapping[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
CLOSED = ConfigDict(extra="forbid", alias_generator=to_camel)


class _Generate(BaseModel):
    """The body of generateContent, of the SDK's own parts; the SDK has no type for the whole."""

    model_config = CLOSED

    contents: list[types.Content]
    system_instruction: types.Content | None = None
    tools: list[types.Tool] | None = None
    tool_config: types.ToolConfig | None = None
    safety_settings: list[types.SafetySetting] | None = None
    generation_config: types.GenerationConfig | None = None
    cached_content: str | None = None
    labels: dict[str, str] | None = None
    service_tier: str | None = None


class Count(BaseModel):
    """The body of countTokens: contents alone, or a whole request."""

    model_config = CLOSED

    contents: list[types.Content] | None = None
    generate_content_request: dict[str, Any] | None = None


class _Embed(BaseModel):
    model_config = CLOSED

    model: str | None = None
    content: types.Content
    task_type: str | None = None
    title: str | None = None
    output_dimensionality: int | None = None


class _EmbedMany(BaseModel):
    model_config = CLOSED

    requests: list[_Embed]


KINDS: Mapping[str, type[BaseModel]] = {
    "generateContent": _Generate,
    "streamGenerateContent": _Generate,
    "countTokens": Count,
    "embedContent": _Embed,
    "batchEmbedContents": _EmbedMany,
}


class Gemini:
    """`POST /v1beta/models/{model}:{verb}`."""

    kinds: Mapping[str, type[BaseModel]] = KINDS
    path = r"/v1beta/(?P<model>models/[^/:]+):(?P<verb>\w+)"
    schemas: Mapping[str, Schema] = {
        "generateContent": Schema("google-genai", "GenerateContentRequest"),
        "streamGenerateContent": Schema("google-genai", "GenerateContentRequest"),
        "countTokens": Schema("google-genai", "CountTokensRequest"),
    }
    proof: str | None = PROOF
    key: tuple[str, str] = ("x-goog-api-key", "gemini-upstream")
    own_headers: frozenset[str] = frozenset()

    def read(self, asked: Asked) -> tuple[Heard, bool]:
        """Raises WrongRequestError for what Google would refuse."""
        verb = self.verb(asked)
        try:
            read = self.kinds[verb].model_validate_json(asked.body)
        except ValidationError as error:
            raise WrongRequestError(f"{verb}: {error}") from None
        if verb == "streamGenerateContent" and asked.query != "alt=sse":
            raise WrongRequestError(f"streams are asked for with alt=sse, not {asked.query!r}")
        for inner in known_models(as_object(asked.body)):
            if inner != self._called(asked)["model"]:
                raise WrongRequestError(f"the model in the body is {inner}, in the path {asked.path}")
        # Google reads camelCase and snake_case, and both alphabets of base64; from here on there is one of each.
        known = read.model_dump(mode="json", by_alias=True, exclude_none=True)
        if verb in self.schemas:
            check(known, self.schemas[verb])
        return (hear(known), verb.startswith("stream")) if "contents" in known else (Heard(), False)

    def verb(self, asked: Asked) -> str:
        return self._called(asked)["verb"]

    def _called(self, asked: Asked) -> re.Match[str]:
        found = re.fullmatch(self.path, asked.path)
        if found is None or found["verb"] not in self.kinds:
            raise WrongRequestError(f"Google serves nothing at {asked.path}")
        return found

    def whole(self, asked: Asked, said: Said) -> Reply:
        value: dict[str, Any]
        match self.verb(asked):
            case "countTokens":
                value = {"totalTokens": COUNTED}
            case "embedContent":
                value = {"embedding": {"values": VECTOR}}
            case "batchEmbedContents":
                value = {"embeddings": [{"values": VECTOR} for _ in as_object(asked.body)["requests"]]}
            case _:
                value = _answer(_parts(said), said, last=True)
        return Reply(headers=(JSON,), body=json.dumps(value, indent=2).encode())

    def pieces(self, asked: Asked, said: Said) -> list[bytes]:
        return [b"data: %b\r\n\r\n" % json.dumps(value).encode() for value in _chunks(said)]

    def refuse(self, fault: Fault) -> Reply:
        """Google has no 529 and says how long to wait in the body."""
        status = 503 if fault.status == 529 else fault.status
        return Reply(status=status, headers=(JSON,), body=json.dumps(_error(fault), indent=2).encode())

    def broken_off(self, asked: Asked, fault: Fault) -> bytes:
        return b"data: %b\r\n\r\n" % json.dumps(_error(fault)).encode()

    @property
    def stream_headers(self) -> tuple[tuple[str, str], ...]:
        return (SSE,)


def known_models(body: Mapping[str, Any]) -> list[str]:
    """The models that a batch, or a request to be counted, names besides the path."""
    inner = [*(body.get("requests") or []), body, body.get("generateContentRequest") or {}]
    return [request["model"] for request in inner if "model" in request]


def _error(fault: Fault) -> dict[str, Any]:
    status = 503 if fault.status == 529 else fault.status
    error: dict[str, Any] = {"code": status, "message": f"{MESSAGE} ({status})", "status": _STATUS[status]}
    if fault.retry_after is not None:
        delay = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{fault.retry_after}s"}
        error["details"] = [delay]
    return {"error": error}


def _parts(said: Said) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    if said.thought:
        parts.append({"text": "".join(said.thought), "thought": True})
    if said.text:
        parts.append({"text": said.whole})
    parts.extend(
        {"functionCall": {"name": call.name, "args": json.loads(call.arguments or "{}")}} for call in said.calls
    )
    if said.thought:
        parts[-1]["thoughtSignature"] = PROOF
    return parts


def _answer(parts: list[dict[str, Any]], said: Said, *, last: bool) -> dict[str, Any]:
    """A response or a chunk of one; Gemini says STOP for tool calls and stop sequences, too."""
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if last:
        candidate["finishReason"] = "MAX_TOKENS" if said.stop == "length" else "STOP"
    usage: dict[str, Any] = {
        "promptTokenCount": said.prompt,
        "candidatesTokenCount": said.output - said.reasoning,
        "totalTokenCount": said.prompt + said.output,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": said.prompt}],
    }
    if said.reasoning:
        usage["thoughtsTokenCount"] = said.reasoning
    if said.cached:
        usage["cachedContentTokenCount"] = said.cached
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": "gemini-2.5-pro",
        "responseId": "fe-8aMuPEPeqqtsPuY",
    }


def _chunks(said: Said) -> Iterator[dict[str, Any]]:
    for piece in said.thought:
        yield _answer([{"text": piece, "thought": True}], said, last=False)
    for piece in said.text:
        yield _answer([{"text": piece}], said, last=False)
    for number, call in enumerate(said.calls, start=1):
        part: dict[str, Any] = {"functionCall": {"name": call.name, "args": json.loads(call.arguments or "{}")}}
        if said.thought and number == len(said.calls):
            part["thoughtSignature"] = PROOF
        yield _answer([part], said, last=number == len(said.calls))
    if not said.calls:
        # Recorded: the signature of a text comes last, on an empty part of its own.
        part = {"text": "", "thoughtSignature": PROOF} if said.thought else {"text": ""}
        yield _answer([part], said, last=True)


def hear(body: Mapping[str, Any]) -> Heard:
    """What a request holds. Raises WrongRequestError where calls and responses do not fit."""
    settings = body.get("generationConfig") or {}
    heard = Heard(
        tools=[
            function["name"] for tool in body.get("tools") or [] for function in tool.get("functionDeclarations") or []
        ],
        stops=list(settings.get("stopSequences") or []),
        limit=settings.get("maxOutputTokens"),
    )
    heard.schema = settings.get("responseJsonSchema") or settings.get("responseSchema")
    if heard.schema is not None and settings.get("responseMimeType") != "application/json":
        raise WrongRequestError("a schema needs responseMimeType application/json")
    system = body.get("systemInstruction")
    if system:
        heard.systems.append("".join(part["text"] for part in system["parts"]))
    called: list[str] = []
    for content in body["contents"]:
        if content.get("role") not in {"user", "model", None}:
            raise WrongRequestError(f"the role must be user or model, not {content.get('role')}")
        if not content.get("parts"):
            raise WrongRequestError("contents.parts must not be empty")
        answered = [part["functionResponse"]["name"] for part in content["parts"] if "functionResponse" in part]
        if answered != called:
            raise WrongRequestError(f"function calls {called} must be answered in the next turn, not {answered}")
        called = [part["functionCall"]["name"] for part in content["parts"] if "functionCall" in part]
        for part in content["parts"]:
            _hear_part(part, heard)
    return heard


def _hear_part(part: Mapping[str, Any], heard: Heard) -> None:
    if "thoughtSignature" in part:
        heard.proofs.append(_standard(part["thoughtSignature"]))
    if "inlineData" in part:
        data = base64.b64decode(_standard(part["inlineData"]["data"]), validate=True)
        (heard.images if part["inlineData"]["mimeType"].startswith("image/") else heard.documents).append(data)
    if "functionCall" in part:
        heard.calls.append((part["functionCall"]["name"], json.dumps(part["functionCall"].get("args") or {})))
    if "functionResponse" in part:
        response = part["functionResponse"]
        heard.results.append((response["name"], json.dumps(response["response"])))


def _standard(text: str) -> str:
    """Base64 in the standard alphabet."""
    return text.translate(str.maketrans("-_", "+/"))
