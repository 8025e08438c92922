"""Which conversation a request belongs to, as a digest: providers' caches know a prompt by its beginning.

The digest is of the project, the tools and instructions (their length and how they begin), the turns up to the first
of the user, and OpenAI's `prompt_cache_key`, by which its caches are told apart as well. What changes from one request
to the next is left out: marks of what to cache, and whether a text stands alone or in a list of parts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import blake2b
from typing import Final, cast

import msgspec

from freehold.exchange.door import Arrival
from freehold.exchange.lanes import Glance

_HEAD: Final = 16 * 1024
"""Bytes of the turns that are looked at."""
_HEAD_OF_PREAMBLE: Final = 2048
_MOST_TURNS: Final = 8
"""Turns that are looked at before the first of the user."""

_PREAMBLE: Final = (
    "prompt_cache_key",
    "tools",
    "toolConfig",
    "system",
    "instructions",
    "systemInstruction",
    "system_instruction",
)
_TURNS: Final = ("messages", "input", "contents")
_PASSING: Final = frozenset({"cache_control", "cachePoint", "type"})

_scan = json.JSONDecoder().raw_decode


def conversation_of(arrival: Arrival, seen: Glance) -> bytes:
    """The digest; empty for operations that have no conversation."""
    if arrival.operation != "generate":
        return b""
    digest = blake2b(arrival.project.encode(), digest_size=16)
    for name in _PREAMBLE:
        raw = seen.fields.get(name)
        if raw is not None:
            view = memoryview(raw)
            digest.update(b"\0%d\0" % len(view))
            digest.update(view[:_HEAD_OF_PREAMBLE])
    for name in _TURNS:
        raw = seen.fields.get(name)
        if raw is not None:
            for text in _beginning(raw):
                digest.update(b"\0")
                digest.update(text.encode(errors="surrogatepass"))
    return digest.digest()


def _beginning(turns: msgspec.Raw) -> Iterator[str]:
    """The words of the first turns, up to the first of the user; of a very long one how it begins."""
    text = bytes(memoryview(turns)[:_HEAD]).decode(errors="ignore")
    if not text.startswith("["):
        yield text
        return
    at = 1
    for _ in range(_MOST_TURNS):
        while text[at : at + 1] in {" ", "\n", "\r", "\t", ","} and at < len(text):
            at += 1
        if text[at : at + 1] == "]":
            return
        try:
            turn, at = _scan(text, at)
        except (ValueError, RecursionError):
            yield text[at:]
            return
        yield from _words(turn)
        if isinstance(turn, dict) and cast("dict[str, object]", turn).get("role") == "user":
            return


def _words(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in cast("dict[str, object]", value).items():
            if name not in _PASSING:
                yield from _words(item)
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            yield from _words(item)
