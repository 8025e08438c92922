"""What a key may ask for, in the shape of each vendor's listing."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote

from freehold.errors import CallerError
from freehold.ir import JsonValue, Model, ModelList, write_json

OWNER = "freehold"


def model_list(names: Sequence[str], origin: str) -> ModelList:
    """All names, for the codec to write."""
    return ModelList(origin=origin, models=tuple(Model(id=name, name=name, owner=OWNER) for name in names))


def one_model(asked: str, names: Sequence[str], origin: str) -> ModelList:
    """The one that was asked for. Raises CallerError (404)."""
    name = unquote(asked)
    if name not in names:
        raise CallerError(
            f"there is no model `{name[:100]}`; GET /v1/models lists those there are",
            code="model_not_found",
            kind="not_found",
            param="model",
        )
    return ModelList(origin=origin, models=(Model(id=name, name=name, owner=OWNER),), single=True)


def bedrock_listing(path: str, names: Sequence[str], *, region: str) -> bytes:
    """`ListInferenceProfiles` or `ListFoundationModels` as Amazon Bedrock answers them."""
    arn = f"arn:aws:bedrock:{region}"
    rows: list[JsonValue]
    if path == "/inference-profiles":
        rows = [
            {
                "inferenceProfileId": name,
                "inferenceProfileName": name,
                "inferenceProfileArn": f"{arn}:000000000000:inference-profile/{name}",
                "models": [{"modelArn": f"{arn}::foundation-model/{name}"}],
                "status": "ACTIVE",
                "type": "SYSTEM_DEFINED",
            }
            for name in names
        ]
        return write_json({"inferenceProfileSummaries": rows})
    rows = [
        {
            "modelId": name,
            "modelName": name,
            "modelArn": f"{arn}::foundation-model/{name}",
            "providerName": OWNER,
            "inputModalities": ["TEXT"],
            "outputModalities": ["TEXT"],
            "responseStreamingSupported": True,
            "inferenceTypesSupported": ["ON_DEMAND"],
            "modelLifecycle": {"status": "ACTIVE"},
        }
        for name in names
    ]
    return write_json({"modelSummaries": rows})
