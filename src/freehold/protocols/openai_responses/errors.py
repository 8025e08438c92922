"""Errors: `{"error": {"message", "type", "param", "code"}}`, and what compatible servers send instead."""

from __future__ import annotations

from math import ceil
from typing import Final, cast, get_args

import msgspec

from freehold.errors import STATUS_OF_KIND, CallerError, ErrorKind, kind_of_status
from freehold.ir import Failure, JsonObject, JsonValue, parse_json, write_json
from freehold.protocols.codec import Headers, Stamp, WireResponse
from freehold.protocols.openai_responses.language import NAME, keep, ours
from freehold.protocols.openai_responses.residual import residual, restore

REQUEST_ID: Final = "x-request-id"
_REQUEST_IDS = (REQUEST_ID, "apim-request-id", "x-ms-request-id", "x-amzn-requestid", "request-id")
_KEPT_HEADERS = frozenset({"x-should-retry"})

_KIND_OF_CODE: dict[str, ErrorKind] = {
    "billing_hard_limit_reached": "billing",
    "billing_not_active": "billing",
    "content_filter": "content_refused",
    "content_policy_violation": "content_refused",
    "insufficient_quota": "quota",
    "invalid_api_key": "authentication",
    "invalid_prompt": "invalid_request",
    "model_not_found": "not_found",
    "DeploymentNotFound": "not_found",
    "rate_limit_exceeded": "rate_limit",
    "server_error": "internal",
    "server_is_overloaded": "overloaded",
    "slow_down": "overloaded",
    "unsupported_country_region_territory": "permission",
    "context_length_exceeded": "invalid_request",
}
"""What a code says better than the status; also the only word there is inside a stream."""

_CODE_OF_KIND: dict[ErrorKind, str] = {
    "authentication": "invalid_api_key",
    "not_found": "model_not_found",
    "quota": "insufficient_quota",
    "rate_limit": "rate_limit_exceeded",
    "content_refused": "content_policy_violation",
}

_TYPE_OF_KIND: dict[ErrorKind, str] = {"quota": "insufficient_quota", "rate_limit": "rate_limit_error"}

_KINDS: frozenset[str] = frozenset(get_args(ErrorKind))


def _kind(failure: Failure) -> ErrorKind:
    return cast("ErrorKind", failure.kind) if failure.kind in _KINDS else kind_of_status(failure.status)


# --- Reading ---------------------------------------------------------------------------------------------------------


def decode_error(wire: WireResponse) -> Failure:
    """An error answer: the protocol's JSON, another shape of JSON, or text of any kind."""
    try:
        body = parse_json(wire.body)
    except CallerError:
        body = None
    if isinstance(body, dict):
        return read_error(body, wire.status, wire.headers)
    text = wire.body.decode("utf-8", "replace")
    failure = _failure(text.strip() or f"the provider answered {wire.status} without a word", wire.status, wire.headers)
    return msgspec.structs.replace(failure, body=text)


def read_error(body: JsonObject, status: int, headers: Headers = ()) -> Failure:
    """An error in a JSON object, whichever of the known shapes it has.

    xAI puts the text itself into `error`, with `code` beside it; others have only `message` or `detail`.
    """
    inner = body.get("error")
    said = inner if isinstance(inner, dict) else body
    texts = (said.get("message"), inner, said.get("detail"), said.get("msg"))
    message = next((text for text in texts if isinstance(text, str)), None)
    bare = _failure(
        message if message is not None else f"the provider answered {status}",
        status,
        headers,
        code=_word(said.get("code")),
        type=_str(said.get("type")),
        param=_str(said.get("param")),
    )
    return msgspec.structs.replace(bare, extra=keep(residual(body, error_object(bare))))


