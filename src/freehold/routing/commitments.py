"""What was paid for in advance, and how much of it is left: reserved throughput, and spend that was committed to.

Reserved throughput fills like a bucket that empties at its rate: what fits costs nothing more. Committed spend is to be
paid anyway; it is spread evenly over its time, and costs nothing more while less has been spent than was due by now.
What was used is a value, so that another process can take it in, too.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import TypeAlias

import msgspec

from freehold.config import Config
from freehold.config.values import Commitment as Stated
from freehold.errors import ConfigError
from freehold.ir import Usage

MINUTE = 60.0


class Throughput(msgspec.Struct, frozen=True, kw_only=True):
    """Reserved tokens a minute, of which one of output takes `output_weight`.

    `billed`: what does not fit is answered and billed; else it is refused. `discount` is off the list price.
    """

    name: str
    tokens_per_minute: float
    output_weight: float = 1.0
    billed: bool = False
    discount: float = 0.0

    @property
    def rate(self) -> float:
        """Tokens a second that become free again."""
        return self.tokens_per_minute / MINUTE

    def weight(self, fresh: float, output: float) -> float:
        """What a request takes of it: input that is not cached, and output."""
        return fresh + self.output_weight * output

    def marginal(self, cost: float, weight: float, headroom: float) -> float:
        """What a request adds to the bill in USD; infinite where it would be refused."""
        # A request larger than the whole is taken while the bucket is empty.
        if min(weight, self.tokens_per_minute) <= headroom:
            return 0.0
        return cost if self.billed else float("inf")


class Spend(msgspec.Struct, frozen=True, kw_only=True):
    """USD to be spent between two Unix times, at a discount off the list price."""

    name: str
    usd: float
    start: float
    until: float
    discount: float = 0.0
    rate: float = 0.0

    def due(self, at: float) -> float:
        """What should have been spent by now; nothing is due outside of its time."""
        if not self.start <= at < self.until:
            return 0.0
        return self.usd * (at - self.start) / (self.until - self.start)

    def weight(self, fresh: float, output: float) -> float:  # noqa: ARG002 -- throughput needs both
        """Requests take nothing of it before they are answered and billed."""
        return 0.0

    def marginal(self, cost: float, weight: float, headroom: float) -> float:  # noqa: ARG002 -- throughput needs it
        """What a request adds to the bill in USD: nothing while less was spent than is due."""
        return 0.0 if headroom > 0.0 else cost


Commitment: TypeAlias = Throughput | Spend


class Commitments:
    """The commitments of one configuration: which one covers a target. The first whose patterns match does."""

    def __init__(self, stated: Iterable[tuple[Sequence[str], Commitment]] = ()) -> None:
        self._stated = tuple(stated)

    def of(self, target: str) -> Commitment | None:
        """What covers a target, named `account/model`."""
        for patterns, commitment in self._stated:
            if any(fnmatchcase(target, pattern) for pattern in patterns):
                return commitment
        return None

    def spends(self) -> list[Spend]:
        """Those of money."""
        return [commitment for _, commitment in self._stated if isinstance(commitment, Spend)]


def commitments_of(config: Config) -> Commitments:
    """The commitments that a configuration states, in its order."""
    return Commitments((stated.targets, _commitment(stated)) for stated in config.commitments.values())


def _commitment(stated: Stated) -> Commitment:
    if stated.tokens_per_minute is not None:
        return Throughput(
            name=stated.name,
            tokens_per_minute=stated.tokens_per_minute,
            output_weight=stated.output_weight,
            billed=stated.beyond == "billed",
            discount=stated.discount,
        )
    if stated.spend is None or stated.start is None or stated.until is None:
        raise ConfigError(f"commitments.{stated.name}: state `tokens_per_minute`, or `spend` with `start` and `until`")
    # With another start the count begins anew, so it is another one.
    return Spend(
        name=f"{stated.name} since {stated.start}",
        usd=stated.spend,
        start=_midnight(stated.start),
        until=_midnight(stated.until),
        discount=stated.discount,
    )


def _midnight(day: dt.date) -> float:
    return dt.datetime.combine(day, dt.time(), dt.UTC).timestamp()


class Use(msgspec.Struct, frozen=True):
    """What was used of a commitment: tokens of a bucket that empties at `rate` a second, and USD.

    `at` is on the monotonic clock, which all processes of a machine share.
    """

    commitment: str
    tokens: float = 0.0
    rate: float = 0.0
    usd: float = 0.0
    at: float = 0.0


class _Fill:
    """One commitment: `level` of the bucket at the time `at`, `held` for requests under way, `spent` in USD."""

    __slots__ = ("at", "held", "level", "spent")

    def __init__(self) -> None:
        self.level = self.held = self.spent = self.at = 0.0

    def level_at(self, now: float, rate: float) -> float:
        """What is in the bucket; another process's word may be a moment older than ours."""
        return max(self.level - max(now - self.at, 0.0) * rate, 0.0)


