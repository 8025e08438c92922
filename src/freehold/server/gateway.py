"""The data plane's handler: from a raw HTTP request to an exchange on the road, or to a refusal in its protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import TYPE_CHECKING, cast, get_args

import msgspec

from freehold.errors import CallerError, FreeholdError
from freehold.exchange.door import Arrival, ClientGone
from freehold.exchange.failures import failure_of
from freehold.exchange.lanes import Strictness
from freehold.exchange.road import Clock, Road, Snapshot
from freehold.governance.authentication import Authenticator, AwaitingBody, Principal
from freehold.protocols.codec import Codec, Operation, Stamp, Unsupported, WireRequest
from freehold.routing.names import Names
from freehold.routing.strategies import STRATEGIES
from freehold.server.http import Incoming, Outgoing
from freehold.server.listings import bedrock_listing, model_list, one_model
from freehold.server.paths import Route, asked_model, find_route, likely_codec

if TYPE_CHECKING:
    from freehold.governance.keys import KeyTable

LONGEST_PATH = 8192
"""Bytes of a raw path; the longest real one, a Bedrock ARN percent-encoded, is under 3,000."""

_STRICTNESS = frozenset(get_args(Strictness))
_MAX_TAGS = 16
_LONGEST_TAG = 128


class Serving(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What the data plane serves by: one configuration snapshot, exchanged whole on reload."""

    snapshot: Snapshot
    names: Names
    authenticator: Authenticator
    body_limit: int
    proxies: tuple[IPv4Network | IPv6Network, ...]
    exchange_timeout: float
    serve_unrecorded: bool


