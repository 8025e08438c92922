"""Vectors as Vertex AI's `predict` has them: texts as `instances`, vectors as `predictions`.

Its older text embedding models speak nothing else. Google's documentation and clients spell `task_type` and
`token_count` in snake_case here, everything else in camelCase.
"""

from __future__ import annotations

from typing import cast

from freehold.errors import CallerError
from freehold.ir import Embed, Embedding, Embeddings, Extra, JsonObject, JsonValue, Losses, Usage
from freehold.protocols.codec import Encoded, Unsupported
from freehold.protocols.gemini_generate.language import NAME, is_ours
from freehold.protocols.gemini_generate.vectors import (
    floats_of,
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

# --- Requests --------------------------------------------------------------------------------------------------------


def read_predict(body: JsonObject, *, model: str, headers: Extra) -> Embed:
    """A request for vectors of texts. Raises Unsupported for instances of anything else (images, video)."""
    node = Node(body)
    nodes = [Node(item, f"instances[{index}]") for index, item in enumerate(node.need_list("instances"))]
    inputs = tuple(_take_text(item) for item in nodes)
    for item in nodes:
        item.take_usual("mimeType", "text/plain")
    purpose, title = take_common(nodes, "taskType"), take_common(nodes, "title")
    keep_rests(node, nodes, "instances")
    dimensions: int | None = None
    parameters = node.child("parameters")
    if parameters is not None:
        dimensions = parameters.take_int("outputDimensionality")
        parameters.take_usual("autoTruncate", value=True)
        node.keep("parameters", parameters, hollow=True)
    return Embed(
        origin=NAME,
        model=model,
        inputs=inputs,
        batch=True,
        dimensions=dimensions,
        purpose=purpose if isinstance(purpose, str) else None,
        title=title if isinstance(title, str) else None,
        headers=with_form(headers, "predict"),
        extra=node.rest(),
    )


def _take_text(node: Node) -> str:
    text = node.take_str("content")
    if text is None:
        raise Unsupported(f"predict is served for embeddings of texts only: {node.at('content')} is not a string")
    return text


def write_predict(request: Embed) -> Encoded[JsonObject]:
    """The body. Raises Unsupported for inputs that are not text."""
    losses = Losses()
    rests = rests_of(request, "predict", losses)
    instances: list[JsonValue] = []
    for index, text in enumerate(request.inputs):
        if isinstance(text, tuple):
            raise CallerError(f"inputs[{index}] must be text: {NAME} does not embed token numbers", param="inputs")
        if not isinstance(text, str):
            raise Unsupported(f"{request.model} embeds texts only, and inputs[{index}] is more than one text")
        instance: JsonObject = {"content": text}
        purpose = purpose_of(request, losses)
        rest = rests[index] if rests is not None and index < len(rests) else None
        if purpose is not None:
            instance["taskType" if isinstance(rest, dict) else "task_type"] = purpose
        if request.title is not None:
            instance["title"] = request.title
        if isinstance(rest, dict):
            repeat(rest, instance)
        instances.append(instance)
    if request.user is not None:
        losses.add("user", "dropped", "accounting")
    body: JsonObject = {"instances": instances}
    if request.dimensions is not None:
        body["parameters"] = {"outputDimensionality": request.dimensions}
    restore_outside(request, rests, body, losses)
    return Encoded(body, losses.done())


# --- Answers ---------------------------------------------------------------------------------------------------------


def read_predictions(node: Node) -> Embeddings:
    """The vectors. Raises CallerError for anything else."""
    rows = [Node(row, f"predictions[{index}]") for index, row in enumerate(node.need_list("predictions"))]
    data = tuple(_read_prediction(row) for row in rows)
    node.put_back("predictions", [])
    counts = [_tokens(item) for item in data]
    known = [count for count in counts if count is not None]
    usage = Usage(input_tokens=sum(known)) if known and len(known) == len(counts) else None
    return Embeddings(origin=NAME, data=data, usage=usage, extra=node.rest())


def _read_prediction(row: Node) -> Embedding:
    inner = row.child("embeddings")
    if inner is None:
        row.fail("must be an object", "embeddings")
    vector = take_vector(inner)
    row.keep("embeddings", inner, hollow=True)
    return Embedding(vector=vector, extra=row.rest())


def _tokens(item: Embedding) -> int | None:
    """How many tokens the text of a vector had."""
    statistics = item.extra.fields.get("statistics") if item.extra is not None else None
    count = statistics.get("token_count") if isinstance(statistics, dict) else None
    return int(count) if isinstance(count, int | float) else None


def write_predictions(result: Embeddings) -> Encoded[JsonObject]:
    """The vectors. Tokens stand beside each of them, so a sum over several can not be said."""
    losses = Losses()
    ours = came_as_predictions(result)
    rows: list[JsonValue] = []
    for index, item in enumerate(result.data):
        inner: JsonObject = {"values": cast("JsonValue", list(floats_of(item)))}
        row: JsonObject = {"embeddings": inner}
        restore(item.extra, row if ours else inner, losses, f"data[{index}]")
        rows.append(row)
    usage = result.usage
    if usage is not None and not ours:
        losses.drop_extra(usage.extra, "usage")
        if usage.input_tokens is not None:
            match rows:
                case [{"embeddings": {**one}}]:
                    rows = [{"embeddings": {"statistics": {"token_count": usage.input_tokens}, **one}}]
                case _:
                    losses.add("usage.input_tokens", "dropped", "accounting", "predict counts each text by itself")
    body: JsonObject = {"predictions": rows}
    restore(without_marks(result.extra), body, losses, "")
    return Encoded(body, losses.done())


def came_as_predictions(result: Embeddings) -> bool:
    """Whether a `predict` gave this answer."""
    return result.extra is not None and is_ours(result.extra) and "predictions" in result.extra.fields
