"""The headers that Freehold reads and writes beside a protocol's own."""

from __future__ import annotations

from typing import Final

import msgspec

from freehold.protocols.registry import CODECS
from freehold.reference.markdown import code, codes, table


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One header."""

    name: str
    says: str


REQUEST: Final[tuple[Entry, ...]] = (
    Entry(
        name="Freehold-On-Loss",
        says="What may be lost in translation: `report`, `reject-content` (the default) or `reject`. See "
        "[strictness](losses.md#strictness). Anything else is refused with [`invalid_header`]"
        "(errors.md#invalid_header).",
    ),
    Entry(
        name="Freehold-Tags",
        says="Up to 16 pairs `name=value`, separated by commas, each of at most 128 characters. They stand on the "
        "[exchange record](exchange-record.md) in `tags` and go nowhere else.",
    ),
    Entry(
        name="Freehold-Strategy",
        says="How to choose among a model's targets, instead of the key's and the model's own: one of the "
        "[strategies](../explanation/decision.md#strategies). Anything else is refused with "
        "[`unknown_strategy`](errors.md#unknown_strategy).",
    ),
)

ANSWER: Final[tuple[Entry, ...]] = (
    Entry(
        name="Freehold-Exchange",
        says="The exchange's id, on every answer that went down the road, errors included. "
        "`GET /exchanges/{id}` on the control plane gives its record.",
    ),
    Entry(
        name="Freehold-Target",
        says="Who answered, as `account/model`. On an error: the target that was tried last.",
    ),
    Entry(name="Freehold-Attempts", says="How many targets were asked, the one that answered included."),
    Entry(
        name="Freehold-Loss",
        says="What could not be said, as a structured-field list (RFC 9651): each member is a [kind]"
        "(losses.md#kinds) with the parameters `effect` and `path`. At most eight; `more;count=N` stands for the "
        "rest. Absent where nothing was lost. On a stream it holds what was known when the stream began: losses of "
        "the request. The record has more of them.",
    ),
    Entry(
        name="Freehold-Cost",
        says="What the exchange cost in US dollars, a decimal number with nine places, where the price is known. "
        "Only on answers that are not streamed, since a stream's usage comes at its end; the record has it for both.",
    ),
    Entry(
        name="Freehold-Count",
        says="On a count of tokens that Freehold made itself, because the target does not count or could not: `exact`, "
        "or `estimate` with the parameter `at-most=N` where there is a bound. See [token counts](token-counts.md).",
    ),
)

_HEAD: Final = """# Headers

Beside the headers of its own protocol a request may carry three, and an answer carries up to six. Nothing is added to
a body or a stream that its protocol does not define.
"""


def _crossing() -> list[tuple[str, list[str]]]:
    """What of a client's head goes to a target of the same protocol."""
    sets = ((name, sorted(codec.manners.passed_headers)) for name, codec in CODECS.items())
    return [(name, headers) for name, headers in sets if headers]


def page() -> str:
    """The whole page."""
    lines = [_HEAD]
    for title, entries in (("In a request", REQUEST), ("In an answer", ANSWER)):
        lines += [f"## {title}", ""]
        for entry in entries:
            lines += [f"### `{entry.name}`", "", entry.says, ""]
    lines += [
        "## The request id",
        "",
        (
            "The header in which a protocol's clients look for a request id carries the exchange's id. The provider's "
            "own id is on the record, as `request_id` of its attempt."
        ),
        "",
        *table(("Protocol", "Header"), ((name, code(codec.manners.request_id)) for name, codec in CODECS.items())),
        "",
        "## What crosses to the provider",
        "",
        (
            "Of a client's headers only those that are part of its protocol, and only to a target of the same protocol "
            "or one that knows their meaning. Credentials, cookies, user agents and everything else stay here."
        ),
        "",
        *table(("Protocol", "Headers"), ((name, codes(crossing)) for name, crossing in _crossing())),
        "",
        (
            "Of a provider's answer, the figures of its rate limits (`x-ratelimit-*`, `anthropic-ratelimit-*`, "
            "`x-amzn-bedrock-*`) cross where its bytes pass unchanged. Retry advice crosses always, in the client's "
            "protocol: `retry-after`, for OpenAI's clients also `retry-after-ms`, for AWS SDKs `x-amz-retry-after`."
        ),
        "",
    ]
    return "\n".join(lines)
