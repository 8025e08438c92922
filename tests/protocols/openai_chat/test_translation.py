"""What other protocols say, in a form that OpenAI's own typed models and stream helper accept."""

from __future__ import annotations

import json

import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from pydantic import TypeAdapter

from freehold.ir import (
    ArgumentsDelta,
    CachePoint,
    Choice,
    ChoiceEnd,
    ErrorEnd,
    Event,
    Failure,
    Finish,
    Generate,
    Inline,
    Language,
    Media,
    Message,
    Opaque,
    OutputFormat,
    PartEnd,
    PartStart,
    PlainText,
    Proof,
    Reasoning,
    ReasoningOptions,
    Refusal,
    Response,
    ResponseEnd,
    ResponseStart,
    Structured,
    Text,
    TextDelta,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Url,
    Usage,
    UsageDelta,
)
from freehold.ir.fold import unfold
from freehold.protocols.codec import Dialect, Stamp
from freehold.protocols.openai_chat import CODEC

STAMP = Stamp(id="exchange1", created=1_700_000_000)
ELSEWHERE = Language(name="elsewhere", effects={"search": "content", "pause_turn": None})

REQUEST = Generate(
    origin="elsewhere",
    model="gpt-5",
    messages=(
        Message(role="system", parts=(Text(text="Be brief."), CachePoint())),
        Message(
            role="user",
            parts=(
                Text(text="What is this?"),
                Media(kind="image", source=Url(url="https://example.com/a.png")),
                Media(kind="document", source=Inline(data="JVBE"), media_type="application/pdf", name="paper"),
                Media(kind="document", source=PlainText(text="words"), name="notes"),
                Media(kind="audio", source=Inline(data="UklG"), media_type="audio/wav"),
            ),
        ),
        Message(
            role="assistant",
            parts=(
                Reasoning(text="hm", proof=Proof(origin="elsewhere", value="sig")),
                Text(text="Let me "),
                Text(text="look."),
                ToolCall(id="toolu_" + "x" * 60, name="look", arguments='{"at":1}'),
                ToolCall(id="s1", name="web_search", arguments="{}", hosted=True),
            ),
        ),
        Message(
            role="user",
            parts=(ToolResult(call_id="toolu_" + "x" * 60, parts=(Structured(value={"ok": True}),), is_error=True),),
        ),
    ),
    tools=(Tool(name="look", parameters={"type": "object"}), Opaque(origin=ELSEWHERE, value={"type": "search"})),
    tool_choice=ToolChoice(mode="required", names=("look",)),
    max_output_tokens=100,
    output_format=OutputFormat(kind="schema", schema={"type": "object"}),
    reasoning=ReasoningOptions(effort="max"),
)


def test_a_request_from_elsewhere_is_one_that_openai_takes() -> None:
    encoded = CODEC.encode_request(REQUEST)
    body = json.loads(encoded.value.body)
    TypeAdapter(CompletionCreateParamsNonStreaming).validate_python(body)
    assert [message["role"] for message in body["messages"]] == ["system", "user", "assistant", "tool"]
    assert body["messages"][0]["content"] == "Be brief."
    call = body["messages"][2]["tool_calls"][0]
    assert len(call["id"]) <= 40
    assert body["messages"][3] == {"role": "tool", "tool_call_id": call["id"], "content": '{"ok":true}'}
    assert body["messages"][2]["content"] == "Let me look."
    assert body["response_format"]["json_schema"]["name"] == "answer"
    assert body["reasoning_effort"] == "xhigh"
    assert {(loss.path, loss.kind, loss.effect) for loss in encoded.losses} == {
        ("messages[0].parts[1]", "dropped", "accounting"),
        ("messages[1].parts[3]", "approximated", "behaviour"),
        ("messages[2].parts[0].proof", "dropped", "behaviour"),
        ("messages[2].parts[0]", "dropped", "behaviour"),
        ("messages[2].parts[4]", "dropped", "content"),
        ("messages[3].parts[0].is_error", "dropped", "behaviour"),
        ("tools[1]", "dropped", "content"),
        ("reasoning.effort", "approximated", "behaviour"),
    }


def test_a_dialect_says_more() -> None:
    flags = {"reasoning-key:reasoning_content", "reasoning-form:thinking", "max-tokens", "cache-control"}
    body = json.loads(CODEC.encode_request(REQUEST, Dialect(flags=frozenset(flags))).value.body)
    assert body["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral"}
    assert body["messages"][2]["reasoning_content"] == "hm"
    assert body["thinking"] == {"type": "enabled"}
    assert body["max_tokens"] == 100


