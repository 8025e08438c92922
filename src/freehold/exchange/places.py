"""From a configuration to places that can be asked: every target made ready once, the first time it is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from freehold.config import Account, Config
from freehold.errors import CallerError, ConfigError
from freehold.exchange.checks import check_of
from freehold.exchange.proofs import Maker
from freehold.exchange.target import Edit, Found, Place, Target
from freehold.protocols.codec import Codec, Dialect
from freehold.providers import schema
from freehold.providers.address import Endpoint as Address
from freehold.providers.address import endpoint as address_of
from freehold.providers.auth import Authenticator, authenticator
from freehold.providers.catalog import matches, providers, rule
from freehold.providers.dialect import edit_body, edits_for, flags_for
from freehold.providers.prices import Row
from freehold.routing.commitments import commitments_of
from freehold.routing.decision import Rule
from freehold.routing.features import Candidate
from freehold.routing.names import Names
from freehold.routing.names import Target as Named
from freehold.routing.strategies import STRATEGIES
from freehold.routing.tariffs import tariff_of
from freehold.routing.tokenizers import tokenizer_of
from freehold.transport.endpoint import Endpoint, Timeouts, split_url
from freehold.transport.proxies import bypasses_proxy

_EDITED: tuple[schema.Operation, ...] = ("generate", "stream", "count", "embed")

MEDIA = frozenset({"image", "pdf", "audio", "video"})

LARGEST_BODY = 1 << 62
"""Where no window is known, every body fits."""

Prices = Callable[[str, str], Row | None]
"""Provider and model to the price row; None where no list knows it."""


class Places:
    """Finds who answers for a name, in one configuration snapshot."""

    def __init__(
        self,
        config: Config,
        names: Names,
        *,
        codecs: Mapping[str, Codec],
        prices: Prices,
        clock: Callable[[], float],
        environ: Mapping[str, str],
    ) -> None:
        self._config = config
        self._names = names
        self._codecs = codecs
        self._prices = prices
        self._clock = clock
        self._environ = environ
        self._commitments = commitments_of(config)
        self._places: dict[str, Place] = {}
        self._resolved: dict[str, Found] = {}
        self._authenticators: dict[tuple[str, str], Authenticator] = {}

    def resolve(self, model: str) -> Found:
        """The places for a model name, in the order written. Raises CallerError (404) naming the nearest names."""
        known = self._resolved.get(model)
        if known is not None:
            return known
        resolution = self._names.resolve(model)
        places = self._usable(resolution.targets)
        candidates = tuple(place.candidate for place in places)
        found = Found(
            name=resolution.name,
            places=places,
            hedge=resolution.hedge,
            check=check_of(resolution.check),
            rule=Rule(strategy=STRATEGIES[resolution.strategy], weights=resolution.weights),
            candidates=candidates,
            smallest=min((each.context for each in candidates if each.context is not None), default=LARGEST_BODY),
            continues=resolution.continues,
            floor=resolution.floor,
            window=resolution.window,
            restricts=len(places) > 1 and any(each.takes and not each.takes >= MEDIA for each in candidates),
        )
        if len(self._resolved) < 4096:  # names come from callers: remembering them must not fill memory
            self._resolved[model] = found
        return found

    def _usable(self, targets: tuple[Named, ...]) -> tuple[Place, ...]:
        """The places among the targets; one that nobody can speak to does not spoil the others."""
        places: list[Place] = []
        unusable: CallerError | None = None
        for named in targets:
            try:
                places.append(self.place(named))
            except CallerError as error:
                unusable = error
        if not places and unusable is not None:
            raise unusable
        return tuple(places)

    def place(self, named: Named) -> Place:
        """The place of one named target."""
        key = f"{named.id}@{','.join(named.protocols)}"
        known = self._places.get(key)
        if known is None:
            targets = tuple(self._targets(named))
            known = Place(name=named.id, targets=targets, candidate=self._candidate(named, targets[0]))
            if len(self._places) < 4096:
                self._places[key] = known
        return known

    def _candidate(self, named: Named, target: Target) -> Candidate:
        account = self._config.accounts[named.account]
        provider = providers()[account.provider]
        known = rule(provider, named.known_as)
        commitment = self._commitments.of(named.id)
        discount = 0.0 if commitment is None else commitment.discount
        return Candidate(
            name=named.id,
            weight=named.weight,
            domains=_domains(account, provider),
            context=None if known is None else known.context,
            takes=frozenset() if known is None else frozenset(known.input),
            tariff=None if target.price is None else tariff_of(target.price, discount),
            per_byte=target.tokenizer.per_byte,
            least_per_byte=target.tokenizer.least_per_byte,
            commitment=commitment,
            cache=next((cache for cache in provider.caches if matches(cache.models, named.known_as)), None),
        )

    def _targets(self, named: Named) -> list[Target]:
        account = self._config.accounts[named.account]
        provider = providers()[account.provider]
        targets: list[Target] = []
        for name in named.protocols:
            protocol = provider.protocol(name)
            codec = self._codecs.get(name)
            if protocol is not None and codec is not None:
                targets.append(self._target(named, account, provider, protocol, codec))
        if not targets:
            raise CallerError(
                f"{provider.title} offers no protocol for {named.model} that Freehold speaks",
                code="model_not_found",
                kind="not_found",
                param="model",
            )
        return targets

    def _target(
        self, named: Named, account: Account, provider: schema.Provider, protocol: schema.Protocol, codec: Codec
    ) -> Target:
        try:
            address = address_of(provider, protocol, account.fields())
        except ValueError as error:
            raise ConfigError(f"accounts.{account.name}: {provider.title} needs {error}") from None
        known = rule(provider, named.known_as)
        family = known.family if known is not None else ""
        edits = {operation: edits_for(protocol, named.known_as, operation) for operation in _EDITED}
        return Target(
            name=named.id,
            account=named.account,
            provider=provider.name,
            model=named.model,
            maker=Maker(provider.name, family),
            codec=codec,
            dialect=Dialect(provider=provider.name, flags=flags_for(protocol, named.known_as)),
            endpoint=_endpoint(account, address, self._environ),
            operations=_operations(protocol, address, named.model),
            locate=address.locate,
            headers=address.headers,
            edits={operation: _edit(found) for operation, found in edits.items() if found},
            authenticator=self._authenticator(account, provider, protocol),
            price=self._prices(provider.name, named.known_as),
            tokenizer=tokenizer_of(named.known_as),
            request_id_headers=provider.limits.request_id,
        )

    def _authenticator(self, account: Account, provider: schema.Provider, protocol: schema.Protocol) -> Authenticator:
        key = (account.name, protocol.name)
        known = self._authenticators.get(key)
        if known is None:
            known = self._authenticators[key] = authenticator(provider, protocol, account, self._clock)
        return known


def _domains(account: Account, provider: schema.Provider) -> tuple[str, ...]:
    """What an account's targets are lost together with; the account's own word goes before the provider file's."""
    facts = provider.facts
    region = account.region or account.location or provider.address.defaults.get("region")
    known = {
        "account": account.name,
        "provider": provider.name,
        "region": None if region is None else f"{provider.name}/{region}",
        "cloud": account.cloud or (facts.cloud and facts.cloud.value),
        "silicon": account.silicon or (facts.silicon and facts.silicon.value),
        "jurisdiction": account.jurisdiction or (facts.jurisdiction and facts.jurisdiction.value),
    }
    return tuple(f"{kind}:{name}" for kind, name in known.items() if name is not None)


