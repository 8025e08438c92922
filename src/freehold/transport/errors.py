"""What can go wrong between us and an upstream.

    UpstreamError
    ├── TransportError            phase, host, and whether the request may have reached the provider
    │   ├── ConnectError          refused, unreachable, unknown name, file descriptors used up
    │   │   ├── TlsError          certificate or handshake
    │   │   └── ProxyError        the forward proxy refused the tunnel
    │   ├── PhaseTimeoutError     a phase took longer than its limit; the phase is data
    │   │   └── PoolTimeoutError  no connection became free
    │   ├── ConnectionLostError   closed or reset before the answer began
    │   ├── ProtocolError         the answer is not HTTP that we accept
    │   │   └── TruncatedError    the body ended before its announced end
    │   └── AnswerTooLargeError   the answer is larger than the reader allows
    └── FramingError              the bytes of a stream are not the framing they claim to be
        ├── FrameTooLargeError
        └── TruncatedFrameError   the stream ended inside a frame

    CallerError
    ├── ForbiddenAddressError     a URL from a user leads to an address we do not fetch
    └── UnsendableError           a header or target that can not be sent as HTTP

Messages name phase, host and remedy. They never hold credentials, headers, paths or bodies.
"""

from __future__ import annotations

from typing import Literal

from freehold.errors import CallerError, ErrorKind, UpstreamError

Phase = Literal["pool", "connect", "proxy", "tls", "send", "first_byte", "idle", "body", "total"]
"""Where a request was: waiting for a connection, resolving and connecting, asking the forward proxy, shaking hands,
sending, waiting for the head of the answer, waiting for more of its body, reading the body, or anywhere (`total`)."""

_UNSENT: frozenset[Phase] = frozenset({"pool", "connect", "proxy", "tls"})


class TransportError(UpstreamError):
    """The way to an upstream failed.

    `phase` says where, `host` with whom (`host:port`). `sent` is false when no byte of the request left us, so that
    the provider can not have charged for it.
    """

    default_code = "upstream_unreachable"
    default_kind: ErrorKind = "unavailable"

    def __init__(self, message: str, *, phase: Phase, host: str) -> None:
        super().__init__(message, code=self.default_code, kind=self.default_kind)
        self.phase: Phase = phase
        self.host = host
        self.sent = phase not in _UNSENT


class ConnectError(TransportError):
    """No connection to the upstream could be made."""

    default_code = "upstream_connect"


class TlsError(ConnectError):
    """The TLS handshake or the check of the certificate failed."""

    default_code = "upstream_tls"


class ProxyError(ConnectError):
    """The forward proxy did not open the way; `proxy_status` is its answer, None where it gave none."""

    default_code = "upstream_proxy"

    def __init__(self, message: str, *, host: str, proxy_status: int | None = None) -> None:
        super().__init__(message, phase="proxy", host=host)
        self.proxy_status = proxy_status


class PhaseTimeoutError(TransportError):
    """A phase took longer than its limit of `seconds`."""

    default_code = "upstream_timeout"
    default_kind: ErrorKind = "timeout"

    def __init__(self, message: str, *, phase: Phase, host: str, seconds: float) -> None:
        super().__init__(message, phase=phase, host=host)
        self.seconds = seconds


class PoolTimeoutError(PhaseTimeoutError):
    """All connections to this upstream stayed busy."""

    default_code = "upstream_pool_timeout"
    default_kind: ErrorKind = "unavailable"


class ConnectionLostError(TransportError):
    """The upstream closed or reset the connection before it began to answer."""

    default_code = "upstream_connection_lost"


class ProtocolError(TransportError):
    """The upstream's answer is not HTTP that we accept."""

    default_code = "upstream_protocol"
    default_kind: ErrorKind = "bad_gateway"


class TruncatedError(ProtocolError):
    """The body ended before its announced end."""

    default_code = "upstream_truncated"


class AnswerTooLargeError(TransportError):
    """The answer is larger than `limit` bytes."""

    default_code = "upstream_answer_too_large"
    default_kind: ErrorKind = "bad_gateway"

    def __init__(self, message: str, *, host: str, limit: int) -> None:
        super().__init__(message, phase="body", host=host)
        self.limit = limit


class FramingError(UpstreamError):
    """The bytes of a stream are not the framing they claim to be; `framing` is its name."""

    default_code = "upstream_framing"

    def __init__(self, message: str, *, framing: str) -> None:
        super().__init__(message, code=self.default_code, kind="bad_gateway")
        self.framing = framing


class FrameTooLargeError(FramingError):
    """One frame is larger than `limit` bytes."""

    default_code = "upstream_frame_too_large"

    def __init__(self, *, framing: str, limit: int) -> None:
        super().__init__(
            f"one {framing} frame of the stream is larger than {limit} bytes; raise the limit if the provider means it",
            framing=framing,
        )
        self.limit = limit


class TruncatedFrameError(FramingError):
    """The stream ended inside a frame."""

    default_code = "upstream_stream_truncated"


class ForbiddenAddressError(CallerError):
    """A URL from a user leads to an address we do not fetch; `host` is the host of that URL."""

    def __init__(self, message: str, *, host: str) -> None:
        super().__init__(message, code="forbidden_address", kind="permission")
        self.host = host


class UnsendableError(CallerError):
    """A header, method or target that can not be sent as HTTP; the value itself is not repeated here."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="unsendable_request")
