"""Every setting there is: its type, its default, and why that default."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from freehold.config.secret import Secret
from freehold.providers.schema import AccountField

MIB: Final = 1024 * 1024
_BYTES: Final = {"unit": "bytes"}
_SECONDS: Final = {"unit": "seconds"}

Strategy = Literal[
    "failover", "weighted", "cheapest", "fastest", "balanced", "hedged", "cascade", "sticky", "committed"
]


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """Where Freehold listens and whom it lets in."""

    listen: Annotated[
        str,
        Meta(
            description="Address and port of the data plane. Loopback by default, so that nothing is exposed unasked; "
            "any other address needs `require_keys = true`."
        ),
    ] = "127.0.0.1:8080"
    admin_listen: Annotated[
        str,
        Meta(
            description="Address and port of the control plane (health, metrics, exchange records). A port of its own, "
            "so that a firewall can tell the two apart; anything but loopback needs `admin_token`."
        ),
    ] = "127.0.0.1:8081"
    require_keys: Annotated[
        bool,
        Meta(
            description="Whether every request needs a key that Freehold minted. False lets a newcomer start on "
            "loopback with the client they have; a credential that names a minted key is verified all the same."
        ),
    ] = False
    secret: Annotated[
        Secret | None,
        Meta(
            description="32 random bytes as 64 hex digits or base64: seals proofs, hashes keys, encrypts stored "
            "secrets. The same on every replica. When absent it is made once beside the database, mode 0600."
        ),
    ] = None
    tls_cert: Annotated[
        str | None,
        Meta(description="PEM certificate chain for https. None: plain http, which is right on loopback only."),
    ] = None
    tls_key: Annotated[str | None, Meta(description="PEM private key of `tls_cert`.")] = None
    client_ca: Annotated[
        str | None,
        Meta(
            description="PEM bundle that client certificates must lead to. None: no client certificates are asked for."
        ),
    ] = None
    trusted_proxies: Annotated[
        tuple[str, ...],
        Meta(
            description="Networks (CIDR) whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed. Empty, because "
            "anybody can send those headers."
        ),
    ] = ()
    public_hosts: Annotated[
        tuple[str, ...],
        Meta(
            description="Host names that clients use, where a proxy rewrites `Host`: a SigV4 signature covers the name "
            "that the client saw. Empty: only the `Host` that arrives counts."
        ),
    ] = ()
    admin_token: Annotated[
        Secret | None,
        Meta(description="Bearer token of the control plane. None: it answers loopback only."),
    ] = None


class Storage(msgspec.Struct, frozen=True, kw_only=True):
    """Where keys and state are kept."""

    url: Annotated[
        Secret | None,
        Meta(
            description="`sqlite:////path/freehold.db`, or `postgresql://user@host/db` when several replicas share it. "
            "Default: `freehold.db` in the user's data directory, so that nothing has to be set up first."
        ),
    ] = None


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one request, and all of them together, may take."""

    body: Annotated[
        int,
        Meta(
            ge=1024,
            description="Largest request body. 64 MiB: the largest that a provider takes inline today is about 50 MB.",
            extra=_BYTES,
        ),
    ] = 64 * MIB
    headers: Annotated[
        int,
        Meta(
            ge=4096,
            description="Largest request head. 64 KiB: coding agents send under 8 KiB, proxies in front cut at 32 KiB.",
            extra=_BYTES,
        ),
    ] = 64 * 1024
    streams: Annotated[
        int,
        Meta(
            ge=1,
            description="Open exchanges a worker; more are answered 503 with Retry-After. 1000 is what the memory "
            "figures in the documentation are measured with.",
        ),
    ] = 1000
    connections: Annotated[
        int,
        Meta(
            ge=1,
            description="Open connections a worker, TLS handshakes included, but at most half of the open files that "
            "the system allows. Beyond it the one that idles longest is closed for a new one; where none idles the new "
            "one is refused. 4096: four for each exchange, since clients keep some in reserve.",
        ),
    ] = 4096
    header_timeout: Annotated[
        float,
        Meta(
            gt=0,
            description="Time a client has to send the request head. 10 s ends slow-loris attacks.",
            extra=_SECONDS,
        ),
    ] = 10.0
    idle_timeout: Annotated[
        float,
        Meta(
            gt=0,
            description="Time a connection may stay silent in mid-body, or unread by the client. 300 s "
            "outlasts a laptop's network change.",
            extra=_SECONDS,
        ),
    ] = 300.0
    attempts: Annotated[
        int,
        Meta(
            ge=1,
            le=20,
            description="Most attempts an exchange makes over all its targets. 4: three clouds and one retry.",
        ),
    ] = 4
    retry_share: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Requests that a target gets because another attempt failed or was slow, at most, for each "
            "first attempt at it or at those it stands in for; above a reserve of 100 that fills by one a second. 0.2: "
            "one failure in five is covered in full, and an outage of everything adds a fifth to the load.",
        ),
    ] = 0.2
    exchange_timeout: Annotated[
        float,
        Meta(
            gt=0,
            description="Time an exchange has from door to door. 1800 s: reasoning answers run over 10 minutes, and "
            "the vendors' clients give up at 600 s of silence by themselves.",
            extra=_SECONDS,
        ),
    ] = 1800.0
    drain_delay: Annotated[
        float,
        Meta(
            ge=0,
            description="Time at shutdown during which requests are still taken while `/readyz` already answers 503, "
            "for a load balancer that has to notice first. 0 s: a single server need not wait.",
            extra=_SECONDS,
        ),
    ] = 0.0
    drain_timeout: Annotated[
        float,
        Meta(
            ge=0,
            description="Time that streams in flight have to finish at shutdown. 30 s fits Kubernetes' grace.",
            extra=_SECONDS,
        ),
    ] = 30.0


