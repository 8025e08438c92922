"""The file by which commands find the sandbox: of several it names the newest that runs."""

import os
from pathlib import Path

import msgspec

from freehold.sandbox.fleet import Fleet, read_state
from freehold.store.private_files import write_private


def _leave(file: Path, pid: int) -> bytes:
    content = msgspec.json.encode({"control": "http://127.0.0.1:9", "token": "another", "pid": pid})
    write_private(file, content)
    return content


async def test_a_sandbox_that_ran_before_is_found_again_when_a_newer_one_ends(tmp_path: Path) -> None:
    file = tmp_path / "sandbox.json"
    before = _leave(file, os.getppid())
    async with Fleet(state_file=file) as newer:
        state = read_state(file)
        assert state is not None
        assert state.control == newer.control
    assert msgspec.json.decode(file.read_bytes()) == msgspec.json.decode(before)


async def test_nothing_is_left_of_one_that_runs_no_more(tmp_path: Path) -> None:
    file = tmp_path / "sandbox.json"
    _leave(file, 2**22 + 1)  # more than any process has
    async with Fleet(state_file=file):
        pass
    assert not file.exists()
