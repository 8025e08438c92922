"""The codec of Bedrock Converse: paths, and which body stands behind each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import assert_never
from urllib.parse import quote, unquote

from freehold.errors import CallerError
from freehold.ir import (
    Count,
    Embed,
    Embeddings,
    Extra,
    Failure,
    Fields,
    Generate,
    JsonObject,
    ListModels,
    Losses,
    ModelList,
    Request,
    Response,
    Result,
    TokenCount,
    parse_object,
    write_json,
)
from freehold.protocols.aws_errors import decode_aws_error, encode_aws_error
from freehold.protocols.bedrock_converse.language import LANGUAGE, NAME, ours, repeat
from freehold.protocols.bedrock_converse.models import (
    read_listing_request,
    read_models,
    write_listing_request,
    write_models,
)
from freehold.protocols.bedrock_converse.reading import ConverseStreamDecoder
from freehold.protocols.bedrock_converse.request import COUNTED, read_request, write_body
from freehold.protocols.bedrock_converse.response import read_response, write_response
from freehold.protocols.bedrock_converse.tools import tool_names
from freehold.protocols.bedrock_converse.writing import ConverseStreamEncoder
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

_PATH = re.compile(r"(?:.*/)?model/(?P<model>[^/]+)/(?P<verb>converse|converse-stream|count-tokens)")

_JSON = ("content-type", "application/json")


class BedrockConverse:
    """Converse, ConverseStream and CountTokens of the Bedrock runtime, and the listings of its control plane."""

    name = NAME
    language = LANGUAGE
    manners = Manners(request_id="x-amzn-requestid", bytes_in_base64=True, framing="event-stream")

    # --- Requests

    def decode_request(self, wire: WireRequest) -> Request:
        """Raises CallerError for a body that can not be understood, Unsupported for other paths."""
        if wire.method == "GET":
            return read_listing_request(wire)
        match = _PATH.fullmatch(wire.path)
        if wire.method != "POST" or match is None:
            raise Unsupported(f"{NAME} has no {wire.method} {wire.path}")
        body = parse_object(wire.body)
        model = unquote(match["model"])
        if match["verb"] == "count-tokens":
            return _read_count_request(body, model)
        return read_request(body, model=model, stream=match["verb"] == "converse-stream")

    def encode_request(self, request: Request, dialect: Dialect = PLAIN) -> Encoded[WireRequest]:
        """The request with the runtime's own path. Raises Unsupported for embeddings, which Converse has not."""
        del dialect
        match request:
            case Generate():
                encoded = write_body(request)
                verb = "converse-stream" if request.stream else "converse"
                return _wire(request.model, verb, encoded, stream=request.stream)
            case Count():
                return _write_count_request(request)
            case ListModels():
                path, query = write_listing_request(request)
                if request.model is not None:
                    path = f"{path}/{quote(request.model, safe='')}"
                wire = WireRequest(method="GET", path=path, query=query, body=b"", operation="list")
                return Encoded(wire)
            case Embed():
                raise Unsupported(f"{NAME} has no embeddings")
            case _:
                assert_never(request)

    # --- Answers

    def decode_response(self, wire: WireResponse, request: Request | None = None) -> Result:
        """A success. Raises UpstreamError for garbage and for errors dressed as success."""
        try:
            body = parse_object(wire.body)
        except CallerError as error:
            raise garbled(NAME, error.message, wire.body) from None
        if isinstance(request, ListModels):
            return read_models(body)
        if "output" not in body and "inputTokens" in body:
            return _read_count(body)
        if request is None and "output" not in body:
            return read_models(body)
        return self.response_from(body, request)

    def response_from(self, body: JsonObject, request: Request | None = None) -> Response:
        """A whole answer from its body. Raises UpstreamError for what is none."""
        return read_response(body, _original_names(request))

    def encode_response(self, result: Result, stamp: Stamp, request: Request | None = None) -> Encoded[WireResponse]:
        """The answer; the request id is the exchange's."""
        match result:
            case Response():
                encoded = write_response(result, stamp)
            case TokenCount():
                encoded = _write_count(result)
            case ModelList():
                encoded = write_models(result, request)
            case Embeddings():
                raise Unsupported(f"{NAME} has no embeddings")
            case _:
                assert_never(result)
        headers = (_JSON, ("x-amzn-requestid", stamp.id))
        return Encoded(WireResponse(status=200, body=write_json(encoded.value), headers=headers), encoded.losses)

    def decode_error(self, wire: WireResponse) -> Failure:
        """An error answer, whatever its shape."""
        return decode_aws_error(wire, LANGUAGE)

    def encode_error(self, failure: Failure, stamp: Stamp) -> WireResponse:
        """An error as AWS SDKs expect it."""
        return encode_aws_error(failure, stamp, LANGUAGE)

    def decoder(self, request: Request | None = None) -> StreamDecoder:
        """A fresh decoder for one streamed answer."""
        return ConverseStreamDecoder(_original_names(request))

    def encoder(self, stamp: Stamp, request: Request | None = None) -> StreamEncoder:  # noqa: ARG002 -- nothing is echoed
        """A fresh encoder for one streamed answer."""
        return ConverseStreamEncoder(stamp)

    def framing(self, request: Request) -> Framing:  # noqa: ARG002 -- the contract: other codecs frame by request
        """Always an AWS event stream."""
        return "event-stream"


