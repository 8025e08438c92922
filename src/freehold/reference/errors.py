"""Every error code with its cause and its remedy."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from freehold.errors import STATUS_OF_KIND
from freehold.reference.markdown import code, table

Fault = Literal["caller", "key", "provider", "operator", "command"]

_FAULTS: Final[dict[Fault, tuple[str, str]]] = {
    "caller": ("The request", "The caller can mend these. No other target is tried."),
    "key": (
        "Keys and signatures",
        (
            "The caller's own credential for this gateway. Bedrock's paths always answer 403 with the error type that "
            "an AWS SDK expects, whatever the status in this table."
        ),
    ),
    "provider": (
        "The provider, and the way to it",
        (
            "A target failed. The next target of the model is tried while nothing has reached the client; the caller "
            "sees one of these only when none is left."
        ),
    ),
    "operator": ("The gateway", "Whoever runs the gateway can mend these."),
    "command": (
        "The command line",
        "Commands end with these, besides those above. See [commands](commands.md) for how `--json` shows them.",
    ),
}


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One code. `status` is 0 where the code never is an HTTP answer: a command ends with it."""

    code: str
    fault: Fault
    status: int
    cause: str
    remedy: str


def _entry(name: str, fault: Fault, status: int, cause: str, remedy: str) -> Entry:
    return Entry(code=name, fault=fault, status=status, cause=cause, remedy=remedy)


