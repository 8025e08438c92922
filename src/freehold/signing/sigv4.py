"""AWS Signature Version 4: one canonical form, a signer for upstream calls and a verifier for callers.

The canonical form is AWS's for every service but S3; these, one to a line:

    METHOD / path, percent-encoded once more / query pairs, sorted / signed headers / their names / SHA-256 of the body

The verifier is two steps, so that a server can refuse most bad requests before it reads a body:
`read_claim` needs the head alone, `check_claim` needs the body and the secret.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final, Literal
from urllib.parse import quote, unquote

import msgspec

from freehold.errors import CallerError

ALGORITHM: Final = "AWS4-HMAC-SHA256"

SERVICES: Final = frozenset({"bedrock", "bedrock-mantle", "aws-external-anthropic"})
"""Service names a caller may sign for: the AWS SDKs' and OpenAI's, Anthropic's Mantle client's, `AnthropicAWS`'s."""

WINDOW: Final = 300
"""Seconds that a signature's date may lie before or after our clock; Bedrock allows the same 5 minutes."""

_EMPTY_SHA256: Final = sha256(b"").hexdigest()
_LONGEST_AUTHORIZATION: Final = 8192  # bytes; the longest seen, with every x-stainless header signed, is under 700
_KEYS_REMEMBERED: Final = 1024

