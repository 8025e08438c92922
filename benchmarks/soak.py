"""Hours in minutes: mixed load with faults against a real server, and whether what it holds stays flat.

    python -m benchmarks.soak [--minutes 10] [--clients 24] [--workers 2] [--seed 1] [--json FILE]

One server, supervisor and workers, and two providers behind one name, of which the first keeps failing in every way,
and for 20 of every 60 seconds altogether. Clients ask whole and streamed, in the provider's protocol and in another;
some leave in the middle, some read slowly. Every few seconds the resident memory, open descriptors and open exchanges
of all the server's processes are read.

Flat means: the median memory of the last third is at most 3 % or 3 MiB above that of the middle third (the first third
warms up: pools, caches, the interpreter's own), and a while after the load descriptors and exchanges are back at what
they were before it, but for pooled connections to providers. The run fails (exit status 1) where something is not flat,
and where a request that could be answered was not: only a stream that broke after its first words may end in an error.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import msgspec
import uvloop

from benchmarks.__main__ import children, first_line, resident_mib, running
from benchmarks.upstream import CHAT, CHAT_CHUNK, CHAT_HEAD, Upstream

CONFIG = """[server]
listen = "127.0.0.1:0"
admin_listen = "127.0.0.1:0"
[storage]
url = "sqlite:///{folder}/freehold.db"
[ledger]
directory = "{folder}/spool"
[accounts.ill]
provider = "openai-compatible"
base_url = "http://127.0.0.1:{ill}/v1"
api_key = "upstream"
timeouts = {{ first_byte = 2.0, idle = 2.0 }}
[accounts.well]
provider = "openai-compatible"
base_url = "http://127.0.0.1:{well}/v1"
api_key = "upstream"
[models.small]
targets = ["ill/gpt-4o-mini", "well/gpt-4o-mini"]
"""
SAMPLE = 5.0
"""Seconds between two readings."""
SETTLE = 8.0
"""Seconds after the load until what is left counts: longer than the ill provider may stay silent."""
FAULTY = 0.15
"""Part of the ill provider's answers that are faults while it is up."""
OUTAGE = (60.0, 20.0)
"""Of so many seconds the ill provider is out for so many."""
POOLED = 40
"""Descriptors that idle connections to providers may hold."""
SIP, PAUSE = 256, 0.1
"""Bytes that a slow reader takes at a time, and seconds that it waits then."""


class Ill(Upstream):
    """A provider that fails in every way; `dice` is shared, so that a seed gives one sequence of faults."""

    dice = random.Random(1)
    began = time.monotonic()

    def answer(self, *, anthropic: bool, stream: bool) -> None:
        """An answer, or a fault."""
        every, lasting = OUTAGE
        if (time.monotonic() - self.began) % every > every - lasting:
            self._refuse(503)
        elif self.dice.random() > FAULTY:
            super().answer(anthropic=anthropic, stream=stream)
        else:
            self._fail(self.dice.randrange(7), stream=stream)

    def _refuse(self, status: int, more: str = "") -> None:
        body = b'{"error":{"message":"no","type":"server_error","param":null,"code":null}}'
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{more}content-length: {len(body)}\r\n\r\n"
        self.transport.write(head.encode() + body)

    def _fail(self, which: int, *, stream: bool) -> None:
        kind = "text/event-stream" if stream else "application/json"
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n".encode()
        chunked = head + b"transfer-encoding: chunked\r\n\r\n"
        begun = CHAT_HEAD + CHAT_CHUNK * 3 if stream else CHAT[:80]
        piece = chunked + b"%x\r\n%b\r\n" % (len(begun), begun)
        match which:
            case 0:
                self._refuse(500)
            case 1:
                self._refuse(429, "retry-after: 1\r\n")
            case 2:
                pass  # silence; the gateway hangs up
            case 3:
                self.transport.write(piece)  # silence in the middle
            case 4:
                self.transport.write(piece)
                self.transport.close()
            case 5:
                self.transport.abort()
            case _:
                self.transport.write(head + b"content-length: 9\r\n\r\n<garbled>")


class Kind(NamedTuple):
    """One kind of client: `leaves` after its first read, or `dawdles` over each."""

    name: str
    path: str
    stream: bool
    weight: int
    leaves: bool = False
    dawdles: bool = False


