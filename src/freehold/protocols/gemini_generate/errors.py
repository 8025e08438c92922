"""Errors, read from whatever a provider sends and written in Google's form (google.rpc.Status)."""

from __future__ import annotations

import math
import re
from typing import cast

import msgspec

from freehold.errors import STATUS_OF_KIND, CallerError, ErrorKind, kind_of_status
from freehold.ir import Extra, Failure, JsonObject, JsonValue, parse_json, write_json
from freehold.protocols.codec import Headers, Stamp, WireResponse
from freehold.protocols.foreign_errors import message_of, seconds_to_wait
from freehold.protocols.gemini_generate.language import ABSENT, LANGUAGE, LISTED, NAME, is_ours
from freehold.protocols.gemini_generate.wire import repeat

KIND_OF_STATUS: dict[str, ErrorKind] = {
    "INVALID_ARGUMENT": "invalid_request",
    "FAILED_PRECONDITION": "invalid_request",
    "OUT_OF_RANGE": "invalid_request",
    "UNAUTHENTICATED": "authentication",
    "PERMISSION_DENIED": "permission",
    "NOT_FOUND": "not_found",
    "ALREADY_EXISTS": "conflict",
    "ABORTED": "conflict",
    "RESOURCE_EXHAUSTED": "rate_limit",
    "CANCELLED": "timeout",
    "INTERNAL": "internal",
    "UNKNOWN": "internal",
    "DATA_LOSS": "internal",
    "UNIMPLEMENTED": "unsupported",
    "UNAVAILABLE": "unavailable",
    "DEADLINE_EXCEEDED": "timeout",
}
"""Google's status words (google.rpc.Code)."""

_STATUS_OF_KIND: dict[str, str] = {
    "invalid_request": "INVALID_ARGUMENT",
    "authentication": "UNAUTHENTICATED",
    "billing": "FAILED_PRECONDITION",
    "permission": "PERMISSION_DENIED",
    "not_found": "NOT_FOUND",
    "conflict": "ABORTED",
    "too_large": "INVALID_ARGUMENT",
    "rate_limit": "RESOURCE_EXHAUSTED",
    "quota": "RESOURCE_EXHAUSTED",
    "internal": "INTERNAL",
    "unsupported": "UNIMPLEMENTED",
    "bad_gateway": "UNAVAILABLE",
    "unavailable": "UNAVAILABLE",
    "timeout": "DEADLINE_EXCEEDED",
    "overloaded": "UNAVAILABLE",
    "content_refused": "INVALID_ARGUMENT",
}

_HTTP_OF_STATUS: dict[str, int] = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
"""The HTTP status of each word that is written here (google/rpc/code.proto); Google's clients know no others."""

_KIND_OF_REASON: dict[str, ErrorKind] = {
    # A wrong key is a 400 with INVALID_ARGUMENT.
    "API_KEY_INVALID": "authentication",
    "API_KEY_EXPIRED": "authentication",
    "ACCESS_TOKEN_EXPIRED": "authentication",
    "CREDENTIALS_MISSING": "authentication",
    "BILLING_DISABLED": "billing",
    "MODEL_CAPACITY_EXHAUSTED": "overloaded",
}
"""What `reason` of a google.rpc.ErrorInfo says better than the status."""

_RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"
_ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
_SECONDS = re.compile(r"(\d+(?:\.\d+)?)s")

# --- Reading ---------------------------------------------------------------------------------------------------------


def decode_error(wire: WireResponse) -> Failure:
    """An error answer of any shape."""
    headers = dict(wire.headers)
    try:
        value = parse_json(wire.body)
    except CallerError:
        value = None
    known = read_error(value, wire.status, headers)
    if known is not None:
        return known
    text = wire.body.decode(errors="replace").strip()
    return Failure(
        origin=NAME,
        status=wire.status,
        kind=kind_of_status(wire.status),
        message=message_of(value, text, wire.status),
        request_id=_request_id(headers),
        retry_after=seconds_to_wait(headers),
        body=text,
    )


