"""The codec of Anthropic Messages: paths, and which body stands behind each."""

from __future__ import annotations

import re
from typing import assert_never
from urllib.parse import quote, unquote

import msgspec

from freehold.errors import CallerError
from freehold.ir import (
    Count,
    Embed,
    Embeddings,
    Extra,
    Failure,
    Generate,
    JsonObject,
    ListModels,
    Losses,
    ModelList,
    Request,
    Response,
    Result,
    TokenCount,
    ToolCall,
    parse_object,
    write_json,
)
from freehold.ir.fold import raise_failure
from freehold.protocols.anthropic_messages import errors
from freehold.protocols.anthropic_messages.language import LANGUAGE
from freehold.protocols.anthropic_messages.models import (
    read_listing_query,
    read_models,
    write_listing_query,
    write_models,
)
from freehold.protocols.anthropic_messages.request import (
    FIRST_PARTY,
    VERTEX,
    Shape,
    read_request,
    tool_names,
    write_body,
)
from freehold.protocols.anthropic_messages.response import read_response, write_response
from freehold.protocols.anthropic_messages.stream import MessageStreamDecoder, MessageStreamEncoder
from freehold.protocols.codec import (
    PLAIN,
    Dialect,
    Encoded,
    Framing,
    Headers,
    Manners,
    Stamp,
    StreamDecoder,
    StreamEncoder,
    Unsupported,
    WireRequest,
    WireResponse,
    garbled,
)

VERSION = "2023-06-01"
"""`anthropic-version` where the client sent none: it is required, and every provider of the protocol takes this one."""

_OWN_HEADERS = ("anthropic-version", "anthropic-beta")

_MESSAGES = re.compile(r"(?:.*/)?v1/messages(?P<count>/count_tokens)?")
_MODELS = re.compile(r"(?:.*/)?v1/models(?:/(?P<model>[^/]+))?")
_VERTEX = re.compile(
    r"(?P<place>.*)/publishers/anthropic/models/(?P<model>[^/]+):(?P<verb>rawPredict|streamRawPredict)"
)


