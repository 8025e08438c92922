"""Finding, reading and checking the configuration; every mistake is reported at once."""

from __future__ import annotations

import ipaddress
import re
import ssl
import tomllib
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeVar, cast
from urllib.parse import urlsplit

import msgspec

from freehold.config.environment import discover
from freehold.config.lines import Lines
from freehold.config.reading import Problem, Problems, Resolver, read_table, suggestion
from freehold.config.secret import Secret
from freehold.config.values import (
    Account,
    Check,
    Commitment,
    Config,
    Fetch,
    Ledger,
    Limits,
    Model,
    Server,
    Storage,
    TargetText,
)
from freehold.errors import ConfigError
from freehold.providers.address import endpoint
from freehold.providers.catalog import providers
from freehold.providers.schema import Provider

FILE: Final = "freehold.toml"

_SECTIONS: Final = ("server", "storage", "limits", "fetch", "ledger", "accounts", "models", "commitments")
_ACCOUNT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LOOPBACK_NAMES: Final = frozenset({"localhost", "ip6-localhost"})

S = TypeVar("S", bound=msgspec.Struct)


class InvalidConfigError(ConfigError):
    """Everything that is wrong with one configuration; `problems` for programs, the message for people.

    `files` are those that it names: what is wrong may be mended there.
    """

    def __init__(self, source: str, problems: Iterable[Problem], files: Iterable[str] = ()) -> None:
        self.problems = tuple(problems)
        self.files = tuple(files)
        count = "1 mistake" if len(self.problems) == 1 else f"{len(self.problems)} mistakes"
        super().__init__("\n".join([f"{source}: {count}", *(f"  {problem}" for problem in self.problems)]))


def find(path: str | None, environ: Mapping[str, str]) -> Path | None:
    """The file to read: `path`, else `$FREEHOLD_CONFIG`, else `./freehold.toml`, else none.

    Raises ConfigError for one that is named and missing.
    """
    for name, origin in ((path, "--config"), (environ.get("FREEHOLD_CONFIG"), "FREEHOLD_CONFIG")):
        if name:
            found = Path(name).expanduser()
            if not found.is_file():
                remedy = "name an existing file, or write one with `freehold init`"
                raise ConfigError(f"{name}: no such file (named by {origin}); {remedy}")
            return found
    default = Path(FILE)
    return default if default.is_file() else None


def load(path: str | None, environ: Mapping[str, str]) -> Config:
    """The configuration from its file, or from the environment where there is none.

    Raises ConfigError; an InvalidConfigError lists every mistake.
    """
    file = find(path, environ)
    directory = data_directory(environ)
    if file is None:
        found = discover(environ)
        blank = Config(accounts=found.accounts, notes=found.notes, probes=found.probes, data_directory=str(directory))
        return _defaults(blank, directory, _digest("", found.seen))
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: can not be read: {error}") from error
    return parse(text, str(file), environ)


def parse(text: str, source: str, environ: Mapping[str, str]) -> Config:
    """The configuration that a TOML text states. Raises InvalidConfigError naming each one."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source}: this is not TOML: {error}") from error
    problems = Problems(Lines(text))
    resolver = Resolver(environ)
    for key in document:
        if key not in _SECTIONS:
            problems.add((key,), f"unknown section{suggestion(key, _SECTIONS)}")

    def section(kind: type[S], name: str) -> S:
        table = document.get(name, {})
        return read_table(kind, table, (name,), problems, resolver, derived=frozenset()) or kind()

    server = section(Server, "server")
    storage = section(Storage, "storage")
    limits = section(Limits, "limits")
    fetch = section(Fetch, "fetch")
    ledger = section(Ledger, "ledger")
    accounts = _accounts(document.get("accounts", {}), problems, resolver)
    models = _models(document.get("models", {}), accounts, _names(document.get("accounts")), problems, resolver)
    commitments = _commitments(document.get("commitments", {}), _names(document.get("accounts")), problems, resolver)
    _check_server(server, problems)
    files = _files(source, resolver, server, accounts)
    if problems.found:
        raise InvalidConfigError(source, sorted(problems.found, key=lambda problem: problem.line or 0), files)
    literals = ", ".join(resolver.literals)
    notes = (f"{source} holds credentials itself ({literals}); `env:NAME` or `file:/path` keeps them out",)
    directory = data_directory(environ)
    config = Config(
        server=server,
        storage=storage,
        limits=limits,
        fetch=fetch,
        ledger=ledger,
        accounts=accounts,
        models=models,
        commitments=commitments,
        source=source,
        files=files,
        notes=notes if literals else (),
        data_directory=str(directory),
    )
    return _defaults(config, directory, _digest(text, resolver.seen))


def data_directory(environ: Mapping[str, str]) -> Path:
    """Where state is kept when nothing says otherwise: `$FREEHOLD_DATA`, else the XDG data directory."""
    if stated := environ.get("FREEHOLD_DATA"):
        return Path(stated).expanduser()
    base = environ.get("XDG_DATA_HOME")
    home = Path(environ.get("HOME") or Path.home())
    return (Path(base) if base else home / ".local" / "share") / "freehold"


def _defaults(config: Config, directory: Path, digest: str) -> Config:
    """Fills in the paths that depend on the user's data directory."""
    storage = config.storage
    if storage.url is None:
        # The URL form has three slashes before a path; an absolute path brings a fourth.
        storage = Storage(url=Secret(f"sqlite:///{directory.absolute() / 'freehold.db'}"))
    ledger = config.ledger
    if ledger.directory is None:
        ledger = msgspec.structs.replace(ledger, directory=str(directory / "spool"))
    return msgspec.structs.replace(config, storage=storage, ledger=ledger, digest=digest)