_ACCESS_KEY_ID = re.compile(r"[A-Za-z0-9_]{4,128}")
_NAMED_ACCESS_KEY_ID = re.compile(r"Credential\s*=\s*([A-Za-z0-9_]{4,128})")
_REGION = re.compile(r"[a-z0-9-]{1,64}")
_TIMESTAMP = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_AUTHORITY: Final = ":authority"
"""What the AWS SDK for JavaScript signs on HTTP/2 in place of `host` (seen in 3.1162, November 2026)."""
_ONCE = frozenset({"authorization", "host", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"})

AwsCode = Literal[
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "UnrecognizedClientException",
]
"""The names that Bedrock gives to refused credentials, in `x-amzn-errortype`; always with status 403."""


class SignatureError(CallerError):
    """A signed request that was not accepted; `aws_code` is what Bedrock would call it."""

    def __init__(self, message: str, *, code: str, aws_code: AwsCode) -> None:
        super().__init__(message, code=code, kind="authentication", status=403)
        self.aws_code: AwsCode = aws_code


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """An AWS credential; `session_token` is None for a long-lived pair. Its repr shows no secret."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None

    def __repr__(self) -> str:
        return f"Credentials(access_key_id={self.access_key_id!r}, secret_access_key='***')"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """As `repr`: rich would otherwise print every field in a traceback."""
        return [("access_key_id", self.access_key_id)]


class SignatureClaim(msgspec.Struct, frozen=True, kw_only=True):
    """What a signed request asserts, its head already in canonical form; nothing about it is proven yet."""

    access_key_id: str
    timestamp: str
    region: str
    service: str
    signature: str
    declared_sha256: str | None
    canonical_head: str

    @property
    def scope(self) -> str:
        """The credential scope: day, region and service that the signing key is derived for."""
        return f"{self.timestamp[:8]}/{self.region}/{self.service}/aws4_request"


class SigningKeys:
    """Derived signing keys of recent days, regions and services; bounded, the oldest entry leaves first."""

    def __init__(self) -> None:
        self._keys: dict[tuple[str, str, str, str], bytes] = {}

    def key(self, *, secret: str, day: str, region: str, service: str) -> bytes:
        """The key for one scope, derived when it is first asked for."""
        index = (secret, day, region, service)
        key = self._keys.get(index)
        if key is None:
            if len(self._keys) >= _KEYS_REMEMBERED:
                del self._keys[next(iter(self._keys))]
            key = self._keys[index] = derive_key(secret, day, region, service)
        return key


class Signer:
    """Signs requests to one region and service; remembers the day's derived keys."""

    def __init__(self, *, region: str, service: str) -> None:
        self.region = region
        self.service = service
        self._keys = SigningKeys()

    def sign(
        self,
        *,
        method: str,
        host: str,
        path: str,
        query: str = "",
        headers: Sequence[tuple[str, str]] = (),
        body: bytes,
        credentials: Credentials,
        now: float,
    ) -> list[tuple[str, str]]:
        """The headers to add, `authorization` among them.

        `host`, `path` and `query` are as they will stand on the wire; `now` is Unix seconds. Of `headers` only
        `content-type` and `x-amz…` are signed, as boto3 does: what a proxy may rewrite can not break a signature.
        """
        timestamp = format_timestamp(now)
        added = [("x-amz-date", timestamp)]
        if credentials.session_token is not None:
            added.append(("x-amz-security-token", credentials.session_token))
        grouped: dict[str, list[str]] = {"host": [host]}
        for name, value in (*headers, *added):
            lowered = name.lower()
            if lowered == "content-type" or lowered.startswith("x-amz"):
                grouped.setdefault(lowered, []).append(value)
        names = sorted(grouped)
        head = _canonical_head(method, path, query, names, grouped)
        scope = f"{timestamp[:8]}/{self.region}/{self.service}/aws4_request"
        key = self._keys.key(
            secret=credentials.secret_access_key,
            day=timestamp[:8],
            region=self.region,
            service=self.service,
        )
        signature = _signature(key, timestamp, scope, head, _sha256(body))
        credential = f"Credential={credentials.access_key_id}/{scope}"
        added.append(
            ("authorization", f"{ALGORITHM} {credential}, SignedHeaders={';'.join(names)}, Signature={signature}")
        )
        return added


def is_signed(authorization: str) -> bool:
    """Whether an `Authorization` value is an AWS signature, of whatever version and however malformed."""
    return authorization.lstrip()[:4].upper() == "AWS4"


def named_access_key_id(authorization: str) -> str | None:
    """The access key id that an `Authorization` value names, read leniently: it may be malformed otherwise."""
    found = _NAMED_ACCESS_KEY_ID.search(authorization[:_LONGEST_AUTHORIZATION])
    return None if found is None else found[1]


def presigned_access_key_id(query: str) -> str | None:
    """The access key id of a presigned URL; empty when it names none, None when the URL is not presigned."""
    if "amz" not in query.lower() and "%" not in query:
        return None
    presigned: str | None = None
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        match unquote(name).lower():
            case "x-amz-credential":
                return unquote(value).partition("/")[0]
            case "x-amz-algorithm" | "x-amz-signature":
                presigned = ""
            case _:
                pass
    return presigned


def read_claim(
    *,
    method: str,
    host: str,
    path: str,
    query: str,
    headers: Iterable[tuple[str, str]],
    authorization: str,
    now: float,
) -> SignatureClaim:
    """Everything that can be judged from a signed request's head.

    `host` is the Host as received (`:authority` on HTTP/2), `path` and `query` are raw; names in `headers` may be of
    any case. Raises SignatureError.
    """
    if presigned_access_key_id(query) is not None:
        raise SignatureError(
            "A presigned URL can not authenticate here: sign the request with an Authorization header.",
            code="presigned_request",
            aws_code="IncompleteSignatureException",
        )
    access_key_id, day, region, service, names, signature = _read_authorization(authorization)
    grouped = _group(headers, host)
    if "host" not in names and _AUTHORITY not in names:
        raise _incomplete("'host' must be a 'SignedHeader' in the AWS Authorization.")
    if "x-amz-date" not in names:
        raise _incomplete("'x-amz-date' must be a 'SignedHeader' in the AWS Authorization.")
    for name in names:
        if name not in grouped:
            raise _mismatch(f"The signed header '{name}' did not arrive: a proxy may have removed it.")
    timestamp = grouped["x-amz-date"][0].strip()
    _check_date(timestamp, day, now)
    if any(value.strip() for value in grouped.get("x-amz-security-token", ())):
        raise SignatureError(
            "The security token included in the request is invalid. Freehold mints no session tokens: "
            "sign with an access key pair from `freehold keys create --aws` and unset AWS_SESSION_TOKEN.",
            code="session_token",
            aws_code="UnrecognizedClientException",
        )
    declared = grouped.get("x-amz-content-sha256")
    if any(segment in {".", ".."} for segment in path.split("/")) or _CONTROL.search(path) or _CONTROL.search(query):
        raise _mismatch("The path of a signed request may hold neither '.' and '..' segments nor control characters.")
    return SignatureClaim(
        access_key_id=access_key_id,
        timestamp=timestamp,
        region=region,
        service=service,
        signature=signature,
        declared_sha256=None if declared is None else _check_declared(declared[0].strip()),
        canonical_head=_canonical_head(method, path, query, names, grouped),
    )


def check_claim(claim: SignatureClaim, *, secret: str, body: bytes, keys: SigningKeys) -> None:
    """Prove a claim against the secret of the key it names and the body as received; raises SignatureError."""
    payload = _sha256(body)
    if claim.declared_sha256 is not None and claim.declared_sha256 != payload:
        raise _mismatch("The body is not the one that was signed: its SHA-256 differs from x-amz-content-sha256.")
    key = keys.key(
        secret=secret,
        day=claim.timestamp[:8],
        region=claim.region,
        service=claim.service,
    )
    expected = _signature(key, claim.timestamp, claim.scope, claim.canonical_head, payload)
    if not hmac.compare_digest(expected, claim.signature):
        raise _mismatch(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
            "Access Key and signing method; a proxy that rewrites Host, path or signed headers breaks signatures too."
        )


def derive_key(secret: str, day: str, region: str, service: str) -> bytes:
    """The signing key for one day (`YYYYMMDD`), region and service."""
    key = hmac.digest(b"AWS4" + secret.encode(), day.encode(), "sha256")
    for part in (region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def format_timestamp(now: float) -> str:
    """Unix seconds as `YYYYMMDDTHHMMSSZ`."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")


def canonical_path(path: str) -> str:
    """The raw path, empty and repeated slashes collapsed, percent-encoded once more: `%3A` becomes `%253A`.

    Every signer seen (botocore, aws4fetch, the AWS SDK for JavaScript) collapses slashes for services other than S3.
    """
    if "//" in path:
        path = re.sub(r"/{2,}", "/", path)
    return quote(path or "/", safe="/~", errors="surrogatepass")


def canonical_query(query: str) -> str:
    """The raw pairs, sorted by name and then value, not re-encoded; a bare name counts as an empty value."""
    if not query:
        return ""
    pairs: list[tuple[str, str]] = []
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        pairs.append((name, value))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _canonical_head(
    method: str, path: str, query: str, names: Sequence[str], grouped: Mapping[str, Sequence[str]]
) -> str:
    lines = [method, canonical_path(path), canonical_query(query)]
    # Runs of white space count as one blank; repeated headers join in the order in which they arrived.
    lines.extend(f"{name}:{','.join([' '.join(value.split()) for value in grouped[name]])}" for name in names)
    lines.append("")
    lines.append(";".join(names))
    lines.append("")
    return "\n".join(lines)


def _signature(key: bytes, timestamp: str, scope: str, head: str, payload: str) -> str:
    canonical = sha256((head + payload).encode(errors="surrogatepass")).hexdigest()
    return hmac.digest(key, f"{ALGORITHM}\n{timestamp}\n{scope}\n{canonical}".encode(), "sha256").hex()


def _sha256(body: bytes) -> str:
    return sha256(body).hexdigest() if body else _EMPTY_SHA256


def _group(headers: Iterable[tuple[str, str]], host: str) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in headers:
        grouped.setdefault(name.lower(), []).append(value)
    for name in _ONCE:
        if len(grouped.get(name, ())) > 1:
            raise _incomplete(f"The header '{name}' must be sent once.")
    if host:
        grouped["host"] = grouped[_AUTHORITY] = [host]
    return grouped


def _read_authorization(authorization: str) -> tuple[str, str, str, str, list[str], str]:
    """Access key id, day, region, service, signed header names and signature."""
    if len(authorization) > _LONGEST_AUTHORIZATION:
        raise _incomplete("The Authorization header is too long.")
    algorithm, _, rest = authorization.strip().partition(" ")
    if algorithm != ALGORITHM:
        raise _incomplete(f"The Authorization header must use {ALGORITHM}.")
    fields: dict[str, str] = {}
    for field in rest.split(","):
        name, equals, value = field.strip().partition("=")
        if not equals or name in fields or name not in {"Credential", "SignedHeaders", "Signature"}:
            raise _incomplete("The Authorization header must hold Credential, SignedHeaders and Signature, once each.")
        fields[name] = value
    if len(fields) != 3:
        missing = next(name for name in ("Credential", "SignedHeaders", "Signature") if name not in fields)
        raise _incomplete(f"Authorization header requires '{missing}' parameter.")
    credential = fields["Credential"].split("/")
    if len(credential) != 5 or credential[4] != "aws4_request" or not _ACCESS_KEY_ID.fullmatch(credential[0]):
        raise _incomplete("Credential must be <access key id>/<YYYYMMDD>/<region>/<service>/aws4_request.")
    access_key_id, day, region, service, _ = credential
    if not _REGION.fullmatch(region):
        raise _incomplete("Credential should be scoped to a valid region.")
    if service not in SERVICES:
        raise SignatureError(
            f"Credential should be scoped to one of the services {', '.join(sorted(SERVICES))}.",
            code="signature_mismatch",
            aws_code="InvalidSignatureException",
        )
    names = fields["SignedHeaders"].split(";")
    if names != sorted(set(names)) or not all(name == _AUTHORITY or _HEADER_NAME.fullmatch(name) for name in names):
        raise _incomplete("SignedHeaders must be lower-case header names, sorted, once each.")
    if not _SIGNATURE.fullmatch(fields["Signature"]):
        raise _incomplete("Signature must be 64 lower-case hexadecimal digits.")
    return access_key_id, day, region, service, names, fields["Signature"]


def _check_date(timestamp: str, day: str, now: float) -> None:
    if not _TIMESTAMP.fullmatch(timestamp):
        raise _incomplete("X-Amz-Date must be in ISO-8601 'basic format': YYYYMMDDTHHMMSSZ.")
    if timestamp[:8] != day:
        raise _mismatch("Date in Credential scope does not match the day of X-Amz-Date.")
    try:
        signed_at = datetime(
            int(timestamp[:4]),
            int(timestamp[4:6]),
            int(timestamp[6:8]),
            int(timestamp[9:11]),
            int(timestamp[11:13]),
            int(timestamp[13:15]),
            tzinfo=UTC,
        ).timestamp()
    except ValueError:
        raise _incomplete("X-Amz-Date is not a date.") from None
    if signed_at < now - WINDOW:
        raise SignatureError(
            f"Signature expired: {timestamp} is now earlier than {format_timestamp(now - WINDOW)} "
            f"({format_timestamp(now)} - 5 min.)",
            code="signature_expired",
            aws_code="InvalidSignatureException",
        )
    if signed_at > now + WINDOW:
        raise SignatureError(
            f"Signature not yet current: {timestamp} is still later than {format_timestamp(now + WINDOW)} "
            f"({format_timestamp(now)} + 5 min.)",
            code="signature_expired",
            aws_code="InvalidSignatureException",
        )


def _check_declared(declared: str) -> str:
    if not _SIGNATURE.fullmatch(declared):
        raise SignatureError(
            "x-amz-content-sha256 must be the SHA-256 of the body in lower-case hexadecimal; "
            "UNSIGNED-PAYLOAD and STREAMING-… are not accepted.",
            code="unsigned_payload",
            aws_code="InvalidSignatureException",
        )
    return declared


def _incomplete(message: str) -> SignatureError:
    return SignatureError(message, code="signature_incomplete", aws_code="IncompleteSignatureException")


def _mismatch(message: str) -> SignatureError:
    return SignatureError(message, code="signature_mismatch", aws_code="InvalidSignatureException")
