"""AWS event streams against recordings and botocore."""

from __future__ import annotations

import base64
import json
import struct
import uuid
from datetime import UTC, datetime
from pathlib import Path
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from freehold.protocols.codec import Frame
from freehold.transport.errors import FrameTooLargeError, FramingError, TruncatedFrameError
from freehold.transport.framing.event_stream import (
    EventStreamParser,
    HeaderValue,
    Message,
    write_event_stream,
    write_message,
)
from tests.transport.framing.splits import cut, places, read

DATA = Path(__file__).parent.parent / "data"
RECORDED = [base64.b64decode(json.loads(path.read_bytes())["body_base64"]) for path in sorted(DATA.glob("*.json"))]

kinds = st.sampled_from(["event", "exception"])
frames = st.lists(
    st.builds(lambda data, event, kind: Frame(data=data, event=event, kind=kind), st.binary(), st.text(), kinds),
    max_size=5,
)
header_values = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.binary(max_size=40),
    st.text(max_size=40),
    st.uuids(),
    st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001 (hypothesis wants bounds without a zone)
        lambda moment: moment.replace(microsecond=0)
    ),
)


@pytest.mark.parametrize("stream", RECORDED)
def test_recorded_streams_are_written_again_byte_for_byte(stream: bytes) -> None:
    frames = read(EventStreamParser, [stream])
    assert frames
    assert b"".join(map(write_event_stream, frames)) == stream


@pytest.mark.parametrize("stream", RECORDED)
@given(places)
def test_any_split_of_a_recorded_stream_gives_the_same(stream: bytes, where: list[int]) -> None:
    assert read(EventStreamParser, cut(stream, where)) == read(EventStreamParser, [stream])


@given(frames, places)
def test_any_split_gives_the_frames_that_were_written(wanted: list[Frame], where: list[int]) -> None:
    stream = b"".join(map(write_event_stream, wanted))
    assert read(EventStreamParser, cut(stream, where)) == wanted


@given(frames)
def test_botocore_reads_what_we_write(wanted: list[Frame]) -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(b"".join(map(write_event_stream, wanted)))
    seen = [
        (m.headers[":message-type"], m.headers.get(":event-type", m.headers.get(":exception-type")), m.payload)
        for m in buffer
    ]
    assert seen == [(frame.kind, frame.event, frame.data) for frame in wanted]


@given(st.dictionaries(st.text(min_size=1, max_size=20), header_values, max_size=6), st.binary(max_size=50))
def test_every_type_of_header_returns(headers: dict[str, HeaderValue], payload: bytes) -> None:
    message = Message(headers=headers, payload=payload)
    parser = EventStreamParser()
    assert parser.feed_messages(write_message(message)) == [message]
    buffer = EventStreamBuffer()
    buffer.add_data(write_message(message))
    theirs = next(iter(buffer)).headers
    for name, value in headers.items():
        match value:
            case uuid.UUID():
                assert theirs[name] == value.bytes
            case datetime():
                assert theirs[name] == value.timestamp() * 1000
            case _:
                assert theirs[name] == value


def test_an_unmodelled_error_carries_code_and_message() -> None:
    frame = Frame(data="zu spät".encode(), event="InternalServerError", kind="error")
    assert read(EventStreamParser, [write_event_stream(frame)]) == [frame]


@pytest.mark.parametrize("place", [0, 8, 14, 60, -1])
def test_a_flipped_bit_is_found(place: int) -> None:
    stream = bytearray(RECORDED[0])
    stream[place] ^= 1
    with pytest.raises(FramingError):
        read(EventStreamParser, [bytes(stream)])


@pytest.mark.parametrize("length", [1, 11, 12, 40, -1])
def test_a_stream_cut_inside_a_message_is_an_error(length: int) -> None:
    with pytest.raises(TruncatedFrameError):
        read(EventStreamParser, [RECORDED[0][:length]])


def test_a_huge_message_is_refused_at_its_prelude() -> None:
    lengths = struct.pack(">II", 2**31, 0)
    with pytest.raises(FrameTooLargeError):
        EventStreamParser().feed(lengths + struct.pack(">I", crc32(lengths)))


@pytest.mark.parametrize(
    "headers", [b"\x05a", b"\x01a\x07\xff\xff", b"\x01a\x63", b"\x01\xff\x00", b"\x01a\x08\x7f" + b"\xff" * 7]
)
def test_broken_headers_are_a_typed_error(headers: bytes) -> None:
    lengths = struct.pack(">II", len(headers) + 16, len(headers))
    body = lengths + struct.pack(">I", crc32(lengths)) + headers
    with pytest.raises(FramingError):
        EventStreamParser().feed(body + struct.pack(">I", crc32(body)))


def test_headers_longer_than_the_message_are_a_typed_error() -> None:
    lengths = struct.pack(">II", 16, 40)
    with pytest.raises(FramingError):
        EventStreamParser().feed(lengths + struct.pack(">I", crc32(lengths)) + b"1234")
