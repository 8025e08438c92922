"""Bedrock's Converse and InvokeModel (for Claude), written by hand after recordings; signatures are verified."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote
from zlib import crc32

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.upstreams import anthropic_messages
from tests.upstreams.scenarios import MESSAGE, Fault, Heard, Said
from tests.upstreams.server import Asked, Reply
from tests.upstreams.validation import WrongRequestError, as_object, refuse
from tests.vendors import bedrock_types

JSON = ("content-type", "application/json")
EVENTS = ("content-type", "application/vnd.amazon.eventstream")
REQUEST_ID = ("x-amzn-requestid", "1f3b6c1e-upstream")
ACCESS_KEY = "AKIAUPSTREAM"
SECRET_KEY = "upstream/secret/key"
REGION = "us-east-1"
MODEL = "anthropic.claude-sonnet-4-5-20250929-v1:0"
PROOF = "EuYBCkQYAiJA+/+/dGhpc2lzYWJlZHJvY2tzc2lnbmF0dXJlbm90YXJlYWw/"

_ERRORS: Mapping[int, tuple[int, str]] = {
    400: (400, "ValidationException"),
    401: (403, "UnrecognizedClientException"),
    403: (403, "AccessDeniedException"),
    404: (404, "ResourceNotFoundException"),
    429: (429, "ThrottlingException"),
    500: (500, "InternalServerException"),
    503: (503, "ServiceUnavailableException"),
    529: (503, "ServiceUnavailableException"),
}
_SIGNED = frozenset(
    {"authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "x-amzn-bedrock-trace"}
)


def frame(value: object, **headers: str) -> bytes:
    """One message of an AWS event stream; `_` in a header's name stands for `-`."""
    head = b""
    for name, text in headers.items():
        label = f":{name.replace('_', '-')}".encode()
        head += struct.pack(">B", len(label)) + label + struct.pack(">BH", 7, len(text)) + text.encode()
    payload = json.dumps(value).encode()
    prelude = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    message = prelude + struct.pack(">I", crc32(prelude)) + head + payload
    return message + struct.pack(">I", crc32(message))


def _event(kind: str, value: Mapping[str, Any]) -> bytes:
    padded = {**value, "p": "abcdefghij"}
    return frame(padded, event_type=kind, content_type="application/json", message_type="event")


class _Bedrock:
    """What both operations share."""

    key: tuple[str, str] = ("authorization", "")
    own_headers: frozenset[str] = _SIGNED

    def operation(self, asked: Asked) -> str:
        for name in ("Converse", "ConverseStream", "InvokeModel", "InvokeModelWithResponseStream", "CountTokens"):
            uri: str = bedrock_types.service().operation_model(name).http["requestUri"]
            if unquote(asked.path) == uri.replace("{modelId}", MODEL):
                return name
        raise WrongRequestError(f"Bedrock serves nothing at {asked.path}")

    def check_signature(self, asked: Asked) -> None:
        """Raises WrongRequestError unless botocore signs this request in the same way."""
        stated = asked.header("authorization") or ""
        names = stated.partition("SignedHeaders=")[2].partition(",")[0].split(";")
        headers = {name: value for name, value in asked.headers if name in names}
        if not {"host", "x-amz-date"} <= set(headers):
            raise WrongRequestError(f"host and x-amz-date must be signed: {stated}")
        url = f"http://{headers['host']}{asked.path}" + (f"?{asked.query}" if asked.query else "")
        request = AWSRequest(method=asked.method, url=url, data=asked.body, headers=headers)
        request.context["timestamp"] = headers["x-amz-date"]
        signer = SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), "bedrock", REGION)
        text = signer.string_to_sign(request, signer.canonical_request(request))
        wanted = signer.signature(text, request)
        if not stated.endswith(f"Signature={wanted}"):
            raise WrongRequestError(f"InvalidSignatureException: {stated}, botocore signs {wanted}")

    def refuse(self, fault: Fault) -> Reply:
        status, kind = _ERRORS[fault.status]
        headers = [JSON, REQUEST_ID, ("x-amzn-errortype", f"{kind}:http://internal.amazon.com/coral/")]
        if fault.retry_after is not None:
            headers.append(("retry-after", str(fault.retry_after)))
        body = json.dumps({"message": f"{MESSAGE} ({status})"}).encode()
        return Reply(status=status, headers=tuple(headers), body=body)

    def broken_off(self, asked: Asked, fault: Fault) -> bytes:
        kind = _ERRORS[fault.status][1]
        value = {"message": f"{MESSAGE} ({fault.status})"}
        name = kind[0].lower() + kind[1:]
        return frame(value, exception_type=name, content_type="application/json", message_type="exception")

    @property
    def stream_headers(self) -> tuple[tuple[str, str], ...]:
        return (EVENTS, REQUEST_ID)


