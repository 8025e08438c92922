"""What a provider's data file may say; every field that a file can hold is declared here.

Facts about a provider are data, so this module has no behaviour: `catalog` reads the files, `address` fills the
templates, `auth` applies credentials, `dialect` edits bodies.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

import msgspec

from freehold.ir import Effect

Kind = Literal["lab", "cloud", "host", "aggregator", "self-hosted"]
"""`lab` serves its own models, `cloud` and `host` serve others' on their machines, `aggregator` forwards to others."""

AccountField = Literal[
    "base_url",
    "api_key",
    "region",
    "project",
    "location",
    "resource",
    "api_version",
    "access_key_id",
    "secret_access_key",
    "session_token",
    "profile",
]
"""What an account may hold for its address and credentials; templates and `needs` name these."""

Operation = Literal["generate", "stream", "responses", "count", "embed", "list"]
"""What is asked of a path. `stream` falls back to `generate`: most protocols ask for a stream in the body."""

Modality = Literal["text", "image", "pdf", "audio", "video"]


class Special(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another address for some regions or locations: `when` is a pattern on `field`, e.g. `cn-*` on `region`."""

    field: AccountField
    when: str
    base_url: str


class Address(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where requests go when the account says nothing.

    `base_url` is a template over account fields. `own_hosts` are suffixes of the provider's own host names: an account
    `base_url` on one of them only tells the resource, so a protocol with its own `base_url` keeps it; any other host
    (a proxy, a private endpoint) serves all protocols.
    """

    base_url: str | None = None
    special: tuple[Special, ...] = ()
    own_hosts: tuple[str, ...] = ()
    defaults: dict[AccountField, str] = {}


class Bearer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="scheme", tag="bearer"):
    """`Authorization: Bearer <field>`."""

    field: AccountField = "api_key"


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="scheme", tag="header"):
    """The key in headers of the provider's own, all of `names` alike."""

    names: tuple[str, ...]
    field: AccountField = "api_key"


class Query(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="scheme", tag="query"):
    """The key in the query string."""

    name: str
    field: AccountField = "api_key"


class SigV4(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="scheme", tag="sigv4"):
    """AWS Signature Version 4 with the account's key pair, or the AWS credential chain when it has none."""

    service: str
    chain: bool = False


class Google(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="scheme", tag="google"):
    """An access token from Application Default Credentials."""

    scopes: tuple[str, ...]


class Entra(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="scheme", tag="entra"):
    """An access token from Microsoft Entra ID (managed identity, workload identity, CLI log-in…)."""

    scope: str


class Anonymous(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="scheme", tag="none"):
    """No credential at all."""


Auth = Bearer | Header | Query | SigV4 | Google | Entra | Anonymous


class Rename(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="edit", tag="rename"):
    """A field that the provider knows by another name; a value already under that name wins."""

    field: str
    to: str
    models: tuple[str, ...] = ("*",)


class Drop(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="edit", tag="drop"):
    """A top-level field that the provider refuses; `when` limits it to those strings.

    Where it says no more than the `default` of the provider, nothing is lost.
    """

    field: str
    effect: Effect
    detail: str
    when: tuple[str, ...] = ()
    default: str | int | float | None = None
    models: tuple[str, ...] = ("*",)


class SetField(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="edit", tag="set"):
    """A top-level field that the provider requires; set only where it is absent."""

    field: str
    value: str | int | bool
    models: tuple[str, ...] = ("*",)


class Remove(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="edit", tag="remove"):
    """A top-level field that stands elsewhere at this provider (in the path), so leaving it out loses nothing."""

    field: str
    operations: tuple[Operation, ...] = ("generate", "stream", "embed")
    models: tuple[str, ...] = ("*",)


class MapValue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="edit", tag="map"):
    """A value that the provider spells in another way. Only strings are mapped."""

    field: str
    values: dict[str, str]
    models: tuple[str, ...] = ("*",)


class MapRole(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="edit", tag="role"):
    """A message role that the provider does not know, by the one it knows."""

    role: str
    to: str
    models: tuple[str, ...] = ("*",)


class Clamp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="edit", tag="clamp"):
    """A number outside of the range that the provider takes is moved to its edge, reported."""

    field: str
    minimum: float | None = None
    maximum: float | None = None
    models: tuple[str, ...] = ("*",)


class ToolCallIds(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="edit", tag="tool-call-ids"
):
    """Tool-call ids that do not match `pattern` are replaced by ids of `length` letters and digits made from them.

    The same id always becomes the same id, so calls and their results keep finding each other.
    """

    pattern: str
    length: int
    models: tuple[str, ...] = ("*",)


