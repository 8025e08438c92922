"""Coding agents finish a task with tool calls through the gateway, whatever language their model speaks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agents.agents import AGENTS, LONGEST_TASK, Way, perform
from tests.agents.installed import INSTALL_SECONDS, NoAgentsError, installed
from tests.agents.upstreams import AS_IT_IS, TOLERANT, number_calls, upstreams
from tests.agents.worker import CONTENT, WORD, Task, Worker
from tests.upstreams.gateway import SPOKEN, UPSTREAMS, Gateway

pytestmark = pytest.mark.timeout(INSTALL_SECONDS + LONGEST_TASK)

OWN = {
    "claude-code": ("anthropic-messages", "bedrock-invoke"),
    "claude-code-on-bedrock": ("anthropic-messages", "bedrock-invoke"),
    "codex": ("openai-responses", "azure-openai"),
    "codex-built-in": ("openai-responses", "azure-openai"),
    "gemini-cli": ("gemini-generate",),
}
"""The upstreams that speak an agent's own language."""

KNOWN_TO_CODEX = {
    "gpt-6.1-sol": "anthropic-messages",
    "gpt-6-sol": "gemini-generate",
    "gpt-6-luna": "bedrock-converse",
    "gpt-5.6-sol": "openai-chat",
}
"""For OpenAI's models Codex offers its tools in an item of the conversation; the main one takes a program as text."""

PROBED = [
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "us.anthropic.claude-opus-4-6-v1",
    "us.anthropic.claude-sonnet-4-20250514-v1:0",
    "us.anthropic.claude-3-7-sonnet-20250219-v1:0",
    "us.anthropic.claude-3-5-sonnet-20241022-v2:0",
    "us.anthropic.claude-opus-4-5-20251101-v1:0",
    "us.anthropic.claude-opus-4-1-20250805-v1:0",
    "us.anthropic.claude-opus-4-20250514-v1:0",
]
"""What Claude Code asks Bedrock for when it starts, to see what there is; it takes any answer."""

MODELS = "\n".join(
    f'[models."{name}"]\ntargets = ["{upstream}/{UPSTREAMS[upstream].target}"]'
    for name, upstream in {**dict.fromkeys(PROBED, "anthropic-messages"), **KNOWN_TO_CODEX}.items()
)


@pytest.fixture(scope="session")
def packages() -> Path:
    try:
        return installed()
    except NoAgentsError as reason:
        pytest.skip(f"no coding agent was tested: {reason}")


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    running = Gateway(tmp_path_factory.mktemp("gateway"), upstreams=upstreams(), more=MODELS)
    running.start()
    yield running
    running.stop()


def do_the_task(
    agent: str,
    upstream: str,
    *,
    packages: Path,
    gateway: Gateway,
    folder: Path,
    patch: pytest.MonkeyPatch,
    model: str | None = None,
) -> None:
    """Let an agent do it, and see that it is done and that the upstream found nothing wrong."""
    gateway.forget()
    home, work = folder / "home", folder / "work"
    home.mkdir()
    work.mkdir()
    task = Task(folder=work)
    task.source.write_text(CONTENT)
    emulator = gateway.emulators[upstream]
    worker = Worker(task, emulator.vendor)
    emulator.instead = worker.answer
    number_calls(patch, worker)
    way = Way(url=gateway.url, key=gateway.mint()[0], pair=gateway.mint(aws=True), model=model or upstream)
    done = perform(AGENTS[agent], packages, home, way, task)
    shown = f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}\nsaid: {worker.turns}, offered: {worker.tools}"
    assert emulator.problems == [], shown
    assert task.target.is_file(), shown
    assert task.target.read_text().strip() == WORD, shown
    assert done.returncode == 0, shown
    assert [turn for turn in worker.turns if turn != "aside"] == ["read", "write", "done"]


@pytest.mark.parametrize("upstream", SPOKEN)
@pytest.mark.parametrize("agent", AGENTS)
def test_a_task_is_finished(
    agent: str, upstream: str, *, packages: Path, gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{upstream}{AS_IT_IS}" if upstream in OWN[agent] and upstream in TOLERANT else upstream
    do_the_task(agent, name, packages=packages, gateway=gateway, folder=tmp_path, patch=monkeypatch)


@pytest.mark.parametrize("model", KNOWN_TO_CODEX)
def test_codex_finishes_it_under_the_name_of_a_model_of_its_own(
    model: str, packages: Path, gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream = KNOWN_TO_CODEX[model]
    do_the_task("codex", upstream, packages=packages, gateway=gateway, folder=tmp_path, patch=monkeypatch, model=model)
