"""What the forms of asking for vectors share: options that every input has, what rides along, and numbers."""

from __future__ import annotations

import base64
import binascii
import math
import struct
from typing import Literal, cast

from freehold.ir import Embed, Embedding, Extra, JsonObject, JsonValue, Losses
from freehold.protocols.codec import Dialect, Unsupported, garbled
from freehold.protocols.gemini_generate.language import LANGUAGE, NAME, REQUESTS, is_ours
from freehold.protocols.gemini_generate.wire import Node, repeat, restore

Form = Literal["flat", "nested", "predict"]
"""Where options stand: beside the content (Gemini API), in `embedContentConfig`, or as Vertex AI's `predict` has it."""

_PURPOSES = {
    "query": "RETRIEVAL_QUERY",
    "search_query": "RETRIEVAL_QUERY",
    "document": "RETRIEVAL_DOCUMENT",
    "search_document": "RETRIEVAL_DOCUMENT",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}
"""Other vendors' words for what a vector is for, in Google's."""

_OWN_PURPOSES = frozenset(
    {
        "RETRIEVAL_QUERY",
        "RETRIEVAL_DOCUMENT",
        "SEMANTIC_SIMILARITY",
        "CLASSIFICATION",
        "CLUSTERING",
        "QUESTION_ANSWERING",
        "FACT_VERIFICATION",
        "CODE_RETRIEVAL_QUERY",
    }
)

# --- Forms -----------------------------------------------------------------------------------------------------------


def with_form(asked: Extra, form: Form) -> Extra:
    """What a client asked for, and that it did so in this form."""
    return Extra(LANGUAGE, {**asked.fields, "form": form})


def form_of(request: Embed | None) -> Form:
    """The form that the client used; `flat` is also that of other languages' requests, which have none."""
    headers = None if request is None else request.headers
    said = headers.fields.get("form") if headers is not None and is_ours(headers) else None
    return said if said in ("nested", "predict") else "flat"


def form_for(request: Embed, dialect: Dialect) -> Form:
    """The form that a provider takes for this model.

    Vertex AI has `predict` for its older models and `embedContent` for those since gemini-embedding-2 (recorded
    November 2026). gemini-embedding-001 is asked both ways: by google-genai 2 as the former, by 3 as the latter.
    """
    said = form_of(request)
    if dialect.provider not in ("", "vertex"):
        return "flat"
    if not dialect.provider:
        return said
    if "gemini-embedding-001" in request.model:
        return "predict" if said == "flat" else said
    return "nested" if "gemini" in request.model else "predict"


# --- Requests --------------------------------------------------------------------------------------------------------


def take_common(nodes: list[Node], name: str) -> JsonValue:
    """A field that every request has with the same value."""
    values = [node.peek(name) for node in nodes]
    wanted = int if name == "outputDimensionality" else str
    first = values[0] if values else None
    if not isinstance(first, wanted) or isinstance(first, bool) or any(value != first for value in values):
        return None
    for node in nodes:
        node.take(name)
    return first


def keep_rests(node: Node, nodes: list[Node], name: str) -> None:
    """Let what is left of each input ride along; under `name` only where it means something."""
    rests = [item.mark().fields for item in nodes]
    said = any(LANGUAGE.effects.get(field, "unknown") is not None for rest in rests for field in rest)
    node.put_back(name if said else REQUESTS, cast("JsonValue", rests))


_RESTS = ("requests", "instances", REQUESTS)


def rests_of(request: Embed, form: Form, losses: Losses) -> list[JsonValue] | None:
    """What was left of each input, if it was said in this form; None, and noted as lost, if in another."""
    extra = request.extra
    if extra is None or not is_ours(extra):
        return None
    rests = next((extra.fields[name] for name in _RESTS if name in extra.fields), None)
    found = rests if isinstance(rests, list) else []
    if form == form_of(request):
        return found
    for index, rest in enumerate(found):
        if isinstance(rest, dict):
            losses.drop_extra(Extra(LANGUAGE, rest), f"inputs[{index}]")
    losses.drop_extra(Extra(LANGUAGE, {name: item for name, item in extra.fields.items() if name not in _RESTS}), "")
    return None


def restore_outside(request: Embed, rests: list[JsonValue] | None, body: JsonObject, losses: Losses) -> None:
    """Write back what stood beside the inputs; foreign extras are noted as lost."""
    if request.extra is None or not is_ours(request.extra):
        restore(request.extra, body, losses, "")
    elif rests is not None:
        repeat({name: item for name, item in request.extra.fields.items() if name not in _RESTS}, body)


def purpose_of(request: Embed, losses: Losses) -> str | None:
    """What the vectors are for, in Google's words."""
    purpose = request.purpose
    if purpose is None or request.origin == NAME:
        return purpose
    known = purpose if purpose in _OWN_PURPOSES else _PURPOSES.get(purpose.lower())
    if known is None:
        losses.add("purpose", "dropped", "behaviour", purpose)
    return known


# --- Answers ---------------------------------------------------------------------------------------------------------

_ANSWERS = ("embedding", "embeddings", "predictions")


def without_marks(extra: Extra | None) -> Extra | None:
    """What rode along with an answer, without what says in which form it came."""
    if extra is None or not is_ours(extra):
        return extra
    return Extra(LANGUAGE, {name: item for name, item in extra.fields.items() if name not in _ANSWERS})


def take_vector(node: Node) -> tuple[float, ...]:
    """The numbers of one vector. Raises CallerError for anything else."""
    values = node.need_list("values")
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        node.fail("must hold numbers only", "values")
    return tuple(cast("list[float]", values))


def floats_of(item: Embedding) -> tuple[float, ...]:
    """A vector's numbers, also from base64 of little-endian float32.

    Raises Unsupported for other numbers, which some providers send instead.
    """
    if isinstance(item.vector, tuple):
        return item.vector
    try:
        raw = base64.b64decode(item.vector)
    except binascii.Error:
        raise garbled(NAME, "a vector is not base64") from None
    vector = struct.unpack(f"<{len(raw) // 4}f", raw[: len(raw) // 4 * 4])
    if not all(map(math.isfinite, vector)):
        raise Unsupported(f"{NAME} has no vectors of other numbers than float32")
    return vector
