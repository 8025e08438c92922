"""What holds for every file: nothing of one machine, a reason beside each exception, names that mean something."""

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
