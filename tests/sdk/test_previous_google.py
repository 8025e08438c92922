"""The previous major of google-genai, in Gemini and Vertex mode, against every upstream."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from tests.sdk.environment import ROOT, NoEnvironmentError, interpreter
from tests.upstreams.gateway import SPOKEN, Gateway

_ELSEWHERE = ("GOOGLE_", "GEMINI_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "PYTHON")
"""Variables that would send the client elsewhere, or have it load our packages."""


# Installing the packages for the first time may take longer than a test may.
@pytest.mark.timeout(180)
def test_the_previous_major_holds_the_same_conversations(gateway: Gateway) -> None:
    try:
        python = interpreter("previous-google")
    except NoEnvironmentError as reason:
        pytest.skip(f"the previous major of google-genai was not tested: {reason}")
    key, _ = gateway.mint()
    done = subprocess.run(
        [python, "-W", "ignore", "-m", "tests.sdk.previous_google", gateway.url, key, *SPOKEN],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.upper().startswith(_ELSEWHERE)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    head, *lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert head["version"].startswith("2.")
    assert {(line["mode"], line["model"]) for line in lines} == {
        (mode, model) for mode in ("gemini", "vertex") for model in SPOKEN
    }
    assert [line for line in lines if line["wrong"]] == []