class Fills:
    """How far every commitment is used, as one process knows it."""

    def __init__(self) -> None:
        self._fills: dict[str, _Fill] = {}
        self._untold: dict[str, Use] = {}

    def free(self, commitments: Iterable[Commitment], now: float, at: float) -> dict[str, float]:
        """What is left of each by name: tokens that fit now, or USD that are due and not yet spent.

        `now` is on the monotonic clock, `at` Unix time.
        """
        left: dict[str, float] = {}
        for each in commitments:
            fill = self._fill(each.name)
            if isinstance(each, Spend):
                left[each.name] = each.due(at) - fill.spent
            else:
                left[each.name] = each.tokens_per_minute - fill.level_at(now, each.rate) - fill.held
        return left

    def spent(self, name: str) -> float:
        """USD that are known to be spent of a commitment."""
        return self._fill(name).spent

    def hold(self, commitment: Commitment, weight: float) -> None:
        """A request of this weight is under way; `settle` ends it."""
        self._fill(commitment.name).held += weight

    def settle(
        self,
        commitment: Commitment,
        usage: Usage | None,
        usd: float,
        now: float,
        *,
        held: float = 0.0,
        counted: Use | None = None,
    ) -> Use:
        """A request has ended: what it used, at a list price of `usd`, instead of what was held for it.

        `counted` is what was settled for it before.
        """
        name = commitment.name
        self._fill(name).held -= held
        fresh = 0 if usage is None else max((usage.input_tokens or 0) - (usage.cache_read or 0), 0)
        written = 0 if usage is None else usage.output_tokens or 0
        weight, paid = commitment.weight(fresh, written), usd * (1.0 - commitment.discount)
        before = Use(name) if counted is None else counted
        self._use(Use(name, weight - before.tokens, commitment.rate, paid - before.usd, now))
        return Use(name, weight, commitment.rate, paid, now)

    def _use(self, use: Use) -> None:
        self.take(use)
        untold = self._untold.get(use.commitment)
        if untold is not None:
            use = msgspec.structs.replace(use, tokens=use.tokens + untold.tokens, usd=use.usd + untold.usd)
        self._untold[use.commitment] = use

    def take(self, use: Use) -> None:
        """Take in what was used, by this process or another."""
        fill = self._fill(use.commitment)
        fill.spent += use.usd
        fill.level = max(fill.level_at(use.at, use.rate) + use.tokens, 0.0)
        fill.at = max(fill.at, use.at)

    def news(self) -> list[Use]:
        """What this process has used since it was last asked, summed up by commitment."""
        untold, self._untold = self._untold, {}
        return list(untold.values())

    def sums(self) -> list[Use]:
        """What is known to be spent of each, for a process that begins."""
        return [Use(name, usd=fill.spent) for name, fill in self._fills.items() if fill.spent]

    def _fill(self, name: str) -> _Fill:
        fill = self._fills.get(name)
        if fill is None:
            fill = self._fills[name] = _Fill()
        return fill