RESPONSE = Response(
    origin="elsewhere",
    id="msg_1",
    model="claude",
    choices=(
        Choice(
            parts=(
                Reasoning(text="first"),
                Reasoning(text="second"),
                Text(text="Hello"),
                Refusal(text="but no"),
                ToolCall(id="", name="look", arguments=""),
                ToolCall(id="b", name="look", arguments='{"at":1}'),
            ),
            finish=Finish(kind="stop", raw="end_turn", origin="elsewhere"),
        ),
    ),
    usage=Usage(input_tokens=10, output_tokens=5, reasoning=2),
)


def test_an_answer_from_elsewhere_is_one_that_openais_models_take() -> None:
    encoded = CODEC.encode_response(RESPONSE, STAMP)
    assert encoded.losses == ()
    completion = ChatCompletion.model_validate_json(encoded.value.body, strict=True)
    message = completion.choices[0].message
    assert (completion.id, completion.created) == ("chatcmpl-exchange1", 1_700_000_000)
    assert (message.content, message.refusal) == ("Hello", "but no")
    assert message.model_extra == {"reasoning_content": "first\n\nsecond"}
    assert [call.id for call in message.tool_calls or []] == ["call_exchange1_1", "b"]
    assert completion.choices[0].finish_reason == "tool_calls"
    assert ("x-request-id", "exchange1") in encoded.value.headers


def test_a_streamed_answer_says_the_same_to_the_stream_helper() -> None:
    unary = json.loads(CODEC.encode_response(RESPONSE, STAMP).value.body)
    encoder, state = CODEC.encoder(STAMP), ChatCompletionStreamState()
    sent = [frame for batch in unfold(RESPONSE) for frame in encoder.feed(batch)]
    for frame in sent[:-1]:
        state.handle_chunk(ChatCompletionChunk.model_validate_json(frame.data))
    assert sent[-1].data == b"[DONE]"
    message = state.current_completion_snapshot.choices[0].message.to_dict()
    for name in ("role", "content", "refusal", "reasoning_content"):
        assert message[name] == unary["choices"][0]["message"][name]
    calls = message["tool_calls"]
    assert isinstance(calls, list)
    for call, said in zip(calls, unary["choices"][0]["message"]["tool_calls"], strict=True):
        assert isinstance(call, dict)
        function = {name: value for name, value in call["function"].items() if name != "parsed_arguments"}
        assert (call["id"], function) == (said["id"], said["function"])


def test_parallel_calls_that_overlap_keep_their_numbers() -> None:
    events: list[Event] = [
        ResponseStart(response=Response(origin="elsewhere", choices=())),
        UsageDelta(usage=Usage(input_tokens=1)),
        PartStart(index=0, part=Text(text="")),
        TextDelta(index=0, text="Hi"),
        PartEnd(index=0),
        PartStart(index=1, part=ToolCall(id="a", name="f", arguments="")),
        PartStart(index=2, part=ToolCall(id="b", name="g", arguments="")),
        ArgumentsDelta(index=1, text='{"x":'),
        ArgumentsDelta(index=2, text="{}"),
        ArgumentsDelta(index=1, text="1}"),
        PartEnd(index=1),
        PartEnd(index=2),
        ChoiceEnd(finish=Finish(kind="tool_calls")),
        ResponseEnd(),
    ]
    encoder = CODEC.encoder(STAMP)
    state = ChatCompletionStreamState()
    for frame in [frame for event in events for frame in encoder.feed([event])][:-1]:
        state.handle_chunk(ChatCompletionChunk.model_validate_json(frame.data))
    calls = state.current_completion_snapshot.choices[0].message.tool_calls or []
    assert [(call.id, call.function.name, call.function.arguments) for call in calls] == [
        ("a", "f", '{"x":1}'),
        ("b", "g", "{}"),
    ]


def test_a_broken_stream_says_so_in_a_chunk_and_does_not_end_clean() -> None:
    failure = Failure(origin="elsewhere", status=529, kind="overloaded", message="busy")
    frames = CODEC.encoder(STAMP).feed([ErrorEnd(failure=failure)])
    assert [json.loads(frame.data)["error"]["message"] for frame in frames] == ["busy"]


@pytest.mark.parametrize(
    ("kind", "status", "word", "retried"),
    [
        ("authentication", 401, "authentication_error", None),
        ("rate_limit", 429, "rate_limit_error", None),
        ("quota", 429, "insufficient_quota", "false"),
        ("overloaded", 529, "server_error", None),
    ],
)
def test_an_error_from_elsewhere_reads_like_openais(kind: str, status: int, word: str, retried: str | None) -> None:
    failure = Failure(origin="elsewhere", status=status, kind=kind, message="no", retry_after=2.5)
    wire = CODEC.encode_error(failure, STAMP)
    headers = dict(wire.headers)
    assert wire.status == status
    assert json.loads(wire.body) == {"error": {"message": "no", "type": word, "param": None, "code": kind}}
    assert (headers["x-request-id"], headers["retry-after"], headers["retry-after-ms"]) == ("exchange1", "3", "2500")
    assert headers.get("x-should-retry") == retried
