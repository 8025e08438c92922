"""The catalogue: reads every provider file there is, and answers what is known about a model."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from fnmatch import translate
from functools import cache
from importlib import resources

import msgspec

from freehold.providers.schema import Kind, ModelRule, Protocol, Provider

_ORDER: dict[Kind, int] = {"lab": 0, "cloud": 1, "host": 2, "aggregator": 3, "self-hosted": 4}
"""Whoever makes a model is asked before whoever hosts or forwards it, when nobody has stated an order."""


def parse(name: str, text: str) -> Provider:
    """One provider from the text of its file. Raises ValueError, naming the file and the place, for a bad one."""
    try:
        provider = msgspec.convert(tomllib.loads(text), Provider)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ValueError(f"providers/data/{name}.toml: {error}") from error
    return msgspec.structs.replace(provider, name=name)


@cache
def providers() -> Mapping[str, Provider]:
    """All providers by name, labs first, then by name."""
    folder = resources.files("freehold.providers") / "data"
    files = [file for file in folder.iterdir() if file.name.endswith(".toml") and file.name != "prices.toml"]
    found = [parse(file.name.removesuffix(".toml"), file.read_text(encoding="utf-8")) for file in files]
    found.sort(key=lambda provider: (_ORDER[provider.kind], provider.name))
    return {provider.name: provider for provider in found}


@cache
def patterns(globs: tuple[str, ...]) -> re.Pattern[str]:
    """One expression for several shell patterns; letter case counts, as in model ids."""
    return re.compile("|".join(translate(glob) for glob in globs) or "(?!)")


def matches(globs: tuple[str, ...], text: str) -> bool:
    """Whether one of the shell patterns fits the whole text."""
    return globs == ("*",) or patterns(globs).match(text) is not None


def rule(provider: Provider, model: str) -> ModelRule | None:
    """The first rule of the provider's file that knows the model."""
    return next((rule for rule in provider.models if matches(rule.match, model)), None)


def claims(provider: Provider, model: str) -> bool:
    """Whether the provider's file lists the model by its bare name."""
    known = rule(provider, model)
    return known is not None and known.bare


def offered(provider: Provider, model: str) -> tuple[Protocol, ...]:
    """The protocols that the provider offers for a model, in order of fidelity.

    The rule's own list decides; without one, all protocols whose `models` fit.
    """
    known = rule(provider, model)
    if known is not None and known.protocols:
        named = (provider.protocol(name) for name in known.protocols)
        return tuple(protocol for protocol in named if protocol is not None)
    return tuple(protocol for protocol in provider.protocols if matches(protocol.models, model))


def exact_ids(rules: Iterable[ModelRule]) -> list[str]:
    """The ids that rules spell out in full, in file order: what a listing or a suggestion can show."""
    return [glob for known in rules if known.bare for glob in known.match if not set(glob) & set("*?[")]
