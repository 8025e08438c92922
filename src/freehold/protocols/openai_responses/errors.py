"""Errors inside answers: `response.failed`, the `error` event, and answers that failed under a successful status.

Errors instead of answers have the shape of the OpenAI family (`freehold.protocols.openai_errors`).
"""

from __future__ import annotations

from typing import cast

import msgspec

from freehold.errors import ErrorKind
from freehold.ir import Failure, JsonObject
from freehold.protocols.codec import Stamp, WireResponse
from freehold.protocols.openai_errors import (
    TYPE_OF_KIND,
    decode_failure,
    encode_failure,
    failure_of_object,
    write_failure,
)
from freehold.protocols.openai_responses.language import LANGUAGE, NAME

_STATUS_OF_CODE = {
    "context_length_exceeded": 400,
    "insufficient_quota": 429,
    "invalid_prompt": 400,
    "invalid_request_error": 400,
    "rate_limit_exceeded": 429,
    "server_error": 500,
    "server_is_overloaded": 503,
    "slow_down": 503,
}
"""The status that a code would have had, if it had come instead of an answer."""

_CODE_OF_KIND: dict[ErrorKind, str] = {
    "content_refused": "invalid_prompt",
    "invalid_request": "invalid_prompt",
    "quota": "rate_limit_exceeded",
    "rate_limit": "rate_limit_exceeded",
    "too_large": "invalid_prompt",
}
"""Codes of a failed response are a closed list in the API's schema; every other kind is a `server_error`."""


def decode_error(wire: WireResponse) -> Failure:
    """An error answer, whatever its shape."""
    return decode_failure(wire, LANGUAGE)


def encode_error(failure: Failure, stamp: Stamp) -> WireResponse:
    """An error as this protocol's clients expect it."""
    return encode_failure(failure, stamp, LANGUAGE)


def failure_in(body: JsonObject) -> Failure:
    """The failure in a failed response (`error` inside) or an `error` event (members inside, or beside)."""
    inner = body.get("error")
    match inner:
        case dict():
            error = inner
        case str():
            error: JsonObject = {"message": inner, "code": body.get("code")}
        case _:
            error = {name: body[name] for name in ("message", "code", "param") if name in body}
    words = (error.get("code"), error.get("type"))
    status = next((_STATUS_OF_CODE[word] for word in words if isinstance(word, str) and word in _STATUS_OF_CODE), 500)
    failure = failure_of_object({"error": error}, status, LANGUAGE)
    if failure.type is not None:
        return failure
    # A stream need not say a type; the answer that it becomes where no stream has begun has to.
    return msgspec.structs.replace(failure, type=TYPE_OF_KIND[cast("ErrorKind", failure.kind)])


def error_event(failure: Failure) -> JsonObject:
    """The members of an `error` event.

    The schema has them flat. The SDKs raise only for an `error` object, which is also what the API sends: so both.
    """
    inner = write_failure(failure, LANGUAGE)["error"]
    error: JsonObject = {"type": None, "code": None, "message": failure.message, "param": None}
    error.update(cast("JsonObject", inner))
    return {"code": error["code"], "message": error["message"], "param": error["param"], "error": error}


def failed_error(failure: Failure) -> JsonObject:
    """The `error` of a failed response."""
    if failure.origin == NAME and failure.code is not None:
        return {"code": failure.code, "message": failure.message}
    code = _CODE_OF_KIND.get(cast("ErrorKind", failure.kind), "server_error")
    return {"code": code, "message": failure.message}
