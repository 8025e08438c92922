"""Messages as Anthropic serves them, written by hand after recordings."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.upstreams.scenarios import MESSAGE, STOP_SEQUENCE, Fault, Heard, Said
from tests.upstreams.server import Asked, Reply
from tests.upstreams.validation import WrongRequestError, as_object, check
from tests.vendors import anthropic_types

JSON = ("content-type", "application/json")
SSE = ("content-type", "text/event-stream; charset=utf-8")
REQUEST_ID = "req_011CTupstream"
PROOF = "EqQBCkYICxgCKkBv+/+/Z2hlYXJ0aGF0dGhpc2lzYXByb29mRG9ub3R0b3VjaD8/"
COUNTED = 2079

_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "api_error",
    503: "api_error",
    529: "overloaded_error",
}


def event(kind: str, **fields: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps({"type": kind, **fields}).encode())


class AnthropicMessages:
    """`POST /v1/messages` and `/v1/messages/count_tokens`."""

    proof: str | None = PROOF
    key: tuple[str, str] = ("x-api-key", "sk-ant-upstream")
    own_headers: frozenset[str] = frozenset({"anthropic-version", "anthropic-beta"})

    def read(self, asked: Asked) -> tuple[Heard, bool]:
        """Raises WrongRequestError for what Anthropic would refuse."""
        body = as_object(asked.body)
        if asked.header("anthropic-version") is None:
            raise WrongRequestError("anthropic-version: header is required")
        if self.operation(asked) == "count":
            check_count(body)
            return hear(body), False
        check_message(body)
        return hear(body), body.get("stream") is True

    def operation(self, asked: Asked) -> str:
        match asked.path:
            case "/v1/messages":
                return "generate"
            case "/v1/messages/count_tokens":
                return "count"
            case _:
                raise WrongRequestError(f"Anthropic serves nothing at {asked.path}")

    def whole(self, asked: Asked, said: Said) -> Reply:
        headers = (JSON, ("request-id", REQUEST_ID), ("anthropic-ratelimit-requests-remaining", "49"))
        if self.operation(asked) == "count":
            return Reply(headers=headers, body=json.dumps({"input_tokens": COUNTED}).encode())
        return Reply(headers=headers, body=json.dumps(message(said)).encode())

    def pieces(self, asked: Asked, said: Said) -> list[bytes]:
        return [event(value["type"], **{k: v for k, v in value.items() if k != "type"}) for value in events(said)]

    def refuse(self, fault: Fault) -> Reply:
        headers = [JSON, ("request-id", REQUEST_ID)]
        if fault.retry_after is not None:
            headers.append(("retry-after", str(fault.retry_after)))
        value = {"type": "error", **_error(fault), "request_id": REQUEST_ID}
        return Reply(status=fault.status, headers=tuple(headers), body=json.dumps(value).encode())

    def broken_off(self, asked: Asked, fault: Fault) -> bytes:
        """An error within a stream that began well."""
        return event("error", **_error(fault))

    @property
    def stream_headers(self) -> tuple[tuple[str, str], ...]:
        return (SSE, ("request-id", REQUEST_ID))


def check_count(body: Mapping[str, Any]) -> None:
    """Raises WrongRequestError unless it is a request to count."""
    check(body, *anthropic_types.REQUESTS["messages-count"])


def check_message(body: Mapping[str, Any]) -> None:
    """The package's types no longer know the sampling knobs and their limits, which older models still have."""
    for name, top in (("temperature", 1.0), ("top_p", 1.0), ("top_k", 1 << 30)):
        if not 0 <= body.get(name, 0) <= top:
            raise WrongRequestError(f"{name}: must be within 0 and {top}")
    check(body, *anthropic_types.REQUESTS["messages"])


def _error(fault: Fault) -> dict[str, Any]:
    return {"error": {"type": _TYPES[fault.status], "message": f"{MESSAGE} ({fault.status})"}}


def usage(said: Said) -> dict[str, Any]:
    """Anthropic's input count leaves cached tokens out."""
    return {
        "input_tokens": said.prompt - said.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": said.cached,
        "output_tokens": said.output,
        "service_tier": "standard",
    }


def stop(said: Said) -> dict[str, Any]:
    reason = {"end": "end_turn", "calls": "tool_use", "sequence": "stop_sequence", "length": "max_tokens"}[said.stop]
    return {"stop_reason": reason, "stop_sequence": STOP_SEQUENCE if said.stop == "sequence" else None}


