"""The recorded exchanges that the tests carry, decoded once per process."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from freehold.exchange.recordings import Recording, read_recording

FOLDER = Path(__file__).parent.parent / "exchanges"
FILES = sorted(FOLDER.rglob("*.json"))
NAMES = [str(file.relative_to(FOLDER)) for file in FILES]


@cache
def recording(name: str) -> Recording:
    """One exchange by its path below `tests/exchanges`."""
    return read_recording((FOLDER / name).read_bytes(), name)
