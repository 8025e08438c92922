"""AWS errors, both ways: the type stands in a header (whole answers) or in the frame (streams), the body says why.

A leaf that every codec of an AWS protocol shares.  Types and statuses are those of botocore's `bedrock-runtime` service
model; the ones of the signature check come from AWS's common errors.
"""

from __future__ import annotations

import math
from typing import cast

from freehold.errors import CallerError, ErrorKind, kind_of_status
from freehold.ir import Extra, Failure, Fields, JsonObject, JsonValue, Language, parse_json, write_json
from freehold.protocols.codec import Frame, Headers, Stamp, WireResponse
from freehold.protocols.foreign_errors import message_of, seconds_to_wait

KIND_OF_TYPE: dict[str, ErrorKind] = {
    "ValidationException": "invalid_request",
    "SerializationException": "invalid_request",
    "AccessDeniedException": "permission",
    "UnrecognizedClientException": "authentication",
    "InvalidSignatureException": "authentication",
    "IncompleteSignatureException": "authentication",
    "SignatureDoesNotMatch": "authentication",
    "ExpiredTokenException": "authentication",
    "MissingAuthenticationTokenException": "authentication",
    "InvalidClientTokenId": "authentication",
    "ResourceNotFoundException": "not_found",
    "UnknownOperationException": "not_found",
    "ConflictException": "conflict",
    "ThrottlingException": "rate_limit",
    "TooManyRequestsException": "rate_limit",
    "ModelNotReadyException": "unavailable",
    "ModelTimeoutException": "timeout",
    "ModelErrorException": "bad_gateway",
    "ModelStreamErrorException": "bad_gateway",
    "InternalServerException": "internal",
    "InternalFailure": "internal",
    "ServiceUnavailableException": "unavailable",
    "ServiceQuotaExceededException": "quota",
}
"""What each error type means."""

_TYPE_AND_STATUS: dict[str, tuple[str, int]] = {
    "invalid_request": ("ValidationException", 400),
    "authentication": ("UnrecognizedClientException", 403),
    "billing": ("AccessDeniedException", 403),
    "permission": ("AccessDeniedException", 403),
    "not_found": ("ResourceNotFoundException", 404),
    "conflict": ("ConflictException", 400),
    "too_large": ("ValidationException", 400),
    "rate_limit": ("ThrottlingException", 429),
    "quota": ("ServiceQuotaExceededException", 400),
    "internal": ("InternalServerException", 500),
    "unsupported": ("ValidationException", 501),
    "bad_gateway": ("ModelErrorException", 424),
    "unavailable": ("ServiceUnavailableException", 503),
    "timeout": ("ModelTimeoutException", 408),
    "overloaded": ("ServiceUnavailableException", 503),
    "content_refused": ("ValidationException", 400),
}
"""How each of our kinds is said: the type, which alone chooses the SDK's exception class, and the model's status."""

_TYPE_IN_STREAM: dict[str, str] = {
    "invalid_request": "validationException",
    "too_large": "validationException",
    "content_refused": "validationException",
    "unsupported": "validationException",
    "conflict": "validationException",
    "rate_limit": "throttlingException",
    "quota": "throttlingException",
    "unavailable": "serviceUnavailableException",
    "overloaded": "serviceUnavailableException",
    "bad_gateway": "modelStreamErrorException",
    "timeout": "modelStreamErrorException",
}
"""The exceptions that both kinds of stream know; anything else is `internalServerException`."""

_STATUS_OF_TYPE = {"ModelNotReadyException": 429, "TooManyRequestsException": 429}
"""Types whose status is not that of their kind."""

_UNMODELLED = "unmodelled"
"""Extra that marks an error frame whose type no service model lists (`:message-type: error`)."""

# --- Reading ---------------------------------------------------------------------------------------------------------


def decode_aws_error(wire: WireResponse, language: Language) -> Failure:
    """An error answer of any shape; its type comes from the header, else from `__type` in the body."""
    headers = {name.lower(): value for name, value in wire.headers}
    try:
        value = parse_json(wire.body)
    except CallerError:
        value = None
    kind_word = error_type(headers, value)
    kind = KIND_OF_TYPE.get(kind_word or "") or kind_of_status(wire.status)
    extra: Extra | None = None
    body: str | None = None
    if isinstance(value, dict) and isinstance(value.get("message"), str):
        fields = Fields(value, language)
        message = cast("str", fields.take("message"))
        extra = fields.mark()
    else:
        body = wire.body.decode(errors="replace")
        message = message_of(value, body, wire.status)
    return Failure(
        origin=language.name,
        status=wire.status,
        kind=kind,
        message=message or f"the provider answered {wire.status} without a word",
        code=kind_word,
        type=kind_word,
        request_id=headers.get("x-amzn-requestid") or headers.get("x-amz-request-id") or headers.get("request-id"),
        retry_after=seconds_to_wait(headers),
        body=body,
        extra=extra,
    )


