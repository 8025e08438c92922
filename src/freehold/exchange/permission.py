"""Which model a key may name, in every place of a request that can name one."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

import msgspec

from freehold.errors import CallerError
from freehold.ir import Count, Generate, JsonObject, Request
from freehold.protocols.codec import WireRequest

_STEERING = frozenset(
    {"background", "conversation", "model", "models", "previous_response_id", "store", "stream", "stream_options"}
)
"""Fields that say who answers, how, and what is kept: decided on the road, so no provider's options may set them."""


def check_model(allowed: tuple[str, ...], model: str) -> None:
    """Raises CallerError for a model that a key's allow-list does not hold."""
    if not any(fnmatchcase(model, pattern) for pattern in allowed):
        raise CallerError(
            f"this key may not use the model {model[:200]}; it may use {', '.join(allowed)}",
            code="model_not_allowed",
            kind="permission",
            param="model",
        )


def without_other_names(wire: WireRequest, fields: Mapping[str, msgspec.Raw]) -> WireRequest:
    """The request with each top-level field once: of two `model`s some servers take the first.

    Raises CallerError for a field that names further models (OpenRouter's `models`), or that a server which does not
    look at capitals (Go's JSON) would take for `model`.
    """
    for name in fields:
        if name != "model" and name.casefold() in {"model", "models"}:
            raise CallerError(
                f"this key is for certain models only, so the request may not hold {name}: send model alone",
                code="model_not_allowed",
                kind="permission",
                param=name,
            )
    return msgspec.structs.replace(wire, body=msgspec.json.encode(fields))


def refuse_steering(request: Request) -> None:
    """Raises CallerError for a provider's options that would decide what only the road may decide."""
    generate = request.generate if isinstance(request, Count) else request
    if not isinstance(generate, Generate):
        return
    for provider, options in generate.options.items():
        name = _steering(options)
        if name is not None:
            raise CallerError(
                f"provider_options.{provider} may not set {name}: say it in the request itself",
                code="invalid_request",
                param=f"freehold.provider_options.{provider}.{name}",
            )


def _steering(options: JsonObject) -> str | None:
    return next((name for name in options if name.casefold() in _STEERING), None)
