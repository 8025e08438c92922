"""Three lanes of one road: how a request is made ready for one target.

- *tunnel*: client and target speak the same protocol and nothing needs to be understood: values pass byte for
  byte, only the model's name is exchanged (and what a provider's data file edits);
- *same-language*: the same protocol, but something must be touched, so it is decoded, edited and encoded; extras
  return;
- *translate*: another protocol.

Tunnel and same-language say the same thing; a test holds them equal.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from typing import Literal
from urllib.parse import quote, unquote

import msgspec

from freehold.errors import CallerError
from freehold.exchange.proofs import SEAL_PREFIX
from freehold.exchange.target import Place, Target
from freehold.ir import Count, Embed, Extra, Generate, JsonObject, Loss, Request, parse_object, write_json
from freehold.protocols.anthropic_messages import must_move_system
from freehold.protocols.codec import Codec, Framing, Manners, Operation, Unsupported, WireRequest

Lane = Literal["tunnel", "same-language", "translate"]

Strictness = Literal["report", "reject-content", "reject"]

RequestOf = Callable[[], Request]
"""The decoded request, decoded when first asked for."""

_RAW_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])

_FALSE = msgspec.Raw(b"false")

_MODEL_IN_PATH = re.compile(r"/(?:deployments|model)/([^/]+)/|/(?:models|tunedModels)/(.+):\w+$")
_STREAM_IN_PATH = ("/converse-stream", "/invoke-with-response-stream", ":streamGenerateContent", ":streamRawPredict")

_SEAL = SEAL_PREFIX.encode()
_SEAL_IN_BASE64 = b"ZmgxL"
"""How a seal begins in a slot that holds bytes: Gemini's signatures, Converse's redacted content."""


def holds_seal(body: bytes, *, in_base64: bool) -> bool:
    """Whether a seal may stand anywhere in a body, so that it can not pass unread.

    Looks from digit to digit: a search for one byte is thirty times faster than one for four.
    """
    at = body.find(b"1")
    while at >= 0:
        if body[at - 2 : at + 2] == _SEAL:
            return True
        at = body.find(b"1", at + 1)
    return in_base64 and _SEAL_IN_BASE64 in body


_STATE_FIELDS = ("previous_response_id", "conversation", "background")


class Glance(msgspec.Struct, frozen=True):
    """What must be known of every request: the model it names, whether it wants a stream, and usage in it.

    `fields` are the body's top-level values as bytes.
    """

    model: str
    stream: bool
    fields: dict[str, msgspec.Raw]
    usage: bool = False
    in_path: tuple[int, int] | None = None
    """Where the model's name stands in the path."""


