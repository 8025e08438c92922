"""`freehold init`: a first configuration from the accounts in the environment, and how to point each client at it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from freehold.cli.failure import CommandError
from freehold.cli.options import ConfigOption, JsonOption, print_json

if TYPE_CHECKING:
    from freehold.providers.schema import Provider

_FILE: Final = "freehold.toml"

_SUGGESTED: Final = (
    "gpt-5",
    "claude-sonnet-4-5",
    "anthropic.claude-sonnet-4-5-20250929-v1:0",
    "gemini-2.5-pro",
    "mistral-large-latest",
    "deepseek-chat",
    "grok-4",
)
"""Models that do for a start, at whichever provider lists them; for any other, the first that it lists."""

_SECRET_FIELDS: Final = frozenset({"api_key", "secret_access_key", "session_token"})


class AccountDraft(msgspec.Struct, frozen=True, kw_only=True):
    """An account as it is written down: TOML values by field, and the variables that must be set before the start."""

    name: str
    provider: str
    title: str
    fields: dict[str, str]
    missing: tuple[str, ...]
    model: str | None


def command(
    *,
    provider: Annotated[
        list[str] | None,
        typer.Option("--provider", metavar="NAME", help="A provider to write down; repeatable. Default: those found."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="ACCOUNT/MODEL", help="A target of the model `assistant`; repeatable."),
    ] = None,
    listen: Annotated[str, typer.Option(help="Address of the data plane.")] = "127.0.0.1:8080",
    output: Annotated[Path | None, typer.Option("--output", metavar="FILE", help="Where to write.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Ask nothing; take what was found and what the flags say.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write freehold.toml from the environment, and print snippets for each SDK and coding agent."""
    file = output or Path(config or os.environ.get("FREEHOLD_CONFIG") or _FILE)
    if file.exists() and not force:
        raise CommandError(
            f"{file} is there already and stays as it is; --force overwrites it, --output names another",
            code="file_exists",
        )
    chosen = _chosen(provider, ask=not yes and not as_json and provider is None and sys.stdin.isatty())
    drafts = [_draft(each) for each in chosen]
    targets = model or [f"{draft.name}/{draft.model}" for draft in drafts if draft.model is not None]
    text = configuration(drafts, targets, listen)
    _check(text, file, drafts)
    from freehold.cli.snippets import snippets
    from freehold.store.private_files import write_private

    try:
        write_private(file, text.encode())
    except OSError as error:
        raise CommandError(f"{file} can not be written: {error.strerror}", code="file_unwritable") from None
    notes = _notes(drafts)
    # Without a model there is nothing that a client could ask for yet.
    shown = snippets(f"http://{listen}", "assistant") if targets else {}
    if as_json:
        accounts = [draft.name for draft in drafts]
        print_json({"file": str(file), "accounts": accounts, "notes": notes, "snippets": shown})
        return
    typer.echo(f"{file} is written, readable by you only.", err=True)
    for note in notes:
        typer.echo(note, err=True)
    for title, snippet in shown.items():
        typer.echo(f"# --- {title}\n{snippet}\n")


def _chosen(named: Sequence[str] | None, *, ask: bool) -> list[Provider]:
    """The providers to write down: those that were named, else those that the environment has credentials for."""
    from freehold.providers.catalog import providers

    known = providers()
    if named is not None:
        unknown = [name for name in named if name not in known]
        if unknown:
            raise typer.BadParameter(
                f"unknown provider {unknown[0]}; `freehold providers` lists them", param_hint="--provider"
            )
        return [known[name] for name in dict.fromkeys(named)]
    found: list[Provider] = []
    for each in known.values():
        needs = each.environment.needs
        present = bool(needs) and all(_variable(each, field) is not None for field in needs)
        if not present:
            continue
        # What spends somebody's money by merely being on this machine is only taken when a person says so.
        offered = each.environment.discover == "offer"
        if ask and not typer.confirm(
            f"{each.title} was found in the environment. Use it?", default=not offered, err=True
        ):
            continue
        if ask or each.environment.discover == "use":
            found.append(each)
    if ask and not found:
        name = typer.prompt(
            f"Which provider? ({', '.join(known)}; empty for none)", default="", show_default=False, err=True
        )
        return _chosen([name], ask=False) if name else []
    return found


