"""Requests for vectors."""

from __future__ import annotations

from typing import cast
from urllib.parse import unquote

from freehold.ir import (
    Embed,
    Fields,
    JsonObject,
    JsonValue,
    Losses,
    Media,
    Opaque,
    parse_object,
    write_json,
)
from freehold.protocols.codec import Encoded, Unsupported, WireRequest
from freehold.protocols.openai_embeddings.language import FROM_PATH, LANGUAGE, NAME, native, repeat

PATH = "/v1/embeddings"

_ENGINES = "/engines/"

Input = str | tuple[int, ...] | Media | Opaque


def decode_request(wire: WireRequest) -> Embed:
    """Raises CallerError, or Unsupported for another path."""
    path = wire.path.rstrip("/")
    if not path.endswith("/embeddings"):
        raise Unsupported(f"{NAME} does not speak {wire.method} {wire.path}")
    fields = Fields(parse_object(wire.body), LANGUAGE)
    inputs, batch = _take_inputs(fields)
    model = fields.take_str("model")
    if model is None and _ENGINES in path:
        model = unquote(path.partition(_ENGINES)[2].removesuffix("/embeddings"))
        fields.put_back(FROM_PATH, model)
    encoding = fields.peek("encoding_format")
    return Embed(
        origin=NAME,
        model=model or "",
        inputs=inputs,
        batch=batch,
        dimensions=fields.take_int("dimensions"),
        encoding="float"
        if _said(fields, encoding, "float")
        else "base64"
        if _said(fields, encoding, "base64")
        else None,
        user=fields.take_str("user"),
        extra=fields.mark(),
    )


def _said(fields: Fields, encoding: JsonValue, word: str) -> bool:
    return encoding == word and fields.take_constant("encoding_format", word)


def _take_inputs(fields: Fields) -> tuple[tuple[Input, ...], bool]:
    """The inputs, and whether they came as a list: one text, several, the tokens of one, or of several."""
    match fields.take("input"):
        case str(text):
            return (text,), False
        case list(values) if values and all(_is_token(value) for value in values):
            return (tuple(cast("list[int]", values)),), False
        case list(values):
            return tuple(_decode_input(value, fields, at) for at, value in enumerate(values)), True
        case _:
            return fields.fail("must be a string or a list", "input")


def _decode_input(value: JsonValue, fields: Fields, at: int) -> Input:
    match value:
        case str(text):
            return text
        case list(tokens) if tokens and all(_is_token(token) for token in tokens):
            return tuple(cast("list[int]", tokens))
        case dict(item):
            return Opaque(origin=LANGUAGE, value=item)
        case _:
            return fields.fail("must be a string, an object or a list of tokens", f"input[{at}]")


def _is_token(value: JsonValue) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def encode_request(request: Embed) -> Encoded[WireRequest]:
    """The request in this protocol, losses beside it."""
    losses = Losses()
    own = native(request.extra) or {}
    body: JsonObject = {}
    if request.model and own.get(FROM_PATH) != request.model:
        body["model"] = request.model
    body["input"] = _write_inputs(request, losses)
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    if request.encoding is not None:
        body["encoding_format"] = request.encoding
    if request.user is not None:
        body["user"] = request.user
    if request.purpose is not None:
        losses.add("purpose", "dropped", "behaviour", "OpenAI's vectors have one purpose")
    if request.title is not None:
        losses.add("title", "dropped", "behaviour", "OpenAI's vectors have no title")
    losses.drop_extra(request.headers, "headers")
    repeat(request.extra, body, "", losses)
    wire = WireRequest(path=PATH, body=write_json(body), operation="embed", model=request.model)
    return Encoded(wire, losses.done())


def _write_inputs(request: Embed, losses: Losses) -> JsonValue:
    values: list[JsonValue] = []
    for at, item in enumerate(request.inputs):
        path = f"inputs[{at}]"
        match item:
            case str():
                values.append(item)
            case tuple():
                values.append([*item])
            case Opaque() if item.origin is LANGUAGE:
                values.append(item.value)
            case Opaque():
                losses.drop_opaque(item, path)
            case Media():
                losses.add(path, "dropped", "content", f"OpenAI makes no vectors of a {item.kind}")
    return values[0] if len(values) == 1 and not request.batch else values