def _digest(text: str, secrets: Iterable[str]) -> str:
    digest = sha256(text.encode())
    for secret in secrets:
        digest.update(b"\0" + sha256(secret.encode()).digest())
    return digest.hexdigest()


def _files(source: str, resolver: Resolver, server: Server, accounts: Mapping[str, Account]) -> tuple[str, ...]:
    """Every file whose content counts, each once."""
    certificates = [server.tls_cert, server.tls_key, server.client_ca]
    for account in accounts.values():
        certificates += [account.ca_file, account.client_cert]
    return tuple(dict.fromkeys([source, *resolver.files, *(file for file in certificates if file is not None)]))


def _names(table: object) -> tuple[str, ...]:
    return tuple(cast("dict[str, object]", table)) if isinstance(table, dict) else ()


def _accounts(table: object, problems: Problems, resolver: Resolver) -> dict[str, Account]:
    if not isinstance(table, dict):
        problems.add(("accounts",), "expected tables; write `[accounts.NAME]`")
        return {}
    accounts: dict[str, Account] = {}
    for name, settings in cast("dict[str, object]", table).items():
        path = ("accounts", name)
        if _ACCOUNT_NAME.fullmatch(name) is None:
            problems.add(path, "an account's name is made of letters, digits, `.`, `_` and `-`")
        account = read_table(Account, settings, path, problems, resolver, derived=frozenset({"name"}))
        if account is None:
            continue
        account = msgspec.structs.replace(account, name=name)
        provider = providers().get(account.provider)
        if provider is None:
            problems.add(
                (*path, "provider"), f"unknown provider `{account.provider}`{suggestion(account.provider, providers())}"
            )
            continue
        _check_account(account, provider, problems)
        accounts[name] = account
    return accounts


def _check_account(account: Account, provider: Provider, problems: Problems) -> None:
    path = ("accounts", account.name)
    before = len(problems.found)
    fields = {**provider.address.defaults, **account.fields()}
    for name in provider.requires:
        if name not in fields:
            problems.add((*path, name), f"is missing; {provider.title} needs `{name}`")
    if account.base_url is not None:
        _check_base_url(account, problems)
    if account.proxy is not None and not _is_http(account.proxy.reveal()):
        problems.add((*path, "proxy"), "is no http or https address; write e.g. `http://proxy.example.com:3128`")
    if len(problems.found) == before:
        try:
            for protocol in provider.protocols:
                endpoint(provider, protocol, account.fields())
        except ValueError as error:
            problems.add(path, f"`{error}` is missing; {provider.title}'s address needs it, or state `base_url`")
    if (account.access_key_id is None) != (account.secret_access_key is None):
        problems.add(path, "`access_key_id` and `secret_access_key` belong together; state both or neither")
    schemes = {type(auth).__name__ for auth in provider.auth}
    ambient = schemes & {"SigV4", "Google", "Entra", "Anonymous"}
    if account.api_key is None and not ambient and not problems.has((*path, "api_key")):
        variables = provider.environment.variables.get("api_key", ("API_KEY",))
        problems.add((*path, "api_key"), f'is missing; write e.g. `api_key = "env:{variables[0]}"`')
    for name in ("ca_file", "client_cert"):
        file: str | None = getattr(account, name)
        if file is None:
            continue
        if not Path(file).is_file():
            problems.add((*path, name), f"no such file: {file}")
        elif (why := _unusable(name, file)) is not None:
            problems.add((*path, name), f"{file} can not be used ({why}); it must be a readable PEM file")


