"""Which protocol and operation a path means; the path alone decides, never the header that carries the key.

Paths are matched as they were received, percent-encoding kept.  What real clients send is in docs/reference/paths.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import msgspec

RouteOperation = Literal["generate", "embed", "count", "list", "get_model", "bedrock_listing"]


class Route(msgspec.Struct, frozen=True):
    """Where a request belongs: the codec that reads it, and what is asked."""

    codec: str
    operation: RouteOperation


_CHAT = Route("openai-chat", "generate")
_RESPONSES = Route("openai-responses", "generate")
_EMBEDDINGS = Route("openai-embeddings", "embed")
_MESSAGES = Route("anthropic-messages", "generate")
_COUNT_TOKENS = Route("anthropic-messages", "count")
_AZURE = Route("azure-openai", "generate")

_EXACT: dict[str, Route] = {}
for _base in ("", "/v1", "/openai/v1", "/v1beta/openai"):  # the last is Google's imitation of OpenAI
    _EXACT[f"{_base}/chat/completions"] = _CHAT
    _EXACT[f"{_base}/responses"] = _RESPONSES
    _EXACT[f"{_base}/responses/input_tokens"] = Route("openai-responses", "count")
    _EXACT[f"{_base}/embeddings"] = _EMBEDDINGS
for _base in ("", "/v1", "/anthropic/v1"):
    _EXACT[f"{_base}/messages"] = _MESSAGES
    _EXACT[f"{_base}/messages/count_tokens"] = _COUNT_TOKENS
# Azure has no deployment in this path: body and errors are the Responses protocol's own.
_EXACT["/openai/responses"] = _RESPONSES

_GEMINI_VERBS: dict[str, Route] = {
    "generateContent": Route("gemini-generate", "generate"),
    "streamGenerateContent": Route("gemini-generate", "generate"),
    "countTokens": Route("gemini-generate", "count"),
    "embedContent": Route("gemini-generate", "embed"),
    "batchEmbedContents": Route("gemini-generate", "embed"),
}
_VERTEX_VERBS: dict[tuple[str, str], Route] = {
    ("anthropic", "rawPredict"): _MESSAGES,
    ("anthropic", "streamRawPredict"): _MESSAGES,
    ("google", "predict"): Route("gemini-generate", "embed"),
}
_BEDROCK_VERBS: dict[str, Route] = {
    "converse": Route("bedrock-converse", "generate"),
    "converse-stream": Route("bedrock-converse", "generate"),
    "count-tokens": Route("bedrock-converse", "count"),
    "invoke": Route("bedrock-invoke", "generate"),
    "invoke-with-response-stream": Route("bedrock-invoke", "generate"),
}

_AZURE_PATH = re.compile(r"/+openai/(?:v1/)?deployments/[^/]+/(chat/completions|embeddings)")
_BEDROCK_PATH = re.compile(r"/model/[^/]+/([a-z-]+)")
# Google's own clients append the version to a base that may hold one already, and some leave it out altogether.
_GEMINI_PATH = re.compile(r"(?:/v1beta/v1beta1?|/v1beta1?|/v1)?/(?:models|tunedModels)/.+:(\w+)")
_VERTEX_PATH = re.compile(
    r"(?:/v1beta1?|/v1)?(?:/projects/[^/]+/locations/[^/]+)?/publishers/([^/]+)/models/(.+):(\w+)"
)
_VERTEX_OPENAI = re.compile(
    r"(?:/v1beta1?|/v1)?/projects/[^/]+/locations/[^/]+/(?:publishers/openai/v1|endpoints/openapi)"
    r"(/chat/completions|/responses|/embeddings)"
)

_LISTS: dict[str, Route] = {
    "/v1/models": Route("openai-chat", "list"),
    "/models": Route("openai-chat", "list"),
    "/openai/v1/models": Route("openai-chat", "list"),
    "/v1beta/openai/models": Route("openai-chat", "list"),
    "/openai/models": Route("azure-openai", "list"),
    "/anthropic/v1/models": Route("anthropic-messages", "list"),
    "/v1beta/models": Route("gemini-generate", "list"),
    "/v1beta1/models": Route("gemini-generate", "list"),
    "/v1beta/v1beta/models": Route("gemini-generate", "list"),
    "/v1beta1/publishers/google/models": Route("gemini-generate", "list"),
    "/inference-profiles": Route("bedrock-converse", "bedrock_listing"),
    "/foundation-models": Route("bedrock-converse", "bedrock_listing"),
}
_ONE_MODEL = re.compile(r"(/v1|/openai/v1|/v1beta/openai|/anthropic/v1|/v1beta1?|)/models/(.+)")

_BEDROCK_ELSE = re.compile(
    r"/(?:model|guardrails?|guardrail-checks|async-invoke|inference-profiles|foundation-models|custom-models"
    r"|imported-models|provisioned-model-throughputs?|model-customization-jobs|rerank|knowledgebases|runtimes)\b"
    r"|/agents/[^/]+/agentAliases/"
)
_ANTHROPIC_ELSE = re.compile(r"/anthropic/|/v1/messages\b|/v1/complete$|.*/publishers/anthropic/")
# A verb after the last colon; OpenAI's fine-tuned models (`ft:gpt-5:acme::id`) have colons in their names.
_GEMINI_ELSE = re.compile(r"/(?:upload/)?v1beta1?/|.*/publishers/google/|/v1/models/(?!ft:)[^:]*:|(?:/v1)?/projects/")

_GOOGLE_HEADERS = frozenset({"x-goog-api-key", "x-goog-api-client"})


def find_route(method: str, path: str, headers: Sequence[tuple[str, str]], query: str) -> Route | None:
    """The route of a data-plane request; None if nothing is served there."""
    if method == "POST":
        return _EXACT.get(path) or _find_post(path)
    if method == "GET":
        return _find_get(path, headers, query)
    return None


def _find_post(path: str) -> Route | None:
    if (found := _BEDROCK_PATH.fullmatch(path)) is not None:
        return _BEDROCK_VERBS.get(found[1])
    if (found := _AZURE_PATH.fullmatch(path)) is not None:
        return Route("azure-openai", "embed") if found[1] == "embeddings" else _AZURE
    if (found := _VERTEX_PATH.fullmatch(path)) is not None:
        if found[2] == "count-tokens" and found[3] == "rawPredict":
            return _COUNT_TOKENS
        return _VERTEX_VERBS.get((found[1], found[3])) or _GEMINI_VERBS.get(found[3])
    if (found := _GEMINI_PATH.fullmatch(path)) is not None:
        return _GEMINI_VERBS.get(found[1])
    if (found := _VERTEX_OPENAI.fullmatch(path)) is not None:
        return _EXACT[found[1]]
    if path.startswith("//"):
        return _EXACT.get("/" + path.lstrip("/"))
    return None


def _find_get(path: str, headers: Sequence[tuple[str, str]], query: str) -> Route | None:
    route = _LISTS.get(path)
    if route is not None:
        return Route(_listing_codec(route.codec, headers, query), route.operation)
    found = _ONE_MODEL.fullmatch(path)
    if found is None:
        return None
    codec = "gemini-generate" if found[1] in {"/v1beta", "/v1beta1"} else "openai-chat"
    codec = "anthropic-messages" if found[1].startswith("/anthropic") else codec
    return Route(_listing_codec(codec, headers, query), "get_model")


def _listing_codec(codec: str, headers: Sequence[tuple[str, str]], query: str) -> str:
    """`/v1/models` means something else to each vendor's client; its other headers tell whose it is."""
    if codec != "openai-chat":
        return codec
    names = {name for name, _ in headers}
    if "anthropic-version" in names:
        return "anthropic-messages"
    if "x-goog-api-key" in names or query.startswith("key=") or "&key=" in query:
        return "gemini-generate"
    return codec


def asked_model(path: str) -> str:
    """The model that `GET …/models/{id}` names, still percent-encoded."""
    found = _ONE_MODEL.fullmatch(path)
    return "" if found is None else found[2]


def likely_codec(path: str, headers: Sequence[tuple[str, str]]) -> str:
    """Whose client this probably is, for an error on a path that is not served."""
    if _BEDROCK_ELSE.match(path):
        return "bedrock-converse"
    names = {name for name, _ in headers}
    if "anthropic-version" in names or _ANTHROPIC_ELSE.match(path):
        return "anthropic-messages"
    if path.startswith("/v1beta/openai/"):
        return "openai-chat"
    if not names.isdisjoint(_GOOGLE_HEADERS) or _GEMINI_ELSE.match(path):
        return "gemini-generate"
    return "azure-openai" if path.startswith("/openai/") else "openai-chat"
