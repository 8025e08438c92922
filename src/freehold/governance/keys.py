"""Keys: what they are, how they are minted, and the table in which the data plane looks them up.

A bearer key reads `fh_<id>_<43 random characters><6 of checksum>`; only its HMAC is kept. An AWS pair is an access key
id `FHAK…` and a secret of 40 characters; verification needs the secret, so it is kept encrypted. Both are shown once.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from zlib import crc32

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from freehold.errors import FreeholdError
from freehold.governance.secret import ServerSecret

BEARER_PREFIX: Final = "fh_"
ACCESS_KEY_PREFIX: Final = "FHAK"

_BASE32: Final = "abcdefghijklmnopqrstuvwxyz234567"
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_NAMES_ID = re.compile(r"fh_([a-z2-7]{12})(?![a-z2-7])")

Network = IPv4Network | IPv6Network
Random = Callable[[int], bytes]


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One minted key as it is kept: no secret can be read from it without the server secret.

    Times are Unix seconds. Empty allow-lists allow everything. Either `digest` is set (a bearer key) or `access_key_id`
    and `sealed_secret` are (an AWS pair). `strategy` chooses among targets instead of the model's own.
    """

    id: str
    project: str
    name: str
    created: float
    expires: float | None = None
    revoked: float | None = None
    models: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    digest: bytes | None = None
    access_key_id: str | None = None
    sealed_secret: bytes | None = None
    strategy: str | None = None

    def __repr__(self) -> str:
        return f"Key(id={self.id!r}, project={self.project!r}, name={self.name!r})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """As `repr`: digests and sealed secrets have no business in a traceback."""
        return [("id", self.id), ("project", self.project), ("name", self.name)]


class Minted(msgspec.Struct, frozen=True, kw_only=True):
    """A new key with its secret, which exists nowhere else. Its repr shows no secret."""

    key: Key
    bearer: str | None
    secret_access_key: str | None

    def __repr__(self) -> str:
        return f"Minted(key={self.key!r})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """As `repr`."""
        return [("key", self.key)]


class Locksmith:
    """Makes keys and reads what is kept of them, with keys derived from the server secret."""

    __slots__ = ("_cipher", "_hash")

    def __init__(self, secret: ServerSecret) -> None:
        # A started HMAC that each check copies: half the time of starting anew.
        self._hash = hmac.new(secret.subkey("keys-hash"), digestmod="sha256")
        self._cipher = AESSIV(secret.subkey("aws-secrets", 64))

    def digest(self, bearer: str) -> bytes:
        """What is kept of a bearer key, and what it is looked up by."""
        hasher = self._hash.copy()
        hasher.update(bearer.encode(errors="surrogatepass"))
        return hasher.digest()

    def open_secret(self, key: Key) -> str:
        """The secret of an AWS pair.

        Raises FreeholdError `server_secret_changed` when it was encrypted under another server secret.
        """
        if key.sealed_secret is None:
            raise ValueError(f"key {key.id} is not an AWS pair")
        try:
            return self._cipher.decrypt(key.sealed_secret, [key.id.encode()]).decode()
        except InvalidTag:
            raise FreeholdError(
                f"The secret of key {key.id} was encrypted under another server secret: restore [server] secret or the "
                "secret file beside the database.",
                code="server_secret_changed",
                kind="internal",
            ) from None

    def mint(
        self,
        *,
        project: str,
        name: str,
        now: float,
        aws: bool = False,
        expires: float | None = None,
        models: Iterable[str] = (),
        networks: Iterable[str] = (),
        strategy: str | None = None,
        random: Random = secrets.token_bytes,
    ) -> Minted:
        """A new bearer key, or with `aws` an access key pair.

        `models` are names that may hold `*`; `networks` are addresses in CIDR notation. Raises ValueError for a network
        that is none.
        """
        key_id = _letters(_BASE32, 12, random)
        key = Key(
            id=key_id,
            project=project,
            name=name,
            created=now,
            expires=expires,
            models=tuple(models),
            networks=tuple(str(ip_network(network, strict=False)) for network in networks),
            strategy=strategy,
        )
        if aws:
            secret = _letters(_BASE62, 40, random)
            pair = msgspec.structs.replace(
                key,
                access_key_id=ACCESS_KEY_PREFIX + _letters(_BASE32, 16, random).upper(),
                sealed_secret=self._cipher.encrypt(secret.encode(), [key_id.encode()]),
            )
            return Minted(key=pair, bearer=None, secret_access_key=secret)
        bearer = _with_checksum(f"{BEARER_PREFIX}{key_id}_{_letters(_BASE62, 43, random)}")
        hashed = msgspec.structs.replace(key, digest=self.digest(bearer))
        return Minted(key=hashed, bearer=bearer, secret_access_key=None)


class KeyTable:
    """An immutable snapshot of all keys, revoked ones included, with constant-time look-up.

    A look-up by digest needs no constant-time comparison: the digest is keyed, so its bytes tell a caller nothing.
    """

    __slots__ = ("_by_access_key_id", "_by_digest", "_by_id", "_networks", "keys")

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self.keys = tuple(keys)
        self._by_id = {key.id: key for key in self.keys}
        self._by_digest = {key.digest: key for key in self.keys if key.digest is not None}
        self._by_access_key_id = {key.access_key_id: key for key in self.keys if key.access_key_id is not None}
        self._networks = {key.id: tuple(map(ip_network, key.networks)) for key in self.keys if key.networks}

    def __repr__(self) -> str:
        return f"KeyTable({len(self.keys)} keys)"

    def by_digest(self, digest: bytes) -> Key | None:
        """The key whose bearer has this digest."""
        return self._by_digest.get(digest)

    def by_access_key_id(self, access_key_id: str) -> Key | None:
        """The AWS pair with this access key id."""
        return self._by_access_key_id.get(access_key_id)

    def named_by(self, credential: str) -> Key | None:
        """The minted key that a wrong credential names: by the id within a bearer key, or as a bare access key id."""
        key_id = id_of_bearer(credential)
        return self._by_access_key_id.get(credential) if key_id is None else self._by_id.get(key_id)

    def admits(self, key: Key, peer: str) -> bool:
        """Whether the key may be used from this address; an address that is none only where every network may."""
        networks = self._networks.get(key.id)
        if networks is None:
            return True
        address = _address(peer)
        return address is not None and any(address in network for network in networks)


def encode_keys(table: KeyTable) -> bytes:
    """A table for another process that holds the same server secret; it contains no readable secret."""
    return msgspec.msgpack.encode(table.keys)


def decode_keys(encoded: bytes) -> KeyTable:
    """The table that `encode_keys` wrote. Raises msgspec.DecodeError."""
    return KeyTable(msgspec.msgpack.decode(encoded, type=tuple[Key, ...]))


def id_of_bearer(text: str) -> str | None:
    """The id within a bearer key, or what is left of one."""
    found = _NAMES_ID.match(text)
    return None if found is None else found[1]


def has_checksum(bearer: str) -> bool:
    """Whether a string is a bearer key without a slip of the pen; says nothing about whether it was minted."""
    return bearer.startswith(BEARER_PREFIX) and len(bearer) > 6 and bearer == _with_checksum(bearer[:-6])


def _with_checksum(text: str) -> str:
    checksum = crc32(text.encode())
    digits = ""
    for _ in range(6):
        checksum, digit = divmod(checksum, 62)
        digits = _BASE62[digit] + digits
    return text + digits


def _letters(alphabet: str, count: int, random: Random) -> str:
    """Uniform letters: a byte beyond the largest multiple of the alphabet is drawn again."""
    size = len(alphabet)
    limit = 256 - 256 % size
    letters = ""
    while len(letters) < count:
        letters += "".join(alphabet[byte % size] for byte in random(count) if byte < limit)
    return letters[:count]


def _address(peer: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped
