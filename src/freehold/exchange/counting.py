"""Token counts where the target does not count, or can not just now: answered here, and said to be ours."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from freehold.errors import FreeholdError
from freehold.exchange.headers import answer_headers
from freehold.exchange.record import UsageRecord
from freehold.ir import Count, TokenCount
from freehold.protocols.codec import Unsupported
from freehold.routing.tokens import TokenEstimate, count

if TYPE_CHECKING:
    from freehold.exchange.road import Journey
    from freehold.exchange.target import Place


def counts(place: Place) -> bool:
    """Whether any protocol of the place counts tokens."""
    return any("count" in target.operations for target in place.targets)


def may_count(failed: FreeholdError) -> bool:
    """Whether our own count is a better answer than this failure: not where the caller has to mend the request."""
    return failed.retry.where != "never" or failed.code == "unsupported_operation"


async def answer_count(journey: Journey, place: Place) -> None:
    """Answer with our own count of what the place would be asked. Raises CallerError, Unsupported."""
    request, codec = journey.request(), journey.arrival.codec
    if not isinstance(request, Count):
        raise Unsupported(f"{codec.name} asks for no count here")
    # In a thread: a body of megabytes takes a good part of a second, in slices between which the loop runs.
    estimate = await asyncio.to_thread(count, request.generate, place.targets[0].tokenizer)
    answer = TokenCount(origin=codec.name, input_tokens=estimate.tokens)
    encoded = codec.encode_response(answer, journey.stamp, request)
    record = journey.record
    record.usage = UsageRecord(source="estimate", input_tokens=estimate.tokens)
    record.losses, record.status, record.outcome = encoded.losses, encoded.value.status, "ok"
    headers = answer_headers(
        request_id=codec.manners.request_id,
        exchange=journey.arrival.id,
        target=place.name,
        attempts=len(record.attempts),
        losses=encoded.losses,
        content_type="application/json",
    )
    headers.append(("freehold-count", _how_good(estimate)))
    journey.finish()
    journey.door.respond(encoded.value.status, headers, encoded.value.body)


def _how_good(estimate: TokenEstimate) -> str:
    """How good the count is, as a structured-field item (RFC 9651)."""
    if estimate.exact:
        return "exact"
    return "estimate" if estimate.upper_bound is None else f"estimate;at-most={estimate.upper_bound}"
