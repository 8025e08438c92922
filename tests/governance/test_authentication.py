"""Who a request belongs to: every form of key, every way to be refused, with and without required keys."""

from __future__ import annotations

import random
import traceback
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.errors import CallerError, FreeholdError
from freehold.governance.authentication import (
    LOCAL,
    AuthenticationError,
    Authenticator,
    AwaitingBody,
    Principal,
    is_loopback_host,
)
from freehold.governance.keys import Key, KeyTable, Locksmith, Minted
from freehold.governance.secret import ServerSecret
from freehold.signing.sigv4 import Credentials, SignatureError, Signer

NOW = 1_795_312_800.0
SERVER_SECRET = ServerSecret(bytes(range(32)))
LOCKSMITH = Locksmith(SERVER_SECRET)
HOST = ("host", "localhost:8080")

RANDOM = random.Random(20261122).randbytes  # tests are named after what they try, so every process must mint the same

BEARER = LOCKSMITH.mint(project="shop", name="web", now=NOW, random=RANDOM)
OTHER = LOCKSMITH.mint(project="lab", name="notebook", now=NOW, random=RANDOM)
PAIR = LOCKSMITH.mint(project="bedrock", name="boto", now=NOW, aws=True, random=RANDOM)
FOREIGN = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"
Headers = Sequence[tuple[str, str]]


def table_of(*minted: Minted | Key) -> KeyTable:
    return KeyTable([each.key if isinstance(each, Minted) else each for each in minted])


TABLE = table_of(BEARER, OTHER, PAIR)


def bearer(minted: Minted = BEARER) -> str:
    assert minted.bearer is not None
    return minted.bearer


def judge(
    headers: Headers,
    *,
    require_keys: bool = True,
    query: str = "",
    path: str = "/v1/chat/completions",
    body: bytes = b"{}",
    peer: str = "127.0.0.1",
    now: float = NOW,
    table: KeyTable = TABLE,
    public_hosts: Sequence[str] = (),
) -> Principal:
    """Authenticate and, where a signature waits for it, hand in the body."""
    authenticator = Authenticator(SERVER_SECRET, require_keys=require_keys, public_hosts=public_hosts)
    sent = headers if any(name == "host" for name, _ in headers) else [HOST, *headers]
    answer = authenticator.authenticate(
        method="POST", path=path, query=query, headers=sent, peer=peer, now=now, table=table
    )
    return authenticator.prove(answer, body) if isinstance(answer, AwaitingBody) else answer


def signed(
    minted: Minted = PAIR,
    *,
    secret: str | None = None,
    path: str = "/v1/chat/completions",
    query: str = "",
    token: str | None = None,
    host: str = "localhost:8080",
) -> list[tuple[str, str]]:
    assert minted.key.access_key_id is not None
    assert minted.secret_access_key is not None
    credentials = Credentials(
        access_key_id=minted.key.access_key_id,
        secret_access_key=secret or minted.secret_access_key,
        session_token=token,
    )
    signer = Signer(region="ap-south-2", service="bedrock")
    return signer.sign(method="POST", host=host, path=path, query=query, body=b"{}", credentials=credentials, now=NOW)


def code_of(headers: Headers, **judged: object) -> str:
    with pytest.raises(CallerError) as caught:
        judge(headers, **judged)  # pyright: ignore[reportArgumentType]  each test passes what judge takes
    return caught.value.code


WAYS: list[tuple[list[tuple[str, str]], str]] = [
    ([("authorization", "Bearer {}")], ""),
    ([("authorization", "bearer   {}  ")], ""),
    ([("authorization", "{}")], ""),
    ([("x-api-key", "{}")], ""),
    ([("api-key", " {}")], ""),
    ([("x-goog-api-key", "{}")], ""),
    ([], "key={}"),
    ([], "alt=sse&key={}"),
    ([], "%6Bey={}&alt=sse"),
    ([("x-api-key", "{}"), ("api-key", "{}")], ""),  # AnthropicFoundry
    ([("authorization", "Bearer " + FOREIGN), ("x-api-key", "{}")], ""),
    ([("authorization", "Bearer "), ("x-api-key", "{}")], ""),
    ([("authorization", "Basic dXNlcjpwYXNz"), ("x-api-key", "{}")], ""),
]


@pytest.mark.parametrize("require_keys", [True, False])
@pytest.mark.parametrize(("headers", "query"), WAYS)
@pytest.mark.parametrize("path", ["/v1/messages", "/model/m%3A0/converse", "/v1beta/models/m:generateContent"])
def test_every_way_to_send_a_key_works_on_every_path(
    headers: Headers, query: str, path: str, *, require_keys: bool
) -> None:
    filled = [(name, value.format(bearer())) for name, value in headers]
    principal = judge(filled, query=query.format(bearer()), path=path, require_keys=require_keys)
    assert principal == Principal(project="shop", key_id=BEARER.key.id, key_name="web")


