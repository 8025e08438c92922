"""Answers of other protocols as message streams that Anthropic's own client accepts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import anthropic
import httpx2
from anthropic.types import Message as SdkMessage
from anthropic.types import RawMessageStreamEvent
from pydantic import TypeAdapter

from freehold.ir import (
    ArgumentsDelta,
    Choice,
    ChoiceEnd,
    ErrorEnd,
    Event,
    Extra,
    ExtraDelta,
    Failure,
    Finish,
    Language,
    PartEnd,
    PartStart,
    Proof,
    ProofDelta,
    Pulse,
    Reasoning,
    Refusal,
    Response,
    ResponseEnd,
    ResponseStart,
    Structured,
    Text,
    TextDelta,
    ToolCall,
    Usage,
    UsageDelta,
)
from freehold.ir.fold import unfold
from freehold.protocols.anthropic_messages import CODEC, LANGUAGE
from freehold.protocols.codec import Frame, Stamp

STAMP = Stamp(id="exchange1", created=1_700_000_000)
EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
OTHER = Language(name="openai-chat", effects={"annotations": "accounting"})


def start() -> ResponseStart:
    return ResponseStart(response=Response(origin="openai-chat", choices=(), model="gpt-5"))


def sent(*batches: Sequence[Event]) -> list[dict[str, Any]]:
    """The stream of these batches, each frame named as its type."""
    encoder = CODEC.encoder(STAMP)
    values: list[dict[str, Any]] = []
    for batch in batches:
        for frame in encoder.feed(batch):
            values.append(json.loads(frame.data))
            assert frame.event == values[-1]["type"]
    return values


def shown(values: list[dict[str, Any]]) -> list[str]:
    """The stream in short: what begins and ends, and what is said."""
    lines: list[str] = []
    for value in values:
        kind = value["type"].removeprefix("content_block_")
        match kind:
            case "start":
                lines.append(f"{value['index']} {value['content_block']['type']}")
            case "delta":
                delta = value["delta"]
                text = next(item for name, item in delta.items() if name != "type")
                lines.append(f"{value['index']} {text}")
            case "stop":
                lines.append(f"{value['index']} end")
            case _:
                lines.append(kind)
    return lines


def understood(values: list[dict[str, Any]]) -> SdkMessage:
    """What Anthropic's stream helper makes of it."""
    for value in values:
        EVENT.validate_python(value, strict=True)
    body = "".join(f"event: {value['type']}\ndata: {json.dumps(value)}\n\n" for value in values)

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=body.encode(), headers={"content-type": "text/event-stream"})

    with httpx2.Client(transport=httpx2.MockTransport(answer)) as http:
        client = anthropic.Anthropic(api_key="k", base_url="http://gateway", max_retries=0, http_client=http)
        with client.messages.stream(model="m", max_tokens=1, messages=[{"role": "user", "content": "Hi"}]) as stream:
            return stream.get_final_message()


END = [ChoiceEnd(finish=Finish(kind="stop", raw="stop", origin="openai-chat"))]


def test_words_and_a_late_usage() -> None:
    values = sent(
        [start()],
        [PartStart(index=0, part=Text(text="")), TextDelta(index=0, text="Hel")],
        [TextDelta(index=0, text="lo")],
        [PartEnd(index=0), *END],
        [UsageDelta(usage=Usage(input_tokens=9, output_tokens=2, cache_read=4, reasoning=1))],
        [ResponseEnd()],
    )
    assert shown(values) == [
        "message_start", "0 text", "0 Hel", "0 lo", "0 end", "message_delta", "message_stop",
    ]  # fmt: skip
    assert values[0]["message"]["id"] == "msg_exchange1"
    assert values[-2] == {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {
            "input_tokens": 5,
            "cache_read_input_tokens": 4,
            "output_tokens": 2,
            "output_tokens_details": {"thinking_tokens": 1},
        },
    }
    message = understood(values)
    assert message.model == "gpt-5"
    assert message.usage.input_tokens == 5


