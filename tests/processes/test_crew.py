"""The workers together, as objects: what one knows reaches the others, and what one can not do none does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from freehold.config import Config, load
from freehold.errors import ConfigError
from freehold.governance.keys import KeyTable, encode_keys
from freehold.governance.secret import ServerSecret
from freehold.routing.features import WELL, Candidate
from freehold.routing.health import FAULTS_TO_OPEN
from freehold.server import crew as crew_module
from freehold.server.crew import Crew
from freehold.server.hands import Hand, InProcess
from freehold.server.messages import ORDERS, Begin, Done, Order, Reply, Report, Reported, Settings, frame
from freehold.server.worker import Worker

TEXT = """
[accounts.one]
provider = "openai"
base_url = "http://127.0.0.1:9/v1"
api_key = "key-of-one"
headers = { x-more = "another-secret" }
[models.m]
targets = ["one/gpt-4o", "one/gpt-4.1"]
"""
ONE = Candidate(name="one/gpt-4o", domains=("account:one",))
OTHER = Candidate(name="one/gpt-4.1", domains=("account:one",))
SECRET = ServerSecret(bytes(range(32)))


def settings(folder: Path, number: int = 1, more: str = "") -> Settings:
    file = folder / "freehold.toml"
    file.write_text(TEXT + more)
    return Settings(number=number, config=load(str(file), {"FREEHOLD_DATA": str(folder)}), prices={})


@asynccontextmanager
async def two(folder: Path) -> AsyncGenerator[tuple[Crew, Worker, Worker]]:
    """A crew whose workers are in this process, each with what a process has."""
    first, second = Worker([], {}), Worker([], {})

    async def hire(slot: int) -> Hand:
        return InProcess(second if slot else first)

    crew = Crew(count=2, hire=hire, secret=SECRET, settings=settings(folder), keys=encode_keys(KeyTable()))
    await crew.start()
    await crew.listen(0)
    try:
        yield crew, first, second
    finally:
        await crew.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 -- nothing tells when another worker has heard
            await asyncio.sleep(0.01)


async def test_a_breaker_that_opens_in_one_worker_holds_in_all_and_closes_in_all(tmp_path: Path) -> None:
    async with two(tmp_path) as (crew, first, second):
        for _ in range(FAULTS_TO_OPEN):
            first.road.health.failed(ONE, "unavailable", time.monotonic())
        await until(lambda: second.road.health.standings([ONE], time.monotonic()).get(ONE.name, WELL).broken)
        (state, _) = await crew.targets()
        assert state.state == "broken"
        await crew.refresh()
        assert crew.gauges()["targets_broken"] == 1
        second.road.health.answered(ONE, first_token=None, speed=None)
        await until(lambda: not first.road.health.standings([ONE], time.monotonic()).get(ONE.name, WELL).broken)


async def test_a_domain_fails_by_what_several_workers_saw(tmp_path: Path) -> None:
    """One target down in each: neither would have taken the account for down."""
    third = Candidate(name="one/gpt-5", domains=("account:one",))
    async with two(tmp_path) as (_, first, second):
        for worker, candidate in ((first, ONE), (second, OTHER)):
            for _ in range(FAULTS_TO_OPEN):
                worker.road.health.failed(candidate, "unavailable", time.monotonic())
        for worker in (first, second):
            await until(
                lambda worker=worker: (
                    worker.road.health.standings([third], time.monotonic())[third.name].broken == "account:one"
                )
            )


async def test_a_target_that_asks_to_be_left_alone_is_left_alone_by_all(tmp_path: Path) -> None:
    async with two(tmp_path) as (_, first, second):
        first.road.health.failed(ONE, "rate_limit", time.monotonic(), after=600.0)
        await until(lambda: second.road.health.standings([ONE], time.monotonic()).get(ONE.name, WELL).cooling)


async def test_what_one_measured_the_other_knows(tmp_path: Path) -> None:
    async with two(tmp_path) as (_, first, second):
        first.road.health.answered(ONE, first_token=0.5, speed=80.0)
        await until(lambda: second.road.health.standings([ONE], time.monotonic()).get(ONE.name, WELL).speed == 80.0)


async def test_who_hears_a_word_does_not_repeat_it(tmp_path: Path) -> None:
    async with two(tmp_path) as (_, first, second):
        for _ in range(FAULTS_TO_OPEN):
            first.road.health.failed(ONE, "unavailable", time.monotonic())
        words = first.road.health.news()
        assert words
        second.road.health.merge(words, time.monotonic())
        assert second.road.health.news() == []
        assert first.road.health.news() == []


async def test_counters_are_those_of_all_and_never_go_back(tmp_path: Path) -> None:
    async with two(tmp_path) as (crew, first, second):
        first.road.counters.add("exchanges_total", (("outcome", "ok"),), 3)
        second.road.counters.add("exchanges_total", (("outcome", "ok"),), 4)
        await crew.refresh()
        line = 'freehold_exchanges_total{outcome="ok"} 7'
        assert line in crew.counters.text({})
        await crew.refresh()
        assert line in crew.counters.text({}), "what was told is not added again"


async def test_all_take_a_snapshot_or_none_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with two(tmp_path) as (crew, first, second):
        assert await crew.change(settings(tmp_path, 2, "[limits]\nattempts = 2\n")) is None
        assert [worker.serving.snapshot.number for worker in (first, second)] == [2, 2]

        def refuse(settings: Settings) -> None:
            raise ConfigError(f"{settings.number} does not suit me")

        monkeypatch.setattr(second, "_prepare", refuse)
        refused = await crew.change(settings(tmp_path, 3, "[limits]\nattempts = 3\n"))
        assert refused == "worker 2: 3 does not suit me"
        assert [worker.serving.snapshot.number for worker in (first, second)] == [2, 2]
        assert crew.settings.number == 2, "nor does a worker that begins later"


class Mortal:
    """A worker that dies as soon as it is asked how it is, while `lives` is not set."""

    lives = False

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.fate = "it was ended by SIGSEGV"

    def ask(self, order: Order) -> asyncio.Future[Reply]:
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        if isinstance(order, Report) and not self.lives:
            self.ended.set()
        reported = Reported(
            counters=(("exchanges_total", (), 1),),
            words=(),
            lessons=(),
            uses=(),
            gauges={},
            states={},
            unrecorded=None,
        )
        answer.set_result(reported if isinstance(order, Report) else Done())
        return answer

    async def close(self) -> None:
        self.ended.set()


async def test_workers_that_die_at_once_are_replaced_ever_more_slowly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hired: list[int] = []

    async def hire(slot: int) -> Hand:
        hired.append(slot)
        Mortal.lives = len(hired) > 3
        return Mortal()

    monkeypatch.setattr(crew_module, "TICK", 0.01)
    monkeypatch.setattr(crew_module, "WAIT_FIRST", 0.05)
    crew = Crew(count=1, hire=hire, secret=SECRET, settings=settings(tmp_path), keys=b"")
    await crew.start()
    await crew.listen(1)
    seen: set[str] = set()
    for _ in range(1000):
        seen.update(crew.missing())
        if len(hired) > 3 and not crew.missing():
            break
        await asyncio.sleep(0.005)
    assert {text.rpartition(" starts in ")[2] for text in seen} == {"0.05 s", "0.1 s", "0.2 s"}
    assert all("it was ended by SIGSEGV" in text for text in seen)
    assert crew.gauges()["workers"] == 1
    await crew.refresh()
    assert "freehold_exchanges_total " in crew.counters.text({}), "what the dead had counted stays"
    await crew.close()


async def test_a_worker_that_can_not_begin_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file where the folder should be")

    async def hire(_slot: int) -> Hand:
        return InProcess(Worker([], {}))

    crew = Crew(count=2, hire=hire, secret=SECRET, settings=settings(tmp_path), keys=encode_keys(KeyTable()))
    with pytest.raises(ConfigError, match="spool"):
        await crew.start()


def test_a_configuration_crosses_with_its_secrets_and_shows_none(tmp_path: Path) -> None:
    order = Begin(slot=1, secret=SECRET, settings=settings(tmp_path), keys=b"", words=())
    came = ORDERS.decode(frame(order)[4:])
    assert isinstance(came, Begin)
    config: Config = came.settings.config
    assert config == order.settings.config
    assert config.accounts["one"].headers["x-more"].reveal() == "another-secret"
    assert came.secret.reveal() == SECRET.reveal()
    assert "another-secret" not in repr(came)
    assert "key-of-one" not in repr(came)
    assert repr(SECRET.reveal()) not in repr(came)
