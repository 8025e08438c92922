"""Azure OpenAI: OpenAI's bodies under Azure's paths, where a deployment's name in the path is the model.

A family: what stands in a body is read and written by the codec of that body, which this one is given. Extras keep that
codec's language, so going between Azure and OpenAI loses nothing. Flags of a `Dialect` are those of the inner codecs.
"""

from __future__ import annotations

from typing import TypeVar
from urllib.parse import quote, unquote

import msgspec

from freehold.ir import (
    Count,
    Embed,
    Embeddings,
    Extra,
    Failure,
    Generate,
    JsonObject,
    Language,
    ListModels,
    ModelList,
    Request,
    Response,
    Result,
    TokenCount,
)
from freehold.protocols.azure_openai.stream import SniffingDecoder, SniffingEncoder
from freehold.protocols.codec import (
    COMMENT,
    PLAIN,
    Codec,
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
)

__all__ = ["AzureOpenAI"]

NAME = "azure-openai"

DEPLOYMENT = "freehold:deployment"
"""Marks a request whose deployment stood in the path: its name, and the model that the body named beside it."""

_DEPLOYMENTS = "/deployments/"

Named = TypeVar("Named", Generate, Embed)


class AzureOpenAI:
    """The codec `azure-openai`, made of the codecs for its bodies."""

    name = NAME
    manners = Manners(
        request_id="x-request-id",
        passed_headers=frozenset({"openai-beta"}),
        keep_alive=COMMENT,
        stream_in_body=True,
        usage_on_demand=True,
        read_by_request=True,
    )

    def __init__(self, *, chat: Codec, responses: Codec, embeddings: Codec) -> None:
        self._chat = chat
        self._responses = responses
        self._embeddings = embeddings
        self.language: Language = chat.language
        """The language of chat; answers of the other bodies carry their own."""

    # --- Requests ---

    def decode_request(self, wire: WireRequest) -> Request:
        """Raises CallerError or Unsupported."""
        path = wire.path.rstrip("/")
        inner = self._chat
        if path.endswith("/embeddings"):
            inner = self._embeddings
        elif path.endswith("/responses"):
            inner = self._responses
        request = inner.decode_request(wire)
        if inner is self._responses:
            # Its origin is what tells, on the way out, that it speaks Responses.
            return request
        deployment = deployment_in(path)
        match request:
            case Generate() if deployment is not None:
                return _deployed(request, deployment)
            case Embed() if deployment is not None:
                return _deployed(request, deployment)
            case _:
                return msgspec.structs.replace(request, origin=NAME)

    def encode_request(self, request: Request, dialect: Dialect = PLAIN) -> Encoded[WireRequest]:
        """By deployment for chat and embeddings; what speaks Responses goes to Azure's own path. Raises Unsupported."""
        match request:
            case Generate() if self._speaks_responses(request):
                return _under(self._responses.encode_request(request, dialect), "/openai/responses")
            case Generate():
                encoded = self._chat.encode_request(_undeployed(request), dialect)
                return _under(encoded, _path(request.model, "chat/completions"), request.model)
            case Embed():
                encoded = self._embeddings.encode_request(_undeployed(request), dialect)
                return _under(encoded, _path(request.model, "embeddings"), request.model)
            case ListModels():
                encoded = self._chat.encode_request(request, dialect)
                return _under(encoded, "/openai" + encoded.value.path.removeprefix("/v1"))
            case Count():
                raise Unsupported(f"{NAME} does not count tokens")

    def _speaks_responses(self, request: Request | None) -> bool:
        """Whether a request's body is a Responses body, by its origin or by who wrote its extras."""
        if not isinstance(request, Generate):
            return False
        if request.origin == self._responses.name:
            return True
        return request.extra is not None and request.extra.origin is self._responses.language

    def _inner(self, request: Request | None) -> Codec:
        """The codec that speaks this request's body, and the body of its answer."""
        if isinstance(request, Embed):
            return self._embeddings
        return self._responses if self._speaks_responses(request) else self._chat

    # --- Answers ---

    def decode_response(self, wire: WireResponse, request: Request | None = None) -> Result:
        """Raises UpstreamError. Without the request, the body's first words tell what it is."""
        if request is not None:
            return self._inner(request).decode_response(wire, request)
        head = wire.body[:4000]
        if b'"embedding"' in head:
            return self._embeddings.decode_response(wire)
        # A compacted response is one, too.
        is_response = b'"object":"response' in head.replace(b" ", b"") and b'"choices"' not in head
        return (self._responses if is_response else self._chat).decode_response(wire)

    def encode_response(self, result: Result, stamp: Stamp, request: Request | None = None) -> Encoded[WireResponse]:
        """Raises Unsupported."""
        inner = self._chat
        match result:
            case Embeddings():
                inner = self._embeddings
            case Response() if self._speaks_responses(request) or self._said_by_responses(result, request):
                inner = self._responses
            case Response() | ModelList() | TokenCount():
                pass
        return inner.encode_response(result, stamp, request)

    def _said_by_responses(self, result: Response, request: Request | None) -> bool:
        return request is None and result.origin == self._responses.name

    def decode_error(self, wire: WireResponse) -> Failure:
        """An error answer of any shape."""
        return self._chat.decode_error(wire)

    def encode_error(self, failure: Failure, stamp: Stamp) -> WireResponse:
        """An error as OpenAI's SDKs read it, with Azure's own request id beside the usual one."""
        wire = self._chat.encode_error(failure, stamp)
        return msgspec.structs.replace(wire, headers=(*wire.headers, ("apim-request-id", stamp.id)))

    def decoder(self, request: Request | None = None) -> StreamDecoder:
        """A decoder for one stream; without the request, the first frame tells which body it is."""
        if request is None:
            return SniffingDecoder(self._chat, self._responses)
        return self._inner(request).decoder(request)

    def encoder(self, stamp: Stamp, request: Request | None = None) -> StreamEncoder:
        """An encoder for one stream; without the request, it follows the answer's origin."""
        if request is None:
            return SniffingEncoder(self._chat, self._responses, stamp)
        return self._inner(request).encoder(stamp, request)

    def framing(self, request: Request) -> Framing:
        """Server-sent events."""
        return self._inner(request).framing(request)


def deployment_in(path: str) -> str | None:
    """The deployment in a percent-encoded path; None where it has none."""
    _, found, rest = path.partition(_DEPLOYMENTS)
    return unquote(rest.partition("/")[0]) or None if found else None


def _deployed(request: Named, deployment: str) -> Named:
    """The request with its deployment as the model: the path wins over the body."""
    extra = request.extra
    if extra is not None:
        fields: JsonObject = {**extra.fields, DEPLOYMENT: [deployment, request.model]}
        extra = Extra(extra.origin, fields)
    return msgspec.structs.replace(request, origin=NAME, model=deployment, extra=extra)


def _undeployed(request: Named) -> Named:
    """The request with the model that its body named, unless it goes to another deployment now."""
    mark = None if request.extra is None else request.extra.fields.get(DEPLOYMENT)
    match mark:
        case [str(deployment), str(model)] if deployment == request.model:
            return msgspec.structs.replace(request, model=model)
        case _:
            return request


def _path(deployment: str, operation: str) -> str:
    return f"/openai{_DEPLOYMENTS}{quote(deployment, safe='')}/{operation}"


def _under(encoded: Encoded[WireRequest], path: str, model: str | None = None) -> Encoded[WireRequest]:
    """The same request under Azure's path."""
    wire = encoded.value
    moved = msgspec.structs.replace(wire, path=path, model=wire.model if model is None else model)
    return Encoded(moved, encoded.losses)
