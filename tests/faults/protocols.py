"""Every client protocol: how a client asks in it, and what others than we read in the answer."""

from __future__ import annotations

import base64
import http.client
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from tests.upstreams.gateway import Gateway
from tests.vendors import bedrock_types

QUESTION = "Hello (scenario=text)"

Json = Mapping[str, Any]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as it came; `whole` unless the connection broke before its end."""

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool

    def values(self) -> list[Any]:
        """Every JSON value in it: the body, the events' data, or the payloads as botocore reads them."""
        kind = self.headers["content-type"]
        if kind.startswith("application/vnd.amazon.eventstream"):
            return [_payload(message) for message in bedrock_types.messages(self.body)]
        if kind.startswith("text/event-stream"):
            told = re.findall(rb"(?m)^data: ?(.*?)\r?$", self.body)
            return [json.loads(data) for data in told if data != b"[DONE]"]
        return [json.loads(self.body)]


def _payload(message: Any) -> Any:  # noqa: ANN401 -- botocore comes without types
    value = json.loads(message.payload)
    if message.headers.get(":message-type") == "exception":
        return {"error": value}
    return json.loads(base64.b64decode(value["bytes"], validate=True)) if "bytes" in value else value


class Protocol(msgspec.Struct, frozen=True, kw_only=True):
    """One client protocol.

    `own` and `other` are emulated vendors: one that speaks it, and one that does not. `path` may hold `{model}` and
    differ for streams. `texts` are the words in one value of an answer, `usage` its tokens in and out, where it
    says so. `statuses` are those that the protocol has no place for, and what is said instead.
    """

    codec: str
    own: str
    other: str
    path: str
    path_of_stream: str = ""
    body: Json
    texts: Callable[[Any], Iterator[str]]
    usage: Callable[[Any], tuple[int | None, int | None] | None]
    statuses: Mapping[int, int] = {}
    headers: Mapping[str, str] = {}

    def ask(self, gateway: Gateway, model: str, *, stream: bool) -> Answer:
        body = dict(self.body)
        path = self.path_of_stream if stream and self.path_of_stream else self.path
        if "model" in body:
            body["model"] = model
        if stream and not self.path_of_stream:
            body["stream"] = True
            if "chat" in path:
                body["stream_options"] = {"include_usage": True}
        connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=20)
        try:
            headers = {"content-type": "application/json", **self.headers}
            connection.request("POST", path.format(model=quote(model, safe="")), json.dumps(body), headers)
            answer = connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            try:
                return Answer(status=answer.status, headers=named, body=answer.read(), whole=True)
            except (http.client.IncompleteRead, ConnectionError) as cut:
                partial = cut.partial if isinstance(cut, http.client.IncompleteRead) else b""
                return Answer(status=answer.status, headers=named, body=partial, whole=False)
        finally:
            connection.close()

    def text(self, answer: Answer) -> str:
        """The words of an answer."""
        return "".join(text for value in answer.values() for text in self.texts(value))

    def tokens(self, answer: Answer) -> tuple[int | None, int | None]:
        """Tokens in and out as the client is told them; later figures replace earlier ones."""
        told: tuple[int | None, int | None] = (None, None)
        for value in answer.values():
            read, written = self.usage(value) or (None, None)
            told = (told[0] if read is None else read, told[1] if written is None else written)
        return told


def _chat_texts(value: Any) -> Iterator[str]:  # noqa: ANN401 -- whatever JSON holds
    for choice in value.get("choices", []):
        yield (choice.get("delta") or choice.get("message") or {}).get("content") or ""


def _responses_texts(value: Any) -> Iterator[str]:  # noqa: ANN401 -- as above
    if value.get("type") == "response.output_text.delta":
        yield value["delta"]
    for item in value.get("output", []):
        yield from (part["text"] for part in item.get("content", []))


def _messages_texts(value: Any) -> Iterator[str]:  # noqa: ANN401 -- as above
    if value.get("type") == "content_block_delta":
        yield value["delta"].get("text", "")
    for block in value.get("content", []):
        yield block["text"]


