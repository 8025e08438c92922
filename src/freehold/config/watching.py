"""Whether the files of a configuration have changed, by what is in them.

Content decides and not times or inodes: Kubernetes swaps a symbolic link for all files of a volume at once, editors
write anew, and `touch` changes nothing.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Final

LARGEST: Final = 16 * 1024 * 1024
"""Bytes of a file that are looked at; a bundle of all the world's certificate authorities has 300 KB."""


def fingerprint(files: Iterable[str]) -> str:
    """Changes when what is in one of the files does, or when one appears or goes; blocking.

    Only regular files are read: what came through a pipe at start can not come again.
    """
    digest = sha256()
    for file in files:
        digest.update(sha256(_content(Path(file))).digest())
    return digest.hexdigest()


def _content(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return b""
        with path.open("rb") as file:
            return b"\1" + file.read(LARGEST)
    except OSError:
        return b""
