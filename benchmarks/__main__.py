"""`make benchmark`: CPU per request and per streamed event, added latency and memory, as ratios to nginx.

The gateway runs on one core, upstream and load on another; CPU seconds of its process are read from /proc, so the
figures move little when others use the machine.  Every case visits nginx and Freehold in turn, several times over; the
table shows medians.  `--json FILE` keeps every reading.  Without nginx the ratios are missing and the run says so.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
QUESTION = "Summarise the following report in three sentences. " + "All work and no play makes a dull report. " * 16


class Case(NamedTuple):
    """One thing to measure: who is asked what, how often, over how many connections."""

    name: str
    path: str
    body: dict[str, object]
    connections: int
    requests: int
    headers: tuple[str, ...] = ()
    proxied_path: str = ""
    events: int = 0
    unit: str = "ms/request"
    target: float = 0.0


def _chat(model: str, **more: object) -> dict[str, object]:
    messages = [{"role": "system", "content": "You are brief."}, {"role": "user", "content": QUESTION}]
    return {"model": model, "messages": messages, "max_tokens": 256, "temperature": 0.7, **more}


def _messages(model: str, **more: object) -> dict[str, object]:
    return {
        "model": model,
        "system": "You are brief.",
        "messages": [{"role": "user", "content": QUESTION}],
        "max_tokens": 256,
        **more,
    }


def cases(quick: bool) -> list[Case]:  # noqa: FBT001 -- a switch of the command line, passed once
    """What is measured, with the ratio to nginx that is aimed at."""
    scale = 0.25 if quick else 1.0

    def times(count: int) -> int:
        return max(1, int(count * scale))

    big = _chat("small")
    big["messages"] = [{"role": "user", "content": QUESTION * 150}]
    version = ("anthropic-version: 2023-06-01",)
    chat, messages = "/v1/chat/completions", "/v1/messages"
    usage = {"stream": True, "stream_options": {"include_usage": True}}
    return [
        Case("unary, same protocol", chat, _chat("small"), 16, times(8000), target=4.5),
        Case(
            "unary, Anthropic client, OpenAI upstream",
            messages,
            _messages("small"),
            16,
            times(4000),
            version,
            chat,
            target=6,
        ),
        Case(
            "unary, OpenAI client, Anthropic upstream", chat, _chat("claude"), 16, times(4000), (), messages, target=6
        ),
        Case("unary, 110 KB body", chat, big, 16, times(2000), target=2),
        Case("stream, passed", chat, _chat("small", **usage), 50, times(400), events=50, unit="µs/event", target=2.5),
        Case(
            "stream, translated",
            messages,
            _messages("small", stream=True),
            50,
            times(400),
            version,
            chat,
            events=50,
            unit="µs/event",
            target=3.2,
        ),
        Case("latency, one connection", chat, _chat("small"), 1, times(2000), unit="ms p50", target=3),
    ]


NGINX = """worker_processes 1; daemon off; pid nginx.pid; error_log nginx.err;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_buffer_size 256k; client_max_body_size 64m;
  client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  keepalive_requests 1000000000;
  upstream provider {{ server 127.0.0.1:{upstream}; keepalive 512; keepalive_requests 1000000000; }}
  server {{ listen 127.0.0.1:{port} backlog=4096;
    location / {{ proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection "";
                 proxy_buffering off; }} }}
}}
"""

FREEHOLD = """[server]
listen = "127.0.0.1:0"
admin_listen = "127.0.0.1:0"
[storage]
url = "sqlite:///{folder}/freehold.db"
[ledger]
directory = "{folder}/spool"
[limits]
streams = 4000
[accounts.one]
provider = "openai-compatible"
base_url = "http://127.0.0.1:{upstream}/v1"
api_key = "upstream"
[accounts.two]
provider = "openai-compatible"
base_url = "http://127.0.0.1:{upstream}/v1"
api_key = "upstream"
[accounts.three]
provider = "openai-compatible"
base_url = "http://127.0.0.1:{upstream}/v1"
api_key = "upstream"
[accounts.claude]
provider = "anthropic"
base_url = "http://127.0.0.1:{upstream}"
api_key = "upstream"
[models.small]
targets = ["one/gpt-4o-mini", "two/gpt-4o-mini", "three/gpt-4o-mini"]
[models.claude]
targets = ["claude/claude-sonnet-4-5"]
"""


class Server(NamedTuple):
    """A running server: its name, process and port."""

    name: str
    pids: tuple[int, ...]
    port: int


def _pinned(core: int) -> list[str]:
    cores = sorted(os.sched_getaffinity(0))
    chosen = cores[core % len(cores)]
    return ["taskset", "-c", str(chosen)] if shutil.which("taskset") else []


@contextlib.contextmanager
def running(command: list[str], folder: Path, core: int) -> Generator[subprocess.Popen[str]]:
    """A process for the length of a block."""
    process = subprocess.Popen(
        [*_pinned(core), *command],
        stdout=subprocess.PIPE,
        stderr=(folder / "stderr.txt").open("a"),
        text=True,
        cwd=ROOT,
    )
    try:
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        if process.poll() is None:
            process.kill()
            process.wait()


def first_line(process: subprocess.Popen[str]) -> str:
    """What a process says when it is ready."""
    if process.stdout is None:
        raise RuntimeError("the process has no output to read")
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"the process ended with {process.wait()} before it was ready")
    return line


def free_port() -> int:
    """A port that was free a moment ago; nginx can not choose one itself."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_seconds(pids: tuple[int, ...]) -> float:
    """User and system time of processes so far."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def resident_mib(pids: tuple[int, ...]) -> float:
    """Resident memory of processes."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def children(pid: int) -> tuple[int, ...]:
    """A process and its children."""
    found = [pid]
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid:
                found.append(int(stat.parent.name))
    return tuple(found)


