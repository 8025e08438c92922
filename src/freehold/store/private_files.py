"""Files that only their owner may read, put in place whole: whoever sees one sees all of it.

What is already there is looked at before it is used. What other users may have planted is refused. What they may read
is said and left alone: a group may have been let in on purpose, for backups or for shipping records.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
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


def planted(place: Path) -> str | None:
    """Why a file or folder may be another user's doing; None where it is not, or where there is nothing yet.

    A link counts wherever it stands on the way, a folder's own owner does not: volumes of containers have any. Raises
    OSError where it can not be looked at.
    """
    trusted = _trusted(place)
    absolute = place.absolute()
    for step in (*reversed(absolute.parents), absolute):
        try:
            found = step.lstat()
        except FileNotFoundError:
            return None
        if stat.S_ISLNK(found.st_mode) and found.st_uid not in trusted:
            return f"the symbolic link {step} belongs to another user; remove it, or name another place"
    target = absolute.stat()
    if stat.S_ISDIR(target.st_mode):
        return None
    if target.st_uid not in trusted:
        return f"{place} belongs to another user; move it away, or run as its owner"
    if target.st_mode & stat.S_IWOTH:
        return f"{place} may be written by other users; see who changed it, then run `chmod 600 {place}`"
    return None


def exposed(place: Path) -> str | None:
    """What other users may do here that they need not; None where it is nothing, or nothing is there."""
    try:
        mode = place.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        return f"{place} may be written by other users: run `chmod 700 {place}`" if mode & stat.S_IWOTH else None
    return f"{place} may be read by other users: run `chmod 600 {place}`" if mode & stat.S_IROTH else None


def _trusted(place: Path) -> frozenset[int]:
    """Whose files are as good as ours. Root looks after a folder for its owner."""
    us = os.geteuid()
    if us != 0:
        return frozenset({0, us})
    try:
        return frozenset({0, place.parent.stat().st_uid})
    except OSError:
        return frozenset({0})


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
