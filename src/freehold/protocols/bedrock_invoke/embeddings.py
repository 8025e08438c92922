"""Vectors by InvokeModel: Titan's, Cohere's and Nova's bodies."""

from __future__ import annotations

from typing import Protocol, cast

from freehold.ir import (
    Embed,
    Embedding,
    Embeddings,
    Fields,
    JsonObject,
    JsonValue,
    Language,
    Losses,
    Usage,
)
from freehold.protocols.bedrock_invoke.language import NAME, family_language, said
from freehold.protocols.codec import Encoded, Stamp, Unsupported, WireResponse, garbled


class EmbeddingFamily(Protocol):
    """One form of request and answer for vectors."""

    name: str
    language: Language

    def read_request(self, body: JsonObject, model: str) -> Embed:
        """Raises CallerError."""
        ...

    def write_request(self, request: Embed, losses: Losses) -> JsonObject:
        """Raises Unsupported for inputs that can not be asked for at once."""
        ...

    def read_response(self, body: JsonObject, usage: Usage | None) -> Embeddings:
        """Raises UpstreamError for garbage."""
        ...

    def write_response(self, result: Embeddings, stamp: Stamp, losses: Losses) -> JsonObject:
        """The vectors."""
        ...


def family_name_of_request(model: str, body: JsonObject) -> str | None:
    """The family of a body that asks for vectors; None for any other."""
    if "texts" in body or ("images" in body and "input_type" in body):
        return "cohere-embed"
    if "taskType" in body:
        return "nova-embed"
    if ("inputText" in body or "inputImage" in body) and "embed" in model:
        return "titan-embed"
    return None


def family_name_of_model(model: str) -> str:
    """The family of a target. Raises Unsupported for a model that gives none."""
    if "cohere." in model:
        return "cohere-embed"
    if "amazon.nova" in model:
        return "nova-embed"
    if "amazon.titan" in model:
        return "titan-embed"
    raise Unsupported(f"{NAME} knows no embeddings of {model}")


def usage_of(body: JsonObject, wire: WireResponse) -> Usage | None:
    """Input tokens from the body, else from Bedrock's header."""
    known = body.get("inputTextTokenCount")
    header = dict(wire.headers).get("x-amzn-bedrock-input-token-count", "")
    if isinstance(known, int):
        return Usage(input_tokens=known)
    return Usage(input_tokens=int(header)) if header.isascii() and header.isdigit() and len(header) < 12 else None


def _floats(value: JsonValue) -> tuple[float, ...] | None:
    if isinstance(value, list) and all(isinstance(item, int | float) for item in value):
        return tuple(cast("list[float]", value))
    return None


def _single_text(request: Embed, losses: Losses) -> str:
    """The one text that a form takes. Raises Unsupported for several."""
    if len(request.inputs) != 1:
        raise Unsupported(f"{request.model} takes one text at a time")
    only = request.inputs[0]
    if not isinstance(only, str):
        raise Unsupported(f"{request.model} takes text, not {type(only).__name__}")
    _note_unsaid(request, losses)
    return only


def _note_unsaid(request: Embed, losses: Losses) -> None:
    if request.encoding == "base64":
        losses.add("encoding", "approximated", "accounting", "vectors come as numbers")
    if request.user is not None:
        losses.add("user", "dropped", "accounting")
    if request.title is not None:
        losses.add("title", "dropped", "behaviour")


def _numbers(result: Embeddings, index: int) -> list[JsonValue]:
    """One vector as numbers. Raises Unsupported for one in base64."""
    vector = result.data[index].vector
    if isinstance(vector, str):
        raise Unsupported(f"{NAME} has no vectors in base64")
    return list(vector)


