"""Recorded exchanges: the file format, read into wire values."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from freehold.errors import CallerError
from freehold.ir import parse_json, write_json
from freehold.protocols.codec import WireRequest, WireResponse

if TYPE_CHECKING:
    from freehold.protocols.codec import Headers


class RecordedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The request of a recording; `path` includes the query."""

    path: str
    method: str = "POST"
    headers: dict[str, str] = {}
    body: msgspec.Raw = msgspec.Raw(b"null")


class RecordedResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The response; exactly one of the bodies is set."""

    status: int
    headers: dict[str, str] = {}
    body: msgspec.Raw = msgspec.Raw(b"")
    body_text: str | None = None
    body_base64: str | None = None


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """One exchange as it was recorded; `protocol` is the vendor's endpoint family, `wire` the format of the bodies."""

    id: str
    protocol: str
    wire: str
    stream: bool = False
    provider: str | None = None
    model: str | None = None
    request: RecordedRequest | None = None
    response: RecordedResponse | None = None
    source: dict[str, msgspec.Raw] = {}

    def wire_request(self) -> WireRequest | None:
        """The request as a codec reads it; None where only the response was recorded, or the body was not."""
        if self.request is None or (self.request.method == "POST" and bytes(self.request.body) == b"null"):
            return None
        path, _, query = self.request.path.partition("?")
        body = b"" if bytes(self.request.body) == b"null" else _compact(self.request.body)
        return WireRequest(
            method=self.request.method,
            path=path,
            query=query,
            headers=_headers(self.request.headers),
            body=body,
        )

    def wire_response(self) -> WireResponse | None:
        """The response as bytes: the recorded ones, or the recorded JSON written compactly."""
        answer = self.response
        if answer is None:
            return None
        if answer.body_base64 is not None:
            body = base64.b64decode(answer.body_base64)
        elif answer.body_text is not None:
            body = answer.body_text.encode()
        else:
            body = _compact(answer.body)
        return WireResponse(status=answer.status, headers=_headers(answer.headers), body=body)


def _compact(value: msgspec.Raw) -> bytes:
    """Recorded JSON without the white space of the file it stands in; a string is text that was no JSON."""
    text = bytes(value)
    if not text:
        return b""
    parsed = parse_json(text)
    return parsed.encode() if isinstance(parsed, str) else write_json(parsed)


def _headers(headers: dict[str, str]) -> Headers:
    return tuple((name.lower(), value) for name, value in headers.items())


_DECODER = msgspec.json.Decoder(Recording)


def read_recording(data: bytes, name: str) -> Recording:
    """One exchange file. Raises CallerError naming the file."""
    try:
        return _DECODER.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise CallerError(f"{name} is not a recorded exchange: {error}", code="invalid_recording") from None


def find_recordings(paths: list[Path]) -> Iterator[Path]:
    """Every `*.json` file under the paths, in order. Raises CallerError for a path that is not there."""
    for path in paths:
        if path.is_dir():
            yield from sorted(path.rglob("*.json"))
        elif path.exists():
            yield path
        else:
            raise CallerError(f"{path} does not exist", code="no_such_path")
