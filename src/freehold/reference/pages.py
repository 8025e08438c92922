"""Every generated page by its name, which is its file's name under `docs/reference`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import msgspec

from freehold.config import reference as configuration
from freehold.providers import reference as providers
from freehold.reference import (
    commands,
    errors,
    headers,
    losses,
    matrix,
    metrics,
    paths,
    protocols,
    records,
    spellings,
    token_counts,
)


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """What pages are made from besides the program: the folder of recorded exchanges."""

    exchanges: Path


def pages(sources: Sources) -> Mapping[str, Callable[[], str]]:
    """The pages, none of them made yet."""
    return {
        "commands": commands.page,
        "configuration": configuration.page,
        "errors": errors.page,
        "exchange-record": records.page,
        "headers": headers.page,
        "losses": losses.page,
        "metrics": metrics.page,
        "paths": paths.page,
        "protocols": protocols.page,
        "providers": providers.page,
        "spellings": spellings.page,
        "token-counts": partial(token_counts.page, sources.exchanges),
        "translation-matrix": partial(matrix.page, sources.exchanges),
    }
