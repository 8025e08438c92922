"""An upstream in memory: scripted answers and faults, behind the same `send` as the real client.

    upstream = FakeUpstream(
        Refuse(),
        Reply(body=[b"data: 1", Wait(seconds=0.01), b"data: 2", Reset()]),
        Reply(status=429, headers=[("retry-after", "1")], body=[b"{}"]),
    )
    answer = await upstream.send(endpoint, "POST", "/v1/chat/completions", headers, body)

Plans are used in order, the last one again and again. A function from request to plan may stand in their place. What
was asked stands in `upstream.exchanges`, with what became of the answer. Limits of the endpoint hold as they do for the
real client; use limits of a few milliseconds. No socket is opened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from freehold.transport.answer import Answer
from freehold.transport.connection import State
from freehold.transport.endpoint import Endpoint
from freehold.transport.errors import (
    ConnectError,
    ConnectionLostError,
    Phase,
    PhaseTimeoutError,
    ProtocolError,
    TransportError,
    TruncatedError,
)
from freehold.transport.request import HeadWriter


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """Silence of so many seconds; in a body, or before the head."""

    seconds: float


class Stall(msgspec.Struct, frozen=True):
    """Silence without end: before the head when it is the plan, else in the middle of a body."""


class Reset(msgspec.Struct, frozen=True):
    """The connection is cut: before the head when it is the plan, else in the middle of a body."""


class Garble(msgspec.Struct, frozen=True):
    """Bytes that are not HTTP; for HTTP with a garbled body put the bytes into a `Reply`."""


class Refuse(msgspec.Struct, frozen=True):
    """No connection at all."""


Step = bytes | Wait | Stall | Reset | Garble


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer; each piece of its body is received by itself. `before` is the silence before its head in seconds."""

    status: int = 200
    headers: Sequence[tuple[str, str]] = ()
    body: Sequence[Step] = ()
    before: float = 0.0


Plan = Reply | Refuse | Stall | Reset | Garble


class FakeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request as it was asked."""

    endpoint: Endpoint
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class FakeExchange(msgspec.Struct, kw_only=True):
    """One request and what became of its answer.

    `failed`: an error was raised; `reading`: the reader has it; `done`: read to its end; `released` and `aborted`:
    given up by the reader in that way.
    """

    request: FakeRequest
    outcome: Literal["failed", "reading", "done", "released", "aborted"] = "failed"


class FakeUpstream:
    """Answers as planned; has the interface of `Client`."""

    def __init__(self, *plans: Plan | Callable[[FakeRequest], Plan]) -> None:
        """`plans` in the order of the requests; the last one (a plain 200 if there is none) serves all others."""
        self._plans = plans or (Reply(),)
        self.exchanges: list[FakeExchange] = []

    @property
    def requests(self) -> list[FakeRequest]:
        """What was asked, in order."""
        return [exchange.request for exchange in self.exchanges]

    async def send(
        self,
        endpoint: Endpoint,
        method: str,
        target: str,
        headers: Sequence[tuple[str, str]],
        body: bytes = b"",
        *,
        deadline: float | None = None,
    ) -> Answer:
        """As `Client.send`; raises the same errors for the same faults."""
        HeadWriter(endpoint.authority).write(method, target, headers, len(body))
        request = FakeRequest(endpoint=endpoint, method=method, target=target, headers=tuple(headers), body=body)
        plan = self._plans[min(len(self.exchanges), len(self._plans) - 1)]
        exchange = FakeExchange(request=request)
        self.exchanges.append(exchange)
        if callable(plan):
            plan = plan(request)
        total = endpoint.timeouts.total
        if total is not None:
            latest = asyncio.get_running_loop().time() + total
            deadline = latest if deadline is None else min(deadline, latest)
        host = endpoint.name
        match plan:
            case Refuse():
                raise ConnectError(f"{host} refuses connections (planned)", phase="connect", host=host)
            case Reset():
                raise ConnectionLostError(f"{host} closed before it answered (planned)", phase="first_byte", host=host)
            case Garble():
                raise ProtocolError(f"{host} sent no HTTP (planned)", phase="first_byte", host=host)
            case Stall():
                await _silence(endpoint, None, deadline)
            case Reply(before=seconds) if seconds > 0:
                await _silence(endpoint, seconds, deadline)
            case Reply():
                pass
        if not isinstance(plan, Reply):
            raise TypeError("a plan is a Reply, Refuse, Stall, Reset or Garble")
        exchange.outcome = "reading"
        return Answer.of(FakeSource(plan, exchange, deadline))

    async def close(self) -> None:
        """Nothing is open."""


class FakeSource:
    """The body of one planned answer, step by step."""

    def __init__(self, reply: Reply, exchange: FakeExchange, deadline: float | None) -> None:
        self.state: State = "body"
        self.error: TransportError | None = None
        self.status = reply.status
        self.headers = [(name.lower(), value) for name, value in reply.headers]
        self._steps = list(reply.body)
        self._exchange = exchange
        self._deadline = deadline
        self._timer: asyncio.TimerHandle | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def host(self) -> str:
        """The upstream, for messages."""
        return self._exchange.request.endpoint.name

    def take(self) -> bytes:
        """The next piece, empty while the plan is to be silent."""
        if self.state != "body":
            return b""
        data = b""
        match self._steps[0] if self._steps else None:
            case bytes() as data:
                self._steps.pop(0)
            case Reset():
                self._fail(TruncatedError(f"{self.host} cut its answer (planned)", phase="body", host=self.host))
            case Garble():
                self._fail(ProtocolError(f"{self.host} sent no HTTP (planned)", phase="body", host=self.host))
            case Wait() | Stall() | None:
                pass
        if not self._steps and self.state == "body":
            self.state = "done"
        return data if data or self.state != "body" or not self._steps or self._is_silent() else self.take()

    def wait(self) -> asyncio.Future[None]:
        """Done when the silence is over, by plan or by limit."""
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        if self._timer is None:
            step = self._steps[0] if self._steps else Stall()
            seconds, error = _limit(
                self._exchange.request.endpoint,
                "idle",
                step.seconds if isinstance(step, Wait) else None,
                self._deadline,
            )
            if seconds is not None:
                self._timer = loop.call_later(seconds, self._go_on, error)
        return self._waiter

    def release(self) -> None:
        """The reader wants no more."""
        self._end("done" if self.state == "done" else "released")

    def abort(self) -> None:
        """The reader cuts it."""
        self._end("aborted")

    def _is_silent(self) -> bool:
        return isinstance(self._steps[0], Wait | Stall)

    def _go_on(self, error: PhaseTimeoutError | None) -> None:
        self._timer = None
        if error is not None:
            self._fail(error)
        elif self._steps:
            self._steps.pop(0)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: TransportError) -> None:
        self.error = error
        self.state = "closed"
        self._exchange.outcome = "failed"

    def _end(self, outcome: Literal["done", "released", "aborted"]) -> None:
        if self.state != "closed":
            self._exchange.outcome = outcome
        self.state = "closed"
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


async def _silence(endpoint: Endpoint, seconds: float | None, deadline: float | None) -> None:
    """Silence before the head: as planned, or until a limit has passed; None for ever."""
    wait, error = _limit(endpoint, "first_byte", seconds, deadline)
    if wait is None:
        await asyncio.get_running_loop().create_future()
    else:
        await asyncio.sleep(wait)
    if error is not None:
        raise error


def _limit(
    endpoint: Endpoint, phase: Literal["first_byte", "idle"], planned: float | None, deadline: float | None
) -> tuple[float | None, PhaseTimeoutError | None]:
    """How long a planned silence lasts, and the error if a limit ends it."""
    limits = endpoint.timeouts
    ends: list[tuple[float, Phase]] = []
    limit = limits.first_byte if phase == "first_byte" else limits.idle
    if limit is not None:
        ends.append((limit, phase))
    if deadline is not None:
        ends.append((max(deadline - asyncio.get_running_loop().time(), 0.0), "total"))
    seconds, which = min(ends, default=(None, phase))
    if planned is not None and (seconds is None or planned <= seconds):
        return planned, None
    if seconds is None:
        return None, None
    message = f"{endpoint.name} was silent for {seconds:g} s (planned)"
    return seconds, PhaseTimeoutError(message, phase=which, host=endpoint.name, seconds=seconds)


def slowly(data: bytes, *, piece: int, seconds: float) -> list[Step]:
    """A body in pieces of so many bytes, with silence before each."""
    steps: list[Step] = []
    for start in range(0, len(data), piece):
        steps += (Wait(seconds=seconds), data[start : start + piece])
    return steps
