"""Just enough Markdown to test documentation: headings, links and fenced blocks, each with its line."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

_FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,}|~{3,})(?P<info>[^`]*)$")
_HEADING = re.compile(r"^#{1,6}\s+(?P<text>.+?)\s*#*$")
_EXPLICIT_ANCHOR = re.compile(r"<a\s+(?:id|name)=\"(?P<anchor>[^\"]+)\"")
_LINK = re.compile(r"!?\[(?:[^\]\\]|\\.)*\]\((?P<target><[^>]*>|[^()\s]*(?:\([^()\s]*\)[^()\s]*)*)(?:\s+\"[^\"]*\")?\)")
_REFERENCE = re.compile(r"^\s{0,3}\[[^\]]+\]:\s+(?P<target>\S+)")
_CODE_SPAN = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)")


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """A fenced block: its language, the words after the language, its text."""

    line: int
    language: str
    marks: frozenset[str]
    text: str


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A link's target as written, an address or a path with or without an anchor."""

    line: int
    target: str


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One file of documentation."""

    path: Path
    anchors: frozenset[str]
    links: tuple[Link, ...]
    blocks: tuple[Block, ...]


def read_page(path: Path) -> Page:
    """Parse a file. A fence that is never closed raises ValueError."""
    blocks: list[Block] = []
    prose: list[tuple[int, str]] = []
    lines = enumerate(path.read_text("utf-8").splitlines(), start=1)
    for number, line in lines:
        if not (fence := _FENCE.match(line)):
            prose.append((number, line))
            continue
        blocks.append(_read_block(path, number, fence, lines))
    return Page(
        path=path,
        anchors=frozenset(_anchors(line for _, line in prose)),
        links=tuple(_links(prose)),
        blocks=tuple(blocks),
    )


def _read_block(path: Path, start: int, fence: re.Match[str], lines: Iterator[tuple[int, str]]) -> Block:
    indent, ticks = len(fence["indent"]), fence["ticks"]
    language, *marks = fence["info"].split() or [""]
    text: list[str] = []
    for _, line in lines:
        if line.strip().startswith(ticks) and not line.strip().strip(ticks[0]):
            return Block(line=start, language=language, marks=frozenset(marks), text="\n".join(text) + "\n")
        text.append(line[indent:] if not line[:indent].strip() else line)
    message = f"{path}:{start}: this block is never closed"
    raise ValueError(message)


def _anchors(prose: Iterator[str]) -> Iterator[str]:
    """Anchors as GitHub makes them; a repeated heading is numbered."""
    seen: dict[str, int] = {}
    for line in prose:
        yield from (match["anchor"] for match in _EXPLICIT_ANCHOR.finditer(line))
        if not (heading := _HEADING.match(line)):
            continue
        slug = re.sub(r"[^\w\- ]", "", _plain(heading["text"]).lower()).replace(" ", "-")
        count = seen.get(slug, 0)
        seen[slug] = count + 1
        yield f"{slug}-{count}" if count else slug


def _plain(heading: str) -> str:
    """A heading's text without the marks of links, code and emphasis."""
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "")


def _links(prose: list[tuple[int, str]]) -> Iterator[Link]:
    for number, line in prose:
        visible = _CODE_SPAN.sub("", line)
        for match in (*_LINK.finditer(visible), *_REFERENCE.finditer(visible)):
            yield Link(line=number, target=match["target"].strip("<>"))
