"""Streams of another language as our clients need them, and streams that were changed on their way."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import openai
import pytest
from openai._models import construct_type
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from freehold.ir import (
    SEALED,
    ArgumentsDelta,
    ChoiceEnd,
    ErrorEnd,
    Event,
    Extra,
    Failure,
    Finish,
    Language,
    Opaque,
    PartEnd,
    PartStart,
    Proof,
    ProofDelta,
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
from freehold.ir.fold import fold
from freehold.ir.grammar import check_stream
from freehold.protocols.codec import Frame, Stamp
from freehold.protocols.openai_responses import CODEC
from tests.protocols.openai_responses.recordings import frames, name_of, streamed

STAMP = Stamp(id="exchange", created=1_700_000_000)
OTHER = Language(name="other", effects={"citations": "accounting", "hosted": "content"})
START = ResponseStart(response=Response(origin="other", choices=(), id="msg_1", model="a-model"))
STOP = ChoiceEnd(finish=Finish(kind="stop", raw="end_turn", origin="other"))


def encoded(*events: Event) -> tuple[list[dict[str, Any]], list[tuple[str, str, str]]]:
    """The frames of a stream as JSON, checked against the SDK's models, and the losses."""
    encoder = CODEC.encoder(STAMP)
    written = [frame for event in events for frame in encoder.feed([event])]
    strict = TypeAdapter[ResponseStreamEvent](ResponseStreamEvent)
    payloads: list[dict[str, Any]] = []
    for frame in written:
        strict.validate_json(frame.data)
        payloads.append(json.loads(frame.data))
        assert frame.event == payloads[-1]["type"]
    assert [one["sequence_number"] for one in payloads] == list(range(len(payloads)))
    return payloads, [(loss.path, loss.kind, loss.effect) for loss in encoder.losses]


def kinds(payloads: list[dict[str, Any]]) -> list[str]:
    return [one["type"].removeprefix("response.") for one in payloads]


