"""A gateway in front of the emulated upstreams, and one Node process that holds every JavaScript client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.javascript.node import Driver, NoNodeError, installed
from tests.javascript.upstreams import upstreams
from tests.upstreams.gateway import Gateway
from tests.upstreams.scenarios import PARAMETERS, RESULTS

FUNCTIONS = [
    {"name": "get_weather", "description": "Tells the weather of a city.", "parameters": PARAMETERS},
    {"name": "list_cities", "description": "Names the cities.", "parameters": {"type": "object", "properties": {}}},
]

Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def driver() -> Iterator[Driver]:
    try:
        folder = installed()
    except NoNodeError as reason:
        pytest.skip(f"the JavaScript clients were not tested: {reason}")
    running = Driver(folder)
    yield running
    running.close()


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("gateway"), upstreams=upstreams())
    gateway.start()
    yield gateway
    gateway.stop()


@pytest.fixture(scope="session")
def credentials(running: Gateway) -> dict[str, object]:
    """A key and a pair."""
    return {"key": running.mint()[0], "pair": running.mint(aws=True)}


@pytest.fixture
def gateway(driver: Driver, running: Gateway) -> Iterator[Gateway]:
    """The gateway; afterwards no upstream may have seen a request that its vendor would refuse."""
    running.forget()
    yield running
    assert running.problems() == []


@pytest.fixture
def ask(driver: Driver, gateway: Gateway, credentials: dict[str, object]) -> Ask:
    """One conversation of a named client: what `driver.mjs` says of it."""

    def one(client: str, model: str, text: str, **more: object) -> dict[str, Any]:
        task = {
            "client": client,
            "url": gateway.url,
            "model": model,
            "text": text,
            "tools": False,
            "stream": False,
            "functions": FUNCTIONS,
            "results": RESULTS,
            **credentials,
            **more,
        }
        return driver.do(task)

    return one
