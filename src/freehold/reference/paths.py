"""Every path of the data plane and the control plane."""

from __future__ import annotations

from typing import Final

import msgspec

from freehold.reference.markdown import code, table
from freehold.server.paths import Route, find_route

_TITLES: Final = {
    "openai-chat": "OpenAI Chat Completions",
    "openai-responses": "OpenAI Responses",
    "openai-embeddings": "OpenAI embeddings",
    "azure-openai": "Azure OpenAI",
    "anthropic-messages": "Anthropic Messages",
    "bedrock-converse": "Amazon Bedrock: Converse, token counts and listings",
    "bedrock-invoke": "Amazon Bedrock: InvokeModel",
    "gemini-generate": "Google Gemini and Vertex AI",
}


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One path as people write it; `example` is one that a client sends. Which route it has, the server says."""

    method: str = "POST"
    path: str
    example: str
    headers: tuple[tuple[str, str], ...] = ()
    note: str = ""

    def route(self) -> Route:
        """Where the server takes it. Raises LookupError if nowhere."""
        route = find_route(self.method, self.example, self.headers, "")
        if route is None:
            raise LookupError(f"{self.method} {self.example} is not served")
        return route


def _openai(rest: str, note: str = "") -> tuple[Entry, ...]:
    return tuple(Entry(path=f"{base}{rest}", example=f"{base}{rest}", note=note) for base in ("/v1", "/openai/v1", ""))


_VERTEX = "/projects/{project}/locations/{location}"
_VERTEX_EXAMPLE = "/projects/p/locations/l"

ENTRIES: Final[tuple[Entry, ...]] = (
    *_openai("/chat/completions"),
    Entry(
        path="/v1" + _VERTEX + "/endpoints/openapi/chat/completions",
        example=f"/v1{_VERTEX_EXAMPLE}/endpoints/openapi/chat/completions",
        note="Vertex AI's OpenAI paths; `publishers/openai/v1` likewise, and `/v1beta1` or no version. `/responses` "
        "and `/embeddings` too.",
    ),
    Entry(method="GET", path="/v1/models", example="/v1/models", note="In OpenAI's shape, unless a header says else."),
    Entry(method="GET", path="/v1/models/{model}", example="/v1/models/m"),
    Entry(method="GET", path="/openai/v1/models", example="/openai/v1/models"),
    Entry(method="GET", path="/models", example="/models"),
    Entry(
        path="/v1beta/openai/chat/completions",
        example="/v1beta/openai/chat/completions",
        note="Where Google imitates OpenAI; `/models` and the paths below likewise.",
    ),
    *_openai("/responses", "State (`previous_response_id`, `conversation`, `background`) is refused."),
    *_openai("/responses/input_tokens"),
    *_openai("/embeddings"),
    Entry(
        path="/openai/deployments/{deployment}/chat/completions",
        example="/openai/deployments/d/chat/completions",
        note="Any `api-version`. The deployment is the model. `/openai/v1/deployments/…` too.",
    ),
    Entry(path="/openai/deployments/{deployment}/embeddings", example="/openai/deployments/d/embeddings"),
    Entry(path="/openai/responses", example="/openai/responses"),
    Entry(method="GET", path="/openai/models", example="/openai/models"),
    Entry(path="/v1/messages", example="/v1/messages"),
    Entry(path="/anthropic/v1/messages", example="/anthropic/v1/messages", note="Foundry, Mantle."),
    Entry(path="/messages", example="/messages"),
    Entry(path="/v1/messages/count_tokens", example="/v1/messages/count_tokens", note="With the same bases."),
    Entry(
        path="/v1" + _VERTEX + "/publishers/anthropic/models/{model}:rawPredict",
        example=f"/v1{_VERTEX_EXAMPLE}/publishers/anthropic/models/m:rawPredict",
        note="Claude on Vertex AI; `:streamRawPredict` for streams.",
    ),
    Entry(
        path="/v1" + _VERTEX + "/publishers/anthropic/models/count-tokens:rawPredict",
        example=f"/v1{_VERTEX_EXAMPLE}/publishers/anthropic/models/count-tokens:rawPredict",
    ),
    Entry(
        method="GET",
        path="/v1/models",
        example="/v1/models",
        headers=(("anthropic-version", "2023-06-01"),),
        note="With `anthropic-version`.",
    ),
    Entry(method="GET", path="/anthropic/v1/models", example="/anthropic/v1/models"),
    Entry(path="/model/{model}/converse", example="/model/m/converse", note="The model percent-encoded or not."),
    Entry(path="/model/{model}/converse-stream", example="/model/m/converse-stream"),
    Entry(path="/model/{model}/count-tokens", example="/model/m/count-tokens"),
    Entry(method="GET", path="/inference-profiles", example="/inference-profiles", note="What the key may use."),
    Entry(method="GET", path="/foundation-models", example="/foundation-models", note="What the key may use."),
    Entry(path="/model/{model}/invoke", example="/model/m/invoke"),
    Entry(path="/model/{model}/invoke-with-response-stream", example="/model/m/invoke-with-response-stream"),
    Entry(
        path="/v1beta/models/{model}:generateContent",
        example="/v1beta/models/m:generateContent",
        note="Under `/v1`, `/v1beta1`, `/v1beta/v1beta` and without a version, too.",
    ),
    Entry(
        path="/v1beta/models/{model}:streamGenerateContent",
        example="/v1beta/models/m:streamGenerateContent",
        note="`alt=sse` for events, else one JSON array.",
    ),
    Entry(path="/v1beta/models/{model}:countTokens", example="/v1beta/models/m:countTokens"),
    Entry(path="/v1beta/models/{model}:embedContent", example="/v1beta/models/m:embedContent"),
    Entry(path="/v1beta/models/{model}:batchEmbedContents", example="/v1beta/models/m:batchEmbedContents"),
    Entry(
        path="/v1beta1" + _VERTEX + "/publishers/google/models/{model}:generateContent",
        example=f"/v1beta1{_VERTEX_EXAMPLE}/publishers/google/models/m:generateContent",
        note="Vertex AI; the other verbs likewise, `/v1` or no version, and without project and location.",
    ),
    Entry(
        path="/v1beta1" + _VERTEX + "/publishers/google/models/{model}:predict",
        example=f"/v1beta1{_VERTEX_EXAMPLE}/publishers/google/models/m:predict",
        note="Embeddings of texts; other predictions (images, video) are refused.",
    ),
    Entry(method="GET", path="/v1beta/models", example="/v1beta/models"),
    Entry(
        method="GET",
        path="/v1/models",
        example="/v1/models",
        headers=(("x-goog-api-key", "k"),),
        note="With `x-goog-api-key` or `?key=`.",
    ),
    Entry(method="GET", path="/v1beta1/publishers/google/models", example="/v1beta1/publishers/google/models"),
)

CONTROL: Final[tuple[tuple[str, str], ...]] = (
    ("/healthz", "200 while the process runs."),
    ("/readyz", "200 while traffic should be sent here, else 503 with the reason."),
    ("/metrics", "[Metrics](metrics.md) for Prometheus."),
    ("/exchanges/{id}", "The [record](exchange-record.md) of one exchange."),
)

_HEAD: Final = """# Paths

