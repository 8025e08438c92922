"""CPU per request of the HTTP front, against uvicorn and granian with the same handler.

    python benchmarks/front.py [front uvicorn granian-asgi granian-rsgi]

Needs `wrk` and, for the yardsticks, `pip install uvicorn granian`. The server runs on the first CPU and the load on the
second; the figure is the server process's user and system time over the requests that wrk counted, so that a noisy
machine moves it little. Each server answers a 0.9 KB request with a 0.9 KB response, then streams 50 events that are
written one turn of the event loop apart.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

ANSWER: Final = b'{"id":"chatcmpl-1","text":"' + b"a" * 870 + b'"}'
EVENT: Final = b'data: {"id":"chatcmpl-1","choices":[{"delta":{"content":"hello"}}]}' + b" " * 90 + b"\n\n"
EVENTS: Final = 50
SERVERS: Final = ("front", "uvicorn", "granian-asgi", "granian-rsgi")
REQUEST: Final = '{"model":"m","messages":[{"role":"user","content":"' + "b" * 840 + '"}]}'
LOAD: Final = f"""
wrk.method = "POST"
wrk.body = '{REQUEST}'
wrk.headers["content-type"] = "application/json"
wrk.headers["accept"] = "application/json"
wrk.headers["accept-encoding"] = "gzip, deflate"
wrk.headers["authorization"] = "Bearer sk-0123456789abcdef"
wrk.headers["user-agent"] = "OpenAI/Python 3.54.0"
"""


def serve_front(port: int) -> None:
    """This package's front."""
    import uvloop

    from freehold.server.front import Front, listening_socket
    from freehold.server.http import Incoming, Outgoing
    from freehold.server.limits import HttpLimits

    async def handle(incoming: Incoming, outgoing: Outgoing) -> None:
        await incoming.body(1 << 20)
        if incoming.path == "/stream":
            sink = await outgoing.start(200, [("content-type", "text/event-stream")])
            for _ in range(EVENTS):
                await sink.send(EVENT)
                await asyncio.sleep(0)
            await sink.end()
            return
        outgoing.respond(200, [("content-type", "application/json")], ANSWER)

    async def main() -> None:
        front = Front(handler=handle, limits=HttpLimits())
        await front.start(listening_socket("127.0.0.1", port))
        await front.serve_until_signalled(grace=0.0)

    uvloop.run(main())


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401  ASGI has no types of its own
    """The same handler for ASGI servers."""
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if scope["path"] == "/stream":
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for _ in range(EVENTS):
            await send({"type": "http.response.body", "body": EVENT, "more_body": True})
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b""})
        return
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER})


async def rsgi(scope: Any, protocol: Any) -> None:  # noqa: ANN401  granian's types are not exported
    """The same handler for RSGI."""
    await protocol()
    if scope.path == "/stream":
        stream = protocol.response_stream(200, [("content-type", "text/event-stream")])
        for _ in range(EVENTS):
            await stream.send_bytes(EVENT)
            await asyncio.sleep(0)
        return
    protocol.response_bytes(200, [("content-type", "application/json")], ANSWER)


def serve_uvicorn(port: int) -> None:
    """Uvicorn with its fastest parts."""
    import uvicorn

    uvicorn.run(asgi, port=port, loop="uvloop", http="httptools", access_log=False, log_level="critical")


def serve_granian(port: int, interface: str) -> None:
    """Granian embedded in our own event loop."""
    import uvloop
    from granian.constants import Interfaces  # pyright: ignore[reportMissingImports] -- compared with where installed
    from granian.server.embed import Server  # pyright: ignore[reportMissingImports] -- compared with where installed

    chosen, target = (Interfaces.ASGINL, asgi) if interface == "asgi" else (Interfaces.RSGI, rsgi)
    uvloop.run(Server(target, "127.0.0.1", port, interface=chosen, log_enabled=False).serve())


def serve(server: str, port: int) -> None:
    """Becomes one of the servers."""
    os.sched_setaffinity(0, {0})
    match server:
        case "front":
            serve_front(port)
        case "uvicorn":
            serve_uvicorn(port)
        case _:
            serve_granian(port, server.removeprefix("granian-"))


def cpu(pid: int) -> float:
    """User and system seconds that a process has used, its threads included."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(port: int, path: str, script: Path, seconds: int, connections: int) -> tuple[int, float]:
    """Requests answered, and how many a second."""
    command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds}", "-s", str(script)]
    done = subprocess.run([*command, f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=True)
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        sys.exit(done.stdout)
    requests, rate = re.search(r"(\d+) requests in", done.stdout), re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    if requests is None or rate is None:
        sys.exit(done.stdout)
    return int(requests[1]), float(rate[1])


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def measure(server: str, script: Path, seconds: int, connections: int) -> None:
    """Runs one server under load and prints its two lines."""
    port = free_port()
    process = subprocess.Popen([sys.executable, __file__, "--serve", server, "--port", str(port)])
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        for path in ("/unary", "/stream"):
            load(port, path, script, 1, connections)
            before = cpu(process.pid)
            requests, rate = load(port, path, script, seconds, connections)
            spent = (cpu(process.pid) - before) / requests
            each = f", {spent / EVENTS * 1e6:.1f} us/event" if path == "/stream" else ""
            sys.stdout.write(f"{server:14}{path:9}{spent * 1e3:.4f} CPU ms/request{each}, {rate:.0f} requests/s\n")
            sys.stdout.flush()
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def main() -> None:
    """Measures the servers named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("servers", nargs="*", default=SERVERS, metavar="server", help=f"of {', '.join(SERVERS)}")
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=2, help="interleaved, so that drift shows")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve, arguments.port)
        return
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "load.lua")
        script.write_text(LOAD, encoding="utf-8")
        for _ in range(arguments.rounds):
            for server in arguments.servers:
                measure(server, script, arguments.seconds, arguments.connections)


if __name__ == "__main__":
    main()