def call_id(index: int) -> str:
    return f"toolu_01XdHYQVTuXFL{index}"


def message(said: Said) -> dict[str, Any]:
    """The whole answer; also what Bedrock's InvokeModel gives for Claude."""
    content: list[dict[str, Any]] = []
    if said.thought:
        content.append({"type": "thinking", "thinking": "".join(said.thought), "signature": PROOF})
    if said.text:
        content.append({"type": "text", "text": said.whole})
    content.extend(
        {"type": "tool_use", "id": call_id(index), "name": call.name, "input": json.loads(call.arguments or "{}")}
        for index, call in enumerate(said.calls)
    )
    return {
        "model": "claude-sonnet-4-5-20250929",
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "content": content,
        **stop(said),
        "usage": usage(said),
    }


def events(said: Said) -> Iterator[dict[str, Any]]:
    """The stream's events; also what Bedrock's InvokeModel gives for Claude."""
    empty = {**message(said), "content": [], "stop_reason": None, "stop_sequence": None}
    yield {"type": "message_start", "message": {**empty, "usage": {**usage(said), "output_tokens": 1}}}
    yield {"type": "ping"}
    index = 0
    if said.thought:
        block: dict[str, Any] = {"type": "thinking", "thinking": "", "signature": ""}
        deltas: list[dict[str, Any]] = [{"type": "thinking_delta", "thinking": piece} for piece in said.thought]
        deltas.append({"type": "signature_delta", "signature": PROOF})
        yield from _block(index, block, deltas)
        index += 1
    if said.text:
        yield from _block(
            index, {"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in said.text]
        )
        index += 1
    for number, call in enumerate(said.calls):
        block = {"type": "tool_use", "id": call_id(number), "name": call.name, "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in call.pieces]
        yield from _block(index, block, deltas)
        index += 1
    yield {"type": "message_delta", "delta": stop(said), "usage": usage(said)}
    yield {"type": "message_stop"}


def _block(index: int, block: dict[str, Any], deltas: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    yield {"type": "content_block_start", "index": index, "content_block": block}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def hear(body: Mapping[str, Any]) -> Heard:
    """What a request holds. Raises WrongRequestError where Anthropic refuses the order of messages or blocks."""
    heard = Heard(
        tools=[tool["name"] for tool in body.get("tools") or []],
        stops=list(body.get("stop_sequences") or []),
        limit=body.get("max_tokens"),
    )
    system = body.get("system")
    if system:
        heard.systems.append(system if isinstance(system, str) else "".join(block["text"] for block in system))
    shape = (body.get("output_config") or {}).get("format") or {}
    if shape.get("type") == "json_schema":
        heard.schema = shape["schema"]
    thinking = (body.get("thinking") or {}).get("type") in {"enabled", "adaptive"}
    if thinking and (body.get("thinking") or {}).get("budget_tokens", 0) >= body.get("max_tokens", 1 << 30):
        raise WrongRequestError("thinking.budget_tokens must be less than max_tokens")
    open_calls: list[str] = []
    for message_ in body["messages"]:
        blocks = message_["content"]
        blocks = [{"type": "text", "text": blocks}] if isinstance(blocks, str) else blocks
        answered = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        if sorted(answered) != sorted(open_calls):
            raise WrongRequestError(f"calls {open_calls} must be answered in the next message, not {answered}")
        open_calls = [block["id"] for block in blocks if block["type"] == "tool_use"]
        for block in blocks:
            _hear_block(block, heard)
    if body["messages"][0]["role"] != "user":
        raise WrongRequestError("messages: the first must be the user's")
    return heard


def _hear_block(block: Mapping[str, Any], heard: Heard) -> None:
    match block["type"]:
        case "text":
            if not block["text"]:
                raise WrongRequestError("text content blocks must be non-empty")
        case "image":
            heard.images.append(base64.b64decode(block["source"]["data"], validate=True))
        case "document":
            heard.documents.append(base64.b64decode(block["source"]["data"], validate=True))
        case "tool_use":
            heard.calls.append((block["id"], json.dumps(block["input"])))
        case "tool_result":
            heard.results.append((block["tool_use_id"], _joined(block.get("content", ""))))
        case "thinking":
            heard.proofs.append(block["signature"])
        case "redacted_thinking":
            heard.proofs.append(block["data"])
        case _:
            pass


def _joined(content: str | Sequence[Mapping[str, Any]]) -> str:
    return content if isinstance(content, str) else "".join(block["text"] for block in content)
