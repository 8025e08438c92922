"""The answer is JSON that a schema allows."""

from __future__ import annotations

from typing import Any

import msgspec

from freehold.errors import ConfigError


class Schema(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="json_schema"
):
    """The whole answer is JSON, without a fence around it, and `schema` (draft 2020-12 unless it says) allows it."""

    schema: dict[str, Any]

    def ready(self) -> None:
        """Raises ValueError for what is no schema, ConfigError where the library that checks is missing."""
        try:
            from jsonschema.exceptions import SchemaError
            from jsonschema.validators import validator_for
        except ImportError:
            raise ConfigError(
                "checks of type `json_schema` need the library jsonschema: pip install 'freehold[bench]'"
            ) from None
        try:
            validator_for(self.schema).check_schema(self.schema)
        except SchemaError as error:
            raise ValueError(f"not a JSON schema: {error.message}") from None

    def score(self, answer: str) -> float | None:
        """1 or 0; None where the schema refers to something that it does not hold."""
        from jsonschema.validators import Draft202012Validator, validator_for
        from referencing import Registry
        from referencing.exceptions import Unresolvable

        try:
            value: Any = msgspec.json.decode(answer)
        except (msgspec.DecodeError, RecursionError):
            return 0.0
        # With a registry of its own the library fetches nothing.
        kind = validator_for(self.schema, default=Draft202012Validator)
        validator = kind(self.schema, registry=Registry())
        try:
            return float(validator.is_valid(value))
        except Unresolvable:
            return None
