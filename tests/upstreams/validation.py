"""Requests checked against the vendors' own types and schemas, strictly: unknown members are refused.

The judges are those of `tests/vendors`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tests.vendors import deviations
from tests.vendors.typed import Problem


class WrongRequestError(Exception):
    """A request that the vendor would refuse; the message says where."""


def check(body: object, *kinds: object) -> None:
    """Raises WrongRequestError unless the body is of each of these types and schemas."""
    refuse(deviations.problems(body, *kinds))


def refuse(found: Iterable[Problem]) -> None:
    """Raises WrongRequestError if a problem was found."""
    says = [f"{problem.path}: {problem.says:.600}" for problem in found]
    if says:
        raise WrongRequestError("; ".join(says[:3]))


def as_object(body: bytes) -> dict[str, Any]:
    """A body that is a JSON object. Raises WrongRequestError."""
    try:
        value = json.loads(body)
    except ValueError as error:
        raise WrongRequestError(f"the body is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise WrongRequestError("the body is no JSON object")
    return value
