"""What a model that goes on says twice is left out; nothing else ever is."""

from __future__ import annotations

import itertools
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.exchange.overlap import WINDOW, Overlap, Repeats, Spaces

WORDS = st.text(st.sampled_from("abé \n<>/1🌞"), max_size=60)
CUTS = st.lists(st.integers(0, 200), max_size=8)


def fed(overlap: Overlap, text: str, cuts: list[int]) -> str:
    """The text in pieces."""
    edges = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    pieces = [text[start:end] for start, end in itertools.pairwise(edges)]
    return "".join(overlap.feed(piece) for piece in pieces) + overlap.close()


@pytest.mark.parametrize(
    ("said", "new", "told"),
    [
        ("Hello from Lis", "bon.", "bon."),
        ("Hello from Lis", "Lisbon.", "bon."),
        ("Hello", "Hello from Lisbon.", " from Lisbon."),
        ("The river runs to the sea. It is", "It is wide.", "It is wide."),
        ("The river runs to the sea. It is", "runs to the sea. It is wide.", " wide."),
        ("The river runs to the sea. It is", "The river runs to the sea. It is wide.", " wide."),
        ("<div>\n</div>\n", "</div>\n", "</div>\n"),
        ("      end\n", "    end\n  end\n", "    end\n  end\n"),
        ("total: 1", "1 apples", "1 apples"),
        ("la la la la la la la la", " la la la la la la.", " la la la la la la."),
        ("he said that", "", ""),
        ("", "Anything", "Anything"),
    ],
)
def test_repetitions(said: str, new: str, told: str) -> None:
    repeats = Repeats(said)
    assert fed(repeats, new, []) == told
    assert repeats.removed == len(new) - len(told)


@given(WORDS, WORDS, CUTS)
def test_only_what_was_said_is_left_out_however_it_is_cut(said: str, new: str, cuts: list[int]) -> None:
    repeats = Repeats(said)
    told = fed(repeats, new, cuts)
    left_out = new[: len(new) - len(told)]
    assert new.endswith(told)
    assert said.endswith(left_out)
    assert repeats.removed == len(left_out)
    assert told == fed(Repeats(said), new, [])


@given(st.permutations(string.ascii_letters).map("".join), WORDS, CUTS)
def test_a_sentence_begun_again_is_left_out(sentence: str, rest: str, cuts: list[int]) -> None:
    said = f"It was so. {sentence}"
    new = f"{sentence} {rest}"
    assert fed(Repeats(said), new, cuts) == f" {rest}"


@given(WORDS, st.text(max_size=80))
def test_little_is_held_back(said: str, new: str) -> None:
    """Never more than the window, and nothing that does not stand in what was said."""
    said, repeats, told = said * 50, Repeats(said * 50), ""
    for at, letter in enumerate(new):
        told += repeats.feed(letter)
        held = new[: at + 1][len(told) + repeats.removed :]
        assert held in said[-WINDOW:]


@given(WORDS, st.integers(0, 5), st.integers(0, 5), CUTS)
def test_spaces_that_were_not_shown_are_not_said_twice(rest: str, hidden: int, given: int, cuts: list[int]) -> None:
    spaces = Spaces("\n" * hidden)
    told = fed(spaces, "\n" * given + "x" + rest, cuts)
    assert told == "\n" * max(given - hidden, 0) + "x" + rest
    assert spaces.removed == min(hidden, given)
