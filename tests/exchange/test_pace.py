"""When a stream is too slow, and when it only pauses."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from freehold.exchange.pace import Pace

FLOOR, WINDOW = 5.0, 10.0


def run(*texts: tuple[float, int]) -> list[bool]:
    """Seconds since the text before, and its characters."""
    pace, now, found = Pace(FLOOR, WINDOW), 0.0, list[bool]()
    for gap, characters in texts:
        now += gap
        found.append(pace.slow(now, characters))
    return found


def test_a_trickle_is_slow_after_a_window() -> None:
    found = run(*[(1.0, 4)] * 12)
    assert found == [False] * 10 + [True] * 2


def test_a_steady_stream_is_not() -> None:
    assert not any(run(*[(0.1, 4)] * 500))


def test_one_pause_is_forgiven_however_long() -> None:
    assert not any(run(*[(0.1, 4)] * 50, (600.0, 4), *[(0.1, 4)] * 200))


def test_pauses_without_end_are_not() -> None:
    assert run((0.0, 4), (9.0, 40), (9.0, 40), (9.0, 40))[-1]


def test_what_was_fast_long_ago_does_not_count() -> None:
    assert run(*[(0.1, 400)] * 50, *[(1.0, 4)] * 12)[-1]


@given(st.lists(st.tuples(st.floats(0, WINDOW / 2), st.integers(1, 400)), max_size=60))
def test_nothing_above_the_floor_is_slow(texts: list[tuple[float, int]]) -> None:
    """Text that keeps up with the floor at every moment passes, whatever its rhythm."""
    enough = [(gap, max(characters, int(gap * FLOOR * 4) + 1)) for gap, characters in texts]
    assert not any(run(*enough))
