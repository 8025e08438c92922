"""OpenAI Chat Completions, the protocol that most of the world's servers speak.

Flags of a `Dialect` that this codec knows:

- `max-tokens`: the server knows the output limit only by its older name, `max_tokens`.
- `top-k`: it takes `top_k`.
- `cache-control`: it takes Anthropic's `cache_control` on parts and tools (OpenRouter).
- `video-url`: it takes parts of type `video_url` (OpenRouter, vLLM).
- `thinking-parts`: reasoning of earlier turns goes into `content` as parts of type `thinking` (Mistral).
- `reasoning-key:reasoning_content`, `reasoning-key:reasoning`: the field in which it wants the reasoning of earlier
  turns; without such a flag, only reasoning that was said in this protocol is repeated.
- `reasoning-form:reasoning`, `reasoning-form:thinking`: how much to think is said by an object `reasoning`
  (OpenRouter), or switched by `thinking` (DeepSeek, GLM), not by `reasoning_effort`.
- `short-tool-ids`: tool call ids must be nine letters and digits (Mistral); others are mapped to such, always the same.
"""

from __future__ import annotations

from freehold.ir import (
    Count,
    Embed,
    Failure,
    Generate,
    ListModels,
    ModelList,
    Request,
    Response,
    Result,
)
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
    Unsupported,
    WireRequest,
    WireResponse,
)
from freehold.protocols.openai_chat.decoder import ChatDecoder
from freehold.protocols.openai_chat.encoder import ChatEncoder
from freehold.protocols.openai_chat.language import LANGUAGE, NAME
from freehold.protocols.openai_chat.request import decode_request, encode_listing, encode_request
from freehold.protocols.openai_chat.response import decode_response, encode_response
from freehold.protocols.openai_errors import decode_failure, encode_failure

__all__ = ["CODEC", "LANGUAGE", "OpenAIChat"]


class OpenAIChat:
    """The codec `openai-chat`: `/v1/chat/completions`, and `/v1/models` for listings."""

    name = NAME
    language = LANGUAGE
    manners = Manners(
        request_id="x-request-id",
        passed_headers=frozenset({"openai-beta"}),
        keep_alive=COMMENT,
        model_in_body=True,
        stream_in_body=True,
        usage_on_demand=True,
    )

    def decode_request(self, wire: WireRequest) -> Generate | ListModels:
        """Raises CallerError or Unsupported."""
        return decode_request(wire)

    def encode_request(self, request: Request, dialect: Dialect = PLAIN) -> Encoded[WireRequest]:
        """Raises Unsupported for embeddings and token counts."""
        match request:
            case Generate():
                return encode_request(request, dialect)
            case ListModels():
                return encode_listing(request)
            case Embed() | Count():
                raise Unsupported(f"{NAME} has no {type(request).__name__}")

    def decode_response(self, wire: WireResponse, request: Request | None = None) -> Response | ModelList:
        """Raises UpstreamError."""
        return decode_response(wire, request)

    def encode_response(
        self,
        result: Result,
        stamp: Stamp,
        request: Request | None = None,  # noqa: ARG002 -- the contract's parameter; nothing is echoed
    ) -> Encoded[WireResponse]:
        """Raises Unsupported."""
        return encode_response(result, stamp)

    def decode_error(self, wire: WireResponse) -> Failure:
        """An error answer of any shape."""
        return decode_failure(wire, LANGUAGE)

    def encode_error(self, failure: Failure, stamp: Stamp) -> WireResponse:
        """An error as OpenAI's SDKs read it."""
        return encode_failure(failure, stamp, LANGUAGE)

    def decoder(self, request: Request | None = None) -> StreamDecoder:
        """A decoder for one stream."""
        return ChatDecoder(request)

    def encoder(self, stamp: Stamp, request: Request | None = None) -> StreamEncoder:
        """An encoder for one stream; `request` says whether usage was asked for."""
        return ChatEncoder(stamp, request)

    def framing(self, request: Request) -> Framing:  # noqa: ARG002 -- always the same
        """Server-sent events."""
        return "sse"


CODEC = OpenAIChat()
