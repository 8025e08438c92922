"""The snippets that `init` prints run as they stand, with nothing but the address changed."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from freehold.cli.snippets import snippets
from tests.cli.conftest import PATIENCE, environment, start

PROGRAMS = ("openai", "AzureOpenAI", "anthropic", "boto3", "google-genai")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("gateway")
    arguments = ("serve", "--sandbox", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--json")
    process = start(*arguments, env=environment(home), cwd=home)
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["listen"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)


@pytest.mark.parametrize("title", PROGRAMS)
@pytest.mark.timeout(120)  # a vendor's library is imported in a process of its own
def test_a_program_runs_as_it_is_printed(title: str, address: str) -> None:
    program = snippets(address, "assistant")[title]
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    assert "Azure OpenAI in swedencentral answers." in done.stdout


def test_agents_are_told_the_address_and_where_the_key_goes() -> None:
    shown = snippets("http://127.0.0.1:9", "assistant", key="the-key")
    for title in ("Claude Code", "Codex", "Gemini CLI"):
        assert "http://127.0.0.1:9" in shown[title]
        assert "the-key" in shown[title]
