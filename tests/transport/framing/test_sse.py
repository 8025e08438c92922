"""Server-sent events: any split, any line end, and the habits of real providers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.protocols.codec import Frame
from freehold.transport.errors import FrameTooLargeError, TruncatedFrameError
from freehold.transport.framing.sse import SseParser, write_sse
from tests.transport.framing.splits import cut, places, read

names = st.none() | st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: not name.startswith(" ")
)
datas = st.lists(st.binary(max_size=20).filter(lambda data: b"\r" not in data), max_size=3).map(b"\n".join)
frames = st.lists(st.builds(lambda data, event: Frame(data=data, event=event), datas, names), max_size=6)
line_ends = st.sampled_from([b"\n", b"\r\n", b"\r"])


@given(frames, line_ends, places)
def test_any_split_and_line_end_gives_the_frames_that_were_written(
    wanted: list[Frame], line_end: bytes, where: list[int]
) -> None:
    stream = b"".join(write_sse(frame) for frame in wanted).replace(b"\n", line_end)
    assert read(SseParser, cut(stream, where)) == wanted


@given(st.lists(st.sampled_from([b"data", b":", b" ", b"x", b"\n", b"\r", b"event", b"id", b"\xef\xbb\xbf"])), places)
def test_any_split_of_any_bytes_gives_the_same(pieces: list[bytes], where: list[int]) -> None:
    stream = b"".join(pieces)
    outcomes: list[object] = []
    for split in ([stream], cut(stream, where), [bytes((byte,)) for byte in stream]):
        parser = SseParser()
        seen = [frame for piece in split for frame in parser.feed(piece)]
        try:
            seen += parser.close()
        except TruncatedFrameError:
            seen.append(Frame(data=b"truncated"))
        outcomes.append((seen, parser.comments))
    assert outcomes[0] == outcomes[1] == outcomes[2]


@pytest.mark.parametrize(
    ("stream", "wanted"),
    [
        (b"data:x\n\n", [Frame(data=b"x")]),
        (b"data:  x\n\n", [Frame(data=b" x")]),
        (b"data\n\n", [Frame(data=b"")]),
        (b"data: a\ndata: b\n\n", [Frame(data=b"a\nb")]),
        (b"event: ping\n\ndata: x\n\n", [Frame(data=b"x")]),
        (b"event: a\nevent: b\ndata: x\n\n", [Frame(data=b"x", event="b")]),
        (b"data: x\nevent: late\n\n", [Frame(data=b"x", event="late")]),
        (b"event:\ndata: x\n\n", [Frame(data=b"x")]),
        (b"event: \ndata: x\n\n", [Frame(data=b"x")]),
        (b"id: 7\nretry: 10\ndata: x\n\n", [Frame(data=b"x")]),
        (b"\xef\xbb\xbfdata: x\n\n", [Frame(data=b"x")]),
        (b"\n\n\r\n\rdata: x\n\n\n\n", [Frame(data=b"x")]),
        (b": OPENROUTER PROCESSING\n\n: again\ndata: x\n\n", [Frame(data=b"x")]),
        (b"\xef\xbb", []),
        (b"", []),
    ],
)
def test_the_specification(stream: bytes, wanted: list[Frame]) -> None:
    assert [frame for frame in read(SseParser, [stream]) if frame.kind == "event"] == wanted


def test_comments_are_counted() -> None:
    parser = SseParser()
    parser.feed(b": one\n\n: two\n: three\ndata: x\n\n:four")
    parser.close()
    assert parser.comments == 4


@pytest.mark.parametrize("tail", [b"", b"\n", b" ", b"\r\n"])
def test_a_stream_without_its_last_blank_line_still_gives_its_last_event(tail: bytes) -> None:
    assert read(SseParser, [b"data: 1\n\ndata: [DONE]" + tail])[-1].data.strip() == b"[DONE]"
    assert read(SseParser, [b'event: done\ndata: {"a": 1}' + tail])[-1].event == "done"


def test_a_stream_cut_inside_its_data_is_an_error_and_no_frame() -> None:
    parser = SseParser()
    assert parser.feed(b'data: {"a": 1}\n\ndata: {"a": ') == [Frame(data=b'{"a": 1}')]
    with pytest.raises(TruncatedFrameError):
        parser.close()


def test_a_body_that_is_no_event_stream_is_one_error_frame() -> None:
    body = b'{\n  "error": {"message": "no"}\n}'
    assert read(SseParser, [body]) == [Frame(data=body, kind="error")]
    assert read(SseParser, [b"data: 1\n\nnonsense\n\n"]) == [Frame(data=b"1")]


@pytest.mark.parametrize("piece", [7, 1000])
def test_an_endless_event_is_refused(piece: int) -> None:
    parser = SseParser(limit=100)
    while piece < 100:
        assert parser.feed(b"x" * 7) == []
        piece += 7
    with pytest.raises(FrameTooLargeError) as caught:
        parser.feed(b"x" * piece)
    assert caught.value.limit == 100


def test_a_whole_event_over_the_limit_is_refused() -> None:
    with pytest.raises(FrameTooLargeError):
        SseParser(limit=100).feed(b"data: " + b"x" * 100 + b"\n\n")


def test_what_can_not_be_written() -> None:
    with pytest.raises(ValueError, match="one line"):
        write_sse(Frame(data=b"x", event="a\nb"))
    with pytest.raises(ValueError, match="one line"):
        write_sse(Frame(data=b"x", event="a\rdata: forged"))
