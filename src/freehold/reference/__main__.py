"""`python -m freehold.reference`: write every generated page anew, or check that each is up to date."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from freehold.reference.pages import Sources, pages


def main() -> int:
    """Exits 0 when done, 1 when `--check` found a page that is out of date."""
    parser = argparse.ArgumentParser(prog="python -m freehold.reference", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="PAGE", help="pages to write, such as errors; all when none is named"
    )
    parser.add_argument("--docs", type=Path, default=Path("docs/reference"), help="where the pages are")
    parser.add_argument("--exchanges", type=Path, default=Path("tests/exchanges"), help="the recorded exchanges")
    parser.add_argument("--check", action="store_true", help="write nothing; say which pages are out of date")
    options = parser.parse_args()
    known = pages(Sources(exchanges=options.exchanges))
    names: list[str] = options.names or list(known)
    if unknown := [name for name in names if name not in known]:
        parser.error(f"no such page: {', '.join(unknown)}; choose from {', '.join(known)}")
    stale: list[str] = []
    for name in names:
        path: Path = options.docs / f"{name}.md"
        text = known[name]()
        if path.exists() and path.read_text("utf-8") == text:
            continue
        stale.append(str(path))
        if not options.check:
            path.write_text(text, "utf-8")
    for name in stale:
        sys.stderr.write(f"{name} {'is out of date' if options.check else 'written'}\n")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
