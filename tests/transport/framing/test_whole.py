"""Where bytes pass unread: whole frames alone, all of them, and each as soon as it is whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.protocols.codec import Frame, Framing
from freehold.transport.framing import frame_parser, frame_writer
from freehold.transport.framing.whole import WholeFrames

FRAMES = [Frame(data=b'{"a":%d}' % number, event="chunk") for number in range(4)]
STREAMS: dict[str, tuple[Framing, list[bytes]]] = {
    "sse": ("sse", [frame_writer("sse").write(frame) for frame in FRAMES]),
    "sse with CRLF": ("sse", [b"data: %d\r\n\r\n" % number for number in range(4)]),
    "sse with CR": ("sse", [b"data: %d\r\r" % number for number in range(4)]),
    "event-stream": ("event-stream", [frame_writer("event-stream").write(frame) for frame in FRAMES]),
    "json-lines": ("json-lines", [frame_writer("json-lines").write(frame) for frame in FRAMES]),
}


@pytest.mark.parametrize(("framing", "frames"), STREAMS.values(), ids=STREAMS)
@given(data=st.data())
def test_any_split_gives_whole_frames_at_once(framing: Framing, frames: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    whole = WholeFrames(framing)
    passed = b""
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        passed += whole.feed(stream[begin:end])
        done = [frame for number, frame in enumerate(frames) if len(b"".join(frames[: number + 1])) <= end]
        assert passed == b"".join(done)
        assert passed + whole.held == stream[:end]
    assert (passed, whole.held) == (stream, b"")


@given(st.lists(st.binary(max_size=40)))
def test_what_is_no_frame_passes_never_twice(pieces: list[bytes]) -> None:
    for framing in ("sse", "event-stream", "json-lines", "json-array"):
        whole = WholeFrames(framing)
        assert b"".join(whole.feed(piece) for piece in pieces) + whole.held == b"".join(pieces)


def test_what_is_held_is_what_the_parser_waits_for() -> None:
    stream = b"".join(STREAMS["sse"][1])
    whole, parser = WholeFrames("sse"), frame_parser("sse")
    assert whole.feed(stream + b'data: {"cu') == stream
    assert len(parser.feed(stream)) == len(FRAMES)
    assert whole.held == b'data: {"cu'
