"""What is left of a JSON object after what its writer would write by itself, and putting it back.

`restore(expected, residual(actual, expected)) == actual`, whatever the two are.  Where the expectation has changed in
between (a policy rewrote a text), the change stays and only the difference is put back.
"""

from __future__ import annotations

from typing import Final

from freehold.ir import JsonObject, JsonValue

WITHOUT: Final = "(without)"
"""Names that the expectation has and the object has not. No wire field is called that."""

EACH: Final = "(each)"
"""In place of a list: what is left of each of its objects."""


def residual(actual: JsonObject, expected: JsonObject) -> JsonObject:
    """The members of `actual` that `expected` lacks or has otherwise.

    Objects are compared member by member, lists of as many objects one by one.
    """
    left: JsonObject = {}
    met = 0
    for name, value in actual.items():
        if name not in expected:
            left[name] = value
            continue
        met += 1
        ours = expected[name]
        # 1, 1.0 and true are equal to Python and not to JSON.
        if value == ours and type(value) is type(ours):
            continue
        left[name] = _residual_value(value, ours)
    if met != len(expected):
        missing: list[JsonValue] = [name for name in expected if name not in actual]
        left[WITHOUT] = missing
    return left


def _residual_value(value: JsonValue, ours: JsonValue) -> JsonValue:
    if isinstance(value, dict) and isinstance(ours, dict):
        return residual(value, ours)
    if not (isinstance(value, list) and isinstance(ours, list) and len(value) == len(ours)):
        return value
    pairs = [
        (one, other)
        for one, other in zip(value, ours, strict=True)
        if isinstance(one, dict) and isinstance(other, dict)
    ]
    if len(pairs) != len(value):
        return value
    return {EACH: [residual(one, other) for one, other in pairs]}


def restore(written: JsonObject, left: JsonObject) -> JsonObject:
    """`written`, changed in place to what it was a residual of."""
    for name, value in left.items():
        if name == WITHOUT:
            for missing in value if isinstance(value, list) else ():
                written.pop(str(missing), None)
            continue
        written[name] = _restore_value(written.get(name), value)
    return written


def _restore_value(before: JsonValue, value: JsonValue) -> JsonValue:
    if not isinstance(value, dict):
        return value
    if isinstance(before, dict):
        return restore(before.copy(), value)
    each = value.get(EACH)
    if not (isinstance(before, list) and isinstance(each, list)):
        return value
    # Objects that a policy added since have nothing to put back.
    restored: list[JsonValue] = [*before]
    for at, (one, left) in enumerate(zip(before, each, strict=False)):
        if isinstance(one, dict) and isinstance(left, dict):
            restored[at] = restore(one.copy(), left)
    return restored
