"""A request in numbers, as a decision looks at it: how long, with what media, by which chance."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from freehold.errors import CallerError, FreeholdError
from freehold.exchange.door import Arrival
from freehold.exchange.lanes import Glance, RequestOf
from freehold.exchange.target import Found
from freehold.ir import Generate, Media, ToolResult
from freehold.protocols.codec import Unsupported
from freehold.routing.decision import Decision
from freehold.routing.features import COLD, Ask, Warmth

ENCODED_BYTES_A_TOKEN = 200
"""Bytes of base64 for each token of a medium, roughly: a picture of 300 KB takes some 1500."""
SAMPLED_FROM = 16 * 1024
"""Bytes of a body up to which all of it is taken for text: no medium in it would weigh much."""
SAMPLES = 64
_SAMPLE = 96
"""Bytes of a sample: hardly any text has so many without a space or a mark in between."""
EXPECTED_OUTPUT = 500
"""Tokens that an answer is taken to have: half of the answers in published traces are shorter."""

_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_="
_MEDIA = (b"image", b"audio", b"video", b"pdf", b"document", b"file")
"""What bodies that hold a medium say somewhere, in every protocol; only such a one is decoded to see which."""


def ask_of(
    seen: Glance,
    arrival: Arrival,
    found: Found,
    request_of: RequestOf,
    *,
    warmth: Warmth = COLD,
    free: Mapping[str, float],
) -> Ask:
    """The request in numbers; what no candidate minds is not looked at."""
    body = arrival.wire.body
    kinds: frozenset[str] = frozenset()
    if found.restricts and any(word in body for word in _MEDIA):
        kinds = _kinds(request_of)
    text, encoded = float(len(body)), 0.0
    if text > SAMPLED_FROM:
        text, encoded = text_and_media(body)
    return Ask(
        text=text,
        media=encoded / ENCODED_BYTES_A_TOKEN,
        judged=len(body) > found.smallest,
        output_tokens=_output(seen, arrival),
        kinds=kinds,
        draw=draw_of(arrival.id),
        at=arrival.started,
        warmth=warmth,
        free=free,
    )


def text_and_media(body: bytes) -> tuple[float, float]:
    """Bytes of text in a long body, and bytes of media in base64, from samples: reading it all would take longer.

    Escaped characters are taken for three bytes each, which is what they have in UTF-8 at most.
    """
    encoded = escapes = 0
    step = len(body) // SAMPLES
    for at in range(0, step * SAMPLES, step):
        sample = body[at : at + _SAMPLE]
        if not sample.translate(None, _BASE64):
            encoded += 1
        elif b"\\u" in sample:
            escapes += sample.count(b"\\u")
    media = len(body) * encoded / SAMPLES
    return len(body) - media - 3.0 * escapes * len(body) / (SAMPLES * _SAMPLE), media


def _output(seen: Glance, arrival: Arrival) -> float:
    if arrival.operation == "embed":
        return 0.0
    limit = _limit(seen)
    return EXPECTED_OUTPUT if limit is None else min(limit, EXPECTED_OUTPUT)


def _kinds(request_of: RequestOf) -> frozenset[str]:
    """The media that the request holds; a request that can not be read is judged where it is sent."""
    try:
        request = request_of()
    except (CallerError, Unsupported):
        return frozenset()
    if not isinstance(request, Generate):
        return frozenset()
    found: set[str] = set()
    for message in request.messages:
        for part in message.parts:
            for each in part.parts if isinstance(part, ToolResult) else (part,):
                if isinstance(each, Media):
                    found.add(_kind(each))
    return frozenset(found - {""})


def _kind(media: Media) -> str:
    """A medium as provider files call it; a document of text is text."""
    if media.kind != "document":
        return media.kind
    return "pdf" if media.media_type == "application/pdf" else ""


def draw_of(exchange: str) -> float:
    """An exchange's chance, 0 up to 1: the last digits of its id, so that a decision can be made again."""
    try:
        return int(exchange[-8:], 16) / 2**32
    except ValueError:
        return 0.0


def _limit(seen: Glance) -> int | None:
    for name in _LIMITS:
        raw = seen.fields.get(name)
        if raw is not None:
            try:
                return max(msgspec.json.decode(raw, type=int), 0)
            except msgspec.DecodeError:
                return None
    return None


def no_target(decision: Decision) -> FreeholdError:
    """Why nobody may be asked, and what can be done."""
    reasons = "; ".join(f"{each.target}: {each.evidence}" for each in decision.rejections()[:5])
    return FreeholdError(
        f"every target is disabled ({reasons}); `freehold target enable` puts one back",
        code="all_targets_disabled",
        kind="unavailable",
    )
