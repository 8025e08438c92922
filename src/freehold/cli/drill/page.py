"""A drill's report as one page that needs nothing else: no script, no font, no network; it prints on paper."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from html import escape
from typing import Final

from freehold.cli.drill.report import Bin, Report
from freehold.cli.drill.text import facts, in_words, unserved

_WIDTH: Final = 880
_HEIGHT: Final = 200
_LEFT: Final = 44
_BOTTOM: Final = 28
_TOP: Final = 18

_LIGHT: Final = (
    "--text:#1c2430;--quiet:#5b6675;--ground:#fff;--line:#d5dae1;"
    "--served:#7fa7dd;--delayed:#e0a030;--failed:#c0392b;--out:#f4dede"
)
_DARK: Final = (
    "--text:#e4e8ee;--quiet:#9aa5b4;--ground:#12161c;--line:#333c48;"
    "--served:#4777c9;--delayed:#d99a2b;--failed:#e0604f;--out:#3a2225"
)
_STYLE: Final = f"""
:root{{{_LIGHT}}}
@media screen and (prefers-color-scheme:dark){{:root{{{_DARK}}}}}
@media print{{body{{margin:0}}figure,table{{break-inside:avoid}}*{{print-color-adjust:exact}}}}
body{{font:15px/1.5 system-ui,sans-serif;color:var(--text);background:var(--ground)}}
body{{max-width:56rem;margin:2rem auto;padding:0 1rem}}
h1{{font-size:1.4rem;margin:0}}h2{{font-size:1.05rem;margin:1.8rem 0 .4rem}}
p.when{{color:var(--quiet);margin:.2rem 0 1rem}}
table{{border-collapse:collapse;width:100%}}
td,th{{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:top}}
th{{font-weight:600}}td{{overflow-wrap:anywhere}}td.n,th.n{{text-align:right;font-variant-numeric:tabular-nums}}
figure{{margin:1rem 0}}svg{{max-width:100%;height:auto}}svg text{{font:12px system-ui,sans-serif;fill:var(--quiet)}}
.served{{fill:var(--served)}}.delayed{{fill:var(--delayed)}}.failed{{fill:var(--failed)}}.out{{fill:var(--out)}}
.axis{{stroke:var(--line)}}.mark{{stroke:var(--text);stroke-dasharray:3 3}}svg text.said{{fill:var(--text)}}
"""


def page(report: Report) -> str:
    """The page."""
    title = f"Drill: {report.domain}"
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<style>{_STYLE}</style></head><body>",
            f"<h1>{escape(title)}</h1>",
            f'<p class="when">{escape(_when(report))}</p>',
            *_table(facts(report)),
            "<h2>Exchanges over time</h2>",
            *_timeline(report),
            "<h2>Before, during, after</h2>",
            *_phases(report),
            "<h2>Targets of the domain</h2>",
            *_table((target.target, in_words(target)) for target in report.targets),
            *_not_served(report),
            "</body></html>\n",
        ]
    )


def _when(report: Report) -> str:
    began = datetime.fromtimestamp(report.moments.began, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    early = "; ended early" if report.interrupted else ""
    return f"{report.how} for {report.seconds:.1f} s, {report.where}, from {began}{early}"


def _table(rows: Iterator[tuple[str, str]]) -> Iterator[str]:
    yield "<table>"
    for name, said in rows:
        yield f"<tr><th>{escape(name)}</th><td>{escape(said)}</td></tr>"
    yield "</table>"


def _not_served(report: Report) -> Iterator[str]:
    rows = list(unserved(report))
    if rows:
        yield "<h2>What could not be served, and why</h2>"
        yield from _table(iter(rows))


def _phases(report: Report) -> Iterator[str]:
    columns = ("", "exchanges", "served", "delayed", "failed", "refused", "client left", "median ms", "95 % ms")
    yield "<table><tr>" + "".join(f'<th class="n">{column}</th>' for column in columns) + "</tr>"
    for name, phase in report.phases.items():
        counts = (phase.exchanges, phase.served, phase.delayed, phase.failed, phase.refused, phase.gone)
        times = ("-" if value is None else f"{value:.0f}" for value in (phase.p50_ms, phase.p95_ms))
        cells = "".join(f'<td class="n">{cell}</td>' for cell in (*counts, *times))
        yield f"<tr><th>{name}</th>{cells}</tr>"
    yield "</table>"


# --- The timeline ----------------------------------------------------------------------------------------------------


def _timeline(report: Report) -> Iterator[str]:
    """Exchanges by when they ended, a bar for each piece of time; shaded while the domain was out."""
    moments = report.moments
    length = max(moments.ended - moments.began, 0.001)
    most = max((_total(each) for each in report.timeline), default=0) or 1
    plot = _HEIGHT - _BOTTOM - _TOP

    def x(seconds: float) -> float:
        return _LEFT + (_WIDTH - _LEFT) * max(0.0, min(seconds, length)) / length

    out, healed = moments.out - moments.began, moments.healed - moments.began
    yield f'<figure><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" role="img">'
    yield f"<title>{escape(f'Exchanges while {report.domain} was taken out')}</title>"
    yield f'<rect class="out" x="{x(out):.1f}" y="{_TOP}" width="{x(healed) - x(out):.1f}" height="{plot}"/>'
    width = max((_WIDTH - _LEFT) * report.bin_s / length - 1, 0.5)
    for each in report.timeline:
        yield from _bar(each, x(each.at), width, plot / most)
    yield f'<path class="axis" d="M{_LEFT} {_TOP}V{_HEIGHT - _BOTTOM}H{_WIDTH}" fill="none"/>'
    yield f'<text x="{_LEFT - 6}" y="{_TOP + 10}" text-anchor="end">{most}</text>'
    yield f'<text x="{_LEFT - 6}" y="{_HEIGHT - _BOTTOM}" text-anchor="end">0</text>'
    yield f'<text class="said" x="{x(out) + 4:.1f}" y="{_TOP - 5}">out</text>'
    yield from _mark(x(healed), "healed")
    if report.recovery_s is not None:
        yield f'<path class="mark" d="M{x(healed + report.recovery_s):.1f} {_TOP}V{_HEIGHT - _BOTTOM}"/>'
    for tick in range(6):
        seconds = length * tick / 5
        anchor = "start" if tick == 0 else "end" if tick == 5 else "middle"
        yield f'<text x="{x(seconds):.1f}" y="{_HEIGHT - 10}" text-anchor="{anchor}">{seconds:.1f} s</text>'
    yield "</svg><figcaption>"
    yield f"Exchanges that ended in each {report.bin_s:.2g} s: {_key('served', 'served at once')}, "
    yield f"{_key('delayed', 'served after a failed attempt')}, {_key('failed', 'failed')}. "
    yield "Shaded: the domain is out. Dashed: its targets answer again.</figcaption></figure>"


def _mark(x: float, said: str) -> Iterator[str]:
    yield f'<text class="said" x="{x + 4:.1f}" y="{_TOP - 5}">{said}</text>'


def _bar(each: Bin, x: float, width: float, scale: float) -> Iterator[str]:
    y = float(_HEIGHT - _BOTTOM)
    for kind, count in (("served", each.served), ("delayed", each.delayed), ("failed", each.failed)):
        if count:
            height = count * scale
            y -= height
            yield f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'


def _key(kind: str, said: str) -> str:
    return f'<svg width="10" height="10"><rect class="{kind}" width="10" height="10"/></svg> {said}'


def _total(each: Bin) -> int:
    return each.served + each.delayed + each.failed