def glance(manners: Manners, wire: WireRequest) -> Glance:
    """Read as little as possible. Raises CallerError for a body that is no JSON object, or names no model."""
    try:
        fields = _RAW_FIELDS.decode(wire.body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise CallerError(f"the body must be a JSON object: {error}", code="invalid_json") from None
    found = _MODEL_IN_PATH.search(wire.path)
    if found is not None:
        model = unquote(found[1] or found[2])
        stream = wire.path.endswith(_STREAM_IN_PATH) or _wants_stream(fields, manners)
        span = found.span(1) if found[1] is not None else found.span(2)
        if model == "count-tokens":
            return Glance(_text(fields, "model"), stream=False, fields=fields, in_path=span)
        return Glance(model, stream, fields, stream and _wants_usage(fields.get("stream_options")), span)
    model = _text(fields, "model")
    if not model:
        raise CallerError("model must be a string: the name of a model", param="model")
    stream = _wants_stream(fields, manners)
    usage = stream and _wants_usage(fields.get("stream_options"))
    return Glance(model, stream, fields, usage)


def _wants_usage(options: msgspec.Raw | None) -> bool:
    if options is None:
        return False
    try:
        return msgspec.json.decode(options, type=_StreamOptions).include_usage
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def _wants_stream(fields: dict[str, msgspec.Raw], manners: Manners) -> bool:
    raw = fields.get("stream")
    return raw is not None and manners.stream_in_body and bytes(raw) == b"true"


def _text(fields: dict[str, msgspec.Raw], name: str) -> str:
    raw = fields.get(name)
    if raw is None:
        return ""
    try:
        return msgspec.json.decode(raw, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


class _StreamOptions(msgspec.Struct):
    include_usage: bool = False


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A request ready to be located, signed and sent to one target; `request` is what was encoded, if it was."""

    target: Target
    lane: Lane
    wire: WireRequest
    losses: tuple[Loss, ...] = ()
    request: Request | None = None


def tunnels(client: Codec, framing: Framing | None, target: Target, wire: WireRequest, seen: Glance) -> bool:
    """Whether the request may pass unread: same protocol, same framing of the answer, no seal, no options for us.

    Under Bedrock's Invoke each family of models has bodies of its own, so there the codec has to look.
    """
    if client.name != target.codec.name or client.name == "bedrock-invoke":
        return False
    if framing is not None and framing != "sse":
        return False
    if client.name == "azure-openai" and wire.path.endswith("/responses"):
        return False  # the model stands in this body, and stored state has to be declined
    if client.name == "anthropic-messages" and must_move_system(target.model, wire.body):
        return False
    return "freehold" not in seen.fields and not holds_seal(wire.body, in_base64=client.manners.bytes_in_base64)


def tunnel(wire: WireRequest, seen: Glance, target: Target, operation: Operation) -> Prepared | None:
    """The request with another model's name and the provider's own edits. None where state forbids the tunnel."""
    fields = seen.fields
    name, manners = target.codec.name, target.codec.manners
    if manners.model_in_body and "model" not in fields:
        return None  # Vertex clients name the model in the path only; other targets want it in the body
    if name == "anthropic-messages" and wire.path.endswith("Predict"):
        return None  # they say the version in the body, where others want it as a header
    if name == "gemini-generate" and operation != "generate" and seen.model != target.model:
        return None  # each request of a batch, and one that is counted, names the model again
    if (
        name == "gemini-generate"
        and operation == "embed"
        and ("/publishers/" in wire.path) != (target.provider == "vertex")
    ):
        return None  # Vertex AI has other bodies for vectors than the Gemini API
    body = wire.body
    if manners.model_in_body and seen.model != target.model:
        fields = {**fields, "model": msgspec.Raw(msgspec.json.encode(target.model))}
        body = msgspec.json.encode(fields)
    if manners.usage_on_demand and seen.stream and not seen.usage:
        # The record needs the figure; `answers` takes it out again for a client that did not ask.
        fields = {**fields, "stream_options": _with_usage(fields.get("stream_options"))}
        body = msgspec.json.encode(fields)
    if name == "openai-responses" and operation == "generate":
        stateless = _stateless(fields)
        if stateless is not fields:
            body = msgspec.json.encode(stateless)
    path = wire.path if seen.model == target.model else _path_to(wire.path, seen, target.model)
    outgoing = WireRequest(
        method=wire.method,
        path=path,
        query=_passed_query(name, wire.query, stream=seen.stream),
        headers=tuple([pair for pair in wire.headers if pair[0] in manners.passed_headers]),
        body=body,
        operation=operation,
        model=target.model,
        stream=seen.stream,
    )
    return _edited(target, "tunnel", outgoing, ())


def named(wire: WireRequest, seen: Glance, model: str) -> WireRequest:
    """The request of a client that asks for another model."""
    if seen.in_path is not None:
        wire = msgspec.structs.replace(wire, path=_path_to(wire.path, seen, model))
    if seen.in_path is None or "model" in seen.fields:
        fields = {**seen.fields, "model": msgspec.Raw(msgspec.json.encode(model))}
        wire = msgspec.structs.replace(wire, body=msgspec.json.encode(fields))
    return wire


def _path_to(path: str, seen: Glance, model: str) -> str:
    """The path with another model in it, where it names one."""
    if seen.in_path is None:
        return path
    start, end = seen.in_path
    return path[:start] + quote(model, safe="") + path[end:]


_OPTIONS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _with_usage(options: msgspec.Raw | None) -> msgspec.Raw:
    """`stream_options` with `include_usage`."""
    known: dict[str, msgspec.Raw] = {}
    if options is not None:
        with contextlib.suppress(msgspec.DecodeError):  # null, or nonsense that the provider need not see
            known = _OPTIONS.decode(options)
    return msgspec.Raw(msgspec.json.encode({**known, "include_usage": msgspec.Raw(b"true")}))


def _passed_query(codec: str, query: str, *, stream: bool) -> str:
    """What of a query belongs to the protocol; keys and API versions are the client's own business with us."""
    if codec == "gemini-generate" and stream:
        return "alt=sse"
    return "beta=true" if codec == "anthropic-messages" and "beta=true" in query.split("&") else ""


def _stateless(fields: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    """No state is left at a provider unasked: `store: false`, and encrypted reasoning so that the next turn has it."""
    stored = fields.get("store")
    if stored is not None and bytes(stored) == b"false":
        return fields
    include: list[str] = []
    raw = fields.get("include")
    if raw is not None and bytes(raw) != b"null":
        try:
            include = msgspec.json.decode(raw, type=list[str])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return fields
    if "reasoning.encrypted_content" not in include:
        include = [*include, "reasoning.encrypted_content"]
    return {**fields, "store": _FALSE, "include": msgspec.Raw(msgspec.json.encode(include))}


def refuse_state(client: Codec, seen: Glance) -> None:
    """Raises CallerError where the request leans on state that a Responses server would have to keep."""
    if client.name not in {"openai-responses", "azure-openai"}:
        return
    for name in _STATE_FIELDS:
        raw = seen.fields.get(name)
        if raw is not None and bytes(raw) not in {b"null", b"false"}:
            raise CallerError(
                f"{name} needs stored responses, which this server does not keep yet: send the whole conversation "
                "in input instead (reasoning items with their encrypted_content included)",
                code="state_not_kept",
                param=name,
            )


def take_options(request: Request) -> Request:
    """The request with `{"freehold": {"provider_options": {PROVIDER: {...}}}}` taken out of its body into `options`.

    Raises CallerError for a `freehold` field of another shape.
    """
    match request:
        case Generate():
            return _options_taken(request)
        case Count():
            generate = _options_taken(request.generate)
            return request if generate is request.generate else msgspec.structs.replace(request, generate=generate)
        case _:
            return request


def _options_taken(request: Generate) -> Generate:
    if request.extra is None or "freehold" not in request.extra.fields:
        return request
    fields = dict(request.extra.fields)
    ours = fields.pop("freehold")
    options = ours.get("provider_options") if isinstance(ours, dict) and len(ours) == 1 else None
    if not isinstance(options, dict) or not all(isinstance(item, dict) for item in options.values()):
        raise CallerError(
            'freehold must be {"provider_options": {"<provider>": {...}}}', code="invalid_request", param="freehold"
        )
    by_provider = {name: item for name, item in options.items() if isinstance(item, dict)}
    return msgspec.structs.replace(request, extra=Extra(request.extra.origin, fields), options=by_provider)


def _with_options(body: bytes, options: JsonObject) -> bytes:
    """A body with a provider's own fields put over it; objects are merged, anything else is replaced."""
    return write_json(_merged(parse_object(body), options))


def _merged(under: JsonObject, over: JsonObject) -> JsonObject:
    merged = dict(under)
    for name, value in over.items():
        known = merged.get(name)
        merged[name] = _merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return merged


def encode(request: Request, target: Target, client: Codec, losses: tuple[Loss, ...]) -> Prepared:
    """The request in the target's protocol. Raises Unsupported where it has no words for this operation."""
    named = with_model(request, target.model)
    encoded = target.codec.encode_request(named, target.dialect)
    lane: Lane = "same-language" if client.name == target.codec.name else "translate"
    wire = encoded.value
    options = named.options.get(target.provider) if isinstance(named, Generate) else None
    if options:
        wire = msgspec.structs.replace(wire, body=_with_options(wire.body, options))
    return _edited(target, lane, wire, losses + encoded.losses, named)


def with_model(request: Request, model: str) -> Request:
    """The request for a model of another name."""
    match request:
        case Generate() | Embed():
            return request if request.model == model else msgspec.structs.replace(request, model=model)
        case Count():
            generate = msgspec.structs.replace(request.generate, model=model)
            return msgspec.structs.replace(request, generate=generate)
        case _:
            return request


def _edited(
    target: Target, lane: Lane, wire: WireRequest, losses: tuple[Loss, ...], request: Request | None = None
) -> Prepared:
    edit = target.edits.get("stream" if wire.stream else wire.operation)
    if edit is not None:
        body, lost = edit(wire.body)
        losses += lost
        if body is not wire.body:
            wire = msgspec.structs.replace(wire, body=body)
    return Prepared(target=target, lane=lane, wire=wire, losses=losses, request=request)


def choose_target(place: Place, client: Codec, request_of: RequestOf, operation: Operation) -> Target:
    """The target of a place that says this request best: the client's own protocol, else the one that loses least.

    Raises Unsupported if none of them has a path for the operation.
    """
    able = [target for target in place.targets if operation in target.operations]
    for target in able:
        if target.codec.name == client.name:
            return target
    if len(able) == 1:
        return able[0]
    best: tuple[tuple[int, int, int], Target] | None = None
    for target in able:
        try:
            losses = target.codec.encode_request(with_model(request_of(), target.model), target.dialect).losses
        except (Unsupported, CallerError):
            continue
        weight = (_count(losses, "content"), _count(losses, "behaviour"), len(losses))
        if weight == (0, 0, 0):
            return target
        if best is None or weight < best[0]:
            best = (weight, target)
    if best is None:
        raise Unsupported(f"{place.name}: {_NOT_OFFERED[operation]}")
    return best[1]


_NOT_OFFERED: dict[Operation, str] = {
    "generate": "nothing that it is asked in generates answers; ask another model for them",
    "embed": "its provider makes no vectors of it; name a model made for embeddings",
    "count": "its provider counts no tokens before they are asked for; read the usage of an answer, or count with a "
    "model at Anthropic, Amazon Bedrock, Google or OpenAI",
    "list": "it can not be listed",
}
"""What a caller whose model lacks an operation is told, with the remedy."""


def _count(losses: tuple[Loss, ...], effect: str) -> int:
    return sum(loss.effect == effect for loss in losses)


def refused_losses(losses: tuple[Loss, ...], strictness: Strictness) -> tuple[Loss, ...]:
    """The losses that this strictness does not allow."""
    match strictness:
        case "report":
            return ()
        case "reject":
            return losses
        case "reject-content":
            return tuple(loss for loss in losses if loss.effect == "content")
