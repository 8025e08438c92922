"""How targets are doing: breakers, cool-downs, operators' words, and how fast they have been.

    closed ──faults in a row──▶ open ──its time is up──▶ probing ──a success──▶ closed
                                  ▲                         │
                                  └──────── a fault ────────┘ (for twice as long)

Faults are attributed. A caller's mistake never counts; a refused credential or an empty account is the account's; all
else is the target's, and that of the domains it fails together with once several of their targets are down. When its
time is up, an open breaker lets one request through at a time: the probe budget.

How fast a target is and how often it fails are averages in which every reading weighs nine tenths of the next. What
`freehold bench` found stands at their beginning, as if its requests had been live ones, with half of that weight after
a week, a quarter after two:

    average = (w · 0.9ⁿ · bench + Σ 0.1 · 0.9ⁿ⁻ⁱ · liveᵢ) / (w · 0.9ⁿ + 1 - 0.9ⁿ)
    w = (1 - 0.9^requests) · 2^(-age / week)

The share of failures begins at w · bench: of what nobody has seen, no failure is expected.

A drill's outage is no state of a target: whoever asks one is refused as a dead provider would refuse, and all of the
above follows of itself.

Each process has its own. What others should know is in `news`, and `merge` takes what they said; neither is part of a
request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, TypeAlias, assert_never

from freehold.errors import ErrorKind, UpstreamError
from freehold.routing.features import Candidate, Standing
from freehold.routing.measured import Estimate, Measured
from freehold.routing.percentiles import Percentiles
from freehold.routing.words import Closed, Cooling, Disabled, Down, Enabled, Figures, Opened, TakenOut, Word

Blame: TypeAlias = Literal["caller", "account", "model", "target"]

_BLAME: Final[Mapping[ErrorKind, Blame]] = {
    "invalid_request": "caller",
    "too_large": "caller",
    "conflict": "caller",
    "content_refused": "caller",
    "unsupported": "caller",
    "authentication": "account",
    "billing": "account",
    "permission": "account",
    "quota": "account",
    "not_found": "model",
    "rate_limit": "model",
}
"""Whose fault a kind of error is; all others are the target's, and may be that of a whole domain."""

FAULTS_TO_OPEN: Final = 5
"""Faults in a row: at 1 % of failures by chance, five of them happen once in ten billion."""
TARGETS_TO_OPEN: Final = 2
"""Targets of one domain whose breakers are open, until the domain's is."""
OPEN_FIRST: Final = 5.0
"""Seconds that a breaker stays open at first: half of the incidents that last a minute are noticed to end in time."""
OPEN_LONGEST: Final = 120.0
"""Seconds at most, after doubling: a provider that is back is used again within two minutes."""
PROBE_LOST: Final = 60.0
"""Seconds after which a probe that was never answered is forgotten and the next one may go."""
LONGEST_COOLING: Final = 3600.0
"""Seconds that a Retry-After counts at most; an hour later the target is worth another try."""
APART: Final = ("silicon:", "jurisdiction:")
"""Kinds of domains that are lost by supply or law, not by a fault: two targets down there say nothing about a third."""
LONGEST_OUTAGE: Final = 900.0
"""Seconds that a drill takes a domain out at most: what nobody heals has to end before it is taken for real."""
MOST_KNOWN: Final = 4096
"""Targets and domains remembered: callers choose models, and must not fill memory."""
HEAD_START: Final = 1.0
"""Seconds by which the process that opened a breaker may probe before the others: one probe is mostly enough."""
SMOOTHING: Final = 0.1
"""Weight of the newest reading in a moving average: about the last twenty count."""
LEAST_READINGS: Final = 20
"""Readings before a percentile of them is believed: the 95th of fewer is just the slowest."""
BENCH_HALF_LIFE: Final = 7 * 86400.0
"""Seconds: providers change hardware, software and load from week to week."""
BENCH_FORGOTTEN: Final = 30 * 86400.0
"""Seconds after which a bench says nothing any more, so that the target is tried anew."""


def blame(kind: ErrorKind) -> Blame:
    """Whose fault an error of this kind is."""
    return _BLAME.get(kind, "target")