def _failure(
    message: str,
    status: int,
    headers: Headers,
    *,
    code: str | None = None,
    type: str | None = None,  # noqa: A002 - the wire's own word
    param: str | None = None,
) -> Failure:
    kind = _KIND_OF_CODE.get(code or "") or _KIND_OF_CODE.get(type or "") or _kind_of_status(status, type)
    found = {name.lower(): value for name, value in headers}
    return Failure(
        origin=NAME,
        # An error may hide in a success (seen at Azure); then only its code tells.
        status=status if status >= 400 else STATUS_OF_KIND[kind],
        kind=kind,
        message=message,
        code=code,
        type=type,
        param=param,
        request_id=next((found[name] for name in _REQUEST_IDS if name in found), None),
        retry_after=_retry_after(found),
        headers=tuple((name, found[name]) for name in sorted(_KEPT_HEADERS & found.keys())),
    )


def _kind_of_status(status: int, type: str | None) -> ErrorKind:  # noqa: A002 - the wire's own word
    """The kind where no code tells; inside a success (a stream) the status tells nothing."""
    if status >= 400:
        return kind_of_status(status)
    return "invalid_request" if type == "invalid_request_error" else "internal"


def _str(value: JsonValue) -> str | None:
    return value if isinstance(value, str) else None


def _word(value: JsonValue) -> str | None:
    """A code, also where it is a number (OpenRouter)."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _str(value)


def _retry_after(headers: dict[str, str]) -> float | None:
    """Seconds to wait, as SDKs read them: milliseconds first. A date is left to whoever has a clock."""
    for name, unit in (("retry-after-ms", 1000), ("x-amz-retry-after", 1000), ("retry-after", 1)):
        text = headers.get(name, "").strip()
        if text.replace(".", "", 1).isdecimal():
            return float(text) / unit
    return None


# --- Writing ---------------------------------------------------------------------------------------------------------


def encode_error(failure: Failure, stamp: Stamp) -> WireResponse:
    """The status, body and headers by which the SDKs choose their exception and their patience."""
    kind = _kind(failure)
    status = failure.status if failure.status >= 400 else STATUS_OF_KIND[kind]
    headers: list[tuple[str, str]] = [("content-type", "application/json"), (REQUEST_ID, stamp.id)]
    if failure.retry_after is not None:
        headers.append(("retry-after", str(ceil(failure.retry_after))))
        headers.append(("retry-after-ms", str(ceil(failure.retry_after * 1000))))
    if failure.origin != NAME:
        return WireResponse(status=status, body=write_json(error_object(failure)), headers=tuple(headers))
    headers.extend(failure.headers)
    if failure.body is not None:
        headers[0] = ("content-type", "text/plain; charset=utf-8")
        return WireResponse(status=status, body=failure.body.encode(), headers=tuple(headers))
    body = restore(error_object(failure), ours(failure.extra) or {})
    return WireResponse(status=status, body=write_json(body), headers=tuple(headers))


def error_object(failure: Failure) -> JsonObject:
    """An error as this protocol writes it by itself."""
    return {"error": error_fields(failure)}


def error_fields(failure: Failure) -> JsonObject:
    """The four members of an error; another language's code gives way to the one that our clients look for."""
    kind = _kind(failure)
    if failure.origin == NAME:
        return {"message": failure.message, "type": failure.type, "param": failure.param, "code": failure.code}
    fallback = "server_error" if STATUS_OF_KIND[kind] >= 500 else "invalid_request_error"
    return {
        "message": failure.message,
        "type": _TYPE_OF_KIND.get(kind, fallback),
        "param": failure.param,
        "code": _CODE_OF_KIND.get(kind, failure.code),
    }


def stream_error(failure: Failure) -> JsonObject:
    """The `error` member of a failed response, whose codes are a closed list in the SDKs' models."""
    if failure.origin == NAME and failure.code is not None:
        return {"code": failure.code, "message": failure.message}
    match _kind(failure):
        case "rate_limit" | "quota":
            code = "rate_limit_exceeded"
        case "invalid_request" | "too_large" | "content_refused":
            code = "invalid_prompt"
        case _:
            code = "server_error"
    return {"code": code, "message": failure.message}