class Fetch(msgspec.Struct, frozen=True, kw_only=True):
    """Media that a request names by URL and a target takes only inline."""

    allow: Annotated[
        tuple[str, ...],
        Meta(
            description="Hosts that Freehold may fetch media from; `*.example.com` covers subdomains. Empty: none, "
            "since a caller chooses the URL."
        ),
    ] = ()
    size: Annotated[
        int,
        Meta(
            ge=1024,
            description="Largest medium; all that one request names may have `limits.body` together. 20 MiB: what "
            "providers take inline at most.",
            extra=_BYTES,
        ),
    ] = 20 * MIB
    timeout: Annotated[
        float,
        Meta(gt=0, description="Time for one medium. 10 s: the caller is waiting for an answer.", extra=_SECONDS),
    ] = 10.0


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """The record of exchanges: one row each, without content, in a spool on local disk."""

    directory: Annotated[
        str | None,
        Meta(description="Where the spool is written, mode 0700. Default: `spool` in the user's data directory."),
    ] = None
    rotate_size: Annotated[
        int,
        Meta(ge=4096, description="Size at which a new file is begun. 64 MiB holds some 100,000 rows.", extra=_BYTES),
    ] = 64 * MIB
    rotate_age: Annotated[
        float,
        Meta(
            gt=0,
            description="Age at which a new file is begun. 86400 s: one file a day at low traffic.",
            extra=_SECONDS,
        ),
    ] = 86400.0
    max_size: Annotated[
        int,
        Meta(
            ge=4096,
            description="Size of all files together, of all workers, at which the spool counts as full. 4 GiB: some "
            "millions of rows.",
            extra=_BYTES,
        ),
    ] = 4096 * MIB
    sync_interval: Annotated[
        float,
        Meta(
            gt=0,
            le=10,
            description="Longest time a row waits to reach the disk: what a power loss may cost. 0.1 s is no load.",
            extra=_SECONDS,
        ),
    ] = 0.1
    on_full: Annotated[
        Literal["refuse", "serve"],
        Meta(
            description="`refuse`: new requests get 503 while no row can be written, because unrecorded spend can not "
            "be proved later. `serve`: go on without a record."
        ),
    ] = "refuse"


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """How long an account's provider may take, phase by phase."""

    connect: Annotated[
        float,
        Meta(gt=0, description="TCP and TLS. 5 s, as the vendors' own clients.", extra=_SECONDS),
    ] = 5.0
    first_byte: Annotated[
        float,
        Meta(
            gt=0,
            description="From request to the answer's head. 300 s: unary answers of reasoning models come whole.",
            extra=_SECONDS,
        ),
    ] = 300.0
    idle: Annotated[
        float,
        Meta(
            gt=0,
            description="Silence within an answer. 120 s: a model may think silently in mid-stream.",
            extra=_SECONDS,
        ),
    ] = 120.0
    total: Annotated[
        float,
        Meta(gt=0, description="The whole attempt. 1800 s, as `limits.exchange_timeout`.", extra=_SECONDS),
    ] = 1800.0


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Our address and credentials at a provider. What is needed depends on the provider; its page says so."""

    provider: Annotated[str, Meta(description="Name of the provider, as `freehold providers` lists it.")]
    base_url: Annotated[
        str | None,
        Meta(
            description="Address, where the provider's own does not fit: a proxy, a private endpoint. Default: the "
            "provider's, which its page states."
        ),
    ] = None
    api_key: Annotated[
        Secret | None,
        Meta(description="The provider's key. None: the next way to authenticate that the provider's page lists."),
    ] = None
    region: Annotated[
        str | None,
        Meta(
            description="Region of the endpoint; also a fact for residency rules. No default: a region is a decision."
        ),
    ] = None
    project: Annotated[str | None, Meta(description="Google Cloud project. No default: it is who pays.")] = None
    location: Annotated[
        str | None, Meta(description="Google Cloud location, e.g. `europe-west4`. Default: the provider's, `global`.")
    ] = None
    resource: Annotated[
        str | None,
        Meta(description="Azure resource name, instead of `base_url`. Default: the first label of `base_url`'s host."),
    ] = None
    api_version: Annotated[
        str | None,
        Meta(description="API version that the path asks for. Default: the provider's, checked when it was dated."),
    ] = None
    access_key_id: Annotated[
        str | None, Meta(description="AWS access key id. None, and no `api_key`: the AWS credential chain.")
    ] = None
    secret_access_key: Annotated[Secret | None, Meta(description="AWS secret of `access_key_id`.")] = None
    session_token: Annotated[Secret | None, Meta(description="AWS session token, for temporary credentials.")] = None
    profile: Annotated[
        str | None,
        Meta(description="Profile of the AWS credential chain. None: the chain's own choice (`AWS_PROFILE`)."),
    ] = None
    deployments: Annotated[
        dict[str, str],
        Meta(
            description='What a deployment or a served name really is: `{ chat-prod = "gpt-5" }` gives it price and '
            "context window, and lets clients ask for it by its bare name. Empty: names are taken for model ids."
        ),
    ] = {}
    jurisdiction: Annotated[
        str | None,
        Meta(description="Country code whose law the provider answers to. Default: the provider file's fact."),
    ] = None
    cloud: Annotated[str | None, Meta(description="Cloud it runs on. Default: the provider file's fact.")] = None
    silicon: Annotated[str | None, Meta(description="Kind of accelerator. Default: the provider file's fact.")] = None
    network: Annotated[
        str | None, Meta(description="Network path, e.g. `public`, `private-link`, `on-premises`. None: not stated.")
    ] = None
    ca_file: Annotated[
        str | None, Meta(description="PEM bundle that replaces the system's certificate authorities.")
    ] = None
    client_cert: Annotated[
        str | None, Meta(description="PEM file with a client certificate and its key. None: no client certificate.")
    ] = None
    proxy: Annotated[
        Secret | None,
        Meta(description="Proxy, `http://user:password@host:port`. Default: `HTTPS_PROXY`, less `NO_PROXY`."),
    ] = None
    allow_http: Annotated[
        bool,
        Meta(
            description="Permits plain http to a public address. False: prompts and key would cross the network bare. "
            "Loopback and private addresses may use http anyway."
        ),
    ] = False
    timeouts: Timeouts = Timeouts()
    max_connections: Annotated[
        int,
        Meta(
            ge=1,
            description="Most connections a worker keeps to this account; each open stream holds one. 1024: all "
            "`limits.streams` may be at one account, and some more are being closed.",
        ),
    ] = 1024
    headers: Annotated[
        dict[str, Secret],
        Meta(description="Headers added to every request, e.g. for a proxy. Treated as secrets. None by default."),
    ] = {}
    name: str = ""

    def fields(self) -> dict[AccountField, str]:
        """What the account states for its address; credentials are left out."""
        stated: dict[AccountField, str | None] = {
            "base_url": self.base_url,
            "region": self.region,
            "project": self.project,
            "location": self.location,
            "resource": self.resource,
            "api_version": self.api_version,
        }
        return {name: value for name, value in stated.items() if value is not None}


class TargetText(msgspec.Struct, frozen=True, kw_only=True):
    """One target of a model as the file has it."""

    to: Annotated[str, Meta(description="`account/model`, or `account/model@protocol` to force a protocol.")]
    weight: Annotated[
        float,
        Meta(
            gt=0,
            description='Share of the traffic under `strategy = "weighted"`. 1: equal shares.',
        ),
    ] = 1.0


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """What counts how much for `strategy = "balanced"`."""

    cost: Annotated[
        float, Meta(ge=0, description="Weight of the expected cost. 1: twice as dear counts as twice as slow.")
    ] = 1.0
    latency: Annotated[
        float, Meta(ge=0, description="Weight of the expected time to the last token. 1: as much as cost.")
    ] = 1.0
    errors: Annotated[
        float,
        Meta(ge=0, description="Weight of the share of failures. 1: failing half the time counts as twice as dear."),
    ] = 1.0

    def numbers(self) -> tuple[float, float, float]:
        """Cost, latency, errors."""
        return (self.cost, self.latency, self.errors)


class Hedge(msgspec.Struct, frozen=True, kw_only=True):
    """When `strategy = "hedged"` asks the next target beside the first, and what that may cost."""

    percentile: Annotated[
        float,
        Meta(
            ge=0.5,
            le=0.999,
            description="The next target is asked once the first has been silent for longer than this share of its "
            "recent answers: until their first token for streams, until they had come for whole answers. 0.95: one "
            "exchange in twenty is hedged, which is where the slow tail begins.",
        ),
    ] = 0.95
    after: Annotated[
        float,
        Meta(
            gt=0,
            description="The same as a fixed time, as long as fewer than 20 answers were measured. 5 s: most models "
            "have begun within two.",
            extra=_SECONDS,
        ),
    ] = 5.0
    at_most: Annotated[
        int,
        Meta(ge=2, le=4, description="Requests under way at once, the first included. 2: a third helps little."),
    ] = 2
    extra_cost: Annotated[
        float,
        Meta(
            gt=0,
            le=1,
            description="What requests that lost may cost, as a share of what the model's answers cost; without "
            "prices, their number as a share of the answers'. What a quiet time saves is enough for 20 hedges at most. "
            "0.05: a hedge in twenty exchanges.",
        ),
    ] = 0.05


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer has to be under `strategy = "cascade"`, so that the next target is not asked."""

    finish: Annotated[
        bool,
        Meta(
            description="It ended by itself: not at a limit of length, not refused, filtered or failed. True: then "
            "something is missing in any case."
        ),
    ] = True
    tools: Annotated[
        bool,
        Meta(
            description="Its calls are of tools that the request offers, with arguments that are JSON and fit their "
            "`parameters`; and there is one where `tool_choice` demands it. True: clients fail on anything else."
        ),
    ] = True
    format: Annotated[
        bool,
        Meta(description="Where the request demands JSON or a schema, it is that. True: clients fail on all else."),
    ] = True
    min_characters: Annotated[
        int, Meta(ge=0, description="Fewest characters of its text. 0: short answers may be right.")
    ] = 0
    matches: Annotated[
        str | None,
        Meta(
            description="Regular expression (Python's) that its text holds. It is searched in the worker itself, so "
            "keep it simple. None: any text."
        ),
    ] = None
    schema: Annotated[
        str | None,
        Meta(
            description="JSON schema that its text fits, as JSON or `file:/path`; see "
            "[what is judged](../explanation/decision.md#cascade). None: any text."
        ),
    ] = None
    judge: Annotated[
        str | None,
        Meta(
            description="Model, by a name of `[models]`, that is shown the request and the answer and says whether it "
            "is good enough; asked last, and on a record of its own. None: nobody is asked."
        ),
    ] = None
    criteria: Annotated[
        str,
        Meta(description="What the judge is told to look at. Empty: whether it is correct, complete and on the point."),
    ] = ""


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A name that clients ask for, and who answers."""

    targets: Annotated[
        tuple[TargetText, ...],
        Meta(description='Who answers, in order of preference: `"account/model"`, or a table with `to` and `weight`.'),
    ]
    strategy: Annotated[
        Strategy,
        Meta(
            description="How a target is chosen; see [strategies](../explanation/decision.md#strategies). `failover`: "
            "the first that can answer, in the order written, which surprises nobody."
        ),
    ] = "failover"
    weights: Weights = Weights()
    hedge: Hedge = Hedge()
    check: Check = Check()
    continues: Annotated[
        Literal["off", "text"],
        Meta(
            description="Whether another target goes on with an answer whose stream breaks after its first word; see "
            "[going on in the middle](../explanation/failover.md#in-the-middle-of-an-answer). `off`: two models then "
            "speak in one answer, which has to be wanted, and tool calls arrive whole."
        ),
    ] = msgspec.field(default="off", name="continue")
    speed_floor: Annotated[
        float,
        Meta(
            ge=0,
            description="Tokens a second that a stream has to have at least; below it the target counts as failed, and "
            "another goes on where `continue` is on. 0: as slow as it likes, since no speed is right for all models. "
            "Tokens are counted as four characters each.",
        ),
    ] = 0.0
    speed_window: Annotated[
        float,
        Meta(
            gt=0,
            description="Time over which `speed_floor` is measured. 10 s: several bursts of the slowest senders.",
            extra=_SECONDS,
        ),
    ] = 10.0
    aliases: Annotated[
        tuple[str, ...],
        Meta(
            description="Other names for the same, e.g. what clients send already. Each exists once. None by default."
        ),
    ] = ()
    name: str = ""


class Commitment(msgspec.Struct, frozen=True, kw_only=True):
    """What was paid for in advance: throughput that is reserved, or spend that was committed to until a date.

    State `tokens_per_minute`, or `spend` with `start` and `until`. See
    [commitments](../explanation/decision.md#commitments).
    """

    targets: Annotated[
        tuple[str, ...],
        Meta(
            description="The targets that it covers: `account/model`, or `account/*` for a whole account. A target "
            "that several commitments name belongs to the first."
        ),
    ]
    tokens_per_minute: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(description="Throughput that is reserved, in input tokens. None: none is."),
    ] = None
    output_weight: Annotated[
        float,
        Meta(
            gt=0,
            description="Input tokens that one of output takes of the throughput; the provider's table says how many. "
            "1: no difference.",
        ),
    ] = 1.0
    beyond: Annotated[
        Literal["refused", "billed"],
        Meta(
            description="What the provider does with a request that does not fit: `refused` (429), as provisioned "
            "throughput usually does, or `billed` by tokens."
        ),
    ] = "refused"
    spend: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(description="USD to be spent between `start` and `until`. None: no spend is committed to."),
    ] = None
    start: Annotated[
        dt.date | None,
        Meta(
            description="First day (UTC) of the spend. A later one than the contract's, with what was left of it then "
            "as `spend`, begins the count anew. No default: spend needs it."
        ),
    ] = None
    until: Annotated[
        dt.date | None, Meta(description="The day (UTC) at whose beginning the spend ends. No default: spend needs it.")
    ] = None
    discount: Annotated[
        float,
        Meta(ge=0, lt=1, description="Share off the list price, e.g. 0.12, of whatever is billed. 0: none."),
    ] = 0.0
    name: str = ""


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """A server that needs no key and may be running: whoever starts up asks `url` and adds `account` on an answer."""

    account: Account
    url: str


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The whole configuration, checked. `accounts` and `models` keep the order of the file.

    `source` is the file's path, or None for the environment. `digest` changes when the file or a secret it names does.
    `files` are all that it was read from or names: itself, secrets, certificates.
    `notes` are things to tell the operator at start-up; none of them is a mistake.
    """

    server: Server = Server()
    storage: Storage = Storage()
    limits: Limits = Limits()
    fetch: Fetch = Fetch()
    ledger: Ledger = Ledger()
    accounts: dict[str, Account] = {}
    models: dict[str, Model] = {}
    commitments: dict[str, Commitment] = {}
    source: str | None = None
    digest: str = ""
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    probes: tuple[Probe, ...] = ()
    data_directory: str = ""