class Breaker:
    """The breaker of one target or domain; times on the monotonic clock."""

    __slots__ = ("_probing", "faults", "lasts", "until")

    def __init__(self) -> None:
        self.faults = 0
        """In a row."""
        self.until = 0.0
        """When the next probe may go; 0: closed."""
        self.lasts = OPEN_FIRST
        """Seconds that it stays open, by now."""
        self._probing = 0.0

    def blocks(self, now: float) -> bool:
        """Whether a request has to stay away."""
        return self.until > 0.0 and (now < self.until or now < self._probing)

    def probe(self, now: float) -> bool:
        """A request is sent: once an open breaker's time is up, it is the one probe. Whether it is."""
        if 0.0 < self.until <= now:
            self._probing = now + PROBE_LOST
            return True
        return False

    def release(self) -> None:
        """The probe ended without an answer to its question: the next request is one."""
        self._probing = 0.0

    def fail(self, now: float, *, limit: int = FAULTS_TO_OPEN) -> None:
        """A fault; opens at the limit, and again at once when it was the probe's."""
        self.faults += 1
        self._probing = 0.0
        if self.until > 0.0:
            if now >= self.until:
                self.lasts = min(self.lasts * 2, OPEN_LONGEST)
                self.until = now + self.lasts
        elif self.faults >= limit:
            self.until = now + self.lasts

    def open(self, until: float, lasts: float) -> None:
        """Open as another process found it to be."""
        self.faults = max(self.faults, 1)  # or an answer would not be noticed to close it
        self.until = max(self.until, until)
        self.lasts = max(self.lasts, lasts)
        self._probing = 0.0

    def succeed(self) -> None:
        """An answer: closed, as if nothing had been."""
        self.faults = 0
        self.until = self._probing = 0.0
        self.lasts = OPEN_FIRST


class DomainBreaker(Breaker):
    """The breaker of a failure domain; `down` are its targets whose own breakers are open."""

    __slots__ = ("down",)

    def __init__(self) -> None:
        super().__init__()
        self.down: set[str] = set()


class _Average:
    """A moving average; `value` is None without readings.

    `weight` is that of all of them, 0 up to 1; `bench` the part of it that a bench has left.
    """

    __slots__ = ("bench", "live", "value", "weight")

    def __init__(self) -> None:
        self.value: float | None = None
        self.weight = 0.0
        self.bench = 0.0
        self.live = False

    def begin(self, bench: Estimate | None, weight: float, unit: float = 1.0) -> None:
        """As a bench found it, so many units, or from nothing; not where there are live readings."""
        if not self.live:
            self.value = None if bench is None else bench.value * unit
            self.weight = self.bench = 0.0 if bench is None else weight

    def add(self, reading: float) -> None:
        """A live reading."""
        self.live = True
        self.bench *= 1.0 - SMOOTHING
        self.weight += SMOOTHING * (1.0 - self.weight)
        if self.value is None:
            self.value = reading
        else:
            self.value += SMOOTHING / self.weight * (reading - self.value)

    def own(self) -> float | None:
        """The average where live readings are part of it."""
        return self.value if self.live else None

    def hear(self, told: float | None) -> None:
        """What another process measured live: the mean of both counts from now on."""
        if told is None:
            return
        self.value = (self.value + told) / 2 if self.live and self.value is not None else told
        self.live = True
        self.weight, self.bench = 1.0, 0.0

    def rests_on_bench(self) -> bool:
        """Whether a bench has said the larger part."""
        return self.bench > 0.0 and self.bench * 2 >= self.weight


class _Known:
    """What is remembered of one target."""

    __slots__ = (
        "breaker",
        "cooling",
        "disabled",
        "errors",
        "first_token",
        "first_tokens",
        "live",
        "measured_at",
        "seen",
        "speed",
        "wholes",
    )

    def __init__(self) -> None:
        self.breaker = Breaker()
        self.cooling = 0.0
        self.disabled = ""
        self.first_token = _Average()
        self.first_tokens = Percentiles()
        self.wholes = Percentiles()
        self.speed = _Average()
        self.errors = 0.0
        self.live = False
        """Whether live traffic has said anything."""
        self.measured_at = 0.0
        """When the bench was that a figure rests on, in Unix seconds; 0: none does."""
        self.seen: Standing | None = None
        """What a decision sees of it while nothing speaks against it; made anew after a change."""

    @property
    def plain(self) -> bool:
        """Whether nothing speaks against it."""
        return not (self.disabled or self.cooling or self.breaker.until)

    def begin(self, measured: Measured | None, weight: float) -> None:
        """As a bench found it, or from nothing; what live traffic said stays."""
        if measured is not None and not (self.first_token.live and self.speed.live):
            self.measured_at = measured.measured_at
        self.first_token.begin(None if measured is None else measured.ttft_ms, weight, 1e-3)
        self.speed.begin(None if measured is None else measured.tokens_per_second, weight)
        if not self.live:
            self.errors = 0.0 if measured is None else measured.error_rate.value * weight
        self.outweigh()
        self.seen = None

    def outweigh(self) -> None:
        """Once live traffic has said more than a bench, the figures are its own."""
        if not (self.first_token.rests_on_bench() or self.speed.rests_on_bench()):
            self.measured_at = 0.0


