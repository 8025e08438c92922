"""The database goes away under a running server, and comes back."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.hostile.processes import command, configure, eventually, new_key, served, with_keys
from tests.postgres import PostgresServer

# Processes start slowly on a busy machine.
pytestmark = [pytest.mark.postgres, pytest.mark.timeout(180)]


def test_traffic_goes_on_while_postgresql_is_down(
    tmp_path: Path, postgres_server: PostgresServer, postgres_url: str
) -> None:
    configure(tmp_path, f'[storage]\nurl = "{postgres_url}"')
    key, identity = new_key(tmp_path, storage_url=postgres_url)
    with served(tmp_path) as server:
        assert server.takes(key)
        assert server.metric("keys_stale_seconds") == 0
        postgres_server.stop()
        try:
            eventually(lambda: server.metric("keys_stale_seconds") > 0)
            assert server.takes(key)
            assert server.ready().status == 200, "or a load balancer would take every replica out"
            assert "the store can not be read" in server.ready().json()["warnings"][0]
            assert server.log().count("the store can not be read") == 1
            done = command(tmp_path, "keys", "revoke", identity)
            assert done.returncode == 1
            assert done.stderr.startswith("[storage] url: The database can not be used: ")
            assert "Traceback" not in done.stderr
        finally:
            postgres_server.start()
        eventually(lambda: server.metric("keys_stale_seconds") == 0)
        assert "warnings" not in server.ready().json()
        assert "the store can be read again" in server.log()
        other, _ = new_key(tmp_path, storage_url=postgres_url)
        assert server.takes(other), "a key works when it has been made"
        assert with_keys(tmp_path, lambda keys: keys.revoke(identity, time.time()), storage_url=postgres_url)
        assert not server.takes(key)
        assert "Traceback" not in server.log()


def test_a_server_does_not_start_on_a_database_that_is_down(
    tmp_path: Path, postgres_server: PostgresServer, postgres_url: str
) -> None:
    configure(tmp_path, f'[storage]\nurl = "{postgres_url}"')
    postgres_server.stop()
    try:
        done = command(tmp_path, "serve")
    finally:
        postgres_server.start()
    assert done.returncode == 1
    assert done.stderr.startswith("[storage] url: The database can not be used: ")
    assert "Traceback" not in done.stderr
