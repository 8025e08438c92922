"""What translators get wrong about Chat Completions, one test a fact."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from freehold.errors import UpstreamError
from freehold.ir import (
    SEALED,
    ArgumentsDelta,
    ChoiceEnd,
    ErrorEnd,
    Event,
    Finish,
    Generate,
    Inline,
    Media,
    Message,
    PartEnd,
    PartStart,
    Proof,
    ProofDelta,
    Pulse,
    Reasoning,
    ReasoningOptions,
    Response,
    ResponseEnd,
    ResponseStart,
    Text,
    TextDelta,
    Tool,
    ToolCall,
    ToolResult,
    Usage,
    UsageDelta,
)
from freehold.ir.fold import fold
from freehold.ir.values import Choice
from freehold.protocols.codec import Dialect, Frame, Stamp, WireRequest, WireResponse
from freehold.protocols.openai_chat import CODEC
from tests.protocols.openai_chat.recordings import frames, load, of_wires, recorded, wire_request, wire_response

STAMP = Stamp(id="exchange1", created=1_700_000_000)


def chat(**fields: object) -> Generate:
    body = {"model": "gpt-5", "messages": [{"role": "user", "content": "Hi"}], **fields}
    request = CODEC.decode_request(WireRequest(path="/v1/chat/completions", body=json.dumps(body).encode()))
    assert isinstance(request, Generate)
    return request


def body_of(request: Generate, dialect: Dialect | None = None) -> dict[str, Any]:
    encoded = CODEC.encode_request(request, dialect or Dialect())
    return json.loads(encoded.value.body)


def answered(name: str) -> Response:
    result = CODEC.decode_response(wire_response(recorded(name)))
    assert isinstance(result, Response)
    return result


def streamed(sent: list[Frame]) -> list[Event]:
    decoder = CODEC.decoder()
    return [event for frame in sent for event in decoder.feed(frame)] + decoder.close()


def written(events: list[Event], request: Generate | None = None) -> list[Any]:
    """The chunks for events of another protocol, `[DONE]` as text."""
    encoder = CODEC.encoder(STAMP, request)
    sent = [frame.data for event in events for frame in encoder.feed([event])]
    return [data.decode() if data == b"[DONE]" else json.loads(data) for data in sent]


def foreign(*events: Event) -> list[Event]:
    return [ResponseStart(response=Response(origin="elsewhere", choices=(), model="m")), *events]


def test_fact_3_cached_tokens_are_a_part_of_prompt_tokens() -> None:
    usage = Usage(input_tokens=100, output_tokens=5, cache_read=80, cache_write=10)
    response = Response(origin="elsewhere", choices=(Choice(parts=(Text(text="Hi"),)),), usage=usage)
    body = json.loads(CODEC.encode_response(response, STAMP).value.body)
    assert body["usage"] == {
        "prompt_tokens": 100,
        "completion_tokens": 5,
        "total_tokens": 105,
        "prompt_tokens_details": {"cached_tokens": 80, "cache_write_tokens": 10},
    }


def test_fact_4_reasoning_beside_the_completion_is_told_by_the_total() -> None:
    for path in of_wires("openai-chat"):
        exchange = load(path)
        usage = exchange["response"].get("body", {}).get("usage") if exchange["provider"] == "xai" else None
        if not isinstance(usage, dict) or not usage.get("completion_tokens_details", {}).get("reasoning_tokens"):
            continue
        decoded = CODEC.decode_response(wire_response(exchange))
        assert isinstance(decoded, Response)
        assert decoded.usage is not None
        assert decoded.usage.output_tokens == usage["total_tokens"] - usage["prompt_tokens"]


def test_fact_6_a_call_without_arguments_gets_an_empty_object() -> None:
    call = ToolCall(id="c1", name="now", arguments="")
    chunks = written(foreign(PartStart(index=0, part=call), PartEnd(index=0)))
    texts = [entry["function"]["arguments"] for chunk in chunks for entry in calls_in(chunk)]
    assert "".join(texts) == "{}"


def calls_in(chunk: dict[str, Any] | str) -> list[Any]:
    return chunk["choices"][0]["delta"].get("tool_calls", []) if isinstance(chunk, dict) and chunk["choices"] else []


def test_fact_10_done_is_sent_as_it_was_and_always_for_others() -> None:
    chunk = {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}], "model": "sonar"}
    silent = streamed([Frame(data=json.dumps(chunk).encode())])
    encoder = CODEC.encoder(STAMP)
    assert isinstance(silent[-1], ResponseEnd)
    assert encoder.feed([silent[-1]]) == []
    assert written(foreign(ChoiceEnd(finish=None), ResponseEnd()))[-1] == "[DONE]"


def test_fact_10_usage_of_groq_is_found_in_its_own_field() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    chunk = {"choices": [], "model": "m", "x_groq": {"id": "r", "usage": usage}}
    events = CODEC.decoder().feed(Frame(data=json.dumps(chunk).encode()))
    assert [event.usage.input_tokens for event in events if isinstance(event, UsageDelta)] == [3]
    assert [json.loads(frame.data) for frame in CODEC.encoder(STAMP).feed(events)] == [chunk]


def test_fact_10_usage_is_sent_to_those_who_asked() -> None:
    events = foreign(UsageDelta(usage=Usage(input_tokens=3, output_tokens=2)), ChoiceEnd(finish=None), ResponseEnd())
    asked = chat(stream=True, stream_options={"include_usage": True})
    assert [chunk["usage"]["total_tokens"] for chunk in written(events, asked)[:-1] if not chunk["choices"]] == [5]
    assert all(chunk["choices"] for chunk in written(events, chat(stream=True))[:-1])


def test_fact_11_azures_first_chunk_judges_the_prompt_and_starts_nothing() -> None:
    first = {
        "choices": [],
        "created": 0,
        "id": "",
        "model": "",
        "object": "",
        "prompt_filter_results": [{"prompt_index": 0}],
    }
    second = {
        "id": "c",
        "model": "gpt-4o",
        "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}],
    }
    decoder = CODEC.decoder()
    assert [type(event) for event in decoder.feed(Frame(data=json.dumps(first).encode()))] == [Pulse]
    start = decoder.feed(Frame(data=json.dumps(second).encode()))[0]
    assert isinstance(start, ResponseStart)
    assert start.response.model == "gpt-4o"
    assert start.response.extra is not None
    assert start.response.extra.fields["prompt_filter_results"] == [{"prompt_index": 0}]


def test_fact_11_an_error_under_status_200_is_an_error() -> None:
    body = {"error": {"message": "filtered", "code": "content_filter", "status": 400}}
    with pytest.raises(UpstreamError) as caught:
        CODEC.decode_response(WireResponse(status=200, body=json.dumps(body).encode()))
    assert (caught.value.kind, caught.value.status) == ("content_refused", 400)


def test_fact_13_stop_with_calls_means_tool_calls() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    body = {"choices": [{"index": 0, "message": {"tool_calls": [call]}, "finish_reason": "stop"}]}
    result = CODEC.decode_response(WireResponse(status=200, body=json.dumps(body).encode()))
    assert isinstance(result, Response)
    assert result.choices[0].finish == Finish(kind="tool_calls", raw="stop", origin="openai-chat")
    other = Response(
        origin="elsewhere",
        choices=(Choice(parts=(ToolCall(id="c", name="f", arguments="{}"),), finish=Finish(kind="stop", raw="STOP")),),
    )
    assert json.loads(CODEC.encode_response(other, STAMP).value.body)["choices"][0]["finish_reason"] == "tool_calls"


def test_fact_14_a_call_without_index_or_in_one_chunk_is_one_call() -> None:
    entries = [
        {"id": "a", "function": {"name": "f", "arguments": '{"x":1}'}},
        {"id": "b", "function": {"name": "g", "arguments": ""}},
    ]
    chunk = {"model": "m", "choices": [{"index": 0, "delta": {"tool_calls": entries}, "finish_reason": "tool_calls"}]}
    response = fold([streamed([Frame(data=json.dumps(chunk).encode())])])
    calls = [part for part in response.choices[0].parts if isinstance(part, ToolCall)]
    assert [(call.id, call.name, call.arguments) for call in calls] == [("a", "f", '{"x":1}'), ("b", "g", "")]


def test_fact_14_mistral_gets_ids_of_nine_letters_and_digits() -> None:
    request = Generate(
        origin="elsewhere",
        model="m",
        messages=(
            Message(role="assistant", parts=(ToolCall(id="toolu_0123456789", name="f", arguments="{}"),)),
            Message(role="tool", parts=(ToolResult(call_id="toolu_0123456789", parts=(Text(text="1"),)),)),
        ),
    )
    said = body_of(request, Dialect(provider="mistral", flags=frozenset({"short-tool-ids"})))["messages"]
    identity = said[0]["tool_calls"][0]["id"]
    assert identity == said[1]["tool_call_id"]
    assert len(identity) == 9
    assert identity.isalnum()


def test_fact_14_mistrals_thinking_is_reasoning() -> None:
    response = answered("mistral/dd-trace-py-7f1c9530")
    assert [type(part) for part in response.choices[0].parts] == [Reasoning, Text]


def test_fact_15_errors_of_every_shape_have_a_message_and_a_kind() -> None:
    kinds = {
        "xai/ruby-llm-301a152b": "authentication",
        "mistral/ruby-llm-24bc4873": "rate_limit",
        "mistral/ruby-llm-7a95fd06": "authentication",
    }
    for name, kind in kinds.items():
        failure = CODEC.decode_error(wire_response(recorded(name)))
        assert failure.kind == kind
        assert failure.message
        assert not failure.message.startswith("{")


def test_fact_16_errors_that_are_no_json_keep_their_text() -> None:
    wire = wire_response(recorded("azure-ai-inference/ruby-llm-778c14cb"))
    failure = CODEC.decode_error(wire)
    assert failure.kind == "timeout"
    assert failure.message.startswith("upstream request timeout")
    assert CODEC.encode_error(failure, STAMP).body == wire.body


def test_fact_17_errors_inside_a_stream_end_it() -> None:
    for name in ("groq/pydantic-ai-1adb0029", "openrouter/pydantic-ai-35670edf"):
        last = streamed(frames(recorded(name)))[-1]
        assert isinstance(last, ErrorEnd)
        assert last.failure.status == 400
        assert last.failure.message


def test_fact_20_usage_in_every_chunk_counts_once() -> None:
    names = [path for path in of_wires("openai-chat") if path.parent.name == "perplexity" and load(path)["stream"]]
    for path in names:
        sent = frames(load(path))
        response = fold([streamed(sent)])
        assert response.usage is not None
        assert response.usage.output_tokens == json.loads(sent[-1].data)["usage"]["completion_tokens"]


def test_a_stream_that_dies_never_ends_clean() -> None:
    chunk = {"model": "m", "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}]}
    assert isinstance(streamed([Frame(data=json.dumps(chunk).encode())])[-1], ErrorEnd)


# --- The seal ---


def test_a_sealed_proof_travels_in_the_id_of_the_next_call_and_comes_back() -> None:
    parts = (
        Reasoning(text="hm", proof=Proof(origin=SEALED, value="fh1.AAA")),
        ToolCall(id="c1", name="f", arguments="{}", proof=Proof(origin=SEALED, value="fh1.own")),
        ToolCall(id="c2", name="g", arguments="{}"),
    )
    encoded = CODEC.encode_response(Response(origin="elsewhere", choices=(Choice(parts=parts),)), STAMP)
    message = json.loads(encoded.value.body)["choices"][0]["message"]
    assert message["reasoning_content"] == "hm"
    assert [call["id"] for call in message["tool_calls"]] == ["c1~fh1.AAA~~fh1.own", "c2"]
    result = {"role": "tool", "tool_call_id": "c1~fh1.AAA~~fh1.own", "content": "1"}
    request = chat(messages=[{"role": "user", "content": "Hi"}, message, result])
    assert [type(part) for part in request.messages[1].parts] == [Reasoning, Reasoning, ToolCall, ToolCall]
    assert request.messages[1].parts[1] == Reasoning(text="", proof=Proof(origin=SEALED, value="fh1.AAA"))
    call, answer = request.messages[1].parts[2], request.messages[2].parts[0]
    assert isinstance(call, ToolCall)
    assert isinstance(answer, ToolResult)
    assert call.id == answer.call_id == "c1"
    assert call.proof == Proof(origin=SEALED, value="fh1.own")


def test_a_sealed_proof_in_a_stream_travels_the_same_way() -> None:
    events = foreign(
        PartStart(index=0, part=Reasoning(text="")),
        TextDelta(index=0, text="hm"),
        ProofDelta(index=0, proof=Proof(origin=SEALED, value="fh1.AAA")),
        PartEnd(index=0),
        PartStart(index=1, part=ToolCall(id="c1", name="f", arguments="")),
        ArgumentsDelta(index=1, text="{}"),
        PartEnd(index=1),
        ChoiceEnd(finish=None),
        ResponseEnd(),
    )
    assert [entry["id"] for chunk in written(events) for entry in calls_in(chunk) if "id" in entry] == ["c1~fh1.AAA"]


def test_a_turn_without_calls_loses_its_proof_and_says_so() -> None:
    parts = (Reasoning(text="hm", proof=Proof(origin=SEALED, value="fh1.AAA")), Text(text="Hi"))
    encoded = CODEC.encode_response(Response(origin="elsewhere", choices=(Choice(parts=parts),)), STAMP)
    assert [(loss.kind, loss.effect) for loss in encoded.losses] == [("dropped", "behaviour")]


def test_openrouters_signed_reasoning_is_a_proof_that_returns() -> None:
    details = [{"type": "reasoning.text", "text": "hm", "signature": "sig", "index": 0}]
    request = chat(messages=[{"role": "assistant", "content": "Hi", "reasoning_details": details}])
    part = request.messages[0].parts[0]
    assert isinstance(part, Reasoning)
    assert part.text == "hm"
    assert part.proof is not None
    assert body_of(request)["messages"][0]["reasoning_details"] == details


# --- Requests from elsewhere ---


def test_a_recorded_request_can_be_asked_of_its_server() -> None:
    exchange = recorded("openrouter/pydantic-ai-63121895")
    assert isinstance(CODEC.decode_request(wire_request(exchange)), Generate)


def test_results_stand_right_behind_the_calls_of_one_turn() -> None:
    request = Generate(
        origin="elsewhere",
        model="m",
        messages=(
            Message(role="assistant", parts=(ToolCall(id="a", name="f", arguments=""),)),
            Message(role="assistant", parts=(ToolCall(id="", name="g", arguments="{}"),)),
            Message(
                role="user",
                parts=(Text(text="and?"), ToolResult(call_id="a", parts=()), ToolResult(call_id="", parts=())),
            ),
        ),
    )
    roles = [(said["role"], said.get("tool_call_id")) for said in body_of(request)["messages"]]
    assert roles == [("assistant", None), ("tool", "a"), ("tool", "call_2"), ("user", None)]


def test_a_tool_whose_name_openai_refuses_gets_another_and_answers_to_its_own() -> None:
    request = Generate(
        origin="elsewhere",
        model="m",
        messages=(Message(role="assistant", parts=(ToolCall(id="a", name="files.read", arguments=""),)),),
        tools=(Tool(name="files.read"), Tool(name="plain")),
    )
    body = body_of(request)
    names = [tool["function"]["name"] for tool in body["tools"]]
    assert names[1] == "plain"
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", names[0])
    assert body["messages"][0]["tool_calls"][0]["function"]["name"] == names[0]
    call = {"index": 0, "id": "b", "type": "function", "function": {"name": names[0], "arguments": "{}"}}
    answer = {"choices": [{"index": 0, "message": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]}
    result = CODEC.decode_response(WireResponse(status=200, body=json.dumps(answer).encode()), request)
    assert isinstance(result, Response)
    chunk = {"model": "m", "choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}]}
    events = CODEC.decoder(request).feed(Frame(data=json.dumps(chunk).encode()))
    called = [*result.choices[0].parts, *(event.part for event in events if isinstance(event, PartStart))]
    assert [part.name for part in called if isinstance(part, ToolCall)] == ["files.read", "files.read"]


def test_knobs_are_clamped_or_reported_never_silent() -> None:
    request = Generate(
        origin="elsewhere",
        model="m",
        messages=(Message(role="user", parts=(Text(text="Hi"),)),),
        temperature=3.0,
        top_k=40,
        stop=("a", "b", "c", "d", "e"),
        reasoning=ReasoningOptions(mode="on", budget=4000),
    )
    encoded = CODEC.encode_request(request)
    body = json.loads(encoded.value.body)
    assert (body["temperature"], body["stop"], body["reasoning_effort"]) == (2, ["a", "b", "c", "d"], "medium")
    assert {(loss.path, loss.kind) for loss in encoded.losses} == {
        ("temperature", "clamped"),
        ("top_k", "dropped"),
        ("stop", "clamped"),
        ("reasoning.budget", "approximated"),
    }


def test_a_tools_picture_waits_until_all_results_are_in() -> None:
    picture = Media(kind="image", source=Inline(data="AAAA"), media_type="image/png")
    request = Generate(
        origin="elsewhere",
        model="m",
        messages=(
            Message(
                role="assistant",
                parts=(ToolCall(id="a", name="f", arguments=""), ToolCall(id="b", name="f", arguments="")),
            ),
            Message(role="tool", parts=(ToolResult(call_id="a", parts=(picture,)),)),
            Message(role="tool", parts=(ToolResult(call_id="b", parts=(Text(text="ok"),)),)),
        ),
    )
    said = body_of(request)["messages"]
    assert [message["role"] for message in said] == ["assistant", "tool", "tool", "user"]
    assert said[3]["content"] == [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