ENTRIES: Final[tuple[Entry, ...]] = (
    # --- The request ---
    _entry(
        "invalid_request",
        "caller",
        400,
        "A field of the request can not be understood; `param` or the message names it.",
        "Correct the field. The message says what was expected.",
    ),
    _entry(
        "invalid_json",
        "caller",
        400,
        "The body is not a JSON object, is nested too deeply, or is not UTF-8.",
        "Send one JSON object. A proxy that rewrites or compresses bodies is a frequent cause.",
    ),
    _entry(
        "invalid_header",
        "caller",
        400,
        "`Freehold-On-Loss` or `Freehold-Tags` holds something else than its [reference](headers.md) allows.",
        "Correct the header, or leave it out.",
    ),
    _entry(
        "unknown_strategy",
        "caller",
        400,
        "`Freehold-Strategy` names a strategy that does not exist.",
        "Use one of the [strategies](../explanation/decision.md#strategies), or leave the header out.",
    ),
    _entry(
        "loss_refused",
        "caller",
        400,
        "Every target would have to leave out part of what the request says, and the strictness in force does not "
        "allow that. The message names the parts, the exchange record each target's reason.",
        "Change the request, name a target that speaks the client's own protocol, or allow the loss with "
        "`Freehold-On-Loss: report`. See [how to handle losses](../how-to/handle-losses.md).",
    ),
    _entry(
        "model_not_found",
        "caller",
        404,
        "No name, alias, account or provider knows the model. The message holds the nearest names.",
        "Ask for one of them, or add the name to `[models]`. `GET /v1/models` lists what a key may use.",
    ),
    _entry(
        "path_not_served",
        "caller",
        404,
        "Nothing is served at this path and method.",
        "Compare the client's base address with [the paths](paths.md): most SDKs append to it.",
    ),
    _entry(
        "path_too_long",
        "caller",
        414,
        "The path is longer than 8,192 bytes.",
        "Shorten the model's name. The longest real one, a percent-encoded ARN, is under 3,000.",
    ),
    _entry(
        "body_too_large",
        "caller",
        413,
        "The body is larger than `[limits] body`.",
        "Send less, or raise [the limit](configuration.md#body).",
    ),
    _entry(
        "unsupported_operation",
        "caller",
        501,
        "No target of this model has a path for the operation, such as embeddings at a protocol without them.",
        "Ask a model whose provider [offers it](providers.md).",
    ),
    _entry(
        "state_not_kept",
        "caller",
        400,
        "`previous_response_id`, `conversation` or `background` of the Responses API needs a server that stores "
        "answers; this one does not.",
        "Send the whole conversation in `input`, reasoning items with their `encrypted_content` included.",
    ),
    _entry(
        "no_websocket",
        "caller",
        426,
        "The client asked for a WebSocket. Clients that can, fall back to POST at once.",
        "Use server-sent events.",
    ),
    _entry(
        "unsendable_request",
        "caller",
        400,
        "A header or path that would go to the provider holds characters that HTTP can not carry.",
        "Remove line breaks and control characters from model names and headers.",
    ),
    _entry(
        "forbidden_address",
        "caller",
        403,
        "A URL in the request leads to an address that is not fetched: private, link-local, or of a cloud's metadata "
        "service.",
        "Send the medium inline, or by an address on the public internet.",
    ),
    _entry(
        "media_not_fetched",
        "caller",
        400,
        "The target takes the medium only inline, its host is one of `[fetch] allow`, and it could not be had from "
        "there: the message says why.",
        "Send the medium inline, or by an address that answers 200 within `[fetch] timeout` and `[fetch] size`; all "
        "media of a request together may have `[limits] body`.",
    ),
    _entry(
        "invalid_url",
        "caller",
        400,
        "An address is not an absolute http or https URL.",
        "Write it as `https://host/path`, without credentials and fragments.",
    ),
    _entry(
        "model_not_allowed",
        "key",
        403,
        "The key's list of models does not hold this one.",
        "Ask for a model that the message names, or mint a key with `freehold keys create --model`.",
    ),
    _entry(
        "invalid_recording",
        "caller",
        0,
        "A file given to `freehold translate` is not a recorded exchange.",
        "Compare it with the files under `tests/exchanges`.",
    ),
    _entry(
        "no_such_path", "caller", 0, "A path given to a command does not exist.", "Name an existing file or folder."
    ),
    # --- Keys and signatures ---
    _entry(
        "missing_key",
        "key",
        401,
        "`[server] require_keys` is on and the request carries no credential.",
        "Make one with `freehold keys create --name NAME` and give it to the client as its API key.",
    ),
    _entry(
        "invalid_key",
        "key",
        401,
        "The credential is not one of this server's, or its secret part is wrong.",
        "`freehold keys list` shows the keys there are. A provider's own key belongs into the configuration, not "
        "into the client.",
    ),
    _entry("revoked_key", "key", 401, "The key was revoked.", "Mint another one."),
    _entry("expired_key", "key", 401, "The key's time has run out.", "Mint another one, with a longer `--expires`."),
    _entry(
        "network_not_allowed",
        "key",
        403,
        "The key may not be used from the caller's address.",
        "Use it from one of its networks, or mint a key with `--network`.",
    ),
    _entry(
        "conflicting_keys",
        "key",
        401,
        "The request carries two of this server's keys.",
        "Send one. Environment variables of two SDKs at once are a frequent cause.",
    ),
    _entry(
        "foreign_host",
        "key",
        403,
        "A server that takes requests without a key was addressed by a name that is not loopback.",
        "Address it as `localhost`, or set `[server] require_keys = true`.",
    ),
    _entry(
        "foreign_origin",
        "key",
        403,
        "A web page of another site sent the request to a server that takes requests without a key.",
        "Set `[server] require_keys = true`, or send the request from outside the browser.",
    ),
    _entry(
        "signature_incomplete",
        "key",
        403,
        "The AWS `Authorization` header lacks a part, or a part has not the form that Signature V4 gives it.",
        "Let an AWS SDK sign. `host` and `x-amz-date` must be among the signed headers.",
    ),
    _entry(
        "signature_mismatch",
        "key",
        403,
        "The signature does not fit the request: a wrong secret, or something was changed after signing.",
        "Check the secret. A proxy in front must pass path, query, body and signed headers as they are; where it "
        "rewrites `Host`, name the public one in `[server] public_hosts`.",
    ),
    _entry(
        "signature_expired",
        "key",
        403,
        "The signature's date lies more than five minutes from this server's clock.",
        "Set both clocks by NTP.",
    ),
    _entry(
        "presigned_request",
        "key",
        403,
        "The signature stands in the query: a presigned URL.",
        "Sign with the `Authorization` header.",
    ),
    _entry(
        "session_token",
        "key",
        403,
        "The request carries an AWS session token; this server mints none.",
        "Unset `AWS_SESSION_TOKEN` and sign with a pair from `freehold keys create --aws`.",
    ),
    _entry(
        "unsigned_payload",
        "key",
        403,
        "The signature leaves the body out (`UNSIGNED-PAYLOAD`, `STREAMING-…`).",
        "Let the client sign the body's SHA-256, as AWS SDKs do for Bedrock.",
    ),
    # --- The provider ---
    _entry(
        "upstream_error",
        "provider",
        502,
        "The provider answered with an error that has no code of its own. Status and message are the provider's.",
        "Read the message. Where the provider gave a code, that code stands here instead.",
    ),
    _entry(
        "account_credentials",
        "provider",
        502,
        "The cloud's credential chain gave nothing: no role, no log-in, an expired one.",
        "Log in, or state `access_key_id` and `secret_access_key` or `api_key` for the account.",
    ),
    _entry(
        "upstream_unreachable",
        "provider",
        503,
        "The way to the provider failed.",
        "The message names the phase and the host.",
    ),
    _entry(
        "upstream_connect",
        "provider",
        503,
        "No connection could be made: unknown name, refused, unreachable.",
        "Check `base_url`, the name resolution and the firewall from the gateway's machine.",
    ),
    _entry(
        "drill",
        "provider",
        503,
        "A [drill](../how-to/drill.md) has taken the target's provider, region or the like out, on purpose.",
        "Nothing, it ends by itself. `freehold target list` shows it; `freehold drill --end` ends it at once.",
    ),
    _entry(
        "upstream_tls",
        "provider",
        503,
        "The TLS handshake failed, or the certificate was not accepted.",
        "Name the authority in the account's `ca_file`, or its certificate in `client_cert`.",
    ),
    _entry(
        "upstream_proxy",
        "provider",
        503,
        "The forward proxy did not open the way.",
        "Check the account's `proxy`, `HTTPS_PROXY` and `NO_PROXY`.",
    ),
    _entry(
        "upstream_timeout",
        "provider",
        504,
        "A phase took longer than its limit; the message names it.",
        "Raise the account's `timeouts`, or choose a faster target.",
    ),
    _entry(
        "upstream_pool_timeout",
        "provider",
        503,
        "All connections of the account stayed busy.",
        "Raise the account's `max_connections`.",
    ),
    _entry(
        "upstream_connection_lost",
        "provider",
        503,
        "The provider closed the connection before it began to answer.",
        "Nothing, if it is rare: the next target was tried.",
    ),
    _entry(
        "upstream_protocol",
        "provider",
        502,
        "What arrived is not HTTP that is accepted.",
        "Check that `base_url` names an HTTP server, and its scheme.",
    ),
    _entry(
        "too_slow",
        "provider",
        504,
        "The answer came more slowly than the model's `speed_floor`, and there was nobody else to ask.",
        "Ask again, or lower `speed_floor`. A slow stream goes on: this is what a client without one is "
        "told, and what the record says of the attempt.",
    ),
    _entry(
        "upstream_truncated",
        "provider",
        502,
        "The answer ended before it was complete.",
        "Ask again. A client that was already reading got an error in its own protocol, never a clean end.",
    ),
    _entry(
        "upstream_stream_truncated",
        "provider",
        502,
        "The stream ended inside a frame.",
        "As `upstream_truncated`.",
    ),
    _entry(
        "upstream_garbled",
        "provider",
        502,
        "The answer is not what its protocol promises.",
        "Check that the account's provider fits the server behind `base_url`; force a protocol with "
        "`account/model@protocol`.",
    ),
    _entry(
        "upstream_framing",
        "provider",
        502,
        "The bytes of a stream are not the framing that they claim to be.",
        "As `upstream_garbled`; a proxy in between may have rewritten the stream.",
    ),
    _entry(
        "upstream_frame_too_large",
        "provider",
        502,
        "One frame of a stream is larger than the limit.",
        "As `upstream_framing`.",
    ),
    _entry(
        "upstream_answer_too_large",
        "provider",
        502,
        "The whole answer is larger than 256 MiB, or an error body larger than 1 MiB.",
        "Ask for less in one answer.",
    ),
    # --- The gateway ---
    _entry(
        "internal_error",
        "operator",
        500,
        "A bug of Freehold's. The server's log has it.",
        "Please report what the log says, and the request if you can share it.",
    ),
    _entry(
        "too_many_streams",
        "operator",
        503,
        "More exchanges are open than `[limits] streams` allows. The answer asks to come back after a second.",
        "Raise [the limit](configuration.md#streams), or run more gateways.",
    ),
    _entry(
        "all_targets_disabled",
        "operator",
        503,
        "An operator has disabled every target of the model.",
        "Put one back with `freehold target enable`, or ask for another model.",
    ),
    _entry(
        "record_unwritable",
        "operator",
        503,
        "The exchange record can not be written, so nothing is served that could not be proved later.",
        'Make room for the spool. `[ledger] on_full = "serve"` serves without a record instead.',
    ),
    _entry(
        "store_unavailable",
        "operator",
        503,
        "The database failed, refused, or could not be reached.",
        "Look at the database. A running gateway goes on with the keys that it knows.",
    ),
    _entry(
        "server_secret_changed",
        "operator",
        500,
        "An AWS pair was encrypted under another server secret.",
        "Restore `[server] secret`, or the secret file beside the database.",
    ),
    _entry(
        "invalid_config",
        "operator",
        0,
        "The configuration is wrong. Every mistake is listed with its line and what to write instead.",
        "Correct the file; `freehold check` reads it without serving. A running gateway keeps the last good one.",
    ),
    # --- The command line ---
    _entry(
        "wrong_usage",
        "command",
        0,
        "The command line can not be understood: an unknown option, a missing argument. Exit status 2.",
        "Look at `freehold COMMAND --help`.",
    ),
    _entry(
        "target_not_found",
        "operator",
        404,
        "The control plane was told of a target that the configuration does not state.",
        "`freehold target list` shows those there are; they are written `account/model`.",
    ),
    _entry(
        "domain_not_found",
        "operator",
        404,
        "A drill named a failure domain that no target of the configuration lies in.",
        "Name one of those that the message lists; they are written `kind:name`, as in `provider:openai`.",
    ),
    _entry(
        "control_plane_unreachable",
        "command",
        0,
        "No server answered at the address of the control plane.",
        "Start the server, or name its address with `--admin`.",
    ),
    _entry(
        "drill_not_agreed",
        "command",
        0,
        "A drill on the running gateway was not agreed to, or nobody could be asked.",
        "Answer yes, or say `--yes`. Without `--live` a drill happens in the sandbox and asks nothing.",
    ),
    _entry(
        "threshold_crossed",
        "command",
        0,
        "A figure crossed what `--fail-on` allows. The report stands beside the error.",
        "Read the report: it says which exchanges failed or waited, and why.",
    ),
    _entry(
        "trace_unreadable",
        "command",
        0,
        "A trace for `freehold advise` can not be read, or lacks a column.",
        "Compare it with [the columns](../how-to/find-the-place-for-a-workload.md#columns-of-a-trace).",
    ),
    _entry(
        "control_plane_refused",
        "command",
        0,
        "The control plane refused: the target does not exist, or the caller is not admitted. The message says which.",
        "`freehold target list` shows the targets; from another machine `[server] admin_token` is needed.",
    ),
    _entry(
        "check_failed",
        "command",
        0,
        "`freehold check --live` asked, and an account did not answer as it should.",
        "`accounts` says for each what was wrong: a key, an address, a model.",
    ),
    _entry(
        "bench_failed",
        "command",
        0,
        "`freehold bench` measured, and a target gave no answer at all.",
        "`problems` says for each what it answered instead; the figures of the others are kept.",
    ),
    _entry(
        "no_target",
        "command",
        0,
        "`freehold route explain` found nobody who would be asked.",
        "`targets` says for each what speaks against it.",
    ),
    _entry(
        "demo_failed",
        "command",
        0,
        "An answer of `freehold demo` was not as it should be.",
        "Please report it, with what `--json` prints.",
    ),
    _entry(
        "recording_failed",
        "command",
        0,
        "`freehold record` got another status than it asked for, or no answer.",
        "`recordings` says which; the others are written.",
    ),
    _entry(
        "translation_failed",
        "command",
        0,
        "`freehold translate` met a file that is no recorded exchange, or could not translate one.",
        "The lines with `error` as their status say which.",
    ),
    _entry(
        "exchange_not_found",
        "command",
        0,
        "`freehold ledger show --exchange` found no such exchange in this machine's spool.",
        "Look where the gateway that answered keeps its spool.",
    ),
    _entry(
        "key_not_found",
        "command",
        0,
        "There is no key with this id.",
        "`freehold keys list` shows those there are.",
    ),
    _entry(
        "file_exists",
        "command",
        0,
        "`freehold init` would overwrite a file.",
        "Name another with `--output`, or say `--force`.",
    ),
    _entry(
        "file_unwritable",
        "command",
        0,
        "A file can not be written.",
        "Look at the folder's permissions, and whether the disk is full.",
    ),
    _entry(
        "sandbox_failed",
        "command",
        0,
        "The emulated clouds could not be started.",
        "The message has the system's reason, mostly a port or a folder.",
    ),
    _entry(
        "no_sandbox",
        "command",
        0,
        "No sandbox of this user runs on this machine.",
        "Start one: `freehold sandbox` or `freehold serve --sandbox`.",
    ),
    _entry(
        "sandbox_refused",
        "command",
        0,
        "The running sandbox does not know such a cloud or fault.",
        "`freehold sandbox status` and `freehold sandbox faults` list them.",
    ),
)