CHAT_PATH, MESSAGES_PATH = "/v1/chat/completions", "/v1/messages"
KINDS = (
    Kind("whole", CHAT_PATH, stream=False, weight=6),
    Kind("whole, translated", MESSAGES_PATH, stream=False, weight=4),
    Kind("streamed", CHAT_PATH, stream=True, weight=3),
    Kind("streamed, translated", MESSAGES_PATH, stream=True, weight=2),
    Kind("leaves", MESSAGES_PATH, stream=True, weight=2, leaves=True),
    Kind("leaves before the answer", CHAT_PATH, stream=False, weight=1, leaves=True),
    Kind("slow", CHAT_PATH, stream=True, weight=2, dawdles=True),
)


class Reading(NamedTuple):
    """What the server holds at one moment."""

    seconds: float
    mib: float
    descriptors: int
    exchanges: int


async def ask(port: int, kind: Kind) -> str:
    """One request on a connection of its own: `ok`, `broken` (told so in mid-stream), `left`, or what went wrong."""
    body = {"model": "small", "stream": kind.stream, "max_tokens": 99, "messages": [{"role": "user", "content": "Hi"}]}
    data = msgspec.json.encode(body)
    head = f"POST {kind.path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"{head}connection: close\r\ncontent-length: {len(data)}\r\n\r\n".encode() + data)
        if kind.leaves and not kind.stream:
            return "left"
        answer = b""
        while piece := await reader.read(SIP if kind.dawdles else 65_536):
            answer += piece
            if kind.leaves:
                return "left"
            if kind.dawdles:
                await asyncio.sleep(PAUSE)
        return verdict(kind, answer)
    except OSError as error:
        return type(error).__name__
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def verdict(kind: Kind, answer: bytes) -> str:
    """How an answer that was read to its end came out."""
    status = answer[9:12].decode("latin-1")
    if status != "200":
        return f"status {status or 'none'}"
    if not kind.stream:
        return "ok" if b"quick brown fox" in answer else "half an answer"
    if b'"error"' in answer:
        return "broken"
    ends = b"[DONE]" if kind.path == CHAT_PATH else b"message_stop"
    return "ok" if ends in answer else "half a stream"


def descriptors(pids: tuple[int, ...]) -> int:
    """How many files and sockets processes have open."""
    return sum(1 for pid in pids for _ in Path(f"/proc/{pid}/fd").iterdir())


