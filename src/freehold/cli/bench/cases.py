"""What is asked: a user's own cases, one text, or questions of ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec

from freehold.cli.asking import Question, readable
from freehold.cli.bench.checks import Check, Judge, Schema
from freehold.errors import ConfigError, FreeholdError
from freehold.ir import write_json

_TOPICS: Final = (
    "a bicycle stays upright",
    "bread rises",
    "a rainbow forms",
    "a lock on a canal lifts a boat",
    "the tides come about",
    "a refrigerator cools",
    "a key opens a lock",
    "bees find their way home",
    "a sundial tells the time",
    "glass is made",
    "an aeroplane is kept in the air",
    "a quartz watch counts seconds",
)
"""Ordinary words, for tokens of ordinary length; several, so that no cache of answers knows them all."""

_OWN: Final = "Explain how {topic}, in about 150 words."


class Case(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of a file of cases: `prompt` or `messages`, `system` if wanted, and what tells a good answer."""

    prompt: str = ""
    messages: tuple[dict[str, Any], ...] = ()
    system: str | None = None
    check: Check | None = None
    id: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError unless there is exactly one of `prompt` and `messages`."""
        if bool(self.prompt) == bool(self.messages):
            raise ValueError("either `prompt` or `messages` is needed")

    def question(self, model: str, most: int) -> Question:
        """The case as it is put to a model."""
        return Question(
            model=model, text=self.prompt, messages=self.messages, system=self.system, max_tokens=most, stream=True
        )

    def shown(self) -> str:
        """The request in words, for a judge."""
        asked = self.prompt or write_json([*self.messages]).decode()
        return asked if self.system is None else f"{self.system}\n\n{asked}"


def own_case(random: Random) -> Case:
    """A question of ours."""
    return Case(prompt=_OWN.format(topic=random.choice(_TOPICS)))


def longest_own() -> Case:
    """The longest of our questions, to estimate costs by."""
    return Case(prompt=_OWN.format(topic=max(_TOPICS, key=len)))


def read_prompt(file: Path) -> Case:
    """A file's text as the one case. Raises ConfigError."""
    text = _read(file)
    if not text.strip():
        raise ConfigError(f"{file}: it is empty; write into it what should be asked")
    return Case(prompt=text)


def read_cases(file: Path) -> tuple[Case, ...]:
    """The cases of a file, one JSON object a line; every mistake is reported at once. Raises ConfigError."""
    cases: list[Case] = []
    problems: list[str] = []
    for number, line in _lines(_read(file)):
        try:
            case = msgspec.json.decode(line, type=Case)
            readable(case.question("model", 1))
            if isinstance(case.check, Schema):
                case.check.ready()
            cases.append(case)
        except ConfigError:
            raise
        except FreeholdError as error:
            problems.append(f"{file}:{number}: {error.message}")
        except (msgspec.DecodeError, ValueError) as error:
            problems.append(f"{file}:{number}: {error}")
    if problems:
        raise ConfigError("\n".join(problems))
    if not cases:
        raise ConfigError(f'{file}: there is no case in it; a line is {{"prompt": "…", "check": {{…}}}}')
    return tuple(cases)


def judged(cases: tuple[Case, ...]) -> bool:
    """Whether any case needs a judge."""
    return any(isinstance(case.check, Judge) for case in cases)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    # Only line feeds end a line: JSON may hold the other characters that Python splits at.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, line


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: it is not UTF-8") from None
