"""The count that the emulated clouds bill by."""

from hypothesis import given
from hypothesis import strategies as st

from freehold.sandbox.tokens import count, pieces


@given(st.text())
def test_pieces_lose_nothing(text: str) -> None:
    assert "".join(pieces(text)) == text


def test_a_word_is_a_piece_and_a_long_one_is_several() -> None:
    assert pieces("So be it, indefatigable!") == ["So", " be", " it", ",", " indefati", "gable", "!"]
    assert count("") == 0
