"""The headers that an answer carries besides its body's: whose it is, what it cost, what it lost."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from freehold.ir import Loss

_MAX_LOSSES_SHOWN = 8
"""The header is a hint; the record holds more. Proxies in front refuse headers of more than a few KiB."""

_RATE_LIMIT_PREFIXES = ("x-ratelimit-", "anthropic-ratelimit-", "x-amzn-bedrock-")


def answer_headers(
    *, request_id: str, exchange: str, target: str, attempts: int, losses: Sequence[Loss], content_type: str
) -> list[tuple[str, str]]:
    """The headers of every answer that a target gave; `request_id` is where the client looks for the exchange's id."""
    headers = [
        ("content-type", content_type),
        (request_id, exchange),
        ("freehold-exchange", exchange),
        ("freehold-target", said_in_header(target)),
        ("freehold-attempts", str(attempts)),
    ]
    if losses:
        headers.append(("freehold-loss", loss_header(losses)))
    return headers


def said_in_header(target: str) -> str:
    """A target's name as a header can say it: what is not printable ASCII is percent-encoded."""
    return target if target.isascii() and target.isprintable() else quote(target, safe="/@:+-._~ !#$&'()*,;=?[]")


def loss_header(losses: Sequence[Loss]) -> str:
    """Losses as a structured-field list (RFC 9651): kind, with path and effect as parameters."""
    items = [f'{loss.kind};effect={loss.effect};path="{_quotable(loss.path)}"' for loss in losses[:_MAX_LOSSES_SHOWN]]
    if len(losses) > _MAX_LOSSES_SHOWN:
        items.append(f"more;count={len(losses) - _MAX_LOSSES_SHOWN}")
    return ", ".join(items)


_UNSAYABLE = re.compile(r"[^ !#-\[\]-~]")


def _quotable(path: str) -> str:
    """A path as a structured-field string: printable ASCII, no quotes; a caller's own field name may be anything."""
    return _UNSAYABLE.sub("?", path[:120])


def passed_on(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """What may cross from a provider's answer in the tunnel: its rate-limit figures."""
    return [(name, value) for name, value in headers if name.startswith(_RATE_LIMIT_PREFIXES)]


def dollars(nano: int) -> str:
    """Nano-dollars as a decimal number of USD."""
    whole, rest = divmod(nano, 1_000_000_000)
    return f"{whole}.{rest:09d}"