def read_error(value: JsonValue, status: int, headers: dict[str, str] | None = None) -> Failure | None:
    """`{"error": {"code", "message", "status", "details"}}`, also as the only item of a list; None for other shapes.

    `status` is the answer's own; inside of a stream it is 200 and the error's `code` counts.
    """
    headers = {} if headers is None else headers
    listed = isinstance(value, list)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict) or not isinstance(value.get("error"), dict):
        return None
    outer = {name: item for name, item in value.items() if name != "error"}
    inner = dict(cast("JsonObject", value["error"]))
    absent: list[JsonValue] = [f"error.{name}" for name in ("code", "message") if name not in inner]
    message = inner.pop("message") if isinstance(inner.get("message"), str) else ""
    word = inner.pop("status") if isinstance(inner.get("status"), str) else None
    code = inner.get("code")
    said = code if isinstance(code, int) and not isinstance(code, bool) and 400 <= code < 600 else None
    if status < 400:
        status = said or STATUS_OF_KIND[KIND_OF_STATUS.get(str(word), "internal")]
    if code == status:
        del inner["code"]
    details = inner.get("details")
    fields: JsonObject = {**outer, "error": inner}
    if absent:
        fields[ABSENT] = absent
    if listed:
        fields[LISTED] = True
    return Failure(
        origin=NAME,
        status=status,
        kind=_kind(status, word if isinstance(word, str) else None, details),
        message=message if isinstance(message, str) else "",
        type=word if isinstance(word, str) else None,
        code=_reason(details),
        request_id=_request_id(headers),
        retry_after=seconds_to_wait(headers) or _retry_detail(details),
        extra=Extra(LANGUAGE, fields),
    )


def _kind(status: int, word: str | None, details: JsonValue) -> ErrorKind:
    by_reason = _KIND_OF_REASON.get(_reason(details) or "")
    if by_reason is not None:
        return by_reason
    if status == 429 or word == "RESOURCE_EXHAUSTED":
        return "quota" if _is_daily(details) else "rate_limit"
    return KIND_OF_STATUS.get(word or "") or kind_of_status(status)


def _details(details: JsonValue) -> list[JsonObject]:
    return [item for item in details if isinstance(item, dict)] if isinstance(details, list) else []


def _reason(details: JsonValue) -> str | None:
    for item in _details(details):
        reason = item.get("reason")
        if item.get("@type") == _ERROR_INFO and isinstance(reason, str):
            return reason
    return None


def _is_daily(details: JsonValue) -> bool:
    """Whether a quota of a day is used up, which no waiting cures."""
    for item in _details(details):
        violations = item.get("violations")
        for violation in violations if isinstance(violations, list) else []:
            if isinstance(violation, dict) and "PerDay" in str(violation.get("quotaId", "")):
                return True
    return False


def _retry_detail(details: JsonValue) -> float | None:
    for item in _details(details):
        delay = item.get("retryDelay")
        found = _SECONDS.fullmatch(delay) if isinstance(delay, str) else None
        if found is not None and item.get("@type") == _RETRY_INFO:
            return float(found[1])
    return None


def _request_id(headers: dict[str, str]) -> str | None:
    return next((headers[name] for name in ("x-goog-request-id", "x-request-id") if name in headers), None)


# --- Writing ---------------------------------------------------------------------------------------------------------


def _said(failure: Failure) -> Failure:
    """An error of another origin under the status and the word that Google has for it."""
    if failure.extra is not None and is_ours(failure.extra):
        return failure
    word = _STATUS_OF_KIND.get(failure.kind, "UNKNOWN")
    return msgspec.structs.replace(failure, type=word, status=_HTTP_OF_STATUS[word])


def error_body(failure: Failure) -> JsonObject:
    """The JSON of an error, in an answer or in a stream."""
    failure = _said(failure)
    native = failure.extra is not None and is_ours(failure.extra)
    error: JsonObject = {"code": failure.status, "message": failure.message}
    if failure.type is not None:
        error["status"] = failure.type
    body: JsonObject = {"error": error}
    if failure.extra is not None and native:
        left = failure.extra.fields.get("error")
        error.update(left if isinstance(left, dict) else {})
        repeat(failure.extra.fields, body)
        return body
    details = _written_details(failure)
    if details:
        error["details"] = details
    return body


def _written_details(failure: Failure) -> list[JsonValue]:
    details: list[JsonValue] = []
    if failure.code is not None:
        details.append({"@type": _ERROR_INFO, "reason": failure.code.upper(), "domain": "freehold.dev"})
    if failure.retry_after is not None:
        details.append({"@type": _RETRY_INFO, "retryDelay": f"{failure.retry_after:g}s"})
    return details


def encode_error(failure: Failure, stamp: Stamp) -> WireResponse:
    """An error as Google's clients expect it: the class they raise follows from the status."""
    body: JsonValue = error_body(failure)
    if failure.extra is not None and is_ours(failure.extra) and failure.extra.fields.get(LISTED) is True:
        body = [body]
    headers: Headers = (("content-type", "application/json"), ("x-goog-request-id", stamp.id))
    if failure.retry_after is not None:
        headers = (*headers, ("retry-after", str(math.ceil(failure.retry_after))))
    return WireResponse(status=_said(failure).status, body=write_json(body), headers=headers)


def stream_failure(problem: str, code: str) -> Failure:
    """An answer that broke off, or could not be read any further."""
    return Failure(origin=NAME, status=502, kind="bad_gateway", message=problem, code=code)
