"""What the documentation shows works: marked commands and programs run, configuration and JSON parse.

A block is run when `test` follows its language:

    ```bash test
    freehold --help
    ```

Blocks of one page run in order in one empty folder, so a file that one writes is there for the next. Languages: `bash`
(stops at the first failing command) and `python`. Add `fails` when the point of a block is that it ends with an error.
Blocks of `toml` and `json` are always parsed, unless `fragment` says that something was left out.
"""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.docs.markdown import Block, read_page
from tests.docs.pages import PAGES, label

RUNNABLE = {
    "bash": ("bash", "-euo", "pipefail", "-c"),
    "python": (sys.executable, "-W", "error", "-c"),
}
KNOWN_MARKS = {"test", "fails", "fragment"}
PAGES_WITH_BLOCKS = [path for path in PAGES if read_page(path).blocks]
PAGES_TO_RUN = [path for path in PAGES_WITH_BLOCKS if any("test" in block.marks for block in read_page(path).blocks)]


@pytest.mark.parametrize("path", PAGES_TO_RUN, ids=label)
@pytest.mark.timeout(180)  # a page is several programs, each started from nothing
def test_marked_blocks_run(path: Path, tmp_path: Path) -> None:
    environment = {
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "NO_COLOR": "1",
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.defpath)),
        "XDG_CONFIG_HOME": str(tmp_path / ".config"),
        "XDG_DATA_HOME": str(tmp_path / ".local"),
    }
    folder = tmp_path / "folder"
    folder.mkdir()
    for block in read_page(path).blocks:
        if "test" not in block.marks:
            continue
        done = subprocess.run(
            [*RUNNABLE[block.language], block.text],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        failed_as_said = (done.returncode != 0) == ("fails" in block.marks)
        assert failed_as_said, f"{label(path)}:{block.line}: exit {done.returncode}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("path", PAGES_WITH_BLOCKS, ids=label)
def test_blocks_say_what_they_are_and_parse(path: Path) -> None:
    problems = [f"{label(path)}:{block.line}: {said}" for block in read_page(path).blocks if (said := problem(block))]
    assert not problems


def problem(block: Block) -> str | None:
    """What is wrong with a block as it stands, or None."""
    if not block.language:
        return "say the language, `text` if there is none"
    if unknown := block.marks - KNOWN_MARKS:
        return f"unknown marks: {', '.join(sorted(unknown))}"
    if "test" in block.marks and block.language not in RUNNABLE:
        return f"{block.language} can not be run here"
    if "fragment" in block.marks:
        return None
    try:
        match block.language:
            case "toml":
                tomllib.loads(block.text)
            case "json":
                json.loads(block.text)
            case _:
                pass
    except ValueError as error:
        return f"not {block.language}: {error}"
    return None
