"""Errors in nobody's form, as proxies and other vendors send them: the sentence in a body, the wait in a header."""

from __future__ import annotations

import math
from collections.abc import Mapping

from freehold.ir import JsonValue

LONGEST_TEXT = 2000
"""Characters of a body without a sentence which stand in a message: enough to recognise a proxy's page."""

_SENTENCES = ("message", "Message", "errorMessage", "error", "detail", "error_message", "reason", "title")
"""Where vendors put the sentence, the likeliest first; any may hold a further object."""

_LONGEST_WAIT = 1e9
"""Seconds; more is no advice."""

_WAITS = (("retry-after-ms", 0.001), ("x-ms-retry-after-ms", 0.001), ("x-amz-retry-after", 0.001), ("retry-after", 1.0))
"""Headers that say when to come back, the exact ones first, and their units in seconds."""


def message_of(value: JsonValue, text: str, status: int) -> str:
    """What a body says: its JSON's sentence, else the beginning of its text, else that it says nothing."""
    return _sentence(value) or text.strip()[:LONGEST_TEXT] or f"the provider answered {status} without a word"


def _sentence(value: JsonValue) -> str | None:
    if isinstance(value, list) and value:
        return _sentence(value[0])
    if not isinstance(value, dict):
        return None
    for name in _SENTENCES:
        found = value.get(name)
        if isinstance(found, str) and found:
            return found
        if isinstance(found, dict):
            return _sentence(found)
    return None


def seconds_to_wait(headers: Mapping[str, str]) -> float | None:
    """How long the provider asks to be left alone; None where it does not say, or says a date."""
    for name, unit in _WAITS:
        try:
            seconds = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        if math.isfinite(seconds) and 0 <= seconds < _LONGEST_WAIT:
            return seconds
    return None