def test_parts_that_overlap_are_said_one_after_the_other() -> None:
    values = sent(
        [start(), PartStart(index=0, part=Reasoning(text="")), TextDelta(index=0, text="Hm")],
        [PartStart(index=1, part=Text(text="")), TextDelta(index=1, text="So")],
        [PartStart(index=2, part=ToolCall(id="a", name="add", arguments="")), ArgumentsDelta(index=2, text='{"x"')],
        [PartStart(index=3, part=ToolCall(id="b", name="sub", arguments="")), ArgumentsDelta(index=3, text="{}")],
        [ArgumentsDelta(index=2, text=":1}"), ProofDelta(index=0, proof=Proof(origin="freehold-seal", value="seal"))],
        [PartEnd(index=0), PartEnd(index=1), PartEnd(index=2), PartEnd(index=3), *END],
        [ResponseEnd()],
    )
    assert shown(values) == [
        "message_start",
        "0 thinking", "0 Hm", "0 end",
        "1 text", "1 So", "1 end",
        "2 tool_use", '2 {"x"', "2 :1}", "2 end",
        "3 tool_use", "3 {}", "3 end",
        "4 thinking", "4 seal", "4 end",
        "message_delta", "message_stop",
    ]  # fmt: skip
    assert values[-2]["delta"]["stop_reason"] == "tool_use"
    understood(values)


def test_what_has_no_words_here_is_left_out_and_noted() -> None:
    encoder = CODEC.encoder(STAMP)
    encoder.feed([start()])
    frames: list[Frame] = []
    frames += encoder.feed([PartStart(index=0, part=Text(text="")), PartEnd(index=0)])
    frames += encoder.feed([PartStart(index=1, part=ToolCall(id="w", name="search", arguments="{}", hosted=True))])
    frames += encoder.feed([ArgumentsDelta(index=1, text="{}"), PartEnd(index=1)])
    frames += encoder.feed([PartStart(index=0, choice=1, part=Text(text="other"))])
    assert frames == []
    frames = encoder.feed([PartStart(index=2, part=Refusal(text="No")), PartEnd(index=2)])
    frames += encoder.feed([PartStart(index=3, part=Structured(value={"a": 1}))])
    extra = Extra(OTHER, {"annotations": [1]})
    encoder.feed([ExtraDelta(index=3, extra=extra), ExtraDelta(index=3, extra=extra), PartEnd(index=3)])
    assert [json.loads(frame.data)["delta"]["text"] for frame in frames if b"delta" in frame.data] == ["No", '{"a":1}']
    assert [(loss.path, loss.effect) for loss in encoder.losses] == [
        ("choices[0].parts[1]", "content"),
        ("choices[1]", "content"),
        ("choices[0].parts[2]", "behaviour"),
        ("choices[0].parts[3].annotations", "accounting"),
    ]


def test_a_final_form_says_what_the_deltas_did_not() -> None:
    sealed = Reasoning(text="", proof=Proof(origin="freehold-seal", value="seal"))
    values = sent(
        [start(), PartStart(index=0, part=Reasoning(text="")), PartEnd(index=0, part=sealed)],
        [PartStart(index=1, part=Text(text="")), PartEnd(index=1, part=Text(text="Hi"))],
        [*END, ResponseEnd()],
    )
    assert shown(values)[1:-2] == ["0 thinking", "0 seal", "0 end", "1 text", "1 Hi", "1 end"]


def test_a_whole_answer_of_another_protocol() -> None:
    parts = (
        Reasoning(text="Hm"),
        Text(text="Let me see"),
        ToolCall(id="call_1", name="add", arguments='{"x":1}'),
        ToolCall(id="", name="now", arguments=""),
    )
    answer = Response(
        origin="gemini-generate",
        choices=(Choice(parts=parts, finish=Finish(kind="stop", raw="STOP", origin="gemini-generate")),),
        usage=Usage(input_tokens=3, output_tokens=4),
    )
    message = understood(sent(*unfold(answer)))
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert message.stop_reason == "tool_use"
    plain = json.loads(CODEC.encode_response(answer, STAMP).value.body)
    whole = SdkMessage.model_validate_json(json.dumps(plain), strict=True)
    assert [block.type for block in whole.content] == [block.type for block in message.content]


def test_calls_that_their_provider_did_not_name_are_told_apart() -> None:
    calls = (ToolCall(id="", name="look", arguments="{}"), ToolCall(id="", name="look", arguments="{}"))
    answer = Response(origin="gemini-generate", choices=(Choice(parts=calls),))
    whole = json.loads(CODEC.encode_response(answer, STAMP).value.body)["content"]
    streamed = understood(sent(*unfold(answer))).content
    ids = [block["id"] for block in whole]
    assert len(set(ids)) == 2
    assert ids == [block.id for block in streamed if block.type == "tool_use"]


