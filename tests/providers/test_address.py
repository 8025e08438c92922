"""Where requests go: what real clients' recordings and the vendors' own clients use."""

import pytest

from freehold.protocols.codec import WireRequest
from freehold.providers.address import endpoint, fill
from freehold.providers.catalog import providers
from freehold.providers.schema import AccountField, Operation


def url(
    provider: str,
    protocol: str,
    model: str,
    *,
    operation: Operation = "generate",
    verb: str = "generateContent",
    query: str = "",
    **fields: str,
) -> str:
    file = providers()[provider]
    spoken = file.protocol(protocol)
    assert spoken is not None
    stated: dict[AccountField, str] = {name: value for name, value in fields.items()}  # pyright: ignore[reportAssignmentType]  # noqa: C416  keyword names are field names
    found = endpoint(file, spoken, stated)
    wire = WireRequest(
        path=f"/x:{verb}",
        body=b"",
        model=model,
        query=query,
        operation="generate" if operation in {"stream", "responses"} else operation,  # pyright: ignore[reportArgumentType] -- the two above
        stream=operation == "stream",
    )
    path, asked = found.locate(wire)
    return found.origin + path + (f"?{asked}" if asked else "")


CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
ARN = "arn:aws:bedrock:us-east-1:000000000000:application-inference-profile/1arbu5hu2sjr"


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        ("https://api.openai.com/v1/chat/completions", url("openai", "openai-chat", "gpt-4o")),
        ("https://api.openai.com/v1/responses", url("openai", "openai-responses", "gpt-4o")),
        ("https://api.groq.com/openai/v1/chat/completions", url("groq", "openai-chat", "m")),
        ("https://openrouter.ai/api/v1/chat/completions", url("openrouter", "openai-chat", "a/b")),
        ("https://api.deepseek.com/chat/completions", url("deepseek", "openai-chat", "deepseek-chat")),
        ("https://api.x.ai/v1/responses", url("xai", "openai-responses", "grok-4")),
        (
            "https://api.mistral.ai/v1/embeddings",
            url("mistral", "openai-embeddings", "mistral-embed", operation="embed"),
        ),
        ("https://api.anthropic.com/v1/messages", url("anthropic", "anthropic-messages", "claude-opus-5")),
        (
            "https://api.anthropic.com/v1/messages/count_tokens",
            url("anthropic", "anthropic-messages", "claude-opus-5", operation="count"),
        ),
        (
            "https://bedrock-runtime.us-east-1.amazonaws.com/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse",
            url("bedrock", "bedrock-converse", CLAUDE, region="us-east-1"),
        ),
        (
            (
                "https://bedrock-runtime.us-east-1.amazonaws.com/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A000000000000%3A"
                "application-inference-profile%2F1arbu5hu2sjr/converse-stream"
            ),
            url("bedrock", "bedrock-converse", ARN, operation="stream", region="us-east-1"),
        ),
        (
            "https://bedrock-runtime.cn-north-1.amazonaws.com.cn/model/m/invoke",
            url("bedrock", "bedrock-invoke", "m", region="cn-north-1"),
        ),
        (
            "https://bedrock-mantle.us-east-1.api.aws/openai/v1/responses",
            url("bedrock", "openai-responses", "openai.gpt-5.6-luna", region="us-east-1"),
        ),
        (
            "https://bedrock-mantle.us-east-1.api.aws/anthropic/v1/messages",
            url("bedrock", "anthropic-messages", CLAUDE, region="us-east-1"),
        ),
        (
            "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
            url("gemini", "gemini-generate", "gemini-2.5-pro", verb="streamGenerateContent", query="alt=sse"),
        ),
        (
            "https://generativelanguage.googleapis.com/v1beta/models/gemini-embedding-001:batchEmbedContents",
            url("gemini", "gemini-generate", "gemini-embedding-001", verb="batchEmbedContents", operation="embed"),
        ),
        (
            (
                "https://us-east5-aiplatform.googleapis.com/v1/projects/acme/locations/us-east5/publishers/anthropic/models/"
                "claude-3-7-sonnet@20250219:rawPredict"
            ),
            url("vertex", "anthropic-messages", "claude-3-7-sonnet@20250219", project="acme", location="us-east5"),
        ),
        (
            (
                "https://us-east5-aiplatform.googleapis.com/v1/projects/acme/locations/us-east5/publishers/anthropic/models/"
                "claude-3-7-sonnet@20250219:streamRawPredict"
            ),
            url(
                "vertex",
                "anthropic-messages",
                "claude-3-7-sonnet@20250219",
                operation="stream",
                project="acme",
                location="us-east5",
            ),
        ),
        (
            (
                "https://us-east5-aiplatform.googleapis.com/v1/projects/acme/locations/us-east5/publishers/anthropic/models/"
                "count-tokens:rawPredict"
            ),
            url(
                "vertex",
                "anthropic-messages",
                "claude-3-7-sonnet@20250219",
                operation="count",
                project="acme",
                location="us-east5",
            ),
        ),
        (
            (
                "https://aiplatform.googleapis.com/v1beta1/projects/acme/locations/global/publishers/google/models/"
                "gemini-2.5-pro:generateContent"
            ),
            url("vertex", "gemini-generate", "gemini-2.5-pro", project="acme"),
        ),
        (
            (
                "https://aiplatform.eu.rep.googleapis.com/v1beta1/projects/acme/locations/eu/publishers/google/models/"
                "gemini-2.5-pro:generateContent"
            ),
            url("vertex", "gemini-generate", "gemini-2.5-pro", project="acme", location="eu"),
        ),
        (
            "https://acme.openai.azure.com/openai/deployments/my%20dep%2F1/chat/completions?api-version=2024-06-01",
            url("azure", "azure-openai", "my dep/1", resource="acme", api_version="2024-06-01"),
        ),
        (
            "https://acme.openai.azure.com/openai/v1/responses",
            url("azure", "openai-responses", "gpt-5", base_url="https://acme.openai.azure.com/"),
        ),
        (
            "https://acme.services.ai.azure.com/anthropic/v1/messages",
            url("azure", "anthropic-messages", "claude-opus-5", base_url="https://acme.openai.azure.com"),
        ),
        ("http://127.0.0.1:11434/v1/chat/completions", url("ollama", "openai-chat", "qwen3")),
    ],
)
def test_a_provider_is_asked_at(expected: str, found: str) -> None:
    assert found == expected


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("http://10.0.0.5:8000/v1", "http://10.0.0.5:8000/v1/chat/completions"),
        ("http://10.0.0.5:8000/v1/", "http://10.0.0.5:8000/v1/chat/completions"),
        ("http://10.0.0.5:8000", "http://10.0.0.5:8000/v1/chat/completions"),
        ("http://10.0.0.5:8000/", "http://10.0.0.5:8000/chat/completions"),
        ("https://gateway.corp/openai", "https://gateway.corp/openai/chat/completions"),
        ("https://open.bigmodel.cn/api/paas/v4", "https://open.bigmodel.cn/api/paas/v4/chat/completions"),
    ],
)
def test_an_openai_base_url_is_taken_as_the_openai_clients_take_it(base: str, expected: str) -> None:
    assert url("openai-compatible", "openai-chat", "m", base_url=base) == expected


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("https://proxy.corp/anthropic", "https://proxy.corp/anthropic/v1/messages"),
        ("https://proxy.corp/anthropic/v1", "https://proxy.corp/anthropic/v1/messages"),
        ("https://proxy.corp", "https://proxy.corp/v1/messages"),
    ],
)
def test_an_anthropic_base_url_may_hold_the_version_or_not(base: str, expected: str) -> None:
    assert url("anthropic", "anthropic-messages", "m", base_url=base) == expected


def test_a_private_address_serves_all_protocols_of_a_cloud() -> None:
    base = "http://127.0.0.1:4000"
    assert url("bedrock", "openai-responses", "m", region="us-east-1", base_url=base).startswith(base + "/openai")
    assert url("azure", "anthropic-messages", "m", base_url=base) == base + "/anthropic/v1/messages"


def test_a_lacking_field_is_named() -> None:
    with pytest.raises(ValueError, match=r"^region$"):
        url("bedrock", "bedrock-converse", CLAUDE)
    assert fill("/{model}:{verb}/{a}", {"a": "b"}) == "/{model}:{verb}/b"
