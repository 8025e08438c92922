"""Requests of other protocols as Bedrock's models take them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.ir import (
    CachePoint,
    Generate,
    Inline,
    JsonObject,
    Loss,
    Media,
    Message,
    Opaque,
    OutputFormat,
    Part,
    PlainText,
    Reasoning,
    ReasoningOptions,
    Structured,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Url,
)
from freehold.protocols.bedrock_converse import CODEC
from freehold.protocols.bedrock_converse.families import family_of
from freehold.protocols.codec import WireRequest, WireResponse
from freehold.protocols.openai_chat import LANGUAGE as OPENAI
from tests.protocols.bedrock_converse.service_model import problems

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
NOVA = "amazon.nova-pro-v1:0"
WEATHER = Tool(name="weather", parameters={"type": "object", "properties": {"city": {"type": "string"}}})


def user(*parts: Part | str) -> Message:
    return Message(role="user", parts=tuple(Text(text=part) if isinstance(part, str) else part for part in parts))


def assistant(*parts: Part | str) -> Message:
    return Message(role="assistant", parts=tuple(Text(text=part) if isinstance(part, str) else part for part in parts))


def encode(*messages: Message, model: str = CLAUDE, **fields: Any) -> tuple[dict[str, Any], tuple[Loss, ...]]:  # noqa: ANN401 -- any field of a request
    encoded = CODEC.encode_request(Generate(origin="openai-chat", model=model, messages=messages, **fields))
    body = json.loads(encoded.value.body)
    assert problems(body, "Converse") == []
    return body, encoded.losses


def test_the_model_stands_in_the_path_percent_encoded() -> None:
    request = Generate(origin="openai-chat", model=CLAUDE, messages=(user("hi"),), stream=True)
    assert CODEC.encode_request(request).value.path.endswith("-v1%3A0/converse-stream")


def test_system_text_goes_to_the_top_and_neighbours_become_one_turn() -> None:
    body, losses = encode(
        Message(role="developer", parts=(Text(text="Be brief."),)), user("One."), user("Two."), assistant("Three. ")
    )
    assert body["system"] == [{"text": "Be brief."}]
    assert body["messages"] == [
        {"role": "user", "content": [{"text": "One."}, {"text": "Two."}]},
        {"role": "assistant", "content": [{"text": "Three."}]},
    ]
    assert losses == ()


def test_system_text_in_mid_conversation_is_moved() -> None:
    _, losses = encode(user("One."), Message(role="system", parts=(Text(text="Be brief."),)), user("Two."))
    assert [(loss.path, loss.kind) for loss in losses] == [("messages[1]", "moved")]


def test_a_conversation_that_the_assistant_began_gets_an_opening() -> None:
    body, losses = encode(assistant("Hello!"), user("Hi."))
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    assert [loss.kind for loss in losses] == ["simulated"]


def test_results_follow_their_calls_whatever_the_ids() -> None:
    strange = "call_1~fh1." + "x" * 80
    body, _ = encode(
        user("Weather?"),
        assistant(ToolCall(id=strange, name="weather", arguments='{"city":"Oslo"}')),
        Message(role="tool", parts=(ToolResult(call_id=strange, parts=(Structured(value={"c": 4}),)),)),
        tools=(WEATHER,),
    )
    call = body["messages"][1]["content"][0]["toolUse"]
    result = body["messages"][2]["content"][0]["toolResult"]
    assert call["toolUseId"] == result["toolUseId"] != strange
    assert result["content"] == [{"json": {"c": 4}}]


def test_calls_without_ids_are_numbered_and_found_by_their_results() -> None:
    body, _ = encode(
        user("Weather?"),
        assistant(
            ToolCall(id="", name="weather", arguments='{"city":"Oslo"}'), ToolCall(id="", name="time", arguments="")
        ),
        Message(
            role="tool",
            parts=(
                ToolResult(call_id="", name="time", parts=(Text(text="noon"),)),
                ToolResult(call_id="", name="weather", parts=(Text(text="4"),)),
            ),
        ),
        tools=(WEATHER,),
    )
    calls = {block["toolUse"]["name"]: block["toolUse"]["toolUseId"] for block in body["messages"][1]["content"]}
    results = {
        block["toolResult"]["toolUseId"]: block["toolResult"]["content"] for block in body["messages"][2]["content"]
    }
    assert results == {calls["time"]: [{"text": "noon"}], calls["weather"]: [{"text": "4"}]}


def test_a_call_without_a_result_gets_one_and_a_result_without_a_call_is_text() -> None:
    body, losses = encode(
        user("Weather?"),
        assistant(ToolCall(id="a", name="weather", arguments="{}")),
        Message(role="tool", parts=(ToolResult(call_id="b", parts=(Text(text="4"),)),)),
        tools=(WEATHER,),
    )
    results, text = body["messages"][2]["content"]
    assert results["toolResult"]["toolUseId"] == "a"
    assert text == {"text": "4"}
    assert {loss.kind for loss in losses} == {"simulated", "approximated"}


def test_tools_in_the_history_are_offered_when_nothing_else_is() -> None:
    body, losses = encode(
        user("Weather?"),
        assistant(ToolCall(id="a", name="weather", arguments="{}")),
        Message(role="tool", parts=(ToolResult(call_id="a", parts=(Text(text="4"),)),)),
    )
    assert [tool["toolSpec"]["name"] for tool in body["toolConfig"]["tools"]] == ["weather"]
    assert [loss.kind for loss in losses] == ["simulated"]


def test_no_tool_is_offered_when_none_may_be_called() -> None:
    body, losses = encode(user("Hi."), tools=(WEATHER,), tool_choice=ToolChoice(mode="none"))
    assert "toolConfig" not in body
    assert losses == ()


def test_a_choice_among_some_tools_offers_only_these() -> None:
    others = (Tool(name="time"), Tool(name="news"))
    choice = ToolChoice(mode="required", names=("weather", "time"))
    body, _ = encode(user("Hi."), tools=(WEATHER, *others), tool_choice=choice)
    assert [tool["toolSpec"]["name"] for tool in body["toolConfig"]["tools"]] == ["weather", "time"]
    assert body["toolConfig"]["toolChoice"] == {"any": {}}


@pytest.mark.parametrize(
    ("model", "offered", "expected"),
    [
        (CLAUDE, 2, {"tool": {"name": "weather"}}),
        ("mistral.mistral-large-2402-v1:0", 1, {"any": {}}),
        ("meta.llama3-1-70b-instruct-v1:0", 1, {"auto": {}}),
    ],
)
def test_a_tool_is_forced_as_far_as_the_model_can_be(model: str, offered: int, expected: JsonObject) -> None:
    tools, choice = (WEATHER, Tool(name="time")), ToolChoice(mode="required", names=("weather",))
    body, _ = encode(user("Hi."), model=model, tools=tools, tool_choice=choice)
    assert (len(body["toolConfig"]["tools"]), body["toolConfig"]["toolChoice"]) == (offered, expected)


def test_a_tool_name_beyond_the_alphabet_is_mapped_and_comes_back() -> None:
    request = Generate(origin="openai-chat", model=CLAUDE, messages=(user("Hi."),), tools=(Tool(name="files.read"),))
    encoded = CODEC.encode_request(request)
    name = json.loads(encoded.value.body)["toolConfig"]["tools"][0]["toolSpec"]["name"]
    assert name.startswith("files_read_")
    call = {"toolUse": {"toolUseId": "t", "name": name, "input": {}}}
    body = {"output": {"message": {"role": "assistant", "content": [call]}}, "stopReason": "tool_use"}
    answer: Any = CODEC.decode_response(WireResponse(status=200, body=json.dumps(body).encode()), request)
    assert answer.choices[0].parts[0].name == "files.read"


def test_media_by_address_can_not_be_said_but_s3_can() -> None:
    body, losses = encode(
        user(
            "Look.",
            Media(kind="image", source=Url(url="https://example.com/cat.png")),
            Media(kind="image", source=Url(url="s3://bucket/cat.png"), media_type="image/png"),
        )
    )
    assert body["messages"][0]["content"][1:] == [
        {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://bucket/cat.png"}}}}
    ]
    assert [(loss.path, loss.effect) for loss in losses] == [("messages[0].parts[1]", "content")]


def test_documents_get_plain_unique_names_and_company() -> None:
    body, _ = encode(
        user(
            Media(kind="document", source=Inline(data="JVBERi0x"), name="Q3_report.pdf"),
            Media(kind="document", source=PlainText(text="notes"), name="Q3_report.pdf"),
        )
    )
    first, second, text = body["messages"][0]["content"]
    assert (first["document"]["name"], first["document"]["format"]) == ("Q3 report pdf", "pdf")
    assert (second["document"]["name"], second["document"]["format"]) == ("Q3 report pdf (2)", "txt")
    assert "text" in text


def test_calls_and_blocks_of_another_provider_never_become_ours() -> None:
    searched = ToolCall(id="s", name="web_search", arguments="{}", hosted=True)
    body, losses = encode(user("Hi."), assistant(searched, Opaque(origin=OPENAI, value={"type": "odd"}), "Found it."))
    assert body["messages"][1]["content"] == [{"text": "Found it."}]
    assert {loss.effect for loss in losses} == {"content"}


def test_reasoning_without_a_proof_stays_behind() -> None:
    body, losses = encode(user("Hi."), assistant(Reasoning(text="Hm."), "Hello."))
    assert body["messages"][1]["content"] == [{"text": "Hello."}]
    assert [loss.effect for loss in losses] == ["behaviour"]


def test_cache_points_go_where_the_model_has_them() -> None:
    point = CachePoint(ttl="1h")
    body, losses = encode(user("Long.", point), tools=(WEATHER, point))
    assert body["messages"][0]["content"][1] == {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert body["toolConfig"]["tools"][1] == {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert losses == ()
    _, losses = encode(user("Long.", point), model="meta.llama3-1-8b-instruct-v1:0")
    assert [loss.effect for loss in losses] == ["accounting"]


def test_sampling_is_clamped_and_what_has_no_word_is_noted() -> None:
    body, losses = encode(user("Hi."), temperature=1.7, seed=3, stop=("", "END"), user="u1")
    assert body["inferenceConfig"] == {"temperature": 1, "stopSequences": ["END"]}
    assert [(loss.path, loss.kind) for loss in losses] == [
        ("stop", "dropped"),
        ("temperature", "clamped"),
        ("seed", "dropped"),
        ("user", "dropped"),
    ]


@pytest.mark.parametrize(
    ("model", "options", "expected"),
    [
        (CLAUDE, ReasoningOptions(effort="low"), {"thinking": {"type": "enabled", "budget_tokens": 2048}}),
        (CLAUDE, ReasoningOptions(mode="off"), {"thinking": {"type": "disabled"}}),
        ("anthropic.claude-opus-4-6-v1", ReasoningOptions(effort="high"), {"thinking": {"type": "adaptive"}}),
        ("us.anthropic.claude-opus-5-20260724-v1:0", ReasoningOptions(mode="off"), {"thinking": {"type": "disabled"}}),
        ("us.anthropic.claude-opus-5-5-v1:0", ReasoningOptions(mode="off"), None),
        ("anthropic.claude-3-haiku-20240307-v1:0", ReasoningOptions(effort="high"), None),
        (
            "us.amazon.nova-2-lite-v1:0",
            ReasoningOptions(budget=9000),
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}},
        ),
        ("openai.gpt-oss-120b-1:0", ReasoningOptions(effort="minimal"), {"reasoning_effort": "low"}),
        ("qwen.qwen3-32b-v1:0", ReasoningOptions(effort="high"), {"reasoning_config": "high"}),
        (NOVA, ReasoningOptions(effort="high"), None),
    ],
)
def test_every_family_thinks_in_its_own_words(
    model: str, options: ReasoningOptions, expected: JsonObject | None
) -> None:
    body, _ = encode(user("Hi."), model=model, reasoning=options)
    assert body.get("additionalModelRequestFields") == expected


@pytest.mark.parametrize("model", ["anthropic.claude-opus-4-7-v1:0", "eu.anthropic.claude-haiku-5-5-v1:0"])
def test_newer_models_of_claude_are_given_no_sampling_parameters(model: str) -> None:
    body, losses = encode(user("Hi."), model=model, temperature=0.2, top_p=0.9, top_k=5)
    assert "inferenceConfig" not in body
    assert "additionalModelRequestFields" not in body
    assert [(loss.path, loss.kind) for loss in losses] == [
        ("top_k", "dropped"),
        ("temperature", "dropped"),
        ("top_p", "dropped"),
    ]
    _, losses = encode(user("Hi."), model=model, temperature=1.0)
    assert losses == ()


def test_models_that_can_not_be_made_to_call_a_tool_are_offered_it() -> None:
    choice = ToolChoice(mode="required", names=("weather",))
    body, losses = encode(user("Hi."), model="anthropic.claude-opus-5-5-v1:0", tools=(WEATHER,), tool_choice=choice)
    assert body["toolConfig"]["toolChoice"] == {"auto": {}}
    assert ("tool_choice", "behaviour") in [(loss.path, loss.effect) for loss in losses]


def test_claude_does_not_think_in_a_tool_turn_that_began_without_a_signed_thought() -> None:
    body, losses = encode(
        user("Weather?"),
        assistant(ToolCall(id="a", name="weather", arguments="{}")),
        Message(role="tool", parts=(ToolResult(call_id="a", parts=(Text(text="4"),)),)),
        tools=(WEATHER,),
        reasoning=ReasoningOptions(effort="low"),
    )
    assert "additionalModelRequestFields" not in body
    assert [loss.path for loss in losses] == ["reasoning"]


def test_answers_are_held_to_a_schema_where_the_model_can_be() -> None:
    schema: JsonObject = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}
    form = OutputFormat(kind="schema", schema=schema, name="N")
    body, losses = encode(user("Count."), output_format=form)
    definition = body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
    assert json.loads(definition["schema"]) == {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "additionalProperties": False,
    }
    assert [loss.detail for loss in losses] == ["without minimum"]
    body, losses = encode(user("Count."), output_format=form, model=NOVA)
    assert "outputConfig" not in body
    assert "JSON schema" in body["system"][0]["text"]
    assert [loss.kind for loss in losses] == ["simulated"]


@pytest.mark.parametrize(
    ("model", "reasoning"),
    [
        ("anthropic.claude-3-5-sonnet-20241022-v2:0", "none"),
        ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", "budget"),
        ("global.anthropic.claude-haiku-4-5-20251001-v1:0", "budget"),
        ("anthropic.claude-sonnet-4-20250514-v1:0", "budget"),
        ("anthropic.claude-opus-4-7", "adaptive"),
        ("anthropic.claude-sonnet-5", "adaptive"),
        ("arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-v2:1", "none"),
    ],
)
def test_the_version_of_claude_tells_how_it_thinks(model: str, reasoning: str) -> None:
    assert family_of(model).reasoning == reasoning


def test_a_schema_in_a_string_keeps_its_spelling() -> None:
    spaced = '{"type": "object", "properties": {}}'
    config = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"name": "N", "schema": spaced}}}}
    body = {"messages": [{"role": "user", "content": [{"text": "hi"}]}], "outputConfig": config}
    request = CODEC.decode_request(WireRequest(path="/model/m/converse", body=json.dumps(body).encode()))
    assert isinstance(request, Generate)
    assert request.output_format is not None
    assert request.output_format.schema == {"type": "object", "properties": {}}
    assert json.loads(CODEC.encode_request(request).value.body) == body


def test_what_says_nothing_is_no_loss_elsewhere() -> None:
    body = {"messages": [], "system": [], "inferenceConfig": {"stopSequences": []}, "toolConfig": {"tools": []}}
    request = CODEC.decode_request(WireRequest(path="/model/m/converse", body=json.dumps(body).encode()))
    assert isinstance(request, Generate)
    assert request.extra is not None
    assert [name for name in request.extra.fields if request.extra.origin.effects.get(name, "unknown")] == []
    assert json.loads(CODEC.encode_request(request).value.body) == body