def _converse_texts(value: Any) -> Iterator[str]:  # noqa: ANN401 -- as above
    yield value.get("delta", {}).get("text", "")
    for block in value.get("output", {}).get("message", {}).get("content", []):
        yield block["text"]


def _gemini_texts(value: Any) -> Iterator[str]:  # noqa: ANN401 -- as above
    for candidate in value.get("candidates", []):
        yield from (part["text"] for part in candidate.get("content", {}).get("parts", []))


def _figures(place: str, read: str, written: str) -> Callable[[Any], tuple[int | None, int | None] | None]:
    def usage(value: Any) -> tuple[int | None, int | None] | None:  # noqa: ANN401 -- as above
        for holder in (value, value.get("message"), value.get("response")):
            found = holder.get(place) if isinstance(holder, dict) else None
            if found:
                return found.get(read), found.get(written)
        return None

    return usage


_CHAT_BODY: Json = {"messages": [{"role": "user", "content": QUESTION}]}
_CLAUDE_BODY: Json = {"max_tokens": 64, **_CHAT_BODY}
_CHAT_USAGE = _figures("usage", "prompt_tokens", "completion_tokens")
_MESSAGES_USAGE = _figures("usage", "input_tokens", "output_tokens")
_AMAZON = {401: 403, 502: 424, 504: 408, 529: 503}
_GOOGLE = {502: 503, 529: 503}

PROTOCOLS: dict[str, Protocol] = {
    "openai-chat": Protocol(
        codec="openai-chat",
        own="openai-chat",
        other="anthropic-messages",
        path="/v1/chat/completions",
        body={"model": "", **_CHAT_BODY},
        texts=_chat_texts,
        usage=_CHAT_USAGE,
    ),
    "openai-responses": Protocol(
        codec="openai-responses",
        own="openai-responses",
        other="gemini-generate",
        path="/v1/responses",
        body={"model": "", "input": QUESTION, "store": False},
        texts=_responses_texts,
        usage=_figures("usage", "input_tokens", "output_tokens"),
    ),
    "azure-openai": Protocol(
        codec="azure-openai",
        own="azure-openai",
        other="bedrock-converse",
        path="/openai/deployments/{model}/chat/completions?api-version=2025-04-01-preview",
        body={"model": "", **_CHAT_BODY},
        texts=_chat_texts,
        usage=_CHAT_USAGE,
    ),
    "anthropic-messages": Protocol(
        codec="anthropic-messages",
        own="anthropic-messages",
        other="openai-chat",
        path="/v1/messages",
        body={"model": "", **_CLAUDE_BODY},
        texts=_messages_texts,
        usage=_MESSAGES_USAGE,
        headers={"anthropic-version": "2023-06-01"},
    ),
    "bedrock-converse": Protocol(
        codec="bedrock-converse",
        own="bedrock-converse",
        other="openai-responses",
        path="/model/{model}/converse",
        path_of_stream="/model/{model}/converse-stream",
        body={"messages": [{"role": "user", "content": [{"text": QUESTION}]}]},
        texts=_converse_texts,
        usage=_figures("usage", "inputTokens", "outputTokens"),
        statuses=_AMAZON,
    ),
    "bedrock-invoke": Protocol(
        codec="bedrock-invoke",
        own="bedrock-invoke",
        other="azure-openai",
        path="/model/{model}/invoke",
        path_of_stream="/model/{model}/invoke-with-response-stream",
        body={"anthropic_version": "bedrock-2023-05-31", **_CLAUDE_BODY},
        texts=_messages_texts,
        usage=_MESSAGES_USAGE,
        statuses=_AMAZON,
    ),
    "gemini-generate": Protocol(
        codec="gemini-generate",
        own="gemini-generate",
        other="bedrock-invoke",
        path="/v1beta/models/{model}:generateContent",
        path_of_stream="/v1beta/models/{model}:streamGenerateContent?alt=sse",
        body={"contents": [{"role": "user", "parts": [{"text": QUESTION}]}]},
        texts=_gemini_texts,
        usage=_figures("usageMetadata", "promptTokenCount", "candidatesTokenCount"),
        statuses=_GOOGLE,
    ),
}
