"""Errors of the OpenAI family, read in any shape its servers use and written as its SDKs expect (WIRE_FACTS 15 to 17).

The protocol's own shape is `{"error": {"message", "type", "param", "code"}}`. Anything else that a server answers
(other vendors' JSON, plain text, HTML, nothing) is kept as its raw text in `Failure.body` and understood as far as
possible.
"""

from __future__ import annotations

import math
from typing import cast

import msgspec

from freehold.errors import CallerError, ErrorKind, UpstreamError, kind_of_status
from freehold.ir import Extra, Failure, Fields, JsonObject, JsonValue, Language, parse_json, write_json
from freehold.protocols.codec import Headers, Stamp, WireResponse
from freehold.protocols.foreign_errors import message_of, seconds_to_wait

_INNER = "error."
"""Before the names of extras that stood in the `error` object."""

_KIND_OF_CODE: dict[str, ErrorKind] = {
    "billing_hard_limit_reached": "quota",
    "billing_not_active": "billing",
    "content_filter": "content_refused",
    "content_policy_violation": "content_refused",
    "deploymentnotfound": "not_found",
    "insufficient_balance": "billing",
    "insufficient_quota": "quota",
    "invalid_api_key": "authentication",
    "invalid_authentication_error": "authentication",
    "authentication_error": "authentication",
    "model_not_found": "not_found",
    "overloaded_error": "overloaded",
    "permission_error": "permission",
    "rate_limit_exceeded": "rate_limit",
    "rate_limited": "rate_limit",
    "responsibleaipolicyviolation": "content_refused",
    "server_overloaded": "overloaded",
}
"""What a code or type means, whatever the status; in lower case."""

TYPE_OF_KIND: dict[ErrorKind, str] = {
    "invalid_request": "invalid_request_error",
    "authentication": "authentication_error",
    "billing": "insufficient_quota",
    "permission": "permission_error",
    "not_found": "invalid_request_error",
    "conflict": "invalid_request_error",
    "too_large": "invalid_request_error",
    "rate_limit": "rate_limit_error",
    "quota": "insufficient_quota",
    "internal": "server_error",
    "unsupported": "invalid_request_error",
    "bad_gateway": "server_error",
    "unavailable": "server_error",
    "timeout": "server_error",
    "overloaded": "server_error",
    "content_refused": "invalid_request_error",
}
"""The `type` of an error, which the schema requires."""

_NO_RETRY = frozenset({"quota", "billing"})
"""Kinds that SDKs would retry by their status (429), though no waiting helps."""

_REQUEST_IDS = ("x-request-id", "apim-request-id", "request-id", "x-amzn-requestid", "x-ms-request-id")

# --- Reading ----------------------------------------------------------------------------------------------------------


def decode_failure(wire: WireResponse, language: Language) -> Failure:
    """An error answer of any shape."""
    body = _object_in(wire.body)
    if body is not None and isinstance(body.get("error"), dict):
        failure = failure_of_object(body, wire.status, language)
    else:
        failure = _foreign_failure(wire, body, language)
    return msgspec.structs.replace(
        failure,
        request_id=_header(wire.headers, _REQUEST_IDS),
        retry_after=seconds_to_wait(dict(reversed(wire.headers))),
        headers=_content_type(wire.headers),
    )


def failure_of_object(body: JsonObject, status: int, language: Language) -> Failure:
    """A failure from the protocol's own shape: an answer's body, or a chunk of a stream that holds an `error`."""
    fields = Fields(body, language)
    inner = Fields(fields.take_object("error") or {}, language, "error")
    failure = Failure(
        origin=language.name,
        status=status,
        kind="internal",
        message=inner.take_str("message") or "",
        code=inner.take_str("code"),
        type=inner.take_str("type"),
        param=inner.take_str("param"),
    )
    rest = inner.rest()
    if rest is not None:
        for name, value in rest.fields.items():
            fields.put_back(_INNER + name, value)
    return msgspec.structs.replace(
        failure, kind=kind_of(status, failure.code, failure.type, failure.message), extra=fields.mark()
    )


def kind_of(status: int, code: str | None, kind: str | None, message: str) -> ErrorKind:
    """The kind, by code, then type, then status."""
    for word in (code, kind):
        known = _KIND_OF_CODE.get(word.lower()) if word is not None else None
        if known is not None:
            return known
    # xAI answers 400 to a bad key, with no code that says so.
    if status == 400 and "incorrect api key" in message.lower():
        return "authentication"
    return kind_of_status(status)


