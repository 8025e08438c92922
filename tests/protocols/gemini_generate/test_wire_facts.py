"""What recorded exchanges and clients taught about this protocol, one test per fact."""

from __future__ import annotations

import base64
import json
from typing import Any

from freehold.ir import (
    SEALED,
    Choice,
    ErrorEnd,
    Finish,
    Generate,
    Message,
    PartEnd,
    PartStart,
    Proof,
    ProofDelta,
    Reasoning,
    Response,
    ResponseEnd,
    ResponseStart,
    Text,
    TextDelta,
    ToolCall,
    ToolResult,
    Usage,
)
from freehold.ir.fold import fold, unfold
from freehold.protocols.codec import Frame, Stamp, WireRequest, WireResponse
from freehold.protocols.gemini_generate import CODEC
from tests.protocols.gemini_generate.recordings import frames, recorded, wire_request, wire_response

STAMP = Stamp(id="exchange1", created=1_700_000_000)


def ask(body: dict[str, Any], path: str = "/v1beta/models/gemini-2.5-pro:generateContent", query: str = "") -> Generate:
    request = CODEC.decode_request(WireRequest(path=path, query=query, body=json.dumps(body).encode()))
    assert isinstance(request, Generate)
    return request


def answer(body: dict[str, Any]) -> Response:
    result = CODEC.decode_response(WireResponse(status=200, body=json.dumps(body).encode()))
    assert isinstance(result, Response)
    return result


def candidate(*parts: dict[str, Any], finish: str | int = "STOP") -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": list(parts), "role": "model"}, "finishReason": finish, "index": 0}]}


def test_fact_3_cached_tokens_are_inside_of_the_prompt() -> None:
    usage = {"promptTokenCount": 100, "candidatesTokenCount": 5, "totalTokenCount": 105, "cachedContentTokenCount": 80}
    response = answer({**candidate({"text": "Hi"}), "usageMetadata": usage})
    assert response.usage == Usage(input_tokens=100, output_tokens=5, cache_read=80)


def test_fact_4_thoughts_are_outside_of_the_candidates() -> None:
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 45, "thoughtsTokenCount": 30}
    response = answer({**candidate({"text": "Hi"}), "usageMetadata": usage})
    assert response.usage == Usage(input_tokens=10, output_tokens=35, reasoning=30)
    foreign = Response(origin="openai-chat", choices=(), usage=response.usage)
    assert json.loads(CODEC.encode_response(foreign, STAMP).value.body)["usageMetadata"] == usage


def test_prompts_that_hosted_tools_make_count_as_input() -> None:
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 65, "toolUsePromptTokenCount": 50}
    response = answer({**candidate({"text": "Hi"}), "usageMetadata": usage})
    assert response.usage is not None
    assert response.usage.input_tokens == 60


def test_fact_6_a_call_without_arguments_is_an_empty_object() -> None:
    call = ToolCall(id="call_1", name="now", arguments="")
    response = Response(origin="anthropic-messages", choices=(Choice(parts=(call,), finish=Finish(kind="tool_calls")),))
    body = json.loads(CODEC.encode_response(response, STAMP).value.body)
    assert body["candidates"][0]["content"]["parts"] == [{"functionCall": {"id": "call_1", "name": "now", "args": {}}}]


def test_fact_7_empty_text_with_a_signature_is_kept() -> None:
    body = candidate({"text": "Hello"}, {"text": "", "thoughtSignature": "c2ln"})
    parts = answer(body).choices[0].parts
    assert parts == (Text(text="Hello"), Text(text="", proof=Proof(origin="gemini-generate", value="c2ln")))
    decoder = CODEC.decoder()
    chunks = [
        candidate({"text": "Hel"}),
        candidate({"text": "lo"}),
        candidate({"text": "", "thoughtSignature": "c2ln"}),
    ]
    batches = [decoder.feed(Frame(data=json.dumps(chunk).encode())) for chunk in chunks]
    assert fold([*batches, decoder.close()]).choices[0].parts == parts


def test_fact_7_calls_are_signed() -> None:
    body = candidate({"functionCall": {"name": "now", "args": {}}, "thoughtSignature": "c2ln"})
    (call,) = answer(body).choices[0].parts
    assert isinstance(call, ToolCall)
    assert call.proof == Proof(origin="gemini-generate", value="c2ln")