class TitanEmbeddings:
    """One text, one vector."""

    name = "titan-embed"
    language = family_language()

    def read_request(self, body: JsonObject, model: str) -> Embed:
        """A body without text (a picture) rides along whole."""
        fields = Fields(body, self.language)
        text = fields.take_str("inputText")
        return Embed(
            origin=NAME,
            model=model,
            inputs=() if text is None else (text,),
            dimensions=fields.take_int("dimensions"),
            extra=fields.mark(),
        )

    def write_request(self, request: Embed, losses: Losses) -> JsonObject:
        """Raises Unsupported for several texts."""
        body: JsonObject = {}
        own = said(request.extra, self.language)
        if request.inputs or own is None:
            body["inputText"] = _single_text(request, losses)
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        if request.purpose is not None:
            losses.add("purpose", "dropped", "behaviour", "Titan's vectors have one purpose")
        losses.repeat(request.extra, self.language, body, "")
        return body

    def read_response(self, body: JsonObject, usage: Usage | None) -> Embeddings:
        """Raises UpstreamError for garbage."""
        fields = Fields(body, self.language)
        vector = _floats(fields.take("embedding"))
        if vector is None:
            raise garbled(NAME, "there is no vector `embedding`")
        return Embeddings(origin=NAME, data=(Embedding(vector=vector),), usage=usage, extra=fields.mark())

    def write_response(self, result: Embeddings, stamp: Stamp, losses: Losses) -> JsonObject:  # noqa: ARG002 -- the family's contract
        """The first vector; others are lost."""
        if not result.data:
            raise Unsupported(f"{NAME} has no answer without a vector")
        for index in range(1, len(result.data)):
            losses.add(f"data[{index}]", "dropped", "content", "one vector an answer")
        body: JsonObject = {"embedding": _numbers(result, 0)}
        if said(result.extra, self.language) is None:
            known = None if result.usage is None else result.usage.input_tokens
            body["inputTextTokenCount"] = known or 0
        losses.repeat(result.extra, self.language, body, "")
        return body


_PURPOSES = {
    "RETRIEVAL_QUERY": "search_query",
    "RETRIEVAL_DOCUMENT": "search_document",
    "CLASSIFICATION": "classification",
    "CLUSTERING": "clustering",
}
"""Purposes as Gemini calls them, in Cohere's words."""


class CohereEmbeddings:
    """Several texts, a vector each; by type where types were asked for."""

    name = "cohere-embed"
    language = family_language()

    def read_request(self, body: JsonObject, model: str) -> Embed:
        """A body without texts (pictures) rides along whole."""
        fields = Fields(body, self.language)
        texts = fields.peek("texts")
        inputs: tuple[str, ...] = ()
        if isinstance(texts, list) and texts and all(isinstance(text, str) for text in texts):
            fields.take("texts")
            inputs = tuple(cast("list[str]", texts))
        return Embed(
            origin=NAME,
            model=model,
            inputs=inputs,
            batch=True,
            dimensions=fields.take_int("output_dimension"),
            purpose=fields.take_str("input_type"),
            extra=fields.mark(),
        )

    def write_request(self, request: Embed, losses: Losses) -> JsonObject:
        """Raises Unsupported for anything but texts."""
        own = said(request.extra, self.language)
        body: JsonObject = {}
        if own is None or request.inputs:
            if not all(isinstance(text, str) for text in request.inputs):
                raise Unsupported(f"{request.model} takes texts only")
            body["texts"] = cast("JsonValue", list(request.inputs))
        if request.purpose is not None or own is None:
            purpose = "search_document" if request.purpose is None else request.purpose
            body["input_type"] = _PURPOSES.get(purpose, purpose)
        if request.dimensions is not None:
            body["output_dimension"] = request.dimensions
        _note_unsaid(request, losses)
        losses.repeat(request.extra, self.language, body, "")
        return body

    def read_response(self, body: JsonObject, usage: Usage | None) -> Embeddings:
        """Raises UpstreamError for garbage. Types other than float ride along."""
        fields = Fields(body, self.language)
        value = fields.take("embeddings")
        if isinstance(value, dict):
            inner = Fields(value, self.language)
            value = inner.take("float")
            # Marked: they came by type.
            fields.put_back("embeddings", inner.mark().fields)
        vectors = [_floats(vector) for vector in value] if isinstance(value, list) else [None]
        if None in vectors:
            raise garbled(NAME, "there is no list of vectors `embeddings`")
        data = tuple(Embedding(vector=vector) for vector in vectors if vector is not None)
        return Embeddings(origin=NAME, data=data, usage=usage, extra=fields.mark())

    def write_response(self, result: Embeddings, stamp: Stamp, losses: Losses) -> JsonObject:
        """By type if they came so, or if nobody says how they came."""
        own = said(result.extra, self.language)
        vectors: list[JsonValue] = [_numbers(result, index) for index in range(len(result.data))]
        if own is None:
            losses.drop_extra(result.extra, "")
            return {"id": stamp.id, "embeddings": vectors, "response_type": "embeddings_floats"}
        types = own.get("embeddings")
        body: JsonObject = {"embeddings": {"float": vectors, **types} if isinstance(types, dict) else vectors}
        body.update({name: value for name, value in own.items() if name != "embeddings"})
        return body


