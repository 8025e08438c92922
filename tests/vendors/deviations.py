"""Where the wire is right and a vendor's types or schemas are not: members that real bodies have, or lack."""

from __future__ import annotations

import re
from typing import NamedTuple

from tests.vendors import published, typed
from tests.vendors.published import Schema
from tests.vendors.typed import Problem


class Deviation(NamedTuple):
    """A problem that is none; `path` and `says` are patterns that it matches whole."""

    path: str
    says: str
    because: str


DEVIATIONS = (
    Deviation(
        r"\$\.(temperature|top_p|top_k)",
        r"MessageCreateParams\w+ has no such member",
        "recorded requests send sampling settings, and are answered; the package's types left them out in version 2",
    ),
    Deviation(
        r".*\.(delta|message)\.reasoning_content",
        r"(ChoiceDelta|ChatCompletionMessage|ChatCompletion(StreamResponseDelta|ResponseMessage)) has no such member",
        "where DeepSeek, vLLM and their clients put thoughts, for which OpenAI itself has no place",
    ),
    Deviation(
        r".*\.store",
        r"Response has no such member",
        "recorded answers repeat it; OpenAI's types and OpenAPI description have it in requests alone",
    ),
    Deviation(
        r".*\.user",
        r"None is not of type 'string'",
        "recorded answers say null where the request names nobody",
    ),
    Deviation(
        r"\$\.response\.usage",
        r"None is not of type 'object'",
        "recorded streams say null until the response ends",
    ),
    Deviation(
        r"\$\.(messages|input)",
        r"\[\] should be non-empty",
        "recorded: nothing was asked, or nothing that can be said here; the gateway refuses the latter unless allowed",
    ),
    Deviation(
        r"\$\.name",
        r"ResponseFunctionCallArgumentsDoneEvent has no such member",
        "OpenAI's OpenAPI description requires it",
    ),
    Deviation(
        r"\$\.error",
        r"ResponseErrorEvent has no such member",
        "the package's own stream reader raises only when the error stands in `error`",
    ),
    Deviation(
        r"\$\.supportedGenerationMethods",
        r"Model has no such member",
        "the wire's name of what the package and its schema call `supportedActions`",
    ),
    Deviation(
        r".*", r"'<blob of \d+ characters removed.* (is not base64|does not match .*)", "the recording was shortened"
    ),
)


def problems(value: object, *kinds: object) -> list[Problem]:
    """Everything in which the JSON value is not of each of these types and schemas, but for the deviations."""
    found: list[Problem] = []
    for kind in kinds:
        found += published.problems(value, kind) if isinstance(kind, Schema) else typed.problems(value, kind)
    return genuine(found)


def genuine(found: list[Problem]) -> list[Problem]:
    """The problems that no deviation explains."""
    return [
        problem
        for problem in found
        if not any(re.fullmatch(one.path, problem.path) and re.fullmatch(one.says, problem.says) for one in DEVIATIONS)
    ]
