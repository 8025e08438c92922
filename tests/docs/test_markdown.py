"""The documentation's parser sees what a reader sees."""

from pathlib import Path

import pytest

from tests.docs.markdown import Page, read_page

TEXT = """\
# The `serve` command: what it *does*

See [the list](list.md#a-b "title"), [an address](https://example.com/a_(b)) and `[not](a-link.md)`.
![picture](<a b.svg>)

[later]: other.md

## Again
## Again
<a id="by-hand"></a>

1. Indented:

   ```bash test
   echo "# not a heading"
   ```

````text
```
inside
```
````
"""


@pytest.fixture
def page(tmp_path: Path) -> Page:
    path = tmp_path / "page.md"
    path.write_text(TEXT)
    return read_page(path)


def test_anchors_are_githubs(page: Page) -> None:
    assert page.anchors == {"the-serve-command-what-it-does", "again", "again-1", "by-hand"}


def test_links_are_found_outside_code(page: Page) -> None:
    assert [link.target for link in page.links] == [
        "list.md#a-b",
        "https://example.com/a_(b)",
        "a b.svg",
        "other.md",
    ]


def test_blocks_lose_their_indent_and_keep_fences_of_other_lengths(page: Page) -> None:
    command, quoted = page.blocks
    assert (command.language, command.marks, command.text) == ("bash", {"test"}, 'echo "# not a heading"\n')
    assert (quoted.language, quoted.text) == ("text", "```\ninside\n```\n")


def test_a_block_that_is_never_closed_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("```bash\necho\n")
    with pytest.raises(ValueError, match="never closed"):
        read_page(path)