def test_stop_sequences_and_limits() -> None:
    def reason(finish: Finish) -> tuple[str, str | None]:
        delta = sent([start(), ChoiceEnd(finish=finish)], [ResponseEnd()])[-2]["delta"]
        return delta["stop_reason"], delta["stop_sequence"]

    assert reason(Finish(kind="stop", stop_sequence="END")) == ("stop_sequence", "END")
    assert reason(Finish(kind="length")) == ("max_tokens", None)
    assert reason(Finish(kind="content_filter")) == ("refusal", None)
    assert reason(Finish(kind="tool_calls")) == ("end_turn", None)


def test_keep_alives_cross_only_within_the_protocol() -> None:
    decoder = CODEC.decoder()
    ping = Frame(event="ping", data=b'{"type": "ping"}')
    (pulse,) = decoder.feed(ping)
    assert CODEC.encoder(STAMP).feed([pulse]) == [Frame(event="ping", data=b'{"type":"ping"}')]
    assert CODEC.encoder(STAMP).feed([Pulse(), Pulse(rest=Extra(OTHER, {"choices": []}))]) == []


def test_an_error_in_the_stream_ends_it() -> None:
    data = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    decoder = CODEC.decoder()
    (end,) = decoder.feed(Frame(event="error", data=data))
    assert isinstance(end, ErrorEnd)
    assert (end.failure.kind, end.failure.status) == ("overloaded", 529)
    assert decoder.close() == []
    assert [json.loads(frame.data) for frame in CODEC.encoder(STAMP).feed([end])] == [json.loads(data)]
    foreign = Failure(origin="openai-chat", status=429, kind="rate_limit", message="Slow down", type="tokens")
    assert sent([ErrorEnd(failure=foreign)]) == [
        {
            "type": "error",
            "error": {"type": "rate_limit_error", "message": "Slow down"},
            "request_id": "exchange1",
        }
    ]


def test_a_stream_that_dies_does_not_end_clean() -> None:
    decoder = CODEC.decoder()
    decoder.feed(Frame(data=b'{"type":"message_start","message":{"usage":{"input_tokens":1,"output_tokens":1}}}'))
    (end,) = decoder.close()
    assert isinstance(end, ErrorEnd)
    assert end.failure.code == "upstream_truncated"


def test_cached_tokens_are_remembered_where_a_later_usage_is_silent() -> None:
    usage = b'{"input_tokens":1,"cache_read_input_tokens":90,"output_tokens":1}'
    end = b'{"stop_reason":"end_turn","stop_sequence":null},"usage":{"input_tokens":2,"output_tokens":7}'
    frames = [
        b'{"type":"message_start","message":{"usage":' + usage + b"}}",
        b'{"type":"message_delta","delta":' + end + b"}",
        b'{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":2}}',
    ]
    decoder, encoder = CODEC.decoder(), CODEC.encoder(STAMP)
    batches = [decoder.feed(Frame(data=data)) for data in frames]
    assert [event.usage.input_tokens for event in batches[1] if isinstance(event, UsageDelta)] == [92]
    again = [frame for batch in batches for frame in encoder.feed(batch)]
    assert [json.loads(frame.data) for frame in again[1:]] == [json.loads(data) for data in frames[1:]]


def test_a_delta_of_unknown_type_rides_along() -> None:
    frames = [
        b'{"type":"message_start","message":{"usage":{}}}',
        b'{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}',
        b'{"type":"content_block_delta","index":0,"delta":{"type":"sparkle_delta","sparkle":3}}',
        b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a","more":1},"p":"x"}',
        b'{"type":"content_block_stop","index":0}',
        b'{"type":"weather","now":"rain"}',
    ]
    decoder, encoder = CODEC.decoder(), CODEC.encoder(STAMP)
    again = [frame for data in frames for frame in encoder.feed(decoder.feed(Frame(data=data)))]
    assert [json.loads(frame.data) for frame in again[1:]] == [json.loads(data) for data in frames[1:]]
    assert LANGUAGE.effects["citations"] == "behaviour"