class BedrockConverse(_Bedrock):
    """`POST /model/{id}/converse`, `/converse-stream` and `/count-tokens`."""

    proof: str | None = PROOF

    def read(self, asked: Asked) -> tuple[Heard, bool]:
        """Raises WrongRequestError for what Bedrock would refuse."""
        self.check_signature(asked)
        name = self.operation(asked)
        body = as_object(asked.body)
        refuse(bedrock_types.request_problems(name, body))
        if name == "CountTokens":
            return Heard(), False
        return hear(body), name.endswith("Stream")

    def whole(self, asked: Asked, said: Said) -> Reply:
        if self.operation(asked) == "CountTokens":
            return Reply(headers=(JSON, REQUEST_ID), body=b'{"inputTokens":2079}')
        content: list[dict[str, Any]] = []
        if said.thought:
            reasoning = {"text": "".join(said.thought), "signature": PROOF}
            content.append({"reasoningContent": {"reasoningText": reasoning}})
        if said.text:
            content.append({"text": said.whole})
        content.extend(
            {"toolUse": {"input": json.loads(call.arguments or "{}"), "name": call.name, "toolUseId": call_id(index)}}
            for index, call in enumerate(said.calls)
        )
        value = {
            "metrics": {"latencyMs": 717},
            "output": {"message": {"content": content, "role": "assistant"}},
            "stopReason": stop(said),
            "usage": usage(said),
        }
        return Reply(headers=(JSON, REQUEST_ID), body=json.dumps(value).encode())

    def pieces(self, asked: Asked, said: Said) -> list[bytes]:
        return [_event(kind, value) for kind, value in _converse_events(said)]


class BedrockInvoke(_Bedrock):
    """`POST /model/{id}/invoke` and `/invoke-with-response-stream` for Claude: Anthropic's body, no model in it."""

    proof: str | None = anthropic_messages.PROOF

    def read(self, asked: Asked) -> tuple[Heard, bool]:
        """Raises WrongRequestError for what Bedrock or Claude there would refuse."""
        self.check_signature(asked)
        name = self.operation(asked)
        body = as_object(asked.body)
        if name == "CountTokens":
            refuse(bedrock_types.request_problems(name, body))
            return Heard(), False
        version = body.pop("anthropic_version", None)
        # The documented one, and what the current anthropic package sends.
        if version not in {"bedrock-2023-05-31", "2026-10-21"}:
            raise WrongRequestError(f"anthropic_version: {version!r} is not bedrock-2023-05-31")
        body.pop("anthropic_beta", None)
        if "model" in body or "stream" in body:
            raise WrongRequestError("model and stream: extra inputs are not permitted")
        anthropic_messages.check_message({**body, "model": MODEL})
        return anthropic_messages.hear(body), name.endswith("Stream")

    def whole(self, asked: Asked, said: Said) -> Reply:
        if self.operation(asked) == "CountTokens":
            return Reply(headers=(JSON, REQUEST_ID), body=b'{"inputTokens":2079}')
        headers = (JSON, REQUEST_ID, ("x-amzn-bedrock-input-token-count", str(said.prompt - said.cached)))
        return Reply(headers=headers, body=json.dumps(anthropic_messages.message(said)).encode())

    def pieces(self, asked: Asked, said: Said) -> list[bytes]:
        return [_event("chunk", {"bytes": _packed(value, said)}) for value in anthropic_messages.events(said)]


def _packed(value: dict[str, Any], said: Said) -> str:
    if value["type"] == "message_stop":
        metrics = {
            "inputTokenCount": said.prompt - said.cached,
            "outputTokenCount": said.output,
            "invocationLatency": 717,
            "firstByteLatency": 301,
            "cacheReadInputTokenCount": said.cached,
            "cacheWriteInputTokenCount": 0,
        }
        value = {**value, "amazon-bedrock-invocationMetrics": metrics}
    return base64.b64encode(json.dumps(value).encode()).decode()


def call_id(index: int) -> str:
    return f"tooluse_5Xw1zPQ5RqG{index}"


def stop(said: Said) -> str:
    return {"end": "end_turn", "calls": "tool_use", "sequence": "stop_sequence", "length": "max_tokens"}[said.stop]


