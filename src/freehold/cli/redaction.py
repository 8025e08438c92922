"""Takes out of a recording what must not be published: keys, organisations, projects, accounts, addresses of people."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from freehold.ir import JsonValue
from freehold.transport.framing import frame_parser, frame_writer

_PATTERNS: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"\b(?:sk|rk|pk)-[A-Za-z0-9_-]{12,}"), "sk-REDACTED"),
    (re.compile(r"\bAIza[A-Za-z0-9_-]{20,}"), "KEY-REDACTED"),
    (re.compile(r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{12,}"), "AKIAREDACTED"),
    (re.compile(r"\b(?:gsk|xai|hf|fw|pplx)[_-][A-Za-z0-9_-]{16,}"), "KEY-REDACTED"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*"), "TOKEN-REDACTED"),
    (re.compile(r"\borg-[A-Za-z0-9]{6,}"), "org-REDACTED"),
    (re.compile(r"\bproj_[A-Za-z0-9]{6,}"), "proj_REDACTED"),
    (re.compile(r"\buser-[A-Za-z0-9]{16,}"), "user-REDACTED"),
    (re.compile(r"(?<=:)[0-9]{12}(?=:)"), "000000000000"),  # an AWS account in an ARN
    (re.compile(r"(?<=projects/)[A-Za-z0-9-]+"), "PROJECT"),
    (re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"), "user@example.com"),
)
"""What is masked wherever it stands, and by what; fixed words, so that recordings of one day and the next agree."""

MASK: Final = "REDACTED"

_PASSED: Final = frozenset(
    {
        "accept",
        "anthropic-beta",
        "anthropic-version",
        "content-type",
        "openai-beta",
        "openai-version",
        "retry-after",
        "retry-after-ms",
        "x-should-retry",
    }
)
_PASSED_PREFIXES: Final = ("anthropic-ratelimit-", "x-amzn-bedrock-", "x-amzn-error", "x-ratelimit-")


class Redaction:
    """Masks one account's secrets and everything that looks like somebody's."""

    def __init__(self, secrets: Iterable[str], identity_headers: Iterable[str]) -> None:
        """`secrets` are masked wherever they occur; `identity_headers` are kept besides the usual ones."""
        self._secrets = sorted({secret for secret in secrets if len(secret) >= 4}, key=len, reverse=True)
        self._passed = _PASSED | {name.lower() for name in identity_headers}

    def text(self, text: str) -> str:
        """The text with what is secret masked."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        for pattern, word in _PATTERNS:
            text = pattern.sub(word, text)
        return text

    def json(self, value: JsonValue) -> JsonValue:
        """A JSON value, keys and all, with what is secret masked."""
        match value:
            case str():
                return self.text(value)
            case list():
                return [self.json(item) for item in value]
            case dict():
                return {self.text(name): self.json(item) for name, item in value.items()}
            case _:
                return value

    def headers(self, headers: Iterable[tuple[str, str]]) -> dict[str, str]:
        """The headers that belong to a protocol; no credential, cookie or network address is among them."""
        return {
            name: self.text(value)
            for name, value in ((name.lower(), value) for name, value in headers)
            if name in self._passed or name.startswith(_PASSED_PREFIXES)
        }

    def event_stream(self, data: bytes) -> bytes:
        """An AWS event stream with its payloads masked and its checksums made anew. Raises FramingError."""
        parser, writer = frame_parser("event-stream"), frame_writer("event-stream")
        frames = [*parser.feed(data), *parser.close()]
        masked = [self.text(frame.data.decode("utf-8", "replace")).encode() for frame in frames]
        if all(frame.data == new for frame, new in zip(frames, masked, strict=True)):
            return data
        pairs = zip(frames, masked, strict=True)
        return b"".join(writer.write(type(frame)(data=new, event=frame.event, kind=frame.kind)) for frame, new in pairs)

    def leaks(self, text: str) -> bool:
        """Whether one of the account's own secrets is still there."""
        return any(secret in text for secret in self._secrets)
