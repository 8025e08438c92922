"""The metrics of the control plane."""

from __future__ import annotations

from typing import Final

import msgspec

from freehold.reference.markdown import code, codes, table


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One metric, without the prefix `freehold_`."""

    name: str
    kind: str
    labels: tuple[str, ...] = ()
    says: str


ENTRIES: Final[tuple[Entry, ...]] = (
    Entry(
        name="exchanges_total",
        kind="counter",
        labels=("protocol", "outcome"),
        says="Exchanges that came to an end, by the client's protocol and by [outcome](exchange-record.md#outcome).",
    ),
    Entry(
        name="attempts_total",
        kind="counter",
        labels=("target", "status"),
        says="Attempts by target (`account/model`) and HTTP status; `none` where no answer came.",
    ),
    Entry(name="input_tokens_total", kind="counter", says="Input tokens as providers counted them, cached ones too."),
    Entry(name="output_tokens_total", kind="counter", says="Output tokens as providers counted them, reasoning too."),
    Entry(name="cost_usd_total", kind="counter", says="US dollars of the exchanges whose price is known."),
    Entry(
        name="connections_closed_total",
        kind="counter",
        says="Idle connections closed because [others](configuration.md#connections) wanted their place.",
    ),
    Entry(
        name="connections_refused_total",
        kind="counter",
        says="Connections refused because there were too many and none was idle.",
    ),
    Entry(name="handshakes_failed_total", kind="counter", says="TLS handshakes with clients that failed."),
    Entry(name="workers", kind="gauge", says="Workers that serve now."),
    Entry(name="open_exchanges", kind="gauge", says="Exchanges in flight now."),
    Entry(name="open_connections", kind="gauge", says="Connections of clients that are open now."),
    Entry(
        name="keys_stale_seconds",
        kind="gauge",
        says="Seconds since the store of keys could last be read, 0 while it can; keys made or revoked since are not "
        "known here.",
    ),
    Entry(name="targets_broken", kind="gauge", says="Targets whose breaker is open."),
    Entry(name="targets_cooling", kind="gauge", says="Targets that asked to be left alone (`Retry-After`)."),
    Entry(name="targets_disabled", kind="gauge", says="Targets that an operator has disabled."),
    Entry(name="domains_broken", kind="gauge", says="Failure domains whose breaker is open."),
    Entry(
        name="domains_taken_out",
        kind="gauge",
        says="Failure domains that [a drill](../how-to/drill.md) has taken out.",
    ),
    Entry(name="snapshot", kind="gauge", says="Number of the configuration in use; it grows with each reload."),
    Entry(
        name="reload_refused",
        kind="gauge",
        says="1 while the configuration on disk could not be taken into use; `/readyz` says why.",
    ),
)

_HEAD: Final = """# Metrics

`GET /metrics` on the control plane answers in the Prometheus text format, version 0.0.4. All names begin with
`freehold_`. All workers are in one figure. Counters begin at zero when the server starts and never go back: what
a worker counted stays when it dies, but for the last quarter of a second.
"""


def page() -> str:
    """The whole page."""
    rows = (
        (code(f"freehold_{entry.name}"), entry.kind, codes(entry.labels) or "none", entry.says) for entry in ENTRIES
    )
    return "\n".join([_HEAD, *table(("Metric", "Kind", "Labels", "Meaning"), rows), ""])
