"""OpenAI embeddings: texts in, vectors out."""

from __future__ import annotations

from typing import NoReturn

from freehold.ir import Embed, Embeddings, Failure, Request, Result
from freehold.protocols.codec import (
    PLAIN,
    Dialect,
    Encoded,
    Framing,
    Manners,
    Stamp,
    Unsupported,
    WireRequest,
    WireResponse,
)
from freehold.protocols.openai_embeddings.language import LANGUAGE, NAME
from freehold.protocols.openai_embeddings.request import decode_request, encode_request
from freehold.protocols.openai_embeddings.response import decode_response, encode_response
from freehold.protocols.openai_errors import decode_failure, encode_failure

__all__ = ["CODEC", "LANGUAGE", "OpenAIEmbeddings"]


class OpenAIEmbeddings:
    """The codec `openai-embeddings`: `/v1/embeddings`. It has no dialect flags and no streams."""

    name = NAME
    language = LANGUAGE
    manners = Manners(request_id="x-request-id", model_in_body=True)

    def decode_request(self, wire: WireRequest) -> Embed:
        """Raises CallerError or Unsupported."""
        return decode_request(wire)

    def encode_request(self, request: Request, dialect: Dialect = PLAIN) -> Encoded[WireRequest]:  # noqa: ARG002 -- the contract's parameter
        """Raises Unsupported for anything but embeddings."""
        if not isinstance(request, Embed):
            raise Unsupported(f"{NAME} has no {type(request).__name__}")
        return encode_request(request)

    def decode_response(self, wire: WireResponse, request: Request | None = None) -> Embeddings:  # noqa: ARG002 -- the contract's parameter
        """Raises UpstreamError."""
        return decode_response(wire)

    def encode_response(self, result: Result, stamp: Stamp, request: Request | None = None) -> Encoded[WireResponse]:
        """Raises Unsupported for anything but embeddings; `request` says which encoding was asked for."""
        return encode_response(result, stamp, request)

    def decode_error(self, wire: WireResponse) -> Failure:
        """An error answer of any shape."""
        return decode_failure(wire, LANGUAGE)

    def encode_error(self, failure: Failure, stamp: Stamp) -> WireResponse:
        """An error as OpenAI's SDKs read it."""
        return encode_failure(failure, stamp, LANGUAGE)

    def decoder(self, request: Request | None = None) -> NoReturn:  # noqa: ARG002 -- the contract's parameter
        """Raises Unsupported: vectors are not streamed."""
        raise Unsupported(f"{NAME} has no streams")

    def encoder(self, stamp: Stamp, request: Request | None = None) -> NoReturn:  # noqa: ARG002 -- the contract's parameters
        """Raises Unsupported: vectors are not streamed."""
        raise Unsupported(f"{NAME} has no streams")

    def framing(self, request: Request) -> Framing:  # noqa: ARG002 -- the contract's parameter
        """Server-sent events, were there any."""
        return "sse"


CODEC = OpenAIEmbeddings()
