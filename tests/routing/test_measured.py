"""The file of `freehold bench` as routing reads it."""

from pathlib import Path

import pytest

from freehold.errors import ConfigError
from freehold.routing.measured import Estimate, read

ROW = (
    '{"target": "a/b", "measured_at": 1.5, "requests": 5, "ttft_ms": {"value": 2, "low": 1, "high": 3},'
    ' "tokens_per_second": null, "error_rate": {"value": 0, "low": 0, "high": 0.4}, "usd_per_million": null,'
    ' "quality": null, "field_of_a_later_version": 1}'
)


def test_measurements_are_found_by_target(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    file.write_text(f'{{"version": 1, "targets": [{ROW}]}}')
    found = read(file)["a/b"]
    assert found.ttft_ms == Estimate(value=2, low=1, high=3)
    assert found.error_rate == Estimate(value=0, low=0, high=0.4)
    assert found.quality is None


def test_no_file_holds_no_measurements(tmp_path: Path) -> None:
    assert read(tmp_path / "bench.json") == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "\udcff",
        f'{{"targets": [{ROW.replace("0.4", "-1")}]}}',
        '{"targets": [{"target": "a/b"}]}',
        f'{{"version": 2, "targets": [{ROW}]}}',
    ],
)
def test_what_is_no_such_file_says_what_to_do(tmp_path: Path, text: str) -> None:
    file = tmp_path / "bench.json"
    file.write_text(text, errors="surrogateescape")
    with pytest.raises(ConfigError, match="remove it"):
        read(file)


def test_a_file_that_can_not_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="directory"):
        read(tmp_path)