class NovaEmbeddings:
    """One text in a task, one vector in a list."""

    name = "nova-embed"
    language = family_language()

    def read_request(self, body: JsonObject, model: str) -> Embed:
        """Tasks of other kinds ride along whole."""
        fields = Fields(body, self.language)
        task = fields.peek("singleEmbeddingParams")
        if not isinstance(task, dict) or not isinstance(text := task.get("text"), dict):
            return Embed(origin=NAME, model=model, inputs=(), extra=fields.mark())
        inner = Fields(task, self.language)
        words = Fields(text, self.language)
        value = words.take_str("value")
        dimensions, purpose = inner.take_int("embeddingDimension"), inner.take_str("embeddingPurpose")
        inner.put_back("text", words.mark().fields)
        # Only flags are left: how to cut, and what else was said of the task.
        fields.take("singleEmbeddingParams")
        fields.put_back("task", inner.mark().fields)
        return Embed(
            origin=NAME,
            model=model,
            inputs=() if value is None else (value,),
            dimensions=dimensions,
            purpose=purpose,
            extra=fields.mark(),
        )

    def write_request(self, request: Embed, losses: Losses) -> JsonObject:
        """Raises Unsupported for several texts."""
        own = said(request.extra, self.language)
        task = own.get("task") if own is not None else None
        if own is not None and not isinstance(task, dict):
            return dict(own)
        known: JsonObject = dict(task) if isinstance(task, dict) else {}
        text = known.get("text")
        words: JsonObject = dict(text) if isinstance(text, dict) else {"truncationMode": "END"}
        if request.inputs or own is None:
            words["value"] = _single_text(request, losses)
        known["text"] = words
        if request.purpose is not None or own is None:
            purpose = "GENERIC_INDEX" if request.purpose is None else request.purpose
            known["embeddingPurpose"] = _NOVA_PURPOSES.get(purpose, purpose)
        if request.dimensions is not None:
            known["embeddingDimension"] = request.dimensions
        body: JsonObject = {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": known}
        if own is None:
            losses.drop_extra(request.extra, "")
        else:
            body.update({name: value for name, value in own.items() if name != "task"})
        return body

    def read_response(self, body: JsonObject, usage: Usage | None) -> Embeddings:
        """Raises UpstreamError for garbage."""
        fields = Fields(body, self.language)
        rows = fields.take_list("embeddings")
        data: list[Embedding] = []
        for row in rows or []:
            inner = Fields(row if isinstance(row, dict) else {}, self.language)
            vector = _floats(inner.take("embedding"))
            if vector is None:
                raise garbled(NAME, "an embedding has no vector")
            data.append(Embedding(vector=vector, extra=inner.rest()))
        if rows is None:
            raise garbled(NAME, "there is no list `embeddings`")
        return Embeddings(origin=NAME, data=tuple(data), usage=usage, extra=fields.mark())

    def write_response(self, result: Embeddings, stamp: Stamp, losses: Losses) -> JsonObject:  # noqa: ARG002 -- the family's contract
        """A row for each vector."""
        own = said(result.extra, self.language)
        rows: list[JsonValue] = []
        for index, embedding in enumerate(result.data):
            row: JsonObject = {"embedding": _numbers(result, index)}
            if own is None:
                row = {"embeddingType": "TEXT", **row}
            losses.repeat(embedding.extra, self.language, row, f"data[{index}]")
            rows.append(row)
        body: JsonObject = {"embeddings": rows}
        losses.repeat(result.extra, self.language, body, "")
        return body


_NOVA_PURPOSES = {
    "RETRIEVAL_QUERY": "TEXT_RETRIEVAL",
    "RETRIEVAL_DOCUMENT": "GENERIC_INDEX",
    "CLASSIFICATION": "CLASSIFICATION",
    "CLUSTERING": "CLUSTERING",
}
"""Purposes as Gemini calls them, in Nova's words."""

EMBEDDINGS: dict[str, EmbeddingFamily] = {
    family.name: family for family in (TitanEmbeddings(), CohereEmbeddings(), NovaEmbeddings())
}


def write(result: Embeddings, family: EmbeddingFamily, stamp: Stamp) -> Encoded[JsonObject]:
    """The answer in one family's form."""
    losses = Losses()
    body = family.write_response(result, stamp, losses)
    return Encoded(body, losses.done())


def family_of_vectors(body: JsonObject) -> EmbeddingFamily | None:
    """The family of an answer with vectors; None for any other."""
    if "embedding" in body:
        return EMBEDDINGS["titan-embed"]
    match body.get("embeddings"):
        case [{"embedding": _}, *_]:
            return EMBEDDINGS["nova-embed"]
        case list() | dict():
            return EMBEDDINGS["cohere-embed"]
        case _:
            return None
