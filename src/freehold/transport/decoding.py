"""Content-Encoding of answers undone. We ask for `identity`; some upstreams compress anyway."""

from __future__ import annotations

import importlib
import zlib
from typing import Protocol, cast

PIECE = 262_144
"""Bytes that one step of decompression gives at most, so that back-pressure holds for the decompressed side too."""
MAX_RATIO = 200
"""A body may unpack to this many times its size. JSON reaches 30; bombs start at 1,000."""
_FREE = 8 * 1024 * 1024
"""Bytes that any body may unpack to, whatever the ratio."""
_SLICE = 256  # bytes of zstandard fed at once: its blocks unpack to 128 KiB from 4 bytes


class BombError(Exception):
    """A body unpacks to far more than it should."""


class Decoder(Protocol):
    """One encoding being undone."""

    @property
    def whole(self) -> bool:
        """Whether the encoding's own end has been seen, or nothing at all (an answer without a body)."""
        ...

    def feed(self, data: bytes) -> None:
        """Take what arrived; after `pull` gave nothing more."""
        ...

    def pull(self) -> bytes:
        """The next piece; empty when more is needed. Raises ValueError for other bytes, BombError for too many."""
        ...


def decoder_for(encoding: str) -> Decoder | None:
    """A decoder for the value of a `Content-Encoding` header; None where the bytes are to be taken as they are.

    Raises:
        LookupError: an encoding that can not be undone here.
    """
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip":
            return _Zlib(zlib.MAX_WBITS | 16)
        case "deflate":
            return _Zlib(None)
        case "zstd":
            return _Zstandard()
        case "br":
            return _Brotli()
        case _:
            raise LookupError(encoding)


class _Meter:
    """Counts both sides of a decompression."""

    __slots__ = ("_packed", "_unpacked")

    def __init__(self) -> None:
        self._packed = 0
        self._unpacked = 0

    @property
    def empty(self) -> bool:
        return self._packed == 0

    def packed(self, size: int) -> None:
        self._packed += size

    def unpacked(self, size: int) -> None:
        self._unpacked += size
        if self._unpacked > _FREE and self._unpacked > self._packed * MAX_RATIO:
            raise BombError


class _Zlib:
    """gzip (several members included) and deflate, with and without the zlib wrapper."""

    __slots__ = ("_bits", "_meter", "_packed", "_stream")

    def __init__(self, bits: int | None) -> None:
        self._bits = bits
        self._stream = None if bits is None else zlib.decompressobj(bits)
        self._packed = b""
        self._meter = _Meter()

    @property
    def whole(self) -> bool:
        return self._meter.empty or (self._stream is not None and self._stream.eof)

    def feed(self, data: bytes) -> None:
        self._meter.packed(len(data))
        self._packed += data

    def pull(self) -> bytes:
        while self._packed:
            if self._stream is None:
                # RFC 9110 means the zlib wrapper; some servers leave it out. Its first byte says method 8 in any case.
                self._bits = zlib.MAX_WBITS if self._packed[0] & 0x8F == 0x08 else -zlib.MAX_WBITS
                self._stream = zlib.decompressobj(self._bits)
            elif self._stream.eof:
                if self._bits is None or self._bits < 16 or not self._packed.startswith(b"\x1f"):
                    self._packed = b""  # padding behind the end
                    break
                self._stream = zlib.decompressobj(self._bits)
            try:
                data = self._stream.decompress(self._packed, PIECE)
            except zlib.error as error:
                raise ValueError(str(error)) from None
            self._packed = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            if data:
                self._meter.unpacked(len(data))
                return data
        return b""


class _DecompressObject(Protocol):
    """What `zstandard` gives for a stream."""

    @property
    def eof(self) -> bool: ...

    def decompress(self, data: bytes, /) -> bytes: ...


class _Zstandard:
    """Zstandard, when the library of that name is installed."""

    __slots__ = ("_meter", "_packed", "_position", "_stream")

    def __init__(self) -> None:
        try:
            library = importlib.import_module("zstandard")
        except ImportError:
            raise LookupError("zstd") from None
        # RFC 9659 limits the window of what is sent as `zstd` over HTTP to 8 MiB.
        self._stream = cast("_DecompressObject", library.ZstdDecompressor(max_window_size=8 << 20).decompressobj())
        self._packed = b""
        self._position = 0
        self._meter = _Meter()

    @property
    def whole(self) -> bool:
        return self._meter.empty or self._stream.eof

    def feed(self, data: bytes) -> None:
        self._meter.packed(len(data))
        self._packed = self._packed[self._position :] + data
        self._position = 0

    def pull(self) -> bytes:
        while self._position < len(self._packed) and not self._stream.eof:
            piece = self._packed[self._position : self._position + _SLICE]
            self._position += len(piece)
            try:
                data = self._stream.decompress(piece)
            except Exception as error:  # noqa: BLE001 (the library's error class can not be named without importing it)
                raise ValueError(str(error)) from None
            if data:
                self._meter.unpacked(len(data))
                return data
        return b""


class _BrotliStream(Protocol):
    """What `brotli` 1.2 and later gives for a stream."""

    def process(self, data: bytes, /, *, output_buffer_limit: int) -> bytes: ...

    def can_accept_more_data(self) -> bool: ...

    def is_finished(self) -> bool: ...


class _Brotli:
    """Brotli, when a library that can limit its output is installed."""

    __slots__ = ("_meter", "_packed", "_stream")

    def __init__(self) -> None:
        try:
            library = importlib.import_module("brotli")
        except ImportError:
            raise LookupError("br") from None
        if not hasattr(library.Decompressor, "can_accept_more_data"):
            raise LookupError("br")  # older than 1.2: no limit on what one step gives
        self._stream = cast("_BrotliStream", library.Decompressor())
        self._packed = b""
        self._meter = _Meter()

    @property
    def whole(self) -> bool:
        return self._meter.empty or self._stream.is_finished()

    def feed(self, data: bytes) -> None:
        self._meter.packed(len(data))
        self._packed += data

    def pull(self) -> bytes:
        while not self._stream.is_finished():
            piece = b""
            if self._packed and self._stream.can_accept_more_data():
                piece, self._packed = self._packed, b""
            try:
                # Also without new bytes: output held back by the limit is asked for in this way.
                data = self._stream.process(piece, output_buffer_limit=PIECE)
            except Exception as error:  # noqa: BLE001 (as for zstandard)
                raise ValueError(str(error)) from None
            if data:
                self._meter.unpacked(len(data))
                return data
            if not piece:
                return b""
        return b""