def error_type(headers: dict[str, str], value: JsonValue) -> str | None:
    """The type without the service's address around it: `ValidationException:http://…`, `com.amazon…#Validation…`."""
    said: JsonValue = headers.get("x-amzn-errortype")
    if not said and isinstance(value, dict):
        said = value.get("__type")
    if not isinstance(said, str) or not said:
        return None
    return said.partition(":")[0].rpartition("#")[2] or None


def stream_failure(frame: Frame, language: Language) -> Failure:
    """An exception or error frame within a stream."""
    name = frame.event or "error"
    kind_word = name[:1].upper() + name[1:]
    try:
        value = parse_json(frame.data)
    except CallerError:
        value = None
    if isinstance(value, dict) and isinstance(value.get("message"), str):
        fields = Fields(value, language)
        message = cast("str", fields.take("message"))
        extra = fields.mark()
    else:
        message = frame.data.decode(errors="replace")
        extra = None
    if frame.kind == "error":
        extra = Extra(language, {_UNMODELLED: message})
    kind = KIND_OF_TYPE.get(kind_word, "internal")
    return Failure(
        origin=language.name,
        status=_STATUS_OF_TYPE.get(kind_word) or _TYPE_AND_STATUS[kind][1],
        kind=kind,
        message=message,
        code=name if frame.kind == "error" else kind_word,
        type=name,
        extra=extra,
    )


def broken_stream(problem: str, language: Language, *, code: str = "upstream_garbled") -> Failure:
    """The failure of a stream that broke off, or could not be read any further."""
    return Failure(origin=language.name, status=502, kind="bad_gateway", message=problem, code=code)


# --- Writing ---------------------------------------------------------------------------------------------------------


def encode_aws_error(failure: Failure, stamp: Stamp, language: Language) -> WireResponse:
    """An error as AWS SDKs expect it. What this language said itself is repeated, status and type included."""
    ours = failure.extra is not None and failure.extra.origin is language
    native = failure.origin == language.name
    kind_word, status = _type_and_status(failure, native=native)
    content_type = "application/json"
    if native and failure.body is not None:
        body = failure.body.encode()
        if not failure.body.lstrip().startswith(("{", "[")):
            content_type = "text/plain"
    else:
        value: JsonObject = {"message": failure.message}
        if ours and failure.extra is not None:
            value.update(failure.extra.fields)
        body = write_json(value)
    headers: list[tuple[str, str]] = [("content-type", content_type), ("x-amzn-requestid", stamp.id)]
    if kind_word is not None:
        headers.append(("x-amzn-errortype", kind_word))
    headers.extend(_retry_headers(failure.retry_after))
    return WireResponse(status=status, body=body, headers=tuple(headers))


def _type_and_status(failure: Failure, *, native: bool) -> tuple[str | None, int]:
    if native and failure.status >= 400:
        known = _TYPE_AND_STATUS.get(failure.kind)
        if failure.type is not None:
            # A stream's first frame may have said it, where types begin with a small letter.
            return failure.type[:1].upper() + failure.type[1:], failure.status
        return None if known is None else known[0], failure.status
    if failure.origin == "freehold" and failure.type is not None and failure.type.endswith("Exception"):
        # The signature check names AWS's own type; all of those are refusals.
        return failure.type, 403
    return _TYPE_AND_STATUS.get(failure.kind, ("InternalServerException", 500))


def _retry_headers(after: float | None) -> Headers:
    """AWS SDKs obey only the first, in milliseconds; the other is for everybody else."""
    if after is None:
        return ()
    return (("x-amz-retry-after", str(math.ceil(after * 1000))), ("retry-after", str(math.ceil(after))))


def failure_frame(failure: Failure, language: Language) -> Frame:
    """The frame that ends a stream with an error, which botocore raises as an `EventStreamError`."""
    ours = failure.extra is not None and failure.extra.origin is language
    if ours and failure.extra is not None and _UNMODELLED in failure.extra.fields:
        return Frame(kind="error", event=failure.type, data=failure.message.encode())
    value: JsonObject = {"message": failure.message}
    if ours and failure.extra is not None:
        value.update(failure.extra.fields)
    native = failure.origin == language.name and failure.type is not None
    event = failure.type if native else _TYPE_IN_STREAM.get(failure.kind, "internalServerException")
    return Frame(kind="exception", event=event, data=write_json(value))
