"""Each coding agent: how it is told where its model is, and how it is started for one task without a person."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec

from tests.agents.worker import Task

LONGEST_TASK = 120  # seconds; each takes five to fifteen


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """Where the gateway is, as whom to call it, and which model to ask for."""

    url: str
    key: str
    pair: tuple[str, str]
    model: str


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """A command line and what its environment holds beside the path and the home."""

    command: list[str]
    environment: dict[str, str]


def claude_code(packages: Path, home: Path, way: Way, task: Task) -> Start:
    """Claude Code, by the Messages API."""
    return _claude(packages, way, task, {"ANTHROPIC_BASE_URL": way.url, "ANTHROPIC_AUTH_TOKEN": way.key})


def claude_code_on_bedrock(packages: Path, home: Path, way: Way, task: Task) -> Start:
    """Claude Code as on Amazon Bedrock: InvokeModel, signed."""
    environment = {
        "CLAUDE_CODE_USE_BEDROCK": "1",
        "ANTHROPIC_BEDROCK_BASE_URL": way.url,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": way.pair[0],
        "AWS_SECRET_ACCESS_KEY": way.pair[1],
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return _claude(packages, way, task, environment)


def _claude(packages: Path, way: Way, task: Task, environment: dict[str, str]) -> Start:
    # As root it refuses to skip all permissions, so the tools are allowed by name.
    program = str(packages / "@anthropic-ai/claude-code/cli-wrapper.cjs")
    return Start(
        command=["node", program, "-p", task.prompt, "--allowedTools", "Read", "Write", "--output-format", "json"],
        environment={
            "ANTHROPIC_MODEL": way.model,
            "ANTHROPIC_SMALL_FAST_MODEL": way.model,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "CLAUDE_CODE_MAX_RETRIES": "1",
            "DISABLE_AUTOUPDATER": "1",
            "DISABLE_ERROR_REPORTING": "1",
            "DISABLE_TELEMETRY": "1",
            **environment,
        },
    )


def codex(packages: Path, home: Path, way: Way, task: Task) -> Start:
    """Codex with a provider of one's own: the Responses API by plain requests."""
    provider = [
        "[model_providers.freehold]",
        'name = "Freehold"',
        f'base_url = "{way.url}/v1"',
        'env_key = "FREEHOLD_KEY"',
    ]
    lines = [
        'model_provider = "freehold"',
        *_CODEX_QUIET,
        *provider,
        'wire_api = "responses"',
        "request_max_retries = 0",
    ]
    return _codex(packages, home, way, task, lines=lines, environment={"FREEHOLD_KEY": way.key})


def codex_built_in(packages: Path, home: Path, way: Way, task: Task) -> Start:
    """Codex with its own provider at another address: it tries a WebSocket first."""
    lines = [f'openai_base_url = "{way.url}/v1"', *_CODEX_QUIET]
    return _codex(packages, home, way, task, lines=lines, environment={"CODEX_API_KEY": way.key})


_CODEX_QUIET = ["check_for_update_on_startup = false", "[analytics]", "enabled = false"]


def _codex(packages: Path, home: Path, way: Way, task: Task, *, lines: list[str], environment: dict[str, str]) -> Start:
    (home / ".codex").mkdir()
    (home / ".codex" / "config.toml").write_text("\n".join(lines) + "\n")
    program = str(packages / "@openai/codex/bin/codex.js")
    options = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "--json", "-m", way.model]
    return Start(command=["node", program, "exec", *options, task.prompt], environment=environment)


def gemini_cli(packages: Path, home: Path, way: Way, task: Task) -> Start:
    """Gemini CLI, by generateContent."""
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "privacy": {"usageStatisticsEnabled": False},
        "telemetry": {"enabled": False},
        "general": {"disableAutoUpdate": True, "disableUpdateNag": True},
    }
    (home / ".gemini").mkdir()
    (home / ".gemini" / "settings.json").write_text(json.dumps(settings))
    program = str(packages / "@google/gemini-cli/bundle/gemini.js")
    return Start(
        command=["node", program, "-m", way.model, "-p", task.prompt, "--approval-mode", "yolo"],
        environment={
            "GOOGLE_GEMINI_BASE_URL": way.url,
            "GEMINI_API_KEY": way.key,
            "GEMINI_CLI_TRUST_WORKSPACE": "true",
            "GEMINI_CLI_NO_RELAUNCH": "true",
        },
    )


Agent = Callable[[Path, Path, Way, Task], Start]

AGENTS: dict[str, Agent] = {
    "claude-code": claude_code,
    "claude-code-on-bedrock": claude_code_on_bedrock,
    "codex": codex,
    "codex-built-in": codex_built_in,
    "gemini-cli": gemini_cli,
}


def perform(agent: Agent, packages: Path, home: Path, way: Way, task: Task) -> subprocess.CompletedProcess[str]:
    """Let it finish the task, in the task's folder, with a home of its own and nothing of ours."""
    start = agent(packages, home, way, task)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(home),
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        # Anything but the gateway is refused at once instead of being waited for.
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1,localhost",
        **start.environment,
    }
    return subprocess.run(
        start.command,
        cwd=task.folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LONGEST_TASK,
        check=False,
    )
