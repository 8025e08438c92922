"""Every recording comes back as it was: requests, answers, streams frame by frame, errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.exchange.recordings import read_recording
from freehold.exchange.translate import translate
from freehold.protocols.bedrock_converse import CODEC

EXCHANGES = Path(__file__).parents[2] / "exchanges"
FILES = [
    path
    for folder in ("bedrock-converse", "bedrock-converse-stream", "bedrock-count-tokens")
    for path in sorted((EXCHANGES / folder).glob("*.json"))
]


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_recording_comes_back_as_it_was(path: Path) -> None:
    recording = read_recording(path.read_bytes(), path.name)
    rows = list(translate(recording, CODEC, {CODEC.name: CODEC}))
    assert {row.part for row in rows} == {"request", "response"}
    assert [row.message for row in rows if row.status not in ("identical", "equal")] == []


def test_a_listing_comes_back_as_it_was() -> None:
    (path,) = (EXCHANGES / "bedrock-models").glob("*.json")
    recording = read_recording(path.read_bytes(), path.name)
    rows = list(translate(recording, CODEC, {CODEC.name: CODEC}))
    assert [row.message for row in rows if row.status not in ("identical", "equal")] == []
