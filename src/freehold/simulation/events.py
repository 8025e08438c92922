"""A queue of what is to happen, in an array: the earliest first, of equals the one that was put in first."""

from __future__ import annotations

from typing import Final

import numpy as np

from freehold.simulation.trace import Integers, Item, Records

EVENT: Final = np.dtype(
    [
        ("time", np.float64),
        ("turn", np.int64),  # the how-manieth it is
        ("kind", np.int64),
        ("subject", np.int64),
        ("serial", np.int64),  # of the subject, so that an event that nobody waits for any more is known
    ]
)


def push(events: Records, size: Integers, time: float, kind: int, subject: int, serial: int) -> None:
    """Put an event into a heap of `size[0]`; `size[1]` counts all there ever were. Raises RuntimeError if full."""
    place = size[0]
    if place >= len(events):
        raise RuntimeError("more is to happen than the replay has room for")
    size[0] += 1
    size[1] += 1
    turn = size[1]
    while place > 0:
        above = (place - 1) // 2
        if events[above]["time"] <= time:
            break
        _copy(events[above], events[place])
        place = above
    event = events[place]
    event["time"] = time
    event["turn"] = turn
    event["kind"] = kind
    event["subject"] = subject
    event["serial"] = serial


def pop(events: Records, size: Integers) -> tuple[float, int, int, int]:
    """Take the first one out: its time, kind, subject and serial number."""
    first = events[0]
    time, kind, subject, serial = first["time"], first["kind"], first["subject"], first["serial"]
    size[0] -= 1
    last = events[size[0]]
    place = 0
    while True:
        below = 2 * place + 1
        if below >= size[0]:
            break
        if below + 1 < size[0] and _before(events[below + 1], events[below]):
            below += 1
        if not _before(events[below], last):
            break
        _copy(events[below], events[place])
        place = below
    _copy(last, events[place])
    return time, kind, subject, serial


def _before(one: Item, other: Item) -> bool:
    if one["time"] != other["time"]:
        return one["time"] < other["time"]
    return one["turn"] < other["turn"]


def _copy(source: Item, place: Item) -> None:
    place["time"] = source["time"]
    place["turn"] = source["turn"]
    place["kind"] = source["kind"]
    place["subject"] = source["subject"]
    place["serial"] = source["serial"]
