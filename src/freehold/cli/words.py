"""Numbers as people say them."""

from __future__ import annotations


def ago(seconds: float) -> str:
    """How long ago, in the largest unit that fits."""
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return f"{counted(int(seconds // size), unit)} ago"
    return "just now"


def counted(number: int, noun: str) -> str:
    """One thing, or so many."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