Edit = Rename | Drop | SetField | Remove | MapValue | MapRole | Clamp | ToolCallIds


class Protocol(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One protocol that a provider speaks.

    `paths` are templates per operation over `{model}`, `{verb}` (what follows the colon in the codec's own path) and
    account fields, appended to the base URL. `responses` is where a codec that speaks several bodies (Azure's) sends
    those of the Responses API. `version` is the path's version segment: it is left out where the
    account's `base_url` already ends in one (`/v1`, `/v1beta`).
    With `whole_base` any path in `base_url` is the complete prefix, as the OpenAI clients have it.
    `keep` are characters that stay as they are when the model is percent-encoded into a path.
    `service` and `auth` replace the signing service and the provider's ways to authenticate. `models` limits the
    protocol to ids that match, `counts` its counting of tokens. `flags` go to the codec, whose package documents them;
    `model_flags` do so for the ids that match; `edits` are made to the encoded body.
    """

    name: str
    paths: dict[Operation, str]
    version: str = ""
    whole_base: bool = False
    base_url: str | None = None
    special: tuple[Special, ...] = ()
    keep: str = ""
    service: str | None = None
    headers: dict[str, str] = {}
    models: tuple[str, ...] = ("*",)
    counts: tuple[str, ...] = ("*",)
    edits: tuple[Edit, ...] = ()
    flags: tuple[str, ...] = ()
    model_flags: dict[str, tuple[str, ...]] = {}
    auth: tuple[Auth, ...] = ()


class ModelRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known about the models whose ids match one of `match`; the first rule that matches speaks.

    `protocols`, where given, are the ones offered for these models, in order of fidelity. `context` and `output` are
    the window and the longest answer in tokens. `bare = false`: the pattern is too wide to claim a bare model name.
    """

    match: tuple[str, ...]
    family: str
    lab: str | None = None
    protocols: tuple[str, ...] = ()
    context: Annotated[int, msgspec.Meta(gt=0)] | None = None
    output: Annotated[int, msgspec.Meta(gt=0)] | None = None
    input: tuple[Modality, ...] = ()
    operations: tuple[Operation, ...] = ("generate", "stream")
    bare: bool = True


class Fact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing known about a provider and where it is written."""

    value: str
    source: str


class Facts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who and where the provider is; an account may state or override each of them."""

    operator: Fact | None = None
    parent: Fact | None = None
    jurisdiction: Fact | None = None
    cloud: Fact | None = None
    silicon: Fact | None = None


class PromptCache(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a provider caches the beginning of prompts for the models whose ids match one of `models`.

    `automatic`: all prompts of at least `least` tokens are cached; else only what a request marks. Without use an entry
    is there for `lifetime` seconds, and gone after `longest`; where the provider promises nothing, five minutes are
    assumed.
    """

    models: tuple[str, ...] = ("*",)
    automatic: bool
    least: int = 0
    lifetime: Annotated[float, msgspec.Meta(gt=0)] = 300.0
    longest: Annotated[float, msgspec.Meta(gt=0)] | None = None
    source: str


class Environment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Environment variables that the provider's own clients read, so that an account can be found without a file.

    `variables`: account field to variable names, first set wins. `discover`: `use` an account made of them, only
    `offer` it (it would spend money that nobody named), or `probe` an address for a server that needs no key.
    """

    variables: dict[AccountField, tuple[str, ...]] = {}
    discover: Literal["use", "offer", "probe", "never"] = "never"
    needs: tuple[AccountField, ...] = ()


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Response headers that tell what is left of a rate limit, by what they count, and retry habits."""

    request_id: tuple[str, ...] = ()
    remaining_requests: tuple[str, ...] = ()
    remaining_tokens: tuple[str, ...] = ()
    reset_requests: tuple[str, ...] = ()
    reset_tokens: tuple[str, ...] = ()
    retry_after: tuple[str, ...] = ("retry-after-ms", "retry-after")
    overloaded: tuple[int, ...] = (503, 529)


class Provider(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One provider: the whole content of one data file, plus `name`, which is the file's."""

    title: str
    kind: Kind
    checked: dt.date
    homepage: str
    docs: str
    address: Address = Address()
    auth: tuple[Auth, ...]
    requires: tuple[AccountField, ...] = ()
    environment: Environment = Environment()
    protocols: tuple[Protocol, ...]
    models: tuple[ModelRule, ...] = ()
    facts: Facts = Facts()
    caches: tuple[PromptCache, ...] = ()
    limits: Limits = Limits()
    prices: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    name: str = ""

    def protocol(self, name: str) -> Protocol | None:
        """The protocol of that name, None where the provider does not speak it."""
        return next((protocol for protocol in self.protocols if protocol.name == name), None)