class Health:
    """The state of all targets in one process. Asking costs a dictionary access a target."""

    def __init__(self) -> None:
        self._targets: dict[str, _Known] = {}
        self._domains: dict[str, DomainBreaker] = {}
        self._outages: dict[str, float] = {}
        self._told: dict[tuple[str, ...], Word] = {}
        """What the others know, by whom it is about."""
        self._untold: list[Word] = []

    def standings(self, candidates: Sequence[Candidate], now: float) -> dict[str, Standing]:
        """How the candidates are doing; those of which nothing is known are left out."""
        found: dict[str, Standing] = {}
        for candidate in candidates:
            known = self._targets.get(candidate.name)
            if known is None and not self._domains:
                continue
            found[candidate.name] = self._standing(candidate, known, now)
        return found

    def _standing(self, candidate: Candidate, known: _Known | None, now: float) -> Standing:
        broken = ""
        if self._domains:
            for domain in candidate.domains:
                breaker = self._domains.get(domain)
                if breaker is not None and breaker.blocks(now):
                    broken = domain
                    break
        if known is None:
            return Standing(broken=broken)
        if known.seen is not None and not broken:
            return known.seen
        cooling = False
        if not known.plain:
            if known.cooling <= now:
                known.cooling = 0.0
            elif not broken:
                cooling = True
            if not broken and known.breaker.blocks(now):
                broken = candidate.name
        standing = Standing(
            disabled=known.disabled,
            broken=broken,
            cooling=cooling,
            first_token=known.first_token.value,
            speed=known.speed.value,
            errors=known.errors,
            measured_at=known.measured_at,
        )
        if known.plain and not broken:
            known.seen = standing
        return standing

    def asked(self, candidate: Candidate, now: float) -> bool:
        """A request goes to a target: where a breaker is open, it is its probe. Whether it is any breaker's.

        Raises UpstreamError while a drill has taken out a domain that the target lies in.
        """
        if self._outages:
            self._refuse(candidate, now)
        known = self._targets.get(candidate.name)
        probing = known is not None and known.breaker.probe(now)
        for domain in candidate.domains if self._domains else ():
            breaker = self._domains.get(domain)
            if breaker is not None:
                probing = breaker.probe(now) or probing
        return probing

    def left(self, candidate: Candidate) -> None:
        """A probe came to nothing, because its client left: callers who leave must not keep a target shut."""
        known = self._targets.get(candidate.name)
        if known is not None:
            known.breaker.release()
        for domain in candidate.domains:
            breaker = self._domains.get(domain)
            if breaker is not None:
                breaker.release()

    def answered(
        self, candidate: Candidate, *, first_token: float | None, speed: float | None, whole: float | None = None
    ) -> None:
        """A target answered: seconds to its first token and tokens a second after that, where they are known.

        `whole` are the seconds until an answer was there that came in one piece.
        """
        self._settle(candidate)
        known = self._known(candidate.name)
        if first_token is not None:
            known.first_token.add(first_token)
            known.first_tokens.add(first_token)
        if whole is not None:
            known.wholes.add(whole)
        if speed is not None:
            known.speed.add(speed)
        known.errors *= 1.0 - SMOOTHING
        known.live = True
        if known.measured_at:
            known.outweigh()

    def outrun(self, candidate: Candidate, seconds: float, *, stream: bool) -> None:
        """A target was cut after so many seconds, since another was faster: it would have taken no less."""
        known = self._known(candidate.name)
        if stream:
            known.first_tokens.add(seconds)
            if known.first_token.value is None or seconds > known.first_token.value:
                known.first_token.add(seconds)
        else:
            known.wholes.add(seconds)

    def patience(self, target: str, share: float, *, stream: bool) -> float | None:
        """Seconds in which this share of a target's answers began (streams) or came (whole ones); None: not known."""
        known = self._targets.get(target)
        if known is None:
            return None
        times = known.first_tokens if stream else known.wholes
        return times.at(share) if times.count >= LEAST_READINGS else None

    def _settle(self, candidate: Candidate) -> None:
        """It answered: its breaker closes, and those of the domains it lies in."""
        known = self._targets.get(candidate.name)
        if known is not None and known.breaker.faults:
            known.breaker.succeed()
            known.seen = None
        if self._domains:
            for domain in candidate.domains:
                self._domains.pop(domain, None)

    def failed(self, candidate: Candidate, kind: ErrorKind, now: float, *, after: float | None = None) -> None:
        """A target failed; `after` is the time in seconds for which it asked to be left alone."""
        whose = blame(kind)
        if whose == "caller":
            # It answered, if only to say that the caller is wrong: a probe's question is settled.
            self._settle(candidate)
            return
        known = self._known(candidate.name)
        known.live = True
        known.errors += SMOOTHING * (1.0 - known.errors)
        if after is not None:
            known.cooling = now + min(after, LONGEST_COOLING)
        if after is not None and kind == "rate_limit":
            known.breaker.release()  # it said when to come back, which is better than a guess
        else:
            known.breaker.fail(now)
        for domain in candidate.domains if self._domains or known.breaker.until or whose == "account" else ():
            if domain.startswith(APART):
                continue
            if whose == "target":
                self._spread(domain, candidate, now, down=known.breaker.until > 0.0)
            elif whose == "account" and domain == _account(candidate):
                self._domain(domain).fail(now)
            else:
                self._domains.pop(domain, None)  # it answered, if only to say what else is wrong

    def _spread(self, domain: str, candidate: Candidate, now: float, *, down: bool) -> None:
        """Open a domain's breaker once enough of its targets are down, and again when its probe failed."""
        breaker = self._domain(domain) if down else self._domains.get(domain)
        if breaker is None:
            return
        if down:
            breaker.down.add(candidate.name)
        if breaker.until or len(breaker.down) >= TARGETS_TO_OPEN:
            breaker.fail(now, limit=1)

    def expect(self, measured: Iterable[Measured], time: float) -> None:
        """Begin with what a bench found, where live traffic has said nothing; `time` is Unix seconds.

        What an earlier call brought and this one does not is forgotten.
        """
        weights: dict[str, tuple[Measured, float]] = {}
        for each in measured:
            age = max(time - each.measured_at, 0.0)
            if age < BENCH_FORGOTTEN:
                weight = (1.0 - (1.0 - SMOOTHING) ** each.requests) * 0.5 ** (age / BENCH_HALF_LIFE)
                weights[each.target] = (each, weight)
        for name, known in self._targets.items():
            if name not in weights:
                known.begin(None, 0.0)
        for name, (each, weight) in weights.items():
            self._known(name).begin(each, weight)

    def disable(self, target: str, reason: str) -> None:
        """Take a target out until `enable`; `reason` is shown to whoever asks why."""
        self._known(target).disabled = reason

    def enable(self, target: str) -> None:
        """Put a target back, with a clean slate."""
        known = self._known(target)
        known.disabled = ""
        known.cooling = 0.0
        known.breaker.succeed()

    def disabled(self) -> dict[str, str]:
        """What operators have taken out, and why."""
        return {name: known.disabled for name, known in self._targets.items() if known.disabled}

    def take_out(self, domain: str, until: float, now: float) -> None:
        """Refuse whoever asks a target of this domain, until then; a time that is over ends what is in force."""
        self._outages[domain] = min(until, now + LONGEST_OUTAGE)
        self.outages(now)

    def outages(self, now: float) -> dict[str, float]:
        """The domains that drills have taken out, and for how many seconds more; what is over is forgotten."""
        self._outages = {domain: until for domain, until in self._outages.items() if until > now}
        return {domain: until - now for domain, until in self._outages.items()}

    def _refuse(self, candidate: Candidate, now: float) -> None:
        out = self.outages(now)
        for domain in candidate.domains:
            if domain in out:
                raise UpstreamError(f"{domain} is taken out by a drill", code="drill", kind="unavailable")

    # --- Between processes -------------------------------------------------------------------------------------------

    def words(self) -> list[Word]:
        """Everything that a process which begins should know."""
        return list(self._words())

    def news(self) -> list[Word]:
        """What has changed here since the last time, and the others do not know."""
        news, self._untold = [*self._untold, *self._changes()], []
        return news

    def merge(self, words: Sequence[Word], now: float) -> None:
        """Take what others say; none of it is news for them."""
        self._untold += self._changes()
        for word in words:
            self._take(word, now)
        self._told = {_subject(word): word for word in self._words()}

    def _changes(self) -> list[Word]:
        known = {_subject(word): word for word in self._words()}
        changes = [word for subject, word in known.items() if self._told.get(subject) != word]
        for subject, word in self._told.items():
            if isinstance(word, Opened) and subject not in known:
                changes.append(Closed(name=word.name, domain=word.domain))
        self._told = known
        return changes

    def _words(self) -> Iterator[Word]:
        """Everything that is known, but for what is as it is by default."""
        for name, known in self._targets.items():
            if not known.plain:
                if known.breaker.until:
                    yield Opened(name=name, domain=False, until=known.breaker.until, lasts=known.breaker.lasts)
                if known.cooling:
                    yield Cooling(target=name, until=known.cooling)
                if known.disabled:
                    yield Disabled(target=name, reason=known.disabled)
            if known.live:
                first_token, speed = known.first_token.own(), known.speed.own()
                yield Figures(target=name, first_token=first_token, speed=speed, errors=known.errors)
        for name, breaker in self._domains.items():
            if breaker.until:
                yield Opened(name=name, domain=True, until=breaker.until, lasts=breaker.lasts)
            for target in breaker.down:
                yield Down(domain=name, target=target)
        for name, until in self._outages.items():
            yield TakenOut(domain=name, until=until)

    def _take(self, word: Word, now: float) -> None:
        match word:
            case Opened():
                breaker = self._domain(word.name) if word.domain else self._known(word.name).breaker
                breaker.open(word.until + HEAD_START, word.lasts)
            case Closed(name=name, domain=True):
                self._domains.pop(name, None)
            case Closed(name=name):
                if name in self._targets:
                    self._known(name).breaker.succeed()
            case Down(domain=domain, target=target):
                breaker = self._domain(domain)
                breaker.down.add(target)
                if not breaker.until and len(breaker.down) >= TARGETS_TO_OPEN:
                    breaker.fail(now, limit=1)
            case Cooling(target=target, until=until):
                known = self._known(target)
                known.cooling = max(known.cooling, until)
            case Disabled(target=target, reason=reason):
                self.disable(target, reason)
            case Enabled(target=target):
                self.enable(target)
            case TakenOut(domain=domain, until=until):
                self.take_out(domain, until, now)
            case Figures():
                known = self._known(word.target)
                known.first_token.hear(word.first_token)
                known.speed.hear(word.speed)
                known.errors = (known.errors + word.errors) / 2
                known.live = True
                known.outweigh()
            case _:
                assert_never(word)

    def gauges(self, now: float) -> dict[str, int]:
        """For metrics: how many targets and domains are broken, cooling, disabled, taken out."""
        known = self._targets.values()
        return {
            "targets_broken": sum(item.breaker.blocks(now) for item in known),
            "targets_cooling": sum(item.cooling > now for item in known),
            "targets_disabled": sum(bool(item.disabled) for item in known),
            "domains_broken": sum(item.blocks(now) for item in self._domains.values()),
            "domains_taken_out": len(self.outages(now)),
        }

    def _known(self, target: str) -> _Known:
        """What is remembered of a target, to be changed."""
        known = self._targets.get(target)
        if known is not None:
            known.seen = None
        if known is None:
            if len(self._targets) >= MOST_KNOWN:
                self._forget()
            known = self._targets[target] = _Known()
        return known

    def _forget(self) -> None:
        """Make room: the first of which nothing has to be remembered, else the first that no operator disabled."""
        for name, known in self._targets.items():
            if known.plain:
                del self._targets[name]
                return
        for name, known in self._targets.items():
            if not known.disabled:
                del self._targets[name]
                return

    def _domain(self, name: str) -> DomainBreaker:
        breaker = self._domains.get(name)
        if breaker is None:
            if len(self._domains) >= MOST_KNOWN:
                del self._domains[next(iter(self._domains))]
            breaker = self._domains[name] = DomainBreaker()
        return breaker


def _account(candidate: Candidate) -> str:
    return next((domain for domain in candidate.domains if domain.startswith("account:")), candidate.name)


def _subject(word: Word) -> tuple[str, ...]:
    """What a word is about; a later word about the same replaces it."""
    kind = type(word).__name__
    match word:
        case Opened() | Closed():
            return kind, word.name, "domain" if word.domain else "target"
        case Down():
            return kind, word.domain, word.target
        case TakenOut():
            return kind, word.domain
        case _:
            return kind, word.target