class AnthropicMessages:
    """Anthropic's Messages API as Anthropic, Azure, Vertex AI and Bedrock serve it."""

    name = LANGUAGE.name
    language = LANGUAGE
    manners = Manners(
        request_id="request-id",
        passed_headers=frozenset({"anthropic-version", "anthropic-beta"}),
        keep_alive=b'event: ping\ndata: {"type": "ping"}\n\n',
        model_in_body=True,
        stream_in_body=True,
    )

    # --- Requests

    def decode_request(self, wire: WireRequest) -> Request:
        """Raises CallerError for a body that can not be understood, Unsupported for other paths."""
        path = wire.path.rstrip("/")
        if wire.method == "GET":
            return self._decode_listing(path, wire)
        vertex = _VERTEX.fullmatch(path)
        messages = _MESSAGES.fullmatch(path)
        if wire.method != "POST" or (vertex is None and messages is None):
            raise Unsupported(f"{self.name} has no {wire.method} {wire.path}")
        body = parse_object(wire.body)
        headers = _own_headers(wire.headers)
        if vertex is None:
            request = read_request(body, headers=headers)
            counted = messages is not None and messages["count"] is not None
            return Count(origin=self.name, generate=request) if counted else request
        headers["vertex"] = vertex["place"]
        model = unquote(vertex["model"])
        if model == "count-tokens":
            request = read_request(body, headers=headers, cloud=True)
            return Count(origin=self.name, generate=request)
        streamed = True if vertex["verb"] == "streamRawPredict" else None
        return read_request(body, headers=headers, cloud=True, model=model, stream=streamed)

    def _decode_listing(self, path: str, wire: WireRequest) -> ListModels:
        match = _MODELS.fullmatch(path)
        if match is None:
            raise Unsupported(f"{self.name} has no GET {wire.path}")
        model = match["model"]
        return read_listing_query(wire.query, None if model is None else unquote(model))

    def encode_request(self, request: Request, dialect: Dialect = PLAIN) -> Encoded[WireRequest]:
        """The request on Anthropic's own path; without a dialect, on the path that it came on."""
        match request:
            case Generate():
                return self._encode_generate(request, request, dialect)
            case Count(generate=generate):
                return self._encode_generate(request, generate, dialect)
            case ListModels():
                return self._encode_listing(request)
            case Embed():
                raise Unsupported(f"{self.name} has no embeddings")
            case _:
                assert_never(request)

    def _encode_generate(self, request: Generate | Count, generate: Generate, dialect: Dialect) -> Encoded[WireRequest]:
        count = isinstance(request, Count)
        place = None if dialect.provider else _vertex_place(generate)
        shape = FIRST_PARTY if place is None else VERTEX
        if count and place is not None:
            shape = Shape(version=VERTEX.version)
        encoded = write_body(generate, shape, dialect, counted=count)
        wire = WireRequest(
            path=_path(generate, place, count=count),
            body=write_json(encoded.value),
            headers=_write_headers(generate, vertex=place is not None),
            operation="count" if count else "generate",
            model=generate.model,
            stream=generate.stream,
        )
        return Encoded(wire, encoded.losses)

    def _encode_listing(self, request: ListModels) -> Encoded[WireRequest]:
        losses = Losses()
        path = "/v1/models" if request.model is None else f"/v1/models/{quote(request.model, safe='')}"
        wire = WireRequest(
            method="GET",
            path=path,
            query=write_listing_query(request, losses),
            body=b"",
            headers=(("anthropic-version", VERSION),),
            operation="list",
            model=request.model or "",
        )
        return Encoded(wire, losses.done())

    # --- Answers

    def decode_response(self, wire: WireResponse, request: Request | None = None) -> Result:
        """A success. Raises UpstreamError for garbage and for errors dressed as success."""
        try:
            body = parse_object(wire.body)
        except CallerError as error:
            raise garbled(self.name, error.message, wire.body) from None
        if body.get("type") == "error":
            raise raise_failure(errors.read_error(body, wire.status))
        if isinstance(request, ListModels) or body.get("type") == "model" or ("data" in body and "content" not in body):
            return read_models(body)
        if isinstance(request, Count) or ("input_tokens" in body and "content" not in body):
            return _read_count(body)
        return self.response_from(body, request)

    def response_from(self, body: JsonObject, request: Request | None = None) -> Response:
        """A whole message from its body. Raises UpstreamError for what is none."""
        response = read_response(body)
        names = _original_names(request)
        return _renamed(response, names) if names else response

    def response_body(self, response: Response, stamp: Stamp, request: Request | None = None) -> Encoded[JsonObject]:
        """The body of a whole message."""
        return write_response(response, stamp, _model_of(request))

    def encode_response(self, result: Result, stamp: Stamp, request: Request | None = None) -> Encoded[WireResponse]:
        """The answer; the request id is the exchange's."""
        match result:
            case Response():
                encoded = self.response_body(result, stamp, request)
            case TokenCount():
                encoded = _write_count(result)
            case ModelList():
                encoded = write_models(result)
            case Embeddings():
                raise Unsupported(f"{self.name} has no embeddings")
            case _:
                assert_never(result)
        headers = (("content-type", "application/json"), ("request-id", stamp.id))
        return Encoded(WireResponse(status=200, body=write_json(encoded.value), headers=headers), encoded.losses)

    def decode_error(self, wire: WireResponse) -> Failure:
        """An error answer, whatever its shape."""
        return errors.decode_error(wire)

    def encode_error(self, failure: Failure, stamp: Stamp) -> WireResponse:
        """An error in Anthropic's form."""
        return errors.encode_error(failure, stamp)

    def decoder(self, request: Request | None = None) -> StreamDecoder:
        """A fresh decoder for one streamed message."""
        return MessageStreamDecoder(_original_names(request))

    def encoder(self, stamp: Stamp, request: Request | None = None) -> StreamEncoder:
        """A fresh encoder for one streamed message."""
        return MessageStreamEncoder(stamp, _model_of(request))

    def framing(self, request: Request) -> Framing:  # noqa: ARG002 -- the contract: other codecs frame by request
        """Always server-sent events."""
        return "sse"


