"""The upstream in memory behaves as a real one."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from freehold.transport.client import Upstream
from freehold.transport.endpoint import Endpoint, Timeouts
from freehold.transport.errors import (
    ConnectError,
    ConnectionLostError,
    PhaseTimeoutError,
    ProtocolError,
    TransportError,
    TruncatedError,
    UnsendableError,
)
from freehold.transport.fake import FakeUpstream, Garble, Plan, Refuse, Reply, Reset, Stall, Step, Wait, slowly

QUICK = Endpoint(host="fake.example", port=443, timeouts=Timeouts(first_byte=0.02, idle=0.02))


async def ask(upstream: Upstream, endpoint: Endpoint = QUICK) -> bytes:
    answer = await upstream.send(endpoint, "POST", "/v1/x", [("a", "b")], b"{}")
    return await answer.read(1000)


async def test_plans_are_used_in_order_and_the_last_one_stays() -> None:
    upstream = FakeUpstream(Reply(body=[b"one"]), Reply(status=429, headers=[("Retry-After", "1")], body=[b"two"]))
    assert [await ask(upstream) for _ in range(3)] == [b"one", b"two", b"two"]
    answer = await upstream.send(QUICK, "POST", "/", [], b"")
    assert (answer.status, answer.headers) == (429, [("retry-after", "1")])
    assert [exchange.outcome for exchange in upstream.exchanges] == ["done", "done", "done", "reading"]
    assert upstream.requests[0].body == b"{}"
    await upstream.close()


async def test_a_function_may_plan() -> None:
    upstream = FakeUpstream(lambda request: Reply(body=[request.target.encode()]))
    assert await ask(upstream) == b"/v1/x"


@pytest.mark.parametrize(
    ("plan", "error"),
    [(Refuse(), ConnectError), (Reset(), ConnectionLostError), (Garble(), ProtocolError), (Stall(), PhaseTimeoutError)],
)
async def test_faults_before_the_head(plan: Plan, error: type[TransportError]) -> None:
    upstream = FakeUpstream(plan)
    with pytest.raises(error) as caught:
        await ask(upstream)
    assert type(caught.value) is error
    assert upstream.exchanges[0].outcome == "failed"


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (Reset(), TruncatedError),
        (Garble(), ProtocolError),
        (Stall(), PhaseTimeoutError),
        (Wait(seconds=1), PhaseTimeoutError),
    ],
)
async def test_faults_in_the_middle(step: Step, error: type[TransportError]) -> None:
    upstream = FakeUpstream(Reply(body=[b"half", step, b"never"]))
    answer = await upstream.send(QUICK, "GET", "/", [])
    assert await answer.receive() == b"half"
    with pytest.raises(error):
        await answer.receive()
    assert upstream.exchanges[0].outcome == "failed"


async def test_slow_answers_arrive_whole_and_piece_by_piece() -> None:
    upstream = FakeUpstream(Reply(before=0.001, body=slowly(b"abcdef", piece=2, seconds=0.001)))
    answer = await upstream.send(QUICK, "GET", "/", [])
    assert [data async for data in answer] == [b"ab", b"cd", b"ef"]


async def test_a_cancelled_receive_goes_on_later() -> None:
    answer = await FakeUpstream(Reply(body=[Wait(seconds=0.015), b"late"])).send(QUICK, "GET", "/", [])
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(answer.receive(), 0.002)
    assert await answer.receive() == b"late"


async def test_a_deadline_and_a_total_limit_count() -> None:
    endless = Endpoint(host="h", port=1, timeouts=Timeouts(first_byte=None, idle=None, total=0.01))
    for plan in (Stall(), Reply(before=5), Reply(body=[Stall()])):
        with pytest.raises(PhaseTimeoutError) as caught:
            await ask(FakeUpstream(plan), endless)
        assert caught.value.phase == "total"


async def test_how_an_answer_was_given_up_is_on_record() -> None:
    upstream = FakeUpstream(Reply(body=[b"x", Stall()]))
    (await upstream.send(QUICK, "GET", "/", [])).release()
    await (await upstream.send(QUICK, "GET", "/", [])).abort()
    await upstream.send(QUICK, "GET", "/", [])
    assert [exchange.outcome for exchange in upstream.exchanges] == ["released", "aborted", "aborted"]


async def test_it_refuses_what_the_real_client_refuses_and_unpacks_what_it_unpacks() -> None:
    packed = Reply(headers=[("content-encoding", "gzip")], body=[gzip.compress(b"plain")])
    assert await ask(FakeUpstream(packed)) == b"plain"
    with pytest.raises(UnsendableError):
        await FakeUpstream().send(QUICK, "GET", "/a b", [])
    assert await ask(FakeUpstream()) == b""
