"""The envelope of a streamed answer: a model's JSON, base64-encoded inside of JSON inside of an event-stream frame."""

from __future__ import annotations

import base64
import binascii
from typing import cast

from freehold.errors import CallerError
from freehold.ir import JsonObject, JsonValue, Usage, parse_json, write_json
from freehold.protocols.bedrock_invoke.language import AMAZON, METRICS
from freehold.protocols.codec import Frame

CHUNK = "chunk"
"""The event type of every frame that holds a part of the answer."""


def open_envelope(frame: Frame) -> tuple[bytes, JsonObject]:
    """The model's JSON as bytes, and what else the envelope holds (padding). Raises CallerError for garbage."""
    outer = parse_json(frame.data)
    data = outer.get("bytes") if isinstance(outer, dict) else None
    if not isinstance(outer, dict) or not isinstance(data, str):
        raise CallerError("a chunk has no `bytes`")
    try:
        payload = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise CallerError("the bytes of a chunk are not base64") from None
    del outer["bytes"]
    return payload, outer


def open_chunk(frame: Frame) -> tuple[JsonObject, JsonObject]:
    """The same with the model's JSON parsed."""
    payload, beside = open_envelope(frame)
    return read_payload(payload), beside


def read_payload(payload: bytes) -> JsonObject:
    """A model's JSON. Raises CallerError if it is no object."""
    value = parse_json(payload)
    if not isinstance(value, dict):
        raise CallerError("a chunk is not a JSON object")
    return value


def close_chunk(payload: bytes, beside: JsonObject | None = None) -> Frame:
    """The frame around a model's JSON."""
    data = base64.b64encode(payload)
    if not beside:
        return Frame(event=CHUNK, data=b'{"bytes":"' + data + b'"}')
    return Frame(event=CHUNK, data=write_json({"bytes": data.decode(), **beside}))


def take_amazon(value: JsonObject) -> JsonObject:
    """What Bedrock itself put into a chunk, taken out of it."""
    names = [name for name in value if name.startswith(AMAZON)]
    return {name: value.pop(name) for name in names}


def read_metrics(amazon: JsonObject) -> Usage | None:
    """The usage that Bedrock counted."""
    metrics = amazon.get(METRICS)
    if not isinstance(metrics, dict):
        return None
    read, write = _count(metrics, "cacheReadInputTokenCount"), _count(metrics, "cacheWriteInputTokenCount")
    plain = _count(metrics, "inputTokenCount")
    return Usage(
        input_tokens=None if plain is None else plain + (read or 0) + (write or 0),
        output_tokens=_count(metrics, "outputTokenCount"),
        cache_read=read,
        cache_write=write,
    )


def _count(metrics: JsonObject, name: str) -> int | None:
    value = metrics.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def write_metrics(usage: Usage | None) -> JsonObject:
    """The metrics of an answer from elsewhere; its latencies were not measured by Bedrock and are 0."""
    known = usage if usage is not None else Usage()
    cached = (known.cache_read or 0) + (known.cache_write or 0)
    metrics: JsonObject = {
        "inputTokenCount": max(0, (known.input_tokens or 0) - cached),
        "outputTokenCount": known.output_tokens or 0,
        "invocationLatency": 0,
        "firstByteLatency": 0,
    }
    if known.cache_read is not None:
        metrics["cacheReadInputTokenCount"] = known.cache_read
    if known.cache_write is not None:
        metrics["cacheWriteInputTokenCount"] = known.cache_write
    return {METRICS: metrics}


def order_of(value: JsonValue) -> JsonValue:
    """The names of all members in their order, without their values: base64 keeps bytes, so order shows."""
    if isinstance(value, dict):
        return {name: order_of(item) for name, item in value.items()}
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return [order_of(item) for item in value]
    return None


def in_order(value: JsonValue, order: JsonValue) -> JsonValue:
    """The same value with its members in a known order; those that are new come last."""
    if isinstance(value, dict) and isinstance(order, dict):
        ordered: JsonObject = {name: in_order(value[name], inner) for name, inner in order.items() if name in value}
        for name, item in value.items():
            ordered.setdefault(name, item)
        return ordered
    if isinstance(value, list) and isinstance(order, list) and len(value) == len(order):
        return [in_order(item, inner) for item, inner in zip(value, order, strict=True)]
    return value


def as_object(data: bytes) -> JsonObject:
    """A frame's JSON that one of our own codecs wrote."""
    return cast("JsonObject", parse_json(data))
