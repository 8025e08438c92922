"""OpenAI Responses: requests, answers, streams and errors of `/v1/responses`."""

from __future__ import annotations

from typing import Final

from freehold.ir import Failure, Request, Result
from freehold.protocols.codec import (
    COMMENT,
    PLAIN,
    Dialect,
    Encoded,
    Framing,
    Manners,
    Stamp,
    StreamDecoder,
    StreamEncoder,
    WireRequest,
    WireResponse,
)
from freehold.protocols.openai_responses.decoder import ResponsesDecoder
from freehold.protocols.openai_responses.encoder import ResponsesEncoder
from freehold.protocols.openai_responses.errors import decode_error, encode_error
from freehold.protocols.openai_responses.language import LANGUAGE, NAME
from freehold.protocols.openai_responses.request import decode_request, encode_request, stateless
from freehold.protocols.openai_responses.response import decode_response, encode_response

__all__ = ["CODEC", "LANGUAGE", "OpenAIResponses", "stateless"]


class OpenAIResponses:
    """The codec of the Responses protocol."""

    name = NAME
    language = LANGUAGE
    manners = Manners(
        request_id="x-request-id",
        passed_headers=frozenset({"openai-beta"}),
        keep_alive=COMMENT,
        model_in_body=True,
        stream_in_body=True,
        # Its clients hand an `error` event on like any other.
        raises_in_band=False,
    )

    def decode_request(self, wire: WireRequest) -> Request:
        """Raises CallerError; Unsupported for other paths."""
        return decode_request(wire)

    def encode_request(self, request: Request, dialect: Dialect = PLAIN) -> Encoded[WireRequest]:
        """Raises Unsupported."""
        del dialect
        return encode_request(request)

    def decode_response(self, wire: WireResponse, request: Request | None = None) -> Result:
        """Raises UpstreamError."""
        del request
        return decode_response(wire)

    def encode_response(self, result: Result, stamp: Stamp, request: Request | None = None) -> Encoded[WireResponse]:
        """Raises Unsupported."""
        return encode_response(result, stamp, request)

    def decode_error(self, wire: WireResponse) -> Failure:
        """An error answer, whatever its shape."""
        return decode_error(wire)

    def encode_error(self, failure: Failure, stamp: Stamp) -> WireResponse:
        """An error as this protocol's clients expect it."""
        return encode_error(failure, stamp)

    def decoder(self, request: Request | None = None) -> StreamDecoder:
        """A fresh decoder."""
        del request
        return ResponsesDecoder()

    def encoder(self, stamp: Stamp, request: Request | None = None) -> StreamEncoder:
        """A fresh encoder."""
        return ResponsesEncoder(stamp, request)

    def framing(self, request: Request) -> Framing:
        """Always server-sent events."""
        del request
        return "sse"


CODEC: Final = OpenAIResponses()
