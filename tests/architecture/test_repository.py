"""What holds for every file: nothing of one machine, locked dependencies, a reason beside each exception."""

import io
import re
import subprocess
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import freehold

ROOT = Path(__file__).parents[2]
FOLDERS = ("src", "tests", "docs", "benchmarks", "requirements", ".ci")
# Recordings hold what other people sent, whatever it names.
RECORDINGS = Path("tests/exchanges")

MACHINE_PATH = re.compile(r"(?<![\w.:/~-])/(?:home|Users|root|work|tmp|opt|mnt)/\w")
REGISTRY_HOST = re.compile(
    r"\b(?:pypi\.(?:org|python\.org)|files\.pythonhosted\.org|registry\.(?:npmjs\.org|yarnpkg\.com)"
    r"|proxy\.golang\.org|(?:static\.)?crates\.io|repo\.maven\.apache\.org)(?![\w-])"
)
REQUIREMENT = re.compile(r"^[A-Za-z0-9][\w.-]*(?:\[[\w,-]+\])?==\S+")
EXCEPTION = re.compile(r"#\s*(?:noqa: [A-Z0-9, ]*[A-Z0-9]|pyright: ignore\[[\w, ]+\])")
REASON = re.compile(r"#[^#]*[A-Za-z]{2,}[^#]* [^#]*[A-Za-z]{2,}")


def tracked_files() -> list[Path]:
    """The files under version control, relative to the root; all files of the known folders where git knows nothing."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode == 0 and listing.stdout:
        return [Path(name) for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]
    inside = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if "__pycache__" not in path.parts)
    return [path.relative_to(ROOT) for path in (*ROOT.glob("*"), *inside) if path.is_file()]


def lines_of_text(paths: list[Path]) -> Iterator[tuple[str, str]]:
    """Each line of each text file with where it stands."""
    for path in paths:
        try:
            text = (ROOT / path).read_text("utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            yield f"{path}:{number}", line


@pytest.mark.parametrize("pattern", [MACHINE_PATH, REGISTRY_HOST], ids=["machine path", "registry host"])
def test_no_file_names_one_machine_or_a_registry(pattern: re.Pattern[str]) -> None:
    paths = [path for path in tracked_files() if not path.is_relative_to(RECORDINGS)]
    found = [f"{where}: {line.strip()[:120]}" for where, line in lines_of_text(paths) if pattern.search(line)]
    assert not found


@pytest.mark.parametrize("name", ["bootstrap", "runtime", "dev"])
def test_every_locked_requirement_has_a_version_and_hashes(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    entries = [entry for entry in re.split(r"\n(?=[A-Za-z0-9])", text) if not entry.startswith("#")]
    assert entries
    for entry in entries:
        assert REQUIREMENT.match(entry), entry
        assert "--hash=sha256:" in entry, entry


def test_the_locks_name_every_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    runtime, dev = project["project"]["dependencies"], project["dependency-groups"]["dev"]
    extras = [each for group in project["project"]["optional-dependencies"].values() for each in group]
    assert not names(runtime) - locked("runtime"), "run `make lock`"
    assert not names(runtime + extras + dev) - locked("dev") - {"freehold"}, "run `make lock`"


def test_the_runtime_lock_is_part_of_the_development_lock() -> None:
    text = (ROOT / "requirements" / "dev.txt").read_text()
    for line in (ROOT / "requirements" / "runtime.txt").read_text().splitlines():
        if match := REQUIREMENT.match(line):
            assert re.sub(r"\[[^]]*\]", "", match.group()) in re.sub(r"\[[^]]*\]", "", text), "run `make lock`"


def test_every_silenced_check_has_its_reason_beside_it() -> None:
    found: list[str] = []
    for path in tracked_files():
        if path.suffix != ".py":
            continue
        previous = ""
        for token in tokenize.generate_tokens(io.StringIO((ROOT / path).read_text()).readline):
            if token.type != tokenize.COMMENT:
                continue
            remainder = EXCEPTION.sub("#", token.string)
            alone = token.line.strip().startswith("#")
            if remainder != token.string and not REASON.search(remainder) and not previous:
                found.append(f"{path}:{token.start[0]}: {token.string}")
            previous = token.string if alone and REASON.search(token.string) else ""
    assert not found


def test_every_ignored_lint_in_pyproject_has_its_reason() -> None:
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    ignored = [line for line in lines if re.match(r'\s+"[A-Z]+\d+",', line)]
    assert ignored
    assert [line for line in ignored if not REASON.search(line) and "# as " not in line] == []


def test_no_module_is_named_after_not_knowing_its_idea() -> None:
    vague = {"utils", "util", "helpers", "helper", "misc", "common"}
    assert [path for path in tracked_files() if path.suffix == ".py" and {path.stem, *path.parent.parts} & vague] == []


def test_the_version_stands_once_in_the_code_and_agrees_with_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == freehold.__version__


def test_the_changelog_has_a_place_for_the_next_change() -> None:
    assert "\n## [Unreleased]\n" in (ROOT / "CHANGELOG.md").read_text()


def names(requirements: list[str | dict[str, str]]) -> set[str]:
    """The distributions that these requirements ask for, spelled as the locks spell them."""
    found = (re.match(r"[\w.-]+", each) for each in requirements if isinstance(each, str))
    return {match.group().lower().replace("_", "-").replace(".", "-") for match in found if match}


def locked(name: str) -> set[str]:
    """The distributions that a lock pins."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return {match.group(1).lower() for match in re.finditer(r"^([\w.-]+)(?:\[[^]]*\])?==", text, re.MULTILINE)}
