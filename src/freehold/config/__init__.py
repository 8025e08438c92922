"""The configuration: what `freehold.toml` may say, read whole and checked before anything starts.

`values` declares every setting with its default and the reason for it, `loading` reads a file or the environment,
`reference` writes the settings' documentation from the same declarations.
"""

from __future__ import annotations

from freehold.config.loading import InvalidConfigError, load
from freehold.config.secret import Secret
from freehold.config.values import (
    Account,
    Check,
    Config,
    Fetch,
    Hedge,
    Ledger,
    Limits,
    Model,
    Probe,
    Server,
    Storage,
    TargetText,
    Timeouts,
)

__all__ = [
    "Account",
    "Check",
    "Config",
    "Fetch",
    "Hedge",
    "InvalidConfigError",
    "Ledger",
    "Limits",
    "Model",
    "Probe",
    "Secret",
    "Server",
    "Storage",
    "TargetText",
    "Timeouts",
    "load",
]
