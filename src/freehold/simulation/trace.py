"""A trace as columns: when requests came, how long they and their answers were, what they share with earlier ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
Records: TypeAlias = Any
"""An array of rows with named fields, for whose types numpy has no words."""
Item: TypeAlias = Any
"""One such row."""


class Trace(NamedTuple):
    """Requests in the order of their arrival (seconds).

    `input` and `output` are tokens. `session` is the conversation that a request belongs to, from 0, or -1; `shared`
    the tokens at its beginning that an earlier request of that conversation had, too.
    """

    arrival: Floats
    input: Integers
    output: Integers
    session: Integers
    shared: Integers

    @property
    def sessions(self) -> int:
        """How many conversations there are."""
        return int(self.session.max(initial=-1)) + 1

    def head(self, count: int) -> Trace:
        """The first requests of it."""
        return Trace(
            arrival=self.arrival[:count],
            input=self.input[:count],
            output=self.output[:count],
            session=self.session[:count],
            shared=self.shared[:count],
        )


def load(path: Path) -> Trace:
    """A trace from numpy's file with the columns `arrival_ms`, `input`, `output`; `session`, `shared` where known."""
    with np.load(path, allow_pickle=False) as columns:
        arrival = columns["arrival_ms"].astype(np.float64) / 1000.0
        count = len(arrival)
        known = "session" in columns
        return Trace(
            arrival=arrival,
            input=columns["input"].astype(np.int64),
            output=columns["output"].astype(np.int64),
            session=columns["session"].astype(np.int64) if known else np.full(count, -1, np.int64),
            shared=columns["shared"].astype(np.int64) if known else np.zeros(count, np.int64),
        )


def tiled(trace: Trace, starts: Floats) -> Trace:
    """The trace again and again, beginning at each of `starts` (rising, and further apart than the trace is long)."""
    arrival = (np.asarray(starts)[:, None] + trace.arrival[None, :]).ravel()
    if np.any(np.diff(arrival) < 0):
        raise ValueError("the tiles overlap: starts have to be further apart than the trace is long")
    times = len(starts)
    return Trace(
        arrival=arrival,
        input=np.tile(trace.input, times),
        output=np.tile(trace.output, times),
        session=np.tile(trace.session, times),
        shared=np.tile(trace.shared, times),
    )
