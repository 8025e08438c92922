"""What was spent of commitments, by the exchange records of this machine."""

from __future__ import annotations

from pathlib import Path

from freehold.exchange.record import read_records
from freehold.routing.commitments import Commitments


def spent(folder: Path, commitments: Commitments, before: float) -> dict[str, float]:
    """USD by commitment, of exchanges that began within its time and before a Unix time.

    Reads the whole spool, some seconds for a million rows. Raises OSError.
    """
    sums = {each.name: 0.0 for each in commitments.spends()}
    since = {each.name: each.start for each in commitments.spends()}
    for record in read_records(folder) if sums else ():
        for attempt in record.attempts:
            commitment = commitments.of(attempt.target) if attempt.cost_nano_usd else None
            if commitment is not None and commitment.name in sums and since[commitment.name] <= record.started < before:
                sums[commitment.name] += (attempt.cost_nano_usd or 0) * 1e-9 * (1.0 - commitment.discount)
    return sums