The path of a request says its protocol; the header that carries the key does not. Every way of sending a key is taken
on every path: `Authorization: Bearer`, `x-api-key`, `api-key`, `x-goog-api-key`, `?key=`, and AWS Signature V4.

A path that is not served answers 404 with [`path_not_served`](errors.md#path_not_served) in the protocol of the client
that it probably came from. `HEAD` answers 200 on every path. A WebSocket upgrade answers 426.
"""


def page() -> str:
    """The whole page."""
    lines = [_HEAD]
    routed = [(entry, entry.route()) for entry in ENTRIES]
    for codec, title in _TITLES.items():
        rows = (
            (entry.method, code(entry.path), route.operation.replace("_", " "), entry.note)
            for entry, route in routed
            if route.codec == codec
        )
        lines += [f"## {title}", "", f"Protocol [`{codec}`](protocols.md#{codec}).", ""]
        lines += [*table(("Method", "Path", "Operation", "Remarks"), rows), ""]
    lines += [
        "## Control plane",
        "",
        (
            "On a port of its own (`[server] admin_listen`), GET only. Without `[server] admin_token` it answers "
            "loopback callers only; with it, callers that send the token as a bearer."
        ),
        "",
        *table(("Path", "Answer"), ((code(path), says) for path, says in CONTROL)),
        "",
    ]
    return "\n".join(lines)
