"""What Freehold depends on: declared, locked, and optional where only some need it."""

import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.architecture.imports import SOURCE, imported_modules, load

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
REQUIREMENT = re.compile(r"^[A-Za-z0-9][\w.-]*(?:\[[\w,-]+\])?==\S+")
# Modules that only the extras bring.
OPTIONAL_MODULES = (
    "azure",
    "boto3",
    "botocore",
    "google",
    "jsonschema",
    "numba",
    "numpy",
    "psycopg",
    "referencing",
    "requests",
)


def test_every_module_that_is_imported_belongs_to_a_declared_dependency() -> None:
    project = PROJECT["project"]
    extras = [each for group in project["optional-dependencies"].values() for each in group]
    declared = names(project["dependencies"] + extras)
    owners = importlib.metadata.packages_distributions()
    undeclared = {
        f"{path.relative_to(ROOT)}: {module}"
        for path in SOURCE.rglob("*.py")
        for module in imported_modules(path)
        if (top := module.partition(".")[0]) not in sys.stdlib_module_names | {"freehold"}
        and not names(owners.get(top, [])) & declared
    }
    assert not undeclared


def test_the_gateway_alone_needs_no_extra() -> None:
    load("freehold", absent=OPTIONAL_MODULES, without=["freehold.simulation"])


@pytest.mark.parametrize("name", ["bootstrap", "runtime", "dev", "previous-google"])
def test_every_locked_requirement_has_a_version_and_hashes(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    entries = [entry for entry in re.split(r"\n(?=[A-Za-z0-9])", text) if not entry.startswith("#")]
    assert entries
    for entry in entries:
        assert REQUIREMENT.match(entry), entry
        assert "--hash=sha256:" in entry, entry


def test_the_locks_name_every_declared_dependency() -> None:
    runtime, dev = PROJECT["project"]["dependencies"], PROJECT["dependency-groups"]["dev"]
    extras = [each for group in PROJECT["project"]["optional-dependencies"].values() for each in group]
    assert not names(runtime) - locked("runtime"), "run `make lock`"
    assert not names(runtime + extras + dev) - locked("dev") - {"freehold"}, "run `make lock`"


def test_the_runtime_lock_is_part_of_the_development_lock() -> None:
    text = (ROOT / "requirements" / "dev.txt").read_text()
    for line in (ROOT / "requirements" / "runtime.txt").read_text().splitlines():
        if match := REQUIREMENT.match(line):
            assert re.sub(r"\[[^]]*\]", "", match.group()) in re.sub(r"\[[^]]*\]", "", text), "run `make lock`"


def names(requirements: Sequence[str | dict[str, str]]) -> set[str]:
    """The distributions that these requirements ask for, spelled as the locks spell them."""
    found = (re.match(r"[\w.-]+", each) for each in requirements if isinstance(each, str))
    return {match.group().lower().replace("_", "-").replace(".", "-") for match in found if match}


def locked(name: str) -> set[str]:
    """The distributions that a lock pins."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return {match.group(1).lower() for match in re.finditer(r"^([\w.-]+)(?:\[[^]]*\])?==", text, re.MULTILINE)}
