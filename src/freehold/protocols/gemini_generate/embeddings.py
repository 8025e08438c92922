"""Vectors: `embedContent` for one, `batchEmbedContents` for several."""

from __future__ import annotations

import base64
import binascii
import math
import struct
from typing import Literal, cast

from freehold.errors import CallerError
from freehold.ir import Embed, Embedding, Embeddings, Extra, JsonObject, JsonValue, Losses, Media, Opaque
from freehold.protocols.codec import Dialect, Encoded, Unsupported, garbled
from freehold.protocols.gemini_generate.language import CUTS, LANGUAGE, NAME, REQUESTS, is_ours
from freehold.protocols.gemini_generate.parts import PartWriter
from freehold.protocols.gemini_generate.usage import read_usage, write_usage
from freehold.protocols.gemini_generate.wire import Node, repeat, restore

Verb = Literal["embedContent", "batchEmbedContents"]

_PURPOSES = {
    "query": "RETRIEVAL_QUERY",
    "search_query": "RETRIEVAL_QUERY",
    "document": "RETRIEVAL_DOCUMENT",
    "search_document": "RETRIEVAL_DOCUMENT",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}
"""Other vendors' words for what a vector is for, in Google's."""

_OWN_PURPOSES = frozenset(
    {
        "RETRIEVAL_QUERY",
        "RETRIEVAL_DOCUMENT",
        "SEMANTIC_SIMILARITY",
        "CLASSIFICATION",
        "CLUSTERING",
        "QUESTION_ANSWERING",
        "FACT_VERIFICATION",
        "CODE_RETRIEVAL_QUERY",
    }
)

_BETWEEN = "\n"
"""Between the texts of one content, which have one vector together."""

# --- Requests --------------------------------------------------------------------------------------------------------


def read_embed(body: JsonObject, *, model: str, batch: bool, headers: Extra | None) -> Embed:
    """A request for vectors. Raises CallerError for inputs that are no objects."""
    return _read_batch(body, model, headers) if batch else _read_single(body, model, headers)


def _read_single(body: JsonObject, model: str, headers: Extra | None) -> Embed:
    node = Node(body)
    return Embed(
        origin=NAME,
        model=model,
        inputs=(_take_content(node),),
        dimensions=node.take_int("outputDimensionality"),
        purpose=node.take_str("taskType"),
        title=node.take_str("title"),
        headers=headers,
        extra=node.rest(),
    )


def _take_content(node: Node) -> str | Opaque:
    """The texts of a content as one; a content that holds anything else whole."""
    value = node.peek("content")
    if not isinstance(value, dict):
        return node.fail("must be an object", "content")
    node.take("content")
    child = Node(value, node.at("content"))
    texts: list[str] = []
    for item in child.take_items("parts") or ():
        match item:
            case {"text": str(text), **others} if not others:
                texts.append(text)
            case _:
                texts.clear()
                break
    if not texts:
        return Opaque(origin=LANGUAGE, value={"content": value})
    if len(texts) > 1:
        child.note(CUTS, [len(text) for text in texts])
    node.keep("content", child)
    return _BETWEEN.join(texts)


def _read_batch(body: JsonObject, model: str, headers: Extra | None) -> Embed:
    """Several requests in one. What they all say alike is taken, the rest stays with each."""
    node = Node(body)
    nodes = [Node(item, f"requests[{index}]") for index, item in enumerate(node.need_list("requests"))]
    inputs = tuple(_take_content(item) for item in nodes)
    for item in nodes:
        if not item.take_constant("model", f"models/{model}") and not item.has("model"):
            item.note_absent("model")
    dimensions = _take_common(nodes, "outputDimensionality")
    purpose, title = _take_common(nodes, "taskType"), _take_common(nodes, "title")
    rests = [item.mark().fields for item in nodes]
    said = any(LANGUAGE.effects.get(name, "unknown") is not None for rest in rests for name in rest)
    node.put_back("requests" if said else REQUESTS, cast("JsonValue", rests))
    return Embed(
        origin=NAME,
        model=model,
        inputs=inputs,
        batch=True,
        dimensions=dimensions if isinstance(dimensions, int) else None,
        purpose=purpose if isinstance(purpose, str) else None,
        title=title if isinstance(title, str) else None,
        headers=headers,
        extra=node.rest(),
    )


def _take_common(nodes: list[Node], name: str) -> JsonValue:
    """A field that every request has with the same value."""
    values = [node.peek(name) for node in nodes]
    wanted = int if name == "outputDimensionality" else str
    first = values[0] if values else None
    if not isinstance(first, wanted) or isinstance(first, bool) or any(value != first for value in values):
        return None
    for node in nodes:
        node.take(name)
    return first