class Soak:
    """One run."""

    def __init__(self, pid: int, port: int, admin: int, seed: int) -> None:
        self.pid = pid
        self.port = port
        self.admin = admin
        self.dice = random.Random(seed)
        self.told: dict[str, Counter[str]] = {kind.name: Counter() for kind in KINDS}
        self.readings: list[Reading] = []
        self.began = time.monotonic()

    async def client(self, until: float) -> None:
        """Ask, time and again."""
        weights = [kind.weight for kind in KINDS]
        while time.monotonic() < until:
            (kind,) = self.dice.choices(KINDS, weights)
            self.told[kind.name][await ask(self.port, kind)] += 1

    async def read(self) -> Reading:
        """What the server holds now."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.admin)
        writer.write(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        text = (await reader.read()).decode()
        writer.close()
        lines = [line.rpartition(" ") for line in text.splitlines()]
        exchanges = next(int(float(value)) for name, _, value in lines if name == "freehold_open_exchanges")
        pids = children(self.pid)
        return Reading(time.monotonic() - self.began, resident_mib(pids), descriptors(pids), exchanges)

    async def watch(self, until: float) -> None:
        """Take readings and show them."""
        before = 0
        while time.monotonic() < until:
            await asyncio.sleep(SAMPLE)
            reading = await self.read()
            self.readings.append(reading)
            done = sum(counts.total() for counts in self.told.values())
            rate, before = (done - before) / SAMPLE, done
            sys.stderr.write(
                f"{reading.seconds:6.0f} s {rate:6.0f} requests/s {reading.mib:6.1f} MiB "
                f"{reading.descriptors:5} descriptors {reading.exchanges:4} exchanges\n"
            )

    async def run(self, minutes: float, clients: int) -> tuple[Reading, Reading]:
        """Load for so long; the readings before and a while after it."""
        idle = await self.read()
        until = time.monotonic() + minutes * 60
        await asyncio.gather(self.watch(until), *(self.client(until) for _ in range(clients)))
        await asyncio.sleep(SETTLE)
        return idle, await self.read()

    def problems(self, idle: Reading, after: Reading) -> list[str]:
        """What is not flat, and what failed."""
        found: list[str] = []
        third = len(self.readings) // 3
        middle = statistics.median(each.mib for each in self.readings[third : 2 * third])
        last = statistics.median(each.mib for each in self.readings[2 * third :])
        if last - middle > max(0.03 * middle, 3.0):
            found.append(f"memory grows: {middle:.1f} MiB in the middle third, {last:.1f} MiB in the last")
        if after.descriptors > idle.descriptors + POOLED:
            found.append(f"{after.descriptors} descriptors are open after the load, {idle.descriptors} before")
        if after.exchanges:
            found.append(f"{after.exchanges} exchanges are open after the load")
        for kind in KINDS:
            allowed = {"ok", "left"} | ({"broken"} if kind.stream else set())
            found += [
                f"{kind.name}: {times} times {said}"
                for said, times in self.told[kind.name].items()
                if said not in allowed
            ]
        return found


async def measure(minutes: float, clients: int, workers: int, seed: int) -> tuple[Soak, Reading, Reading]:
    """One run, and the readings before and after it."""
    Ill.dice = random.Random(seed)
    loop = asyncio.get_running_loop()
    ill, well = [await loop.create_server(kind, "127.0.0.1", 0) for kind in (Ill, Upstream)]
    with tempfile.TemporaryDirectory(prefix="freehold-soak-") as name:
        folder = Path(name)
        config = folder / "freehold.toml"
        ports = {"ill": ill.sockets[0].getsockname()[1], "well": well.sockets[0].getsockname()[1]}
        config.write_text(CONFIG.format(folder=folder, **ports))
        command = [sys.executable, "-m", "freehold", "serve", "--config", str(config), "--json"]
        command += ["--workers", str(workers)]
        with running(command, folder, 0) as process:
            said = json.loads(await asyncio.to_thread(first_line, process))
            port, admin = (int(said[each].rpartition(":")[2]) for each in ("listen", "admin"))
            soak = Soak(process.pid, port, admin, seed)
            idle, after = await soak.run(minutes, clients)
    return soak, idle, after


def report(soak: Soak, idle: Reading, after: Reading, problems: list[str]) -> None:
    """The figures, and whether they are flat."""
    say = sys.stdout.write
    seconds = soak.readings[-1].seconds
    total = sum(counts.total() for counts in soak.told.values())
    say(f"{total} requests in {seconds:.0f} s, {total / seconds:.0f} a second\n")
    for name, counts in soak.told.items():
        say(f"  {name:<26}" + ", ".join(f"{said} {times}" for said, times in counts.most_common()) + "\n")
    third = len(soak.readings) // 3
    thirds = (soak.readings[:third], soak.readings[third : 2 * third], soak.readings[2 * third :])
    medians = [f"{statistics.median(each.mib for each in part):.1f}" for part in thirds if part]
    say(f"memory: {idle.mib:.1f} MiB idle, {' → '.join(medians)} MiB by thirds, {after.mib:.1f} MiB after\n")
    most = max(each.descriptors for each in soak.readings)
    say(f"descriptors: {idle.descriptors} idle, at most {most}, {after.descriptors} after\n")
    say(f"open exchanges: at most {max(each.exchanges for each in soak.readings)}, {after.exchanges} after\n")
    say("flat, and nothing failed\n" if not problems else "".join(f"NOT WELL: {problem}\n" for problem in problems))


def main() -> int:
    """Run and report; 1 if something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=24, help="clients that ask at once")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write every reading here")
    options = parser.parse_args()
    if options.minutes * 60 < 3 * SAMPLE:
        parser.error(f"--minutes: {3 * SAMPLE / 60:g} at least, for a reading in each third")
    soak, idle, after = uvloop.run(measure(options.minutes, options.clients, options.workers, options.seed))
    problems = soak.problems(idle, after)
    report(soak, idle, after, problems)
    if options.json is not None:
        figures = {"told": soak.told, "readings": soak.readings, "idle": idle, "after": after, "problems": problems}
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(figures)))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
