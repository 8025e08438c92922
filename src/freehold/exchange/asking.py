"""A request in numbers, as a decision looks at it: how long, with what media, by which chance."""

from __future__ import annotations

import msgspec

from freehold.errors import CallerError, FreeholdError
from freehold.exchange.door import Arrival
from freehold.exchange.lanes import Glance, RequestOf
from freehold.exchange.target import Found
from freehold.ir import Generate, Media, ToolResult
from freehold.protocols.codec import Unsupported
from freehold.routing.decision import Decision
from freehold.routing.features import Ask

BYTES_A_TOKEN = 4
"""Bytes of a body for each token, roughly: English prose has 4.5, code and JSON 3."""
MOST_BYTES_A_TOKEN = 8
"""No prompt of natural language has more over its length, so that fewer tokens than this are not there."""
EXPECTED_OUTPUT = 500
"""Tokens that an answer is taken to have: half of the answers in published traces are shorter."""

_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_MEDIA = (b"image", b"audio", b"video", b"pdf", b"document", b"file")
"""What bodies that hold a medium say somewhere, in every protocol; only such a one is decoded to see which."""


def ask_of(seen: Glance, arrival: Arrival, found: Found, request_of: RequestOf) -> Ask:
    """The request in numbers; what no candidate minds is not looked at."""
    body = arrival.wire.body
    size = len(body)
    large = size > found.smallest
    kinds: frozenset[str] = frozenset()
    at_least = 0
    if large or found.restricts:
        media = any(word in body for word in _MEDIA)
        # Media are base64, whose length says little about tokens.
        at_least = 0 if media or not large else size // MOST_BYTES_A_TOKEN
        if media and found.restricts:
            kinds = _kinds(request_of)
    limit = _limit(seen)
    return Ask(
        input_tokens=size // BYTES_A_TOKEN,
        at_least=at_least,
        output_tokens=EXPECTED_OUTPUT if limit is None else min(limit, EXPECTED_OUTPUT),
        kinds=kinds,
        draw=draw_of(arrival.id),
        at=arrival.started,
    )


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
