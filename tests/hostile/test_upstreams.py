"""Upstreams that mean harm, or have lost their mind: what they say is bounded, and our credential is not in it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from freehold.ir import JsonObject
from freehold.transport.fake import FakeUpstream, Reply
from tests.exchange.road import Roadside
from tests.exchange.test_road import ANSWER, CHAT, SSE, chunk, reply

HELLO: JsonObject = {"model": "one/gpt-4o", "messages": [{"role": "user", "content": "hello"}]}


@pytest.mark.parametrize("status", [400, 401, 403, 500])
@pytest.mark.parametrize(
    ("path", "codec", "body"),
    [
        (CHAT, "openai-chat", HELLO),
        ("/v1/messages", "anthropic-messages", {**HELLO, "max_tokens": 5}),
        (
            "/model/one%2Fgpt-4o/converse",
            "bedrock-converse",
            {"messages": [{"role": "user", "content": [{"text": "x"}]}]},
        ),
    ],
)
async def test_a_credential_that_a_provider_repeats_stays_with_us(
    tmp_path: Path, status: int, path: str, codec: str, body: JsonObject
) -> None:
    error: JsonObject = {
        "message": "Incorrect API key: key-of-one",
        "type": "key-of-one",
        "code": "key-of-one",
        "param": "x",
    }
    for answer in (reply({"error": error}, status), Reply(status=status, body=[b"sent: Bearer key-of-one"])):
        side = Roadside(tmp_path, FakeUpstream(answer))
        door = await side.ask(path, body, codec)
        assert door.status >= 400
        assert b"key-of-one" not in door.body
        assert "key-of-one" not in str(door.headers)
        assert b"key-of-one" not in msgspec.json.encode(side.records())


async def test_what_a_provider_calls_its_error_does_not_fill_the_record(tmp_path: Path) -> None:
    error = reply({"error": {"message": "m", "type": "t" * 9999, "code": "c" * 9999}}, 400, x_request_id="r" * 9999)
    side = Roadside(tmp_path, FakeUpstream(error))
    await side.ask(CHAT, HELLO)
    assert len(msgspec.json.encode(side.records())) < 2000


@pytest.mark.parametrize("piece", [chunk({"content": "x" * 500}), b": ping\n\n" * 60])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_stream_that_does_not_end_is_broken_off(tmp_path: Path, piece: bytes, *, stream: bool) -> None:
    plans = FakeUpstream(Reply(headers=SSE, body=[piece] * 100))
    side = Roadside(tmp_path, plans)
    side.snapshot = msgspec.structs.replace(side.snapshot, max_answer=10_000)
    door = await side.ask(CHAT, {**HELLO, "stream": stream})
    assert len(door.body) < 12_000
    assert door.status == 502 or (b'"error"' in door.body and b"[DONE]" not in door.body)
    assert side.records()[0].outcome in {"failed", "broken"}
    assert side.records()[0].error == "upstream_answer_too_large"


async def test_a_whole_answer_is_not_mistaken_for_an_endless_one(tmp_path: Path) -> None:
    side = Roadside(tmp_path, FakeUpstream(reply(ANSWER)))
    assert (await side.ask(CHAT, HELLO)).status == 200
