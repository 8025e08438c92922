"""Enumerations as numbers, for clients that ask with `$alt=json;enum-encoding=int` (Google's own REST clients do).

The numbers are those of the protocol buffers, and differ between the Gemini API (`google-ai-generativelanguage` 0.12.1)
and Vertex AI (`google-cloud-aiplatform` 2.7.0).
"""

from __future__ import annotations

from collections.abc import Mapping

from freehold.ir import JsonValue

Numbers = Mapping[str, Mapping[str, int]]
"""By field, then by name."""


def _count(names: str, start: int = 0) -> dict[str, int]:
    return {name: number for number, name in enumerate(names.split(), start)}


_MODALITY = _count("MODALITY_UNSPECIFIED TEXT IMAGE VIDEO AUDIO DOCUMENT")
_PROBABILITY = _count("HARM_PROBABILITY_UNSPECIFIED NEGLIGIBLE LOW MEDIUM HIGH")
_OUTCOME = _count("OUTCOME_UNSPECIFIED OUTCOME_OK OUTCOME_FAILED OUTCOME_DEADLINE_EXCEEDED")
_LANGUAGE = _count("LANGUAGE_UNSPECIFIED PYTHON")

GEMINI_NUMBERS: Numbers = {
    "finishReason": {
        **_count("FINISH_REASON_UNSPECIFIED STOP MAX_TOKENS SAFETY RECITATION OTHER LANGUAGE BLOCKLIST"),
        **_count("PROHIBITED_CONTENT SPII MALFORMED_FUNCTION_CALL IMAGE_SAFETY UNEXPECTED_TOOL_CALL", 8),
        **_count("TOO_MANY_TOOL_CALLS IMAGE_PROHIBITED_CONTENT IMAGE_OTHER NO_IMAGE IMAGE_RECITATION", 13),
    },
    "category": {
        "HARM_CATEGORY_UNSPECIFIED": 0,
        **_count(
            "HARM_CATEGORY_HARASSMENT HARM_CATEGORY_HATE_SPEECH HARM_CATEGORY_SEXUALLY_EXPLICIT"
            " HARM_CATEGORY_DANGEROUS_CONTENT HARM_CATEGORY_CIVIC_INTEGRITY",
            7,
        ),
    },
    "probability": _PROBABILITY,
    "blockReason": _count("BLOCK_REASON_UNSPECIFIED SAFETY OTHER BLOCKLIST PROHIBITED_CONTENT IMAGE_SAFETY"),
    "modality": _MODALITY,
    "outcome": _OUTCOME,
    "language": _LANGUAGE,
    "urlRetrievalStatus": _count(
        "URL_RETRIEVAL_STATUS_UNSPECIFIED URL_RETRIEVAL_STATUS_SUCCESS URL_RETRIEVAL_STATUS_ERROR"
        " URL_RETRIEVAL_STATUS_PAYWALL URL_RETRIEVAL_STATUS_UNSAFE"
    ),
}

VERTEX_NUMBERS: Numbers = {
    "finishReason": _count(
        "FINISH_REASON_UNSPECIFIED STOP MAX_TOKENS SAFETY RECITATION OTHER BLOCKLIST PROHIBITED_CONTENT SPII"
        " MALFORMED_FUNCTION_CALL MODEL_ARMOR"
    ),
    "category": _count(
        "HARM_CATEGORY_UNSPECIFIED HARM_CATEGORY_HATE_SPEECH HARM_CATEGORY_DANGEROUS_CONTENT HARM_CATEGORY_HARASSMENT"
        " HARM_CATEGORY_SEXUALLY_EXPLICIT HARM_CATEGORY_CIVIC_INTEGRITY HARM_CATEGORY_JAILBREAK"
    ),
    "probability": _PROBABILITY,
    "severity": _count(
        "HARM_SEVERITY_UNSPECIFIED HARM_SEVERITY_NEGLIGIBLE HARM_SEVERITY_LOW HARM_SEVERITY_MEDIUM HARM_SEVERITY_HIGH"
    ),
    "blockReason": _count("BLOCKED_REASON_UNSPECIFIED SAFETY OTHER BLOCKLIST PROHIBITED_CONTENT MODEL_ARMOR"),
    "modality": _MODALITY,
    "trafficType": _count("TRAFFIC_TYPE_UNSPECIFIED ON_DEMAND PROVISIONED_THROUGHPUT"),
    "outcome": _OUTCOME,
    "language": _LANGUAGE,
    "urlRetrievalStatus": _count(
        "URL_RETRIEVAL_STATUS_UNSPECIFIED URL_RETRIEVAL_STATUS_SUCCESS URL_RETRIEVAL_STATUS_ERROR"
    ),
}

_NOT_GOOGLES = frozenset({"args", "response", "text", "data"})
"""Fields whose value belongs to the caller: nothing in there is an enumeration."""


def name_of(field: str, value: JsonValue, numbers: Numbers) -> str | None:
    """The name of an enumeration's value, written as name or number; None for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return next((name for name, number in numbers.get(field, {}).items() if number == value), None)
    return None


def as_numbers(value: JsonValue, numbers: Numbers) -> JsonValue:
    """An answer with its enumerations as numbers; a name without a number (it is newer) counts as 0, unspecified."""
    if isinstance(value, dict):
        return {name: _as_number(name, item, numbers) for name, item in value.items()}
    return [as_numbers(item, numbers) for item in value] if isinstance(value, list) else value


def _as_number(name: str, value: JsonValue, numbers: Numbers) -> JsonValue:
    known = numbers.get(name)
    if known is not None and isinstance(value, str):
        return known.get(value, 0)
    return value if name in _NOT_GOOGLES else as_numbers(value, numbers)
