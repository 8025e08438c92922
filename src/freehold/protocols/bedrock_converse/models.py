"""Listings of models as the Bedrock control plane gives them: foundation models and inference profiles."""

from __future__ import annotations

from typing import cast
from urllib.parse import parse_qsl, unquote, urlencode

from freehold.ir import Extra, Fields, JsonObject, JsonValue, ListModels, Losses, Model, ModelList
from freehold.protocols.bedrock_converse.language import LANGUAGE, NAME, ours
from freehold.protocols.codec import Encoded, Unsupported, WireRequest, garbled

LISTING = "listing"
"""Extra that names the listing: `foundation-models` or `inference-profiles`."""


class _Listing:
    """One of the two listings: the names of its fields."""

    def __init__(self, rows: str, single: str | None, model_id: str, name: str, arn: str) -> None:
        self.rows = rows
        self.single = single
        self.model_id = model_id
        self.name = name
        self.arn = arn


_LISTINGS = {
    "foundation-models": _Listing("modelSummaries", "modelDetails", "modelId", "modelName", "modelArn"),
    "inference-profiles": _Listing(
        "inferenceProfileSummaries", None, "inferenceProfileId", "inferenceProfileName", "inferenceProfileArn"
    ),
}


def read_listing_request(wire: WireRequest) -> ListModels:
    """`GET /foundation-models[/id]` or `/inference-profiles[/id]`. Raises Unsupported for other paths."""
    listing, _, model = wire.path.strip("/").partition("/")
    if listing not in _LISTINGS:
        raise Unsupported(f"{NAME} has no GET {wire.path}")
    said: JsonObject = {LISTING: listing}
    query = dict(parse_qsl(wire.query, keep_blank_values=True))
    limit = query.get("maxResults", "")
    after = query.pop("nextToken", None)
    number = int(limit) if limit.isascii() and limit.isdigit() and len(limit) < 10 else None
    if number is not None:
        del query["maxResults"]
    if query:
        said["query"] = cast("JsonObject", query)
    return ListModels(origin=NAME, model=unquote(model) or None, limit=number, after=after, extra=Extra(LANGUAGE, said))


def write_listing_request(request: ListModels) -> tuple[str, str]:
    """The path and query of the listing; that of inference profiles unless another was asked for."""
    said = ours(request.extra) or {}
    listing = _listing_of(request)
    query = said.get("query")
    pairs: dict[str, str] = {name: str(item) for name, item in query.items()} if isinstance(query, dict) else {}
    if request.limit is not None:
        pairs["maxResults"] = str(request.limit)
    if request.after is not None:
        pairs["nextToken"] = request.after
    return f"/{listing}", urlencode(pairs)


def _listing_of(request: object) -> str:
    said = ours(request.extra) if isinstance(request, ListModels) else None
    listing = "inference-profiles" if said is None else said.get(LISTING)
    return listing if isinstance(listing, str) and listing in _LISTINGS else "inference-profiles"


def read_models(body: JsonObject) -> ModelList:
    """A listing, or a single row of one. Raises UpstreamError for anything else."""
    for name, listing in _LISTINGS.items():
        if listing.rows in body:
            fields = Fields(body, LANGUAGE)
            rows = fields.take_list(listing.rows)
            if rows is None or not all(isinstance(row, dict) for row in rows):
                raise garbled(NAME, f"`{listing.rows}` is not a list of models")
            models = tuple(_read_model(cast("JsonObject", row), listing) for row in rows)
            fields.put_back(LISTING, name)
            return ModelList(origin=NAME, models=models, extra=fields.rest())
    for name, listing in _LISTINGS.items():
        row: JsonValue = body if listing.single is None else body.get(listing.single)
        if isinstance(row, dict) and listing.model_id in row:
            return ModelList(
                origin=NAME,
                models=(_read_model(row, listing),),
                single=True,
                extra=Extra(LANGUAGE, {LISTING: name}),
            )
    raise garbled(NAME, "this is not a listing of models")


def _read_model(row: JsonObject, listing: _Listing) -> Model:
    fields = Fields(row, LANGUAGE)
    model_id = fields.take_str(listing.model_id)
    if model_id is None:
        raise garbled(NAME, f"a model has no `{listing.model_id}`")
    return Model(id=model_id, name=fields.take_str(listing.name), extra=fields.rest())


def write_models(result: ModelList, request: object) -> Encoded[JsonObject]:
    """The listing that was asked for, with the fields that botocore's models demand."""
    losses = Losses()
    said = ours(result.extra) or {}
    known = said.get(LISTING)
    name = known if isinstance(known, str) and known in _LISTINGS else _listing_of(request)
    listing = _LISTINGS[name]
    rows = [
        _write_model(model, listing, losses, f"models[{index}]", native=result.origin == NAME)
        for index, model in enumerate(result.models)
    ]
    if result.single and rows:
        return Encoded(rows[0] if listing.single is None else {listing.single: rows[0]}, losses.done())
    body: JsonObject = {listing.rows: cast("JsonValue", rows)}
    if ours(result.extra) is None:
        losses.drop_extra(result.extra, "")
    body.update({key: value for key, value in said.items() if key != LISTING})
    return Encoded(body, losses.done())


def _write_model(model: Model, listing: _Listing, losses: Losses, path: str, *, native: bool) -> JsonObject:
    row: JsonObject = {listing.model_id: model.id}
    if model.name is not None:
        row[listing.name] = model.name
    if native:
        row.update(ours(model.extra) or {})
        return row
    losses.drop_extra(model.extra, path)
    row.setdefault(listing.name, model.id)
    if listing.single is None:
        row[listing.arn] = f"arn:aws:bedrock:::inference-profile/{model.id}"
        row.update({"models": [], "status": "ACTIVE", "type": "SYSTEM_DEFINED"})
    else:
        row[listing.arn] = f"arn:aws:bedrock:::foundation-model/{model.id}"
        row.update({"inputModalities": ["TEXT"], "outputModalities": ["TEXT"], "responseStreamingSupported": True})
        row["modelLifecycle"] = {"status": "ACTIVE"}
    return row
