"""Errors, read from whatever a provider sends and written in Anthropic's form."""

from __future__ import annotations

import math

from freehold.errors import STATUS_OF_KIND, CallerError, ErrorKind, kind_of_status
from freehold.ir import Failure, Fields, JsonObject, parse_json, write_json
from freehold.protocols.anthropic_messages.language import LANGUAGE
from freehold.protocols.codec import Headers, Stamp, WireResponse
from freehold.protocols.foreign_errors import message_of, seconds_to_wait

KIND_OF_TYPE: dict[str, ErrorKind] = {
    "invalid_request_error": "invalid_request",
    "authentication_error": "authentication",
    "billing_error": "billing",
    "permission_error": "permission",
    "not_found_error": "not_found",
    "conflict_error": "conflict",
    "request_too_large": "too_large",
    "rate_limit_error": "rate_limit",
    "api_error": "internal",
    "timeout_error": "timeout",
    "overloaded_error": "overloaded",
}
"""Anthropic's error types, as its error page and the SDK's types list them."""

_TYPE_OF_KIND: dict[ErrorKind, str] = {
    "invalid_request": "invalid_request_error",
    "authentication": "authentication_error",
    "billing": "billing_error",
    "permission": "permission_error",
    "not_found": "not_found_error",
    "conflict": "invalid_request_error",
    "too_large": "request_too_large",
    "rate_limit": "rate_limit_error",
    "quota": "rate_limit_error",
    "internal": "api_error",
    "unsupported": "api_error",
    "bad_gateway": "api_error",
    "unavailable": "api_error",
    "timeout": "timeout_error",
    "overloaded": "overloaded_error",
    "content_refused": "invalid_request_error",
}

# --- Reading ---------------------------------------------------------------------------------------------------------


def decode_error(wire: WireResponse) -> Failure:
    """An error answer of any shape."""
    try:
        value = parse_json(wire.body)
    except CallerError:
        value = None
    headers = dict(wire.headers)
    if isinstance(value, dict) and isinstance(value.get("error"), dict):
        return read_error(value, wire.status, headers)
    text = wire.body.decode(errors="replace").strip()
    return Failure(
        origin=LANGUAGE.name,
        status=wire.status,
        kind=kind_of_status(wire.status),
        message=message_of(value, text, wire.status),
        request_id=_request_id(headers),
        retry_after=seconds_to_wait(headers),
        body=text,
        headers=_kept(headers),
    )


def read_error(value: JsonObject, status: int, headers: dict[str, str] | None = None) -> Failure:
    """`{"type": "error", "error": {"type", "message"}}`, as a whole answer or (status 200) inside of a stream."""
    headers = {} if headers is None else headers
    outer = Fields(value, LANGUAGE)
    inner = Fields(outer.take("error") if isinstance(value.get("error"), dict) else {}, LANGUAGE)
    outer.take_constant("type", "error")
    kind_word, message = inner.take_str("type"), inner.take_str("message")
    kind = KIND_OF_TYPE.get(kind_word or "") or (kind_of_status(status) if status >= 400 else "internal")
    if kind_word == "api_error" and status >= 400:
        kind = kind_of_status(status)  # Anthropic says it of every failure of its own, a 503 and a 504 included
    left = inner.rest()
    if left is not None:
        outer.put_back("error", left.fields)
    body_id = outer.peek("request_id")
    code = inner.peek("code")
    return Failure(
        origin=LANGUAGE.name,
        status=status if status >= 400 else STATUS_OF_KIND[kind],
        kind=kind,
        message="" if message is None else message,
        type=kind_word,
        code=code if isinstance(code, str) else None,
        request_id=_request_id(headers) or (body_id if isinstance(body_id, str) else None),
        retry_after=seconds_to_wait(headers),
        headers=_kept(headers),
        extra=outer.rest(),
    )


def _request_id(headers: dict[str, str]) -> str | None:
    return next((headers[name] for name in ("request-id", "x-amzn-requestid", "x-request-id") if name in headers), None)


def _kept(headers: dict[str, str]) -> Headers:
    """Retry advice that is no number; the rate limits of one account are nobody else's business."""
    return tuple((name, headers[name]) for name in ("x-should-retry",) if name in headers)


# --- Writing ---------------------------------------------------------------------------------------------------------


def error_body(failure: Failure, stamp: Stamp) -> JsonObject:
    """The JSON of an error, in an answer or in a stream."""
    ours = failure.extra is not None and failure.extra.origin is LANGUAGE
    native = failure.origin == LANGUAGE.name and failure.body is None and failure.type is not None
    kind_word = failure.type if native else _type_of(failure)
    error: JsonObject = {"type": kind_word, "message": failure.message}
    body: JsonObject = {"type": "error", "error": error}
    if failure.extra is not None and ours:
        for name, value in failure.extra.fields.items():
            if name == "error" and isinstance(value, dict):
                error.update(value)
            else:
                body[name] = value
    elif not native:
        body["request_id"] = stamp.id
    return body


def _type_of(failure: Failure) -> str:
    return next((word for kind, word in _TYPE_OF_KIND.items() if kind == failure.kind), "api_error")


def encode_error(failure: Failure, stamp: Stamp) -> WireResponse:
    """An error as Anthropic's clients expect it: the class they raise follows from the status."""
    headers: list[tuple[str, str]] = [("content-type", "application/json"), ("request-id", stamp.id)]
    if failure.retry_after is not None:
        headers.append(("retry-after", _seconds(failure.retry_after)))
    headers.extend(pair for pair in failure.headers if pair[0] == "x-should-retry")
    return WireResponse(status=failure.status, body=write_json(error_body(failure, stamp)), headers=tuple(headers))


def _seconds(after: float) -> str:
    """Whole seconds, rounded up: what every client understands."""
    return str(math.ceil(after))


def stream_failure(problem: str, code: str) -> Failure:
    """An answer that broke off, or could not be read any further."""
    return Failure(origin=LANGUAGE.name, status=502, kind="bad_gateway", message=problem, code=code)
