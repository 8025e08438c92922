"""The parts of `freehold bench` by themselves: cases, checks, plan, figures, picture."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.cli.asking import Heard, Pace
from freehold.cli.bench.cases import Case, own_case, read_cases, read_prompt
from freehold.cli.bench.chart import chart
from freehold.cli.bench.checks import Exact, Judge, Regex, Schema
from freehold.cli.bench.checks.judge import verdicts
from freehold.cli.bench.measuring import Reading
from freehold.cli.bench.mix import FEWEST, bills, traffic
from freehold.cli.bench.plan import Aim, Turn, estimate, turns
from freehold.cli.bench.results import keep, measured, problems, score, speed
from freehold.cli.words import ago
from freehold.config import load
from freehold.errors import ConfigError
from freehold.exchange.record import AttemptRecord, ExchangeRecord, Spool, UsageRecord
from freehold.ir import Usage
from freehold.providers.prices import Price, Rates, Step
from freehold.routing.measured import Estimate, Measured, Quality, read
from freehold.routing.names import Names

# --- Checks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "answer", "expected"),
    [
        (Exact(text="Paris"), " Paris\n", 1.0),
        (Exact(text="Paris"), "Paris!", 0.0),
        (Regex(pattern=r"\b4\b"), "It is 4.", 1.0),
        (Regex(pattern=r"^4$"), "It is 4.", 0.0),
        (Schema(schema={"type": "object", "required": ["city"]}), '{"city": "Paris"}', 1.0),
        (Schema(schema={"type": "object", "required": ["city"]}), '{"town": "Paris"}', 0.0),
        (Schema(schema={"type": "object"}), '```json\n{"city": "Paris"}\n```', 0.0),
        (Schema(schema={"type": "object"}), "[" * 100_000, 0.0),
        (Schema(schema={"$ref": "https://schemas.example/none"}), "{}", None),
        (Schema(schema={"$ref": "#/$defs/n", "$defs": {"n": {"type": "number"}}}), "1", 1.0),
    ],
)
def test_checks_tell_good_answers_from_bad(check: Exact | Regex | Schema, answer: str, expected: float | None) -> None:
    assert check.score(answer) == expected


@pytest.mark.parametrize(
    ("as_a", "as_b", "expected"),
    [
        ("A", "B", 1.0),
        ("TIE", "TIE", 1.0),
        ("A", "TIE", 1.0),
        ("A", "A", 0.5),  # it likes what comes first
        ("B", "B", 0.5),
        ("B", "A", 0.0),
        ("A is long, but all in all: B.", "I say A", 0.0),
        ("neither", "B", None),
        ("", "A", None),
    ],
)
def test_a_judge_counts_for_what_it_says_in_both_orders(as_a: str, as_b: str, expected: float | None) -> None:
    assert verdicts(as_a, as_b) == expected


def test_a_judge_sees_the_answer_in_both_places() -> None:
    first, second = Judge(reference="REFERENCE", criteria="wit").pleas("REQUEST", "ANSWER {criteria}")
    assert first.index("ANSWER {criteria}") < first.index("REFERENCE")
    assert second.index("REFERENCE") < second.index("ANSWER {criteria}")
    assert all("by wit" in plea and "REQUEST" in plea for plea in (first, second))


# --- Cases -----------------------------------------------------------------------------------------------------------


def test_cases_are_read_line_by_line(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text(
        '{"prompt": "Two and two?", "check": {"type": "regex", "pattern": "4"}, "id": "sum"}\n\n'
        '{"messages": [{"role": "user", "content": "Hi\u2028there"}], "system": "Be brief."}\n'
    )
    first, second = read_cases(file)
    assert first.check == Regex(pattern="4")
    assert first.question("m", 9).body()["messages"] == [{"role": "user", "content": "Two and two?"}]
    assert second.question("m", 9).body()["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi\u2028there"},
    ]
    assert "Be brief." in second.shown()


def test_every_mistake_in_cases_is_named_by_its_line(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    wrong = [
        '{"prompt": "x", "check": {"type": "regex", "pattern": "("}}',
        '{"prompt": "x", "messages": [{"role": "user", "content": "y"}]}',
        '{"prompt": "x", "chek": {}}',
        '{"prompt": "x", "check": {"type": "json_schema", "schema": {"type": 7}}}',
        '{"messages": [{"role": "nobody"}]}',
        "nonsense",
        '{"prompt": "x", "check": {"type": "taste"}}',
    ]
    file.write_text("\n".join(['{"prompt": "fine"}', *wrong]))
    with pytest.raises(ConfigError) as caught:
        read_cases(file)
    lines = caught.value.message.splitlines()
    assert [line.split(":")[1] for line in lines] == [str(number) for number in range(2, len(wrong) + 2)]


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_a_file_with_nothing_to_ask_is_a_mistake(tmp_path: Path, text: str) -> None:
    file = tmp_path / "asked"
    file.write_text(text)
    with pytest.raises(ConfigError, match="there is no case"):
        read_cases(file)
    with pytest.raises(ConfigError, match="empty"):
        read_prompt(file)


# --- Plan ------------------------------------------------------------------------------------------------------------


def aim(target: str, price: Price | None = None) -> Aim:
    return Aim(target=target, name=target, price=price)


@given(st.integers(1, 6), st.integers(0, 4), st.integers(1, 5), st.integers())
def test_targets_are_interleaved_and_asked_the_same(targets: int, cases: int, requests: int, seed: int) -> None:
    aims = [aim(f"a/{number}") for number in range(targets)]
    stated = [Case(prompt=f"case {number}") for number in range(cases)]
    plan = list(turns(aims, stated, requests, Random(seed)))
    assert len(plan) == targets * requests * max(cases, 1)
    for at in range(0, len(plan), targets):
        block = plan[at : at + targets]
        assert {turn.aim.target for turn in block} == {each.target for each in aims}
        assert len({(turn.case.prompt, turn.number) for turn in block}) == 1
    assert plan == list(turns(aims, stated, requests, Random(seed)))


def test_the_estimate_is_never_below_what_the_answers_may_cost() -> None:
    price = Price(base=Rates(input=2_000_000, output=8_000_000))  # 2 and 8 USD a million
    cases = [Case(prompt="x" * 3000, check=Judge(reference="y" * 300))]
    found = estimate([aim("a/b", price), aim("a/free")], cases, requests=10, most=500, judges=[aim("j/j", price)])
    assert found.requests == 10 * 2 * 3
    assert found.unpriced == ("a/free",)
    answers = 10 * (1000 * 2 + 500 * 8) / 1e6
    pleas = 10 * 2 * 2 * ((1000 + 100 + 500) * 2 + 1024 * 8) / 1e6
    assert answers + pleas < found.usd < 1.1 * (answers + pleas)


def test_our_own_questions_vary() -> None:
    assert len({own_case(Random(seed)).prompt for seed in range(50)}) > 5


# --- Figures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pace", "usage", "expected"),
    [
        (Pace(first=1.0, last=3.0), {"output_tokens": 101}, 50.0),
        # Hidden reasoning was over when the first word came; reasoning that was shown counts.
        (Pace(first=1.0, last=3.0), {"output_tokens": 101, "reasoning": 60}, 20.0),
        (Pace(first=1.0, last=3.0, reasoned=True), {"output_tokens": 101, "reasoning": 60}, 50.0),
        (Pace(first=1.0, last=1.0), {"output_tokens": 101}, None),
        (Pace(first=1.0, last=3.0), {"output_tokens": 1}, None),
        (Pace(first=1.0, last=3.0), {}, None),
        (Pace(), {"output_tokens": 101}, None),
    ],
)
def test_speed_counts_what_came_after_the_first_token(
    pace: Pace, usage: dict[str, int], expected: float | None
) -> None:
    assert speed(pace, UsageRecord(source="provider", **usage)) == expected
    assert speed(pace, None) is None


def reading(
    number: int, *, case: int = 0, error: str | None = None, first: float = 0.1, check: Exact | Judge | None = None
) -> Reading:
    pace = Pace() if error else Pace(first=first, last=first + 1)
    return Reading(
        turn=Turn(aim=aim("a/b"), case=Case(prompt="x", check=check), number=case),
        heard=Heard(exchange=f"fx{number}", text="yes", pace=pace, error=error),
    )


def record(number: int, *, nano: int | None = 1000, tokens: int = 11, sent: bool = True) -> ExchangeRecord:
    return ExchangeRecord(
        id=f"fx{number}",
        started=1.0,
        protocol="openai-chat",
        operation="generate",
        attempts=[AttemptRecord(target="a/b", lane="tunnel")] if sent else [],
        usage=UsageRecord(source="provider", input_tokens=39, output_tokens=tokens),
        cost_nano_usd=nano,
    )


def test_figures_of_a_target_leave_out_what_was_never_sent() -> None:
    readings = [reading(1), reading(2, first=0.3), reading(3, error="503"), reading(4, error="refused")]
    records = {each.id: each for each in (record(1), record(2), record(3, nano=None), record(4, sent=False))}
    found = measured(readings, records, {}, now=9.0)
    assert found is not None
    assert (found.target, found.measured_at, found.requests) == ("a/b", 9.0, 3)
    assert found.ttft_ms is not None
    assert found.ttft_ms.value == pytest.approx(200)
    assert found.tokens_per_second is not None
    assert found.tokens_per_second.value == pytest.approx(10)
    assert found.error_rate.value == pytest.approx(1 / 3)
    assert found.usd_per_million is not None
    assert found.usd_per_million.value == pytest.approx(1e-6 / 50 * 1e6)
    assert found.quality is None
    assert measured([reading(4, error="refused")], records, {}, now=9.0) is None


def test_quality_counts_cases_not_requests() -> None:
    good, bad = Exact(text="yes"), Exact(text="no")
    readings = [reading(n, case=0, check=good) for n in range(5)] + [reading(9, case=1, check=bad)]
    scores = {each.heard.exchange: score(each, {}) for each in readings}
    found = measured(readings, {}, scores, now=9.0)
    assert found is not None
    assert found.quality is not None
    assert (found.quality.value, found.quality.cases) == (0.5, 2)


def test_an_answer_that_could_not_be_scored_is_no_bad_answer() -> None:
    judge = Judge(reference="r")
    readings = [reading(1, check=judge), reading(2, check=judge, error="503")]
    scores = {each.heard.exchange: score(each, {"fx1": None}) for each in readings}
    found = measured(readings, {}, scores, now=9.0)
    assert found is not None
    assert found.quality is None
    assert {(each.message[:4], each.times) for each in problems(readings, scores)} == {("503", 1), ("an a", 1)}


# --- What is kept and shown ------------------------------------------------------------------------------------------

QUALITY = Quality(value=0.5, low=0.1, high=0.9, cases=2, measured_at=1.0)


def row(target: str, *, quality: Quality | None = None, at: float = 1.0) -> Measured:
    return Measured(
        target=target,
        measured_at=at,
        requests=5,
        ttft_ms=Estimate(value=200.0, low=100.0, high=400.0),
        tokens_per_second=None,
        error_rate=Estimate(value=0.0, low=0.0, high=0.4),
        usd_per_million=Estimate(value=3.0, low=2.0, high=4.0),
        quality=quality,
    )


def test_figures_are_kept_for_their_owner_and_replaced_by_newer_ones(tmp_path: Path) -> None:
    file = tmp_path / "data" / "bench.json"
    assert read(file) == {}
    keep(file, [row("a/b", quality=QUALITY), row("c/d")])
    keep(file, [row("a/b", at=2.0)])
    found = read(file)
    assert found["c/d"] == row("c/d")
    assert found["a/b"] == row("a/b", at=2.0, quality=QUALITY)
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_ages_are_in_the_largest_unit_that_fits() -> None:
    assert [ago(seconds) for seconds in (0, 59, 60, 7300, 90_000)] == [
        "just now",
        "just now",
        "1 minute ago",
        "2 hours ago",
        "1 day ago",
    ]


def test_the_picture_is_whole_and_fetches_nothing() -> None:
    svg = chart([row("a/<b>&", quality=QUALITY), row("c/" + "d" * 90)])
    root = ElementTree.fromstring(svg)  # noqa: S314 -- our own, and parsing it is the point
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "a/<b>&" in texts
    assert "200 (100 to 400)" in texts
    assert "Tokens a second after the first" not in texts
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")
    assert "url(" not in svg
    longest = 280 + 320
    reaches = [each.attrib["d"] for each in root.iter("{http://www.w3.org/2000/svg}path") if "H" in each.attrib["d"]]
    assert all(280 <= float(end.split("H")[1]) <= longest for end in reaches)


def test_the_file_has_the_form_that_the_reference_describes(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    keep(file, [row("a/b", quality=QUALITY)])
    found = msgspec.json.decode(file.read_bytes())
    assert found["version"] == 1
    (target,) = found["targets"]
    assert target["ttft_ms"] == {"value": 200.0, "low": 100.0, "high": 400.0}
    assert target["tokens_per_second"] is None
    assert target["quality"]["cases"] == 2


def test_runs_that_end_together_are_both_kept(tmp_path: Path) -> None:
    file = tmp_path / "data" / "bench.json"
    with ThreadPoolExecutor(8) as runs:
        list(runs.map(lambda number: keep(file, [row(f"a/{number}")]), range(40)))
    assert set(read(file)) == {f"a/{number}" for number in range(40)}


# --- One's own mix ---------------------------------------------------------------------------------------------------

ACCOUNTS = """
[accounts.one]
provider = "openai"
api_key = "k"
[accounts.two]
provider = "openai"
base_url = "http://127.0.0.1:2/v1"
api_key = "k"
[models.both]
targets = ["one/gpt-4o", "two/gpt-4o"]
"""
PRICE = Price(
    base=Rates(input=1_000_000, output=4_000_000, cache_read=100_000),
    steps=(Step(above=1000, rates=Rates(input=2_000_000, output=4_000_000)),),
)


def spooled(folder: Path, count: int, **more: object) -> None:
    spool = Spool(folder)
    for number in range(count):
        fields: dict[str, object] = {
            "id": f"fx{number}",
            "started": time.time(),
            "protocol": "openai-chat",
            "operation": "generate",
            "model": "both",
            "usage": UsageRecord(source="provider", input_tokens=800, output_tokens=200, cache_read=500),
            **more,
        }
        spool.write(ExchangeRecord(**fields))  # pyright: ignore[reportArgumentType] -- as the test says
    spool.close()


def names(folder: Path) -> Names:
    file = folder / "freehold.toml"
    file.write_text(ACCOUNTS)
    return Names(load(str(file), {}))


def test_the_mix_is_that_of_the_exchanges_that_a_target_could_have_answered(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    spooled(folder, FEWEST)
    spooled(folder, 5, model="two/gpt-4o")
    for left_out in (
        {"tags": {"command": "bench"}},
        {"started": time.time() - 40 * 86400},
        {"model": "a-name-that-is-gone"},
        {"operation": "embed"},
        {"usage": UsageRecord(source="partial", input_tokens=9, output_tokens=9)},
        {"usage": None},
    ):
        spooled(folder, 3, **left_out)
    found = traffic(folder, names(tmp_path), ["one/gpt-4o", "two/gpt-4o"], time.time())
    assert {target: len(usages) for target, usages in found.items()} == {
        "one/gpt-4o": FEWEST,
        "two/gpt-4o": FEWEST + 5,
    }
    assert traffic(folder, names(tmp_path), ["one/gpt-4o-mini"], time.time()) == {}


def test_a_handful_of_exchanges_is_no_mix(tmp_path: Path) -> None:
    spooled(tmp_path / "spool", FEWEST - 1)
    assert traffic(tmp_path / "spool", names(tmp_path), ["one/gpt-4o"], time.time()) == {}


def test_the_cost_of_ones_own_mix_has_cached_tokens_and_price_steps() -> None:
    short = Usage(input_tokens=800, output_tokens=200, cache_read=500)
    long = Usage(input_tokens=2000, output_tokens=500)
    pairs = bills([short] * 3 + [long], PRICE)
    readings = [
        msgspec.structs.replace(reading(number), turn=Turn(aim=aim("a/b", PRICE), case=Case(prompt="x"), number=0))
        for number in (1, 2)
    ]
    found = measured(readings, {}, {}, now=9.0, own=[short] * 3 + [long])
    assert found is not None
    assert found.own_exchanges == len(pairs) == 4
    assert found.usd_per_million is not None
    spent = 3 * (300 * 1 + 500 * 0.1 + 200 * 4) + 2000 * 2 + 500 * 4
    assert found.usd_per_million.value == pytest.approx(spent / (3 * 1000 + 2500))
