"""Listings of models, both ways."""

from __future__ import annotations

from typing import cast
from urllib.parse import parse_qsl, urlencode

from freehold.errors import CallerError
from freehold.ir import Extra, JsonObject, JsonValue, ListModels, Losses, Model, ModelList
from freehold.protocols.codec import Encoded, garbled
from freehold.protocols.gemini_generate.language import LANGUAGE, NAME, is_ours
from freehold.protocols.gemini_generate.wire import Node, restore

_PREFIX = "models/"

_LISTS = ("models", "publisherModels", "tunedModels")
"""Where the rows stand: in the Gemini API, and in Vertex AI."""


def read_listing_query(query: str, model: str | None) -> ListModels:
    """`pageSize`, `pageToken` and what else the query says; never the key."""
    said = {name: item for name, item in parse_qsl(query, keep_blank_values=True) if name != "key"}
    size = said.get("pageSize", "")
    limit = int(size) if size.isascii() and size.isdigit() and len(size) < 10 else None
    if limit is not None:
        del said["pageSize"]
    after = said.pop("pageToken", None)
    extra = Extra(LANGUAGE, cast("JsonObject", said)) if said else None
    return ListModels(origin=NAME, model=model, limit=limit, after=after, extra=extra)


def write_listing_query(request: ListModels, losses: Losses) -> str:
    """The query that asks for the same page."""
    said: JsonObject = {}
    if request.limit is not None:
        said["pageSize"] = str(request.limit)
    if request.after is not None:
        said["pageToken"] = request.after
    losses.repeat(request.extra, LANGUAGE, said, "")
    return urlencode(cast("dict[str, str]", said))


def read_models(body: JsonObject) -> ModelList:
    """A page of models, or a single one. Raises UpstreamError for anything else."""
    try:
        return _read_models(body)
    except CallerError as error:
        raise garbled(NAME, error.message) from None


def _read_models(body: JsonObject) -> ModelList:
    node = Node(body)
    for name in _LISTS:
        rows = node.take_list(name)
        if rows is not None:
            if name != _LISTS[0]:
                # Says under which name the rows stood.
                node.put_back(name, [])
            models = tuple(_read_model(row, f"{name}[{index}]") for index, row in enumerate(rows))
            return ModelList(origin=NAME, models=models, extra=node.rest())
    if isinstance(body.get("name"), str):
        return ModelList(origin=NAME, models=(_read_model(body, ""),), single=True)
    if body.keys() <= {"nextPageToken"}:
        # An empty page has no list at all.
        node.note_absent("models")
        return ModelList(origin=NAME, models=(), extra=node.rest())
    raise garbled(NAME, "there is no list `models`")


def _read_model(value: JsonValue, path: str) -> Model:
    node = Node(value, path)
    name = node.need_str("name")
    if not name.startswith(_PREFIX):
        node.put_back("name", name)
    return Model(
        id=name.removeprefix(_PREFIX) if name.startswith(_PREFIX) else name.rpartition("/")[2],
        name=node.take_str("displayName"),
        context_window=node.take_int("inputTokenLimit"),
        max_output_tokens=node.take_int("outputTokenLimit"),
        extra=node.rest(),
    )


def write_models(listing: ModelList) -> Encoded[JsonObject]:
    """A page of models, or a single one."""
    losses = Losses()
    models = [_write_model(model, losses, f"models[{index}]") for index, model in enumerate(listing.models)]
    if listing.single and models:
        return Encoded(models[0], losses.done())
    said = listing.extra.fields if listing.extra is not None and is_ours(listing.extra) else {}
    name = next((name for name in _LISTS[1:] if said.get(name) == []), _LISTS[0])
    page: JsonObject = {name: cast("JsonValue", models)}
    restore(listing.extra, page, losses, "")
    return Encoded(page, losses.done())


def _write_model(model: Model, losses: Losses, path: str) -> JsonObject:
    said = model.extra.fields if model.extra is not None and is_ours(model.extra) else None
    wire: JsonObject = {"name": f"{_PREFIX}{model.id}"}
    if said is not None and "name" in said:
        wire["name"] = said["name"]
    if model.name is not None:
        wire["displayName"] = model.name
    if model.context_window is not None:
        wire["inputTokenLimit"] = model.context_window
    if model.max_output_tokens is not None:
        wire["outputTokenLimit"] = model.max_output_tokens
    if said is None:
        # Older clients choose among models by what they can do.
        wire["supportedGenerationMethods"] = ["generateContent", "countTokens"]
    restore(model.extra, wire, losses, path)
    return wire
