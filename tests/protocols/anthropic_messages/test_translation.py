"""Requests of other protocols, as Anthropic takes them."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest

from freehold.errors import CallerError
from freehold.ir import (
    SEALED,
    CachePoint,
    Count,
    FileId,
    Generate,
    Inline,
    JsonObject,
    Loss,
    Media,
    Message,
    OutputFormat,
    Part,
    PlainText,
    Proof,
    Reasoning,
    ReasoningOptions,
    Role,
    Structured,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Url,
)
from freehold.protocols.anthropic_messages import CODEC, must_move_system
from freehold.protocols.anthropic_messages.reasoning import ADAPTIVE
from freehold.protocols.codec import PLAIN, Dialect, WireRequest


def say(role: Role, *parts: Part | str) -> Message:
    return Message(role=role, parts=tuple(Text(text=part) if isinstance(part, str) else part for part in parts))


def ask(*messages: Message, **fields: object) -> Generate:
    """A request of another protocol; with a limit, so that none has to be made up."""
    plain = Generate(origin="openai-chat", model="claude", messages=messages, max_output_tokens=4000)
    return msgspec.structs.replace(plain, **fields)


def written(request: Generate | Count, dialect: Dialect = PLAIN) -> tuple[dict[str, Any], tuple[Loss, ...]]:
    encoded = CODEC.encode_request(request, dialect)
    return json.loads(encoded.value.body), encoded.losses


def paths(losses: tuple[Loss, ...], effect: str = "behaviour") -> list[tuple[str, str]]:
    return [(loss.path, loss.kind) for loss in losses if loss.effect == effect]


def test_a_plain_question() -> None:
    body, losses = written(ask(say("system", "Be brief."), say("user", "Hi"), temperature=0.5, stream=True))
    assert body == {
        "model": "claude",
        "max_tokens": 4000,
        "messages": [{"role": "user", "content": "Hi"}],
        "system": "Be brief.",
        "stream": True,
        "temperature": 0.5,
    }
    assert losses == ()


def test_a_limit_is_made_up_where_none_was_set() -> None:
    body, losses = written(ask(say("user", "Hi"), max_output_tokens=None))
    assert body["max_tokens"] == 20_000
    assert paths(losses) == [("max_output_tokens", "simulated")]
    assert written(ask(say("user", "Hi"), max_output_tokens=None, stream=True))[0]["max_tokens"] == 32_000


def test_developer_text_on_top_is_system_text_without_a_loss() -> None:
    body, losses = written(ask(say("system", "One."), say("developer", "Two."), say("user", "Hi")))
    assert body["system"] == [{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}]
    assert losses == ()


def test_system_text_in_mid_conversation_is_moved_and_reported() -> None:
    body, losses = written(ask(say("user", "Hi"), say("system", "Now in verse."), say("user", "Go on")))
    assert body["system"] == "Now in verse."
    assert body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "Go on"}]}
    ]
    assert paths(losses) == [("messages[1]", "moved")]


def test_results_of_parallel_calls_stand_first_in_one_turn() -> None:
    body, losses = written(
        ask(
            say("user", "Add"),
            say(
                "assistant",
                "",
                ToolCall(id="a", name="add", arguments='{"x":1}'),
                ToolCall(id="b", name="add", arguments=""),
            ),
            say("tool", ToolResult(call_id="b", parts=(Text(text="2"),))),
            say("tool", ToolResult(call_id="a", parts=(Structured(value={"sum": 1}),), is_error=False)),
            say("user", "And?"),
        )
    )
    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "a", "name": "add", "input": {"x": 1}},
                {"type": "tool_use", "id": "b", "name": "add", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "b", "content": "2"},
                {
                    "type": "tool_result",
                    "tool_use_id": "a",
                    "content": [{"type": "text", "text": '{"sum":1}'}],
                    "is_error": False,
                },
                {"type": "text", "text": "And?"},
            ],
        },
    ]
    assert losses == ()


def test_calls_without_ids_get_ids_that_their_results_find() -> None:
    body, _ = written(
        ask(
            say("user", "Add"),
            say("assistant", ToolCall(id="", name="add", arguments="{}"), ToolCall(id="", name="sub", arguments="{}")),
            say(
                "user",
                ToolResult(call_id="", name="sub", parts=(Text(text="0"),)),
                ToolResult(call_id="", name="add", parts=(Text(text="2"),)),
            ),
        )
    )
    add, sub = (block["id"] for block in body["messages"][1]["content"])
    assert [block["tool_use_id"] for block in body["messages"][2]["content"]] == [sub, add]


def test_foreign_ids_and_names_are_mapped_into_the_alphabet() -> None:
    request = ask(
        say("user", "Add"),
        say("assistant", ToolCall(id="call_9.x:y", name="math.add", arguments="{}")),
        say("tool", ToolResult(call_id="call_9.x:y", parts=(Text(text="2"),))),
        tools=(Tool(name="math.add"), Tool(name="math_add")),
    )
    body, losses = written(request)
    (call,) = body["messages"][1]["content"]
    (result,) = body["messages"][2]["content"]
    assert call["id"] == result["tool_use_id"]
    assert call["id"].replace("_", "").isalnum()
    assert [tool["name"] for tool in body["tools"]] == ["math_add_2", "math_add"]
    assert call["name"] == "math_add_2"
    assert losses == ()
    answer = CODEC.response_from(
        {"content": [{"type": "tool_use", "id": "t", "name": "math_add_2", "input": {}}]}, request
    )
    (part,) = answer.choices[0].parts
    assert isinstance(part, ToolCall)
    assert part.name == "math.add"


def test_calls_and_results_that_miss_each_other_are_settled() -> None:
    body, losses = written(
        ask(
            say("assistant", ToolCall(id="a", name="add", arguments="[1")),
            say("user", "Never mind", ToolResult(call_id="z", parts=(Text(text="lost"),))),
        )
    )
    first, call, answer = body["messages"]
    assert first["role"] == "user"
    assert call["content"][0]["input"] == {"unreadable_arguments": "[1"}
    assert answer["content"][0] == {
        "type": "tool_result",
        "tool_use_id": "a",
        "content": "No result was given.",
        "is_error": True,
    }
    assert answer["content"][1:] == [{"type": "text", "text": "Never mind"}, {"type": "text", "text": "lost"}]
    assert not paths(losses, "content")
    assert {kind for _, kind in paths(losses)} == {"simulated", "approximated"}


def test_empty_texts_and_turns_vanish() -> None:
    body, losses = written(ask(say("system", ""), say("user", "Hi", " "), say("assistant", ""), say("user", "There?")))
    assert body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "There?"}]}
    ]
    assert "system" not in body
    assert losses == ()


def test_only_own_and_sealed_proofs_go_out() -> None:
    own = Reasoning(text="a", proof=Proof(origin="anthropic-messages", value="sig"))
    sealed = Reasoning(text="", proof=Proof(origin=SEALED, value="seal"), redacted=True)
    foreign = Reasoning(text="c", proof=Proof(origin="gemini-generate", value="x"))
    body, losses = written(ask(say("user", "Hi"), say("assistant", own, sealed, foreign, "Yes"), say("user", "Go on")))
    assert body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "a", "signature": "sig"},
        {"type": "redacted_thinking", "data": "seal"},
        {"type": "text", "text": "Yes"},
    ]
    assert paths(losses) == [("messages[1].parts[2]", "dropped")]


@pytest.mark.parametrize(
    ("media", "block"),
    [
        (
            Media(kind="image", source=Inline(data="iVBORw0KGgoAAA==")),
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgoAAA=="}},
        ),
        (
            Media(kind="image", source=Url(url="https://example.com/a.png")),
            {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
        ),
        (
            Media(kind="document", source=Inline(data="JVBERi0x"), media_type="application/pdf", name="a.pdf"),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0x"},
                "title": "a.pdf",
            },
        ),
        (
            Media(kind="document", source=Inline(data=base64.b64encode(b"a,b").decode()), media_type="text/csv"),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a,b"}},
        ),
        (
            Media(kind="document", source=PlainText(text="x")),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}},
        ),
        (Media(kind="image", source=Inline(data="AAAA"), media_type="image/tiff"), None),
        (Media(kind="audio", source=Inline(data="AAAA"), media_type="audio/wav"), None),
        (Media(kind="document", source=FileId(id="file-1")), None),
        (Media(kind="image", source=Url(url="gs://bucket/a.png")), None),
    ],
)
def test_media(media: Media, block: dict[str, Any] | None) -> None:
    body, losses = written(ask(say("user", "See", media)))
    assert body["messages"][0]["content"][1:] == ([] if block is None else [block])
    assert paths(losses, "content") == ([("messages[0].parts[1]", "dropped")] if block is None else [])


def test_a_hosted_call_of_another_provider_is_no_call() -> None:
    hosted = ToolCall(id="ws_1", name="web_search", arguments="{}", hosted=True)
    body, losses = written(ask(say("user", "Hi"), say("assistant", hosted, "Found"), say("user", "Go on")))
    assert body["messages"][1]["content"] == [{"type": "text", "text": "Found"}]
    assert paths(losses, "content") == [("messages[1].parts[0]", "dropped")]


def test_cache_points_follow_what_they_mark() -> None:
    body, losses = written(
        ask(
            say("system", "Long.", CachePoint(ttl="1h")),
            say("user", "Hi", CachePoint()),
            tools=(Tool(name="add"), CachePoint()),
        )
    )
    assert body["system"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert body["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral"}
    assert body["tools"][0]["cache_control"] == {"type": "ephemeral"}
    assert losses == ()


def test_tools_and_their_choice() -> None:
    request = ask(
        say("user", "Hi"),
        tools=(Tool(name="add", description="Adds", parameters={"properties": {}}, strict=True),),
        tool_choice=ToolChoice(mode="required", names=("add",)),
        parallel_tools=False,
    )
    body, losses = written(request)
    assert body["tools"] == [
        {
            "name": "add",
            "description": "Adds",
            "input_schema": {"type": "object", "properties": {}},
            "strict": True,
        }
    ]
    assert body["tool_choice"] == {"type": "tool", "name": "add", "disable_parallel_tool_use": True}
    assert losses == ()


def test_knobs_are_clamped_or_dropped_and_reported() -> None:
    body, losses = written(
        ask(say("user", "Hi"), temperature=1.7, seed=1, frequency_penalty=0.5, presence_penalty=0, stop=("\n", "END"))
    )
    assert body["temperature"] == 1
    assert body["stop_sequences"] == ["END"]
    assert paths(losses) == [
        ("stop", "dropped"),
        ("temperature", "clamped"),
        ("seed", "dropped"),
        ("frequency_penalty", "dropped"),
    ]


def test_an_effort_becomes_a_budget_that_leaves_room() -> None:
    body, losses = written(ask(say("user", "Hi"), reasoning=ReasoningOptions(effort="high"), temperature=0.2))
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 2000}
    assert "temperature" not in body
    assert ("reasoning.effort", "approximated") in paths(losses)
    assert ("temperature", "dropped") in paths(losses)
    body, _ = written(ask(say("user", "Hi"), reasoning=ReasoningOptions(effort="high"), max_output_tokens=None))
    assert body["max_tokens"] > body["thinking"]["budget_tokens"] == 16_384


def test_an_effort_stays_one_where_the_model_thinks_adaptively() -> None:
    dialect = Dialect(provider="anthropic", flags=frozenset({ADAPTIVE}))
    body, losses = written(ask(say("user", "Hi"), reasoning=ReasoningOptions(effort="high", summary="none")), dialect)
    assert body["thinking"] == {"type": "adaptive", "display": "omitted"}
    assert body["output_config"] == {"effort": "high"}
    assert losses == ()


def test_no_thinking_while_a_tool_is_forced() -> None:
    body, losses = written(
        ask(
            say("user", "Hi"),
            reasoning=ReasoningOptions(effort="low"),
            tools=(Tool(name="add"),),
            tool_choice=ToolChoice(mode="required"),
        )
    )
    assert "thinking" not in body
    assert paths(losses) == [("reasoning", "dropped")]


def test_a_schema_is_closed_and_json_is_asked_for_in_words() -> None:
    schema: JsonObject = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]}
    body, losses = written(ask(say("user", "Hi"), output_format=OutputFormat(kind="schema", schema=schema)))
    assert body["output_config"]["format"] == {
        "type": "json_schema",
        "schema": {
            "type": "object",
            "properties": {"n": {"type": "integer"}},
            "required": ["n"],
            "additionalProperties": False,
        },
    }
    assert paths(losses) == [("output_format.schema", "approximated")]
    body, losses = written(ask(say("user", "Hi"), output_format=OutputFormat(kind="json")))
    assert "JSON" in body["system"]
    assert paths(losses) == [("output_format", "simulated")]


def test_a_count_leaves_out_what_can_not_be_counted() -> None:
    request = ask(say("user", "Hi"), temperature=1.7, max_output_tokens=None, stop=("END",), user="u")
    encoded = CODEC.encode_request(Count(origin="openai-chat", generate=request))
    assert json.loads(encoded.value.body) == {"model": "claude", "messages": [{"role": "user", "content": "Hi"}]}
    assert encoded.value.path == "/v1/messages/count_tokens"
    assert encoded.losses == ()


def test_vertex_paths_hold_the_model_and_bodies_the_version() -> None:
    path = "/v1/projects/p/locations/l/publishers/anthropic/models/claude-sonnet-4-5@20250929:streamRawPredict"
    body = {
        "anthropic_version": "vertex-2023-10-16",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
    }
    request = CODEC.decode_request(WireRequest(path=path, body=json.dumps(body).encode()))
    assert isinstance(request, Generate)
    assert (request.model, request.stream) == ("claude-sonnet-4-5@20250929", True)
    again = CODEC.encode_request(request).value
    assert (again.path, json.loads(again.body)) == (path, body)
    direct = CODEC.encode_request(request, Dialect(provider="anthropic")).value
    assert direct.path == "/v1/messages"
    assert json.loads(direct.body)["model"] == "claude-sonnet-4-5@20250929"
    assert "anthropic_version" not in json.loads(direct.body)


def test_system_messages_among_the_turns_stay_where_they_were() -> None:
    body = {
        "model": "claude",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": "Hi"}, {"role": "system", "content": "Be brief."}],
    }
    wire = WireRequest(
        path="/v1/messages", body=json.dumps(body).encode(), headers=(("anthropic-beta", "a"), ("Anthropic-Beta", "b"))
    )
    request = CODEC.decode_request(wire)
    encoded = CODEC.encode_request(request)
    assert json.loads(encoded.value.body) == body
    assert dict(encoded.value.headers)["anthropic-beta"] == "a,b"


@pytest.mark.parametrize(
    ("model", "refuses"),
    [
        ("claude-opus-4-8", False),
        ("claude-opus-4-8-20260528", False),
        ("anthropic/claude-opus-4.8", False),
        ("claude-sonnet-5", False),
        ("claude-fable-5-1", False),
        ("claude-next", False),
        ("my-deployment", False),
        ("claude-opus-4-7", True),
        ("claude-sonnet-4-20250514", True),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", True),
        ("claude-sonnet-4-5@20250929", True),
        ("claude-3-5-haiku-20241022", True),
        ("anthropic.claude-v2:1", True),
    ],
)
def test_models_that_refuse_a_system_message_get_it_on_top(model: str, refuses: bool) -> None:  # noqa: FBT001 -- a parameter of the test
    turns = [{"role": "user", "content": "Hi"}, {"role": "system", "content": "Be brief."}]
    body = {"model": model, "max_tokens": 5, "messages": turns, "system": "Be kind."}
    data = json.dumps(body).encode()
    encoded = CODEC.encode_request(CODEC.decode_request(WireRequest(path="/v1/messages", body=data)))
    written = json.loads(encoded.value.body)
    assert must_move_system(model, data) == refuses
    if not refuses:
        assert (written, encoded.losses) == (body, ())
        return
    assert written["messages"] == turns[:1]
    assert written["system"] == [{"type": "text", "text": "Be kind."}, {"type": "text", "text": "Be brief."}]
    assert paths(encoded.losses) == [("messages[2]", "moved")]


def test_only_the_role_of_a_message_counts_as_a_system_message() -> None:
    said = json.dumps({"system": "s", "messages": [{"role": "user", "content": '{"role": "system"}'}]})
    assert not must_move_system("claude-sonnet-4-5", said.encode())


def test_a_body_without_messages_is_refused_by_name() -> None:
    with pytest.raises(CallerError) as raised:
        CODEC.decode_request(WireRequest(path="/v1/messages", body=b'{"model":"claude"}'))
    assert raised.value.param == "messages"


def test_no_budget_for_a_turn_that_is_resumed_without_its_thought() -> None:
    turns = (
        say("user", "Add"),
        say("assistant", Reasoning(text="Hm"), ToolCall(id="a", name="add", arguments="{}")),
        say("tool", ToolResult(call_id="a", parts=(Text(text="2"),))),
    )
    body, losses = written(ask(*turns, reasoning=ReasoningOptions(mode="on", budget=2000)))
    assert "thinking" not in body
    assert paths(losses) == [("messages[1].parts[0]", "dropped"), ("reasoning", "dropped")]
    dialect = Dialect(provider="anthropic", flags=frozenset({ADAPTIVE}))
    assert "thinking" in written(ask(*turns, reasoning=ReasoningOptions(effort="low")), dialect)[0]


def test_thoughts_of_a_foreign_model_do_not_return_to_claude() -> None:
    """A client of this protocol was answered by another model, whose thoughts nobody signed."""
    body: JsonObject = {
        "model": "claude",
        "max_tokens": 4000,
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm", "signature": ""}]},
            {"role": "user", "content": "Hello?"},
        ],
    }
    request = CODEC.decode_request(WireRequest(path="/v1/messages", body=json.dumps(body).encode()))
    assert isinstance(request, Generate)
    again, losses = written(request)
    assert again["messages"] == [{"role": "user", "content": "Hi"}, {"role": "user", "content": "Hello?"}]
    assert again["thinking"] == body["thinking"]
    assert paths(losses) == [("messages[1].parts[0]", "dropped")]


def test_temperature_wins_over_top_p() -> None:
    body, losses = written(ask(say("user", "Hi"), temperature=0.3, top_p=0.9))
    assert "top_p" not in body
    assert paths(losses) == [("top_p", "dropped")]
    assert written(ask(say("user", "Hi"), temperature=0.3, top_p=1))[1] == ()
