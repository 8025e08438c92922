"""Examples that no command runs are held to what they are examples of."""

from freehold.providers.catalog import parse
from tests.docs.markdown import read_page
from tests.docs.pages import DOCS


def test_the_provider_that_the_guide_invents_is_one() -> None:
    page = read_page(DOCS / "how-to" / "add-a-provider.md")
    (example,) = (block for block in page.blocks if block.language == "toml")
    provider = parse("acme", example.text)
    assert [protocol.name for protocol in provider.protocols] == ["openai-chat"]
    assert provider.protocols[0].edits