def test_a_text() -> None:
    payloads, losses = encoded(
        START,
        PartStart(index=0, part=Text(text="")),
        TextDelta(index=0, text="Hel"),
        TextDelta(index=0, text="lo"),
        PartEnd(index=0),
        STOP,
        UsageDelta(usage=Usage(input_tokens=5, output_tokens=2)),
        ResponseEnd(),
    )
    assert kinds(payloads) == [
        "created", "in_progress", "output_item.added", "content_part.added", "output_text.delta", "output_text.delta",
        "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    assert payloads[4] == {
        "type": "response.output_text.delta",
        "sequence_number": 4,
        "item_id": "msg_exchange_0",
        "output_index": 0,
        "content_index": 0,
        "delta": "Hel",
        "logprobs": [],
    }
    last = payloads[-1]["response"]
    assert last["id"] == payloads[0]["response"]["id"] == "resp_exchange"
    assert last["status"] == "completed"
    assert last["output"] == [payloads[-2]["item"]]
    assert last["output"][0]["content"] == [{"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}]
    assert last["usage"]["total_tokens"] == 7
    assert losses == []


def test_the_stream_helper_of_the_sdk_follows() -> None:
    payloads, _ = encoded(
        START,
        PartStart(index=0, part=Reasoning(text="")),
        TextDelta(index=0, text="Hm."),
        PartEnd(index=0),
        PartStart(index=1, part=Text(text="Let me see.")),
        PartEnd(index=1),
        PartStart(index=2, part=ToolCall(id="toolu_1", name="weather", arguments="")),
        ArgumentsDelta(index=2, text='{"city":'),
        ArgumentsDelta(index=2, text='"Oslo"}'),
        PartEnd(index=2),
        STOP,
        ResponseEnd(),
    )
    state = ResponseStreamState[None](input_tools=openai.omit, text_format=openai.omit)
    seen: list[Any] = []
    for payload in payloads:
        seen += state.handle_event(construct_type(type_=ResponseStreamEvent, value=payload))  # pyright: ignore[reportArgumentType] - what the SDK does itself
    assert seen[-1].response.output_text == "Let me see."
    assert [item.type for item in seen[-1].response.output] == ["reasoning", "message", "function_call"]


def test_a_tool_call_without_arguments_gets_an_empty_object_and_ids() -> None:
    payloads, _ = encoded(
        START, PartStart(index=0, part=ToolCall(id="", name="now", arguments="")), PartEnd(index=0), STOP, ResponseEnd()
    )
    done = payloads[-1]["response"]["output"][0]
    assert (done["arguments"], done["call_id"], done["id"]) == ("{}", "call_exchange_0", "fc_exchange_0")
    assert kinds(payloads)[2:5] == ["output_item.added", "function_call_arguments.done", "output_item.done"]


def test_several_texts_share_a_message_until_something_else_is_said() -> None:
    payloads, _ = encoded(
        START,
        PartStart(index=0, part=Text(text="a")),
        PartEnd(index=0),
        PartStart(index=1, part=Structured(value={"b": 1})),
        PartEnd(index=1),
        PartStart(index=2, part=ToolCall(id="c", name="f", arguments="{}")),
        PartEnd(index=2),
        PartStart(index=3, part=Refusal(text="no")),
        PartEnd(index=3),
        STOP,
        ResponseEnd(),
    )
    output = payloads[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["message", "function_call", "message"]
    assert [part.get("text") for part in output[0]["content"]] == ["a", '{"b":1}']
    assert output[2]["content"] == [{"type": "refusal", "refusal": "no"}]


def test_interleaved_tool_calls_keep_their_places() -> None:
    payloads, _ = encoded(
        START,
        PartStart(index=0, part=ToolCall(id="a", name="f", arguments="")),
        PartStart(index=1, part=ToolCall(id="b", name="g", arguments="")),
        ArgumentsDelta(index=0, text="[1]"),
        ArgumentsDelta(index=1, text="[2]"),
        PartEnd(index=0),
        PartEnd(index=1),
        STOP,
        ResponseEnd(),
    )
    assert [item["arguments"] for item in payloads[-1]["response"]["output"]] == ["[1]", "[2]"]
    done = [one for one in payloads if one["type"] == "response.output_item.done"]
    assert [(one["output_index"], one["item"]["call_id"]) for one in done] == [(0, "a"), (1, "b")]


def test_what_can_not_be_said_is_a_loss_and_leaves_no_hole() -> None:
    payloads, losses = encoded(
        START,
        PartStart(index=0, part=ToolCall(id="s", name="search", arguments="", hosted=True)),
        ArgumentsDelta(index=0, text="{}"),
        PartEnd(index=0),
        PartStart(index=1, part=Opaque(origin=OTHER, value={"type": "hosted"})),
        PartEnd(index=1),
        PartStart(index=2, part=Text(text="x", extra=Extra(OTHER, {"citations": [1]}))),
        PartEnd(index=2),
        STOP,
        ResponseEnd(),
    )
    assert [item["type"] for item in payloads[-1]["response"]["output"]] == ["message"]
    assert losses == [
        ("choices[0].parts[0]", "dropped", "content"),
        ("choices[0].parts[1]", "dropped", "content"),
        ("choices[0].parts[2].citations", "dropped", "accounting"),
    ]


def test_a_sealed_proof_stands_in_encrypted_content_and_a_foreign_one_is_lost() -> None:
    payloads, losses = encoded(
        START,
        PartStart(index=0, part=Reasoning(text="why")),
        ProofDelta(index=0, proof=Proof(origin=SEALED, value="seal-1")),
        PartEnd(index=0),
        PartStart(index=1, part=ToolCall(id="c", name="f", arguments="{}", proof=Proof(origin=SEALED, value="seal-2"))),
        PartEnd(index=1),
        PartStart(index=2, part=Reasoning(text="", proof=Proof(origin="other", value="raw"))),
        PartEnd(index=2),
        STOP,
        ResponseEnd(),
    )
    output = payloads[-1]["response"]["output"]
    assert [(item["type"], item.get("encrypted_content")) for item in output] == [
        ("reasoning", "seal-1"),
        ("reasoning", "seal-2"),
        ("function_call", None),
        ("reasoning", None),
    ]
    assert losses == [("choices[0].parts[2].proof", "dropped", "behaviour")]


@pytest.mark.parametrize(
    ("finish", "frame", "status", "reason"),
    [
        (Finish(kind="stop"), "completed", "completed", None),
        (Finish(kind="tool_calls"), "completed", "completed", None),
        (Finish(kind="length"), "incomplete", "incomplete", {"reason": "max_output_tokens"}),
        (Finish(kind="content_filter"), "incomplete", "incomplete", {"reason": "content_filter"}),
        (Finish(kind="error", raw="MALFORMED_FUNCTION_CALL"), "failed", "failed", None),
        (None, "completed", "completed", None),
    ],
)
def test_how_an_answer_ended(finish: Finish | None, frame: str, status: str, reason: object) -> None:
    payloads, _ = encoded(START, ChoiceEnd(finish=finish), ResponseEnd())
    assert kinds(payloads)[-1] == frame
    assert payloads[-1]["response"]["status"] == status
    assert payloads[-1]["response"]["incomplete_details"] == reason


def test_a_broken_stream_raises_in_sdks_and_ends_as_failed() -> None:
    failure = Failure(origin="other", status=529, kind="overloaded", message="too busy")
    payloads, _ = encoded(
        START, PartStart(index=0, part=Text(text="")), TextDelta(index=0, text="Hel"), ErrorEnd(failure=failure)
    )
    assert kinds(payloads)[-2:] == ["error", "failed"]
    assert payloads[-2]["error"]["message"] == payloads[-2]["message"] == "too busy"
    failed = payloads[-1]["response"]
    assert (failed["status"], failed["error"]["code"]) == ("failed", "server_error")
    assert failed["output"][0]["status"] == "incomplete"
    assert failed["output"][0]["content"][0]["text"] == "Hel"


def test_a_failure_before_anything_was_said() -> None:
    failure = Failure(origin="other", status=429, kind="rate_limit", message="slow down")
    payloads, _ = encoded(ErrorEnd(failure=failure))
    assert kinds(payloads) == ["created", "in_progress", "error", "failed"]
    assert payloads[-1]["response"]["error"]["code"] == "rate_limit_exceeded"


@pytest.mark.parametrize("exchange", streamed(), ids=name_of)
def test_a_text_that_was_changed_is_changed_wherever_the_stream_repeats_it(exchange: dict[str, Any]) -> None:
    decoder, encoder = CODEC.decoder(), CODEC.encoder(STAMP)
    spoken: list[str] = []
    written: list[Frame] = []
    for frame in frames(exchange):
        batch: list[Event] = []
        for event in decoder.feed(frame):
            changed = event
            if isinstance(event, TextDelta) and json.loads(frame.data)["type"] == "response.output_text.delta":
                spoken.append(event.text)
                changed = msgspec.structs.replace(event, text="#" * len(event.text))
            batch.append(changed)
        written += encoder.feed(batch)
    original = "".join(spoken)
    if len(original) < 12:
        return
    assert not any(original in json.dumps(json.loads(frame.data)) for frame in written if frame.data != b"[DONE]")
    last = next(frame for frame in reversed(written) if frame.data != b"[DONE]")
    assert "############" in last.data.decode()


def test_a_stream_that_was_never_announced_is_read_all_the_same() -> None:
    """Compatible servers leave out `content_part.added`, and numbers, and `event:` lines."""
    bare, answered = {"role": "assistant"}, {"id": "r", "object": "response", "output": []}
    said = [
        {"type": "response.created", "response": {**answered, "status": "queued"}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**bare, "type": "message", "content": []}},
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hi"},
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "!"},
        {"type": "response.completed", "response": {**answered, "status": "completed"}},
    ]
    decoder, encoder = CODEC.decoder(), CODEC.encoder(STAMP)
    sent = [Frame(data=json.dumps(one).encode()) for one in said]
    batches = [*(decoder.feed(frame) for frame in sent), decoder.close()]
    check_stream(batches)
    answer = fold(batches)
    assert [part.text for part in answer.choices[0].parts if isinstance(part, Text)] == ["Hi!"]
    returned = [frame for batch in batches for frame in encoder.feed(batch)]
    assert [(frame.event, json.loads(frame.data)) for frame in returned] == [(None, one) for one in said]


def test_a_sealed_proof_on_a_text_becomes_a_reasoning_item_of_its_own() -> None:
    payloads, losses = encoded(
        START,
        PartStart(index=0, part=Text(text="a", proof=Proof(origin=SEALED, value="seal-1"))),
        PartEnd(index=0),
        PartStart(index=1, part=Text(text="")),
        TextDelta(index=1, text="b"),
        ProofDelta(index=1, proof=Proof(origin=SEALED, value="seal-2")),
        PartEnd(index=1),
        STOP,
        ResponseEnd(),
    )
    output = payloads[-1]["response"]["output"]
    assert [item.get("encrypted_content", item.get("content")) for item in output] == [
        "seal-1",
        [
            {"type": "output_text", "annotations": [], "logprobs": [], "text": "a"},
            {"type": "output_text", "annotations": [], "logprobs": [], "text": "b"},
        ],
        "seal-2",
    ]
    assert losses == []
