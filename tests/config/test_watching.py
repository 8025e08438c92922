"""Whether files have changed: content counts, not times or inodes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from freehold.config import InvalidConfigError, load
from freehold.config.watching import fingerprint


def test_content_counts(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("one")
    first = fingerprint([str(file)])
    os.utime(file, (1, 1))
    (tmp_path / "b").write_text("one")
    (tmp_path / "b").replace(file)
    assert fingerprint([str(file)]) == first
    file.write_text("two")
    assert fingerprint([str(file)]) != first


def test_a_link_that_is_swapped_and_a_file_that_appears_count(tmp_path: Path) -> None:
    for name in ("v0", "v1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "key").write_text(name)
    link, late = tmp_path / "now", tmp_path / "late"
    link.symlink_to("v0")
    files = [str(link / "key"), str(late)]
    seen = {fingerprint(files)}
    (tmp_path / "next").symlink_to("v1")
    (tmp_path / "next").replace(link)
    seen.add(fingerprint(files))
    late.write_text("")
    seen.add(fingerprint(files))
    assert len(seen) == 3


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert fingerprint([str(tmp_path / "pipe")]) == fingerprint([str(tmp_path / "pipe")])


def test_every_file_that_a_configuration_names_is_watched(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k")
    file = tmp_path / "freehold.toml"
    text = f'[accounts.a]\nprovider = "openai"\napi_key = "file:{tmp_path / "key"}"\n'
    file.write_text(text)
    assert load(str(file), {}).files == (str(file), str(tmp_path / "key"))
    file.write_text(text + f'ca_file = "{tmp_path / "missing.pem"}"\n')
    with pytest.raises(InvalidConfigError) as raised:
        load(str(file), {})
    assert raised.value.files == (str(file), str(tmp_path / "key"), str(tmp_path / "missing.pem"))