def write_embed(request: Embed, dialect: Dialect) -> tuple[Verb, Encoded[JsonObject]]:
    """The verb and the body. Raises Unsupported where Vertex AI would need several requests."""
    losses = Losses()
    batch = request.batch or len(request.inputs) != 1
    if dialect.provider == "vertex" and batch:
        if len(request.inputs) != 1:
            raise Unsupported(f"{NAME} on Vertex AI embeds one content at a time")
        batch = False
    native = request.origin == NAME
    items = [_write_one(item, request, losses, f"inputs[{index}]") for index, item in enumerate(request.inputs)]
    if request.user is not None:
        losses.add("user", "dropped", "accounting")
    if not batch:
        if native or not is_ours(request.extra):
            restore(request.extra, items[0], losses, "")
            _cut(items[0])
        return "embedContent", Encoded(items[0], losses.done())
    ours = request.extra.fields if request.extra is not None and is_ours(request.extra) else {}
    said = ours.get("requests", ours.get(REQUESTS))
    for index, item in enumerate(items):
        rest = said[index] if isinstance(said, list) and index < len(said) else None
        if not isinstance(rest, dict):
            item["model"] = f"models/{request.model}"
            continue
        item["model"] = rest.get("model", f"models/{request.model}")
        repeat(rest, item)
        _cut(item)
    body: JsonObject = {"requests": cast("JsonValue", items)}
    if native and request.extra is not None:
        repeat({name: item for name, item in request.extra.fields.items() if name != "requests"}, body)
    else:
        restore(request.extra, body, losses, "")
    return "batchEmbedContents", Encoded(body, losses.done())


def _write_one(item: str | tuple[int, ...] | Media | Opaque, request: Embed, losses: Losses, path: str) -> JsonObject:
    wire: JsonObject = {"content": _content(item, losses, path)}
    purpose = _purpose(request, losses)
    if purpose is not None:
        wire["taskType"] = purpose
    if request.title is not None:
        wire["title"] = request.title
    if request.dimensions is not None:
        wire["outputDimensionality"] = request.dimensions
    return wire


def _content(item: str | tuple[int, ...] | Media | Opaque, losses: Losses, path: str) -> JsonObject:
    match item:
        case str():
            return {"parts": [{"text": item}]}
        case Media():
            wire = PartWriter(losses, native=False).part(item, path)
            return {"parts": [] if wire is None else [wire]}
        case Opaque() if item.origin is LANGUAGE:
            return cast("JsonObject", item.value["content"])
        case _:
            raise CallerError(f"{path} must be text: {NAME} does not embed token numbers", param=path)


def _cut(item: JsonObject) -> None:
    """Cut a text where it was joined, unless it was changed in between."""
    content = item.get("content")
    cuts = content.pop(CUTS, None) if isinstance(content, dict) else None
    match content:
        case {"parts": [{"text": str(text)}]} if isinstance(cuts, list):
            pass
        case _:
            return
    texts: list[str] = []
    at = 0
    for length in cast("list[int]", cuts):
        texts.append(text[at : at + length])
        at += length + len(_BETWEEN)
    if _BETWEEN.join(texts) == text:
        content["parts"] = [{"text": one} for one in texts]


def _purpose(request: Embed, losses: Losses) -> str | None:
    purpose = request.purpose
    if purpose is None or request.origin == NAME:
        return purpose
    known = purpose if purpose in _OWN_PURPOSES else _PURPOSES.get(purpose.lower())
    if known is None:
        losses.add("purpose", "dropped", "behaviour", purpose)
    return known


# --- Answers ---------------------------------------------------------------------------------------------------------


def read_embeddings(body: JsonObject) -> Embeddings:
    """The vectors of either verb. Raises UpstreamError for anything else."""
    try:
        return _read_embeddings(Node(body))
    except CallerError as error:
        raise garbled(NAME, error.message) from None


def _read_embeddings(node: Node) -> Embeddings:
    single = node.child("embedding")
    if single is not None:
        data = (_read_vector(single),)
        node.put_back("embedding", {})
    else:
        rows = node.need_list("embeddings")
        data = tuple(_read_vector(Node(row, f"embeddings[{index}]")) for index, row in enumerate(rows))
    usage = node.take_object("usageMetadata")
    return Embeddings(origin=NAME, data=data, usage=None if usage is None else read_usage(usage), extra=node.rest())


def _read_vector(node: Node) -> Embedding:
    values = node.need_list("values")
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        node.fail("must hold numbers only", "values")
    return Embedding(vector=tuple(cast("list[float]", values)), extra=node.rest())


def write_embeddings(result: Embeddings, request: Embed | None) -> Encoded[JsonObject]:
    """The vectors, in the form of the verb that asked for them."""
    losses = Losses()
    rows = [_write_vector(item, losses, f"data[{index}]") for index, item in enumerate(result.data)]
    said = result.extra.fields if result.extra is not None and is_ours(result.extra) else None
    single = "embedding" in said if said is not None else request is not None and not request.batch
    body: JsonObject = {"embedding": rows[0]} if single and rows else {"embeddings": cast("JsonValue", rows)}
    if result.usage is not None:
        body["usageMetadata"] = write_usage(result.usage, result.usage.extra, losses, "usage")
    restore(result.extra, body, losses, "")
    return Encoded(body, losses.done())


def _write_vector(item: Embedding, losses: Losses, path: str) -> JsonObject:
    vector = item.vector if isinstance(item.vector, tuple) else _floats(item.vector)
    wire: JsonObject = {"values": cast("JsonValue", list(vector))}
    restore(item.extra, wire, losses, path)
    return wire


def _floats(data: str) -> tuple[float, ...]:
    """Base64 of little-endian float32. Raises Unsupported for other numbers, which some providers send instead."""
    try:
        raw = base64.b64decode(data)
    except binascii.Error:
        raise garbled(NAME, "a vector is not base64") from None
    vector = struct.unpack(f"<{len(raw) // 4}f", raw[: len(raw) // 4 * 4])
    if not all(map(math.isfinite, vector)):
        raise Unsupported(f"{NAME} has no vectors of other numbers than float32")
    return vector
