"""The pages that readers see: everything under docs/ and the Markdown files at the root."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
KINDS = ("tutorial", "how-to", "reference", "explanation", "decisions")
PAGES = (*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md")))


def label(path: Path) -> str:
    """A page's name in a test's id."""
    return path.relative_to(ROOT).as_posix()
