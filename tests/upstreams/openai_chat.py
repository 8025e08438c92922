"""Chat Completions as OpenAI serves them, written by hand after recordings; Azure's deployments are a variation."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.upstreams.scenarios import MESSAGE, Fault, Heard, Said
from tests.upstreams.server import Asked, Reply
from tests.upstreams.validation import WrongRequestError, as_object, check
from tests.vendors import openai_types

JSON = ("content-type", "application/json")
SSE = ("content-type", "text/event-stream; charset=utf-8")
REQUEST_ID = "req_upstream_0123"
VECTOR = (0.125, -0.5, 0.25)

_ERRORS: Mapping[int, tuple[str, str | None]] = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
    500: ("server_error", None),
    503: ("server_error", None),
}


def event(value: object) -> bytes:
    return b"data: %b\n\n" % json.dumps(value, separators=(",", ":")).encode()


def error_value(fault: Fault) -> dict[str, Any]:
    status = 503 if fault.status == 529 else fault.status
    kind, code = _ERRORS[status]
    return {"error": {"message": f"{MESSAGE} ({status})", "type": kind, "param": None, "code": code}}


def refusal(fault: Fault) -> Reply:
    """An error by its status; OpenAI has no 529."""
    headers = [JSON, ("x-request-id", REQUEST_ID)]
    if fault.retry_after is not None:
        headers.append(("retry-after", str(fault.retry_after)))
    status = 503 if fault.status == 529 else fault.status
    return Reply(status=status, headers=tuple(headers), body=json.dumps(error_value(fault)).encode())


class OpenAIChat:
    """`POST /v1/chat/completions` and `/v1/embeddings`."""

    proof: str | None = None
    fingerprint: str = "fp_deacdd5f6f"
    key: tuple[str, str] = ("authorization", "Bearer sk-upstream-openai")
    own_headers: frozenset[str] = frozenset({"openai-beta"})

    def read(self, asked: Asked) -> tuple[Heard, bool]:
        """Raises WrongRequestError for what OpenAI would refuse."""
        body = as_object(asked.body)
        if self.operation(asked) == "embed":
            check(body, *openai_types.REQUESTS["embeddings"])
            return Heard(), False
        check(body, *openai_types.REQUESTS["chat"])
        return hear(body), body.get("stream") is True

    def operation(self, asked: Asked) -> str:
        match asked.path:
            case "/v1/chat/completions":
                return "generate"
            case "/v1/embeddings":
                return "embed"
            case _:
                raise WrongRequestError(f"OpenAI serves nothing at {asked.path}")

    def usage(self, said: Said) -> dict[str, Any]:
        return {
            "prompt_tokens": said.prompt,
            "completion_tokens": said.output,
            "total_tokens": said.prompt + said.output,
            "prompt_tokens_details": {"cached_tokens": said.cached, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": said.reasoning,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }

    def whole(self, asked: Asked, said: Said) -> Reply:
        if self.operation(asked) == "embed":
            return _embeddings(as_object(asked.body))
        message: dict[str, Any] = {
            "role": "assistant",
            "content": said.whole or None,
            "refusal": None,
            "annotations": [],
        }
        if said.calls:
            message["tool_calls"] = [
                {
                    "id": call_id(index),
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments or "{}"},
                }
                for index, call in enumerate(said.calls)
            ]
        value = {
            **self._head("chat.completion"),
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish(said)}],
            "usage": self.usage(said),
            "system_fingerprint": self.fingerprint,
        }
        headers = (JSON, ("x-request-id", REQUEST_ID), ("x-ratelimit-remaining-requests", "4999"))
        return Reply(headers=headers, body=json.dumps(value).encode())

    def pieces(self, asked: Asked, said: Said) -> list[bytes]:
        options = as_object(asked.body).get("stream_options") or {}
        counted = bool(options.get("include_usage"))
        return [*self._chunks(said, counted=counted), b"data: [DONE]\n\n"]

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": "chatcmpl-CoDWyp2E1BNu", "object": kind, "created": 1766084448, "model": "gpt-4o-2024-08-06"}

    def _chunks(self, said: Said, *, counted: bool) -> Iterator[bytes]:
        extra: dict[str, Any] = {"system_fingerprint": self.fingerprint}
        if counted:
            extra["usage"] = None

        def chunk(delta: dict[str, Any], reason: str | None = None) -> bytes:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
            return event({**self._head("chat.completion.chunk"), "choices": [choice], **extra})

        yield chunk({"role": "assistant", "content": "" if said.text else None, "refusal": None})
        for piece in said.text:
            yield chunk({"content": piece})
        for index, call in enumerate(said.calls):
            function = {"name": call.name, "arguments": ""}
            first = {"index": index, "id": call_id(index), "type": "function", "function": function}
            yield chunk({"tool_calls": [first]})
            for piece in call.pieces if call.arguments else ("{}",):
                yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
        yield chunk({}, finish(said))
        if counted:
            yield event({**self._head("chat.completion.chunk"), "choices": [], **extra, "usage": self.usage(said)})

    def refuse(self, fault: Fault) -> Reply:
        return refusal(fault)

    def broken_off(self, asked: Asked, fault: Fault) -> bytes:
        """An error within a stream that began well."""
        return event(error_value(fault))

    @property
    def stream_headers(self) -> tuple[tuple[str, str], ...]:
        return (SSE, ("x-request-id", REQUEST_ID))


def call_id(index: int) -> str:
    return f"call_Wq1ZtYb4uYQd{index}"


def finish(said: Said) -> str:
    return {"end": "stop", "calls": "tool_calls", "sequence": "stop", "length": "length"}[said.stop]


def hear(body: Mapping[str, Any]) -> Heard:
    """What a request holds. Raises WrongRequestError where OpenAI refuses the order of messages."""
    heard = Heard(
        tools=[tool["function"]["name"] for tool in body.get("tools") or [] if tool["type"] == "function"],
        stops=_stops(body.get("stop")),
        limit=body.get("max_completion_tokens") or body.get("max_tokens"),
    )
    shape = body.get("response_format") or {}
    if shape.get("type") == "json_schema":
        heard.schema = shape["json_schema"]["schema"]
    open_calls: set[str] = set()
    for message in body["messages"]:
        if message["role"] != "tool" and open_calls:
            raise WrongRequestError(f"tool calls {open_calls} have no results before the next message")
        match message["role"]:
            case "system" | "developer":
                heard.systems.append(_joined(message["content"]))
            case "tool":
                identity = message["tool_call_id"]
                if identity not in open_calls:
                    raise WrongRequestError(f"a result for {identity}, which was not called: {open_calls}")
                open_calls.discard(identity)
                heard.results.append((identity, _joined(message["content"])))
            case "assistant":
                for call in message.get("tool_calls") or []:
                    open_calls.add(call["id"])
                    heard.calls.append((call["id"], call["function"]["arguments"]))
                    json.loads(call["function"]["arguments"])
            case _:
                _hear_parts(message["content"], heard)
    if open_calls:
        raise WrongRequestError(f"tool calls {open_calls} have no results")
    return heard


def _stops(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return list(value) if isinstance(value, list) else []


def _joined(content: object) -> str:
    if isinstance(content, str):
        return content
    assert isinstance(content, list)
    return "".join(part["text"] for part in content)


def _hear_parts(content: str | Sequence[Mapping[str, Any]], heard: Heard) -> None:
    if isinstance(content, str):
        return
    for part in content:
        match part["type"]:
            case "image_url":
                heard.images.append(from_data_url(part["image_url"]["url"]))
            case "file":
                heard.documents.append(from_data_url(part["file"]["file_data"]))
            case _:
                pass


def from_data_url(url: str) -> bytes:
    head, _, data = url.partition(",")
    if not head.startswith("data:") or not head.endswith(";base64"):
        raise WrongRequestError(f"no data URL: {url[:60]}")
    return base64.b64decode(data, validate=True)


def _embeddings(body: Mapping[str, Any]) -> Reply:
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    packed = base64.b64encode(struct.pack(f"<{len(VECTOR)}f", *VECTOR)).decode()
    vector = packed if body.get("encoding_format") == "base64" else list(VECTOR)
    value = {
        "object": "list",
        "data": [{"object": "embedding", "index": index, "embedding": vector} for index, _ in enumerate(texts)],
        "model": "text-embedding-3-small",
        "usage": {"prompt_tokens": 8, "total_tokens": 8},
    }
    return Reply(headers=(JSON, ("x-request-id", REQUEST_ID)), body=json.dumps(value).encode())
