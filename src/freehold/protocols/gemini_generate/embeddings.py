"""Vectors: `embedContent` for one, `batchEmbedContents` for several; Vertex AI's `predict` stands in `predict`.

Vertex AI keeps the options of both in an object `embedContentConfig`, where the Gemini API has them beside the content.
"""

from __future__ import annotations

from typing import Literal, cast

from freehold.errors import CallerError
from freehold.ir import Embed, Embedding, Embeddings, Extra, JsonObject, JsonValue, Losses, Media, Opaque
from freehold.protocols.codec import Dialect, Encoded, garbled
from freehold.protocols.gemini_generate.language import CUTS, LANGUAGE, NAME, is_ours
from freehold.protocols.gemini_generate.parts import PartWriter
from freehold.protocols.gemini_generate.predict import (
    came_as_predictions,
    read_predict,
    read_predictions,
    write_predict,
    write_predictions,
)
from freehold.protocols.gemini_generate.usage import read_usage, write_usage
from freehold.protocols.gemini_generate.vectors import (
    Form,
    floats_of,
    form_for,
    form_of,
    keep_rests,
    purpose_of,
    restore_outside,
    rests_of,
    take_common,
    take_vector,
    with_form,
    without_marks,
)
from freehold.protocols.gemini_generate.wire import Node, repeat, restore

Verb = Literal["embedContent", "batchEmbedContents", "predict"]

_CONFIG = "embedContentConfig"

_BETWEEN = "\n"
"""Between the texts of one content, which have one vector together."""

# --- Requests --------------------------------------------------------------------------------------------------------


def read_embed(body: JsonObject, *, model: str, verb: Verb, headers: Extra) -> Embed:
    """A request for vectors. Raises CallerError for inputs that are no objects, Unsupported for other predictions."""
    match verb:
        case "predict":
            return read_predict(body, model=model, headers=headers)
        case "batchEmbedContents":
            return _read_batch(body, model, headers)
        case "embedContent":
            return _read_single(body, model, headers)


def _read_single(body: JsonObject, model: str, headers: Extra) -> Embed:
    node = Node(body)
    options = node.child(_CONFIG)
    if options is not None:
        headers = with_form(headers, "nested")
        node.keep(_CONFIG, options, hollow=True)
    said = node if options is None else options
    return Embed(
        origin=NAME,
        model=model,
        inputs=(_take_content(node),),
        dimensions=said.take_int("outputDimensionality"),
        purpose=said.take_str("taskType"),
        title=said.take_str("title"),
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


def _read_batch(body: JsonObject, model: str, headers: Extra) -> Embed:
    """Several requests in one. What they all say alike is taken, the rest stays with each."""
    node = Node(body)
    nodes = [Node(item, f"requests[{index}]") for index, item in enumerate(node.need_list("requests"))]
    inputs = tuple(_take_content(item) for item in nodes)
    said: list[Node] = []
    for item in nodes:
        if not item.take_constant("model", f"models/{model}") and not item.has("model"):
            item.note_absent("model")
        options = item.child(_CONFIG)
        if options is not None:
            headers = with_form(headers, "nested")
            item.keep(_CONFIG, options, hollow=True)
        said.append(item if options is None else options)
    dimensions = take_common(said, "outputDimensionality")
    purpose, title = take_common(said, "taskType"), take_common(said, "title")
    keep_rests(node, nodes, "requests")
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


def write_embed(request: Embed, dialect: Dialect) -> tuple[Verb, Encoded[JsonObject]]:
    """The verb and the body, in the form that the provider takes. Raises Unsupported for inputs that it does not."""
    form = form_for(request, dialect)
    if form == "predict":
        return "predict", write_predict(request)
    losses = Losses()
    batch = request.batch or len(request.inputs) != 1
    said = rests_of(request, form, losses)
    items = [_write_one(item, request, form, losses, f"inputs[{at}]") for at, item in enumerate(request.inputs)]
    if request.user is not None:
        losses.add("user", "dropped", "accounting")
    if not batch:
        if said is not None or not is_ours(request.extra):
            restore(request.extra, items[0], losses, "")
            _cut(items[0])
        return "embedContent", Encoded(items[0], losses.done())
    for index, item in enumerate(items):
        rest = said[index] if said is not None and index < len(said) else None
        if not isinstance(rest, dict):
            if form == "flat":
                item["model"] = f"models/{request.model}"
            continue
        item["model"] = rest.get("model", f"models/{request.model}")
        repeat(rest, item)
        _cut(item)
    body: JsonObject = {"requests": cast("JsonValue", items)}
    restore_outside(request, said, body, losses)
    return "batchEmbedContents", Encoded(body, losses.done())


def _write_one(
    item: str | tuple[int, ...] | Media | Opaque, request: Embed, form: Form, losses: Losses, path: str
) -> JsonObject:
    wire: JsonObject = {"content": _content(item, losses, path)}
    options: JsonObject = {}
    purpose = purpose_of(request, losses)
    if purpose is not None:
        options["taskType"] = purpose
    if request.title is not None:
        options["title"] = request.title
    if request.dimensions is not None:
        options["outputDimensionality"] = request.dimensions
    if form == "flat":
        return {**wire, **options}
    return {**wire, _CONFIG: options} if options else wire


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


# --- Answers ---------------------------------------------------------------------------------------------------------


def read_embeddings(body: JsonObject) -> Embeddings:
    """The vectors of either verb. Raises UpstreamError for anything else."""
    try:
        return _read_embeddings(Node(body))
    except CallerError as error:
        raise garbled(NAME, error.message) from None


def _read_embeddings(node: Node) -> Embeddings:
    if node.has("predictions"):
        return read_predictions(node)
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
    return Embedding(vector=take_vector(node), extra=node.rest())


def write_embeddings(result: Embeddings, request: Embed | None) -> Encoded[JsonObject]:
    """The vectors, in the form of the verb that asked for them."""
    as_predictions = came_as_predictions(result)
    if form_of(request) == "predict" or (request is None and as_predictions):
        return write_predictions(result)
    losses = Losses()
    rows = [
        _write_vector(item, losses, f"data[{index}]", foreign=as_predictions) for index, item in enumerate(result.data)
    ]
    said = result.extra.fields if result.extra is not None and is_ours(result.extra) else {}
    single = "embedding" in said if request is None else not request.batch
    body: JsonObject = {"embedding": rows[0]} if single and rows else {"embeddings": cast("JsonValue", rows)}
    if result.usage is not None:
        body["usageMetadata"] = write_usage(result.usage, result.usage.extra, losses, "usage")
    restore(without_marks(result.extra), body, losses, "")
    return Encoded(body, losses.done())


def _write_vector(item: Embedding, losses: Losses, path: str, *, foreign: bool) -> JsonObject:
    wire: JsonObject = {"values": cast("JsonValue", list(floats_of(item)))}
    if foreign:
        losses.drop_extra(item.extra, path)
    else:
        restore(item.extra, wire, losses, path)
    return wire
