"""Taking fields, and JSON that is no JSON."""

from __future__ import annotations

import pytest

from freehold.errors import CallerError
from freehold.ir import Extra, Fields, Language, parse_json, parse_object
from freehold.ir.fields import MAX_JSON_DEPTH

SPOKEN = Language(name="spoken", effects={})


def test_what_is_taken_leaves_and_the_rest_rides_along() -> None:
    fields = Fields({"type": "text", "text": "hi", "new": 1, "nothing": None}, SPOKEN, "messages[0]")
    assert fields.take("type") == "text"
    assert fields.take_str("text") == "hi"
    assert fields.rest() == Extra(SPOKEN, {"new": 1, "nothing": None})


def test_a_value_of_another_type_is_not_taken() -> None:
    fields = Fields({"count": "3", "flag": 1, "ratio": True}, SPOKEN)
    assert fields.take_int("count") is None
    assert fields.take_bool("flag") is None
    assert fields.take_number("ratio") is None
    assert fields.rest() == Extra(SPOKEN, {"count": "3", "flag": 1, "ratio": True})


def test_a_mistake_names_its_place() -> None:
    with pytest.raises(CallerError, match=r"messages\[0\]\.content must be a list") as caught:
        Fields({"content": 1}, SPOKEN, "messages[0]").need_list("content")
    assert caught.value.param == "messages[0].content"


def test_nothing_left_is_none_but_a_mark_is_not() -> None:
    fields = Fields({}, SPOKEN)
    assert fields.rest() is None
    assert fields.mark() == Extra(SPOKEN, {})


@pytest.mark.parametrize("depth", [MAX_JSON_DEPTH, 40])
def test_nesting_up_to_the_limit_is_read(depth: int) -> None:
    parse_json("[" * depth + "]" * depth)
    parse_json('{"a":' * (depth - 1) + "{}" + "}" * (depth - 1))
    parse_json('["[[[{{{", ' + "[" * (depth - 1) + "]" * (depth - 1) + "]")


@pytest.mark.parametrize("depth", [MAX_JSON_DEPTH + 1, 500, 100_000])
def test_deeper_nesting_is_refused(depth: int) -> None:
    for text in (
        "[" * depth + "]" * depth,
        '{"a":' * depth + "1" + "}" * depth,
        '["]]]", ' + "[" * depth + "]" * depth + "]",
    ):
        with pytest.raises(CallerError, match="nested more than"):
            parse_json(text)


def test_many_brackets_in_strings_are_no_depth() -> None:
    assert parse_object('{"text": "' + "[{" * 1000 + '"}')["text"] == "[{" * 1000


@pytest.mark.parametrize("text", [b"", b"{", b"[1,]", b"\xff", b"nul"])
def test_what_is_no_json_is_the_callers_mistake(text: bytes) -> None:
    with pytest.raises(CallerError, match="not valid JSON"):
        parse_json(text)
