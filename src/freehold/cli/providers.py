"""`freehold providers`: whom Freehold knows, how they are spoken to and where their keys come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from freehold.cli.options import ConfigOption, JsonOption, print_json, print_table

if TYPE_CHECKING:
    from freehold.providers.schema import Auth, Provider


def command(*, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the providers: protocols, ways to authenticate, environment variables, when they were checked."""
    del config  # the list is the same whatever is configured
    from freehold.providers.catalog import providers

    rows = [_row(provider) for provider in providers().values()]
    if as_json:
        print_json({"providers": rows})
        return
    columns = ("name", "kind", "protocols", "auth", "environment", "checked")
    print_table(columns, [[_cell(row[column]) for column in columns] for row in rows])


def _row(provider: Provider) -> dict[str, object]:
    variables = provider.environment.variables
    return {
        "name": provider.name,
        "title": provider.title,
        "kind": provider.kind,
        "protocols": [protocol.name for protocol in provider.protocols],
        "auth": list(dict.fromkeys(_way(auth) for auth in provider.auth)),
        "environment": list(dict.fromkeys(name for names in variables.values() for name in names)),
        "requires": list(provider.requires),
        "checked": provider.checked.isoformat(),
        "homepage": provider.homepage,
        "docs": provider.docs,
    }


def _way(auth: Auth) -> str:
    from freehold.providers.schema import Anonymous, Bearer, Entra, Google, Header, Query, SigV4

    match auth:
        case Bearer():
            return "bearer"
        case Header(names=names):
            return "/".join(names)
        case Query(name=name):
            return f"?{name}="
        case SigV4(chain=chain):
            return "aws-chain" if chain else "sigv4"
        case Google():
            return "google"
        case Entra():
            return "entra"
        case Anonymous():
            return "none"


def _cell(value: object) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)  # pyright: ignore[reportUnknownArgumentType]  lists of text, by _row
