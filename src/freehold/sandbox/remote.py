"""A running sandbox seen from another process: its status, its faults."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import httpx
import msgspec

from freehold.errors import FreeholdError
from freehold.sandbox.control import Fail, Heal, Status
from freehold.sandbox.fleet import read_state

STATE_VARIABLE: Final = "FREEHOLD_SANDBOX"
"""Names another state file, for more than one sandbox at a time."""

_SECONDS: Final = 10.0


def state_file(environ: Mapping[str, str], data_directory: Path) -> Path:
    """Where the sandbox leaves word of its control port."""
    stated = environ.get(STATE_VARIABLE)
    return Path(stated).expanduser() if stated else data_directory / "sandbox.json"


def ask(file: Path, wish: Fail | Heal | None = None) -> Status:
    """The status of the running sandbox, after doing what is wished. Raises FreeholdError."""
    state = read_state(file)
    if state is None:
        raise _not_running(file)
    path = "/status" if wish is None else "/fail" if isinstance(wish, Fail) else "/heal"
    try:
        answer = httpx.request(
            "GET" if wish is None else "POST",
            state.control + path,
            content=None if wish is None else msgspec.json.encode(wish),
            headers={"authorization": f"Bearer {state.token}"},
            timeout=_SECONDS,
            trust_env=False,
        )
    except httpx.HTTPError:
        raise _not_running(file) from None
    if answer.status_code != 200:
        raise FreeholdError(_said(answer.content), code="sandbox_refused", kind="invalid_request")
    return msgspec.json.decode(answer.content, type=Status)


def _said(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=dict[str, str])["error"]
    except (msgspec.DecodeError, KeyError):
        return "the sandbox answered something that is no status; was it started by another version?"


def _not_running(file: Path) -> FreeholdError:
    return FreeholdError(
        f"no sandbox is running ({file} leads to none): start one, `freehold sandbox` or `freehold serve --sandbox`",
        code="no_sandbox",
        kind="unavailable",
    )
