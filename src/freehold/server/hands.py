"""The supervisor's end of a worker: in the same process, or in one of its own. Both take the same orders."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from freehold.server.messages import REPLIES, Order, Refused, Reply, frame, read_message
from freehold.server.worker import Worker

AWAKE: Final = 60.0
"""Seconds that a process has to read its code in; on a busy machine with slow disks some 10."""

LINGER: Final = 10.0
"""Seconds that a process without a link may live on."""

_UNSAID: Final = frozenset({"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"})
"""What systemd says to the supervisor alone."""


class Hand(Protocol):
    """A worker, seen from the supervisor."""

    @property
    def ended(self) -> asyncio.Event:
        """Set when it is no more, or has drained."""
        ...

    @property
    def fate(self) -> str:
        """How it ended."""
        ...

    def ask(self, order: Order) -> asyncio.Future[Reply]:
        """Send an order now; its answer. Orders are carried out in turn; one that is gone refuses."""
        ...

    async def close(self) -> None:
        """End it at once."""
        ...


class InProcess:
    """A worker in the supervisor's own process and event loop."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.fate = "it has drained"

    @property
    def ended(self) -> asyncio.Event:
        """See `Hand.ended`."""
        return self.worker.ended

    def ask(self, order: Order) -> asyncio.Future[Reply]:
        """See `Hand.ask`."""
        return asyncio.ensure_future(self.worker.answer(order))

    async def close(self) -> None:
        """See `Hand.close`."""
        await self.worker.close()


class Child:
    """A worker in a process of its own."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.ended = asyncio.Event()
        self.fate = ""
        self.pid = process.pid
        self._process = process
        self._writer = writer
        self._waiting: deque[asyncio.Future[Reply]] = deque()
        self._reading = asyncio.create_task(self._read(reader))

    def ask(self, order: Order) -> asyncio.Future[Reply]:
        """See `Hand.ask`."""
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        if self._reading.done() or self._writer.is_closing():
            answer.set_result(Refused(reason="the worker has ended"))
        else:
            self._waiting.append(answer)
            self._writer.write(frame(order))
        return answer

    async def awake(self) -> bool:
        """Whether it has come to be ready for orders; it says so unasked."""
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(AWAKE):
                return not isinstance(await answer, Refused)
        return False

    async def close(self) -> None:
        """See `Hand.close`."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self.ended.wait()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while (reply := await read_message(reader, REPLIES)) is not None:
                waiting = self._waiting.popleft()
                if not waiting.done():
                    waiting.set_result(reply)
        finally:
            self._writer.close()
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_result(Refused(reason="the worker has ended"))
            self._waiting.clear()
            self.fate = _fate(await self._end())
            self.ended.set()

    async def _end(self) -> int:
        """The status of a process that has let go of its end, or soon will."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                return await self._process.wait()
        self._process.kill()
        return await self._process.wait()


async def start_process(listeners: Sequence[socket.socket], environ: Mapping[str, str]) -> Child:
    """A new worker process, which has inherited the sockets and knows nothing yet. Raises OSError.

    It is started anew and not forked: a fork would copy the database's threads, locks held, and all that is in memory.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        ours.setblocking(False)  # noqa: FBT003  the standard library's signature
        inherited = [theirs.fileno(), *(listener.fileno() for listener in listeners)]
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # the folder that the server was started in is no place to import from
                "-m",
                "freehold.server.process",
                *(str(number) for number in inherited),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                env={name: value for name, value in environ.items() if name not in _UNSAID},
                pass_fds=inherited,
                start_new_session=True,  # a terminal's Ctrl-C is for the supervisor, which tells the others
            )
            reader, writer = await asyncio.open_connection(sock=ours)
        except BaseException:
            ours.close()
            raise
    return Child(process, reader, writer)


def _fate(status: int) -> str:
    if status >= 0:
        return f"it ended with status {status}"
    try:
        return f"it was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"it was ended by signal {-status}"
