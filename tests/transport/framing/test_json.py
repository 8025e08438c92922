"""JSON arrays bit by bit, and JSON lines."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.protocols.codec import Frame, Framing
from freehold.transport.errors import FrameTooLargeError, FramingError, TruncatedFrameError
from freehold.transport.framing import frame_parser, frame_writer
from freehold.transport.framing.json_array import JsonArrayParser, JsonArrayWriter
from freehold.transport.framing.json_lines import JsonLinesParser, write_json_line
from tests.transport.framing.splits import cut, json_objects, places, read

space = st.sampled_from([b"", b" ", b"\n", b"\r\n", b"\n\t "])


@given(json_objects, places, space, st.sampled_from([None, 2]))
def test_any_split_of_an_array_gives_its_elements(
    values: list[object], where: list[int], gap: bytes, indent: int | None
) -> None:
    elements = [json.dumps(value, indent=indent, ensure_ascii=False).encode() for value in values]
    stream = gap + b"[" + gap + (gap + b"," + gap).join(elements) + gap + b"]" + gap
    for split in (cut(stream, where), [bytes((byte,)) for byte in stream]):
        assert [frame.data for frame in read(JsonArrayParser, split)] == elements


@given(json_objects)
def test_what_is_written_is_one_json_array(values: list[object]) -> None:
    writer = JsonArrayWriter()
    stream = b"".join(writer.write(Frame(data=json.dumps(value).encode())) for value in values) + writer.close()
    assert json.loads(stream) == values


@pytest.mark.parametrize(
    "stream", [b"[1]", b"x", b"[{}{}]", b"[{},]", b"[,{}]", b"[{}]x", b'"a"', b"]", b"[[]]", b"<html>", b"\xef\xbb{}"]
)
def test_what_is_no_array_of_objects_is_refused(stream: bytes) -> None:
    with pytest.raises(FramingError):
        read(JsonArrayParser, [stream])
    with pytest.raises(FramingError):
        read(JsonArrayParser, [bytes((byte,)) for byte in stream])


@pytest.mark.parametrize("stream", [b"", b"[", b'[{"a": 1', b"[{}", b"[{},", b'[{"a":"', b'[{"a":"\\'])
def test_an_array_without_its_end_is_an_error(stream: bytes) -> None:
    with pytest.raises(TruncatedFrameError):
        read(JsonArrayParser, [stream])


def test_a_body_that_is_one_object_is_one_frame() -> None:
    assert read(JsonArrayParser, [b'\xef\xbb\xbf {"error":', b' {"code": 429}}\n']) == [
        Frame(data=b'{"error": {"code": 429}}')
    ]


def test_brackets_and_quotes_inside_strings_are_text() -> None:
    element = b'{"a": "]}[{,\\"\\\\", "b": ["}", "\\u005d"]}'
    assert [frame.data for frame in read(JsonArrayParser, [b"[" + element + b"," + element + b"]"])] == [element] * 2


def test_a_large_element_in_small_pieces_costs_linear_time() -> None:
    def seconds(size: int) -> float:
        stream = b'[{"image": "' + b"x" * size + b'"}]'
        pieces = [stream[start : start + 1024] for start in range(0, len(stream), 1024)]
        begun = time.process_time()
        assert len(read(JsonArrayParser, pieces)) == 1
        return time.process_time() - begun

    small = min(seconds(500_000) for _ in range(3))
    large = min(seconds(4_000_000) for _ in range(3))
    assert large < small * 8 * 4  # quadratic would be 64 times


def test_large_elements_are_refused() -> None:
    for stream in (b'[{"a": "' + b"x" * 200, b'[{"a": "' + b"x" * 200 + b'"}]'):
        with pytest.raises(FrameTooLargeError):
            JsonArrayParser(limit=100).feed(stream)
        with pytest.raises(FrameTooLargeError):
            JsonLinesParser(limit=100).feed(stream)
    with pytest.raises(FrameTooLargeError):
        JsonLinesParser(limit=100).feed(b"x" * 101 + b"\n")


@given(json_objects, places, st.sampled_from([b"\n", b"\r\n", b"\n\n"]), st.sampled_from([b"", b"\n"]))
def test_any_split_of_json_lines_gives_its_lines(
    values: list[object], where: list[int], line_end: bytes, last: bytes
) -> None:
    lines = [json.dumps(value).encode() for value in values]
    stream = line_end.join(lines) + last
    assert [frame.data for frame in read(JsonLinesParser, cut(stream, where))] == lines
    written = b"".join(write_json_line(Frame(data=line)) for line in lines)
    assert [frame.data for frame in read(JsonLinesParser, [written])] == lines


def test_json_lines_cut_inside_a_line_are_an_error() -> None:
    with pytest.raises(TruncatedFrameError):
        read(JsonLinesParser, [b'{"a": 1}\n{"a":'])


@pytest.mark.parametrize("framing", ["sse", "event-stream", "json-array", "json-lines"])
def test_every_framing_reads_what_it_writes(framing: Framing) -> None:
    frames = [Frame(data=b'{"a": 1}'), Frame(data=b'{"b": 2}')]
    writer = frame_writer(framing)
    parser = frame_parser(framing)
    seen = parser.feed(b"".join(map(writer.write, frames)) + writer.close()) + parser.close()
    assert [frame.data for frame in seen] == [frame.data for frame in frames]
