"""Files that only their owner may read, put in place whole: whoever sees one sees all of it."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Generator
from pathlib import Path


def write_private(file: Path, data: bytes) -> None:
    """Make the file, or put it in the place of the one that is there. Raises OSError."""
    with _draft(file, data) as draft:
        draft.replace(file)


def make_private(file: Path, data: bytes) -> None:
    """Make the file unless it is there, made by another process meanwhile included. Raises OSError."""
    with _draft(file, data) as draft, contextlib.suppress(FileExistsError):
        os.link(draft, file)


@contextlib.contextmanager
def _draft(file: Path, data: bytes) -> Generator[Path]:
    """The data on the disk under another name in the same folder, taken away afterwards."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as writing:
            writing.write(data)
            writing.flush()
            os.fsync(writing.fileno())
        yield draft
    finally:
        draft.unlink(missing_ok=True)