@pytest.mark.parametrize("require_keys", [True, False])
@pytest.mark.parametrize("path", ["/v1/messages", "/model/m%3A0/converse", "/openai/v1/responses"])
def test_a_signature_works_on_every_path_and_its_region_is_recorded(path: str, *, require_keys: bool) -> None:
    principal = judge(signed(path=path, query="type=a"), path=path, query="type=a", require_keys=require_keys)
    assert principal == Principal(project="bedrock", key_id=PAIR.key.id, key_name="boto", region="ap-south-2")


def test_the_head_of_a_signed_request_is_judged_before_its_body() -> None:
    authenticator = Authenticator(SERVER_SECRET, require_keys=True)
    answer = authenticator.authenticate(
        method="POST",
        path="/v1/chat/completions",
        query="",
        headers=[HOST, *signed()],
        peer="127.0.0.1",
        now=NOW,
        table=TABLE,
    )
    assert isinstance(answer, AwaitingBody)
    with pytest.raises(SignatureError):
        authenticator.prove(answer, b"{ }")


@pytest.mark.parametrize("require_keys", [True, False])
def test_a_wrong_secret_of_a_minted_pair_is_refused(*, require_keys: bool) -> None:
    assert code_of(signed(secret="x" * 40), require_keys=require_keys) == "signature_mismatch"


def wrong(text: str) -> list[str]:
    """A minted key, spoiled in several ways, that can still be seen to name it."""
    return [
        text[:-1] + ("0" if text[-1] != "0" else "1"),
        text[:-10],
        text[:16],
        text + "x",
        text[:20] + "_" + text[21:],
    ]


@pytest.mark.parametrize("require_keys", [True, False])
@pytest.mark.parametrize("spoiled", wrong(bearer()))
@pytest.mark.parametrize("name", ["authorization", "x-api-key", "api-key", "x-goog-api-key"])
def test_a_wrong_secret_of_a_minted_key_is_refused(name: str, spoiled: str, *, require_keys: bool) -> None:
    value = f"Bearer {spoiled}" if name == "authorization" else spoiled
    assert code_of([(name, value)], require_keys=require_keys) == "invalid_key"
    assert code_of([], query=f"key={spoiled}", require_keys=require_keys) == "invalid_key"


@pytest.mark.parametrize("require_keys", [True, False])
def test_a_wrong_key_beside_a_right_one_is_refused(*, require_keys: bool) -> None:
    headers = [("x-api-key", bearer()), ("authorization", f"Bearer {bearer(OTHER)[:-1]}")]
    assert code_of(headers, require_keys=require_keys) == "invalid_key"


@pytest.mark.parametrize("require_keys", [True, False])
def test_two_minted_keys_at_once_are_refused(*, require_keys: bool) -> None:
    two_bearers = [("x-api-key", bearer()), ("authorization", f"Bearer {bearer(OTHER)}")]
    assert code_of(two_bearers, require_keys=require_keys) == "conflicting_keys"
    assert code_of([("x-api-key", bearer()), *signed()], require_keys=require_keys) == "conflicting_keys"


@pytest.mark.parametrize("require_keys", [True, False])
def test_an_access_key_id_alone_proves_nothing(*, require_keys: bool) -> None:
    assert PAIR.key.access_key_id is not None
    assert code_of([("x-api-key", PAIR.key.access_key_id)], require_keys=require_keys) == "invalid_key"


@pytest.mark.parametrize("require_keys", [True, False])
def test_revoked_and_expired_keys_are_refused(*, require_keys: bool) -> None:
    for minted, headers in ((BEARER, [("x-api-key", bearer())]), (PAIR, signed())):
        revoked = table_of(msgspec.structs.replace(minted.key, revoked=NOW - 1))
        assert code_of(headers, table=revoked, require_keys=require_keys) == "revoked_key"
        expired = table_of(msgspec.structs.replace(minted.key, expires=NOW))
        assert code_of(headers, table=expired, require_keys=require_keys) == "expired_key"
        fresh = table_of(msgspec.structs.replace(minted.key, expires=NOW + 1))
        assert judge(headers, table=fresh, require_keys=require_keys).key_id == minted.key.id