def test_fact_8_calls_end_with_stop_and_have_no_id() -> None:
    response = answer(candidate({"functionCall": {"name": "now", "args": {}}}))
    assert response.choices[0].finish == Finish(kind="tool_calls", raw="STOP", origin="gemini-generate")


def test_fact_8_results_find_their_calls_by_name_and_order() -> None:
    def call(name: str) -> dict[str, Any]:
        return {"functionCall": {"name": name, "args": {}}}

    def result(name: str, output: str) -> dict[str, Any]:
        return {"functionResponse": {"name": name, "response": {"output": output}}}

    body = {
        "contents": [
            {"role": "user", "parts": [{"text": "Go"}]},
            {"role": "model", "parts": [call("a"), call("b"), call("a")]},
            {"role": "user", "parts": [result("b", "1"), result("a", "2"), result("a", "3")]},
        ]
    }
    request = ask(body)
    calls = [part.id for part in request.messages[1].parts if isinstance(part, ToolCall)]
    results = [part.call_id for part in request.messages[2].parts if isinstance(part, ToolResult)]
    assert calls == ["call_1_0", "call_1_1", "call_1_2"]
    assert results == ["call_1_1", "call_1_0", "call_1_2"]
    assert json.loads(CODEC.encode_request(request).value.body) == body


def test_fact_8_a_blocked_prompt_is_a_filtered_answer() -> None:
    response = answer({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "modelVersion": "gemini-2.5-pro"})
    assert response.choices[0].finish == Finish(
        kind="content_filter", raw="PROHIBITED_CONTENT", origin="gemini-generate"
    )


def test_fact_8_a_failed_call_is_an_error() -> None:
    response = answer({"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL", "index": 0}]})
    assert response.choices[0].finish is not None
    assert response.choices[0].finish.kind == "error"


def test_fact_9_the_client_chooses_the_framing() -> None:
    path = "/v1beta/models/m:streamGenerateContent"
    assert CODEC.framing(ask({"contents": []}, path, "alt=sse")) == "sse"
    assert CODEC.framing(ask({"contents": []}, path)) == "json-array"
    assert CODEC.framing(ask({"contents": []}, path, "%24alt=json%3Benum-encoding%3Dint")) == "json-array"
    encoded = CODEC.encode_request(ask({"contents": []}, path)).value
    assert (encoded.query, encoded.stream) == ("alt=sse", True)


def test_fact_9_enumerations_are_numbers_for_those_who_ask() -> None:
    exchange = recorded("openinference-26591e73")
    request = CODEC.decode_request(wire_request(exchange))
    result = CODEC.decode_response(wire_response(exchange), request)
    assert isinstance(result, Response)
    assert result.choices[0].finish == Finish(kind="stop", raw="STOP", origin="gemini-generate")
    foreign = Response(origin="x", choices=(Choice(parts=(Text(text="Hi"),), finish=Finish(kind="length")),))
    encoder = CODEC.encoder(STAMP, request)
    last = [json.loads(frame.data) for batch in unfold(foreign) for frame in encoder.feed(batch)][-1]
    assert last["candidates"][0]["finishReason"] == 2


def test_numbers_differ_between_vertex_and_the_gemini_api() -> None:
    query = "$alt=json;enum-encoding=int"
    places = ("/v1/projects/p/locations/l/publishers/google/models/m", "/v1beta/models/m")
    response = Response(
        origin="gemini-generate",
        choices=(Choice(parts=(), finish=Finish(kind="other", raw="SPII", origin="gemini-generate")),),
    )
    numbers = [
        json.loads(CODEC.encode_response(response, STAMP, ask({}, f"{place}:generateContent", query)).value.body)
        for place in places
    ]
    assert [body["candidates"][0]["finishReason"] for body in numbers] == [8, 9]


def test_fact_13_several_chunks_may_give_a_reason_to_finish() -> None:
    decoder = CODEC.decoder()
    batches = [decoder.feed(frame) for frame in frames(recorded("pydantic-ai-1d5e536a"))]
    response = fold([*batches, decoder.close()])
    assert [type(part).__name__ for part in response.choices[0].parts] == ["Opaque"] * 4 + ["Text"]


