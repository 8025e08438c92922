"""Requests and answers of another language, as the Responses API takes and its SDK reads them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.responses import Response as SdkResponse
from openai.types.responses.response_create_params import ResponseCreateParamsBase
from pydantic import TypeAdapter

from freehold.ir import (
    CachePoint,
    Choice,
    Extra,
    FileId,
    Finish,
    Generate,
    Inline,
    Language,
    Media,
    Message,
    Opaque,
    OutputFormat,
    Part,
    PlainText,
    Proof,
    Reasoning,
    ReasoningOptions,
    Response,
    Role,
    Structured,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Url,
    Usage,
)
from freehold.protocols.codec import Stamp
from freehold.protocols.openai_responses import CODEC, stateless

STAMP = Stamp(id="exchange", created=1_700_000_000)
OTHER = Language(name="other", effects={"search": "behaviour", "cache_control": None})


def said(role: Role, *parts: Part) -> Message:
    return Message(role=role, parts=parts)


def request(*messages: Message, **rest: Any) -> Generate:  # noqa: ANN401 - whatever a request has
    return Generate(origin="other", model="a-model", messages=messages, **rest)


def body_of(asked: Generate) -> tuple[dict[str, Any], list[tuple[str, str, str]]]:
    """The body, checked against the SDK's parameters, and the losses."""
    encoded = CODEC.encode_request(asked)
    body = json.loads(encoded.value.body)
    if isinstance(body["input"], list):
        # The SDK demands ids of reasoning items; the API takes them without, as recorded requests show.
        items = [{"id": "rs_1", **item} if item.get("type") == "reasoning" else item for item in body["input"]]
        TypeAdapter[Any](ResponseCreateParamsBase).validate_python({**body, "input": items})
    return body, [(loss.path, loss.kind, loss.effect) for loss in encoded.losses]


def test_a_conversation_with_tools() -> None:
    body, losses = body_of(
        request(
            said("system", Text(text="Be brief."), Text(text="Be kind.")),
            said("user", Text(text="Weather?")),
            said("assistant", Text(text="Looking."), ToolCall(id="t1", name="weather", arguments="")),
            said("user", ToolResult(call_id="t1", parts=(Text(text="rain"),)), Text(text="And?")),
            tools=(Tool(name="weather"),),
        )
    )
    assert body["instructions"] == "Be brief.\n\nBe kind."
    assert body["input"] == [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": "Looking."},
        {"type": "function_call", "status": "completed", "arguments": "{}", "call_id": "t1", "name": "weather"},
        {"type": "function_call_output", "call_id": "t1", "output": "rain"},
        {"role": "user", "content": "And?"},
    ]
    assert body["tools"] == [
        {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}, "strict": False}
    ]
    assert losses == []


def test_calls_without_ids_find_their_results() -> None:
    body, _ = body_of(
        request(
            said("assistant", ToolCall(id="", name="a", arguments="{}"), ToolCall(id="", name="b", arguments="{}")),
            said("user", ToolResult(call_id="", name="b", parts=()), ToolResult(call_id="", name="a", parts=())),
        )
    )
    assert [item["call_id"] for item in body["input"]] == ["call_0", "call_1", "call_1", "call_0"]


def test_ids_that_the_api_would_refuse_are_shortened_alike() -> None:
    body, _ = body_of(
        request(
            said("assistant", ToolCall(id="x" * 100, name="a", arguments="{}")),
            said("tool", ToolResult(call_id="x" * 100, parts=(Structured(value={"ok": True}),))),
        )
    )
    call, result = body["input"]
    assert call["call_id"] == result["call_id"]
    assert len(call["call_id"]) <= 64
    assert result["output"] == '{"ok":true}'


