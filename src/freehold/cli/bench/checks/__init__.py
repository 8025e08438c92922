"""What tells a good answer from a bad one: one file a check."""

from __future__ import annotations

from freehold.cli.bench.checks.exact import Exact
from freehold.cli.bench.checks.judge import Judge
from freehold.cli.bench.checks.regex import Regex
from freehold.cli.bench.checks.schema import Schema

Check = Exact | Regex | Schema | Judge
"""Chosen by the field `type` of a case's `check`."""

__all__ = ["Check", "Exact", "Judge", "Regex", "Schema"]
