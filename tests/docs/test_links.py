"""Every link inside the documentation leads somewhere, and every page can be reached."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.docs.markdown import Link, Page, read_page
from tests.docs.pages import DOCS, KINDS, PAGES, ROOT, label


@pytest.mark.parametrize("path", PAGES, ids=label)
def test_links_lead_somewhere(path: Path) -> None:
    page = read_page(path)
    problems = [f"{label(path)}:{link.line}: {problem}" for link in page.links if (problem := broken(page, link))]
    assert not problems


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_page_has_an_index_that_names_them_all(kind: str) -> None:
    index = DOCS / kind / "index.md"
    linked = {destination(index, link.target) for link in read_page(index).links}
    missing = {label(page) for page in (DOCS / kind).rglob("*.md") if page != index and page not in linked}
    assert not missing, f"link these from {label(index)}"


def test_the_front_page_leads_to_every_index() -> None:
    front = DOCS / "index.md"
    linked = {destination(front, link.target) for link in read_page(front).links}
    assert {DOCS / kind / "index.md" for kind in KINDS} <= linked


def broken(page: Page, link: Link) -> str | None:
    """What is wrong with a link, or None; addresses on the network are not followed."""
    parts = urlsplit(link.target)
    if parts.scheme or parts.netloc:
        return None
    target = destination(page.path, link.target)
    if not target.is_relative_to(ROOT):
        return f"{link.target} leaves the repository"
    if not target.exists():
        return f"{link.target} does not exist"
    if not parts.fragment or target.suffix != ".md":
        return None
    anchors = page.anchors if target == page.path else read_page(target).anchors
    return None if unquote(parts.fragment) in anchors else f"{link.target}: no such heading"


def destination(page: Path, target: str) -> Path:
    """The file that a relative link means; an anchor alone means its own page."""
    name = unquote(urlsplit(target).path)
    return (page.parent / name).resolve() if name else page