def _foreign_failure(wire: WireResponse, body: JsonObject | None, language: Language) -> Failure:
    text = wire.body.decode("utf-8", "replace")
    message = message_of(body, text, wire.status)
    code = None if body is None else _text(body.get("code"))
    word = None if body is None else _text(body.get("type"))
    return Failure(
        origin=language.name,
        status=wire.status,
        kind=kind_of(wire.status, code, word, message),
        message=message,
        code=code,
        type=word,
        body=text,
    )


def error_in_success(body: JsonObject, wire: WireResponse) -> None:
    """Raises UpstreamError if a success is an error in disguise (WIRE_FACTS 11, 17)."""
    inner = body.get("error")
    if not inner or "choices" in body or "data" in body:
        return
    error: JsonObject = inner if isinstance(inner, dict) else {"message": inner}
    status = _status_in(error) or _status_in(body) or 502
    message = _text(error.get("message")) or "the provider sent an error under a successful status"
    code = _text(error.get("code"))
    raise UpstreamError(
        message,
        code=code or "upstream_error",
        kind=kind_of(status, code, _text(error.get("type")), message),
        status=status,
        param=_text(error.get("param")),
        upstream_status=wire.status,
        body=wire.body,
        request_id=_header(wire.headers, _REQUEST_IDS),
    )


def _status_in(value: JsonObject) -> int | None:
    for name in ("status", "status_code", "code"):
        status = value.get(name)
        if isinstance(status, int) and not isinstance(status, bool) and 400 <= status < 600:
            return status
    return None


def failure_in_chunk(chunk: JsonObject, language: Language) -> Failure:
    """The failure in a chunk that holds an `error` object; only the object is read."""
    error = chunk.get("error")
    inner: JsonObject = error if isinstance(error, dict) else {"message": error}
    return failure_of_object({"error": inner}, _status_in(inner) or 502, language)


def broken(language: Language, message: str) -> Failure:
    """A stream that ended or turned to nonsense before its end."""
    return Failure(
        origin=language.name,
        status=502,
        kind="bad_gateway",
        message=message,
        code="upstream_garbled",
        type="server_error",
    )


# --- Writing ----------------------------------------------------------------------------------------------------------


def encode_failure(failure: Failure, stamp: Stamp, language: Language) -> WireResponse:
    """An error as the family's SDKs read it: body, request id, and what to do about retrying."""
    headers: list[tuple[str, str]] = []
    native = failure.origin == language.name
    if native and failure.body is not None:
        body = failure.body.encode()
        headers += [pair for pair in failure.headers if pair[0] == "content-type"]
    else:
        body = write_json(write_failure(failure, language))
    if not headers:
        headers.append(("content-type", "application/json"))
    headers.append(("x-request-id", stamp.id))
    if failure.retry_after is not None:
        headers.append(("retry-after", str(max(1, math.ceil(failure.retry_after)))))
        headers.append(("retry-after-ms", str(max(0, round(failure.retry_after * 1000)))))
    if failure.kind in _NO_RETRY:
        headers.append(("x-should-retry", "false"))
    return WireResponse(status=failure.status, body=body, headers=tuple(headers))


def write_failure(failure: Failure, language: Language) -> JsonObject:
    """The body of an error, which is also what a broken stream says."""
    extra = failure.extra
    if extra is not None and extra.origin is language:
        return _repeat_failure(failure, extra)
    kind = cast("ErrorKind", failure.kind)
    return {
        "error": {
            "message": failure.message,
            "type": TYPE_OF_KIND.get(kind, "server_error"),
            "param": failure.param,
            "code": failure.code or failure.kind,
        }
    }


def _repeat_failure(failure: Failure, extra: Extra) -> JsonObject:
    error: JsonObject = {}
    for name, value in (
        ("message", failure.message or None),
        ("type", failure.type),
        ("param", failure.param),
        ("code", failure.code),
    ):
        if value is not None:
            error[name] = value
    body: JsonObject = {"error": error}
    for name, value in extra.fields.items():
        if name.startswith(_INNER):
            error.setdefault(name[len(_INNER) :], value)
        else:
            body.setdefault(name, value)
    return body


# --- Headers ----------------------------------------------------------------------------------------------------------


def _header(headers: Headers, names: tuple[str, ...]) -> str | None:
    found = dict(reversed(headers))
    for name in names:
        if name in found:
            return found[name]
    return None


def _content_type(headers: Headers) -> Headers:
    return tuple(pair for pair in headers if pair[0] == "content-type")


def _object_in(data: bytes) -> JsonObject | None:
    try:
        value = parse_json(data)
    except CallerError:
        return None
    match value:
        case dict():
            return value
        case [{"error": dict(error)}]:
            # Google's servers, the compatible one included, put errors into a list.
            return error
        case _:
            return None


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) and value else None
