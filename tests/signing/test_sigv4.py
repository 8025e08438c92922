"""The signer and the verifier against each other, against botocore, and against every change on the way."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, TypedDict, Unpack

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.signing.sigv4 import (
    SERVICES,
    Credentials,
    SignatureError,
    Signer,
    SigningKeys,
    check_claim,
    format_timestamp,
    is_signed,
    named_access_key_id,
    presigned_access_key_id,
    read_claim,
)

NOW = 1_795_312_800.0
ACCESS_KEY_ID = "FHAKABCDEFGHIJKLMNOP"
SECRET = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00"
PAIR = Credentials(access_key_id=ACCESS_KEY_ID, secret_access_key=SECRET)
ARN = "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3Aapplication-inference-profile%2Fab%2Fc%20d/converse"

Headers = list[tuple[str, str]]


def sign_with_botocore(
    *, url: str, method: str, headers: dict[str, str], body: bytes, service: str, region: str, token: str | None = None
) -> Headers:
    """What botocore would send: the given headers and those that its signer adds."""
    request: Any = botocore.awsrequest.AWSRequest(method=method, url=url, headers=headers, data=body)
    credentials = botocore.credentials.Credentials(ACCESS_KEY_ID, SECRET, token)
    with pytest.MonkeyPatch.context() as patch:
        frozen = dt.datetime.fromtimestamp(NOW, dt.UTC).replace(tzinfo=None)
        patch.setattr(botocore.auth, "get_current_datetime", lambda: frozen)
        botocore.auth.SigV4Auth(credentials, service, region).add_auth(request)
    return [(name, str(value)) for name, value in request.headers.items()]


def verify(
    headers: Headers,
    *,
    method: str = "POST",
    host: str = "gateway.test:8080",
    path: str = "/model/m/converse",
    query: str = "",
    body: bytes = b"{}",
    secret: str = SECRET,
    now: float = NOW,
) -> str:
    """Verify as a server does; the access key id that was proven."""
    authorization = next(value for name, value in headers if name.lower() == "authorization")
    claim = read_claim(
        method=method, host=host, path=path, query=query, headers=headers, authorization=authorization, now=now
    )
    check_claim(claim, secret=secret, body=body, keys=SigningKeys())
    return claim.access_key_id


class Received(TypedDict, total=False):
    """The parts of a request that a test sets apart from the ordinary one."""

    method: str
    host: str
    path: str
    query: str
    body: bytes
    secret: str
    now: float


def signed(
    *,
    method: str = "POST",
    host: str = "gateway.test:8080",
    path: str = "/model/m/converse",
    query: str = "",
    headers: Sequence[tuple[str, str]] = (("content-type", "application/json"),),
    body: bytes = b"{}",
    credentials: Credentials = PAIR,
    service: str = "bedrock",
) -> Headers:
    """The headers of a well signed request."""
    signer = Signer(region="eu-central-1", service=service)
    added = signer.sign(
        method=method, host=host, path=path, query=query, headers=headers, body=body, credentials=credentials, now=NOW
    )
    return [*headers, *added]


def refused(headers: Headers, **request: Unpack[Received]) -> SignatureError:
    with pytest.raises(SignatureError) as caught:
        verify(headers, **request)
    return caught.value


segments = st.text(alphabet="abcXYZ019-_.~%:;@!$&'()*+,=/é ", max_size=24).map(lambda raw: raw.replace("//", "/"))
raw_paths = st.sampled_from(
    [
        "/",
        "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse",
        "/model/us.anthropic.claude-sonnet-4-5-20250929-v1:0/invoke-with-response-stream",
        ARN,
        "/prefix/model/a%2Fb%20c/invoke",
        "//model///m/invoke/",
    ]
) | segments.map(
    lambda text: (
        "/"
        + "/".join(
            part for part in text.replace(" ", "%20").replace("é", "%C3%A9").split("/") if part not in {".", ".."}
        )
    )
)
raw_queries = st.lists(
    st.tuples(
        st.sampled_from(["type", "b", "a", "A", "a%20b", "max-results"]), st.sampled_from(["", "1", "a+b", "%2F"])
    ),
    max_size=4,
).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs))
header_values = st.text(alphabet="abc ,;=\t/\"'0é", max_size=12)
extra_headers = st.dictionaries(
    st.sampled_from(["Content-Type", "accept", "X-Stainless-Lang", "x-amzn-bedrock-trace", "anthropic-beta", "cookie"]),
    header_values,
)


@given(
    path=raw_paths,
    query=raw_queries,
    headers=extra_headers,
    body=st.binary(max_size=64),
    service=st.sampled_from(sorted(SERVICES)),
)
def test_what_botocore_signs_is_verified(
    path: str, query: str, headers: dict[str, str], body: bytes, service: str
) -> None:
    url = f"https://gateway.test{path}" + (f"?{query}" if query else "")
    sent = sign_with_botocore(url=url, method="POST", headers=headers, body=body, service=service, region="us-west-2")
    assert verify(sent, host="gateway.test", path=path, query=query, body=body) == ACCESS_KEY_ID


@given(
    path=raw_paths, query=raw_queries, body=st.binary(max_size=64), token=st.none() | st.just("FwoGZXIvYXdzEXAMPLE==")
)
def test_our_signatures_are_botocores(path: str, query: str, body: bytes, token: str | None) -> None:
    url = f"https://bedrock-runtime.us-west-2.amazonaws.com{path}" + (f"?{query}" if query else "")
    content_type = {"content-type": "application/json"}
    theirs = sign_with_botocore(
        url=url, method="POST", headers=content_type, body=body, service="bedrock", region="us-west-2", token=token
    )
    ours = Signer(region="us-west-2", service="bedrock").sign(
        method="POST",
        host="bedrock-runtime.us-west-2.amazonaws.com",
        path=path,
        query=query,
        headers=list(content_type.items()),
        body=body,
        credentials=Credentials(access_key_id=ACCESS_KEY_ID, secret_access_key=SECRET, session_token=token),
        now=NOW,
    )
    assert dict(ours)["authorization"] == {name.lower(): value for name, value in theirs}["authorization"]


@given(
    component=st.sampled_from(
        ["method", "host", "path", "query", "body", "content-type", "x-amz-date", "region", "secret"]
    ),
    position=st.integers(min_value=0, max_value=10_000),
    replacement=st.sampled_from("aZ9-%"),
)
def test_a_change_of_any_signed_component_is_refused(component: str, position: int, replacement: str) -> None:
    body = '{"prompt": "pay 10 to Bob", "max_tokens": 5}'
    headers = signed(path=ARN, query="a=1&b=2", body=body.encode())

    def change(text: str) -> str:
        at = position % len(text)
        changed = text[:at] + replacement + text[at + 1 :]
        return changed if changed != text else text + replacement

    request = Received(path=ARN, query="a=1&b=2", body=body.encode())
    assert verify(headers, **request) == ACCESS_KEY_ID
    changes = {
        "method": Received(method=change("POST")),
        "host": Received(host=change("gateway.test:8080")),
        "path": Received(path=change(ARN)),
        "query": Received(query=change("a=1&b=2")),
        "body": Received(body=change(body).encode()),
        "secret": Received(secret=change(SECRET)),
    }
    if component == "region":
        headers = [(name, value.replace("eu-central-1", "eu-central-2")) for name, value in headers]
    else:
        headers = [(name, change(value) if name == component else value) for name, value in headers]
    refused(headers, **(request | changes.get(component, Received())))


@given(flipped=st.integers(min_value=0, max_value=63), digit=st.sampled_from("0123456789abcdef"))
def test_another_signature_is_refused(flipped: int, digit: str) -> None:
    headers = dict(signed())
    start = headers["authorization"].index("Signature=") + len("Signature=") + flipped
    if headers["authorization"][start] == digit:
        return
    headers["authorization"] = headers["authorization"][:start] + digit + headers["authorization"][start + 1 :]
    error = refused(list(headers.items()))
    assert (error.aws_code, error.status, error.code) == ("InvalidSignatureException", 403, "signature_mismatch")


def test_the_same_request_may_arrive_again_inside_the_window() -> None:
    headers = signed()
    assert verify(headers) == verify(headers, now=NOW + 299) == verify(headers, now=NOW - 299) == ACCESS_KEY_ID


def test_a_date_more_than_five_minutes_off_is_refused_in_the_words_of_aws() -> None:
    stale = refused(signed(), now=NOW + 301)
    assert stale.aws_code == "InvalidSignatureException"
    assert stale.code == "signature_expired"
    assert stale.message.startswith(f"Signature expired: {format_timestamp(NOW)} is now earlier than ")
    early = refused(signed(), now=NOW - 301)
    assert early.message.startswith(f"Signature not yet current: {format_timestamp(NOW)} is still later than ")


def test_a_day_that_is_not_the_dates_day_is_refused() -> None:
    day = format_timestamp(NOW)[:8]
    headers = [(name, value.replace(f"/{day}/", "/20200101/")) for name, value in signed()]
    assert refused(headers).code == "signature_mismatch"


@pytest.mark.parametrize("declared", ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "", "A" * 64])
def test_a_body_that_is_not_hashed_is_refused(declared: str) -> None:
    headers = signed(headers=[("x-amz-content-sha256", declared)])
    assert refused(headers).code == "unsigned_payload"


def test_a_declared_hash_of_another_body_is_refused_even_when_it_is_signed() -> None:
    headers = signed(headers=[("x-amz-content-sha256", "0" * 64)])
    assert "SHA-256" in refused(headers).message


def test_a_declared_hash_of_the_body_is_verified() -> None:
    empty_object = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert verify(signed(headers=[("x-amz-content-sha256", empty_object)])) == ACCESS_KEY_ID


def test_a_session_token_is_refused() -> None:
    foreign = Credentials(access_key_id=ACCESS_KEY_ID, secret_access_key=SECRET, session_token="IQoJb3JpZ2luX2Vj")
    error = refused(signed(credentials=foreign))
    assert (error.code, error.aws_code) == ("session_token", "UnrecognizedClientException")
    assert "IQoJ" not in error.message


def test_an_empty_session_token_counts_as_none() -> None:
    # The AI SDK's documentation has people set sessionToken to an empty string.
    empty = Credentials(access_key_id=ACCESS_KEY_ID, secret_access_key=SECRET, session_token="")
    assert verify(signed(credentials=empty)) == ACCESS_KEY_ID


@pytest.mark.parametrize(
    "query", ["X-Amz-Signature=00&X-Amz-Credential=A%2Fb", "x-amz-algorithm=AWS4-HMAC-SHA256", "%58-Amz-Signature=1"]
)
def test_a_presigned_query_is_refused(query: str) -> None:
    assert refused(signed(query=query), query=query).code == "presigned_request"


def test_a_presigned_query_names_its_key() -> None:
    assert (
        presigned_access_key_id(f"X-Amz-Credential={ACCESS_KEY_ID}%2F20260101%2Fr%2Fbedrock%2Faws4_request")
        == ACCESS_KEY_ID
    )
    assert presigned_access_key_id("X-Amz-Algorithm=AWS4-HMAC-SHA256") == ""
    assert presigned_access_key_id("amz=1&q=%20") is None
    assert presigned_access_key_id("") is None


def test_a_signed_header_that_did_not_arrive_is_refused() -> None:
    headers = [pair for pair in signed() if pair[0] != "content-type"]
    assert "content-type" in refused(headers).message


def test_headers_added_after_signing_do_not_matter() -> None:
    added = [("amz-sdk-invocation-id", "1"), ("amz-sdk-request", "attempt=1; max=3"), ("x-forwarded-for", "10.0.0.1")]
    assert verify(signed() + added) == ACCESS_KEY_ID


def test_names_may_arrive_in_any_case_and_values_with_any_blanks() -> None:
    headers = [
        (name.upper(), value) for name, value in signed(headers=[("content-type", "  application/json; \t a=b ")])
    ]
    assert verify(headers) == ACCESS_KEY_ID
    respaced = [(name, "application/json; a=b" if name == "CONTENT-TYPE" else value) for name, value in headers]
    assert verify(respaced) == ACCESS_KEY_ID


def test_repeated_headers_are_joined_in_the_order_of_arrival() -> None:
    repeated = [("x-amz-meta", "1"), ("x-amz-meta", "2")]
    headers = signed(headers=repeated)
    assert verify(headers) == ACCESS_KEY_ID
    refused([("x-amz-meta", "2"), ("x-amz-meta", "1"), *headers[2:]])


@pytest.mark.parametrize("name", ["x-amz-date", "authorization", "host", "x-amz-content-sha256"])
def test_what_decides_may_not_be_sent_twice(name: str) -> None:
    headers = signed()
    twice = [(name, "20260101T000000Z"), (name, "20260101T000000Z")]
    assert refused([*headers, *twice]).code == "signature_incomplete"


@pytest.mark.parametrize("unsigned", ["host", "x-amz-date"])
def test_host_and_date_must_be_signed(unsigned: str) -> None:
    headers = [
        (name, value.replace(f"{unsigned};", "").replace(f";{unsigned}", "") if name == "authorization" else value)
        for name, value in signed()
    ]
    assert unsigned in refused(headers).message


def test_the_authority_of_http2_may_be_signed_instead_of_the_host() -> None:
    # What the AWS SDK for JavaScript 3.1162 sent over HTTP/2.
    names = ":authority;amz-sdk-invocation-id;amz-sdk-request;content-length;content-type;x-amz-content-sha256"
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/20261122/us-east-1/bedrock/aws4_request, "
        f"SignedHeaders={names};x-amz-date;x-amz-user-agent, "
        "Signature=e699c470090ae2340c46564b9f23a9f375e6cb31c6ffbb5212632799c5793117"
    )
    headers = [
        ("content-type", "application/json"),
        ("content-length", "56"),
        ("x-amz-user-agent", "aws-sdk-js/3.1162.0"),
        ("amz-sdk-invocation-id", "559d5ed7-3065-4ace-b6fc-f42bd18047ef"),
        ("amz-sdk-request", "attempt=1; max=1"),
        ("x-amz-date", "20261122T040634Z"),
        ("x-amz-content-sha256", "c3335e07d6e89650bf94cb98664be69f8774dbc3198df221f113db0a59ea14f0"),
        ("authorization", authorization),
    ]
    body = b'{"messages":[{"role":"user","content":[{"text":"hi"}]}]}'
    now = dt.datetime(2026, 11, 22, 4, 6, 40, tzinfo=dt.UTC).timestamp()
    path = "/model/a%3Ab/converse"
    assert verify(headers, host="127.0.0.1:40603", path=path, body=body, now=now) == ACCESS_KEY_ID
    with pytest.raises(SignatureError):
        verify(headers, host="127.0.0.1:40604", path=path, body=body, now=now)


@pytest.mark.parametrize("path", ["/model/x/../m/converse", "/model/./m/converse", "/model/m/..", "/model/m\n"])
def test_dot_segments_and_control_characters_are_refused(path: str) -> None:
    refused(signed(path=path), path=path)


def test_a_line_break_in_the_query_is_refused() -> None:
    refused(signed(query="a=1\nb"), query="a=1\nb")


def test_a_service_that_is_not_ours_is_refused() -> None:
    assert "bedrock" in refused(signed(service="s3")).message


GOOD = dict(signed())["authorization"]


@pytest.mark.parametrize(
    "authorization",
    [
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 ",
        GOOD.replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
        GOOD.replace("Credential=", "Credentials="),
        GOOD.replace("SignedHeaders=", "Signature="),
        GOOD.partition(", Signature")[0],
        GOOD + ", Signature=" + "0" * 64,
        GOOD + ", Extra=1",
        GOOD.replace("aws4_request", "aws4"),
        GOOD.replace("/eu-central-1/", "/EU_CENTRAL/"),
        GOOD.replace("/eu-central-1/", "//"),
        GOOD.replace(ACCESS_KEY_ID, "../x"),
        GOOD.replace(ACCESS_KEY_ID, ""),
        GOOD.replace("content-type;host", "host;content-type"),
        GOOD.replace("content-type;host", "content-type;content-type;host"),
        GOOD.replace("content-type;", "Content-Type;"),
        GOOD.replace("content-type;", ";"),
        GOOD.replace("Signature=", "Signature=0"),
        GOOD.replace("Signature=", "Signature=Z"),
        GOOD + " " * 9000 + "x",
        GOOD.replace("SignedHeaders=", "SignedHeaders=" + "a;" * 5000),
    ],
)
def test_a_malformed_authorization_is_refused(authorization: str) -> None:
    error = refused([(name, authorization if name == "authorization" else value) for name, value in signed()])
    assert error.aws_code == "IncompleteSignatureException"
    assert error.status == 403


@pytest.mark.parametrize(
    "date",
    [
        "20261301T000000Z",
        "yesterday",
        "20261122T02:00:00Z",
        "",
        "\uff12\uff10\uff12\uff16\uff11\uff11\uff12\uff12T000000Z",
    ],
)
def test_a_malformed_date_is_refused(date: str) -> None:
    refused([(name, date if name == "x-amz-date" else value) for name, value in signed()])


@given(st.text(max_size=200))
def test_any_authorization_is_judged_without_a_crash(noise: str) -> None:
    refused([("authorization", f"AWS4-HMAC-SHA256 {noise}"), ("x-amz-date", noise), ("host", noise)], path=f"/{noise}")
    named_access_key_id(noise)
    presigned_access_key_id(noise)


@given(noise=st.text(max_size=40), body=st.binary(max_size=10))
def test_any_signed_header_value_is_judged_without_a_crash(noise: str, body: bytes) -> None:
    authorization = GOOD
    headers = [("authorization", authorization), ("x-amz-date", format_timestamp(NOW)), ("content-type", noise)]
    refused(headers, body=body + b"!")


def test_separators_without_blanks_are_read() -> None:
    tight = [(name, value.replace(", ", ",") if name == "authorization" else value) for name, value in signed()]
    assert verify(tight) == ACCESS_KEY_ID


def test_a_signature_is_recognised_and_its_key_named_however_malformed() -> None:
    assert is_signed(" aws4-hmac-sha256 nonsense")
    assert not is_signed("Bearer AWS4")
    assert named_access_key_id(f"AWS4-X Credential = {ACCESS_KEY_ID} garbage") == ACCESS_KEY_ID
    assert named_access_key_id("AWS4-HMAC-SHA256 garbage") is None


def test_a_credential_shows_no_secret() -> None:
    credentials = Credentials(access_key_id=ACCESS_KEY_ID, secret_access_key=SECRET, session_token="tokentoken")
    for shown in (
        repr(credentials),
        str(credentials),
        f"{credentials}",
        repr([credentials]),
        repr(credentials.__rich_repr__()),
    ):
        assert SECRET not in shown
        assert "tokentoken" not in shown


def test_remembered_signing_keys_are_bounded() -> None:
    keys = SigningKeys()
    for number in range(3000):
        keys.key(secret=SECRET, day="20260101", region=f"r{number}", service="bedrock")
    assert len(keys._keys) <= 1024
    again = keys.key(secret=SECRET, day="20260101", region="r2999", service="bedrock")
    other = keys.key(secret=SECRET + "x", day="20260101", region="r2999", service="bedrock")
    assert again != other
