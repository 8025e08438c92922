"""Anthropic's bodies, held against the types and stream accumulator of the `anthropic` package and their schemas."""

from __future__ import annotations

import json
from typing import Any, cast

from anthropic._streaming import SSEDecoder
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import ErrorResponse, Message, MessageTokensCount, ModelInfo, RawMessageStreamEvent
from anthropic.types.message_count_tokens_params import MessageCountTokensParams
from anthropic.types.message_create_params import MessageCreateParams
from pydantic import TypeAdapter

from tests.vendors.deviations import problems
from tests.vendors.published import Schema
from tests.vendors.typed import Problem


def _described(name: str) -> Schema:
    return Schema("anthropic-messages", name)


REQUESTS: dict[str, tuple[object, ...]] = {
    "messages": (MessageCreateParams, _described("MessageCreateParams")),
    "messages-count": (MessageCountTokensParams, _described("MessageCountTokensParams")),
}
ANSWERS: dict[str, tuple[Any, Schema]] = {
    "messages": (Message, _described("Message")),
    "messages-count": (MessageTokensCount, _described("MessageTokensCount")),
    "model": (ModelInfo, _described("ModelInfo")),
}
_EVENT: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)


def answer_problems(form: str, body: object) -> list[Problem]:
    """A complete answer: every member known, and the model itself takes it."""
    model, schema = ANSWERS[form]
    found = problems(body, model, schema)
    if not found:
        model.model_validate(body)
    return found


def error_problems(body: object) -> list[Problem]:
    """An error body, typed as one of Anthropic's own errors."""
    return problems(body, ErrorResponse, _described("ErrorResponse"))


def stream_problems(body: bytes) -> list[Problem]:
    """A stream of events: each one typed, and the SDK's accumulator makes a message of them."""
    found: list[Problem] = []
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    kinds: list[str] = []
    for number, sent in enumerate(SSEDecoder().iter_bytes(iter([body]))):
        value = json.loads(sent.data)
        kinds.append(value.get("type", ""))
        if sent.event != value.get("type"):
            found.append(Problem(f"#{number}", f"event {sent.event} is typed {value.get('type')}"))
        if sent.event in {"ping", "error"}:
            found += error_problems(value) if sent.event == "error" else []
            continue
        wrong = problems(value, RawMessageStreamEvent, _described("RawMessageStreamEvent"))
        found += wrong
        if not wrong:
            snapshot = accumulate_event(
                event=_EVENT.validate_python(value), current_snapshot=snapshot, json_bufs=buffers
            )
    if not kinds:
        return [Problem("$", "the stream is empty")]
    if kinds[-1] not in {"message_stop", "error"}:
        found.append(Problem("$", f"ends with {kinds[-3:]}"))
    if not found and kinds[-1] == "message_stop":
        found += _finished(cast("Message", snapshot))
    return found


def _finished(snapshot: Message) -> list[Problem]:
    if snapshot.stop_reason is None:
        return [Problem("$.stop_reason", "the message never says why it stopped")]
    calls = any(block.type == "tool_use" for block in snapshot.content)
    if calls and snapshot.stop_reason not in {"tool_use", "max_tokens", "refusal"}:
        return [Problem("$.stop_reason", f"calls tools and stops with {snapshot.stop_reason}")]
    return []
