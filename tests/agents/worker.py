"""A model for coding agents: it reads a file with the agent's own tools, writes a word of it to another, and is done.

The word is taken from the result of the first call, so a task that succeeds proves that calls and results travelled.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec

from tests.upstreams.emulator import Vendor
from tests.upstreams.scenarios import Call, Heard, Said
from tests.upstreams.server import Asked, Reply

CONTENT = "quokka wombat numbat\n"
WORD = "quokka"
MOST_TURNS = 8
"""Three belong to the task; agents ask for titles and the like beside it."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One small task in a folder."""

    folder: Path

    @property
    def source(self) -> Path:
        return self.folder / "a.txt"

    @property
    def target(self) -> Path:
        return self.folder / "b.txt"

    @property
    def prompt(self) -> str:
        return f"Read the file {self.source} and write its first word, nothing else, into {self.target}. Then stop."


class Worker:
    """What an emulated upstream says to a coding agent; `turns` is what it said, `tools` what it was offered last."""

    def __init__(self, task: Task, vendor: Vendor) -> None:
        self._task = task
        self._vendor = vendor
        self.turns: list[str] = []
        self.tools: list[str] = []

    def answer(self, asked: Asked) -> Reply:
        """Raises WrongRequestError."""
        heard, streamed = self._vendor.read(asked)
        said = self._say(heard)
        if streamed:
            return Reply(headers=self._vendor.stream_headers, pieces=self._vendor.pieces(asked, said))
        return self._vendor.whole(asked, said)

    def _say(self, heard: Heard) -> Said:
        assert len(self.turns) < MOST_TURNS, f"the agent does not come to an end: {self.turns}"
        if not heard.tools:
            # A title, or a question for the right model: agents ignore an answer that is of no use to them.
            self.turns.append("aside")
            return Said(text=("Copy a word",))
        self.tools = heard.tools
        match len(heard.results):
            case 0:
                self.turns.append("read")
                return Said(text=("I read", " it."), calls=(_reading(heard.tools, self._task),), stop="calls")
            case 1:
                self.turns.append("write")
                # Results reach some vendors as JSON; agents put the number of the line and a tabulator in front.
                found = re.search(r"(?:\\[nt])*(\w+) wombat", heard.results[0][1])
                word = "nothing" if found is None else found[1]
                return Said(calls=(_writing(heard.tools, self._task, word),), stop="calls")
            case _:
                self.turns.append("done")
                return Said(text=("The word", " is written."))


def _reading(tools: list[str], task: Task) -> Call:
    return _call(
        tools,
        {"Read": {"file_path": str(task.source)}, "read_file": {"file_path": str(task.source)}},
        f"cat {task.source}",
    )


def _writing(tools: list[str], task: Task, word: str) -> Call:
    arguments = {"file_path": str(task.target), "content": word}
    return _call(tools, {"Write": arguments, "write_file": arguments}, f"printf %s {word} > {task.target}")


def _call(tools: list[str], known: dict[str, dict[str, str]], command: str) -> Call:
    """By a tool for the purpose, else by a shell."""
    shells: dict[str, dict[str, object]] = {
        "exec_command": {"cmd": command},
        "shell_command": {"command": command},
        "shell": {"command": ["bash", "-lc", command]},
        "run_shell_command": {"command": command},
        "Bash": {"command": command},
        "exec": {"input": f"text(await tools.exec_command({{cmd: {json.dumps(command)}}}))"},
    }
    for name, arguments in {**known, **shells}.items():
        if name in tools:
            text = json.dumps(arguments)
            return Call(name=name, pieces=(text[:7], text[7:]))
    raise AssertionError(f"none of the tools is known: {tools}")
