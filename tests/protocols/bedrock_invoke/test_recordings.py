"""Every recording of every vendor's body comes back as it was; streams byte for byte inside of their chunks."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.exchange.recordings import read_recording
from freehold.exchange.translate import translate
from freehold.protocols.registry import BEDROCK_INVOKE, CODECS

EXCHANGES = Path(__file__).parents[2] / "exchanges"
FILES = [
    path
    for folder in ("bedrock-invoke", "bedrock-invoke-stream")
    for path in sorted((EXCHANGES / folder).glob("*.json"))
]


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_recording_comes_back_as_it_was(path: Path) -> None:
    recording = read_recording(path.read_bytes(), path.name)
    rows = list(translate(recording, BEDROCK_INVOKE, {BEDROCK_INVOKE.name: BEDROCK_INVOKE}))
    assert {row.part for row in rows} == {"request", "response"}
    # Ranking documents is no operation that a codec translates.
    allowed = {"identical", "equal"} if "rerank" not in (recording.model or "") else {"unsupported"}
    assert [row.message for row in rows if row.status not in allowed] == []


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_recording_translates_into_every_protocol(path: Path) -> None:
    recording = read_recording(path.read_bytes(), path.name)
    rows = translate(recording, BEDROCK_INVOKE, CODECS)
    assert [(row.target, row.message) for row in rows if row.status == "error"] == []