def _operations(protocol: schema.Protocol, address: Address, model: str) -> frozenset[str]:
    """What the protocol has a path for; some providers count for some ids only."""
    paths = frozenset(address.paths)
    return paths if matches(protocol.counts, model) else paths - {"count"}


def _edit(edits: tuple[schema.Edit, ...]) -> Edit:
    return partial(edit_body, edits=edits)


def _endpoint(account: Account, address: Address, environ: Mapping[str, str]) -> Endpoint:
    origin = split_url(address.origin)
    return Endpoint(
        scheme=origin.scheme,
        host=origin.host,
        port=origin.port,
        ca_file=account.ca_file,
        client_cert=account.client_cert,
        proxy=_proxy(account, origin.scheme, origin.host, environ),
        timeouts=Timeouts(
            connect=account.timeouts.connect,
            first_byte=account.timeouts.first_byte,
            idle=account.timeouts.idle,
            total=account.timeouts.total,
        ),
        max_connections=account.max_connections,
    )


def _proxy(account: Account, scheme: str, host: str, environ: Mapping[str, str]) -> str | None:
    """The account's own proxy, else the one that `HTTPS_PROXY` and `NO_PROXY` ask for; loopback never has one."""
    if account.proxy is not None:
        return account.proxy.reveal()
    if scheme != "https" or host in {"localhost", "127.0.0.1", "::1"}:
        return None
    proxy = environ.get("https_proxy") or environ.get("HTTPS_PROXY")
    if not proxy or bypasses_proxy(host, environ.get("no_proxy") or environ.get("NO_PROXY") or ""):
        return None
    return proxy
