"""What the program can say stands in the reference: every code, setting, header, loss, field and metric."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from freehold.config import Account, Limits, Model, Server
from freehold.config.values import Check, Fetch, Hedge, Ledger, Storage, Timeouts, Weights
from freehold.errors import STATUS_OF_KIND
from freehold.exchange.lanes import Strictness
from freehold.exchange.record import Outcome
from freehold.ir import Effect
from freehold.ir.values import LossKind
from freehold.protocols.registry import CODECS
from freehold.protocols.spellings import SPELLINGS
from freehold.reference import errors, headers, losses, metrics, protocols, records
from freehold.reference.pages import Sources, pages
from tests.docs.error_codes import ERROR_CALLS, SOURCE, sites
from tests.docs.markdown import read_page
from tests.docs.pages import DOCS, ROOT

KNOWN_PAGES = pages(Sources(exchanges=ROOT / "tests" / "exchanges"))
STATUSES: dict[str, int] = {**STATUS_OF_KIND}
HEADER = re.compile(r'"(freehold-[a-z-]+)"')


@cache
def anchors(page: str) -> frozenset[str]:
    return read_page(DOCS / "reference" / f"{page}.md").anchors


@pytest.mark.parametrize("name", KNOWN_PAGES)
def test_the_page_is_up_to_date(name: str) -> None:
    written = (DOCS / "reference" / f"{name}.md").read_text("utf-8")
    assert written == KNOWN_PAGES[name](), f"run: python -m freehold.reference {name}"


def test_every_error_code_has_its_cause_and_its_remedy() -> None:
    known = {entry.code for entry in errors.ENTRIES}
    missing = [f"{site.where}: {site.code}" for site in sites() if site.code not in known]
    assert not missing, "write an entry in freehold/reference/errors.py"


def test_no_error_code_is_documented_that_nothing_states() -> None:
    assert {entry.code for entry in errors.ENTRIES} == {site.code for site in sites()}


def test_no_error_code_is_documented_twice() -> None:
    codes = [entry.code for entry in errors.ENTRIES]
    assert sorted(codes) == sorted(set(codes))


def test_the_documented_status_is_the_one_that_the_source_states() -> None:
    documented = {entry.code: entry.status for entry in errors.ENTRIES}
    wrong: list[str] = []
    for site in sites():
        if site.call not in ERROR_CALLS or (site.kind is None and site.status is None):
            continue
        status = site.status or STATUSES[site.kind or ""]
        if documented[site.code] not in {0, status}:
            wrong.append(f"{site.where}: {site.code} is {status}, documented as {documented[site.code]}")
    assert not wrong


@pytest.mark.parametrize("code", [entry.code for entry in errors.ENTRIES])
def test_the_anchor_that_an_error_names_exists(code: str) -> None:
    assert code in anchors("errors")


@pytest.mark.parametrize(
    "section", [Server, Storage, Limits, Fetch, Ledger, Account, Timeouts, Model, Weights, Hedge, Check]
)
def test_every_setting_has_its_anchor(section: type[msgspec.Struct]) -> None:
    tables = {"name", "timeouts", "weights", "hedge", "check"}
    settings = {field.encode_name for field in msgspec.structs.fields(section)} - tables
    assert settings <= anchors("configuration")


def test_every_loss_kind_and_effect_has_its_anchor_and_every_strictness_its_row() -> None:
    assert {*get_args(LossKind), *get_args(Effect)} <= anchors("losses")
    assert set(losses.STRICTNESS) == set(get_args(Strictness))


def test_every_header_of_ours_has_its_anchor() -> None:
    files = (path for package in ("exchange", "server") for path in (SOURCE / package).glob("*.py"))
    stated = {name for path in files for name in HEADER.findall(path.read_text("utf-8"))}
    documented = {entry.name.lower() for entry in (*headers.REQUEST, *headers.ANSWER)}
    assert stated - documented == set()
    assert documented <= anchors("headers")


def test_every_field_of_the_record_is_described() -> None:
    for kind, said in records.FIELDS.items():
        assert {field.name for field in msgspec.structs.fields(kind)} == set(said), kind.__name__
    assert set(records.OUTCOMES) == set(get_args(Outcome))


def test_every_metric_is_described() -> None:
    counted: set[str] = set()
    for path in ("exchange/road.py", "app.py", "routing/health.py", "server/crew.py", "server/worker.py"):
        for node in ast.walk(ast.parse((SOURCE / path).read_text("utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(attr="add"), args=[ast.Constant(value=str(name)), _, *_]):
                    counted.add(name)
                case (
                    ast.Assign(targets=[ast.Name(id="gauges" | "sums")], value=ast.Dict(keys=keys))
                    | ast.AnnAssign(target=ast.Name(id="found"), value=ast.Dict(keys=keys))
                    | ast.keyword(arg="gauges", value=ast.Dict(keys=keys))
                    | ast.FunctionDef(name="gauges", body=[*_, ast.Return(value=ast.Dict(keys=keys))])
                ):
                    counted.update(str(key.value) for key in keys if isinstance(key, ast.Constant))
                case _:
                    pass
    assert counted == {entry.name for entry in metrics.ENTRIES}


def test_every_protocol_states_its_limits() -> None:
    assert set(CODECS) <= set(protocols.LIMITS)


def test_every_spelling_has_its_anchor() -> None:
    assert {spelling.id for spelling in SPELLINGS} <= anchors("spellings")


def test_the_reference_names_no_path_of_this_machine() -> None:
    for name, page in KNOWN_PAGES.items():
        assert str(Path.home()) not in page(), name
