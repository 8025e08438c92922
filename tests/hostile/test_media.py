"""A small request that names much media does not make the server fetch without end."""

from __future__ import annotations

from pathlib import Path

from freehold.exchange.media import MOST_FETCHED
from freehold.ir import JsonValue
from freehold.transport.fake import FakeUpstream
from tests.exchange.road import Roadside
from tests.exchange.test_road import CHAT


async def test_a_request_that_names_too_many_media_is_refused(tmp_path: Path) -> None:
    upstream = FakeUpstream()
    side = Roadside(tmp_path, upstream)
    side.allow_fetching("images.example")
    parts: list[JsonValue] = [
        {"type": "image_url", "image_url": {"url": f"https://images.example/{number}.png"}}
        for number in range(MOST_FETCHED + 1)
    ]
    door = await side.ask(CHAT, {"model": "converse", "messages": [{"role": "user", "content": parts}]})
    assert door.status == 400
    assert b"media_not_fetched" in door.body
    assert not upstream.requests