def _own_headers(headers: Headers) -> JsonObject:
    """The protocol's own headers; several betas become one list."""
    own: JsonObject = {}
    for name, value in headers:
        lower = name.lower()
        if lower in _OWN_HEADERS:
            before = own.get(lower)
            own[lower] = f"{before},{value}" if lower == "anthropic-beta" and isinstance(before, str) else value
    return own


def _write_headers(request: Generate, *, vertex: bool) -> Headers:
    said = request.headers.fields if request.headers is not None and request.headers.origin is LANGUAGE else {}
    headers: list[tuple[str, str]] = [("content-type", "application/json")]
    version = said.get("anthropic-version")
    if isinstance(version, str):
        headers.append(("anthropic-version", version))
    elif not vertex:
        headers.append(("anthropic-version", VERSION))
    beta = said.get("anthropic-beta") if vertex else _betas(request.headers)
    if isinstance(beta, str):
        headers.append(("anthropic-beta", beta))
    return tuple(headers)


def _betas(headers: Extra | None) -> str | None:
    """The betas as Anthropic reads them, from the header and from the list that a cloud has in its body."""
    if headers is None:
        return None
    listed, header = headers.fields.get("anthropic_beta"), headers.fields.get("anthropic-beta")
    said = [header] if isinstance(header, str) else []
    known = {beta.strip() for line in said for beta in line.split(",")}
    for beta in listed if isinstance(listed, list) else [listed]:
        if isinstance(beta, str) and beta not in known:
            known.add(beta)
            said.append(beta)
    return ",".join(said) if said else None


def _vertex_place(request: Generate) -> str | None:
    if request.headers is None or request.headers.origin is not LANGUAGE:
        return None
    place = request.headers.fields.get("vertex")
    return place if isinstance(place, str) else None


def _path(request: Generate, place: str | None, *, count: bool) -> str:
    if place is None:
        return "/v1/messages/count_tokens" if count else "/v1/messages"
    if count:
        return f"{place}/publishers/anthropic/models/count-tokens:rawPredict"
    verb = "streamRawPredict" if request.stream else "rawPredict"
    return f"{place}/publishers/anthropic/models/{quote(request.model, safe='@')}:{verb}"


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


def _renamed(response: Response, names: dict[str, str]) -> Response:
    choices = tuple(
        msgspec.structs.replace(
            choice,
            parts=tuple(
                msgspec.structs.replace(part, name=names[part.name])
                if isinstance(part, ToolCall) and not part.hosted and part.name in names
                else part
                for part in choice.parts
            ),
        )
        for choice in response.choices
    )
    return msgspec.structs.replace(response, choices=choices)


def _read_count(body: JsonObject) -> TokenCount:
    tokens = body.get("input_tokens")
    if not isinstance(tokens, int) or isinstance(tokens, bool):
        raise garbled(LANGUAGE.name, "there is no number `input_tokens`")
    left = {name: item for name, item in body.items() if name != "input_tokens"}
    return TokenCount(origin=LANGUAGE.name, input_tokens=tokens, extra=Extra(LANGUAGE, left) if left else None)


def _write_count(count: TokenCount) -> Encoded[JsonObject]:
    losses = Losses()
    body: JsonObject = {"input_tokens": count.input_tokens}
    losses.repeat(count.extra, LANGUAGE, body, "")
    return Encoded(body, losses.done())


CODEC = AnthropicMessages()
