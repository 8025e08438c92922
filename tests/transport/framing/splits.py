"""One stream cut at many places: what every framing must give the same frames for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from hypothesis import strategies as st

from freehold.protocols.codec import Frame
from freehold.transport.framing import FrameParser


def read(make: Callable[[], FrameParser], pieces: Sequence[bytes]) -> list[Frame]:
    parser = make()
    frames = [frame for piece in pieces for frame in parser.feed(piece)]
    return frames + parser.close()


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


places = st.lists(st.integers(min_value=0, max_value=10_000), max_size=12)
json_text = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
json_objects = st.lists(st.dictionaries(st.text(max_size=8), json_text, max_size=4), max_size=6)