_HEAD: Final = """# Errors

Every error of Freehold's own carries one of these codes. Codes are stable; messages are for people and may change.

An error is said in the caller's protocol: OpenAI's and Azure's bodies hold the code as `error.code`, Google's in
capitals as the `reason` in `error.details`; Anthropic's bodies have no place for it, and Bedrock's SDKs read an error's
type from `x-amzn-errortype`. The code of every exchange that failed stands on its [record](exchange-record.md) in
`error`.

A provider's own error keeps the provider's code, so a code that is not on this page is the provider's.

Whether anything is tried again is decided by the kind of an error, never by its message: see
[failover](../explanation/failover.md).
"""


def page() -> str:
    """The whole page."""
    lines = [_HEAD]
    for fault, (title, words) in _FAULTS.items():
        lines += [f"## {title}", "", words, ""]
        for entry in ENTRIES:
            if entry.fault == fault:
                answer = f"Answered {entry.status}. " if entry.status else "At the command line. "
                lines += [f"### `{entry.code}`", "", f"{answer}{entry.cause}", "", f"*What to do:* {entry.remedy}", ""]
    lines += [
        "## Kinds and statuses",
        "",
        (
            "Whatever the code, an error is of one kind, and each protocol says a kind in its own words. The status is "
            "the one that OpenAI's and Anthropic's clients get; Bedrock's service model has statuses of its own."
        ),
        "",
        *table(("Kind", "Status"), ((code(kind), str(status)) for kind, status in STATUS_OF_KIND.items())),
        "",
    ]
    return "\n".join(lines)
