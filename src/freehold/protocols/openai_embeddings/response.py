"""Vectors, as floats or as base64 of little-endian float32."""

from __future__ import annotations

import base64
import binascii
import struct
from typing import Literal

from freehold.errors import CallerError
from freehold.ir import (
    Embed,
    Embedding,
    Embeddings,
    Fields,
    JsonObject,
    JsonValue,
    Losses,
    Request,
    Result,
    Usage,
    parse_object,
    write_json,
)
from freehold.protocols.codec import Encoded, Stamp, Unsupported, WireResponse, garbled
from freehold.protocols.openai_embeddings.language import LANGUAGE, NAME, native, repeat
from freehold.protocols.openai_errors import error_in_success


def decode_response(wire: WireResponse) -> Embeddings:
    """Raises UpstreamError."""
    try:
        body = parse_object(wire.body)
        error_in_success(body, wire)
        fields = Fields(body, LANGUAGE)
        rows = fields.need_list("data")
        usage = fields.take_object("usage")
        return Embeddings(
            origin=NAME,
            data=tuple(_decode_row(row, at) for at, row in enumerate(rows)),
            model=fields.take_str("model"),
            usage=None if usage is None else _decode_usage(usage),
            extra=fields.mark(),
        )
    except CallerError as error:
        raise garbled(NAME, error.message, wire.body) from None


def _decode_row(value: JsonValue, at: int) -> Embedding:
    fields = Fields(value, LANGUAGE, f"data[{at}]")
    match fields.take("embedding"):
        case str(text):
            return Embedding(vector=text, extra=fields.mark())
        case list(numbers):
            vector = tuple(number for number in numbers if isinstance(number, int | float))
            if len(vector) == len(numbers):
                return Embedding(vector=vector, extra=fields.mark())
            return fields.fail("must hold numbers only", "embedding")
        case _:
            return fields.fail("must be a list or base64", "embedding")


def _decode_usage(value: JsonObject) -> Usage:
    fields = Fields(value, LANGUAGE, "usage")
    return Usage(input_tokens=fields.take_int("prompt_tokens"), extra=fields.mark())


def encode_response(result: Result, stamp: Stamp, request: Request | None) -> Encoded[WireResponse]:
    """The vectors, in the encoding that was asked for. Raises Unsupported."""
    if not isinstance(result, Embeddings):
        raise Unsupported(f"{NAME} has no {type(result).__name__}")
    losses = Losses()
    encoding = request.encoding if isinstance(request, Embed) else None
    own = native(result.extra) is not None
    body: JsonObject = {} if own else {"object": "list"}
    body["data"] = [_write_row(row, at, encoding, losses) for at, row in enumerate(result.data)]
    if result.model is not None or not own:
        body["model"] = result.model or ""
    if result.usage is not None:
        body["usage"] = _write_usage(result.usage, losses)
    elif not own:
        body["usage"] = {"prompt_tokens": 0, "total_tokens": 0}
    repeat(result.extra, body, "", losses)
    headers = (("content-type", "application/json"), ("x-request-id", stamp.id))
    return Encoded(WireResponse(status=200, body=write_json(body), headers=headers), losses.done())


def _write_row(row: Embedding, at: int, encoding: Literal["float", "base64"] | None, losses: Losses) -> JsonObject:
    if native(row.extra) is not None:
        written: JsonObject = {"embedding": row.vector if isinstance(row.vector, str) else [*row.vector]}
        repeat(row.extra, written, "", losses)
        return written
    losses.drop_extra(row.extra, f"data[{at}]")
    return {"object": "embedding", "index": at, "embedding": _in_encoding(row.vector, encoding)}


def _in_encoding(vector: tuple[float, ...] | str, encoding: Literal["float", "base64"] | None) -> JsonValue:
    """A vector in the encoding that was asked for; floats where none was."""
    if isinstance(vector, str):
        return vector if encoding == "base64" else _floats(vector)
    if encoding == "base64":
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    return [*vector]


def _floats(text: str) -> JsonValue:
    """The floats in base64; the text itself if it holds something else."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return text
    return [*struct.unpack(f"<{len(data) // 4}f", data)] if len(data) % 4 == 0 else text


def _write_usage(usage: Usage, losses: Losses) -> JsonObject:
    written: JsonObject = {}
    if usage.input_tokens is not None:
        written["prompt_tokens"] = usage.input_tokens
    if native(usage.extra) is None:
        written = {"prompt_tokens": usage.input_tokens or 0, "total_tokens": usage.input_tokens or 0}
    repeat(usage.extra, written, "usage", losses)
    return written
