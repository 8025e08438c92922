"""Identity and honesty over every recorded exchange that the tests carry."""

from __future__ import annotations

import pytest

from freehold.exchange.translate import Row, translate
from freehold.protocols.registry import CODECS, codec_of_recording
from tests.laws.recordings import NAMES, recording


def rows(name: str) -> list[Row]:
    exchange = recording(name)
    return list(translate(exchange, codec_of_recording(exchange.protocol, exchange.wire), CODECS))


@pytest.mark.parametrize("name", NAMES)
def test_every_codec_takes_every_exchange(name: str) -> None:
    found = rows(name)
    assert found
    assert [row for row in found if row.status == "error"] == []


@pytest.mark.parametrize("name", NAMES)
def test_identity(name: str) -> None:
    """`encode_P(decode_P(w)) = w`: nothing is lost in a protocol's own language."""
    own = [row for row in rows(name) if row.source == row.target]
    assert all(row.status in {"identical", "equal", "unsupported"} for row in own)
    assert all(row.losses == () for row in own)


@pytest.mark.parametrize("name", NAMES)
def test_determinism(name: str) -> None:
    """The same recording always becomes the same bytes."""
    assert [row.body for row in rows(name)] == [row.body for row in rows(name)]


@pytest.mark.parametrize("name", NAMES)
def test_statuses_follow_from_losses(name: str) -> None:
    for row in rows(name):
        effects = {loss.effect for loss in row.losses}
        if row.status == "lossy":
            assert row.losses
            assert "content" not in effects
        elif row.status in {"identical", "equal"}:
            assert row.losses == ()
