"""From the model name in a request to the targets that may answer it.

The first that matches wins:

    a `[models]` name or alias                            the targets written there
    `account/model`, split at the first `/`               that account; `@protocol` after the last `@` forces a protocol
    an id that an account's provider file claims          the first such account in file order
    a Bedrock ARN                                         its last segment, by the same rules
    `us.…`, `eu.…`, `global.…` before a name or alias     its targets in that region

Otherwise CallerError `model_not_found` with the three nearest names.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from freehold.config import Account, Check, Config, Hedge, Model
from freehold.errors import CallerError
from freehold.providers.catalog import claims, exact_ids, matches, offered, providers
from freehold.providers.schema import Provider

_REGIONS_OF_PREFIX: Final[Mapping[str, tuple[str, ...]]] = {
    "us": ("us-east-*", "us-west-*"),
    "us-gov": ("us-gov-*",),
    "eu": ("eu-*",),
    "apac": ("ap-*",),
    "jp": ("ap-northeast-1", "ap-northeast-3"),
    "au": ("ap-southeast-2", "ap-southeast-4"),
    "global": ("*",),
}
"""Where the source region of a Bedrock inference profile may lie, by the profile's prefix."""

_REMEMBERED: Final = 2048
_LONGEST_NAME: Final = 512
"""Characters of a name that can mean anything; the longest ARN that Bedrock takes is 2048, real ones are under 200."""

_NO_MODEL: Final = re.compile(r"[\x00-\x1f\x7f]|(?:^|/)\.{1,2}(?:/|$)")
"""What no model is called: names with control characters, and steps that would lead elsewhere in a provider's path."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One place that may answer: an account, the model's id there, and the protocols to choose from, best first.

    `known_as` is the model id that facts and prices go by: the deployment's real model, else `model`. `forced` says
    that somebody chose the one protocol.
    """

    account: str
    model: str
    protocols: tuple[str, ...]
    known_as: str
    forced: bool = False
    weight: float = 1.0

    @property
    def id(self) -> str:
        """How people write it: `account/model`."""
        return f"{self.account}/{self.model}"


class Resolution(msgspec.Struct, frozen=True, kw_only=True):
    """What a name means: the targets in order of preference, how to choose among them, and what a stream may do."""

    name: str
    targets: tuple[Target, ...]
    strategy: str = "failover"
    weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    hedge: Hedge = Hedge()
    check: Check = Check()
    continues: bool = False
    floor: float = 0.0
    window: float = 10.0


