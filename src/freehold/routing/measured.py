"""What `freehold bench` measured: the file's form, and how it is read.

The command writes it; strategies that go by speed are fed from it until live traffic has told more.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import msgspec

from freehold.errors import ConfigError

FILE: Final = "bench.json"
"""Its name in the data directory."""

Amount = Annotated[float, msgspec.Meta(ge=0)]


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A figure, and the interval that holds the true one with 95 % confidence; None where too few were asked."""

    value: Amount
    low: Amount | None = None
    high: Amount | None = None


class Quality(Estimate, frozen=True, kw_only=True):
    """The mean score of the cases, 0 to 1; it keeps its own date, for a run without cases leaves it as it was."""

    cases: int
    measured_at: float


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One target. Times are Unix seconds; None is what could not be measured.

    `requests` were asked, failed ones included. `usd_per_million` is the cost of a million tokens, input and output
    together, in the mix of `own_exchanges` recorded ones; 0: in the mix of the bench's own requests.
    """

    target: str
    measured_at: float
    requests: Annotated[int, msgspec.Meta(ge=0)]
    ttft_ms: Estimate | None
    tokens_per_second: Estimate | None
    error_rate: Estimate
    usd_per_million: Estimate | None
    own_exchanges: int = 0
    quality: Quality | None


class Measurements(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file. `version` is that of its form."""

    version: int = 1
    targets: tuple[Measured, ...] = ()


def read(path: Path) -> dict[str, Measured]:
    """The measurements by target, as `account/model`; none where there is no file. Raises ConfigError."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Measurements)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; let the owner of the gateway read it") from None
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path}: {error}; remove it, `freehold bench` writes it anew") from None
    if found.version != 1:
        raise ConfigError(f"{path}: its form is {found.version}, this version reads 1; remove it and measure again")
    return {measured.target: measured for measured in found.targets}
