"""The codec of Google's generateContent: paths, queries, and which body stands behind each."""

from __future__ import annotations

import re
from typing import Literal, assert_never, cast
from urllib.parse import parse_qsl, quote, unquote

from freehold.errors import CallerError
from freehold.ir import (
    Count,
    Embed,
    Embeddings,
    Extra,
    Failure,
    Generate,
    JsonObject,
    JsonValue,
    ListModels,
    Losses,
    ModelList,
    Request,
    Response,
    Result,
    TokenCount,
    parse_json,
    parse_object,
    write_json,
)
from freehold.protocols.codec import (
    PLAIN,
    Dialect,
    Encoded,
    Framing,
    Manners,
    Stamp,
    StreamDecoder,
    StreamEncoder,
    Unsupported,
    WireRequest,
    WireResponse,
    garbled,
)
from freehold.protocols.gemini_generate import errors
from freehold.protocols.gemini_generate.chunks import is_listed, read_chunks, write_chunks
from freehold.protocols.gemini_generate.decoder import ChunkDecoder
from freehold.protocols.gemini_generate.embeddings import read_embed, read_embeddings, write_embed, write_embeddings
from freehold.protocols.gemini_generate.encoder import ChunkEncoder
from freehold.protocols.gemini_generate.enums import GEMINI_NUMBERS, VERTEX_NUMBERS, Numbers, as_numbers
from freehold.protocols.gemini_generate.language import LANGUAGE
from freehold.protocols.gemini_generate.models import (
    read_listing_query,
    read_models,
    write_listing_query,
    write_models,
)
from freehold.protocols.gemini_generate.request import read_count, read_request, write_body, write_count
from freehold.protocols.gemini_generate.response import read_response, renamed, write_response
from freehold.protocols.gemini_generate.tools import tool_names
from freehold.protocols.gemini_generate.wire import Node, restore

_CALL = re.compile(
    r"(?P<place>.*?)/(?:publishers/(?P<publisher>[^/]+)/)?(?:models|tunedModels)/(?P<model>.+):(?P<verb>\w+)"
)
_MODELS = re.compile(r"(?:.*?)/(?:publishers/[^/]+/)?models(?:/(?P<model>[^/]+))?")


class GeminiGenerate:
    """Google's generateContent as the Gemini API and Vertex AI serve it."""

    name = LANGUAGE.name
    language = LANGUAGE
    manners = Manners(request_id="x-request-id", bytes_in_base64=True)

    # --- Requests

    def decode_request(self, wire: WireRequest) -> Request:
        """Raises CallerError for a body that can not be understood, Unsupported for other paths."""
        path = wire.path.rstrip("/")
        if wire.method == "GET":
            found = _MODELS.fullmatch(path)
            if found is None:
                raise Unsupported(f"{self.name} has no GET {wire.path}")
            model = found["model"]
            return read_listing_query(wire.query, None if model is None else unquote(model))
        found = _CALL.fullmatch(path)
        if wire.method != "POST" or found is None:
            raise Unsupported(f"{self.name} has no {wire.method} {wire.path}")
        return self._decode_call(wire, found)

    def _decode_call(self, wire: WireRequest, found: re.Match[str]) -> Request:
        model, verb = unquote(found["model"]), found["verb"]
        asked = _asked(wire.query, vertex=found["publisher"] is not None or "/projects/" in found["place"])
        match verb:
            case "generateContent" | "streamGenerateContent":
                stream = verb == "streamGenerateContent"
                return read_request(parse_object(wire.body), model=model, stream=stream, headers=asked)
            case "countTokens":
                return read_count(parse_object(wire.body), model=model, headers=asked)
            case "embedContent" | "batchEmbedContents":
                return read_embed(parse_object(wire.body), model=model, verb=verb, headers=asked)
            case "predict" if found["publisher"] is not None:
                return read_embed(parse_object(wire.body), model=model, verb=verb, headers=asked)
            case _:
                raise Unsupported(f"{self.name} has no {verb}")

    def encode_request(self, request: Request, dialect: Dialect = PLAIN) -> Encoded[WireRequest]:
        """The request on the Gemini API's path; the verb and the model are what other places need of it."""
        match request:
            case Generate():
                encoded = write_body(request)
                verb = "streamGenerateContent" if request.stream else "generateContent"
                return _call(request.model, verb, encoded, stream=request.stream)
            case Count():
                return _call(request.generate.model, "countTokens", write_count(request, dialect), operation="count")
            case Embed():
                verb, encoded = write_embed(request, dialect)
                return _call(request.model, verb, encoded, operation="embed")
            case ListModels():
                return self._encode_listing(request)
            case _:
                assert_never(request)

    def _encode_listing(self, request: ListModels) -> Encoded[WireRequest]:
        losses = Losses()
        path = "/v1beta/models" if request.model is None else f"/v1beta/models/{quote(request.model, safe='')}"
        query = write_listing_query(request, losses)
        wire = WireRequest(method="GET", path=path, query=query, body=b"", operation="list", model=request.model or "")
        return Encoded(wire, losses.done())

    # --- Answers

    def decode_response(self, wire: WireResponse, request: Request | None = None) -> Result:
        """A success. Raises UpstreamError for garbage and for errors dressed as success."""
        try:
            value = parse_json(wire.body)
        except CallerError as error:
            raise garbled(self.name, error.message, wire.body) from None
        failure = errors.read_error(value, wire.status)
        if failure is not None:
            raise garbled(self.name, failure.message, wire.body)
        if isinstance(value, list):
            return self._renamed(read_chunks(value, _numbers(request) or GEMINI_NUMBERS), request)
        if not isinstance(value, dict):
            raise garbled(self.name, "it is not a JSON object", wire.body)
        return self._decode_object(value, request)

    def _decode_object(self, body: JsonObject, request: Request | None) -> Result:
        if isinstance(request, ListModels) or "models" in body or "publisherModels" in body:
            return read_models(body)
        if isinstance(request, Count) or ("totalTokens" in body and "candidates" not in body):
            return _read_count(body)
        if isinstance(request, Embed) or not body.keys().isdisjoint(("embedding", "embeddings", "predictions")):
            return read_embeddings(body)
        return self._renamed(read_response(body, _numbers(request) or GEMINI_NUMBERS), request)

    def _renamed(self, response: Response, request: Request | None) -> Response:
        names = _original_names(request)
        return renamed(response, names) if names else response

    def encode_response(self, result: Result, stamp: Stamp, request: Request | None = None) -> Encoded[WireResponse]:
        """The answer."""
        match result:
            case Response() if is_listed(result):
                encoded = write_chunks(result)
            case Response():
                encoded = write_response(result, stamp, _model_of(request))
            case TokenCount():
                encoded = _write_count(result)
            case Embeddings():
                encoded = write_embeddings(result, request if isinstance(request, Embed) else None)
            case ModelList():
                encoded = write_models(result)
            case _:
                assert_never(result)
        body = cast("JsonValue", encoded.value)
        numbers = _wanted_numbers(request)
        if numbers is not None:
            body = as_numbers(body, numbers)
        headers = (("content-type", "application/json; charset=UTF-8"), ("x-goog-request-id", stamp.id))
        return Encoded(WireResponse(status=200, body=write_json(body), headers=headers), encoded.losses)

    def decode_error(self, wire: WireResponse) -> Failure:
        """An error answer, whatever its shape."""
        return errors.decode_error(wire)

    def encode_error(self, failure: Failure, stamp: Stamp) -> WireResponse:
        """An error in Google's form."""
        return errors.encode_error(failure, stamp)

    def decoder(self, request: Request | None = None) -> StreamDecoder:
        """A fresh decoder for one streamed answer."""
        return ChunkDecoder(_original_names(request), _numbers(request) or GEMINI_NUMBERS)

    def encoder(self, stamp: Stamp, request: Request | None = None) -> StreamEncoder:
        """A fresh encoder for one streamed answer."""
        return ChunkEncoder(stamp, _model_of(request), _wanted_numbers(request))

    def framing(self, request: Request) -> Framing:
        """Server-sent events where the client asked for them, else one JSON array."""
        asked = _query_of(request)
        return "sse" if asked is None or asked.get("alt") == "sse" else "json-array"


