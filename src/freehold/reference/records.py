"""The fields of an exchange record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, get_args

import msgspec

from freehold.exchange.record import AttemptRecord, ExchangeRecord, Outcome, SeamRecord, UsageRecord
from freehold.ir import Loss
from freehold.reference.markdown import code, table

FIELDS: Final[Mapping[type[msgspec.Struct], Mapping[str, str]]] = {
    ExchangeRecord: {
        "id": "The exchange's id, as in `Freehold-Exchange`. Begins with `fx`, sorts by time to the second.",
        "started": "When the request's head had arrived, in Unix seconds.",
        "protocol": "The client's [protocol](protocols.md).",
        "operation": "`generate`, `embed` or `count`.",
        "finished": "When the row was written, in Unix seconds: just before the last byte went to the client.",
        "project": "The key's project; `local` without a key.",
        "key": "The id of the key, never the key.",
        "snapshot": "Number of the configuration that was in use.",
        "parent": "The id of the exchange for which this one was made, by Freehold itself: a judge is asked.",
        "model": "The model as it was asked for, its first 200 characters.",
        "stream": "Whether a stream was asked for.",
        "status": "The HTTP status that the client got.",
        "outcome": "How it ended; see [below](#outcome).",
        "error": "The [code](errors.md) of what went wrong, a provider's own code included.",
        "region": "The region in the scope of an AWS signature.",
        "tags": "What `Freehold-Tags` said.",
        "attempts": "Each try at a target, in order; see [below](#an-attempt).",
        "strategy": "How the order of the targets was chosen; left out where there was one target.",
        "scores": "For each target that may be asked its `score`, the lowest asked first, and the numbers it was "
        "made of: `order`, `weight`, `cost_usd`, `first_token_s`, `tokens_per_s`, `errors`, `output_tokens`, `draw`. "
        "What is not known is left out. `bench_age_s`: seconds since `freehold bench` measured the figures; "
        "without it they are from live traffic.",
        "rejections": "Targets that were not asked, or not once more, and why.",
        "usage": "Tokens, the sum over the attempts; see [below](#usage).",
        "price_version": "The dated price list that `cost_nano_usd` was computed with.",
        "cost_nano_usd": "The cost in billionths of a US dollar, a whole number: the sum over the attempts. Absent "
        "where one of their prices is not known.",
        "losses": "Everything that could not be said, of the request and of the answer; see [below](#a-loss). "
        "At most 1,000, and one more that counts the rest.",
    },
    AttemptRecord: {
        "target": "Who was asked, as `account/model`.",
        "lane": "`tunnel`, `same-language` or `translate`; see [how a request travels](../explanation/road.md).",
        "status": "The provider's HTTP status. Absent where no answer came.",
        "error": "The code of what went wrong with this try.",
        "hedge": "True where it was made beside another that was slow.",
        "lost": "True where it was cut because another had proved itself.",
        "check": "What its answer lacked, so that the next target was asked; "
        "see [cascade](../explanation/decision.md#cascade).",
        "judge": "The id of the exchange in which a judge was asked about its answer.",
        "request_id": "The provider's own id, which its support asks for.",
        "first_byte_ms": "Milliseconds from sending to the head of the answer.",
        "last_byte_ms": "Milliseconds from sending to the end of the answer.",
        "usage": "The tokens that this try used; see [below](#usage). Absent where the provider reported none.",
        "cost_nano_usd": "What they cost, in billionths of a US dollar. Absent where no price is known.",
        "price_version": "The dated price list that `cost_nano_usd` was computed with.",
        "seam": "Where it went on with what the attempt before had begun; see [below](#a-seam).",
    },
    SeamRecord: {
        "how": "`prefill`: the answer so far was given as the beginning of the model's own. `instruction`: it was told "
        "in words to go on. `afresh`: no text had been said, so it was asked as the others.",
        "after": "Characters of text that the client had been sent before.",
        "removed": "Characters that the model repeated and the client was not sent.",
    },
    UsageRecord: {
        "source": "`provider`: its final figure. `partial`: what it had reported when the stream broke or the client "
        "left. `estimate`: Freehold's own [count](token-counts.md), for a client that asked for one, or for an attempt "
        "whose stream another went on with; of a sum, that one of its parts is one.",
        "input_tokens": "All input tokens, cached ones included.",
        "output_tokens": "All output tokens, reasoning included.",
        "cache_read": "Of the input: read from the provider's cache.",
        "cache_write": "Of the input: written to it.",
        "reasoning": "Of the output: spent on reasoning.",
    },
    Loss: {
        "path": "Where, in the canonical language: `messages[2].parts[0].annotations`.",
        "kind": "What became of it; see [kinds](losses.md#kinds).",
        "effect": "What suffers; see [effects](losses.md#effects).",
        "detail": "The reason, for people.",
    },
}

OUTCOMES: Final[Mapping[Outcome, str]] = {
    "ok": "The client got a whole answer.",
    "refused": "The request was refused here, by the rules in force, or by the provider; the caller can mend it.",
    "failed": "No target could answer.",
    "broken": "A stream ended in an error after it had begun.",
    "client_gone": "The client left before the answer was complete. What had been used until then is recorded.",
}

_HEAD: Final = """# The exchange record

One row for each exchange, without any of its content: a line of JSON in the spool (`[ledger] directory`, files
`exchanges*.jsonl`, mode 0600), written before the last byte of the answer reaches the client and synced to disk every
`[ledger] sync_interval`. Fields at their default are left out of the row. `GET /exchanges/{id}` on the control plane
and `freehold ledger show` read the same rows.
"""


def page() -> str:
    """The whole page."""
    lines = [_HEAD]
    for title, kind in (
        ("The row", ExchangeRecord),
        ("An attempt", AttemptRecord),
        ("A seam", SeamRecord),
        ("Usage", UsageRecord),
        ("A loss", Loss),
    ):
        said = FIELDS[kind]
        rows = ((code(field.name), said[field.name]) for field in msgspec.structs.fields(kind))
        lines += [f"## {title}", "", *table(("Field", "Meaning"), rows), ""]
    outcomes = ((code(name), OUTCOMES[name]) for name in get_args(Outcome))
    lines += ["## Outcome", "", *table(("Outcome", "Meaning"), outcomes), ""]
    return "\n".join(lines)
