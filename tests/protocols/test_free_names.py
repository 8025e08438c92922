"""Names that nobody else has."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from freehold.protocols.free_names import FreeNames

WORDS = st.text("ab_2", min_size=1, max_size=16)


@given(st.sets(WORDS), st.lists(WORDS), st.integers(14, 20))
def test_each_is_free_and_short_enough(taken: set[str], wanted: list[str], longest: int) -> None:
    free = FreeNames(taken, longest=longest)
    told = [free.give(name) for name in wanted]
    assert len({*told, *taken}) == len(told) + len(taken)
    assert all(len(name) <= longest for name in told)


def test_a_number_is_put_behind_a_name_that_is_taken() -> None:
    free = FreeNames({"a", "a_3"})
    assert [free.give("a") for _ in range(3)] == ["a_2", "a_4", "a_5"]
    assert free.give("b") == "b"
    documents = FreeNames(longest=16)
    assert [documents.give("x" * 20, " ({})") for _ in range(3)] == ["x" * 16, "x" * 12 + " (2)", "x" * 12 + " (3)"]
