"""The closed list of spellings that two texts may differ by and still be equal."""

from __future__ import annotations

from typing import Final

from freehold.protocols.spellings import SPELLINGS
from freehold.reference.markdown import codes

_HEAD: Final = """# Spellings

`freehold translate` calls a re-encoded text *identical* if its bytes are the recorded ones (where no bytes were
recorded: the same JSON in the same order), and *equal* if it differs only by the spellings on this page. The list is
closed: nothing else is ever treated as equal.
"""


def page() -> str:
    """The whole page."""
    lines = [_HEAD]
    for spelling in SPELLINGS:
        where = f" Holds for {codes(spelling.protocols)}." if spelling.protocols else ""
        lines += [f"## `{spelling.id}`", "", f"{spelling.says}{where}", "", f"*Because:* {spelling.because}", ""]
    return "\n".join(lines)
