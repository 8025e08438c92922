"""Who may import whom: the contracts of pyproject.toml, and what they can not say."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.imports import SOURCE, imported_modules, load

ROOT = Path(__file__).parents[2]
PURE_PACKAGES = ("ir", "protocols")

# What a pure module could reach without an import that a contract sees, or through a module that is half pure.
IMPURE_CALLS = {
    "breakpoint",
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "date.today",
    "datetime.now",
    "datetime.today",
    "datetime.utcnow",
    "input",
    "open",
    "print",
}
IMPURE_MODULES = {"urllib.request", "urllib.error", "importlib.resources", "http.client"}


def test_the_import_contracts_hold() -> None:
    lint = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert lint.returncode == 0, lint.stdout + lint.stderr


def test_every_codec_is_in_the_contract_that_keeps_codecs_apart() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = (each for each in contracts if each["id"] == "codecs")
    named = {name.strip().strip("()").rpartition(".")[2] for layer in contract["layers"] for name in layer.split("|")}
    packages = {path.parent.name for path in (SOURCE / "protocols").glob("*/__init__.py")}
    assert packages <= named, "add the new codec to the contract `codecs` in pyproject.toml"


def test_nothing_but_the_command_line_imports_the_sandbox() -> None:
    importers = {
        path.relative_to(SOURCE).parts[0]
        for path in SOURCE.rglob("*.py")
        for module in imported_modules(path)
        if module == "freehold.sandbox" or module.startswith("freehold.sandbox.")
    }
    assert importers <= {"cli", "sandbox"}


@pytest.mark.parametrize("package", PURE_PACKAGES)
def test_pure_packages_call_nothing_impure(package: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node.func)}"
        for path in sorted((SOURCE / package).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in IMPURE_CALLS
    ]
    assert not found


@pytest.mark.parametrize("package", PURE_PACKAGES)
def test_pure_packages_import_no_impure_half_of_a_module(package: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}: {module}"
        for path in sorted((SOURCE / package).rglob("*.py"))
        for module in imported_modules(path)
        if module in IMPURE_MODULES
    ]
    assert not found


def test_ir_and_protocols_load_without_network_server_or_store() -> None:
    loaded = load("freehold.ir", "freehold.protocols")
    assert not loaded & {"socket", "ssl", "asyncio", "httptools", "httpx", "granian", "sqlalchemy", "botocore", "typer"}


def test_importing_any_module_reaches_no_network_and_starts_no_program() -> None:
    load("freehold")