def visit(server: Server, case: Case, folder: Path) -> float:
    """One reading, in the case's unit. Raises RuntimeError if a request failed."""
    body = folder / "body.json"
    body.write_text(json.dumps(case.body))
    path = case.proxied_path if server.name == "nginx" and case.proxied_path else case.path
    before = cpu_seconds(server.pids)
    done = subprocess.run(
        [
            *_pinned(1),
            sys.executable,
            "-m",
            "benchmarks.load",
            f"127.0.0.1:{server.port}",
            path,
            str(body),
            str(case.connections),
            str(case.requests),
            *case.headers,
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        timeout=300,
    )
    used = cpu_seconds(server.pids) - before
    report = json.loads(done.stdout)
    if report["failed"] or report["requests"] != case.requests:
        raise RuntimeError(f"{server.name}, {case.name}: {report}")
    if case.unit == "ms p50":
        return float(report["p50_ms"])
    if case.events:
        return used / (case.requests * case.events) * 1e6
    return used / case.requests * 1e3


def main() -> int:
    """Measure and print. Exits 1 if a request failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a quarter of the requests")
    parser.add_argument("--rounds", type=int, default=3, help="visits of each server per case")
    parser.add_argument("--json", type=Path, help="write every reading here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="freehold-benchmark-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        upstream = stack.enter_context(running([sys.executable, "-m", "benchmarks.upstream", "0"], folder, 1))
        upstream_port = int(first_line(upstream))
        servers = [_freehold(stack, folder, upstream_port)]
        nginx = _nginx(stack, folder, upstream_port)
        if nginx is not None:
            servers.insert(0, nginx)
        else:
            sys.stderr.write("nginx is not installed, so there are no ratios (Debian: apt-get install nginx-light)\n")
        readings = _measure(servers, cases(options.quick), options.rounds, folder)
        idle = resident_mib(servers[-1].pids)
    _print(readings, idle)
    if options.json is not None:
        options.json.write_text(json.dumps({"readings": readings, "resident_mib": idle}, indent=1) + "\n")
    return 0


def _freehold(stack: contextlib.ExitStack, folder: Path, upstream: int) -> Server:
    config = folder / "freehold.toml"
    config.write_text(FREEHOLD.format(folder=folder, upstream=upstream))
    command = [sys.executable, "-m", "freehold", "serve", "--config", str(config), "--workers", "1", "--json"]
    process = stack.enter_context(running(command, folder, 0))
    port = int(json.loads(first_line(process))["listen"].rpartition(":")[2])
    return Server("freehold", (process.pid,), port)


def _nginx(stack: contextlib.ExitStack, folder: Path, upstream: int) -> Server | None:
    binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if binary is None:
        return None
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(upstream=upstream, port=port))
    process = stack.enter_context(running([binary, "-p", f"{folder}/", "-c", str(config)], folder, 0))
    time.sleep(0.5)
    return Server("nginx", children(process.pid), port)


def _measure(servers: list[Server], wanted: list[Case], rounds: int, folder: Path) -> dict[str, dict[str, list[float]]]:
    readings: dict[str, dict[str, list[float]]] = {}
    for case in wanted:
        found: dict[str, list[float]] = {server.name: [] for server in servers}
        for server in servers:  # warm-up: connections, caches, the interpreter's own specialisation
            visit(server, case._replace(requests=max(case.connections, case.requests // 10)), folder)
        for _ in range(rounds):
            for server in servers:
                found[server.name].append(visit(server, case, folder))
        readings[case.name] = found
        sys.stderr.write(f"  {case.name}: done\n")
    return readings


def _print(readings: dict[str, dict[str, list[float]]], resident: float) -> None:
    units = {case.name: case for case in cases(quick=False)}
    say = sys.stdout.write
    say(f"{'case':<44}{'unit':<12}{'nginx':>9}{'freehold':>10}{'ratio':>8}{'aim':>7}\n")
    for name, found in readings.items():
        ours = statistics.median(found["freehold"])
        theirs = statistics.median(found["nginx"]) if "nginx" in found else None
        ratio = f"{ours / theirs:.1f}" if theirs else "-"
        shown = f"{theirs:.3f}" if theirs is not None else "-"
        case = units[name]
        say(f"{name:<44}{case.unit:<12}{shown:>9}{ours:>10.3f}{ratio:>8}{case.target:>7.1f}\n")
    say(f"resident memory after the run: {resident:.0f} MiB\n")


if __name__ == "__main__":
    sys.exit(main())
