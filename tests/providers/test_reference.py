"""The reference page is what the provider files say."""

from pathlib import Path

from freehold.providers.reference import page


def test_the_page_is_up_to_date() -> None:
    written = Path(__file__).parents[2] / "docs" / "reference" / "providers.md"
    assert written.read_text(encoding="utf-8") == page(), (
        "run: python -m freehold.providers.reference > docs/reference/providers.md"
    )
