"""What systemd is told of a service with `Type=notify`: sd_notify(3) without a library."""

from __future__ import annotations

import contextlib
import os
import socket
import time


def notify(state: str, *, monotonic: bool = False) -> None:
    """Say it where somebody listens (`$NOTIFY_SOCKET`); with `monotonic` when it was said, as RELOADING=1 needs."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return
    if monotonic:
        state += f"\nMONOTONIC_USEC={time.monotonic_ns() // 1000}"
    # A service manager that is gone is no reason to stop serving.
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.sendto(state.encode(), "\0" + path[1:] if path[0] == "@" else path)
