"""`python -m benchmarks.replay`: what each strategy costs and answers, against every fixed choice.

Writes the readings to `benchmarks/replay/results.json`, those of a small sample to `sample.json` beside it, and the
tables to `docs/explanation/replay.md`. Without
`freehold[simulation]`'s compiler it takes a hundred times as long: then ask for less with `--every` and `--seeds`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.replay.fields import HERE, Field, Sample, fields, worlds
from benchmarks.replay.tables import write
from freehold.routing.strategies import STRATEGIES, Strategy
from freehold.simulation.compiling import AVAILABLE
from freehold.simulation.measures import Measures, measures
from freehold.simulation.replay import REPLAYED, replay
from freehold.simulation.world import Rules, World

RESULTS = HERE / "results.json"
SAMPLE = HERE / "sample.json"
PAGE = HERE.parents[1] / "docs" / "explanation" / "replay.md"

SAMPLED = 40
"""Requests of a trace that are in the small sample, each time that it comes."""

Readings = dict[str, list[Measures]]
"""Of each strategy and fixed choice, one for each seed."""


def strategies(field: Field) -> list[Strategy]:
    """Those that a field can be replayed by: a cascade needs answers that do not pass."""
    checked = any(place.passes < 1.0 for place in field.places)
    return [each for each in REPLAYED.values() if checked or each.conduct != "checked"]


def cells(field: Field, sample: Sample, seed: int) -> dict[str, tuple[World, Strategy]]:
    """What one seed has to replay, by name: strategies by theirs, fixed choices by the target's."""
    made = worlds(field, sample, seed)
    found = {each.id: (made[""], each) for each in strategies(field)}
    # With one target every strategy is the same.
    found.update({name: (world, STRATEGIES["failover"]) for name, world in made.items() if name})
    return found


def readings(
    field: Field, sample: Sample, seeds: Sequence[int], *, threads: int = 1, compiled: bool = AVAILABLE
) -> tuple[Readings, int]:
    """Every cell at every seed, and how many requests that were."""
    found: Readings = {}
    count = 0

    def run(cell: tuple[World, Strategy], seed: int) -> Measures:
        world, strategy = cell
        return measures(world.requests, replay(world, strategy, Rules(seed=seed), compiled=compiled))

    with ThreadPoolExecutor(threads) as pool:
        for seed in seeds:
            at_once = cells(field, sample, seed)
            # The first compiles what the others use.
            name, cell = next(iter(at_once.items()))
            done = {name: run(cell, seed)}
            rest = {name: pool.submit(run, cell, seed) for name, cell in at_once.items() if name not in done}
            done.update({name: future.result() for name, future in rest.items()})
            for name, reading in done.items():
                found.setdefault(name, []).append(reading)
            count += sum(len(world.requests) for world, _ in at_once.values())
            sys.stderr.write(f"  {field.name}, seed {seed}: done\n")
    return found, count


def sample(*, compiled: bool = AVAILABLE) -> dict[str, Any]:
    """So little that plain Python can repeat it: what is published can be traced back to this code and data."""
    found: dict[str, Any] = {}
    for field in fields():
        short = field._replace(trace=field.trace.head(SAMPLED))
        found[field.name] = msgspec.to_builtins(readings(short, Sample(every=40.0), [0], compiled=compiled)[0])
    return found


def main() -> int:
    """Replay, and write down what came out."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay", description=__doc__)
    parser.add_argument("--seeds", type=int, default=8, help="how many worlds are drawn")
    parser.add_argument("--every", type=float, default=Sample().every, help="days between two passes of the trace")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, default=RESULTS, help="where the readings go")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page whose tables are written anew")
    parser.add_argument("--tables", action="store_true", help="only write the tables of the readings that are there")
    options = parser.parse_args()
    if not options.tables:
        report: dict[str, object] = {"seeds": options.seeds, "every": options.every, "fields": {}}
        began, cpu, total = time.perf_counter(), time.process_time(), 0
        kept: dict[str, object] = {}
        for field in fields():
            found, count = readings(field, Sample(options.every), range(options.seeds), threads=options.threads)
            total += count
            kept[field.name] = {"requests": count, "readings": msgspec.to_builtins(found)}
        report["fields"] = kept
        report["requests"] = total
        report["seconds"] = round(time.perf_counter() - began, 1)
        report["cpu_seconds"] = round(time.process_time() - cpu, 1)
        options.json.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
        SAMPLE.write_text(json.dumps(sample(), indent=1) + "\n", "utf-8")
        sys.stderr.write(
            f"{total} requests in {report['seconds']} s, {report['cpu_seconds']} s of CPU, compilation included\n"
        )
    write(options.page, json.loads(options.json.read_text("utf-8")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
