"""Errors as values: from an exception to a `Failure` that any codec can say, and back to retry advice."""

from __future__ import annotations

from typing import cast, get_args
from urllib.parse import unquote

import msgspec

from freehold.config.secret import MASK
from freehold.errors import ErrorKind, FreeholdError, Retry, UpstreamError, kind_of_status, retry_of_kind
from freehold.ir import Failure
from freehold.protocols.codec import WireResponse
from freehold.providers.auth import Grant

FREEHOLD = "freehold"
"""The origin of failures that Freehold itself reports."""

_KINDS = frozenset(get_args(ErrorKind))


class AttemptFailedError(UpstreamError):
    """A target answered with an error, or broke off before its first word; `failure` is what it said."""

    def __init__(self, failure: Failure, retry: Retry) -> None:
        kind = kind_of(failure)
        super().__init__(
            failure.message,
            code=failure.code or "upstream_error",
            kind=kind,
            status=failure.status,
            retry=retry,
            upstream_status=failure.status,
            request_id=failure.request_id,
        )
        self.failure = failure


def kind_of(failure: Failure) -> ErrorKind:
    """The kind of a failure; what a codec does not name follows from the status."""
    return cast("ErrorKind", failure.kind) if failure.kind in _KINDS else kind_of_status(failure.status)


def attempt_failed(failure: Failure) -> AttemptFailedError:
    """The exception of a failure, with the retry advice that its kind and its Retry-After give."""
    return AttemptFailedError(failure, retry_of_kind(kind_of(failure), failure.retry_after))


def failure_of(error: FreeholdError) -> Failure:
    """What a caller is told about an error."""
    if isinstance(error, AttemptFailedError):
        return error.failure
    return Failure(
        origin=FREEHOLD,
        status=error.status,
        kind=error.kind,
        message=error.message,
        code=error.code,
        type=getattr(error, "aws_code", None),
        param=error.param,
        retry_after=error.retry.after,
    )


_SHORTEST_SECRET = 6
"""Characters; anything shorter (an account's header `x-team: a`) would be found by chance."""


def without_credentials(said: WireResponse, granted: Grant) -> WireResponse:
    """A provider's error without the credential that it was asked with: some repeat what they refuse."""
    sent = [value.removeprefix("Bearer ") for _, value in granted.headers]
    sent.extend(form for form in (granted.query.partition("=")[2], unquote(granted.query.partition("=")[2])))
    body = said.body
    headers: tuple[tuple[str, str], ...] = said.headers
    for secret in sent:
        if len(secret) >= _SHORTEST_SECRET:
            body = body.replace(secret.encode(), MASK.encode())
            headers = tuple((name, value.replace(secret, "***")) for name, value in headers)
    return msgspec.structs.replace(said, body=body, headers=headers)


def for_caller(failure: Failure, target: str) -> Failure:
    """A provider's failure as the caller may see it: whose it was, without the provider's own headers.

    A refused credential of *ours* is not the caller's: it stays an authentication error in their SDK, but the message
    says which account it was.
    """
    if failure.kind in {"authentication", "permission", "billing"}:
        return Failure(
            origin=failure.origin,
            # AWS says 403 to a wrong key; other vendors' clients know that by 401.
            status=401 if failure.kind == "authentication" else failure.status,
            kind=failure.kind,
            message=f"{target}: {failure.message}" if target else failure.message,
            code=failure.code,
            type=failure.type,
            param=failure.param,
            retry_after=failure.retry_after,
        )
    return failure
