"""Coding agents take half a gigabyte and minutes, so they are tested where they are asked for: `make test-agents`."""

import os

collect_ignore = [] if os.environ.get("TEST_AGENTS") else ["test_agents.py"]
