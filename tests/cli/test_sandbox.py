"""`freehold sandbox` and `freehold serve --sandbox`: processes that are found, broken and healed by others."""

import json
import signal
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import PATIENCE, Freehold, Sandbox, environment, start

QUESTION = {"model": "assistant", "messages": [{"role": "user", "content": "Who is there?"}]}


def test_it_is_found_broken_and_healed(freehold: Freehold, sandbox: Sandbox) -> None:
    def tell(*arguments: str) -> dict[str, str | None]:
        done = freehold("sandbox", *arguments, "--json", FREEHOLD_SANDBOX=sandbox.data)
        assert done.returncode == 0, done.stderr
        return {cloud["name"]: cloud["fault"] for cloud in json.loads(done.stdout)["clouds"]}

    assert set(tell("status").values()) == {None}
    assert tell("fail", "rack", "503", "--for", "60")["rack"] == "503"
    shown = freehold("sandbox", "status", FREEHOLD_SANDBOX=sandbox.data).stdout
    assert "503 for" in shown
    assert tell("heal", "rack")["rack"] is None


def test_mistakes_say_what_there_is(freehold: Freehold, sandbox: Sandbox) -> None:
    wrong = freehold("sandbox", "fail", "openai", "flood", FREEHOLD_SANDBOX=sandbox.data)
    assert wrong.returncode == 2
    assert "outage" in wrong.stderr
    unknown = freehold("sandbox", "fail", "venus", "outage", FREEHOLD_SANDBOX=sandbox.data)
    assert unknown.returncode == 1
    assert "bedrock-us" in unknown.stderr
    assert freehold("sandbox", "status").returncode == 1


def test_its_configuration_is_private(sandbox: Sandbox) -> None:
    for file in (sandbox.config, sandbox.data):
        assert Path(file).stat().st_mode & 0o777 == 0o600


@pytest.mark.timeout(120)  # three processes, one after another
def test_a_gateway_in_front_of_it_fails_over(tmp_path: Path, freehold: Freehold) -> None:
    state = str(tmp_path / "state.json")
    env = environment(tmp_path, FREEHOLD_SANDBOX=state)
    arguments = ("serve", "--sandbox", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--json")
    process = start(*arguments, env=env, cwd=tmp_path)
    try:
        assert process.stdout is not None
        address = json.loads(process.stdout.readline())["listen"]

        def answered() -> tuple[int, str, str]:
            answer = httpx.post(f"{address}/v1/chat/completions", json=QUESTION, timeout=20, trust_env=False)
            return answer.status_code, answer.headers["freehold-target"], answer.headers["freehold-attempts"]

        assert answered() == (200, "azure/gpt-5", "1")
        freehold("sandbox", "fail", "azure", "outage", FREEHOLD_SANDBOX=state)
        status, target, attempts = answered()
        assert (status, attempts) == (200, "2")
        assert target.startswith("bedrock-us/")
        freehold("sandbox", "heal", FREEHOLD_SANDBOX=state)
        assert answered() == (200, "azure/gpt-5", "1")
    finally:
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, error
    assert "Traceback" not in error
    assert not Path(state).exists()