def _variable(provider: Provider, field: str) -> str | None:
    """The environment variable that states this field; None where none of its names is set."""
    for known, names in provider.environment.variables.items():
        if known == field:
            return next((name for name in names if os.environ.get(name, "").strip()), None)
    return None


def _draft(provider: Provider) -> AccountDraft:
    """An account of this provider: secrets by reference, everything else as the environment has it."""
    fields: dict[str, str] = {}
    missing: list[str] = []
    wanted = {*provider.requires, *provider.environment.needs}
    for field, names in provider.environment.variables.items():
        variable = _variable(provider, field)
        if variable is not None:
            secret = field in _SECRET_FIELDS
            fields[field] = f"env:{variable}" if secret else os.environ[variable].strip()
        elif field in wanted:
            fields[field] = f"env:{names[0]}"
            missing.append(names[0])
    for field in provider.requires:
        if field not in fields:
            fields[field] = f"env:{provider.name.upper().replace('-', '_')}_{field.upper()}"
            missing.append(fields[field].removeprefix("env:"))
    return AccountDraft(
        name=provider.name,
        provider=provider.name,
        title=provider.title,
        fields=fields,
        missing=tuple(missing),
        model=_suggestion(provider),
    )


def _suggestion(provider: Provider) -> str | None:
    from freehold.providers.catalog import exact_ids

    listed = exact_ids(rule for rule in provider.models if "generate" in rule.operations)
    return next((each for each in _SUGGESTED if each in listed), listed[0] if listed else None)


def configuration(drafts: Sequence[AccountDraft], targets: Sequence[str], listen: str) -> str:
    """The file: server, accounts, and the model `assistant` over all targets in turn."""
    lines = [
        "# Freehold. Every setting: docs/reference/configuration.md; `freehold check` reports what is wrong.",
        "",
        "[server]",
        f"listen = {_toml(listen)}",
    ]
    for draft in drafts:
        lines += ["", f"[accounts.{draft.name}]  # {draft.title}", f"provider = {_toml(draft.provider)}"]
        lines += [f"{field} = {_toml(value)}" for field, value in draft.fields.items()]
    lines.append("")
    if targets:
        lines += [
            "# Clients ask for `assistant`; the first that can answer does. `aliases` may hold what they send already.",
            "[models.assistant]",
            f"targets = {_toml(list(targets))}",
        ]
    else:
        lines += [
            "# A name that clients ask for, and who answers, in order:",
            "# [models.assistant]",
            '# targets = ["account/model"]',
        ]
    return "\n".join(lines) + "\n"


def _toml(value: str | list[str]) -> str:
    """Strings and lists of strings: TOML writes a string as JSON does."""
    if isinstance(value, list):
        return "[" + ", ".join(_toml(each) for each in value) + "]"
    return msgspec.json.encode(value).decode()


def _check(text: str, file: Path, drafts: Sequence[AccountDraft]) -> None:
    """A mistake in what is about to be written ends the command; a variable that is not set yet is none."""
    from freehold.config.loading import parse

    later = {name: "https://later.example" for draft in drafts for name in draft.missing}
    parse(text, str(file), {**os.environ, **later})


def _notes(drafts: Sequence[AccountDraft]) -> list[str]:
    if not drafts:
        hint = "name one with --provider (`freehold providers` lists them), or see it work with `freehold demo`"
        return [f"No provider was found in the environment: {hint}."]
    missing = [f"Set {name} before the start: {draft.title} needs it." for draft in drafts for name in draft.missing]
    return [*missing, "Next: `freehold check --live` asks each account one tiny question, `freehold serve` starts."]
