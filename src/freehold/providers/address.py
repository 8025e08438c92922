"""Where a request goes: base URLs and paths filled in from a provider's file and an account."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

import msgspec

from freehold.protocols.codec import WireRequest
from freehold.providers.catalog import matches
from freehold.providers.schema import AccountField, Operation, Protocol, Provider, Special

_VERSION = re.compile(r"/v\d[a-z0-9]*$")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One account's way to speak one protocol: everything but the model is filled in.

    `origin` is scheme, host and port; `prefix` the path before every template; `paths` the templates per operation.
    """

    origin: str
    host: str
    prefix: str
    paths: dict[Operation, str]
    keep: str
    headers: tuple[tuple[str, str], ...]

    def offers(self, operation: Operation) -> bool:
        """Whether the provider has a path for the operation."""
        return operation in self.paths

    def locate(self, wire: WireRequest) -> tuple[str, str]:
        """Path and query for an encoded request. Raises KeyError for an operation that `offers` denies.

        The query keeps what the codec asked for (`alt=sse`) and adds what the provider wants (`api-version`).
        """
        operation: Operation = "stream" if wire.stream and "stream" in self.paths else wire.operation
        if "responses" in self.paths and wire.path.endswith("/responses"):
            operation = "responses"
        path, _, query = self.paths[operation].partition("?")
        if "{model}" in path:
            path = path.replace("{model}", quote(wire.model, safe=self.keep))
        if "{verb}" in path:
            path = path.replace("{verb}", wire.path.rpartition(":")[2])
        if wire.query and query:
            query = f"{wire.query}&{query}"
        return self.prefix + path, query or wire.query


def endpoint(provider: Provider, protocol: Protocol, fields: Mapping[AccountField, str]) -> Endpoint:
    """The endpoint of an account. Raises ValueError naming the account field that an address needs and lacks."""
    values: dict[str, str] = {**provider.address.defaults, **fields}
    given = fields.get("base_url")
    if given is not None and "resource" not in values:
        values["resource"] = (urlsplit(given).hostname or "").partition(".")[0]
    base = _base(provider, protocol, given, values)
    parts = urlsplit(base)
    return Endpoint(
        origin=f"{parts.scheme}://{parts.netloc}",
        host=parts.netloc.rpartition("@")[2],
        prefix=_prefix(protocol, parts.path),
        paths={operation: fill(template, values) for operation, template in protocol.paths.items()},
        keep=protocol.keep,
        headers=tuple(protocol.headers.items()),
    )


def fill(template: str, values: Mapping[str, str]) -> str:
    """A template with its account fields filled in; `{model}` and `{verb}` stay. Raises ValueError for a lack."""

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name in {"model", "verb"}:
            return found[0]
        if name not in values:
            raise ValueError(name)
        return values[name]

    return _PLACEHOLDER.sub(value, template)


def _base(provider: Provider, protocol: Protocol, given: str | None, values: Mapping[str, str]) -> str:
    own = given is not None and (urlsplit(given).hostname or "").endswith(provider.address.own_hosts or ("\0",))
    if given is not None and not (own and protocol.base_url is not None):
        return given
    special = _special((*protocol.special, *(() if protocol.base_url else provider.address.special)), values)
    template = special or protocol.base_url or provider.address.base_url
    if template is None:
        raise ValueError("base_url")
    return fill(template, values)


def _special(specials: tuple[Special, ...], values: Mapping[str, str]) -> str | None:
    found = (special for special in specials if matches((special.when,), values.get(special.field, "")))
    special = next(found, None)
    return special.base_url if special is not None else None


def _prefix(protocol: Protocol, path: str) -> str:
    """The path before a template. A base that ends in `/` and nothing else is taken as it stands."""
    bare = path.rstrip("/")
    if _VERSION.search(bare) or (protocol.whole_base and path):
        return bare
    return bare + protocol.version