def test_networks_of_a_key_are_kept() -> None:
    minted = LOCKSMITH.mint(project="p", name="n", now=NOW, networks=["10.1.0.0/16", "2001:db8::/32", "192.0.2.7"])
    table = table_of(minted)
    headers = [("x-api-key", bearer(minted))]
    for peer in ("10.1.2.3", "::ffff:10.1.2.3", "2001:db8::5", "192.0.2.7"):
        assert judge(headers, table=table, peer=peer).project == "p"
    for peer in ("10.2.0.1", "192.0.2.8", "2001:db9::1", "", "unix", "fe80::1%eth0"):
        assert code_of(headers, table=table, peer=peer) == "network_not_allowed"


def test_without_a_key_a_server_that_requires_one_refuses() -> None:
    assert code_of([]) == "missing_key"
    assert code_of([("authorization", "Bearer "), ("x-api-key", "")], query="key=") == "missing_key"


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ([("authorization", f"Bearer {FOREIGN}")], ""),
        ([("x-api-key", FOREIGN)], ""),
        ([("x-goog-api-key", "AIzaSyEXAMPLE")], ""),
        ([("authorization", "Basic dXNlcjpwYXNz")], ""),
        ([], "key=AIzaSyEXAMPLE"),
        ([("x-api-key", "fh_aaaaaaaaaaaa_neverminted")], ""),
        ([("authorization", "Bearer " + "x" * 100_000)], ""),
    ],
)
def test_a_credential_never_minted_is_local_without_required_keys_and_refused_with(
    headers: Headers, query: str
) -> None:
    assert judge(headers, query=query, require_keys=False) == LOCAL
    assert code_of(headers, query=query) == "invalid_key"


def test_a_foreign_signature_is_local_without_required_keys_and_refused_with() -> None:
    stranger = LOCKSMITH.mint(project="x", name="x", now=NOW, aws=True)
    for headers in (signed(stranger), signed(stranger, token="IQoJ"), [("authorization", "AWS4-HMAC-SHA256 nonsense")]):
        assert judge(headers, require_keys=False) == LOCAL
        with pytest.raises(AuthenticationError) as caught:
            judge(headers)
        assert caught.value.aws_code == "UnrecognizedClientException"


def test_no_credential_at_all_is_local_without_required_keys() -> None:
    assert judge([], require_keys=False) == LOCAL
    assert LOCAL.project == "local"


@pytest.mark.parametrize("require_keys", [True, False])
def test_a_malformed_signature_that_names_a_minted_pair_is_refused(*, require_keys: bool) -> None:
    for text in (
        f"AWS4-HMAC-SHA256 Credential={PAIR.key.access_key_id}",
        f"AWS4-ECDSA-P256-SHA256 Credential={PAIR.key.access_key_id}/20261122/bedrock/aws4_request",
    ):
        assert code_of([("authorization", text)], require_keys=require_keys) == "signature_incomplete"


@pytest.mark.parametrize("require_keys", [True, False])
def test_a_presigned_query_of_a_minted_pair_is_refused(*, require_keys: bool) -> None:
    query = f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={PAIR.key.access_key_id}%2F20261122&X-Amz-Signature=0"
    assert code_of([], query=query, require_keys=require_keys) == "presigned_request"
    assert code_of(signed(query=query), query=query, require_keys=require_keys) == "presigned_request"


def test_a_foreign_presigned_query_is_local_without_required_keys_and_refused_with() -> None:
    query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261122&X-Amz-Signature=0"
    assert judge([], query=query, require_keys=False) == LOCAL
    assert code_of([], query=query) == "presigned_request"


def test_two_signatures_at_once_are_refused() -> None:
    assert code_of([*signed(), *signed()]) == "signature_incomplete"


def test_a_session_token_with_a_minted_pair_is_refused() -> None:
    assert code_of(signed(token="IQoJb3JpZ2luX2Vj"), require_keys=False) == "session_token"


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8080",
        "localhost.:80",
        "127.0.0.1:8080",
        "127.8.9.1",
        "[::1]:8080",
        "[::1]",
        "app.localhost:1",
    ],
)
def test_loopback_names_are_ours(host: str) -> None:
    assert is_loopback_host(host)
    assert judge([("host", host)], require_keys=False) == LOCAL


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.nip.io",
        "10.0.0.1:8080",
        "[::2]",
        "0.0.0.0:8080",
        "notlocalhost",
        "127.1",
    ],
)
def test_other_hosts_are_refused_without_required_keys_even_with_a_key(host: str) -> None:
    assert code_of([("host", host)], require_keys=False) == "foreign_host"
    assert code_of([("host", host), ("x-api-key", bearer())], require_keys=False) == "foreign_host"
    assert judge([("host", host), ("x-api-key", bearer())]).project == "shop"


