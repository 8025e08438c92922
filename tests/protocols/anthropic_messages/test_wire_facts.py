"""What recorded exchanges taught about this protocol, one test per fact."""

from __future__ import annotations

import json

from freehold.ir import (
    ArgumentsDelta,
    Choice,
    Opaque,
    PartStart,
    Proof,
    Reasoning,
    Response,
    Text,
    ToolCall,
    Usage,
)
from freehold.ir.fold import fold, unfold
from freehold.protocols.anthropic_messages import CODEC, LANGUAGE
from freehold.protocols.codec import Stamp, WireResponse
from tests.protocols.anthropic_messages.recordings import frames, recorded

STAMP = Stamp(id="exchange1", created=1_700_000_000)


def folded(name: str) -> Response:
    decoder = CODEC.decoder()
    return fold(decoder.feed(frame) for frame in frames(recorded(name)))


def test_fact_3_input_tokens_include_cached_ones() -> None:
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [{"type": "text", "text": "Hi"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 10,
            "cache_creation_input_tokens": 200,
            "cache_read_input_tokens": 3000,
            "output_tokens": 5,
        },
    }
    result = CODEC.decode_response(WireResponse(status=200, body=json.dumps(body).encode()))
    assert isinstance(result, Response)
    assert result.usage == Usage(input_tokens=3210, output_tokens=5, cache_read=3000, cache_write=200)
    foreign = Response(origin="openai-chat", choices=(Choice(parts=(Text(text="Hi"),)),), usage=result.usage)
    assert json.loads(CODEC.encode_response(foreign, STAMP).value.body)["usage"] == body["usage"]


def test_fact_5_the_last_usage_counts() -> None:
    usage = folded("llm-anthropic-2a7b01f7").usage
    assert usage is not None
    assert usage.input_tokens == 10_423


def test_fact_6_a_call_without_arguments_streams_as_empty_text() -> None:
    answer = folded("ruby-llm-40fa3bcf")
    (call,) = [part for part in answer.choices[0].parts if isinstance(part, ToolCall)]
    assert call.arguments == ""
    body = json.loads(CODEC.encode_response(answer, STAMP).value.body)
    assert [block["input"] for block in body["content"] if block["type"] == "tool_use"] == [{}]


def test_fact_7_thinking_may_be_a_signature_without_text() -> None:
    thoughts = [part for part in folded("pydantic-ai-aff5a7c0").choices[0].parts if isinstance(part, Reasoning)]
    silent = [part for part in thoughts if part.text == ""]
    assert silent
    assert all(part.proof is not None and part.proof.origin == LANGUAGE.name for part in silent)


def test_fact_13_a_tool_call_counts_for_more_than_the_stop_reason() -> None:
    body = {
        "content": [{"type": "tool_use", "id": "toolu_1", "name": "add", "input": {}}],
        "stop_reason": "end_turn",
    }
    result = CODEC.decode_response(WireResponse(status=200, body=json.dumps(body).encode()))
    assert isinstance(result, Response)
    finish = result.choices[0].finish
    assert finish is not None
    assert (finish.kind, finish.raw) == ("tool_calls", "end_turn")


def test_fact_19_results_of_server_tools_arrive_whole() -> None:
    parts = folded("llm-anthropic-2a7b01f7").choices[0].parts
    (call,) = [part for part in parts if isinstance(part, ToolCall)]
    assert call.hosted
    results = [part for part in parts if isinstance(part, Opaque)]
    assert [part.value["type"] for part in results] == ["web_search_tool_result"]
    assert results[0].value["content"]
    cited = [part for part in parts if isinstance(part, Text) and part.extra is not None]
    assert any(part.extra.fields["citations"] for part in cited if part.extra is not None)


def test_a_seal_stands_in_the_signature() -> None:
    sealed = Proof(origin="freehold-seal", value="fh1.abc")
    answer = Response(origin="openai-responses", choices=(Choice(parts=(Reasoning(text="Hm", proof=sealed),)),))
    (block,) = json.loads(CODEC.encode_response(answer, STAMP).value.body)["content"]
    assert block == {"type": "thinking", "thinking": "Hm", "signature": "fh1.abc"}
    encoder = CODEC.encoder(STAMP)
    sent = [json.loads(frame.data) for batch in unfold(answer) for frame in encoder.feed(batch)]
    assert {"type": "signature_delta", "signature": "fh1.abc"} in [event.get("delta") for event in sent]


def test_arguments_come_in_fragments_after_an_empty_start() -> None:
    decoder = CODEC.decoder()
    events = [event for frame in frames(recorded("ruby-llm-40fa3bcf")) for event in decoder.feed(frame)]
    (start,) = [event for event in events if isinstance(event, PartStart) and isinstance(event.part, ToolCall)]
    assert isinstance(start.part, ToolCall)
    assert start.part.arguments == ""
    assert any(isinstance(event, ArgumentsDelta) for event in events)
