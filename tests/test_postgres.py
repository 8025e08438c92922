"""The PostgreSQL that tests get is real, empty and their own."""

import psycopg
import pytest


@pytest.mark.postgres
@pytest.mark.parametrize("attempt", [1, 2])
def test_every_test_gets_an_empty_database(postgres_url: str, attempt: int) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE only_here (attempt integer)")
        connection.execute("INSERT INTO only_here VALUES (%s)", (attempt,))
        assert connection.execute("SELECT attempt FROM only_here").fetchall() == [(attempt,)]
