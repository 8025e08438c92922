"""What recordings taught about Converse, one fact a test."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from botocore.exceptions import EventStreamError

from freehold.ir import (
    SEALED,
    ChoiceEnd,
    ErrorEnd,
    Event,
    Failure,
    Finish,
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
    Usage,
    UsageDelta,
)
from freehold.ir.fold import fold
from freehold.protocols.bedrock_converse import CODEC
from freehold.protocols.codec import Frame, Stamp, WireResponse
from tests.protocols.bedrock_converse.service_model import parsed, streamed, values

STAMP = Stamp(id="exchange1", created=1_700_000_000)


def frame(event: str, **value: object) -> Frame:
    return Frame(event=event, data=json.dumps(value).encode())


SAYS_HELLO = [
    frame("messageStart", role="assistant", p="ab"),
    frame("contentBlockDelta", contentBlockIndex=0, delta={"text": "Hel"}, p="abc"),
    frame("contentBlockDelta", contentBlockIndex=0, delta={"text": "lo"}, p="a"),
    frame("contentBlockStop", contentBlockIndex=0, p="ab"),
    frame("messageStop", stopReason="end_turn", p="abcd"),
    frame("metadata", usage={"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}, metrics={"latencyMs": 7}, p="x"),
]


def answer(**body: object) -> Response:
    result = CODEC.decode_response(WireResponse(status=200, body=json.dumps(body).encode()))
    assert isinstance(result, Response)
    return result


def said(*blocks: dict[str, Any], stop: str = "end_turn", **usage: int) -> Response:
    return answer(output={"message": {"role": "assistant", "content": list(blocks)}}, stopReason=stop, usage=usage)


def encode(*batches: list[Event]) -> list[Frame]:
    encoder = CODEC.encoder(STAMP)
    return [written for batch in batches for written in encoder.feed(batch)]


def test_fact_1_text_begins_with_its_first_delta_and_usage_ends_the_stream() -> None:
    decoder = CODEC.decoder()
    batches = [decoder.feed(one) for one in SAYS_HELLO]
    assert [type(event) for event in batches[1]] == [PartStart, TextDelta]
    assert isinstance(batches[4][-1], ChoiceEnd)
    assert [type(event) for event in batches[5]] == [UsageDelta, ResponseEnd]
    assert decoder.close() == []
    whole = fold(batches)
    assert whole.choices[0].parts == (Text(text="Hello"),)
    assert whole.usage is not None
    assert whole.usage.input_tokens == 3


def test_fact_1_padding_is_kept_for_converse_only() -> None:
    decoder, encoder = CODEC.decoder(), CODEC.encoder(STAMP)
    written = [one for each in SAYS_HELLO for one in encoder.feed(decoder.feed(each))]
    assert values(written) == values(SAYS_HELLO)
    assert encoder.losses == []


def test_fact_1_a_stream_without_metadata_is_complete_after_message_stop() -> None:
    decoder = CODEC.decoder()
    for one in SAYS_HELLO[:-1]:
        decoder.feed(one)
    assert [type(event) for event in decoder.close()] == [ResponseEnd]


def test_fact_1_a_stream_cut_before_message_stop_never_ends_clean() -> None:
    decoder = CODEC.decoder()
    for one in SAYS_HELLO[:-2]:
        decoder.feed(one)
    assert [type(event) for event in decoder.close()] == [ErrorEnd]


def test_fact_3_input_tokens_leave_cached_tokens_out() -> None:
    response = said({"text": "hi"}, inputTokens=12, outputTokens=5, cacheReadInputTokens=1028, cacheWriteInputTokens=4)
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.cache_read, response.usage.cache_write) == (1044, 1028, 4)
    foreign = Response(
        origin="openai-chat",
        choices=response.choices,
        usage=Usage(input_tokens=1044, output_tokens=5, cache_read=1028, cache_write=4),
    )
    body = json.loads(CODEC.encode_response(foreign, STAMP).value.body)
    assert body["usage"] == {
        "inputTokens": 12,
        "outputTokens": 5,
        "totalTokens": 1049,
        "cacheReadInputTokens": 1028,
        "cacheWriteInputTokens": 4,
    }


def test_fact_13_end_turn_with_a_tool_call_waits_for_the_tool() -> None:
    call = {"toolUse": {"toolUseId": "t1", "name": "weather", "input": {"city": "Oslo"}}}
    finish = said(call, stop="end_turn").choices[0].finish
    assert finish is not None
    assert (finish.kind, finish.raw) == ("tool_calls", "end_turn")


def test_fact_13_a_tool_that_aws_ran_does_not() -> None:
    call = {"toolUse": {"toolUseId": "t1", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}}
    result = {"toolResult": {"toolUseId": "t1", "type": "nova_grounding_result", "content": [], "status": "success"}}
    response = said(call, result, {"text": "Done."})
    assert response.choices[0].finish is not None
    assert response.choices[0].finish.kind == "stop"


def test_fact_15_the_error_type_stands_in_a_header() -> None:
    wire = WireResponse(
        status=400,
        headers=(("x-amzn-errortype", "ValidationException:http://internal.amazon.com/coral/"),),
        body=b'{"message":"The provided model identifier is invalid."}',
    )
    failure = CODEC.decode_error(wire)
    assert (failure.kind, failure.type) == ("invalid_request", "ValidationException")
    again = CODEC.encode_error(failure, STAMP)
    assert again.body == wire.body
    assert parsed(again, "Converse")["Error"]["Code"] == "ValidationException"


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [
        ("rate_limit", "ThrottlingException", 429),
        ("not_found", "ResourceNotFoundException", 404),
        ("permission", "AccessDeniedException", 403),
        ("authentication", "UnrecognizedClientException", 403),
        ("timeout", "ModelTimeoutException", 408),
        ("bad_gateway", "ModelErrorException", 424),
        ("overloaded", "ServiceUnavailableException", 503),
        ("internal", "InternalServerException", 500),
        ("too_large", "ValidationException", 400),
    ],
)
def test_fact_15_botocore_raises_the_class_of_the_kind(kind: str, code: str, status: int) -> None:
    wire = CODEC.encode_error(Failure(origin="openai-chat", status=418, kind=kind, message="No."), STAMP)
    assert wire.status == status
    assert parsed(wire, "Converse")["Error"] == {"Code": code, "Message": "No."}
    assert dict(wire.headers)["x-amzn-requestid"] == "exchange1"


def test_retry_advice_is_in_milliseconds_for_aws_and_in_seconds_for_others() -> None:
    failure = Failure(origin="openai-chat", status=429, kind="rate_limit", message="Slow down.", retry_after=1.5)
    headers = dict(CODEC.encode_error(failure, STAMP).headers)
    assert (headers["x-amz-retry-after"], headers["retry-after"]) == ("1500", "2")
    assert CODEC.decode_error(WireResponse(status=429, headers=tuple(headers.items()), body=b"")).retry_after == 1.5


def test_the_signature_check_names_its_own_type() -> None:
    failure = Failure(
        origin="freehold", status=401, kind="authentication", message="No.", type="InvalidSignatureException"
    )
    wire = CODEC.encode_error(failure, STAMP)
    assert (wire.status, parsed(wire, "Converse")["Error"]["Code"]) == (403, "InvalidSignatureException")


def test_a_failure_in_a_stream_is_an_exception_frame() -> None:
    failure = Failure(origin="anthropic-messages", status=529, kind="overloaded", message="Busy.")
    start = Response(origin="anthropic-messages", choices=())
    frames = encode([ResponseStart(response=start)], [ErrorEnd(failure=failure)])
    with pytest.raises(EventStreamError, match=r"serviceUnavailableException.*Busy"):
        streamed(frames, "ConverseStream")


def test_an_exception_frame_is_a_failure() -> None:
    wire = Frame(kind="exception", event="throttlingException", data=b'{"message":"Too many tokens."}')
    (event,) = CODEC.decoder().feed(wire)
    assert isinstance(event, ErrorEnd)
    assert (event.failure.kind, event.failure.status) == ("rate_limit", 429)
    assert CODEC.encoder(STAMP).feed([event]) == [wire]


def test_a_foreign_answer_streams_as_boto3_expects_it() -> None:
    text = "Hello"
    frames = encode(
        [ResponseStart(response=Response(origin="openai-chat", choices=(), id="x"))],
        [PartStart(index=0, part=Text(text="")), TextDelta(index=0, text=text), PartEnd(index=0)],
        [ChoiceEnd(finish=Finish(kind="stop", raw="stop", origin="openai-chat"))],
        [UsageDelta(usage=Usage(input_tokens=4, output_tokens=1)), ResponseEnd()],
    )
    assert streamed(frames, "ConverseStream") == [
        {"messageStart": {"role": "assistant"}},
        {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "Hello"}}},
        {"contentBlockStop": {"contentBlockIndex": 0}},
        {"messageStop": {"stopReason": "end_turn"}},
        {
            "metadata": {
                "usage": {"inputTokens": 4, "outputTokens": 1, "totalTokens": 5},
                "metrics": {"latencyMs": 0},
            }
        },
    ]


def test_a_seal_without_words_travels_as_redacted_content() -> None:
    thought = Reasoning(text="", proof=Proof(origin=SEALED, value="fh1.abc"))
    response = Response(origin="anthropic-messages", choices=())
    frames = encode(
        [ResponseStart(response=response)],
        [PartStart(index=0, part=Reasoning(text=""))],
        [ProofDelta(index=0, proof=Proof(origin=SEALED, value="fh1.abc"))],
        [PartEnd(index=0)],
    )
    blob = base64.b64encode(b"fh1.abc").decode()
    assert values(frames)[1][1]["delta"] == {"reasoningContent": {"redactedContent": blob}}
    back = said({"reasoningContent": {"redactedContent": blob}}).choices[0].parts[0]
    assert isinstance(back, Reasoning)
    assert back.proof == thought.proof


def test_a_native_signature_returns_byte_for_byte() -> None:
    block = {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "EqQB+/="}}}
    part = said(block).choices[0].parts[0]
    assert part == Reasoning(text="Hm.", proof=Proof(origin="bedrock-converse", value="EqQB+/="))
