"""What is left of a JSON object after what its writer would write by itself, and putting it back.

`restore(expected, residual(actual, expected)) == actual`, whatever the two are.  Where the expectation has changed in
between (a policy rewrote a text), the change stays and only the difference is put back.
"""

from __future__ import annotations

from typing import Final

from freehold.ir import JsonObject, JsonValue

WITHOUT: Final = "(without)"
"""Names that the expectation has and the object has not. No wire field is called that."""


def residual(actual: JsonObject, expected: JsonObject) -> JsonObject:
    """The members of `actual` that `expected` lacks or has otherwise; objects are compared member by member."""
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
        left[name] = residual(value, ours) if isinstance(value, dict) and isinstance(ours, dict) else value
    if met != len(expected):
        missing: list[JsonValue] = [name for name in expected if name not in actual]
        left[WITHOUT] = missing
    return left


def restore(written: JsonObject, left: JsonObject) -> JsonObject:
    """`written`, changed in place to what it was a residual of."""
    for name, value in left.items():
        if name == WITHOUT:
            for missing in value if isinstance(value, list) else ():
                written.pop(str(missing), None)
            continue
        before = written.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            written[name] = restore(before.copy(), value)
        else:
            written[name] = value
    return written
