"""Accounts found in the environment, for the first start without a file.

Which variables count is each provider's own data, so a new provider file is found as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from freehold.config.secret import Secret
from freehold.config.values import Account, Probe
from freehold.providers.address import endpoint
from freehold.providers.catalog import providers
from freehold.providers.schema import AccountField, Provider

_SECRET_FIELDS: frozenset[AccountField] = frozenset({"api_key", "secret_access_key", "session_token"})


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What an environment offers; `seen` holds the values that a digest must notice."""

    accounts: dict[str, Account]
    notes: tuple[str, ...]
    probes: tuple[Probe, ...]
    seen: tuple[str, ...]


def discover(environ: Mapping[str, str]) -> Found:
    """The accounts whose variables are set, in the catalogue's order, and what to tell about them."""
    accounts: dict[str, Account] = {}
    notes: list[str] = []
    probes: list[Probe] = []
    seen: list[str] = []
    for name, provider in providers().items():
        found = _variables(provider, environ)
        values: dict[AccountField, str] = {field: value for field, (_, value) in found.items()}
        if any(field not in values for field in provider.environment.needs):
            continue
        account = account_of(provider, values)
        used = ", ".join(variable for variable, _ in found.values())
        match provider.environment.discover:
            case "use":
                accounts[name] = account
                seen.extend(values.values())
                notes.append(f"account `{name}` ({provider.title}) from {used}")
            case "offer":
                notes.append(f"{provider.title} could be used ({used} is set): `freehold init` writes the account down")
            case "probe":
                probes.append(Probe(account=account, url=_probe_url(provider, account)))
            case "never":
                pass
    return Found(accounts=accounts, notes=tuple(notes), probes=tuple(probes), seen=tuple(seen))


def account_of(provider: Provider, values: Mapping[AccountField, str]) -> Account:
    """An account named like its provider."""
    fields = {field: Secret(value) if field in _SECRET_FIELDS else value for field, value in values.items()}
    return msgspec.convert(
        {"provider": provider.name, "name": provider.name, **fields},
        Account,
        dec_hook=_keep_secret,
    )


def _keep_secret(kind: type, value: object) -> object:
    if kind is Secret and isinstance(value, Secret):
        return value
    raise NotImplementedError


def _variables(provider: Provider, environ: Mapping[str, str]) -> dict[AccountField, tuple[str, str]]:
    """The variable and value of each account field that the environment states."""
    found: dict[AccountField, tuple[str, str]] = {}
    for field, names in provider.environment.variables.items():
        for name in names:
            if value := environ.get(name, "").strip():
                found[field] = (name, _address(value) if field == "base_url" else value)
                break
    return found


def _address(value: str) -> str:
    """An address as a URL: some clients' variables hold `host:port` alone, or the address a server binds."""
    url = value if "://" in value else f"http://{value}"
    return url.replace("//0.0.0.0", "//127.0.0.1").rstrip("/")


def _probe_url(provider: Provider, account: Account) -> str:
    for protocol in provider.protocols:
        where = endpoint(provider, protocol, account.fields())
        if where.offers("list"):
            return where.origin + where.prefix + where.paths["list"]
    parts = urlsplit(account.base_url or "")
    return f"{parts.scheme}://{parts.netloc}/"