def _call(
    model: str,
    verb: str,
    encoded: Encoded[JsonObject],
    *,
    operation: Literal["generate", "count", "embed"] = "generate",
    stream: bool = False,
) -> Encoded[WireRequest]:
    # Only Vertex AI has this verb for texts; at the Gemini API it makes images.
    models = "/v1beta1/publishers/google/models" if verb == "predict" else "/v1beta/models"
    wire = WireRequest(
        path=f"{models}/{quote(model, safe='')}:{verb}",
        query="alt=sse" if stream else "",
        headers=(("content-type", "application/json"),),
        body=write_json(encoded.value),
        operation=operation,
        model=model,
        stream=stream,
    )
    return Encoded(wire, encoded.losses)


def _asked(query: str, *, vertex: bool) -> Extra:
    """How the client wants its answer: framing, and enumerations as names or numbers."""
    asked: JsonObject = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in ("alt", "$alt"):
            form, *options = value.split(";")
            asked["alt"] = form
            if "enum-encoding=int" in options:
                asked["enums"] = "int"
    if vertex:
        asked["vertex"] = True
    return Extra(LANGUAGE, asked)


def _query_of(request: Request | None) -> JsonObject | None:
    """What `_asked` noted; None for another language's request."""
    match request:
        case Generate() | Embed():
            headers = request.headers
        case Count():
            headers = request.generate.headers
        case _:
            return None
    return headers.fields if headers is not None and headers.origin is LANGUAGE else None


def _numbers(request: Request | None) -> Numbers | None:
    asked = _query_of(request)
    if asked is None:
        return None
    return VERTEX_NUMBERS if asked.get("vertex") is True else GEMINI_NUMBERS


def _wanted_numbers(request: Request | None) -> Numbers | None:
    """The numbers for a client that asked for them instead of names."""
    asked = _query_of(request)
    return _numbers(request) if asked is not None and asked.get("enums") == "int" else None


def _model_of(request: Request | None) -> str:
    match request:
        case Generate() | Embed():
            return request.model
        case _:
            return ""


def _original_names(request: Request | None) -> dict[str, str]:
    """The names of tools as the request has them, by those that stood for them on the wire."""
    if not isinstance(request, Generate):
        return {}
    return {written: name for name, written in tool_names(request).items()}


def _read_count(body: JsonObject) -> TokenCount:
    node = Node(body)
    tokens = node.take_int("totalTokens")
    if tokens is None:
        raise garbled(LANGUAGE.name, "there is no number `totalTokens`")
    return TokenCount(origin=LANGUAGE.name, input_tokens=tokens, extra=node.rest())


def _write_count(count: TokenCount) -> Encoded[JsonObject]:
    losses = Losses()
    body: JsonObject = {"totalTokens": count.input_tokens}
    restore(count.extra, body, losses, "")
    return Encoded(body, losses.done())


CODEC = GeminiGenerate()
