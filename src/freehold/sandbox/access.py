"""Whom an emulated cloud lets in: the ways to authenticate that its provider has, checked."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator
from typing import assert_never
from urllib.parse import parse_qsl

from freehold.errors import CallerError
from freehold.providers.schema import Anonymous, Auth, Bearer, Entra, Google, Header, Provider, Query, SigV4
from freehold.sandbox.clouds import Login
from freehold.server.http import Incoming
from freehold.signing.sigv4 import SigningKeys, check_claim, is_signed, read_claim


class Access:
    """Checks the credentials of one cloud."""

    def __init__(self, provider: Provider, login: Login, region: str | None, clock: Callable[[], float]) -> None:
        """`clock` gives Unix seconds: signatures are dated."""
        self._provider = provider
        self._login = login
        self._region = region
        self._clock = clock
        self._keys = SigningKeys()

    def check(self, protocol: str, incoming: Incoming, body: bytes) -> None:
        """Raises CallerError (401, at AWS 403) for a credential that is missing or wrong."""
        offer = self._provider.protocol(protocol)
        ways = offer.auth if offer is not None and offer.auth else self._provider.auth
        headers = dict(incoming.headers)
        authorization = headers.get("authorization", "")
        if is_signed(authorization) and any(isinstance(way, SigV4) for way in ways):
            self._check_signature(incoming, authorization, body)
            return
        given = [key for way in ways for key in _given(way, headers, incoming.query)]
        if any(hmac.compare_digest(key.encode(), self._login.key.encode()) for key in given):
            return
        raise CallerError(
            "Incorrect API key provided." if any(given) else "Missing credentials: no API key was sent.",
            code="invalid_api_key",
            kind="authentication",
            status=403 if any(isinstance(way, SigV4) for way in ways) else 401,
        )

    def _check_signature(self, incoming: Incoming, authorization: str, body: bytes) -> None:
        claim = read_claim(
            method=incoming.method,
            host=dict(incoming.headers).get("host", ""),
            path=incoming.path,
            query=incoming.query,
            headers=incoming.headers,
            authorization=authorization,
            now=self._clock(),
        )
        if claim.access_key_id != self._login.access_key_id:
            raise CallerError(
                "The security token included in the request is invalid.",
                code="UnrecognizedClientException",
                kind="authentication",
                status=403,
            )
        if self._region is not None and claim.region != self._region:
            raise CallerError(
                f"Credential should be scoped to a valid region: {self._region}.",
                code="InvalidSignatureException",
                kind="authentication",
                status=403,
            )
        check_claim(claim, secret=self._login.secret_access_key, body=body, keys=self._keys)


def _given(way: Auth, headers: dict[str, str], query: str) -> Iterator[str]:
    """The keys that a request holds where this way of authenticating puts them."""
    match way:
        case Bearer() | Google() | Entra():
            scheme, _, key = headers.get("authorization", "").partition(" ")
            if scheme.lower() == "bearer":
                yield key.strip()
        case Header(names=names):
            yield from (headers[name.lower()] for name in names if name.lower() in headers)
        case Query(name=name):
            yield from (value for key, value in parse_qsl(query) if key == name)
        case SigV4() | Anonymous():
            return
        case _:
            assert_never(way)
