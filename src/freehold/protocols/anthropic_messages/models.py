"""Listings of models, both ways."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast
from urllib.parse import parse_qsl, urlencode

from freehold.ir import Extra, Fields, JsonObject, JsonValue, ListModels, Losses, Model, ModelList
from freehold.protocols.anthropic_messages.language import LANGUAGE
from freehold.protocols.anthropic_messages.parts import is_ours
from freehold.protocols.codec import Encoded, garbled

UNKNOWN_DATE = "1970-01-01T00:00:00Z"
"""Said where nobody knows when a model appeared: the documentation allows the epoch for that."""


def read_listing_query(query: str, model: str | None) -> ListModels:
    """`limit`, `after_id` and what else the query says."""
    said = dict(parse_qsl(query, keep_blank_values=True))
    limit = said.pop("limit", None)
    number = int(limit) if limit is not None and limit.isascii() and limit.isdigit() and len(limit) < 10 else None
    if limit is not None and number is None:
        said["limit"] = limit
    after = said.pop("after_id", None)
    extra = Extra(LANGUAGE, cast("JsonObject", said)) if said else None
    return ListModels(origin=LANGUAGE.name, model=model, limit=number, after=after, extra=extra)


def write_listing_query(request: ListModels, losses: Losses) -> str:
    """The query that asks for the same page."""
    said: JsonObject = {}
    if request.limit is not None:
        said["limit"] = str(request.limit)
    if request.after is not None:
        said["after_id"] = request.after
    losses.repeat(request.extra, LANGUAGE, said, "")
    return urlencode(cast("dict[str, str]", said))


def read_models(body: JsonObject) -> ModelList:
    """A page of models, or a single one. Raises UpstreamError for anything else."""
    if body.get("type") == "model":
        return ModelList(origin=LANGUAGE.name, models=(_read_model(body),), single=True)
    fields = Fields(body, LANGUAGE)
    data = fields.take_list("data")
    if data is None:
        raise garbled(LANGUAGE.name, "there is no list `data`")
    models = tuple(_read_model(item) for item in data if isinstance(item, dict))
    if len(models) != len(data):
        raise garbled(LANGUAGE.name, "`data` holds something that is not a model")
    return ModelList(origin=LANGUAGE.name, models=models, extra=fields.rest())


def _read_model(value: JsonObject) -> Model:
    fields = Fields(value, LANGUAGE)
    fields.take_constant("type", "model")
    model_id = fields.take_str("id")
    if model_id is None:
        raise garbled(LANGUAGE.name, "a model has no `id`")
    return Model(
        id=model_id,
        name=fields.take_str("display_name"),
        created=_take_date(fields),
        context_window=fields.take_int("max_input_tokens"),
        max_output_tokens=fields.take_int("max_tokens"),
        extra=fields.rest(),
    )


def _take_date(fields: Fields) -> int | None:
    """`created_at` in Unix seconds; left in place where that would not give the same text back."""
    text = fields.peek("created_at")
    if not isinstance(text, str):
        return None
    try:
        seconds = int(datetime.fromisoformat(text).timestamp())
        same = _date(seconds) == text
    except (ValueError, OverflowError, OSError):
        return None
    if same:
        fields.take("created_at")
    return seconds


def _date(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def write_models(listing: ModelList) -> Encoded[JsonObject]:
    """A page of models, or a single one."""
    losses = Losses()
    native = listing.origin == LANGUAGE.name
    models = [
        _write_model(model, losses, f"models[{index}]", native=native) for index, model in enumerate(listing.models)
    ]
    if listing.single and models:
        return Encoded(models[0], losses.done())
    page: JsonObject = {"data": cast("JsonValue", models)}
    if not is_ours(listing.extra):
        page["has_more"] = False
        page["first_id"] = listing.models[0].id if models else None
        page["last_id"] = listing.models[-1].id if models else None
    losses.repeat(listing.extra, LANGUAGE, page, "")
    return Encoded(page, losses.done())


def _write_model(model: Model, losses: Losses, path: str, *, native: bool) -> JsonObject:
    wire: JsonObject = {"type": "model", "id": model.id}
    name: JsonValue = model.name if native else model.name or model.id
    if name is not None:
        wire["display_name"] = name
    said = is_ours(model.extra) and model.extra is not None and "created_at" in model.extra.fields
    if model.created is not None and not said:
        wire["created_at"] = _date(model.created)
    elif not native:
        wire["created_at"] = UNKNOWN_DATE
    if not native:
        wire["lifecycle"] = "active"
    if model.context_window is not None:
        wire["max_input_tokens"] = model.context_window
    if model.max_output_tokens is not None:
        wire["max_tokens"] = model.max_output_tokens
    losses.repeat(model.extra, LANGUAGE, wire, path)
    return wire
