"""Which route a path means, as real clients send them."""

from __future__ import annotations

import pytest

from freehold.server.paths import asked_model, find_route, likely_codec

POSTS = [
    ("/v1/chat/completions", "openai-chat", "generate"),
    ("/chat/completions", "openai-chat", "generate"),
    ("/openai/v1/chat/completions", "openai-chat", "generate"),
    ("/v1beta/openai/chat/completions", "openai-chat", "generate"),
    ("/v1/responses", "openai-responses", "generate"),
    ("/v1/responses/input_tokens", "openai-responses", "count"),
    ("/v1/embeddings", "openai-embeddings", "embed"),
    ("/openai/deployments/my%20dep%2F1/chat/completions", "azure-openai", "generate"),
    ("//openai/deployments/d/chat/completions", "azure-openai", "generate"),
    ("/openai/v1/deployments/d/chat/completions", "azure-openai", "generate"),
    ("/openai/deployments/d/embeddings", "azure-openai", "embed"),
    ("/openai/responses", "openai-responses", "generate"),
    ("/v1/messages", "anthropic-messages", "generate"),
    ("/anthropic/v1/messages", "anthropic-messages", "generate"),
    ("/v1/messages/count_tokens", "anthropic-messages", "count"),
    ("/v1/projects/p/locations/r/publishers/anthropic/models/claude@1:rawPredict", "anthropic-messages", "generate"),
    ("/v1/projects/p/locations/r/publishers/anthropic/models/count-tokens:rawPredict", "anthropic-messages", "count"),
    ("/model/us.anthropic.claude-v1%3A0/converse", "bedrock-converse", "generate"),
    ("/model/us.anthropic.claude-v1:0/converse-stream", "bedrock-converse", "generate"),
    ("/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A0%3Ap%2Fab/invoke", "bedrock-invoke", "generate"),
    ("/model/m/invoke-with-response-stream", "bedrock-invoke", "generate"),
    ("/model/m/count-tokens", "bedrock-converse", "count"),
    ("/v1beta/models/gemini-2.5-pro:generateContent", "gemini-generate", "generate"),
    ("/v1/models/gemini:with:colons:streamGenerateContent", "gemini-generate", "generate"),
    ("/v1beta/v1beta/models/g:countTokens", "gemini-generate", "count"),
    ("/models/g:generateContent", "gemini-generate", "generate"),
    ("/v1beta/models/a/b:batchEmbedContents", "gemini-generate", "embed"),
    ("/v1beta1/projects/p/locations/l/publishers/google/models/g:generateContent", "gemini-generate", "generate"),
    ("/projects/p/locations/l/publishers/google/models/g:generateContent", "gemini-generate", "generate"),
    ("/v1beta1/publishers/google/models/g:streamGenerateContent", "gemini-generate", "generate"),
    ("/v1beta1/projects/p/locations/l/publishers/google/models/e:predict", "gemini-generate", "embed"),
    ("/v1/projects/p/locations/l/publishers/openai/v1/responses", "openai-responses", "generate"),
]


@pytest.mark.parametrize(("path", "codec", "operation"), POSTS)
def test_post_paths(path: str, codec: str, operation: str) -> None:
    route = find_route("POST", path, [], "")
    assert route is not None
    assert (route.codec, route.operation) == (codec, operation)


@pytest.mark.parametrize(
    ("path", "headers", "query", "codec"),
    [
        ("/v1/models", [], "", "openai-chat"),
        ("/v1/models", [("anthropic-version", "2026-10-21")], "", "anthropic-messages"),
        ("/v1/models", [("x-goog-api-key", "k")], "", "gemini-generate"),
        ("/v1/models", [], "pageSize=5&key=k", "gemini-generate"),
        ("/v1beta/models", [], "", "gemini-generate"),
        ("/v1beta/openai/models", [], "", "openai-chat"),
        ("/openai/models", [], "api-version=1", "azure-openai"),
    ],
)
def test_listing_has_the_shape_of_its_client(path: str, headers: list[tuple[str, str]], query: str, codec: str) -> None:
    route = find_route("GET", path, headers, query)
    assert route is not None
    assert (route.codec, route.operation) == (codec, "list")


def test_one_model_keeps_its_encoding() -> None:
    path = "/v1/models/a%2Fb:c%20d"
    route = find_route("GET", path, [], "")
    assert route is not None
    assert route.operation == "get_model"
    assert asked_model(path) == "a%2Fb:c%20d"


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/files", "/model/m/nonsense", "/", "/v1beta/models/g:predict"])
def test_unknown_paths_have_no_route(path: str) -> None:
    assert find_route("POST", path, [], "") is None


@pytest.mark.parametrize(
    ("path", "headers", "codec"),
    [
        ("/v1/files", [], "openai-chat"),
        ("/v1/files/f/content", [], "openai-chat"),
        ("/v1/batches", [], "openai-chat"),
        ("/v1/conversations", [], "openai-chat"),
        ("/v1/images/generations", [], "openai-chat"),
        ("/v1/audio/transcriptions", [], "openai-chat"),
        ("/v1/moderations", [], "openai-chat"),
        ("/v1/files", [("anthropic-version", "2023-06-01")], "anthropic-messages"),
        ("/v1/skills", [("anthropic-version", "2023-06-01")], "anthropic-messages"),
        ("/v1/messages/batches", [], "anthropic-messages"),
        ("/anthropic/v1/files", [], "anthropic-messages"),
        ("/v1beta/cachedContents", [], "gemini-generate"),
        ("/v1beta/files", [], "gemini-generate"),
        ("/upload/v1beta/files", [], "gemini-generate"),
        ("/v1beta/models/g:batchGenerateContent", [], "gemini-generate"),
        ("/v1/projects/p/locations/l/cachedContents", [], "gemini-generate"),
        ("/v1beta1/projects/p/locations/l/batchPredictionJobs", [], "gemini-generate"),
        ("/v1/projects/p/locations/l/publishers/mistralai/models/m:rawPredict", [], "gemini-generate"),
        ("/v1/projects/p/locations/l/publishers/anthropic/models/m:predict", [], "anthropic-messages"),
        ("/guardrail/g/version/1/apply", [], "bedrock-converse"),
        ("/guardrails", [], "bedrock-converse"),
        ("/async-invoke", [], "bedrock-converse"),
        ("/model/m/invoke-with-bidirectional-stream", [], "bedrock-converse"),
        ("/v1/complete", [], "anthropic-messages"),
        ("/v1/completions", [], "openai-chat"),
        ("/v1/models/ft:gpt-5:acme::id", [], "openai-chat"),
        ("/agents/a/agentAliases/b/sessions/c/text", [], "bedrock-converse"),
        ("/runtimes/arn%3Aaws/invocations", [], "bedrock-converse"),
        ("/v1/cachedContents", [("x-goog-api-client", "google-genai-sdk/3.4.0")], "gemini-generate"),
        ("/v1beta/openai/audio/speech", [], "openai-chat"),
        ("/openai/deployments/d/images/generations", [], "azure-openai"),
        ("/openai/deployments/d/audio/speech", [], "azure-openai"),
        ("/openai/files", [], "azure-openai"),
        ("/openai/v1/batches", [], "azure-openai"),
    ],
)
def test_errors_on_unknown_paths_speak_the_likely_protocol(
    path: str, headers: list[tuple[str, str]], codec: str
) -> None:
    assert find_route("POST", path, headers, "") is None
    assert likely_codec(path, headers) == codec