def _unusable(name: str, file: str) -> str | None:
    """Why a certificate file can not be used: found here it leaves the last good one in place."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if name == "ca_file":
            context.load_verify_locations(file)
        else:
            context.load_cert_chain(file, password="")  # an encrypted key would otherwise ask on the terminal
    except (OSError, ssl.SSLError) as error:
        return getattr(error, "reason", None) or error.strerror or type(error).__name__
    return None


def _check_base_url(account: Account, problems: Problems) -> None:
    path = ("accounts", account.name, "base_url")
    url = account.base_url or ""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        problems.add(path, f"`{url}` is no URL; write e.g. `https://api.example.com/v1`")
        return
    if parts.scheme not in {"http", "https"} or not host:
        problems.add(path, f"`{url}` is no http or https address; write e.g. `https://api.example.com/v1`")
    elif parts.username is not None or parts.password is not None:
        problems.add(path, "credentials do not belong into a URL; use `api_key` or `headers`")
    elif parts.query or parts.fragment:
        problems.add(path, "a base URL has no query and no fragment; use `api_version`, or `headers`")
    elif parts.scheme == "http" and not (account.allow_http or _is_near(host)):
        problems.add(
            path,
            f"plain http to {host} shows prompts and keys to the network; use https, or state `allow_http = true`",
        )


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_near(host: str) -> bool:
    """Whether a host is loopback, a private address, or a name that only a local network knows."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return (
            host in _LOOPBACK_NAMES or "." not in host or host.endswith((".localhost", ".local", ".internal", ".svc"))
        )
    return address.is_private or address.is_loopback or address.is_link_local


def _models(
    table: object, accounts: Mapping[str, Account], known: tuple[str, ...], problems: Problems, resolver: Resolver
) -> dict[str, Model]:
    if not isinstance(table, dict):
        problems.add(("models",), "expected tables; write `[models.NAME]`")
        return {}
    models: dict[str, Model] = {}
    owners: dict[str, str] = {}
    for name, settings in cast("dict[str, object]", table).items():
        path = ("models", name)
        table_of_model = _spelled_out(settings)
        model = read_table(Model, table_of_model, path, problems, resolver, derived=frozenset({"name"}))
        for alias in (name, *(model.aliases if model is not None else ())):
            if alias in owners:
                problems.add(
                    path, f"the name `{alias}` belongs to `models.{owners[alias]}` already; each name exists once"
                )
            owners.setdefault(alias, name)
        if model is None:
            continue
        if not model.targets:
            problems.add((*path, "targets"), 'is empty; write e.g. `targets = ["account/model"]`')
        for target in model.targets:
            _check_target(target, (*path, "targets"), accounts, known, problems)
        _check_check(model.check, (*path, "check"), problems)
        models[name] = msgspec.structs.replace(model, name=name)
    for name, model in models.items():
        _check_judge(name, model, models, owners, problems)
    return models


def _check_check(check: Check, path: tuple[str, ...], problems: Problems) -> None:
    if check.matches is not None:
        try:
            re.compile(check.matches)
        except re.error as error:
            problems.add((*path, "matches"), f"is no regular expression: {error}; literal signs need a backslash")
    if check.schema is not None:
        try:
            msgspec.json.decode(check.schema, type=dict[str, object])
        except msgspec.DecodeError as error:
            problems.add((*path, "schema"), f"is no JSON object ({error}); write e.g. `file:/etc/freehold/answer.json`")


def _check_judge(
    name: str, model: Model, models: Mapping[str, Model], owners: Mapping[str, str], problems: Problems
) -> None:
    """A judge is a model of this file that nobody else judges: judging would have no end."""
    judge = model.check.judge
    if judge is None:
        return
    path = ("models", name, "check", "judge")
    judging = models.get(owners.get(judge, ""))
    if judging is None:
        if judge not in owners:
            problems.add(path, f"there is no model `{judge}`{suggestion(judge, owners)}")
    elif judging.name == name or (judging.strategy == "cascade" and judging.check.judge is not None):
        problems.add(path, f"`{judge}` is judged itself; name a model that is not")


