"""How large a frame may be, and whether the last one of a stream is whole."""

from __future__ import annotations

import msgspec

MAX_FRAME = 16 * 1024 * 1024
"""Bytes of the largest frame: images inside a stream run to a few megabytes."""


def is_whole_json(data: bytes) -> bool:
    """Whether these bytes are one complete JSON value."""
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except msgspec.DecodeError:
        return False
    return True
