"""The vendors' own descriptions, read as they are meant: what real bodies pass, and what each of them refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.laws.recordings import recording
from tests.vendors.published import FOLDER, Schema, problems

SOURCES = sorted(file.name.removesuffix(".json.xz") for file in FOLDER.glob("*.json.xz"))

RIGHT: dict[Schema, dict[str, Any]] = {
    Schema("openai-openapi", "CreateChatCompletionRequest"): {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    },
    Schema("anthropic-messages", "MessageCreateParams"): {
        "model": "claude-sonnet-4-5",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
        "stream": True,
    },
    Schema("google-genai", "GenerateContentRequest"): {
        "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
        "generationConfig": {"thinkingConfig": {"thinkingBudget": 5}},
    },
    Schema("google-aiplatform-v1", "GenerateContentRequest"): {
        "contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": "_-8="}}]}],
        "generationConfig": {"responseSchema": {"type": "OBJECT", "minProperties": "1", "nullable": True}},
        "labels": {"team": "a"},
    },
}


@pytest.mark.parametrize("schema", RIGHT, ids=str)
def test_a_plain_request_is_right(schema: Schema) -> None:
    assert problems(RIGHT[schema], schema) == []


def test_every_file_is_in_use() -> None:
    assert sorted(schema.source for schema in RIGHT) == SOURCES


@pytest.mark.parametrize(
    ("source", "place", "value", "path", "says"),
    [
        # An object that two others make up is closed as a whole.
        ("openai-openapi", (), {"nonsense": 1}, "$.nonsense", "has no such member"),
        ("openai-openapi", (), {"messages": []}, "$.messages", "should be non-empty"),
        ("openai-openapi", (), {"temperature": 2.5}, "$.temperature", "greater than the maximum of 2"),
        # Of many alternatives the one that is meant is judged.
        (
            "openai-openapi",
            ("messages", 0),
            {"nonsense": 1},
            "$.messages[0].nonsense",
            "UserMessage has no such member",
        ),
        ("openai-openapi", ("messages", 0), {"role": "nobody"}, "$.messages[0]", "none of the alternatives"),
        (
            "openai-openapi",
            ("messages", 0, "content", 0),
            {"text": 5},
            "$.messages[0].content[0].text",
            "type 'string'",
        ),
        ("anthropic-messages", (), {"max_tokens": "5"}, "$.max_tokens", "type 'integer'"),
        ("anthropic-messages", ("messages", 0, "content", 0), {"x": 1}, "$.messages[0].content[0].x", "no such member"),
        ("google-genai", ("contents", 0, "parts", 0), {"x": 1}, "$.contents[0].parts[0].x", "no such member"),
        ("google-aiplatform-v1", (), {"contents": {}}, "$.contents", "type 'array'"),
        ("google-aiplatform-v1", (), {"labels": {"team": 1}}, "$.labels.team", "type 'string'"),
        (
            "google-aiplatform-v1",
            ("contents", 0, "parts", 0, "inlineData"),
            {"data": "no base64"},
            "$.contents[0].parts[0].inlineData.data",
            "does not match",
        ),
        (
            "google-aiplatform-v1",
            ("generationConfig", "responseSchema"),
            {"type": "object"},
            "$.generationConfig.responseSchema.type",
            "is not one of",
        ),
        (
            "google-aiplatform-v1",
            ("generationConfig",),
            {"maxOutputTokens": 2**31},
            "$.generationConfig.maxOutputTokens",
            "maximum",
        ),
    ],
)
def test_a_wrong_request_is_told_where_it_is_wrong(
    source: str, place: tuple[str | int, ...], value: dict[str, object], path: str, says: str
) -> None:
    schema = next(schema for schema in RIGHT if schema.source == source)
    body: Any = json.loads(json.dumps(RIGHT[schema]))
    inner = body
    for step in place:
        inner = inner[step]
    inner.update(value)
    found = problems(body, schema)
    assert [problem.path for problem in found] == [path]
    assert says in found[0].says


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        (Schema("openai-openapi", "CreateChatCompletionResponse"), "openai-chat/mirascope-bd1ad433.json"),
        (Schema("openai-openapi", "CreateEmbeddingResponse"), "openai-embeddings/dd-trace-py-f5d236d8.json"),
        (Schema("anthropic-messages", "Message"), "anthropic-messages/mirascope-6a703db0.json"),
        (Schema("google-genai", "GenerateContentResponse"), "gemini-generate/mirascope-6909504c.json"),
        (Schema("google-aiplatform-v1", "GenerateContentResponse"), "gemini-generate/mirascope-6909504c.json"),
    ],
    ids=str,
)
def test_a_recorded_answer_is_right(schema: Schema, name: str) -> None:
    answer = recording(name).wire_response()
    assert answer is not None
    assert problems(json.loads(answer.body), schema) == []
