"""Lines of settings in a TOML text."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.config.lines import Lines

TEXT = '''# a comment
title = "a"

[accounts."eu.west"] # another
provider = "x"
timeouts.connect = 1
text = """
provider = "not a key"
"""
list = [
  "a", # ]
  { to = "b" },
]
'quoted key' = 2
inline = { a = 1, b = [2, 3] }

[models.m]
targets = ["#", "]"]
aliases = []
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 2),
        (("accounts", "eu.west"), 4),
        (("accounts", "eu.west", "provider"), 5),
        (("accounts", "eu.west", "timeouts", "connect"), 6),
        (("accounts", "eu.west", "text"), 7),
        (("accounts", "eu.west", "list"), 10),
        (("accounts", "eu.west", "quoted key"), 14),
        (("accounts", "eu.west", "inline", "a"), 15),
        (("models", "m", "targets"), 18),
        (("models", "m", "aliases"), 19),
        (("models", "m", "missing"), 17),
        (("nowhere", "at", "all"), None),
        ((), None),
    ],
)
def test_a_setting_stands_on_its_line_or_below_its_table(path: tuple[str, ...], line: int | None) -> None:
    tomllib.loads(TEXT)
    assert Lines(TEXT).find(path) == line


@given(st.text(alphabet="ab.=[]{}\"'#\n ", max_size=80))
def test_any_text_is_read_without_complaint(text: str) -> None:
    assert Lines(text).find(("a",)) is None or "a" in text