class Names:
    """All names of one configuration snapshot. Lookups are a dictionary access once a name has been seen."""

    def __init__(self, config: Config) -> None:
        self._accounts = config.accounts
        self._providers: dict[str, Provider] = {
            name: providers()[account.provider] for name, account in config.accounts.items()
        }
        self._stated: dict[str, Resolution] = {}
        for model in config.models.values():
            resolution = self._of_model(model)
            for name in (model.name, *model.aliases):
                self._stated[name] = resolution
        self._listed = _by_account(config.accounts, self._providers)
        self._memo: dict[str, Resolution | None] = {}

    def resolve(self, name: str) -> Resolution:
        """What `name` means. Raises CallerError `model_not_found`."""
        stated = self._stated.get(name)
        if stated is not None:
            return stated
        if len(name) > _LONGEST_NAME or _NO_MODEL.search(name) is not None:
            raise self._not_found(name)  # and not remembered: callers choose these names, and megabytes fit in a body
        if name in self._memo:
            found = self._memo[name]
        else:
            found = self._find(name)
            if len(self._memo) >= _REMEMBERED:
                self._memo.clear()
            self._memo[name] = found
        if found is None:
            raise self._not_found(name)
        return found

    def listed(self) -> tuple[str, ...]:
        """The names to show: those that `[models]` states, or where it states none, the ids that accounts list."""
        return tuple(self._stated) or tuple(self._listed)

    def targets(self) -> Iterator[Target]:
        """Every target that can be named in advance, each once: for price rows, checks and listings."""
        seen: set[str] = set()
        resolutions: Iterable[Resolution] = (*self._stated.values(), *filter(None, map(self._find, self._listed)))
        for resolution in resolutions:
            for target in resolution.targets:
                if target.id not in seen:
                    seen.add(target.id)
                    yield target

    def notes(self) -> tuple[str, ...]:
        """What to tell at start-up: which account answers for ids that several list."""
        shared: dict[tuple[str, ...], list[str]] = {}
        for model, accounts in self._listed.items():
            if len(accounts) > 1 and model not in self._stated:
                shared.setdefault(tuple(accounts), []).append(model)
        return tuple(
            f"{_enumerate(models)}: listed by {', '.join(accounts)}; the bare name goes to {accounts[0]}"
            for accounts, models in shared.items()
        )

    def _of_model(self, model: Model) -> Resolution:
        targets: list[Target] = []
        for text in model.targets:
            account, _, rest = text.to.partition("/")
            targets.append(self._target(account, rest, weight=text.weight))
        return Resolution(
            name=model.name,
            targets=tuple(targets),
            strategy=model.strategy,
            weights=model.weights.numbers(),
            hedge=model.hedge,
            check=model.check,
            continues=model.continues == "text",
            floor=model.speed_floor,
            window=model.speed_window,
        )

    def _target(self, account: str, rest: str, *, weight: float = 1.0) -> Target:
        provider = self._providers[account]
        model, forced = _split_protocol(rest)
        known = self._accounts[account].deployments.get(model, model)
        protocols = (forced,) if forced is not None else tuple(p.name for p in offered(provider, known))
        return Target(
            account=account,
            model=model,
            protocols=protocols,
            known_as=known,
            forced=forced is not None,
            weight=weight,
        )

    def _find(self, name: str) -> Resolution | None:
        account, slash, rest = name.partition("/")
        if slash and rest and account in self._accounts:
            return self._explicit(name, account, rest)
        if name.startswith("arn:"):
            last = name.rpartition("/")[2]
            if last == name or not last:
                return None
            return self._stated.get(last) or self._find(last)
        prefix, dot, bare = name.partition(".")
        regions = _REGIONS_OF_PREFIX.get(prefix) if dot else None
        for account, settings in self._accounts.items():
            if regions is not None and not _lies_in(settings, self._providers[account], regions):
                continue
            if _claims(settings, self._providers[account], name):
                return Resolution(name=name, targets=(self._target(account, name),))
        stated = self._stated.get(bare) if regions is not None else None
        if stated is None or regions is None:
            return None
        inside = tuple(
            target
            for target in stated.targets
            if _lies_in(self._accounts[target.account], self._providers[target.account], regions)
        )
        return msgspec.structs.replace(stated, targets=inside) if inside else None

    def _explicit(self, name: str, account: str, rest: str) -> Resolution | None:
        target = self._target(account, rest)
        if not target.model or _NO_MODEL.search(target.model) is not None:
            return None
        if target.forced and self._providers[account].protocol(target.protocols[0]) is None:
            return None
        return Resolution(name=name, targets=(target,))

    def _not_found(self, name: str) -> CallerError:
        shown = name if len(name) <= 100 else name[:100] + "…"
        account, slash, _ = name.partition("/")
        known = [*self._stated, *self._listed]
        if slash and account not in self._accounts:
            known += [f"{other}/" for other in self._accounts]
        near = list(dict.fromkeys(difflib.get_close_matches(name[:100], known, n=3, cutoff=0.4)))
        if near:
            remedy = "the nearest names are " + ", ".join(f"`{other}`" for other in near)
        elif self._accounts:
            remedy = "ask for `account/model`; the accounts are " + ", ".join(f"`{other}`" for other in self._accounts)
        else:
            remedy = "no account is configured; `freehold init` writes one down, `freehold demo` needs none"
        return CallerError(
            f"there is no model `{shown}`; {remedy}", code="model_not_found", kind="not_found", param="model"
        )


def _protocol_names() -> frozenset[str]:
    return frozenset(protocol.name for provider in providers().values() for protocol in provider.protocols)


def _split_protocol(rest: str) -> tuple[str, str | None]:
    """A model and the protocol forced upon it. Vertex ids hold an `@` too: only a protocol's name counts."""
    model, at, protocol = rest.rpartition("@")
    return (model, protocol) if at and protocol in _protocol_names() else (rest, None)


def _claims(account: Account, provider: Provider, model: str) -> bool:
    """Whether an account lists a bare name. One that states its deployments has those, whatever the file thinks."""
    if account.deployments:
        return model in account.deployments
    return claims(provider, model)


def _lies_in(account: Account, provider: Provider, regions: tuple[str, ...]) -> bool:
    region = account.region or account.location or provider.address.defaults.get("region")
    return regions == ("*",) or (region is not None and matches(regions, region))


def _by_account(accounts: Mapping[str, Account], files: Mapping[str, Provider]) -> dict[str, list[str]]:
    """The accounts of each id that is spelled out, in file order."""
    listed: dict[str, list[str]] = {}
    for name, account in accounts.items():
        for model in account.deployments or exact_ids(files[name].models):
            listed.setdefault(model, []).append(name)
    return listed


def _enumerate(models: list[str]) -> str:
    shown = ", ".join(f"`{model}`" for model in models[:3])
    return shown if len(models) <= 3 else f"{shown} and {len(models) - 3} more"
