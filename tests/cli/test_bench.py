"""`freehold bench` against a sandbox, and against upstreams that are slow, fail, or never answer."""

import asyncio
import json
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.cli.conftest import PATIENCE, Freehold, Sandbox, environment, start
from tests.upstreams.openai_chat import OpenAIChat
from tests.upstreams.scenarios import Fault, Said
from tests.upstreams.server import SILENT, Asked, Reply, Server

pytestmark = pytest.mark.timeout(120)  # several commands, each a process of its own

VENDOR = OpenAIChat()
WORDS = tuple(f"word {number} " for number in range(8))
TOKENS = 41
NAMES = ("quick", "slow", "shaky", "stuck", "judge")
GAP = {"quick": 0.001, "slow": 0.05}
"""Seconds after each piece of an answer; the first word is the second piece."""


class Upstreams:
    """One server a name, in a thread; `asked` has the names in the order in which they were asked."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._servers = {name: Server(self._answer(name)) for name in NAMES}
        self._folder = folder

    def _answer(self, name: str) -> Callable[[Asked], Reply]:
        def answer(asked: Asked) -> Reply:
            self.asked.append(name)
            self.bodies.append(json.loads(asked.body))
            times = self.asked.count(name)
            if name == "stuck":
                return SILENT
            if name == "shaky" and times % 2:
                return VENDOR.refuse(Fault(status=500))
            said = Said(text=("A",) if name == "judge" else WORDS, prompt=59, output=TOKENS)
            pieces = VENDOR.pieces(asked, said)
            return Reply(headers=VENDOR.stream_headers, pieces=pieces, gap=GAP.get(name, 0.0))

        return answer

    def start(self) -> str:
        """Start; the configuration's file."""
        self._thread.start()
        lines: list[str] = []
        for name, server in self._servers.items():
            self._run(server.start())
            url = f"http://127.0.0.1:{server.port}/v1"
            lines.append(f'[accounts.{name}]\nprovider = "openai"\nbase_url = "{url}"\napi_key = "k"')
        lines += [f'[models.{name}]\ntargets = ["{name}/gpt-4o@openai-chat"]' for name in NAMES]
        lines.append('[models.both]\ntargets = ["quick/gpt-4o@openai-chat", "slow/gpt-4o@openai-chat"]')
        file = self._folder / "freehold.toml"
        file.write_text("\n".join(lines) + "\n")
        return str(file)

    def stop(self) -> None:
        for server in self._servers.values():
            self._run(server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(20)


@pytest.fixture
def upstreams(tmp_path: Path) -> Iterator[Upstreams]:
    servers = Upstreams(tmp_path)
    servers.start()
    yield servers
    servers.stop()


def kept(home: Path) -> dict[str, Any]:
    """What the file holds, by target."""
    found = json.loads((home / "data" / "bench.json").read_bytes())
    return {row["target"]: row for row in found["targets"]}


def test_the_slow_are_told_from_the_quick(freehold: Freehold, upstreams: Upstreams, tmp_path: Path) -> None:
    done = freehold("bench", "both", "--requests", "3", "--svg", "out.svg")
    assert done.returncode == 0, done.stderr
    assert "2 targets, 6 requests: at most about 0.0" in done.stderr
    assert "6/6" in done.stderr
    rows = kept(tmp_path)
    slow, quick = rows["slow/gpt-4o"], rows["quick/gpt-4o"]
    assert slow["requests"] == quick["requests"] == 3
    # The gaps are the least that there can be; how much more there is, is the machine's doing.
    assert slow["ttft_ms"]["value"] >= GAP["slow"] * 1000
    assert slow["ttft_ms"]["value"] > quick["ttft_ms"]["value"]
    assert slow["tokens_per_second"]["value"] <= (TOKENS - 1) / (GAP["slow"] * (len(WORDS) - 1))
    assert slow["tokens_per_second"]["value"] < quick["tokens_per_second"]["value"]
    assert slow["error_rate"]["value"] == 0
    # gpt-4o: 2.50 and 10 USD a million tokens, 59 and 41 of each hundred.
    assert slow["usd_per_million"]["value"] == pytest.approx(0.59 * 2.5 + 0.41 * 10)
    assert [set(upstreams.asked[at : at + 2]) for at in (0, 2, 4)] == [{"quick", "slow"}] * 3
    asked = [body["messages"] for body in upstreams.bodies]
    assert asked[0] == asked[1]
    assert all(body["max_completion_tokens"] == 256 for body in upstreams.bodies)
    ElementTree.parse(tmp_path / "out.svg")  # noqa: S314 -- our own, and parsing it is the point
    assert "slow/gpt-4o" in done.stdout
    assert (tmp_path / "data" / "bench.json").stat().st_mode & 0o777 == 0o600


def test_what_is_known_is_shown_with_its_age_and_without_asking(
    freehold: Freehold, upstreams: Upstreams, tmp_path: Path
) -> None:
    assert "Nothing was measured yet" in freehold("bench").stderr
    assert freehold("bench", "quick", "--requests", "1").returncode == 0
    file = tmp_path / "data" / "bench.json"
    found = json.loads(file.read_bytes())
    found["targets"][0]["measured_at"] = time.time() - 7500
    file.write_text(json.dumps(found))
    upstreams.asked.clear()
    done = freehold("bench")
    assert "2 hours ago" in done.stdout
    assert json.loads(freehold("bench", "--json").stdout)["targets"] == found["targets"]
    assert upstreams.asked == []


def test_failures_are_counted_and_never_tried_again(freehold: Freehold, upstreams: Upstreams) -> None:
    done = freehold("bench", "shaky", "--requests", "4", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    (row,) = told["targets"]
    assert row["error_rate"]["value"] == 0.5
    assert upstreams.asked == ["shaky"] * 4
    (problem,) = told["problems"]
    assert (problem["target"], problem["times"]) == ("shaky/gpt-4o", 2)
    assert told["spent_usd"] == pytest.approx(2 * (59 * 2.5 + 41 * 10) / 1e6)


def test_a_target_that_never_answers_makes_it_fail(freehold: Freehold, upstreams: Upstreams, tmp_path: Path) -> None:
    done = freehold("bench", "shaky", "--requests", "1")
    assert done.returncode == 1
    assert "nothing to keep" in done.stderr
    assert not (tmp_path / "data" / "bench.json").exists()
    assert "shaky/gpt-4o: 1 of its requests: " in done.stderr
    assert "1 target gave no answer: shaky/gpt-4o" in done.stderr
    freehold("bench", "shaky", "--requests", "1")
    told = json.loads(freehold("bench", "shaky", "--requests", "1", "--json").stdout)
    assert told["error"]["code"] == "bench_failed"
    assert told["targets"][0]["error_rate"]["value"] == 1
    assert told["targets"][0]["ttft_ms"] is None


def test_a_target_that_is_down_keeps_its_figures_and_says_so(
    freehold: Freehold, upstreams: Upstreams, tmp_path: Path
) -> None:
    assert freehold("bench", "both", "--requests", "2").returncode == 0
    before = kept(tmp_path)
    config = tmp_path / "freehold.toml"
    text = config.read_text()
    slow = text[text.index("[accounts.slow]") :].split("base_url = ")[1].split("\n")[0]
    config.write_text(text.replace(slow, '"http://127.0.0.1:9/v1"'))
    done = freehold("bench", "both", "--requests", "2", "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["error"]["code"] == "bench_failed"
    assert {each["target"]: each["times"] for each in told["problems"]} == {"slow/gpt-4o": 2}
    after = kept(tmp_path)
    assert after["slow/gpt-4o"] == before["slow/gpt-4o"]
    assert after["quick/gpt-4o"]["measured_at"] > before["quick/gpt-4o"]["measured_at"]
    assert upstreams.asked.count("slow") == 2


def test_interrupted_it_keeps_what_was_measured(upstreams: Upstreams, tmp_path: Path) -> None:
    process = start(
        "bench", "quick", "stuck", "--requests", "9", "--concurrency", "2", env=environment(tmp_path), cwd=tmp_path
    )
    for _ in range(PATIENCE * 20):
        if upstreams.asked.count("stuck") == 2:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, error
    assert "quick/gpt-4o" in output
    assert "interrupted; what was measured is kept" in error
    assert "Traceback" not in error
    assert set(kept(tmp_path)) == {"quick/gpt-4o"}
    assert kept(tmp_path)["quick/gpt-4o"]["requests"] == upstreams.asked.count("quick") < 9


def test_a_judge_who_likes_what_comes_first_is_worth_half(
    freehold: Freehold, upstreams: Upstreams, tmp_path: Path
) -> None:
    cases = [
        {"prompt": "One?", "check": {"type": "judge", "reference": "The reference."}},
        {"prompt": "Two?", "check": {"type": "regex", "pattern": "word 7"}},
        {"prompt": "Three?", "check": {"type": "exact", "text": "nothing of the kind"}},
        {"prompt": "Four?", "check": {"type": "json_schema", "schema": {"type": "object"}}},
        {"prompt": "Five?"},
    ]
    (tmp_path / "cases.jsonl").write_text("\n".join(map(json.dumps, cases)))
    assert freehold("bench", "quick", "--cases", "cases.jsonl").returncode == 2
    assert upstreams.asked == []
    done = freehold("bench", "quick", "--cases", "cases.jsonl", "--judge", "judge")
    assert done.returncode == 0, done.stderr
    quality = kept(tmp_path)["quick/gpt-4o"]["quality"]
    assert (quality["value"], quality["cases"]) == ((0.5 + 1 + 0 + 0) / 4, 4)
    assert upstreams.asked == ["quick"] * 5 + ["judge"] * 2
    first, second = (body["messages"][0]["content"] for body in upstreams.bodies[-2:])
    assert first.index("The reference.") > first.index("word 7")
    assert second.index("The reference.") < second.index("word 7")
    # A run without checks leaves quality as it was.
    (tmp_path / "asked.txt").write_text("A question of my own")
    assert freehold("bench", "quick", "--prompt", "asked.txt", "--requests", "1").returncode == 0
    assert kept(tmp_path)["quick/gpt-4o"]["quality"] == quality
    assert upstreams.bodies[-1]["messages"] == [{"role": "user", "content": "A question of my own"}]


def test_nothing_is_asked_that_is_dearer_than_allowed(freehold: Freehold, upstreams: Upstreams) -> None:
    done = freehold("bench", "both", "--max-cost", "0.001")
    assert done.returncode == 2
    assert "the run may cost 0.0" in done.stderr
    dry = json.loads(freehold("bench", "--all", "--dry-run", "--json").stdout)
    assert dry["requests"] == 6 * len(NAMES)
    assert dry["estimated_usd"] > 0.001
    assert upstreams.asked == []


@pytest.mark.parametrize(
    "arguments", [("both", "--all"), ("both", "--prompt", "a", "--cases", "b"), ("both", "--svg", "nowhere/out.svg")]
)
def test_wrong_use_is_2(freehold: Freehold, arguments: tuple[str, ...]) -> None:
    assert freehold("bench", *arguments).returncode == 2


def test_all_of_a_sandbox_is_measured_but_what_writes_no_text(
    freehold: Freehold, sandbox: Sandbox, tmp_path: Path
) -> None:
    config = ("--config", sandbox.config)
    limits = ("--requests", "1", "--concurrency", "4", "--max-output", "16")
    done = freehold("bench", "--all", *limits, "--json", *config)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    targets = {row["target"] for row in told["targets"]}
    assert {"anthropic/claude-sonnet-4-5", "openai/gpt-5", "rack/qwen3-32b"} <= targets
    assert not [target for target in targets if "embedding" in target]
    assert set(kept(tmp_path)) == targets
    assert all(row["ttft_ms"]["value"] > 0 for row in told["targets"])
    refused = freehold("bench", "embeddings", *config)
    assert refused.returncode == 1
    assert "nothing to measure" in refused.stderr
    rows = [json.loads(line) for line in freehold("ledger", "show", "--json").stdout.splitlines()]
    assert {row["tags"]["command"] for row in rows} == {"bench"}
