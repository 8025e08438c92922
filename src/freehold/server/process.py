"""A worker process: `python -P -m freehold.server.process LINK LISTENER…`, started by the supervisor and nobody else.

The arguments are the numbers of inherited file descriptors: one end of a socket pair, and the sockets that listen.
It imports neither the store nor the command line nor price lists.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence

import uvloop

from freehold.server.messages import ORDERS, Begin, Done, Listen, frame, read_message
from freehold.server.worker import Worker, settle_memory

log = logging.getLogger("freehold.worker")

FORMAT = "%(levelname)s %(name)s: %(message)s"


def main(arguments: Sequence[str]) -> None:
    """Serve until the supervisor says otherwise, or is gone."""
    # Signals are the supervisor's to interpret: a terminal or systemd may send them to all processes of a group.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format=FORMAT, stream=sys.stderr)
    link, *listeners = (socket.socket(fileno=int(number)) for number in arguments)
    uvloop.run(serve(link, listeners))


async def serve(link: socket.socket, listeners: Sequence[socket.socket]) -> None:
    """Answer orders over the link, one after another, until drained; without a supervisor, drain."""
    worker = Worker(listeners, os.environ)
    link.setblocking(False)  # noqa: FBT003  the standard library's signature
    reader, writer = await asyncio.open_connection(sock=link)
    writer.write(frame(Done()))
    ended = asyncio.create_task(worker.ended.wait())
    settled = False
    try:
        while not ended.done():
            reading = asyncio.create_task(read_message(reader, ORDERS))
            await asyncio.wait({reading, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                reading.cancel()
                break
            order = await reading
            if order is None:
                await _finish_alone(worker)
                break
            if isinstance(order, Begin):
                _name_in_log(order.slot)
            writer.write(frame(await worker.answer(order)))
            await writer.drain()
            if isinstance(order, Listen) and not settled:
                settled = True
                settle_memory()
    except ConnectionError:
        await _finish_alone(worker)
    finally:
        ended.cancel()
        writer.close()
        await worker.close()


async def _finish_alone(worker: Worker) -> None:
    if not worker.begun:
        return
    if not worker.draining:
        seconds = worker.config.limits.drain_timeout
        log.error("the supervisor is gone; what is in flight may end within %g s, then this worker does", seconds)
        worker.drain(seconds)
    await worker.ended.wait()


def _name_in_log(slot: int) -> None:
    for handler in logging.getLogger().handlers:
        handler.setFormatter(logging.Formatter(f"%(levelname)s worker {slot + 1} %(name)s: %(message)s"))


if __name__ == "__main__":
    main(sys.argv[1:])