def test_fact_17_an_error_inside_a_stream_ends_it() -> None:
    decoder = CODEC.decoder()
    error = {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}
    (end,) = decoder.feed(Frame(data=json.dumps(error).encode()))
    assert isinstance(end, ErrorEnd)
    assert (end.failure.status, end.failure.kind, end.failure.message) == (503, "unavailable", "overloaded")
    (frame,) = CODEC.encoder(STAMP).feed([end])
    assert json.loads(frame.data) == error


def test_a_stream_that_is_cut_does_not_end_well() -> None:
    decoder = CODEC.decoder()
    decoder.feed(Frame(data=b'{"candidates":[{"content":{"parts":[{"text":"Hel"}],"role":"model"},"index":0}]}'))
    (end,) = decoder.close()
    assert isinstance(end, ErrorEnd)


def test_snake_case_is_read_and_written_as_it_came() -> None:
    body = {
        "system_instruction": {"parts": {"text": "Be brief."}},
        "contents": [{"parts": [{"inline_data": {"mime_type": "image/png", "data": "aGk="}}], "role": "user"}],
        "generation_config": {"max_output_tokens": 5, "topP": 0.5, "thinking_config": {"thinking_budget": 0}},
        "tools": [{"function_declarations": [{"name": "f", "parameters_json_schema": {"type": "object"}}]}],
    }
    request = ask(body)
    assert request.max_output_tokens == 5
    assert request.messages[0].parts == (Text(text="Be brief."),)
    assert json.loads(CODEC.encode_request(request).value.body) == body


def test_a_seal_travels_as_bytes() -> None:
    seal = "fh1.c2VhbGVk"
    response = Response(
        origin="anthropic-messages",
        choices=(Choice(parts=(Reasoning(text="Hm.", proof=Proof(origin=SEALED, value=seal)), Text(text="Hi"))),),
    )
    parts = json.loads(CODEC.encode_response(response, STAMP).value.body)["candidates"][0]["content"]["parts"]
    assert base64.b64decode(parts[0]["thoughtSignature"]) == seal.encode()
    # Clients decode the bytes and write them anew, in the URL-safe alphabet.
    parts[0]["thoughtSignature"] = base64.urlsafe_b64encode(seal.encode()).decode().rstrip("=")
    message = ask({"contents": [{"role": "model", "parts": parts}]}).messages[0]
    assert message.parts[0] == Reasoning(text="Hm.", proof=Proof(origin=SEALED, value=seal))


def test_thoughts_cut_by_a_stream_are_one_again_where_a_seal_vouches_for_them() -> None:
    proof = Proof(origin=SEALED, value="fh1.c2VhbGVk")
    events = [
        [ResponseStart(response=Response(origin="anthropic-messages", choices=()))],
        [PartStart(index=0, part=Reasoning(text=""))],
        [TextDelta(index=0, text="H")],
        [TextDelta(index=0, text="m.")],
        [ProofDelta(index=0, proof=proof)],
        [PartEnd(index=0)],
        [ResponseEnd()],
    ]
    encoder = CODEC.encoder(STAMP)
    chunks = [json.loads(frame.data) for batch in events for frame in encoder.feed(batch)]
    parts = [part for chunk in chunks[:-1] for part in chunk["candidates"][0]["content"]["parts"]]
    assert [part["text"] for part in parts] == ["H", "m.", ""]
    message = ask({"contents": [{"role": "model", "parts": parts}]}).messages[0]
    assert message.parts == (Reasoning(text="Hm.", proof=proof),)


def test_calls_of_other_models_are_signed_with_googles_stand_in() -> None:
    messages = (
        Message(role="user", parts=(Text(text="Go"),)),
        Message(role="assistant", parts=(ToolCall(id="1", name="f", arguments="{}"),)),
        Message(role="tool", parts=(ToolResult(call_id="1", parts=(Text(text="42"),)),)),
    )
    request = Generate(origin="openai-chat", model="gemini-3-pro-preview", messages=messages)
    contents = json.loads(CODEC.encode_request(request).value.body)["contents"]
    assert base64.b64decode(contents[1]["parts"][0]["thoughtSignature"]) == b"context_engineering_is_the_way_to_go"
    assert contents[2]["parts"][0]["functionResponse"] == {"id": "1", "name": "f", "response": {"output": "42"}}
    older = Generate(origin="openai-chat", model="gemini-2.5-pro", messages=messages)
    contents = json.loads(CODEC.encode_request(older).value.body)["contents"]
    assert "thoughtSignature" not in contents[1]["parts"][0]
