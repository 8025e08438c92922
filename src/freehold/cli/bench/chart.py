"""The figures as a picture: one SVG file that needs nothing else, no script and no font."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Final

from freehold.routing.measured import Estimate, Measured

PANELS: Final[Sequence[tuple[str, Callable[[Measured], Estimate | None], str]]] = (
    ("Milliseconds to the first token", lambda each: each.ttft_ms, "{:,.0f}"),
    ("Tokens a second after the first", lambda each: each.tokens_per_second, "{:,.1f}"),
    ("USD per million tokens", lambda each: each.usd_per_million, "{:,.3f}"),
    ("Requests that failed", lambda each: each.error_rate, "{:.0%}"),
    ("Quality", lambda each: each.quality, "{:.0%}"),
)
"""What is shown: a title, where the figure stands, how it is written."""

_LABEL: Final = 280
"""Pixels for a target's name; about forty letters."""
_PLOT: Final = 320
_FIGURE: Final = 180
_ROW: Final = 24
_TITLE: Final = 40

_STYLE: Final = (
    "text{font:13px system-ui,sans-serif;fill:#1c2430}.title{font-weight:600}.name,.figure{font-size:12px}"
    ".ground{fill:#fff}.axis{stroke:#c5ccd6}.reach{stroke:#4777c9;stroke-width:4;stroke-linecap:round;opacity:.45}"
    ".value{fill:#24509f}"
    "@media(prefers-color-scheme:dark){text{fill:#e4e8ee}.ground{fill:#12161c}.axis{stroke:#3c4654}.value{fill:#8db4ff}}"
)


def chart(rows: Sequence[Measured]) -> str:
    """A panel for each figure that any target has; a dot for the value, a bar for its interval."""
    body: list[str] = []
    y = 8
    for title, pick, form in PANELS:
        found = [(each.target, figure) for each in rows if (figure := pick(each)) is not None]
        if found:
            body += _panel(title, found, form, y)
            y += _TITLE + _ROW * len(found)
    width, height = _LABEL + _PLOT + _FIGURE, y + 12
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="t d">',
            '<title id="t">Targets measured by freehold bench</title>',
            '<desc id="d">Dots are medians, means or shares; bars 95 % intervals, where there are any.</desc>',
            f"<style>{_STYLE}</style>",
            f'<rect class="ground" width="{width}" height="{height}"/>',
            *body,
            "</svg>\n",
        ]
    )


def written(figure: Estimate | None, form: str) -> str:
    """A figure with its interval, in words."""
    if figure is None:
        return "-"
    if figure.low is None or figure.high is None:
        return form.format(figure.value)
    return f"{form.format(figure.value)} ({form.format(figure.low)} to {form.format(figure.high)})"


def _panel(title: str, found: Sequence[tuple[str, Estimate]], form: str, top: int) -> Iterator[str]:
    longest = max(max(figure.value, figure.high or 0.0) for _, figure in found) or 1.0
    yield f'<text class="title" x="12" y="{top + 24}">{escape(title)}</text>'
    bottom = top + _TITLE + _ROW * len(found)
    yield f'<path class="axis" d="M{_LABEL} {top + 32}V{bottom - 4}"/>'
    for row, (target, figure) in enumerate(found):
        y = top + _TITLE + _ROW * row + 8
        said = written(figure, form)
        yield f'<text class="name" x="12" y="{y + 4}">{escape(_shortened(target))}</text>'
        if figure.low is not None and figure.high is not None:
            left, right = (_LABEL + _PLOT * end / longest for end in (figure.low, figure.high))
            yield f'<path class="reach" d="M{left:.1f} {y}H{right:.1f}"/>'
        at = _LABEL + _PLOT * figure.value / longest
        yield f'<circle class="value" cx="{at:.1f}" cy="{y}" r="5"><title>{escape(target)}: {said}</title></circle>'
        yield f'<text class="figure" x="{_LABEL + _PLOT + 14}" y="{y + 4}">{said}</text>'


def _shortened(name: str) -> str:
    """A name that fits: its end says more than its middle."""
    return name if len(name) <= 40 else f"{name[:15]}…{name[-24:]}"
