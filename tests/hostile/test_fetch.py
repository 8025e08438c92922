"""A caller chooses which URL is fetched: it leads to public addresses of named hosts only, and takes bounded time."""

from __future__ import annotations

import asyncio
import base64
import gzip

import pytest

from freehold.errors import CallerError
from freehold.exchange.media import FetchPolicy, inline_media
from freehold.ir import Generate, Inline, Media, Message, Url
from freehold.transport import addresses, client, dialing
from freehold.transport.client import Client
from tests.transport.upstreams import Handler, Peer, answering, ok, upstream

ANYWHERE = FetchPolicy(allow=("*",), timeout=5.0)
NAMED = FetchPolicy(allow=("images.example", "*.cdn.example"), timeout=5.0)


async def fetch(client: Client, url: str, policy: FetchPolicy) -> Media:
    """What becomes of a medium with this URL."""
    medium = Media(kind="image", source=Url(url=url))
    request = Generate(model="m", origin="openai-chat", messages=(Message(role="user", parts=(medium,)),))
    deadline = asyncio.get_running_loop().time() + 20
    (part,) = (await inline_media(request, policy, client, deadline)).messages[0].parts
    assert isinstance(part, Media)
    return part


class Names:
    """A resolver that notes what it was asked, and gives each answer once, the last one for ever."""

    def __init__(self, *answers: tuple[str, ...]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> tuple[str, ...]:
        self.asked.append(host)
        return self.answers[min(len(self.asked), len(self.answers)) - 1]


@pytest.fixture
def loopback_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a test can serve what is fetched."""

    def anything(_: addresses.IpAddress) -> bool:
        return True

    monkeypatch.setattr(addresses, "is_public", anything)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0X7F.1",
        "0177.0.0.1",
        "017700000001",
        "0",
        "0.0.0.0",  # noqa: S104  an address under test
        "localhost",
        "LocalHost",
        "localhost.",
        "127.0.0.1.",
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::FFFF:7F00:0001]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "user:password@127.0.0.1",
        "images.example@127.0.0.1",
        "images.example:80@[::1]",
        "\uff11\uff12\uff17.0.0.1",
        "\u2460\u2461\u2466.0.0.1",
        "127\u30020.0.1",
    ],
)
async def test_no_spelling_of_this_machine_is_connected_to(host: str) -> None:
    async with upstream(answering(ok())) as server, Client() as plain:
        before = f"http://{host}:{server.port}/secret"
        try:
            part = await fetch(plain, before, ANYWHERE)
        except CallerError as error:
            assert error.code in {"forbidden_address", "media_not_fetched"}  # noqa: PT017  or it was left alone
        else:
            assert part.source == Url(url=before)
        assert server.connections == 0


@pytest.mark.parametrize(
    "address",
    ["10.1.2.3", "169.254.169.254", "100.100.100.200", "fd00:ec2::254", "fe80::1", "::ffff:169.254.169.254"],
)
async def test_a_name_that_leads_inside_is_refused(address: str) -> None:
    for answer in ((address,), ("1.1.1.1", address), (address, "1.1.1.1")):
        async with Client(resolver=Names(answer)) as inside:
            with pytest.raises(CallerError, match="private or reserved") as caught:
                await fetch(inside, "https://images.example/a.png", NAMED)
            assert address not in caught.value.message, "what is inside is nobody's business"


async def test_the_address_that_was_checked_is_the_one_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    dialled: list[object] = []

    async def connect(loop: object, found: object, port: int) -> None:
        dialled.append(found)
        raise ConnectionRefusedError

    monkeypatch.setattr(dialing, "_connect", connect)
    rebinding = Names(("1.1.1.1",), ("127.0.0.1",))
    async with Client(resolver=rebinding) as rebound:
        for code in ("media_not_fetched", "forbidden_address"):
            with pytest.raises(CallerError) as caught:
                await fetch(rebound, "https://images.example/a.png", NAMED)
            assert caught.value.code == code
    assert dialled == [("1.1.1.1",)]
    assert len(rebinding.asked) == 2


@pytest.mark.parametrize(
    "url",
    [
        "https://images.example.evil.test/a.png",
        "https://evil.test/images.example",
        "https://evil.test?images.example",
        "https://evil.test#images.example",
        "https://images.example@evil.test/a.png",
        "https://images.example%2f@evil.test/a.png",
        "https://cdn.example/a.png",
        "https://a.cdn.example.evil.test/",
        "https://evil.test%23.cdn.example.x/",
        "https://images.example./a.png",
        "file:///etc/passwd",
        "ftp://images.example/a",
        "gopher://images.example/a",
        "//images.example/a",
        "https://images.example:x/",
        "https://",
    ],
)
async def test_hosts_that_nobody_named_are_left_alone(url: str) -> None:
    names = Names(("1.1.1.1",))
    async with Client(resolver=names) as left:
        assert (await fetch(left, url, NAMED)).source == Url(url=url)
    assert names.asked == []


@pytest.mark.parametrize("host", ["images.example", "IMAGES.Example", "user@images.example", "a.b.CDN.example"])
@pytest.mark.usefixtures("loopback_is_public")
async def test_named_hosts_are_fetched_without_what_identifies_anybody(host: str) -> None:
    async with upstream(answering(ok(b"png"))) as server, Client(resolver=Names(("127.0.0.1",))) as allowed:
        part = await fetch(allowed, f"http://{host}:{server.port}/a.png?b=c#d", NAMED)
        assert part.source == Inline(data=base64.b64encode(b"png").decode())
        (request,) = server.received
        assert request.head.startswith(b"GET /a.png?b=c HTTP/1.1\r\n")
        assert b"authorization" not in request.head.lower()
        assert b"user" not in request.head.lower()


async def endless(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        await peer.send(b"400\r\n" + b"x" * 1024 + b"\r\n")


async def dripping(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    while True:
        await peer.send(b"x")
        await asyncio.sleep(0.02)


async def dripping_head(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nx: ")
    while True:
        await peer.send(b"x")
        await asyncio.sleep(0.02)


async def silent(peer: Peer) -> None:
    await peer.gone()


ZEROS = gzip.compress(bytes(5_000_000))
BOMB = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n%b" % (len(ZEROS), ZEROS)


@pytest.mark.parametrize(
    "handler",
    [
        answering(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/\r\ncontent-length: 0\r\n\r\n"),
        answering(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n"),
        answering(BOMB),
        endless,
        dripping,
        dripping_head,
        silent,
    ],
    ids=["redirect", "announced", "bomb", "endless", "dripping", "dripping head", "silent"],
)
@pytest.mark.usefixtures("loopback_is_public")
async def test_what_has_no_end_ends_here(handler: Handler) -> None:
    policy = FetchPolicy(allow=("images.example",), size=100_000, timeout=0.5)
    async with upstream(handler) as server, Client(resolver=Names(("127.0.0.1",))) as patient:
        async with asyncio.timeout(10):
            with pytest.raises(CallerError) as caught:
                await fetch(patient, f"http://images.example:{server.port}/a.png", policy)
        assert caught.value.code == "media_not_fetched"
        assert len(server.received) <= 1
        assert server.connections == 1


async def test_hosts_without_end_are_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MOST_POOLS", 10)
    async with Client(resolver=Names(("127.0.0.1",))) as forgetful:
        for number in range(50):
            with pytest.raises(CallerError):
                await fetch(forgetful, f"https://{number}.cdn.example/", NAMED)
        assert len(forgetful._pools) <= 11


@pytest.mark.usefixtures("loopback_is_public")
async def test_the_media_of_one_request_share_a_limit() -> None:
    """A few URLs would otherwise be worth many times the largest request body in memory."""
    policy = FetchPolicy(allow=("images.example",), size=100_000, total=130_000, timeout=5.0)
    async with upstream(answering(ok(b"x" * 60_000))) as server, Client(resolver=Names(("127.0.0.1",))) as client:
        medium = Media(kind="image", source=Url(url=f"http://images.example:{server.port}/a.png"))
        deadline = asyncio.get_running_loop().time() + 20
        two, three = (
            Generate(model="m", origin="openai-chat", messages=(Message(role="user", parts=(medium,) * count),))
            for count in (2, 3)
        )
        fetched = await inline_media(two, policy, client, deadline)
        assert all(isinstance(part, Media) and isinstance(part.source, Inline) for part in fetched.messages[0].parts)
        with pytest.raises(CallerError, match="130000 bytes together") as caught:
            await inline_media(three, policy, client, deadline)
        assert caught.value.code == "media_not_fetched"


async def test_hosts_that_callers_make_up_share_what_is_dear_to_make() -> None:
    async with Client(resolver=Names(("127.0.0.1",))) as sharing:
        for number in range(3):
            with pytest.raises(CallerError):
                await fetch(sharing, f"https://{number}.cdn.example/", NAMED)
        contexts = {id(pool._dialer._context) for pool in sharing._pools.values()}
        assert (len(sharing._pools), len(contexts)) == (3, 1)
