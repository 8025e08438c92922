"""Where the wire is right and a vendor's types are not: members that real bodies have, or lack."""

from __future__ import annotations

import re
from typing import NamedTuple

from tests.vendors import typed
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
        r"(ChoiceDelta|ChatCompletionMessage) has no such member",
        "where DeepSeek, vLLM and their clients put thoughts, for which OpenAI's own types have no place",
    ),
    Deviation(
        r".*\.store",
        r"Response has no such member",
        "recorded answers carry it, and so does OpenAI's OpenAPI description",
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
        "the wire's name of what the package calls `supportedActions`",
    ),
    Deviation(r".*", r"'<blob of \d+ characters removed.* is not base64", "the recording was shortened"),
)


def problems(value: object, kind: object) -> list[Problem]:
    """Everything in which the JSON value is not of this type, but for the deviations."""
    return genuine(typed.problems(value, kind))


def genuine(found: list[Problem]) -> list[Problem]:
    """The problems that no deviation explains."""
    return [
        problem
        for problem in found
        if not any(re.fullmatch(one.path, problem.path) and re.fullmatch(one.says, problem.says) for one in DEVIATIONS)
    ]