def _wire(model: str, verb: str, body: Encoded[JsonObject], *, stream: bool = False) -> Encoded[WireRequest]:
    wire = WireRequest(
        path=f"/model/{quote(model, safe='')}/{verb}",
        body=write_json(body.value),
        headers=(_JSON,),
        operation="count" if verb == "count-tokens" else "generate",
        model=model,
        stream=stream,
    )
    return Encoded(wire, body.losses)


def _original_names(request: Request | None) -> Mapping[str, str]:
    """The names of tools as the request has them, by those that stood for them on the wire."""
    if not isinstance(request, Generate) or request.origin == NAME:
        return {}
    return {written: name for name, written in tool_names(request).items()}


# --- Token counts ----------------------------------------------------------------------------------------------------


_WHOLE = "invokeModel"
"""A body of InvokeModel to be counted, in base64: content that only Bedrock can count."""


def _read_count_request(body: JsonObject, model: str) -> Count:
    """`{"input": {"converse": …}}`, or `{"input": {"invokeModel": {"body": base64}}}`, whose body stays whole."""
    fields = Fields(body, LANGUAGE)
    outer = Fields(fields.need_object("input"), LANGUAGE, "input")
    if outer.peek(_WHOLE) is not None:
        extra = Extra(LANGUAGE, {_WHOLE: outer.take(_WHOLE)})
        if outer.rest() is not None:
            fields.put_back("input", outer.mark().fields)
        generate = Generate(origin=NAME, model=model, messages=(), extra=extra)
        return Count(origin=NAME, generate=generate, extra=fields.rest())
    converse = outer.need_object("converse")
    generate = read_request(converse, model=model, stream=False, path="input.converse")
    if outer.rest() is not None:
        fields.put_back("input", outer.mark().fields)
    return Count(origin=NAME, generate=generate, extra=fields.rest())


def _write_count_request(request: Count) -> Encoded[WireRequest]:
    losses = Losses()
    whole = (ours(request.generate.extra) or {}).get(_WHOLE)
    if whole is not None:
        counted: JsonObject = {_WHOLE: whole}
    else:
        encoded = write_body(request.generate)
        losses.items.extend(encoded.losses)
        native = request.origin == NAME
        known = encoded.value
        counted = {"converse": known if native else {name: known[name] for name in known if name in COUNTED}}
    husk = (ours(request.extra) or {}).get("input")
    body: JsonObject = {"input": {**counted, **husk} if isinstance(husk, dict) else counted}
    repeat(request.extra, body, losses, "")
    return _wire(request.generate.model, "count-tokens", Encoded(body, losses.done()))


def _read_count(body: JsonObject) -> TokenCount:
    fields = Fields(body, LANGUAGE)
    tokens = fields.take_int("inputTokens")
    if tokens is None:
        raise garbled(NAME, "there is no number `inputTokens`")
    return TokenCount(origin=NAME, input_tokens=tokens, extra=fields.rest())


def _write_count(count: TokenCount) -> Encoded[JsonObject]:
    losses = Losses()
    body: JsonObject = {"inputTokens": count.input_tokens}
    repeat(count.extra, body, losses, "")
    return Encoded(body, losses.done())


CODEC = BedrockConverse()
