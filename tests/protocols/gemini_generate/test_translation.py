"""What other languages say, said here: accepted by Google's own models, in the order that the API demands."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai import types
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.ir import (
    CachePoint,
    Choice,
    Count,
    Embed,
    Finish,
    Generate,
    Inline,
    JsonObject,
    Loss,
    Media,
    Message,
    Opaque,
    OutputFormat,
    Part,
    Reasoning,
    ReasoningOptions,
    Refusal,
    Response,
    Role,
    Structured,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Usage,
)
from freehold.ir.fold import unfold
from freehold.protocols.anthropic_messages import LANGUAGE as ANTHROPIC_MESSAGES
from freehold.protocols.codec import Dialect, Stamp, WireRequest
from freehold.protocols.gemini_generate import CODEC

STAMP = Stamp(id="exchange1", created=1_700_000_000)
HELLO = Message(role="user", parts=(Text(text="Hello"),))


def say(
    *messages: Message,
    model: str = "gemini-2.5-flash",
    **fields: Any,  # noqa: ANN401 -- any field of a request
) -> tuple[dict[str, Any], list[tuple[str, str, str]]]:
    """The body, and the losses as path, kind and effect."""
    request = Generate(origin="openai-chat", model=model, messages=messages or (HELLO,), **fields)
    encoded = CODEC.encode_request(request)
    return json.loads(encoded.value.body), [brief(loss) for loss in encoded.losses]


def brief(loss: Loss) -> tuple[str, str, str]:
    return loss.path, loss.kind, loss.effect


def test_system_text_stands_on_top_and_neighbours_are_joined() -> None:
    body, losses = say(
        Message(role="system", parts=(Text(text="Be brief."),)),
        HELLO,
        Message(role="user", parts=(Text(text="World"),)),
        Message(role="developer", parts=(Text(text="In French."),)),
        Message(role="assistant", parts=(Text(text="Bonjour"),)),
    )
    assert body["systemInstruction"] == {"parts": [{"text": "Be brief."}, {"text": "In French."}]}
    assert [(turn["role"], len(turn["parts"])) for turn in body["contents"]] == [("user", 2), ("model", 1)]
    assert losses == [("messages[3]", "moved", "behaviour")]


def test_results_follow_their_calls_in_order_and_missing_ones_are_made_up() -> None:
    body, losses = say(
        HELLO,
        Message(role="assistant", parts=tuple(ToolCall(id=name, name=name, arguments="{}") for name in "abc")),
        Message(role="tool", parts=(ToolResult(call_id="b", parts=(Text(text="2"),)),)),
        Message(role="user", parts=(Text(text="And?"), ToolResult(call_id="a", parts=(Structured(value={"x": 1}),)))),
        Message(role="tool", parts=(ToolResult(call_id="z", parts=(Text(text="lost"),)),)),
    )
    results = [part["functionResponse"] for part in body["contents"][2]["parts"]]
    assert results == [
        {"id": "a", "name": "a", "response": {"x": 1}},
        {"id": "b", "name": "b", "response": {"output": "2"}},
        {"id": "c", "name": "c", "response": {"error": "No result was given."}},
    ]
    assert body["contents"][3]["parts"] == [{"text": "And?"}, {"text": "lost"}]
    assert [kind for _, kind, _ in losses] == ["simulated", "approximated"]


@pytest.mark.parametrize(("model", "inside"), [("gemini-3-flash-preview", True), ("gemini-2.5-flash", False)])
def test_media_of_results_stand_inside_of_them_from_gemini_3_on(model: str, *, inside: bool) -> None:
    picture = Media(kind="image", source=Inline(data="iVBORw0KGgo="))
    body, losses = say(
        HELLO,
        Message(role="assistant", parts=(ToolCall(id="a", name="look", arguments=""),)),
        Message(role="tool", parts=(ToolResult(call_id="a", parts=(Text(text="Here"), picture)),)),
        model=model,
    )
    parts = body["contents"][2]["parts"]
    wire = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}
    assert (parts[0]["functionResponse"].get("parts") == [wire]) is inside
    assert (parts[1:] == [wire]) is not inside
    assert losses == ([] if inside else [("messages[2].parts[0].parts[1]", "moved", "behaviour")])


def test_a_conversation_of_system_text_alone_becomes_the_users() -> None:
    body, losses = say(Message(role="system", parts=(Text(text="Say hi."),)))
    assert body == {"contents": [{"role": "user", "parts": [{"text": "Say hi."}]}]}
    assert losses == [("messages[0]", "moved", "behaviour")]


@pytest.mark.parametrize(
    ("model", "options", "config"),
    [
        ("gemini-3-pro-preview", ReasoningOptions(effort="low"), {"thinkingLevel": "LOW"}),
        ("gemini-3-pro-preview", ReasoningOptions(effort="xhigh"), {"thinkingLevel": "HIGH"}),
        ("gemini-2.5-flash", ReasoningOptions(effort="medium"), {"thinkingBudget": 8192}),
        ("gemini-2.5-flash", ReasoningOptions(mode="off"), {"thinkingBudget": 0}),
        ("gemini-2.5-pro", ReasoningOptions(mode="off"), {"thinkingBudget": 128}),
        ("gemini-2.5-flash", ReasoningOptions(mode="adaptive"), {"includeThoughts": True, "thinkingBudget": -1}),
        ("gemini-2.5-flash", ReasoningOptions(mode="on", budget=99_999, summary="none"), {"thinkingBudget": 24_576}),
    ],
)
def test_thinking_is_said_in_the_models_own_words(
    model: str, options: ReasoningOptions, config: dict[str, Any]
) -> None:
    body, _ = say(model=model, reasoning=options)
    assert body["generationConfig"] == {"thinkingConfig": config}


def test_settings_are_kept_within_limits() -> None:
    body, losses = say(temperature=3.5, stop=tuple("abcdefg"), seed=2**40, user="me", parallel_tools=False)
    assert body["generationConfig"] == {"temperature": 2.0, "seed": 0, "stopSequences": list("abcde")}
    assert losses == [
        ("temperature", "clamped", "behaviour"),
        ("seed", "approximated", "behaviour"),
        ("stop", "clamped", "behaviour"),
        ("user", "dropped", "accounting"),
    ]


def test_tools_their_names_and_the_choice_among_them() -> None:
    schema: JsonObject = {"$schema": "x", "type": "object", "properties": {"a": {"type": ["string", "null"]}}}
    body, losses = say(
        tools=(Tool(name="1 bad name", parameters=schema), Tool(name="none", parameters={"type": "object"})),
        tool_choice=ToolChoice(mode="required", names=("1 bad name",)),
    )
    assert body["tools"] == [
        {
            "functionDeclarations": [
                {
                    "name": "_1_bad_name",
                    "parametersJsonSchema": {"type": "object", "properties": {"a": {"type": ["string", "null"]}}},
                },
                {"name": "none"},
            ]
        }
    ]
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["_1_bad_name"]}}
    assert losses == []


def test_a_renamed_tool_is_called_by_its_own_name() -> None:
    request = Generate(origin="openai-chat", model="m", messages=(HELLO,), tools=(Tool(name="9"),))
    call = ToolCall(id="", name="_9", arguments="{}")
    wire = CODEC.encode_response(Response(origin="x", choices=(Choice(parts=(call,)),)), STAMP).value
    result = CODEC.decode_response(wire, request)
    assert isinstance(result, Response)
    (part,) = result.choices[0].parts
    assert isinstance(part, ToolCall)
    assert part.name == "9"


def test_googles_own_schemas_are_read_as_json_schema() -> None:
    native = {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}, "b": {"type": "INTEGER"}}}
    body = {"contents": [], "tools": [{"functionDeclarations": [{"name": "f", "parameters": native}]}]}
    request = CODEC.decode_request(_post(body))
    assert isinstance(request, Generate)
    (tool,) = request.tools
    assert isinstance(tool, Tool)
    assert tool.parameters == {
        "type": "object",
        "properties": {"a": {"type": ["string", "null"]}, "b": {"type": "integer"}},
    }
    assert json.loads(CODEC.encode_request(request).value.body) == body


def _post(body: dict[str, Any]) -> WireRequest:
    return WireRequest(path="/v1beta/models/m:generateContent", body=json.dumps(body).encode())


def test_the_form_of_the_answer() -> None:
    body, losses = say(output_format=OutputFormat(kind="schema", schema={"type": "object"}, name="x", strict=True))
    assert body["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object"},
    }
    assert losses == []


def test_counting_wraps_what_the_gemini_api_counts_only_so() -> None:
    request = Generate(
        origin="anthropic-messages",
        model="gemini-2.5-flash",
        messages=(Message(role="system", parts=(Text(text="Be brief."),)), HELLO),
        temperature=5,
    )
    encoded = CODEC.encode_request(Count(origin="anthropic-messages", generate=request))
    body = json.loads(encoded.value.body)
    assert encoded.losses == ()
    assert body["generateContentRequest"]["model"] == "models/gemini-2.5-flash"
    vertex = CODEC.encode_request(Count(origin="x", generate=request), Dialect(provider="vertex")).value
    assert json.loads(vertex.body).keys() == {"contents", "systemInstruction"}


def test_vectors_of_several_texts_are_asked_for_at_once() -> None:
    wire = CODEC.encode_request(Embed(origin="openai-embeddings", model="e", inputs=("a", "b"), dimensions=9)).value
    assert wire.path == "/v1beta/models/e:batchEmbedContents"
    assert json.loads(wire.body)["requests"][1] == {
        "model": "models/e",
        "content": {"parts": [{"text": "b"}]},
        "outputDimensionality": 9,
    }


def test_what_another_provider_ran_never_becomes_the_clients_call() -> None:
    call = ToolCall(id="1", name="web_search", arguments="{}", hosted=True)
    answer = Response(origin="anthropic-messages", choices=(Choice(parts=(call, Text(text="Hi"))),))
    encoded = CODEC.encode_response(answer, STAMP)
    assert json.loads(encoded.value.body)["candidates"][0]["content"]["parts"] == [{"text": "Hi"}]
    assert [brief(loss) for loss in encoded.losses] == [("choices[0].parts[0]", "dropped", "content")]


PARTS = st.sampled_from(
    [
        Text(text=""),
        Text(text="Hi"),
        Refusal(text="No"),
        Reasoning(text="Hm"),
        Reasoning(text="", redacted=True),
        Media(kind="image", source=Inline(data="aGk="), media_type="image/png"),
        Structured(value=[1]),
        CachePoint(),
        ToolCall(id="1", name="f", arguments='{"a":1}'),
        ToolCall(id="", name="g", arguments="not json"),
        ToolCall(id="2", name="h", arguments="", hosted=True),
        ToolResult(call_id="1", parts=(Text(text="42"),)),
        ToolResult(call_id="", name="g", parts=()),
        ToolResult(call_id="3", parts=(Structured(value={"a": 1}),), is_error=True),
        Opaque(origin=ANTHROPIC_MESSAGES, value={"type": "container_upload"}),
    ]
)
ROLES: st.SearchStrategy[Role] = st.sampled_from(["system", "developer", "user", "assistant", "tool"])
MESSAGES = st.lists(
    st.builds(
        lambda role, parts: Message(role=role, parts=tuple(parts)), ROLES, st.lists(PARTS, min_size=1, max_size=4)
    ),
    max_size=6,
)


@settings(max_examples=200, deadline=None)
@given(MESSAGES, st.sampled_from(["gemini-2.5-pro", "gemini-3-pro-preview"]))
def test_any_conversation_becomes_one_that_google_takes(messages: list[Message], model: str) -> None:
    body, _ = say(*messages, model=model)
    asked = 0
    for number, turn in enumerate(body["contents"]):
        types.Content.model_validate(turn)
        assert turn["parts"]
        results = sum("functionResponse" in part for part in turn["parts"])
        assert results == asked
        asked = sum("functionCall" in part for part in turn["parts"])
        assert turn["role"] == "user" or number > 0
    assert asked == 0


FINISHES = st.sampled_from(["stop", "length", "tool_calls", "content_filter", "refusal", "pause", "error", "other"])


@settings(max_examples=200, deadline=None)
@given(st.lists(PARTS, max_size=4), FINISHES)
def test_any_answer_is_one_that_googles_client_reads(parts: list[Part], kind: Any) -> None:  # noqa: ANN401 -- a literal of ir that hypothesis draws
    answer = Response(
        origin="openai-chat",
        choices=(Choice(parts=tuple(parts), finish=Finish(kind=kind)),),
        usage=Usage(input_tokens=3, output_tokens=9, reasoning=4),
    )
    encoded = CODEC.encode_response(answer, STAMP)
    types.GenerateContentResponse.model_validate_json(encoded.value.body)
    encoder = CODEC.encoder(STAMP)
    chunks = [json.loads(frame.data) for batch in unfold(answer) for frame in encoder.feed(batch)]
    for chunk in chunks:
        types.GenerateContentResponse.model_validate(chunk)
    assert chunks[-1]["candidates"][0]["finishReason"]
    assert chunks[-1]["usageMetadata"]["totalTokenCount"] == 12
    assert {brief(loss) for loss in encoder.losses} == {brief(loss) for loss in encoded.losses}
