"""On which line a setting stands: a small reader of TOML keys, for messages only.

`tomllib` does not keep positions. This one understands table headers, keys, quotes and multi-line values well enough to
point at a line; where it is lost it points at the table above.
"""

from __future__ import annotations

import re

Path = tuple[str, ...]

_KEY = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*""")


class Lines:
    """The lines of one TOML text by key path."""

    def __init__(self, text: str) -> None:
        self._known = _scan(text)

    def find(self, path: Path) -> int | None:
        """The line of a setting, or of the nearest table around it; None for the file as a whole."""
        while path:
            if path in self._known:
                return self._known[path]
            path = path[:-1]
        return None


def _scan(text: str) -> dict[Path, int]:
    known: dict[Path, int] = {}
    table: Path = ()
    open_until: str | None = None
    depth = 0
    for number, line in enumerate(text.splitlines(), 1):
        if open_until is not None:
            if open_until in line:
                open_until = None
            continue
        if depth > 0:
            depth += _balance(line)
            continue
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        if stripped.startswith("["):
            table = _keys(stripped.lstrip("["))[0]
            known.setdefault(table, number)
            continue
        keys, rest = _keys(stripped)
        if not keys or not rest.startswith("="):
            continue
        for length in range(1, len(keys) + 1):
            known.setdefault(table + keys[:length], number)
        value = rest[1:].strip()
        for quotes in ('"""', "'''"):
            if value.startswith(quotes) and quotes not in value[3:]:
                open_until = quotes
        if open_until is None:
            depth = max(0, _balance(value))
    return known


def _keys(text: str) -> tuple[Path, str]:
    """A dotted key at the start of the text, and what follows it."""
    keys: list[str] = []
    while found := _KEY.match(text):
        keys.append(next(group for group in found.groups() if group is not None))
        text = text[found.end() :]
        if not text.startswith("."):
            break
        text = text[1:]
    return tuple(keys), text


def _balance(line: str) -> int:
    """Brackets opened less brackets closed on a line, outside of strings and comments."""
    bare = re.sub(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'", "", line).partition("#")[0]
    return sum(bare.count(sign) for sign in "[{") - sum(bare.count(sign) for sign in "]}")
