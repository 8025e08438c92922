"""The codec `bedrock-invoke`: paths, headers, and which family reads and writes a body."""

from __future__ import annotations

import re
from collections.abc import Mapping
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
    Losses,
    Request,
    Response,
    Result,
    Usage,
    parse_object,
    write_json,
)
from freehold.protocols.aws_errors import decode_aws_error, encode_aws_error
from freehold.protocols.bedrock_invoke import embeddings
from freehold.protocols.bedrock_invoke.completion import Completion
from freehold.protocols.bedrock_invoke.delegated import Delegated
from freehold.protocols.bedrock_invoke.embeddings import EMBEDDINGS, EmbeddingFamily
from freehold.protocols.bedrock_invoke.family import (
    Family,
    family_of_answer,
    family_of_model,
    family_of_request,
)
from freehold.protocols.bedrock_invoke.forms import FORMS
from freehold.protocols.bedrock_invoke.language import LANGUAGE, NAME
from freehold.protocols.bedrock_invoke.manners import Anthropic, Chat, Nova
from freehold.protocols.bedrock_invoke.sniffing import SniffingDecoder
from freehold.protocols.codec import (
    PLAIN,
    Codec,
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

_PATH = re.compile(r"(?:.*/)?model/(?P<model>[^/]+)/(?P<verb>invoke|invoke-with-response-stream)")

_OWN_HEADERS = re.compile(r"x-amzn-bedrock-[a-z-]+|anthropic-(?:beta|version)")
"""Headers that belong to the protocol: guardrails, tracing, latency, and the versions that Anthropic's SDKs add."""

_JSON = ("content-type", "application/json")
_ACCEPT = ("accept", "application/json")


class BedrockInvoke:
    """InvokeModel and InvokeModelWithResponseStream: as many bodies as there are vendors, told apart by family."""

    name = NAME
    language = LANGUAGE
    """The protocol's name; what rides along has an origin of its own for each family."""
    manners = Manners(
        request_id="x-amzn-requestid",
        framing="event-stream",
        passed_headers=frozenset(
            {
                "x-amzn-bedrock-guardrailidentifier",
                "x-amzn-bedrock-guardrailversion",
                "x-amzn-bedrock-trace",
                "x-amzn-bedrock-performanceconfig-latency",
                "x-amzn-bedrock-service-tier",
            }
        ),
        read_by_request=True,
    )

    def __init__(self, *, anthropic: Codec, chat: Codec, converse: Codec) -> None:
        """The codecs whose bodies Claude, chat models and Nova take here."""
        families: list[Family] = [
            Delegated("anthropic", anthropic, Anthropic(), signs=True),
            Delegated("chat", chat, Chat()),
            Delegated("nova", converse, Nova(), apart=True),
            *(Completion(form) for form in FORMS),
        ]
        self._families: Mapping[str, Family] = {family.name: family for family in families}

    # --- Requests

    def decode_request(self, wire: WireRequest) -> Request:
        """Raises CallerError for a body of no family, Unsupported for other paths."""
        match = _PATH.fullmatch(wire.path)
        if wire.method != "POST" or match is None:
            raise Unsupported(f"{NAME} has no {wire.method} {wire.path}")
        body = parse_object(wire.body)
        model = unquote(match["model"])
        headers: JsonObject = {name: value for name, value in wire.headers if _OWN_HEADERS.fullmatch(name)}
        vectors = embeddings.family_name_of_request(model, body)
        if vectors is not None:
            embed = EMBEDDINGS[vectors].read_request(body, model)
            return msgspec.structs.replace(embed, headers=Extra(EMBEDDINGS[vectors].language, headers))
        name = family_of_request(model, body)
        if name is None:
            if "query" in body and "documents" in body:
                raise Unsupported(f"{NAME} ranks documents only at a provider that does")
            raise CallerError("the body must hold `messages`, or a `prompt`", param="prompt")
        family = self._families[name]
        request, own = family.read_request(body, model, stream=match["verb"] != "invoke")
        # Marks the family that the client used, also when there is nothing else to remember.
        return msgspec.structs.replace(request, headers=Extra(family.language, {**own, **headers}))

    def encode_request(self, request: Request, dialect: Dialect = PLAIN) -> Encoded[WireRequest]:
        """The body of the family that the model speaks. Raises Unsupported for counts and listings."""
        match request:
            case Generate():
                used = self._family_used(request)
                family = self._families[family_of_model(request.model, None if used is None else used.name)]
                native = used is family
                own = request.headers.fields if native and request.headers is not None else None
                encoded = family.write_request(request, own, dialect)
                verb = "invoke-with-response-stream" if request.stream else "invoke"
                return _wire(request.model, verb, encoded, _own_headers(request.headers), stream=request.stream)
            case Embed():
                return self._encode_embed(request)
            case Count():
                raise Unsupported(f"{NAME} counts no tokens; bedrock-converse does")
            case _:
                raise Unsupported(f"{NAME} has no {type(request).__name__}")

    def _encode_embed(self, request: Embed) -> Encoded[WireRequest]:
        family = _embedding_family_used(request) or EMBEDDINGS[embeddings.family_name_of_model(request.model)]
        losses = Losses()
        body = family.write_request(request, losses)
        encoded = Encoded(body, losses.done())
        return _wire(request.model, "invoke", encoded, _own_headers(request.headers), embed=True)

    def _family_used(self, request: Request | None) -> Family | None:
        """The family that the client's body had; None for a client of another protocol."""
        if not isinstance(request, Generate) or request.headers is None:
            return None
        origin = request.headers.origin
        return next((family for family in self._families.values() if family.language is origin), None)

    def _family_for(self, request: Request | None) -> Family:
        """The family of an answer to a client."""
        used = self._family_used(request)
        if used is not None:
            return used
        return self._families[family_of_model(request.model, None) if isinstance(request, Generate) else "chat"]

    # --- Answers

    def decode_response(self, wire: WireResponse, request: Request | None = None) -> Result:
        """A success: its shape tells the family. Raises UpstreamError for garbage."""
        try:
            body = parse_object(wire.body)
        except CallerError as error:
            raise garbled(NAME, error.message, wire.body) from None
        vectors = embeddings.family_of_vectors(body)
        if isinstance(request, Embed) or (request is None and vectors is not None):
            if vectors is None:
                raise garbled(NAME, "there are no vectors", wire.body)
            return vectors.read_response(body, embeddings.usage_of(body, wire))
        name = family_of_answer(body)
        if name is None:
            raise garbled(NAME, "no family of models answers like this", wire.body)
        generate = request if isinstance(request, Generate) else None
        return self._families[name].read_response(body, wire, generate)

    def encode_response(self, result: Result, stamp: Stamp, request: Request | None = None) -> Encoded[WireResponse]:
        """The answer in the family of the client's body. Raises Unsupported for what no family has."""
        match result:
            case Response():
                generate = request if isinstance(request, Generate) else None
                family = self._family_of_result(result, request)
                encoded = family.write_response(result, stamp, generate)
                counts = _count_headers(result.usage)
            case Embeddings():
                encoded = embeddings.write(result, _embedding_family_for(result, request), stamp)
                counts = _count_headers(result.usage)
            case _:
                raise Unsupported(f"{NAME} has no {type(result).__name__}")
        headers = (_JSON, ("x-amzn-requestid", stamp.id), *counts)
        return Encoded(WireResponse(status=200, body=write_json(encoded.value), headers=headers), encoded.losses)

    def _family_of_result(self, result: Response, request: Request | None) -> Family:
        """The client's family; without a request, the one that the answer came from."""
        if request is None and result.extra is not None:
            for family in self._families.values():
                apart = family.apart if isinstance(family, Delegated) else None
                if result.extra.origin in (family.language, apart):
                    return family
        if request is None and result.origin != NAME:
            for family in self._families.values():
                if isinstance(family, Delegated) and family.codec.name == result.origin:
                    return family
        return self._family_for(request)

    def decode_error(self, wire: WireResponse) -> Failure:
        """An error answer, whatever its shape."""
        return decode_aws_error(wire, LANGUAGE)

    def encode_error(self, failure: Failure, stamp: Stamp) -> WireResponse:
        """An error as AWS SDKs expect it."""
        return encode_aws_error(failure, stamp, LANGUAGE)

    def decoder(self, request: Request | None = None) -> StreamDecoder:
        """A fresh decoder; the first chunk tells the family."""
        generate = request if isinstance(request, Generate) else None
        return SniffingDecoder(self._families, self._family_for(request), generate)

    def encoder(self, stamp: Stamp, request: Request | None = None) -> StreamEncoder:
        """A fresh encoder in the family of the client's body."""
        return self._family_for(request).encoder(stamp, request if isinstance(request, Generate) else None)

    def framing(self, request: Request) -> Framing:  # noqa: ARG002 -- the contract: other codecs frame by request
        """Always an AWS event stream."""
        return "event-stream"


def _wire(
    model: str, verb: str, body: Encoded[JsonObject], headers: Headers, *, stream: bool = False, embed: bool = False
) -> Encoded[WireRequest]:
    wire = WireRequest(
        path=f"/model/{quote(model, safe='')}/{verb}",
        body=write_json(body.value),
        headers=(_JSON, _ACCEPT, *headers),
        operation="embed" if embed else "generate",
        model=model,
        stream=stream,
    )
    return Encoded(wire, body.losses)


def _own_headers(headers: Extra | None) -> Headers:
    """Guardrails and the like, which a client of this protocol sent."""
    if headers is None or headers.origin.name != NAME:
        return ()
    return tuple(
        (name, value)
        for name, value in headers.fields.items()
        if isinstance(value, str) and _OWN_HEADERS.fullmatch(name)
    )


def _count_headers(usage: Usage | None) -> Headers:
    """Bedrock's counts, which stand in headers because not every family's body has them."""
    if usage is None:
        return ()
    cached = (usage.cache_read or 0) + (usage.cache_write or 0)
    counts = {
        "input-token-count": None if usage.input_tokens is None else max(0, usage.input_tokens - cached),
        "output-token-count": usage.output_tokens,
        "cache-read-input-token-count": usage.cache_read,
        "cache-write-input-token-count": usage.cache_write,
    }
    return tuple((f"x-amzn-bedrock-{name}", str(count)) for name, count in counts.items() if count is not None)


def _embedding_family_used(request: Request | None) -> EmbeddingFamily | None:
    if not isinstance(request, Embed) or request.headers is None:
        return None
    origin = request.headers.origin
    return next((family for family in EMBEDDINGS.values() if family.language is origin), None)


def _embedding_family_for(result: Embeddings, request: Request | None) -> EmbeddingFamily:
    used = _embedding_family_used(request)
    if used is not None:
        return used
    if result.extra is not None:
        for family in EMBEDDINGS.values():
            if family.language is result.extra.origin:
                return family
    if isinstance(request, Embed):
        return EMBEDDINGS[embeddings.family_name_of_model(request.model)]
    return EMBEDDINGS["titan-embed" if len(result.data) == 1 else "cohere-embed"]