class Gateway:
    """Answers every request of the data plane."""

    def __init__(
        self,
        *,
        road: Road,
        codecs: Mapping[str, Codec],
        serving: Callable[[], Serving],
        keys: Callable[[], KeyTable],
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        """`serving` and `keys` give the snapshot of the moment; `new_id` URL-safe letters and digits."""
        self._road = road
        self._codecs = codecs
        self._serving = serving
        self._keys = keys
        self._clock = clock
        self._new_id = new_id

    async def handle(self, incoming: Incoming, outgoing: Outgoing) -> None:
        """One request. Raises nothing but bugs and cancellation."""
        try:
            await self._handle(incoming, outgoing)
        except ClientGone:
            return

    async def _handle(self, incoming: Incoming, outgoing: Outgoing) -> None:
        if incoming.method == "HEAD":
            # Claude Code asks whether anybody is there before it speaks, without a key.
            outgoing.respond(200, [], b"")
            return
        path, headers = incoming.path, incoming.headers
        if len(path) > LONGEST_PATH:
            self._refuse(incoming, outgoing, CallerError("the path is too long", code="path_too_long", status=414))
            return
        if incoming.method == "GET" and any(n == "upgrade" and v.lower() == "websocket" for n, v in headers):
            # Codex falls back to POST at once on 426, and tries for seconds on anything else.
            self._refuse(
                incoming, outgoing, CallerError("WebSockets are not spoken here", code="no_websocket", status=426)
            )
            return
        route = find_route(incoming.method, path, headers, incoming.query)
        if route is None:
            self._refuse(incoming, outgoing, _not_served(incoming.method, path))
            return
        try:
            await self._serve(route, incoming, outgoing)
        except FreeholdError as error:
            self._say(self._codecs[route.codec], outgoing, error)
        except Unsupported as error:
            self._say(self._codecs[route.codec], outgoing, _unsupported(error))

    async def _serve(self, route: Route, incoming: Incoming, outgoing: Outgoing) -> None:
        serving = self._serving()
        now = self._clock.time()
        who = serving.authenticator.authenticate(
            method=incoming.method,
            path=incoming.path,
            query=incoming.query,
            headers=incoming.headers,
            peer=peer_of(incoming, serving.proxies),
            now=now,
            table=self._keys(),
        )
        body = await incoming.body(serving.body_limit)
        if isinstance(who, AwaitingBody):
            who = serving.authenticator.prove(who, body)
        if route.operation in {"list", "get_model", "bedrock_listing"}:
            self._list(route, who, incoming=incoming, outgoing=outgoing)
            return
        if not serving.serve_unrecorded and self._road.spool.failed is not None and not self._road.spool.probe():
            raise FreeholdError(
                "the exchange record can not be written, so nothing is served: make room for the spool",
                code="record_unwritable",
                kind="unavailable",
            )
        arrival = self._arrival(route, who, incoming, body, now)
        task = asyncio.current_task()
        if task is not None:
            incoming.when_gone(task.cancel)
        await self._road.travel(arrival, outgoing, serving.snapshot)

    def _arrival(self, route: Route, who: Principal, incoming: Incoming, body: bytes, now: float) -> Arrival:
        strictness: Strictness = "reject-content"
        tags: dict[str, str] = {}
        # One that a newer Freehold knows, on a store that several share, is none here.
        strategy = who.strategy if who.strategy in STRATEGIES else None
        for name, value in incoming.headers:
            if name.startswith("freehold-"):
                strictness = _strictness(value) if name == "freehold-on-loss" else strictness
                if name == "freehold-tags":
                    tags = _tags(value)
                elif name == "freehold-strategy":
                    strategy = _strategy(value)
        return Arrival(
            id=self._new_id(),
            codec=self._codecs[route.codec],
            operation=cast("Operation", route.operation),
            wire=WireRequest(
                method=incoming.method,
                path=incoming.path,
                query=incoming.query,
                headers=tuple(incoming.headers),
                body=body,
            ),
            project=who.project,
            key=who.key_id,
            models=who.models,
            started=now,
            deadline=self._clock.monotonic() + self._serving().exchange_timeout,
            region=who.region,
            strictness=strictness,
            strategy=strategy,
            tags=tags,
        )

    def _list(self, route: Route, who: Principal, *, incoming: Incoming, outgoing: Outgoing) -> None:
        codec = self._codecs[route.codec]
        names = [name for name in self._serving().names.listed() if who.may_use(name)]
        if route.operation == "bedrock_listing":
            body = bedrock_listing(incoming.path, names, region=who.region or "us-east-1")
            outgoing.respond(200, [("content-type", "application/json")], body)
            return
        result = (
            model_list(names, codec.name)
            if route.operation == "list"
            else one_model(asked_model(incoming.path), names, codec.name)
        )
        encoded = codec.encode_response(result, self._stamp())
        outgoing.respond(encoded.value.status, list(encoded.value.headers), encoded.value.body)

    def _stamp(self) -> Stamp:
        return Stamp(id=self._new_id(), created=int(self._clock.time()))

    def _refuse(self, incoming: Incoming, outgoing: Outgoing, error: FreeholdError) -> None:
        self._say(self._codecs[likely_codec(incoming.path, incoming.headers)], outgoing, error)

    def _say(self, codec: Codec, outgoing: Outgoing, error: FreeholdError) -> None:
        """An error before there was an exchange; it is in the caller's protocol, but not on the record."""
        if outgoing.started:
            raise error
        stamp = self._stamp()
        wire = codec.encode_error(failure_of(error), stamp)
        name = codec.manners.request_id
        headers = [pair for pair in wire.headers if pair[0] != name]
        outgoing.respond(wire.status, [*headers, (name, stamp.id)], wire.body)

    def overloaded(self, incoming: Incoming) -> tuple[int, list[tuple[str, str]], bytes]:
        """The 503 for a request that finds no free place, in its caller's protocol."""
        codec = self._codecs[likely_codec(incoming.path, incoming.headers)]
        error = FreeholdError("too many open exchanges; try again shortly", code="too_many_streams", kind="unavailable")
        wire = codec.encode_error(failure_of(error), self._stamp())
        return wire.status, [*wire.headers, ("retry-after", "1")], wire.body


def peer_of(incoming: Incoming, proxies: tuple[IPv4Network | IPv6Network, ...]) -> str:
    """Who really asks: behind a trusted proxy, the last address in `X-Forwarded-For` that is no trusted proxy."""
    peer = incoming.client
    if not proxies or not _within(peer, proxies):
        return peer
    forwarded = ",".join(value for name, value in incoming.headers if name == "x-forwarded-for")
    for address in reversed([item.strip() for item in forwarded.split(",") if item.strip()]):
        peer = address
        if not _within(address, proxies):
            break
    return peer


def _within(address: str, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in networks)


def _not_served(method: str, path: str) -> CallerError:
    return CallerError(
        f"{method} {path[:200]} is not served here; https://freehold.dev/docs/reference/paths lists what is",
        code="path_not_served",
        kind="not_found",
    )


def _unsupported(error: Unsupported) -> CallerError:
    return CallerError(str(error), code="unsupported_operation", kind="unsupported")


def _strictness(value: str) -> Strictness:
    if value not in _STRICTNESS:
        raise CallerError(
            f"Freehold-On-Loss: {value[:40]!r} is none of report, reject-content, reject",
            code="invalid_header",
            param="Freehold-On-Loss",
        )
    return cast("Strictness", value)


def _strategy(value: str) -> str:
    if value not in STRATEGIES:
        raise CallerError(
            f"Freehold-Strategy: there is no strategy {value[:40]!r}; choose {', '.join(sorted(STRATEGIES))}",
            code="unknown_strategy",
            param="Freehold-Strategy",
        )
    return value


def _tags(value: str) -> dict[str, str]:
    """`team=search, env=prod` as a mapping."""
    tags: dict[str, str] = {}
    for item in value.split(","):
        name, equals, text = item.strip().partition("=")
        if not equals or not name or len(item) > _LONGEST_TAG or len(tags) >= _MAX_TAGS:
            raise CallerError(
                f"Freehold-Tags must be at most {_MAX_TAGS} pairs name=value of {_LONGEST_TAG} characters",
                code="invalid_header",
                param="Freehold-Tags",
            )
        tags[name.strip()] = text.strip()
    return tags
