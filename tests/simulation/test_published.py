"""The tables that are published are those of this code and this data, and leave nobody out."""

import json
from typing import Any

import pytest

from benchmarks.replay.__main__ import PAGE, RESULTS, SAMPLE, sample, strategies
from benchmarks.replay.fields import Field, fields, price_row
from benchmarks.replay.tables import BEGIN, END, tables
from freehold.providers.prices import Rates

FIELDS = fields()
every_field = pytest.mark.parametrize("field", FIELDS, ids=lambda each: each.name)


def results() -> dict[str, Any]:
    return json.loads(RESULTS.read_text("utf-8"))


def test_the_page_holds_the_tables_of_the_readings() -> None:
    written = PAGE.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]
    assert written.strip() == tables(results()).strip(), "run: python -m benchmarks.replay --tables"


@every_field
def test_every_strategy_and_every_fixed_choice_was_replayed(field: Field) -> None:
    told = results()["fields"][field.name]["readings"]
    wanted = {each.id for each in strategies(field)} | {place.candidate.name for place in field.places}
    assert set(told) == wanted, "run: make replay"
    assert {len(readings) for readings in told.values()} == {results()["seeds"]}


def test_a_small_sample_comes_out_as_published() -> None:
    """In plain Python, where the page was made with the compiler."""
    expected, found = json.loads(SAMPLE.read_text("utf-8")), sample(compiled=False)
    for field, told in expected.items():
        assert set(found[field]) == set(told), "run: make replay"
        for who, (reading,) in told.items():
            assert found[field][who][0] == pytest.approx(reading, rel=1e-9), f"{field}, {who}; run: make replay"


@every_field
def test_every_target_has_a_price_through_the_whole_window(field: Field) -> None:
    for place in field.places:
        row = place.price
        assert row.periods[0].start is not None
        assert row.periods[0].start < field.start


def test_a_price_goes_on_under_the_next_name_of_its_model() -> None:
    row = price_row("chutes", ["openai/gpt-oss-120b", "openai/gpt-oss-120b-TEE"])
    assert [(each.price.base.input, each.price.base.output) for each in row.periods[:4]] == [
        (100_000, 410_000),
        (40_000, 400_000),
        (40_000, 250_000),
        (40_000, 180_000),
    ]


def test_a_price_of_cached_tokens_is_known_where_the_catalogue_has_one() -> None:
    row = price_row("anthropic", ["claude-sonnet-4-20250514"])
    assert row.periods[-1].price.base == Rates(
        input=3_000_000, output=15_000_000, cache_read=300_000, cache_write=3_750_000
    )
