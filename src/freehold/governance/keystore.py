"""Keys in the database: what the supervisor and `freehold keys` do with them. Workers get tables, never this."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncGenerator, Iterable
from pathlib import Path

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from freehold.governance.keys import Key, KeyTable, Locksmith, Minted, id_of_bearer
from freehold.governance.secret import SECRET_FILE, ServerSecret, parse_secret, read_or_make_secret
from freehold.store.changes import News, settle, watch
from freehold.store.database import Database, bind_secret, open_database, sqlite_path
from freehold.store.keys import TOPIC, KeyRow, insert_key, read_keys, revoke_key


class KeyStore:
    """The keys of one database, with the server secret that belongs to it."""

    def __init__(self, database: Database, secret: ServerSecret) -> None:
        self.database = database
        self.secret = secret
        self._locksmith = Locksmith(secret)

    async def create(
        self,
        *,
        project: str,
        name: str,
        now: float,
        aws: bool = False,
        expires: float | None = None,
        models: Iterable[str] = (),
        networks: Iterable[str] = (),
        strategy: str | None = None,
    ) -> tuple[Minted, bool]:
        """A new key, and whether every running server takes it already.

        Raises ValueError for a network that is none, StoreError when the database fails.
        """
        minted = self._locksmith.mint(
            project=project,
            name=name,
            now=now,
            aws=aws,
            expires=expires,
            models=models,
            networks=networks,
            strategy=strategy,
        )
        async with self.database.write() as connection:
            version = await insert_key(connection, KeyRow(**msgspec.structs.asdict(minted.key)))
        return minted, await settle(self.database, TOPIC, version)

    async def revoke(self, key_id: str, now: float) -> bool | None:
        """Revoke by id, access key id or the key itself; whether every running server refuses it already.

        None when there is no such key. Raises StoreError when the database fails.
        """
        key_id = id_of_bearer(key_id) or key_id
        async with self.database.write() as connection:
            version = await revoke_key(connection, key_id, now)
        return None if version is None else await settle(self.database, TOPIC, version)

    async def table(self) -> KeyTable:
        """The keys as they are now."""
        async with self.database.read() as connection:
            return await _read_table(connection)

    def watch(self, watcher: str | None = None) -> AsyncGenerator[News[KeyTable]]:
        """The keys at once and after each change. Ask for the next only when every worker has the last.

        Close the generator (`contextlib.aclosing`) when the server stops.
        """
        return watch(self.database, TOPIC, _read_table, watcher=watcher or secrets.token_hex(16))


@contextlib.asynccontextmanager
async def open_keystore(
    *, storage_url: str, configured_secret: str | None, data_directory: Path
) -> AsyncGenerator[KeyStore]:
    """The key store of a configuration; the secret is made beside the database when none is configured.

    Raises ConfigError when the database or the secret can not be used or do not belong together.
    """
    async with open_database(storage_url) as database:
        secret = server_secret(storage_url, configured_secret, data_directory)
        await bind_secret(database, secret.fingerprint())
        yield KeyStore(database, secret)


def server_secret(storage_url: str, configured_secret: str | None, data_directory: Path) -> ServerSecret:
    """The configured secret, else the file's: beside an SQLite database, for PostgreSQL in the data directory."""
    if configured_secret is not None:
        return parse_secret(configured_secret)
    path = sqlite_path(storage_url)
    return read_or_make_secret((data_directory if path is None else path.parent) / SECRET_FILE)


async def _read_table(connection: AsyncConnection) -> KeyTable:
    return KeyTable(Key(**msgspec.structs.asdict(row)) for row in await read_keys(connection))
