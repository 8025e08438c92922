"""Credentials on the way out: which of an account's ways to authenticate applies, and what it adds to a request.

Keys are turned into headers once. Signatures are made per request. Tokens and AWS credential chains come from `clouds`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, assert_never
from urllib.parse import quote

import msgspec

from freehold.config import Account, Secret
from freehold.errors import ConfigError
from freehold.providers import schema
from freehold.providers.clouds import aws_chain, entra_token, google_token, require
from freehold.providers.renewal import Clock, Constant, Renewed, Source
from freehold.providers.schema import Anonymous, Auth, Bearer, Entra, Google, Header, Provider, Query, SigV4
from freehold.signing.sigv4 import Credentials, Signer

Headers = Sequence[tuple[str, str]]


class Grant(msgspec.Struct, frozen=True):
    """What authentication adds: headers, and a piece of query string (already encoded) or nothing."""

    headers: tuple[tuple[str, str], ...] = ()
    query: str = ""

    def __repr__(self) -> str:
        return f"Grant({', '.join(name for name, _ in self.headers)})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """As `repr`: the values are secrets."""
        return [("headers", [name for name, _ in self.headers])]


class Authenticator(Protocol):
    """One account's way to authenticate with one protocol."""

    async def grant(self, *, method: str, host: str, path: str, query: str, headers: Headers, body: bytes) -> Grant:
        """What to add to this request. Raises UpstreamError `account_credentials` where there is no credential."""
        ...


class Fixed:
    """A credential that is the same for every request: a key, or none. `granted` may be read instead of asking."""

    def __init__(self, granted: Grant) -> None:
        self.granted = granted

    async def grant(self, *, method: str, host: str, path: str, query: str, headers: Headers, body: bytes) -> Grant:
        """The grant made at the start."""
        del method, host, path, query, headers, body
        return self.granted


class Signed:
    """AWS Signature V4 over each request, with the key pair of the moment and the account's own headers."""

    def __init__(self, signer: Signer, source: Source[Credentials], clock: Clock, added: Headers = ()) -> None:
        self._signer = signer
        self._source = source
        self._clock = clock
        self._added = tuple(added)

    async def grant(self, *, method: str, host: str, path: str, query: str, headers: Headers, body: bytes) -> Grant:
        """The signature's headers."""
        credentials = await self._source.get()
        signed = self._signer.sign(
            method=method,
            host=host,
            path=path,
            query=query,
            headers=(*headers, *self._added),
            body=body,
            credentials=credentials,
            now=self._clock(),
        )
        return Grant((*signed, *self._added))


class Token:
    """A cloud's access token as a bearer, and the account's own headers."""

    def __init__(self, source: Source[str], added: Headers = ()) -> None:
        self._source = source
        self._added = tuple(added)

    async def grant(self, *, method: str, host: str, path: str, query: str, headers: Headers, body: bytes) -> Grant:
        """The token's header."""
        del method, host, path, query, headers, body
        return Grant((("authorization", f"Bearer {await self._source.get()}"), *self._added))


def choose(provider: Provider, protocol: schema.Protocol, account: Account) -> Auth:
    """The first way to authenticate that the account's credentials allow. Raises ConfigError where none does."""
    for auth in protocol.auth or provider.auth:
        match auth:
            case Bearer(field=field) | Header(field=field) | Query(field=field):
                if _key(account, field) is not None:
                    return auth
            case SigV4(chain=chain):
                if chain or (account.access_key_id is not None and account.secret_access_key is not None):
                    return auth
            case Google() | Entra() | Anonymous():
                return auth
            case _:
                assert_never(auth)
    raise ConfigError(f"accounts.{account.name}: there is no credential for {provider.title}; state `api_key`")


def authenticator(provider: Provider, protocol: schema.Protocol, account: Account, clock: Clock) -> Authenticator:
    """How the account authenticates with a protocol; `clock` gives Unix seconds.

    Raises ConfigError where no credential applies, or where one needs a library that is not installed.
    """
    auth = choose(provider, protocol, account)
    added = tuple((name.lower(), value.reveal()) for name, value in account.headers.items())
    match auth:
        case Bearer(field=field):
            return Fixed(Grant((("authorization", f"Bearer {_key(account, field)}"), *added)))
        case Header(names=names, field=field):
            key = _key(account, field) or ""
            return Fixed(Grant((*((name.lower(), key) for name in names), *added)))
        case Query(name=name, field=field):
            return Fixed(Grant(added, f"{quote(name, safe='')}={quote(_key(account, field) or '', safe='')}"))
        case SigV4():
            signer = Signer(region=account.region or "", service=protocol.service or auth.service)
            return Signed(signer, _aws(auth, account, clock), clock, added)
        case Google(scopes=scopes):
            require("google.auth", "google", account.name)
            return Token(Renewed(google_token(scopes), clock, what="Google Application Default Credentials"), added)
        case Entra(scope=scope):
            require("azure.identity", "azure", account.name)
            return Token(Renewed(entra_token(scope), clock, what="Microsoft Entra ID"), added)
        case Anonymous():
            return Fixed(Grant(added))
        case _:
            assert_never(auth)


def _aws(auth: SigV4, account: Account, clock: Clock) -> Source[Credentials]:
    if not auth.chain and account.access_key_id is not None and account.secret_access_key is not None:
        token = account.session_token
        return Constant(
            Credentials(
                access_key_id=account.access_key_id,
                secret_access_key=account.secret_access_key.reveal(),
                session_token=token.reveal() if token is not None else None,
            )
        )
    require("botocore", "aws", account.name)
    return Renewed(aws_chain(account.profile, clock), clock, what="the AWS credential chain")


def _key(account: Account, field: schema.AccountField) -> str | None:
    value: object = getattr(account, field)
    return value.reveal() if isinstance(value, Secret) else None
