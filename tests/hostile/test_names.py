"""Model names are chosen by callers: no name breaks a header, leaves its place in a path, or stays in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.config.loading import parse
from freehold.errors import CallerError
from freehold.routing.names import Names
from freehold.transport.fake import FakeUpstream
from tests.exchange.road import CONFIG, Roadside
from tests.exchange.test_road import ANSWER, CHAT, reply


@pytest.mark.parametrize(
    "name",
    [
        "one/gpt\r\nX-Evil: 1",
        "one/gpt\x00",
        "one/..",
        "one/.",
        "one/../../x",
        "one/a/../b",
        "one/..@openai-chat",
        "bedrock/anthropic.claude-sonnet-4-5/../x",
        "gpt-4o\n",
    ],
)
def test_no_model_has_such_a_name(name: str) -> None:
    with pytest.raises(CallerError) as raised:
        Names(parse(CONFIG, "freehold.toml", {})).resolve(name)
    assert raised.value.code == "model_not_found"


def test_names_longer_than_any_are_not_remembered() -> None:
    names = Names(parse(CONFIG, "freehold.toml", {}))
    for number in range(3):
        with pytest.raises(CallerError):
            names.resolve(f"{number}" * 100_000)
    assert not names._memo


@pytest.mark.parametrize("model", ["модель", "gpt\u2028", "gpté", "gpt\x85"])
async def test_a_name_beyond_ascii_reaches_the_target_and_stands_encoded_in_the_header(
    tmp_path: Path, model: str
) -> None:
    side = Roadside(tmp_path, FakeUpstream(reply(ANSWER)))
    door = await side.ask(CHAT, {"model": f"one/{model}", "messages": [{"role": "user", "content": "hello"}]})
    assert door.status == 200
    assert door.headers["freehold-target"].isascii()
    assert door.headers["freehold-target"].startswith("one/")
    assert side.records()[0].attempts[0].target == f"one/{model}"
