"""Every translation of every recording, held against types and schemas that the vendors wrote."""

from __future__ import annotations

import pytest

from freehold.errors import FreeholdError
from freehold.exchange.recordings import Recording
from freehold.exchange.translate import Row, stream_framing, translate
from freehold.ir import Count, Embed, Generate, ListModels, Request
from freehold.protocols.codec import Codec, Dialect, Operation, Unsupported
from freehold.protocols.gemini_generate import CODEC as GEMINI
from freehold.protocols.registry import CODECS, codec_of_recording
from tests.laws.recordings import NAMES, recording
from tests.vendors.judgement import (
    answer_problems,
    error_problems,
    form_of_answer,
    form_of_request,
    request_problems,
    stream_problems,
    vertex_request_problems,
)
from tests.vendors.typed import Problem

SAME_ERRORS = (
    {"openai-chat", "openai-responses", "openai-embeddings", "azure-openai"},
    {"bedrock-converse", "bedrock-invoke"},
)
"""Protocols with one form of error, in which a vendor's own words stay as they are."""

SAME_FORM = ({"converse", "nova"},)
"""Forms of one language: what rides along in one of them is at home in the other."""


def asked(exchange: Recording, source: Codec) -> Request | None:
    """The recorded request, where there is one that can be read."""
    wire = exchange.wire_request()
    if wire is None:
        return None
    try:
        return source.decode_request(wire)
    except (FreeholdError, Unsupported):
        return None


def operation_of(exchange: Recording, request: Request | None) -> Operation:
    """What was asked for; the wire's name says it where the request was not recorded."""
    match request:
        case Generate():
            return "generate"
        case Embed():
            return "embed"
        case Count():
            return "count"
        case ListModels():
            return "list"
        case None:
            names: dict[str, Operation] = {"embeddings": "embed", "tokens": "count", "models": "list"}
            return names.get(exchange.wire.rpartition("-")[2], "generate")


def found_in_request(exchange: Recording, row: Row, operation: Operation) -> list[Problem]:
    wire = exchange.wire_request()
    assert wire is not None
    assert row.body is not None
    own = form_of_request(row.source, wire.body, operation)
    if _same(own, form_of_request(row.target, row.body, operation)):
        return []
    return request_problems(row.target, row.body, operation)


def found_in_answer(exchange: Recording, source: Codec, row: Row, request: Request | None) -> list[Problem]:
    answer = exchange.wire_response()
    assert answer is not None
    assert row.body is not None
    if answer.status >= 400:
        same = any({row.source, row.target} <= family for family in SAME_ERRORS)
        return [] if same else error_problems(row.target, row.body)
    if _same(form_of_answer(row.source, answer.body), form_of_answer(row.target, row.body)):
        return []
    if stream_framing(exchange, source, answer, request) is not None:
        return stream_problems(row.target, row.body)
    return answer_problems(row.target, row.body, operation_of(exchange, request))


def found_on_vertex(request: Request) -> list[Problem]:
    """Vertex AI counts and embeds in other words than the Gemini API."""
    try:
        wire = GEMINI.encode_request(request, Dialect(provider="vertex")).value
    except (FreeholdError, Unsupported):
        return []
    return vertex_request_problems(wire.body, wire.operation)


def _same(own: str, other: str) -> bool:
    """Whether extras cross: a recording is right, whatever the types say of it."""
    return own == other or any({own, other} <= forms for forms in SAME_FORM)


@pytest.mark.parametrize("name", NAMES)
def test_vendors_take_what_we_write(name: str) -> None:
    exchange = recording(name)
    source = codec_of_recording(exchange.protocol, exchange.wire)
    if source is None:
        return
    request = asked(exchange, source)
    operation = operation_of(exchange, request)
    wrong: dict[tuple[str, str], list[Problem]] = {}
    for row in translate(exchange, source, CODECS):
        if row.body is None or row.source == row.target or row.status in {"error", "unsupported"}:
            continue
        if row.part == "request":
            wrong[row.target, row.part] = found_in_request(exchange, row, operation)
        else:
            wrong[row.target, row.part] = found_in_answer(exchange, source, row, request)
    if source is not GEMINI and isinstance(request, Generate | Count | Embed):
        wrong["vertex", "request"] = found_on_vertex(request)
    assert {place: found for place, found in wrong.items() if found} == {}
