"""The providers' reference page, written from their files: `python -m freehold.providers.reference`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Final, assert_never

from freehold.providers.catalog import providers
from freehold.providers.schema import (
    Anonymous,
    Auth,
    Bearer,
    Clamp,
    Drop,
    Edit,
    Entra,
    Google,
    Header,
    MapRole,
    MapValue,
    PromptCache,
    Protocol,
    Provider,
    Query,
    Remove,
    Rename,
    SetField,
    SigV4,
    ToolCallIds,
)

_HEAD: Final = """# Providers

One section for each provider that Freehold knows. A provider is one data file; these sections are made from them.
Protocols stand in order of fidelity. An account states `provider` and what its section asks for; see
[configuration](configuration.md).
"""


def page() -> str:
    """The whole page, as `docs/reference/providers.md` holds it."""
    return "\n".join([_HEAD, *(_section(provider) for provider in providers().values())])


def _section(provider: Provider) -> str:
    lines = [
        f"## `{provider.name}`: {provider.title}",
        "",
        (
            f"[Home]({provider.homepage}) · [API documentation]({provider.docs}) · {provider.kind} · "
            f"checked {provider.checked.isoformat()}"
        ),
        "",
        f"- Address: {_code(provider.address.base_url) if provider.address.base_url else 'stated by the account'}",
        f"- Authentication, first that the account's credentials allow: {'; '.join(map(_auth, provider.auth))}",
    ]
    if provider.requires:
        lines.append(f"- Requires: {_codes(provider.requires)}")
    variables = [name for names in provider.environment.variables.values() for name in names]
    if variables:
        lines.append(f"- Environment variables: {_codes(variables)}")
    for name in ("operator", "parent", "jurisdiction", "cloud", "silicon"):
        fact = getattr(provider.facts, name)
        if fact is not None:
            lines.append(f"- {name.capitalize()}: {fact.value} ([source]({fact.source}))")
    lines += [f"- {_cache(cache)}" for cache in provider.caches]
    lines += [f"- {note}" for note in provider.notes]
    lines += ["", "| Protocol | Operation | Path |", "|---|---|---|"]
    for protocol in provider.protocols:
        for operation, path in protocol.paths.items():
            lines.append(f"| {protocol.name} | {operation} | `{protocol.version}{path}` |")
    edits = [(protocol, edit) for protocol in provider.protocols for edit in protocol.edits]
    if edits:
        lines += ["", "What is changed in a request on its way:", ""]
        lines += _unique(f"- {protocol.name}: {_edit(edit)}{_models(edit)}" for protocol, edit in edits)
    lines += ["", "| Models | Family | Protocols | Context | Longest answer | Takes |", "|---|---|---|---|---|---|"]
    for rule in provider.models:
        names = ", ".join(f"`{name}`" for name in rule.match)
        offered = rule.protocols or _names(provider.protocols)
        cells = (
            names,
            rule.family,
            ", ".join(offered),
            _count(rule.context),
            _count(rule.output),
            ", ".join(rule.input),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _cache(cache: PromptCache) -> str:
    what = "what a request marks" if not cache.automatic else f"prompts of {cache.least} tokens or more"
    most = "" if cache.longest is None else f", at most {cache.longest:g} s"
    lasts = f"for {cache.lifetime:g} s without use{most}"
    return f"Prompt cache{_models(cache)}: {what}, {lasts} ([source]({cache.source}))"


def _names(protocols: Iterable[Protocol]) -> tuple[str, ...]:
    return tuple(protocol.name for protocol in protocols if protocol.models == ("*",))


def _unique(lines: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(lines))


def _auth(auth: Auth) -> str:
    match auth:
        case Bearer(field=field):
            return f"`{field}` as a bearer token"
        case Header(names=names, field=field):
            return f"`{field}` in {_codes(names)}"
        case Query(name=name, field=field):
            return f"`{field}` as `?{name}=`"
        case SigV4(service=service, chain=True):
            return f"Signature V4 (service `{service}`) by the AWS credential chain"
        case SigV4(service=service):
            return f"`access_key_id` and `secret_access_key` by Signature V4 (service `{service}`)"
        case Google():
            return "Google Application Default Credentials"
        case Entra():
            return "Microsoft Entra ID"
        case Anonymous():
            return "none"
        case _:
            assert_never(auth)


def _edit(edit: Edit) -> str:
    match edit:
        case Rename(field=field, to=to):
            return f"`{field}` is sent as `{to}`"
        case Drop(field=field, detail=detail, effect=effect):
            return f"`{field}` is left out, reported as a loss of {effect}: {detail}"
        case SetField(field=field, value=value):
            return f"`{field}` is set to `{value}`"
        case Remove(field=field):
            return f"`{field}` is not in the body"
        case MapValue(field=field, values=values):
            return f"`{field}`: " + ", ".join(f"`{old}` becomes `{new}`" for old, new in values.items())
        case MapRole(role=role, to=to):
            return f"role `{role}` becomes `{to}`"
        case Clamp(field=field, minimum=low, maximum=high):
            named = (("at least", low), ("at most", high))
            return f"`{field}` is " + " and ".join(f"{name} {edge:g}" for name, edge in named if edge is not None)
        case ToolCallIds(length=length):
            return f"tool-call ids of other makes become {length} letters and digits"
        case _:
            assert_never(edit)


def _models(limited: Edit | PromptCache) -> str:
    return "" if limited.models == ("*",) else f" (models {_codes(limited.models)})"


def _code(text: str) -> str:
    return f"`{text}`"


def _codes(texts: Iterable[str]) -> str:
    return ", ".join(map(_code, texts))


def _count(tokens: int | None) -> str:
    return f"{tokens:,}" if tokens is not None else ""


if __name__ == "__main__":
    sys.stdout.write(page())
