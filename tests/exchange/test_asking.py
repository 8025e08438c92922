"""A request in numbers: how much of a body is text, without reading it all."""

from __future__ import annotations

import base64
import json
import random

import pytest

from freehold.exchange.asking import text_and_media

PROSE = "It was the best of times, it was the worst of times; Zeit und Raum sind relativ, 12 Uhr. " * 900


def body(text: str, media: int = 0, *, ascii_only: bool = False) -> bytes:
    data = base64.b64encode(random.Random(7).randbytes(media)).decode()
    parts = [{"type": "text", "text": text}, {"type": "image", "source": {"type": "base64", "data": data}}]
    return json.dumps({"messages": [{"role": "user", "content": parts}]}, ensure_ascii=ascii_only).encode()


def test_prose_is_all_text() -> None:
    said = body(PROSE)
    assert text_and_media(said) == (len(said), 0.0)


@pytest.mark.parametrize("media", [30_000, 300_000, 3_000_000])
def test_a_picture_in_base64_is_told_from_text(media: int) -> None:
    said = body(PROSE, media)
    text, encoded = text_and_media(said)
    assert text + encoded == pytest.approx(len(said))
    assert encoded == pytest.approx(media * 4 / 3, rel=0.15, abs=len(said) / 32)


def test_escaped_characters_weigh_what_they_are() -> None:
    """Some clients escape whatever is not ASCII, at six bytes a character."""
    text = "今天下午我打算去图书馆借几本关于人工智能历史的书。因为下周要做一个报告。" * 300
    text_bytes, encoded = text_and_media(body(text, ascii_only=True))
    assert encoded == 0.0
    assert text_bytes == pytest.approx(len(body(text)), rel=0.1)
