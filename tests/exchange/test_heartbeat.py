"""Keep-alives: after silence only, between whole events only, in the protocol's own words."""

from __future__ import annotations

import asyncio

import pytest

from freehold.exchange.heartbeat import Heartbeat
from freehold.protocols.codec import COMMENT
from freehold.protocols.registry import CODECS


class Sink:
    """Collects what is sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    async def send(self, data: bytes) -> None:
        self.sent.append(data)

    async def end(self) -> None:
        return

    def abort(self) -> None:
        return


async def silence(heart: Heartbeat, sink: Sink, beats: int) -> None:
    """Wait until so many pieces have been sent, or give up."""
    for _ in range(200):
        if len(sink.sent) >= beats:
            break
        await asyncio.sleep(0.005)
    heart.stop()


@pytest.mark.parametrize(
    ("codec", "beat"),
    [
        ("openai-chat", b": keep-alive\n\n"),
        ("openai-responses", b": keep-alive\n\n"),
        ("anthropic-messages", b'event: ping\ndata: {"type": "ping"}\n\n'),
    ],
)
async def test_a_silent_model_is_bridged(codec: str, beat: bytes) -> None:
    sink = Sink()
    heart = Heartbeat(sink, CODECS[codec].manners.keep_alive, period=0.005)
    await heart.send(b"data: {}\n\n")
    await silence(heart, sink, 3)
    assert sink.sent[0] == b"data: {}\n\n"
    assert sink.sent[1:3] == [beat, beat]


@pytest.mark.parametrize("codec", ["gemini-generate", "bedrock-converse", "bedrock-invoke"])
async def test_protocols_without_a_word_for_it_stay_silent(codec: str) -> None:
    sink = Sink()
    heart = Heartbeat(sink, CODECS[codec].manners.keep_alive, period=0.001)
    await asyncio.sleep(0.02)
    heart.stop()
    assert sink.sent == []


async def test_nothing_comes_between_the_halves_of_an_event() -> None:
    sink = Sink()
    heart = Heartbeat(sink, COMMENT, period=0.001)
    await heart.send(b'data: {"a"')
    await asyncio.sleep(0.02)
    assert sink.sent == [b'data: {"a"']
    await heart.send(b": 1}\n\n")
    await silence(heart, sink, 3)
    assert sink.sent[2] == b": keep-alive\n\n"
