"""Credentials that the clouds' own libraries find: AWS chain, Google ADC, Microsoft Entra ID.

Each library is an extra, imported by the first fetch, in a thread. Nothing here is asked for unless an account states
no key of its own.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Protocol, cast

from freehold.errors import ConfigError
from freehold.providers.renewal import Clock, Fetched
from freehold.signing.sigv4 import Credentials

ASK_AGAIN: Final = 360.0
"""Seconds that a credential of botocore's is kept before botocore is asked again: it renews its own in time (15 minutes
before their end), so that `renewal.MARGIN` is left of this for the next fetch in the background."""


class _AwsCredentials(Protocol):
    access_key: str
    secret_key: str
    token: str | None


class _AwsProvider(Protocol):
    def get_frozen_credentials(self) -> _AwsCredentials: ...


class _AwsSession(Protocol):
    def set_config_variable(self, logical_name: str, value: str) -> None: ...

    def get_credentials(self) -> _AwsProvider | None: ...


class _BotocoreSession(Protocol):
    def get_session(self) -> _AwsSession: ...


class _GoogleCredentials(Protocol):
    token: str
    expiry: datetime | None

    def refresh(self, request: object) -> None: ...


class _GoogleAuth(Protocol):
    def default(self, scopes: list[str]) -> tuple[_GoogleCredentials, str | None]: ...


class _GoogleTransport(Protocol):
    def Request(self) -> object: ...  # noqa: N802 -- google-auth's name


class _AzureToken(Protocol):
    token: str
    expires_on: int


class _AzureCredential(Protocol):
    def get_token(self, *scopes: str) -> _AzureToken: ...


class _AzureIdentity(Protocol):
    def DefaultAzureCredential(self) -> _AzureCredential: ...  # noqa: N802 -- azure-identity's name


def require(module: str, extra: str, account: str) -> None:
    """Raises ConfigError with the remedy where an extra's library is not installed. Imports nothing of it."""
    try:
        found = importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        found = False
    if not found:
        remedy = f"install `freehold[{extra}]`, or state a key in the account"
        raise ConfigError(f"accounts.{account}: its credentials need the library {module.partition('.')[0]}; {remedy}")


def aws_chain(profile: str | None, clock: Clock) -> Callable[[], Fetched[Credentials]]:
    """Fetches from the AWS credential chain: environment, profiles, SSO, web identity, container and instance roles."""
    kept: list[_AwsProvider] = []

    def fetch() -> Fetched[Credentials]:
        if not kept:
            library = cast("_BotocoreSession", importlib.import_module("botocore.session"))
            session = library.get_session()
            if profile is not None:
                session.set_config_variable("profile", profile)
            found = session.get_credentials()
            if found is None:
                raise LookupError("the AWS credential chain is empty; try `aws sts get-caller-identity`")
            kept.append(found)
        frozen = kept[0].get_frozen_credentials()
        credentials = Credentials(
            access_key_id=frozen.access_key, secret_access_key=frozen.secret_key, session_token=frozen.token
        )
        return Fetched(credentials, clock() + ASK_AGAIN)

    return fetch


def google_token(scopes: tuple[str, ...]) -> Callable[[], Fetched[str]]:
    """Fetches an access token from Google's Application Default Credentials."""
    kept: list[_GoogleCredentials] = []

    def fetch() -> Fetched[str]:
        if not kept:
            library = cast("_GoogleAuth", importlib.import_module("google.auth"))
            kept.append(library.default(scopes=list(scopes))[0])
        credentials = kept[0]
        transport = cast("_GoogleTransport", importlib.import_module("google.auth.transport.requests"))
        credentials.refresh(transport.Request())
        # google-auth keeps a naive time in UTC.
        ends = credentials.expiry.replace(tzinfo=UTC).timestamp() if credentials.expiry is not None else None
        return Fetched(credentials.token, ends)

    return fetch


def entra_token(scope: str) -> Callable[[], Fetched[str]]:
    """Fetches an access token from Entra ID: environment, workload or managed identity, or a developer's log-in."""
    kept: list[_AzureCredential] = []

    def fetch() -> Fetched[str]:
        if not kept:
            library = cast("_AzureIdentity", importlib.import_module("azure.identity"))
            kept.append(library.DefaultAzureCredential())
        token = kept[0].get_token(scope)
        return Fetched(token.token, float(token.expires_on))

    return fetch
