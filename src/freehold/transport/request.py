"""The head of a request as bytes, and nothing that could smuggle a second one."""

from __future__ import annotations

import re
from collections.abc import Sequence

from freehold.transport.errors import UnsendableError

Headers = Sequence[tuple[str, str]]

_NAME = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_FIELDS = re.compile(rf"(?:{_NAME}: [\t\x20-\x7e\x80-\xff]*+\r\n)*+")
_METHOD = re.compile(r"[A-Z]++")
# RFC 9112, 3.2.1: a path and query, nothing that ends the line or starts a fragment.
_TARGET = re.compile(r"/[!\"$-~]*+")

_LINE_OF_METHOD = {name: f"{name} " for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}
_BODILESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})

# Framing and the connection are the transport's own business.
_REFUSED = frozenset(
    {
        "connection",
        "expect",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_IDENTITY = "accept-encoding: identity\r\n"

_MOST_KNOWN = 64
"""Sets of headers that are remembered as checked, for one endpoint: a credential, with a few protocol headers."""

_SPECIAL = _REFUSED | {"accept-encoding", "content-length", "host"}


class HeadWriter:
    """Writes the heads of requests to one endpoint."""

    __slots__ = ("_host", "_known", "_prefix", "_proxy_line")

    def __init__(self, authority: str, *, absolute: bool = False, proxy_authorization: str | None = None) -> None:
        """`absolute`: write whole URLs, as a forward proxy wants for plain http."""
        self._host = f"host: {authority}\r\n"
        self._prefix = f"http://{authority}" if absolute else ""
        self._proxy_line = f"proxy-authorization: {proxy_authorization}\r\n" if proxy_authorization else ""
        self._known: dict[tuple[tuple[str, str], ...], str] = {}

    def write(self, method: str, target: str, headers: Headers, length: int | None) -> bytes:
        """Request line and headers, blank line included; `length` of the body in bytes, None for chunked.

        Raises:
            UnsendableError: a part would break the head, or speaks of framing, which belongs to the transport.
        """
        line = _LINE_OF_METHOD.get(method)
        if line is None:
            if _METHOD.fullmatch(method) is None or method == "CONNECT":
                raise UnsendableError("the method of a request must be a word in capitals")
            line = method + " "
        if _TARGET.fullmatch(target) is None:
            raise UnsendableError(
                "the target of a request must begin with a slash and be percent-encoded (no space, fragment or control)"
            )
        key = tuple(headers)
        fields = self._known.get(key)
        if fields is None:
            fields, own_length = self._fields(key, length)
            if not own_length:
                # The same client asks the same target with the same headers over and over, unless it signs them.
                if len(self._known) >= _MOST_KNOWN:
                    self._known.clear()
                self._known[key] = fields
        else:
            own_length = False
        if own_length or (length == 0 and method in _BODILESS):
            size = ""
        elif length is None:
            size = "transfer-encoding: chunked\r\n"
        else:
            size = f"content-length: {length}\r\n"
        return f"{line}{self._prefix}{target} HTTP/1.1\r\n{fields}{size}\r\n".encode("latin-1")

    def _fields(self, headers: tuple[tuple[str, str], ...], length: int | None) -> tuple[str, bool]:
        """All lines but those about the body, and whether the headers state its length themselves."""
        fields = "".join([f"{name}: {value}\r\n" for name, value in headers])
        # The pattern alone would accept a value that holds a whole further line, so lines are counted.
        if _FIELDS.fullmatch(fields) is None or fields.count("\n") != len(headers):
            raise _unsendable_field(headers)
        names = {name.lower() for name, _ in headers}
        if names.isdisjoint(_SPECIAL):
            return f"{self._host}{fields}{_IDENTITY}{self._proxy_line}", False
        _check_special(names, headers, length)
        host = "" if "host" in names else self._host
        encoding = "" if "accept-encoding" in names else _IDENTITY
        return f"{host}{fields}{encoding}{self._proxy_line}", "content-length" in names


def _check_special(names: set[str], headers: Headers, length: int | None) -> None:
    refused = sorted(names & _REFUSED)
    if refused:
        raise UnsendableError(f"the header {refused[0]} belongs to the transport and can not be set")
    if sum(name.lower() == "host" for name, _ in headers) > 1:
        raise UnsendableError("a request has one host header")
    lengths = [value for name, value in headers if name.lower() == "content-length"]
    if lengths and lengths != [str(length)]:
        raise UnsendableError("the content-length header does not agree with the body; leave it to the transport")


def _unsendable_field(headers: Headers) -> UnsendableError:
    for name, value in headers:
        if re.fullmatch(_NAME, name) is None:
            return UnsendableError("a header name must be a token: letters, digits and !#$%&'*+-.^_`|~")
        if re.fullmatch(r"[\t\x20-\x7e\x80-\xff]*", value) is None:
            return UnsendableError(f"the value of the header {name} holds a control or non-Latin-1 character")
    return UnsendableError("a header can not be sent")
