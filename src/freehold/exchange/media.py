"""Media named by URL, fetched for targets that take them only inline; from allowed hosts and public addresses only."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import msgspec

from freehold.errors import CallerError, ConfigError, UpstreamError
from freehold.ir import Generate, Inline, Media, Message, Part, ToolResult, Url
from freehold.transport.endpoint import Endpoint, Origin, Timeouts, split_url
from freehold.transport.errors import AnswerTooLargeError

if TYPE_CHECKING:
    from freehold.transport.client import Upstream


MOST_FETCHED = 20
"""Media fetched for one request: each keeps the caller waiting, and the place that it lies at busy."""


class FetchPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Whence media may be fetched: host patterns, the largest size, the longest time in seconds.

    `size` is in bytes of one medium, `total` of all that one request names.
    """

    allow: tuple[str, ...] = ()
    size: int = 20 * 1024 * 1024
    total: int = 64 * 1024 * 1024
    timeout: float = 10.0

    def allows(self, host: str) -> bool:
        """Whether an operator named this host."""
        return any(fnmatchcase(host.lower(), pattern.lower()) for pattern in self.allow)


class _Errand:
    """Fetching for one request; `left` is how many bytes may still come."""

    __slots__ = ("client", "deadline", "left", "policy")

    def __init__(self, policy: FetchPolicy, client: Upstream, deadline: float) -> None:
        self.policy = policy
        self.client = client
        self.deadline = deadline
        self.left = policy.total


def fetchable(request: Generate, policy: FetchPolicy) -> bool:
    """Whether there is anything that could be fetched."""
    return bool(policy.allow) and any(
        (origin := _origin(media)) is not None and policy.allows(origin.host) for media in _media(request.messages)
    )


async def inline_media(request: Generate, policy: FetchPolicy, client: Upstream, deadline: float) -> Generate:
    """The request with allowed media inside it. Raises CallerError for one that can not be had, and for too many."""
    origins = (_origin(media) for media in _media(request.messages))
    wanted = sum(origin is not None and policy.allows(origin.host) for origin in origins)
    if wanted > MOST_FETCHED:
        raise CallerError(
            f"{wanted} media would have to be fetched for one request; at most {MOST_FETCHED} are: send them inline",
            code="media_not_fetched",
        )
    errand = _Errand(policy, client, deadline)
    messages = [await _inline_message(message, errand) for message in request.messages]
    return msgspec.structs.replace(request, messages=tuple(messages))


def _media(messages: tuple[Message, ...]) -> Iterator[Media]:
    for message in messages:
        for part in message.parts:
            if isinstance(part, Media):
                yield part
            elif isinstance(part, ToolResult):
                yield from (inner for inner in part.parts if isinstance(inner, Media))


def _origin(media: Media) -> Origin | None:
    if not isinstance(media.source, Url) or not media.source.url.startswith(("https://", "http://")):
        return None
    try:
        return split_url(media.source.url)
    except ConfigError:
        return None


async def _inline_message(message: Message, errand: _Errand) -> Message:
    parts: list[Part] = []
    for part in message.parts:
        if isinstance(part, Media):
            parts.append(await _inline(part, errand))
        elif isinstance(part, ToolResult):
            inner = [await _inline(item, errand) if isinstance(item, Media) else item for item in part.parts]
            parts.append(msgspec.structs.replace(part, parts=tuple(inner)))
        else:
            parts.append(part)
    return msgspec.structs.replace(message, parts=tuple(parts))


async def _inline(media: Media, errand: _Errand) -> Media:
    origin = _origin(media)
    if origin is None or not isinstance(media.source, Url) or not errand.policy.allows(origin.host):
        return media
    data, media_type = await _fetch(media.source.url, origin, errand)
    return msgspec.structs.replace(
        media,
        source=Inline(data=base64.b64encode(data).decode()),
        media_type=media.media_type or media_type,
        extra=None,
    )


async def _fetch(url: str, origin: Origin, errand: _Errand) -> tuple[bytes, str | None]:
    """The bytes and their type. The connection goes to the address that was checked; redirects are not followed."""
    policy = errand.policy
    limit = policy.timeout
    endpoint = Endpoint(
        scheme=origin.scheme,
        host=origin.host,
        port=origin.port,
        timeouts=Timeouts(connect=limit, first_byte=limit, idle=limit, total=limit),
        max_connections=8,
        allow_private=False,
    )
    # What follows the host, as it was written; a fragment is not the server's business.
    rest = url.partition("://")[2].partition("#")[0]
    at = min((index for index in (rest.find("/"), rest.find("?")) if index >= 0), default=-1)
    target = rest[at:] if at >= 0 else "/"
    try:
        answer = await errand.client.send(
            endpoint, "GET", target if target.startswith("/") else f"/{target}", [], b"", deadline=errand.deadline
        )
        if answer.status != 200:
            answer.release()
            raise _unfetched(origin.host, f"it answered {answer.status}")
        data = await answer.read(min(policy.size, errand.left))
    except AnswerTooLargeError as error:
        if errand.left < policy.size:
            raise _unfetched(origin.host, f"all media of one request may have {policy.total} bytes together") from None
        raise _unfetched(origin.host, error.message) from None
    except UpstreamError as error:
        raise _unfetched(origin.host, error.message) from None
    errand.left -= len(data)
    media_type = next((value for name, value in answer.headers if name == "content-type"), None)
    return data, None if media_type is None else media_type.partition(";")[0].strip()


def _unfetched(host: str, why: str) -> CallerError:
    return CallerError(
        f"the medium at {host} could not be fetched: {why}; send it inline instead", code="media_not_fetched"
    )
