"""How large a picture is, from its first bytes, and how many tokens each maker says that costs."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from math import ceil
from typing import Final, Literal

ImageRule = Literal["openai-tiles", "openai-patches", "anthropic", "anthropic-large", "gemini"]

_HEAD: Final = 512 * 1024
"""Characters of base64 that are looked at: a JPEG's size stands behind its metadata, a thumbnail included."""

_MOST_SIDE: Final = 65_535


def image_size(data: str) -> tuple[int, int] | None:
    """Width and height of a PNG, JPEG, GIF or WebP in base64; None for what is none of them."""
    head = data[: _HEAD - _HEAD % 4]
    try:
        start = base64.b64decode(head + "=" * (-len(head) % 4))
    except (binascii.Error, ValueError):
        return None
    size = _png(start) or _gif(start) or _webp(start) or _jpeg(start)
    return size if size is not None and min(size) > 0 else None


def _png(start: bytes) -> tuple[int, int] | None:
    if not start.startswith(b"\x89PNG\r\n\x1a\n") or len(start) < 24:
        return None
    return int.from_bytes(start[16:20]), int.from_bytes(start[20:24])


def _gif(start: bytes) -> tuple[int, int] | None:
    if not start.startswith((b"GIF87a", b"GIF89a")) or len(start) < 10:
        return None
    return int.from_bytes(start[6:8], "little"), int.from_bytes(start[8:10], "little")


def _webp(start: bytes) -> tuple[int, int] | None:
    if start[:4] != b"RIFF" or start[8:12] != b"WEBP" or len(start) < 30:
        return None
    match start[12:16]:
        case b"VP8X":
            return int.from_bytes(start[24:27], "little") + 1, int.from_bytes(start[27:30], "little") + 1
        case b"VP8L":
            bits = int.from_bytes(start[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case _:
            return (
                int.from_bytes(start[26:28], "little") & 0x3FFF,
                int.from_bytes(start[28:30], "little") & 0x3FFF,
            )


def _jpeg(start: bytes) -> tuple[int, int] | None:
    if not start.startswith(b"\xff\xd8"):
        return None
    at = 2
    while at + 9 < len(start) and start[at] == 0xFF:
        marker = start[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        # A start of frame; C4, C8 and CC of that range are tables.
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            return int.from_bytes(start[at + 7 : at + 9]), int.from_bytes(start[at + 5 : at + 7])
        at += 2 + int.from_bytes(start[at + 2 : at + 4])
    return None


def _openai_tiles(width: int, height: int) -> int:
    """The page "Images and vision" of OpenAI: into 2048 px, the short side to 768 px, 85 and 170 a tile of 512 px."""
    scale = min(1.0, 2048 / max(width, height))
    scale = min(scale, 768 / min(width, height)) if min(width, height) * scale > 768 else scale
    return 85 + 170 * ceil(width * scale / 512) * ceil(height * scale / 512)


def _openai_patches(width: int, height: int) -> int:
    """The same page, of newer models: patches of 32 px, at most 1536 of them; the model's factor comes on top."""
    patches = ceil(width / 32) * ceil(height / 32)
    return min(patches, 1536)


def _anthropic(width: int, height: int) -> int:
    """The page "Vision" of Anthropic: into 1568 px, then a token for 750 px of area."""
    return _by_area(width, height, 1568)


def _anthropic_large(width: int, height: int) -> int:
    """The same page, of models from Opus 4.7 on: into 2576 px."""
    return _by_area(width, height, 2576)


def _by_area(width: int, height: int, side: int) -> int:
    scale = min(1.0, side / max(width, height))
    return ceil(width * scale * height * scale / 750)


def _gemini(width: int, height: int) -> int:
    """The page "Understand and count tokens" of Gemini: 258, and for a side over 384 px as many for each tile of it."""
    if max(width, height) <= 384:
        return 258
    tile = min(768, max(256, int(min(width, height) / 1.5)))
    return 258 * ceil(width / tile) * ceil(height / tile)


_RULES: Final[dict[ImageRule, Callable[[int, int], int]]] = {
    "openai-tiles": _openai_tiles,
    "openai-patches": _openai_patches,
    "anthropic": _anthropic,
    "anthropic-large": _anthropic_large,
    "gemini": _gemini,
}


def image_tokens(rule: ImageRule, size: tuple[int, int]) -> int:
    """The tokens of a picture of that size by the maker's documented rule."""
    width, height = (min(side, _MOST_SIDE) for side in size)
    return _RULES[rule](width, height)