def _spelled_out(table: object) -> object:
    """A model's table with every target in its long form."""
    if not isinstance(table, dict):
        return table
    settings = cast("dict[str, object]", table)
    targets = settings.get("targets")
    if not isinstance(targets, list):
        return settings
    return {
        **settings,
        "targets": [{"to": item} if isinstance(item, str) else item for item in cast("list[object]", targets)],
    }


def _check_target(
    target: TargetText,
    path: tuple[str, ...],
    accounts: Mapping[str, Account],
    known: tuple[str, ...],
    problems: Problems,
) -> None:
    name, slash, model = target.to.partition("/")
    if not slash or not model:
        problems.add(
            path, f"`{target.to}` is no target; write `account/model`{suggestion(name, known) if known else ''}"
        )
        return
    if name not in known:
        remedy = suggestion(name, known) if known else "; add it as `[accounts." + name + "]`"
        problems.add(path, f"`{target.to}`: there is no account `{name}`{remedy}")
        return
    account = accounts.get(name)
    _, at, protocol = model.rpartition("@")
    if account is None or not at:
        return
    every = {offer.name for provider in providers().values() for offer in provider.protocols}
    offers = [offer.name for offer in providers()[account.provider].protocols]
    if protocol in every and protocol not in offers:
        problems.add(path, f"`{target.to}`: {account.provider} does not speak {protocol}{suggestion(protocol, offers)}")


def _commitments(
    table: object, known: tuple[str, ...], problems: Problems, resolver: Resolver
) -> dict[str, Commitment]:
    if not isinstance(table, dict):
        problems.add(("commitments",), "expected tables; write `[commitments.NAME]`")
        return {}
    commitments: dict[str, Commitment] = {}
    for name, settings in cast("dict[str, object]", table).items():
        path = ("commitments", name)
        stated = read_table(Commitment, settings, path, problems, resolver, derived=frozenset({"name"}))
        if stated is None:
            continue
        if not stated.targets:
            problems.add((*path, "targets"), 'is empty; write e.g. `targets = ["account/*"]`')
        for target in stated.targets:
            account, slash, model = target.partition("/")
            if not slash or not model or account not in known:
                remedy = f"write `account/model`{suggestion(account, known)}"
                problems.add((*path, "targets"), f"`{target}` is no target of an account; {remedy}")
        if (stated.tokens_per_minute is None) == (stated.spend is None):
            problems.add(path, "state either `tokens_per_minute` or `spend`")
        elif stated.spend is not None and (
            stated.start is None or stated.until is None or stated.start >= stated.until
        ):
            problems.add(path, "`spend` needs `start` and a later `until`; write e.g. `until = 2027-01-01`")
        commitments[name] = msgspec.structs.replace(stated, name=name)
    return commitments


def _check_server(server: Server, problems: Problems) -> None:
    for name in ("listen", "admin_listen"):
        address: str = getattr(server, name)
        host, colon, port = address.rpartition(":")
        if not colon or not port.isdigit() or int(port) > 65535:
            problems.add(("server", name), f'`{address}` is no address; write e.g. `"127.0.0.1:8080"`')
            continue
        if _is_loopback(host.strip("[]")):
            continue
        if name == "listen" and not server.require_keys:
            problems.add(
                ("server", name),
                f"{address} can be reached from outside; set `require_keys = true`, or listen on 127.0.0.1",
            )
        if name == "admin_listen" and server.admin_token is None:
            problems.add(
                ("server", name), f"{address} can be reached from outside; set `admin_token`, or listen on 127.0.0.1"
            )
    if (server.tls_cert is None) != (server.tls_key is None):
        problems.add(("server",), "`tls_cert` and `tls_key` belong together; state both or neither")
    if server.client_ca is not None and server.tls_cert is None:
        problems.add(("server", "client_ca"), "client certificates need TLS; state `tls_cert` and `tls_key`")
    for name in ("tls_cert", "tls_key", "client_ca"):
        file: str | None = getattr(server, name)
        if file is not None and not Path(file).is_file():
            problems.add(("server", name), f"no such file: {file}")
    for network in server.trusted_proxies:
        try:
            ipaddress.ip_network(network)
        except ValueError:
            problems.add(("server", "trusted_proxies"), f"`{network}` is no network; write e.g. `10.0.0.0/8`")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in _LOOPBACK_NAMES
