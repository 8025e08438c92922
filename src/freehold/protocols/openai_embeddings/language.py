"""The language `openai-embeddings`: what losing each of its own fields would mean."""

from __future__ import annotations

from types import MappingProxyType

from freehold.ir import Extra, JsonObject, Language, Losses

NAME = "openai-embeddings"

FROM_PATH = "freehold:path"
"""The model was named in the path, as the engines of 2022 were; the body had none."""

LANGUAGE = Language(
    name=NAME,
    effects=MappingProxyType(
        {
            "cost": "accounting",
            "encoding_format": None,
            "id": None,
            "index": None,
            "input_type": "behaviour",
            "metadata": "accounting",
            "model": None,
            "object": None,
            "output_dimension": "behaviour",
            "output_dtype": "behaviour",
            "temperature": None,  # without meaning here, though a client sends it
            "total_tokens": None,
            "completion_tokens": None,
            "prompt_audio_seconds": "accounting",
            "completion_tokens_details": None,
            "prompt_tokens_details": None,
            "request_count": None,
            "service_tier": None,
            "truncation": "behaviour",
            FROM_PATH: None,
            "freehold:deployment": None,
        }
    ),
)


def native(extra: Extra | None) -> JsonObject | None:
    """The fields of an extra that this language wrote; None where another language, or none, did."""
    return extra.fields if extra is not None and extra.origin is LANGUAGE else None


def repeat(extra: Extra | None, into: JsonObject, path: str, losses: Losses) -> None:
    """Write the extras of this language back, marks excepted; note those of another as lost."""
    fields = native(extra)
    if fields is None:
        losses.drop_extra(extra, path)
        return
    for name, value in fields.items():
        if not name.startswith("freehold:"):
            into.setdefault(name, value)
