"""What an answer costs: exact integers, checked against the price list's own arithmetic."""

import math
from datetime import UTC, datetime
from decimal import Decimal

import genai_prices
import pytest
from genai_prices import data_snapshot

from freehold.ir import Usage
from freehold.providers import price_book
from freehold.providers.catalog import exact_ids, providers
from freehold.providers.prices import Period, Price, Rates, Row, Step, cost

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SIMPLE = Price(base=Rates(input=3_000_000, output=15_000_000, cache_read=300_000, cache_write=3_750_000))


def usage(**tokens: int) -> Usage:
    return Usage(**tokens)  # pyright: ignore[reportArgumentType]  keyword names are fields


def known(provider: str, model: str, when: float = NOW.timestamp()) -> Price:
    price = price_book.price(provider, model, when)
    assert price is not None
    return price


def test_a_million_tokens_each_way() -> None:
    assert cost(usage(input_tokens=1_000_000, output_tokens=1_000_000), SIMPLE) == 18_000_000_000


def test_cached_tokens_are_a_part_of_the_input() -> None:
    spent = usage(input_tokens=1000, output_tokens=0, cache_read=600, cache_write=100)
    assert cost(spent, SIMPLE) == 300 * 3000 + 600 * 300 + 100 * 3750


def test_entries_written_for_an_hour_have_their_own_rate() -> None:
    price = Price(base=Rates(input=3_000_000, output=0, cache_write=3_750_000, cache_write_1h=6_000_000))
    spent = usage(input_tokens=100, output_tokens=0, cache_write=100)
    assert cost(spent, price, cache_write_1h=40) == 60 * 3750 + 40 * 6000
    assert cost(spent, price, cache_write_1h=4000) == 100 * 6000


def test_without_a_cache_rate_cached_tokens_are_plain_input() -> None:
    price = Price(base=Rates(input=1_000_000, output=2_000_000))
    assert cost(usage(input_tokens=10, output_tokens=1, cache_read=4, cache_write=2), price) == 12_000


def test_a_step_reprices_the_whole_request() -> None:
    price = Price(
        base=Rates(input=1_000_000, output=1_000_000),
        steps=(Step(above=200_000, rates=Rates(input=2_000_000, output=3_000_000)),),
    )
    assert cost(usage(input_tokens=200_000, output_tokens=1), price) == 200_001_000
    assert cost(usage(input_tokens=200_001, output_tokens=1), price) == 400_002_000 + 3_000


def test_what_is_unknown_is_not_nought() -> None:
    assert cost(Usage(), SIMPLE) is None
    assert cost(usage(input_tokens=1), SIMPLE) is None
    embedding = Price(base=Rates(input=20_000))
    assert cost(usage(input_tokens=1), embedding) == 20
    assert cost(usage(input_tokens=1, output_tokens=1), embedding) is None


def test_costs_round_half_up_to_the_nano_dollar() -> None:
    assert [cost(usage(input_tokens=1), Price(base=Rates(input=pico))) for pico in (499, 500, 1499)] == [0, 1, 1]


def test_the_last_period_in_force_counts() -> None:
    cheap, dear, night = (Price(base=Rates(input=rate)) for rate in (1, 2, 3))
    row = Row(
        periods=(Period(price=cheap), Period(price=dear, start=1000), Period(price=night, window=(82800, 3600))),
        version="v",
    )
    assert row.at(500 + 7200 - 7200 + 3600) is dear
    assert row.at(4000) is dear
    assert row.at(100) is night
    assert row.at(86400 - 60) is night
    assert Row(periods=(Period(price=dear, start=1000),), version="v").at(0) is dear


MODELS = [
    (provider.name, model, listed)
    for provider in providers().values()
    for listed in provider.prices
    for model in exact_ids(provider.models)[::4]
]


@pytest.mark.parametrize(("provider", "model", "listed"), MODELS)
def test_the_list_agrees(provider: str, model: str, listed: str) -> None:
    price = price_book.price(provider, model, NOW.timestamp())
    if price is None:
        return
    for tokens, answer in ((1000, 500), (150_000, 4000), (300_000, 4000)):
        read = tokens // 2 if price.base.cache_read is not None else 0
        output = answer if price.base.output is not None else 0
        ours = cost(usage(input_tokens=tokens, output_tokens=output, cache_read=read), price)
        try:
            theirs = genai_prices.calc_price(
                genai_prices.Usage(input_tokens=tokens, output_tokens=output, cache_read_tokens=read),
                model,
                provider_id=listed,
                genai_request_timestamp=NOW,
            ).total_price
        except LookupError:
            continue  # our own table's
        assert ours is not None
        assert math.isclose(Decimal(ours) / 10**9, theirs, rel_tol=1e-6)


def test_bedrock_profiles_have_the_regional_or_the_global_price() -> None:
    regional = known("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0")
    everywhere = known("bedrock", "global.anthropic.claude-sonnet-4-5-20250929-v1:0")
    assert (regional.base.input, everywhere.base.input) == (3_300_000, 3_000_000)


def test_gpt_5_4_has_its_step_at_272_thousand() -> None:
    assert [step.above for step in known("openai", "gpt-5.4").steps] == [272_000]


def test_our_own_table_fills_gaps_and_is_sourced() -> None:
    assert known("mistral", "ministral-3b-latest").base.input == 40_000
    assert all(line.source for line in price_book.table().rows)
    assert price_book.price_version().endswith(f"+{price_book.table().date.isoformat()}")


def test_what_nobody_bills_by_token_has_no_price() -> None:
    assert price_book.row("ollama", "qwen3") is None
    assert price_book.row("openai", "no-such-model") is None
    assert price_book.row("nobody", "gpt-4o") is None


def test_what_workers_get_says_the_same_as_the_list() -> None:
    """Ids are matched without the list's own code, by expressions made of its clauses."""
    snapshot = data_snapshot.get_snapshot()
    ids = {model.id for provider in snapshot.providers for model in provider.models}
    ids |= {"gpt-5.2-20251211", "GPT-4o", "us.anthropic.claude-3-5-haiku-20241022-v1:0", "nothing-20259999", ""}
    for name, file in providers().items():
        if any(line.provider == name for line in price_book.table().rows):
            continue  # ours come first
        listed = [each for each in snapshot.providers if each.id in file.prices]
        for model in sorted(ids)[::7]:
            found = [each.find_model(model, all_providers=snapshot.providers) for each in listed]
            wanted = next((price_book._row(each) for each in found if each is not None), None)
            assert price_book.row(name, model) == wanted, (name, model)