def test_media() -> None:
    body, losses = body_of(
        request(
            said(
                "user",
                Media(kind="image", source=Inline(data="AA=="), media_type="image/png"),
                Media(kind="image", source=Url(url="https://example.com/a.png")),
                Media(kind="document", source=Inline(data="AA=="), media_type="application/pdf"),
                Media(kind="document", source=PlainText(text="hi"), name="a.txt"),
                Media(kind="image", source=FileId(id="file-1")),
                Media(kind="audio", source=Inline(data="AA=="), media_type="audio/wav"),
            )
        )
    )
    assert body["input"][0]["content"] == [
        {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,AA=="},
        {"type": "input_image", "detail": "auto", "image_url": "https://example.com/a.png"},
        {"type": "input_file", "file_data": "data:application/pdf;base64,AA==", "filename": "document.pdf"},
        {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,aGk="},
    ]
    assert losses == [
        ("messages[0].parts[4]", "dropped", "content"),
        ("messages[0].parts[5]", "dropped", "content"),
    ]


def test_knobs_that_this_protocol_lacks() -> None:
    _, losses = body_of(
        request(
            said("user", Text(text="hi"), CachePoint()),
            top_k=5, stop=("x",), seed=1, candidates=2, max_output_tokens=1, temperature=3.0,
            extra=Extra(OTHER, {"search": True, "cache_control": {}, "puzzle": 1, "nothing": None}),
            tools=(Opaque(origin=OTHER, value={"type": "search"}),),
            tool_choice=ToolChoice(mode="required"),
        )
    )  # fmt: skip
    assert sorted(losses) == sorted(
        [
            ("messages[0].parts[1]", "dropped", "behaviour"),
            ("tools[0]", "dropped", "behaviour"),
            ("tool_choice", "dropped", "content"),
            ("max_output_tokens", "clamped", "behaviour"),
            ("temperature", "clamped", "behaviour"),
            ("top_k", "dropped", "behaviour"),
            ("stop", "dropped", "behaviour"),
            ("seed", "dropped", "behaviour"),
            ("candidates", "dropped", "behaviour"),
            ("search", "dropped", "behaviour"),
            ("puzzle", "dropped", "unknown"),
        ]
    )


@pytest.mark.parametrize(
    ("options", "written", "lost"),
    [
        (ReasoningOptions(mode="off"), {"effort": "none"}, []),
        (ReasoningOptions(effort="high", summary="full"), {"effort": "high", "summary": "detailed"}, ["approximated"]),
        (ReasoningOptions(mode="on", budget=1024), {"effort": "low"}, ["approximated"]),
        (ReasoningOptions(mode="on", budget=32_000), {"effort": "high"}, ["approximated"]),
        (ReasoningOptions(mode="adaptive"), None, []),
    ],
)
def test_how_much_to_think(options: ReasoningOptions, written: object, lost: list[str]) -> None:
    body, losses = body_of(request(said("user", Text(text="hi")), reasoning=options))
    assert body.get("reasoning") == written
    assert [kind for _, kind, _ in losses] == lost


def test_forms_of_answers_and_choices_of_tools() -> None:
    tools = (Tool(name="a"), Tool(name="b"))
    body, _ = body_of(
        request(
            said("user", Text(text="hi")),
            tools=tools,
            tool_choice=ToolChoice(mode="required", names=("a", "b")),
            output_format=OutputFormat(kind="schema", schema={"type": "object"}),
        )
    )
    assert body["tool_choice"]["type"] == "allowed_tools"
    assert body["text"] == {"format": {"type": "json_schema", "name": "response", "schema": {"type": "object"}}}
    body, _ = body_of(
        request(said("user", Text(text="hi")), tools=tools, tool_choice=ToolChoice(mode="required", names=("a",)))
    )
    assert body["tool_choice"] == {"type": "function", "name": "a"}


def test_reasoning_goes_back_only_with_a_proof_of_ours() -> None:
    body, losses = body_of(
        request(
            said(
                "assistant",
                Reasoning(text="why", proof=Proof(origin="openai-responses", value="gAAA")),
                Reasoning(text="whence", proof=Proof(origin="other", value="sig")),
                Text(text="so"),
            )
        )
    )
    assert body["input"] == [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "why"}], "encrypted_content": "gAAA"},
        {"role": "assistant", "content": "so"},
    ]
    assert losses == [("messages[0].parts[1]", "dropped", "behaviour")]


def test_an_answer_repeats_its_request_as_the_sdk_demands() -> None:
    asked = request(
        said("system", Text(text="Be brief.")),
        said("user", Text(text="hi")),
        tools=(Tool(name="weather"),),
        temperature=0.2,
        max_output_tokens=99,
    )
    answer = Response(
        origin="other",
        model="a-model-2",
        choices=(Choice(parts=(Text(text="hello"),), finish=Finish(kind="length", raw="max_tokens", origin="other")),),
        usage=Usage(input_tokens=4, output_tokens=2, cache_read=3),
    )
    encoded = CODEC.encode_response(answer, STAMP, asked)
    sdk = SdkResponse.model_validate_json(encoded.value.body)
    assert (sdk.status, sdk.model, sdk.output_text) == ("incomplete", "a-model-2", "hello")
    assert (sdk.instructions, sdk.temperature, sdk.max_output_tokens) == ("Be brief.", 0.2, 99)
    assert sdk.incomplete_details is not None
    assert sdk.incomplete_details.reason == "max_output_tokens"
    assert sdk.usage is not None
    assert (sdk.usage.total_tokens, sdk.usage.input_tokens_details.cached_tokens) == (6, 3)
    assert [tool.type for tool in sdk.tools] == ["function"]
    assert json.loads(encoded.value.body)["store"] is False
    assert encoded.losses == ()


def test_stateless_asks_the_provider_to_keep_nothing() -> None:
    body, _ = body_of(stateless(request(said("user", Text(text="hi")))))
    assert (body["store"], body["include"]) == (False, ["reasoning.encrypted_content"])
    again, _ = body_of(stateless(stateless(request(said("user", Text(text="hi"))))))
    assert again == body
