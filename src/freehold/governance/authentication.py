"""Authentication: which project a request belongs to, from whatever its client sends as a key.

Every form is accepted on every path: `Authorization: Bearer`, `x-api-key`, `api-key`, `x-goog-api-key`, `?key=`, and
AWS Signature V4. A client may send several at once; each that names a minted key must prove it, and all must be one.

With `require_keys = false` (loopback only) a request without a credential, or with none that Freehold minted, is of
project `local`. A credential that names a minted key is verified all the same. Browsers are kept out by Host, Origin
and Sec-Fetch-Site, since any web page can reach a loopback port.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Final
from urllib.parse import unquote, unquote_plus

import msgspec

from freehold.errors import CallerError, ErrorKind
from freehold.governance.keys import BEARER_PREFIX, Key, KeyTable, Locksmith
from freehold.governance.secret import ServerSecret
from freehold.signing.sigv4 import (
    AwsCode,
    SignatureClaim,
    SignatureError,
    SigningKeys,
    check_claim,
    is_signed,
    named_access_key_id,
    presigned_access_key_id,
    read_claim,
)

LOCAL_PROJECT: Final = "local"

_KEY_HEADERS = frozenset({"x-api-key", "api-key", "x-goog-api-key"})
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([0-9a-z._-]+))(?::[0-9]*)?")
_LONGEST_KEY: Final = 16_384  # characters; a cloud's own token, sent to us by mistake, may be several thousand


class AuthenticationError(CallerError):
    """A request that may not pass; `aws_code` is what Bedrock would call it, always with status 403."""

    def __init__(self, message: str, *, code: str, aws_code: AwsCode, kind: ErrorKind = "authentication") -> None:
        super().__init__(message, code=code, kind=kind)
        self.aws_code: AwsCode = aws_code


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """On whose behalf a request is answered.

    `key_id` is None for project `local` without a key. `models` may hold `*`; empty allows all. `region` is the one in
    an AWS signature's scope: any is accepted. `strategy` is how the key's requests choose among targets.
    """

    project: str
    key_id: str | None = None
    key_name: str | None = None
    models: tuple[str, ...] = ()
    region: str | None = None
    strategy: str | None = None

    def may_use(self, model: str) -> bool:
        """Whether the key's allow-list holds a model's name."""
        return not self.models or any(fnmatchcase(model, pattern) for pattern in self.models)


class AwaitingBody(msgspec.Struct, frozen=True, kw_only=True):
    """A signed request whose head is in order; `Authenticator.prove` decides when the body is there.

    One claim for the Host as received and one for each public host: a signature must hold for one of them.
    """

    claims: tuple[SignatureClaim, ...]
    key: Key


LOCAL: Final = Principal(project=LOCAL_PROJECT)


class Authenticator:
    """Decides on whose behalf a request is; holds nothing of a request once it has answered."""

    def __init__(self, secret: ServerSecret, *, require_keys: bool, public_hosts: Collection[str] = ()) -> None:
        """`public_hosts` are names (with a port, if clients use one) that a proxy in front replaces in Host."""
        self._locksmith = Locksmith(secret)
        self._require_keys = require_keys
        self._public_hosts = tuple(public_hosts)
        self._signing_keys = SigningKeys()

    def authenticate(
        self,
        *,
        method: str,
        path: str,
        query: str,
        headers: Sequence[tuple[str, str]],
        peer: str,
        now: float,
        table: KeyTable,
    ) -> Principal | AwaitingBody:
        """Judge a request by its head.

        `path` and `query` are raw, names in `headers` in lower case with `host` among them (HTTP/2's `:authority`);
        `peer` is the caller's address, `now` Unix seconds. Raises AuthenticationError or SignatureError.
        """
        host = ""
        keys: list[str] = []
        signatures: list[str] = []
        for name, value in headers:
            if name == "authorization":
                if is_signed(value):
                    signatures.append(value)
                else:
                    keys.append(_bearer(value))
            elif name in _KEY_HEADERS:
                keys.append(value.strip())
            elif name == "host":
                if host:
                    raise _foreign_host("Host was sent twice.")
                host = value.strip()
            elif not self._require_keys and (name in {"origin", "sec-fetch-site"}):
                self._check_browser(name, value)
        if not self._require_keys and not is_loopback_host(host):
            raise _foreign_host(
                "This server takes requests without a key, so it must be addressed as localhost. Use a loopback name, "
                "or set [server] require_keys = true."
            )
        if query:
            keys.extend(_query_keys(query))
        key = self._verify_bearers(keys, peer, now, table)
        if not signatures and (not query or presigned_access_key_id(query) is None):
            if key is not None:
                return _principal(key)
            return self._without_key(keys)
        return self._read_signature(
            key,
            signatures,
            method=method,
            path=path,
            query=query,
            headers=headers,
            host=host,
            peer=peer,
            now=now,
            table=table,
        )

    def prove(self, awaiting: AwaitingBody, body: bytes) -> Principal:
        """Finish a signed request with its body as received. Raises SignatureError."""
        secret = self._locksmith.open_secret(awaiting.key)
        *others, last = awaiting.claims
        for claim in others:
            try:
                check_claim(claim, secret=secret, body=body, keys=self._signing_keys)
            except SignatureError:
                continue
            return _principal(awaiting.key, claim.region)
        check_claim(last, secret=secret, body=body, keys=self._signing_keys)
        return _principal(awaiting.key, last.region)

    def _verify_bearers(self, keys: Sequence[str], peer: str, now: float, table: KeyTable) -> Key | None:
        """The one minted key among the credentials; None when there is none."""
        proven: Key | None = None
        for text in keys:
            if not text or len(text) > _LONGEST_KEY:
                continue
            # Only what looks like a minted key is hashed: a provider's own key is none of ours.
            key = table.by_digest(self._locksmith.digest(text)) if text.startswith(BEARER_PREFIX) else None
            if key is None:
                if table.named_by(text) is not None:
                    raise _invalid_key("The secret of the key that was sent is wrong.")
                continue
            _check_usable(key, peer, now, table)
            if proven is not None and proven is not key:
                raise _conflict()
            proven = key
        return proven

    def _read_signature(
        self,
        proven: Key | None,
        signatures: Sequence[str],
        *,
        method: str,
        path: str,
        query: str,
        headers: Sequence[tuple[str, str]],
        host: str,
        peer: str,
        now: float,
        table: KeyTable,
    ) -> Principal | AwaitingBody:
        presigned = presigned_access_key_id(query)
        named = [(text, table.by_access_key_id(named_access_key_id(text) or "")) for text in signatures]
        ours = [(text, key) for text, key in named if key is not None]
        presigned_ours = presigned is not None and table.by_access_key_id(presigned) is not None
        if not ours and not presigned_ours:
            if proven is not None:
                return _principal(proven)
            if not self._require_keys:
                return LOCAL
        if not ours and presigned is None:
            raise AuthenticationError(
                "The security token included in the request is invalid: no key of this server has that access key id. "
                "Make a pair with `freehold keys create --aws`.",
                code="invalid_key",
                aws_code="UnrecognizedClientException",
            )
        text, key = ours[0] if ours else (next(iter(signatures), ""), None)
        claims = tuple(
            read_claim(method=method, host=name, path=path, query=query, headers=headers, authorization=text, now=now)
            for name in (host, *self._public_hosts)
        )
        # read_claim refuses whatever is presigned, so a key was found; and its strict reading must name the same one.
        if key is None or claims[0].access_key_id != key.access_key_id or len(ours) > 1 or proven is not None:
            raise _conflict()
        _check_usable(key, peer, now, table)
        return AwaitingBody(claims=claims, key=key)

    def _without_key(self, keys: Sequence[str]) -> Principal:
        if not self._require_keys:
            return LOCAL
        if any(keys):
            raise _invalid_key("The key that was sent is not one of this server's.")
        raise AuthenticationError(
            "No key was sent. Make one with `freehold keys create` and give it to the client as its API key.",
            code="missing_key",
            aws_code="MissingAuthenticationTokenException",
        )

    def _check_browser(self, name: str, value: str) -> None:
        """Refuse what a page of another site sends; SDKs in JavaScript send `sec-fetch-mode` alone: it says nothing."""
        if name == "sec-fetch-site":
            foreign = value.strip().lower() == "cross-site"
        else:
            foreign = not is_loopback_host(value.strip().partition("://")[2])
        if foreign:
            raise AuthenticationError(
                "A page of another site may not use a server that takes requests without a key: set [server] "
                "require_keys = true, or send the request from outside the browser.",
                code="foreign_origin",
                aws_code="AccessDeniedException",
                kind="permission",
            )


@lru_cache(maxsize=256)
def is_loopback_host(host: str) -> bool:
    """Whether a Host value, port and brackets included, is a loopback name or address."""
    name = _name_of(host)
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def is_loopback_peer(address: str) -> bool:
    """Whether a peer's address, as the socket tells it, is this machine's own."""
    try:
        peer = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = peer.ipv4_mapped if isinstance(peer, IPv6Address) else None
    return (mapped or peer).is_loopback


def _name_of(host: str) -> str:
    """The name or address in a Host value, in lower case, without port, brackets and a final dot; empty if it is none.

    Read strictly: what stands behind a bracket, or a user in front of an `@`, must not hide another name.
    """
    found = _HOST.fullmatch(host.lower())
    return "" if found is None else found[1] or found[2].removesuffix(".")


def _bearer(authorization: str) -> str:
    """The key in an `Authorization` value; the scheme may be missing or in any case, other schemes stay whole."""
    stripped = authorization.strip()
    return stripped[7:].strip() if stripped[:7].lower() == "bearer " else stripped.removeprefix("Bearer")


def _query_keys(query: str) -> list[str]:
    """The values of `key` in a raw query."""
    if "key=" not in query and "%" not in query:
        return []
    pairs = (pair.partition("=") for pair in query.split("&"))
    return [unquote_plus(value).strip() for name, _, value in pairs if unquote(name) == "key"]


def _check_usable(key: Key, peer: str, now: float, table: KeyTable) -> None:
    if key.revoked is not None:
        raise AuthenticationError(
            "The key was revoked: ask for a new one.", code="revoked_key", aws_code="UnrecognizedClientException"
        )
    if key.expires is not None and now >= key.expires:
        raise AuthenticationError(
            "The key has expired: ask for a new one.", code="expired_key", aws_code="ExpiredTokenException"
        )
    if not table.admits(key, peer):
        raise AuthenticationError(
            "The key may not be used from this network.",
            code="network_not_allowed",
            aws_code="AccessDeniedException",
            kind="permission",
        )


def _principal(key: Key, region: str | None = None) -> Principal:
    return Principal(
        project=key.project,
        key_id=key.id,
        key_name=key.name,
        models=key.models,
        region=region,
        strategy=key.strategy,
    )


def _invalid_key(message: str) -> AuthenticationError:
    return AuthenticationError(
        f"{message} `freehold keys list` shows the keys there are.",
        code="invalid_key",
        aws_code="UnrecognizedClientException",
    )


def _conflict() -> AuthenticationError:
    return AuthenticationError(
        "The request carries more than one of this server's keys: send one.",
        code="conflicting_keys",
        aws_code="IncompleteSignatureException",
    )


def _foreign_host(message: str) -> AuthenticationError:
    return AuthenticationError(message, code="foreign_host", aws_code="AccessDeniedException", kind="permission")
