"""Credentials that expire: nobody waits while one works, everybody waits for the same one when none does."""

import asyncio
import threading

import pytest

from freehold.errors import UpstreamError
from freehold.providers.renewal import Constant, Fetched, Renewed


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Issuer:
    """Hands out numbered credentials that work for an hour."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.issued = 0
        self.fails = False
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self) -> Fetched[str]:
        assert self.gate.wait(5)
        if self.fails:
            raise OSError("no route to the metadata service")
        self.issued += 1
        return Fetched(f"token-{self.issued}", self.clock.now + 3600)


async def settled(source: Renewed[str], wanted: str) -> None:
    for _ in range(200):
        if await source.get() == wanted:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"{wanted} never came")


async def test_one_fetch_serves_all_who_wait() -> None:
    clock = Clock()
    issuer = Issuer(clock)
    source = Renewed(issuer, clock, what="a test")
    assert set(await asyncio.gather(*(source.get() for _ in range(20)))) == {"token-1"}
    assert issuer.issued == 1


async def test_before_the_end_the_next_one_comes_in_the_background() -> None:
    clock = Clock()
    issuer = Issuer(clock)
    source = Renewed(issuer, clock, what="a test")
    await source.get()
    clock.now += 3600 - 299
    issuer.gate.clear()
    assert await source.get() == "token-1"
    issuer.gate.set()
    await settled(source, "token-2")


async def test_a_failed_renewal_is_tried_again_while_the_old_one_works() -> None:
    clock = Clock()
    issuer = Issuer(clock)
    source = Renewed(issuer, clock, what="a test")
    await source.get()
    clock.now += 3600 - 200
    issuer.fails = True
    assert await source.get() == "token-1"
    await asyncio.sleep(0.02)
    issuer.fails = False
    clock.now += 10
    await settled(source, "token-2")


async def test_without_one_that_works_the_error_says_where_from_and_that_others_may_answer() -> None:
    clock = Clock()
    issuer = Issuer(clock)
    issuer.fails = True
    source = Renewed(issuer, clock, what="the metadata service")
    with pytest.raises(UpstreamError, match="the metadata service: OSError: no route") as caught:
        await source.get()
    assert caught.value.code == "account_credentials"
    assert caught.value.retry.where == "other_target"
    issuer.fails = False
    assert await source.get() == "token-1"


async def test_a_caller_who_leaves_does_not_take_the_fetch_along() -> None:
    clock = Clock()
    issuer = Issuer(clock)
    issuer.gate.clear()
    source = Renewed(issuer, clock, what="a test")
    leaving = asyncio.create_task(source.get())
    staying = asyncio.create_task(source.get())
    await asyncio.sleep(0)
    leaving.cancel()
    issuer.gate.set()
    assert await staying == "token-1"


async def test_a_stated_credential_is_itself() -> None:
    assert await Constant("k").get() == "k"


def test_a_fetched_credential_does_not_show() -> None:
    assert "planted" not in repr(Fetched("planted", 1.0)) + repr(Fetched("planted").__rich_repr__())