def usage(said: Said) -> dict[str, Any]:
    """Converse leaves cached tokens out of `inputTokens`, and has them in the total."""
    return {
        "inputTokens": said.prompt - said.cached,
        "outputTokens": said.output,
        "totalTokens": said.prompt + said.output,
        "cacheReadInputTokens": said.cached,
        "cacheWriteInputTokens": 0,
    }


def _converse_events(said: Said) -> Iterator[tuple[str, dict[str, Any]]]:
    """As recorded: only tool calls have a start event, and the usage comes after the end of the message."""
    yield "messageStart", {"role": "assistant"}
    index = 0
    if said.thought:
        for piece in said.thought:
            yield "contentBlockDelta", {"contentBlockIndex": index, "delta": {"reasoningContent": {"text": piece}}}
        yield "contentBlockDelta", {"contentBlockIndex": index, "delta": {"reasoningContent": {"signature": PROOF}}}
        yield "contentBlockStop", {"contentBlockIndex": index}
        index += 1
    if said.text:
        for piece in said.text:
            yield "contentBlockDelta", {"contentBlockIndex": index, "delta": {"text": piece}}
        yield "contentBlockStop", {"contentBlockIndex": index}
        index += 1
    for number, call in enumerate(said.calls):
        start = {"toolUse": {"name": call.name, "toolUseId": call_id(number)}}
        yield "contentBlockStart", {"contentBlockIndex": index, "start": start}
        for piece in call.pieces:
            yield "contentBlockDelta", {"contentBlockIndex": index, "delta": {"toolUse": {"input": piece}}}
        yield "contentBlockStop", {"contentBlockIndex": index}
        index += 1
    yield "messageStop", {"stopReason": stop(said)}
    yield "metadata", {"metrics": {"latencyMs": 717}, "usage": usage(said)}


def hear(body: Mapping[str, Any]) -> Heard:
    """What a Converse request holds. Raises WrongRequestError where Bedrock refuses the order of messages."""
    settings = body.get("inferenceConfig") or {}
    tools = (body.get("toolConfig") or {}).get("tools") or []
    heard = Heard(
        tools=[tool["toolSpec"]["name"] for tool in tools if "toolSpec" in tool],
        stops=list(settings.get("stopSequences") or []),
        limit=settings.get("maxTokens"),
        systems=[block["text"] for block in body.get("system") or [] if "text" in block],
    )
    shape = ((body.get("outputConfig") or {}).get("textFormat") or {}).get("structure") or {}
    if "jsonSchema" in shape:
        heard.schema = json.loads(shape["jsonSchema"]["schema"])
    open_calls: list[str] = []
    before = "assistant"
    for message in body["messages"]:
        if message["role"] == before:
            raise WrongRequestError("roles must alternate between user and assistant")
        before = message["role"]
        if not message["content"]:
            raise WrongRequestError("the content field is empty")
        answered = [block["toolResult"]["toolUseId"] for block in message["content"] if "toolResult" in block]
        if sorted(answered) != sorted(open_calls):
            raise WrongRequestError(f"calls {open_calls} must be answered in the next message, not {answered}")
        open_calls = [block["toolUse"]["toolUseId"] for block in message["content"] if "toolUse" in block]
        if (open_calls or answered) and not tools:
            raise WrongRequestError("toolConfig must be defined when toolUse and toolResult blocks are used")
        for block in message["content"]:
            _hear_block(block, heard)
        if any("document" in block for block in message["content"]) and not any(
            "text" in block for block in message["content"]
        ):
            raise WrongRequestError("a document needs a text beside it")
    return heard


def _hear_block(block: Mapping[str, Any], heard: Heard) -> None:
    if "text" in block and not block["text"].strip():
        raise WrongRequestError("the text field is blank")
    if "image" in block:
        heard.images.append(base64.b64decode(block["image"]["source"]["bytes"], validate=True))
    if "document" in block:
        heard.documents.append(base64.b64decode(block["document"]["source"]["bytes"], validate=True))
    if "toolUse" in block:
        heard.calls.append((block["toolUse"]["toolUseId"], json.dumps(block["toolUse"]["input"])))
    if "toolResult" in block:
        result = block["toolResult"]
        text = "".join(part["text"] if "text" in part else json.dumps(part["json"]) for part in result["content"])
        heard.results.append((result["toolUseId"], text))
    if "reasoningContent" in block:
        content = block["reasoningContent"]
        if "reasoningText" in content:
            heard.proofs.append(content["reasoningText"].get("signature", ""))
        else:
            heard.proofs.append(content["redactedContent"])
