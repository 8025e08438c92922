"""Every setting is documented, and the reference page is what the declarations say."""

from pathlib import Path

import msgspec
import pytest

from freehold.config import Account, Limits, Server
from freehold.config.reference import page, undocumented

WRITTEN = Path(__file__).parents[2] / "docs" / "reference" / "configuration.md"


def test_no_setting_is_undocumented() -> None:
    assert undocumented() == []


def test_the_page_is_up_to_date() -> None:
    assert WRITTEN.read_text(encoding="utf-8") == page(), (
        "run: python -m freehold.config.reference > docs/reference/configuration.md"
    )


@pytest.mark.parametrize("kind", [Server, Limits, Account])
def test_every_setting_has_its_heading(kind: type[msgspec.Struct]) -> None:
    for field in msgspec.structs.fields(kind):
        if field.name not in {"name", "timeouts"}:
            assert f"### `{field.name}`" in page()
