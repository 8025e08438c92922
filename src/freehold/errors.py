"""The error tree: what went wrong, whose fault it was, and whether trying again can help.

    FreeholdError
    ├── CallerError      the caller can fix it (4xx in the caller's own protocol)
    ├── UpstreamError    a provider, or the way to it, failed
    ├── RunError         durable work could not go on
    └── ConfigError      the configuration is wrong; raised at start-up and reload

Anything else that is raised is a bug and propagates.  Retry advice and blame are data on the error:
no code reads a message to decide anything.
"""

from __future__ import annotations

from typing import Literal

import msgspec

DOCS = "https://freehold.dev/docs/reference/errors#"
"""Where each error code has its anchor; the same page stands in `docs/reference/errors.md`."""

ErrorKind = Literal[
    "invalid_request",  # 400, also 405, 415, 422: the request itself is wrong
    "authentication",  # 401: no key, or a wrong one
    "billing",  # 402: the account at the provider has no money or no plan
    "permission",  # 403
    "not_found",  # 404: model, path or resource
    "conflict",  # 409
    "too_large",  # 413 and 431
    "rate_limit",  # 429: come back later
    "quota",  # 429 or 400 that no waiting inside this exchange can cure
    "internal",  # 500
    "unsupported",  # 501
    "bad_gateway",  # 502: the answer could not be understood
    "unavailable",  # 503: not reachable, or refusing work
    "timeout",  # 408, 504
    "overloaded",  # 529, and 503s that say so
    "content_refused",  # a content filter or guardrail refused the request as a whole
]

STATUS_OF_KIND: dict[ErrorKind, int] = {
    "invalid_request": 400,
    "authentication": 401,
    "billing": 402,
    "permission": 403,
    "not_found": 404,
    "conflict": 409,
    "too_large": 413,
    "rate_limit": 429,
    "quota": 429,
    "internal": 500,
    "unsupported": 501,
    "bad_gateway": 502,
    "unavailable": 503,
    "timeout": 504,
    "overloaded": 529,
    "content_refused": 400,
}

_KIND_OF_STATUS: dict[int, ErrorKind] = {
    400: "invalid_request",
    401: "authentication",
    402: "billing",
    403: "permission",
    404: "not_found",
    405: "invalid_request",
    408: "timeout",
    409: "conflict",
    413: "too_large",
    415: "invalid_request",
    422: "invalid_request",
    424: "bad_gateway",
    429: "rate_limit",
    431: "too_large",
    500: "internal",
    501: "unsupported",
    502: "bad_gateway",
    503: "unavailable",
    504: "timeout",
    529: "overloaded",
}


def kind_of_status(status: int) -> ErrorKind:
    """The kind that an HTTP status means when the body says nothing better."""
    known = _KIND_OF_STATUS.get(status)
    if known is not None:
        return known
    return "internal" if status >= 500 else "invalid_request"


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """Whether and where a failed request may be tried again.

    `after` is in seconds: what the provider asked for (Retry-After), or None where it said nothing.
    """

    where: Literal["never", "same_target", "other_target"]
    after: float | None = None


NEVER = Retry(where="never")
OTHER_TARGET = Retry(where="other_target")


def retry_of_kind(kind: ErrorKind, after: float | None = None) -> Retry:
    """Retry advice that follows from the kind alone; a provider's word in `after` is kept.

    A rejected credential, an empty account or a missing model is the account's trouble, not the caller's:
    another target may well answer.
    """
    match kind:
        case "invalid_request" | "too_large" | "conflict" | "content_refused" | "unsupported":
            return NEVER
        case "authentication" | "billing" | "permission" | "not_found" | "quota":
            return OTHER_TARGET
        case _:
            return OTHER_TARGET if after is None else Retry(where="other_target", after=after)


class FreeholdError(Exception):
    """Root of every error Freehold raises on purpose."""

    def __init__(
        self,
        message: str,
        *,
        code: str,
        kind: ErrorKind,
        status: int | None = None,
        param: str | None = None,
        retry: Retry | None = None,
    ) -> None:
        """`code` is stable public API; `param` is the path of the offending field in the caller's own body."""
        super().__init__(message)
        self.message = message
        self.code = code
        self.kind: ErrorKind = kind
        self.status = STATUS_OF_KIND[kind] if status is None else status
        self.param = param
        self.retry = retry if retry is not None else retry_of_kind(kind)

    @property
    def docs(self) -> str:
        """The page and anchor that explain this code."""
        return DOCS + self.code


class CallerError(FreeholdError):
    """The caller can fix it: a malformed body, an unknown model, a missing key, a loss that is not allowed."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "invalid_request",
        kind: ErrorKind = "invalid_request",
        status: int | None = None,
        param: str | None = None,
        retry: Retry | None = NEVER,
    ) -> None:
        super().__init__(message, code=code, kind=kind, status=status, param=param, retry=retry)


class UpstreamError(FreeholdError):
    """A provider answered with an error, answered nonsense, or could not be reached.

    `upstream_status`, `body` and `request_id` are what the provider sent, None where it sent nothing.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "upstream_error",
        kind: ErrorKind = "bad_gateway",
        status: int | None = None,
        param: str | None = None,
        retry: Retry | None = None,
        upstream_status: int | None = None,
        body: bytes | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, code=code, kind=kind, status=status, param=param, retry=retry)
        self.upstream_status = upstream_status
        self.body = body
        self.request_id = request_id


class RunError(FreeholdError):
    """A durable run could not go on."""


class ConfigError(FreeholdError):
    """The configuration is wrong; the message names file, key path, line and remedy."""

    def __init__(self, message: str, *, code: str = "invalid_config") -> None:
        super().__init__(message, code=code, kind="invalid_request", retry=NEVER)
