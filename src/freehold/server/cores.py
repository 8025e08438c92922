"""How many processor cores this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path


def usable_cores(groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """At least 1: those it may run on, but no more than a container's quota pays for (cgroup v2, `cpu.max`)."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        cores = os.cpu_count() or 1
    return max(1, math.ceil(min(cores, _quota(groups, own))))


def _quota(groups: Path, own: Path) -> float:
    """The smallest quota of the groups that it is in, in cores; infinite without one."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return math.inf
    within = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    folder = groups / within
    quotas = [_quota_of(each / "cpu.max") for each in (folder, *folder.parents) if each.is_relative_to(groups)]
    return min(quotas, default=math.inf)


def _quota_of(file: Path) -> float:
    try:
        allowed, period = file.read_text().split()
        return math.inf if allowed == "max" else int(allowed) / int(period)
    except (OSError, ValueError):
        return math.inf