def test_a_signature_for_a_public_host_holds_behind_a_proxy_that_rewrites_host() -> None:
    headers = signed(host="bedrock.acme.example")
    assert code_of(headers) == "signature_mismatch"
    assert judge(headers, public_hosts=["x", "bedrock.acme.example"]).project == "bedrock"
    assert judge(headers, public_hosts=["bedrock.acme.example", "x"]).project == "bedrock"
    assert judge(signed(), public_hosts=["bedrock.acme.example"]).project == "bedrock"
    assert code_of(signed(host="y"), public_hosts=["x"]) == "signature_mismatch"


def test_a_public_host_is_no_loopback_name() -> None:
    assert code_of([("host", "gateway")], require_keys=False, public_hosts=["gateway"]) == "foreign_host"


def test_a_host_sent_twice_is_refused() -> None:
    assert code_of([HOST, HOST], require_keys=False) == "foreign_host"


@pytest.mark.parametrize(
    "header",
    [
        ("origin", "https://evil.example"),
        ("origin", "http://localhost.evil.example"),
        ("origin", "null"),
        ("origin", "file://"),
        ("origin", "vscode-webview://abc"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", " Cross-Site "),
    ],
)
def test_pages_of_other_sites_are_refused_without_required_keys(header: tuple[str, str]) -> None:
    assert code_of([header], require_keys=False) == "foreign_origin"
    assert code_of([header, ("x-api-key", bearer())], require_keys=False) == "foreign_origin"
    assert judge([header, ("x-api-key", bearer())]).project == "shop"


@pytest.mark.parametrize(
    "header",
    [
        ("origin", "http://localhost:3000"),
        ("origin", "http://127.0.0.1:5173"),
        ("origin", "http://[::1]:5173"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "none"),
        ("sec-fetch-mode", "cors"),  # every SDK that runs on undici
    ],
)
def test_pages_of_this_machine_may_pass(header: tuple[str, str]) -> None:
    assert judge([header], require_keys=False) == LOCAL


def test_a_key_may_use_the_models_it_lists() -> None:
    minted = LOCKSMITH.mint(project="p", name="n", now=NOW, models=["assistant", "azure/gpt-*"])
    principal = judge([("x-api-key", bearer(minted))], table=table_of(minted))
    assert [principal.may_use(model) for model in ("assistant", "azure/gpt-5", "Assistant", "openai/gpt-5")] == [
        True,
        True,
        False,
        False,
    ]
    assert LOCAL.may_use("anything")


def test_a_secret_encrypted_under_another_server_secret_is_our_trouble_not_the_callers() -> None:
    authenticator = Authenticator(ServerSecret(bytes(32)), require_keys=True)
    answer = authenticator.authenticate(
        method="POST",
        path="/v1/chat/completions",
        query="",
        headers=[HOST, *signed()],
        peer="",
        now=NOW,
        table=TABLE,
    )
    assert isinstance(answer, AwaitingBody)
    with pytest.raises(FreeholdError) as caught:
        authenticator.prove(answer, b"{}")
    assert (caught.value.code, caught.value.status) == ("server_secret_changed", 500)


def test_no_refusal_repeats_a_credential() -> None:
    secrets = [bearer()[:-1], FOREIGN, bearer(OTHER), "IQoJb3JpZ2luX2Vj"]
    attempts: list[Headers] = [
        [("x-api-key", bearer()[:-1])],
        [("x-api-key", FOREIGN)],
        [("x-api-key", bearer(OTHER)), ("api-key", bearer())],
        signed(token="IQoJb3JpZ2luX2Vj"),
        signed(secret="y" * 40),
    ]
    for headers in attempts:
        with pytest.raises(CallerError) as caught:
            judge(headers)
        shown = "".join(traceback.format_exception_only(caught.value)) + repr(caught.value.__dict__)
        assert not any(secret in shown for secret in secrets)


@given(
    headers=st.lists(
        st.tuples(
            st.sampled_from(["authorization", "x-api-key", "api-key", "x-goog-api-key", "origin", "sec-fetch-site"]),
            st.text(max_size=60)
            | st.just(bearer())
            | st.just(f"Bearer {bearer()}")
            | st.just("AWS4-HMAC-SHA256 Credential="),
        ),
        max_size=5,
    ),
    query=st.text(max_size=40) | st.just(f"key={bearer()}"),
    require_keys=st.booleans(),
)
def test_any_request_is_judged_without_a_crash(
    headers: list[tuple[str, str]], query: str, *, require_keys: bool
) -> None:
    try:
        principal = judge(headers, query=query, require_keys=require_keys)
    except CallerError:
        return
    assert principal.project in {"local", "shop"}
    assert principal.project == "shop" or not require_keys
